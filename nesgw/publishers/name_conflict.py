"""Tells whether another living gateway uses our name: by its status, which is on our topic and moves on.

Pure. What a former run of ours left retained does not move on, and was written before we were started.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nesgw.publishers.payloads import SeenGateway, parse_gateway_status
from nesgw.values import printable

_REMEMBERED = 16  # starts; more than one former run is rare
_ROUNDED = timedelta(seconds=0.5)  # uptimes are whole seconds


class NameConflict:
    """Compares the statuses seen on our topic with those that we published."""

    def __init__(self) -> None:
        self._ours: list[str] = []
        self._uptimes: dict[str, float] = {}  # by the moment at which the other one started

    def another_broker(self) -> None:
        """Forget what was seen: brokers remember a former run as it stood when each heard of it last."""
        self._uptimes.clear()

    def published(self, payload: str) -> None:
        """Take note of a status of ours."""
        status = parse_gateway_status(payload)
        if status and status.started and status.started not in self._ours:
            self._ours = [*self._ours[-_REMEMBERED:], status.started]

    def seen(self, payload: str, *, retained: bool) -> str | None:
        """Judge a status from the broker; the answer describes the other gateway, if there is one."""
        status = parse_gateway_status(payload)
        if not status or not status.started or status.started in self._ours:
            return None
        before = self._uptimes.get(status.started)
        if before is None and len(self._uptimes) >= _REMEMBERED:
            self._uptimes.clear()
        self._uptimes[status.started] = max(status.uptime_s, before or 0.0)
        moved_on = before is not None and status.uptime_s > before
        if not retained or moved_on or self._is_later_than_our_start(status):
            return f"nesgw {printable(status.version, 20)}, started {printable(status.started, 30)}"
        return None

    def _is_later_than_our_start(self, status: SeenGateway) -> bool:
        """Whether it was written after we were started, by the clock of its writer."""
        try:
            written = datetime.fromisoformat(status.started) + timedelta(seconds=status.uptime_s)
            return bool(self._ours) and written - datetime.fromisoformat(self._ours[-1]) > _ROUNDED
        except (ValueError, TypeError, OverflowError):  # no time, one without a zone, or the end of all times
            return False
