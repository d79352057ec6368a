"""The two sums of C12.18: the packet's CRC and the checksum of table data.

Knows neither packets nor services.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # each byte's bits in the other order


def crc16(data: bytes | bytearray) -> int:
    """CRC-16/X-25 (HDLC): reflected 0x1021, start 0xFFFF, complemented. C12.18 sends its low byte first.

    The standard library has the same sum for the other order of bits.
    """
    crc = crc_hqx(data.translate(_REVERSED), 0xFFFF)
    return (_REVERSED[crc & 0xFF] << 8 | _REVERSED[crc >> 8]) ^ 0xFFFF


def table_checksum(data: bytes) -> int:
    """Two's complement of the sum of the bytes: the eight bits that make the sum zero."""
    return -sum(data) & 0xFF
