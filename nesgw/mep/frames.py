"""The frames of the MEP port: each request as bytes, each answer as a value.

A request is ``length code … sequence number digest``, an answer ``length code … digest``; the length counts everything
behind itself. The digest of an answer covers the request too, so that an answer belongs to one request and one number.

nesgw only reads, and ``Service`` is where that is decided: it names all codes that can follow a length, and no frame is
built without one of them. Source: MEP Client Developer's Guide 1.1, pages 8 to 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from nesgw.errors import ProtocolMisuse
from nesgw.mep.digest import DIGEST_LENGTH, DigestKey

LENGTH: Final = 2  # bytes of the length field
LARGEST_MESSAGE: Final = 476  # bytes behind the length field
AROUND_DATA: Final = 3 + DIGEST_LENGTH  # of a good answer: code, count, digest
LARGEST_READ: Final = LARGEST_MESSAGE - AROUND_DATA  # bytes of a table that one answer holds
NUMBERS: Final = 2**32  # sequence numbers, before they begin again [?]

_LARGEST_OFFSET: Final = 2**24 - 1


class Service(IntEnum):
    """The requests that nesgw can make."""

    READ = 0x30
    PARTIAL_READ = 0x3F


class ResponseCode(IntEnum):
    """The first byte of an answer. Those from 6 to 9 are not in the guide; they are C12.18's [?]."""

    OK = 0x00
    UNRECOGNIZED = 0x01
    UNSUPPORTED = 0x02
    NO_PERMISSION = 0x03
    NOT_POSSIBLE = 0x04
    TABLE_NOT_POSSIBLE = 0x05
    BUSY = 0x06
    NOT_READY = 0x07
    LOCKED = 0x08
    RENEGOTIATE = 0x09
    WRONG_STATE = 0x0A
    WRONG_DIGEST = 0x0B
    WRONG_NUMBER = 0x0C

    def __str__(self) -> str:
        short, meaning = _MEANING[self]
        return f"{short} (0x{self:02X}, {meaning})"


# The short names are C12.18's, where it has the same.
_MEANING: Final = {
    ResponseCode.OK: ("ok", "done"),
    ResponseCode.UNRECOGNIZED: ("err", "unrecognized request"),
    ResponseCode.UNSUPPORTED: ("sns", "unsupported request"),
    ResponseCode.NO_PERMISSION: ("isc", "no permission"),
    ResponseCode.NOT_POSSIBLE: ("onp", "operation not possible"),
    ResponseCode.TABLE_NOT_POSSIBLE: ("iar", "table operation not possible"),
    ResponseCode.BUSY: ("bsy", "busy"),
    ResponseCode.NOT_READY: ("dnr", "data not ready"),
    ResponseCode.LOCKED: ("dlk", "data locked"),
    ResponseCode.RENEGOTIATE: ("rno", "wants to renegotiate"),
    ResponseCode.WRONG_STATE: ("isss", "invalid service sequence state"),
    ResponseCode.WRONG_DIGEST: ("digest", "the digest fits no key"),
    ResponseCode.WRONG_NUMBER: ("number", "the sequence number is out of turn"),
}


# --- Requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FullRead:
    """Read a whole table: the answer has its real size, which is how that is found out."""

    table: int
    count: ClassVar[int] = 0x0200  # what other clients ask for. Without a count a meter takes other bytes for it

    def __post_init__(self) -> None:
        _check(self.table, 0, 1)

    def message(self, number: int) -> bytes:
        """Give what the digest covers: everything from the code to the sequence number."""
        return _message(Service.READ, self.table, self.count.to_bytes(2, "big"), number)

    def __str__(self) -> str:
        return f"Read table {self.table}"


@dataclass(frozen=True, slots=True)
class PartialRead:
    """Read ``count`` bytes of a table from ``offset`` on."""

    table: int
    offset: int
    count: int

    def __post_init__(self) -> None:
        _check(self.table, self.offset, self.count)

    def message(self, number: int) -> bytes:
        """Give what the digest covers: everything from the code to the sequence number."""
        where = self.offset.to_bytes(3, "big") + self.count.to_bytes(2, "big")
        return _message(Service.PARTIAL_READ, self.table, where, number)

    def __str__(self) -> str:
        return f"Read table {self.table} offset {self.offset} count {self.count}"


Request = FullRead | PartialRead


def _check(table: int, offset: int, count: int) -> None:
    if not 0 <= table <= 0xFFFF or not 0 <= offset <= _LARGEST_OFFSET or not 0 < count <= LARGEST_READ:
        raise ProtocolMisuse(problem=f"cannot read {count} bytes of table {table} at offset {offset}")


def _message(service: Service, table: int, where: bytes, number: int) -> bytes:
    return bytes((service,)) + table.to_bytes(2, "big") + where + number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Frame:
    """A request as it is sent. Neither part is for anybody's eyes: together they give the key away."""

    message: bytes = field(repr=False)
    raw: bytes = field(repr=False)


def sign(request: Request, number: int, key: DigestKey) -> Frame:
    """Build the frame of a request; it is good for this number only, so this is done when it is sent."""
    message = request.message(number)
    return Frame(message, (len(message) + DIGEST_LENGTH).to_bytes(LENGTH, "big") + message + key.digest(message))


def frame_length(request: Request) -> int:
    """Count the bytes of the frame of a request."""
    return LENGTH + len(request.message(0)) + DIGEST_LENGTH


# --- Answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a table; fewer than were asked for where it ends."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meter does not do it. ``signed``: with a digest that fits; without one the guide shows none."""

    code: ResponseCode
    signed: bool


@dataclass(frozen=True, slots=True)
class WrongNumber:
    """The sequence number is out of turn. ``number`` is the meter's: the last one it took, or the one behind it."""

    number: int


@dataclass(frozen=True, slots=True)
class WrongDigest:
    """Our digest fits no key of the meter: the key is another, or the request arrived damaged."""


Answer = Data | Refusal | WrongNumber | WrongDigest


def understand(body: bytes, request: Request, frame: Frame, key: DigestKey) -> Answer | None:
    """Read what follows the length field, as the answer to a request.

    None means that it is no answer to it: damaged, late, or somebody else's.
    """
    if body[0] == ResponseCode.WRONG_DIGEST and len(body) in (1, 1 + DIGEST_LENGTH):
        return WrongDigest()  # nobody knows with which key a meter would sign this
    if len(body) == 1:
        return _refusal(body[0], signed=False)
    return understand_signed(body, request, frame, key)


def understand_signed(body: bytes, request: Request, frame: Frame, key: DigestKey) -> Answer | None:
    """Read an answer, but only one whose digest proves it."""
    content, digest = body[:-DIGEST_LENGTH], body[-DIGEST_LENGTH:]
    if not content or key.digest(frame.message + content) != digest:
        return None
    if content[0] == ResponseCode.OK:
        count, data = int.from_bytes(content[1:3], "big"), content[3:]
        return Data(data) if len(content) >= 3 and count == len(data) <= request.count else None
    if content[0] == ResponseCode.WRONG_NUMBER:
        return WrongNumber(int.from_bytes(content[1:], "big")) if len(content) == 5 else None
    return _refusal(content[0], signed=True) if len(content) == 1 else None


def _refusal(code: int, *, signed: bool) -> Refusal | None:
    if ResponseCode.OK < code < ResponseCode.WRONG_DIGEST:
        return Refusal(ResponseCode(code), signed)
    return None
