"""The rows, as rows: against the contract, against the guides' numbering and against what Home Assistant takes."""

from __future__ import annotations

import pytest

from nesgw.tables.catalogue import COMPUTED, FIELDS, PRESENT_VALUES, SUMMATIONS, TIER_FIELDS
from nesgw.tables.register import Field, Primary, Register
from nesgw.values import Firmware

CONTRACT = """
energy_import energy_export reactive_energy_import reactive_energy_export outage_duration outage_count
energy_total energy_net pulse_input_1 pulse_input_2 error_count
reactive_energy_q1 reactive_energy_q2 reactive_energy_q3 reactive_energy_q4
apparent_energy_q1 apparent_energy_q2 apparent_energy_q3 apparent_energy_q4
energy_import_t1 energy_import_t2 energy_import_t3 energy_import_t4
energy_import_t5 energy_import_t6 energy_import_t7 energy_import_t8
energy_export_t1 energy_export_t2 energy_export_t3 energy_export_t4
energy_export_t5 energy_export_t6 energy_export_t7 energy_export_t8
power_import power_export power reactive_power_import reactive_power_export
current_l1 current_l2 current_l3 voltage_l1 voltage_l2 voltage_l3 frequency
apparent_power power_factor_l1 power_factor_l2 power_factor_l3 sin_phi_l1 sin_phi_l2 sin_phi_l3
reactive_power_q1 reactive_power_q2 reactive_power_q3 reactive_power_q4
power_import_l1 power_import_l2 power_import_l3
power_export_l1 power_l1 power_export_l2 power_l2 power_export_l3 power_l3
voltage_continuous_l1 voltage_continuous_l2 voltage_continuous_l3
voltage_average_l1 voltage_average_l2 voltage_average_l3
power_import_average power_export_average
power_import_average_l1 power_import_average_l2 power_import_average_l3
power_export_average_l1 power_export_average_l2 power_export_average_l3
apparent_power_q1 apparent_power_q2 apparent_power_q3 apparent_power_q4
apparent_power_q1_l1 apparent_power_q2_l1 apparent_power_q3_l1 apparent_power_q4_l1
apparent_power_q1_l2 apparent_power_q2_l2 apparent_power_q3_l2 apparent_power_q4_l2
apparent_power_q1_l3 apparent_power_q2_l3 apparent_power_q3_l3 apparent_power_q4_l3
current_neutral current_average_l1 current_average_l2 current_average_l3
voltage_angle_l1_l2 voltage_angle_l2_l3 voltage_angle_l3_l1
reactive_power_import_l1 reactive_power_import_l2 reactive_power_import_l3
reactive_power_export_l1 reactive_power_export_l2 reactive_power_export_l3
"""

# Home Assistant 2026.11, sensor/const.py: for each device class the units and the state classes it takes. Of the
# units those that nesgw may use; a plain number has the unit None.
HOME_ASSISTANT = {
    "energy": ({"Wh", "kWh"}, {"total", "total_increasing"}),
    "reactive_energy": ({"varh", "kvarh"}, {"total", "total_increasing"}),
    "apparent_power": ({"VA", "kVA"}, {"measurement"}),
    "reactive_power": ({"var", "kvar"}, {"measurement"}),
    "power": ({"W", "kW"}, {"measurement"}),
    "power_factor": ({"%", None}, {"measurement"}),
    "voltage": ({"V", "mV"}, {"measurement"}),
    "current": ({"A", "mA"}, {"measurement"}),
    "frequency": ({"Hz"}, {"measurement"}),
    "duration": ({"s", "min", "h"}, {"measurement", "total", "total_increasing"}),
    None: ({None, "kVAh", "°"}, {"measurement", "total", "total_increasing"}),
}

# BT28: number of the fixed order -> source id, as the guides list them.
BT28_SOURCES = {
    **dict(zip(range(18), range(8, 26), strict=True)),
    **dict(zip(range(18, 22), range(81, 85), strict=True)),
    **dict(zip(range(22, 26), range(104, 108), strict=True)),
    **dict(zip(range(26, 41), range(185, 200), strict=True)),
    **dict(zip(range(41, 55), range(202, 216), strict=True)),
    **dict(zip(range(55, 84), range(216, 245), strict=True)),
}

# BT23: the same, with no id known for the four apparent energies.
BT23_SOURCES = dict(enumerate([0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 108, 109, 110, 111, None, None, None, None]))


def places_of_bt28() -> list[Register | Primary]:
    return [*PRESENT_VALUES, *(row.primary for row in PRESENT_VALUES if row.primary)]


def present_value(number: int) -> Register:
    return next(row for row in PRESENT_VALUES if row.number == number)


def test_the_fields_are_those_of_the_contract_in_its_order() -> None:
    assert list(FIELDS) == CONTRACT.split()


def test_every_field_goes_by_its_own_key_and_has_its_own_name() -> None:
    rows = (*SUMMATIONS, *TIER_FIELDS, *PRESENT_VALUES, *COMPUTED)
    assert len(rows) == len(FIELDS) == len({field.name for field in FIELDS.values()})
    assert all(field.key == key for key, field in FIELDS.items())


def test_the_summations_have_the_numbers_and_sources_of_the_guides() -> None:
    assert {row.number: row.source for row in SUMMATIONS} == BT23_SOURCES


def test_the_present_values_and_their_twins_have_the_numbers_and_sources_of_the_guides() -> None:
    places = places_of_bt28()
    assert {place.number: place.source for place in places} == BT28_SOURCES
    assert len(places) == 84


@pytest.mark.parametrize(
    ("firmware", "values"),
    [((2, 0), 18), ((2, 12), 22), ((3, 1), 22), ((3, 10), 26), ((3, 50), 41), ((3, 70), 55), ((4, 0), 72),
     ((4, 10), 75), ((4, 30), 84)],
)  # fmt: skip
def test_each_firmware_has_as_many_present_values_as_the_guides_say(firmware: tuple[int, int], values: int) -> None:
    assert sum(place.since <= Firmware(*firmware) for place in places_of_bt28()) == values


def test_the_row_that_the_guides_print_as_a_second_66_is_65() -> None:
    assert present_value(65).field.key == "apparent_power_q3_l2"
    assert present_value(65).source == 226
    assert present_value(66).field.key == "apparent_power_q4_l2"
    assert present_value(66).source == 227


def test_the_twins_are_the_primary_side_of_the_same_quantities() -> None:
    twins = {row.field.key: row.primary.number for row in PRESENT_VALUES if row.primary}
    assert twins == {
        "power_import": 18, "power_export": 19, "reactive_power_import": 20, "reactive_power_export": 21,
        "power_import_l1": 32, "power_import_l2": 33, "power_import_l3": 34,
        "power_export_l1": 35, "power_export_l2": 36, "power_export_l3": 37,
        "current_l1": 38, "current_l2": 39, "current_l3": 40,
    }  # fmt: skip


def test_the_first_tier_of_the_meter_is_tariff_1() -> None:
    rows = [(row.tier, row.summation, row.field.key) for row in TIER_FIELDS]
    assert rows[0] == (0, 0, "energy_import_t1")
    assert rows[7] == (7, 0, "energy_import_t8")
    assert rows[8] == (0, 1, "energy_export_t1")
    assert rows[15] == (7, 1, "energy_export_t8")


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_home_assistant_takes_unit_and_state_class_together(field: Field) -> None:
    units, state_classes = HOME_ASSISTANT[field.kind.device_class]
    assert field.kind.unit in units
    assert field.kind.state_class in state_classes


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_key_says_which_phases_its_value_needs(field: Field) -> None:
    assert field.phases == tuple(int(part[1:]) for part in field.key.split("_") if part in ("l1", "l2", "l3"))


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_field_is_explained_in_one_plain_sentence(field: Field) -> None:
    assert field.info[0].isupper()
    assert field.info.endswith(".")
    assert ". " not in field.info


def test_no_more_decimals_are_shown_than_the_meter_has() -> None:
    for field in FIELDS.values():
        assert 10**field.kind.precision <= field.kind.divisor


def test_energy_only_rises_but_the_meters_own_net_register_may_fall() -> None:
    assert FIELDS["energy_import"].kind.state_class == "total_increasing"
    assert FIELDS["energy_net"].kind.state_class == "total"


def test_an_owner_sees_at_first_what_an_owner_wants() -> None:
    tariffs = {row.field.key for row in TIER_FIELDS}
    shown = {key for key, field in FIELDS.items() if field.enabled} - tariffs
    assert shown == {
        "energy_import", "energy_export", "power", "power_import", "power_export", "frequency",
        "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
        "power_import_l1", "power_import_l2", "power_import_l3",
        "power_export_l1", "power_export_l2", "power_export_l3", "power_l1", "power_l2", "power_l3",
        "outage_count", "outage_duration",
    }  # fmt: skip


def test_outages_and_errors_are_diagnostics() -> None:
    diagnostics = {key for key, field in FIELDS.items() if field.diagnostic}
    assert diagnostics == {"outage_count", "outage_duration", "error_count"}
