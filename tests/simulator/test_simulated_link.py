"""The meter's data link, heard byte by byte (C12.18). Every expectation is written from the sources."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Make = Callable[..., Any]

IDENTIFY_TWICE = bytes.fromhex("ee 00 00 00 00 01 20 13 10")  # CRC worked out apart from nesgw


def test_identify_is_acked_and_answered_in_one_packet(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    heard = probe.hear(0.1)
    # ACK after the turn-around of 175 µs, the answer after the meter's 16 ms.
    assert heard[0] == (0.000175, b"\x06")
    assert heard[1][0] == 0.016
    # ok, standard 0, version 1, revision 0, end of features; the CRC is checked by the hand's own division below.
    answer = heard[1][1]
    assert answer[:-2] == bytes.fromhex("ee 00 00 00 00 05 00 00 01 00 00")
    assert len(heard) == 2


def test_the_pace_of_the_line_delays_the_answer_until_the_ack_is_over(hand: Make) -> None:
    probe = hand(answer_delay=0.0)
    probe.meter.set_pace(9600)
    probe.send(IDENTIFY_TWICE)
    times = [at for at, _ in probe.hear(0.1)]
    assert times == [0.000175, 0.001217]  # 175 µs and ten bits at 9600


def test_a_damaged_packet_is_naked_and_its_repetition_answered(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE[:-1] + b"\x11")
    assert probe.bytes_within(0.1) == b"\x15"
    probe.send(IDENTIFY_TWICE)
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"


def test_a_packet_that_stops_after_its_header_is_naked_after_the_inter_character_time(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE[:7])
    assert probe.hear(1.0) == [(0.500175, b"\x15")]


def test_a_packet_that_stops_before_its_header_is_complete_is_passed_over_in_silence(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE[:5])
    probe.silence(1.0)
    probe.send(IDENTIFY_TWICE)
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"


def test_noise_without_a_start_byte_is_ignored(hand: Make) -> None:
    probe = hand()
    probe.send(bytes.fromhex("00 ff 55 06 15 06"))
    probe.silence(1.0)


def test_a_packet_with_another_identity_is_somebody_elses(hand: Make) -> None:
    probe = hand()
    probe.send(probe.packet(b"\x20", identity=1))
    probe.silence(1.0)


def test_three_naks_are_all_a_damaged_packet_gets(hand: Make) -> None:
    probe = hand()
    damaged = IDENTIFY_TWICE[:-1] + b"\x11"
    heard = []
    for _ in range(4):
        probe.send(damaged)
        heard.append(probe.bytes_within(0.1))
    assert heard == [b"\x15", b"\x15", b"\x15", b""]


def test_a_duplicate_is_acked_and_never_answered_again(hand: Make) -> None:
    """Trap 2: two polls send identical bytes; the second with the first one's toggle looks like a repetition."""
    probe = hand()
    probe.open()
    request = probe.packet(bytes.fromhex("3f 00 17 00 00 00 00 08"), control=0x20)
    probe.send(request)
    assert len(probe.bytes_within(0.1)) == 1 + 8 + 12
    probe.send(b"\x06")
    probe.send(request)
    assert probe.bytes_within(1.9) == b"\x06"
    assert probe.meter.counters.link.duplicates == 1
    probe.send(probe.packet(bytes.fromhex("3f 00 17 00 00 00 00 08"), control=0x00))
    assert len(probe.bytes_within(0.1)) == 1 + 8 + 12


def test_a_duplicate_while_the_answer_waits_for_its_ack_does_not_cost_the_answer(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    assert len(probe.bytes_within(0.1)) == 14
    probe.send(IDENTIFY_TWICE)  # the ACK was lost on the way
    assert probe.bytes_within(0.1) == b"\x06"
    assert probe.bytes_within(2.0)[:1] == b"\xee"  # the answer comes again by itself


def test_the_toggle_is_open_again_after_the_channel_timed_out(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    probe.bytes_within(0.1)
    probe.send(b"\x06")
    probe.silence(6.1)
    probe.send(IDENTIFY_TWICE)
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"


def test_an_answer_nobody_acks_is_sent_four_times_two_seconds_apart_and_then_the_meter_is_in_base(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    heard = [(at, data[:1]) for at, data in probe.hear(20.0)]
    assert [data for _, data in heard] == [b"\x06", b"\xee", b"\xee", b"\xee", b"\xee"]
    assert [round(at, 3) for at, _ in heard[1:]] == [0.016, 2.016, 4.016, 6.017]
    assert probe.meter.state.value == "base"


def test_a_nak_makes_the_answer_come_again_at_once_the_same(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    first = probe.bytes_within(0.1)[1:]
    probe.send(b"\x15")
    assert probe.hear(0.1) == [(0.000175, first)]


def test_the_fourth_nak_ends_the_channel(hand: Make) -> None:
    probe = hand()
    probe.send(IDENTIFY_TWICE)
    probe.bytes_within(0.1)
    for _ in range(3):
        probe.send(b"\x15")
        assert probe.bytes_within(0.1)[:1] == b"\xee"
    probe.send(b"\x15")
    probe.silence(5.0)
    assert probe.meter.state.value == "base"


def test_a_long_answer_comes_in_packets_each_waiting_for_its_ack(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    assert probe.ask(bytes.fromhex("61 00 40 02 06")) == bytes.fromhex("00 00 40 02 06")
    probe.ask(bytes.fromhex("50 00 00 20 20 20 20 20 20 20 20 20 20"))
    probe.ask(b"\x51a7941d85bce8a8fa2ab7")
    probe.send(probe.packet(bytes.fromhex("3f 00 1c 00 00 00 00 64")))  # 100 bytes: 104 with their frame, 56 a packet
    first = probe.bytes_within(0.1)[1:]
    assert len(first) == 64
    assert first[2] & 0xC0 == 0xC0  # of several, the first
    assert first[3] == 1  # one more follows
    assert first[4:6] == bytes((0, 56))
    probe.send(b"\x06")
    second = probe.bytes_within(0.1)
    assert len(second) == 8 + 48
    assert second[2] & 0xC0 == 0x80
    assert second[3] == 0
    assert (first[2] ^ second[2]) & 0x20 == 0x20  # the toggle changes with every packet
    data = (first[6:-2] + second[6:-2])[3:-1]
    assert data == probe.meter.image(28, probe.now)[:100]


def test_a_request_in_two_packets_is_put_together(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    logon = bytes.fromhex("50 00 00 20 20 20 20 20 20 20 20 20 20")
    probe.send(probe.packet(logon[:6], control=0xE0, sequence=1))
    assert probe.bytes_within(0.1) == b"\x06"
    probe.send(probe.packet(logon[6:], control=0x80, sequence=0))
    assert probe.bytes_within(0.1)[7:8] == b"\x00"
    assert probe.meter.state.value == "session"


def test_a_new_request_ends_the_wait_for_the_last_answers_ack(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    probe.send(probe.packet(b"\x70\x0a"))
    probe.bytes_within(0.1)  # answered, and never ACKed
    probe.send(probe.packet(b"\x21"))
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"
    probe.send(b"\x06")
    probe.silence(10.0)
    assert probe.meter.state.value == "base"


def test_no_stream_of_bytes_breaks_the_meter_or_keeps_it_from_coming_back(hand: Make) -> None:
    chance = random.Random(18)
    for profile in ("83331-3i", "83331-3i-mep", "gen4-4.30"):
        probe = hand(profile)
        for _ in range(400):
            kind = chance.randrange(4)
            if kind == 0:
                raw = chance.randbytes(chance.randrange(1, 80))
            elif kind == 1:
                raw = probe.packet(chance.randbytes(chance.randrange(20)), control=chance.choice((0, 0x20, 0xE0, 0x80)))
            elif kind == 2:
                service = chance.choice((0x20, 0x21, 0x30, 0x3F, 0x50, 0x51, 0x52, 0x60, 0x61, 0x70))
                raw = probe.packet(bytes((service,)) + chance.randbytes(chance.choice((0, 1, 2, 4, 7, 12, 20))))
            else:
                raw = b"\x06"
            probe.send(raw)
            probe.hear(chance.choice((0.01, 0.1, 1.0)))
        probe.hear(330.0)  # any time-out is over, any hold-off too
        probe.send(probe.packet(b"\x20"))  # lost where the MEP port has taken the line back
        probe.hear(30.0)
        probe.send(probe.packet(b"\x20"))
        probe.hear(8.5)
        if profile == "83331-3i-mep":
            probe.send(b"\xee")
            probe.hear(1.0)
        probe.open()


def test_a_line_of_another_pace_keeps_it_through_negotiation_and_farewell(hand: Make) -> None:
    probe = hand()
    probe.meter.set_pace(4800)
    probe.ask(b"\x20")
    probe.ask(bytes.fromhex("61 00 40 02 06"))
    assert probe.meter.byte_time == 10 / 4800
    probe.ask(b"\x21")
    assert probe.meter.byte_time == 10 / 4800


def test_a_negotiated_rate_counts_once_its_answer_was_acked_and_ends_with_the_channel(hand: Make) -> None:
    probe = hand(bauds=(9600, 19200))
    probe.meter.set_pace(9600)
    probe.ask(b"\x20")
    probe.send(probe.packet(bytes.fromhex("62 00 40 02 08 06")))
    assert probe.bytes_within(0.1)[7:-2] == bytes.fromhex("00 00 40 02 08")
    assert probe.meter.byte_time == 10 / 9600
    probe.send(b"\x06")
    assert probe.meter.byte_time == 10 / 19200
    probe.ask(b"\x21")
    assert probe.meter.byte_time == 10 / 9600
