"""The model of the wire against sums made by hand."""

from __future__ import annotations

import pytest

from benchmarks.wire import (
    DEFAULTS,
    IDENTIFY,
    LOGON,
    PARTIAL_READ,
    SECURITY,
    TERMINATE,
    Limits,
    Line,
    Piece,
    exchange,
    least,
    packets_of,
    session,
)

INSTANT = Line(answer_delay=0.0, turn_around=0.0)


def test_ten_values_and_two_totals_take_108_bytes_and_as_many_byte_times() -> None:
    pieces = [Piece(28, 0, 40), Piece(23, 0, 8)]
    cost = least(pieces, Limits(64, 2), INSTANT)
    # 16 + ACK + 52 + ACK, and 16 + ACK + 20 + ACK
    assert cost.bytes == 108
    # 9600 baud are 960 bytes a second.
    assert cost.seconds == pytest.approx(108 / 960)


def test_a_whole_table_in_one_message_saves_five_bytes_of_the_request() -> None:
    pieces = [Piece(28, 0, 220), Piece(23, 0, 8)]
    assert least(pieces, Limits(512, 4), INSTANT, {28: 220}).bytes == 283
    assert least(pieces, Limits(512, 4), INSTANT).bytes == 288


def test_a_session_is_opened_and_ended_in_144_bytes() -> None:
    # identify 9+1+13+1, negotiate 13+1+13+1, logon 21+1+9+1, security 29+1+9+1, terminate 9+1+9+1
    assert session(INSTANT, Limits(64, 2)).bytes == 24 + 28 + 32 + 40 + 20


def test_a_meter_without_negotiate_is_not_asked_each_time() -> None:
    assert session(INSTANT, None).bytes == 144 - 28


def test_the_answer_delay_hides_the_meters_acknowledgement() -> None:
    line = Line(answer_delay=0.016, turn_around=0.000175)
    # 9 bytes, 16 ms in which the ACK falls, 13 bytes, a turn-around and our ACK
    expected = 9 / 960 + 0.016 + 13 / 960 + 0.000175 + 1 / 960
    assert exchange(*IDENTIFY, 64, line).seconds == pytest.approx(expected)


def test_every_packet_of_an_answer_is_acknowledged_after_a_turn_around() -> None:
    line = Line(answer_delay=0.016, turn_around=0.001)
    # 108 table bytes are 112 in two packets of 56: 16 out, 128 in, two ACKs of ours; three turn-arounds
    expected = 16 / 960 + 0.016 + 128 / 960 + 2 / 960 + 0.003
    cost = exchange(PARTIAL_READ, 112, 64, line)
    assert cost.bytes == 16 + 1 + 128 + 2
    assert cost.seconds == pytest.approx(expected)


def test_a_message_that_fills_its_packets_takes_no_further_one() -> None:
    assert [packets_of(length, 64) for length in (1, 56, 57, 112, 113)] == [1, 1, 2, 2, 3]


def test_a_table_longer_than_a_message_is_split_at_the_limit() -> None:
    # 164 bytes at 108 a message: 16+1+128+2, and 56 bytes are 60, two packets: 16+1+76+2
    assert least([Piece(28, 0, 164)], Limits(64, 2), INSTANT).bytes == 147 + 95


def test_neighbours_are_joined_where_the_bytes_between_them_cost_less_than_another_exchange() -> None:
    totals, first, second = Piece(23, 0, 44), Piece(23, 44, 8), Piece(23, 88, 8)
    # the first two, 52 bytes, fill one packet: 16+1+64+1; the third alone 16+1+20+1
    assert least([totals, first, second], Limits(64, 2), INSTANT).bytes == 82 + 38
    far = Piece(23, 400, 8)
    assert least([totals, far], Limits(64, 2), INSTANT).bytes == 74 + 38


def test_only_what_follows_the_negotiation_is_faster() -> None:
    slow, fast = Line(9600, 0.0, 0.0), Line(19200, 0.0, 0.0)
    cost = session(slow, Limits(64, 2), fast, bauds=2)
    assert cost.bytes == 145
    assert cost.seconds == pytest.approx((24 + 29) / 960 + (32 + 40 + 20) / 1920)


def test_what_fits_in_a_message_is_what_the_protocol_says() -> None:
    assert [limits.table_bytes for limits in (DEFAULTS, Limits(64, 2), Limits(512, 4))] == [52, 108, 2012]
    assert (LOGON, SECURITY, TERMINATE) == ((13, 1), (21, 1), (1, 1))
