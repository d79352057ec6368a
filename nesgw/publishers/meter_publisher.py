"""Everything that is published of one meter, in one place: its files on the RAM disk and its topics on the broker.

Decides what is said when; the texts come from ``payloads`` and ``home_assistant``. Called by one worker only.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog

from nesgw.config.settings import HomeAssistantSettings, MeterSettings, MqttSettings
from nesgw.errors import CacheUnavailable
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.message import Message
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.topics import Topics
from nesgw.tables.catalogue import FIELDS
from nesgw.values import MeterIdentity, Reading, plain_id

if TYPE_CHECKING:
    from nesgw.tables.alarms import Alarm
    from nesgw.tables.event_log import Event
    from nesgw.tables.mbus import MbusReading
    from nesgw.tables.mbus_records import MbusValue
    from nesgw.tables.outages import Outage

# How long the first reading waits for what the broker remembers; an absent broker must not hold it up.
BROKER_MEMORY: Final = 2.0


class Broker(Protocol):
    """What it needs of the broker's publisher."""

    def set(self, *messages: Message) -> None:
        """Want the broker to have these messages."""

    def withdraw(self, *topics: str) -> None:
        """Want nothing of these topics any more."""

    def ask(self, filters: Sequence[str]) -> Callable[[float], dict[str, str] | None]:
        """Begin to fetch retained messages; the answer takes so many seconds, and is None if they were too few."""

    def emit(self, *messages: Message) -> None:
        """Publish events in order, each once."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""

    @property
    def delivered(self) -> bool:
        """Whether the broker has every event."""


class LastAccepted(NamedTuple):
    """What an earlier process accepted last."""

    state: Mapping[str, object]
    status: Mapping[str, object]
    age: float | None  # seconds; None where a clock was wrong, then or now


class MeterPublisher:
    """Where one worker's readings go. Until the meter has told who it is, nothing of it is published.

    ``broker`` is None where MQTT is off.
    """

    def __init__(
        self,
        meter: MeterSettings,
        topics: Topics,
        ram_disk: RamDisk,
        broker: Broker | None,
        *,
        mqtt: MqttSettings,
        home_assistant: HomeAssistantSettings,
    ) -> None:
        self._settings = meter
        self._mqtt = mqtt
        self._home_assistant = home_assistant
        self._topics = topics
        self._ram_disk = ram_disk
        self._broker = broker
        self._meter: str | None = None
        self._identity: MeterIdentity | None = None
        self._announced: str | None = None
        # The meter that will be identified, as it seems, and the answer to what the broker remembers of it.
        self._expected: tuple[str, Callable[[float], dict[str, str] | None]] | None = None
        self._sub_meters: dict[str, dict[str, MbusValue]] = {}  # what each told, by key
        self._cache_problem: str | None = None

    def prepare(self) -> None:
        """Make the folder on the RAM disk. Raises ConfigError if it is on a disk."""
        self._cache(self._ram_disk.prepare)

    def expect(self, meter: str) -> None:
        """Begin to ask what the broker remembers of a meter that will, as it seems, be identified."""
        if self._broker and meter != self._meter:
            topics = self._topics
            wanted = (topics.state(meter), topics.status(meter), topics.discovery(meter))
            self._expected = meter, self._broker.ask(wanted)

    def identify(
        self, identity: MeterIdentity, fields: tuple[str, ...], *, alarms: Iterable[Alarm] = (), events: bool = False
    ) -> LastAccepted | None:
        """Announce the meter and what it has; return what was last published of it, by this or an earlier process.

        A meter that was read through this publisher before is said to be offline.
        """
        if self._meter not in (None, identity.id):
            self.available(online=False)
            self._forget(self._meter)
        known = self._meter == identity.id
        kept = {} if known else self._kept(identity.id)
        self._meter = identity.id
        meter, topics = self._settings, self._topics
        if self._home_assistant.enabled:
            message = home_assistant.meter_discovery(
                topics,
                identity,
                [FIELDS[key] for key in fields],
                name=meter.name,
                label=meter.shown_as,
                poll_interval=meter.poll_interval,
                qos=self._mqtt.qos,
                alarms=alarms,
                events=events,
            )
            before = self._announced if known else kept.get(topics.discovery(identity.id))
            self._send(home_assistant.with_removals(message, before))
            self._announced = message.payload
        self._send(payloads.info_message(topics, identity, fields))
        self._identity = identity
        return None if known else self._last_accepted(topics, identity.id, kept)

    def _forget(self, meter: str | None) -> None:
        """Say nothing more of a meter but that it is gone: what the broker keeps of it is its owner's to forget."""
        if self._broker and meter:
            topics = self._topics
            self._broker.withdraw(
                topics.discovery(meter), topics.info(meter), topics.status(meter), topics.state(meter)
            )
            self._sub_meters.clear()

    def _kept(self, meter: str) -> Mapping[str, str]:
        """What the broker remembers of a meter."""
        if self._expected is None or self._expected[0] != meter:
            self.expect(meter)
        expected, self._expected = self._expected, None
        return (expected and expected[1](BROKER_MEMORY)) or {}

    def _last_accepted(self, topics: Topics, meter: str, kept: Mapping[str, str]) -> LastAccepted | None:
        """From the RAM disk after a restart of the process, from the broker after one of the machine."""
        status, state = self._ram_disk.last_status(), self._ram_disk.last_reading()
        if status is None or state is None or status.get("id") != meter:
            self._cache(self._ram_disk.forget_reading)  # nobody may take it for this meter's, neither we nor others
            status, state = (_object(kept.get(topic)) for topic in (topics.status(meter), topics.state(meter)))
        if not state and not status:
            return None
        age = None
        with contextlib.suppress(ValueError, TypeError):
            age = (datetime.now(UTC) - datetime.fromisoformat(str((state or {}).get("time")))).total_seconds()
        return LastAccepted(state or {}, status or {}, age if age is not None and age >= 0 else None)

    def accept(self, reading: Reading) -> None:
        """Publish an accepted reading."""
        state = payloads.state(reading)
        self._cache(lambda: self._ram_disk.write_reading(reading.tables, state))
        if self._meter:
            mqtt = self._mqtt
            for message in payloads.state_messages(
                self._topics,
                self._meter,
                reading,
                state,
                qos=mqtt.qos,
                retain=mqtt.retain,
                per_value=mqtt.per_value_topics,
            ):
                self._send(message)

    def report(self, status: MeterStatus) -> None:
        """Publish how reading goes, after each poll, good or bad."""
        if self._meter is None:
            status = self._with_what_is_known(status)
        text = payloads.meter_status(status)
        self._cache(lambda: self._ram_disk.write_status(text))
        if self._meter:
            self._send(payloads.meter_status_message(self._topics, self._meter, text))

    def _with_what_is_known(self, status: MeterStatus) -> MeterStatus:
        """Keep whose reading is on the RAM disk, and how far its logs were told, until the meter has said who it is."""
        former = self._ram_disk.last_status() or {}
        meter, event, outage = (former.get(key) for key in ("id", "last_event", "last_outage"))
        return status._replace(
            id=meter if isinstance(meter, str) else None,
            last_event=event if isinstance(event, int) else None,
            last_outage=outage if isinstance(outage, int) else None,
        )

    def emit(self, entries: Iterable[Event | Outage]) -> None:
        """Publish entries of the meter's logs, each once."""
        if self._broker and self._meter:
            self._broker.emit(
                *(payloads.event_message(self._topics, self._meter, payloads.log_entry(entry)) for entry in entries)
            )

    @property
    def listening(self) -> bool:
        """Whether there is a broker to tell of events, and it has all of those so far."""
        return self._broker is not None and self._broker.connected and self._broker.delivered

    def accept_sub_meter(self, reading: MbusReading, every: float) -> None:
        """Publish what a meter behind the meter told, ``every`` so many seconds."""
        sub_meter = plain_id(f"{reading.manufacturer or ''}{reading.serial}")
        if self._identity is None or not reading.serial:
            return
        # What it has told once it has: a telegram that cannot be decrypted takes no entity away.
        known = self._sub_meters.setdefault(sub_meter, {})
        known |= {value.key: value for value in reading.values}
        state = {**dict.fromkeys(known), **payloads.sub_meter(reading)}
        reading = replace(reading, values=tuple(known.values()))
        if self._home_assistant.enabled:
            self._send(
                home_assistant.sub_meter_discovery(
                    self._topics, sub_meter, reading, behind=self._identity, expiry=every
                )
            )
        for message in payloads.sub_meter_messages(self._topics, sub_meter, state):
            self._send(message)

    def available(self, *, online: bool) -> None:
        """Say whether the meter's readings are fresh. One that is not must not be sent again as if it were."""
        if self._meter:
            self._send(payloads.availability_message(self._topics, self._meter, online))
            if self._broker and not online:
                values = (self._topics.value(self._meter, field) for field in FIELDS)
                self._broker.withdraw(self._topics.state(self._meter), *values)

    def _send(self, message: Message) -> None:
        if self._broker:
            self._broker.set(message)

    def _cache(self, write: Callable[[], None]) -> None:
        """A full RAM disk is trouble for those who read it, not for the broker: told once, and tried again."""
        problem = None
        try:
            write()
        except CacheUnavailable as error:
            problem = str(error)
        if problem != self._cache_problem:
            log = structlog.get_logger().bind(meter=self._settings.name)
            log.error(problem) if problem else log.info("the RAM disk works again")
            self._cache_problem = problem


def _object(text: str | None) -> dict[str, object] | None:
    """A JSON object, if that is what the text is."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text or "")
        return found if isinstance(found, dict) else None
    return None
