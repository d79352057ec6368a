"""The port without a port: bytes and the time in, events and bytes out. Nobody waits for real time."""

from __future__ import annotations

import itertools

import pytest

from nesgw.errors import ProtocolMisuse
from nesgw.mep.digest import DigestKey
from nesgw.mep.frames import PartialRead, ResponseCode
from nesgw.mep.link import Event, GaveUp, Link, Reason, Received, Refused, Remark, Timing
from nesgw.mep.session import State
from nesgw.simulator.mep_wire import digest
from tests.mep.exchanges import ALERT, EXCHANGES, KEY

BYTE = 10 / 9600
READ = PartialRead(23, 0, 8)
DATA = bytes(range(8))
LONG = PartialRead(28, 0, 220)


class Bench:
    """A link, the time, and the meter's side by hand."""

    def __init__(self, *, settled: bool = True) -> None:
        self.link = Link(DigestKey(KEY))
        self.now = 100.0
        self.sent: list[tuple[float, bytes]] = []
        self.link.open(self.now)
        if settled:
            self.pass_time(1.0)

    def pass_time(self, seconds: float) -> list[Event]:
        """Let time pass, as the loop of the client would; return what matters of what happens."""
        end = self.now + seconds
        events: list[Event] = []
        while (due := self.link.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            events += self.link.expire(self.now)
            self._write()
        self.now = end
        return [event for event in events if not isinstance(event, Remark)]

    def ask(self, request: PartialRead = READ) -> list[Event]:
        events = self.link.ask(request, self.now)
        return [*events, *self.pass_time(0)]

    def hear(self, data: bytes) -> list[Event]:
        events = self.link.receive(data, self.now) + self.link.expire(self.now)
        self._write()
        return [event for event in events if not isinstance(event, Remark)]

    def _write(self) -> None:
        if data := self.link.outgoing():
            self.sent.append((self.now, data))

    @property
    def requests(self) -> list[bytes]:
        return [data for _, data in self.sent]

    @property
    def numbers(self) -> list[int]:
        return [int.from_bytes(data[-12:-8], "big") for data in self.requests]

    def answer(self, content: bytes, to: int = -1) -> bytes:
        """A signed answer to a request that was sent."""
        body = content + digest(KEY, self.requests[to][2:-8] + content)
        return len(body).to_bytes(2, "big") + body

    def data(self, data: bytes = DATA, to: int = -1) -> bytes:
        return self.answer(b"\0" + len(data).to_bytes(2, "big") + data, to)

    def wrong_number(self, number: int, to: int = -1) -> bytes:
        return self.answer(b"\x0c" + number.to_bytes(4, "big"), to)

    def prove_key(self) -> None:
        self.ask()
        assert self.hear(self.data()) == [Received(DATA)]
        self.pass_time(1.0)
        self.sent.clear()


WRONG_DIGEST = bytes.fromhex("00 01 0B")


class TestOpening:
    def test_enable_is_on_for_a_second_before_anything_is_asked(self) -> None:
        bench = Bench(settled=False)
        assert (bench.link.state, bench.link.state.enable) == (State.SETTLE, True)
        with pytest.raises(ProtocolMisuse):
            bench.link.ask(READ, bench.now)
        bench.pass_time(0.999)
        assert str(bench.link.state) == str(State.SETTLE)
        bench.pass_time(0.002)
        assert bench.link.state is State.IDLE

    def test_what_comes_meanwhile_is_thrown_away(self) -> None:
        bench = Bench(settled=False)
        bench.hear(b"\0")  # seen before the first request of a real meter
        bench.pass_time(1.0)
        bench.ask()
        assert bench.hear(bench.data()) == [Received(DATA)]


class TestARead:
    def test_the_first_contact_byte_for_byte(self) -> None:
        bench = Bench()
        bench.ask()
        assert bench.requests == [EXCHANGES[3].request]  # C1: number 1
        assert bench.hear(EXCHANGES[3].answer) == []
        bench.pass_time(0.1)
        assert bench.requests[1:] == [EXCHANGES[4].request]  # C2: on behind the reported number
        assert bench.hear(EXCHANGES[4].answer) == [Received(EXCHANGES[4].data)]
        assert bench.link.state is State.IDLE
        assert bench.link.statistics.unexpected_numbers == 0

    @pytest.mark.parametrize("size", [1, 2, 3, 20])
    def test_however_an_answer_is_cut(self, size: int) -> None:
        bench = Bench()
        bench.ask()
        raw = bench.data()
        events = [event for at in range(0, len(raw), size) for event in bench.hear(raw[at : at + size])]
        assert events == [Received(DATA)]

    def test_numbers_go_up_by_one(self) -> None:
        bench = Bench()
        for _ in range(3):
            bench.ask()
            bench.hear(bench.data())
            bench.pass_time(0.2)
        assert bench.numbers == [1, 2, 3]

    def test_they_begin_again_behind_the_largest(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(bench.wrong_number(2**32 - 2))
        bench.pass_time(0.2)
        bench.hear(bench.data())
        bench.ask()
        bench.pass_time(0.2)
        assert bench.numbers == [1, 2**32 - 1, 0]

    def test_a_refusal_ends_it(self) -> None:
        bench = Bench()
        bench.ask()
        assert bench.hear(bench.answer(b"\x05")) == [Refused(ResponseCode.TABLE_NOT_POSSIBLE)]

    def test_fewer_bytes_than_asked_for_are_delivered_as_they_are(self) -> None:
        bench = Bench()
        bench.ask()
        assert bench.hear(bench.data(b"\1\2\3")) == [Received(b"\1\2\3")]

    def test_one_at_a_time(self) -> None:
        bench = Bench()
        bench.ask()
        with pytest.raises(ProtocolMisuse):
            bench.link.ask(LONG, bench.now)
        assert bench.hear(bench.data()) == [Received(DATA)]

    def test_an_abandoned_one_is_not_answered_and_the_next_has_its_own_number(self) -> None:
        bench = Bench()
        bench.ask()
        late = bench.data()
        bench.link.abandon(bench.now)
        assert bench.link.state is State.IDLE
        bench.ask()
        assert bench.hear(late) == []
        bench.pass_time(0.2)
        assert bench.numbers == [1, 2]
        assert bench.hear(bench.data()) == [Received(DATA)]

    def test_to_abandon_nothing_is_nothing(self) -> None:
        bench = Bench()
        bench.link.abandon(bench.now)
        assert bench.link.state is State.IDLE


class TestSilence:
    def test_the_same_packet_goes_out_three_times_600_ms_after_its_end(self) -> None:
        bench = Bench()
        start = bench.now
        bench.ask()
        assert bench.pass_time(1.9) == [GaveUp(Reason.SILENCE, 3)]
        sent = 22 * BYTE + 0.6
        assert [at - start for at, _ in bench.sent] == pytest.approx([0, sent, 2 * sent])
        assert len(set(bench.requests)) == 1
        assert bench.link.statistics.retransmissions == 2

    def test_then_enable_is_off_for_a_second_and_settles_for_another(self) -> None:
        bench = Bench()
        bench.ask()
        bench.pass_time(3 * (22 * BYTE + 0.6) + 0.001)
        assert (bench.link.state, bench.link.state.enable) == (State.RECOVER, False)
        bench.pass_time(1.0)
        assert (bench.link.state, bench.link.state.enable) == (State.SETTLE, True)
        bench.pass_time(1.0)
        assert bench.link.state is State.IDLE

    def test_the_next_read_goes_on_with_the_next_number(self) -> None:
        bench = Bench()
        bench.ask()
        bench.pass_time(5.0)
        bench.ask()
        assert bench.numbers == [1, 1, 1, 2]

    def test_an_answer_that_comes_late_is_taken(self) -> None:
        bench = Bench()
        bench.ask()
        bench.pass_time(0.7)
        assert len(bench.sent) == 2
        assert bench.hear(bench.data()) == [Received(DATA)]

    def test_and_what_the_repetition_gets_does_no_harm(self) -> None:
        bench = Bench()
        bench.ask()
        bench.pass_time(0.7)
        again = bench.wrong_number(2)
        assert bench.hear(bench.data()) == [Received(DATA)]
        bench.pass_time(0.02)
        bench.ask(LONG)
        assert bench.hear(again) == []
        bench.pass_time(0.2)
        assert bench.hear(bench.data(bytes(220))) == [Received(bytes(220))]
        assert bench.numbers == [1, 1, 2]

    def test_an_alert_does_not_prolong_it(self) -> None:
        bench = Bench()
        start = bench.now
        bench.ask()
        bench.pass_time(0.5)
        bench.hear(ALERT)
        bench.pass_time(0.2)
        assert bench.sent[1][0] - start == pytest.approx(22 * BYTE + 0.6)
        assert bench.link.statistics.alerts == 1


class TestNumbersOutOfTurn:
    def test_the_reported_number_itself_the_second_time(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(bench.wrong_number(700))
        bench.pass_time(0.2)
        bench.hear(bench.wrong_number(700))
        bench.pass_time(0.2)
        assert bench.numbers == [1, 701, 700]
        assert bench.hear(bench.data()) == [Received(DATA)]

    def test_the_third_time_it_recovers(self) -> None:
        bench = Bench()
        bench.ask()
        for _ in range(2):
            bench.hear(bench.wrong_number(700))
            bench.pass_time(0.2)
        assert bench.hear(bench.wrong_number(700)) == [GaveUp(Reason.NUMBER, 3)]
        assert bench.link.state is State.RECOVER

    def test_a_number_that_moves_on_is_followed_but_not_for_ever(self) -> None:
        bench = Bench()
        bench.ask()
        for number in range(100, 600, 100):
            assert bench.hear(bench.wrong_number(number)) == []
            bench.pass_time(0.2)
        assert bench.numbers == [1, 101, 201, 301, 401, 501]
        assert bench.hear(bench.wrong_number(600)) == [GaveUp(Reason.NUMBER, 6)]

    def test_a_second_copy_of_it_counts_no_more(self) -> None:
        bench = Bench()
        bench.ask()
        copy = bench.wrong_number(700)
        bench.hear(copy)
        bench.hear(copy)
        bench.pass_time(0.3)
        assert bench.numbers == [1, 701]
        assert bench.hear(bench.data()) == [Received(DATA)]

    def test_one_out_of_the_blue_is_counted_apart(self) -> None:
        """The meter's dimensions may have changed: then it moves its number on by 25."""
        bench = Bench()
        bench.prove_key()
        bench.ask()
        bench.hear(bench.wrong_number(27))
        bench.pass_time(0.2)
        bench.hear(bench.data())
        assert bench.link.statistics.unexpected_numbers == 1

    def test_one_behind_a_retransmission_is_expected(self) -> None:
        bench = Bench()
        bench.prove_key()
        bench.ask()
        bench.pass_time(0.7)  # the answer was lost; the meter has the number
        bench.hear(bench.wrong_number(3))
        bench.pass_time(0.2)
        assert bench.hear(bench.data()) == [Received(DATA)]
        assert bench.numbers == [2, 2, 4]
        assert (bench.link.statistics.wrong_numbers, bench.link.statistics.unexpected_numbers) == (1, 0)


class TestTheKey:
    @pytest.mark.parametrize("form", ["00 01 0B", "00 09 0B 11 22 33 44 55 66 77 88"])
    def test_refused_twice_it_rests_for_a_minute(self, form: str) -> None:
        bench = Bench()
        bench.ask()
        assert bench.hear(bytes.fromhex(form)) == []
        bench.pass_time(0.2)
        assert bench.hear(bytes.fromhex(form)) == [GaveUp(Reason.KEY, 2)]
        assert len(set(bench.requests)) == 1
        assert bench.link.state is State.REFUSED
        assert bench.ask() == [GaveUp(Reason.KEY, 0)]
        bench.pass_time(59.0)
        assert bench.ask() == [GaveUp(Reason.KEY, 0)]
        assert len(bench.sent) == 2
        bench.pass_time(1.0)
        bench.ask()
        assert len(bench.sent) == 3

    def test_it_rests_twice_as_long_each_time_and_an_hour_at_the_most(self) -> None:
        bench = Bench()
        rests = []
        for _ in range(9):
            bench.ask()
            bench.hear(WRONG_DIGEST)
            bench.pass_time(0.2)
            bench.hear(WRONG_DIGEST)
            rests.append(round(bench.link.key_rests_until - bench.now))
            bench.pass_time(rests[-1])
        assert rests == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]

    def test_it_rests_also_where_the_port_is_opened_again(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(WRONG_DIGEST)
        bench.pass_time(0.2)
        bench.hear(WRONG_DIGEST)
        bench.link.open(bench.now)
        bench.pass_time(1.0)
        assert bench.link.state is State.REFUSED

    def test_a_proven_one_is_in_doubt_only_after_ten_reads(self) -> None:
        bench = Bench()
        bench.prove_key()
        outcomes = []
        for _ in range(10):
            bench.ask()
            events: list[Event] = []
            while not events:
                events = bench.hear(WRONG_DIGEST)
                bench.pass_time(0.2)
            outcomes += events
            bench.pass_time(3.0)
        assert outcomes == [GaveUp(Reason.REQUEST_DAMAGED, 3)] * 9 + [GaveUp(Reason.KEY, 2)]

    def test_an_answer_in_between_clears_the_doubt(self) -> None:
        bench = Bench()
        bench.prove_key()
        for read in range(25):
            bench.ask()
            if read % 9 == 8:
                assert bench.hear(bench.data()) == [Received(DATA)]
            else:
                for _ in range(3):
                    events = bench.hear(WRONG_DIGEST)
                    bench.pass_time(0.2)
                assert events == [GaveUp(Reason.REQUEST_DAMAGED, 3)]
            bench.pass_time(3.0)

    def test_two_copies_of_one_refusal_count_once(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(WRONG_DIGEST + WRONG_DIGEST)
        bench.pass_time(0.2)
        assert len(bench.sent) == 2
        assert bench.hear(bench.data()) == [Received(DATA)]


class TestRefusalsWithoutDigest:
    def test_the_same_twice_is_believed(self) -> None:
        bench = Bench()
        bench.ask()
        assert bench.hear(bytes.fromhex("00 01 05")) == []
        bench.pass_time(0.2)
        assert len(set(bench.requests)) == 1
        assert bench.hear(bytes.fromhex("00 01 05")) == [Refused(ResponseCode.TABLE_NOT_POSSIBLE)]

    def test_also_behind_a_new_number(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(bytes.fromhex("00 01 05"))
        bench.pass_time(0.2)
        bench.hear(bench.wrong_number(2))  # the refused request counted
        bench.pass_time(0.2)
        assert bench.numbers == [1, 1, 3]
        assert bench.hear(bytes.fromhex("00 01 05")) == [Refused(ResponseCode.TABLE_NOT_POSSIBLE)]

    def test_another_code_each_time_is_not(self) -> None:
        bench = Bench()
        bench.ask()
        for code in (b"\x05", b"\x04"):
            assert bench.hear(b"\0\1" + code) == []
            bench.pass_time(0.2)
        assert bench.hear(bytes.fromhex("00 01 03")) == [GaveUp(Reason.SILENCE, 3)]


class TestSpoiledAnswers:
    def test_one_that_stops_is_given_200_ms_and_asked_for_again_in_silence(self) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(bench.data()[:12])
        bench.pass_time(0.199)
        assert len(bench.sent) == 1
        bench.pass_time(0.002)
        assert len(bench.sent) == 2
        assert bench.link.statistics.cut_short == 1

    def test_a_pause_of_the_meters_is_borne(self) -> None:
        bench = Bench()
        bench.ask(LONG)
        raw = bench.data(bytes(220))
        bench.hear(raw[:117])
        bench.pass_time(0.19)
        assert bench.hear(raw[117:]) == [Received(bytes(220))]

    def test_a_trickle_ends(self) -> None:
        bench = Bench()
        bench.ask()
        start = bench.now
        for byte in bench.data():
            bench.hear(bytes((byte,)))
            bench.pass_time(0.15)
        # 21 bytes take 22 ms, and half a second more is allowed
        assert bench.sent[1][0] - start == pytest.approx(21 * BYTE + 0.5, abs=0.16)

    def test_an_answer_that_does_not_verify_is_dropped_and_waited_past(self) -> None:
        bench = Bench()
        bench.ask()
        good = bench.data()
        bad = bytearray(good)
        bad[7] ^= 0x80
        assert bench.hear(bytes(bad)) == []
        assert bench.hear(good) == [Received(DATA)]
        assert len(bench.sent) == 1

    def test_our_own_request_is_an_echo(self) -> None:
        bench = Bench()
        bench.ask()
        assert bench.hear(bench.requests[0] + bench.data()) == [Received(DATA)]
        assert bench.link.statistics.echoes == 1

    @pytest.mark.parametrize("stray", ["00", "00 00 00", "01", "55", "00 14 FF", "FF FF FF", "0B"])
    def test_an_answer_behind_stray_bytes_is_found_when_the_line_is_silent(self, stray: str) -> None:
        bench = Bench()
        bench.ask()
        bench.hear(bytes.fromhex(stray) + bench.data() + b"\xaa")
        assert bench.pass_time(0.2) == [Received(DATA)]
        assert len(bench.sent) == 1

    def test_a_long_one_that_is_spoiled_twice_is_not_asked_for_a_third_time(self) -> None:
        bench = Bench()
        bench.ask(LONG)
        bench.hear(bench.data(bytes(220))[:101])
        assert bench.pass_time(0.3) == []
        bench.hear(bench.wrong_number(2))
        bench.pass_time(0.2)
        bench.hear(bench.data(bytes(220))[:101])
        assert bench.pass_time(0.3) == [GaveUp(Reason.TOO_LONG, 3, got=99, expected=231)]
        assert bench.link.state is State.IDLE  # nothing to recover from
        assert bench.link.answer_size.largest_read(bench.now) == 40

    def test_a_short_one_is(self) -> None:
        bench = Bench()
        bench.ask()
        for _ in range(3):
            bench.hear(bench.data()[:12])
            events = bench.pass_time(0.3)
        assert events == [GaveUp(Reason.CUT_SHORT, 3, got=10, expected=19)]

    def test_noise_without_end_ends_the_read_all_the_same(self) -> None:
        bench = Bench()
        bench.ask()
        events: list[Event] = []
        start = bench.now
        while not events:
            events = bench.hear(b"\xa5\x5a\x3c") + bench.pass_time(0.01)
        assert events == [GaveUp(Reason.DAMAGED, 3)]
        assert bench.now - start < 10.0

    def test_zeros_without_end_are_no_alerts(self) -> None:
        bench = Bench()
        bench.ask()
        events: list[Event] = []
        while not events:
            events = bench.hear(bytes(3)) + bench.pass_time(0.05)
        assert events == [GaveUp(Reason.ZEROS, 3)]
        assert bench.link.statistics.alerts <= 1 + bench.now - 100.0 < bench.link.statistics.zeros / 10

    @pytest.mark.parametrize("size", [1, 2, 18])
    def test_alerts_that_came_between_two_reads_are_alerts(self, size: int) -> None:
        bench = Bench()
        bench.pass_time(9.0)
        for _ in range(0, 18, size):
            bench.hear(bytes(size))
        assert (bench.link.statistics.alerts, bench.link.statistics.zeros) == (9, 0)


class TestTheGuidesPace:
    def test_requests_are_100_ms_apart(self) -> None:
        bench = Bench()
        for _ in range(5):
            bench.ask()
            bench.pass_time(0.1)
            bench.hear(bench.data())
        times = [at for at, _ in bench.sent]
        assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([0.1] * 4)

    def test_one_read_a_second_on_average(self) -> None:
        bench = Bench()
        start = bench.now
        for read in range(200):
            bench.ask()
            while len(bench.sent) == read:
                bench.pass_time(0.05)
            assert bench.hear(bench.data()) == [Received(DATA)]
        for first in range(0, 200, 7):
            for last in range(first, 200, 11):
                seconds = bench.sent[last][0] - bench.sent[first][0]
                assert last - first + 1 <= seconds + 60.001
        assert bench.now - start == pytest.approx(140, abs=1)

    def test_reads_to_spare_are_told(self) -> None:
        bench = Bench()
        assert bench.link.pace.spare(bench.now) == 60
        bench.ask()
        assert bench.link.pace.spare(bench.now) == 59
        assert bench.link.pace.spare(bench.now + 1.0) == 60


def test_the_timers_are_those_of_the_specification() -> None:
    timing = Timing()
    assert (timing.settle, timing.first, timing.gap, timing.tries) == (1.0, 0.6, 0.2, 3)
    assert (timing.spacing, timing.quiet, timing.off) == (0.1, 0.1, 1.0)
