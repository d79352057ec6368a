"""What each poll reads where the port asks for an average: of the MEP port its guide wants one read a second.

A poll is two reads, the energies (BT23) and the present values (BT28). Where that is too often, the present values are
read with each poll, and the energies as often as there are reads to spare; in between a reading has those of the last
time, as long as they are no older than ten seconds. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from nesgw.values import Number, Reading

OLDEST: Final = 10.0  # seconds between asking for the energies and publishing them
MARGIN: Final = 1.0  # seconds of these for the poll, which may have to wait for the average
ENOUGH: Final = 20  # reads to spare, with which the energies are read in each poll; fewer are left to all else
POLL: Final = 2  # reads of a poll: of fewer seconds each interval has not enough for them


class PollPlan:
    """The plan for one meter. ``spare`` is how many reads may be made at once, None where that is no matter."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._energies: Mapping[str, Number | None] = {}  # as accepted last
        self._asked_at = float("-inf")  # for these
        self._asking = float("-inf")  # for those that are not accepted yet

    def leaves_out(self, spare: int | None) -> bool:
        """Whether to let a beat pass: polls in each would leave no read for the energies and for all else."""
        return spare is not None and self._interval < POLL and spare < POLL

    def wants_energies(self, spare: int | None, now: float) -> bool:
        """Whether the poll that begins now reads them."""
        due = now + self._interval + MARGIN > self._asked_at + OLDEST  # in the next poll it would be too late
        wanted = spare is None or spare >= ENOUGH or due
        if wanted:
            self._asking = now
        return wanted

    def completed(self, reading: Reading, energies: Collection[str], now: float) -> Reading:
        """Take an accepted reading, and give it with the energies of the last time if it is without; their names."""
        if "BT23" in reading.tables:
            self._energies = {key: reading.values[key] for key in energies}
            self._asked_at = self._asking
        elif now - self._asked_at <= OLDEST:
            return replace(reading, values={**reading.values, **self._energies})
        return reading

    def forget(self) -> None:
        """Begin again, with another meter, or with one whose energies have another meaning."""
        self._energies, self._asked_at = {}, float("-inf")
