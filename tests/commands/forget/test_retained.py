"""What nesgw left on a broker is told from its messages; what others left is not touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nesgw.commands.forget.retained import find, plain
from nesgw.publishers.topics import Topics

TOPICS = Topics("nesgw", "attic")


def a_meter(meter: Any, gateway: str = "attic", availability: str = "online", name: str = "House") -> dict[str, Any]:
    """The retained messages of one meter, as a daemon leaves them."""
    return {
        f"homeassistant/device/nesgw_{meter}/config": json.dumps(
            {
                "device": {"name": name, "via_device": f"nesgw_gateway_{gateway}"},
                "availability": [
                    {"topic": f"nesgw/gateway/{gateway}/availability"},
                    {"topic": f"nesgw/{meter}/availability"},
                ],
            }
        ),
        f"nesgw/{meter}/availability": availability,
        f"nesgw/{meter}/state": '{"time":"2026-11-20T10:21:05.120Z","power":512}',
        f"nesgw/{meter}/status": '{"last_read":"2026-11-20T10:21:05.120Z","consecutive_failures":0}',
        f"nesgw/{meter}/info": '{"manufacturer":"ELON","model":"83331-3I","utility_serial":"4080123456"}',
        f"nesgw/{meter}/value/power": "512",
    }


def a_gateway(gateway: str = "attic", availability: str = "online", **meters: Any) -> dict[str, Any]:
    status = {"meters": {name: {"id": meter} for name, meter in meters.items()}}
    return {
        f"homeassistant/device/nesgw_gateway_{gateway}/config": "{}",
        f"nesgw/gateway/{gateway}/availability": availability,
        f"nesgw/gateway/{gateway}/status": json.dumps(status),
    }


def test_a_meter_and_its_gateway() -> None:
    meter, gateway = find(a_meter("4080123456") | a_gateway(house="4080123456"), TOPICS)
    assert (meter.id, meter.name) == ("4080123456", "House, ELON 83331-3I")
    assert meter.last_read == datetime(2026, 11, 20, 10, 21, 5, 120_000, UTC)
    assert (meter.online, meter.ours, meter.gateways) == (True, True, ("attic",))
    assert meter.topics == (
        "homeassistant/device/nesgw_4080123456/config",
        "nesgw/4080123456/availability",
        "nesgw/4080123456/state",
        "nesgw/4080123456/status",
        "nesgw/4080123456/info",
        "nesgw/4080123456/value/power",
    )
    assert (gateway.id, gateway.online, gateway.ours) == ("gateway/attic", True, True)
    assert gateway.topics == (
        "homeassistant/device/nesgw_gateway_attic/config",
        "nesgw/gateway/attic/availability",
        "nesgw/gateway/attic/status",
    )


@pytest.mark.parametrize(("meter", "gateway"), [("offline", "online"), ("online", "offline"), ("offline", "offline")])
def test_a_meter_is_online_only_while_all_that_it_depends_on_is(meter: str, gateway: str) -> None:
    retained = a_meter("1", availability=meter) | a_gateway(availability=gateway)
    assert not find(retained, TOPICS)[0].online


def test_a_meter_whose_process_was_killed_is_offline_although_it_never_said_so() -> None:
    retained = a_meter("1") | a_gateway(availability="offline", house="1")
    del retained["homeassistant/device/nesgw_1/config"]  # Home Assistant is off
    assert not find(retained, TOPICS)[0].online


def test_a_water_meter_behind_a_meter_is_online_while_that_is() -> None:
    water = {
        "homeassistant/device/nesgw_kam77/config": json.dumps(
            {
                "device": {"name": "Water meter 77", "via_device": "nesgw_1"},
                "availability": [{"topic": "nesgw/gateway/attic/availability"}, {"topic": "nesgw/1/availability"}],
            }
        ),
        "nesgw/kam77/state": '{"time":"2026-11-20T10:00:00Z","volume":12.5}',
    }
    found = {each.id: each for each in find(water | a_meter("1") | a_gateway(), TOPICS)}
    assert found["kam77"].online
    assert found["kam77"].name == "Water meter 77"
    gone = find(water | a_meter("1", availability="offline") | a_gateway(), TOPICS)
    assert not any(each.online for each in gone if each.id == "kam77")


def test_the_meters_of_another_gateway_are_not_ours() -> None:
    retained = a_meter("1", gateway="barn") | a_gateway("barn", shed="1")
    assert [(each.id, each.ours) for each in find(retained, TOPICS)] == [("1", False), ("gateway/barn", False)]
    assert find(retained, TOPICS)[0].gateways == ("barn",)


@pytest.mark.parametrize(
    "retained",
    [
        {"nesgw/kitchen/state": "on", "nesgw/kitchen/availability": "online"},
        {"nesgw/kitchen/state": '{"time":"2026-11-20T10:21:05Z","brightness":7}'},
        {"nesgw/kitchen/status": '{"battery":88}', "nesgw/kitchen/info": '{"model":"lamp"}'},
        {"nesgw/kitchen/status": "[1]", "nesgw/kitchen/info": "null"},
        {"homeassistant/device/zigbee_1/config": "{}", "nesgw/a/b/c": "1", "homeassistant/light/nesgw_1/config": "{}"},
    ],
)
def test_what_others_keep_under_the_same_base_topic_is_not_named(retained: dict[str, str]) -> None:
    assert find(retained, TOPICS) == []


def test_the_one_that_the_user_names_is_taken_at_their_word() -> None:
    (rest,) = find({"nesgw/1/availability": "offline"}, TOPICS, named="1")
    assert rest.topics == ("nesgw/1/availability",)
    assert find({"nesgw/1/availability": "offline"}, TOPICS, named="2") == []


@pytest.mark.parametrize("kept", ["info", "status", "state"])
def test_any_message_that_only_nesgw_writes_is_proof_enough(kept: str) -> None:
    topic = f"nesgw/1/{kept}"
    (meter,) = find({topic: a_meter("1")[topic]}, TOPICS)
    assert meter.topics == (topic,)
    assert not meter.online


def test_damaged_messages_are_no_reason_to_fail() -> None:
    retained = dict.fromkeys(a_meter("1") | a_gateway(house="1"), "{") | {"nesgw/gateway/attic/status": '{"meters":[]}'}
    meter, gateway = find(retained, TOPICS)
    assert (meter.id, meter.name, meter.online, meter.last_read) == ("1", "a meter", False, None)
    assert gateway.id == "gateway/attic"


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("4080123456", "4080123456"),
        ("NES 4080-123456", "nes4080123456"),
        ("gateway/attic_2", "gateway/attic_2"),
        ("+/#", ""),
    ],
)
def test_a_serial_number_may_be_typed_as_it_stands_on_the_meter(typed: str, means: str) -> None:
    assert plain(typed) == means
