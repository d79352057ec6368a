"""The two sums of C12.18: the packet's CRC and the checksum of table data.

Knows neither packets nor services.
"""

from __future__ import annotations

_POLYNOMIAL = 0x8408  # 0x1021 reflected


def _byte_remainder(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ _POLYNOMIAL if value & 1 else value >> 1
    return value


_REMAINDERS = tuple(_byte_remainder(value) for value in range(256))


def crc16(data: bytes | bytearray) -> int:
    """CRC-16/X-25 (HDLC): reflected 0x1021, start 0xFFFF, complemented. C12.18 sends its low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _REMAINDERS[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF


def table_checksum(data: bytes) -> int:
    """Two's complement of the sum of the bytes: the eight bits that make the sum zero."""
    return -sum(data) & 0xFF
