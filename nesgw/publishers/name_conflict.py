"""Tells whether another living gateway uses our name: by its status, which is on our topic and moves on.

Pure. What a former run of ours left retained does not move on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

_REMEMBERED = 16  # starts; more than one former run is rare


class NameConflict:
    """Compares the statuses seen on our topic with those that we published."""

    def __init__(self) -> None:
        self._ours: list[str] = []
        self._uptimes: dict[str, float] = {}  # by the moment at which the other one started

    def published(self, payload: str) -> None:
        """Take note of a status of ours."""
        for started, _, _ in _facts(payload):
            if started not in self._ours:
                self._ours = [*self._ours[-_REMEMBERED:], started]

    def seen(self, payload: str, *, retained: bool) -> str | None:
        """Judge a status from the broker; the answer describes the twin, if there is one."""
        for started, uptime, version in _facts(payload):
            if started in self._ours:
                continue
            before = self._uptimes.get(started)
            if before is None and len(self._uptimes) >= _REMEMBERED:
                self._uptimes.clear()
            self._uptimes[started] = max(uptime, before or 0.0)
            if not retained or (before is not None and uptime > before):
                return f"nesgw {version}, started {started}"
        return None


def _facts(payload: str) -> Iterator[tuple[str, float, str]]:
    """Yield (started, uptime, version) of a gateway's status, and nothing for anything else."""
    try:
        status = json.loads(payload)
        yield str(status["started"]), float(status["uptime_s"]), str(status["version"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return
