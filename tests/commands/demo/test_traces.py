"""What is of a demonstration among a broker's retained messages, and what is in its way."""

from __future__ import annotations

import json

from nesgw.commands.demo.traces import ids_of_others, obstacle, traces
from tests.commands.forget.test_retained import a_gateway, a_meter

OWNERS = a_meter("1", gateway="attic") | a_gateway("attic", house="1")
DEMO = a_meter("2", gateway="demo", name="Demo house") | a_gateway("demo", house="2")
# It names the meter that it is behind, and depends on the gateway as all do.
WATER = {
    "homeassistant/device/nesgw_kam3/config": json.dumps(
        {
            "device": {"name": "Water meter 3", "via_device": "nesgw_2"},
            "availability": [{"topic": "nesgw/gateway/demo/availability"}, {"topic": "nesgw/2/availability"}],
        }
    ),
    "nesgw/kam3/state": "{}",
}


def test_all_of_it_goes_devices_first_and_nothing_else() -> None:
    doomed = traces(OWNERS | DEMO | WATER, "2", others=["1"])
    assert set(doomed) == set(DEMO | WATER)
    assert doomed[:3] == [
        "homeassistant/device/nesgw_2/config",
        "homeassistant/device/nesgw_gateway_demo/config",
        "homeassistant/device/nesgw_kam3/config",
    ]


def test_what_stood_there_under_such_a_number_before_stays() -> None:
    assert "nesgw/kam3/state" not in traces(DEMO | WATER, "2", others=["kam3"])


def test_what_is_left_without_its_announcement_goes_as_well() -> None:
    left = {"nesgw/2/info": DEMO["nesgw/2/info"]}
    assert traces(left, "2", others=[]) == ["nesgw/2/info"]


def test_the_owners_meters_are_those_of_other_gateways() -> None:
    assert ids_of_others(OWNERS | DEMO | WATER, "2") == {"1"}


def test_an_empty_broker_and_one_with_other_meters_are_free() -> None:
    assert obstacle({}, "2") is None
    assert obstacle(OWNERS, "2") is None


def test_a_demonstration_that_is_at_work_is_in_the_way_and_what_one_has_left_is_not() -> None:
    found = obstacle(DEMO, "2")
    assert found is not None
    assert found.problem == 'a gateway named "demo" is at work on it'
    assert obstacle(DEMO | {"nesgw/gateway/demo/availability": "offline"}, "2") is None


def test_a_real_meter_of_the_same_number_is_in_the_way() -> None:
    found = obstacle(OWNERS, "1")
    assert found is not None
    assert "(1)" in found.problem
    assert "--profile" in found.advice
