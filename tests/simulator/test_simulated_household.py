"""What the household's numbers must have in common with those of real houses (captures, lessons 4 to 13)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.simulator import SimulatedMeter, Truth
from nesgw.simulator.household import build, utc_offset

Make = Callable[..., Any]

MORNING = datetime.datetime(2026, 11, 20, 8, 30, tzinfo=datetime.UTC)
DAY = 86_400.0


def meter(profile: str = "83331-3i", **settings: Any) -> SimulatedMeter:
    """A meter whose seconds begin at 0."""
    return SimulatedMeter(profile, clock=lambda: 0.0, epoch=MORNING, **settings)


def through_a_day(profile: str, step: float = 613.0) -> list[Truth]:
    watched = meter(profile)
    return [watched.truth(step * number) for number in range(int(DAY / step))]


def test_the_same_seed_is_the_same_house_and_another_is_not() -> None:
    one, same, other = meter(seed=7), meter(seed=7), meter(seed=8)
    assert one.truth(4321.0) == same.truth(4321.0)
    assert one.truth(4321.0) != other.truth(4321.0)


def test_energy_is_power_through_time() -> None:
    for profile, begin in (("83331-3i", 0.0), ("83331-3i-solar", 10_800.0)):
        watched = meter(profile)
        first = watched.truth(begin)
        forward = reverse = 0
        for second in range(3600):
            present = watched.truth(begin + second).present
            forward += present[0]
            reverse += present[1]
        last = watched.truth(begin + 3600.0)
        assert last.summations[0] - first.summations[0] == pytest.approx(forward / 3600, abs=1)
        assert last.summations[1] - first.summations[1] == pytest.approx(reverse / 3600, abs=1)


def test_a_jump_of_two_days_ends_where_small_steps_end() -> None:
    for profile in ("83331-3i-solar", "gen4-4.30"):
        strolling, jumping = meter(profile), meter(profile)
        for step in range(96):
            strolling.truth(1800.0 * step)
        assert strolling.truth(2 * DAY).summations == jumping.truth(2 * DAY).summations
        assert strolling.truth(2 * DAY).tiers == jumping.truth(2 * DAY).tiers


def test_registers_never_fall_and_stand_still_between_refreshes() -> None:
    watched = meter("83331-3i-solar")
    last = watched.truth(0.0)
    for number in range(1, 500):
        now = watched.truth(0.3 * number)
        for register in (0, 1, 2, 3, 6):
            assert now.summations[register] >= last.summations[register]
        last = now
    assert watched.truth(500.0) == watched.truth(500.4)
    assert watched.truth(500.0) != watched.truth(501.0)


def test_total_power_is_the_net_of_the_phases_and_has_one_direction() -> None:
    seen = set()
    for truth in through_a_day("83331-3i-solar"):
        present = truth.present
        phases = sum(present[n] for n in (26, 27, 28))
        phases -= sum(present[n] for n in (29, 30, 31))
        assert phases - (present[0] - present[1]) in (0, 1)
        assert present[0] == 0 or present[1] == 0
        seen.add("import" if present[0] else "export")
        seen.add("mixed" if present[0] and present[30] else "plain")
    assert seen == {"import", "export", "mixed", "plain"}


def test_phases_agree_with_themselves() -> None:
    for profile in ("83331-3i", "83331-3i-solar"):
        for truth in through_a_day(profile):
            present = truth.present
            products = [present[4 + phase] * present[7 + phase] / 1e6 for phase in range(3)]
            assert present[12] == pytest.approx(sum(products), abs=3)
            for phase, (factor, sine) in enumerate(((10, 15), (13, 16), (14, 17))):
                signed = present[26 + phase] - present[29 + phase]
                assert present[factor] == pytest.approx(1000 * signed / products[phase], abs=5)
                assert abs(present[sine]) <= 1000
                assert 215_000 < present[7 + phase] < 240_000


def test_reactive_power_falls_into_one_quadrant_by_both_directions() -> None:
    for truth in through_a_day("83331-3i-solar"):
        present = truth.present
        assert present[2] == 0 or present[3] == 0
        assert present[22] + present[23] == present[2]
        assert present[24] + present[25] == present[3]
        if present[3]:
            assert present[25 if present[0] or not present[1] else 24] == present[3]


def test_frequency_knows_two_values() -> None:
    assert {truth.present[11] for truth in through_a_day("83331-3i")} == {50_000, 50_050}


def test_register_6_is_the_sum_within_3_wh_and_register_7_is_not_the_difference() -> None:
    steps = set()
    for truth in through_a_day("83331-3i-solar"):
        registers = truth.summations
        assert abs(registers[6] - registers[0] - registers[1]) <= 3
        steps.add(registers[6] - registers[0] - registers[1])
        assert registers[0] - registers[1] - registers[7] == pytest.approx(2355, abs=2)
    assert len(steps) > 1  # it steps at moments of its own


def test_reverse_energy_is_never_exactly_zero() -> None:
    assert meter().truth(0.0).summations[1] == 201


def test_two_tiers_share_the_total_exactly() -> None:
    watched = meter("83331-3i-solar")
    start = watched.truth(0.0)
    for truth in (watched.truth(5000.0 * number) for number in range(60)):
        for register in (0, 1, 2, 3):
            assert sum(tier[register] for tier in truth.tiers) == truth.summations[register]
        assert truth.tiers[0][4] == truth.tiers[1][8] == 0
        assert truth.tiers[1][7] + truth.tiers[0][7] == truth.summations[7]
    assert start.tiers[1][0] == 21_334_180 * 38 // 100  # both have counted for years
    assert truth.tiers[0][0] > start.tiers[0][0] > 0
    assert truth.tiers[1][0] > start.tiers[1][0]


def test_tiers_go_back_before_the_start_as_they_go_on_after_it() -> None:
    begun = meter("83331-3i-solar")
    earlier = begun._registers.then(begun._start_ms - 40 * 86_400_000 - 1234)
    for register in (0, 1, 2, 3):
        assert sum(tier[register] for tier in earlier.tiers) == earlier.summations[register]
    # From noon on nothing more counts in the night's tier until ten o'clock.
    noon = begun._start_ms - 10 * 86_400_000 + 2 * 3_600_000
    first, later = begun._registers.then(noon), begun._registers.then(noon + 9 * 3_600_000)
    assert first.tiers[1] == later.tiers[1]
    assert first.tiers[0][0] < later.tiers[0][0]
    night = begun._registers.then(noon + 12 * 3_600_000)
    assert night.tiers[1][0] > later.tiers[1][0]


def test_a_house_with_one_tier_has_everything_in_the_first() -> None:
    truth = meter().truth(9000.0)
    assert truth.tiers[0][0] == truth.summations[0]
    assert truth.tiers[0][6] == truth.summations[6]
    assert not any(truth.tiers[1].values())


def test_the_tariff_changes_by_local_time() -> None:
    # 22 h local is 21 h UTC in November: 12.5 hours after half past eight.
    watched = meter("83331-3i-solar")
    assert watched.image(55, 12.5 * 3600 - 61)[7] == 0
    assert watched.image(55, 12.5 * 3600 + 1)[7] == 1


def test_a_single_phase_house_has_nothing_on_the_others() -> None:
    present = meter("single-phase").truth(100.0).present
    assert present[4] > 0
    assert [present[n] for n in (5, 6, 8, 9, 13, 14, 27, 28)] == [0] * 8


def test_behind_transformers_power_is_secondary_and_its_twins_are_primary() -> None:
    watched = meter("ct")
    present = watched.truth(100.0).present
    assert present[18] // 40 == present[0] > 0
    assert present[32] // 40 == present[26]
    assert present[38] / present[4] == pytest.approx(40, rel=0.1)
    # Energy counts the primary side, in tens of watt hours.
    first, last = watched.truth(0.0).summations[0], watched.truth(3600.0).summations[0]
    mean = sum(watched.truth(10.0 * n).present[18] for n in range(360)) / 360
    assert 10 * (last - first) == pytest.approx(mean, rel=0.02)


def test_a_frame_is_not_of_one_moment() -> None:
    watched = meter()
    differences = [watched.truth(float(n)).present for n in range(100)]
    assert any(present[41] != present[7] for present in differences)
    assert all(abs(present[41] - present[7]) < 2500 for present in differences)


def test_registers_wrap_at_their_digits() -> None:
    watched = meter(registers=((0, 99_990), (1, 201)), register_digits=5)
    assert watched.truth(0.0).summations[0] == 99_990
    assert watched.truth(3600.0).summations[0] < 99_990


def test_outages_count_in_minutes_on_the_oldest_firmware() -> None:
    assert meter("gen2-2.01").truth(0.0).summations[4] == 60
    assert meter("gen3-2.12").truth(0.0).summations[4] == 3600


def test_demand_is_a_quarter_of_an_hours_mean_and_keeps_its_maximum() -> None:
    watched = meter("gen4-4.30", demands=meter("gen4-4.30").profile.demands)
    first = watched.truth(450.0)
    assert first.time_left == 450
    later = watched.truth(2 * DAY)
    assert later.demands[1].maximum > 310  # the roof fed back more than ever
    assert later.demands[1].time > (26, 11, 20, 0, 0)
    assert [c.value for c in later.coincidents[:2]] == [21_000, 229_500] or later.demands[0].maximum > 4600


def test_a_year_costs_no_more_than_its_patterns() -> None:
    watched = meter("83331-3i-solar", seed=365)
    before = build.cache_info().misses
    watched.truth(365 * DAY)
    assert build.cache_info().misses - before <= 96


@pytest.mark.parametrize(
    ("moment", "minutes"),
    [
        ("2026-03-29T00:59:59", 60),
        ("2026-03-29T01:00:00", 120),
        ("2026-10-25T00:59:59", 120),
        ("2026-10-25T01:00:00", 60),
        ("2024-03-31T01:00:00", 120),  # the last of the month itself
        ("2026-01-01T00:00:00", 60),
    ],
)
def test_summer_time_begins_and_ends_on_last_sundays(moment: str, minutes: int) -> None:
    at = datetime.datetime.fromisoformat(moment + "+00:00")
    assert utc_offset(int(at.timestamp()) * 1000) == minutes
