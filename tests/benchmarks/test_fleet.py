"""The load generator against a real broker: few gateways, but counted as the many are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fleet
from nesgw.config.settings import MqttSettings
from nesgw.publishers.topics import Topics

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.alone


def _measured(plan: fleet.Plan) -> dict[str, float]:
    return {row.figure.removeprefix("fleet: "): row.measured for row in fleet.measure(plan)}


def test_what_was_told_arrives_once() -> None:
    found = _measured(fleet.Plan(gateways=3, meters=2, interval=0.5, seconds=4.0))
    assert found["messages"] > 10
    assert (found["lost"], found["doubled"], found["replaced"]) == (0, 0, 0)
    assert found["broker memory"] > 0


def test_everybody_comes_back_after_the_broker_and_nothing_is_lost() -> None:
    found = _measured(fleet.Plan(gateways=3, meters=2, interval=0.5, seconds=6.0, acl=True, restart=True))
    assert found["last gateway is back"] < 15
    assert found["lost"] == 0
    assert found["broken off"] <= 6  # of each meter at most the one that was on its way
    assert found["last one noticed"] < 1.0
    # What is told while there is no broker is replaced by what is newer, as the state topic promises.
    assert found["replaced"] > 0


def test_a_broker_without_memory_is_noticed_and_everybody_comes_back_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet, "FULL", 4.0)
    monkeypatch.setattr(fleet, "LOOK", 4.0)
    found = _measured(fleet.Plan(gateways=2, meters=2, interval=0.5, seconds=4.0, discovery=False, fill="memory"))
    assert found["last one noticed"] < 2.0
    assert found["lost"] == 0


def test_a_store_that_is_away_for_longer_than_the_queue_lasts_loses_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "FULL", 3.0)
    monkeypatch.setattr(fleet, "LOOK", 1.0)
    monkeypatch.setattr(fleet, "DRAIN", 2.0)
    plan = fleet.Plan(gateways=2, meters=2, interval=0.25, seconds=3.0, discovery=False, fill="queue")
    assert _measured(plan)["lost"] == 0
    monkeypatch.setattr(fleet, "USUAL_QUEUE", 20)
    found = _measured(plan)
    assert 0 < found["lost"] < 3.0 * 4 / 0.25 + 8


DISTURBED = 1000.0  # a moment of the monotonic clock
NOTICED = DISTURBED + 25.0


@pytest.mark.parametrize(
    ("told", "broken_off"),
    [
        (DISTURBED - 2.0, False),  # the broker had all the time in the world
        (DISTURBED - 0.5, True),  # on its way
        (DISTURBED + 20.0, True),  # into a line that was dead, and seemed sound
        (NOTICED + 1.0, False),
    ],
)
def test_only_what_was_on_its_way_may_be_lost_with_a_connection(told: float, broken_off: bool) -> None:
    gateway = _gateway_whose_connection_broke(NOTICED)
    assert gateway.broke_off(told, DISTURBED) is broken_off
    assert not gateway.broke_off(told, None)  # nobody disturbed anything: whatever is missing is lost


def test_a_connection_that_breaks_long_after_a_disturbance_is_no_excuse() -> None:
    gateway = _gateway_whose_connection_broke(DISTURBED + 90.0)
    assert not gateway.broke_off(DISTURBED + 20.0, DISTURBED)


def _gateway_whose_connection_broke(moment: float) -> fleet.FleetGateway:
    gateway = fleet.FleetGateway("g", MqttSettings(), range(1), fleet.Sample.read())
    gateway.publisher.stop()
    gateway.breaks = [moment]
    return gateway


def test_each_meter_has_a_number_and_a_discovery_of_its_own() -> None:
    topics, sample = Topics(fleet.BASE, "g"), fleet.Sample.read()
    one, two = (fleet.FleetMeter(topics, sample, number) for number in (1, 2))
    said = [{message.topic for message in meter.introduction(60.0, discovery=True)} for meter in (one, two)]
    assert len(said[0]) == 3
    assert not said[0] & said[1]


def test_a_mistake_is_one_sentence() -> None:
    command = [sys.executable, "-m", "benchmarks.fleet", "--broker", "nonsense"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (64, 1)
    assert "invalid _address value: 'nonsense'" not in ended.stderr
