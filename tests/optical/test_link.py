"""The data link of C12.18 [C12.18-2006, C12.18-1996, C12Adapter, Clients]: bytes and time in, events and bytes out.

The first page is the list of requirements. The packets are literal bytes, their CRCs computed apart from nesgw.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesgw.errors import ProtocolMisuse
from nesgw.optical.link import Delivered, GaveUp, Link, LinkStatistics, Reason, Received, Stale, Timing
from nesgw.optical.packet import Packet

ACK = b"\x06"
NAK = b"\x15"


def wire(text: str) -> bytes:
    return bytes.fromhex(text)


IDENTIFY = wire("EE 00 00 00 00 01 20 13 10")
IDENTIFY_TOGGLED = wire("EE 00 20 00 00 01 20 82 70")
TERMINATE = wire("EE 00 00 00 00 01 21 9A 01")
TERMINATE_TOGGLED = wire("EE 00 20 00 00 01 21 0B 61")
HELLO = wire("EE 00 00 00 00 05 48 45 4C 4C 4F 18 FA")  # stands for any answer
HELLO_TOGGLED = wire("EE 00 20 00 00 05 48 45 4C 4C 4F 21 0D")
BROKEN = wire("EE 00 00 00 00 05 48 45 4C 4C 4F 18 FB")
TRIPLE = (  # "ABCDEF" in three packets
    wire("EE 00 E0 02 00 02 41 42 16 B4"),
    wire("EE 00 80 01 00 02 43 44 ED 78"),
    wire("EE 00 A0 00 00 02 45 46 0B 81"),
)
FOREIGN = wire("EE 05 00 00 00 01 06 A0 40")  # identity 5; the data happens to be an ACK


def asked() -> Link:
    """A link that has sent Identify and waits for the ACK."""
    link = Link()
    link.send(b"\x20", now=0.0)
    assert link.outgoing() == IDENTIFY
    return link


def answer_due() -> Link:
    link = asked()
    assert link.receive(ACK, now=0.1) == [Delivered()]
    return link


class TestRequirements:
    def test_a_request_is_acknowledged_answered_and_its_answer_acknowledged(self) -> None:
        link = asked()
        assert link.receive(ACK, now=0.1) == [Delivered()]
        assert link.receive(HELLO, now=0.2) == [Received(b"HELLO")]
        assert link.outgoing() == ACK
        assert link.deadline() is None

    def test_every_new_packet_flips_the_toggle(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.outgoing()
        link.send(b"\x21", now=0.3)
        assert link.outgoing() == TERMINATE_TOGGLED

    @pytest.mark.parametrize("place", range(len(ACK + HELLO)))
    def test_it_does_not_matter_where_the_bytes_are_split(self, place: int) -> None:
        link = asked()
        arriving = ACK + HELLO
        events = link.receive(arriving[:place], now=0.1) + link.receive(arriving[place:], now=0.2)
        assert events == [Delivered(), Received(b"HELLO")]
        assert link.outgoing() == ACK

    def test_noise_before_a_packet_is_passed_over(self) -> None:
        assert answer_due().receive(b"\x00\xff\x80" + HELLO, now=0.2) == [Received(b"HELLO")]

    @pytest.mark.parametrize("false_start", ["EE", "EE EE", "EE 00", "EE 00 00", "EE 00 00 00", "EE 00 00 00 00 20"])
    def test_a_false_start_does_not_swallow_the_packet_behind_it(self, false_start: str) -> None:
        link = answer_due()
        events = link.receive(wire(false_start) + HELLO, now=0.2)
        events += link.expire(now=0.7)
        assert events == [Received(b"HELLO")]
        assert link.outgoing() == ACK

    def test_a_wrong_crc_is_refused_and_the_repetition_accepted(self) -> None:
        link = answer_due()
        assert link.receive(BROKEN, now=0.2) == []
        assert link.outgoing() == NAK
        assert link.receive(HELLO, now=0.3) == [Received(b"HELLO")]
        assert link.outgoing() == ACK

    def test_the_fourth_damaged_packet_ends_it_after_three_refusals(self) -> None:
        link = answer_due()
        for _ in range(3):
            assert link.receive(BROKEN, now=0.2) == []
            assert link.outgoing() == NAK
        assert link.receive(BROKEN, now=0.3) == [GaveUp(4, Reason.DAMAGED)]
        assert link.outgoing() == b""

    def test_what_is_said_is_what_ended_it(self) -> None:
        link = asked()
        link.receive(NAK + ACK, now=0.1)
        assert link.receive(BROKEN * 4, now=0.2) == [GaveUp(4, Reason.DAMAGED)]

    def test_damage_alone_while_an_acknowledgement_is_awaited_is_said(self) -> None:
        link = asked()
        link.receive(BROKEN, now=0.1)
        for _ in range(3):
            assert link.expire(link.deadline()) == []
        assert link.expire(link.deadline()) == [GaveUp(4, Reason.DAMAGED)]

    def test_while_an_acknowledgement_is_awaited_a_damaged_packet_is_ignored_in_silence(self) -> None:
        link = asked()
        assert link.receive(BROKEN, now=0.1) == []
        assert link.outgoing() == b""
        assert link.receive(ACK, now=0.2) == [Delivered()]

    def test_an_acknowledgement_inside_a_damaged_packet_is_none(self) -> None:
        link = asked()
        assert link.receive(wire("EE 00 00 00 00 03 06 15 06 00 00"), now=0.1) == []
        assert link.outgoing() == b""

    def test_a_refused_request_is_sent_again_at_once_with_the_same_toggle(self) -> None:
        link = asked()
        assert link.receive(NAK, now=0.1) == []
        assert link.outgoing() == IDENTIFY

    def test_four_refusals_end_it(self) -> None:
        link = asked()
        for _ in range(3):
            link.receive(NAK, now=0.1)
            assert link.outgoing() == IDENTIFY
        assert link.receive(NAK, now=0.1) == [GaveUp(4, Reason.NAK)]

    def test_four_silences_of_two_seconds_end_it(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.send(b"\x20", now=0.3)
        link.outgoing()
        sent, transmission = 0.3, 9 * 10 / 9600  # the time-out runs from the end of the transmission
        for _ in range(3):
            due = link.deadline()
            assert due == pytest.approx(sent + transmission + 2.0)
            assert link.expire(due - 0.001) == []
            assert link.outgoing() == b""
            assert link.expire(due) == []
            assert link.outgoing() == IDENTIFY_TOGGLED
            sent = due
        assert link.expire(link.deadline()) == [GaveUp(4, Reason.SILENCE)]
        assert link.deadline() is None

    def test_the_first_packet_after_a_silence_is_repeated_soon_and_then_as_always(self) -> None:
        """A USB adapter that sleeps after two seconds loses what wakes it, and a repetition after two seconds too."""
        link = asked()
        transmission = 9 * 10 / 9600
        assert link.deadline() == pytest.approx(transmission + 0.6)
        link.expire(link.deadline())
        assert link.outgoing() == IDENTIFY
        assert link.deadline() == pytest.approx(0.6 + 2 * transmission + 2.0)

    def test_a_line_whose_acknowledgements_take_their_time_is_given_it_after_a_silence_too(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.send(b"\x21", now=0.3)
        transmission = 9 * 10 / 9600
        link.receive(ACK, now=0.3 + transmission + 0.4)
        link.receive(HELLO_TOGGLED, now=0.8)
        link.outgoing()
        link.send(b"\x20", now=5.0)
        assert link.deadline() == pytest.approx(5.0 + transmission + 4 * 0.4)

    def test_an_answer_has_six_seconds_from_the_acknowledgement(self) -> None:
        link = answer_due()
        assert link.deadline() == pytest.approx(6.1)
        assert link.expire(6.0) == []
        assert link.expire(6.2) == [GaveUp(1, Reason.SILENCE)]

    def test_an_answer_stands_for_the_acknowledgement_that_was_lost(self) -> None:
        link = asked()
        assert link.receive(HELLO, now=0.1) == [Delivered(), Received(b"HELLO")]
        assert link.outgoing() == ACK

    def test_a_refusal_while_the_answer_is_due_says_that_the_acknowledgement_was_noise(self) -> None:
        link = answer_due()
        assert link.receive(NAK, now=0.2) == []
        assert link.outgoing() == IDENTIFY
        assert link.receive(ACK + HELLO, now=0.3) == [Received(b"HELLO")]

    def test_after_a_damaged_packet_its_remains_cannot_refuse_our_request(self) -> None:
        link = answer_due()
        link.receive(BROKEN + NAK, now=0.2)
        assert link.outgoing() == NAK

    def test_a_half_packet_expires_after_half_a_second_and_is_refused(self) -> None:
        link = answer_due()
        assert link.receive(HELLO[:9], now=0.2) == []
        assert link.deadline() == pytest.approx(0.7)
        assert link.expire(0.69) == []
        assert link.expire(0.7) == []
        assert link.outgoing() == NAK
        assert link.receive(HELLO, now=0.8) == [Received(b"HELLO")]

    def test_a_start_without_a_head_expires_as_noise(self) -> None:
        link = answer_due()
        link.receive(HELLO[:5], now=0.2)
        assert link.expire(0.7) == []
        assert link.outgoing() == b""
        assert link.statistics.noise_bytes == 5

    def test_an_acknowledgement_behind_a_false_start_is_found_when_that_expires(self) -> None:
        link = asked()
        assert link.receive(b"\xee" + ACK, now=0.1) == []
        assert link.expire(0.6) == [Delivered()]

    def test_a_packet_that_is_arriving_is_not_interrupted_by_the_time_out(self) -> None:
        link = asked()
        link.receive(HELLO[:9], now=1.9)
        assert link.expire(2.3) == []
        assert link.outgoing() == b""
        assert link.receive(HELLO[9:], now=2.35) == [Delivered(), Received(b"HELLO")]

    def test_a_packet_for_somebody_else_is_ignored_whole(self) -> None:
        link = asked()
        assert link.receive(FOREIGN, now=0.1) == []
        assert link.outgoing() == b""
        assert link.receive(ACK + HELLO, now=0.2) == [Delivered(), Received(b"HELLO")]

    def test_one_exchange_at_a_time(self) -> None:
        with pytest.raises(ProtocolMisuse):
            asked().send(b"\x21", now=0.1)


class TestRepeatedPackets:
    """Same toggle and same CRC as the last accepted packet: acknowledged, dropped [C12.18-1996]."""

    def test_a_repeated_packet_is_acknowledged_again_but_delivered_once(self) -> None:
        link = answer_due()
        assert link.receive(HELLO, now=0.2) == [Received(b"HELLO")]
        assert link.outgoing() == ACK
        assert link.receive(HELLO, now=2.2) == []
        assert link.outgoing() == ACK
        assert link.statistics.duplicates == 1

    def test_the_same_bytes_with_the_other_toggle_are_new(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.send(b"\x21", now=0.3)
        assert link.receive(ACK + HELLO_TOGGLED, now=0.4) == [Delivered(), Received(b"HELLO")]

    def test_six_silent_seconds_make_the_toggle_open_again(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.send(b"\x21", now=6.3)
        assert link.receive(ACK + HELLO, now=6.4) == [Delivered(), Received(b"HELLO")]

    def test_two_answers_alike_are_two_of_a_meter_that_never_toggles(self) -> None:
        link, at = Link(), 0.0
        for answer in (b"ONE", b"TWO", b"THREE", b"\0", b"\0", b"\0"):
            link.send(b"\x21", now=at)
            link.outgoing()
            assert link.receive(ACK + Packet(answer).encode(), now=at + 0.1) == [Delivered(), Received(answer)]
            at += 0.3

    def test_a_meter_that_repeats_its_last_answer_has_not_heard_the_new_request(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.outgoing()
        link.send(b"\x21", now=0.3)
        assert link.outgoing() == TERMINATE_TOGGLED
        link.receive(ACK, now=0.4)  # noise
        link.receive(HELLO, now=2.2)
        assert link.outgoing() == ACK
        link.expire(link.deadline())
        assert link.outgoing() == TERMINATE_TOGGLED


class TestSeveralPackets:
    """Each packet is acknowledged before the next; sequence n-1 … 0 [C12Adapter]."""

    def test_an_answer_in_three_packets_is_joined(self) -> None:
        link = answer_due()
        events = []
        for at, packet in enumerate(TRIPLE, start=1):
            events += link.receive(packet, now=float(at))
            assert link.outgoing() == ACK
        assert events == [Received(b"ABCDEF")]

    def test_each_of_them_has_six_seconds(self) -> None:
        link = answer_due()
        link.receive(TRIPLE[0], now=5.0)
        assert link.deadline() == pytest.approx(11.0)

    def test_a_repeated_one_is_not_joined_twice(self) -> None:
        link = answer_due()
        assert link.receive(TRIPLE[0] + TRIPLE[0] + TRIPLE[1] + TRIPLE[1] + TRIPLE[2], now=0.2) == [Received(b"ABCDEF")]

    def test_a_damaged_one_is_refused_and_joined_when_it_is_repeated(self) -> None:
        link = answer_due()
        link.receive(TRIPLE[0] + TRIPLE[1][:-1] + b"\x00", now=0.2)
        assert link.outgoing() == ACK + NAK
        assert link.receive(TRIPLE[1] + TRIPLE[2], now=0.3) == [Received(b"ABCDEF")]

    def test_the_rest_of_a_message_without_its_beginning_is_no_answer(self) -> None:
        link = answer_due()
        assert link.receive(TRIPLE[1] + TRIPLE[2], now=0.2) == []
        assert link.outgoing() == ACK + ACK  # else the meter would repeat it
        assert link.receive(HELLO, now=0.3) == [Received(b"HELLO")]

    def test_a_long_request_goes_out_packet_by_packet(self) -> None:
        link = Link()
        message = bytes(range(100, 160))  # 60 bytes; 56 fit in a packet of 64
        link.send(message, now=0.0)
        first = link.outgoing()
        assert first[:6] == wire("EE 00 C0 01 00 38")
        assert first[6:-2] == message[:56]
        assert link.receive(ACK, now=0.1) == []
        second = link.outgoing()
        assert second[:6] == wire("EE 00 A0 00 00 04")
        assert second[6:-2] == message[56:]
        assert link.receive(ACK + HELLO, now=0.2) == [Delivered(), Received(b"HELLO")]

    def test_an_answer_before_the_request_is_out_is_left_unacknowledged(self) -> None:
        link = Link()
        link.send(bytes(60), now=0.0)
        link.outgoing()
        assert link.receive(HELLO, now=0.1) == []
        assert link.outgoing() == b""

    def test_a_negotiated_size_is_used(self) -> None:
        link = Link()
        link.use_packet_size(128, 512)
        link.send(bytes(120), now=0.0)
        assert link.outgoing()[:6] == wire("EE 00 00 00 00 78")


class TestEcho:
    """Trap 9: light scattered from the glass brings our own packet back."""

    def test_our_own_packet_is_dropped_and_never_acknowledged(self) -> None:
        link = asked()
        assert link.receive(IDENTIFY, now=0.01) == []
        assert link.outgoing() == b""
        assert link.receive(ACK + HELLO, now=0.1) == [Delivered(), Received(b"HELLO")]

    def test_nothing_but_echo_is_said_to_be_that(self) -> None:
        link = asked()
        events = []
        for _ in range(4):
            link.receive(IDENTIFY, now=link.deadline() - 1.0)
            events += link.expire(link.deadline())
            link.outgoing()
        assert events == [GaveUp(4, Reason.ECHO_ONLY)]

    def test_an_echo_and_an_acknowledgement_are_more_than_echo(self) -> None:
        link = asked()
        link.receive(IDENTIFY + ACK, now=0.1)
        assert link.expire(6.2) == [GaveUp(1, Reason.SILENCE)]

    def test_an_echoing_probe_brings_back_our_acknowledgement_too(self) -> None:
        link = asked()
        link.receive(IDENTIFY + ACK + HELLO, now=0.1)
        assert link.outgoing() == ACK
        link.send(b"\x21", now=0.2)
        assert link.outgoing() == TERMINATE_TOGGLED
        assert link.receive(ACK, now=0.21) == []  # ours
        assert link.receive(TERMINATE_TOGGLED, now=0.22) == []  # ours
        assert link.receive(ACK, now=0.23) == [Delivered()]  # the meter's
        assert link.statistics.echoes == 3

    def test_without_echo_the_first_acknowledgement_is_the_meters(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.1)
        assert link.outgoing() == ACK
        link.send(b"\x21", now=0.2)
        link.outgoing()
        assert link.receive(ACK, now=0.3) == [Delivered()]

    def test_an_acknowledgement_that_came_before_the_echo_of_the_request_was_none(self) -> None:
        link = asked()
        assert link.receive(ACK + IDENTIFY, now=0.1) == [Delivered()]
        assert link.expire(2.2) == []
        assert link.outgoing() == IDENTIFY

    def test_a_damaged_echo_does_not_make_an_acknowledgement_of_its_bytes(self) -> None:
        link = asked()
        link.receive(IDENTIFY + ACK + HELLO, now=0.1)
        link.outgoing()
        link.send(b"\x06\x06\x06", now=0.2)
        sent = link.outgoing()
        assert link.receive(ACK + sent[:-1] + b"\xff", now=0.3) == []
        assert link.outgoing() == b""


class TestStaleAnswers:
    """Trap 1: answers do not name their request."""

    def test_a_message_that_does_not_fit_is_acknowledged_and_waited_past(self) -> None:
        link = Link()
        link.send(b"\x20", now=0.0, fits=lambda answer: answer == b"ABCDEF")
        link.outgoing()
        assert link.receive(ACK + HELLO, now=0.1) == [Delivered(), Stale(b"HELLO")]
        assert link.outgoing() == ACK
        assert link.deadline() == pytest.approx(6.1)
        assert link.receive(b"".join(TRIPLE), now=0.2) == [Received(b"ABCDEF")]

    def test_it_does_not_stand_for_the_acknowledgement(self) -> None:
        link = Link()
        link.send(b"\x20", now=0.0, fits=lambda answer: False)
        link.outgoing()
        assert link.receive(HELLO, now=0.1) == [Stale(b"HELLO")]
        link.outgoing()
        link.expire(2.1)
        assert link.outgoing() == IDENTIFY

    def test_what_comes_unasked_is_stale(self) -> None:
        link = Link()
        assert link.receive(HELLO, now=0.0) == [Stale(b"HELLO")]
        assert link.outgoing() == ACK


class TestToggle:
    """Trap 2: a request that looks like the last accepted packet is acknowledged and never answered."""

    def test_after_a_lost_poll_the_next_one_differs_from_all_that_the_meter_may_know(self) -> None:
        link = answer_due()  # the meter's last accepted packet: IDENTIFY
        link.receive(HELLO, now=0.2)
        link.outgoing()
        link.send(b"\x21", now=0.3)  # lost whole, or not: nobody knows
        while link.deadline():
            link.expire(link.deadline())
        assert TERMINATE_TOGGLED in link.outgoing()
        link.reset()
        link.send(b"\x20", now=9.0)  # flipped it would be IDENTIFY again
        assert link.outgoing() == IDENTIFY_TOGGLED

    def test_six_silent_seconds_later_any_toggle_will_do(self) -> None:
        link = answer_due()
        link.receive(HELLO, now=0.2)
        link.outgoing()
        link.send(b"\x21", now=0.3)
        link.outgoing()
        link.reset()
        link.send(b"\x20", now=6.4)
        assert link.outgoing() == IDENTIFY


EVENTS = (Delivered, Received, Stale, GaveUp)
FRAGMENTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([ACK, NAK, HELLO, HELLO_TOGGLED, BROKEN, IDENTIFY, FOREIGN, *TRIPLE, b"\xee", HELLO[:8]]),
)


class TestAnyBytes:
    @given(st.lists(st.tuples(FRAGMENTS, st.floats(0, 3)), max_size=30))
    @settings(max_examples=150, deadline=None)
    def test_only_documented_events_come_and_nothing_grows_without_bound(
        self, arriving: list[tuple[bytes, float]]
    ) -> None:
        link, now = Link(), 0.0
        for data, pause in arriving:
            if link.deadline() is None:
                link.send(b"\x20", now)
            now += pause
            events = link.receive(data, now) + link.expire(now)
            assert all(isinstance(event, EVENTS) for event in events)
            assert len(link._buffer) <= 512
            assert len(link._echo) <= 40
            link.outgoing()
        # Silence brings every exchange to its end.
        ends = 0
        while (due := link.deadline()) is not None:
            now = max(now, due)
            link.expire(now)
            ends += 1
            assert ends < 10

    @given(st.lists(FRAGMENTS, max_size=12), st.lists(st.integers(0, 400), max_size=10))
    @settings(max_examples=150, deadline=None)
    def test_any_split_of_the_bytes_gives_the_same_events(self, fragments: list[bytes], cuts: list[Any]) -> None:
        stream = b"".join(fragments)

        def events(
            pieces: list[bytes],
        ) -> tuple[list[Any], bytes, LinkStatistics] | tuple[list[Delivered], bytes, LinkStatistics]:
            link = Link()
            link.send(b"\x20", now=0.0)
            seen = [event for piece in pieces for event in link.receive(piece, now=0.1)]
            return seen, link.outgoing(), link.statistics

        places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
        whole = events([stream])
        assert events(pieces) == whole
        assert events([bytes((byte,)) for byte in stream]) == whole

    @given(st.binary(min_size=1, max_size=200).filter(lambda noise: b"\xee" not in noise), st.booleans())
    @settings(max_examples=50, deadline=None)
    def test_a_packet_is_found_behind_any_noise_without_a_start(self, noise: bytes, toggled: bool) -> None:
        link = answer_due()
        events = link.receive(noise + (HELLO_TOGGLED if toggled else HELLO), now=0.2)
        assert (Received(b"HELLO") in events) is not any(isinstance(event, GaveUp) for event in events)

    def test_a_flood_of_starts_is_not_kept(self) -> None:
        link = Link()
        for _ in range(100):
            link.receive(b"\xee" * 1000, now=0.0)
            link.receive(wire("EE 00 00 00 01 F8") * 100, now=0.0)
        assert len(link._buffer) <= 512
        assert link.outgoing() == b""


def test_the_timers_are_those_of_the_reference() -> None:
    timing = Timing()
    assert (timing.turn_around, timing.inter_character, timing.response) == (175e-6, 0.5, 2.0)
    assert (timing.traffic, timing.answer, timing.attempts) == (6.0, 6.0, 4)


def test_a_packet_that_is_repeated_for_six_seconds_is_a_duplicate_to_the_last() -> None:
    link = Link()
    answer = Packet(b"\0").encode()
    link.send(b"\x20", 0.0)
    assert Received(b"\0") in link.receive(bytes((0x06,)) + answer, 0.03)
    link.send(b"\x21", 0.04)  # its acknowledgement is lost, and so is this
    for number in (1, 2, 3):
        assert not any(isinstance(event, Received) for event in link.receive(answer, 0.03 + 2.0 * number))


class TestWhenAPacketCanBeComplete:
    """A packet's head tells its length: before the rest can have come, looking for it is of no use."""

    RAW = Packet(bytes(100)).encode()  # 108 bytes

    def link(self) -> Link:
        link = Link(Timing(byte_time=0.001))
        link.send(b"\x20", 0.0)
        return link

    def test_a_head_tells_when_the_last_byte_can_be_here_at_the_earliest(self) -> None:
        link = self.link()
        link.receive(self.RAW[:5], 1.005)
        assert link.complete_at() is None  # the length is not all here
        link.receive(self.RAW[5:8], 1.008)
        assert link.complete_at() == pytest.approx(1.108)

    def test_what_comes_late_or_byte_by_byte_does_not_put_it_off(self) -> None:
        link = self.link()
        link.receive(self.RAW[:8], 1.008)
        for place in range(8, 107):
            link.receive(self.RAW[place : place + 1], 1.2)
        assert link.complete_at() == pytest.approx(1.108)

    def test_the_next_packet_has_a_time_of_its_own(self) -> None:
        link = self.link()
        link.receive(self.RAW + self.RAW[:8], 2.0)
        assert link.complete_at() == pytest.approx(2.1)

    def test_no_packet_no_end(self) -> None:
        link = self.link()
        assert link.complete_at() is None
        link.receive(self.RAW, 1.108)
        assert link.complete_at() is None


def test_a_meter_that_is_late_for_a_while_is_not_a_slow_one() -> None:
    statistics = LinkStatistics()
    assert statistics.least_response == 0.0
    for seconds in [0.02, *[5.0] * 9]:
        statistics.note_response(seconds)
    assert (statistics.least_response, statistics.longest_response) == (0.02, 5.0)
    for _ in range(24):
        statistics.note_response(4.0)
    assert statistics.least_response == 4.0
    statistics.note_response(0.02)
    assert statistics.least_response == 0.02
