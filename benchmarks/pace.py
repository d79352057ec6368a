"""When the next poll is due. Imports nothing but the standard library: termineter's interpreter uses it too."""

from __future__ import annotations

import time
from collections.abc import Callable

GAP = 0.05  # seconds between two polls without a beat, so that the last acknowledgement has left before the next


class Pace:
    """Polls on a beat, or one after the other with a small gap that is not counted."""

    def __init__(self, interval: float | None = None) -> None:
        self.interval = interval
        self.due = time.monotonic() + (interval or 0)

    def keep(self, poll: Callable[[], float]) -> float:
        """Wait for the beat, then do it."""
        time.sleep(max(0.0, self.due - time.monotonic()) if self.interval else GAP)
        self.due += self.interval or 0
        return poll()
