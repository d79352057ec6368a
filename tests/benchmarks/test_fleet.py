"""The load generator against a real broker: few gateways, but counted as the many are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fleet
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
    # What is told while there is no broker is replaced by what is newer, as the state topic promises.
    assert found["replaced"] > 0


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
