"""The daily window in which the meter's port is left to the utility's own reader."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from nesgw.config.settings import QuietWindow
from nesgw.errors import QuietNow

# A poll that begins shortly before the window would reach into it.
BEFORE: Final = timedelta(seconds=5)


class QuietTime:
    """Says whether the window is open, by the local clock that ``now`` gives."""

    def __init__(self, window: QuietWindow | None, now: Callable[[], datetime]) -> None:
        self._window = window
        self._now = now

    def obstacle(self) -> QuietNow | None:
        """Return why nothing may be read now; None while the window is closed."""
        moment = self._now()
        if self._window is None or not (self._window.contains(moment) or self._window.contains(moment + BEFORE)):
            return None
        return QuietNow(until=f"{self._window.end:%H:%M}")
