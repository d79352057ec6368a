"""The beat of the polls: a fixed grid in monotonic time, and growing pauses where asking again would do harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Beat:
    """Polls are due at ``start + n × interval``, however long each takes: late polls never shift the grid.

    A poll that overruns skips the beats it covered; it is not made up for.
    """

    start: float  # monotonic seconds
    interval: float  # seconds
    missed: int = 0

    def after(self, now: float, previous: float | None = None) -> float:
        """Return the next due time later than ``now``; counts the beats skipped since ``previous``."""
        if now < self.start:
            return self.start
        due = self.start + (int((now - self.start) // self.interval) + 1) * self.interval
        if previous is not None:
            self.missed += max(0, round((due - previous) / self.interval) - 1)
        return due


class Backoff:
    """Pauses that double from ``first`` to ``longest`` seconds until ``reset``."""

    def __init__(self, first: float, longest: float) -> None:
        self._first: Final = first
        self._longest: Final = longest
        self._next = first

    def pause(self) -> float:
        """Return the pause to make now; the next one will be twice as long."""
        pause = self._next
        self._next = min(self._longest, 2 * pause)
        return pause

    def reset(self) -> None:
        """Start from the first pause again."""
        self._next = self._first
