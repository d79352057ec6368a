"""What real meters and their readers did: the false alarms pass, the true ones do not. T1 to T20: docs/sources.md.

The captures in ``tests/vectors`` are put into Home Assistant's units here, from the numbers written beside their bytes.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw.plausibility import Outcome, Plausibility

Values = dict[str, int | float | None]
House = Callable[..., Values]

VECTORS = Path(__file__).parents[1] / "vectors"
# name in the capture: field, divisor
NAMES: dict[str, tuple[str, int]] = {
    "fwd_wh": ("energy_import", 1000), "rev_wh": ("energy_export", 1000),
    "imp_varh": ("reactive_energy_import", 1000), "exp_varh": ("reactive_energy_export", 1000),
    "outage_duration": ("outage_duration", 1), "outage_count": ("outage_count", 1),
    "fwd_plus_rev_wh": ("energy_total", 1000), "fwd_minus_rev_wh": ("energy_net", 1000),
    "pulse1": ("pulse_input_1", 1), "pulse2": ("pulse_input_2", 1), "error_counter": ("error_count", 1),
    "fwd_w": ("power_import", 1), "rev_w": ("power_export", 1),
    "imp_var": ("reactive_power_import", 1), "exp_var": ("reactive_power_export", 1),
    "freq_mhz": ("frequency", 1000), "va": ("apparent_power", 1),
    "fwd_w_avg": ("power_import_average", 1), "rev_w_avg": ("power_export_average", 1),
    **{f"i{n}_ma": (f"current_l{n}", 1000) for n in (1, 2, 3)},
    **{f"v{n}_mv": (f"voltage_l{n}", 1000) for n in (1, 2, 3)},
    **{f"pf{n}": (f"power_factor_l{n}", 1000) for n in (1, 2, 3)},
    **{f"sin{n}": (f"sin_phi_l{n}", 1000) for n in (1, 2, 3)},
    **{f"q{n}_var": (f"reactive_power_q{n}", 1) for n in (1, 2, 3, 4)},
    **{f"fwd_w_l{n}": (f"power_import_l{n}", 1) for n in (1, 2, 3)},
    **{f"rev_w_l{n}": (f"power_export_l{n}", 1) for n in (1, 2, 3)},
    **{f"fwd_w_l{n}_avg": (f"power_import_average_l{n}", 1) for n in (1, 2, 3)},
    **{f"rev_w_l{n}_avg": (f"power_export_average_l{n}", 1) for n in (1, 2, 3)},
    **{f"v{n}_cont_mv": (f"voltage_continuous_l{n}", 1000) for n in (1, 2, 3)},
    **{f"v{n}_avg_mv": (f"voltage_average_l{n}", 1000) for n in (1, 2, 3)},
}  # fmt: skip


def values_of(numbers: dict[str, int]) -> Values:
    """Convert what is written beside a capture; the tiers are checked with the registers."""
    named = {name: number for name, number in numbers.items() if name in NAMES}
    return {NAMES[name][0]: number / NAMES[name][1] for name, number in named.items()}


def capture(name: str) -> Values:
    document = tomllib.loads((VECTORS / f"{name}.toml").read_text())
    values = values_of(document["computed"])
    for tier in range(4):
        if summations := document["computed"].get(f"t{tier}_summations"):
            values[f"energy_import_t{tier + 1}"] = summations[0] / 1000
            values[f"energy_export_t{tier + 1}"] = summations[1] / 1000
    return values


CAPTURES = [
    "dk10-allanhvam-bt23", "dk10-allanhvam-d7-bt28", "dk2-nickym-08-bt23", "dk2-nickym-12-bt23", "dk2-nickym-16-bt28",
    "dk2-nickym-19-bt23", "dk4-amajland-mixed-bt28", "ir-guest-bt23", "ir-guest-bt28", "guide-rc4-bt23",
]  # fmt: skip


@pytest.mark.parametrize("name", CAPTURES)
def test_every_capture_passes_as_a_first_reading(name: str) -> None:
    values = capture(name)
    assert len(values) >= 2
    verdict = Plausibility(44_000).judge(values, 0)
    assert verdict.accepted
    assert verdict.message is None


def test_every_printed_frame_passes_too() -> None:
    printed = [
        values_of(item["printed"])
        for item in tomllib.loads((VECTORS / "incomplete.toml").read_text())["item"]
        if "printed" in item
    ]
    assert len(printed) == 2
    for values in printed:
        assert Plausibility(44_000).judge(values, 0).accepted


def test_t15_the_series_of_one_meter_passes_at_its_own_times() -> None:
    judge = Plausibility(44_000)
    frames: list[tuple[int, Values]] = [
        (129_788_060, capture("dk2-nickym-08-bt23")),
        (129_790_673, capture("dk2-nickym-12-bt23")),
        (129_792_675, {"energy_import": 65845.343, "reactive_energy_export": 20491.955, "energy_total": 65845.520}),
        (129_794_962, capture("dk2-nickym-16-bt28")),
        (129_799_532, capture("dk2-nickym-19-bt23")),
    ]
    for milliseconds, values in frames:
        assert judge.judge(values, milliseconds / 1000).accepted


class TestFalseAlarms:
    """Sound readings that other readers refused, or that look odd."""

    def test_t8_the_sun_feeds_back_on_one_phase(self, house: House) -> None:
        judge = Plausibility(44_000)
        # forward phases 499, 502 and 574 W against totals of 142, 142 and 0 W
        for at, drawn, fed in ((0, 499, 357), (10, 502, 360), (20, 574, 574)):
            phases = {"power_import_l1": drawn, "power_import_l2": 0, "power_import_l3": 0, "power_export_l2": fed}
            assert judge.judge(house(power=drawn - fed, **phases), at).accepted

    def test_t8_export_begins(self, house: House) -> None:
        judge = Plausibility(44_000)
        for at, power in ((0, 800), (10, 90), (20, -40), (30, -6000), (40, -5900)):
            assert judge.judge(house(power=power), at).accepted

    def test_t9_a_car_and_a_dishwasher_pass_at_once(self, house: House) -> None:
        judge = Plausibility(44_000)
        energy = 12_000.0
        assert judge.judge(house(energy), 0).accepted
        for poll in range(1, 25):  # five minutes apart, 12 kW from the first to the last
            energy = round(energy + 1.0, 3)
            flicker = 228 + poll / 1000
            assert judge.judge(house(energy, power=12_000, voltage_l1=flicker), 300 * poll).message is None

    def test_t9_the_same_night_in_one_step(self, house: House) -> None:
        judge = Plausibility(44_000)
        assert judge.judge(house(12_000.0), 0).accepted
        assert judge.judge(house(12_023.441), 8 * 3600).accepted

    def test_t9_with_max_power_set_far_too_low_is_held_for_its_time_and_said(self, house: House) -> None:
        judge = Plausibility(4_000)
        energy, at = 12_000.0, 0.0
        assert judge.judge(house(energy), at).accepted
        said = []
        held = 0
        for poll in range(97):  # eight hours, every five minutes
            at += 300
            energy = round(energy + 1.0, 3)
            verdict = judge.judge(house(energy, power=12_000, voltage_l1=228 + poll / 1000), at)
            held += not verdict.accepted
            if verdict.message:
                said.append(verdict.message)
        assert held == 2  # the third reading that agrees is accepted
        assert len(said) == 1
        assert "max_power is probably set too low" in said[0]

    @pytest.mark.parametrize("total", [431, 432])
    def test_t12_rounding_of_the_phases(self, house: House, total: int) -> None:
        phases = {"power_import_l1": 321, "power_import_l2": 59, "power_import_l3": 52}
        assert Plausibility(44_000).judge(house(power=total, **phases), 0).accepted

    def test_t17_register_7_is_kilowatt_hours_off_on_every_meter(self, house: House) -> None:
        odd = house(65845.342, energy_export=0.179, energy_total=65845.519, energy_net=65842.808)
        assert Plausibility(44_000).judge(odd, 0).accepted

    def test_t18_both_energies_may_rise_at_once(self, house: House) -> None:
        judge = Plausibility(44_000)
        assert judge.judge(house(5000.0, energy_export=40.0, energy_total=5040.0), 0).accepted
        assert judge.judge(house(5000.004, energy_export=40.003, energy_total=5040.007), 10).accepted

    def test_t19_the_same_frequency_for_a_day_is_no_sign_of_freezing(self, house: House) -> None:
        judge = Plausibility(44_000)
        for poll in range(8640):
            moving = 230 + poll % 7 / 1000
            assert judge.judge(house(frequency=50.05, voltage_l1=moving), 10 * poll).accepted


class TestTrueAlarms:
    def test_t1_frozen_values_are_found_out_after_ten_minutes(self, house: House) -> None:
        judge = Plausibility(44_000)
        frame = house(power=912)
        for at in range(0, 600, 10):
            assert judge.judge(frame, at).accepted
        verdict = judge.judge(frame, 600)
        assert verdict.outcome is Outcome.FROZEN
        assert verdict.values == {}
        assert verdict.message is not None
        nine_hours = 9 * 3600
        for at in range(610, nine_hours, 10):
            assert judge.judge(frame, at).outcome is Outcome.FROZEN
            assert judge.judge(frame, at).message is None

    def test_t1_the_first_change_ends_it(self, house: House) -> None:
        judge = Plausibility(44_000)
        for at in range(0, 1000, 10):
            verdict = judge.judge(house(power=912), at)
        assert verdict.outcome is Outcome.FROZEN
        verdict = judge.judge(house(power=912, voltage_l3=231.001), 1000)
        assert verdict.accepted
        assert verdict.message == "the meter's values move again"

    def test_t1_at_an_hourly_poll_too(self, house: House) -> None:
        judge = Plausibility(44_000)
        outcomes = [judge.judge(house(power=912), 3600 * poll).outcome for poll in range(6)]
        assert outcomes == [Outcome.ACCEPTED] * 4 + [Outcome.FROZEN] * 2

    def test_t1_an_idle_line_is_not_called_frozen(self, house: House) -> None:
        judge = Plausibility(44_000)
        idle = house(power=0, current_l1=0, current_l2=0, current_l3=0)
        assert all(judge.judge(idle, 10 * poll).accepted for poll in range(200))

    def test_t3_zeros_in_every_field(self, house: House) -> None:
        judge = Plausibility(44_000)
        zeros: Values = dict.fromkeys(house(), 0)
        assert not judge.judge(zeros, 0).accepted  # before anything else was read
        assert judge.judge(house(), 10).accepted
        for at in range(20, 3600, 10):
            assert not judge.judge(zeros, at).accepted
        assert judge.judge(house(), 3600).values["energy_import"] == 5000.0

    def test_t5_a_register_of_rubbish_does_not_take_the_others_with_it(self, house: House) -> None:
        judge = Plausibility(44_000)
        chance = random.Random(5)
        assert judge.judge(house(), 0).accepted
        seen = []
        for at in range(10, 1200, 10):
            rubbish = house(voltage_l1=230 + at / 1e4, reactive_energy_export=chance.uniform(-2e6, 2e6))
            verdict = judge.judge(rubbish, at)
            if verdict.accepted:
                assert verdict.values["energy_import"] == 5000.0
                assert verdict.values["reactive_energy_export"] is None
                seen.append(at)
        assert seen == list(range(seen[0], 1200, 10))
        assert seen[0] <= 10 + 300 + 10

    @pytest.mark.parametrize("spike", [1000.0, 3427.5, 117_000.0])
    def test_t7_t10_thousands_of_kilowatt_hours_and_back_again(self, house: House, spike: float) -> None:
        judge = Plausibility(44_000)
        assert judge.judge(house(5000.0), 0).accepted
        for at in (10, 10.3, 20, 20.3, 30, 60, 120):
            verdict = judge.judge(house(5000.0 + spike), at)
            assert verdict.outcome is Outcome.SUSPECT
            assert verdict.values == {}
        verdict = judge.judge(house(5000.2), 130)
        assert verdict.accepted
        assert verdict.message is None

    @pytest.mark.parametrize("watts", [60_000, 420_000, 3_000_000, 100_663_298])
    def test_t11_a_single_wild_power_and_its_repetition(self, house: House, watts: int) -> None:
        judge = Plausibility(44_000)
        assert judge.judge(house(), 0).accepted
        for at in (10, 10.3):
            verdict = judge.judge(house(power_import=watts), at)
            assert {reason.rule for reason in verdict.reasons} == {"max_power", "phases"}
            assert not verdict.accepted
        verdict = judge.judge(house(), 20)
        assert verdict.accepted
        assert verdict.message is None

    def test_a_decimal_shift(self, house: House) -> None:
        judge = Plausibility(44_000)
        assert judge.judge(house(35_548.0), 0).accepted
        assert not judge.judge(house(355_549.0), 10).accepted
        assert judge.judge(house(35_548.02), 20).accepted

    def test_export_that_dips_and_comes_back(self, house: House) -> None:
        judge = Plausibility(44_000)
        export = {"energy_export": 95.0, "energy_total": 5095.0}
        dip = {"energy_export": 33.0, "energy_total": 5095.0}
        assert judge.judge(house(**export), 0).accepted
        assert not judge.judge(house(**dip), 10).accepted
        assert judge.judge(house(**export), 20).accepted
