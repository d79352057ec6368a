"""Frames: what is sent, byte for byte, and what is taken for an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import ProtocolMisuse
from nesgw.mep.digest import DigestKey
from nesgw.mep.frames import (
    LARGEST_READ,
    Data,
    FullRead,
    PartialRead,
    Refusal,
    Request,
    ResponseCode,
    Service,
    WrongDigest,
    WrongNumber,
    sign,
    understand,
)
from tests.mep.exchanges import C10_REQUEST, EXCHANGES, G3_ANSWER, KEY, Exchange

PARTIAL = PartialRead(23, 0, 8)
KEY_OF_ALL = DigestKey(KEY)
FRAME = sign(PARTIAL, 0x5B4E4301, KEY_OF_ALL)
requests = st.one_of(
    st.builds(FullRead, st.integers(0, 0xFFFF)),
    st.builds(PartialRead, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF), st.integers(1, LARGEST_READ)),
)
numbers = st.integers(0, 2**32 - 1)


def request_of(exchange: Exchange) -> Request:
    if exchange.offset is None:
        return FullRead(exchange.table)
    return PartialRead(exchange.table, exchange.offset, exchange.count)


def signed(content: bytes, request: Request = PARTIAL, number: int = 0x5B4E4301) -> bytes:
    return content + KEY_OF_ALL.digest(request.message(number) + content)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_request_is_built_byte_for_byte(exchange: Exchange) -> None:
    key = DigestKey(exchange.signed_with or exchange.key)
    assert sign(request_of(exchange), exchange.number, key).raw == exchange.request


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_answer_is_understood(exchange: Exchange) -> None:
    request = request_of(exchange)
    key = DigestKey(exchange.key)
    frame = sign(request, exchange.number, key)
    expected: object = Refusal(ResponseCode(exchange.code), signed=True)
    if exchange.code == 0x0B:
        expected = WrongDigest()
    elif exchange.reported is not None:
        expected = WrongNumber(exchange.reported)
    elif exchange.code == 0:
        expected = Data(exchange.data)
    assert understand(exchange.answer[2:], request, frame, key) == expected


class TestOnlyReadsCanBeSent:
    @given(requests, numbers)
    def test_behind_each_length_stands_one_of_two_codes(self, request_: Request, number: int) -> None:
        raw = sign(request_, number, KEY_OF_ALL).raw
        assert raw[2] in (0x30, 0x3F)
        assert int.from_bytes(raw[:2], "big") == len(raw) - 2 == {0x30: 17, 0x3F: 20}[raw[2]]

    def test_there_is_no_other_service(self) -> None:
        assert [int(service) for service in Service] == [0x30, 0x3F]

    @pytest.mark.parametrize(
        ("table", "offset", "count"),
        [(-1, 0, 8), (0x10000, 0, 8), (23, -1, 8), (23, 2**24, 8), (23, 0, 0), (23, 0, -1), (23, 0, 466)],
    )
    def test_what_does_not_fit_is_a_defect(self, table: int, offset: int, count: int) -> None:
        with pytest.raises(ProtocolMisuse):
            PartialRead(table, offset, count)

    def test_a_frame_shows_neither_of_its_parts(self) -> None:
        assert repr(FRAME) == "Frame()"


class TestWhatIsNoAnswer:
    def test_the_answer_to_another_number(self) -> None:
        assert understand(signed(bytes.fromhex("05"), number=0x5B4E4302), PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_the_answer_to_another_read(self) -> None:
        other = PartialRead(28, 0, 8)
        assert understand(signed(bytes.fromhex("00 00 01 07"), other), PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_one_with_more_bytes_than_asked_for(self) -> None:
        assert understand(signed(b"\x00\x00\x09" + bytes(9)), PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_one_whose_count_is_not_its_length(self) -> None:
        assert understand(signed(b"\x00\x00\x07" + bytes(8)), PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_the_answer_to_a_write(self) -> None:
        assert understand(b"\x00" + FRAME.raw[-8:], PARTIAL, FRAME, KEY_OF_ALL) is None
        assert understand(G3_ANSWER[2:], PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_our_own_request(self) -> None:
        assert understand(FRAME.raw[2:], PARTIAL, FRAME, KEY_OF_ALL) is None

    def test_an_encrypted_one(self) -> None:
        assert understand(C10_REQUEST[2:], PARTIAL, FRAME, KEY_OF_ALL) is None

    @given(st.binary(min_size=2, max_size=476))
    def test_any_bytes(self, body: bytes) -> None:
        """By chance a digest fits once in 2^64."""
        answer = understand(body, PARTIAL, FRAME, KEY_OF_ALL)
        assert answer is None or (answer == WrongDigest() and body[0] == 0x0B and len(body) == 9)

    @given(st.integers(0, 18), st.integers(0, 7))
    def test_one_with_a_bit_turned(self, at: int, bit: int) -> None:
        body = bytearray(signed(b"\x00\x00\x08" + bytes(range(8))))
        body[at] ^= 1 << bit
        assert understand(bytes(body), PARTIAL, FRAME, KEY_OF_ALL) in (None, WrongDigest())


class TestWhatIsOne:
    def test_fewer_bytes_than_asked_for(self) -> None:
        answer = understand(signed(bytes.fromhex("00 00 03 01 02 03")), PARTIAL, FRAME, KEY_OF_ALL)
        assert answer == Data(bytes.fromhex("01 02 03"))

    @pytest.mark.parametrize("code", range(1, 11))
    def test_a_refusal_with_and_without_digest(self, code: int) -> None:
        body = bytes((code,))
        assert understand(signed(body), PARTIAL, FRAME, KEY_OF_ALL) == Refusal(ResponseCode(code), signed=True)
        assert understand(body, PARTIAL, FRAME, KEY_OF_ALL) == Refusal(ResponseCode(code), signed=False)

    @pytest.mark.parametrize("body", ["0B", "0B 00 00 00 00 00 00 00 00"])
    def test_0x0b_in_both_forms(self, body: str) -> None:
        assert understand(bytes.fromhex(body), PARTIAL, FRAME, KEY_OF_ALL) == WrongDigest()

    def test_a_code_names_itself_as_c12_18_and_the_guide_do(self) -> None:
        assert str(ResponseCode.NO_PERMISSION) == "isc (0x03, no permission)"
