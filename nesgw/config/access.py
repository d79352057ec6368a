"""Who may read the files that the service needs, and the commands that put it right."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SERVICE_USER: Final = "nesgw"
SERVICE_GROUP: Final = SERVICE_USER
_SYSTEM: Final = Path("/etc")


def open_to_all(mode: int) -> bool:
    """Whether every user of the machine may read or write a file of this mode."""
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH))


def making_private(path: Path) -> str:
    """Return the command that makes an existing file one of the service alone, or of its owner."""
    return _granting(path) if _is_of_service(path) else f"chmod o-rwx {shlex.quote(str(path))}"


def opening(path: Path) -> str:
    """Say how a file that is closed to this user is read: by root, by the service, or by this user as its owner."""
    if _is_of_service(path):
        return f"try with sudo, or for the service: {_granting(path)}"
    return f"try with sudo, or make it this user's own: sudo chown {_own_name()} {shlex.quote(str(path))}"


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def making(path: Path) -> str:
    """Return the command that makes an empty file for a secret."""
    name = shlex.quote(str(path))
    if _is_of_service(path):
        return f"sudo install -m 0640 -g {SERVICE_GROUP} /dev/null {name}"
    return f"install -m 0600 /dev/null {name}"


def _granting(path: Path) -> str:
    name = shlex.quote(str(path))
    return f"sudo chown root:{SERVICE_GROUP} {name} && sudo chmod 0640 {name}"


def _is_of_service(path: Path) -> bool:
    """Whether a file is among the system's, on a machine where the service's group exists."""
    try:
        grp.getgrnam(SERVICE_GROUP)
    except KeyError:
        return False
    return path.absolute().is_relative_to(_SYSTEM)


def service_user() -> pwd.struct_passwd | None:
    """Return the user that the service runs as; None where it is not installed."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return None


def unreadable(files: Iterable[Path], user: pwd.struct_passwd) -> Iterator[tuple[Path, str]]:
    """Say of each file that a user cannot read what is in the way, and what to do. Only root can ask for another user.

    A file that is not there is nobody's to read: that is for others to say.
    """
    for file in files:
        with _as(user):
            problem = _refusal(file)
            folder = _closed_folder(file)
        if folder is not None:
            yield (
                file,
                (
                    f"the service's user {user.pw_name} cannot enter the folder {folder}; "
                    f"move {file.name} to /etc/nesgw, and name it there"
                ),
            )
        elif problem is not None:
            yield (
                file,
                (f"the service's user {user.pw_name} cannot read {file} ({problem}); run: {_granting(file.resolve())}"),
            )


def unwritable(folders: Iterable[Path], user: pwd.struct_passwd) -> Iterator[tuple[Path, str]]:
    """Say of each folder in which a user cannot make files what to do; of one that is not there, of the one above.

    systemd makes /run/nesgw, and gives it to the service.
    """
    for folder in folders:
        made_by_systemd = folder == Path("/run", SERVICE_USER) and not folder.exists()
        place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        with _as(user):
            allowed = os.access(place, os.W_OK | os.X_OK, effective_ids=True)
        if not allowed and not made_by_systemd:
            name = shlex.quote(str(place))
            advice = f"run: sudo chown {user.pw_name}: {name}" if place == folder else "take a folder under /run/nesgw"
            yield folder, f"the service's user {user.pw_name} cannot write to {place}; {advice}"


@contextmanager
def _as(user: pwd.struct_passwd) -> Iterator[None]:
    """Have the rights of a user for a while: what the system then grants counts more than a file's mode shows."""
    groups, group, own = os.getgroups(), os.getegid(), os.geteuid()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(own)
        os.setegid(group)
        os.setgroups(groups)


def _refusal(file: Path) -> str | None:
    try:
        os.close(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror
    return None


def _closed_folder(file: Path) -> Path | None:
    """Return the outermost folder on the way to a file that is closed to us."""
    folders = reversed(file.absolute().parents)
    return next((folder for folder in folders if not os.access(folder, os.X_OK, effective_ids=True)), None)
