"""The files of one meter on the RAM disk, each replaced as a whole: a reader never sees half a file.

Writes nowhere but in its own folder, and refuses a folder that is not in memory: an SD card does not outlive a file
that is written every ten seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from nesgw.errors import CacheUnavailable, ConfigError

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_TABLES = ("BT23", "BT28")
_READING = "reading.json"
_STATUS = "status.json"
_TEMPORARY = ".nesgw-"  # begins the name of a file that is still being written


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
            for stale in self.folder.glob(f"{_TEMPORARY}*"):
                stale.unlink(missing_ok=True)
            self._device = self.folder.stat().st_dev
        except OSError as error:
            raise self._unavailable(error) from error

    def write_reading(self, tables: Mapping[str, bytes], state: str) -> None:
        """Write an accepted reading: the raw tables, and the state object last, which tells that all are there."""
        for name, data in tables.items():
            self._replace(name, data)
        self._replace(_READING, state.encode())

    def forget_reading(self) -> None:
        """Take the last accepted reading away: it is another meter's, or nobody knows whose."""
        try:
            for name in (_READING, *_TABLES):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unavailable(error) from error

    def write_status(self, status: str) -> None:
        """Write the status object: how reading the meter goes."""
        self._replace(_STATUS, status.encode())

    def last_reading(self) -> dict[str, object] | None:
        """Read back the last accepted state object; None if there is none or it is damaged."""
        return self._load(_READING)

    def last_status(self) -> dict[str, object] | None:
        """Read back the last status object; None if there is none or it is damaged."""
        return self._load(_STATUS)

    def _make_folder(self) -> None:
        """Make the folder, and the one above, readable to all, whatever the umask."""
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o755)

    def _replace(self, name: str, data: bytes) -> None:
        # With the system's calls as they are: pathlib costs three times as much, four times in each poll.
        temporary = f"{self._path}/{_TEMPORARY}{name}"
        try:
            if not self._still_there():
                self.prepare()  # the RAM disk was mounted anew, or taken away and what lies below is a disk
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                os.fchmod(descriptor, 0o644)  # whatever the umask
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.replace(temporary, f"{self._path}/{name}")  # noqa: PTH105 (the very call that is atomic)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise self._unavailable(error) from error
        except ConfigError as error:
            raise CacheUnavailable(directory=self.folder, problem="no longer on a RAM disk") from error

    def _still_there(self) -> bool:
        try:
            return os.stat(self._path).st_dev == self._device  # noqa: PTH116
        except OSError:
            return False

    def _load(self, name: str) -> dict[str, object] | None:
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _unavailable(self, error: OSError) -> CacheUnavailable:
        return CacheUnavailable(directory=self.folder, problem=error.strerror or str(error))


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
