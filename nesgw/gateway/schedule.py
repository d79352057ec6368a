"""When what is done: a fixed grid of polls, the gaps between them, and growing pauses.

All times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Of each interval so much is left to the line: for the next beat to be on time, and for a MEP device.
REST: Final = 0.2
LEAST_REST: Final = 0.15  # seconds
FOR_TROUBLE: Final = 1.0  # seconds that a read may last longer than on a sound line


@dataclass(frozen=True, slots=True)
class Beat:
    """Polls are due at ``start + n × interval``, however long each takes: late polls never shift the grid.

    A poll that overruns skips the beats it covered; it is not made up for.
    """

    start: float  # monotonic seconds
    interval: float  # seconds

    def after(self, now: float) -> float:
        """Return the next due time later than ``now``."""
        if now < self.start:
            return self.start
        return self.start + (int((now - self.start) // self.interval) + 1) * self.interval

    def gap(self, now: float) -> Gap:
        """Return the time between now and the next beat that may be used for other reads."""
        due, rest = self.after(now), max(LEAST_REST, REST * self.interval)
        return Gap(due - rest, due - rest / 4)


@dataclass(frozen=True, slots=True)
class Gap:
    """The time between two polls. A read begins only if it will have ended by ``ends``."""

    ends: float
    limit: float  # by which even one that meets trouble has to be given up

    def has_room(self, seconds: float, now: float) -> bool:
        """Whether what takes so long would be over in time."""
        return now + seconds <= self.ends

    def only(self, share: float, now: float) -> Gap:
        """Return the first part of what is left of the gap."""
        return self if share == 1.0 else self.at_most(now + share * (self.ends - now))

    def wholly_before(self, until: float) -> Gap:
        """Return a gap of which nothing, not even trouble, reaches beyond that."""
        return Gap(min(self.ends, until - FOR_TROUBLE), min(self.limit, until))

    def at_most(self, until: float) -> Gap:
        """Return a gap that ends by then at the latest."""
        return self if self.ends <= until else Gap(until, until + self.limit - self.ends)


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
