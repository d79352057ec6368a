"""A port behind a real ser2net, as ``rfc2217://``: the way to a probe on another machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nesgw.errors import PortLost, PortUnavailable
from nesgw.meter.meter import Meter
from nesgw.ports.serial_port import SerialPort, open_port
from nesgw.simulator import PtyLine, SimulatedMeter
from tests.virtual import settings_with

SER2NET = shutil.which("ser2net", path="/usr/sbin:/usr/bin") or "ser2net"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def ser2net(folder: Path, device: str, port: int) -> Iterator[str]:
    """Serve a device as RFC 2217 on this machine alone; give its URL."""
    configuration = folder / "ser2net.yaml"
    configuration.write_text(
        "connection: &probe\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev,{device},9600n81\n"
        "  options:\n    kickolduser: true\n"
    )
    process = subprocess.Popen([SER2NET, "-n", "-d", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"rfc2217://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def read_once(url: str) -> float | int | None:
    meter = Meter(settings_with(port=url))
    try:
        with meter.session(time.monotonic() + 60):
            return meter.reading().values["energy_import"]
    finally:
        meter.close()


def use_for_ten_seconds(port: SerialPort) -> None:
    for _ in range(100):
        port.write(b"\x00")
        port.read(0.1)


def test_a_meter_is_read_through_it_and_again_after_its_restart(tmp_path: Path) -> None:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        port = free_port()
        for _ in range(2):
            with ser2net(tmp_path, str(line.path), port) as url:
                assert read_once(url) == pytest.approx(115921.469, abs=1.0)


# pyserial leaves a socket that its peer has closed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_bridge_that_ends_is_a_lost_port(tmp_path: Path) -> None:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        with ser2net(tmp_path, str(line.path), free_port()) as url:
            port = open_port(url)
        with pytest.raises(PortLost):
            use_for_ten_seconds(port)
        port.close()


def test_nobody_listening_is_an_unavailable_port() -> None:
    with pytest.raises(PortUnavailable, match="Connection refused"):
        open_port(f"rfc2217://127.0.0.1:{free_port()}")
