"""The simulated meter's MEP port in virtual time, as a port that a client opens; and a client on it."""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.mep.client import MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.link import Link
from nesgw.simulator import DEFAULT_KEY, Faults, MepPort, SimulatedMeter, VirtualLine
from nesgw.simulator.mep import Manners


class Line(VirtualLine[MepPort]):
    """A line with the wire for Enable; notes what is sent and when."""

    def holder(self) -> str | None:
        return None

    def lend(self) -> bool:
        return False

    def reclaim(self) -> None:
        pass

    def __init__(self, port: MepPort, baud: int = 9600) -> None:
        port.enable(False, port.clock())
        super().__init__(port, baud)
        self.written: list[tuple[float, bytes]] = []
        self.switched: list[tuple[float, bool]] = []
        self._baud = baud
        self._rts = False
        self.loose = False  # the wire of Enable

    @property
    def baud(self) -> int:
        return self._baud

    @baud.setter
    def baud(self, baud: int) -> None:
        self._baud = baud

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self.switched.append((self.clock(), on))
        if not self.loose:
            self.meter.enable(on, self.clock())

    def write(self, data: bytes) -> None:
        self.written.append((self.clock(), data))
        super().write(data)

    def drop_enable(self) -> None:
        """Somebody else had the port open, and closing it switched Enable off."""
        self.meter.enable(False, self.clock())


TABLES = {
    1: b"ELON83331-3I" + bytes(range(12)),
    21: bytes.fromhex("40 05 01 0B 00 00 00 00 00 37"),
    23: bytes(number * 7 % 251 for number in range(225)),
    28: bytes(number * 11 % 253 for number in range(336)),
    52: bytes.fromhex("1A 0B 14 08 1E 00 15"),
    2048 + 3: b"4080123456".ljust(143, b"\0"),
    2048 + 4: bytes(range(150)),
    2048 + 53: bytes(number % 249 for number in range(1000)),
}


class Rig:
    """A meter whose tables stand still, its port, a line and a client in virtual time."""

    def __init__(self, *, key: bytes = DEFAULT_KEY, baud: int = 9600, **manners: Any) -> None:
        self.meter = SimulatedMeter(images=TABLES, clock=lambda: 1_000_000.0)
        self.port = MepPort(self.meter, **manners)
        self.line = Line(self.port, baud)
        self.link = Link(DigestKey(key))
        self.trace: list[str] = []
        self.client = self.open()

    def open(self, **options: Any) -> MepClient:
        """Open the port, or open it again: another client with the same link."""
        return MepClient(
            self.line,
            self.link,
            clock=self.line.clock,
            sleep=self.line.sleep,
            trace=lambda text, *facts: self.trace.append(text % facts),
            **options,
        )

    @property
    def manners(self) -> Manners:
        return self.port.manners

    @property
    def faults(self) -> Faults:
        return self.meter.faults

    @property
    def now(self) -> float:
        return self.line.clock()

    def read(self, table: int, offset: int, count: int) -> None:
        """Read, and compare with the meter."""
        assert self.client.read(table, offset, count) == TABLES[table][offset : offset + count].ljust(count, b"\0")

    def poll(self) -> None:
        """Read what a poll reads; every byte has to be the meter's."""
        for table, count in ((28, 220), (23, 80)):
            self.read(table, 0, count)

    def clean(self) -> None:
        """Demand that the client did nothing that it should not."""
        monitor = self.port.monitor
        assert (monitor.forbidden, monitor.too_soon, monitor.keys_repeated, monitor.while_off) == (0, 0, 0, 0)


@pytest.fixture
def rig() -> Rig:
    return Rig()
