"""Whether a meter's readings are fresh, and who is told of it when that changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

# Fresh means: accepted within three poll intervals, at least 30 s.
STALE_POLLS: Final = 3
STALE_SECONDS: Final = 30.0


class Freshness:
    """The worker says when a reading was accepted; whoever watches it may look whether the last one is too old.

    ``publish`` is called with what changes, from either thread, never by both at once.
    """

    def __init__(self, poll_interval: float, publish: Callable[[bool], object]) -> None:
        self.lasts = max(STALE_POLLS * poll_interval, STALE_SECONDS)  # seconds
        self._publish = publish
        self._until = float("-inf")
        self._online = False
        self._lock = threading.Lock()

    @property
    def online(self) -> bool:
        """Whether the meter is said to be available."""
        return self._online

    def accepted(self, now: float) -> None:
        """A reading is good from now on."""
        with self._lock:
            self._until = now + self.lasts
            self._set(online=True)

    def frozen(self) -> None:
        """What the meter shows does not move: its readings are not fresh, however new."""
        with self._lock:
            self._set(online=False)

    def another_meter(self) -> None:
        """What was said was said of another meter; the publisher itself says that that one is gone."""
        with self._lock:
            self._online = False

    def look(self, now: float) -> bool:
        """Say that the meter is unavailable once its last reading is too old; return whether that was just now."""
        with self._lock:
            stale = self._online and now > self._until
            if stale:
                self._set(online=False)
            return stale

    def _set(self, *, online: bool) -> None:
        if online != self._online:
            self._online = online
            self._publish(online)
