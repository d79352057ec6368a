"""The files of one meter on the RAM disk, each replaced as a whole: a reader never sees half a file.

Writes nowhere but in its own folder, and refuses a folder that is not in memory: an SD card does not outlive a file
that is written every ten seconds. Nor does it trust the place: the folder must be ours, no link is followed, and no
file is opened that another user may have laid there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from nesgw.errors import CacheUnavailable, ConfigError
from nesgw.values import Number

TABLES: Final = ("BT23", "BT28")
READING: Final = "reading.json"
STATUS: Final = "status.json"
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_MOUNTS: Final = Path("/proc/self/mountinfo")
_TEMPORARY: Final = ".nesgw-"  # begins the name of a file that is still being written
_LARGEST: Final = 1024 * 1024  # bytes of a file that is read back
_ROOT: Final = 0
_UNMAPPED: Final = 65_534  # whom the system's own folders belong to in some containers (user_namespaces(7))
_OUR_LEVELS: Final = 2  # the meter's folder, and the one that is configured


class RamDisk:
    """One meter's folder. Making the object writes nothing; ``prepare`` comes first."""

    def __init__(self, directory: Path, meter: str, *, allow_disk: bool = False) -> None:
        self.folder = directory / meter
        self._path = str(self.folder)
        self._allow_disk = allow_disk
        self._device: int | None = None  # the filesystem that was found good

    def prepare(self) -> None:
        """Check that the folder is in memory, make it, and sweep away what a killed process left half written."""
        if not self._allow_disk:
            refuse_disk(self.folder.parent)
        try:
            self._make_folder()
            refuse_foreign(self.folder)
            with self._opened() as folder:
                for name in os.listdir(folder):  # noqa: PTH208 (of a folder that is open, whatever its name leads to)
                    if name.startswith(_TEMPORARY):
                        os.unlink(name, dir_fd=folder)
                self._device = os.fstat(folder).st_dev
        except OSError as error:
            raise self._unavailable(error) from error

    def write_reading(self, tables: Mapping[str, bytes], state: str) -> None:
        """Write an accepted reading: the raw tables, and the state object last, which tells that all are there."""
        for name, data in tables.items():
            self._replace(name, data)
        self._replace(READING, state.encode())

    def forget_reading(self) -> None:
        """Take the last accepted reading away: it is another meter's, or nobody knows whose."""
        try:
            with self._opened() as folder:
                for name in (READING, *TABLES):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
        except OSError as error:
            raise self._unavailable(error) from error

    def write_status(self, status: str) -> None:
        """Write the status object: how reading the meter goes."""
        self._replace(STATUS, status.encode())

    def last_reading(self) -> dict[str, object] | None:
        """Read back the last accepted state object; None if there is none or it is damaged."""
        return self._load(READING)

    def last_status(self) -> dict[str, object] | None:
        """Read back the last status object; None if there is none or it is damaged."""
        return self._load(STATUS)

    def _make_folder(self) -> None:
        """Make the folder, and the one above, readable to all, whatever the umask."""
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o755)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the folder itself: what is done in it cannot be led elsewhere meanwhile. Raises OSError."""
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(folder).st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "belongs to another user")
            yield folder
        finally:
            os.close(folder)

    def _replace(self, name: str, data: bytes) -> None:
        try:
            if not self._still_there():
                self.prepare()  # the RAM disk was mounted again, or taken away and what lies below is a disk
            with self._opened() as folder:
                self._write(folder, name, data)
        except OSError as error:
            raise self._unavailable(error) from error
        except ConfigError as error:
            raise CacheUnavailable(directory=self.folder, problem="no longer on a RAM disk") from error

    def _write(self, folder: int, name: str, data: bytes) -> None:
        # With the system's calls as they are: pathlib costs three times as much, four times in each poll.
        temporary = _TEMPORARY + name
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        try:
            mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, mode, 0o644, dir_fd=folder)
            try:
                os.fchmod(descriptor, 0o644)  # whatever the umask
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # the very call that is atomic
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise

    def _still_there(self) -> bool:
        try:
            return os.lstat(self._path).st_dev == self._device
        except OSError:
            return False

    def _load(self, name: str) -> dict[str, object] | None:
        try:
            found = json.loads(read_file(self.folder / name)[0])
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _unavailable(self, error: OSError) -> CacheUnavailable:
        return CacheUnavailable(directory=self.folder, problem=error.strerror or str(error))


def read_file(path: Path) -> tuple[bytes, float]:
    """Read a file of a meter's folder and when it was written, also as root; never waits. Raises OSError.

    Whoever owns the folder could lay a link, a pipe or a device there, or a file without an end.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, dir_fd=folder)
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (it is open already)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise OSError(errno.EINVAL, "not a file of nesgw's", str(path))
        return file.read(_LARGEST), facts.st_mtime


def readings(state: Mapping[str, object]) -> dict[str, Number | None]:
    """Return the values of a state object that was read back; what is no number is left out."""
    numbers = {key: value for key, value in state.items() if value is None or type(value) in (int, float)}
    return cast("dict[str, Number | None]", numbers)


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder of another user's, or one below it: its owner could lead our files elsewhere. Raises OSError."""
    ours = {os.geteuid(), _ROOT}
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, "is a link")
    for number, place in enumerate((folder.resolve(), *folder.resolve().parents)):
        facts = place.stat()
        trusted = ours if number < _OUR_LEVELS else {*ours, _UNMAPPED}
        if facts.st_uid not in trusted:
            raise PermissionError(errno.EPERM, f"{place} belongs to another user")
        if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
            raise PermissionError(errno.EPERM, f"{place} can be written by everybody")


def refuse_disk(directory: Path) -> None:
    """Refuse a cache directory that is not on a RAM disk; it need not exist yet."""
    try:
        kind = filesystem(directory)
    except OSError as error:
        problem = f"{directory}: {(error.strerror or str(error)).lower()}"
        raise ConfigError([f"[cache] directory: {problem}: take a folder under /run"]) from error
    if kind not in _IN_MEMORY:
        raise ConfigError(
            [
                f"[cache] directory: {directory} is on {kind}, not on a RAM disk, and would wear out the SD card: "
                f"take a folder under /run, or mount a tmpfs there (deploy/tmpfs-fstab), or set allow_disk = true"
            ]
        )


def filesystem(directory: Path) -> str:
    """Name the type of the filesystem that holds the directory, or will hold it once it is made."""
    place = directory.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return mounted_at(place.resolve(), _MOUNTS.read_text(errors="surrogateescape"))


def mounted_at(place: Path, mounts: str) -> str:
    """Name the type of the filesystem at a place, by the text of /proc/self/mountinfo.

    Its fifth field is the mount point, and the first field after the lone dash is the type (proc(5)). Of two mounts
    on one point the later lies on top.
    """
    best, kind = -1, "an unknown filesystem"
    for line in mounts.splitlines():
        mount, _, details = line.partition(" - ")
        point = Path(_unescape(mount.split()[4]))
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), details.split()[0]
    return kind


def _unescape(text: str) -> str:
    """Undo the octal escapes of blanks, tabs, newlines and backslashes in a mount point."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
