"""What is said of one meter when: above all what is not said of another one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from nesgw.config.settings import HomeAssistantSettings, MeterSettings, MqttSettings
from nesgw.errors import IdentityTaken
from nesgw.publishers import payloads
from nesgw.publishers.identities import Identities
from nesgw.publishers.languages import Language
from nesgw.publishers.message import Message
from nesgw.publishers.meter_publisher import MeterPublisher
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.topics import Topics
from nesgw.tables.alarms import ALARMS
from nesgw.tables.interval_demand import Demand, Direction, Month, Peak, Powers, Running
from nesgw.tables.mbus import MbusReading
from nesgw.tables.mbus_records import MbusValue
from nesgw.values import Firmware, MeterIdentity, Reading
from tests.home_assistant import expanded

HOUSE = MeterIdentity("ELON", "83331-3I", Firmware(3, 84, 6), "4080123456", "0000000012345678")
NEW = replace(HOUSE, utility_serial="9999000001")
FIELDS = ("energy_import", "power")


class Broker:
    """Keeps what is wanted, like the publisher, and has been sent nothing before."""

    connected = True
    delivered = True

    def __init__(self) -> None:
        self.wanted: dict[str, Message] = {}
        self.kept: dict[str, str] = {}  # from before
        self.asked: list[tuple[str, ...]] = []

    def set(self, *messages: Message) -> None:
        self.wanted |= {message.topic: message for message in messages}

    def withdraw(self, *topics: str) -> None:
        for topic in topics:
            self.wanted.pop(topic, None)

    def emit(self, *messages: Message) -> None:
        raise NotImplementedError

    def ask(self, filters: Sequence[str]) -> Callable[[float], dict[str, str]]:
        self.asked.append(tuple(filters))
        return lambda timeout: {topic: self.kept[topic] for topic in filters if topic in self.kept}


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def broker() -> Broker:
    return Broker()


def outlet_on(memory: Path, broker: Broker, *, per_value: bool = False, language: Language = "en") -> MeterPublisher:
    publisher = MeterPublisher(
        MeterSettings("house", label="House"),
        Topics("nesgw", "nesgw"),
        RamDisk(memory, "house"),
        broker,
        mqtt=MqttSettings(per_value_topics=per_value),
        home_assistant=HomeAssistantSettings(language=language),
    )
    publisher.prepare()
    return publisher


def reading() -> Reading:
    values = {"energy_import": 344.18, "power": 2710}
    return Reading(datetime.now(UTC) - timedelta(seconds=5), values, {"BT23": b"\x74\x40\x05\x00"})


class TestWhatAnEarlierProcessLeft:
    def test_is_gone_on_from_if_it_is_of_this_meter(self, memory: Path, broker: Broker) -> None:
        before = outlet_on(memory, broker)
        assert before.identify(HOUSE, FIELDS) is None
        before.accept(reading())
        before.report(MeterStatus(id=HOUSE.id, last_event=7))
        last = outlet_on(memory, broker).identify(HOUSE, FIELDS)
        assert last is not None
        assert (last.state["energy_import"], last.status["last_event"]) == (344.18, 7)
        assert last.age == pytest.approx(5.0, abs=2.0)

    def test_outlasts_polls_in_which_the_meter_says_nothing(self, memory: Path, broker: Broker) -> None:
        before = outlet_on(memory, broker)
        before.identify(HOUSE, FIELDS)
        before.accept(reading())
        before.report(MeterStatus(id=HOUSE.id, last_event=7))
        for _ in range(2):  # the service starts twice while the probe is off
            silent = outlet_on(memory, broker)
            silent.report(MeterStatus(polls=1, failures={"no_answer": 1}))
        last = silent.identify(HOUSE, FIELDS)
        assert last is not None
        assert (last.state["energy_import"], last.status["last_event"]) == (344.18, 7)

    def test_is_another_meters_even_if_that_was_replaced_before_a_reading_of_the_new_one_was_accepted(
        self, memory: Path, broker: Broker
    ) -> None:
        before = outlet_on(memory, broker)
        before.identify(HOUSE, FIELDS)
        before.accept(reading())
        before.report(MeterStatus(id=HOUSE.id))
        before.identify(NEW, FIELDS)
        before.report(MeterStatus(id=NEW.id))
        last = outlet_on(memory, broker).identify(NEW, FIELDS)
        assert last is None or not last.state

    def test_of_a_meter_that_was_exchanged_meanwhile_is_swept_away(self, memory: Path, broker: Broker) -> None:
        before = outlet_on(memory, broker)
        before.identify(HOUSE, FIELDS)
        before.accept(reading())
        before.report(MeterStatus(id=HOUSE.id))
        assert outlet_on(memory, broker).identify(NEW, FIELDS) is None
        assert not any((memory / "house" / name).exists() for name in ("BT23", "BT28", "reading.json"))


class TestAMeterThatWasExchangedWhileNobodyReadIt:
    """The utility has given the new one the number of the former one: what that showed is no measure for it."""

    STATUS = MeterStatus(id=HOUSE.id, manufacturer_serial=HOUSE.manufacturer_serial, last_event=412)
    SUCCESSOR = replace(HOUSE, manufacturer_serial="0000000087654321")

    def test_is_known_by_its_other_number_on_the_ram_disk_and_its_files_are_swept_away(
        self, memory: Path, broker: Broker
    ) -> None:
        before = outlet_on(memory, broker)
        before.identify(HOUSE, FIELDS)
        before.accept(reading())
        before.report(self.STATUS)
        silent = outlet_on(memory, broker)
        silent.report(MeterStatus(polls=1))  # a poll in which no meter answers
        last = outlet_on(memory, broker).identify(self.SUCCESSOR, FIELDS)
        assert last is not None
        assert last.of_another
        assert not any((memory / "house" / name).exists() for name in ("BT23", "BT28", "reading.json"))

    def test_is_known_by_it_on_the_broker_after_a_restart_of_the_machine(self, memory: Path, broker: Broker) -> None:
        broker.kept["nesgw/4080123456/state"] = '{"energy_import": 17.5}'
        broker.kept["nesgw/4080123456/status"] = payloads.meter_status(self.STATUS)
        last = outlet_on(memory, broker).identify(self.SUCCESSOR, FIELDS)
        assert last is not None
        assert last.of_another

    @pytest.mark.parametrize("serial", [HOUSE.manufacturer_serial, None, ""])
    def test_is_not_taken_for_one_where_the_number_is_the_same_or_unknown(
        self, memory: Path, broker: Broker, serial: str | None
    ) -> None:
        broker.kept["nesgw/4080123456/state"] = '{"energy_import": 17.5}'
        status = replace(self.STATUS, manufacturer_serial=serial)
        broker.kept["nesgw/4080123456/status"] = payloads.meter_status(status)
        last = outlet_on(memory, broker).identify(HOUSE, FIELDS)
        assert last is not None
        assert not last.of_another


class TestWhatTheBrokerRemembers:
    def test_is_asked_for_once_as_soon_as_it_is_known_whose(self, memory: Path, broker: Broker) -> None:
        broker.kept["nesgw/4080123456/state"] = '{"energy_import": 17.5}'
        publisher = outlet_on(memory, broker)
        publisher.expect(HOUSE.id)
        last = publisher.identify(HOUSE, FIELDS)
        assert last is not None
        assert last.state == {"energy_import": 17.5}
        assert len(broker.asked) == 1

    def test_is_this_meters_if_another_seemed_to_be_there(self, memory: Path, broker: Broker) -> None:
        broker.kept["nesgw/4080123456/state"] = '{"energy_import": 17.5}'
        publisher = outlet_on(memory, broker)
        publisher.expect(NEW.id)
        last = publisher.identify(HOUSE, FIELDS)
        assert last is not None
        assert last.state == {"energy_import": 17.5}

    def test_is_not_asked_for_while_the_meter_is_the_same(self, memory: Path, broker: Broker) -> None:
        publisher = outlet_on(memory, broker)
        for _ in range(3):
            publisher.expect(HOUSE.id)
            publisher.identify(HOUSE, FIELDS)
        assert len(broker.asked) == 1


class TestAMeterThatIsNoLongerAvailable:
    @pytest.mark.parametrize("per_value", [False, True])
    def test_has_no_values_that_a_broker_could_be_sent_again(
        self, memory: Path, broker: Broker, per_value: bool
    ) -> None:
        publisher = outlet_on(memory, broker, per_value=per_value)
        publisher.identify(HOUSE, FIELDS)
        publisher.accept(reading())
        publisher.available(online=True)
        assert "nesgw/4080123456/state" in broker.wanted
        assert ("nesgw/4080123456/value/power" in broker.wanted) is per_value
        publisher.available(online=False)
        assert not [topic for topic in broker.wanted if "/state" in topic or "/value/" in topic]
        assert broker.wanted["nesgw/4080123456/availability"].payload == "offline"

    def test_leaves_none_behind_when_another_takes_its_place(self, memory: Path, broker: Broker) -> None:
        publisher = outlet_on(memory, broker)
        publisher.identify(HOUSE, FIELDS)
        publisher.accept(reading())
        publisher.available(online=True)
        publisher.identify(NEW, FIELDS)
        assert "nesgw/4080123456/state" not in broker.wanted
        assert broker.wanted["nesgw/4080123456/availability"].payload == "offline"


class TestSubMeters:
    TOLD = MbusReading(
        time=datetime(2026, 11, 20, 8, 30),
        handle=1,
        serial="12345678",
        manufacturer="KAM",
        version=1,
        medium="heat",
        access=42,
        conditions=(),
        encrypted=False,
        complete=True,
        values=(MbusValue("energy", "Energy", 12345, "kWh", "energy", "total_increasing"),),
    )

    def test_one_is_a_device_behind_the_meter(self, memory: Path, broker: Broker) -> None:
        publisher = outlet_on(memory, broker)
        publisher.identify(HOUSE, FIELDS)
        publisher.accept_sub_meter(self.TOLD, 300.0)
        announced = expanded(broker.wanted["homeassistant/device/nesgw_kam12345678/config"].payload)
        assert announced["device"]["via_device"] == "nesgw_4080123456"
        assert announced["components"]["energy"]["unit_of_measurement"] == "kWh"
        assert json.loads(broker.wanted["nesgw/kam12345678/state"].payload)["energy"] == 12345

    def test_a_telegram_that_cannot_be_decrypted_takes_no_entity_away(self, memory: Path, broker: Broker) -> None:
        publisher = outlet_on(memory, broker)
        publisher.identify(HOUSE, FIELDS)
        publisher.accept_sub_meter(self.TOLD, 300.0)
        before = broker.wanted["homeassistant/device/nesgw_kam12345678/config"]
        publisher.accept_sub_meter(replace(self.TOLD, encrypted=True, values=()), 300.0)
        assert broker.wanted["homeassistant/device/nesgw_kam12345678/config"] == before
        assert json.loads(broker.wanted["nesgw/kam12345678/state"].payload)["energy"] is None


def test_of_a_meter_that_is_gone_nothing_is_said_again_but_that_it_is(memory: Path, broker: Broker) -> None:
    """So that what its owner has forgotten on the broker does not come back with the next connection."""
    publisher = outlet_on(memory, broker)
    publisher.identify(HOUSE, FIELDS)
    publisher.report(MeterStatus(id=HOUSE.id))
    publisher.identify(NEW, FIELDS)
    of_the_old = {topic: message.payload for topic, message in broker.wanted.items() if HOUSE.id in topic}
    assert of_the_old == {f"nesgw/{HOUSE.id}/availability": "offline"}


class TestTwoOfOneNumber:
    """On one gateway: nothing is published over the other, and it is said."""

    def pair(self, memory: Path, broker: Broker) -> tuple[MeterPublisher, MeterPublisher]:
        identities = Identities()
        made = []
        for name in ("house", "barn"):
            made.append(
                MeterPublisher(
                    MeterSettings(name),
                    Topics("nesgw", "nesgw"),
                    RamDisk(memory, name),
                    broker,
                    mqtt=MqttSettings(),
                    home_assistant=HomeAssistantSettings(),
                    identities=identities,
                )
            )
            made[-1].prepare()
        return made[0], made[1]

    def test_the_second_meter_is_refused_until_the_first_is_away(self, memory: Path, broker: Broker) -> None:
        house, barn = self.pair(memory, broker)
        house.identify(HOUSE, FIELDS)
        house.accept(reading())
        house.available(online=True)
        before = dict(broker.wanted)
        with pytest.raises(IdentityTaken) as error:
            barn.identify(HOUSE, FIELDS)
        assert str(error.value) == (
            "another meter of this gateway has the same number 4080123456: meter house: "
            "read each meter through one port only: its optical and its MEP port share one line, and disturb one "
            "another; if these are two meters, ask the utility for their numbers"
        )
        barn.report(MeterStatus(id=HOUSE.id))
        assert broker.wanted == before
        house.available(online=False)
        barn.identify(HOUSE, FIELDS)
        barn.accept(reading())
        barn.available(online=True)
        with pytest.raises(IdentityTaken):
            house.accept(reading())

    def test_a_sub_meter_with_the_number_of_a_meter_is_left_out_and_said_once(
        self, memory: Path, broker: Broker
    ) -> None:
        house, _ = self.pair(memory, broker)
        house.identify(HOUSE, FIELDS)
        house.accept(reading())
        before = dict(broker.wanted)
        water = replace(TestSubMeters.TOLD, serial=HOUSE.id, manufacturer=None, medium="water")
        with structlog.testing.capture_logs() as lines:
            house.accept_sub_meter(water, 300.0)
            house.accept_sub_meter(water, 300.0)
        assert broker.wanted == before
        assert [line["event"] for line in lines] == [
            "sub-meter 1 behind meter house has the same number as meter house (4080123456): it is not published"
        ]

    @pytest.mark.expects_warnings("has the same number as")
    def test_two_sub_meters_without_a_number_of_their_own_are_not_one_device(
        self, memory: Path, broker: Broker
    ) -> None:
        house, barn = self.pair(memory, broker)
        house.identify(HOUSE, FIELDS)
        barn.identify(NEW, FIELDS)
        nameless = replace(TestSubMeters.TOLD, serial="00000000", manufacturer=None)
        house.accept_sub_meter(nameless, 300.0)
        before = dict(broker.wanted)
        house.accept_sub_meter(replace(nameless, handle=2, medium="water"), 300.0)
        barn.accept_sub_meter(nameless, 300.0)
        assert broker.wanted == before


DISCOVERY = "homeassistant/device/nesgw_4080123456/config"
DEMAND = "nesgw/4080123456/demand"
IN = ["import_demand", "running_import_demand", "peak_import_month", "peak_import_last_month"]
OUT = ["export_demand", "peak_export_month", "peak_export_last_month"]


def demand_of(*directions: Direction) -> Demand:
    """The quarter of an hour from 17:15 on, in November, whose highest was at 8."""
    peak = Peak(6120.0, datetime(2026, 11, 9, 8, 0, tzinfo=UTC))
    month = Month(datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC), 1900, 1902, peak)
    return Demand(
        timedelta(minutes=15),
        directions,
        start=datetime(2026, 11, 20, 17, 15, tzinfo=UTC),
        powers=Powers(2480.0, 0.0 if "export" in directions else None),
        month=month,
        last_month=month,
        drift=0.4,
    )


class TestDemand:
    def announced(self, broker: Broker) -> list[str]:
        components = expanded(broker.wanted[DISCOVERY].payload)["components"]
        return [key for key in (*IN, *OUT) if len(components.get(key, {})) > 1]

    def test_its_entities_are_announced_when_it_is_known_and_for_the_directions_that_there_are(
        self, memory: Path, broker: Broker
    ) -> None:
        outlet = outlet_on(memory, broker)
        outlet.identify(HOUSE, FIELDS)
        assert self.announced(broker) == []
        outlet.accept_demand(demand_of("import"), None)
        assert self.announced(broker) == IN
        outlet.accept_demand(demand_of("import", "export"), None)
        assert self.announced(broker) == IN + OUT

    def test_every_entity_reads_its_figure_out_of_the_topic(self, memory: Path, broker: Broker) -> None:
        outlet = outlet_on(memory, broker)
        outlet.identify(HOUSE, FIELDS)
        start = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
        outlet.accept_demand(
            demand_of("import", "export"), Running(start, 300.4, Powers(900.0, 0.0), Powers(1210.5, 0.0))
        )
        state = json.loads(broker.wanted[DEMAND].payload)
        components = expanded(broker.wanted[DISCOVERY].payload)["components"]
        shown = {}
        for key in (*IN, *OUT):
            assert components[key]["state_topic"] == DEMAND
            assert components[key]["unique_id"] == f"nesgw_4080123456_{key}"
            value = state
            for name in components[key]["value_template"].strip("{}").removeprefix("value_json.").split("."):
                value = value[name]
            shown[key] = value
            assert components[key]["json_attributes_topic"] == DEMAND
        assert shown == {
            **dict.fromkeys(("peak_import_month", "peak_import_last_month"), 6120.0),
            **dict.fromkeys(("peak_export_month", "peak_export_last_month"), None),
            "import_demand": 2480.0,
            "running_import_demand": 1210.5,
            "export_demand": 0.0,
        }
        assert components["peak_import_month"]["json_attributes_template"] == (
            "{{dict(start=value_json.month.import_start,missing=value_json.month.missing)|tojson}}"
        )
        assert components["import_demand"]["json_attributes_template"] == (
            "{{dict(start=value_json.start,minutes=value_json.minutes,quality=value_json.quality)|tojson}}"
        )
        assert state["month"]["import_start"] == "2026-11-09T08:00:00Z"
        assert state["month"]["missing"] == 2
        assert state["quality"] == ["month_incomplete", "last_month_incomplete"]
        assert state["running"]["elapsed_s"] == 300

    @pytest.mark.parametrize(
        ("language", "name"),
        [("en", "Import demand"), ("da", "Kvartersforbrug"), ("de", "Viertelstundenleistung Bezug")],
    )
    def test_the_names_are_the_owners_and_the_ids_are_not(
        self, memory: Path, broker: Broker, language: Language, name: str
    ) -> None:
        outlet = outlet_on(memory, broker, language=language)
        outlet.identify(HOUSE, FIELDS)
        outlet.accept_demand(demand_of("import"), None)
        component = expanded(broker.wanted[DISCOVERY].payload)["components"]["import_demand"]
        assert (component["name"], component["unique_id"]) == (name, "nesgw_4080123456_import_demand")

    def test_what_was_announced_before_is_taken_away_where_the_meter_keeps_nothing_any_more(
        self, memory: Path, broker: Broker
    ) -> None:
        before = outlet_on(memory, broker)
        before.identify(HOUSE, FIELDS)
        before.accept_demand(demand_of("import"), None)
        broker.kept[DISCOVERY] = broker.wanted[DISCOVERY].payload
        after = outlet_on(memory, broker)
        after.identify(HOUSE, FIELDS)
        assert self.announced(broker) == IN, "whether there is still a load profile is not known yet"
        after.accept_demand(None, None)
        assert self.announced(broker) == []
        removed = json.loads(broker.wanted[DISCOVERY].payload)["cmps"]
        assert {key: removed[key] for key in IN} == {key: {"p": "sensor"} for key in IN}
        assert broker.wanted[DEMAND].payload == ""

    def test_a_meter_that_keeps_none_is_not_announced_twice(self, memory: Path, broker: Broker) -> None:
        outlet = outlet_on(memory, broker)
        outlet.identify(HOUSE, FIELDS)
        broker.wanted.clear()
        outlet.accept_demand(None, None)
        assert broker.wanted == {}

    def test_nothing_is_said_before_the_meter_is_known_and_nothing_stale_is_sent_again(
        self, memory: Path, broker: Broker
    ) -> None:
        outlet = outlet_on(memory, broker)
        outlet.accept_demand(demand_of("import"), None)
        assert broker.wanted == {}
        outlet.identify(HOUSE, FIELDS)
        outlet.accept_demand(demand_of("import"), None)
        outlet.available(online=False)
        assert DEMAND not in broker.wanted


class TestAlarms:
    OF_ALARMS = "homeassistant/device/nesgw_4080123456_alarms/config"

    def test_they_are_announced_in_a_message_of_their_own(self, memory: Path, broker: Broker) -> None:
        outlet_on(memory, broker).identify(HOUSE, FIELDS, alarms=ALARMS[:2])
        assert expanded(broker.wanted[self.OF_ALARMS].payload)["components"].keys() == {
            f"alarm_{alarm.key}" for alarm in ALARMS[:2]
        }
        assert not [key for key in expanded(broker.wanted[DISCOVERY].payload)["components"] if "alarm" in key]

    def test_a_meter_without_any_has_no_such_message(self, memory: Path, broker: Broker) -> None:
        outlet_on(memory, broker).identify(HOUSE, FIELDS)
        assert self.OF_ALARMS not in broker.wanted

    def test_those_that_the_key_may_no_longer_see_are_removed(self, memory: Path, broker: Broker) -> None:
        outlet_on(memory, broker).identify(HOUSE, FIELDS, alarms=ALARMS[:1])
        broker.kept = {topic: message.payload for topic, message in broker.wanted.items()}
        outlet_on(memory, broker).identify(HOUSE, FIELDS)
        components = expanded(broker.wanted[self.OF_ALARMS].payload)["components"]
        assert components == {f"alarm_{ALARMS[0].key}": {"platform": "binary_sensor"}}

    def test_what_an_earlier_version_announced_with_the_meter_is_let_go_before_whatever_is_announced_next(
        self, memory: Path, broker: Broker
    ) -> None:
        outlet_on(memory, broker).identify(HOUSE, FIELDS, alarms=ALARMS[:1])
        old, alarms = (expanded(broker.wanted[topic].payload) for topic in (DISCOVERY, self.OF_ALARMS))
        old["components"] |= alarms["components"]
        broker.kept = {DISCOVERY: json.dumps(old)}
        publisher = outlet_on(memory, broker)
        publisher.identify(HOUSE, FIELDS, alarms=ALARMS[:1])
        publisher.accept_demand(demand_of("import"), None)
        for topic in (DISCOVERY, self.OF_ALARMS):
            first = broker.wanted[topic].after
            assert first is not None
            assert (first.topic, first.payload) == (DISCOVERY, '{"migrate_discovery":true}')

    def test_what_is_gone_stays_removed_when_something_else_is_announced_soon(
        self, memory: Path, broker: Broker
    ) -> None:
        """The message that removes it may not have been sent yet."""
        outlet_on(memory, broker).identify(HOUSE, (*FIELDS, "voltage_l1"))
        broker.kept = {topic: message.payload for topic, message in broker.wanted.items()}
        publisher = outlet_on(memory, broker)
        publisher.identify(HOUSE, FIELDS)
        publisher.accept_demand(demand_of("import"), None)
        components = expanded(broker.wanted[DISCOVERY].payload)["components"]
        assert components["voltage_l1"] == {"platform": "sensor"}
        assert "import_demand" in components
