"""Water, heat and gas meters behind the meter: what they say is held where it cannot be, and never frozen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.plausibility.sub_meters import SubMeterPlausibility
from nesgw.tables.mbus import MbusReading
from nesgw.tables.mbus_records import MbusValue
from nesgw.values import Number

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def telegram(
    volume: Number | None, hour: int = 0, *, conditions: tuple[str, ...] = (), flow: Number = 0.4
) -> MbusReading:
    return MbusReading(
        time=MIDNIGHT + timedelta(hours=hour),
        handle=1,
        serial="12345678",
        manufacturer="ELS",
        version=1,
        medium="gas",
        access=hour % 256,
        conditions=conditions,
        encrypted=False,
        complete=True,
        values=(
            MbusValue("volume", "Volume", volume, "m³", "gas", "total_increasing"),
            MbusValue("flow", "Flow", flow, "m³/h", "volume_flow_rate", "measurement"),
        ),
    )


def published(*telegrams: MbusReading, judge: SubMeterPlausibility | None = None) -> list[Number | str | None]:
    """The volume that is published of each telegram; each is fetched twelve times, every five minutes."""
    judge = judge or SubMeterPlausibility()
    shown: list[Number | str | None] = []
    for number, reading in enumerate(telegrams):
        seen = {judge.judge(reading, 3600.0 * number + 300 * look).reading.values[0].value for look in range(12)}
        assert len(seen) == 1, "one telegram, one judgement"
        shown += seen
    return shown


def test_a_meter_that_counts_is_published_as_it_is() -> None:
    assert published(telegram(569.939, 0), telegram(569.945, 1), telegram(569.945, 2)) == [569.939, 569.945, 569.945]


@pytest.mark.parametrize("wild", [0.0, 99_999.999, 300.0, -0.009])
def test_a_single_wild_value_is_null_and_the_next_one_goes_on(wild: float) -> None:
    assert published(telegram(569.939, 0), telegram(wild, 1), telegram(569.945, 2)) == [569.939, None, 569.945]


def test_a_clock_that_is_a_year_ahead_leaves_no_room_for_a_jump() -> None:
    """The time of a telegram is by the electricity meter's clock."""
    telegrams = [telegram(569.939, 0), telegram(9_000.0, 8760), telegram(569.945, 8761)]
    assert published(*telegrams) == [569.939, None, 569.945]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_no_number_is_null(odd: float) -> None:
    assert published(telegram(569.939, 0), telegram(odd, 1), telegram(569.945, 2)) == [569.939, None, 569.945]


def test_a_counter_of_unknown_unit_does_not_jump_either() -> None:
    """A telegram of fixed structure does not say what it counts."""

    def counter(value: Number, hour: int) -> MbusReading:
        return replace(
            telegram(0, hour),
            values=(MbusValue("counter_1", "Counter 1", value, None, None, "total_increasing"),),
        )

    shown = published(counter(12_345, 0), counter(99_999_999, 1), counter(12_350, 2))
    assert shown == [12_345, None, 12_350]


def test_the_other_values_of_that_telegram_are_published() -> None:
    judge = SubMeterPlausibility()
    judge.judge(telegram(569.939, 0), 0)
    assert [value.value for value in judge.judge(telegram(0.0, 1), 3600).reading.values] == [None, 0.4]


@pytest.mark.parametrize("zeros", [1, 5, 48])
def test_zeros_are_never_published_however_long_they_last(zeros: int) -> None:
    telegrams = [telegram(569.939, 0), *(telegram(0.0, 1 + hour) for hour in range(zeros)), telegram(570.1, 1 + zeros)]
    assert published(*telegrams) == [569.939, *[None] * zeros, 570.1]


def test_a_meter_that_was_reset_is_accepted_when_three_telegrams_have_counted_on() -> None:
    telegrams = [telegram(569.939, 0), telegram(0.0, 1), telegram(0.2, 2), telegram(0.3, 3), telegram(0.3, 4)]
    assert published(*telegrams) == [569.939, None, None, 0.3, 0.3]


def test_a_jump_is_accepted_when_three_telegrams_keep_to_it() -> None:
    telegrams = [telegram(569.939, 0), telegram(1569.9, 1), telegram(1570.0, 2), telegram(1570.0, 3)]
    assert published(*telegrams) == [569.939, None, None, 1570.0]


def test_after_a_day_without_a_telegram_a_day_of_use_is_no_jump() -> None:
    # 24 h x 25 m³/h
    assert published(telegram(500.0, 0), telegram(1100.0, 24)) == [500.0, 1100.0]
    assert published(telegram(500.0, 0), telegram(1100.1, 24)) == [500.0, None]


class TestADeviceThatSaysItIsFailing:
    def test_is_not_accepted_at_first(self) -> None:
        assert published(telegram(0.0, 0, conditions=("temporary_error",)), telegram(569.9, 1)) == [None, 569.9]

    def test_is_published_where_it_goes_on_counting(self) -> None:
        assert published(telegram(569.9, 0), telegram(570.0, 1, conditions=("temporary_error",))) == [569.9, 570.0]

    def test_does_not_measure(self) -> None:
        judged = SubMeterPlausibility().judge(telegram(569.9, 0, conditions=("permanent_error",)), 0)
        assert judged.reading.values[1].value is None

    def test_for_good_is_accepted_from_the_third_telegram_on(self) -> None:
        failing = [telegram(569.9 + hour, hour, conditions=("permanent_error",)) for hour in range(4)]
        assert published(*failing) == [None, None, 571.9, 572.9]


def test_a_doubt_is_said_once() -> None:
    judge = SubMeterPlausibility()
    judge.judge(telegram(569.939, 0), 0)
    said = [judge.judge(telegram(0.0, hour), 3600 * hour).messages for hour in (1, 1, 2)]
    assert said == [("Volume of the sub-meter fell from 569.939 to 0 m³: null until it keeps to that",), (), ()]


def test_what_was_published_before_a_restart_is_known_after_it() -> None:
    judge = SubMeterPlausibility()
    judge.restore({"time": "2026-11-19T23:00:00Z", "volume": 569.939, "flow": None, "encrypted": False}, 0)
    assert published(telegram(0.0, 0), telegram(569.945, 1), judge=judge) == [None, 569.945]


@pytest.mark.parametrize("wild", [0.0, 99_999.999, 3_000.0, -0.009])
def test_the_first_telegram_after_a_restart_is_judged_by_the_last_one_before_it(wild: float) -> None:
    before = SubMeterPlausibility()
    published(telegram(569.939, 0), judge=before)
    after = SubMeterPlausibility()
    after.restore({"time": MIDNIGHT.isoformat(), **before.counters}, 0)
    assert published(telegram(wild, 2), telegram(569.945, 3), judge=after) == [None, 569.945]


def test_what_it_fell_from_is_known_after_a_restart_too() -> None:
    before = SubMeterPlausibility()
    published(telegram(569.939, 0), telegram(0.0, 1), telegram(0.0, 2), judge=before)
    assert before.counters == {"volume": 569.939}


@pytest.mark.parametrize("zeros", [1, 2])
def test_a_zero_is_no_first_word(zeros: int) -> None:
    """The energy dashboard would book all that the meter ever counted as the use of the hour after it."""
    telegrams = [*(telegram(0.0, hour) for hour in range(zeros)), telegram(569.939, zeros)]
    assert published(*telegrams) == [*[None] * zeros, 569.939]


def test_a_new_meter_is_at_zero_from_the_third_telegram_on() -> None:
    judge = SubMeterPlausibility()
    assert published(*(telegram(0.0, hour) for hour in range(4)), judge=judge) == [None, None, 0.0, 0.0]
    assert judge.judge(telegram(0.0, 4), 0).messages == ()


def test_telegrams_without_a_time_count_by_when_they_were_fetched() -> None:
    judge = SubMeterPlausibility()
    shown = []
    for look, volume in enumerate([569.9, 0.0, 0.1, 0.2, 0.3, 0.4]):
        reading = replace(telegram(volume), time=None)
        shown.append(judge.judge(reading, 300.0 * look).reading.values[0].value)
    assert shown == [569.9, None, None, None, 0.3, 0.4]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(0.0), st.just(569.9)), min_size=1, max_size=40))
def test_no_sequence_is_frozen_and_no_number_is_made_up(volumes: list[float | None]) -> None:
    """Whatever came before: a meter that counts evenly is published from its third telegram on."""
    judge = SubMeterPlausibility()
    for hour, volume in enumerate(volumes):
        shown = judge.judge(telegram(volume, hour), 3600.0 * hour).reading.values[0].value
        assert shown in (volume, None)
    begin = len(volumes)
    for hour in range(begin, begin + 3):
        shown = judge.judge(telegram(100.0 + hour, hour), 3600.0 * hour).reading.values[0].value
    assert shown == 100.0 + begin + 2
