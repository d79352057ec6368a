"""What the service left on the RAM disk about a meter, and what that says of the service."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nesgw.errors import KeyRefused, UnsupportedMeter
from nesgw.publishers.ram_disk import READING, STATUS, read_file, readings
from nesgw.values import printable

# The service reports after each poll. While it waits for a person (a refused key, an unknown meter), it polls hourly.
_STALE_POLLS: Final = 3
_GRACE: Final = 60.0
PATIENT: Final = 3600.0
_LONGEST: Final = 255  # characters of what the service says
_WAITS_FOR_A_PERSON: Final = frozenset({KeyRefused.kind, UnsupportedMeter.kind})


@dataclass(frozen=True, slots=True)
class Report:
    """What the service left on the RAM disk about a meter."""

    age: float  # seconds since its last word
    last_error: str | None
    last_read: datetime | None
    values: dict[str, Any]
    last_error_kind: str | None = None

    @property
    def key_refused(self) -> bool:
        """Whether the meter refused the key when it was asked last."""
        return self.last_error_kind == KeyRefused.kind

    def is_live(self, poll_interval: float) -> bool:
        """Whether a service that wrote this would not have written more by now."""
        waits = self.last_error_kind in _WAITS_FOR_A_PERSON
        return self.age <= (PATIENT if waits else _STALE_POLLS * poll_interval) + _GRACE

    def read_lately(self, poll_interval: float) -> bool:
        """Whether the service reads the meter."""
        return self.last_read is not None and age(self.last_read) <= _STALE_POLLS * poll_interval + _GRACE


def load_report(folder: Path) -> Report | None:
    """Read what the service said last; None if there is nothing of its, or nothing sound."""
    try:
        said, written = read_file(folder / STATUS)
        status = json.loads(said)
        last_read = status["last_read"] and datetime.fromisoformat(status["last_read"])
        error, kind = status["last_error"], status.get("last_error_kind")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    try:
        values = readings(json.loads(read_file(folder / READING)[0]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        values = {}
    sentence = printable(error, _LONGEST) if error else None
    kind = kind if isinstance(kind, str) else None
    return Report(max(0.0, time.time() - written), sentence, last_read, values, kind)


def age(moment: datetime) -> float:
    """Seconds since a moment."""
    return (datetime.now(UTC) - moment).total_seconds()


def ago(seconds: float) -> str:
    """Say how long ago something was."""
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
