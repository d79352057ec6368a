"""The meter's side of the application layer: the session's states and the answer to each request (C12.18).

Pure: a request and what the meter is come in, an answer goes out. Writing and procedures are not supported at all.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Protocol

from nesgw.simulator.wire import checksum


class Code(enum.IntEnum):
    """Response codes."""

    OK = 0
    ERR = 1
    SNS = 2
    ISC = 3
    ONP = 4
    IAR = 5
    BSY = 6
    DNR = 7
    DLK = 8
    RNO = 9
    ISSS = 10


class State(enum.Enum):
    """Where the session stands."""

    BASE = "base"
    ID = "id"
    SESSION = "session"


IDENTIFY: Final = 0x20
TERMINATE: Final = 0x21
READ: Final = 0x30
PARTIAL_READ: Final = 0x3F
LOGON: Final = 0x50
SECURITY: Final = 0x51
LOGOFF: Final = 0x52
NEGOTIATE: Final = range(0x60, 0x6C)
WAIT: Final = 0x70

EVERYTHING: Final = range(1 << 24)  # the bytes of a table, whatever its size: an offset has 24 bits

OPEN_TABLES: Final = frozenset({0, 1, 2051})  # BT00, BT01, ET03 need no key

LEGAL: Final = {
    State.BASE: frozenset({"identify", "terminate"}),
    State.ID: frozenset({"negotiate", "logon", "wait", "terminate"}),
    State.SESSION: frozenset({"security", "read", "partial_read", "wait", "logoff", "terminate"}),
}

BAUDS: Final = {1: 300, 2: 600, 3: 1200, 4: 2400, 5: 4800, 6: 9600, 7: 14400, 8: 19200, 9: 28800}


def service_name(request: bytes) -> str:
    """The name the counters and the fault plan use; ``unknown`` for what the meter does not support."""
    code = request[0] if request else -1
    if code in NEGOTIATE:
        return "negotiate"
    return {
        IDENTIFY: "identify",
        TERMINATE: "terminate",
        READ: "read",
        PARTIAL_READ: "partial_read",
        LOGON: "logon",
        SECURITY: "security",
        LOGOFF: "logoff",
        WAIT: "wait",
    }.get(code, "unknown")


class Device(Protocol):
    """What the services need to know of the meter."""

    def table(self, number: int, now: float, wanted: range) -> bytes | Code:
        """The table's image, or the code that refuses it whatever the key: ``iar`` where the meter has none.

        What is not ``wanted`` of its bytes need not be filled in.
        """

    def may_read(self, number: int, key: bytes | None) -> bool:
        """Whether what was given as key opens the table."""

    def check_key(self, key: bytes, now: float) -> Code:
        """What a key is worth."""

    def logged_on(self, user_id: int, now: float) -> Code:
        """Told of each logon; anything but OK refuses it."""

    def trouble(self, service: str, now: float) -> Code:
        """A passing refusal from the fault plan, or OK."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the meter grants at most in a negotiation."""

    packet_size: int
    packets: int
    bauds: tuple[int, ...]
    supported: bool = True


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a negotiation came to."""

    packet_size: int
    packets: int
    baud: int


@dataclass(slots=True)
class Outcome:
    """An answer, and what changes once the client has ACKed it."""

    answer: bytes
    agreed: Agreed | None = None
    wait: int | None = None
    ends: bool = False

    @property
    def code(self) -> int:
        """The response code."""
        return self.answer[0]


def refuse(code: Code) -> Outcome:
    """A refusal is the code alone."""
    return Outcome(bytes((code,)))


class Session:
    """The states base, ID and session, and one method a service."""

    def __init__(self, device: Device, limits: Limits, features: bytes, baud: int) -> None:
        self.device = device
        self.limits = limits
        self.features = features
        self.default_baud = baud
        self.state = State.BASE
        self.key: bytes | None = None

    def reset(self) -> None:
        """Back to the base state."""
        self.state = State.BASE
        self.key = None

    def answer(self, request: bytes, now: float, room: int) -> Outcome:
        """Answer a request; ``room`` is how many bytes an answer may have as things are negotiated.

        Where several refusals apply: sns > isss > iar > isc > onp > bsy > dlk > dnr > rno > err [C12.18-2006].
        """
        service = service_name(request)
        if service == "unknown" or (service == "negotiate" and not self.limits.supported):
            return refuse(Code.SNS)
        if service not in LEGAL[self.state]:
            return refuse(Code.ISSS)
        body = request[1:]
        if service in ("read", "partial_read"):
            return self._read(service, body, now, room)
        trouble = self.device.trouble(service, now)
        if trouble is not Code.OK:
            return refuse(trouble)
        if service == "identify":
            return self._identify(body)
        if service == "negotiate":
            return self._negotiate(request[0] - NEGOTIATE.start, body)
        if service == "logon":
            return self._logon(body, now)
        if service == "security":
            return self._security(body, now)
        if service == "wait":
            return Outcome(bytes((Code.OK,)), wait=body[0]) if len(body) == 1 else refuse(Code.ERR)
        if body:
            return refuse(Code.ERR)
        if service == "logoff":
            self.state, self.key = State.ID, None
            return Outcome(bytes((Code.OK,)))
        return Outcome(bytes((Code.OK,)), ends=True)  # terminate: the base state comes with the ACK

    def _identify(self, body: bytes) -> Outcome:
        if body:
            return refuse(Code.ERR)
        self.state = State.ID
        return Outcome(bytes((Code.OK,)) + self.features)

    def _negotiate(self, count: int, body: bytes) -> Outcome:
        if len(body) != 3 + count:
            return refuse(Code.ERR)
        size, packets = body[0] << 8 | body[1], body[2]
        if not 64 <= size <= 8192 or packets == 0:
            return refuse(Code.ERR)
        size, packets = min(size, self.limits.packet_size), min(packets, self.limits.packets)
        asked = [BAUDS[code] for code in body[3:] if code in BAUDS]
        possible = [baud for baud in asked if baud in self.limits.bauds]
        baud = max(possible, default=self.default_baud)
        code = next((number for number, rate in BAUDS.items() if rate == baud), 0)
        answer = bytes((Code.OK, size >> 8, size & 0xFF, packets, code))
        return Outcome(answer, agreed=Agreed(size, packets, baud))

    def _logon(self, body: bytes, now: float) -> Outcome:
        if len(body) != 12:
            return refuse(Code.ERR)
        code = self.device.logged_on(body[0] << 8 | body[1], now)
        if code is not Code.OK:
            return refuse(code)
        self.state = State.SESSION
        return Outcome(bytes((Code.OK,)))

    def _security(self, body: bytes, now: float) -> Outcome:
        if len(body) != 20:
            return refuse(Code.ERR)
        code = self.device.check_key(body, now)
        self.key = body if code is Code.OK else None
        return Outcome(bytes((code,)))

    def _read(self, service: str, body: bytes, now: float, room: int) -> Outcome:
        complete = len(body) == (2 if service == "read" else 7)
        number = int.from_bytes(body[:2], "big")
        offset, count = int.from_bytes(body[2:5], "big"), int.from_bytes(body[5:7], "big")
        wanted = EVERYTHING if service == "read" else range(offset, offset + count)
        image = self.device.table(number, now, wanted) if len(body) >= 2 else b""
        if image is Code.IAR:
            return refuse(image)
        if not self.device.may_read(number, self.key):
            return refuse(Code.ISC)
        if isinstance(image, Code):
            return refuse(image)
        if not complete:
            return refuse(Code.ONP)
        if service == "partial_read":
            image = image[offset : offset + count].ljust(count, b"\0")  # past the end: zeros, no error [OPG]
        if len(image) + 4 > room:
            return refuse(Code.ONP)
        trouble = self.device.trouble(service, now)
        if trouble is not Code.OK:
            return refuse(trouble)
        return Outcome(bytes((Code.OK, len(image) >> 8, len(image) & 0xFF)) + image + bytes((checksum(image),)))
