"""This machine's time zone with its rules, for those tables of a meter that keep local time."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo


def machine_zone() -> tzinfo | None:
    """Return the zone; None where the machine does not say."""
    try:
        with Path("/etc/localtime").open("rb") as rules:
            return ZoneInfo.from_file(rules)
    except (OSError, ValueError):
        return None
