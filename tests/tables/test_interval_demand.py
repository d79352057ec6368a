"""Demand by hand: averages over intervals, the highest of a month of local time, the interval that is running."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from nesgw.tables.installation import Installation
from nesgw.tables.interval_demand import (
    Book,
    Demand,
    Month,
    Peak,
    Powers,
    RecentReadings,
    RegisterReading,
    Running,
    directions_of,
    month_of,
    powers_of,
    registers_of,
)
from nesgw.tables.load_profile import ESTIMATED, Interval, decode_channels
from nesgw.values import Firmware

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
CHANNELS = decode_channels((0, 1, 15), Firmware(3, 84), Installation())
OSLO = ZoneInfo("Europe/Oslo")


def interval(number: int, imported: int | None, exported: int | None = 201, **more: tuple[object, ...]) -> Interval:
    facts = {"flags": (), "codes": (0, 0, 0), **more}
    return Interval(NOON + number * QUARTER, raw=(imported, exported, 230_000), **facts)  # type: ignore[arg-type]


class TestAnInterval:
    def test_of_a_quarter_of_an_hour_is_four_times_what_was_used(self) -> None:
        found = powers_of(interval(0, 1000), interval(1, 1083, 211), CHANNELS, QUARTER)
        assert found == Powers(332.0, 40.0)

    @pytest.mark.parametrize(("minutes", "watts"), [(5, 996.0), (20, 249.0), (30, 166.0), (60, 83.0)])
    def test_of_another_length_is_averaged_over_that(self, minutes: int, watts: float) -> None:
        length = timedelta(minutes=minutes)
        later = Interval(NOON + length, (), (1083, 201, 0), (0, 0, 0))
        assert powers_of(interval(0, 1000), later, CHANNELS, length) == Powers(watts, 0.0)

    @pytest.mark.parametrize("flag", ["clock_forward", "clock_back", ESTIMATED])
    def test_whose_length_is_doubtful_has_none(self, flag: str) -> None:
        assert powers_of(interval(0, 1000), interval(1, 1083, flags=(flag,)), CHANNELS, QUARTER) is None
        assert powers_of(interval(0, 1000, flags=(flag,)), interval(1, 1083), CHANNELS, QUARTER) is None

    def test_with_a_power_failure_in_it_has_one(self) -> None:
        found = powers_of(interval(0, 1000), interval(1, 1083, flags=("power_failure",)), CHANNELS, QUARTER)
        assert found == Powers(332.0, 0.0)

    @pytest.mark.parametrize("code", [1, 2, 3, 5, 9])
    def test_of_a_register_that_the_meter_marks_has_none_in_that_direction(self, code: int) -> None:
        marked = interval(1, 1083, codes=(code, 0, 0))
        assert powers_of(interval(0, 1000), marked, CHANNELS, QUARTER) == Powers(None, 0.0)

    def test_behind_one_that_is_missing_or_a_register_that_fell_has_none(self) -> None:
        assert powers_of(interval(0, 1000), interval(2, 1083), CHANNELS, QUARTER) is None
        assert powers_of(interval(0, 1000), interval(1, 12), CHANNELS, QUARTER) == Powers(None, 0.0)

    def test_leaves_its_registers_in_watt_hours(self) -> None:
        assert registers_of(interval(0, 1083), CHANNELS) == Powers(1083.0, 201.0)
        assert registers_of(interval(0, 1083, codes=(3, 0, 0)), CHANNELS) == Powers(None, 201.0)

    def test_directions_are_those_of_which_there_is_a_register(self) -> None:
        assert directions_of(CHANNELS) == ("import", "export")
        assert directions_of(CHANNELS[:1]) == ("import",)
        assert directions_of(CHANNELS[2:]) == ()


class TestMonths:
    def test_begin_and_end_at_local_midnight_in_winter_and_summer_time(self) -> None:
        month = month_of(datetime(2026, 10, 31, 22, 59, tzinfo=UTC), OSLO)
        assert month.begin == datetime(2026, 9, 30, 22, tzinfo=UTC)
        assert month.end == datetime(2026, 10, 31, 23, tzinfo=UTC)
        assert month_of(month.end, OSLO).begin == month.end

    def test_keep_the_highest_and_of_two_alike_the_earlier(self) -> None:
        book = Book(QUARTER, UTC, ("import",))
        book.turn_to(NOON)
        for number, watts in ((3, 500.0), (1, 400.0), (2, 500.0), (5, 499.0)):
            book.count(NOON + number * QUARTER, Powers(watts, None))
        assert book.months[1].imported == Peak(500.0, NOON + 2 * QUARTER)
        assert book.months[1].exported is None

    def test_count_an_interval_where_it_starts(self) -> None:
        book = Book(QUARTER, OSLO, ("import",))
        book.turn_to(NOON)
        book.count(datetime(2026, 10, 31, 22, 45, tzinfo=UTC), Powers(100.0))  # the last quarter of October in Oslo
        book.count(datetime(2026, 10, 31, 23, tzinfo=UTC), Powers(90.0))
        assert [month.imported and month.imported.power for month in book.months] == [100.0, 90.0]

    def test_say_how_many_intervals_are_not_known(self) -> None:
        book = Book(QUARTER, UTC, ("import",))
        begin = datetime(2026, 11, 1, tzinfo=UTC)
        book.turn_to(NOON)
        for number in range(8):
            book.count(begin + number * QUARTER, Powers(1.0))
        october, november = book.until(begin + 10 * QUARTER)
        assert november.missing == 2
        assert october.missing == 31 * 96

    def test_turn_over_and_keep_the_one_before(self) -> None:
        book = Book(QUARTER, UTC, ("import",))
        book.turn_to(NOON)
        book.count(NOON, Powers(700.0))
        book.turn_to(datetime(2026, 12, 1, tzinfo=UTC))
        last, month = book.months
        assert (last.imported, month.imported) == (Peak(700.0, NOON), None)
        book.turn_to(datetime(2027, 1, 1, tzinfo=UTC))
        assert [each.imported for each in book.months] == [None, None]

    def test_of_a_zone_that_is_only_an_offset(self) -> None:
        assert month_of(NOON, timezone(timedelta(hours=1))).begin == datetime(2026, 10, 31, 23, tzinfo=UTC)


class TestTheRunningInterval:
    """From 12:00 on; the register stood at 1000 Wh then."""

    def demand(self, **more: object) -> Demand:
        facts = {"drift": 0.0, "registers": Powers(1000.0, 201.0), "start": NOON - QUARTER, **more}
        return Demand(QUARTER, ("import", "export"), **facts)  # type: ignore[arg-type]

    def readings(self, *pairs: tuple[int, float]) -> RecentReadings:
        recent = RecentReadings()
        for seconds, kilowatt_hours in pairs:
            recent.add(RegisterReading(NOON + timedelta(seconds=seconds), kilowatt_hours, 0.201))
        return recent

    def test_goes_on_as_in_the_last_minute(self) -> None:
        # 50 Wh in five minutes: 600 W so far. 20 of them in the last minute: 1200 W, for ten minutes more 200 Wh.
        recent = self.readings((200, 1.020), (240, 1.030), (300, 1.050))
        assert recent.running(self.demand()) == Running(
            NOON, 300.0, so_far=Powers(600.0, 0.0), expected=Powers(1000.0, 0.0)
        )

    def test_begins_when_the_meters_clock_says(self) -> None:
        recent = self.readings((240, 1.030), (300, 1.050))
        running = recent.running(self.demand(drift=60.0))
        assert running is not None
        assert (running.elapsed, running.so_far.imported) == (360.0, 500.0)

    def test_is_not_known_without_a_clock_before_the_interval_was_read_or_with_another_register(self) -> None:
        recent = self.readings((240, 1.030), (300, 1.050))
        assert recent.running(self.demand(drift=None)) is None
        assert recent.running(self.demand(start=None)) is None
        assert recent.running(self.demand(start=NOON - 2 * QUARTER)) is None, "it is over, and the next is not read yet"
        running = recent.running(self.demand(registers=Powers(5000.0, 201.0)))
        assert running is not None
        assert running.expected == Powers(None, 0.0)

    def test_only_a_minute_of_readings_is_kept(self) -> None:
        recent = self.readings(*((second, 1.0) for second in range(0, 300, 10)))
        assert len(recent._readings) == 7


class TestQuality:
    def test_good_has_nothing_to_say(self) -> None:
        whole = Month(NOON, NOON + QUARTER, known=1, expected=1)
        demand = Demand(QUARTER, ("import",), powers=Powers(1.0), month=whole, last_month=whole, drift=2.0)
        assert demand.quality == ()

    def test_says_what_is_missing(self) -> None:
        part = Month(NOON, NOON + QUARTER, known=1, expected=2)
        demand = Demand(QUARTER, ("import",), month=part, last_month=part, drift=90.0, zone_is_certain=False)
        assert demand.quality == (
            "interval_unknown",
            "month_incomplete",
            "last_month_incomplete",
            "clock_wrong",
            "zone_uncertain",
        )
