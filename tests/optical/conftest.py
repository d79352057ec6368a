"""A clock that no test waits for, a meter written by hand from the sources, and wires that misbehave.

The meter uses nothing of the code under test: it has its own CRC, its own packets and its own reading of the rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nesgw.optical.client import MeterClient

KEY = b"a7941d85bce8a8fa2ab7"
BYTE = 10 / 9600


def crc(data: bytes) -> bytes:
    """CRC-16/X-25 bit by bit, as it stands on the wire."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return (value ^ 0xFFFF).to_bytes(2, "little")


def packet(data: bytes, control: int = 0, sequence: int = 0) -> bytes:
    body = b"\xee\x00" + bytes((control, sequence)) + len(data).to_bytes(2, "big") + data
    return body + crc(body)


def table_answer(data: bytes) -> bytes:
    return b"\x00" + len(data).to_bytes(2, "big") + data + bytes((-sum(data) & 0xFF,))


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


class FakeMeter:
    """The other side of C12.18: states, timers, duplicates, repetitions."""

    def __init__(self) -> None:
        self.key = KEY
        self.tables: dict[int, bytes] = {
            23: bytes(range(1, 81)),
            28: bytes(range(100, 250)),
            2051: b"12345678".ljust(143, b"\0"),
        }
        self.biggest = (512, 4)  # what it grants
        self.really: int | None = None  # bytes of a table that fit in a message, where that is less than it granted
        self.negotiates = True
        self.partial = self.full = True
        self.implicit_ack = True  # a new packet counts as the ACK of ours
        self.delay = 0.016
        # Faults, used up one by one.
        self.refuse: dict[int, list[int]] = {}  # by the request's first byte, the codes to answer instead
        self.lose_requests = 0  # packets that it does not hear at all
        self.lose_only: Callable[[bytes], bool] = lambda request: True
        self.nak_requests = 0
        self.late: list[float] = []  # extra delays of the next answers
        self.dead = False
        # What happened.
        self.requests: list[bytes] = []  # accepted ones
        self.answered_acks = 0
        self.keys_tried = 0
        # Its state.
        self.out: list[tuple[float, bytes]] = []
        self._buffer = b""
        self._heard_at = 0.0
        self._last_traffic = float("-inf")
        self._keeps_until = float("-inf")
        self._toggle = 0x20
        self._to_base()

    def _to_base(self) -> None:
        self.state = "base"
        self.size, self.packets = 64, 1
        self._seen: tuple[int, bytes] | None = None
        self._sending: list[bytes] = []  # packets of the answer; the first waits for its ACK
        self._retry_at = float("inf")
        self._tries = 0

    def next_event(self) -> float:
        return min(min((when for when, _ in self.out), default=float("inf")), self._retry_at)

    def tick(self, now: float) -> None:
        if now > max(self._last_traffic + 6.0, self._keeps_until):
            self._to_base()
        if now >= self._retry_at:
            self._tries += 1
            if self._tries < 4:
                self._say(now, self._sending[0])
                self._retry_at = now + 2.0
            else:
                self._to_base()

    def hear(self, data: bytes, now: float) -> None:
        if self.dead:
            return
        self.tick(now)
        if now - self._heard_at > 0.5:
            self._buffer = b""
        self._heard_at = self._last_traffic = now
        self._buffer += data
        while self._buffer:
            if self._buffer[0] == 0x06:
                self._buffer = self._buffer[1:]
                self._acknowledged(now)
            elif self._buffer[0] == 0x15:
                self._buffer = self._buffer[1:]
                if self._sending:
                    self._say(now + self.delay, self._sending[0])
                    self._retry_at = now + 2.0
            elif self._buffer[0] != 0xEE:
                self._buffer = self._buffer[1:]
            elif len(self._buffer) < 8:
                return
            else:
                end = int.from_bytes(self._buffer[4:6], "big") + 8
                if end > 200:
                    self._buffer = self._buffer[1:]
                    continue
                if len(self._buffer) < end:
                    return
                raw, self._buffer = self._buffer[:end], self._buffer[end:]
                self._packet(raw, now)

    def _acknowledged(self, now: float) -> None:
        if not self._sending:
            return
        self.answered_acks += 1
        del self._sending[0]
        self._tries = 0
        if self._sending:
            self._say(now + self.delay, self._sending[0])
            self._retry_at = now + 2.0
        else:
            self._retry_at = float("inf")
            if self.requests[-1] == b"\x21":
                self._to_base()

    def _packet(self, raw: bytes, now: float) -> None:
        if crc(raw[:-2]) != raw[-2:]:
            self._say(now, b"\x15")
            return
        if self.lose_requests and self.lose_only(raw[6:-2]):
            self.lose_requests -= 1
            return
        if self.nak_requests:
            self.nak_requests -= 1
            self._say(now, b"\x15")
            return
        mark = (raw[2] & 0x20, raw[-2:])
        if mark == self._seen:
            self._say(now, b"\x06")
            return
        if self._sending:
            if not self.implicit_ack:
                return
            # The request before is done with, and so is an answer to it that is not out yet: a meter is no network,
            # what it says comes in order.
            self.out = [(when, said) for when, said in self.out if said not in self._sending]
            self._sending, self._retry_at = [], float("inf")
        self._seen = mark
        self._say(now, b"\x06")
        request = raw[6:-2]
        self.requests.append(request)
        answer = self.answer(request, now)
        late = self.late.pop(0) if self.late else 0.0
        room = self.size - 8
        parts = [answer[start : start + room] for start in range(0, len(answer), room)]
        for index, part in enumerate(parts):
            self._toggle ^= 0x20
            left = len(parts) - 1 - index
            marks = 0 if len(parts) == 1 else 0x80 if index else 0xC0
            self._sending.append(packet(part, marks | self._toggle, left))
        self._tries = 0
        self._say(now + self.delay + late, self._sending[0])
        self._retry_at = now + self.delay + late + 2.0

    def _say(self, when: float, data: bytes) -> None:
        self.out.append((when, data))
        self._last_traffic = max(self._last_traffic, when)

    def answer(self, request: bytes, now: float) -> bytes:
        service = request[0]
        if self.refuse.get(service):
            return bytes((self.refuse[service].pop(0),))
        match service, self.state:
            case 0x20, "base":
                self.state = "id"
                return b"\x00\x00\x01\x00\x00"
            case 0x21, _:
                return b"\x00"
            case service, "id" if service & 0xF0 == 0x60:
                if not self.negotiates:
                    return b"\x02"
                self.size = min(self.biggest[0], int.from_bytes(request[1:3], "big"))
                self.packets = min(self.biggest[1], request[3])
                return b"\x00" + self.size.to_bytes(2, "big") + bytes((self.packets, request[4]))
            case 0x50, "id":
                self.state = "session"
                return b"\x00"
            case 0x51, "session":
                self.keys_tried += 1
                return b"\x00" if request[1:] == self.key.ljust(20, b"\0") else b"\x01"
            case 0x70, "id" | "session":
                self._keeps_until = now + request[1]
                return b"\x00"
            case 0x30, "session":
                table = int.from_bytes(request[1:3], "big")
                if not self.full:
                    return b"\x02"
                if table not in self.tables:
                    return b"\x05"
                return self._data(self.tables[table])
            case 0x3F, "session":
                table = int.from_bytes(request[1:3], "big")
                offset, count = int.from_bytes(request[3:6], "big"), int.from_bytes(request[6:8], "big")
                if not self.partial:
                    return b"\x02"
                if table not in self.tables:
                    return b"\x05"
                return self._data(self.tables[table][offset : offset + count].ljust(count, b"\0"))
        return b"\x0a"

    def _data(self, data: bytes) -> bytes:
        limit = self.really or self.packets * (self.size - 8) - 4
        return table_answer(data) if len(data) <= limit else b"\x04"


class Line:
    """The port of the client's, the wire behind it and the meter at its end."""

    name = "/dev/fake"

    def __init__(self, meter: FakeMeter, clock: Clock, wire: str = "whole", seed: int = 1) -> None:
        self.meter = meter
        self.clock = clock
        self.wire = wire
        self.baud = 9600
        self.rts = True
        self.chance = random.Random(seed)
        self.written: list[bytes] = []
        self.drained = 0
        self.write_times: list[float] = []
        self.read_time = float("-inf")
        self.longest_read = 0.0
        self._coming: list[tuple[float, bytes]] = []

    def _mangled(self, data: bytes) -> bytes:
        if self.wire == "lossy":
            return bytes(byte for byte in data if self.chance.random() > 0.004)
        if self.wire == "noisy":
            if self.chance.random() < 0.05:
                place = self.chance.randrange(len(data))
                data = data[:place] + bytes((data[place] ^ 1 << self.chance.randrange(8),)) + data[place + 1 :]
            if self.chance.random() < 0.1:
                return self.chance.randbytes(3) + data
        return data

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.write_times.append(self.clock.now)
        if self.wire == "echoing":
            self._coming.append((self.clock.now + len(data) * BYTE, data))
        self.meter.hear(self._mangled(data), self.clock.now + len(data) * BYTE)

    def read(self, timeout: float) -> bytes:
        assert timeout >= 0
        self.longest_read = max(self.longest_read, timeout)
        end = self.clock.now + timeout
        while True:
            said = [item for item in self.meter.out if item[0] <= self.clock.now]
            self.meter.out = [item for item in self.meter.out if item not in said]
            self._coming += [(when, arrives) for when, data in said if (arrives := self._mangled(data))]
            self._coming.sort(key=lambda item: item[0])
            if self._coming and self._coming[0][0] <= self.clock.now:
                when, data = self._coming.pop(0)
                if self.wire == "byte_by_byte" and len(data) > 1:
                    self._coming.insert(0, (when + BYTE, data[1:]))
                    data = data[:1]
                self.read_time = self.clock.now
                return data
            happens = min(self._coming[0][0] if self._coming else float("inf"), self.meter.next_event())
            if happens > end:
                self.clock.now = end
                self.meter.tick(end)
                return b""
            self.clock.now = max(self.clock.now, happens)
            self.meter.tick(self.clock.now)

    def drain(self) -> None:
        self.drained += 1

    def holder(self) -> str | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


@pytest.fixture
def line(meter: FakeMeter, clock: Clock) -> Line:
    return Line(meter, clock)


@pytest.fixture(params=["whole", "byte_by_byte", "echoing", "noisy-1", "noisy-2", "lossy-1", "lossy-2", "lossy-3"])
def any_line(request: pytest.FixtureRequest, meter: FakeMeter, clock: Clock) -> Line:
    """The same conversation over different wires."""
    wire, _, seed = request.param.partition("-")
    return Line(meter, clock, wire, int(seed or 1))


@pytest.fixture
def trace() -> list[str]:
    return []


@pytest.fixture
def client(line: Line, clock: Clock, trace: list[str]) -> MeterClient:
    return MeterClient(line, clock=clock, sleep=clock.sleep, trace=lambda text, *facts: trace.append(text % facts))


@pytest.fixture(scope="session")
def build() -> Callable[[str, int], tuple[MeterClient, Line, FakeMeter, Clock]]:
    """Make a fresh set of them for each example of a property."""

    def fresh(wire: str, seed: int) -> tuple[MeterClient, Line, FakeMeter, Clock]:
        meter, clock = FakeMeter(), Clock()
        line = Line(meter, clock, wire, seed)
        return MeterClient(line, clock=clock, sleep=clock.sleep), line, meter, clock

    return fresh
