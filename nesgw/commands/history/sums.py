"""What was used in each hour, day or month of local time: the steps of the registers, added up. Pure.

A step from one known register to the next counts also across intervals that are missing. One that crosses from one
day into the next that way is nobody's: both days say that they are not whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from nesgw.meter.queries.load_profile import KeptProfile
from nesgw.tables.load_profile import ESTIMATED, Interval
from nesgw.values import Number

Span = Literal["hour", "day", "month"]


@dataclass(slots=True)
class Sum:
    """One span of local time. ``raw`` is what each channel counted, in the meter's steps; None if it does not count."""

    begin: datetime  # local, with its offset
    raw: list[int | None]
    incomplete: set[int] = field(default_factory=set)  # channels of which something is missing
    until: datetime | None = None  # the end of the last interval in it
    intervals: int = 0

    def values(self, kept: KeptProfile) -> tuple[Number | None, ...]:
        """In the channels' units."""
        pairs = zip(kept.channels, self.raw, strict=True)
        return tuple(None if raw is None else channel.value(raw) for channel, raw in pairs)


class Sums:
    """Takes intervals, oldest first, and gives each span when it is over; ``rest`` is the last one.

    Intervals that ended by ``since`` only say where the registers stood. Without a ``span`` all is one.
    """

    def __init__(self, kept: KeptProfile, span: Span | None, since: datetime) -> None:
        self._duration = kept.profile.duration
        self._counting = [place for place, channel in enumerate(kept.channels) if channel.counts]
        self._channels = len(kept.channels)
        self._span: Span | None = span
        self._since = since
        self._sum: Sum | None = None
        self._start = since  # of the present span, as far as it is asked for
        self._known: dict[int, tuple[datetime, int]] = {}  # what each register was last, and when

    def add(self, intervals: Sequence[Interval]) -> Iterator[Sum]:
        """Add intervals, and yield the spans that are over."""
        for interval in intervals:
            if interval.end > self._since:
                yield from self._turn(interval)
                self._count(interval)
            for place in self._counting:
                if (raw := _register(interval, place)) is not None:
                    self._known[place] = interval.end, raw

    def rest(self) -> Sum | None:
        """Return the span that is not over, as far as it goes."""
        if self._sum and self._sum.until:
            self._judge(self._sum, self._sum.until)
        return self._sum

    def _turn(self, interval: Interval) -> Iterator[Sum]:
        """Begin another span, if the interval is in one."""
        start = interval.end - self._duration
        begin = begin_of(start, self._span) if self._span else start
        if self._sum is None:
            self._start = max(begin, start)
        elif self._span is None or begin == self._sum.begin:
            return
        else:
            self._judge(self._sum, begin_of(self._sum.begin + _LONGER[self._span], self._span))
            yield self._sum
            self._start = begin
        counts = [0 if place in self._counting else None for place in range(self._channels)]
        self._sum = Sum(begin, list(counts))

    def _count(self, interval: Interval) -> None:
        assert self._sum is not None  # noqa: S101 (begun just before)
        self._sum.until = interval.end
        self._sum.intervals += 1
        for place in self._counting:
            raw = _register(interval, place)
            if raw is None:
                continue
            time, before = self._known.get(place, (None, 0))
            if time is None or time < self._start or raw < before:
                self._sum.incomplete.add(place)
            else:
                self._sum.raw[place] = (self._sum.raw[place] or 0) + raw - before

    def _judge(self, span: Sum, end: datetime) -> None:
        """Mark the registers of which the end of the span is not known."""
        span.incomplete |= {place for place in self._counting if self._known.get(place, (None,))[0] != end}


# From the beginning of a span this leads into the next one, whatever its length.
_LONGER = {"hour": timedelta(hours=1), "day": timedelta(hours=36), "month": timedelta(days=40)}


def _register(interval: Interval, place: int) -> int | None:
    return None if ESTIMATED in interval.flags else interval.raw[place]


def begin_of(moment: datetime, span: Span) -> datetime:
    """Return when the hour, day or month of a moment begins by this machine's local time."""
    local = moment.astimezone()
    if span == "hour":
        return local - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    first = local.replace(day=1) if span == "month" else local
    # Without its offset, which may have been another one then; the first of two midnights.
    return first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None).astimezone()
