"""Everything that is published of one meter, in one place: its files on the RAM disk and its topics on the broker.

Decides what is said when; the texts come from ``payloads`` and ``home_assistant``. Called by one worker only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from nesgw.errors import CacheUnavailable
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.message import Message
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.topics import Topics
from nesgw.tables.catalogue import FIELDS
from nesgw.values import MeterIdentity, Reading


class Broker(Protocol):
    """What an outlet needs of the broker's publisher."""

    def set(self, *messages: Message) -> None:
        """Want the broker to have these messages."""

    def retained(self, filters: Sequence[str], timeout: float) -> dict[str, str] | None:
        """Fetch retained messages; None if the broker could not be asked in time."""


@dataclass(frozen=True, slots=True)
class OutletSettings:
    """How one meter's readings are published."""

    name: str
    label: str
    poll_interval: float
    qos: int = 1
    retain: bool = True
    per_value_topics: bool = False
    home_assistant: bool = True


class Outlet:
    """Where one worker's readings go. Until the meter has told who it is, nothing of it is published.

    ``broker`` is None where MQTT is off.
    """

    def __init__(
        self,
        settings: OutletSettings,
        topics: Topics,
        ram_disk: RamDisk,
        broker: Broker | None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._ram_disk = ram_disk
        self._broker = broker
        self._meter: str | None = None
        self._cache_problem: str | None = None

    def prepare(self) -> None:
        """Make the folder on the RAM disk. Raises ConfigError if it is on a disk."""
        self._cache(self._ram_disk.prepare)

    def identify(self, identity: MeterIdentity, fields: tuple[str, ...]) -> None:
        """Announce the meter and its fields; one that was read through this outlet before is said to be offline."""
        if self._meter not in (None, identity.id):
            self.available(online=False)
        self._meter = identity.id
        settings = self._settings
        if settings.home_assistant:
            self._send(
                home_assistant.meter_discovery(
                    self._topics,
                    identity,
                    [FIELDS[key] for key in fields],
                    name=settings.name,
                    label=settings.label,
                    poll_interval=settings.poll_interval,
                    qos=settings.qos,
                )
            )
        self._send(payloads.info_message(self._topics, identity, fields))

    def accept(self, reading: Reading) -> None:
        """Publish an accepted reading."""
        self._cache(lambda: self._ram_disk.write_reading(reading))
        if self._meter:
            settings = self._settings
            for message in payloads.state_messages(
                self._topics,
                self._meter,
                reading,
                qos=settings.qos,
                retain=settings.retain,
                per_value=settings.per_value_topics,
            ):
                self._send(message)

    def report(self, status: MeterStatus) -> None:
        """Publish how reading goes, after each poll, good or bad."""
        self._cache(lambda: self._ram_disk.write_status(status))
        if self._meter:
            self._send(payloads.meter_status_message(self._topics, self._meter, status))

    def available(self, *, online: bool) -> None:
        """Say whether the meter's readings are fresh."""
        if self._meter:
            self._send(payloads.availability_message(self._topics, self._meter, online))

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
