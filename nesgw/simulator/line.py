"""Lines to a simulated meter: a pseudo terminal in real time, and one in virtual time for tests.

Both carry bytes at the baud rate's pace, ten bits a byte in each direction, or at once. They know nothing of what
the bytes mean.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

HUNG_UP = 0.02  # seconds between looks whether somebody has opened the terminal
GRAIN = 0.004  # at 9600 baud bytes are handed over about four at a time, as USB adapters do


class Device(Protocol):
    """What a line carries bytes to and from: a simulated meter, or its MEP port."""

    clock: Callable[[], float]

    @property
    def serial(self) -> str:
        """The meter's serial number, as a name."""

    @property
    def byte_time(self) -> float:
        """Seconds a byte takes on the line; 0 where the line has no pace."""

    def set_pace(self, baud: int | None) -> None:
        """Take the pace of the line: so many bits a second, ten a byte, or None for no pace at all."""

    def receive(self, data: bytes, now: float) -> None:
        """Bytes arrive from the client."""

    def due(self, now: float) -> bytes:
        """The bytes that leave at ``now`` or should have left before."""

    def wake(self) -> float | None:
        """When ``due`` next has something to do, if nothing arrives before."""


AnyDevice = TypeVar("AnyDevice", bound=Device)


class _Pipe:
    """One direction: bytes put in come out one after the other, each after its time on the wire, if it takes any."""

    def __init__(self) -> None:
        self._bytes: deque[tuple[float, bytes]] = deque()
        self._free = float("-inf")

    def put(self, data: bytes, now: float, byte_time: float) -> None:
        if not byte_time and data:
            self._free = max(self._free, now)
            self._bytes.append((self._free, data))
            return
        for byte in data:
            self._free = max(self._free, now) + byte_time
            self._bytes.append((self._free, bytes((byte,))))

    def take(self, now: float) -> list[tuple[float, bytes]]:
        """The bytes whose time has come, with that time."""
        ready = []
        while self._bytes and self._bytes[0][0] <= now:
            ready.append(self._bytes.popleft())
        return ready

    @property
    def next(self) -> float | None:
        return self._bytes[0][0] if self._bytes else None

    @property
    def free(self) -> float:
        """When the last byte is over."""
        return self._free

    def clear(self) -> None:
        self._bytes.clear()


class _Wire:
    """Both directions between a client and the meter."""

    def __init__(self, meter: Device) -> None:
        self.meter = meter
        self.up = _Pipe()  # to the meter
        self.down = _Pipe()  # to the client

    def write(self, data: bytes, now: float) -> None:
        self.up.put(data, now, self.meter.byte_time)

    def run(self, now: float) -> bytes:
        """Move everything whose time has come, in the order of time; return what reached the client."""
        arrived = bytearray()
        last = float("-inf")
        while (moment := self.wake()) is not None and moment <= now:
            if not self._step(moment, arrived) and moment <= last:
                break
            last = moment
        self._step(now, arrived)
        return bytes(arrived)

    def _step(self, moment: float, arrived: bytearray) -> bool:
        """Do what is due at that moment; whether any byte moved."""
        up = self.up.take(moment)
        for at, data in up:
            self.meter.receive(data, at)
        out = self.meter.due(moment)
        self.down.put(out, moment, self.meter.byte_time)
        down = self.down.take(moment)
        for _, data in down:
            arrived += data
        return bool(up or out or down)

    def wake(self) -> float | None:
        times = [moment for moment in (self.up.next, self.down.next, self.meter.wake()) if moment is not None]
        return min(times, default=None)


class PtyLine:
    """A meter on a pseudo terminal, served by a thread while the context lasts.

    ``link`` is a symbolic link to make to the terminal. No descriptor of the client's side is kept open, so that a
    client that closes it leaves nothing behind, as on a real port.
    """

    def __init__(self, meter: Device, baud: int | None = 9600, link: str | os.PathLike[str] | None = None) -> None:
        self.meter = meter
        self.baud = baud
        self.link = None if link is None else Path(link)
        self.path = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._master = -1

    def __enter__(self) -> Self:
        self._master, client = os.openpty()
        tty.setraw(client)
        self.path = os.ttyname(client)
        os.close(client)
        os.set_blocking(self._master, False)
        if self.link is not None:
            try:
                self._make_link(self.link)
            except OSError:
                os.close(self._master)
                raise
        self.meter.set_pace(self.baud)
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, name=f"meter {self.meter.serial}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._master)
        if self.link is not None and self.link.is_symlink() and str(self.link.readlink()) == self.path:
            self.link.unlink()

    def _make_link(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise FileExistsError(errno.EEXIST, "not a link, so it is left alone", str(link))
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(self.path)
        fresh.replace(link)

    def _serve(self) -> None:
        wire = _Wire(self.meter)
        clock = self.meter.clock
        while not self._stop.is_set():
            data = self._read()
            now = clock()
            if data is None:  # nobody there: what the meter says goes nowhere
                wire.run(now)
                self._stop.wait(HUNG_UP)
                continue
            if data:
                wire.write(data, now)
            self._write(wire.run(now))
            following = wire.wake()
            pause = 0.25 if following is None else min(max(following - clock(), 0.0), 0.25)
            if pause and (under_way := [pipe.free for pipe in (wire.up, wire.down) if pipe.next is not None]):
                # The last byte is handed over when it has arrived: a grain later, each turn of the line would cost
                # the client four milliseconds that no meter takes.
                pause = min(max(pause, GRAIN), max(min(under_way) - clock(), 0.0))
            select.select([self._master], [], [], pause)

    def _read(self) -> bytes | None:
        """What the client wrote; None while no client has the terminal open."""
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""
        except OSError as problem:
            if problem.errno == errno.EIO:
                return None
            raise

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                return  # a client that does not read loses bytes, as on a real line
            except OSError as problem:
                if problem.errno == errno.EIO:
                    return
                raise


class VirtualLine(Generic[AnyDevice]):
    """A meter in virtual time: a port whose reading lets the time pass that it would have taken.

    Give ``clock`` and ``sleep`` to whatever waits, and hours go by in no time. For one thread only.
    """

    def __init__(self, meter: AnyDevice, baud: int | None = 9600) -> None:
        self.meter = meter
        self.name = f"simulated meter {meter.serial}"
        self._now = meter.clock()
        self._wire = _Wire(meter)
        self._arrived = bytearray()
        meter.clock = self.clock
        meter.set_pace(baud)

    def clock(self) -> float:
        """The virtual time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(self._now + max(seconds, 0.0))

    def write(self, data: bytes) -> None:
        """Send bytes to the meter; they take their time on the wire."""
        self._wire.write(data, self._now)

    def drain(self) -> None:
        """Wait until the last byte has left."""
        self._pass(max(self._now, self._wire.up.free))

    def read(self, timeout: float) -> bytes:
        """Bytes from the meter as soon as there are any, or nothing after ``timeout``."""
        until = self._now + max(timeout, 0.0)
        while not self._arrived and self._now < until:
            following = self._wire.wake()
            self._pass(until if following is None else min(following, until))
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def flush_input(self) -> None:
        """Forget what has arrived."""
        self._pass(self._now)
        self._arrived.clear()

    def close(self) -> None:
        """What was written leaves, as from a terminal that is closed."""
        self.drain()

    def _pass(self, until: float) -> None:
        while (following := self._wire.wake()) is not None and following <= until:
            self._now = max(self._now, following)
            self._arrived += self._wire.run(self._now)
        self._now = max(self._now, until)
        self._arrived += self._wire.run(self._now)
