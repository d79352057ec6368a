"""The life of the process, top to bottom: what is opened last is closed first.

One thread a meter, one for the broker; this one waits, watches over them and tells systemd. Keeps no state of its own.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Final

import structlog

from nesgw import __version__
from nesgw.config.settings import MeterSettings, Settings
from nesgw.errors import BrokerUnavailable, ConfigError
from nesgw.gateway import logs
from nesgw.gateway import systemd as notify
from nesgw.gateway.read_server import ReadServer
from nesgw.gateway.worker import Worker
from nesgw.meter.meter import Meter
from nesgw.meter.zone import machine_zone
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.meter_publisher import BROKER_MEMORY, MeterPublisher
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.payloads import GatewayMeter, GatewayStatus
from nesgw.publishers.ram_disk import RamDisk, refuse_disk
from nesgw.publishers.topics import ONLINE, Topics

if TYPE_CHECKING:
    from nesgw.web.service import WebService

TICK: Final = 2.0  # seconds between two looks at the workers, if none of them has news
STATUS_INTERVAL: Final = 30.0  # seconds between two reports on the gateway's status topic, if nothing changes
WATCHDOG: Final = 60.0  # where systemd does not say after how long it restarts us
FORMER_QUESTIONS: Final = 5  # times that a slow broker is asked what our former run read
GOODBYE: Final = 3.0  # seconds for the meters' sessions to end

Reload = Callable[[], Settings]


def run(settings: Settings, reload: Reload) -> None:
    """Run until SIGTERM or SIGINT. SIGHUP takes up the settings that ``reload`` returns, if they are good.

    Raises ConfigError for what only shows on this machine (a cache on a disk), and whatever defect ended a worker.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave the meter's key in a file
    with _signals() as asked:
        while True:
            logs.set_up(settings.gateway.log_level, settings.gateway.log_format)
            for secret in settings.secrets():
                logs.keep_secret(secret.reveal())
            following = _serve(settings, asked, reload)
            if following is None:
                return
            settings = following


class _Asked:
    """What the signals asked for, and the event that wakes the main thread for it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.stop = False
        self.reload = False


@contextmanager
def _signals() -> Iterator[_Asked]:
    asked = _Asked()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            asked.reload = True
        else:
            asked.stop = True
        asked.wake.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(settings: Settings, asked: _Asked, reload: Reload) -> Settings | None:
    """Read and publish with these settings; return the next ones, or None at the end."""
    log = structlog.get_logger()
    topics = Topics(settings.mqtt.base_topic, settings.gateway.name, settings.homeassistant.discovery_prefix)
    with ExitStack() as life:
        publisher = None
        if settings.mqtt.enabled:
            publisher = MqttPublisher(settings.mqtt, topics, on_state=_broker_state)
            if settings.homeassistant.enabled:
                labels = {meter.name: meter.shown_as for meter in settings.meters}
                publisher.set(home_assistant.gateway_discovery(topics, labels, status_interval=STATUS_INTERVAL))
        stop = threading.Event()
        workers = [_worker(meter, settings, topics, publisher, stop, asked.wake.set) for meter in settings.meters]
        # From the last to the first at the end: the workers leave their meters while we say goodbye to the broker.
        life.callback(_end, workers)
        if publisher:
            life.callback(publisher.stop)
        life.callback(_stop, workers, stop)
        for worker in workers:
            worker.start()
        if publisher:
            publisher.start()
        if settings.http.enabled:
            life.callback(_web(settings, workers).stop)
        notify.ready("waiting for the first reading")
        count = f"{len(workers)} meter" + ("s" if len(workers) > 1 else "")
        log.info(f"nesgw {__version__} reads {count}", names=" ".join(w.meter_name for w in workers))
        watch = _Watch(workers, publisher, topics)
        while True:
            watch.look()
            asked.wake.wait(TICK)
            asked.wake.clear()
            if asked.stop:
                notify.stopping()
                log.info("stopping")
                return None
            if asked.reload:
                asked.reload = False
                if (following := _reloaded(reload)) is not None:
                    return following


def _reloaded(reload: Reload) -> Settings | None:
    """Read the configuration again; a wrong one is told, and the old one goes on."""
    log = structlog.get_logger()
    try:
        following = reload()
        if not following.cache.allow_disk:
            refuse_disk(following.cache.directory)
    except ConfigError as error:
        for problem in error.problems:
            log.error(problem)
        log.error("the new configuration is wrong: the old one stays in force")
        return None
    notify.reloading()
    log.info("the configuration was read again")
    return following


class _Watch:
    """Looks at the workers every second: feeds the watchdog, and says how things stand.

    A worker turns several times a second in every wait: one that has not for half the watchdog's time hangs.
    """

    def __init__(self, workers: list[Worker], publisher: MqttPublisher | None, topics: Topics) -> None:
        self._workers = workers
        self._publisher = publisher
        self._topics = topics
        self._started = datetime.now(UTC)
        self._since = time.monotonic()
        self._told: dict[str, GatewayMeter] = {}
        self._told_at = float("-inf")
        self._hang = _hang()
        self._former_questions = FORMER_QUESTIONS if publisher else 0

    def look(self) -> None:
        """Raise the defect that ended a worker, if one did."""
        for worker in self._workers:
            if worker.defect is not None:
                raise worker.defect
            worker.look()
        now = time.monotonic()
        if all(now - worker.pulse < self._hang for worker in self._workers):
            notify.alive()
        if self._former_questions and self._publisher and self._publisher.connected:
            known = self._withdraw_former(self._publisher)
            self._former_questions = 0 if known else self._former_questions - 1
            self._told_at = float("-inf")
        meters = {worker.meter_name: _seen(worker) for worker in self._workers}
        if _trouble(meters) != _trouble(self._told) or now - self._told_at >= STATUS_INTERVAL:
            self._told, self._told_at = meters, now
            notify.status("; ".join(worker.in_words() for worker in self._workers))
            if self._publisher and not self._former_questions:
                status = GatewayStatus(__version__, self._started, round(now - self._since), meters)
                self._publisher.set(payloads.gateway_status_message(self._topics, status))

    def _withdraw_former(self, publisher: MqttPublisher) -> bool:
        """Say that the meters of a former run, which had no time to say goodbye, are offline until they are read.

        The broker still has its status; ours is not published before. What another gateway has taken over is left to
        it. False if the broker did not tell.
        """
        topics = self._topics
        found = publisher.retained(topics.of_gateways(), BROKER_MEMORY)
        if found is None:  # perhaps we may not read what others say
            found = publisher.retained((topics.gateway_status,), BROKER_MEMORY)
        if found is None:
            return False
        former = _meters_of(found.get(topics.gateway_status, "")) - _read_by_others(topics, found)
        publisher.set(*(payloads.availability_message(self._topics, meter, online=False) for meter in sorted(former)))
        for worker in self._workers:
            if worker.online and worker.facts and worker.facts.identity.id in former:
                publisher.set(payloads.availability_message(self._topics, worker.facts.identity.id, online=True))
        return True


def _read_by_others(topics: Topics, found: Mapping[str, str]) -> set[str]:
    """The meters of all other gateways that are online."""
    others = {name for topic in found if (name := topics.gateway_of(topic)) and name != topics.gateway}
    theirs = [topics._replace(gateway=name) for name in others]
    alive = [other for other in theirs if found.get(other.gateway_availability) == ONLINE]
    return {meter for other in alive for meter in _meters_of(found.get(other.gateway_status, ""))}


def _meters_of(status: str) -> set[str]:
    """The ids in a gateway's status; none if it is damaged."""
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
        ids = {meter.get("id") for meter in json.loads(status)["meters"].values()}
        return {meter for meter in ids if isinstance(meter, str) and re.fullmatch("[a-z0-9]+", meter)}
    return set()


def _seen(worker: Worker) -> GatewayMeter:
    return GatewayMeter(
        id=worker.facts.identity.id if worker.facts else None,
        online=worker.online,
        last_read=worker.status.last_read,
        last_error=worker.status.last_error,
    )


def _trouble(meters: Mapping[str, GatewayMeter]) -> dict[str, tuple[str | None, bool, str | None]]:
    """What is worth telling at once; the time of the last reading is not."""
    return {name: (meter.id, meter.online, meter.last_error) for name, meter in meters.items()}


def _worker(
    meter: MeterSettings,
    settings: Settings,
    topics: Topics,
    publisher: MqttPublisher | None,
    stop: threading.Event,
    on_change: Callable[[], object],
) -> Worker:
    ram_disk = RamDisk(settings.cache.directory, meter.name, allow_disk=settings.cache.allow_disk)
    meter_publisher = MeterPublisher(
        meter, topics, ram_disk, publisher, mqtt=settings.mqtt, home_assistant=settings.homeassistant
    )
    meter_publisher.prepare()
    trace = structlog.get_logger().bind(meter=meter.name).debug
    return Worker(
        meter,
        lambda turn: Meter(meter, stop=turn, trace=trace),
        meter_publisher,
        zone=machine_zone(),
        server=ReadServer(ram_disk.folder),
        on_change=on_change,
        stop=stop,
    )


def _web(settings: Settings, workers: list[Worker]) -> WebService:
    """Start the page and all else that is asked for over HTTP."""
    # Here, because a gateway without a page does not need it in its memory.
    from nesgw.gateway.web_feed import ProfileReader, WorkersNow
    from nesgw.web.service import WebService

    service = WebService(
        settings.http,
        WorkersNow(settings.meters, workers, _hang()),
        profile=ProfileReader(settings.cache.directory),
        sockets=notify.sockets(),
    )
    service.start()
    return service


def _hang() -> float:
    """After how many seconds a worker that does not turn hangs."""
    return (notify.watchdog_seconds() or WATCHDOG) / 2


def _stop(workers: list[Worker], stop: threading.Event) -> None:
    """Have every worker end, also one that waits."""
    stop.set()
    for worker in workers:
        worker.wake.set()


def _end(workers: list[Worker]) -> None:
    """Wait until every worker has ended its meter's session; for none long."""
    until = time.monotonic() + GOODBYE
    for worker in workers:
        if worker.ident is not None:
            worker.join(max(0.0, until - time.monotonic()))


def _broker_state(connected: bool, problem: BrokerUnavailable | None) -> None:
    """Called by the broker's thread at each change."""
    log = structlog.get_logger()
    if connected:
        log.info("connected to the MQTT broker")
    elif problem is not None:
        log.warning(str(problem))
