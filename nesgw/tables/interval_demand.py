"""Demand: the power averaged over each interval of the load profile, and the highest of a month. Pure arithmetic.

Nothing is invented: an interval that is missing, or of which the meter says that its time or its value is doubtful,
has no demand, and a month says how many of its intervals are not known. Intervals are named by their start. Months are
those of the meter's local time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

from nesgw.tables.demands import Demand as MaximumDemand
from nesgw.tables.load_profile import ESTIMATED, Channel, Interval, consumption

Direction = Literal["import", "export"]
REGISTERS: Final[dict[Direction, str]] = {"import": "energy_import", "export": "energy_export"}

WORST_CLOCK: Final = 60.0  # seconds: with a clock that is further off the intervals are others than the calendar's
RECENT: Final = 60.0  # seconds over which the register's steps tell the present power, at the least

# What makes the length of an interval doubtful, and with it the average over it.
_DOUBTFUL: Final = frozenset({ESTIMATED, "clock_forward", "clock_back"})


@dataclass(frozen=True, slots=True)
class Powers:
    """W, averaged over an interval; None where it is not known, or the meter does not keep it."""

    imported: float | None = None
    exported: float | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest of a month so far."""

    power: float  # W
    start: datetime  # UTC


@dataclass(frozen=True, slots=True)
class Month:
    """A month of local time; both ends in UTC."""

    begin: datetime
    end: datetime
    known: int = 0  # intervals that are in the peaks
    expected: int = 0  # intervals that are over
    imported: Peak | None = None
    exported: Peak | None = None

    @property
    def missing(self) -> int:
        """How many intervals nobody knows, or are doubtful."""
        return max(0, self.expected - self.known)

    def contains(self, start: datetime) -> bool:
        """Whether an interval is one of the month's."""
        return self.begin <= start < self.end

    def with_interval(self, start: datetime, powers: Powers, *, is_whole: bool) -> Month:
        """Count an interval; one of which a direction is not known is missing all the same."""
        return replace(
            self,
            known=self.known + is_whole,
            imported=_higher(self.imported, powers.imported, start),
            exported=_higher(self.exported, powers.exported, start),
        )


@dataclass(frozen=True, slots=True)
class Running:
    """The interval that is not over: the average so far, and of the whole if it goes on as in the last minute."""

    start: datetime
    elapsed: float  # seconds
    so_far: Powers
    expected: Powers


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of one meter's demand."""

    duration: timedelta
    directions: tuple[Direction, ...]  # of which the load profile has the register
    start: datetime | None = None  # of the last complete interval
    powers: Powers = Powers()
    month: Month | None = None
    last_month: Month | None = None
    maxima: tuple[MaximumDemand, ...] = ()  # those that the meter itself keeps
    drift: float | None = None  # seconds by which the meter's clock is ahead of ours
    zone_is_certain: bool = True
    is_filling: bool = False  # the months are still being read
    registers: Powers = Powers()  # Wh, at the end of the last complete interval

    @property
    def quality(self) -> tuple[str, ...]:
        """Words for what the figures lack; none if nothing."""
        wrong = self.drift is None or abs(self.drift) > WORST_CLOCK
        words = {
            "filling": self.is_filling,
            "interval_unknown": self.powers == Powers(),
            "month_incomplete": bool(self.month and self.month.missing) and not self.is_filling,
            "last_month_incomplete": bool(self.last_month and self.last_month.missing) and not self.is_filling,
            "clock_wrong": wrong,
            "zone_uncertain": not self.zone_is_certain,
        }
        return tuple(word for word, holds in words.items() if holds)


@dataclass(slots=True)
class Book:
    """The months of one meter, in which intervals are counted in any order, each once."""

    duration: timedelta
    zone: tzinfo
    directions: tuple[Direction, ...]
    months: list[Month] = field(default_factory=list)  # the last one, and the running one

    def turn_to(self, now: datetime) -> None:
        """Begin the month of ``now``, if it is another; what is known of the one before stays."""
        month = month_of(now, self.zone)
        last = month_of(month.begin - timedelta(days=1), self.zone)
        kept = {(each.begin, each.end): each for each in self.months}
        self.months = [kept.get((each.begin, each.end), each) for each in (last, month)]

    def count(self, start: datetime, powers: Powers) -> None:
        """Count an interval in its month."""
        of = {"import": powers.imported, "export": powers.exported}
        is_whole = all(of[direction] is not None for direction in self.directions)
        self.months = [
            each.with_interval(start, powers, is_whole=is_whole) if each.contains(start) else each
            for each in self.months
        ]

    def until(self, end: datetime) -> list[Month]:
        """Return the months as they are with all intervals over that ended by then."""
        return [
            replace(each, expected=max(0, (min(each.end, end) - each.begin) // self.duration)) for each in self.months
        ]


def month_of(moment: datetime, zone: tzinfo) -> Month:
    """Return the month of a moment, empty."""
    local = moment.astimezone(zone)
    begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = (begin + timedelta(days=32)).replace(day=1)
    return Month(begin.astimezone(UTC), following.astimezone(UTC))


def directions_of(channels: Sequence[Channel]) -> tuple[Direction, ...]:
    """Say of which directions a load profile has the register."""
    keys = {channel.key for channel in channels if channel.counts}
    return tuple(direction for direction, key in REGISTERS.items() if key in keys)


def powers_of(before: Interval, interval: Interval, channels: Sequence[Channel], duration: timedelta) -> Powers | None:
    """Average what was used in an interval over it; None if that is doubtful or nothing of it is known."""
    if _DOUBTFUL & {*before.flags, *interval.flags}:
        return None
    used = dict(
        zip((channel.key for channel in channels), consumption(before, interval, channels, duration), strict=True)
    )
    codes = dict(
        zip((channel.key for channel in channels), zip(before.codes, interval.codes, strict=True), strict=True)
    )
    values = [
        _power(used[key], duration) if key in used and codes[key] == (0, 0) else None for key in REGISTERS.values()
    ]
    return None if values == [None, None] else Powers(*values)


def registers_of(interval: Interval, channels: Sequence[Channel]) -> Powers:
    """Return the registers at the end of an interval in Wh."""
    values = dict(zip((channel.key for channel in channels), interval.values(channels), strict=True))
    sound = {channel.key for channel, code in zip(channels, interval.codes, strict=True) if code == 0}
    found = [values[key] if key in sound else None for key in REGISTERS.values()]
    return Powers(*(None if value is None else 1000 * value for value in found))


def _power(used: float | None, duration: timedelta) -> float | None:
    """W from kWh."""
    return None if used is None else round(used * 1000 * 3600 / duration.total_seconds(), 1)


def _higher(peak: Peak | None, power: float | None, start: datetime) -> Peak | None:
    """The higher one; of two that are alike the earlier."""
    if power is None:
        return peak
    if peak is None or power > peak.power or (power == peak.power and start < peak.start):
        return Peak(power, start)
    return peak


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """The registers at a poll: kWh, as they are published."""

    time: datetime  # by our clock
    imported: float | None
    exported: float | None


class RecentReadings:
    """The readings of the last minute or two."""

    def __init__(self) -> None:
        self._readings: list[RegisterReading] = []

    def add(self, reading: RegisterReading) -> None:
        """Keep one, and of the older ones as many as reach back a minute."""
        self._readings.append(reading)
        enough = [each for each in self._readings if (reading.time - each.time).total_seconds() >= RECENT]
        if enough:
            self._readings = self._readings[self._readings.index(enough[-1]) :]

    def clear(self) -> None:
        """Forget them: of another meter."""
        self._readings.clear()

    def running(self, demand: Demand) -> Running | None:
        """Say how the running interval stands; None where nobody knows what the registers were at its start."""
        if not self._readings or demand.start is None or demand.drift is None:
            return None
        first, last = self._readings[0], self._readings[-1]
        start = demand.start + demand.duration
        elapsed = (last.time - start).total_seconds() + demand.drift
        if not 0 < elapsed <= demand.duration.total_seconds():
            return None
        span = (last.time - first.time).total_seconds()
        pairs = [
            _running(begin, earlier, later, span, elapsed, demand.duration.total_seconds())
            for begin, earlier, later in (
                (demand.registers.imported, first.imported, last.imported),
                (demand.registers.exported, first.exported, last.exported),
            )
        ]
        (so_far_in, expected_in), (so_far_out, expected_out) = pairs
        return Running(start, elapsed, Powers(so_far_in, so_far_out), Powers(expected_in, expected_out))


def _running(
    begin: float | None, earlier: float | None, later: float | None, span: float, elapsed: float, length: float
) -> tuple[float | None, float | None]:
    """Average so far, and expected, in W: from Wh at the interval's start and two readings in kWh."""
    if begin is None or later is None or (used := round(1000 * later - begin, 3)) < 0:
        return None, None
    so_far = used * 3600 / elapsed
    recent = so_far if earlier is None or span <= 0 else max(0.0, later - earlier) * 3_600_000 / span
    expected = (used + recent * (length - elapsed) / 3600) * 3600 / length
    return round(so_far, 1), round(expected, 1)
