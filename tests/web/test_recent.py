"""The last hours in memory of a fixed size. Times are seconds since the epoch, powers are watts."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from nesgw.web.recent import Curve, Recent
from tests.web.house import HOUSE, STALE, STATE

MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC)


def utc_date(moment: datetime) -> date:
    return moment.date()


def read(recent: Recent, after: timedelta, **values: float | None) -> None:
    moment = MIDNIGHT + after
    state = {**STATE, "time": moment.isoformat(), **values}
    recent.add(replace(HOUSE, state=state, read_at=moment.timestamp()))


def test_a_step_has_the_mean_of_its_values() -> None:
    curve = Curve(60, 10)
    for time, value in ((600, 100), (610, 200), (659, 600), (660, 50)):
        curve.add(time, value, bridge=30)
    assert curve.points() == (600, [300, 50])


def test_a_step_without_a_value_is_a_gap_unless_the_meter_is_read_so_seldom() -> None:
    curve = Curve(5, 100)
    for time, value in ((0, 1), (10, 2), (50, 3)):
        curve.add(time, value, bridge=30)
    assert curve.points() == (0, [1, 2, 2, None, None, None, None, None, None, None, 3])


def test_a_curve_forgets_its_beginning() -> None:
    curve = Curve(1, 3)
    for time in range(10):
        curve.add(time, time, bridge=30)
    assert curve.points() == (7, [7, 8, 9])
    curve.add(1e9, 5, bridge=30)  # far longer silent than the curve is
    assert curve.points() == (1_000_000_000, [5])


def test_a_clock_that_is_set_back_changes_nothing_that_was() -> None:
    curve = Curve(1, 3)
    for time in (5, 6, 2):
        curve.add(time, time, bridge=30)
    assert curve.points() == (5, [5, 6])


def test_nothing_is_no_curve() -> None:
    assert Curve(60, 10).points()[1] == []


def test_today_begins_with_the_register_at_midnight() -> None:
    recent = Recent(utc_date)
    read(recent, timedelta(seconds=-10), energy_import=100.0, energy_export=50.0)
    read(recent, timedelta(seconds=5), energy_import=100.002, energy_export=50.0)
    read(recent, timedelta(hours=8), energy_import=103.5, energy_export=50.25)
    today = recent.today
    assert today is not None
    assert (today.since, today.energy_import, today.energy_export) == (MIDNIGHT + timedelta(seconds=5), 3.5, 0.25)


def test_after_a_silent_night_today_begins_with_its_first_reading() -> None:
    recent = Recent(utc_date)
    read(recent, timedelta(hours=-5), energy_import=100.0)
    read(recent, timedelta(hours=8), energy_import=104.0)
    read(recent, timedelta(hours=9), energy_import=105.0)
    today = recent.today
    assert today is not None
    assert (today.since, today.energy_import) == (MIDNIGHT + timedelta(hours=8), 1.0)


def test_a_register_that_a_reading_lacks_is_unknown_and_not_zero() -> None:
    recent = Recent(utc_date)
    read(recent, timedelta(hours=8), energy_import=104.0)
    read(recent, timedelta(hours=9), energy_import=None)
    assert recent.today is not None
    assert recent.today.energy_import is None


def test_a_reading_counts_once_and_a_stale_one_never() -> None:
    recent = Recent(utc_date)
    assert recent.add(HOUSE)
    assert not recent.add(HOUSE)
    assert not Recent(utc_date).add(STALE)
    assert recent.average == 896


def test_memory_does_not_grow() -> None:
    recent = Recent(utc_date)
    for second in range(0, 200_000, 10):
        read(recent, timedelta(seconds=second))
    assert len(recent.hour.points()[1]) <= 720
    assert len(recent.day.points()[1]) == 1440
    assert sum(sys.getsizeof(vars(curve)["_values"]) for curve in (recent.hour, recent.day)) < 10_000
