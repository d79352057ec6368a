"""How the process stands: feeds the watchdog, fills the gateway's status topic and systemd's, logs the broker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from nesgw import __version__
from nesgw.gateway import systemd
from nesgw.publishers import payloads
from nesgw.publishers.payloads import GatewayMeter, GatewayStatus

if TYPE_CHECKING:
    from nesgw.errors import BrokerUnavailable
    from nesgw.gateway.worker import Worker
    from nesgw.publishers.mqtt.publisher import MqttPublisher
    from nesgw.publishers.topics import Topics

TICK: Final = 2.0  # seconds between two looks at the workers, if nothing changes with one
STATUS_INTERVAL: Final = 30.0  # seconds between two reports on the gateway's status topic, if nothing changes
WATCHDOG: Final = 60.0  # where systemd does not say after how long it restarts us


def hangs_after() -> float:
    """Return after how many seconds a worker that does not turn hangs."""
    return (systemd.watchdog_seconds() or WATCHDOG) / 2


class Watch:
    """Looks at the workers every ``TICK`` seconds, and as soon as something changes with one.

    A worker turns several times a second in every wait: one that has not for half the watchdog's time hangs.
    """

    def __init__(self, workers: Sequence[Worker], publisher: MqttPublisher | None, topics: Topics) -> None:
        self._workers = workers
        self._publisher = publisher
        self._topics = topics
        self._started = datetime.now(UTC)
        self._since = time.monotonic()
        self._reported: object = None
        self._reported_at = float("-inf")
        self._hang = hangs_after()

    def look(self) -> None:
        """Raise the defect that ended a worker, if one did."""
        for worker in self._workers:
            if worker.defect is not None:
                raise worker.defect
            worker.look()
        now = time.monotonic()
        if all(now - worker.pulse < self._hang for worker in self._workers):
            systemd.alive()
        meters = {worker.meter_name: _seen(worker) for worker in self._workers}
        trouble = self._publisher.problem if self._publisher else None
        problem = None if trouble is None else str(trouble)
        # A new connection has a new status: by its uptime another gateway of our name is told from our former run.
        connections = self._publisher.connections if self._publisher else 0
        changing = _changing(meters), problem, connections
        if changing != self._reported or now - self._reported_at >= STATUS_INTERVAL:
            self._reported, self._reported_at = changing, now
            systemd.status("; ".join(worker.in_words() for worker in self._workers))
            if self._publisher:
                status = GatewayStatus(__version__, self._started, round(now - self._since), meters, problem)
                self._publisher.set(payloads.gateway_status_message(self._topics, status))


def _seen(worker: Worker) -> GatewayMeter:
    return GatewayMeter(
        id=worker.facts.identity.id if worker.facts else None,
        online=worker.online,
        last_read=worker.status.last_read,
        last_error=worker.status.last_error,
    )


def _changing(meters: Mapping[str, GatewayMeter]) -> dict[str, tuple[str | None, bool, str | None]]:
    """What is worth a report at once; the time of the last reading is not."""
    return {name: (meter.id, meter.online, meter.last_error) for name, meter in meters.items()}


class BrokerLog:
    """Logs what the broker's thread reports: each change once, and a problem also while the connection stands."""

    def __init__(self) -> None:
        self._connected = False
        self._problem = ""

    def __call__(self, connected: bool, problem: BrokerUnavailable | None) -> None:
        """Take a report; called by the broker's thread at each change."""
        log = structlog.get_logger()
        sentence = str(problem or "")
        if connected and not self._connected:
            log.info("connected to the MQTT broker")
        elif connected and self._problem and not sentence:
            log.info("the trouble with the MQTT broker is over")
        if sentence and sentence != self._problem:
            log.warning(sentence)
        self._connected, self._problem = connected, sentence
