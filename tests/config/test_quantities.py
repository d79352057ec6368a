"""Durations, powers and times of the day as people write them."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from nesgw.config import quantities
from nesgw.config.settings import QuietWindow

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize(
    ("text", "value"),
    [("10s", 10), ("10 s", 10), ("5min", 300), ("5 m", 300), ("1h", 3600), ("1.5s", 1.5), ("500ms", 0.5)],
)
def test_a_duration_has_a_number_and_a_unit(text: str, value: float) -> None:
    assert quantities.seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("44 kW", 44000), ("44kw", 44000), ("11000 W", 11000), ("0.5 MW", 500000)])
def test_a_power_has_a_number_and_a_unit(text: str, value: float) -> None:
    assert quantities.watts(text) == value


@pytest.mark.parametrize("text", ["10", 10, 10.0, "s", "ten s", "-1s", "10 kW", "", None, True, "1e3s", "٣s"])
def test_a_duration_without_its_unit_is_refused_with_what_is_right(text: object) -> None:
    with pytest.raises(ValueError, match='number with a unit, like "10s"'):
        quantities.seconds(text)


@pytest.mark.parametrize("text", ["17,300 W", "1,000kW"])
def test_a_comma_that_may_stand_between_thousands_is_no_decimal_point(text: str) -> None:
    with pytest.raises(ValueError, match='without a comma, like "44 kW" or "11000 W"'):
        quantities.watts(text)


@pytest.mark.parametrize(("text", "right"), [("17,3 kW", "17.3 kW"), ("0,5MW", "0.5 MW"), ("1,5 W", "1.5 W")])
def test_a_comma_is_answered_with_the_number_that_was_meant(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=f'with a point, not a comma: "{right}"'):
        quantities.watts(text)


@pytest.mark.parametrize(
    ("value", "text"), [(10.0, "10s"), (300.0, "300s"), (600.0, "10min"), (3600.0, "1h"), (1.5, "1.5s")]
)
def test_a_duration_is_written_as_the_configuration_takes_it(value: float, text: str) -> None:
    assert quantities.duration_text(value) == text
    assert quantities.seconds(text) == value


@pytest.mark.parametrize(
    ("value", "text"), [(44000.0, "44 kW"), (11500.0, "11.5 kW"), (500.0, "500 W"), (1234567.5, "1234.5675 kW")]
)
def test_a_power_is_written_as_the_configuration_takes_it(value: float, text: str) -> None:
    assert quantities.power_text(value) == text
    assert quantities.watts(text) == value


class TestQuietWindow:
    def test_no_text_is_no_window(self) -> None:
        assert quantities.window("") is None

    @pytest.mark.parametrize("text", ["02:05-02:15", "2:05-2:15", "02:05 - 02:15", "02:05–02:15"])
    def test_it_is_two_times_of_the_day(self, text: str) -> None:
        window = quantities.window(text)
        assert window == QuietWindow(time(2, 5), time(2, 15))
        assert str(window) == "02:05-02:15"

    @pytest.mark.parametrize("text", ["2-3", "02:05", "02:05-24:00", "02:60-03:00", "2 am-3 am", 205, None])
    def test_anything_else_is_refused_with_what_is_right(self, text: object) -> None:
        with pytest.raises(ValueError, match='two times of the day in local time, like "02:05-02:15"'):
            quantities.window(text)

    @pytest.mark.parametrize(
        ("clock", "inside"),
        [((2, 4, 59), False), ((2, 5, 0), True), ((2, 14, 59), True), ((2, 15, 0), False), ((14, 5, 0), False)],
    )
    def test_its_begin_is_inside_and_its_end_is_not(self, clock: tuple[int, int, int], inside: bool) -> None:
        window = QuietWindow(time(2, 5), time(2, 15))
        assert window.contains(datetime(2026, 11, 20, *clock)) is inside

    @pytest.mark.parametrize(
        ("clock", "inside"), [((23, 49), False), ((23, 50), True), ((0, 0), True), ((0, 9), True), ((0, 10), False)]
    )
    def test_it_may_cross_midnight(self, clock: tuple[int, int], inside: bool) -> None:
        window = QuietWindow(time(23, 50), time(0, 10))
        assert window.contains(datetime(2026, 11, 20, *clock)) is inside

    def test_it_ends_on_the_same_day_or_on_the_next_one(self) -> None:
        night = QuietWindow(time(23, 50), time(0, 10))
        assert night.ends(datetime(2026, 12, 31, 23, 55)) == datetime(2027, 1, 1, 0, 10)
        assert night.ends(datetime(2027, 1, 1, 0, 5)) == datetime(2027, 1, 1, 0, 10)
        assert QuietWindow(time(2, 5), time(2, 15)).ends(datetime(2026, 11, 20, 2, 7)) == datetime(2026, 11, 20, 2, 15)

    def test_it_goes_by_the_clock_on_the_wall_when_that_is_set_forward(self) -> None:
        # On 2027-03-28 Denmark's clocks go from 02:00 to 03:00: from 01:55 to 03:05 it is ten minutes.
        window = QuietWindow(time(1, 50), time(3, 5))
        now = datetime(2027, 3, 28, 1, 55, tzinfo=COPENHAGEN)
        assert window.contains(now)
        assert window.ends(now).timestamp() - now.timestamp() == 600
