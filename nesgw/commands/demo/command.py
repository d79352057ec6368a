"""nesgw demo: simulated meter, broker and daemon at once, with the live values in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nesgw.commands.simulate import interface_argument, profile_argument, seed_argument
from nesgw.commands.terminal.numbers import at_least_one
from nesgw.commands.terminal.screen import Block
from nesgw.errors import EX_OK, BrokerUnavailable, NesgwError, WrongUsage

if TYPE_CHECKING:
    from nesgw.config.settings import MqttSettings
    from nesgw.publishers.mqtt.connection import Connection

_RAM_DISK: Final = Path("/dev/shm")  # noqa: S108 (a tmpfs on every Linux; the folder in it is ours alone)
_FOOTER: Final = 3  # lines below the page, the cursor's own included
_START: Final = 10.0  # seconds that broker and daemon may take to start
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LABEL: Final = "Demo house"  # no entity of it takes the name or the id that one of the owner's meter has or will want


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    profile_argument(parser)
    interface_argument(parser)
    seed_argument(parser)
    parser.add_argument("--readings", type=at_least_one, metavar="N", help="end after N readings (default: at Ctrl-C)")
    parser.add_argument(
        "--broker",
        metavar="HOST[:PORT]",
        help="show it on this broker, so in the Home Assistant behind it, and take it away at the end",
    )
    parser.add_argument("--mqtt-username", metavar="U", help="the user to log in there with; asks for the password")
    parser.add_argument("--mqtt-password-file", metavar="FILE", help="the file with that user's password")


def run(options: argparse.Namespace) -> int:
    """Run everything until Ctrl-C or the wanted number of readings; leave nothing behind."""
    from nesgw.simulator import MepPort, PtyLine, SimulatedMeter
    from nesgw.values import plain_id

    settings = _settings_of_visit(options)
    meter = SimulatedMeter(options.profile, seed=options.seed)
    identity = plain_id(meter.serial)
    with contextlib.ExitStack() as life:
        ended = life.enter_context(_endings())
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="nesgw-demo-", dir=_RAM_DISK)))
        if settings is None:
            settings = life.enter_context(_broker(folder))
        else:
            from nesgw.commands.demo import visit

            life.enter_context(visit.left_clean(settings, identity))
        line = life.enter_context(PtyLine(MepPort(meter) if options.interface == "mep" else meter))
        daemon = life.enter_context(_daemon(folder, line.path, settings, options.interface))
        _Show(options, settings, identity).run(daemon, folder / "log", ended)
    return EX_OK


def _settings_of_visit(options: argparse.Namespace) -> MqttSettings | None:
    if options.broker is None:
        if options.mqtt_username or options.mqtt_password_file:
            raise WrongUsage(command="demo", problem="a login goes with --broker, which names whose it is")
        return None
    from nesgw.commands.demo import visit

    return visit.settings(options)


@contextlib.contextmanager
def _endings() -> Iterator[threading.Event]:
    """Take Ctrl-C, SIGTERM and a closed terminal as a wish: no second one keeps us from cleaning up."""
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in _ENDINGS}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[MqttSettings]:
    """A mosquitto of our own on a free loopback port; it keeps nothing on disk."""
    from nesgw.config.settings import MqttSettings

    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BrokerUnavailable(
            host="localhost", port=1883, problem="mosquitto is not installed", advice="sudo apt install mosquitto"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    with _child([program, "-c", str(settings)], folder / "mosquitto.log"):
        yield MqttSettings("127.0.0.1", port)


@contextlib.contextmanager
def _daemon(folder: Path, device: str, settings: MqttSettings, interface: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon, as a process of its own with a configuration of its own."""
    from nesgw.commands.demo.traces import TOPICS
    from nesgw.config.example import toml_value
    from nesgw.publishers.topics import slug
    from nesgw.simulator import DEFAULT_KEY

    mqtt: dict[str, object] = {"host": settings.host, "port": settings.port}
    if settings.username:
        mqtt["username"] = settings.username
        mqtt["password_file"] = _secret(folder / "password", settings.password.reveal_text().encode())
    options: dict[str, dict[str, object]] = {
        "gateway": {"name": TOPICS.gateway, "log_format": "console"},
        "[meter]": {
            "name": slug(_LABEL),
            "label": _LABEL,
            "interface": interface,
            "port": device,
            "key_file": _secret(folder / "key", DEFAULT_KEY),
            "poll_interval": "2s",
        },
        "cache": {"directory": str(folder / "cache")},
        "mqtt": mqtt,
        "mqtt.tls": {"enabled": settings.tls is not None},
    }
    blocks = (
        f"[{table}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
        for table, values in options.items()
    )
    config = folder / "config.toml"
    config.write_text("\n".join(blocks))
    # -P: a folder named nesgw where we were started, such as a clone, is not the program.
    with _child([sys.executable, "-P", "-m", "nesgw", "run", "--config", str(config)], folder / "log") as child:
        yield child


def _secret(path: Path, text: bytes) -> str:
    path.touch(0o600)
    path.write_bytes(text)
    return str(path)


@contextlib.contextmanager
def _child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with us; Ctrl-C is ours alone, so that the daemon can say goodbye in its own time."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_START)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class _Show:
    """Prints what arrives at the broker: a page that is drawn again in its place on a terminal, elsewhere a line."""

    def __init__(self, options: argparse.Namespace, settings: MqttSettings, meter: str) -> None:
        from nesgw.commands.demo.traces import TOPICS

        self._options = options
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._info, self._state = TOPICS.info(meter), TOPICS.state(meter)
        self._heading = _LABEL
        self._block = Block()
        self._readings = 0

    def run(self, daemon: subprocess.Popen[bytes], log: Path, ended: threading.Event) -> None:
        """Show it until the wanted number of readings is there, or until the end is wished for."""
        self._begin()
        connection = _connected(self._settings)
        connection.subscribe([self._info, self._state])
        wanted = self._options.readings
        try:
            while not ended.is_set() and (wanted is None or self._readings < wanted):
                connection.turn(0.25)
                if daemon.poll() is not None:
                    raise NesgwError(problem=f"the daemon ended by itself: {log.read_text(errors='replace').strip()}")
                for arrival in connection.arrivals():
                    # What stood on a broker before is not of this demonstration.
                    if arrival.payload and not (arrival.retained and self._options.broker):
                        self._take(arrival.topic, json.loads(arrival.payload))
        finally:
            self._block.end()
            connection.leave()

    def _begin(self) -> None:
        print(f"A simulated meter ({self._options.profile}), and the daemon that reads it.")
        if self._options.broker:
            print(f"On {self._where} for Home Assistant: Settings, Devices & services, MQTT, {_LABEL}.")
            print("Ctrl-C ends it and takes it away again.")
        else:
            print(f"Its broker: 127.0.0.1:{self._settings.port}, until Ctrl-C.")
        print("The first reading follows …", flush=True)

    def _take(self, topic: str, content: dict[str, Any]) -> None:
        from nesgw.publishers import console

        if topic == self._info:
            kind = f"{content['manufacturer']} {content['model']}, firmware {content['firmware']}"
            self._heading = f"{_LABEL}: {kind}, simulated"
        if topic != self._state:
            return
        self._readings += 1
        at = datetime.fromisoformat(content.pop("time"))
        if sys.stdout.isatty():
            page = console.page(self._heading, None, at, content).splitlines()
            columns, lines = shutil.get_terminal_size()
            footer = f"mqtt://{self._where}/{topic}; Ctrl-C ends it"
            shown = [*fitted(page, lines - _FOOTER), "", footer]
            self._block.draw([line[:columns] for line in shown])
        else:
            print(f"{at:%H:%M:%S} {topic} {console.summary(content)}", flush=True)


def fitted(lines: list[str], room: int) -> list[str]:
    """Cut a page that is higher than the window at its end: energy and power stand first."""
    if len(lines) <= room:
        return lines
    kept = lines[: max(room - 1, 1)]
    return [*kept, f"… and {len(lines) - len(kept)} lines more in a taller window"]


def _connected(settings: MqttSettings) -> Connection:
    """Wait for the broker to listen, for it has only just been started."""
    from nesgw.publishers.mqtt.connection import Connection

    deadline = time.monotonic() + _START
    while True:
        connection = Connection(settings, f"nesgw-demo-{os.getpid()}")
        try:
            connection.open()
        except BrokerUnavailable:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection
