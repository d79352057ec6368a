"""A worker with a real publisher on a simulated meter in virtual time: each published state is compared with it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from nesgw.config.settings import HomeAssistantSettings, MqttSettings
from nesgw.gateway.worker import Worker
from nesgw.publishers.meter_publisher import MeterPublisher
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.topics import Topics
from nesgw.simulator import DEFAULT_KEY
from tests.faults.truth import wrong_values
from tests.virtual import line_to, meter_on, settings_with, true_time

GRAIN = 1e-3  # seconds


@dataclass
class Recorder:
    """In the broker's place: notes what it is given, and when. What it has is never older than what it was told."""

    rig: Rig
    topics: dict[str, str] = field(default_factory=dict)
    states: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    availability: list[tuple[float, str, str]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    connected = True
    delivered = True

    def set(self, *messages: Any) -> None:
        now = self.rig.line.clock()
        for message in messages:
            self.topics[message.topic] = message.payload
            if message.topic == f"nesgw/{self.rig.line.meter.serial}/state":
                state = json.loads(message.payload)
                self.states.append((now, state))
                if wrong := wrong_values(state, self.rig.line.meter, now, self.rig.longest):
                    self.wrong.append((now, wrong))
            elif message.topic.endswith("/availability"):
                self.availability.append((now, message.topic.split("/")[-2], message.payload))
            elif message.topic.endswith("/status"):
                self.statuses.append(json.loads(message.payload))

    def withdraw(self, *topics: Any) -> None:
        """What the broker has stays."""

    def emit(self, *messages: Any) -> None:
        """Events are no readings."""

    def ask(self, filters: Any) -> Any:
        return lambda timeout: {topic: self.topics[topic] for topic in filters if topic in self.topics}


class Rig:
    """Make one, then ``run`` it until a virtual time; the clock begins at zero."""

    def __init__(
        self,
        folder: Any,
        profile: str = "83331-3i",
        *,
        interface: str = "optical",
        interval: float = 10.0,
        key: Any = DEFAULT_KEY,
        plan: tuple[Any, ...] = (),
        meter: Any = None,
        manners: Any = None,
        paced: bool = True,
        **options: Any,
    ) -> None:
        self.line: Any = line_to(profile, interface, manners, faults=plan, **(meter or {}))
        if not paced:
            self.line.unpaced()
        self.start = self.line.clock()
        self.longest = max(interval, 12.0)
        self.broker: Any = Recorder(self)
        self.stop = threading.Event()
        self.until = 0.0
        self.at = {}  # what happens when, in seconds after the start
        self.line.read, self.line.sleep = self._happen(self.line.read), self._happen(self.line.sleep)
        of_meter = {name: options.pop(name) for name in ("wall_clock",) if name in options}
        settings = settings_with(key, interface=interface, label="House", poll_interval=interval, **options)
        publisher = MeterPublisher(
            settings,
            Topics("nesgw", "nesgw"),
            RamDisk(folder, "house", allow_disk=True),
            self.broker,
            mqtt=MqttSettings(),
            home_assistant=HomeAssistantSettings(),
        )
        publisher.prepare()
        self.worker = Worker(
            settings,
            lambda turn: meter_on(self.line, settings, stop=turn, **of_meter),
            publisher,
            stop=self.stop,
            clock=self.line.clock,
            pause=self._pause,
            wall_clock=lambda: true_time(self.line),
        )

    def _happen(self, read: Any) -> Any:
        """Let happen what is due while a poll waits for its answers, and while nothing is waited for."""

        def noticing(seconds: Any) -> Any:
            result = read(min([seconds, *(max(moment - self.now, GRAIN) for moment in self.at)]))
            for moment in sorted(moment for moment in self.at if moment <= self.now):
                self.at.pop(moment)()
            return result

        return noticing

    @property
    def now(self) -> float:
        return float(self.line.clock() - self.start)

    def _pause(self, seconds: Any) -> None:
        self.line.sleep(seconds)
        if self.now >= self.until:
            self.stop.set()

    def run(self, until: Any) -> Any:
        """Let the worker live until ``until`` seconds after the start, and no longer."""
        self.until = until
        self.worker.run()
        if self.worker.defect:
            raise self.worker.defect
        return self

    @property
    def read_at(self) -> list[float]:
        """When readings were published, in seconds after the start."""
        return [at - self.start for at, _ in self.broker.states]

    def recovery(self, end: Any) -> Any:
        """Seconds from ``end`` to the next reading."""
        return min(at for at in self.read_at if at > end) - end
