"""The port against pseudo terminals and sockets, and what it says of ports that are not as they should be."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import select
import socket
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import serial

from nesgw.errors import (
    BridgeLost,
    NoProbe,
    NotSerial,
    PortAmbiguous,
    PortBusy,
    PortDenied,
    PortLost,
    PortMissing,
    PortShared,
    PortUnavailable,
)
from nesgw.ports.find import find_port
from nesgw.ports.serial_port import SerialPort, open_port


@pytest.fixture
def pty() -> Iterator[Any]:
    """The far end of a pseudo terminal, and the path of the near one."""
    far, near = os.openpty()
    tty.setraw(near)
    path = os.ttyname(near)
    os.close(near)
    yield far, path
    os.close(far)


@pytest.fixture
def port(pty: Any) -> Iterator[Any]:
    port = open_port(pty[1])
    yield port
    port.close()


def is_exclusive(descriptor: Any) -> Any:
    tiocgexcl = 0x80045440  # Linux; not in termios
    return bool.from_bytes(fcntl.ioctl(descriptor, tiocgexcl, bytes(4)), "little")


class TestAPseudoTerminal:
    def test_bytes_go_both_ways_unchanged(self, pty: Any, port: Any) -> None:
        every_byte = bytes(range(256))
        port.write(every_byte)
        port.drain()
        assert os.read(pty[0], 300) == every_byte
        os.write(pty[0], every_byte)
        assert port.read(1.0) == every_byte
        assert port.name == pty[1]
        assert port.baud == 9600

    def test_reading_returns_as_soon_as_anything_is_there(self, pty: Any, port: Any) -> None:
        threading.Timer(0.05, os.write, (pty[0], b"\x06")).start()
        begin = time.monotonic()
        assert port.read(5.0) == b"\x06"
        assert time.monotonic() - begin < 1.0

    def test_reading_returns_nothing_after_its_time(self, port: Any) -> None:
        assert port.read(0.0) == b""
        begin = time.monotonic()
        assert port.read(0.05) == b""
        assert 0.04 < time.monotonic() - begin < 0.5

    def test_waiting_takes_no_cpu(self, port: Any) -> None:
        begin = time.process_time()
        port.read(0.3)
        assert time.process_time() - begin < 0.05

    def test_the_baud_rate_can_change(self, port: Any) -> None:
        port.baud = 4800
        assert port.baud == 4800

    def test_a_second_opener_is_told_who_holds_it(self, pty: Any, port: Any) -> None:
        with pytest.raises(PortBusy, match=rf"in use by \S+ \(process {os.getpid()}\)") as busy:
            open_port(pty[1])
        assert busy.value.facts["port"] == pty[1]

    def test_it_is_exclusive_for_programs_that_lock_nothing_too(self, pty: Any, port: Any) -> None:
        assert is_exclusive(port._device.fileno())  # root may open it all the same, so the flag is looked at
        port.close()
        near = os.open(pty[1], os.O_RDWR | os.O_NOCTTY)
        assert not is_exclusive(near)
        os.close(near)

    def test_closed_it_can_be_opened_again(self, pty: Any) -> None:
        for _ in range(2):
            open_port(pty[1]).close()

    def test_a_far_end_that_goes_away_is_a_lost_port(self) -> None:
        far, near = os.openpty()
        port = open_port(os.ttyname(near))
        os.close(near)
        os.close(far)
        with pytest.raises(PortLost):
            port.read(0.1)
        port.close()
        port.close()

    def test_rts_is_switched_off_and_on_where_there_is_such_a_line_and_does_no_harm_where_not(self, port: Any) -> None:
        assert port.rts is True
        port.rts = False
        assert port.rts is False

    def test_what_another_program_reads_away_is_no_unplugged_probe(
        self, pty: Any, port: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both were woken by the same bytes, and it was quicker."""
        os.write(pty[0], b"answer")
        select.select([port._device.fileno()], [], [], 1.0)
        os.read(port._device.fileno(), 100)
        monkeypatch.setattr(select, "select", lambda *_: ([port._device.fileno()], [], []))
        with pytest.raises(PortShared, match=r"in use by .* at the same time, which takes the meter's answers away"):
            port.read(0.1)

    def test_who_else_has_it_open_is_known(self, pty: Any, port: Any) -> None:
        assert port.holder() is None
        other = subprocess.Popen(["sleep", "60"], stdin=os.open(pty[1], os.O_RDWR | os.O_NOCTTY))
        try:
            assert port.holder() == f"sleep (process {other.pid})"
        finally:
            other.kill()
            other.wait()


class TestASocket:
    def test_bytes_go_both_ways(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}")
            peer, _ = server.accept()
            with peer:
                port.write(b"there")
                assert peer.recv(10) == b"there"
                peer.sendall(b"and back")
                assert port.read(1.0) == b"and back"
                assert port.read(0.02) == b""
            with pytest.raises(BridgeLost, match="see whether the bridge is on, and whether another program uses it"):
                port.read(0.5)
            port.close()

    def test_nobody_listening(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
        with pytest.raises(PortUnavailable) as failure:
            open_port(f"socket://127.0.0.1:{number}")
        assert str(failure.value) == (
            f"socket://127.0.0.1:{number}: Connection refused: switch the bridge on, or correct its host and port"
        )

    def test_a_scheme_that_is_none_is_answered_with_those_that_are(self) -> None:
        with pytest.raises(PortUnavailable, match=r"socket://HOST:PORT \(raw TCP\) and rfc2217://HOST:PORT"):
            open_port("http://homeassistant.local")


class _Device:
    """Stands for one of pyserial's classes, which has bytes waiting one at a time, and may fail in its own way."""

    in_waiting = 1

    def __init__(self, failure: Any | None = None, waiting: bytes = b"\x06") -> None:
        self.failure = failure
        self.waiting = list(waiting)

    def read(self, size: Any) -> Any:
        if self.failure:
            raise self.failure
        return bytes((self.waiting.pop(0),)) if self.waiting else b""

    def write(self, data: Any) -> None:
        raise self.failure

    def flush(self) -> None:
        raise self.failure

    def __getattr__(self, name: Any) -> None:
        raise self.failure or AttributeError(name)


def test_a_port_without_a_descriptor_is_read_as_well_and_gives_all_that_is_there() -> None:
    assert SerialPort(_Device(waiting=b"\x06\xee\x00"), "rfc2217://pi:2217").read(0.1) == b"\x06\xee\x00"


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (OSError(errno.EIO, "whatever"), "Input/output error"),
        (
            serial.SerialException("device reports readiness to read but returned no data (device disconnected …?)"),
            "it was unplugged, or another program reads from it",
        ),
        (termios.error(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_every_failure_in_use_is_a_lost_port(failure: Any, says: str) -> None:
    with pytest.raises(PortLost, match=f"/dev/ttyUSB0: .*{says}"):
        SerialPort(_Device(failure), "/dev/ttyUSB0").read(0.1)


# What has no place in a list of a serial port's errors, and comes all the same from some handler of a URL.
ODD = [NotImplementedError("write_timeout"), KeyError("x"), IndexError(), AttributeError("_socket"), AssertionError()]
ODD += [RuntimeError("can't start new thread"), RecursionError(), UnicodeError("idna"), MemoryError()]


@pytest.mark.parametrize("failure", ODD, ids=repr)
def test_whatever_a_handler_raises_is_the_trouble_of_its_port_alone(
    failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = SerialPort(_Device(failure), "odd://x")
    uses: list[Callable[[], object]] = [lambda: port.read(0.1), lambda: port.write(b"x"), port.drain]
    for use in uses:
        with pytest.raises(PortLost):
            use()
    port.close()

    def refuse(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortUnavailable):
        open_port("odd://x")


class TestOpeningWhatCannotBeOpened:
    def test_no_such_device(self) -> None:
        with pytest.raises(PortMissing, match="/dev/nesgw-none: no such device"):
            open_port("/dev/nesgw-none")

    def test_no_terminal(self) -> None:
        with pytest.raises(NotSerial, match="/dev/null: not a serial port: set port to the name of the probe"):
            open_port("/dev/null")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NotSerial):
            open_port(str(tmp_path))

    def test_a_url_without_a_port_number(self) -> None:
        with pytest.raises(PortUnavailable, match="socket://here: the port is missing; write socket://here:PORT"):
            open_port("socket://here")

    def test_no_such_kind_of_url(self) -> None:
        with pytest.raises(PortUnavailable, match="nonsense"):
            open_port("nonsense://here")

    @pytest.mark.parametrize(
        ("number", "error"),
        [
            (errno.ENOENT, PortMissing),
            (errno.ENODEV, PortMissing),
            (errno.EBUSY, PortBusy),
            (errno.EAGAIN, PortBusy),
            (errno.EIO, PortUnavailable),
        ],
    )
    def test_each_reason_has_its_error(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: Any, error: Any
    ) -> None:
        def refuse(self: Any) -> None:
            raise serial.SerialException(number, f"could not open port: {os.strerror(number)}")

        monkeypatch.setattr(serial.Serial, "open", refuse)
        with pytest.raises(PortUnavailable) as failure:
            open_port(str(tmp_path))
        assert type(failure.value) is error

    def test_a_refusal_names_the_group_that_the_device_really_has(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        device = tmp_path / "ttyUSB0"
        device.touch()
        monkeypatch.setattr(
            serial.Serial, "open", lambda self: (_ for _ in ()).throw(serial.SerialException(errno.EACCES, "no"))
        )
        group = grp.getgrgid(device.stat().st_gid).gr_name
        with pytest.raises(PortDenied, match=f"belongs to group {group}"):
            open_port(str(device))

    @pytest.mark.parametrize(
        ("group", "remedy"), [("dialout", "sudo usermod -aG dialout "), ("root", "run the command")]
    )
    def test_nobody_is_told_to_join_the_group_of_root(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: str, remedy: str
    ) -> None:
        monkeypatch.setattr(
            serial.Serial, "open", lambda self: (_ for _ in ()).throw(serial.SerialException(errno.EACCES, "no"))
        )
        monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=group))
        with pytest.raises(PortDenied) as failure:
            open_port(str(tmp_path))
        assert failure.value.remedy.startswith(remedy)


class TestTheOnlyProbe:
    def port(self, device: Any, vid: int = 0x0403) -> SimpleNamespace:
        return SimpleNamespace(device=device, vid=vid)

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(NoProbe, match='port = "auto" finds no USB serial device: plug the probe in'):
            find_port(lambda: [self.port("/dev/ttyS0", vid=None)], tmp_path)

    def test_one_is_known_by_the_name_that_survives_replugging(self, tmp_path: Path) -> None:
        device = tmp_path / "ttyUSB0"
        device.touch()
        by_id = tmp_path / "by-id"
        by_id.mkdir()
        (by_id / "usb-FTDI_probe-if00-port0").symlink_to(device)
        found = find_port(lambda: [self.port("/dev/ttyS0", vid=None), self.port(str(device))], by_id)
        assert found == str(by_id / "usb-FTDI_probe-if00-port0")

    def test_one_without_such_a_name(self, tmp_path: Path) -> None:
        assert find_port(lambda: [self.port("/dev/ttyUSB0")], tmp_path / "none") == "/dev/ttyUSB0"

    @pytest.mark.parametrize("stumble", [TypeError("int() argument"), FileNotFoundError(2, "by-id"), ValueError()])
    def test_one_that_is_unplugged_while_it_is_looked_for(self, tmp_path: Path, stumble: Any) -> None:
        """pyserial reads what the kernel says of each device, and fails in its own ways where that has just gone."""

        def vanishing() -> None:
            raise stumble

        with pytest.raises(PortMissing):
            find_port(vanishing, tmp_path)

    def test_two(self, tmp_path: Path) -> None:
        with pytest.raises(PortAmbiguous, match="2 USB serial devices: /dev/ttyUSB0, /dev/ttyUSB1"):
            find_port(lambda: [self.port("/dev/ttyUSB1"), self.port("/dev/ttyUSB0")], tmp_path)
