"""One meter's loop, in virtual time: the beat, the outage, the key, the suspect reading, the other meter."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from structlog.typing import EventDict

from nesgw.gateway.worker import Worker
from nesgw.publishers import payloads
from nesgw.publishers.meter_publisher import LastAccepted
from tests.virtual import MeterPublisher, line_to, meter_on, settings_with, work


def test_polls_keep_to_the_beat_however_long_they_take() -> None:
    line = line_to()
    start = line.clock()
    _, publisher = work(line, polls=30)
    lateness = [time - start - 10.0 * n for n, time in enumerate(publisher.times)]
    assert 0 < lateness[0] < 5, "the first one learns what the meter has"
    assert all(0 < late < 2 for late in lateness[1:])
    assert lateness[-1] == pytest.approx(lateness[5], abs=0.3)


def test_a_poll_that_overruns_skips_the_beats_it_covered_and_shifts_none() -> None:
    line = line_to()
    start = line.clock()
    _, publisher = work(line, polls=8, before_poll={3: lambda meter: meter.faults.silence(12.0)})
    beats = [(time - start) // 10 for time in publisher.times]
    assert beats == sorted(set(beats)), "no beat is made up for"
    overran = [time for time in publisher.times[1:] if (time - start) % 10 > 3]
    assert len(overran) == 1
    assert all((time - start) % 10 < 3 for time in publisher.times if time > overran[0])


def test_the_first_reading_announces_the_meter_and_says_that_it_is_available() -> None:
    _, publisher = work(line_to(), polls=3)
    assert publisher.said == [("identify", "4080123456", 57), ("available", True)]
    assert len(publisher.readings) == 3


@pytest.mark.expects_warnings("does not answer .Identify was sent 4 times.")
@pytest.mark.allows_warnings("^no reading for 30 s: the meter is unavailable$")  # as its silence falls between polls
def test_the_status_counts_polls_failures_duration_and_bytes() -> None:
    line = line_to()
    worker, publisher = work(line, polls=6, before_poll={2: lambda meter: meter.faults.silence(25.0)})
    status = publisher.statuses[-1]
    assert status.polls == 6
    assert sum(status.failures.values()) >= 1
    assert status.consecutive_failures == 0
    assert status.last_error is None
    assert status.last_read == publisher.readings[-1].time
    assert status.poll_duration_ms is not None
    assert (status.bytes_received, status.bytes_sent) == (line.meter.counters.bytes_out, line.meter.counters.bytes_in)
    assert worker.status == status


@pytest.mark.parametrize(
    ("delay", "interval", "says"),
    [(0.5, 1.0, "0.3 s"), (0.8, 10.0, "0.3 s"), (1.5, 10.0, "1 s"), (5.5, 10.0, "3 s"), (3.5, 60.0, "3 s")],
)
@pytest.mark.allows_warnings("the time for one reading ran out", "no reading for")
def test_a_meter_that_takes_its_time_is_learnt_over_the_polls_read_at_its_pace_and_said_to_be_slow(
    logged: list[EventDict], delay: float, interval: float, says: str
) -> None:
    """The standard allows it two seconds to acknowledge and six to answer: that is slow, and not broken."""
    line = line_to(answer_delay=delay)
    _, publisher = work(line, polls=20, interval=interval)
    assert len(publisher.readings) >= 10
    said = [entry["event"] for entry in logged if str(entry["event"]).startswith("an answer takes")]
    assert len(said) <= 2, "not at each poll"
    assert said[-1] == f"an answer takes {says} and more: the meter or the line to it is slow, which it may be"


def test_a_meter_that_is_as_quick_as_usual_is_not_called_slow(logged: list[EventDict]) -> None:
    work(line_to(), polls=5)
    assert not any("slow" in str(entry["event"]) for entry in logged)


@pytest.mark.expects_warnings(
    "does not answer .Identify was sent 4 times.", "^no reading for 30 s: the meter is unavailable$"
)
def test_a_meter_that_falls_silent_becomes_unavailable_after_three_intervals_and_returns_by_itself(
    logged: list[EventDict],
) -> None:
    line = line_to()
    start = line.clock()
    _, publisher = work(line, polls=12, before_poll={3: lambda meter: meter.faults.silence(60.0)})
    assert publisher.said[1:] == [("available", True), ("available", False), ("available", True)]
    gap = max(later - earlier for earlier, later in pairwise(publisher.times))
    assert 60 <= gap < 80
    texts = [line["event"] for line in logged]
    assert sum("does not answer" in text for text in texts) == 1, "a trouble is told once"
    assert sum("the meter is unavailable" in text for text in texts) == 1
    assert sum("reading again after" in text for text in texts) == 1
    assert start < publisher.times[0]


def test_one_failed_poll_is_counted_but_not_told(logged: list[EventDict]) -> None:
    line = line_to()
    _, publisher = work(line, polls=6, before_poll={3: lambda meter: meter.faults.silence(8.5)})
    assert sum(publisher.statuses[-1].failures.values()) <= 1
    assert [line["log_level"] for line in logged if line["log_level"] != "info"] == []


@pytest.mark.expects_warnings("^reading rejected: every value is zero at once")
def test_a_trouble_that_comes_and_goes_all_the_time_does_not_fill_the_journal(logged: list[EventDict]) -> None:
    happens = {
        n: (lambda meter: meter.faults.zeros()) if n % 3 == 0 else (lambda meter: meter.faults.clear())
        for n in range(3, 120)
    }
    _, publisher = work(line_to(), polls=120, before_poll=happens)
    assert 70 < len(publisher.readings) < 90
    rejected = [line for line in logged if line["event"].startswith("reading rejected")]
    again = [line for line in logged if line["event"].startswith("reading again")]
    assert len(rejected) == len(again) == 2  # in twenty minutes


def test_learning_the_meter_anew_after_its_time_may_take_longer_than_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at 2400 baud, where all tables of a large meter take longer than the limit of a poll."""
    monkeypatch.setattr("nesgw.meter.meter._FACTS_LAST", 100.0)
    monkeypatch.setattr("nesgw.gateway.worker.SHORTEST_LIMIT", 1.8)
    _, publisher = work(line_to("gen4-4.30"), polls=45, interval=3.0)
    assert len(publisher.readings) == 45


class TestTheKey:
    """Trap 10: a refused key must not be tried again at the poll's pace."""

    @pytest.mark.expects_warnings("^the meter refused the key: it answered Security with err")
    def test_it_is_tried_again_after_five_minutes_and_then_ever_more_rarely(self) -> None:
        line = line_to()
        start = line.clock()
        tried = []
        counters = line.meter.counters

        class Counting(MeterPublisher):
            def report(self, status: Any) -> None:
                super().report(status)
                tried.append(self.line.clock() - start)

        publisher: Any = Counting(line, 7)
        settings = settings_with(b"wrong" * 4)
        worker = Worker(
            settings,
            lambda turn: meter_on(line, settings, stop=turn),
            publisher,
            stop=publisher.stop,
            clock=line.clock,
            pause=line.sleep,
        )
        worker.run()
        assert counters.wrong_keys == 7
        pauses = [round((later - earlier) / 60) for earlier, later in pairwise(tried)]
        assert pauses == [5, 10, 20, 40, 60, 60]

    @pytest.mark.expects_warnings("^the meter refused the key: it answered Security with err")
    def test_it_is_said_in_the_log_and_in_the_status_without_being_shown(self, logged: list[EventDict]) -> None:
        worker, publisher = work(line_to(), polls=1, key=b"hunter22hunter22hunt")
        assert "the meter refused the key" in publisher.statuses[0].last_error
        assert "refused the key" in worker.in_words()
        (warning,) = [line for line in logged if line["log_level"] == "warning"]
        assert "asking again in 5 min" in warning["event"]
        assert "hunter22" not in repr((logged, publisher.statuses, worker.in_words()))
        assert publisher.readings == []
        assert publisher.said == []


def test_a_suspect_reading_is_read_again_at_once_and_a_single_wild_value_never_gets_out(
    logged: list[EventDict],
) -> None:
    line = line_to()
    wild = {4: lambda meter: meter.faults.flip(23, 3, 0x04)}
    worker, publisher = work(line, polls=8, before_poll=wild)
    energies = [reading.values["energy_import"] for reading in publisher.readings]
    assert len(energies) == 8, "the second read within the poll was good"
    assert max(energies) - min(energies) < 1
    assert worker.status.rejected == 0


@pytest.mark.expects_warnings("^reading rejected: energy_import went back")
def test_a_reading_that_stays_suspect_is_rejected_counted_and_said(logged: list[EventDict]) -> None:
    line = line_to()
    wild = {4: lambda meter: meter.faults.flip(23, 3, 0x04, count=4)}
    _, publisher = work(line, polls=8, before_poll=wild)
    energies = [reading.values["energy_import"] for reading in publisher.readings]
    assert max(energies) - min(energies) < 1
    assert publisher.statuses[-1].rejected == 8 - len(publisher.readings) > 0
    assert sum("reading rejected: " in line["event"] for line in logged) == 1


@pytest.mark.expects_warnings("^another meter is on this port: it becomes a device of its own$")
def test_another_meter_on_the_port_becomes_another_device(logged: list[EventDict]) -> None:
    line = line_to()
    other = {4: lambda meter: meter.faults.swap("9999000001", {0: 5_000_000, 1: 20})}
    worker, publisher = work(line, polls=8, before_poll=other)
    assert [said[:2] for said in publisher.said if said[0] == "identify"] == [
        ("identify", "4080123456"),
        ("identify", "9999000001"),
    ]
    assert any("another meter" in line["event"] for line in logged)
    assert publisher.readings[-1].values["energy_import"] == pytest.approx(5000, abs=1)
    assert worker.online


@pytest.mark.expects_warnings("^the meter was exchanged and has the former's number: it goes on as that$")
@pytest.mark.allows_warnings("does not answer", "^no reading for 30 s")
@pytest.mark.parametrize("shows", [5_000_000, 12, 900_000_000])
def test_an_exchanged_meter_whose_utility_kept_the_number_is_known_by_its_other_number(shows: int) -> None:
    """More or less than the former showed: neither is held, for it is not the former's register."""
    line = line_to()

    def exchange(meter: Any) -> None:
        meter.faults.swap("4080123456", {0: shows, 1: 20})
        meter.profile = replace(meter.profile, maker_serial="0000000087654321")

    worker, publisher = work(line, polls=9, before_poll={4: exchange})
    assert {said[1] for said in publisher.said if said[0] == "identify"} == {"4080123456"}, "one device as before"
    assert publisher.readings[-1].values["energy_import"] == pytest.approx(shows / 1000, abs=1)
    assert worker.status.rejected == 0
    assert worker.online


@pytest.mark.expects_warnings("^the meter was exchanged and has the former's number: it goes on as that$")
@pytest.mark.parametrize("showed", [1.0, 115_900.0, 999_999.0])
def test_what_the_former_meter_of_that_number_showed_before_the_start_holds_no_value_of_the_new_one(
    showed: float,
) -> None:
    line = line_to()
    former = LastAccepted(
        {"energy_import": showed, "energy_export": showed},
        {"last_event": 9_999, "fell_from": {"energy_total": showed}},
        60.0,
        of_another=True,
    )
    worker, publisher = work(line, polls=3, publisher=MeterPublisher(line, 3, former))
    assert None not in [publisher.readings[0].values[key] for key in ("energy_import", "energy_export", "energy_total")]
    assert worker.status.rejected == 0
    assert worker.status.last_event != 9_999
    assert publisher.statuses[-1].manufacturer_serial == "0000000012345678"


@pytest.mark.parametrize(("table", "word"), [(23, 0), (23, 3), (28, 7), (28, 11)])
@pytest.mark.parametrize("value", [-5, 10**9])
@pytest.mark.allows_warnings("null", "reading rejected", "makes no sense", "no reading for", "left out", "held")
def test_one_odd_register_costs_its_own_values_at_the_start_and_when_the_meter_is_learnt_again(
    table: int, word: int, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead phase or a damaged register stays for weeks: the meter must be read all the same, each hour again."""
    monkeypatch.setattr("nesgw.meter.meter._FACTS_LAST", 100.0)
    line = line_to()
    whole = line.meter.faults.distort

    def odd(number: int, image: bytes) -> bytes:
        at = 4 * word
        image = whole(number, image)
        odd = value.to_bytes(4, "little", signed=True)
        return image[:at] + odd + image[at + 4 :] if number == table and len(image) > at else image

    monkeypatch.setattr(line.meter.faults, "distort", odd)
    worker, publisher = work(line, polls=12, interval=30.0)
    assert worker.online
    last = publisher.readings[-1]
    assert len(publisher.readings) >= 10
    assert sum(known is None for known in last.values.values()) <= 4, "itself, and what is computed of it"


@pytest.mark.expects_warnings(
    "^the meter has repeated the same present values for 6.0 s",
    "^reading rejected: the meter has repeated the same",
    "^the meter's values move again$",
)
def test_frozen_values_make_the_meter_unavailable_until_they_move_again(logged: list[EventDict]) -> None:
    line = line_to()
    _, publisher = work(
        line,
        polls=100,
        before_poll={5: lambda meter: meter.faults.freeze(800.0)},
    )
    assert ("available", False) in publisher.said
    assert publisher.said[-1] == ("available", True)
    assert any("repeated the same present values" in line["event"] for line in logged)


def test_a_defect_ends_the_loop_and_is_kept_for_the_main_thread() -> None:
    line = line_to()

    class Broken(MeterPublisher):
        def accept(self, reading: Any) -> None:
            raise ZeroDivisionError

    publisher: Any = Broken(line, 5)
    worker = Worker(
        settings_with(),
        lambda turn: meter_on(line, stop=turn),
        publisher,
        stop=publisher.stop,
        clock=line.clock,
        pause=line.sleep,
    )
    worker.run()
    assert isinstance(worker.defect, ZeroDivisionError)
    assert publisher.stop.is_set()
    assert line.meter.state.name == "BASE", "the meter's session was ended all the same"


@pytest.mark.expects_warnings("does not answer .Identify was sent 4 times.")
def test_only_what_changes_is_news() -> None:
    line, told = line_to(), []
    publisher = MeterPublisher(line, 4)
    work(
        line,
        polls=4,
        before_poll={2: lambda meter: meter.faults.silence()},
        publisher=publisher,
        on_change=lambda: told.append(len(publisher.statuses)),
    )
    assert told == [1, 3], "the first reading, and the first that failed; not the second, nor another one like it"


def test_in_words_it_says_power_and_energy() -> None:
    worker, _ = work(line_to(), polls=1)
    words = worker.in_words()
    assert words.startswith("house: power ")
    assert "energy import 115 921." in words
    worker._freshness.frozen()
    assert worker.in_words() == "house: waiting for the first reading"


def test_what_a_meter_behind_transformers_may_draw_is_multiplied_by_their_ratio() -> None:
    """A house forty times as large: more than 55 kW now and then, and nobody has to set max_power for that."""
    _, publisher = work(line_to("ct", scale=400), polls=40, interval=60.0)
    assert max(reading.values["power"] for reading in publisher.readings) > 55_000
    assert len(publisher.readings) == 40
    assert not [status.notice for status in publisher.statuses if status.notice]


@pytest.mark.expects_warnings("^Volume of the sub-meter fell from")
def test_a_sub_meter_that_shows_less_for_an_hour_is_null_for_that_hour_and_goes_on(logged: list[EventDict]) -> None:
    """The heat meter's volume loses its third byte (ET16, byte 30 of the first device): 6016.277 m³ become 52.501."""
    et16, byte = 2048 + 16, 30
    _, publisher = work(
        line_to("83331-3i-solar"),
        polls=240,
        interval=60.0,
        before_poll={
            70: lambda meter: meter.faults.flip(et16, byte, 0x5B, count=10_000),
            130: lambda meter: meter.faults.clear(),
        },
    )
    heat = [reading for reading in publisher.sub_meters if reading.serial == "12345678"]
    volumes = [value.value for reading in heat for value in reading.values if value.key == "volume"]
    assert set(volumes) == {6016.277, None}
    assert volumes[0] == volumes[-1] == 6016.277
    assert len([entry for entry in logged if "Volume of the sub-meter fell from" in entry["event"]]) == 1


@pytest.mark.expects_warnings("^Volume of the sub-meter fell from")
def test_a_sub_meter_that_shows_less_at_the_first_look_after_a_restart_is_null() -> None:
    line = line_to("83331-3i-solar")
    _, first = work(line, polls=3)
    status = json.loads(payloads.meter_status(first.statuses[-1]))
    assert status["sub_meters"]["kam12345678"]["volume"] == 6016.277
    line.meter.faults.flip(2048 + 16, 30, 0x5B, count=10_000)
    _, second = work(line, polls=3, publisher=MeterPublisher(line, 3, LastAccepted({}, status, None)))
    heat = [reading for reading in second.sub_meters if reading.serial == "12345678"]
    assert {value.value for reading in heat for value in reading.values if value.key == "volume"} == {None}
    assert second.statuses[-1].sub_meters["kam12345678"]["volume"] == 6016.277, "and it is known after the next restart"


@pytest.mark.expects_warnings("^reading rejected")
@pytest.mark.parametrize(
    ("tables", "words"),
    [
        pytest.param((23,), None, id="all of BT23 is zero"),
        pytest.param((28,), None, id="all of BT28 is zero"),
        pytest.param((23,), (1,), id="import is zero"),
    ],
)
def test_a_meter_that_is_learnt_again_while_it_shows_zeros_keeps_all_its_fields(
    tables: tuple[int, ...], words: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tariffs were taken away from Home Assistant for an hour, or the whole meter was refused."""
    monkeypatch.setattr("nesgw.meter.meter._FACTS_LAST", 100.0)
    line = line_to("gen4-4.30")
    whole, start = line.meter.faults.distort, line.clock()

    def zeros(number: int, image: bytes) -> bytes:
        image = whole(number, image)
        if number not in tables or not 99 < line.clock() - start < 118:
            return image
        return bytes(len(image)) if words is None else image[:1] + bytes(4) + image[5:]

    monkeypatch.setattr(line.meter.faults, "distort", zeros)
    worker, publisher = work(line, polls=14, interval=10.0)
    assert [said for said in publisher.said if said[0] == "identify"] == [("identify", "5120100001", 98)]
    assert worker.status.failures == {}
    assert publisher.readings[-1].values["energy_import_t2"] > 0
