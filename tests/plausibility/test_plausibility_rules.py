"""Each rule by itself, at its boundary. The house has max_power = 44 kW; figures in the comments are worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw.plausibility import Outcome, Plausibility, Verdict, rules
from nesgw.plausibility.judge import FROZEN_AFTER
from nesgw.plausibility.rules import RULES
from nesgw.tables.catalogue import FIELDS

Values = dict[str, int | float | None]
House = Callable[..., Values]


def rules_of(verdict: Verdict) -> set[str]:
    return {reason.rule for reason in verdict.reasons}


def first(values: Values) -> Verdict:
    return Plausibility(44_000).judge(values, 0.0)


def after(before: Values, now: Values, seconds: float, *, register_unit: int = 1) -> Verdict:
    judge = Plausibility(44_000, register_unit=register_unit)
    assert judge.judge(before, 1000.0).accepted
    return judge.judge(now, 1000.0 + seconds)


class TestASoundReading:
    def test_is_accepted_as_it_is_and_without_a_word(self, house: House) -> None:
        verdict = first(house())
        assert verdict.outcome is Outcome.ACCEPTED
        assert verdict.values == house()
        assert verdict.reasons == ()
        assert verdict.message is None

    def test_may_lack_what_the_meter_lacks_or_did_not_deliver(self, house: House) -> None:
        assert first({"energy_import": 344.180, "energy_export": 7.583}).accepted
        assert first(house(frequency=None, power_import=None, energy_import=None)).accepted

    def test_publishes_null_where_nothing_was_read_never_an_older_value(self, house: House) -> None:
        assert after(house(), house(energy_import=None), 10).values["energy_import"] is None


class TestZerosInOnePartOfAReading:
    """BT28 is read in parts: one of them may come back as nothing but zeros."""

    @pytest.mark.parametrize(
        "zeros",
        [
            {"voltage_continuous_l1": 0, "voltage_average_l1": 0},
            {"voltage_average_l3": 0},
            {"power_factor_l2": 0, "sin_phi_l2": 0, "current_l2": 3.292},
        ],
    )
    def test_are_doubted_on_a_phase_that_is_alive(self, house: House, zeros: Values) -> None:
        assert rules_of(first(house(**zeros))) == {"part_zeros"}

    def test_are_no_wonder_on_a_phase_that_is_not(self, house: House) -> None:
        dead = {"voltage_l2": 0, "current_l2": 0, "voltage_continuous_l2": 0, "voltage_average_l2": 0}
        assert "part_zeros" not in rules_of(first(house(**dead)))
        idle = {"power_factor_l2": 0, "sin_phi_l2": 0, "current_l2": 0.05}
        assert "part_zeros" not in rules_of(first(house(**idle)))

    def test_are_accepted_of_a_meter_that_never_fills_them(self, house: House) -> None:
        judge = Plausibility(44_000)
        empty = {"voltage_average_l1": 0, "voltage_average_l2": 0, "voltage_average_l3": 0}
        verdicts = [judge.judge(house(**empty), 10.0 * n) for n in range(6)]
        assert [verdict.accepted for verdict in verdicts] == [False, False, False, True, True, True]
        assert "does not fill them" in (verdicts[3].message or "")


class TestNothingButZeros:
    @pytest.mark.parametrize("seconds", [0, 60, 3600, 86_400])
    def test_is_never_a_measurement_however_long_it_lasts(self, house: House, seconds: int) -> None:
        judge = Plausibility(44_000)
        zeros: Values = dict.fromkeys(house(), 0)
        for at in (0, 0.3, 10, 20, 30):
            assert rules_of(judge.judge(zeros, at)) >= {"zeros"}
        assert judge.judge(zeros, 30.0 + seconds).outcome is Outcome.SUSPECT

    def test_in_the_registers_alone_is_a_new_meter(self, house: House) -> None:
        assert first(dict.fromkeys(("energy_import", "energy_export", "energy_total"), 0)).accepted
        assert first(house(energy=0, energy_export=0, energy_total=0)).accepted

    def test_with_one_real_figure_is_judged_by_the_other_rules(self, house: House) -> None:
        dead: Values = dict.fromkeys(house(), 0) | {"energy_import": 5000.0, "energy_total": 5000.0}
        assert rules_of(first(dead)) == {"no_voltage", "bounds"}


class TestBounds:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("frequency", 45.0), ("frequency", 65.0), ("frequency", 50.05),
            ("voltage_l2", 0.0), ("voltage_l2", 600.0),
            ("current_l1", 0.0),
            ("power_factor_l1", -1.05), ("power_factor_l1", 1.0), ("power_factor_l1", 1.05),
            ("sin_phi_l1", -0.924),
        ],
    )  # fmt: skip
    def test_hold_what_they_say(self, house: House, field: str, value: float) -> None:
        assert first(house(**{field: value})).accepted

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("frequency", 44.99), ("frequency", 65.01), ("frequency", 0.0), ("frequency", 3.0),
            ("voltage_l2", 600.1), ("voltage_l2", -0.1),
            ("reactive_energy_export", 1_000_000.0), ("reactive_energy_import", -0.005),
            ("power_factor_l1", 1.051), ("power_factor_l1", -5.0), ("sin_phi_l1", 1.1),
            ("energy_import_t1", -0.001), ("outage_count", -1),
        ],
    )  # fmt: skip
    def test_leave_out_what_is_no_measurement(self, house: House, field: str, value: float) -> None:
        verdict = first(house(**{field: value}))
        assert verdict.outcome is Outcome.SUSPECT
        assert [(reason.rule, reason.fields) for reason in verdict.reasons] == [("bounds", (field,))]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("field", ["energy_import", "power_import", "voltage_l1", "power_factor_l1", "energy_net"])
    def test_no_field_may_be_infinite_or_no_number(self, house: House, field: str, value: float) -> None:
        assert "bounds" in rules_of(first(house(**{field: value})))

    def test_a_phase_may_be_absent_but_not_all_of_them(self, house: House) -> None:
        assert first(house(voltage_l2=0, voltage_l3=0)).accepted
        assert rules_of(first(house(voltage_l1=19.9, voltage_l2=0, voltage_l3=0))) == {"no_voltage"}
        assert first(house(voltage_l1=20.0, voltage_l2=0, voltage_l3=0)).accepted


class TestMaxPower:
    """44 kW x 1.25 = 55 kW; on a single phase 55 kW / 195 V = 282.05 A."""

    def test_leaves_the_headroom_a_fuse_has(self, house: House) -> None:
        assert first(house(power=55_000)).accepted
        assert first(house(power=-55_000)).accepted
        assert rules_of(first(house(power=55_001))) == {"max_power"}
        assert rules_of(first(house(power=-55_001))) == {"max_power"}

    @pytest.mark.parametrize("field", [key for key, field in FIELDS.items() if field.kind.unit in ("W", "var", "VA")])
    def test_binds_every_power_of_whatever_kind_and_phase(self, house: House, field: str) -> None:
        assert "max_power" in rules_of(first(house(**{field: 3_000_000})))

    def test_binds_the_currents(self, house: House) -> None:
        assert first(house(current_l1=282.0)).accepted
        assert rules_of(first(house(current_l1=282.1))) == {"current"}

    def test_names_the_field_the_value_and_the_limit(self, house: House) -> None:
        (reason,) = first(house(power=61_000)).reasons
        assert reason.fields == ("power_import", "power")
        assert (reason.value, reason.limit) == (61_000, 55_000)
        assert reason.text == "power_import is 61000 W, above the 55000 W that max_power allows"


class TestTotalAgainstPhases:
    """Tolerance: 20 W + 0.25 % of 44 kW = 130 W, + 5 % of the load on the phases."""

    def test_one_phase_may_feed_in_while_the_others_draw(self, house: House) -> None:
        assert first(
            house(power=311, power_import_l1=387, power_import_l2=0, power_import_l3=44, power_export_l2=119)
        ).accepted

    @pytest.mark.parametrize("total", [1020, 600 - 160])
    def test_phases_that_contradict_the_total_are_suspect(self, house: House, total: int) -> None:
        # 600 W on the phases: 130 + 30 = 160 W either way
        phases = {f"power_import_l{n}": 200 for n in (1, 2, 3)}
        assert first(house(power=760, **phases)).accepted
        assert first(house(power=440, **phases)).accepted
        assert rules_of(first(house(power=761, **phases))) == {"phases"}
        assert rules_of(first(house(power=439, **phases))) == {"phases"}

    def test_a_sign_the_wrong_way_round_is_seen(self, house: House) -> None:
        assert rules_of(first(house(power=-2000, power_import_l1=2000, power_export_l1=0))) == {"phases"}

    def test_nothing_is_said_where_a_phase_was_not_read(self, house: House) -> None:
        assert first(house(power=5000, power_import_l3=None)).accepted

    def test_a_meter_of_one_phase_has_one(self, house: House) -> None:
        one = house(power=2000, power_import_l1=2000)
        for n in (2, 3):
            del one[f"power_import_l{n}"], one[f"power_export_l{n}"]
        assert first(one).accepted
        assert rules_of(first(one | {"power_import_l1": 200})) == {"phases"}


class TestRegister6:
    """Tolerance: 100 Wh and three steps: 0.103 kWh."""

    def test_is_about_the_sum_of_0_and_1(self, house: House) -> None:
        assert first(house(energy_total=5000.201 + 0.102)).accepted
        assert first(house(energy_total=5000.201 - 0.102)).accepted
        assert rules_of(first(house(energy_total=5000.201 + 0.104))) == {"total"}
        assert rules_of(first(house(energy_total=5000.201 - 0.104))) == {"total"}

    def test_may_have_rolled_over_already(self, house: House) -> None:
        assert first(house(energy=99_999.9, energy_total=0.101)).accepted

    def test_register_7_is_nobodys_business(self, house: House) -> None:
        assert first(house(energy_net=4_997.0)).accepted
        assert first(house(energy_net=0)).accepted


ENERGIES = [
    "energy_import", "energy_export", "reactive_energy_import", "reactive_energy_export", "energy_total",
    "reactive_energy_q1", "apparent_energy_q4", "energy_import_t1", "energy_export_t8",
]  # fmt: skip


class TestEnergyNeverGoesBack:
    @pytest.mark.parametrize("field", ENERGIES)
    def test_not_by_a_single_watt_hour(self, field: str) -> None:
        assert after({field: 500.001}, {field: 500.001}, 10).accepted
        verdict = after({field: 500.001}, {field: 500.0}, 10)
        assert [(reason.rule, reason.subject) for reason in verdict.reasons] == [("energy_back", field)]

    @pytest.mark.parametrize("field", ["outage_count", "outage_duration", "pulse_input_2", "error_count"])
    def test_nor_does_any_other_count(self, field: str) -> None:
        assert after({field: 12}, {field: 13}, 10).accepted
        assert rules_of(after({field: 12}, {field: 11}, 10)) == {"counter_back"}

    def test_but_the_net_register_may(self) -> None:
        assert after({"energy_net": 12.0}, {"energy_net": 11.95}, 10).accepted


class TestEnergyGrowth:
    """55 kW for 10 s and 6 s of slack: 0.2444 kWh, and two steps of the register."""

    @pytest.mark.parametrize("field", ENERGIES)
    def test_is_bound_by_max_power_over_the_time_passed(self, field: str) -> None:
        assert after({field: 500.0}, {field: 500.246}, 10).accepted
        assert rules_of(after({field: 500.0}, {field: 500.247}, 10)) == {"energy_growth"}

    def test_has_two_steps_of_a_coarse_register_to_spare(self) -> None:
        assert after({"energy_import": 500.0}, {"energy_import": 500.4}, 10, register_unit=100).accepted
        assert not after({"energy_import": 500.0}, {"energy_import": 500.5}, 10, register_unit=100).accepted

    def test_after_hours_without_a_reading_allows_for_the_hours(self) -> None:
        # 55 kW x 36,006 s = 550.09 kWh
        assert after({"energy_import": 500.0}, {"energy_import": 1050.0}, 36_000).accepted
        assert not after({"energy_import": 500.0}, {"energy_import": 1050.2}, 36_000).accepted

    def test_binds_the_net_register_both_ways(self) -> None:
        assert rules_of(after({"energy_net": 500.0}, {"energy_net": 500.247}, 10)) == {"energy_growth"}
        assert rules_of(after({"energy_net": 500.0}, {"energy_net": 499.753}, 10)) == {"energy_growth"}

    def test_counts_from_the_last_accepted_value_of_each_register(self) -> None:
        judge = Plausibility(44_000)
        assert judge.judge({"energy_import": 500.0}, 0).accepted
        assert judge.judge({"energy_import": None}, 3600).accepted
        assert judge.judge({"energy_import": 550.0}, 3610).accepted


class TestRollOver:
    @pytest.mark.parametrize("unit", [1, 10, 100])
    @pytest.mark.parametrize("digits", [5, 6, 7, 8, 9])
    def test_at_every_power_of_ten_is_recognised_and_held_for_30_s_only(self, digits: int, unit: int) -> None:
        step = unit / 1000
        end = 10**digits * step
        judge = Plausibility(44_000, register_unit=unit)
        assert judge.judge({"energy_import": end - step}, 0).accepted
        verdict = judge.judge({"energy_import": step}, 10)
        assert [reason.rule for reason in verdict.reasons] == ["energy_back"]
        assert f"rolled over at {end:.0f}" in verdict.reasons[0].text
        assert not judge.judge({"energy_import": step}, 20).accepted
        assert not judge.judge({"energy_import": step}, 39.9).accepted
        verdict = judge.judge({"energy_import": 2 * step}, 40)
        assert verdict.accepted
        assert verdict.message is not None
        assert "rolled over" in verdict.message
        assert judge.judge({"energy_import": 3 * step}, 50).message is None

    def test_a_fall_that_growth_cannot_explain_is_none(self) -> None:
        # 99,999.9 -> 0.2 is 0.3 kWh on; 55 kW allow 0.2464 kWh in 10 s
        verdict = after({"energy_import": 99_999.9}, {"energy_import": 0.2}, 10)
        assert "went back" in verdict.reasons[0].text
        assert verdict.reasons[0].hold == 300


def test_a_current_may_have_the_sign_of_its_power(house: House) -> None:
    assert first(house(current_l1=-8.2)).accepted
    # 44 kW x 1.25 at 195 V are 282 A
    assert [reason.rule for reason in first(house(current_l1=-283.0)).reasons] == ["current"]


def test_the_rules_are_told_apart_by_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_documentation_names_every_rule_with_its_longest_hold() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plausibility.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    holds: dict[str, list[str]] = {}
    name = ""
    for check, _, hold, _ in rows[2:]:
        name = check.strip("`") or name  # an empty cell goes on with the row above
        holds.setdefault(name, []).append(hold)
    present = [f"{rules.HOLD_PRESENT:.0f} s"]
    assert holds == {
        "energy_back": [f"{rules.HOLD_BACK:.0f} s", f"{rules.HOLD_ROLL_OVER:.0f} s"],
        "energy_growth": [f"{rules.HOLD_GROWTH:.0f} s", f"{rules.HOLD_JUMP:.0f} s"],
        **dict.fromkeys(("counter_back", "counter_growth", "max_power", "current"), present),
        **dict.fromkeys(("phases", "total", "bounds", "no_voltage", "part_zeros"), present),
        "zeros": ["for ever"],
    }
    assert set(holds) == {rule.name for rule in RULES}
    assert f"{FROZEN_AFTER:.0f} s and five readings" in text
