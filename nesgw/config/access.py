"""Who may read the files that the service needs: the rights of its user, judged from the outside."""

from __future__ import annotations

import grp
import shlex
import stat
from pathlib import Path
from typing import Final

SERVICE_USER: Final = "nesgw"
_SERVICE_GROUP: Final = SERVICE_USER
_SYSTEM: Final = Path("/etc")


def open_to_all(mode: int) -> bool:
    """Whether every user of the machine may read or write a file of this mode."""
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH))


def making_private(path: Path) -> str:
    """Return the command that makes an existing file one of the service alone, or of its owner."""
    name = shlex.quote(str(path))
    if _is_of_service(path):
        return f"sudo chown root:{_SERVICE_GROUP} {name} && sudo chmod 0640 {name}"
    return f"chmod o-rwx {name}"


def making(path: Path) -> str:
    """Return the command that makes an empty file for a secret."""
    name = shlex.quote(str(path))
    if _is_of_service(path):
        return f"sudo install -m 0640 -g {_SERVICE_GROUP} /dev/null {name}"
    return f"install -m 0600 /dev/null {name}"


def _is_of_service(path: Path) -> bool:
    """Whether a file is among the system's, on a machine where the service's group exists."""
    try:
        grp.getgrnam(_SERVICE_GROUP)
    except KeyError:
        return False
    return path.absolute().is_relative_to(_SYSTEM)
