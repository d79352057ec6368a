"""The page of the real process: a meter on a pseudo terminal, sockets as systemd hands them over, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import eventually

# Puts our own process id where systemd would, for a socket that is descriptor 3.
START = (
    "import os, runpy, sys; os.environ['LISTEN_PID'] = str(os.getpid()); runpy.run_module('nesgw', run_name='__main__')"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def line() -> Iterator[Any]:
    with PtyLine(SimulatedMeter("83331-3i-solar"), baud=None) as line:
        yield line


def configuration(folder: Path, port: str, http: str) -> Path:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    path = folder / "config.toml"
    path.touch(0o600)
    path.write_text(
        f'[[meter]]\nname = "house"\nport = "{port}"\nkey = "{DEFAULT_KEY.decode()}"\npoll_interval = "1s"\n'
        f'[cache]\ndirectory = "{folder}"\n[mqtt]\nenabled = false\n'
        f'[http]\nenabled = true\nlisten = "127.0.0.1:{listen}"\n{http}\n'
    )
    return path


@contextmanager
def daemon(config: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process, and the address of a socket that systemd has opened for it."""
    with socket.create_server(("127.0.0.1", 0)) as opened, (config.parent / "log").open("wb") as log:
        environment = {**os.environ, "LISTEN_FDS": "1"}
        saved = os.dup(3) if _is_open(3) else None
        os.dup2(opened.fileno(), 3)
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", START, "run", "--config", str(config)],
                env=environment,
                pass_fds=(3,),
                stderr=log,
            )
        finally:
            if saved is None:
                os.close(3)
            else:
                os.dup2(saved, 3)
                os.close(saved)
        try:
            yield process, f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            process.kill()
            process.wait()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def fetch(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.loads(answer.read())


def is_there(address: str) -> Callable[[], bool]:
    def look() -> bool:
        try:
            fetch(address)
        except OSError:  # an HTTP error, too
            return False
        return True

    return look


def test_the_page_of_the_process_has_what_the_meter_says(folder: Path, line: Any) -> None:
    config = configuration(folder, line.path, 'ecotracker = "house"')
    with daemon(config) as (process, address):
        eventually(is_there(f"{address}/api/meters/house"), "a reading")
        meter = fetch(f"{address}/api/meters/house")
        assert meter["state"] == json.loads((folder / "house/reading.json").read_text()) or meter["age_s"] < 3
        assert (meter["id"], meter["label"], meter["info"]["utility_serial"]) == ("4080123458", "house", "4080123458")
        assert fetch(f"{address}/v1/json")["energyCounterIn"] == round(meter["state"]["energy_import"] * 1000)
        eventually(lambda: fetch(f"{address}/api/meters/house")["demand"], "the mean power of the last interval")
        demand = fetch(f"{address}/api/meters/house")["demand"]
        assert demand["minutes"] == 15
        assert set(demand) >= {"running", "month", "last_month", "maxima"}
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        day = {"from": midnight - timedelta(days=2), "to": midnight - timedelta(days=1)}
        query = "&".join(f"{key}={value:%Y-%m-%dT%H:%M:%SZ}" for key, value in day.items())
        rows = fetch(f"{address}/api/meters/house/history?{query}")
        assert len(rows) == 96  # quarters of an hour
        assert all(row["in_the_interval"]["energy_import"] is not None for row in rows)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_another_configuration_takes_the_same_socket_over(folder: Path, line: Any) -> None:
    config = configuration(folder, line.path, "")
    with daemon(config) as (process, address):
        eventually(is_there(f"{address}/api/meters/house"), "a reading")
        with pytest.raises(urllib.error.HTTPError) as missing:
            fetch(f"{address}/v1/json")
        missing.value.close()
        assert missing.value.code == 404
        configuration(folder, line.path, 'ecotracker = "house"')
        process.send_signal(signal.SIGHUP)
        eventually(is_there(f"{address}/v1/json"), "a reading after the reload")


def test_a_meter_that_is_pulled_out_is_a_503_and_the_health_is_good(folder: Path, line: Any) -> None:
    config = configuration(folder, line.path + "-not", 'ecotracker = "house"')
    with daemon(config) as (_, address):

        def says_why() -> bool:
            try:
                fetch(f"{address}/v1/json")
            except urllib.error.HTTPError as error:
                with error:
                    return error.code == 503 and b"-not" in error.read()
            except OSError:
                pass
            return False

        eventually(says_why, "503 with the sentence")
        with urllib.request.urlopen(f"{address}/healthz") as health:
            assert health.status == 200
