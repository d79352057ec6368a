"""What a poll reads where the port asks for one read a second on average."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nesgw.meter.poll_plan import PollPlan
from nesgw.values import Reading

ENERGIES = frozenset({"energy_import"})
OPTICAL = None  # asks for no average


def reading(energy: float | None, power: int) -> Reading:
    tables = {"BT28": b""} if energy is None else {"BT23": b"", "BT28": b""}
    return Reading(datetime(2026, 11, 20, tzinfo=UTC), {"energy_import": energy, "power_import": power}, tables)


@pytest.mark.parametrize("interval", [1.0, 2.0, 10.0, 3600.0])
def test_the_optical_port_reads_all_in_each_poll_and_leaves_no_beat_out(interval: float) -> None:
    plan = PollPlan(interval)
    plan.completed(reading(1.0, 100), ENERGIES, 0.0)
    assert plan.wants_energies(OPTICAL, 1.0)
    assert not plan.leaves_out(OPTICAL)


def test_the_energies_are_read_while_there_are_reads_to_spare() -> None:
    plan = PollPlan(1.0)
    plan.completed(reading(1.0, 100), ENERGIES, 0.0)
    assert plan.wants_energies(20, 1.0)
    assert not plan.wants_energies(19, 1.0)


def test_the_energies_are_read_every_ten_seconds_in_any_case() -> None:
    plan = PollPlan(1.0)
    assert plan.wants_energies(0, 0.0), "none were read yet"
    plan.completed(reading(1.0, 100), ENERGIES, 0.4)
    assert [second for second in range(1, 12) if plan.wants_energies(0, float(second))] == [10, 11]


@pytest.mark.parametrize(("interval", "spare", "left_out"), [(1.0, 1, True), (1.0, 2, False), (2.0, 0, False)])
def test_a_beat_is_left_out_only_where_polls_alone_use_up_the_average(
    interval: float, spare: int, left_out: bool
) -> None:
    assert PollPlan(interval).leaves_out(spare) is left_out


def test_a_reading_without_energies_has_those_that_were_accepted_last() -> None:
    plan = PollPlan(1.0)
    plan.completed(reading(1.5, 100), ENERGIES, 0.0)
    assert plan.completed(reading(None, 200), ENERGIES, 1.0).values == {"energy_import": 1.5, "power_import": 200}


def test_of_another_meter_there_are_none() -> None:
    plan = PollPlan(1.0)
    plan.completed(reading(1.5, 100), ENERGIES, 0.0)
    plan.forget()
    assert plan.wants_energies(0, 1.0)
    assert plan.completed(reading(None, 200), ENERGIES, 1.0).values["energy_import"] is None
