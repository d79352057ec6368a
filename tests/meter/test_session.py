"""A meter as the daemon sees it, against the simulated meter of every profile, in virtual time.

The expected values are the simulated household's own registers, put into Home Assistant's units here by hand.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nesgw.errors import KeyRefused, MeterBusy, MeterMisbehaved, NesgwError, UnsupportedMeter
from nesgw.meter.introduction import ONE_SESSION
from nesgw.meter.meter import Meter
from nesgw.simulator import PROFILES
from nesgw.simulator.services import Outcome
from tests.virtual import line_to, meter_on, settings_with


def poll(meter: Any, line: Any, limit: float = 60.0) -> Any:
    with meter.session(line.clock() + limit):
        meter.facts()
        return meter.reading()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_read_and_its_energy_and_power_are_the_meters_own(profile: Any) -> None:
    line = line_to(profile)
    meter = meter_on(line)
    reading = poll(meter, line)
    truth = line.meter.truth(line.clock())
    unit = PROFILES[profile].energy_unit
    assert reading.values["energy_import"] == pytest.approx(truth.summations[0] * unit / 1000, abs=0.01 * unit)
    assert reading.values["energy_export"] == pytest.approx(truth.summations[1] * unit / 1000, abs=0.01 * unit)
    imported, exported = (18, 19) if PROFILES[profile].ct_ratio > 1 else (0, 1)
    expected = truth.present[imported] - truth.present[exported]
    assert reading.values["power"] == pytest.approx(expected, abs=50 + abs(expected) / 10)
    assert reading.values["frequency"] in (50.0, 50.05)
    assert None not in reading.values.values()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_read_twice_in_per_poll_sessions_that_all_end(profile: Any) -> None:
    line = line_to(profile)
    meter = meter_on(line)
    for _ in range(2):
        poll(meter, line)
        line.sleep(10)
    assert line.meter.counters.sessions == 2
    assert line.meter.counters.requests["terminate"] == 2


def test_what_rarely_changes_is_asked_once_and_again_after_an_hour() -> None:
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    first = meter.facts
    before = sum(line.meter.counters.requests.values())
    line.sleep(10)
    poll(meter, line)
    ordinary = sum(line.meter.counters.requests.values()) - before
    line.sleep(3600)
    before = sum(line.meter.counters.requests.values())
    poll(meter, line)
    assert sum(line.meter.counters.requests.values()) - before > ordinary
    assert first is not None


def test_who_it_is_is_told_before_the_rest_is_asked() -> None:
    line = line_to()
    meter = meter_on(line)
    told = []
    with meter.session(line.clock() + 60.0):
        began = line.clock()
        facts = meter.facts(on_identity=lambda meter_id: told.append((meter_id, line.clock() - began)))
        taken = line.clock() - began
    [(meter_id, at)] = told
    assert meter_id == facts.identity.id == line.meter.serial
    assert at < taken / 4


def test_only_what_has_to_be_believed_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    line = line_to()
    meter = meter_on(line)
    asked = Counter()
    read = meter._session.read

    def counting(part: Any) -> Any:
        asked[part.name] += 1
        return read(part)

    monkeypatch.setattr(meter._session, "read", counting)
    poll(meter, line)
    assert {name for name, times in asked.items() if times == 1} == {"BT03", "BT23", "BT28", "BT71"}
    assert set(asked.values()) == {1, 2}


class TestKeepOpen:
    """Trap 8: between polls the channel times out after six seconds, unless the meter was told to wait."""

    def test_one_session_serves_many_polls_ten_seconds_apart(self) -> None:
        line = line_to()
        meter = meter_on(line, session="keep-open", poll_interval=10.0)
        for _ in range(12):
            poll(meter, line)
            line.sleep(10)
        assert line.meter.counters.sessions == 1
        assert line.meter.counters.requests["wait"] == 12

    def test_polls_two_seconds_apart_need_no_wait(self) -> None:
        line = line_to()
        meter = meter_on(line, session="keep-open", poll_interval=2.0)
        for _ in range(10):
            poll(meter, line)
            line.sleep(1.5)
        assert line.meter.counters.sessions == 1
        assert line.meter.counters.requests["wait"] == 0

    def test_a_session_ends_well_before_the_meters_own_limit(self) -> None:
        """Trap 7: a meter that shares its line cuts a session of 600 s and is deaf for 300 s."""
        line = line_to("83331-3i-mep")
        meter = meter_on(line, session="keep-open", poll_interval=10.0, max_session=300.0)
        for _ in range(120):
            poll(meter, line)
            line.sleep(9.0)
        assert not line.meter.deaf
        assert 4 <= line.meter.counters.sessions <= 5

    def test_a_session_is_not_held_to_a_poll_that_would_come_too_late(self) -> None:
        """Trap 7 again: with polls four minutes apart the session must end before the one that would exceed it."""
        line = line_to("83331-3i-mep")
        meter = meter_on(line, session="keep-open", poll_interval=240.0, max_session=570.0)
        for _ in range(8):
            poll(meter, line)
            line.sleep(239.0)
        assert not line.meter.deaf
        assert line.meter.counters.sessions == 3

    def test_a_meter_that_forgot_the_session_gets_a_new_one_within_the_same_poll_or_the_next(self) -> None:
        line = line_to()
        meter = meter_on(line, session="keep-open", poll_interval=10.0)
        poll(meter, line)
        line.meter.faults.restart(1.0)
        line.sleep(10)
        readings = 0
        for _ in range(2):
            try:
                poll(meter, line, limit=10.0)
                readings += 1
            except Exception:
                line.sleep(2)
        assert readings >= 1


def test_a_wrong_key_is_refused_as_such_and_asked_once() -> None:
    """Trap 10: the meter counts refused keys."""
    line = line_to()
    meter = meter_on(line, key=b"0" * 20)
    with pytest.raises(KeyRefused, match="refused the key"):
        poll(meter, line)
    assert line.meter.counters.wrong_keys == 1


def test_another_meter_on_the_port_is_recognised_after_a_failed_poll() -> None:
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    line.meter.faults.swap("9999000001")
    with meter.session(line.clock() + 60):
        assert meter.facts(verify=True).identity.utility_serial == "9999000001"


def test_the_bytes_on_the_wire_are_counted() -> None:
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    line.drain()  # the last acknowledgement
    sent, received = meter.traffic
    assert (received, sent) == (line.meter.counters.bytes_out, line.meter.counters.bytes_in)


def test_closing_ends_the_session_and_gives_the_port_back() -> None:
    line = line_to()
    meter = meter_on(line, session="keep-open", poll_interval=10.0)
    poll(meter, line)
    meter.close()
    assert line.meter.state.name == "BASE"


class TestNegotiatedBaud:
    """``baud = "negotiate"``: faster where both sides bear it, and never at the price of a reading."""

    @staticmethod
    def meter_at(line: Any, **options: Any) -> Meter:
        place = settings_with(negotiate_baud=True)
        return Meter(place, clock=line.clock, sleep=line.sleep, opener=lambda *_args, **_options: line, **options)

    def test_a_meter_that_grants_more_is_read_faster_and_left_at_9600(self) -> None:
        line = line_to(bauds=(9600, 19200))
        other = line_to(bauds=(9600, 19200))
        spent = []
        for each, its_line in ((self.meter_at(line), line), (meter_on(other), other)):
            poll(each, its_line)
            began = its_line.clock()
            poll(each, its_line)
            spent.append(its_line.clock() - began)
        assert spent[0] < 0.75 * spent[1]
        assert line.baud == 9600
        assert line.meter.counters.link.retransmissions == 0

    def test_a_meter_that_does_not_is_read_as_ever(self) -> None:
        line = line_to()
        meter = self.meter_at(line)
        assert poll(meter, line).values["energy_import"] > 0
        assert line.meter.counters.requests["negotiate"] == line.meter.counters.requests["identify"] == 1

    def test_a_probe_that_does_not_bear_it_costs_one_poll_some_seconds_and_is_not_asked_again(self) -> None:
        line = DeafAbove9600(line_to(bauds=(9600, 19200, 28800)))
        meter = self.meter_at(line)
        began = line.clock()
        assert poll(meter, line).values["energy_import"] > 0
        assert 4 < line.clock() - began < 20
        tries = line.meter.counters.requests["negotiate"]
        for _ in range(3):
            began = line.clock()
            poll(meter, line)
            assert line.clock() - began < 2
        assert tries == 2
        assert line.rates == [28800, 9600]

    def test_a_rate_that_fails_later_is_given_up_with_that_poll(self) -> None:
        line = DeafAbove9600(line_to(bauds=(9600, 19200)))
        line.deaf = False
        meter = self.meter_at(line)
        poll(meter, line)
        line.deaf = True
        with meter.session(line.clock() + 60):
            poll_again = meter.reading()
        assert poll_again.values["energy_import"] > 0
        poll(meter, line)
        assert line.rates[-1] == 9600
        assert line.rates.count(19200) == 2


class DeafAbove9600:
    """A probe whose receiver is too slow: above 9600 baud nothing comes back."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self.deaf = True
        self.rates = []

    def __getattr__(self, name: Any) -> Any:
        return getattr(self._line, name)

    @property
    def baud(self) -> Any:
        return self._line.baud

    @baud.setter
    def baud(self, baud: Any) -> None:
        # The probe's own rate: the meter's is its own affair.
        self.rates.append(baud)
        self._line._baud = baud

    def read(self, timeout: Any) -> Any:
        data = self._line.read(timeout)
        return b"" if self.deaf and self.baud > 9600 else data


class TestAWildAnswerFoolsNobody:
    """Sound packets may carry wild bytes, and a table may be refused or garbled for no reason."""

    def test_a_wild_byte_in_the_serial_number_makes_no_other_meter(self) -> None:
        line = line_to()
        meter = meter_on(line)
        line.meter.faults.flip(2051, 3, 0x01)  # ET03, in the first read of it
        with pytest.raises(MeterMisbehaved, match="says two different things"):
            poll(meter, line)
        line.sleep(10)
        poll(meter, line)
        assert meter.facts().identity.id == "4080123456"
        line.meter.faults.flip(2051, 3, 0x01)
        with meter.session(line.clock() + 60):
            meter.facts(verify=True)
        assert meter.facts().identity.id == "4080123456"

    def test_one_that_refuses_its_number_today_is_no_other_meter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = line_to()
        meter = meter_on(line)
        poll(meter, line)
        answering(monkeypatch, line, 2051, lambda answer: Outcome(b"\x01"))
        assert verified(meter, line).identity.id == "4080123456"

    def test_an_optional_table_that_is_refused_for_no_reason_is_done_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = line_to()
        answering(monkeypatch, line, 22, lambda answer: Outcome(b"\x01"))
        meter = meter_on(line)
        for _ in range(3):
            with pytest.raises(MeterMisbehaved):
                poll(meter, line)
            line.sleep(10)
        assert poll(meter, line).values["energy_import"] > 100_000

    def test_a_meter_behind_transformers_that_hides_their_ratios_is_not_read_at_all(self) -> None:
        line = line_to("ct", locked_tables=(15,))
        with pytest.raises(UnsupportedMeter, match="BT15"):
            poll(meter_on(line), line)

    def test_one_whose_answer_is_always_garbled_costs_three_polls_and_no_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checksum of the table's data is wrong each time, which ends the session."""
        line = line_to()
        answering(monkeypatch, line, 27, lambda answer: Outcome(answer[:-1] + bytes((answer[-1] ^ 1,))))
        meter = meter_on(line)
        for _ in range(3):
            with pytest.raises(MeterMisbehaved, match="checksum"):
                poll(meter, line)
            line.sleep(10)
        assert poll(meter, line).values["power"] is not None

    def test_one_that_is_never_ready_costs_three_polls_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = line_to()
        answering(monkeypatch, line, 71, lambda answer: Outcome(b"\x07"))
        meter = meter_on(line)
        for _ in range(3):
            with pytest.raises(MeterBusy, match="data not ready"):
                poll(meter, line)
            line.sleep(10)
        assert poll(meter, line).values["power"] is not None

    @pytest.mark.parametrize("table", [15, 22, 27, 2048 + 55])
    def test_what_a_value_depends_on_is_not_done_without_once_it_was_given(
        self, monkeypatch: pytest.MonkeyPatch, table: Any
    ) -> None:
        """A meter that counts in 10 Wh and forgets to say so would seem to have used a tenth."""
        line = line_to("ct")
        meter = meter_on(line)
        poll(meter, line)
        layout = meter.facts().layout
        with monkeypatch.context() as for_a_while:
            answering(for_a_while, line, table, lambda answer: Outcome(b"\x01"))
            line.sleep(3600)
            for _ in range(4):
                with pytest.raises(MeterMisbehaved, match="refused without a reason"):
                    poll(meter, line)
                line.sleep(10)
        poll(meter, line)
        assert meter.facts().layout == layout

    def test_what_another_meter_gave_is_not_asked_of_this_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = line_to()
        meter = meter_on(line)
        poll(meter, line)
        answering(monkeypatch, line, 27, lambda answer: Outcome(b"\x01"))
        line.meter.faults.swap("9999000001")
        assert verified(meter, line).identity.utility_serial == "9999000001"


def verified(meter: Any, line: Any) -> Any:
    """Ask the meter who it is, until it has refused a table so often that it is done without."""
    for _ in range(3):
        with pytest.raises(MeterMisbehaved), meter.session(line.clock() + 60):
            meter.facts(verify=True)
        line.sleep(10)
    with meter.session(line.clock() + 60):
        return meter.facts(verify=True)


def answering(monkeypatch: Any, line: Any, table: Any, spoil: Any) -> None:
    """Have the meter's answer to each read of a table spoilt."""
    session = line.meter.session
    sound = type(session).answer

    def answer(self: Any, request: Any, now: Any, room: Any) -> Any:
        outcome = sound(self, request, now, room)
        reads = request[:1] in (b"\x30", b"\x3f") and int.from_bytes(request[1:3], "big") == table
        return spoil(outcome.answer) if reads else outcome

    monkeypatch.setattr(type(session), "answer", answer)


def test_a_meter_that_cannot_negotiate_is_asked_once_and_again_after_trouble() -> None:
    line = line_to("gen2-2.01")
    meter = meter_on(line)
    for _ in range(3):
        poll(meter, line)
        line.sleep(5)
    assert line.meter.counters.requests["negotiate"] == 1
    line.meter.faults.silence(30.0)
    with pytest.raises(NesgwError):
        poll(meter, line, limit=20.0)
    line.sleep(40)
    poll(meter, line)
    assert line.meter.counters.requests["negotiate"] == 2


@pytest.mark.parametrize(("profile", "delay"), [("83331-3i", 1.2), ("83331-3i", 5.5), ("gen4-4.30", 4.0)])
def test_a_command_has_time_for_a_whole_reading_of_a_meter_that_takes_its_time(profile: str, delay: float) -> None:
    """As nesgw read, doctor and setup do: everything in one session, each answer within the six seconds it may take."""
    line = line_to(profile, answer_delay=delay)
    meter = meter_on(line)
    with meter.session(line.clock() + ONE_SESSION):
        assert meter.facts().identity.serial
        assert meter.reading().values["energy_import"] is not None
