"""The services of C12.18's application layer: each request as bytes, each answer as a value.

There is no service that changes anything in the meter. An answer does not name its request, so ``parse`` takes none
whose shape is another's: a late answer must not pass for the one that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final, Generic, NoReturn, TypeVar

from nesgw.errors import ProtocolMisuse
from nesgw.optical.crc import table_checksum
from nesgw.values import KEY_LENGTH

Result = TypeVar("Result")

MOST_OUT_OF_A_BYTE = 0xFF
_PACKET_SIZES: Final = range(64, 8192 + 1)  # that can be negotiated
_UNUSUAL: Final = 8  # bytes of an answer other than a table's data, at the most

# Codes above 9 differ between the clients in the field [Clients], so none of them is used.
BAUD_CODES: Final = {300: 1, 600: 2, 1200: 3, 2400: 4, 4800: 5, 9600: 6, 14400: 7, 19200: 8, 28800: 9}


class ResponseCode(IntEnum):
    """The first byte of an answer [C12.18-2006]."""

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

    def __str__(self) -> str:
        return f"{self.name.lower()} ({_MEANING[self]})"


_MEANING = {
    ResponseCode.OK: "done",
    ResponseCode.ERR: "refused without a reason",
    ResponseCode.SNS: "service not supported",
    ResponseCode.ISC: "insufficient security clearance",
    ResponseCode.ONP: "operation not possible",
    ResponseCode.IAR: "inappropriate action requested",
    ResponseCode.BSY: "busy",
    ResponseCode.DNR: "data not ready",
    ResponseCode.DLK: "data locked",
    ResponseCode.RNO: "wants to renegotiate",
    ResponseCode.ISSS: "invalid service sequence state",
}


class ServiceRefused(Exception):
    """The meter answered with a code other than ok."""

    def __init__(self, code: ResponseCode) -> None:
        self.code = code
        super().__init__(str(code))


class WrongShape(Exception):
    """These bytes cannot be the answer to this request."""


class Garbled(Exception):
    """The data of a table whose own count or checksum is wrong, in a packet whose CRC is right."""


class Request(Generic[Result]):
    """What all requests share: the name, the bytes, and the reading of the answer."""

    __slots__ = ()
    name: ClassVar[str]

    def encode(self) -> bytes:
        """Give the request as bytes."""
        raise NotImplementedError

    def parse(self, answer: bytes) -> Result:
        """Read the answer; raises ServiceRefused, Garbled or WrongShape."""
        if len(answer) == 1 and 0 < answer[0] <= max(ResponseCode):
            raise ServiceRefused(ResponseCode(answer[0]))
        if answer[:1] != bytes((ResponseCode.OK,)):
            raise WrongShape(f"it begins with no response code: {answer[:1].hex()}" if answer else "it is empty")
        return self._result(answer[1:])

    def fits(self, answer: bytes) -> bool:
        """Tell whether these bytes can be the answer to this request."""
        return _is_read_by(self.parse, answer)

    def fits_unusual(self, answer: bytes) -> bool:
        """Tell whether ``parse_unusual`` makes something of them."""
        return _is_read_by(self.parse_unusual, answer)

    def parse_unusual(self, answer: bytes) -> Result:
        """Read an answer that some firmware gives against the rules, where no better one comes.

        Other clients take sizes as they come and look at nothing behind the response code [C12Adapter]. Not safe while
        a late answer to another request may be on its way (trap 1). Raises ServiceRefused or WrongShape.
        """
        if not 0 < len(answer) <= _UNUSUAL or answer[0] > max(ResponseCode):
            raise WrongShape("it is no response code with a few bytes behind it")
        if answer[0] != ResponseCode.OK:
            raise ServiceRefused(ResponseCode(answer[0]))
        return self._unusual_result(answer[1:])

    def _result(self, content: bytes) -> Result:
        """Read what follows ok."""
        raise NotImplementedError

    def _unusual_result(self, content: bytes) -> Result:
        """Make the best of what follows ok."""
        raise WrongShape(f"{len(content)} bytes that are no answer to {self.name}")

    def __str__(self) -> str:
        return self.name


def _is_read_by(parse: Callable[[bytes], object], answer: bytes) -> bool:
    try:
        parse(answer)
    except (ServiceRefused, Garbled):
        return True
    except WrongShape:
        return False
    return True


class _Bare(Request[None]):
    """A request that is answered by ok and nothing more."""

    __slots__ = ()

    def _result(self, content: bytes) -> None:
        if content:
            raise WrongShape(f"{len(content)} bytes behind an ok that should stand alone")

    def _unusual_result(self, content: bytes) -> None:
        if _is_another_services(content) or _is_table_data(content):
            raise WrongShape("it may be the late answer to another service")


@dataclass(frozen=True, slots=True)
class Identification:
    """What the meter says it speaks."""

    standard: int
    version: int
    revision: int
    features: bytes = b""


@dataclass(frozen=True, slots=True)
class Identify(Request[Identification]):
    """Open the channel; the meter is in its base state."""

    name: ClassVar[str] = "Identify"

    def encode(self) -> bytes:  # noqa: D102
        return b"\x20"

    def _result(self, content: bytes) -> Identification:
        # Both editions: the later one puts a list of features before the closing zero.
        if len(content) < 4 or content[-1] != 0:
            raise WrongShape(f"{len(content)} bytes that are no identification")
        if len(content) > 4 and _is_table_data(content):
            raise WrongShape("it is a table's data")
        return Identification(content[0], content[1], content[2], content[3:-1])

    def _unusual_result(self, content: bytes) -> Identification:
        standard, version, revision, *_ = content.ljust(3, b"\0")
        return Identification(standard, version, revision)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What the meter grants."""

    packet_size: int
    packets: int
    baud_code: int | None  # None: it does not say, and so changes nothing


NOTHING_GRANTED: Final = Negotiated(64, 1, None)  # the defaults [C12.18-1996, Clients]


@dataclass(frozen=True, slots=True)
class Negotiate(Request[Negotiated]):
    """Ask for larger packets, more of them in a message, and one of some baud rates."""

    packet_size: int
    packets: int
    bauds: tuple[int, ...] = ()
    name: ClassVar[str] = "Negotiate"

    def __post_init__(self) -> None:
        if self.packet_size not in _PACKET_SIZES or not 1 <= self.packets <= MOST_OUT_OF_A_BYTE:
            raise ProtocolMisuse(problem=f"cannot negotiate {self.packets} packets of {self.packet_size} bytes")
        if unknown := [baud for baud in self.bauds if baud not in BAUD_CODES]:
            raise ProtocolMisuse(problem=f"no certain code for {unknown[0]} baud")

    def encode(self) -> bytes:  # noqa: D102
        codes = bytes(BAUD_CODES[baud] for baud in self.bauds)
        return bytes((0x60 + len(codes),)) + self.packet_size.to_bytes(2, "big") + bytes((self.packets,)) + codes

    def _result(self, content: bytes) -> Negotiated:
        """Read size, packets and rate; the rate may be left out [C12Adapter], or have bytes behind it."""
        if not 3 <= len(content) < _UNUSUAL:
            raise WrongShape(f"{len(content)} bytes where packet size, packets and baud rate take 4")
        granted = Negotiated(int.from_bytes(content[:2], "big"), content[2], content[3] if len(content) > 3 else None)
        if not 64 <= granted.packet_size <= self.packet_size or not 1 <= granted.packets <= self.packets:
            raise WrongShape(f"{granted.packets} packets of {granted.packet_size} bytes were not asked for")
        return granted

    def _unusual_result(self, content: bytes) -> Negotiated:
        if _is_table_data(content):
            raise WrongShape("it is a table's data")
        return NOTHING_GRANTED

    def __str__(self) -> str:
        return f"Negotiate {self.packets} packets of {self.packet_size} bytes"


@dataclass(frozen=True, slots=True)
class Logon(_Bare):
    """Open a session. These meters check neither id nor user [OPG]; their event log may keep the id."""

    user_id: int = 0
    user: str = "nesgw"
    name: ClassVar[str] = "Logon"

    def __post_init__(self) -> None:
        if not 0 <= self.user_id <= 0xFFFF or len(self.user) > 10 or not self.user.isascii():
            raise ProtocolMisuse(problem="the logon's user id takes 16 bits and its user 10 ASCII characters")

    def encode(self) -> bytes:  # noqa: D102
        return b"\x50" + self.user_id.to_bytes(2, "big") + self.user.ljust(10).encode("ascii")


@dataclass(frozen=True, slots=True)
class Security(_Bare):
    """Show the key. It is in no text that this object can become."""

    key: bytes = field(repr=False)
    name: ClassVar[str] = "Security"

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= KEY_LENGTH:
            raise ProtocolMisuse(problem=f"a key has 1 to {KEY_LENGTH} bytes, this one {len(self.key)}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a request with a key is not pickled")

    def encode(self) -> bytes:  # noqa: D102
        return b"\x51" + self.key.ljust(KEY_LENGTH, b"\0")


@dataclass(frozen=True, slots=True)
class Read(Request[bytes]):
    """Read a whole table."""

    table: int
    name: ClassVar[str] = "Read"

    def encode(self) -> bytes:  # noqa: D102
        return b"\x30" + self.table.to_bytes(2, "big")

    def _result(self, content: bytes) -> bytes:
        return _table_data(content)

    def __str__(self) -> str:
        return f"Read table {self.table}"


@dataclass(frozen=True, slots=True)
class PartialRead(Request[bytes]):
    """Read a part of a table. Past its end the meter fills up with zeros [OPG]."""

    table: int
    offset: int
    count: int
    name: ClassVar[str] = "Read"

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= 0xFFFFFF or not 0 < self.count <= 0xFFFF:
            raise ProtocolMisuse(problem=f"cannot read {self.count} bytes at offset {self.offset}")

    def encode(self) -> bytes:  # noqa: D102
        return b"\x3f" + self.table.to_bytes(2, "big") + self.offset.to_bytes(3, "big") + self.count.to_bytes(2, "big")

    def _result(self, content: bytes) -> bytes:
        data = _table_data(content)
        if len(data) != self.count:
            raise WrongShape(f"{len(data)} bytes where {self.count} were asked for")
        return data

    def __str__(self) -> str:
        return f"Read table {self.table} offset {self.offset} count {self.count}"


@dataclass(frozen=True, slots=True)
class Wait(_Bare):
    """Ask the meter to keep the channel open through some seconds of silence."""

    seconds: int
    name: ClassVar[str] = "Wait"

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MOST_OUT_OF_A_BYTE:
            raise ProtocolMisuse(problem=f"Wait takes 1 to {MOST_OUT_OF_A_BYTE} seconds, not {self.seconds}")

    def encode(self) -> bytes:  # noqa: D102
        return bytes((0x70, self.seconds))

    def __str__(self) -> str:
        return f"Wait {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Logoff(_Bare):
    """End the session and keep the channel."""

    name: ClassVar[str] = "Logoff"

    def encode(self) -> bytes:  # noqa: D102
        return b"\x52"


@dataclass(frozen=True, slots=True)
class Terminate(_Bare):
    """End session and channel, in every state."""

    name: ClassVar[str] = "Terminate"

    def encode(self) -> bytes:  # noqa: D102
        return b"\x21"


def _table_data(content: bytes) -> bytes:
    """Take count, data and checksum apart.

    Where they disagree, raises WrongShape for what may be the late answer to another service, else Garbled.
    """
    count, data = int.from_bytes(content[:2], "big"), content[2:-1]
    if len(content) >= 3 and count == len(data) and table_checksum(data) == content[-1]:
        return data
    if len(content) < 3 or _is_another_services(content):
        raise WrongShape(f"{len(content)} bytes that are no table data")
    if count != len(data):
        raise Garbled(f"it has {len(data)} bytes of data and says that there are {count}")
    raise Garbled("the checksum of the table data is wrong")


def _is_another_services(content: bytes) -> bool:
    """Whether what follows an ok can be the answer to Identify or to Negotiate."""
    says_who = len(content) == 4 and content[-1] == 0
    says_how_much = len(content) in (3, 4) and int.from_bytes(content[:2], "big") in _PACKET_SIZES
    return says_who or says_how_much


def _is_table_data(content: bytes) -> bool:
    try:
        return bool(_table_data(content))
    except (WrongShape, Garbled):
        return False
