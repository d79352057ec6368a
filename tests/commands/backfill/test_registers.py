"""What a register was at full hours: which intervals say so, and what is left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nesgw.commands.backfill.plan import HOUR, HourRow
from nesgw.commands.backfill.registers import Circumstances, fills_hours, meter_history
from nesgw.commands.backfill.suspects import first_suspect
from nesgw.tables.installation import Installation
from nesgw.tables.load_profile import ESTIMATED, Interval, decode_channels
from nesgw.values import Firmware

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
(IMPORT,) = decode_channels((0,), Firmware(3, 84), Installation())
KNOWN = Circumstances(duration=QUARTER, poll=10.0)


def intervals(*registers: int, begin: datetime = NOON - QUARTER, every: timedelta = QUARTER) -> list[Interval]:
    return [Interval(begin + number * every, (), (register,), (0,)) for number, register in enumerate(registers)]


def test_an_hour_ends_with_the_interval_that_ends_at_a_full_hour() -> None:
    history = meter_history(intervals(1000, 1090, 1100, 1200, 1300, 1450), 0, IMPORT, KNOWN)
    assert history.at_end == {NOON - HOUR: pytest.approx(1.090), NOON: pytest.approx(1.450)}


def test_a_row_may_be_a_minute_late_at_the_pace_of_the_last_interval() -> None:
    history = meter_history(intervals(1000, 1090), 0, IMPORT, KNOWN)
    assert history.late == {NOON - HOUR: pytest.approx(0.006)}, "90 Wh in 15 minutes: 6 in one"


def test_two_slow_polls_are_later_than_a_minute() -> None:
    slow = Circumstances(duration=QUARTER, poll=150.0)
    history = meter_history(intervals(1000, 1090), 0, IMPORT, slow)
    assert history.late == {NOON - HOUR: pytest.approx(0.030)}, "a third of the interval"


def test_a_burst_in_two_polls_is_4_6_kilowatt_times_the_transformers_but_never_more_than_was_used() -> None:
    history = meter_history(intervals(1000, 1090), 0, IMPORT, KNOWN)
    assert history.burst == {NOON - HOUR: pytest.approx(4600 * 20 / 3_600_000)}
    behind = meter_history(intervals(1000, 1090), 0, IMPORT, replace(KNOWN, ratio=3.0))
    assert behind.burst == {NOON - HOUR: pytest.approx(3 * 4600 * 20 / 3_600_000)}
    assert meter_history(intervals(1000, 1003), 0, IMPORT, KNOWN).burst == {NOON - HOUR: pytest.approx(0.003)}


@pytest.mark.parametrize("flag", ["clock_forward", "clock_back", ESTIMATED])
def test_an_interval_of_a_doubtful_time_ends_no_hour(flag: str) -> None:
    before, at_noon = intervals(1000, 1090)
    marked = Interval(at_noon.end, (flag,), at_noon.raw, at_noon.codes)
    assert meter_history([before, marked], 0, IMPORT, KNOWN).at_end == {}


@pytest.mark.parametrize("code", [1, 2, 3, 5, 9, 11])
def test_a_value_that_the_meter_marks_ends_no_hour(code: int) -> None:
    before, at_noon = intervals(1000, 1090)
    marked = Interval(at_noon.end, (), at_noon.raw, (code,))
    assert meter_history([before, marked], 0, IMPORT, KNOWN).at_end == {}


def test_a_power_failure_takes_no_hour_away() -> None:
    before, at_noon = intervals(1000, 1090)
    marked = Interval(at_noon.end, ("power_failure",), at_noon.raw, (0,))
    assert meter_history([before, marked], 0, IMPORT, KNOWN).at_end == {NOON - HOUR: pytest.approx(1.09)}


def test_an_hour_without_its_last_interval_or_with_a_register_that_fell_is_left_out() -> None:
    assert meter_history(intervals(1090, begin=NOON), 0, IMPORT, KNOWN).at_end == {}
    assert meter_history(intervals(1000, 12), 0, IMPORT, KNOWN).at_end == {}


@pytest.mark.parametrize(
    ("drift", "register"),
    [
        (0.8, 1.090),  # no clock is known better than that
        (45.0, 1.095),  # ahead: noon is 45 s later, and of the 100 Wh after it a twentieth is the hour's
        (-45.0, 1.085),  # behind: of the 90 Wh before noon a twentieth (4.5) is the next hour's
    ],
)
def test_a_clock_that_is_off_by_seconds_is_allowed_for(drift: float, register: float) -> None:
    known = Circumstances(duration=QUARTER, poll=10.0, drift=drift)
    history = meter_history(intervals(1000, 1090, 1190), 0, IMPORT, known)
    assert history.at_end == {NOON - HOUR: pytest.approx(register)}


def test_what_such_a_clock_leaves_open_is_what_can_flow_in_the_meantime() -> None:
    known = Circumstances(duration=QUARTER, poll=10.0, drift=4.0, most_power=9000.0)
    assert meter_history(intervals(1000, 1090, 1190), 0, IMPORT, known).early == {NOON - HOUR: pytest.approx(0.010)}
    little = meter_history(intervals(1000, 1090, 1093), 0, IMPORT, known)
    assert little.early == {NOON - HOUR: pytest.approx(0.003)}, "no more than was used"


def test_a_register_that_counts_in_steps_of_ten_is_known_by_eight_values() -> None:
    coarse = intervals(*range(1000, 1080, 10))
    assert meter_history(coarse, 0, IMPORT, KNOWN).step == pytest.approx(0.010)
    assert meter_history(coarse[:7], 0, IMPORT, KNOWN).step == pytest.approx(0.001)
    assert meter_history([*coarse, *intervals(1081, begin=NOON + HOUR * 3)], 0, IMPORT, KNOWN).step == 0.001


def test_which_intervals_fill_hours() -> None:
    assert all(fills_hours(timedelta(minutes=minutes)) for minutes in (5, 10, 15, 20, 30, 60))
    assert not any(fills_hours(timedelta(minutes=minutes)) for minutes in (7, 45, 120, 24 * 60))


class TestSuspects:
    def rows(self, *states: float | None) -> list[HourRow]:
        return [
            HourRow(NOON + number * HOUR, state, state - 100)
            for number, state in enumerate(states)
            if state is not None
        ]

    def test_nothing_is_suspect_where_all_rows_are_there_and_move(self) -> None:
        assert first_suspect([self.rows(100, 101, 102)]) is None

    def test_a_missing_hour_is(self) -> None:
        assert first_suspect([self.rows(100, 101, 102, 103), self.rows(100, 101, None, 103)]) == NOON + 2 * HOUR

    def test_an_hour_in_which_everything_stood_still_is(self) -> None:
        assert first_suspect([self.rows(100, 101, 101), self.rows(7, 7, 7)]) == NOON + 2 * HOUR

    def test_one_register_alone_may_stand_still(self) -> None:
        assert first_suspect([self.rows(100, 101, 102), self.rows(7, 7, 7)]) is None
