"""Which secrets systemd hands to the service: named in the unit's files, seen by the service alone."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_UNIT: Final = "nesgw.service"
_FOLDERS: Final = tuple(map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")))
# systemd.exec(5): LoadCredential=ID:PATH and the like; ImportCredential=PATTERN.
_SETTING: Final = re.compile(r"^\s*(?:Load|Set|Import)Credential(?:Encrypted)?\s*=\s*([^:\s]+)", re.MULTILINE)


class Credentials:
    """What the service is given, as far as its unit says: ``name in credentials``."""

    def __init__(self, units: Iterable[str]) -> None:
        self._patterns = [pattern for unit in units for pattern in _SETTING.findall(unit)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns)


def of_the_service(folders: Iterable[Path] = _FOLDERS) -> Credentials:
    """Read the unit and what was added to it with ``systemctl edit``."""
    found = [file for folder in folders for file in (folder / _UNIT, *sorted((folder / f"{_UNIT}.d").glob("*.conf")))]
    return Credentials(file.read_text(encoding="utf-8", errors="replace") for file in found if file.is_file())
