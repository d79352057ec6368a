"""The line test against the simulated meter in virtual time: steady attempts, whatever the light does."""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.commands.align.judge import Seat, Window
from nesgw.optical.client import MeterClient
from nesgw.optical.line_test import Attempt, LineTest
from nesgw.simulator import State
from tests.virtual import VirtualPort, line_to

PERIOD = 0.4


def line_test_on(line: VirtualPort) -> LineTest:
    return LineTest(line, clock=line.clock, sleep=line.sleep)


def turned(line: VirtualPort, beats: int = 20) -> Any:
    """The window after so many beats."""
    line_test, window = line_test_on(line), Window()
    for _ in range(beats):
        window.add(line_test.attempt(PERIOD))
    return window


def test_a_good_seat_is_answered_on_a_steady_beat_and_leaves_the_channel_closed() -> None:
    line = line_to()
    started = line.clock()
    window = turned(line, 10)
    assert window.attempts == (Attempt(answered=True, heard=14),) * 10  # ACK and a packet of 5 bytes: 1 + 8 + 5
    assert line.clock() - started == pytest.approx(10 * PERIOD)
    assert line.meter.state is State.BASE
    assert line.meter.counters.requests == {"identify": 10, "terminate": 10}
    assert line.meter.counters.refusals == {}


def test_the_bar_empties_as_the_light_fades() -> None:
    qualities = []
    for loss in (0, 0.005, 0.02, 0.08, 0.4):
        line = line_to()
        line.meter.faults.noise(drop=loss, corrupt=loss)
        qualities.append(turned(line, 20).quality)
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] == 1.0
    assert 0.2 < qualities[2] < 0.9
    assert qualities[-1] == 0.0


def test_light_that_is_lost_on_the_way_to_the_meter_alone_or_back_alone_is_no_swapped_probe() -> None:
    for direction in ("to_meter", "to_client"):
        line = line_to()
        line.meter.faults.noise(corrupt=0.15, direction=direction)
        assert turned(line).seat in (Seat.WEAK, Seat.DAMAGED), direction


def test_a_swapped_probe_that_sees_its_own_light() -> None:
    line = line_to()
    line.meter.faults.deaf()
    line.meter.faults.echo()
    window = turned(line, 10)
    assert window.seat is Seat.ECHO
    assert all(beat == Attempt(answered=False, echoes=1, heard=9) for beat in window.attempts)


def test_a_swapped_probe_that_sees_nothing() -> None:
    line = line_to()
    line.meter.faults.deaf()
    window = turned(line, 10)
    assert window.seat is Seat.NOTHING
    assert set(window.attempts) == {Attempt(answered=False)}


def test_silence_does_not_stop_the_bar() -> None:
    line = line_to()
    line.meter.faults.deaf()
    started = line.clock()
    turned(line, 10)
    assert line.clock() - started < 10 * 0.7


def test_echo_beside_the_answers_is_seen_and_is_no_noise() -> None:
    line = line_to()
    line.meter.faults.echo()
    window = turned(line, 10)
    assert window.seat is Seat.GOOD
    assert all(beat.echoes and not beat.noise for beat in window.attempts)


def test_ambient_light_is_noise_and_hides_neither_a_good_seat_nor_a_swapped_probe() -> None:
    line = line_to()
    line.meter.faults.flood(60, rate=20)
    window = turned(line)
    assert window.seat in (Seat.GOOD, Seat.WEAK)
    assert sum(beat.noise for beat in window.attempts) > 40
    line = line_to()
    line.meter.faults.deaf()
    line.meter.faults.flood(60, rate=200)
    assert turned(line).seat is Seat.NOTHING


@pytest.mark.parametrize(
    "sharing",
    [
        {"mep_first_packet": "nak"},
        {"mep_first_packet": "nak", "mep_idle": 0.1},
        {"mep_first_packet": "swallow"},
    ],
)
def test_a_meter_that_shares_its_port_loses_the_first_packet_and_sits_well_all_the_same(
    sharing: dict[str, float | str] | dict[str, str],
) -> None:
    assert turned(line_to(**sharing)).seat is Seat.GOOD


def test_a_channel_that_another_program_left_open_costs_one_beat_and_not_six_seconds() -> None:
    line = line_to()
    # Its very packet is what the meter takes our first one for (trap 2).
    MeterClient(line, clock=line.clock, sleep=line.sleep).identify()
    started = line.clock()
    window = turned(line, 4)
    assert [beat.answered for beat in window.attempts][1:] == [True] * 3
    assert line.clock() - started < 3


def test_a_channel_that_a_lost_terminate_left_open_is_an_answer_too() -> None:
    line = line_to()
    line_test = line_test_on(line)
    answered = [line_test.attempt(PERIOD).answered]
    line.meter.session.state = State.ID
    answered += [line_test.attempt(PERIOD).answered for _ in range(3)]
    assert answered == [True] * 4
    assert line.meter.counters.refusals["isss"] == 1


def test_a_slow_meter_is_not_called_silent() -> None:
    line = line_to(answer_delay=0.7)
    window = turned(line)
    assert sum(beat.answered for beat in window.attempts) == 20


@pytest.mark.parametrize("delay", [1.2, 1.9, 4.0])
def test_a_meter_that_takes_its_time_as_it_may_is_called_slow_and_its_probe_is_left_alone(delay: float) -> None:
    window = turned(line_to(answer_delay=delay), 6)
    assert window.seat in (Seat.GOOD, Seat.SLOW)
    assert any(f"an answer takes {delay:.1f} s" in line for line in window.advice)
    assert not any("turn" in line or "seat it" in line for line in window.advice)


def test_a_meter_that_acknowledges_and_never_answers_is_no_weak_light() -> None:
    line = line_to(answer_delay=60.0)
    window = turned(line, 6)
    assert window.seat is Seat.SLOW
    assert not any("turn" in text for text in window.advice)


def test_a_part_of_a_packet_does_not_make_the_meter_swallow_the_next_ones() -> None:
    line = line_to()
    line.write(bytes.fromhex("ee0000000030"))  # the head of a packet of 48 bytes, which never come
    answered = [beat.answered for beat in turned(line, 4).attempts]
    assert answered.count(True) >= 2
    assert answered[-2:] == [True, True]


def test_a_hand_that_covers_the_light_for_a_while_is_followed_at_once() -> None:
    line = line_to()
    line_test = line_test_on(line)
    assert line_test.attempt(PERIOD).answered
    line.meter.faults.deaf()
    assert not any(line_test.attempt(PERIOD).answered for _ in range(5))
    line.meter.faults.clear()
    assert all(line_test.attempt(PERIOD).answered for _ in range(5))
