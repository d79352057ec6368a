"""Asks the local network for the address of a name that ends in .local (RFC 6762), where the system does not know how.

A Debian without libnss-mdns does not look such names up. One question, answers until the time is over.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from contextlib import suppress
from typing import Final

_GROUP: Final = ("224.0.0.251", 5353)
_A: Final = 1  # an IPv4 address
_INTERNET: Final = 1
_UNICAST: Final = 0x8000  # in a question: answer to me alone; in an answer: forget what you knew
_LONGEST: Final = 9000
_STEPS: Final = 128  # labels and jumps of one name


def lookup(name: str, seconds: float = 1.0) -> str | None:
    """Return the IPv4 address of a name; None if nobody has it, or there is no network."""
    until = time.monotonic() + seconds
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        channel.sendto(question(name), _GROUP)
        while (left := until - time.monotonic()) > 0:
            channel.settimeout(left)
            if address := answer(channel.recv(_LONGEST), name):
                return address
    return None


def question(name: str) -> bytes:
    """Return the packet that asks for the address of a name."""
    labels = b"".join(bytes((len(label),)) + label for label in name.encode("idna").split(b"."))
    return struct.pack(">6H", 0, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", _A, _UNICAST | _INTERNET)


def answer(packet: bytes, name: str) -> str | None:
    """Return the address that a packet gives for a name; None if it gives none, or is damaged."""
    with suppress(IndexError, struct.error, ValueError):
        _, flags, questions, *counts = struct.unpack_from(">6H", packet)
        if not flags & 0x8000:
            return None
        at = 12
        for _ in range(questions):
            _, at = _name(packet, at)
            at += 4
        for _ in range(sum(counts)):
            owner, at = _name(packet, at)
            kind, family, _, size = struct.unpack_from(">2HIH", packet, at)
            at += 10
            data, at = packet[at : at + size], at + size
            if kind == _A and family & ~_UNICAST == _INTERNET and owner == name.lower() and len(data) == 4:
                return str(ipaddress.IPv4Address(data))
    return None


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """Read a name, which may point to an earlier one; return it and where it ends. Raises ValueError or IndexError."""
    labels: list[str] = []
    end = None
    for _ in range(_STEPS):
        length = packet[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | packet[at + 1]
        elif length:
            labels.append(packet[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name without end")
