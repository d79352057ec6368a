"""Meters and lines that are odd: they are read on, soon, and where they cannot be, the sentence is the right one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nesgw.errors import (
    BridgeLost,
    BridgeSilent,
    KeyRefused,
    LineSlow,
    MeterMisbehaved,
    NoAnswer,
    PollTooLong,
    PortBusy,
    PortShared,
    WrongDevice,
)
from nesgw.optical.client import MessageLimits, MeterClient
from tests.optical.conftest import Clock, FakeMeter, Line

TOTALS = bytes(range(1, 9))
Answer = Callable[[bytes, float], bytes]


def rewritten(meter: FakeMeter, rewrite: Callable[[bytes, bytes], bytes]) -> None:
    """Have the meter's answers pass through ``rewrite(request, answer)`` before they are put into packets."""
    answer = meter.answer
    meter.answer = lambda request, now: rewrite(request, answer(request, now))


def read_totals(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == TOTALS
    assert client.terminate()


class TestAnswersAgainstTheRules:
    def test_negotiate_without_the_baud_byte_is_taken_as_it_is(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        rewritten(meter, lambda request, answer: answer[:4] if request[0] & 0xF0 == 0x60 else answer)
        begin = clock.now
        client.open_session(meter.key)
        assert client.limits == MessageLimits(512, 4, 9600)
        assert client.read(23, 0, 8) == TOTALS
        assert clock.now - begin < 1.0

    @pytest.mark.parametrize("sizes", ["0400ff", "0020 02", "0040 00", "0000 00", ""])
    def test_negotiate_with_odd_sizes_leaves_the_defaults(
        self, client: MeterClient, meter: FakeMeter, clock: Clock, sizes: str
    ) -> None:
        odd = b"\x00" + bytes.fromhex(sizes)
        rewritten(meter, lambda request, answer: odd if request[0] & 0xF0 == 0x60 else answer)
        read_totals(client, meter)
        begin = clock.now
        client.open_session(meter.key)
        assert client.limits == MessageLimits(64, 1, 9600)
        assert clock.now - begin < 1.0  # known by now

    @pytest.mark.parametrize("behind", [b"\x00", b"\x06", b"\xff\xff\xff"])
    def test_bytes_behind_an_ok_do_no_harm(
        self, client: MeterClient, meter: FakeMeter, clock: Clock, behind: bytes
    ) -> None:
        rewritten(meter, lambda _, answer: answer + behind if answer == b"\x00" else answer)
        begin = clock.now
        read_totals(client, meter)
        assert clock.now - begin < 4.0  # once it was waited for a better one
        begin = clock.now
        read_totals(client, meter)
        assert clock.now - begin < 1.0

    def test_a_byte_behind_a_refusal_hides_no_refused_key(self, client: MeterClient, meter: FakeMeter) -> None:
        rewritten(meter, lambda request, answer: answer + b"\x00" if request[0] == 0x51 else answer)
        with pytest.raises(KeyRefused):
            client.open_session(b"wrong")
        assert meter.keys_tried == 1

    def test_what_comes_behind_an_unusual_answer_does_not_take_its_place(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        rewritten(meter, lambda request, answer: answer + b"\x00" if request[0] == 0x50 else answer)
        client.identify()
        client.negotiate(MessageLimits())
        meter.out.append((client._clock() + 1.0, _packet(b"\x00\x00\x02\x01\x02\xfd")))
        client.logon()
        assert client.read(23, 0, 8) == TOTALS

    def test_an_answer_of_before_is_not_taken_for_one(self, client: MeterClient, meter: FakeMeter) -> None:
        """Trap 1: behind it the right one comes."""
        client.open_session(meter.key)
        late = b"\x00\x00\x08" + bytes(8) + b"\x00"
        meter.out.append((client._clock() + 0.03, _packet(late)))
        assert client.read(23, 0, 4) == TOTALS[:4]


class TestTableDataThatContradictsItself:
    """The packet's CRC is right, the meter's own checksum or count is not."""

    def spoil(self, meter: FakeMeter, place: int, times: int) -> None:
        left = [times]

        def rewrite(request: bytes, answer: bytes) -> bytes:
            if request[0] != 0x3F or not left[0]:
                return answer
            left[0] -= 1
            spoilt = bytearray(answer)
            spoilt[place] ^= 1
            return bytes(spoilt)

        rewritten(meter, rewrite)

    @pytest.mark.parametrize("place", [2, 5, -1])  # the count, the data, the checksum
    @pytest.mark.parametrize("times", [1, 3])
    def test_it_is_asked_for_again_at_once(
        self, client: MeterClient, meter: FakeMeter, clock: Clock, place: int, times: int
    ) -> None:
        client.open_session(meter.key)
        self.spoil(meter, place, times)
        begin = clock.now
        assert client.read(23, 0, 8) == TOTALS
        assert clock.now - begin < 0.6
        assert client.read(23, 8, 8) == bytes(range(9, 17))

    def test_what_stays_so_is_the_meters_fault_and_the_session_goes_on(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        client.open_session(meter.key)
        self.spoil(meter, -1, 4)
        begin = clock.now
        with pytest.raises(MeterMisbehaved, match="the checksum of the table data is wrong, 4 times"):
            client.read(23, 0, 8)
        assert clock.now - begin < 1.0
        assert client.read(23, 0, 8) == TOTALS

    def test_a_second_answer_to_what_was_asked_twice_is_not_taken_for_the_next_ones(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        client.open_session(meter.key)
        self.spoil(meter, -1, 1)
        assert client.read(23, 0, 8) == TOTALS
        before = client.statistics.stale_answers
        meter.out.append((client._clock() + 0.01, _packet(b"\x00\x00\x08" + TOTALS + b"\xdc")))
        client._listen(0.25, at_most=0.5)
        assert client.statistics.stale_answers == before + 1
        assert client.read(28, 0, 8) == bytes(range(100, 108))


def _packet(data: bytes) -> bytes:
    from tests.optical.conftest import packet

    return packet(data)


class SleepyLine(Line):
    """A port that sleeps after two seconds of silence and loses the byte that wakes it."""

    awake_until = 0.0

    def write(self, data: bytes) -> None:
        heard = data if self.clock.now < self.awake_until else data[1:]
        self.awake_until = self.clock.now + 2.0
        if heard:
            super().write(heard)


class TestASleepingPort:
    def test_each_session_after_a_silence_begins_all_the_same(self, meter: FakeMeter, clock: Clock) -> None:
        line = SleepyLine(meter, clock)
        client = MeterClient(line, clock=clock, sleep=clock.sleep)
        for _ in range(3):
            clock.sleep(10)
            begin = clock.now
            read_totals(client, meter)
            assert clock.now - begin < 2.0

    def test_a_session_that_is_held_goes_on(self, meter: FakeMeter, clock: Clock) -> None:
        client = MeterClient(SleepyLine(meter, clock), clock=clock, sleep=clock.sleep)
        client.open_session(meter.key)
        client.wait(14)
        clock.sleep(10)
        begin = clock.now
        assert client.read(23, 0, 8) == TOTALS
        assert clock.now - begin < 2.0


class TestASlowMeter:
    @pytest.mark.parametrize("delay", [0.8, 1.9, 5.0])
    def test_it_is_read(self, client: MeterClient, meter: FakeMeter, delay: float) -> None:
        meter.delay = delay
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == TOTALS
        assert client.statistics.retransmissions == 0

    def test_how_long_its_answers_take_is_known(self, client: MeterClient, meter: FakeMeter) -> None:
        """This meter gives all bytes of an answer at once: the measure leaves out the time that they would take."""
        client.open_session(meter.key)
        assert client.statistics.last_response == pytest.approx(0.016, abs=0.016)
        meter.delay = 0.8
        client.read(23, 0, 8)
        meter.delay = 0.016
        client.read(23, 0, 8)
        assert client.statistics.last_response == pytest.approx(0.016, abs=0.016)
        assert client.statistics.longest_response == pytest.approx(0.8, abs=0.03)

    def test_if_the_time_runs_out_the_probe_is_not_blamed(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        meter.delay = 0.8
        client.limit(clock.now + 3.0)
        with pytest.raises(LineSlow, match=r"an answer takes up to 0\.8 s: set a longer poll_interval") as slow:
            client.open_session(meter.key)
        assert "seat the probe" not in str(slow.value)

    def test_where_the_line_lost_something_it_is(self, client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
        meter.delay = 0.8
        meter.nak_requests = 2
        client.limit(clock.now + 3.0)
        with pytest.raises(PollTooLong, match="seat the probe well"):
            client.open_session(meter.key)


class Chatter(Line):
    """Something else on the port, which says what it says whether it is asked or not."""

    def __init__(self, said: bytes, clock: Clock) -> None:
        meter = FakeMeter()
        meter.dead = True
        super().__init__(meter, clock)
        self.said = said

    def write(self, data: bytes) -> None:
        self.meter.out.append((self.clock.now + 0.01, self.said))


class TestSomethingElseOnThePort:
    def asked(self, line: Line, clock: Clock) -> MeterClient:
        return MeterClient(line, clock=clock, sleep=clock.sleep)

    def test_a_gps_receiver_is_named_and_nobody_turns_a_probe(self, clock: Clock) -> None:
        line = Chatter(b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n", clock)
        with pytest.raises(
            WrongDevice, match=r"no meter is on this port, but a GPS receiver \(NMEA\): set port"
        ) as told:
            self.asked(line, clock).identify()
        assert "turn" not in str(told.value)
        assert told.value.kind == "wrong_device"

    def test_silence_is_still_silence(self, clock: Clock) -> None:
        with pytest.raises(NoAnswer, match="seat the probe"):
            self.asked(Chatter(b"", clock), clock).identify()

    def test_silence_behind_a_bridge_may_be_its_settings(self, clock: Clock) -> None:
        line = Chatter(b"", clock)
        line.name = "socket://bridge:2001"
        with pytest.raises(BridgeSilent, match="set the bridge to 9600 baud 8N1 without flow control"):
            self.asked(line, clock).identify()

    def test_a_bridge_that_serves_somebody_else_says_so(self, clock: Clock) -> None:
        line = Chatter(b"Port already in use\r\n", clock)
        with pytest.raises(PortBusy, match="in use by another program, as the bridge says"):
            self.asked(line, clock).identify()

    def test_also_if_it_closes_the_connection_then(self, clock: Clock) -> None:
        line = Chatter(b"Port already in use\r\n", clock)
        read = line.read

        def until_it_closes(timeout: float) -> bytes:
            if line.said and not (data := read(timeout)):
                return b""
            if not line.said:
                raise BridgeLost(port="socket://bridge:2001", problem="socket disconnected")
            line.said = b""
            return data

        line.read = until_it_closes
        with pytest.raises(PortBusy, match="as the bridge says"):
            self.asked(line, clock).identify()

    def test_a_program_that_was_there_first_and_locks_nothing_is_named(self, clock: Clock) -> None:
        line = Chatter(b"", clock)
        line.holder = lambda: "pwm_fan (process 321)"
        with pytest.raises(PortShared, match=r"in use by pwm_fan \(process 321\) at the same time"):
            self.asked(line, clock).identify()

    def test_noise_around_a_sound_session_names_nobody(self, client: MeterClient, meter: FakeMeter, line: Line) -> None:
        line.wire = "noisy"
        for _ in range(10):
            try:
                read_totals(client, meter)
            except WrongDevice:
                pytest.fail("a meter was taken for something else")
            except Exception:
                pass
