"""How often a sender of datagrams is answered: answers are longer than questions, and a sender can lie. Pure."""

from __future__ import annotations

from typing import Final

PER_SECOND: Final = 5.0
BURST: Final = 10.0
SENDERS: Final = 64  # remembered at most


class Rate:
    """A bucket for each sender, filled with time."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, sender: str, now: float) -> bool:
        """Whether this sender may have an answer now."""
        left, before = self._buckets.pop(sender, (BURST, now))
        left = min(BURST, left + (now - before) * PER_SECOND)
        allowed = left >= 1.0
        if len(self._buckets) >= SENDERS:
            del self._buckets[next(iter(self._buckets))]  # the one that asked longest ago
        self._buckets[sender] = (left - 1.0 if allowed else left, now)
        return allowed
