"""Demand out of the load profile: the last complete interval soon after it is over, and two months, read once.

What was read is kept in memory alone: after a start the months are read again, and after an outage what came meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Final

from nesgw.errors import NoLoadProfile
from nesgw.meter.profile import Facts
from nesgw.meter.queries.demands import maximum_demands
from nesgw.meter.queries.load_profile import KeptProfile, kept_profile, primary_set, profile_sets
from nesgw.tables.clock import BT52, BT55, decode_clock, decode_local_clock
from nesgw.tables.interval_demand import Book, Demand, Powers, directions_of, month_of, powers_of, registers_of
from nesgw.tables.load_profile import Interval, ProfileReading
from nesgw.tables.query import Query

LONGEST: Final = timedelta(hours=1)  # an interval that is longer says nothing of a peak
LATEST: Final = 60.0  # seconds after which an interval that is not there is looked for rarely
CLOCK_SET: Final = 30.0  # seconds by which the drift changes between two looks if the clock was set


@dataclass(frozen=True, slots=True)
class MeterTime:
    """The meter's clock beside ours, and its local time."""

    now: datetime  # the meter's, UTC
    drift: float | None  # seconds ahead of ours; None if it keeps no time
    zone: tzinfo
    zone_is_certain: bool


class DemandLook:
    """One meter's demand. ``facts`` may be replaced by newer ones of the same meter.

    ``machine`` is this machine's time zone; ``now`` gives its time, aware.
    """

    def __init__(self, facts: Facts, machine: tzinfo | None, now: Callable[[], datetime]) -> None:
        self.facts = facts
        self._machine = machine
        self._now: Callable[[], datetime] = lambda: now().astimezone(UTC)
        self._kept: KeptProfile | None = None
        self._book: Book | None = None
        self._last: Interval | None = None  # the newest interval that was read
        self._powers: Powers | None = None  # of that
        self._time: MeterTime | None = None
        self._first: Interval | None = None  # from which on intervals were counted as they came
        self._is_filled = False
        self._odd_zone: tzinfo | None = None

    @property
    def is_filled(self) -> bool:
        """Whether the months have been read, as far as the meter remembers them."""
        return self._is_filled

    def seconds_to_next(self) -> float:
        """Seconds until the running interval is over; negative since then, or where there is no interval yet."""
        if self._kept is None or self._last is None:
            return -LATEST
        drift = (self._time.drift if self._time else None) or 0.0
        due = self._last.end + self._kept.profile.duration
        return (due - self._now()).total_seconds() - drift

    def look(self) -> Query[Demand]:
        """Read what came since the last look. Raises NoLoadProfile where no demand follows from the profile."""
        kept = yield from _kept(self.facts)
        time = self._settled((yield from _time(self.facts, self._machine, self._now)))
        book = self._book
        if book is None or kept != self._kept or self._was_set(time):
            self._kept, self._last, self._powers, self._first, self._is_filled = kept, None, None, None, False
            book = self._book = Book(kept.profile.duration, time.zone, directions_of(kept.channels))
        self._time = time
        book.turn_to(time.now)
        since = self._last.end if self._last else time.now - 3 * kept.profile.duration
        intervals = yield from self._read(kept, since, time.now)
        self._take(kept, intervals)
        maxima = yield from maximum_demands(self.facts)
        end = self._last.end if self._last else time.now
        last_month, month = book.until(end)
        return Demand(
            duration=kept.profile.duration,
            directions=directions_of(kept.channels),
            start=end - kept.profile.duration if self._last else None,
            powers=self._powers or Powers(),
            month=month,
            last_month=last_month,
            maxima=maxima,
            drift=time.drift,
            zone_is_certain=time.zone_is_certain,
            is_filling=not self._is_filled,
            registers=registers_of(self._last, kept.channels) if self._last else Powers(),
        )

    def fill(self) -> Query[None]:
        """Read the months from the beginning of the last one up to the first interval that was looked at."""
        kept, book, first, time = self._kept, self._book, self._first, self._time
        if kept is None or book is None or first is None or time is None:
            return
        begin = month_of(book.months[0].begin, book.zone).begin
        reading = ProfileReading(
            kept.profile, self.facts.general.byteorder, begin - kept.profile.duration, first.end, now=time.now
        )
        counted = 1
        while reading.wanted is not None:
            reading.answer((yield reading.wanted))
            if self._book is not book:
                return  # the clock was set meanwhile: all begins again
            for before, interval in pairwise(reading.intervals[counted - 1 :]):
                _count(book, kept, before, interval)
            counted = max(1, len(reading.intervals))
        self._is_filled = True

    def _settled(self, time: MeterTime) -> MeterTime:
        """Believe in another zone at the second look: local time lags by a minute when summer time begins or ends."""
        before = self._time
        if before is None or time.zone == before.zone or time.zone == self._odd_zone:
            self._odd_zone = None
            return time
        self._odd_zone = time.zone
        return replace(time, zone=before.zone, zone_is_certain=before.zone_is_certain)

    def _was_set(self, time: MeterTime) -> bool:
        """Whether the meter's clock was set since the last look: the times before are other times."""
        before = self._time
        if before is None:
            return False
        if (before.drift is None) != (time.drift is None) or before.zone != time.zone:
            return True
        return abs((time.drift or 0.0) - (before.drift or 0.0)) > CLOCK_SET

    def _read(self, kept: KeptProfile, since: datetime, until: datetime) -> Query[list[Interval]]:
        reading = ProfileReading(kept.profile, self.facts.general.byteorder, since, until, now=until)
        while reading.wanted is not None:
            reading.answer((yield reading.wanted))
        return reading.intervals

    def _take(self, kept: KeptProfile, intervals: Iterable[Interval]) -> None:
        for interval in intervals:
            if self._last is not None and self._book is not None:
                self._powers = _count(self._book, kept, self._last, interval)
            self._first = self._first or interval
            self._last = interval


def _count(book: Book, kept: KeptProfile, before: Interval, interval: Interval) -> Powers | None:
    powers = powers_of(before, interval, kept.channels, kept.profile.duration)
    if powers is not None:
        book.count(interval.end - kept.profile.duration, powers)
    return powers


def _kept(facts: Facts) -> Query[KeptProfile]:
    """Find the first set with the register of imported energy, beginning with the primary one."""
    sets = yield from profile_sets(facts)
    if sets:
        primary = yield from primary_set(facts, sets)
        for number in sorted(sets, key=lambda number: (number != primary, number)):
            if sets[number].duration <= LONGEST:
                kept = yield from kept_profile(facts, sets[number])
                if "import" in directions_of(kept.channels):
                    return kept
    raise NoLoadProfile


def _time(facts: Facts, machine: tzinfo | None, now: Callable[[], datetime]) -> Query[MeterTime]:
    """Read the meter's clocks. Its zone is this machine's where they agree, else the offset that it has now."""
    data = yield BT52
    clock = decode_clock(data) if data is not None else None
    drift = clock.drift(now()) if clock else None
    local = (yield BT55) if clock and clock.time else None
    offset = decode_local_clock(local, facts.general.byteorder).offset(clock) if local and clock else None
    moment = now().astimezone(UTC) + timedelta(seconds=drift or 0.0)
    if offset is None:
        return MeterTime(moment, drift, machine or UTC, zone_is_certain=False)
    if machine is not None and moment.astimezone(machine).utcoffset() == offset:
        return MeterTime(moment, drift, machine, zone_is_certain=True)
    return MeterTime(moment, drift, timezone(offset), zone_is_certain=False)
