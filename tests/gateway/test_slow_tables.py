"""What is read between the polls: found soon, told once, and never at the expense of the beat."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.typing import EventDict

from nesgw.publishers.meter_publisher import LastAccepted
from nesgw.simulator import PROFILES
from nesgw.simulator.services import Code, Outcome, Session
from tests.virtual import MeterPublisher, line_to, work


class TestAlarms:
    def test_they_are_on_the_status_within_the_first_polls(self) -> None:
        _, publisher = work(line_to(), polls=3)
        assert publisher.statuses[0].alarms == ("event_log_unread",)

    @pytest.mark.expects_warnings("^the meter raised: cover_removed$")
    def test_a_new_one_is_there_within_two_minutes_and_said_once(self, logged: list[EventDict]) -> None:
        _, publisher = work(line_to(), polls=30, before_poll={5: lambda meter: meter.faults.alarm("cover_removed")})
        assert "cover_removed" in publisher.statuses[-1].alarms
        assert next(n for n, status in enumerate(publisher.statuses) if "cover_removed" in status.alarms) <= 5 + 12
        assert [line["event"] for line in logged if "raised" in line["event"]] == ["the meter raised: cover_removed"]


def test_the_drift_of_the_meters_clock_is_measured() -> None:
    _, publisher = work(line_to(clock_error=37.0), polls=3)
    drift = publisher.statuses[-1].clock_drift_s
    assert abs(drift) == pytest.approx(37.0, abs=1.0)


class TestEvents:
    def test_what_is_in_the_log_at_the_very_first_look_is_old(self) -> None:
        _, publisher = work(line_to(), polls=20)
        assert publisher.events == []
        assert publisher.statuses[-1].last_event is not None

    @pytest.mark.expects_warnings("^the meter raised: cover_removed$")
    def test_each_new_one_is_told_once_and_in_order(self) -> None:
        happens = {n: lambda meter: meter.faults.open_cover() for n in (10, 25, 26)}
        _, publisher = work(line_to(), polls=60, before_poll=happens)
        sequences = [event.sequence for event in publisher.events]
        assert sequences == sorted(set(sequences))
        assert len(sequences) >= 3
        assert publisher.statuses[-1].last_event == sequences[-1]

    @pytest.mark.expects_warnings("^the meter raised: cover_removed$")
    def test_after_a_restart_it_goes_on_where_it_stopped(self) -> None:
        line = line_to()
        _, first = work(line, polls=20, before_poll={8: lambda meter: meter.faults.open_cover()})
        bookmark = first.statuses[-1].last_event
        line.meter.faults.open_cover()
        last = LastAccepted({}, {"last_event": bookmark}, None)
        _, second = work(line, polls=10, publisher=MeterPublisher(line, 10, last))
        assert [event.sequence > bookmark for event in second.events]
        assert len(second.events) >= 1

    @pytest.mark.expects_warnings("^the meter raised: cover_removed$")
    def test_what_the_broker_has_yet_to_get_is_not_told_again_after_an_hour(self) -> None:
        """The meter's dimensions are learnt anew every hour, and the looks at its tables begin anew with them."""
        line = line_to()

        class Leaving(MeterPublisher):
            @property
            def listening(self) -> bool:  # type: ignore[override]
                return not self.events or len(self.statuses) > 65

        publisher = Leaving(line, 70)
        happens = {5: lambda meter: meter.faults.open_cover()}
        work(line, polls=70, interval=60.0, before_poll=happens, publisher=publisher)
        sequences = [event.sequence for event in publisher.events]
        assert sequences
        assert sequences == sorted(set(sequences))

    @pytest.mark.expects_warnings("^the meter raised: cover_removed$")
    def test_while_there_is_no_broker_the_meter_keeps_them(self) -> None:
        line = line_to()

        class Deaf(MeterPublisher):
            @property
            def listening(self) -> bool:  # type: ignore[override]
                return len(self.statuses) < 15 or len(self.statuses) > 40

        publisher = Deaf(line, 60)
        work(line, polls=60, before_poll={20: lambda meter: meter.faults.open_cover()}, publisher=publisher)
        assert len(publisher.events) >= 1
        statuses = publisher.statuses
        assert statuses[39].last_event == statuses[16].last_event < statuses[-1].last_event


def test_what_a_meter_lacks_is_asked_once() -> None:
    line = line_to("gen2-2.01")
    work(line, polls=5)
    refused = line.meter.counters.refusals["iar"]
    line = line_to("gen2-2.01")
    work(line, polls=60)
    assert line.meter.counters.refusals["iar"] == refused > 0


def test_what_a_meter_lacks_is_said_once(logged: list[EventDict]) -> None:
    work(line_to("gen2-2.01"), polls=70, interval=60.0)
    said = [line["event"] for line in logged if "not on this meter" in line["event"]]
    assert said
    assert len(said) == len(set(said))


def test_sub_meters_are_read_and_say_what_they_measure() -> None:
    _, publisher = work(line_to("83331-3i-solar"), polls=10)
    assert publisher.sub_meters
    reading = publisher.sub_meters[0]
    assert reading.serial
    assert any(value.key == "energy" and value.unit == "kWh" for value in reading.values)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("interval", [2.0, 10.0])
def test_the_beat_of_the_polls_does_not_suffer(profile: Any, interval: float) -> None:
    line = line_to(profile)
    line.meter.faults.freeze()  # a load that switches within a reading tears it, and it is read again
    start = line.clock()
    # Behind transformers the fuse is larger by their ratio.
    _, publisher = work(line, polls=15, interval=interval, max_power=44_000.0 * PROFILES[profile].ct_ratio)
    assert len(publisher.readings) == 15
    late = [(time - start) % interval for time in publisher.times[3:]]
    assert max(late) - min(late) < 0.25 * interval, "each poll is read at its own place of the interval"
    assert publisher.times[-1] - start < 17 * interval + 5


def test_nonsense_in_a_slow_table_stops_only_that_table(logged: list[EventDict]) -> None:
    line = line_to()
    work(line, polls=20, before_poll={2: lambda meter: meter.faults.flip(74, 1, 0xFF, count=100)})
    _, publisher = work(line, polls=20)
    assert len(publisher.readings) == 20


class TestASlowTableThatIsNotGiven:
    """Whatever comes of a slow table, the polls go on: it ends neither the session of the next nor the process."""

    @pytest.mark.parametrize("mode", ["per-poll", "keep-open"])
    @pytest.mark.parametrize("table", [3, 52, 74, 2048 + 36])
    def test_an_answer_with_a_wrong_checksum_ends_the_session_and_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch, table: Any, mode: str
    ) -> None:
        answering(monkeypatch, table, lambda answer: Outcome(answer[:-1] + bytes((answer[-1] ^ 1,))), after=2)
        _, publisher = work(line_to(), polls=30, session=mode)
        assert len(publisher.readings) >= 27

    @pytest.mark.parametrize("table", [52, 74, 2048 + 36])
    def test_one_that_is_never_ready_keeps_none_of_the_others_waiting(
        self, monkeypatch: pytest.MonkeyPatch, table: Any
    ) -> None:
        answering(monkeypatch, table, lambda answer: Outcome(bytes((Code.DNR,))))
        _, publisher = work(line_to(), polls=12)
        status = publisher.statuses[-1]
        assert len(publisher.readings) == 12
        assert status.alarms == ("event_log_unread",)
        assert (status.clock_drift_s is None) == (table == 52)

    @pytest.mark.expects_warnings("^the meter raised: magnetic_tamper$")
    def test_one_that_is_too_long_for_the_time_left_keeps_none_of_the_others_waiting(self) -> None:
        """Between polls a second apart half a second of new entries do not fit."""
        line = line_to("83331-3i-solar")
        for _ in range(60):
            line.meter.faults.open_cover()
        publisher = MeterPublisher(line, 90, LastAccepted({}, {"last_event": 1}, None))
        later = {10: lambda meter: meter.faults.alarm("magnetic_tamper")}
        work(line, polls=90, interval=1.0, session="keep-open", publisher=publisher, before_poll=later)
        assert publisher.events == []
        assert "magnetic_tamper" in publisher.statuses[-1].alarms


def answering(monkeypatch: Any, table: Any, spoil: Any, after: int = 0) -> None:
    """Have the meter's answers to reads of a table spoilt, but for the first few."""
    sound, count = Session.answer, [0]

    def answer(self: Any, request: Any, now: Any, room: Any) -> Any:
        outcome = sound(self, request, now, room)
        if request[:1] not in (b"\x30", b"\x3f") or int.from_bytes(request[1:3], "big") != table:
            return outcome
        count[0] += 1
        return spoil(outcome.answer) if count[0] > after else outcome

    monkeypatch.setattr(Session, "answer", answer)


def test_a_wild_byte_makes_no_other_sub_meter() -> None:
    line = line_to("83331-3i-solar")
    wild = {1: lambda meter: meter.faults.flip(2048 + 16, 8, 0x01, count=1)}
    _, publisher = work(line, polls=40, before_poll=wild)
    assert {reading.serial for reading in publisher.sub_meters} == {"12345678", "55667788", "87654321"}
