"""The services [C12.18-2006, C12.18-1996]: requests, answers, and answers to another request, as literal bytes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nesgw.optical
from nesgw.errors import ProtocolMisuse
from nesgw.optical.services import (
    Garbled,
    Identification,
    Identify,
    Logoff,
    Logon,
    Negotiate,
    Negotiated,
    PartialRead,
    Read,
    Request,
    ResponseCode,
    Security,
    ServiceRefused,
    Terminate,
    Wait,
    WrongShape,
)

KEY = b"a7941d85bce8a8fa2ab7"
SMALL = Negotiate(64, 2, (9600,))
EIGHT = PartialRead(23, 0, 8)

REQUESTS: list[tuple[Request[Any], str]] = [
    (Identify(), "20"),
    (SMALL, "61 00 40 02 06"),
    (Negotiate(512, 4, (9600,)), "61 02 00 04 06"),
    (Negotiate(512, 4), "60 02 00 04"),
    (Negotiate(64, 1, (19200, 9600)), "62 00 40 01 08 06"),
    (Logon(), "50 00 00 6E 65 73 67 77 20 20 20 20 20"),
    (Logon(0x1234, "reader"), "50 12 34 72 65 61 64 65 72 20 20 20 20"),
    (Security(KEY), "51 61 37 39 34 31 64 38 35 62 63 65 38 61 38 66 61 32 61 62 37"),
    (Security(b"short"), "51 73 68 6F 72 74 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
    (Read(2051), "30 08 03"),
    (EIGHT, "3F 00 17 00 00 00 00 08"),
    (PartialRead(2103, 0x010203, 0x0405), "3F 08 37 01 02 03 04 05"),
    (Wait(11), "70 0B"),
    (Logoff(), "52"),
    (Terminate(), "21"),
]


@pytest.mark.parametrize(("request_", "raw"), REQUESTS)
def test_a_request_as_bytes(request_: Any, raw: str) -> None:
    assert request_.encode() == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("request_", "answer", "result"),
    [
        (Identify(), "00 00 01 00 00", Identification(0, 1, 0)),
        (Identify(), "00 00 02 00 01 05 00", Identification(0, 2, 0, b"\x01\x05")),
        (SMALL, "00 00 40 02 06", Negotiated(64, 2, 6)),
        (SMALL, "00 00 40 02", Negotiated(64, 2, None)),  # the rate is left out
        (SMALL, "00 00 40 02 06 00", Negotiated(64, 2, 6)),  # a byte too many
        (Negotiate(512, 4, (9600,)), "00 00 80 01 06", Negotiated(128, 1, 6)),
        (Logon(), "00", None),
        (Security(KEY), "00", None),
        (Read(23), "00 00 02 01 02 FD", b"\x01\x02"),
        (EIGHT, "00 00 08 01 02 03 04 05 06 07 08 DC", bytes(range(1, 9))),
        (Wait(1), "00", None),
        (Logoff(), "00", None),
        (Terminate(), "00", None),
    ],
)
def test_an_answer_as_a_value(request_: Any, answer: str, result: bytes | Identification | Negotiated | None) -> None:
    assert request_.parse(bytes.fromhex(answer)) == result
    assert request_.fits(bytes.fromhex(answer))


@pytest.mark.parametrize("code", list(ResponseCode)[1:])
@pytest.mark.parametrize("request_", [request for request, _ in REQUESTS])
def test_every_refusal_is_known_by_name(request_: Identify | Logon | Negotiate, code: ResponseCode) -> None:
    with pytest.raises(ServiceRefused) as refused:
        request_.parse(bytes((code,)))
    assert refused.value.code is code
    assert request_.fits(bytes((code,)))


def test_the_codes_are_those_of_the_standard() -> None:
    assert [str(code) for code in ResponseCode] == [
        "ok (done)",
        "err (refused without a reason)",
        "sns (service not supported)",
        "isc (insufficient security clearance)",
        "onp (operation not possible)",
        "iar (inappropriate action requested)",
        "bsy (busy)",
        "dnr (data not ready)",
        "dlk (data locked)",
        "rno (wants to renegotiate)",
        "isss (invalid service sequence state)",
    ]


OK = "00"
EIGHT_BYTES = "00 00 08 01 02 03 04 05 06 07 08 DC"
FORTY_BYTES = "00 00 28" + "00" * 40 + "00"
IDENTITY = "00 00 01 00 00"
GRANTED = "00 00 40 02 06"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (Identify(), OK),
        (Identify(), GRANTED),
        (Identify(), EIGHT_BYTES),
        (Identify(), FORTY_BYTES),
        (SMALL, OK),
        (SMALL, IDENTITY),
        (SMALL, EIGHT_BYTES),
        (SMALL, "00 02 00 02 06"),  # packets of 512
        (SMALL, "00 00 40 04 06"),  # four of them
        (SMALL, "00 00 40 00 06"),
        (SMALL, "00 00 40"),
        (SMALL, "00 00 40 02 06 00 00 00 00"),
        (SMALL, "00 00 3F 02 06"),
        (Logon(), IDENTITY),
        (Security(KEY), EIGHT_BYTES),
        (Terminate(), EIGHT_BYTES),
        (Wait(5), GRANTED),
        (EIGHT, OK),
        (EIGHT, GRANTED),
        (EIGHT, FORTY_BYTES),
        (EIGHT, IDENTITY),
        (Read(23), OK),
        (Read(23), GRANTED),
        (Identify(), ""),
        (Identify(), "20"),
        (EIGHT, "0B"),  # no code of this standard
        (EIGHT, "05 00"),
    ],
)
def test_the_answer_to_something_else_is_told_apart(request_: Any, answer: str) -> None:
    with pytest.raises(WrongShape):
        request_.parse(bytes.fromhex(answer))
    assert not request_.fits(bytes.fromhex(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "00 00 08 01 02 03 04 05 06 07 08 DD",  # the checksum
        "00 00 09 01 02 03 04 05 06 07 08 DC",  # the count
        "00 00 08 01 02 03 04 05 06 07 DC",  # a byte of the data is missing
        "00 00 08 01 02 03 04 05 06 07 08 DC 00",
    ],
)
@pytest.mark.parametrize("request_", [EIGHT, Read(23)])
def test_table_data_that_contradicts_itself_is_this_answer_damaged_and_no_other_answer(
    request_: PartialRead | Read, answer: str
) -> None:
    with pytest.raises(Garbled):
        request_.parse(bytes.fromhex(answer))
    assert request_.fits(bytes.fromhex(answer))


def test_one_byte_of_table_data_can_be_damaged_too() -> None:
    with pytest.raises(Garbled):
        PartialRead(23, 0, 1).parse(bytes.fromhex("00 00 01 05 FA"))  # FB would be right


class TestAgainstTheRules:
    """What some firmware answers, and what is made of it where nothing better comes."""

    @pytest.mark.parametrize(
        ("request_", "answer", "result"),
        [
            (Logon(), "00 00", None),
            (Security(KEY), "00 06 00", None),
            (Wait(5), "00 05", None),
            (Terminate(), "00 FF", None),
            (Identify(), "00 00 02", Identification(0, 2, 0)),
            (Identify(), "00", Identification(0, 0, 0)),
            (SMALL, "00", Negotiated(64, 1, None)),  # the defaults
            (SMALL, "00 04 00 FF 06", Negotiated(64, 1, None)),  # more than was asked for
            (SMALL, "00 00 20 02 06", Negotiated(64, 1, None)),  # packets of 32
        ],
    )
    def test_an_unusual_ok_is_made_the_best_of(
        self, request_: Any, answer: str, result: Identification | Negotiated | None
    ) -> None:
        assert request_.parse_unusual(bytes.fromhex(answer)) == result
        assert request_.fits_unusual(bytes.fromhex(answer))
        assert not request_.fits(bytes.fromhex(answer))

    @pytest.mark.parametrize("request_", [request for request, _ in REQUESTS])
    def test_a_refusal_with_a_byte_behind_it_is_a_refusal(self, request_: Any) -> None:
        with pytest.raises(ServiceRefused) as refused:
            request_.parse_unusual(b"\x01\x00")
        assert refused.value.code is ResponseCode.ERR

    @pytest.mark.parametrize(
        ("request_", "answer"),
        [
            (EIGHT, "00 00"),  # a table's data is never taken on trust
            (EIGHT, GRANTED),
            (Logon(), IDENTITY),  # late ones
            (Logon(), GRANTED),
            (Logon(), "00 00 02 01 02 FD"),
            (SMALL, "00 00 02 01 02 FD"),
            (Logon(), EIGHT_BYTES),
            (Logon(), ""),
            (Logon(), "0B"),
        ],
    )
    def test_what_may_be_the_answer_to_something_else_is_not(
        self, request_: Logon | Negotiate | PartialRead, answer: str
    ) -> None:
        with pytest.raises(WrongShape):
            request_.parse_unusual(bytes.fromhex(answer))
        assert not request_.fits_unusual(bytes.fromhex(answer))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_refused_or_of_the_wrong_shape(answer: bytes) -> None:
    for request, _ in REQUESTS:
        with contextlib.suppress(ServiceRefused, WrongShape, Garbled):
            request.parse(answer)
        with contextlib.suppress(ServiceRefused, WrongShape):
            request.parse_unusual(answer)


@given(st.binary(min_size=1, max_size=200))
def test_table_data_comes_back_as_it_was(data: bytes) -> None:
    answer = b"\x00" + len(data).to_bytes(2, "big") + data + bytes(((256 - sum(data) % 256) % 256,))
    assert Read(1).parse(answer) == PartialRead(1, 0, len(data)).parse(answer) == data


def test_the_key_is_in_no_text() -> None:
    security = Security(KEY)
    assert (str(security), repr(security)) == ("Security", "Security()")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Wait(0),
        lambda: Wait(256),
        lambda: Negotiate(63, 1),
        lambda: Negotiate(8193, 1),
        lambda: Negotiate(64, 0),
        lambda: Negotiate(64, 1, (57600,)),  # its code is not certain
        lambda: PartialRead(1, 0, 0),
        lambda: PartialRead(1, 1 << 24, 1),
        lambda: Logon(user="longer than ten"),
        lambda: Security(b""),
        lambda: Security(bytes(21)),
    ],
)
def test_what_no_request_can_hold_is_refused_here(make: Callable[..., Any]) -> None:
    with pytest.raises(ProtocolMisuse):
        make()


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Identify(), "Identify"),
        (SMALL, "Negotiate 2 packets of 64 bytes"),
        (Read(2051), "Read table 2051"),
        (PartialRead(23, 0, 44), "Read table 23 offset 0 count 44"),
        (Wait(11), "Wait 11 s"),
    ],
)
def test_a_request_says_what_it_asks(request_: Any, text: str) -> None:
    assert str(request_) == text


class TestNothingChangesTheMeter:
    def test_no_request_begins_with_a_code_that_changes_tables_or_runs_procedures(self) -> None:
        assert {raw[0] & 0xF0 for raw in (request.encode() for request, _ in REQUESTS)} == {
            0x20,
            0x30,
            0x50,
            0x60,
            0x70,
        }

    def test_no_such_code_is_written_anywhere_in_the_package(self) -> None:
        code = re.compile(r"(0x|\\x)4[0-9a-f]\b", re.IGNORECASE)
        modules = list(Path(nesgw.optical.__file__).parent.glob("*.py"))
        assert len(modules) >= 8
        found = [
            f"{module.name}: {line}"
            for module in modules
            for line in module.read_text(encoding="utf-8").splitlines()
            if code.search(line) and not line.startswith("_FIRST = 0x40 ")  # a bit of the packet's control byte
        ]
        assert found == []
