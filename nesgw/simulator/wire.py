"""Bytes of the link as the meter sees them: CRC, packets, and where they are in the byte stream.

Sources: [C12.18-1996, C12Adapter].

Holds no timers but the gap between two characters, knows no service and shares nothing with the reader's own code.
"""

from __future__ import annotations

from typing import Final, NamedTuple

START: Final = 0xEE
ACK: Final = 0x06
NAK: Final = 0x15

MULTI: Final = 0x80  # part of a message of several packets
FIRST: Final = 0x40  # its first packet
TOGGLE: Final = 0x20

HEADER: Final = 6  # EE identity control sequence length length
OVERHEAD: Final = 8  # the header and the CRC


def crc16(data: bytes) -> int:
    """CRC-16/X-25, one bit after the other."""
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            differs = (register ^ (byte >> bit)) & 1
            register >>= 1
            if differs:
                register ^= 0x8408
    return register ^ 0xFFFF


def checksum(data: bytes) -> int:
    """The eight bits that make the sum of table data zero."""
    return -sum(data) & 0xFF


def packet(control: int, sequence: int, data: bytes) -> bytes:
    """A whole packet, its CRC low byte first."""
    body = bytes((START, 0, control, sequence, len(data) >> 8, len(data) & 0xFF)) + data
    crc = crc16(body)
    return body + bytes((crc & 0xFF, crc >> 8))


class Packet(NamedTuple):
    """A packet that arrived; ``sound`` tells whether its CRC fits."""

    identity: int
    control: int
    sequence: int
    data: bytes
    crc: int
    sound: bool


class Receiver:
    """Finds packets in single bytes."""

    def __init__(self, inter_character: float) -> None:
        self.inter_character = inter_character
        self._bytes = bytearray()
        self._last = 0.0

    @property
    def idle(self) -> bool:
        """Whether no packet has begun."""
        return not self._bytes

    @property
    def deadline(self) -> float | None:
        """When a packet that has begun is given up."""
        return None if self.idle else self._last + self.inter_character

    def feed(self, byte: int, now: float) -> Packet | None:
        """Take a byte; return the packet that it completes. Bytes outside of packets are noise."""
        if self.idle and byte != START:
            return None
        self._bytes.append(byte)
        self._last = now
        if len(self._bytes) < HEADER:
            return None
        length = self._bytes[4] << 8 | self._bytes[5]
        if len(self._bytes) < length + OVERHEAD:
            return None
        whole = bytes(self._bytes)
        self._bytes.clear()
        crc = whole[-2] | whole[-1] << 8
        return Packet(whole[1], whole[2], whole[3], whole[HEADER:-2], crc, crc == crc16(whole[:-2]))

    def expire(self, now: float) -> bool:
        """Give up a packet that stopped in the middle; true when its header was complete: NAK it [C12.18-1996]."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return False
        had_header = len(self._bytes) >= HEADER
        self._bytes.clear()
        return had_header

    def reset(self) -> None:
        """Forget what has begun."""
        self._bytes.clear()
