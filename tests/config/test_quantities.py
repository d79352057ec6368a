"""Durations and powers as people write them."""

import pytest

from nesgw.config import quantities as units


@pytest.mark.parametrize(
    ("text", "value"),
    [("10s", 10), ("10 s", 10), ("5min", 300), ("5 m", 300), ("1h", 3600), ("1.5s", 1.5), ("500ms", 0.5)],
)
def test_a_duration_has_a_number_and_a_unit(text, value):
    assert units.seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("44 kW", 44000), ("44kw", 44000), ("11000 W", 11000), ("0.5 MW", 500000)])
def test_a_power_has_a_number_and_a_unit(text, value):
    assert units.watts(text) == value


@pytest.mark.parametrize("text", ["10", 10, 10.0, "s", "ten s", "-1s", "10 kW", "", None, True])
def test_a_duration_without_its_unit_is_refused_with_what_is_right(text):
    with pytest.raises(ValueError, match='number with a unit, like "10s"'):
        units.seconds(text)


@pytest.mark.parametrize(
    ("value", "text"), [(10.0, "10s"), (300.0, "300s"), (600.0, "10min"), (3600.0, "1h"), (1.5, "1.5s")]
)
def test_a_duration_is_written_as_the_configuration_takes_it(value, text):
    assert units.duration_text(value) == text
    assert units.seconds(text) == value


@pytest.mark.parametrize(("value", "text"), [(44000.0, "44 kW"), (11500.0, "11.5 kW"), (500.0, "500 W")])
def test_a_power_is_written_as_the_configuration_takes_it(value, text):
    assert units.power_text(value) == text
    assert units.watts(text) == value
