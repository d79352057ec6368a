"""nesgw demo: simulated meter, broker and daemon at once, with the live values in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw.commands.simulate import profile_argument, seed_argument
from nesgw.commands.terminal.numbers import at_least_one
from nesgw.errors import EX_OK, BrokerUnavailable, NesgwError

if TYPE_CHECKING:
    from nesgw.config.settings import MqttSettings
    from nesgw.publishers.mqtt.connection import Connection

_RAM_DISK: Final = Path("/dev/shm")  # noqa: S108 (a tmpfs on every Linux; the folder in it is ours alone)
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"  # nothing is pushed into the scrollback
_FOOTER: Final = 3  # lines below the page, the cursor's own included
_START: Final = 10.0  # seconds that broker and daemon may take to start


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    profile_argument(parser)
    seed_argument(parser)
    parser.add_argument("--readings", type=at_least_one, metavar="N", help="end after N readings (default: at Ctrl-C)")


def run(options: argparse.Namespace) -> int:
    """Run everything until Ctrl-C or the wanted number of readings; leave nothing behind."""
    from nesgw.simulator import PtyLine, SimulatedMeter

    meter = SimulatedMeter(options.profile, seed=options.seed)
    with contextlib.ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="nesgw-demo-", dir=_RAM_DISK)))
        line = life.enter_context(PtyLine(meter))
        port = life.enter_context(_broker(folder))
        daemon = life.enter_context(_daemon(folder, line.path, port))
        try:
            _show(port, daemon, folder / "log", options)
        except KeyboardInterrupt:
            print()  # for the shell's prompt not to stand beside the terminal's ^C
    return EX_OK


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[int]:
    """A mosquitto of our own on a free loopback port; it keeps nothing on disk."""
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
        yield port


@contextlib.contextmanager
def _daemon(folder: Path, device: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon, as a process of its own with a configuration of its own."""
    from nesgw.config.example import toml_value
    from nesgw.simulator import DEFAULT_KEY

    key = folder / "key"
    key.touch(0o600)
    key.write_bytes(DEFAULT_KEY)
    options: dict[str, dict[str, object]] = {
        "gateway": {"name": "demo", "log_format": "console"},
        "[meter]": {
            "name": "house",
            "label": "House",
            "port": device,
            "key_file": str(key),
            "poll_interval": "2s",
        },
        "cache": {"directory": str(folder / "cache")},
        "mqtt": {"host": "127.0.0.1", "port": port},
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


def _show(port: int, daemon: subprocess.Popen[bytes], log: Path, options: argparse.Namespace) -> None:
    """Print what arrives at the broker: a page that is drawn anew on a terminal, a line a reading elsewhere."""
    from nesgw.config.settings import MqttSettings
    from nesgw.publishers import console

    settings = MqttSettings("127.0.0.1", port)
    connection = _connected(settings)
    connection.subscribe(["nesgw/+/state", "nesgw/+/info"])
    readings = 0
    label = "House"
    print(
        f"a simulated meter ({options.profile}), the daemon, and a broker on 127.0.0.1:{port}: first reading follows …"
    )
    while options.readings is None or readings < options.readings:
        connection.turn(0.25)
        if daemon.poll() is not None:
            raise NesgwError(problem=f"the daemon ended by itself: {log.read_text(errors='replace').strip()}")
        for arrival in connection.arrivals():
            content = json.loads(arrival.payload)
            if arrival.topic.endswith("/info"):
                label = f"House: {content['manufacturer']} {content['model']}, firmware {content['firmware']}"
                continue
            readings += 1
            at = datetime.fromisoformat(content.pop("time"))
            if sys.stdout.isatty():
                page = console.page(label, None, at, content).splitlines()
                lines = fitted(page, shutil.get_terminal_size().lines - _FOOTER)
                print(_HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines), end=_REST_OF_SCREEN)
                print(f"\nlive from mqtt://127.0.0.1:{port}/{arrival.topic}; Ctrl-C ends the demo", flush=True)
            else:
                print(f"{at:%H:%M:%S} {arrival.topic} {console.summary(content)}", flush=True)
    connection.leave()


def fitted(lines: list[str], room: int) -> list[str]:
    """Cut a page that is higher than the window at its end: energy and power stand first."""
    if len(lines) <= room:
        return lines
    kept = lines[: max(room - 1, 1)]
    return [*kept, f"… and {len(lines) - len(kept)} lines more in a higher window"]


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
