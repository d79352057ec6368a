"""The packet of the data link: bytes to value and back, and what the head of a packet may look like.

Waits for nothing and answers nothing; that is ``link.py``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from nesgw.optical.crc import crc16

START: Final = 0xEE
ACK: Final = 0x06
NAK: Final = 0x15

HEAD: Final = 6  # start, identity, control, sequence, length (2)
OVERHEAD: Final = HEAD + 2  # and the CRC

_MULTIPLE = 0x80  # part of a message of several packets
_FIRST = 0x40  # its first packet
_TOGGLE = 0x20
_ZERO = 0x1F  # bits 4-2 reserved, bits 1-0 data format 0 [C12.18-2006]


class Packet(NamedTuple):
    """``EE identity control sequence length data CRC``; lengths big-endian, the CRC low byte first.

    [C12.18-1996, C12Adapter]
    """

    data: bytes
    toggle: bool = False
    multiple: bool = False
    first: bool = False
    sequence: int = 0  # packets of the message that follow this one

    def encode(self) -> bytes:
        """Give the packet as it goes over the wire, with identity 0."""
        control = _MULTIPLE * self.multiple | _FIRST * self.first | _TOGGLE * self.toggle
        body = bytes((START, 0, control, self.sequence, *len(self.data).to_bytes(2, "big"))) + self.data
        return body + crc16(body).to_bytes(2, "little")

    @classmethod
    def decode(cls, raw: bytes) -> Packet:
        """Read a packet that ``examine`` found sound."""
        control = raw[2]
        return cls(
            data=raw[HEAD:-2],
            toggle=is_toggled(raw),
            multiple=bool(control & _MULTIPLE),
            first=bool(control & _FIRST),
            sequence=raw[3],
        )


def is_toggled(raw: bytes) -> bool:
    """Read the toggle bit of a sound packet."""
    return bool(raw[2] & _TOGGLE)


class Verdict(Enum):
    """What the bytes from a start byte on are."""

    NOISE = auto()  # no packet begins here
    PARTIAL = auto()  # may become a packet; its head is not all here
    HEADED = auto()  # the head is sound, the rest is not all here
    DAMAGED = auto()  # the head is sound, the CRC is not
    FOREIGN = auto()  # sound, but of another identity: not for us, nothing to answer
    SOUND = auto()


def examine(received: bytearray, most_data: int) -> tuple[Verdict, int]:
    """Judge the bytes from a start byte on; the second value is the packet's length on the wire, once it is known."""
    if len(received) > 2:
        control = received[2]
        if control & _ZERO or (control & _FIRST and not control & _MULTIPLE):
            return Verdict.NOISE, 0
        if len(received) > 3 and received[3] and not control & _MULTIPLE:
            return Verdict.NOISE, 0
    if len(received) < HEAD:
        return Verdict.PARTIAL, 0
    length = received[4] << 8 | received[5]
    if length > most_data:
        return Verdict.NOISE, 0
    foreign = received[1] != 0
    end = length + OVERHEAD
    if len(received) < end:
        return (Verdict.PARTIAL if foreign else Verdict.HEADED), end
    if crc16(received[: end - 2]) != received[end - 2] | received[end - 1] << 8:
        return (Verdict.NOISE if foreign else Verdict.DAMAGED), end
    return (Verdict.FOREIGN if foreign else Verdict.SOUND), end
