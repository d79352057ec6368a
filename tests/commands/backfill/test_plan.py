"""Which rows and shifts mend Home Assistant's statistics, by the cases that were measured on the real thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.commands.backfill.plan import (
    HOUR,
    Disagreement,
    HourRow,
    MeterHistory,
    NotNow,
    Plan,
    differing,
    plan,
    plan_with_past,
)

EVENING = datetime(2026, 11, 20, 18, tzinfo=UTC)
OFFSET = -1000.0  # Home Assistant began to sum when the meter stood at 1000 kWh


def hour(number: int) -> datetime:
    return EVENING + number * HOUR


def register(number: int) -> float:
    """The meter at the end of hour ``number``: 0.4 kWh in even hours, 0.9 in odd ones."""
    return round(1400 + 0.4 * (number // 2 + number % 2) + 0.9 * (number // 2), 3)


def history(hours: int = 30, *, first: int = 0, step: float = 0.001) -> MeterHistory:
    return MeterHistory(
        at_end={hour(number): register(number) for number in range(first, hours)},
        late={hour(number): 0.03 for number in range(first, hours)},
        step=step,
    )


def but_for(unknown: int) -> MeterHistory:
    """The meter's history without one hour."""
    known = history()
    return replace(known, at_end={start: value for start, value in known.at_end.items() if start != hour(unknown)})


def row(number: int, state: float | None = None, offset: float = OFFSET) -> HourRow:
    state = register(number) - 0.002 if state is None else state
    return HourRow(hour(number), state, state + offset)


def live(*numbers: int) -> list[HourRow]:
    return [row(number) for number in numbers]


def applied(rows: Sequence[HourRow], planned: Plan) -> list[HourRow]:
    """What Home Assistant has when all of it was carried out."""
    shifted = [replace(r, sum=r.sum + sum(s.amount for s in planned.shifts if s.start <= r.start)) for r in rows]
    merged: Mapping[datetime, HourRow] = {r.start: r for r in shifted} | {r.start: r for r in planned.rows}
    return sorted(merged.values(), key=lambda r: r.start)


def bars(rows: Sequence[HourRow]) -> list[float]:
    return [round(after.sum - before.sum, 3) for before, after in pairwise(rows)]


def truth(first: int, last: int) -> list[float]:
    return [round(register(number) - register(number - 1), 3) for number in range(first, last + 1)]


def test_where_nothing_is_missing_nothing_is_written() -> None:
    assert not plan(live(*range(8)), history())


def test_a_gateway_that_was_away_over_night() -> None:
    """Hour 4 was cut short at :25, 5 to 8 are missing, and 9 has the energy of them all in its bar."""
    rows = [*live(0, 1, 2, 3), row(4, register(4) - 0.3), *live(9, 10)]
    planned = plan(rows, history())
    assert [r.start for r in planned.rows] == [hour(n) for n in (4, 5, 6, 7, 8)]
    assert planned.shifts == ()
    after = applied(rows, planned)
    assert bars(after)[3:] == pytest.approx(truth(4, 10), abs=0.003)
    assert [bar.start for bar in planned.bars] == [hour(n) for n in (4, 5, 6, 7, 8, 9)]
    assert [bar.before for bar in planned.bars][1:5] == [None] * 4
    assert differing(after, hour(3), hour(10), history()) == []
    assert not plan(after, history()), "a second run writes nothing"


def test_home_assistant_that_was_off_as_well_has_rows_that_stand_still() -> None:
    cut = register(4) - 0.3
    rows = [*live(0, 1, 2, 3), *(row(n, cut) for n in (4, 5, 6, 7, 8)), *live(9, 10)]
    after = applied(rows, plan(rows, history()))
    assert bars(after)[3:] == pytest.approx(truth(4, 10), abs=0.003)


def test_an_outage_that_outlasts_its_short_memory_loses_the_thread() -> None:
    """The sum begins again at 0: a bar of minus a lifetime. One shift heals all that came after."""
    rows = [*live(0, 1, 2), *(row(n, offset=-register(9)) for n in (9, 10, 11))]
    planned = plan(rows, history())
    assert len(planned.shifts) == 1
    assert planned.shifts[0].start == hour(9)
    assert planned.shifts[0].amount == pytest.approx(register(9) + OFFSET)
    after = applied(rows, planned)
    assert bars(after)[2:] == pytest.approx(truth(3, 11), abs=0.003)
    assert min(bars(after)) > 0


def test_a_run_that_was_broken_off_between_shift_and_rows_is_finished_by_the_next() -> None:
    rows = [*live(0, 1, 2), *(row(n, offset=-register(9)) for n in (9, 10, 11))]
    only_shifted = applied(rows, replace(plan(rows, history()), rows=()))
    again = plan(only_shifted, history())
    assert again.shifts == ()
    assert bars(applied(only_shifted, again))[2:] == pytest.approx(truth(3, 11), abs=0.003)


class TestNothingIsWritten:
    def test_while_the_outage_lasts_or_no_whole_hour_was_compiled_since(self) -> None:
        with pytest.raises(NotNow):
            plan([*live(0, 1, 2), row(3, register(3) - 0.3)], history())

    def test_where_the_hour_before_the_hole_does_not_agree(self) -> None:
        with pytest.raises(Disagreement, match="do not agree at 2026-11-20 20:00"):
            plan([*live(0, 1), row(2, register(2) + 5), *live(6, 7)], but_for(2))

    def test_above_what_the_meter_says(self) -> None:
        with pytest.raises(Disagreement, match="more than the meter's"):
            plan([*live(0, 1, 2), row(3, register(3) + 5), *live(6, 7)], history())

    def test_where_somebody_corrected_the_sum(self) -> None:
        rows = [
            *live(0, 1, 2),
            *(row(n, offset=OFFSET + 7) for n in (3, 4)),
            *(row(n, offset=OFFSET + 7) for n in (8, 9)),
        ]
        assert plan(rows, history()).rows  # before the hole it is no matter
        rows = [*live(0, 1, 2), *live(6, 7), *(row(n, offset=OFFSET + 7) for n in (8, 9))]
        with pytest.raises(Disagreement, match="the sum was corrected at 2026-11-21 02:00"):
            plan(rows, history())

    def test_before_the_meters_memory_begins(self) -> None:
        with pytest.raises(Disagreement, match="reach back"):
            plan([*live(0, 1), *live(8, 9)], history(first=5))

    def test_where_the_very_first_row_does_not_agree(self) -> None:
        with pytest.raises(Disagreement, match="reach back"):
            plan([row(3, register(2) - 0.1), *live(7, 8)], history())

    def test_for_an_hour_that_the_meter_does_not_know(self) -> None:
        planned = plan([*live(0, 1, 2, 3), *live(7, 8)], but_for(5))
        assert [r.start for r in planned.rows] == [hour(4), hour(6)]
        assert planned.unknown == (hour(5),)


def test_a_gateway_that_went_away_in_home_assistants_very_first_hour() -> None:
    """Its row stands where the register stood within that hour: it is as good as a row before."""
    rows = [row(3, register(3) - 0.3), *live(7, 8)]
    planned = plan(rows, history())
    assert [each.start for each in planned.rows] == [hour(3), hour(4), hour(5), hour(6)]
    assert planned.shifts == ()
    assert bars(applied(rows, planned))[:3] == truth(4, 6)


def test_a_coarse_register_leaves_nothing_negative() -> None:
    coarse = history(step=0.01)
    coarse = replace(coarse, at_end={h: int(value * 100) / 100 for h, value in coarse.at_end.items()})
    rows = [*live(0, 1, 2, 3), *live(8, 9)]
    after = applied(rows, plan(rows, coarse))
    assert bars(after)[3:] == pytest.approx(truth(4, 9), abs=0.02)


@given(
    present=st.lists(st.booleans(), min_size=12, max_size=24),
    cut=st.lists(st.floats(0, 0.39), min_size=24, max_size=24),
)
def test_whatever_is_missing_or_cut_short_the_bars_become_the_meters(present: list[bool], cut: list[float]) -> None:
    """Rows before the hole and the newest one are sound; between them anything may be missing or cut short."""
    last = len(present) + 1
    between = [row(n, register(n) - cut[n]) for n, there in enumerate(present[1:-1], 2) if there]
    rows = [*live(0, 1), *between, *live(last - 1, last)]
    planned = plan(rows, history())
    after = applied(rows, planned)
    assert all(r.start < hour(last) for r in planned.rows)
    assert bars(after) == pytest.approx(truth(1, last), abs=0.07)
    assert all(late.sum >= early.sum for early, late in pairwise(after))
    lowered = {r.start: r.state for r in rows}
    assert all(r.state >= lowered.get(r.start, 0) - 0.001 for r in planned.rows)
    assert not plan(after, history())


def test_twenty_five_hours_make_a_day_in_october() -> None:
    """Everything is UTC: the end of summer time is no case at all."""
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)
    shift = midnight - EVENING
    at_end, late = ({h + shift: v for h, v in m.items()} for m in (history().at_end, history().late))
    moved = MeterHistory(at_end, late, step=0.001)
    rows = [replace(r, start=r.start + shift) for r in [*live(0, 1, 2), *live(26, 27)]]
    assert len(plan(rows, moved).rows) == 23
    assert timedelta(hours=25) == datetime(2026, 10, 25, 23, tzinfo=UTC) - midnight


class TestThePast:
    """Home Assistant's first row is that of hour 10; the meter remembers hours from 4 on."""

    def test_is_put_in_front_and_changes_no_bar_but_the_first(self) -> None:
        rows = live(*range(10, 20))
        planned = plan_with_past(rows, history(first=4))
        assert [each.start for each in planned.rows] == [hour(number) for number in range(5, 10)]
        after = applied(rows, planned)
        assert after[0].sum == pytest.approx(truth(5, 5)[0]), "the first of all shows its sum"
        assert bars(after)[:4] == truth(6, 9)
        assert bars(after)[5:] == bars(rows)
        assert min(bars(after)) > 0

    def test_broken_off_after_the_sums_the_next_run_finishes(self) -> None:
        rows = live(*range(10, 20))
        planned = plan_with_past(rows, history(first=4))
        broken_off = applied(rows, replace(planned, rows=()))
        again = plan_with_past(broken_off, history(first=4))
        assert again.shifts == ()
        assert bars(applied(broken_off, again))[:4] == truth(6, 9)

    def test_with_a_hole_behind_it(self) -> None:
        rows = [*live(*range(10, 13)), *(row(number, offset=0.0) for number in range(16, 20))]
        after = applied(rows, plan_with_past(rows, history(first=4)))
        assert [each.start for each in after] == [hour(number) for number in range(5, 20)]
        assert bars(after)[8:10] == truth(14, 15)
        assert min(bars(after)) > 0

    def test_of_another_meter_is_none(self) -> None:
        rows = [row(10, 900.0), *live(*range(11, 20))]
        with pytest.raises(Disagreement, match="Home Assistant's first row"):
            plan_with_past(rows, history(first=4))

    def test_with_a_first_row_that_was_cut_short(self) -> None:
        rows = [row(10, register(10) - 0.3, offset=-register(10) + 0.3), *live(11, 12)]
        rows = [rows[0], *(replace(each, sum=each.state + rows[0].offset) for each in rows[1:])]
        planned = plan_with_past(rows, history())
        after = applied(rows, planned)
        assert [each.start for each in planned.rows] == [hour(number) for number in range(1, 11)]
        assert bars(after)[:9] == truth(2, 10)
        assert after[0].sum == pytest.approx(register(1) - register(0))
        assert {bar.start: bar.after for bar in planned.bars}[hour(10)] == pytest.approx(register(10) - register(9))
        assert not plan_with_past(after, history())

    def test_of_nothing_is_nothing(self) -> None:
        with pytest.raises(NotNow, match="has not compiled any hour"):
            plan_with_past([], history())
        assert not plan_with_past(live(*range(10, 20)), history(first=10))

    def test_of_which_the_meter_lost_an_hour_says_so(self) -> None:
        rows = live(*range(10, 20))
        planned = plan_with_past(rows, but_for(6))
        after = applied(rows, planned)
        assert planned.unknown == (hour(6),)
        assert [each.start for each in after] == [hour(number) for number in range(1, 20) if number != 6]
        assert min(bars(after)) > 0


class TestAHoleOlderThanTheMemory:
    """Home Assistant has the hours 0 to 4 and from 20 on; the meter remembers from 12 on."""

    rows = live(*range(5), *range(20, 24))
    known = history(first=12)

    def test_is_filled_from_there_on_and_its_first_hour_has_the_rest(self) -> None:
        planned = plan(self.rows, self.known, may_begin_within=True)
        assert [each.start for each in planned.rows] == [hour(number) for number in range(12, 20)]
        assert planned.older == 7
        after = applied(self.rows, planned)
        assert bars(after)[5:12] == truth(13, 19)
        assert sum(bars(after)) == pytest.approx(self.rows[-1].sum - self.rows[0].sum)

    def test_keeps_the_thread_that_home_assistant_lost(self) -> None:
        lost = [*self.rows[:5], *(replace(each, sum=each.sum - 900) for each in self.rows[5:])]
        planned = plan(lost, self.known, may_begin_within=True)
        assert [each.start for each in planned.shifts] == [hour(20)]
        assert planned.shifts[0].amount == pytest.approx(900)
        assert min(bars(applied(lost, planned))) > 0

    def test_is_left_alone_by_itself(self) -> None:
        with pytest.raises(Disagreement, match="reach back to before"):
            plan(self.rows, self.known)

    def test_is_left_alone_where_the_hour_before_is_above_the_meter(self) -> None:
        rows = [*live(*range(4)), row(4, 5000.0), *live(*range(20, 24))]
        with pytest.raises(Disagreement, match="is it another meter's"):
            plan(rows, self.known, may_begin_within=True)


class TestABurst:
    """Hours whose last poll came just before a kettle."""

    def short(self, *numbers: int) -> list[HourRow]:
        rows = live(*range(8))
        for number in numbers:
            rows[number] = row(number, register(number) - 0.040)
        return rows

    def burst(self) -> MeterHistory:
        return replace(history(), burst={hour(number): 0.05 for number in range(30)})

    def test_alone_is_no_hole(self) -> None:
        assert plan(self.short(3), history())
        assert not plan(self.short(3), self.burst())
        assert not plan(self.short(3, 5, 7), self.burst())

    def test_beside_a_hole_is_a_part_of_it(self) -> None:
        rows = self.short(3)
        del rows[4]
        assert [each.start for each in plan(rows, self.burst()).rows] == [hour(3), hour(4)]
