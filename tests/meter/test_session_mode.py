"""session = "auto": what the numbers of the event log's entries decide, and what they do not (trap 11)."""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.errors import NesgwError
from nesgw.meter.session_mode import SessionChoice
from nesgw.simulator.services import Outcome
from tests.virtual import line_to, meter_on


def choice_after(*numbers: Any) -> Any:
    choice = SessionChoice()
    for number in numbers:
        if number is None:
            choice.interrupted()
        else:
            choice.seen(number)
    return choice


@pytest.mark.parametrize("numbers", [(), (7,), (7, 8), (7, 8, 9), (7, None, 8, None, 9, None, 10), (7, 8, 9, 1, 2, 3)])
def test_until_it_is_known_each_poll_has_a_session_of_its_own(
    numbers: tuple[Any, ...] | tuple[int | None, ...] | tuple[int, ...],
) -> None:
    choice = choice_after(*numbers)
    assert choice.open
    assert choice.mode == "per-poll"
    assert choice.reason == "auto: finding out whether a session leaves an entry in the meter's event log"


@pytest.mark.parametrize("numbers", [(7, 7), (7, 8, 8), (7, 8, 10, 10), (0, 0), (9, 1, 1), (7, None, 9, 9)])
def test_one_session_that_leaves_nothing_settles_it(numbers: tuple[int | None, ...] | tuple[int, ...]) -> None:
    choice = choice_after(*numbers)
    assert not choice.open
    assert choice.mode == "per-poll"
    assert choice.reason == "auto: a session leaves no entry in the meter's event log"


@pytest.mark.parametrize("numbers", [(7, 8, 9, 10), (7, 9, 11, 13), (1, 2, 50, 51), (7, 8, None, 20, 21, 22)])
def test_three_sessions_of_three_that_leave_something_make_it_hold_the_session_open(
    numbers: tuple[int | None, ...] | tuple[int, ...],
) -> None:
    choice = choice_after(*numbers)
    assert not choice.open
    assert choice.mode == "keep-open"
    assert choice.reason == "auto: each of 3 sessions left an entry in the meter's event log"


def test_what_is_decided_stays_decided() -> None:
    choice = choice_after(7, 8, 9, 10, 10, 10)
    assert choice.mode == "keep-open"
    choice.unreadable("too late")
    assert choice.mode == "keep-open"


def polls(line: Any, meter: Any, count: Any, interval: float = 10.0) -> None:
    for _ in range(count):
        begin = line.clock()
        try:
            with meter.session(begin + 30):
                meter.facts()
                meter.look_for_traces()
                meter.reading()
        except NesgwError:
            pass
        line.sleep(begin + interval - line.clock())


class TestWithAMeter:
    def test_one_that_logs_each_logon_gets_one_session_after_four(self) -> None:
        line = line_to(logon_leaves_entry=True)
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, 24)
        assert line.meter.counters.sessions == 4
        assert (meter.mode, meter.mode_reason) == (
            "keep-open",
            "auto: each of 3 sessions left an entry in the meter's event log",
        )

    def test_the_one_session_ends_before_the_meters_limit_and_the_log_grows_by_one_in_five_minutes(self) -> None:
        line = line_to(logon_leaves_entry=True)
        meter = meter_on(line, session="auto", poll_interval=10.0, max_session=300.0)
        polls(line, meter, 360)
        assert line.meter.counters.sessions <= 4 + 12

    def test_one_that_logs_none_keeps_a_session_a_poll(self) -> None:
        line = line_to()
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, 6)
        assert line.meter.counters.sessions == 6
        assert meter.mode_reason == "auto: a session leaves no entry in the meter's event log"

    def test_the_log_is_read_no_more_once_it_is_decided(self) -> None:
        line = line_to()
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, 3)
        before = line.meter.counters.requests["partial_read"]
        polls(line, meter, 1)
        # BT23 in one read, BT28 in three: 220 bytes do not fit in messages of 108.
        assert line.meter.counters.requests["partial_read"] - before == 4

    def test_an_event_between_two_sessions_is_no_trace_of_them(self) -> None:
        line = line_to()
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, 1)
        line.meter.faults.restart(1.0)
        polls(line, meter, 4)
        assert meter.mode == "per-poll"
        assert meter.mode_reason == "auto: a session leaves no entry in the meter's event log"

    def test_another_meter_on_the_port_is_asked_anew(self) -> None:
        line = line_to(logon_leaves_entry=True)
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, 6)
        assert meter.mode == "keep-open"
        line.meter.faults.swap("9999000001")
        polls(line, meter, 2)
        assert meter.mode_reason.startswith("auto: finding out")
        polls(line, meter, 6)
        assert meter.mode == "keep-open"

    @pytest.mark.parametrize(("code", "lost"), [(1, 3), (3, 0), (5, 0)])
    def test_a_log_that_cannot_be_read_means_per_poll(
        self, code: int, lost: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """isc and iar cost no reading; err may be a passing trouble, and is one until the third poll."""
        line = line_to()
        table = type(line.meter.session)._read

        def read(session: Any, service: Any, body: Any, now: Any, room: Any) -> Any:
            if int.from_bytes(body[:2], "big") in (70, 71, 74):
                return Outcome(bytes((code,)))
            return table(session, service, body, now, room)

        monkeypatch.setattr(type(line.meter.session), "_read", read)
        meter = meter_on(line, session="auto", poll_interval=10.0)
        polls(line, meter, lost)
        before = line.meter.counters.polls
        polls(line, meter, 3)
        assert meter.mode == "per-poll"
        assert meter.mode_reason == "auto: the meter's event log cannot be read"
        assert line.meter.counters.polls - before == 3 + 1  # and the sample from which the layout was learnt

    def test_a_pause_too_long_to_be_waited_out_is_named(self) -> None:
        line = line_to(logon_leaves_entry=True)
        meter = meter_on(line, session="auto", poll_interval=3600.0)
        polls(line, meter, 5, interval=3600.0)
        assert line.meter.counters.sessions == 5
        assert meter.mode_reason.endswith("but none can be held over 3600 s")

    @pytest.mark.parametrize("mode", ["per-poll", "keep-open"])
    def test_what_is_configured_is_not_questioned(self, mode: str) -> None:
        line = line_to(logon_leaves_entry=True)
        meter = meter_on(line, session=mode, poll_interval=10.0)
        polls(line, meter, 5)
        assert (meter.mode, meter.mode_reason) == (mode, "as configured")
