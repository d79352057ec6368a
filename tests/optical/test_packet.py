"""CRC and packet [C12.18-1996, C12Adapter]: literal bytes both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from nesgw.optical.crc import crc16, table_checksum
from nesgw.optical.packet import Packet, Verdict, examine

CASES = [
    (Packet(b"\x20"), "EE 00 00 00 00 01 20 13 10"),
    (Packet(b"\x20", toggle=True), "EE 00 20 00 00 01 20 82 70"),
    (Packet(b"AB", toggle=True, multiple=True, first=True, sequence=2), "EE 00 E0 02 00 02 41 42 16 B4"),
    (Packet(b"CD", multiple=True, sequence=1), "EE 00 80 01 00 02 43 44 ED 78"),
    (Packet(b"EF", toggle=True, multiple=True), "EE 00 A0 00 00 02 45 46 0B 81"),
]


def test_the_crc_is_x25() -> None:
    assert crc16(b"123456789") == 0x906E


def test_the_crc_of_identify_goes_low_byte_first() -> None:
    assert crc16(bytes.fromhex("EE 00 00 00 00 01 20")) == 0x1013


@pytest.mark.parametrize(("data", "sum_"), [(b"", 0), (b"\x01", 0xFF), (b"\xff\x01", 0), (bytes(range(1, 9)), 0xDC)])
def test_the_checksum_makes_the_sum_zero(data: bytes, sum_: int) -> None:
    assert table_checksum(data) == sum_


@pytest.mark.parametrize(("packet", "raw"), CASES)
def test_a_packet_and_its_bytes(packet: Packet, raw: str) -> None:
    assert packet.encode() == bytes.fromhex(raw)
    assert Packet.decode(bytes.fromhex(raw)) == packet


@given(st.binary(max_size=504), st.booleans(), st.integers(0, 255))
def test_every_packet_is_found_sound_and_read_back(data: bytes, toggle: bool, sequence: int) -> None:
    packet = Packet(data, toggle, multiple=True, sequence=sequence)
    raw = packet.encode()
    assert examine(bytearray(raw), 504) == (Verdict.SOUND, len(raw))
    assert Packet.decode(raw) == packet


@given(st.data())
def test_a_single_wrong_bit_is_never_sound(data: DataObject) -> None:
    raw = bytearray(bytes.fromhex("EE 00 00 00 00 05 48 45 4C 4C 4F 18 FA"))
    bit = data.draw(st.integers(8, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert examine(raw, 56)[0] is not Verdict.SOUND


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("EE 00 01", "data format 1"),
        ("EE 00 04", "a reserved bit"),
        ("EE 00 10", "a reserved bit"),
        ("EE 00 40", "the first of several, but single"),
        ("EE 00 00 01", "single, but one follows"),
        ("EE 00 00 00 00 39", "57 bytes where 56 are the most"),
        ("EE 00 20 00 FF 00", "65280 bytes"),
    ],
)
def test_an_impossible_head_is_noise(head: str, why: str) -> None:
    assert examine(bytearray.fromhex(head), 56) == (Verdict.NOISE, 0), why


@pytest.mark.parametrize("head", ["EE", "EE 00", "EE 00 20", "EE 00 C0 01", "EE 00 00 00 00"])
def test_a_possible_head_is_waited_for(head: str) -> None:
    assert examine(bytearray.fromhex(head), 56) == (Verdict.PARTIAL, 0)
