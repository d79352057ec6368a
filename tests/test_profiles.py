"""For every simulated firmware: the complete set of fields, each value, and every entity that Home Assistant gets.

Field names, register numbers and scales are written down here by hand from the contract's table; the values are the
simulated household's own registers. Nothing of the catalogue is used to expect anything.
"""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.publishers.home_assistant import alarms_discovery, meter_discovery
from nesgw.publishers.topics import Topics
from nesgw.simulator import PROFILES
from nesgw.tables.catalogue import FIELDS
from tests.home_assistant import expanded
from tests.virtual import line_to, meter_on

L = ("l1", "l2", "l3")
Q = ("q1", "q2", "q3", "q4")

# BT23: field -> number. kWh, kvarh and kVAh are thousandths; the others count.
TOTALS = {
    "energy_import": 0,
    "energy_export": 1,
    "reactive_energy_import": 2,
    "reactive_energy_export": 3,
    "outage_duration": 4,
    "outage_count": 5,
    "energy_total": 6,
    "energy_net": 7,
    "pulse_input_1": 8,
    "pulse_input_2": 9,
    "error_count": 10,
}
REACTIVE = {f"reactive_energy_{q}": 11 + n for n, q in enumerate(Q)}
APPARENT = {f"apparent_energy_{q}": 15 + n for n, q in enumerate(Q)}

# BT28: field -> number, by the firmware that brought them.
V18 = {
    "power_import": 0,
    "power_export": 1,
    "reactive_power_import": 2,
    "reactive_power_export": 3,
    **{f"current_{p}": 4 + n for n, p in enumerate(L)},
    **{f"voltage_{p}": 7 + n for n, p in enumerate(L)},
    "power_factor_l1": 10,
    "frequency": 11,
    "apparent_power": 12,
    "power_factor_l2": 13,
    "power_factor_l3": 14,
    **{f"sin_phi_{p}": 15 + n for n, p in enumerate(L)},
}
QUADRANTS = {f"reactive_power_{q}": 22 + n for n, q in enumerate(Q)}
PHASES = {
    **{f"power_import_{p}": 26 + n for n, p in enumerate(L)},
    **{f"power_export_{p}": 29 + n for n, p in enumerate(L)},
}
VOLTAGES = {
    **{f"voltage_continuous_{p}": 41 + n for n, p in enumerate(L)},
    **{f"voltage_average_{p}": 44 + n for n, p in enumerate(L)},
}
AVERAGES = {
    "power_import_average": 47,
    "power_export_average": 48,
    **{f"power_import_average_{p}": 49 + n for n, p in enumerate(L)},
    **{f"power_export_average_{p}": 52 + n for n, p in enumerate(L)},
}
GENERATION_4 = {
    **{f"apparent_power_{q}": 55 + n for n, q in enumerate(Q)},
    **{f"apparent_power_{q}_{p}": 59 + 4 * m + n for m, p in enumerate(L) for n, q in enumerate(Q)},
    "current_neutral": 71,
    **{f"current_average_{p}": 72 + n for n, p in enumerate(L)},
    "voltage_angle_l1_l2": 75,
    "voltage_angle_l2_l3": 76,
    "voltage_angle_l3_l1": 77,
    **{f"reactive_power_import_{p}": 78 + n for n, p in enumerate(L)},
    **{f"reactive_power_export_{p}": 81 + n for n, p in enumerate(L)},
}
V55 = {**V18, **QUADRANTS, **PHASES, **VOLTAGES, **AVERAGES}
ONE_PHASE = {field: number for field, number in V55.items() if not field.endswith(("_l2", "_l3"))}
# Behind current transformers: the primary side's numbers; what scales and has no primary side is not shown.
PRIMARY = {
    **{field: number for field, number in V18.items() if field not in ("apparent_power",)},
    **VOLTAGES,
    "power_import": 18,
    "power_export": 19,
    "reactive_power_import": 20,
    "reactive_power_export": 21,
    **{f"power_import_{p}": 32 + n for n, p in enumerate(L)},
    **{f"power_export_{p}": 35 + n for n, p in enumerate(L)},
    **{f"current_{p}": 38 + n for n, p in enumerate(L)},
}

EXPECTED = {  # profile: (BT23, BT28, tiers in use)
    "83331-3i": (TOTALS, V55, 0),
    "83331-3i-mep": (TOTALS, V55, 0),
    "83331-3i-solar": (TOTALS, V55, 2),
    "single-phase": (TOTALS, ONE_PHASE, 0),
    "ct": (TOTALS, PRIMARY, 0),
    # Without BT21 nobody knows whether a meter keeps 11 or 15 totals: what may be a tariff is not shown as a quadrant.
    "gen2-2.01": (TOTALS, V18, 0),
    "gen2-2.10": (TOTALS, V18, 0),
    "gen3-2.12": (TOTALS, V18, 0),
    "gen3-3.01": (TOTALS, V18, 0),
    "gen3-3.10-demand": (TOTALS | REACTIVE, V18 | QUADRANTS, 0),
    "gen3-3.50": (TOTALS, {**V18, **QUADRANTS, **PHASES}, 0),
    "gen4-4.30": (TOTALS | REACTIVE | APPARENT, V55 | GENERATION_4, 2),
}


def scale(field: Any) -> Any:
    """What the meter's integer is divided by."""
    if field.startswith(("energy_", "reactive_energy_", "apparent_energy_")):
        return 1000  # Wh, varh, VAh
    if field.startswith(("current_", "voltage_angle")):
        return 100 if "angle" in field else 1000  # hundredths of a degree; mA
    if field.startswith(("voltage_", "frequency", "power_factor_", "sin_phi_")):
        return 1000  # mV, mHz, thousandths
    return 1  # W, var, VA, seconds, counts


def read(profile: Any) -> tuple[Any, ...]:
    """One reading, with registers that stand still meanwhile."""
    line = line_to(profile, refresh=1e9)
    meter = meter_on(line)
    with meter.session(line.clock() + 60):
        facts = meter.facts()
        return facts, meter.reading(), line.meter.truth(line.clock())


def test_every_profile_is_expected_here() -> None:
    assert EXPECTED.keys() == PROFILES.keys()


@pytest.mark.parametrize("profile", EXPECTED)
def test_the_fields_are_these_and_no_others(profile: Any) -> None:
    totals, present, tiers = EXPECTED[profile]
    facts, reading, _ = read(profile)
    tariffs = {f"energy_{way}_t{n}" for way in ("import", "export") for n in range(1, tiers + 1)}
    signed = {f"power_{p}" for p in L if f"power_export_{p}" in present}
    assert set(reading.values) == {*totals, *present, *tariffs, *signed, "power"}
    assert set(facts.layout.fields) == set(reading.values)
    assert None not in reading.values.values()


@pytest.mark.parametrize("profile", EXPECTED)
def test_each_value_is_the_meters_own_integer_in_the_contracts_unit(profile: Any) -> None:
    totals, present, tiers = EXPECTED[profile]
    _, reading, truth = read(profile)
    unit = PROFILES[profile].energy_unit
    for field, number in totals.items():
        factor = unit if scale(field) == 1000 else 60 if field == "outage_duration" and profile == "gen2-2.01" else 1
        assert reading.values[field] == truth.summations[number] * factor / scale(field), field
    for field, number in present.items():
        assert reading.values[field] == truth.present[number] / scale(field), field
    assert reading.values["power"] == reading.values["power_import"] - reading.values["power_export"]
    for p in L:
        if f"power_{p}" in reading.values:
            signed = truth.present[present[f"power_import_{p}"]] - truth.present[present[f"power_export_{p}"]]
            assert reading.values[f"power_{p}"] == signed
    for tier in range(tiers):
        assert reading.values[f"energy_import_t{tier + 1}"] == truth.tiers[tier][0] * unit / 1000
        assert reading.values[f"energy_export_t{tier + 1}"] == truth.tiers[tier][1] * unit / 1000


@pytest.mark.parametrize("profile", EXPECTED)
def test_the_entities_are_the_fields_the_diagnostics_the_alarms_and_the_log(profile: Any) -> None:
    facts, reading, _ = read(profile)
    topics = Topics("nesgw", "nesgw")
    message = meter_discovery(
        topics,
        facts.identity,
        [FIELDS[key] for key in facts.layout.fields],
        name="house",
        label="House",
        poll_interval=10.0,
        events=facts.logs,
    )
    of_alarms = alarms_discovery(
        topics, facts.identity, facts.alarms.alarms, name="house", label="House", poll_interval=10.0
    )
    components = expanded(message.payload)["components"] | expanded(of_alarms.payload)["components"]
    diagnostics = {
        "last_read",
        "consecutive_failures",
        "failed_polls",
        "rejected_readings",
        "poll_duration",
        "last_error",
        "clock_drift",
        "session",
    }
    alarms = {key for key in components if key.startswith("alarm_")}
    assert set(components) == {*reading.values, *diagnostics, *alarms, *(["log"] if facts.logs else [])}
    firmware = PROFILES[profile].firmware
    assert "alarm_low_battery" in alarms
    assert ("alarm_unbalanced_voltage" in alarms) == (firmware >= (3, 60))
    assert ("alarm_g3_alarm" in alarms) == (firmware >= (4, 20))
    assert facts.logs, "by BT71, or by BT70 before 2.12"
    assert all(component["unique_id"] == f"nesgw_{facts.identity.id}_{key}" for key, component in components.items())
