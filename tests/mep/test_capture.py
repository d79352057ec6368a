"""The first minute on the line, for a report: bytes by hand, and nothing in it that is to stay secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.mep.capture import Capture
from nesgw.ports.port import Port
from tests.mep.exchanges import EXCHANGES, Exchange


class Wire:
    """A port that has what is put into it, and a clock that is set."""

    name, baud, rts = "wire", 9600, True

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting = b""
        self.written = b""
        self.closed = False

    def read(self, timeout: float) -> bytes:
        data, self.waiting = self.waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self.written += data

    def drain(self) -> None:
        """Nothing is on its way."""

    def holder(self) -> str | None:
        return None

    def close(self) -> None:
        self.closed = True


class Rig:
    def __init__(self) -> None:
        self.wire = Wire()
        self.opened: list[Any] = []
        self.capture = Capture(self._open, clock=lambda: self.wire.now)
        self.port: Port = self.capture.open("wire", baud=9600, rts=True, dtr=False)

    def _open(self, name: str, **how: Any) -> Port:
        self.opened.append((name, how))
        return self.wire

    def sends(self, text: str, at: float) -> None:
        self.wire.now = 1000.0 + at
        self.port.write(bytes.fromhex(text))

    def gets(self, text: str, at: float) -> bytes:
        self.wire.now = 1000.0 + at
        self.wire.waiting = bytes.fromhex(text)
        return self.port.read(1.0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


REQUEST = "00143f00170000000008000000010102030405060708"  # its digest is 01 to 08


def test_a_first_contact_with_its_times(rig: Rig) -> None:
    rig.sends(REQUEST, 1.0)
    rig.gets("000d0c5b4e4300 1112131415161718", 1.065)
    rig.sends("00143f00170000000008 5b4e4301 2122232425262728", 1.1)
    rig.gets("0013", 1.15)
    rig.gets("000008 7440", 1.16)
    rig.gets("05009f1d0000 3132333435363738", 1.175)
    rig.wire.now += 1.0
    rig.port.close()
    assert rig.capture.lines() == [
        "0.000 Enable on",
        "1.000 > 00143f0017000000000800000001 +8",
        "1.065 < 000d0c5b4e4300 +8",
        "1.100 > 00143f001700000000085b4e4301 +8",
        "1.150 < 0013",
        "1.160 < 000008 +2",
        "1.175 < +14",
        "2.175 Enable off",
    ]


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("00 01 0b", "00010b"),
        ("00 09 0b 1112131415161718", "00090b +8"),
        ("00 09 05 1112131415161718", "000905 +8"),
        ("00 01 03", "000103"),
        ("00 00 00 00 00 09 05 1112131415161718", "00000000000905 +8"),
        ("00 00", "0000"),
        ("00 00 14 00 11", "0000 +3"),
        ("00 13 00 00 09 7440", "+7"),  # the count is not that of the length: no answer
        ("11 12 13 14 15 16 17 18", "+8"),  # the end of an answer to another request: a digest
        (REQUEST, "+22"),  # our own, with its digest
        ("00", "+1"),
    ],
)
def test_only_the_head_of_an_answer_is_shown(came: str, shown: str, rig: Rig) -> None:
    rig.sends(REQUEST, 1.0)
    rig.gets(came, 1.1)
    assert rig.capture.lines()[-1] == f"1.100 < {shown}"


def test_what_comes_behind_an_answer_or_before_any_request_is_only_counted(rig: Rig) -> None:
    rig.gets("00", 0.2)
    rig.sends(REQUEST, 1.0)
    rig.gets("000905 1112131415161718 000905 1112131415161718", 1.1)
    assert [line.split(" ", 1)[1] for line in rig.capture.lines()] == [
        "Enable on",
        "< +1",
        "> 00143f0017000000000800000001 +8",
        "< 000905 +19",
    ]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("size", [1, 3, 500])
def test_no_exchange_shows_a_digest_or_a_byte_of_a_table(exchange: Exchange, size: int, rig: Rig) -> None:
    rig.sends(exchange.request.hex(), 1.0)
    for begin in range(0, len(exchange.answer), size):
        rig.gets(exchange.answer[begin : begin + size].hex(), 1.1)
    came = "".join(line.split()[2] for line in rig.capture.lines() if " < " in line and line.split()[2][0] != "+")
    head = {0x00: 5, 0x0C: 7}.get(exchange.code, 3)
    assert came == exchange.answer[:head].hex()
    assert rig.wire.written == exchange.request, "the port itself gets all"


def test_enable_is_seen_where_it_is_switched(rig: Rig) -> None:
    rig.wire.now = 1005.0
    rig.port.rts = True
    rig.port.rts = False
    assert rig.wire.rts is False
    assert rig.capture.lines() == ["0.000 Enable on", "5.000 Enable off"]


def test_a_minute_is_kept_over_every_time_that_the_port_is_opened(rig: Rig) -> None:
    rig.sends(REQUEST, 59.9)
    rig.port.close()
    rig.capture.open("wire", baud=9600, rts=True, dtr=False)
    assert [name for name, _ in rig.opened] == ["wire", "wire"]
    before = rig.capture.lines()
    rig.sends(REQUEST, 60.1)
    assert rig.capture.lines() == before
    assert len(before) == 4


def test_noise_without_end_does_not_fill_the_memory(rig: Rig) -> None:
    for number in range(5000):
        rig.gets("ff", number / 1000)
    assert len(rig.capture.lines()) == 2000


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8))
def test_of_any_bytes_no_more_is_shown_than_alerts_and_a_head_and_all_are_counted(pieces: list[bytes]) -> None:
    rig = Rig()
    rig.sends(REQUEST, 1.0)
    for piece in pieces:
        rig.gets(piece.hex(), 1.1)
    shown, hidden = b"", 0
    for line in rig.capture.lines()[2:]:
        for word in line.split(" < ")[1].split():
            if word.startswith("+"):
                hidden += int(word)
            else:
                shown += bytes.fromhex(word)
    assert len(shown) + hidden == len(b"".join(pieces))
    while shown[:2] == bytes(2):
        shown = shown[2:]
    assert len(shown) <= 7
