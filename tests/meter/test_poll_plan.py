"""What a poll reads where the port asks for one read a second on average."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nesgw.meter.poll_plan import PollPlan
from nesgw.values import Reading

OPTICAL = None  # asks for no average


def reading(energy: float | None, power: int) -> Reading:
    tables = {"BT28": b""} if energy is None else {"BT23": b"", "BT28": b""}
    return Reading(datetime(2026, 11, 20, tzinfo=UTC), {"energy_import": energy, "power_import": power}, tables)


@pytest.mark.parametrize("interval", [1.0, 2.0, 10.0, 3600.0])
def test_the_optical_port_reads_all_in_each_poll_and_leaves_no_beat_out(interval: float) -> None:
    plan = PollPlan(interval)
    plan.accepted(reading(1.0, 100))
    assert plan.wants_energies(OPTICAL, 1.0)
    assert not plan.leaves_out(OPTICAL)


def after_a_reading(interval: float = 1.0, at: float = 0.0) -> PollPlan:
    plan = PollPlan(interval)
    assert plan.wants_energies(0, at), "there are none yet"
    plan.accepted(reading(1.5, 100))
    return plan


def test_the_energies_are_read_while_there_are_reads_to_spare() -> None:
    assert after_a_reading().wants_energies(20, 1.0)
    assert not after_a_reading().wants_energies(19, 1.0)


@pytest.mark.parametrize(("interval", "after"), [(1.0, 9), (2.0, 8), (5.0, 5), (10.0, 10)])
def test_the_energies_are_read_every_ten_seconds_at_least(interval: float, after: int) -> None:
    plan = after_a_reading(interval)
    assert next(n * interval for n in range(1, 12) if plan.wants_energies(0, n * interval)) == after


def test_energies_that_were_not_accepted_are_asked_for_again_at_once() -> None:
    plan = after_a_reading()
    assert plan.wants_energies(0, 9.0)
    assert plan.wants_energies(0, 10.0)
    plan.accepted(reading(1.6, 100))
    assert not plan.wants_energies(0, 11.0)


def test_a_reading_without_energies_puts_none_off() -> None:
    plan = after_a_reading()
    plan.accepted(reading(None, 200))
    assert plan.wants_energies(0, 9.0)


@pytest.mark.parametrize(("interval", "spare", "left_out"), [(1.0, 1, True), (1.0, 2, False), (2.0, 0, False)])
def test_a_beat_is_left_out_only_where_polls_alone_use_up_the_average(
    interval: float, spare: int, left_out: bool
) -> None:
    assert PollPlan(interval).leaves_out(spare) is left_out


def test_of_another_meter_they_are_read_at_once() -> None:
    plan = after_a_reading()
    plan.forget()
    assert plan.wants_energies(0, 1.0)
