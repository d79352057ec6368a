"""The processes of a measurement, and what the kernel says that each of them used."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from nesgw.simulator import DEFAULT_KEY

ROOT = Path(__file__).parents[1]
TERMINETER = ROOT / ".venv-termineter"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What a process has used so far."""

    cpu: float  # seconds, user and system
    rss: float  # MiB, now
    written: int  # bytes that went to a disk

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Ask the kernel (proc(5))."""
        process = Path("/proc", str(pid))
        fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
        resident = int(process.joinpath("statm").read_text().split()[1])
        counts = dict(line.split(": ") for line in process.joinpath("io").read_text().splitlines())
        # The scheduler's own count of nanoseconds is finer than the ticks of stat, but only of whole threads.
        nanoseconds = sum(int(task.read_text().split()[0]) for task in process.glob("task/*/schedstat"))
        ticks = (int(fields[11]) + int(fields[12])) / _TICK
        return cls(nanoseconds / 1e9 or ticks, resident * _PAGE / 2**20, int(counts["write_bytes"]))


class Meters:
    """Simulated meters in a process of their own."""

    def __init__(self, profile: str, *, baud: int | None = 9600, count: int = 1, **overrides: Any) -> None:
        settings = {"profile": profile, "baud": baud, "count": count, "overrides": overrides}
        command = [sys.executable, "-m", "benchmarks.simulated", json.dumps(settings)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.paths: list[str] = self._answer()

    def seen(self) -> list[dict[str, Any]]:
        """What each meter was asked since the last time."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: list[dict[str, Any]] = self._answer()
        return found

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Hold the terminals open: else a simulator takes up to 20 ms to notice a reader, and no meter does."""
        with ExitStack() as held:
            for path in self.paths:
                held.callback(os.close, os.open(path, os.O_RDWR | os.O_NOCTTY))
            yield

    def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Meters:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def nesgw_polls(**settings: Any) -> dict[str, Any]:
    """Have nesgw's reading part poll."""
    return _said([sys.executable, "-m", "benchmarks.poller", json.dumps(settings)])


def termineter_polls(**settings: Any) -> dict[str, Any]:
    """Have termineter read the same."""
    script = str(ROOT / "benchmarks" / "termineter.py")
    settings["key"] = DEFAULT_KEY.decode()
    return _said([str(TERMINETER / "bin" / "python"), script, json.dumps(settings)])


def termineter_is_there() -> bool:
    """Whether its virtual environment has been made: the tests make it."""
    return (TERMINETER / "bin" / "python").exists()


def _said(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> None:
    """Look every few milliseconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s in vain: {what}")
        time.sleep(0.005)


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started meanwhile has one core for good."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def broker() -> Iterator[int]:
    """A mosquitto on a free loopback port; gives the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "mosquitto.conf")
        user = "user root\n" if os.geteuid() == 0 else ""
        conf.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        process = subprocess.Popen([mosquitto, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: _listens(port), "the broker listens")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Listener:
    """Subscribes to everything; counts, and notes when which topic came first."""

    def __init__(self, port: int) -> None:
        self.first: dict[str, float] = {}
        self.messages: dict[str, int] = {}  # by the last part of the topic
        self.bytes: dict[str, int] = {}
        ready: list[bool] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#")
        self._client.on_subscribe = lambda *_: ready.append(True)
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_for(lambda: ready, "the listener is subscribed")

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        kind = message.topic.rpartition("/")[2]
        self.first.setdefault(kind, time.monotonic())
        self.messages[kind] = self.messages.get(kind, 0) + 1
        self.bytes[kind] = self.bytes.get(kind, 0) + len(message.payload) + len(message.topic)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


class Gateway:
    """The whole daemon, with a RAM disk of its own."""

    def __init__(
        self,
        ports: list[str],
        broker_port: int,
        *,
        interval: float | None = None,
        session: str = "per-poll",
        more: str = "",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        cache = Path(self._folder.name, "cache")
        meters = "".join(
            f'[[meter]]\nname = "m{number}"\nport = "{port}"\nkey = "{DEFAULT_KEY.decode()}"\n'
            f'session = "{session}"\npoll_interval = "10s"\n'
            for number, port in enumerate(ports)
        )
        config = Path(self._folder.name, "config.toml")
        config.write_text(
            f'{meters}[gateway]\nlog_level = "warning"\n[cache]\ndirectory = "{cache}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n{more}'
        )
        config.chmod(0o600)
        if interval is None:
            command = [sys.executable, "-m", "nesgw", "run", "--config", str(config)]
        else:
            command = [sys.executable, "-m", "benchmarks.gateway", str(config), str(interval)]
        self.started = time.monotonic()
        self._process = subprocess.Popen(command, cwd=ROOT)

    @property
    def usage(self) -> Usage:
        """What it has used."""
        return Usage.of(self._process.pid)

    @property
    def proportional(self) -> float:
        """Its memory in MiB, what it shares with other processes divided among them."""
        return self._rolled_up("Pss")

    @property
    def anonymous(self) -> float:
        """What of its memory in MiB is its own and no file's: the kernel takes none of that away when it runs short."""
        return self._rolled_up("Anonymous")

    def _rolled_up(self, name: str) -> float:
        rollup = Path("/proc", str(self._process.pid), "smaps_rollup").read_text()
        return int(rollup.split(f"\n{name}:")[1].split()[0]) / 1024

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        self._folder.cleanup()
