"""The frames of a session in the field (vectors/openhab-session.toml), and what their author saw his meters do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from nesgw.optical.client import MeterClient
from nesgw.optical.link import Delivered, Link, Received
from nesgw.optical.packet import Packet
from nesgw.optical.services import Identification, Identify, Logon, Negotiate, PartialRead, Terminate
from tests.optical.conftest import Clock, FakeMeter, Line

VECTOR = Path(__file__).parents[1] / "vectors" / "openhab-session.toml"
FRAMES = {item["id"]: bytes.fromhex(item["hex"]) for item in tomllib.loads(VECTOR.read_text(encoding="utf-8"))["item"]}
ACK, NAK = b"\x06", b"\x15"


def asked() -> Link:
    link = Link()
    link.send(Identify().encode(), now=0.0)
    link.outgoing()
    return link


@pytest.mark.parametrize(
    ("frame", "packet"),
    [
        ("negotiate-request", Packet(Negotiate(64, 2, (9600,)).encode())),
        ("logon-request", Packet(Logon(1, "0000").encode())),
        ("read-bt23-request", Packet(PartialRead(23, 0, 8).encode(), toggle=True)),
    ],
)
def test_the_requests_of_a_client_that_reads_such_meters_are_ours_byte_for_byte(frame: str, packet: Packet) -> None:
    assert packet.encode() == FRAMES[frame]


def test_the_meter_says_that_it_speaks_version_2() -> None:
    assert Identify().parse(Packet.decode(FRAMES["identify-reply"]).data) == Identification(0, 2, 0)


def test_the_meter_agrees_to_terminate() -> None:
    Terminate().parse(Packet.decode(FRAMES["terminate-reply"]).data)


@pytest.mark.parametrize("before", [b"", b"\xff", b"\x00\xff"])
@pytest.mark.parametrize("behind", [b"", b"\x06"])
def test_a_glitch_before_or_behind_a_reply_does_no_harm(before: bytes, behind: bytes) -> None:
    heard = ACK + before + FRAMES["identify-reply"] + behind
    assert asked().receive(heard, 0.1) == [Delivered(), Received(b"\x00\x00\x02\x00\x00")]


def test_the_first_identify_is_refused_and_sent_again_at_once() -> None:
    link = asked()
    assert link.receive(NAK, 0.02) == []
    assert link.outgoing() == Packet(b"\x20").encode()
    assert Received(b"\x00\x00\x02\x00\x00") in link.receive(ACK + FRAMES["identify-reply"], 0.05)


def test_a_zero_where_the_acknowledgement_was_due_is_made_good_by_the_reply() -> None:
    link = asked()
    assert link.receive(b"\x00", 0.02) == []
    assert link.receive(FRAMES["identify-reply"], 0.05) == [Delivered(), Received(b"\x00\x00\x02\x00\x00")]
    assert link.outgoing() == ACK


@pytest.mark.parametrize("left", range(6, 13))
def test_a_reply_that_is_cut_off_is_asked_for_again(left: int) -> None:
    link = asked()
    link.receive(ACK + FRAMES["identify-reply"][:left], 0.05)
    link.expire(0.05 + 0.5)
    assert link.outgoing() == NAK
    assert link.receive(FRAMES["identify-reply"], 0.6) == [Received(b"\x00\x00\x02\x00\x00")]


class CuttingLine(Line):
    """A wire on which the meter's next replies end after nine bytes."""

    cuts = 0

    def _mangled(self, data: bytes) -> bytes:
        if self.cuts and data[:1] == b"\xee" and data[6:7] == b"\0":
            self.cuts -= 1
            return data[:9]
        return data


def test_a_reading_every_two_seconds_outlives_a_frame_cut_now_and_then(meter: FakeMeter, clock: Clock) -> None:
    line = CuttingLine(meter, clock)
    client = MeterClient(line, clock=clock, sleep=clock.sleep)
    for poll in range(60):
        line.cuts = poll % 20 == 19
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == bytes(range(1, 9))
        assert client.terminate()
        clock.sleep(2.0)
    assert client.statistics.damaged == 3
