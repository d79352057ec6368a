"""The simulated meter's MEP port in virtual time, as a port that a client opens; and a client on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nesgw.mep.client import MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.link import Link
from nesgw.simulator import DEFAULT_KEY, MepPort, SimulatedMeter, VirtualLine


class Line(VirtualLine[MepPort]):
    """A line with the wire for Enable; notes what is sent and when."""

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


class Rig:
    """A meter, its port, a line and a client in virtual time."""

    def __init__(
        self, profile: str = "83331-3i", *, key: bytes = DEFAULT_KEY, meter: Any = None, **manners: Any
    ) -> None:
        self.meter = SimulatedMeter(profile, clock=lambda: 1_000_000.0, **(meter or {}))
        self.port = MepPort(self.meter, **manners)
        self.line = Line(self.port)
        self.link = Link(DigestKey(key))
        self.trace: list[str] = []
        self.client = self.open()

    def open(self, **options: Any) -> MepClient:
        """Open the port (again): another client with the same link."""
        return MepClient(
            self.line,
            self.link,
            clock=self.line.clock,
            sleep=self.line.sleep,
            trace=lambda text, *facts: self.trace.append(text % facts),
            **options,
        )

    @property
    def manners(self) -> Any:
        return self.port.manners

    @property
    def now(self) -> float:
        return self.line.clock()

    def image(self, table: int, offset: int, count: int) -> bytes:
        """What the meter really holds, filled up with zeros."""
        return (self.meter.image(table) or b"")[offset : offset + count].ljust(count, b"\0")


@pytest.fixture
def rig() -> Callable[..., Rig]:
    return Rig
