"""Writes the files of nesgw setup: all of them or none, each whole, with the owner and the mode that the service needs.

A configuration that is there keeps its owner and mode. Secrets, and what is new, are root's and the service's, mode
0640; without the service, or for an ordinary user, his alone.
"""

from __future__ import annotations

import getpass
import grp
import os
import signal
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nesgw.commands.setup.plan import NewFile
from nesgw.config.access import SERVICE_GROUP
from nesgw.errors import OutputFailed, SetupDenied

_SHARED: Final = 0o640  # with the service's group
_PRIVATE: Final = 0o600
_FOLDER: Final = 0o750


def refuse_without_rights(path: Path) -> None:
    """Say at the beginning that nothing could be written at the end. Raises SetupDenied."""
    target = path.resolve() if _is_there(path) else path.absolute()
    place = next(folder for folder in target.parents if _is_there(folder))
    closed = not os.access(place, os.W_OK | os.X_OK) or (_is_there(target) and not os.access(target, os.R_OK))
    if closed:
        raise SetupDenied(user=getpass.getuser(), folder=place)


def _is_there(path: Path) -> bool:
    """Whether it can be seen from here: in a folder that is closed to us nothing can."""
    try:
        return path.exists()
    except OSError:
        return False


def write(files: Sequence[NewFile]) -> None:
    """Write them. Raises OutputFailed, and has changed nothing then."""
    with _prepared(files) as ready, _undisturbed():
        for temporary, path in ready:
            temporary.replace(path)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait, so that it finds all files new or all of them old."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


@contextmanager
def _prepared(files: Sequence[NewFile]) -> Iterator[list[tuple[Path, Path]]]:
    """Write each beside its place first: what fails, fails there."""
    ready: list[tuple[Path, Path]] = []
    try:
        for each in files:
            path = each.path.resolve()
            try:
                _make_folder(path.parent)
                ready.append((_beside(path, each), path))
            except OSError as error:
                raise OutputFailed(place=str(each.path), problem=error.strerror) from error
        yield ready
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER)
        group = _service_group()
        if group is not None:
            os.chown(folder, -1, group)


def _beside(path: Path, file: NewFile) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            _protect(temporary.fileno(), path, file.secret)
            temporary.write(file.text.reveal())
            temporary.flush()
            os.fsync(temporary.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _protect(descriptor: int, path: Path, secret: bool) -> None:
    """Give a file its owner and mode before anything is in it."""
    if not secret and path.exists():
        old = path.stat()
        os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        return
    group = _service_group()
    if group is not None:
        os.fchown(descriptor, 0, group)
    os.fchmod(descriptor, _PRIVATE if group is None else _SHARED)


def _service_group() -> int | None:
    """The group that reads the files; None where there is no service, or where we may not give it anything."""
    if os.geteuid() != 0:
        return None
    try:
        return grp.getgrnam(SERVICE_GROUP).gr_gid
    except KeyError:
        return None
