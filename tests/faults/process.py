"""The real daemon with a real broker around it, for the process rows of the matrix."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker, Listener, eventually
from tests.faults.figures import Figures, memory
from tests.faults.truth import wrong_values

KEY = DEFAULT_KEY.decode()


class Stage:
    """One row's folder, RAM disk, broker, listener and daemons; everything ends with it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        folder.mkdir(parents=True)
        self.life = ExitStack()
        self.ram_disk = Path(self.life.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.broker = Broker(folder)
        self.life.callback(self.broker.stop)
        self.listener: Listener | None = None
        self.meters: dict[str, SimulatedMeter] = {}
        self.daemons: list[Daemon] = []
        self.wrong: dict[str, list[Any]] = {}
        self.states: dict[str, list[float]] = {}
        self._seen = 0
        self._watching = threading.Lock()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        if self.listener:
            self.listener.close()
        for daemon in self.daemons:
            daemon.process.kill()
            daemon.process.wait()
        self.life.close()

    def meter(self, serial: str = "4080123456", profile: str = "83331-3i", **overrides: Any) -> SimulatedMeter:
        meter = SimulatedMeter(profile, seed=int(serial[-4:]), serial=serial, **overrides)
        self.meters[serial] = meter
        self.wrong[serial], self.states[serial] = [], []
        return meter

    def line(self, meter: SimulatedMeter, link: Path | None = None) -> PtyLine:
        return self.life.enter_context(PtyLine(meter, baud=None, link=link))

    def listen(self) -> Listener:
        self.broker.start()
        self.listener = Listener(self.broker.port)
        return self.listener

    def configure(self, *meters: str, mqtt: str = "", gateway: str = "", cache: Path | None = None) -> Path:
        path = self.folder / "config.toml"
        path.touch(0o600)
        path.write_text(
            f'[gateway]\nlog_format = "json"\n{gateway}\n[cache]\ndirectory = "{cache or self.ram_disk}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {self.broker.port}\n{mqtt}\n' + "\n".join(meters)
        )
        return path

    def start(self, config: Path, **options: Any) -> Daemon:
        daemon = Daemon(config, self.folder / f"log{len(self.daemons)}", **options)
        self.daemons.append(daemon)
        return daemon

    def watch(self) -> None:
        """Compare what has arrived since the last look with the meters, while they still know."""
        assert self.listener is not None
        with self._watching:
            heard = self.listener.heard[self._seen :]
            self._seen += len(heard)
        for each in heard:
            serial = each.topic.split("/")[1] if each.topic.count("/") == 2 else ""
            if each.topic.endswith("/state") and serial in self.meters and not each.retained:
                state = json.loads(each.payload)
                self.states[serial].append(each.at)
                if wrong := wrong_values(state, self.meters[serial], self.meters[serial].clock(), 14.0):
                    self.wrong[serial].append(wrong)

    def recovered(self, since: float, serial: str = "4080123456", timeout: float = 30.0) -> float:
        """Wait for the next reading; seconds from ``since`` to it."""

        def found() -> float | None:
            self.watch()
            return next((at for at in self.states[serial] if at > since), None)

        at: float = eventually(found, f"a reading of {serial}; the log: {self.daemons[-1].said[-2000:]}", timeout)
        return at - since

    def figures(self, injected: int, recovery: float | None, allowed: float | None, before: float) -> Figures:
        self.watch()
        running = [daemon for daemon in self.daemons if daemon.process.poll() is None]
        return Figures(
            fault=self.name,
            where="process",
            injected=injected,
            published=sum(map(len, self.states.values())),
            wrong=sum(map(len, self.wrong.values())),
            recovery=recovery,
            allowed=allowed,
            memory=(before, running[-1].memory if running else before),
        )


def block(port: str | Path, name: str = "house", interval: str = "1s", key: str = KEY, more: str = "") -> str:
    return f'[[meter]]\nname = "{name}"\nport = "{port}"\nkey = "{key}"\npoll_interval = "{interval}"\n{more}\n'


class Daemon:
    """``nesgw run``; an ``obedient`` one heeds the permissions of files even where the tests run as root.

    ``defect`` is a program that is run before, in the same process.
    """

    def __init__(
        self, config: Path, log: Path, *, obedient: bool = False, defect: str = "", **environment: str
    ) -> None:
        self.log = log
        without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if obedient and not os.geteuid() else []
        program = f"{defect}\nimport runpy\nrunpy.run_module('nesgw', run_name='__main__')"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*without, sys.executable, "-c", program, "run", "--config", str(config)],
                stderr=output,
                stdout=output,
                cwd=Path(__file__).parents[2],
                env={**os.environ, **environment},
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def memory(self) -> float:
        return memory(self.process.pid)

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        eventually(lambda: text in self.said, f"{text!r} in the log: {self.said[-3000:]}", timeout)

    def end(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)


class ServiceManager:
    """systemd's end of sd_notify."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._open = True
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                text = self._socket.recv(65536).decode()
            except TimeoutError:
                continue
            self.heard += [(time.monotonic(), line) for line in text.splitlines()]

    def last(self, line: str) -> float | None:
        return max((at for at, heard in list(self.heard) if heard == line), default=None)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()
