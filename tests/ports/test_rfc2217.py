"""A port behind a real ser2net, as ``rfc2217://`` and ``socket://``: the way to a probe on another machine."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from nesgw.commands import main
from nesgw.errors import PortLost, PortUnavailable
from nesgw.meter.meter import Meter
from nesgw.ports.serial_port import SerialPort, open_port
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import eventually
from tests.virtual import settings_with

SER2NET = shutil.which("ser2net", path="/usr/sbin:/usr/bin") or "ser2net"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def ser2net(
    folder: Path, device: str, port: int, accepter: str = "telnet(rfc2217),tcp", kick: bool = True
) -> Iterator[str]:
    """Serve a device on this machine alone; give its URL. ``kick``: a second client takes the place of the first."""
    configuration = folder / "ser2net.yaml"
    configuration.write_text(
        "connection: &probe\n"
        f"  accepter: {accepter},127.0.0.1,{port}\n"
        f"  connector: serialdev,{device},9600n81\n"
        f"  options:\n    kickolduser: {str(kick).lower()}\n"
    )
    process = subprocess.Popen([SER2NET, "-n", "-d", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_until_served(process, port)
        yield f"{'rfc2217' if 'rfc2217' in accepter else 'socket'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_until_served(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(0.3)  # it takes a moment to notice that we have gone
            return


@pytest.fixture
def line() -> Iterator[PtyLine]:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    file = tmp_path / "house.key"
    file.touch(0o600)
    file.write_bytes(DEFAULT_KEY)
    return str(file)


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


def test_a_meter_is_read_through_it_and_again_after_its_restart(tmp_path: Path, line: PtyLine) -> None:
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


@pytest.mark.parametrize("accepter", ["telnet(rfc2217),tcp", "tcp"])
def test_every_command_of_the_line_works_through_it(
    tmp_path: Path, line: PtyLine, key_file: str, accepter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ser2net(tmp_path, str(line.path), free_port(), accepter) as url:
        assert main(["read", "--port", url, "--key-file", key_file, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["energy_import"] == pytest.approx(115921.469, abs=1.0)
        assert main(["align", "--port", url, "--count", "4"]) == 0
        assert "good: answered 4 of 4" in capsys.readouterr().out
        assert main(["doctor", "--port", url, "--key-file", key_file]) == 0
        said = capsys.readouterr().out
    assert "ok       permission      not needed on the network" in said
    assert said.endswith("all is well\n")


def readings(folder: Path, name: str) -> float:
    """When the daemon wrote the meter's last reading; 0 before the first."""
    try:
        return (folder / name / "reading.json").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def newer(folder: Path, name: str, than: float) -> bool:
    return readings(folder, name) > than


def test_the_daemon_outlives_a_restart_of_it_and_reads_the_other_meter_on(tmp_path: Path, line: PtyLine) -> None:
    port, other = free_port(), PtyLine(SimulatedMeter("gen4-4.30"), baud=None)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk, other:
        folder = Path(ram_disk)
        config = tmp_path / "config.toml"
        config.touch(0o600)
        config.write_text(
            "".join(
                f'[[meter]]\nname = "{name}"\nport = "{place}"\nkey = "{DEFAULT_KEY.decode()}"\npoll_interval = "1s"\n'
                for name, place in (("far", f"rfc2217://127.0.0.1:{port}"), ("near", other.path))
            )
            + f'[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
        )
        daemon = subprocess.Popen(
            [sys.executable, "-m", "nesgw", "run", "--config", str(config)], stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(2):
                begun = time.time()
                with ser2net(tmp_path, str(line.path), port):
                    eventually(partial(newer, folder, "far", begun + 1), "the far meter is read", 30)
                gone = time.time()
                eventually(partial(newer, folder, "near", gone + 2), "the near one all the while", 30)
                assert daemon.poll() is None
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(15) == 0


def test_a_telnet_port_used_as_a_raw_socket_is_told_by_its_negotiation(
    tmp_path: Path, line: PtyLine, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ser2net(tmp_path, str(line.path), free_port()) as url:
        raw = url.replace("rfc2217", "socket")
        assert main(["read", "--port", raw, "--key-file", key_file]) == 69
    said = capsys.readouterr().err
    assert "but a telnet server: write rfc2217://HOST:PORT instead of socket://HOST:PORT" in said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as said above
@pytest.mark.parametrize("accepter", ["telnet(rfc2217),tcp", "tcp"])
def test_a_bridge_that_serves_another_client_says_so_and_so_do_we(
    tmp_path: Path, line: PtyLine, key_file: str, accepter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ser2net(tmp_path, str(line.path), free_port(), accepter, kick=False) as url:
        first = open_port(url)
        try:
            assert main(["read", "--port", url, "--key-file", key_file]) == 69
        finally:
            first.close()
    said = capsys.readouterr().err
    assert "another program" in said
    assert "unplugged" not in said


def test_a_raw_port_used_as_rfc_2217_is_told_from_a_bridge_that_is_busy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(PortUnavailable) as refusal:
        open_port(f"rfc2217://127.0.0.1:{silent.getsockname()[1]}")
    assert "write socket:// in place of rfc2217://" in str(refusal.value)
    assert "another program" not in str(refusal.value)


def test_nobody_listening_is_an_unavailable_port() -> None:
    with pytest.raises(PortUnavailable, match="Connection refused"):
        open_port(f"rfc2217://127.0.0.1:{free_port()}")
