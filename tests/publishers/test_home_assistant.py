"""The discovery messages against what Home Assistant 2026.2 to 2026.11 takes.

The lists of options and classes are written by hand after Home Assistant's schemas (mqtt/schemas.py, sensor/const.py):
what it does not know it drops, the component's option in silence, or the whole message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from nesgw import HOMEPAGE, __version__
from nesgw.publishers import home_assistant
from nesgw.publishers.languages import Language
from nesgw.publishers.message import Message, Part
from nesgw.publishers.topics import Topics
from nesgw.tables.alarms import ALARMS, Alarm
from nesgw.tables.catalogue import FIELDS
from nesgw.tables.register import Field, Kind
from nesgw.values import Firmware, MeterIdentity
from tests.home_assistant import entity_ids, expanded

TOPICS = Topics("nesgw", "attic-pi")
IDENTITY = MeterIdentity("ELON", "83331-3I", Firmware(3, 84, 6), "6 1234-567", "M0042", "83331")

TOP = {"device", "origin", "components", "availability", "availability_mode", "state_topic", "qos"}
DEVICE = {"identifiers", "name", "manufacturer", "model", "serial_number", "hw_version", "sw_version", "via_device"}
ORIGIN = {"name", "sw_version", "support_url"}
SENSOR = {
    "platform",
    "unique_id",
    "default_entity_id",
    "name",
    "device_class",
    "state_class",
    "unit_of_measurement",
    "suggested_display_precision",
    "value_template",
    "state_topic",
    "entity_category",
    "enabled_by_default",
    "expire_after",
    "options",
}
UNITS: dict[str | None, set[str | None]] = {
    "energy": {"kWh"},
    "reactive_energy": {"kvarh"},
    "apparent_power": {"VA"},
    "reactive_power": {"var"},
    "power": {"W"},
    "power_factor": {None},
    "voltage": {"V"},
    "current": {"A"},
    "frequency": {"Hz"},
    "duration": {"s", "ms"},
    "timestamp": {None},
    "enum": {None},
    None: {None, "kVAh", "°"},
}
STATE_CLASSES: dict[str | None, set[str | None]] = {
    "energy": {"total", "total_increasing"},
    "reactive_energy": {"total", "total_increasing"},
    "duration": {"measurement", "total", "total_increasing"},
    "timestamp": {None},
    "enum": {None},
    None: {None, "measurement", "total_increasing"},
}

ENERGY = Field(
    "energy_import", "Energy import", Kind("kWh", "energy", "total_increasing", precision=3, divisor=1000), "…"
)
COUNT = Field(
    "error_count", "Error count", Kind(None, None, "total_increasing", precision=0), "…", enabled=False, diagnostic=True
)


def meter(*fields: Field, poll_interval: float = 10.0) -> Message:
    return home_assistant.meter_discovery(
        TOPICS, IDENTITY, fields, name="summer-house", label="Summer house", poll_interval=poll_interval
    )


def alarms_of(*alarms: Alarm) -> Message:
    return home_assistant.alarms_discovery(
        TOPICS, IDENTITY, alarms, name="summer-house", label="Summer house", poll_interval=10
    )


def gateway(**meters: str) -> Message:
    return home_assistant.gateway_discovery(TOPICS, meters, status_interval=30)


def read(message: Message) -> dict[str, Any]:
    return expanded(message.payload)


EVERYTHING = [meter(*FIELDS.values()), gateway(house="House", barn="Barn")]


class TestTheMeter:
    def test_it_is_a_device_of_its_serial_number_behind_the_gateway(self) -> None:
        message = meter(ENERGY)
        assert (message.topic, message.part) == ("homeassistant/device/nesgw_61234567/config", Part.METER_DISCOVERY)
        assert (message.retain, message.qos) == (True, 1)
        assert read(message)["device"] == {
            "identifiers": ["nesgw_61234567"],
            "name": "Summer house",
            "manufacturer": "ELON",
            "model": "83331-3I",
            "serial_number": "6 1234-567",
            "hw_version": "83331",
            "sw_version": "3.84.06",
            "via_device": "nesgw_gateway_attic-pi",
        }

    def test_nesgw_is_named_as_the_origin(self) -> None:
        assert read(meter())["origin"] == home_assistant.origin(HOMEPAGE)

    def test_the_origin_has_a_link_to_support_only_once_there_is_an_address(self) -> None:
        assert home_assistant.origin("") == {"name": "nesgw", "sw_version": __version__}
        assert home_assistant.origin("https://forge.example/someone/nesgw") == {
            "name": "nesgw",
            "sw_version": __version__,
            "support_url": "https://forge.example/someone/nesgw",
        }

    def test_it_is_available_only_if_both_the_gateway_and_the_meter_are(self) -> None:
        payload = read(meter())
        assert payload["availability"] == [
            {"topic": "nesgw/gateway/attic-pi/availability"},
            {"topic": "nesgw/61234567/availability"},
        ]
        assert payload["availability_mode"] == "all"

    def test_a_field_is_a_sensor_whose_facts_are_those_of_its_row(self) -> None:
        payload = read(meter(ENERGY, COUNT))
        assert payload["state_topic"] == "nesgw/61234567/state"
        assert payload["components"]["energy_import"] == {
            "platform": "sensor",
            "unique_id": "nesgw_61234567_energy_import",
            "name": "Energy import",
            "device_class": "energy",
            "unit_of_measurement": "kWh",
            "state_class": "total_increasing",
            "suggested_display_precision": 3,
            "value_template": "{{value_json.energy_import}}",
            "expire_after": 60,
        }
        assert payload["components"]["error_count"] == {
            "platform": "sensor",
            "unique_id": "nesgw_61234567_error_count",
            "name": "Error count",
            "state_class": "total_increasing",
            "suggested_display_precision": 0,
            "value_template": "{{value_json.error_count}}",
            "entity_category": "diagnostic",
            "enabled_by_default": False,
            "expire_after": 60,
        }

    def test_a_field_that_it_has_not_is_no_sensor(self) -> None:
        assert "error_count" not in read(meter(ENERGY))["components"]

    def test_what_there_is_to_say_of_reading_it_is_a_diagnostic(self) -> None:
        payload = read(meter())
        assert payload["components"].keys() == {
            "last_read",
            "consecutive_failures",
            "failed_polls",
            "rejected_readings",
            "poll_duration",
            "last_error",
            "clock_drift",
            "session",
        }
        for component in payload["components"].values():
            assert component["state_topic"] == "nesgw/61234567/status"
            assert component["entity_category"] == "diagnostic"

    def test_the_time_of_the_last_reading_does_not_flood_the_logbook(self) -> None:
        last_read = read(meter())["components"]["last_read"]
        assert (last_read["device_class"], last_read["enabled_by_default"]) == ("timestamp", False)

    def test_diagnostics_and_fields_never_share_a_key(self) -> None:
        assert not FIELDS.keys() & home_assistant.METER_DIAGNOSTICS.keys()

    @pytest.mark.parametrize(
        ("poll_interval", "expiry"), [(1, 60), (10, 60), (20, 60), (25, 75), (20.1, 61), (3600, 10800)]
    )
    def test_a_value_expires_after_three_polls_but_not_within_a_minute(self, poll_interval: float, expiry: int) -> None:
        components = read(meter(ENERGY, poll_interval=poll_interval))["components"]
        assert {component["expire_after"] for component in components.values()} == {expiry}

    def test_a_meter_without_a_utility_serial_number_shows_the_manufacturers(self) -> None:
        identity = MeterIdentity("ELON", "", Firmware(3, 84, 6), "", "M0042")
        message = home_assistant.meter_discovery(TOPICS, identity, [], name="a", label="A", poll_interval=10)
        device = read(message)["device"]
        assert (device["identifiers"], device["serial_number"]) == (["nesgw_m0042"], "M0042")
        assert not {"model", "hw_version"} & device.keys()


class TestItsAlarms:
    def test_they_are_of_the_same_device_in_a_message_of_their_own(self) -> None:
        message, payload, of_meter = alarms_of(ALARMS[0]), read(alarms_of(ALARMS[0])), read(meter())
        assert (message.topic, message.part) == (
            "homeassistant/device/nesgw_61234567_alarms/config",
            Part.METER_DISCOVERY,
        )
        for option in ("device", "origin", "availability", "availability_mode"):
            assert payload[option] == of_meter[option]
        assert payload["state_topic"] == "nesgw/61234567/status"

    def test_one_is_a_binary_sensor_whose_id_is_of_the_meters_name_whatever_the_label(self) -> None:
        battery = next(alarm for alarm in ALARMS if alarm.key == "low_battery")
        assert read(alarms_of(battery))["components"] == {
            "alarm_low_battery": {
                "platform": "binary_sensor",
                "unique_id": "nesgw_61234567_alarm_low_battery",
                "default_entity_id": "binary_sensor.summer_house_alarm_low_battery",
                "name": "Low battery",
                "device_class": "problem",
                "value_template": ("{%set a=value_json.alarms%}{{iif(a and'low_battery'in a,'ON','OFF',none)}}"),
                "expire_after": 60,
            }
        }

    def test_those_that_matter_to_the_utility_alone_are_diagnostics_that_are_not_shown_from_the_start(self) -> None:
        for alarm in ALARMS:
            component = read(alarms_of(alarm))["components"][f"alarm_{alarm.key}"]
            shown = (component.get("entity_category"), component.get("enabled_by_default"))
            assert shown == ((None, None) if alarm.owner else ("diagnostic", False))


class TestTheGateway:
    def test_it_is_a_device_that_the_meter_is_behind_of(self) -> None:
        message = gateway()
        device = read(message)["device"]
        assert (message.topic, message.part) == (
            "homeassistant/device/nesgw_gateway_attic-pi/config",
            Part.GATEWAY_DISCOVERY,
        )
        assert device["identifiers"] == [read(meter())["device"]["via_device"]]
        assert device["name"] == "nesgw attic-pi"

    def test_the_only_gateway_of_a_house_is_just_nesgw(self) -> None:
        message = home_assistant.gateway_discovery(Topics("nesgw", "nesgw"), {}, status_interval=30)
        assert read(message)["device"]["name"] == "nesgw"
        assert entity_ids(message.payload)["started"] == "sensor.nesgw_started"

    def test_the_trouble_of_a_meter_shows_while_the_meter_is_away(self) -> None:
        payload = read(gateway(house="House", barn="The barn"))
        assert payload["availability"] == [{"topic": "nesgw/gateway/attic-pi/availability"}]
        assert payload["state_topic"] == "nesgw/gateway/attic-pi/status"
        assert payload["components"]["problem_barn"] == {
            "platform": "sensor",
            "unique_id": "nesgw_gateway_attic-pi_problem_barn",
            "default_entity_id": "sensor.nesgw_attic_pi_problem_barn",
            "name": "Problem The barn",
            "value_template": "{{ (value_json.meters.get('barn') or {}).get('last_error') or 'none' }}",
            "entity_category": "diagnostic",
            "expire_after": 90,
        }


class TestWhatHomeAssistantTakes:
    @pytest.mark.parametrize("message", EVERYTHING, ids=["meter", "gateway"])
    def test_no_option_is_unknown_to_it(self, message: Message) -> None:
        payload = read(message)
        assert payload.keys() == TOP
        assert payload["device"].keys() <= DEVICE
        assert {"name"} <= payload["origin"].keys() <= ORIGIN
        for component in payload["components"].values():
            assert component.keys() <= SENSOR
            assert component.keys() >= {"platform", "unique_id", "name", "value_template", "expire_after"}

    @pytest.mark.parametrize("message", EVERYTHING, ids=["meter", "gateway"])
    def test_unit_and_state_class_fit_the_device_class(self, message: Message) -> None:
        for key, component in read(message)["components"].items():
            device_class = component.get("device_class")
            assert component.get("unit_of_measurement") in UNITS[device_class], key
            assert component.get("state_class") in STATE_CLASSES.get(device_class, {"measurement"}), key
            assert ("options" in component) == (device_class == "enum"), key

    @pytest.mark.parametrize("message", EVERYTHING, ids=["meter", "gateway"])
    def test_ids_are_unique_and_well_formed(self, message: Message) -> None:
        components, entities = read(message)["components"], entity_ids(message.payload)
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", message.topic)
        for option in ("unique_id", "name"):
            assert len({component[option] for component in components.values()}) == len(components)
        assert len(set(entities.values())) == len(components)
        for key in components:
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", key)
            assert re.fullmatch(r"sensor\.[a-z0-9_]+", entities[key])

    @pytest.mark.parametrize("label", ["Summer house", "summer-house", "Sommerhaus", "Fårup's hus", "Summer house 2"])
    def test_an_entity_id_is_of_the_meters_name_and_the_field_whatever_the_label(self, label: str) -> None:
        """Home Assistant makes one of the label where none is given: none is where that comes to the same."""
        message = home_assistant.meter_discovery(
            TOPICS, IDENTITY, FIELDS.values(), name="summer-house", label=label, poll_interval=10
        )
        assert entity_ids(message.payload) == {
            key: f"sensor.summer_house_{key}" for key in [*FIELDS, *home_assistant.METER_DIAGNOSTICS]
        }
        given = [key for key, facts in read(message)["components"].items() if "default_entity_id" in facts]
        assert ("power" in given) is (label not in ("Summer house", "summer-house"))

    @pytest.mark.parametrize(
        ("language", "shown_as"), [("en", "Energy import"), ("da", "Energi forbrug"), ("de", "Energie Bezug")]
    )
    def test_a_name_is_in_the_owners_language_and_the_ids_stay(self, language: Language, shown_as: str) -> None:
        message = home_assistant.meter_discovery(
            TOPICS,
            IDENTITY,
            list(FIELDS.values()),
            name="house",
            label="Haus",
            poll_interval=10.0,
            events=True,
            language=language,
        )
        found = read(message)
        assert found["components"]["energy_import"]["name"] == shown_as
        assert found["components"]["energy_import"]["unique_id"] == "nesgw_61234567_energy_import"
        assert entity_ids(message.payload)["energy_import"] == "sensor.house_energy_import"

    @pytest.mark.parametrize(
        "message", [meter(*FIELDS.values()), alarms_of(*ALARMS)], ids=["the meter's", "its alarms'"]
    )
    def test_the_messages_of_the_richest_meter_are_well_below_the_limits_of_brokers(self, message: Message) -> None:
        """64 KiB is one that several have; they close the connection at a longer message."""
        assert len(message.payload.encode()) < 40_000

    def test_no_name_repeats_the_devices(self) -> None:
        for message in EVERYTHING:
            payload = read(message)
            for component in payload["components"].values():
                assert payload["device"]["name"].lower() not in component["name"].lower()

    def test_energy_is_fit_for_the_energy_dashboard(self) -> None:
        components = read(EVERYTHING[0])["components"]
        for key in ("energy_import", "energy_export"):
            component = components[key]
            assert (component["device_class"], component["state_class"]) == ("energy", "total_increasing")
            assert "enabled_by_default" not in component
            assert "entity_category" not in component


def long_form(message: Message) -> str:
    """The message as earlier versions wrote it."""
    return json.dumps(expanded(message.payload))


def followed(message: Message, previous: str | None) -> Message:
    """The message as it follows another one on its topic."""
    had = home_assistant.former_components(previous, "nesgw_61234567")
    return home_assistant.following([message], {message.topic: had})[0]


class TestRemoval:
    @pytest.mark.parametrize("written", [long_form, lambda message: message.payload], ids=["long names", "short names"])
    def test_a_component_that_vanished_is_removed_by_its_bare_platform(self, written: Callable[[Message], str]) -> None:
        before, now = meter(ENERGY, COUNT), meter(ENERGY)
        message = followed(now, written(before))
        components = read(message)["components"]
        assert components["error_count"] == {"platform": "sensor"}
        assert components["energy_import"] == read(now)["components"]["energy_import"]
        assert (message.topic, message.part) == (now.topic, now.part)

    def test_it_is_named_once_and_left_out_the_next_time(self) -> None:
        removing = followed(meter(ENERGY), meter(ENERGY, COUNT).payload)
        assert followed(meter(ENERGY), removing.payload) == meter(ENERGY)

    def test_one_that_comes_back_is_itself_again(self) -> None:
        removing = followed(meter(ENERGY), meter(ENERGY, COUNT).payload)
        assert followed(meter(ENERGY, COUNT), removing.payload) == meter(ENERGY, COUNT)

    @pytest.mark.parametrize(
        "previous",
        [
            None,
            "",
            "{",
            "[]",
            "{}",
            '{"components":[]}',
            '{"components":{"a":1}}',
            '{"components":null}',
            "[" * 100_000,
        ],
    )
    def test_what_is_no_message_of_ours_removes_nothing(self, previous: str | None) -> None:
        assert followed(meter(ENERGY), previous) == meter(ENERGY)

    @pytest.mark.parametrize(
        ("key", "facts"),
        [
            ("x", {"platform": "no_such_platform", "unique_id": "nesgw_61234567_x"}),
            ("x", {"platform": ["sensor"], "unique_id": "nesgw_61234567_x"}),
            ("x", {"platform": "sensor", "unique_id": "another_device_x"}),
            ("x", {"platform": "sensor", "a": 1}),
            ("X\n", {"platform": "sensor", "unique_id": "nesgw_61234567_X\n"}),
            ("y" * 300_000, {"platform": "sensor", "unique_id": f"nesgw_61234567_{'y' * 300_000}"}),
        ],
        ids=["no platform of ours", "no platform", "another device's", "no id", "an odd key", "an endless key"],
    )
    @pytest.mark.parametrize("components", ["components", "cmps"])
    def test_one_odd_component_spoils_nothing_and_is_not_repeated(
        self, components: str, key: str, facts: dict[str, object]
    ) -> None:
        """Home Assistant drops a whole device message for one platform that it does not know."""
        assert followed(meter(ENERGY), json.dumps({components: {key: facts}})) == meter(ENERGY)

    def test_of_thousands_of_components_not_more_than_a_meter_can_have_had_are_removed(self) -> None:
        flood = {f"x{n}": {"p": "sensor", "uniq_id": f"nesgw_61234567_x{n}"} for n in range(3000)}
        message = followed(meter(ENERGY), json.dumps({"cmps": flood}))
        assert len(message.payload) < 64 * 1024


class TestAlarmsThatAnEarlierVersionAnnouncedWithTheMeter:
    NOW = (meter(ENERGY), alarms_of(ALARMS[0], ALARMS[1]))

    def had(self, *messages: Message) -> dict[str, dict[str, str]]:
        """Everything in one message."""
        return {
            self.NOW[0].topic: {k: v for each in home_assistant.announced(messages).values() for k, v in each.items()}
        }

    def test_are_let_go_first_so_that_they_keep_what_their_owner_has_set(self) -> None:
        had = self.had(*self.NOW)
        release = Message(self.NOW[0].topic, '{"migrate_discovery":true}', Part.METER_DISCOVERY)
        assert home_assistant.moving(self.NOW, had) == release
        assert home_assistant.following(self.NOW, had) == [*self.NOW]

    def test_what_is_gone_for_good_is_removed_before_for_nobody_knows_it_afterwards(self) -> None:
        first = home_assistant.moving(self.NOW, self.had(meter(ENERGY, COUNT), alarms_of(*ALARMS[:3])))
        assert first is not None
        assert first.after is not None
        assert first.after.topic == self.NOW[0].topic
        assert read(first.after)["components"] == {
            "error_count": {"platform": "sensor"},
            f"alarm_{ALARMS[2].key}": {"platform": "binary_sensor"},
        }

    def test_are_only_removed_where_the_meter_has_none_of_them_any_longer(self) -> None:
        had = self.had(meter(ENERGY), alarms_of(ALARMS[2]))
        assert home_assistant.moving(self.NOW, had) is None
        of_meter, of_alarms = home_assistant.following(self.NOW, had)
        assert read(of_meter)["components"][f"alarm_{ALARMS[2].key}"] == {"platform": "binary_sensor"}
        assert of_alarms == self.NOW[1]

    def test_are_not_let_go_again_once_they_are_where_they_belong(self) -> None:
        had = home_assistant.announced(self.NOW)
        assert home_assistant.moving(self.NOW, had) is None
        assert home_assistant.following(self.NOW, had) == [*self.NOW]
