"""What each poll reads where the port asks for an average: of the MEP port its guide wants one read a second.

A poll is two reads, the energies (BT23) and the present values (BT28). Where that is too often, the present values are
read with each poll, and the energies as often as there are reads to spare, every ten seconds in any case; in between a
reading has those of the last time. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from nesgw.values import Number, Reading

ENERGIES_EVERY: Final = 10.0  # seconds at the most, and what is published of them is no older
ENOUGH: Final = 20  # reads to spare, with which the energies are read in each poll; fewer are left to all else
POLL: Final = 2  # reads of a poll: of fewer seconds each interval has not enough for them


class PollPlan:
    """The plan for one meter. ``spare`` is how many reads may be made at once, None where that is no matter."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._energies: Mapping[str, Number | None] = {}  # as accepted last
        self._accepted_at = float("-inf")

    def leaves_out(self, spare: int | None) -> bool:
        """Whether to let a beat pass: polls in each would leave no read for the energies and for all else."""
        return spare is not None and self._interval < POLL and spare < POLL

    def wants_energies(self, spare: int | None, now: float) -> bool:
        """Whether the poll that begins now reads them."""
        due = now + self._interval / 2 >= self._accepted_at + ENERGIES_EVERY
        return spare is None or spare >= ENOUGH or due

    def completed(self, reading: Reading, energies: Collection[str], now: float) -> Reading:
        """Take an accepted reading, and give it with the energies of the last time if it is without; their names."""
        if "BT23" in reading.tables:
            self._energies = {key: reading.values[key] for key in energies}
            self._accepted_at = now
            return reading
        return replace(reading, values={**reading.values, **self._energies})

    def forget(self) -> None:
        """Begin again, with another meter, or with one whose energies have another meaning."""
        self._energies, self._accepted_at = {}, float("-inf")
