"""The names of topics, to the letter of the contract."""

from __future__ import annotations

import pytest

from nesgw.publishers.topics import Topics, slug

TOPICS = Topics("nesgw", "attic-pi")


def test_the_topics_are_those_of_the_contract() -> None:
    assert TOPICS.gateway_availability == "nesgw/gateway/attic-pi/availability"
    assert TOPICS.gateway_status == "nesgw/gateway/attic-pi/status"
    assert TOPICS.gateway_discovery == "homeassistant/device/nesgw_gateway_attic-pi/config"
    assert TOPICS.info("4711") == "nesgw/4711/info"
    assert TOPICS.availability("4711") == "nesgw/4711/availability"
    assert TOPICS.state("4711") == "nesgw/4711/state"
    assert TOPICS.status("4711") == "nesgw/4711/status"
    assert TOPICS.value("4711", "power") == "nesgw/4711/value/power"
    assert TOPICS.discovery("4711") == "homeassistant/device/nesgw_4711/config"
    assert TOPICS.alarms_discovery("4711") == "homeassistant/device/nesgw_4711_alarms/config"


def test_base_and_prefix_are_configured() -> None:
    topics = Topics("home/meters", "pi", "ha")
    assert topics.state("4711") == "home/meters/4711/state"
    assert topics.discovery("4711") == "ha/device/nesgw_4711/config"


@pytest.mark.parametrize(
    ("topic", "meter", "gateway"),
    [
        ("nesgw/4711/state", "4711", None),
        ("nesgw/4711/value/power_import_l1", "4711", None),
        ("homeassistant/device/nesgw_4711/config", "4711", None),
        ("homeassistant/device/nesgw_4711_alarms/config", "4711", None),
        ("homeassistant/device/nesgw_gateway_alarms/config", None, "alarms"),
        ("homeassistant/device/nesgw_4711_others/config", None, None),
        ("homeassistant/device/nesgw_gateway_attic-pi/config", None, "attic-pi"),
        ("nesgw/gateway/attic-pi/availability", None, "attic-pi"),
        ("nesgw/gateway/other/status", None, "other"),
        ("homeassistant/device/zigbee_4711/config", None, None),
        ("nesgw/4711/something", None, None),
        ("nesgwx/4711/state", None, None),
    ],
)
def test_whose_a_topic_is_can_be_told(topic: str, meter: str | None, gateway: str | None) -> None:
    assert TOPICS.meter_of(topic) == meter
    assert TOPICS.gateway_of(topic) == gateway


def test_a_meter_is_removed_discovery_first() -> None:
    assert TOPICS.of_meter("4711")[0] == TOPICS.discovery("4711")


@pytest.mark.parametrize(("text", "expected"), [("house", "house"), ("summer-house", "summer_house"), ("A  b!", "a_b")])
def test_entity_ids_know_letters_digits_and_underscores(text: str, expected: str) -> None:
    assert slug(text) == expected
