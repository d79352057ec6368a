"""The client against a meter written by hand, over wires that misbehave; no test waits for real time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nesgw.errors import (
    EchoOnly,
    KeyRefused,
    LineTooNoisy,
    MeterBusy,
    MeterMisbehaved,
    NoAnswer,
    PollTooLong,
    PortLost,
    ProtocolMisuse,
    RequestDamaged,
    Retryable,
    SessionRefused,
    Stopped,
    TableNotPresent,
)
from nesgw.optical.client import DEFAULT_LIMITS, SMALL_LIMITS, MessageLimits, MeterClient
from nesgw.optical.services import Identification
from nesgw.optical.session import State
from tests.optical.conftest import Clock, FakeMeter, Line

IDENTIFY, TERMINATE, LOGON, SECURITY, READ, PARTIAL = 0x20, 0x21, 0x50, 0x51, 0x30, 0x3F
ERR, SNS, ISC, ONP, IAR, BSY, DNR, DLK, RNO, ISSS = range(1, 11)


def services(meter: FakeMeter) -> list[int]:
    return [request[0] for request in meter.requests]


class TestSameConversationDifferentWires:
    def test_a_whole_session(self, any_line: Line, meter: FakeMeter, clock: Clock) -> None:
        client = MeterClient(any_line, clock=clock, sleep=clock.sleep)
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == bytes(range(1, 9))
        assert client.read(28, 10, 60) == bytes(range(110, 170))
        assert client.read(2051, 0, 30) == b"12345678".ljust(30, b"\0")
        assert client.terminate()
        assert meter.state == "base"

    def test_twenty_sessions_never_give_a_wrong_byte(self, any_line: Line, meter: FakeMeter, clock: Clock) -> None:
        client = MeterClient(any_line, clock=clock, sleep=clock.sleep)
        done = 0
        for _ in range(20):
            try:
                client.open_session(meter.key, SMALL_LIMITS)
                assert client.read(28, 0, 150) == bytes(range(100, 250))
                assert client.read(23, 16, 8) == bytes(range(17, 25))
                done += client.terminate()
            except (NoAnswer, LineTooNoisy):
                client.terminate()
        assert done >= 18


class TestASession:
    def test_it_is_opened_with_the_largest_messages_and_closed(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key)
        assert [request.hex(" ") for request in meter.requests] == [
            "20",
            "61 02 00 04 06",
            "50 00 00 6e 65 73 67 77 20 20 20 20 20",
            "51 " + meter.key.hex(" "),
        ]
        assert client.limits == MessageLimits(512, 4, 9600)
        assert client.limits.table_bytes == 2012
        assert client.terminate()
        assert client.limits == MessageLimits(64, 1, 9600)
        assert client.state is State.BASE

    def test_what_the_meter_says_of_itself(self, client: MeterClient) -> None:
        assert client.identify() == Identification(standard=0, version=1, revision=0)

    def test_without_a_key_no_security_is_sent(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(None)
        assert client.read(2051, 0, 8) == b"12345678"
        assert SECURITY not in services(meter)

    def test_it_ends_with_its_block(self, client: MeterClient, meter: FakeMeter) -> None:
        with client:
            client.open_session(None)
        assert meter.state == "base"

    def test_a_second_one_needs_nothing_special(self, client: MeterClient, meter: FakeMeter) -> None:
        for _ in range(2):
            client.open_session(meter.key)
            client.read(23, 0, 8)
            client.terminate()
        assert services(meter) == [IDENTIFY, 0x61, LOGON, SECURITY, PARTIAL, TERMINATE] * 2

    def test_terminating_twice_sends_nothing_the_second_time(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(None)
        assert client.terminate()
        assert client.terminate()
        assert services(meter).count(TERMINATE) == 1

    def test_reading_before_logon_is_a_defect_and_sends_nothing(self, client: MeterClient, line: Line) -> None:
        with pytest.raises(ProtocolMisuse):
            client.read(23, 0, 8)
        assert line.written == []

    def test_wait_keeps_the_channel_through_the_silence(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        client.open_session(meter.key)
        client.wait(11)
        clock.sleep(10)
        assert client.read(23, 0, 8) == bytes(range(1, 9))
        assert services(meter).count(LOGON) == 1

    def test_wait_refuses_more_than_a_byte_holds(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key)
        with pytest.raises(ProtocolMisuse):
            client.wait(256)

    def test_a_channel_that_timed_out_is_said_to_be_refused_and_the_next_session_works(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        client.open_session(meter.key)
        clock.sleep(10)
        with pytest.raises(SessionRefused):
            client.read(23, 0, 8)
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == bytes(range(1, 9))

    def test_175_microseconds_pass_between_a_byte_read_and_one_written(
        self, client: MeterClient, line: Line, clock: Clock, meter: FakeMeter
    ) -> None:
        gaps = []
        write = line.write

        def timed(data: bytes) -> None:
            gaps.append(clock.now - line.read_time)
            write(data)

        line.write = timed
        client.open_session(meter.key)
        assert min(gaps) >= 175e-6 - 1e-9

    def test_no_wait_is_longer_than_a_quarter_second(self, client: MeterClient, line: Line, meter: FakeMeter) -> None:
        meter.dead = True
        with pytest.raises(NoAnswer):
            client.identify()
        assert line.longest_read <= 0.25


class TestNegotiation:
    def test_less_is_taken_as_it_is_granted(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.biggest = (128, 2)
        client.open_session(meter.key)
        assert client.limits == MessageLimits(128, 2, 9600)
        assert client.read(28, 0, 150) == bytes(range(100, 250))

    def test_a_meter_that_cannot_negotiate_is_read_with_the_defaults(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        meter.negotiates = False
        client.open_session(meter.key)
        assert client.limits == MessageLimits(64, 1, 9600)
        assert client.read(28, 0, 150) == bytes(range(100, 250))
        assert [int.from_bytes(request[6:8], "big") for request in meter.requests if request[0] == PARTIAL] == [
            52,
            52,
            46,
        ]

    def test_another_refusal_is_met_with_a_smaller_wish(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[0x61] = [ERR]
        client.open_session(meter.key)
        assert [request.hex() for request in meter.requests if request[0] == 0x61] == ["6102000406", "6100400206"]
        assert client.limits == MessageLimits(64, 2, 9600)

    def test_what_it_refused_is_not_asked_for_in_each_session(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[0x61] = [ERR]
        client.open_session(meter.key)
        client.terminate()
        meter.requests.clear()
        client.open_session(meter.key)
        assert [request.hex() for request in meter.requests if request[0] == 0x61] == ["6100400206"]
        assert client.limits == MessageLimits(64, 2, 9600)

    def test_after_a_silence_it_is_asked_for_again(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[0x61] = [ERR]
        client.open_session(meter.key)
        meter.dead = True
        with pytest.raises(NoAnswer):
            client.read(23, 0, 8)
        meter.dead = False
        client.open_session(meter.key)
        assert client.limits == MessageLimits(512, 4, 9600)

    def test_two_of_them_leave_the_defaults(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[0x61] = [ERR, ONP]
        client.open_session(meter.key)
        assert client.limits == MessageLimits(64, 1, 9600)

    def test_the_caller_may_want_less(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key, MessageLimits(64, 2))
        assert "6100400206" in [request.hex() for request in meter.requests]

    def test_the_defaults_are_not_negotiated(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key, DEFAULT_LIMITS)
        assert services(meter) == [IDENTIFY, LOGON, SECURITY]

    def test_another_baud_rate_is_followed_and_left_with_the_session(
        self, client: MeterClient, line: Line, meter: FakeMeter
    ) -> None:
        client.open_session(meter.key, MessageLimits(512, 4, 19200))
        assert line.baud == 19200
        client.terminate()
        assert line.baud == 9600


class TestReading:
    def test_a_long_read_is_split_to_what_fits(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key, SMALL_LIMITS)
        assert client.read(2051, 0, 143) == b"12345678".ljust(143, b"\0")
        assert [request.hex() for request in meter.requests[-2:]] == ["3f08030000000" + "06c", "3f080300006c0023"]

    def test_a_whole_table(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key)
        assert client.read_full(23) == bytes(range(1, 81))

    def test_a_whole_table_that_does_not_fit_is_read_in_parts_when_its_length_is_known(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        client.open_session(meter.key, DEFAULT_LIMITS)
        assert client.read_full(23, 80) == bytes(range(1, 81))
        with pytest.raises(MeterMisbehaved):
            client.read_full(23)

    def test_a_meter_without_partial_reads(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.partial = False
        client.open_session(meter.key)
        assert client.read(23, 4, 8) == bytes(range(5, 13))
        assert client.read(23, 8, 8) == bytes(range(9, 17))
        assert services(meter).count(PARTIAL) == 1

    def test_a_meter_without_partial_reads_whose_table_is_too_short(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        meter.partial = False
        client.open_session(meter.key)
        with pytest.raises(MeterMisbehaved, match="ends before offset 90"):
            client.read(23, 80, 10)

    def test_a_meter_without_full_reads(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.full = False
        client.open_session(meter.key)
        assert client.read_full(23, 80) == bytes(range(1, 81))

    def test_a_meter_that_bears_less_than_it_granted(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.really = 60
        client.open_session(meter.key)
        assert client.read(28, 0, 150) == bytes(range(100, 250))
        reads = services(meter).count(PARTIAL)
        assert client.read(28, 0, 150) == bytes(range(100, 250))
        assert services(meter).count(PARTIAL) == reads + 3  # learnt

    def test_a_table_that_is_not_there(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key)
        with pytest.raises(TableNotPresent, match="the meter has no table 21"):
            client.read(21, 0, 10)
        assert client.read(23, 0, 8) == bytes(range(1, 9))  # the session goes on

    def test_the_caller_may_have_names_for_its_tables(self, line: Line, clock: Clock, meter: FakeMeter) -> None:
        client = MeterClient(line, clock=clock, sleep=clock.sleep, table_name="BT{:02}".format)
        client.open_session(meter.key)
        with pytest.raises(TableNotPresent, match="the meter has no table BT21"):
            client.read(21, 0, 10)

    @pytest.mark.parametrize(
        ("code", "error", "says"),
        [
            (ISC, KeyRefused, "too weak"),
            (ISC, KeyRefused, "hardware lock"),
            (ONP, MeterMisbehaved, "operation not possible"),
            (ERR, MeterMisbehaved, "refused without a reason"),
            (ISSS, SessionRefused, "invalid service sequence state"),
            (RNO, MeterBusy, "renegotiate"),
        ],
    )
    def test_other_refusals(
        self,
        client: MeterClient,
        meter: FakeMeter,
        code: int,
        error: type[KeyRefused] | type[MeterBusy] | type[MeterMisbehaved] | type[SessionRefused],
        says: str,
    ) -> None:
        client.open_session(meter.key)
        meter.refuse[PARTIAL] = [code]
        with pytest.raises(error, match=says):
            client.read(23, 0, 8)
        client.terminate()
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == bytes(range(1, 9))


class TestABusyMeter:
    @pytest.mark.parametrize("code", [BSY, DNR, DLK])
    @pytest.mark.parametrize("service", [IDENTIFY, 0x61, LOGON, SECURITY, PARTIAL])
    def test_it_is_asked_again(
        self, client: MeterClient, meter: FakeMeter, clock: Clock, code: int, service: int
    ) -> None:
        meter.refuse[service] = [code, code, code]
        begin = clock.now
        client.open_session(meter.key)
        assert client.read(23, 0, 8) == bytes(range(1, 9))
        assert clock.now - begin < 6

    def test_in_the_end_it_is_left_alone(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[LOGON] = [BSY] * 4
        with pytest.raises(MeterBusy, match=r"the meter answered bsy \(busy\) to Logon"):
            client.open_session(meter.key)


class TestRefusedSessions:
    @pytest.mark.parametrize("code", [ERR, ISC, ONP, IAR])
    def test_a_refused_key(self, client: MeterClient, meter: FakeMeter, code: int) -> None:
        meter.refuse[SECURITY] = [code]
        with pytest.raises(KeyRefused):
            client.open_session(meter.key)
        assert services(meter).count(SECURITY) == 1

    def test_a_wrong_key_is_shown_once(self, client: MeterClient, meter: FakeMeter) -> None:
        with pytest.raises(KeyRefused):
            client.open_session(b"wrong")
        client.terminate()
        assert meter.keys_tried == 1

    @pytest.mark.parametrize("code", [SNS, ISSS])
    def test_a_refused_session_is_not_blamed_on_the_key(self, client: MeterClient, meter: FakeMeter, code: int) -> None:
        meter.refuse[SECURITY] = [code]
        with pytest.raises(SessionRefused):
            client.open_session(meter.key)

    @pytest.mark.parametrize("code", [ERR, ISSS, IAR])
    def test_a_refused_logon(self, client: MeterClient, meter: FakeMeter, code: int) -> None:
        meter.refuse[LOGON] = [code]
        with pytest.raises(SessionRefused, match="the meter refused Logon"):
            client.open_session(meter.key)

    def test_a_refused_identify(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.refuse[IDENTIFY] = [ERR]
        with pytest.raises(SessionRefused, match="the meter refused Identify"):
            client.open_session(meter.key)


class TestABadLine:
    def test_silence(self, client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
        meter.dead = True
        begin = clock.now
        with pytest.raises(NoAnswer, match=r"the meter does not answer \(Identify was sent 4 times\)"):
            client.open_session(meter.key)
        # The first repetition is early, for a port that sleeps; the others keep the standard's two seconds.
        assert clock.now - begin == pytest.approx(0.6 + 3 * 2.0, abs=0.1)

    def test_a_meter_that_acknowledges_and_never_answers_is_no_weak_light(
        self, client: MeterClient, meter: FakeMeter
    ) -> None:
        meter.delay = 60.0
        with pytest.raises(NoAnswer, match="acknowledges Identify and does not answer it: leave the probe as it is"):
            client.open_session(meter.key)

    def test_silence_costs_the_next_poll_no_more_than_this_one(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        meter.dead = True
        for _ in range(3):
            begin = clock.now
            with pytest.raises(NoAnswer):
                client.open_session(meter.key)
            assert clock.now - begin < 8.1

    def test_nothing_but_echo(self, client: MeterClient, meter: FakeMeter, line: Line) -> None:
        meter.dead, line.wire = True, "echoing"
        with pytest.raises(EchoOnly, match="turn the probe by 180 degrees"):
            client.open_session(meter.key)

    def test_every_request_refused_as_damaged(self, client: MeterClient, meter: FakeMeter) -> None:
        meter.nak_requests = 99
        with pytest.raises(RequestDamaged, match=r"our request reached the meter damaged 4 times \(Identify\)"):
            client.open_session(meter.key)

    def test_every_answer_damaged(self, client: MeterClient, meter: FakeMeter, line: Line) -> None:
        client.open_session(meter.key)
        line._mangled = lambda data: data[:-1] + bytes((data[-1] ^ 1,)) if len(data) > 60 else data
        with pytest.raises(LineTooNoisy, match=r"answer arrived damaged 4 times \(Read table 28 offset 0 count 150\)"):
            client.read(28, 0, 150)

    def test_a_port_that_goes_away(self, client: MeterClient, meter: FakeMeter, line: Line) -> None:
        client.open_session(meter.key)

        def gone(_: Any) -> Any:
            raise PortLost(port="/dev/fake", problem="unplugged")

        unplugged: Any = gone
        line.read = line.write = unplugged
        with pytest.raises(PortLost):
            client.read(23, 0, 8)
        assert client.terminate() is False

    def test_an_answer_that_never_makes_sense(self, client: MeterClient, meter: FakeMeter) -> None:
        client.open_session(meter.key)
        meter.answer = lambda request, now: b"\x0b"
        with pytest.raises(MeterMisbehaved, match=r"no response code: 0b; it was 0b \[1 bytes\]"):
            client.read(23, 0, 8)


class TestStoppingAndLimits:
    def test_stop_ends_an_exchange_within_a_quarter_second(self, line: Line, meter: FakeMeter, clock: Clock) -> None:
        asked_at = clock.now + 3.0
        client = MeterClient(line, clock=clock, sleep=clock.sleep, stop=lambda: clock.now >= asked_at)
        meter.dead = True
        with pytest.raises(Stopped):
            client.open_session(meter.key)
        assert clock.now - asked_at <= 0.25

    def test_stop_ends_a_pause_for_a_busy_meter(self, line: Line, meter: FakeMeter, clock: Clock) -> None:
        asked_at = clock.now + 0.5
        client = MeterClient(line, clock=clock, sleep=clock.sleep, stop=lambda: clock.now >= asked_at)
        meter.refuse[IDENTIFY] = [BSY] * 4
        with pytest.raises(Stopped):
            client.open_session(meter.key)
        assert clock.now - asked_at <= 0.25

    def test_after_a_stop_the_session_is_still_terminated(self, line: Line, meter: FakeMeter, clock: Clock) -> None:
        stopping: list[bool] = []
        client = MeterClient(line, clock=clock, sleep=clock.sleep, stop=lambda: bool(stopping))
        client.open_session(meter.key)
        stopping.append(True)
        with pytest.raises(Stopped):
            client.read(23, 0, 8)
        begin = clock.now
        assert client.terminate(budget=1.0)
        assert meter.state == "base"
        assert clock.now - begin < 1.0

    def test_terminate_keeps_its_budget_when_nobody_answers(
        self, client: MeterClient, meter: FakeMeter, clock: Clock
    ) -> None:
        client.open_session(meter.key)
        meter.dead = True
        begin = clock.now
        assert client.terminate(budget=1.0) is False
        assert clock.now - begin == pytest.approx(1.0, abs=0.01)

    def test_the_limit_ends_an_exchange(self, client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
        client.open_session(meter.key)
        meter.dead = True
        client.limit(clock.now + 3.0)
        begin = clock.now
        with pytest.raises(PollTooLong):
            client.read(23, 0, 8)
        assert clock.now - begin == pytest.approx(3.0, abs=0.01)
        meter.dead = False
        assert client.terminate()  # past the limit, and yet

    def test_the_limit_holds_while_resynchronising(self, client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
        client.open_session(meter.key)
        meter.dead = True
        with pytest.raises(NoAnswer):
            client.read(23, 0, 8)
        client.limit(clock.now + 2.0)
        begin = clock.now
        with pytest.raises(PollTooLong):
            client.open_session(meter.key)
        assert clock.now - begin == pytest.approx(2.0, abs=0.01)


class TestTrace:
    def test_it_reads_as_text(self, client: MeterClient, meter: FakeMeter, trace: list[Any]) -> None:
        client.open_session(meter.key)
        client.read(23, 0, 4)
        assert trace[-2:] == [
            "-> Read table 23 offset 0 count 4",
            "<- 00 00 04 01 02 03 04 f6 [8 bytes]",
        ]

    @pytest.mark.parametrize("wire", ["whole", "echoing", "noisy", "lossy"])
    def test_the_key_is_never_in_it(
        self, client: MeterClient, meter: FakeMeter, line: Line, trace: list[Any], wire: str
    ) -> None:
        line.wire = wire
        for _ in range(5):
            try:
                client.open_session(meter.key)
            except (NoAnswer, LineTooNoisy) as problem:
                trace.append(str(problem))
            client.terminate()
        text = "\n".join(trace)
        assert "-> Security" in text
        for form in (meter.key.decode(), meter.key.hex(), meter.key.hex(" "), repr(meter.key)):
            assert form not in text

    def test_the_key_coming_back_as_an_answer_is_not_shown(
        self, client: MeterClient, meter: FakeMeter, trace: list[Any]
    ) -> None:
        client.open_session(meter.key)
        meter.answer = lambda request, now: b"\x51" + meter.key
        with pytest.raises(MeterMisbehaved) as problem:
            client.read(23, 0, 8)
        assert meter.key.hex(" ") not in "\n".join([*trace, str(problem.value)])


class TestWhateverHappens:
    @given(
        seed=st.integers(0, 10**6),
        wire=st.sampled_from(["whole", "lossy", "noisy", "echoing", "byte_by_byte"]),
        implicit_ack=st.booleans(),
        polls=st.lists(
            st.tuples(
                st.sampled_from(["nothing", "lose", "nak", "late", "busy"]),
                st.integers(0, 5),
                st.sampled_from([0.2, 2.5, 6.8, 9.0]),
                st.sampled_from([0.0, 1.0, 3.0, 7.0]),
            ),
            max_size=6,
        ),
    )
    @example(seed=37, wire="noisy", implicit_ack=False, polls=[("nothing", 0, 0.2, 0.0)])
    @settings(max_examples=150, deadline=None)
    def test_a_read_gives_the_bytes_of_the_table_or_an_error_and_good_times_mend_all(
        self,
        build: Callable[..., Any],
        seed: int,
        wire: str,
        implicit_ack: bool,
        polls: list[tuple[str, int, float, float]],
    ) -> None:
        client, line, meter, clock = build(wire, seed)
        meter.implicit_ack = implicit_ack

        def poll() -> None:
            client.open_session(meter.key)
            assert client.read(23, 8, 8) == bytes(range(9, 17))
            assert client.read(28, 0, 8) == bytes(range(100, 108))
            assert client.read(2051, 0, 8) == b"12345678"

        for fault, count, lateness, pause in polls:
            # The faults strike after the session is open as well as during its opening.
            match fault:
                case "lose":
                    meter.lose_requests = count
                case "nak":
                    meter.nak_requests = count
                case "late":
                    meter.late = [0.0] * count + [lateness]
                case "busy":
                    meter.refuse = {PARTIAL: [BSY] * count, LOGON: [RNO] * (count // 4)}
            with contextlib.suppress(Retryable):
                poll()
            client.terminate()
            clock.sleep(pause)
        line.wire, meter.late, meter.refuse, meter.lose_requests, meter.nak_requests = "whole", [], {}, 0, 0
        clock.sleep(7.0)
        with contextlib.suppress(Retryable):  # the last late answer may fall into this one
            poll()
        client.terminate()
        poll()
        assert client.terminate()
        assert meter.keys_tried <= len(polls) + 2  # never shown twice in one opening
