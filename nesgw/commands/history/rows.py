"""Intervals of the meter's load profile with what was counted in each; and which set of channels they are of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nesgw.errors import NoLoadProfile, WrongUsage
from nesgw.meter.profile import Facts
from nesgw.meter.queries.load_profile import KeptProfile, kept_profile, primary_set, profile_sets
from nesgw.tables.load_profile import Interval, consumption
from nesgw.tables.query import Query
from nesgw.values import Number


def kept_set(facts: Facts, wanted: int | None) -> Query[KeptProfile]:
    """Find the set with that number, counted from 1; None: the one that the meter calls its primary one.

    Raises NoLoadProfile, and WrongUsage for a number that is not there.
    """
    sets = yield from profile_sets(facts)
    if not sets:
        raise NoLoadProfile
    chosen = (yield from primary_set(facts, sets)) if wanted is None else wanted
    if chosen not in sets:
        there = ", ".join(str(each) for each in sets)
        raise WrongUsage(command="history", problem=f"the meter has no set {chosen} of channels; it has {there}")
    return (yield from kept_profile(facts, sets[chosen]))


@dataclass(frozen=True, slots=True)
class Row:
    """An interval with what its counting registers counted in it."""

    interval: Interval
    used: tuple[Number | None, ...]


def rows(intervals: Sequence[Interval], kept: KeptProfile, first: int = 0) -> Iterator[Row]:
    """Compare each interval from the ``first`` on to the one before it."""
    for place in range(first, len(intervals)):
        used: tuple[Number | None, ...] = (None,) * len(kept.channels)
        if place:
            used = consumption(intervals[place - 1], intervals[place], kept.channels, kept.profile.duration)
        yield Row(intervals[place], used)


def status(row: Row, kept: KeptProfile) -> Iterator[str]:
    """Yield what the meter says of an interval: of all of it, then of single channels."""
    yield from row.interval.flags
    said = zip(kept.channels, row.interval.statuses, strict=True)
    yield from (f"{channel.key}:{word}" for channel, word in said if word)
