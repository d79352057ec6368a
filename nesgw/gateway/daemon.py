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
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import structlog

from nesgw import __version__
from nesgw.errors import ConfigError
from nesgw.gateway import logs
from nesgw.gateway import systemd as notify
from nesgw.gateway.watch import STATUS_INTERVAL, TICK, BrokerLog, Watch
from nesgw.gateway.worker import Worker
from nesgw.meter.port_loan import Host
from nesgw.meter.session import Meter, MeterPort
from nesgw.meter.zone import machine_zone
from nesgw.publishers import home_assistant
from nesgw.publishers.identities import Identities
from nesgw.publishers.meter_publisher import MeterPublisher, MeterPublisherSettings
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.mqtt.trouble import MqttSettings, TlsSettings
from nesgw.publishers.ram_disk import RamDisk, refuse_disk
from nesgw.publishers.topics import Topics

if TYPE_CHECKING:
    from nesgw.config.schema import Config, MeterSection, Secrets

GOODBYE: Final = 3.0  # seconds for the meters' sessions to end

Reload = Callable[[], "tuple[Config, Secrets]"]


def run(config: Config, secrets: Secrets, reload: Reload) -> None:
    """Run until SIGTERM or SIGINT. SIGHUP takes up the configuration that ``reload`` returns, if it is good.

    Raises ConfigError for what only shows on this machine (a cache on a disk), and whatever defect ended a worker.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave the meter's key in a file
    with _signals() as asked:
        while True:
            logs.set_up(config.gateway.log_level, config.gateway.log_format)
            for key in secrets.keys.values():
                logs.keep_secret(key.value)
            logs.keep_secret(secrets.mqtt_password)
            following = _serve(config, secrets, asked, reload)
            if following is None:
                return
            config, secrets = following


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


def _serve(config: Config, secrets: Secrets, asked: _Asked, reload: Reload) -> tuple[Config, Secrets] | None:
    """Read and publish with one configuration; return the next one, or None at the end."""
    log = structlog.get_logger()
    topics = Topics(config.mqtt.base_topic, config.gateway.name, config.homeassistant.discovery_prefix)
    with ExitStack() as life:
        publisher = None
        if config.mqtt.enabled:
            publisher = MqttPublisher(mqtt_settings(config, secrets), topics, on_state=BrokerLog())
            if config.homeassistant.enabled:
                labels = {meter.name: meter.label or meter.name for meter in config.meter}
                publisher.set(home_assistant.gateway_discovery(topics, labels, status_interval=STATUS_INTERVAL))
        stop = threading.Event()
        identities = Identities()
        workers = [
            _worker(meter, config, secrets, topics, publisher, identities, stop, asked.wake.set)
            for meter in config.meter
        ]
        # From the last to the first at the end: the workers leave their meters while we say goodbye to the broker.
        life.callback(_end, workers)
        if publisher:
            life.callback(publisher.stop)
        life.callback(stop.set)
        for worker in workers:
            worker.start()
        if publisher:
            publisher.start()
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


def _reloaded(reload: Reload) -> tuple[Config, Secrets] | None:
    """Read the configuration again; a wrong one is told, and the old one goes on."""
    log = structlog.get_logger()
    try:
        following = reload()
        if not following[0].cache.allow_disk:
            refuse_disk(Path(following[0].cache.directory))
    except ConfigError as error:
        for problem in error.problems:
            log.error(problem)
        log.error("the new configuration is wrong: the old one stays in force")
        return None
    notify.reloading()
    log.info("the configuration was read again")
    return following


def _worker(
    meter: MeterSection,
    config: Config,
    secrets: Secrets,
    topics: Topics,
    publisher: MqttPublisher | None,
    identities: Identities,
    stop: threading.Event,
    news: Callable[[], object],
) -> Worker:
    ram_disk = RamDisk(Path(config.cache.directory), meter.name, allow_disk=config.cache.allow_disk)
    meter_publisher = MeterPublisher(
        MeterPublisherSettings(
            name=meter.name,
            label=meter.label or meter.name,
            poll_interval=meter.poll_interval,
            qos=config.mqtt.qos,
            retain=config.mqtt.retain,
            per_value_topics=config.mqtt.per_value_topics,
            home_assistant=config.homeassistant.enabled,
        ),
        topics,
        ram_disk,
        publisher,
        identities,
    )
    meter_publisher.prepare()
    key, faster = secrets.keys[meter.name].value, meter.baud == "negotiate"
    place = MeterPort(meter.port, key, meter.first_baud, meter.rts, meter.dtr, negotiate_baud=faster)
    return Worker(
        meter.name,
        lambda turn: Meter(
            place,
            mode=meter.session,
            max_session=meter.max_session,
            idle=meter.poll_interval,
            stop=turn,
            trace=structlog.get_logger().bind(meter=meter.name).debug,
        ),
        meter_publisher,
        poll_interval=meter.poll_interval,
        max_power=meter.max_power,
        zone=machine_zone(),
        guests=Host(ram_disk.folder),
        news=news,
        baud=meter.first_baud,
        stop=stop,
    )


def _end(workers: list[Worker]) -> None:
    """Wait until every worker has ended its meter's session; for none long."""
    until = time.monotonic() + GOODBYE
    for worker in workers:
        if worker.ident is not None:
            worker.join(max(0.0, until - time.monotonic()))


def mqtt_settings(config: Config, secrets: Secrets) -> MqttSettings:
    """Return the broker's settings in the publisher's terms."""
    mqtt, tls = config.mqtt, config.mqtt.tls
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=secrets.mqtt_password,
        tls=TlsSettings(_path(tls.ca_file), _path(tls.cert_file), _path(tls.key_file), tls.verify_hostname)
        if tls.enabled
        else None,
        birth_topic=config.homeassistant.birth_topic if config.homeassistant.enabled else None,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
