"""When a meter that could not be read is asked again: soon after a passing trouble, ever more rarely after others."""

from __future__ import annotations

from typing import Final

from nesgw.errors import IdentityTaken, KeyRefused, NesgwError, OperatorNeeded, PortUnavailable
from nesgw.gateway.schedule import Backoff

# A refused key: asked again after five minutes, then ever more rarely. A meter counts refusals, raises an alarm,
# and from firmware 4.30 on may lock its port.
FIRST_PAUSE: Final = 300.0
LONGEST_PAUSE: Final = 3600.0

# A meter that nesgw cannot read may just be starting: asked again at the next poll, then ever more rarely too.
# One that failed to answer gets a second chance at once, for it may have been a passing trouble, and then one at the
# usual pace: an interval of an hour must not cost an hour. A probe that is plugged in again is taken up in seconds.
FIRST_RETRY: Final = 1.0
LATER_RETRY: Final = 10.0
PORT_RETRY: Final = 5.0
# A meter that is read through its other port already has one line for both: it is left to the other, but for a look.
TAKEN_RETRY: Final = 60.0


class Retries:
    """The times before and after which one meter is polled again, beside its beat. All times are of one clock."""

    def __init__(self, interval: float) -> None:
        self._key_backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._other_backoff = Backoff(interval, LONGEST_PAUSE)
        self._not_before = 0.0
        self._not_after = float("inf")
        self._obstacle: OperatorNeeded | None = None

    def due(self, on_the_beat: float) -> float:
        """When to poll, where the beat would have it at that time."""
        return max(min(on_the_beat, self._not_after), self._not_before)

    def begun(self) -> None:
        """A poll begins: what was asked for sooner has been."""
        self._not_after = float("inf")

    def accepted(self) -> None:
        """The meter was read."""
        self._obstacle = None
        self._key_backoff.reset()
        self._other_backoff.reset()

    def failed(self, error: NesgwError, now: float, in_a_row: int) -> float | None:
        """Take a failed poll, the ``in_a_row``-th; return the pause in seconds where somebody has to do something."""
        if isinstance(error, OperatorNeeded):
            pause = (self._key_backoff if isinstance(error, KeyRefused) else self._other_backoff).pause()
            self._not_before, self._obstacle = now + pause, error
            return pause
        if isinstance(error, IdentityTaken):
            self._not_before = now + TAKEN_RETRY
        elif isinstance(error, PortUnavailable):
            self._not_after = now + PORT_RETRY
        else:
            self._not_after = now + (FIRST_RETRY if in_a_row == 1 else LATER_RETRY)
        return None

    def is_pausing(self, now: float) -> bool:
        """Whether the meter is left alone now."""
        return now < self._not_before

    def obstacle(self, now: float) -> OperatorNeeded | None:
        """Why nothing is asked now, where somebody has to do something about it."""
        return self._obstacle if self.is_pausing(now) else None
