"""What each poll reads where the port asks for an average: of the MEP port its guide wants one read a second.

A poll is two reads, the energies (BT23) and the present values (BT28). Where that is too often, the present values are
read with each poll, and the energies as often as there are reads to spare, every ten seconds at least. In between a
reading is without: what was not read in this poll is not in it. Pure arithmetic.
"""

from __future__ import annotations

from typing import Final

from nesgw.values import Reading

APART: Final = 10.0  # seconds from one reading with energies to the next
MARGIN: Final = 1.0  # seconds of these for the poll, which may have to wait for the average
ENOUGH: Final = 20  # reads to spare, with which the energies are read in each poll; fewer are left to all else
POLL: Final = 2  # reads of a poll: of fewer seconds each interval has not enough for them


class PollPlan:
    """The plan for one meter. ``spare`` is how many reads may be made at once, None where that is no matter."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._asked_at = float("-inf")  # for the energies that were accepted last
        self._asking = float("-inf")  # for those that are not accepted yet

    def leaves_out(self, spare: int | None) -> bool:
        """Whether to let a beat pass: polls in each would leave no read for the energies and for all else."""
        return spare is not None and self._interval < POLL and spare < POLL

    def wants_energies(self, spare: int | None, now: float) -> bool:
        """Whether the poll that begins now reads them."""
        due = now + self._interval + MARGIN > self._asked_at + APART  # in the next poll it would be too late
        wanted = spare is None or spare >= ENOUGH or due
        if wanted:
            self._asking = now
        return wanted

    def accepted(self, reading: Reading) -> None:
        """Take note of a reading that was accepted."""
        if has_energies(reading):
            self._asked_at = self._asking

    def forget(self) -> None:
        """Begin again, with another meter, or with one whose energies have another meaning."""
        self._asked_at = float("-inf")


def has_energies(reading: Reading) -> bool:
    """Whether the poll that this is of has read them."""
    return "BT23" in reading.tables
