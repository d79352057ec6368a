"""What to write into Home Assistant's hourly statistics so that they say what the meter says. Pure.

Home Assistant keeps a row an hour: ``state``, the register at its end, and ``sum``, a running total whose steps are the
bars of the energy dashboard. As long as it does not lose its thread, sum − state is one constant. So a row for an hour
that it missed follows from the register at that hour's end and from the constant of the rows before.

The newest row must be right, and only hours before it are written: it proves that Home Assistant has compiled them. A
row for an hour that it has still to compile would cost that hour of every sensor in the house.
Source: measured on Home Assistant 2026.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

HOUR: Final = timedelta(hours=1)
ROUNDING: Final = 1e-6  # of sums and states, which are floating point numbers


@dataclass(frozen=True, slots=True)
class HourRow:
    """One row of Home Assistant's long-term statistics, in kWh or kvarh."""

    start: datetime  # UTC, a full hour
    state: float  # the register at the hour's end
    sum: float

    @property
    def offset(self) -> float:
        """Sum less state: one constant as long as Home Assistant keeps its thread."""
        return self.sum - self.state


@dataclass(frozen=True, slots=True)
class MeterHistory:
    """What the meter's load profile says of one register, in kWh or kvarh.

    ``late`` is what was used in the last minute or two of an hour: a row is a poll late, never early. ``burst`` is the
    same for a load that was on in that time alone. ``early`` is by how much the register may have been higher because
    the meter's clock is not ours. All by the start of the hour (UTC), in the register's unit.
    """

    at_end: Mapping[datetime, float]  # the register at the end of the hour
    late: Mapping[datetime, float]
    step: float  # one step of the register
    burst: Mapping[datetime, float] = field(default_factory=dict)
    early: Mapping[datetime, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shift:
    """All rows from ``start`` on get ``amount`` added to their sum: there Home Assistant had lost its thread."""

    start: datetime
    amount: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the dashboard, before and after."""

    start: datetime
    before: float | None  # None: no bar at all
    after: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, shifts first. Empty if nothing is wrong."""

    shifts: tuple[Shift, ...] = ()
    rows: tuple[HourRow, ...] = ()
    bars: tuple[Bar, ...] = ()  # of the hours that change, and of the one behind them
    unknown: tuple[datetime, ...] = ()  # hours that are missing and that the meter does not know either
    compared: tuple[datetime, ...] = ()  # hours that Home Assistant has and that the meter knows
    begins: datetime | None = None  # the first hour that Home Assistant has, where others are put in front of it
    older: int = 0  # hours of the hole from before the meter's memory: the first row has what was used in them

    def __bool__(self) -> bool:
        return bool(self.shifts or self.rows)


class NotNow(Exception):
    """Nothing can be said before Home Assistant has compiled another hour."""


class Disagreement(Exception):
    """The two histories do not fit together: nothing may be written."""


class NotFarEnough(Disagreement):
    """What was read of the two does not reach back to before the hole."""


def plan(rows: Sequence[HourRow], history: MeterHistory, *, may_begin_within: bool = False) -> Plan:
    """Compare Home Assistant's rows (ascending, from before the suspected hole to the newest) with the meter's history.

    ``may_begin_within`` a hole the meter's memory: then the first hour that it knows gets what was used before, too.
    Raises NotNow and Disagreement, each with the reason as a part of a sentence.
    """
    if not rows:
        raise NotNow("Home Assistant has not compiled any hour of it")
    if not history.at_end:
        return Plan()
    newest = rows[-1]
    if not is_good(newest, history):
        _refuse_too_high([newest], history)
        raise NotNow("Home Assistant has not yet compiled a whole hour of readings since the outage")
    by_start = {row.start: row for row in rows}
    hours = list(_hours(max(rows[0].start, min(history.at_end)), newest.start))
    missing = [hour for hour in hours if hour not in by_start]
    wrong = _wrong(hours, by_start, history)
    compared = tuple(hour for hour in hours if hour in by_start and hour in history.at_end)
    if not wrong and not missing:
        return Plan(compared=compared)
    anchor = _anchor(wrong or missing, by_start, history, may_begin_within=may_begin_within)
    _refuse_too_high([by_start[hour] for hour in wrong if hour in by_start], history)
    shifts = tuple(_shifts([row for row in rows if row.start >= anchor.start], history))
    written = tuple(
        HourRow(hour, history.at_end[hour], round(history.at_end[hour] + anchor.offset, 6)) for hour in wrong
    )
    unknown = tuple(hour for hour in missing if hour not in history.at_end)
    bars = tuple(_bars(rows, anchor, shifts, written))
    older = max((wrong or missing)[0] - anchor.start - HOUR, timedelta(0)) // HOUR
    return Plan(shifts, written, bars, unknown, compared, older=older)


def plan_with_past(rows: Sequence[HourRow], history: MeterHistory) -> Plan:
    """As ``plan``, and put what the meter remembers before Home Assistant's very first row in front of that.

    The first hour of all shows its sum as its bar. So the sums begin at the register's state one known hour before, and
    those of all rows are changed alike, which changes no other bar. Broken off between, the next run finds them so.
    """
    first = rows[0] if rows else None
    past = sorted(hour for hour in history.at_end if first and hour < first.start)
    if first is None or len(past) < 2:
        return plan(rows, history)
    if not (is_good(first, history) or _is_cut_short(first, history)):
        raise Disagreement(f"Home Assistant's first row, {first.start:%Y-%m-%d %H:%M} UTC, is not what the meter says")
    begin = history.at_end[past[0]]
    change = round(-begin - first.offset, 6)
    behind = plan([replace(row, sum=row.sum + change) for row in rows], history)
    written = tuple(HourRow(hour, history.at_end[hour], round(history.at_end[hour] - begin, 6)) for hour in past[1:])
    in_front = tuple(
        Bar(after.start, None, round(after.state - before, 6))
        for before, after in zip((begin, *(row.state for row in written)), written, strict=False)
    )
    state = next((row.state for row in behind.rows if row.start == first.start), first.state)
    following = Bar(first.start, round(first.sum, 6), round(state - written[-1].state, 6))
    shift = (Shift(first.start, change),) if abs(change) > ROUNDING else ()
    return replace(
        behind,
        shifts=shift + behind.shifts,
        rows=written + behind.rows,
        bars=(*in_front, following, *behind.bars),
        unknown=(
            *(hour for hour in _hours(past[0], first.start - HOUR) if hour not in history.at_end),
            *behind.unknown,
        ),
        begins=first.start,
    )


def differing(rows: Sequence[HourRow], anchor: datetime, until: datetime, history: MeterHistory) -> list[datetime]:
    """After writing: the hours behind ``anchor`` whose bar is not what the meter counted, within two steps."""
    found = []
    for before, row in pairwise(rows):
        if not anchor < row.start <= until or before.start + HOUR != row.start:
            continue
        told = [history.at_end.get(hour) for hour in (before.start, row.start)]
        if None in told:
            continue
        counted = (told[1] or 0.0) - (told[0] or 0.0)
        allowed = 2 * history.step + _inexact(before, history) + _inexact(row, history)
        if abs(row.sum - before.sum - counted) > allowed + ROUNDING:
            found.append(row.start)
    return found


def _inexact(row: HourRow, history: MeterHistory) -> float:
    """What a row of Home Assistant's own may be off by; nothing for one that we wrote."""
    if abs(history.at_end[row.start] - row.state) <= history.step + ROUNDING:
        return 0.0
    return _latest(row.start, history) + history.early.get(row.start, 0.0)


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    hour = first
    while hour <= last:
        yield hour
        hour += HOUR


def _wrong(hours: Sequence[datetime], by_start: Mapping[datetime, HourRow], history: MeterHistory) -> list[datetime]:
    """The hours to be written. One that is short by no more than a burst and has sound neighbours is no hole."""
    unsound = {
        hour
        for hour in hours
        if hour not in by_start or (hour in history.at_end and not _is_exact(by_start[hour], history))
    }

    def is_whole(hour: datetime) -> bool:
        alone = not {hour - HOUR, hour + HOUR} & unsound
        return alone and hour in by_start and is_good(by_start[hour], history)

    return [hour for hour in hours if hour in unsound and hour in history.at_end and not is_whole(hour)]


def _is_exact(row: HourRow, history: MeterHistory) -> bool:
    """Whether a row says what the meter says, or was a poll late at an even pace."""
    return _fits(row, history, history.late.get(row.start, 0.0))


def is_good(row: HourRow, history: MeterHistory) -> bool:
    """Whether a row says what the meter says, or was a poll late, also with a burst in that time."""
    return _fits(row, history, _latest(row.start, history))


def _latest(hour: datetime, history: MeterHistory) -> float:
    return max(history.late.get(hour, 0.0), history.burst.get(hour, 0.0))


def _fits(row: HourRow, history: MeterHistory, late: float) -> bool:
    told = history.at_end.get(row.start)
    if told is None:
        return False
    early = history.early.get(row.start, 0.0)
    return -history.step - early - ROUNDING < told - row.state < late + 2 * history.step + ROUNDING


def _anchor(
    gap: Sequence[datetime], by_start: Mapping[datetime, HourRow], history: MeterHistory, *, may_begin_within: bool
) -> HourRow:
    """The row right before the first wrong hour: it says that profile, unit and clock fit.

    Where Home Assistant's rows begin with the wrong hour, its own row says it as well, if that was only cut short.
    """
    first = by_start.get(gap[0])
    if first and gap[0] == min(by_start) and _is_cut_short(first, history):
        return first
    before = [row for hour, row in by_start.items() if hour < gap[0]]
    if may_begin_within and before and gap[0] == min(history.at_end):
        _refuse_above(before[-1], history.at_end[gap[0]], history.step)
        return before[-1]
    anchor = by_start.get(gap[0] - HOUR)
    if anchor is None or anchor.start < min(history.at_end):
        raise NotFarEnough(
            f"neither the meter's memory nor Home Assistant's rows reach back to before {gap[0]:%Y-%m-%d %H:%M} UTC"
        )
    if not is_good(anchor, history):
        raise Disagreement(
            f"Home Assistant's and the meter's history do not agree at {anchor.start:%Y-%m-%d %H:%M} UTC"
        )
    return anchor


def _is_cut_short(row: HourRow, history: MeterHistory) -> bool:
    """Whether the register stood so at some time within the hour."""
    begin, end = history.at_end.get(row.start - HOUR), history.at_end.get(row.start)
    inexact = history.step + ROUNDING
    return begin is not None and end is not None and begin - inexact <= row.state <= end + inexact


def _refuse_too_high(rows: Sequence[HourRow], history: MeterHistory) -> None:
    """A row above what the meter says is another meter's, or in another unit: no state is ever lowered."""
    for row in rows:
        if row.start in history.at_end:
            _refuse_above(row, history.at_end[row.start], history.step + history.early.get(row.start, 0.0))


def _refuse_above(row: HourRow, told: float, inexact: float) -> None:
    if row.state > told + inexact + ROUNDING:
        raise Disagreement(
            f"Home Assistant has {row.state:.3f} for {row.start:%Y-%m-%d %H:%M} UTC, more than the meter's "
            f"{told:.3f}: is it another meter's?"
        )


def _shifts(rows: Sequence[HourRow], history: MeterHistory) -> Iterator[Shift]:
    """Where the constant changes right behind a hole; elsewhere somebody meant it."""
    for before, row in pairwise(rows):
        change = before.offset - row.offset
        if abs(change) <= max(history.step / 2, ROUNDING):
            continue
        if row.start - before.start == HOUR and is_good(before, history):
            raise Disagreement(
                f"the sum was corrected at {row.start:%Y-%m-%d %H:%M} UTC, or the meter was exchanged: begin behind it"
            )
        yield Shift(row.start, round(change, 6))


def _bars(
    rows: Sequence[HourRow], anchor: HourRow, shifts: Sequence[Shift], written: Sequence[HourRow]
) -> Iterator[Bar]:
    """The hours whose bar changes, old and new."""
    old = {row.start: row.sum - before.sum for before, row in pairwise(rows)}
    shifted = {
        row.start: HourRow(row.start, row.state, row.sum + sum(s.amount for s in shifts if s.start <= row.start))
        for row in rows
        if row.start >= anchor.start
    }
    new = sorted({**shifted, **{row.start: row for row in written}}.values(), key=lambda row: row.start)
    for before, row in pairwise(new):
        change = row.sum - before.sum
        if row.start not in old or abs(old[row.start] - change) > ROUNDING:
            yield Bar(row.start, old.get(row.start), round(change, 6))
