"""The JSON objects of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nesgw.publishers import payloads
from nesgw.publishers.message import Message, Part
from nesgw.publishers.payloads import GatewayMeter, GatewayStatus, MeterStatus
from nesgw.publishers.topics import Topics
from nesgw.values import Firmware, MeterIdentity, Reading

TOPICS = Topics("nesgw", "pi")
READ_AT = datetime(2026, 11, 20, 10, 21, 5, 120_456, UTC)
# A real 83331-3I's registers: 115921469 Wh, 701 W, 232591 mV, and a field that this reading lacks.
READING = Reading(
    READ_AT, {"energy_import": 115921.469, "power_import": 701, "voltage_l1": 232.591, "frequency": None}, {}
)


class TestState:
    def test_it_is_the_time_and_then_every_field_in_order(self) -> None:
        assert payloads.state(READING) == (
            '{"time":"2026-11-20T10:21:05.120Z","energy_import":115921.469,"power_import":701,'
            '"voltage_l1":232.591,"frequency":null}'
        )

    def test_the_time_is_utc_whatever_zone_it_comes_in(self) -> None:
        local = READ_AT.astimezone(timezone(timedelta(hours=1)))
        assert payloads.timestamp(local) == "2026-11-20T10:21:05.120Z"

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_what_is_no_number_is_a_defect_and_not_published(self, value: float) -> None:
        with pytest.raises(ValueError, match="JSON"):
            payloads.state(Reading(READ_AT, {"power": value}, {}))

    def test_it_is_one_message_with_qos_and_retain_as_configured(self) -> None:
        assert list(payloads.state_messages(TOPICS, "4711", READING, payloads.state(READING), qos=2, retain=False)) == [
            Message("nesgw/4711/state", payloads.state(READING), Part.STATE, retain=False, qos=2)
        ]

    def test_with_per_value_topics_each_number_that_was_read_is_one_more(self) -> None:
        _, *values = payloads.state_messages(TOPICS, "4711", READING, payloads.state(READING), per_value=True)
        assert [(message.topic, message.payload) for message in values] == [
            ("nesgw/4711/value/energy_import", "115921.469"),
            ("nesgw/4711/value/power_import", "701"),
            ("nesgw/4711/value/voltage_l1", "232.591"),
            ("nesgw/4711/value/frequency", ""),
        ], "what the broker keeps of a value that was not read is taken away"

    def test_without_retain_a_value_that_was_not_read_is_simply_not_sent(self) -> None:
        _, *values = payloads.state_messages(
            TOPICS, "4711", READING, payloads.state(READING), per_value=True, retain=False
        )
        assert [message.topic.rpartition("/")[2] for message in values] == [
            "energy_import",
            "power_import",
            "voltage_l1",
        ]


def test_info_says_who_the_meter_is_and_what_it_has() -> None:
    identity = MeterIdentity("ELON", "83331-3I", Firmware(3, 84, 6), "12 345-A", "M0042")
    message = payloads.info_message(TOPICS, identity, ["energy_import", "power"])
    assert (message.topic, message.retain, message.qos) == ("nesgw/12345a/info", True, 1)
    assert json.loads(message.payload) == {
        "manufacturer": "ELON",
        "model": "83331-3I",
        "firmware": "3.84.06",
        "hardware": None,
        "utility_serial": "12 345-A",
        "manufacturer_serial": "M0042",
        "fields": ["energy_import", "power"],
    }


@pytest.mark.parametrize(("online", "payload"), [(True, "online"), (False, "offline")])
def test_availability_is_one_word(online: bool, payload: str) -> None:
    assert payloads.availability_message(TOPICS, "4711", online) == Message(
        "nesgw/4711/availability", payload, Part.AVAILABILITY, retain=True, qos=1
    )


class TestMeterStatus:
    def test_it_has_every_key_from_the_start(self) -> None:
        assert json.loads(payloads.meter_status(MeterStatus())) == {
            "id": None,
            "manufacturer_serial": None,
            "last_read": None,
            "polls": 0,
            "failures": {},
            "consecutive_failures": 0,
            "last_error": None,
            "last_error_kind": None,
            "rejected": 0,
            "notice": None,
            "poll_duration_ms": None,
            "bytes_sent": 0,
            "bytes_received": 0,
            "clock_drift_s": None,
            "alarms": None,
            "last_event": None,
            "last_outage": None,
            "fell_from": {},
            "session": None,
            "session_reason": None,
        }

    def test_it_says_what_happened(self) -> None:
        status = MeterStatus(
            id="4711",
            last_read=READ_AT,
            failures={"no_answer": 2, "noise": 1},
            notice="export\nbegan",
            clock_drift_s=-1.5,
            session="per-poll",
        )
        message = payloads.meter_status_message(TOPICS, "4711", payloads.meter_status(status))
        said = json.loads(message.payload)
        assert message.topic == "nesgw/4711/status"
        assert said["last_read"] == "2026-11-20T10:21:05.120Z"
        assert said["failures"] == {"no_answer": 2, "noise": 1}
        assert (said["id"], said["notice"], said["clock_drift_s"]) == ("4711", "export began", -1.5)

    def test_an_error_is_one_line_that_fits_a_state_of_home_assistant(self) -> None:
        said = json.loads(payloads.meter_status(MeterStatus(last_error="first\nsecond " + "x" * 300)))["last_error"]
        assert said.startswith("first second xxx")
        assert said.endswith("x…")
        assert len(said) == 255


def test_the_gateways_status_lists_its_meters_by_name() -> None:
    status = GatewayStatus(
        "0.1.0",
        READ_AT,
        63,
        {"house": GatewayMeter("4711", True, READ_AT), "barn": GatewayMeter(last_error="no such device")},
    )
    message = payloads.gateway_status_message(TOPICS, status)
    assert (message.topic, message.part) == ("nesgw/gateway/pi/status", Part.STATUS)
    assert json.loads(message.payload) == {
        "version": "0.1.0",
        "started": "2026-11-20T10:21:05.120Z",
        "uptime_s": 63,
        "meters": {
            "house": {"id": "4711", "online": True, "last_read": "2026-11-20T10:21:05.120Z", "last_error": None},
            "barn": {"id": None, "online": False, "last_read": None, "last_error": "no such device"},
        },
        "problem": None,
    }
