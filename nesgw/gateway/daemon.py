"""The life of the process, top to bottom: what is opened last is closed first.

One thread a meter, one for the broker; this one waits, watches over them and tells systemd. Keeps no state of its own.
"""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

import structlog

from nesgw import __version__
from nesgw.config.settings import MeterSettings, Settings
from nesgw.errors import ConfigError
from nesgw.gateway import logs
from nesgw.gateway import systemd as notify
from nesgw.gateway.read_server import ReadServer
from nesgw.gateway.watch import STATUS_INTERVAL, TICK, BrokerLog, Watch, hangs_after
from nesgw.gateway.worker import Worker
from nesgw.meter.meter import Meter
from nesgw.meter.zone import machine_zone
from nesgw.publishers import home_assistant
from nesgw.publishers.identities import Identities
from nesgw.publishers.meter_publisher import MeterPublisher
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.ram_disk import RamDisk, refuse_disk
from nesgw.publishers.topics import Topics

if TYPE_CHECKING:
    from nesgw.web.service import WebService

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
            publisher = MqttPublisher(settings.mqtt, topics, on_state=BrokerLog())
            if settings.homeassistant.enabled:
                labels = {meter.name: meter.shown_as for meter in settings.meters}
                language = settings.homeassistant.language
                publisher.set(
                    home_assistant.gateway_discovery(topics, labels, status_interval=STATUS_INTERVAL, language=language)
                )
        stop = threading.Event()
        identities = Identities()
        workers = [
            _worker(meter, settings, topics, publisher, identities, stop, asked.wake.set) for meter in settings.meters
        ]
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
        watch = Watch(workers, publisher, topics)
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


def _worker(
    meter: MeterSettings,
    settings: Settings,
    topics: Topics,
    publisher: MqttPublisher | None,
    identities: Identities,
    stop: threading.Event,
    on_change: Callable[[], object],
) -> Worker:
    ram_disk = RamDisk(settings.cache.directory, meter.name, allow_disk=settings.cache.allow_disk)
    meter_publisher = MeterPublisher(
        meter,
        topics,
        ram_disk,
        publisher,
        mqtt=settings.mqtt,
        home_assistant=settings.homeassistant,
        identities=identities,
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
        WorkersNow(settings.meters, workers, hangs_after()),
        profile=ProfileReader(settings.cache.directory),
        sockets=notify.sockets(),
    )
    service.start()
    return service


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
