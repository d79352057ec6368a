"""One meter's loop over its MEP port, in virtual time: the guide's pace, what the port has to say, and the key."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from nesgw.mep.pace import AHEAD
from tests.faults.rig import Rig

STEADY = 200.0  # seconds after which what could be read ahead of the average is used up


class MepRig(Rig):
    """A worker on a MEP port, and what it asks for when, which is what the guide limits."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, interface="mep", **options)

    @property
    def requests(self) -> list[tuple[float, int]]:
        """When, and of which table."""
        return [(at - self.start, int.from_bytes(data[3:5], "big")) for at, data in self.line.written]

    def asked(self, table: int) -> list[float]:
        return [at for at, number in self.requests if number == table]

    @property
    def monitor(self) -> Any:
        return self.line.port.monitor


def within_the_guide(rig: MepRig) -> bool:
    """100 ms from one request to the next, and one a second on average, but for what may be ahead of that."""
    times = [at for at, _ in rig.requests]
    most = max(end - begin - (later - earlier) for begin, end, earlier, later in spans(times))
    return bool(rig.monitor.too_soon == 0 and most <= AHEAD)


def spans(times: list[float]) -> Iterator[Any]:
    """Every request with every later one, as counts and times, from a few beginnings."""
    for begin in range(0, len(times), 50):
        for end in range(begin, len(times), 7):
            yield begin, end + 1, times[begin], times[end]


@pytest.fixture(scope="module")
def every_second(tmp_path_factory: pytest.TempPathFactory) -> MepRig:
    """A quarter of an hour of polls a second apart."""
    rig = MepRig(tmp_path_factory.mktemp("mep"), interval=1.0)
    rig.run(900)
    return rig


@pytest.mark.parametrize("interval", [1.5, 2.0, 10.0])
def test_the_guides_pace_holds_at_every_interval_and_nothing_wrong_is_published(
    interval: float, tmp_path: Path
) -> None:
    rig = MepRig(tmp_path, interval=interval).run(400)
    assert rig.worker.status.failures == {}
    assert sound(rig)


def sound(rig: MepRig) -> bool:
    return within_the_guide(rig) and not rig.broker.wrong and not rig.monitor.forbidden and not rig.monitor.while_off


def test_every_second_the_guides_pace_holds_and_nothing_wrong_is_published(every_second: MepRig) -> None:
    assert sound(every_second)


def test_every_second_power_is_read_in_most_beats_and_energies_every_ten_seconds(every_second: MepRig) -> None:
    """One read a second is what the guide grants: each that is no reading of BT28 costs a beat."""
    steady = [at for at in every_second.read_at if at > STEADY]
    energies = [at for at in every_second.asked(23) if at > STEADY]
    assert max(later - earlier for earlier, later in pairwise(steady)) < 2.6
    assert len(steady) > 0.75 * (900 - STEADY)
    assert max(later - earlier for earlier, later in pairwise(energies)) < 12.0
    others = [at for at, table in every_second.requests if at > STEADY and table not in (23, 28)]
    assert len(others) > 2 * (900 - STEADY) / 60, "the slow tables have their turn"
    assert every_second.broker.availability[-1][2] == "online"


def test_every_second_energies_that_were_not_read_in_this_poll_are_null_and_never_the_last_ones(
    every_second: MepRig,
) -> None:
    """All of a state object is of its own poll: ``sound`` compares it with what the meter held just then."""
    facts = every_second.worker.facts
    assert facts
    read = {part.name for part in facts.layout.parts_of(23)}
    energies = {cell.key for cell in facts.layout.cells if cell.read in read}
    with_energies = [at for at, state in every_second.broker.states if state["energy_import"] is not None]
    assert len(with_energies) < len(every_second.broker.states) / 2
    assert max(later - earlier for earlier, later in pairwise(with_energies)) < 12.0
    for _, state in every_second.broker.states:
        assert energies < set(state)
        assert len({state[key] is None for key in energies}) == 1
        assert None not in {state[key] for key in set(state) - energies}


def test_every_second_it_is_said_once_why_the_energies_are_null(tmp_path: Path, logged: list[EventDict]) -> None:
    MepRig(tmp_path, interval=1.0).run(300)
    assert sum("the energies every ten seconds" in line["event"] for line in logged) == 1


def test_at_two_seconds_every_beat_is_polled(tmp_path: Path) -> None:
    rig = MepRig(tmp_path, interval=2.0).run(600)
    assert len(rig.broker.states) >= 298


def test_at_three_seconds_and_more_every_reading_has_its_energies(tmp_path: Path, logged: list[EventDict]) -> None:
    rig = MepRig(tmp_path, interval=3.0).run(1800)
    assert len(rig.broker.states) >= 598
    assert all(state["energy_import"] is not None for _, state in rig.broker.states)
    assert not any("poll_interval" in line["event"] for line in logged)


def test_bt28_is_one_instant(tmp_path: Path) -> None:
    """One read a poll; on the optical port its values may be of two."""
    rig = MepRig(tmp_path).run(120)
    polls = [at for at in rig.asked(28) if at > 9.0]
    assert len(polls) == len([at for at in rig.read_at if at > 9.0])


def test_a_meter_whose_dimensions_change_is_learnt_again_before_anything_of_it_is_published(tmp_path: Path) -> None:
    """Two present demands more, and BT28's values stand eight bytes further; the meter moves its number by 25."""
    rig = MepRig(tmp_path)
    actual = rig.line.meter.profile.actual

    def change() -> None:
        shape = dataclasses.replace(actual, present_demands=actual.present_demands + 2)
        rig.line.meter.reconfigure(actual=shape, present_demand_sources=(8, 9))
        rig.line.port.change_dimensions()

    rig.at = {65.0: change}
    rig.run(140)
    assert rig.broker.wrong == []
    assert len([at for at in rig.read_at if at > 65.0]) == 7, "the beats of 70 s to 130 s"
    assert rig.worker.status.failures == {}
    assert len(rig.asked(2048 + 4)) >= 2


def test_a_number_that_jumps_for_another_reason_costs_one_read_of_one_byte(tmp_path: Path) -> None:
    rig = MepRig(tmp_path)
    rig.at = {65.0: rig.line.port.change_dimensions}
    rig.run(100)
    versions = [at for at in rig.asked(2048 + 4) if at > 65.0]
    assert len(versions) == 1
    assert len(rig.asked(1)) == 2, "who it is was asked and confirmed at the start, and not again"


@pytest.mark.expects_warnings("stiff 5 to 12 V")
def test_a_weak_enable_is_a_notice_on_the_status_with_its_cure_and_said_once(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    rig = MepRig(tmp_path, manners={"weak_after": 101}).run(300)
    assert "stiff 5 to 12 V" in rig.broker.statuses[-1]["notice"]
    assert sum("stiff 5 to 12 V" in line["event"] for line in logged) == 1
    assert rig.broker.wrong == []
    assert len(rig.broker.states) >= 28


@pytest.mark.expects_warnings("stiff 5 to 12 V")
def test_the_notice_goes_when_enable_is_fed_well(tmp_path: Path) -> None:
    rig = MepRig(tmp_path, manners={"weak_after": 101})
    rig.at = {100.0: lambda: setattr(rig.line.port.manners, "weak_after", 0)}
    rig.run(900)
    assert rig.broker.statuses[-1]["notice"] is None


def test_a_registered_devices_alerts_are_said_once(tmp_path: Path, logged: list[EventDict]) -> None:
    MepRig(tmp_path, manners={"alerts": True}).run(300)
    assert sum("alerts" in line["event"] and "registered" in line["event"] for line in logged) == 1


def test_what_the_port_does_not_offer_is_said_once(tmp_path: Path, logged: list[EventDict]) -> None:
    MepRig(tmp_path).run(300)
    assert sum("BT03" in line["event"] for line in logged) == 1


@pytest.mark.expects_warnings("refused the key")
def test_a_refused_key_is_not_shown_again_for_minutes_and_its_form_is_said(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    rig = MepRig(tmp_path, key=b"another-key-20-bytes", key_form="20 characters").run(700)
    assert rig.monitor.keys_repeated == 0
    # One read with a number of ours, repeated once; again after five minutes; the third time is ten minutes later.
    assert len(rig.requests) == 4
    assert sum("taken as 20 characters" in line["event"] for line in logged) == 1
    assert rig.broker.states == []


def test_a_session_is_said_to_be_none(tmp_path: Path) -> None:
    rig = MepRig(tmp_path).run(60)
    text = json.loads((tmp_path / "house" / "status.json").read_text())
    assert text["session_reason"] == "this port knows no sessions"
    assert rig.worker.status.session == "keep-open"


def test_a_poll_takes_the_time_of_its_bytes_and_of_the_guides_pauses(tmp_path: Path) -> None:
    """BT28 is 220 bytes and BT23 45 of them; 22 and 13 around each, 20 ms to think twice, and one pause of 25 ms."""
    rig = MepRig(tmp_path).run(100)
    by_hand = 1000 * ((35 + 220 + 35 + 44) * 10 / 9600 + 2 * 0.020 + 0.025)
    assert rig.worker.status.poll_duration_ms <= 1.05 * by_hand
