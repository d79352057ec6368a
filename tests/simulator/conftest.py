"""A client made of bytes for the simulated meter, and the virtual environment of the outside witness.

The CRC comes from the standard library's polynomial division with the bits turned round: a third way of writing it.
"""

from __future__ import annotations

import binascii
import datetime
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw.simulator import SimulatedMeter

MORNING = datetime.datetime(2026, 11, 20, 8, 30, tzinfo=datetime.UTC)
KEY = b"a7941d85bce8a8fa2ab7"
LOGON = bytes.fromhex("50 00 01 6e 65 73 67 77 20 20 20 20 20")
SECURITY = b"\x51" + KEY
REVERSED = bytes(int(f"{number:08b}"[::-1], 2) for number in range(256))


def x25(data: bytes) -> bytes:
    """The CRC's two bytes as they travel."""
    plain = binascii.crc_hqx(data.translate(REVERSED), 0xFFFF) ^ 0xFFFF
    return bytes((plain >> 8, plain & 0xFF)).translate(REVERSED)


class Hand:
    """Sends what it is told, at its own time, and writes down what comes back and when."""

    def __init__(self, meter: SimulatedMeter) -> None:
        self.meter = meter
        self.now = meter.started
        self.toggle = 0
        meter.clock = lambda: self.now

    def packet(self, data: bytes, *, control: int | None = None, sequence: int = 0, identity: int = 0) -> bytes:
        """A packet, with the next toggle unless a control byte is given."""
        if control is None:
            control, self.toggle = self.toggle, self.toggle ^ 0x20
        body = bytes((0xEE, identity, control, sequence, len(data) >> 8, len(data) & 0xFF)) + data
        return body + x25(body)

    def send(self, raw: bytes) -> None:
        """Put bytes on the line now."""
        self.meter.receive(raw, self.now)

    def hear(self, seconds: float) -> list[tuple[float, bytes]]:
        """All that comes within so many seconds, with the seconds since they began."""
        begin, until = self.now, self.now + seconds
        heard = []
        while (moment := self.meter.wake()) is not None and moment <= until:
            self.now = max(self.now, moment)
            if out := self.meter.due(self.now):
                heard.append((round(self.now - begin, 6), out))
        self.now = until
        if out := self.meter.due(until):
            heard.append((seconds, out))
        return heard

    def silence(self, seconds: float) -> None:
        """Let time pass in which nothing is said."""
        assert self.hear(seconds) == []

    def bytes_within(self, seconds: float) -> bytes:
        """What comes within so many seconds, joined."""
        return b"".join(data for _, data in self.hear(seconds))

    def ask(self, request: bytes) -> bytes:
        """One exchange without trouble: the data of the answer, each of its packets ACKed."""
        self.send(self.packet(request))
        heard = self.bytes_within(0.02)
        assert heard[:1] == b"\x06", heard.hex(" ")
        answer, frame = b"", heard[1:]
        while True:
            assert frame[:2] == b"\xee\x00", frame.hex(" ")
            assert frame[-2:] == x25(frame[:-2])
            assert len(frame) == 8 + int.from_bytes(frame[4:6], "big")
            answer += frame[6:-2]
            self.send(b"\x06")
            if frame[3] == 0:
                return answer
            frame = self.bytes_within(0.02)

    def read(self, table: int, offset: int | None = None, count: int | None = None) -> bytes:
        """A read's data, its count and checksum proven."""
        request = b"\x30" + table.to_bytes(2, "big")
        if offset is not None and count is not None:
            request = b"\x3f" + table.to_bytes(2, "big") + offset.to_bytes(3, "big") + count.to_bytes(2, "big")
        answer = self.ask(request)
        assert answer[0] == 0, f"response code {answer[0]}"
        assert int.from_bytes(answer[1:3], "big") == len(answer) - 4
        assert sum(answer[3:]) & 0xFF == 0
        return answer[3:-1]

    def open(self) -> None:
        """Identify, logon, key."""
        assert self.ask(b"\x20")[0] == 0
        assert self.ask(LOGON) == b"\x00"
        assert self.ask(SECURITY) == b"\x00"


@pytest.fixture
def hand() -> Callable[..., Hand]:
    """Makes a meter of a profile at 2026-11-20 08:30 UTC and puts a hand on it."""

    def make(profile: str = "83331-3i", **settings: object) -> Hand:
        settings = {"epoch": MORNING, "clock": lambda: 1000.0} | settings
        return Hand(SimulatedMeter(profile, **settings))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def termineter_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of a virtual environment that holds termineter 1.0.6; made when it is missing.

    Termineter is GPL: it runs as a program of its own and nothing of it is imported here.
    """
    home = request.config.rootpath / ".venv-termineter"
    python = home / "bin" / "python"
    probe = [str(python), "-c", "import c1218.connection"]
    # The tests on other versions may run beside these.
    with (home.parent / ".venv-termineter.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not python.exists() or subprocess.run(probe, check=False, capture_output=True).returncode:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "termineter==1.0.6"], check=True, env=environment
            )
    return python
