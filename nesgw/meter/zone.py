"""This machine's time zone with its rules, for those tables of a meter that keep local time."""

from __future__ import annotations

import os
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def machine_zone() -> tzinfo | None:
    """Return the zone that ``TZ`` names (as in containers), else the system's; None where none is named.

    A ``TZ`` of POSIX's own form, like ``CET-1``, has rules that the tables of zones do not have: None as well.
    """
    try:
        if name := os.environ.get("TZ", "").removeprefix(":"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as rules:
            return ZoneInfo.from_file(rules)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return None
