"""This machine's time zone with its rules, for those tables of a meter that keep local time."""

from __future__ import annotations

import os
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo


def machine_zone() -> tzinfo | None:
    """Return the zone, that of the variable TZ first, as everywhere; None where the machine does not say."""
    name = os.environ.get("TZ")
    try:
        if name is None or name.removeprefix(":").startswith("/"):
            path = Path("/etc/localtime" if name is None else name.removeprefix(":"))
            with path.open("rb") as rules:
                return ZoneInfo.from_file(rules)
        return ZoneInfo(name.removeprefix(":") or "UTC")
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return None
