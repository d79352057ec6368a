"""Everything that is published of one meter, in one place: its files on the RAM disk and its topics on the broker.

Decides what is said when; the texts come from ``payloads`` and ``home_assistant``. Called by one worker only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from nesgw.config.settings import HomeAssistantSettings, MeterSettings, MqttSettings
from nesgw.errors import CacheUnavailable, IdentityTaken
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.identities import Identities, Owner
from nesgw.publishers.message import Message
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.topics import Topics, meter_device
from nesgw.tables.catalogue import FIELDS
from nesgw.values import MeterIdentity, Reading

if TYPE_CHECKING:
    from nesgw.publishers.home_assistant import Direction
    from nesgw.tables.alarms import Alarm
    from nesgw.tables.event_log import Event
    from nesgw.tables.interval_demand import Demand, Running
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


@dataclass(frozen=True, slots=True)
class LastAccepted:
    """What an earlier process accepted last."""

    state: Mapping[str, object]
    status: Mapping[str, object]
    age: float | None  # seconds; None where a clock was wrong, then or now
    of_another: bool = False  # of the meter that was there before, whose id this one has: no measure for it


@dataclass(frozen=True, slots=True)
class PendingMemory:
    """A question to the broker: what it remembers of a meter."""

    meter: str
    answer: Callable[[float], dict[str, str] | None]

    def result(self) -> Mapping[str, str]:
        """Wait for the answer; empty if the broker does not tell in time."""
        return self.answer(BROKER_MEMORY) or {}


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
        identities: Identities | None = None,
    ) -> None:
        self._settings = meter
        self._mqtt = mqtt
        self._home_assistant = home_assistant
        self._identities = identities or Identities()
        self._owner = Owner(meter.name)
        self._topics = topics
        self._ram_disk = ram_disk
        self._broker = broker
        self._meter: str | None = None
        self._identity: MeterIdentity | None = None
        self._had: dict[str, dict[str, str]] = {}  # by discovery topic: what we, or the former run, announced there
        self._announcement: Callable[[tuple[Direction, ...]], list[Message]] | None = None
        self._demand: tuple[Direction, ...] = ()  # of which demand is announced
        self._moving: Message | None = None  # what must come first, for the former run announced something elsewhere
        self._expected: PendingMemory | None = None  # of the meter that will be identified, as it seems
        self._clashes: set[str] = set()  # ids of sub-meters that are another's, as far as that was logged
        self._sub_meters: dict[str, dict[str, MbusValue]] = {}  # what each told, by key
        self._cache_problem: str | None = None

    def prepare(self) -> None:
        """Make the folder on the RAM disk. Raises ConfigError if it is on a disk."""
        self._cache(self._ram_disk.prepare)

    def expect(self, meter: str) -> None:
        """Begin to ask what the broker remembers of a meter that will, as it seems, be identified."""
        if self._broker and meter != self._meter:
            topics = self._topics
            discovery = (topics.discovery(meter), topics.alarms_discovery(meter))
            wanted = (topics.state(meter), topics.status(meter), *discovery)
            self._expected = PendingMemory(meter, self._broker.ask(wanted))

    def identify(
        self, identity: MeterIdentity, fields: tuple[str, ...], *, alarms: Iterable[Alarm] = (), events: bool = False
    ) -> LastAccepted | None:
        """Announce the meter and what it has; return what was last published of it, by this or an earlier process.

        A meter that was read through this publisher before is said to be offline. Raises IdentityTaken, and publishes
        nothing, if another meter of this gateway is published under the same id.
        """
        if self._meter not in (None, identity.id):
            self.available(online=False)
            self._forget(self._meter)
            self._demand = ()
        self._claim(identity.id)
        known = self._meter == identity.id
        kept = {} if known else self._kept(identity.id)
        self._meter = identity.id
        topics = self._topics
        if self._home_assistant.enabled:
            self._announcement = self._announcement_of(identity, fields, tuple(alarms), events=events)
            if not known:  # whether there is still a load profile is found out later
                device = meter_device(identity.id)
                self._had = {topic: home_assistant.former_components(text, device) for topic, text in kept.items()}
                self._demand = home_assistant.demand_announced(self._had.get(topics.discovery(identity.id), {}))
                self._moving = home_assistant.moving(self._announcement(self._demand), self._had)
            self._announce()
        self._send(payloads.info_message(topics, identity, fields))
        self._identity = identity
        return None if known else self._last_accepted(topics, identity, kept)

    def _announcement_of(
        self, identity: MeterIdentity, fields: tuple[str, ...], alarms: tuple[Alarm, ...], *, events: bool
    ) -> Callable[[tuple[Direction, ...]], list[Message]]:
        meter, topics, language = self._settings, self._topics, self._home_assistant.language
        of_alarms = home_assistant.alarms_discovery(
            topics,
            identity,
            alarms,
            name=meter.name,
            label=meter.shown_as,
            poll_interval=meter.poll_interval,
            language=language,
        )

        def announcement(demand: tuple[Direction, ...]) -> list[Message]:
            of_meter = home_assistant.meter_discovery(
                topics,
                identity,
                [FIELDS[key] for key in fields],
                name=meter.name,
                label=meter.shown_as,
                poll_interval=meter.poll_interval,
                qos=self._mqtt.qos,
                events=events,
                demand=demand,
                language=language,
            )
            return [of_meter, of_alarms]

        return announcement

    def _announce(self) -> None:
        if self._announcement:
            messages = self._announcement(self._demand)
            for message in home_assistant.following(messages, self._had):
                if home_assistant.has_components(message):
                    self._send(replace(message, after=self._moving))
            for topic, components in home_assistant.announced(messages).items():
                self._had.setdefault(topic, {}).update(components)

    def _claim(self, meter: str) -> None:
        if other := self._identities.claim(meter, self._owner):
            self._meter = self._identity = None
            raise IdentityTaken(id=meter, other=str(other))

    def _forget(self, meter: str | None) -> None:
        """Say nothing more of a meter but that it is gone: what the broker keeps of it is its owner's to forget."""
        if meter:
            self._identities.release(meter, self._owner)
        if self._broker and meter:
            topics = self._topics
            self._broker.withdraw(
                topics.discovery(meter),
                topics.alarms_discovery(meter),
                topics.info(meter),
                topics.status(meter),
                topics.state(meter),
                topics.demand(meter),
            )
            self._sub_meters.clear()

    def _kept(self, meter: str) -> Mapping[str, str]:
        """What the broker remembers of a meter."""
        if self._expected is None or self._expected.meter != meter:
            self.expect(meter)
        expected, self._expected = self._expected, None
        return expected.result() if expected else {}

    def _last_accepted(self, topics: Topics, identity: MeterIdentity, kept: Mapping[str, str]) -> LastAccepted | None:
        """From the RAM disk after a restart of the process, from the broker after one of the machine."""
        meter = identity.id
        status, state = self._ram_disk.last_status(), self._ram_disk.last_reading()
        if status is None or state is None or status.get("id") != meter:
            self._cache(self._ram_disk.forget_reading)  # nobody may take it for this meter's, neither we nor others
            status, state = (
                payloads.json_object(kept.get(topic)) for topic in (topics.status(meter), topics.state(meter))
            )
        if not state and not status:
            return None
        age = None
        with contextlib.suppress(ValueError, TypeError):
            age = (datetime.now(UTC) - datetime.fromisoformat(str((state or {}).get("time")))).total_seconds()
        former = (status or {}).get("manufacturer_serial")
        of_another = isinstance(former, str) and identity.has_taken_over_from(
            replace(identity, manufacturer_serial=former)
        )
        if of_another:
            self._cache(self._ram_disk.forget_reading)
        return LastAccepted(state or {}, status or {}, age if age is not None and age >= 0 else None, of_another)

    def accept(self, reading: Reading) -> None:
        """Publish an accepted reading. Raises IdentityTaken if the meter's id has become another one's meanwhile."""
        state = payloads.state(reading)
        self._cache(lambda: self._ram_disk.write_reading(reading.tables, state))
        if self._meter:
            self._claim(self._meter)
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

    def accept_demand(self, demand: Demand | None, running: Running | None) -> None:
        """Publish the demand, and announce it if it is not yet; None: the meter keeps nothing that it follows from."""
        if self._meter is None:
            return
        directions = demand.directions if demand else ()
        is_new, self._demand = directions != self._demand, directions
        if is_new:
            self._announce()
        if demand or is_new:  # an empty message takes away what was there
            text = payloads.demand_state(demand, running) if demand else ""
            self._send(payloads.demand_message(self._topics, self._meter, text, qos=self._mqtt.qos))

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
        serial, fell_from, sub_meters = (former.get(key) for key in ("manufacturer_serial", "fell_from", "sub_meters"))
        return replace(
            status,
            id=meter if isinstance(meter, str) else None,
            manufacturer_serial=serial if isinstance(serial, str) else None,
            last_event=event if isinstance(event, int) else None,
            last_outage=outage if isinstance(outage, int) else None,
            fell_from=fell_from if isinstance(fell_from, dict) else {},
            sub_meters=sub_meters if isinstance(sub_meters, dict) else {},
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
        """Publish what a meter behind the meter says; ``every`` is its interval in seconds."""
        sub_meter = reading.id
        if self._identity is None or not sub_meter:
            return
        if other := self._identities.claim(sub_meter, Owner(self._settings.name, reading.handle)):
            self._say_clash(sub_meter, reading, other)
            return
        self._clashes.discard(sub_meter)
        # What it has told once it has: a telegram that cannot be decrypted takes no entity away.
        known = self._sub_meters.setdefault(sub_meter, {})
        known |= {value.key: value for value in reading.values}
        state = {**dict.fromkeys(known), **payloads.sub_meter(reading)}
        reading = replace(reading, values=tuple(known.values()))
        if self._home_assistant.enabled:
            self._send(
                home_assistant.sub_meter_discovery(
                    self._topics,
                    sub_meter,
                    reading,
                    behind=self._identity,
                    expiry=every,
                    language=self._home_assistant.language,
                )
            )
        for message in payloads.sub_meter_messages(self._topics, sub_meter, state):
            self._send(message)

    def _say_clash(self, sub_meter: str, reading: MbusReading, other: Owner) -> None:
        if sub_meter not in self._clashes:
            self._clashes.add(sub_meter)
            mine = Owner(self._settings.name, reading.handle)
            log = structlog.get_logger().bind(meter=self._settings.name)
            log.warning(f"{mine} has the same number as {other} ({sub_meter}): it is not published")

    def available(self, *, online: bool) -> None:
        """Say whether the meter's readings are fresh. One that is not must not be sent again as if it were."""
        self._identities.fresh(self._owner, online)
        if self._meter:
            self._send(payloads.availability_message(self._topics, self._meter, online))
            if self._broker and not online:
                values = (self._topics.value(self._meter, field) for field in FIELDS)
                self._broker.withdraw(self._topics.state(self._meter), self._topics.demand(self._meter), *values)

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
