"""How long an answer may be that is asked for: as long as a frame holds, or short while Enable is too weak for more.

Enable feeds the meter's transmitter. From a weak source it sags while the meter talks, and the tail of a long answer
never arrives, while short ones do. Pure arithmetic.
"""

from __future__ import annotations

from typing import Final

from nesgw.mep.frames import LARGEST_READ

SHORT_READ: Final = 40  # bytes of a table; so much arrived from every port that was reported as weak

_FIRST_REST: Final = 60.0  # seconds until a long answer is tried again: perhaps it was noise
_LONGEST_REST: Final = 3600.0


class AnswerSize:
    """Remembers whether long answers arrive."""

    def __init__(self) -> None:
        self.weak = False
        self._rest = _FIRST_REST
        self._short_until = float("-inf")

    def largest_read(self, now: float) -> int:
        """Give the bytes of a table that may be asked for at once."""
        return SHORT_READ if now < self._short_until else LARGEST_READ

    def spoiled(self, now: float) -> None:
        """Take note that a long answer did not arrive, and why it will not: ask for short ones for a while."""
        self._rest = min(2 * self._rest, _LONGEST_REST) if self.weak else _FIRST_REST
        self.weak = True
        self._short_until = now + self._rest

    def arrived(self, size: int) -> None:
        """Take note of an answer that arrived whole, with so many bytes of a table."""
        if size > SHORT_READ:
            self.weak = False
