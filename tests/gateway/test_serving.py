"""What a command asks for is read between the polls: no beat suffers, and no session is opened for it without need."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from nesgw.errors import KeyRefused, NoAnswer, TableNotPresent
from nesgw.gateway.serving import BURST
from nesgw.tables.register import Part
from tests.virtual import MeterPublisher, line_to, work

BT26 = Part("BT26", 26, 0, 256)
BT03 = Part("BT03", 3, 0, 13)


class Command:
    """In the server's place: a command that asks for one part after the other, as fast as it is answered."""

    def __init__(self, part: Any, count: Any, from_poll: int = 3) -> None:
        self.part = part
        self.left = count
        self.from_poll = from_poll
        self.publisher: Any = None
        self.request: Request | None = None
        self.answers = []
        self.refused = 0
        self.known = {}
        self.line: Any = None

    def start(self, wake: Any) -> None:
        pass

    def stop(self) -> None:
        pass

    @property
    def waiting(self) -> Any:
        if self.request is None and self.left and len(self.publisher.statuses) >= self.from_poll:
            self.left -= 1
            self.request = Request(self.part)
        return self.request

    def answer(self, request: Any, result: Any) -> None:
        self.answers.append((self.line.clock(), result))
        self.request = None

    def refuse(self, request: Any) -> None:
        self.refused += 1
        self.request = None


class Request:
    def __init__(self, part: Any) -> None:
        self.part = part
        self.passed_over = None


def served(
    command: Any, line: Any | None = None, polls: int = 12, interval: float = 10.0, **options: Any
) -> tuple[Any, ...]:
    line = line or line_to()
    line.meter.faults.freeze()  # a load that switches within a reading tears it, and it is read again
    command.line = line
    command.publisher = MeterPublisher(line, polls)
    _, publisher = work(line, polls, interval=interval, publisher=command.publisher, server=command, **options)
    return line, publisher


def lateness(publisher: Any, start: Any, interval: Any) -> Any:
    return [(time - start) % interval for time in publisher.times[3:]]


class TestTheBeat:
    @pytest.mark.parametrize("interval", [2.0, 5.0, 10.0])
    @pytest.mark.parametrize("session", ["per-poll", "keep-open"])
    def test_no_beat_is_missed_for_a_command(self, interval: float, session: str) -> None:
        line = line_to()
        start, command = line.clock(), Command(BT26, 1000)
        _, publisher = served(command, line, polls=20, interval=interval, session=session)
        assert publisher.statuses[-1].failures == {}
        assert len(publisher.readings) == 20
        late = lateness(publisher, start, interval)
        assert max(late) - min(late) < 0.3
        assert max(later - earlier for earlier, later in pairwise(publisher.times[2:])) < 1.1 * interval
        assert len(command.answers) >= 15

    def test_where_a_read_never_fits_command_and_polls_take_turns_of_four_seconds(self) -> None:
        command = Command(BT26, 1000)
        _, publisher = served(command, polls=20, interval=1.0)
        assert len(command.answers) > 10
        assert all(isinstance(answer, bytes) for _, answer in command.answers)
        gaps = [later - earlier for earlier, later in pairwise(publisher.times[4:])]
        assert max(gaps) < 6.5
        assert min(gaps) < 1.5
        assert publisher.statuses[-1].failures == {}

    def test_a_small_read_fits_between_beats_a_second_apart(self) -> None:
        line = line_to()
        start, command = line.clock(), Command(BT03, 10)
        _, publisher = served(command, line, polls=30, interval=1.0, session="keep-open")
        assert len(command.answers) == 10
        assert len(publisher.readings) == 30
        assert publisher.times[-1] - start < 33


class TestTheSessions:
    def test_in_a_session_that_is_held_a_command_causes_no_logon(self) -> None:
        command = Command(BT26, 120)
        line, _ = served(command, polls=20, session="keep-open")
        assert len(command.answers) == 120
        assert line.meter.counters.sessions == 1

    def test_with_a_session_a_poll_its_reads_share_those_of_the_polls(self) -> None:
        command = Command(BT26, 60)
        line, _ = served(command, polls=20, session="per-poll")
        assert len(command.answers) == 60
        assert line.meter.counters.sessions == 20 + 1, "one more, for what was asked before the next poll"

    def test_in_a_long_interval_no_session_is_longer_than_a_minute_and_the_line_rests_between_two(self) -> None:
        line = line_to("83331-3i-mep")
        command = Command(BT26, 700)
        served(command, line, polls=4, interval=600.0, session="per-poll", max_power=1e6)
        assert not line.meter.deaf
        times = [at for at, _ in command.answers]
        assert times[-1] - times[0] > 3 * BURST
        assert line.meter.counters.sessions >= 4 + (times[-1] - times[0]) // (BURST + 2)
        assert max(later - earlier for earlier, later in pairwise(times)) > 1.0


class TestTheAnswers:
    def test_they_are_what_the_meter_has(self) -> None:
        command = Command(Part("BT01", 1, 0, 4), 1)
        served(command)
        assert command.answers[0][1] == b"ELON"

    def test_a_table_that_is_missing_is_said_to_be(self) -> None:
        command = Command(Part("BT15", 15, 0, 17), 1)
        served(command)
        assert isinstance(command.answers[0][1], TableNotPresent)

    def test_what_precedes_the_key_of_a_sub_meter_is_given_and_the_key_never(self) -> None:
        for offset, size, given in ((0, 28, 1), (66, 28, 1), (0, 29, 0), (28, 1, 0), (94, 10, 0), (60, 20, 0)):
            command = Command(Part("ET13", 2061, offset, size), 1)
            served(command, line_to("83331-3i-solar", key_opens_all=True), polls=6)
            assert (len(command.answers), command.refused) == (given, 1 - given), (offset, size)

    def test_the_meters_key_is_zeros_wherever_it_stands(self) -> None:
        line = line_to()
        part = Part("ET03", 2048 + 3, 0, 30)
        stands_there = line.meter.image(part.table)[:20]
        command = Command(part, 1)
        command.known = None  # who the meter is was not asked for
        served(command, line_to(key=stands_there), key=stands_there)
        assert command.answers[0][1][:20] == bytes(20)

    @pytest.mark.expects_warnings("^the meter refused the key: it answered Security with err")
    def test_while_the_key_is_refused_nobody_shows_it_again(self) -> None:
        command = Command(BT03, 3, from_poll=1)
        line, _ = served(command, polls=2, key=b"wrong" * 4)
        assert line.meter.counters.wrong_keys == 2, "one each poll, five minutes apart"
        assert [type(answer) for _, answer in command.answers] == [KeyRefused] * 3

    @pytest.mark.expects_warnings("the time for one reading ran out")
    def test_while_the_meter_is_silent_a_command_waits_and_is_served_when_it_speaks_again(self) -> None:
        command = Command(BT26, 400)
        line = line_to()
        silence = {5: lambda meter: meter.faults.silence(25.0)}
        _, publisher = served(command, line, polls=14, before_poll=silence, session="keep-open")
        times = [at for at, _ in command.answers]
        assert max(later - earlier for earlier, later in pairwise(times)) > 25
        assert isinstance(command.answers[-1][1], bytes)
        assert publisher.statuses[-1].consecutive_failures == 0
        assert publisher.readings[-1].values["energy_import"] > 0

    def test_a_meter_that_falls_silent_in_a_long_interval_is_an_error_for_the_command(self) -> None:
        command = Command(BT26, 400, from_poll=1)
        silent = {1: lambda meter: meter.faults.silence(40.0)}
        served(command, polls=2, interval=300.0, before_poll=silent)
        assert {NoAnswer, bytes} == {type(answer) for _, answer in command.answers}
        assert isinstance(command.answers[-1][1], bytes)

    def test_who_the_meter_is_is_remembered(self) -> None:
        command = Command(BT03, 0)
        served(command)
        assert sorted(part.name for part in command.known) == ["BT01", "ET03", "ET29"]
        assert command.known[Part("ET03", 2051, 0, 30)].startswith(b"4080123456")
