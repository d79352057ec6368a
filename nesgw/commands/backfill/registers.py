"""The load profile of one register as hours that can be compared with Home Assistant's. Pure.

A row of Home Assistant says what the register was at the end of an hour, or a poll earlier. Only intervals that end at
full hours say that; the one before tells how much a poll can have missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nesgw.commands.backfill.plan import HOUR, MeterHistory
from nesgw.tables.load_profile import ESTIMATED, Channel, Interval

LEAST_LATE: Final = 60.0  # seconds: between the last reading and Home Assistant's look at it
BURST: Final = 4600.0  # W of a household that may have flowed in two polls and in no other part of the interval
EXACT_CLOCK: Final = 1.0  # seconds: the drift is not measured better than that
COARSE: Final = (100, 10)  # steps of registers, where they are not 1
DISTINCT: Final = 8  # so many different values of one step are no accident

# An interval is as long as it should be, and ended when it says.
DOUBTFUL: Final = frozenset({ESTIMATED, "clock_forward", "clock_back"})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of the meter beside its load profile."""

    duration: timedelta  # of an interval
    poll: float  # seconds between two readings
    drift: float = 0.0  # seconds by which the meter's clock is ahead
    most_power: float = 44_000.0  # W that can flow
    ratio: float = 1.0  # of the meter's transformers: so many times a household's power

    @property
    def late(self) -> float:
        """Seconds of the last interval that a row of Home Assistant may have missed."""
        return min(max(LEAST_LATE, 2 * self.poll), self.duration.total_seconds())


def fills_hours(duration: timedelta) -> bool:
    """Whether intervals of that length end at full hours."""
    return not HOUR % duration


def meter_history(intervals: Sequence[Interval], place: int, channel: Channel, known: Circumstances) -> MeterHistory:
    """Say what a register was at the end of each hour; in kWh or kvarh. ``place`` is the channel's in the intervals.

    Left out are hours at whose end nobody knows the time or the register, and such of which the last interval is not
    there or the register fell in it.
    """
    at = {each.end: raw for each in intervals if (raw := _sound(each, place)) is not None}
    ends = [end for end in sorted(at) if not (end - datetime.min.replace(tzinfo=end.tzinfo)) % HOUR]
    scale = channel.value(1)
    hours: dict[datetime, _HourEnd] = {}
    for end in ends:
        used = _used(at, end, known.duration)
        if used is not None:
            following = _used(at, end + known.duration, known.duration)
            hours[end - HOUR] = _hour_end(at[end], used, following, known, scale)
    return MeterHistory(
        at_end={hour: each.register * scale for hour, each in hours.items()},
        late={hour: each.late * scale for hour, each in hours.items()},
        step=_step(at.values()) * scale,
        burst={hour: each.burst * scale for hour, each in hours.items()},
        early={hour: each.early * scale for hour, each in hours.items() if each.early},
    )


@dataclass(frozen=True, slots=True)
class _HourEnd:
    """In the register's own steps."""

    register: int
    late: float
    burst: float
    early: float


def _hour_end(raw: int, used: int, following: int | None, known: Circumstances, scale: float) -> _HourEnd:
    seconds = known.duration.total_seconds()
    drift = 0.0 if abs(known.drift) <= EXACT_CLOCK else known.drift
    # A clock that is ahead ends its intervals early: the rest of the hour is in the next one.
    beside = used if drift < 0 or following is None else following
    between = beside * drift / seconds
    return _HourEnd(
        register=raw + math.floor(between),
        late=used * known.late / seconds,
        burst=min(used, _flows(BURST * known.ratio, 2 * known.poll) / scale),
        early=min(beside, _flows(known.most_power, abs(drift)) / scale),
    )


def _flows(watts: float, seconds: float) -> float:
    """The kWh of a power in a time."""
    return watts * seconds / 3_600_000


def _sound(interval: Interval, place: int) -> int | None:
    if DOUBTFUL & set(interval.flags) or interval.codes[place]:
        return None
    return interval.raw[place]


def _used(at: Mapping[datetime, int], end: datetime, duration: timedelta) -> int | None:
    before, after = at.get(end - duration), at.get(end)
    return None if before is None or after is None or not 0 <= before <= after else after - before


def _step(values: Iterable[int]) -> int:
    """How coarse a register is: some count in steps of ten or a hundred."""
    distinct = set(values)
    coarse = (step for step in COARSE if not any(value % step for value in distinct))
    return next(coarse, 1) if len(distinct) >= DISTINCT else 1
