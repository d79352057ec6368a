"""Many gateways in one process, each with the real publisher, and a subscriber that counts what comes of it.

``python -m benchmarks.fleet --gateways 625 --meters 16 --interval 60``: 10,000 meters against a mosquitto of its own.
With ``--broker HOST:PORT`` (repeated: each gateway begins with another one and has the rest to fall back on) against
others; ``--disturb COMMAND`` runs a command half-way. Its own mosquitto is stopped for some seconds by ``--restart``,
runs out of memory by ``--fill memory``, has its own limit of a queue and the store away by ``--fill queue``, and with
``--fill disk`` is restarted from a disk too small for its database.

A state is *lost* if it was told to a broker with which all was well, and never came. What was told from a moment before
a disturbance until the gateway noticed that its connection was gone is *broken off*: nobody could deliver it.

Gateways, meters and subscriber share an interpreter: what is late here is late in all of them together.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.figures import Row
from benchmarks.options import Parser, at_least_one
from benchmarks.processes import Usage, wait_for
from nesgw.config.settings import MeterSettings, MqttSettings, Secret
from nesgw.meter.meter import Meter
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.message import Message
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.payloads import GatewayMeter, GatewayStatus, MeterStatus
from nesgw.publishers.topics import ONLINE, Topics
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from nesgw.tables.catalogue import FIELDS
from nesgw.values import MeterIdentity, Reading

BASE = "fleet"
ON_ITS_WAY = 1.0  # seconds that a message may be on its way when the broker is disturbed
UNNOTICED = 60.0  # seconds after which a connection that breaks was not broken by the disturbance
STATUS_EVERY = 30.0  # seconds, as the daemon
DOWN = 5.0  # seconds that a restarted broker is away
FULL = 20.0  # seconds that a broker stays full
LOOK = 20.0  # seconds after a disturbance in which it shows whom it has met
SMALL_DISK = "256k"
USUAL_QUEUE = 1000  # messages: mosquitto's own limit
SETTLE = 3.0  # seconds for messages on their way, and for the broker's own count
DRAIN = 20.0  # seconds that the last messages may take
_SENT = "$SYS/broker/bytes/sent"  # mosquitto's own count
_COUNTED = "energy_import"  # the field that carries the number of the message

Address = tuple[str, int]


@dataclass(frozen=True)
class Plan:
    """How many, how often, how long, and what happens meanwhile."""

    gateways: int
    meters: int = 16  # of each gateway
    interval: float = 60.0  # seconds
    seconds: float = 60.0
    brokers: tuple[Address, ...] = ()  # empty: a mosquitto of our own
    discovery: bool = True
    acl: bool = False  # each gateway may read its own topics alone
    restart: bool = False
    fill: str = ""  # what of its own mosquitto is full: memory, disk or the store's queue
    disturb: str = ""
    again: bool = False  # everybody is started a second time at the end, with all that the first run has left
    stalls: bool = False  # the disturbance has the brokers take nothing of anybody until it is over

    @property
    def case(self) -> str:
        """What the table calls it."""
        more = [
            *(["no discovery"] if not self.discovery else []),
            *(["ACL"] if self.acl else []),
            *(["restart"] if self.restart else []),
            *([f"{self.fill} full"] if self.fill else []),
            *(["disturbed"] if self.disturb else []),
        ]
        return ", ".join([f"{self.gateways} x {self.meters} meters at {self.interval:g} s", *more])


class Mosquitto:
    """A broker on a fixed port of the loopback, which can be stopped and started; it keeps sessions over that.

    ``small_disk``: its database has to do with so little that it is never written whole (needs root).
    ``queue``: how many messages it keeps for a session that is away; it would be 1000 by itself.
    ``acl``: the meters' ids by the user that may read and write their topics; None: all may everything.
    """

    def __init__(
        self, *, acl: Mapping[str, Sequence[str]] | None = None, small_disk: bool = False, queue: int = 1_000_000
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self._conf = Path(self._folder.name, "mosquitto.conf")
        database = Path(self._folder.name, "database")
        database.mkdir()
        self._disk = database if small_disk else None
        if self._disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "fleet", str(self._disk)], check=True)
        user = "user root\n" if os.geteuid() == 0 else ""
        self._conf.write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n"
            f"persistence true\npersistence_location {database}/\n"
            f"max_queued_messages {queue}\nmax_inflight_messages 1000\n"
        )
        if small_disk:
            with self._conf.open("a") as file:
                file.write("autosave_interval 5\n")
        if acl is not None:
            rules = Path(self._folder.name, "acl")
            own = "".join(
                f"user {user}\n" + "".join(f"topic readwrite {BASE}/{meter}/#\n" for meter in meters)
                for user, meters in acl.items()
            )
            rules.write_text(
                f"pattern readwrite {BASE}/gateway/%u/#\npattern readwrite homeassistant/#\n"
                f"user store\ntopic read {BASE}/#\ntopic read $SYS/#\n{own}"
            )
            rules.chmod(0o600)
            with self._conf.open("a") as file:
                file.write(f"acl_file {rules}\n")
        self._command = [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(self._conf)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._listens, "the broker listens")

    def stop(self) -> None:
        """Stop it in order."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)

    def restart(self) -> None:
        """Stop it, and start it some seconds later."""
        self.stop()
        time.sleep(DOWN)
        self.start()

    def run_out_of_memory(self) -> None:
        """Have it refuse every further byte for some seconds; it also takes no new limit then, so it is restarted."""
        assert self._process
        unlimited = self._conf.read_text()
        self._conf.write_text(f"{unlimited}memory_limit 1\n")
        self._process.send_signal(signal.SIGHUP)
        time.sleep(FULL)
        self._conf.write_text(unlimited)
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        if self._disk:
            subprocess.run(["umount", str(self._disk)], check=True)
        self._folder.cleanup()

    @property
    def rss(self) -> float:
        """Its memory in MiB."""
        assert self._process
        return Usage.of(self._process.pid).rss

    def _listens(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


@dataclass(frozen=True)
class Sample:
    """What one simulated meter told of itself: all others are made from it."""

    identity: MeterIdentity
    fields: tuple[str, ...]
    reading: Reading

    @classmethod
    def read(cls) -> Sample:
        """Read a simulated meter once, as nesgw reads one."""
        with PtyLine(SimulatedMeter("83331-3i", seed=0), None) as line:
            meter = Meter(MeterSettings("fleet", line.path, key=Secret(DEFAULT_KEY)))
            with meter.session(time.monotonic() + 30):
                facts = meter.facts()
                sample = cls(facts.identity, facts.layout.fields, meter.reading())
            meter.close()
        return sample


@dataclass
class FleetMeter:
    """A meter of which is told, and what was told when."""

    topics: Topics
    sample: Sample
    number: int
    said: list[tuple[float, bool]] = field(default_factory=list)  # when, and whether there was a broker

    def __post_init__(self) -> None:
        self.identity = replace(self.sample.identity, utility_serial=_serial(self.number))
        self.id = self.identity.id

    def introduction(self, interval: float, *, discovery: bool) -> list[Message]:
        """What the daemon says of a meter when it has got to know it."""
        messages = [
            payloads.info_message(self.topics, self.identity, self.sample.fields),
            payloads.availability_message(self.topics, self.id, online=True),
        ]
        if discovery:
            fields = [FIELDS[key] for key in self.sample.fields]
            name = f"m{self.number}"
            messages.insert(
                0,
                home_assistant.meter_discovery(
                    self.topics, self.identity, fields, name=name, label=name, poll_interval=interval
                ),
            )
        return messages

    def poll(self, connected: bool) -> list[Message]:
        """What the daemon says after a poll; the state carries its own number."""
        now = datetime.now(UTC)
        reading = replace(
            self.sample.reading, time=now, values={**self.sample.reading.values, _COUNTED: len(self.said)}
        )
        status = MeterStatus(id=self.id, last_read=now, polls=len(self.said) + 1, poll_duration_ms=1400)
        state = payloads.state_messages(
            self.topics, self.id, reading, payloads.state(reading), qos=1, retain=True, per_value=False
        )
        self.said.append((time.monotonic(), connected))
        return [*state, payloads.meter_status_message(self.topics, self.id, payloads.meter_status(status))]


class FleetGateway:
    """A gateway: the real publisher, and its meters."""

    def __init__(self, name: str, settings: MqttSettings, meters: range, sample: Sample) -> None:
        self.topics = Topics(BASE, name)
        self.breaks: list[float] = []  # when a connection was found to be lost
        self.problems: set[str] = set()  # everything that it had to say of the broker
        self.publisher = MqttPublisher(settings, self.topics, self._on_state)
        self.meters = [FleetMeter(self.topics, sample, number) for number in meters]
        self._started = datetime.now(UTC)

    def _on_state(self, connected: bool, problem: object) -> None:
        if not connected:
            self.breaks.append(time.monotonic())
        if problem:
            self.problems.add(str(problem))

    def noticed(self, disturbed: float) -> float | None:
        """When it found its connection lost that was disturbed at that moment; None if it never did."""
        return next((each for each in self.breaks if 0 <= each - disturbed < UNNOTICED), None)

    def broke_off(self, told: float, disturbed: float | None) -> bool:
        """Whether what was told at that moment may be lost with the connection that was disturbed."""
        if disturbed is None or (noticed := self.noticed(disturbed)) is None:
            return False
        return disturbed - ON_ITS_WAY <= told <= noticed

    def status(self) -> Message:
        """How the gateway is."""
        now = datetime.now(UTC)
        meters = {f"m{meter.number}": GatewayMeter(meter.id, online=True, last_read=now) for meter in self.meters}
        uptime = int((now - self._started).total_seconds())
        return payloads.gateway_status_message(self.topics, GatewayStatus("0", self._started, uptime, meters))


class Subscriber(threading.Thread):
    """The store: a session that lasts, and what came over it."""

    def __init__(self, brokers: Sequence[Address], username: str = "") -> None:
        super().__init__(name="subscriber", daemon=True)
        self._brokers = brokers
        self._end = threading.Event()
        self._away = threading.Event()
        self.ready = threading.Event()
        self.states: dict[str, dict[int, list[float]]] = {}  # meter -> number of the message -> when it came
        self.online: dict[str, float] = {}  # meter -> when it was last said to be online
        self.count = 0
        self.sent = 0.0  # bytes that the broker has sent to everybody, where it says so
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="fleet-store", clean_session=False)
        self._client.username_pw_set(username or None)
        self._client.on_connect = lambda client, *_: client.subscribe([(f"{BASE}/#", 1), (_SENT, 0)])
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = self._take

    def run(self) -> None:
        """Listen, at one broker after the other."""
        number = 0
        while not self._end.is_set():
            with suppress(OSError):
                self._client.connect(*self._brokers[number % len(self._brokers)])
                while self._listens and self._client.loop(0.2) == paho.MQTT_ERR_SUCCESS:
                    pass
            if self._away.is_set():
                self._client.disconnect()
            else:
                number += 1
            self._end.wait(0.5)
            while self._away.is_set():
                self._end.wait(0.5)
        self._client.disconnect()

    @property
    def _listens(self) -> bool:
        return not (self._end.is_set() or self._away.is_set())

    def go_away(self) -> None:
        """Be away for some seconds; the broker keeps the session."""
        self._away.set()
        time.sleep(FULL)
        self._away.clear()

    def close(self) -> None:
        """End."""
        self._end.set()
        self.join(10)

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        now = time.monotonic()
        if message.topic == _SENT:
            self.sent = float(message.payload)
            return
        self.count += 1
        _, meter, kind = message.topic.rsplit("/", 2)
        if kind == "state" and not message.retain:
            number = int(json.loads(message.payload)[_COUNTED])
            self.states.setdefault(meter, {}).setdefault(number, []).append(now)
        elif kind == "availability" and message.payload == ONLINE.encode() and not message.retain:
            self.online[meter] = now


class _Beats(threading.Thread):
    """Polls every meter in its turn, spread evenly over the interval."""

    def __init__(self, gateways: Sequence[FleetGateway], interval: float) -> None:
        super().__init__(name="beats", daemon=True)
        self._gateways = gateways
        self._interval = interval
        self.end = threading.Event()
        self.behind = 0.0  # seconds that the latest poll was behind its time: the generator's own limit

    def run(self) -> None:
        """Poll until the end."""
        meters = [(gateway, meter) for gateway in self._gateways for meter in gateway.meters]
        step, due = self._interval / len(meters), time.monotonic()
        status_step, status_due, turn = STATUS_EVERY / len(self._gateways), due, 0
        while True:
            for gateway, meter in meters:
                if self.end.wait(max(0.0, due - time.monotonic())):
                    return
                self.behind = max(self.behind, time.monotonic() - due)
                gateway.publisher.set(*meter.poll(gateway.publisher.connected))
                due += step
                while status_due <= due:
                    one = self._gateways[turn % len(self._gateways)]
                    one.publisher.set(one.status())
                    turn, status_due = turn + 1, status_due + status_step


def measure(plan: Plan) -> Iterator[Row]:
    """Run one plan, and say what the subscriber counted."""
    with ExitStack() as life:
        own = None
        if not plan.brokers:
            more = {"queue": USUAL_QUEUE} if plan.fill == "queue" else {}
            own = Mosquitto(acl=_rights(plan) if plan.acl else None, small_disk=plan.fill == "disk", **more)
            life.callback(own.close)
            own.start()
        empty = own.rss if own else 0.0
        brokers = plan.brokers or (("127.0.0.1", own.port if own else 0),)
        store = Subscriber(brokers, "store" if own else "")
        life.callback(store.close)
        store.start()
        wait_for(store.ready.is_set, "the subscriber is subscribed")
        gateways = _gateways(plan, brokers)
        began = time.monotonic()
        life.callback(_stop, gateways)
        _start(plan, gateways)
        yield Row("fleet: all there", plan.case, _all_there(gateways, store, began) - began, None, "s")
        beats = _Beats(gateways, plan.interval)
        life.callback(beats.end.set)
        beats.start()
        counted, since = store.count, time.monotonic()
        time.sleep(plan.seconds / 2)
        disturbed = None
        if disturb := _disturbance(plan, own, store):
            disturbed = time.monotonic()
            yield from _disturbed(plan, gateways, store, disturb)
        time.sleep(plan.seconds / 2)
        rate = (store.count - counted) / (time.monotonic() - since)
        beats.end.set()
        beats.join()
        meters = [meter for gateway in gateways for meter in gateway.meters]
        last = time.monotonic() + DRAIN
        while "lost" in _missing(gateways, store, disturbed) and time.monotonic() < last:
            time.sleep(0.2)
        yield from _counted(plan, gateways, store, disturbed, rate, beats.behind)
        if own:
            each = (own.rss - empty) * 1024 / len(meters)
            yield Row("fleet: broker memory", plan.case, each, None, "KiB/meter", f"{own.rss:.0f} MiB in all")
        if plan.again:
            again = _gateways(plan, brokers)
            life.callback(_stop, again)
            yield from _started_again(plan, gateways, again, store)


def _start(plan: Plan, gateways: Sequence[FleetGateway]) -> None:
    for gateway in gateways:
        for meter in gateway.meters:
            gateway.publisher.set(*meter.introduction(plan.interval, discovery=plan.discovery))
        gateway.publisher.start()


def _started_again(
    plan: Plan, gateways: Sequence[FleetGateway], again: Sequence[FleetGateway], store: Subscriber
) -> Iterator[Row]:
    """Stop everybody, start everybody: each looks for what all gateways have left, and finds it now."""
    for gateway in gateways:
        gateway.publisher.set(gateway.status())
    time.sleep(SETTLE)
    _stop(gateways)
    time.sleep(SETTLE)
    began, sent = time.monotonic(), store.sent
    _start(plan, again)
    yield Row("fleet: all there again", plan.case, _all_there(again, store, began) - began, None, "s")
    time.sleep(SETTLE)
    note = "by the broker to all, mosquitto's own count"
    yield Row("fleet: sent at a second start", plan.case, (store.sent - sent) / 2**20, None, "MiB", note)


def _name(gateway: int) -> str:
    return f"g{gateway:05d}"


def _serial(meter: int) -> str:
    return f"{4_080_000_000 + meter}"


def _rights(plan: Plan) -> dict[str, list[str]]:
    """Give each gateway its meters' topics, as docs/scaling.md says."""
    return {
        _name(number): [_serial(meter) for meter in range(number * plan.meters, (number + 1) * plan.meters)]
        for number in range(plan.gateways)
    }


def _gateways(plan: Plan, brokers: Sequence[Address]) -> list[FleetGateway]:
    sample = Sample.read()
    gateways = []
    for number in range(plan.gateways):
        first = number % len(brokers)
        turned = [*brokers[first:], *brokers[:first]]
        name = _name(number)
        settings = MqttSettings(
            host=turned[0][0],
            port=turned[0][1],
            other_hosts=tuple(host for host, _ in turned[1:]),
            username="" if plan.brokers else name,
            birth_topic="homeassistant/status" if plan.discovery else None,
            base_topic=BASE,
        )
        numbers = range(number * plan.meters, (number + 1) * plan.meters)
        gateways.append(FleetGateway(name, settings, numbers, sample))
    return gateways


def _stop(gateways: Sequence[FleetGateway]) -> None:
    """Say all goodbyes at once: one after the other takes too long."""
    ends = [threading.Thread(target=gateway.publisher.stop) for gateway in gateways]
    for end in ends:
        end.start()
    for end in ends:
        end.join()


def _all_there(gateways: Sequence[FleetGateway], store: Subscriber, since: float, patience: float = 240.0) -> float:
    """Wait until the store has heard of every meter after ``since``; return when the last one came."""
    ids = [meter.id for gateway in gateways for meter in gateway.meters]
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if all(store.online.get(each, 0.0) > since for each in ids):
            return max(store.online[each] for each in ids)
        time.sleep(0.2)
    heard = sum(store.online.get(each, 0.0) > since for each in ids)
    raise TimeoutError(f"after {patience:g} s the subscriber had heard of {heard} of {len(ids)} meters")


def _disturbance(plan: Plan, own: Mosquitto | None, store: Subscriber) -> Callable[[], object] | None:
    if plan.disturb:
        return lambda: subprocess.run(shlex.split(plan.disturb), check=True)
    if own is None:
        return None
    if plan.fill in ("memory", "queue"):
        return own.run_out_of_memory if plan.fill == "memory" else store.go_away
    return own.restart if plan.restart or plan.fill == "disk" else None


def _disturbed(
    plan: Plan, gateways: Sequence[FleetGateway], store: Subscriber, disturb: Callable[[], object]
) -> Iterator[Row]:
    before = [gateway.publisher.connections for gateway in gateways]
    began = time.monotonic()
    disturb()
    over = time.monotonic()
    hit = gateways
    restarted = not plan.disturb and plan.fill not in ("memory", "queue")
    if not restarted:  # only those whose connection was lost come back
        time.sleep(LOOK)
        hit = [one for one, had in zip(gateways, before, strict=True) if one.publisher.connections > had]
        hit += [one for one in gateways if not one.publisher.connected and one not in hit]
    back = _all_there(hit, store, began) if hit else over
    since, what = (over, "end") if restarted else (began, "beginning")
    note = f"{len(hit)} gateways lost their connection; counted from the {what} of the disturbance"
    yield Row("fleet: last gateway is back", plan.case, max(0.0, back - since), None, "s", note)
    for one in gateways if plan.stalls else ():
        if one.noticed(began) is None:  # kept its connection, and none of what it told was taken
            one.breaks.append(over)
    slowest = max((each - began for one in hit if (each := one.noticed(began)) is not None), default=0.0)
    yield Row("fleet: last one noticed", plan.case, slowest, None, "s", "after the beginning of the disturbance")


def _missing(gateways: Sequence[FleetGateway], store: Subscriber, disturbed: float | None) -> Iterator[str]:
    """What kind of loss each state is that was told and never came."""
    for gateway in gateways:
        for meter in gateway.meters:
            came = store.states.get(meter.id, {})
            for number, (moment, connected) in enumerate(meter.said):
                if number not in came:
                    broken = gateway.broke_off(moment, disturbed)
                    yield ("broken" if broken else "lost") if connected else "replaced"


def _counted(
    plan: Plan,
    gateways: Sequence[FleetGateway],
    store: Subscriber,
    disturbed: float | None,
    rate: float,
    behind: float,
) -> Iterator[Row]:
    meters = [meter for gateway in gateways for meter in gateway.meters]
    said = sum(len(meter.said) for meter in meters)
    missing = Counter(_missing(gateways, store, disturbed))
    doubled, delays = 0, []
    for meter in meters:
        for number, times in store.states.get(meter.id, {}).items():
            doubled += len(times) - 1
            delays.append(1000 * (times[0] - meter.said[number][0]))
    yield Row("fleet: messages", plan.case, rate, None, "/s", f"{said} states told, spread over the interval")
    yield Row("fleet: lost", plan.case, missing["lost"], None, "states", "told to a broker with which all was well")
    note = "told while there was none, and a newer one took their place"
    yield Row("fleet: replaced", plan.case, missing["replaced"], None, "states", note)
    at_risk = sum(
        gateway.broke_off(moment, disturbed) for gateway in gateways for m in gateway.meters for moment, _ in m.said
    )
    note = f"of {at_risk} told from {ON_ITS_WAY:g} s before the disturbance until it was noticed"
    yield Row("fleet: broken off", plan.case, missing["broken"], None, "states", note)
    yield Row("fleet: doubled", plan.case, doubled, None, "states")
    cuts = quantiles(delays, n=100) if len(delays) > 1 else [0.0] * 99
    note = f"p50 {cuts[49]:.0f} ms, latest {max(delays, default=0.0):.0f} ms; the generator {1000 * behind:.0f} ms"
    yield Row("fleet: late, p99", plan.case, cuts[98], None, "ms", note)
    for sentence, count in Counter(each for gateway in gateways for each in gateway.problems).most_common(5):
        yield Row("fleet: gateways that said", plan.case, count, None, "", sentence)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host, int(port)


def main() -> None:
    """Run what was asked for."""
    parser = Parser(prog="python -m benchmarks.fleet", description="Speak for many gateways, and count what arrives.")
    parser.add_argument("--gateways", type=at_least_one, default=625)
    parser.add_argument("--meters", type=at_least_one, default=16, help="of each gateway (default: 16)")
    parser.add_argument("--interval", type=at_least_one, default=60, help="seconds between two polls (default: 60)")
    parser.add_argument("--seconds", type=at_least_one, default=60, help="how long (default: 60)")
    parser.add_argument("--broker", type=_address, action="append", default=[], help="HOST:PORT; default: a mosquitto")
    parser.add_argument("--no-discovery", action="store_true", help="as with [homeassistant] enabled = false")
    parser.add_argument("--acl", action="store_true", help="a gateway may read its own topics alone (own mosquitto)")
    parser.add_argument("--restart", action="store_true", help="restart its own mosquitto half-way")
    parser.add_argument(
        "--fill", choices=("memory", "queue", "disk"), default="", help="fill its own mosquitto half-way"
    )
    parser.add_argument("--disturb", default="", metavar="COMMAND", help="run this half-way")
    parser.add_argument("--again", action="store_true", help="start everybody a second time at the end")
    parser.add_argument("--stalls", action="store_true", help="what is run has the brokers take nothing of anybody")
    given = parser.parse_args()
    plan = Plan(
        gateways=given.gateways,
        meters=given.meters,
        interval=given.interval,
        seconds=given.seconds,
        brokers=tuple(given.broker),
        discovery=not given.no_discovery,
        acl=given.acl,
        restart=given.restart,
        fill=given.fill,
        disturb=given.disturb,
        again=given.again,
        stalls=given.stalls,
    )
    if plan.fill == "disk" and os.geteuid() != 0:
        parser.error("--fill disk mounts a small disk: run it as root")
    print(plan.case, flush=True)
    for row in measure(plan):
        print(f"{row.figure:<28} {row.measured:>10.1f} {row.unit:<10} {row.note}", flush=True)


if __name__ == "__main__":
    main()
