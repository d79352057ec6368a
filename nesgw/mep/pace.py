"""How often the meter is asked: one read a second on average, and some ahead of that. Pure arithmetic.

The guide asks for the average and says not over what time; what a poll or a look at the slow tables needs at once is
taken from the seconds in which nothing was asked. Source: MEP Client Developer's Guide 1.1, pages 51 and 259.
"""

from __future__ import annotations

from typing import Final

INTERVAL: Final = 1.0  # seconds for a read, on average
AHEAD: Final = 60  # reads that may be ahead of that: in any time of T seconds no more than T + 60 are made


class Pace:
    """Keeps the average. ``take`` each read that is made, and make none before ``earliest``."""

    def __init__(self) -> None:
        self._even_at = float("-inf")  # when the average is reached, if nothing more is asked until then

    @property
    def earliest(self) -> float:
        """The time before which no read may be made."""
        return self._even_at - (AHEAD - 1) * INTERVAL

    def take(self, now: float) -> None:
        """Take note of a read that is made now."""
        self._even_at = max(self._even_at, now) + INTERVAL

    def spare(self, now: float) -> int:
        """Count the reads that could be made now, one after the other, without waiting for the average."""
        return int(AHEAD - max(0.0, self._even_at - now) / INTERVAL)
