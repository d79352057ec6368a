"""The daily window in which the meter's port is left to the utility's own reader."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from nesgw.config.settings import QuietWindow
from nesgw.errors import QuietNow

# A poll that begins shortly before the window would reach into it.
BEFORE: Final = 5.0  # seconds
DAY: Final = timedelta(days=1)


class QuietTime:
    """Says whether the window is open, by the local clock that ``now`` gives.

    ``zone`` is that clock's: without it a change to or from daylight saving time is seen only when it is there.
    """

    def __init__(self, window: QuietWindow | None, now: Callable[[], datetime], zone: tzinfo | None = None) -> None:
        self._window = window
        self._now = now
        self._zone = zone

    def obstacle(self, takes: float = BEFORE) -> QuietNow | None:
        """Return why nothing may be begun now that takes so many seconds; None where it is over before the window."""
        if self._window is None or self.seconds_left() > takes:
            return None
        return QuietNow(until=f"{self._window.end:%H:%M}")

    def seconds_left(self) -> float:
        """Return the seconds until the window opens: 0 while it is open, infinity where there is none."""
        if self._window is None:
            return math.inf
        moment = self._now()
        if self._window.contains(moment):
            return 0.0
        if self._zone is None:
            opens = datetime.combine(moment.date(), self._window.begin, moment.tzinfo)
            return ((opens if opens > moment else opens + DAY) - moment).total_seconds()
        now = moment.astimezone(UTC)
        openings = [
            datetime.combine(day, self._window.begin.replace(fold=fold), self._zone).astimezone(UTC)
            for day in (moment.date(), moment.date() + DAY)
            for fold in (0, 1)  # where the clock is set back the hour comes twice
        ]
        return min(opens - now for opens in openings if opens > now).total_seconds()
