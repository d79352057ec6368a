"""How well the probe sits: from what a person sees while turning it to the sentence that tells what to do."""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.commands.align.judge import Outcome, Seat, Window, outcome
from nesgw.optical.line_test import Attempt

CLEAN = Attempt(answered=True)
AFTER_NAK = Attempt(answered=True, naks=1)
SILENT = Attempt(answered=False)
ECHO = Attempt(answered=False, echoes=1, heard=9)
ECHO_WITH_DAMAGE = Attempt(answered=False, echoes=1, damaged=1, heard=9)
DAMAGED = Attempt(answered=False, damaged=1, heard=13)
SCRAPS = Attempt(answered=False, heard=5)  # the start byte of the answer was lost
NAK = Attempt(answered=False, naks=2, heard=2)
NOISE = Attempt(answered=False, heard=40, noise=30)
NOISE_LIKE_A_NAK = Attempt(answered=False, naks=1, heard=40, noise=30)

SLOW = Attempt(answered=False, slow=True, heard=1)
LATE = Attempt(answered=True, response=1.9)
GPS = Attempt(answered=False, heard=70, noise=70, strange=b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03\r\n")

SWAPPED = "transmitter and receiver are swapped: turn it by 180°"


def window(*beats: Any) -> Any:
    window = Window()
    for beat in beats:
        window.add(beat)
    return window


@pytest.mark.parametrize(
    ("beat", "shows"),
    [
        (CLEAN, Outcome.ANSWERED),
        (AFTER_NAK, Outcome.ANSWERED),
        (SILENT, Outcome.SILENT),
        (ECHO, Outcome.ECHO),
        (ECHO_WITH_DAMAGE, Outcome.ECHO),
        (DAMAGED, Outcome.DAMAGED),
        (SCRAPS, Outcome.DAMAGED),
        (NAK, Outcome.NAK),
        (NOISE, Outcome.SILENT),
        (SLOW, Outcome.SLOW),
    ],
)
def test_a_beat_shows_what_matters_most_in_it(beat: Any, shows: Any) -> None:
    assert outcome(beat) is shows


@pytest.mark.parametrize(
    ("beats", "seat"),
    [
        ([], Seat.UNKNOWN),
        ([CLEAN] * 3, Seat.UNKNOWN),
        ([SILENT] * 3, Seat.UNKNOWN),
        ([CLEAN] * 4, Seat.GOOD),
        ([CLEAN] * 19 + [SILENT], Seat.GOOD),
        ([CLEAN] * 18 + [SILENT] * 2, Seat.WEAK),
        ([CLEAN] * 18 + [AFTER_NAK] * 2, Seat.GOOD),
        ([CLEAN] * 16 + [AFTER_NAK] * 4, Seat.WEAK),
        ([CLEAN] + [SILENT] * 19, Seat.WEAK),
        ([DAMAGED] * 4, Seat.DAMAGED),
        ([SCRAPS, SILENT, SILENT, SILENT], Seat.DAMAGED),
        ([NAK, SILENT, SILENT, DAMAGED], Seat.DAMAGED),
        ([ECHO] * 4, Seat.ECHO),
        ([ECHO, SILENT, SILENT, SILENT], Seat.ECHO),
        ([ECHO] * 15 + [DAMAGED] * 5, Seat.ECHO),
        ([ECHO_WITH_DAMAGE] * 20, Seat.ECHO),
        ([SILENT] * 4, Seat.NOTHING),
        ([NOISE] * 15 + [NOISE_LIKE_A_NAK] * 5, Seat.NOTHING),
        ([SLOW] * 4, Seat.SLOW),
        ([SLOW, SLOW, LATE, LATE], Seat.GOOD),
        ([GPS] * 4, Seat.OTHER),
        ([GPS] * 19 + [CLEAN], Seat.WEAK),
    ],
)
def test_the_seat_follows_from_the_beats(beats: Any, seat: Any) -> None:
    assert window(*beats).seat is seat


def test_the_bar_is_full_when_all_is_answered_and_half_as_full_where_repetitions_were_needed() -> None:
    assert window(*[CLEAN] * 20).quality == 1.0
    assert window(*[CLEAN] * 10, *[SILENT] * 10).quality == 0.5
    assert window(*[CLEAN] * 10, *[Attempt(answered=True, naks=1, damaged=1)] * 10).quality == 0.75
    assert window().quality == 0.0


def test_the_nak_of_a_meter_that_shares_its_port_empties_no_bar() -> None:
    assert window(AFTER_NAK, *[CLEAN] * 3).quality == 1.0
    assert window(*[AFTER_NAK] * 20).quality == 1.0


def test_the_bar_follows_the_hand_and_remembers_the_best_place() -> None:
    turning = window(*[SILENT] * 20, *[CLEAN] * 20)
    assert (turning.quality, turning.best) == (1.0, 1.0)
    for _ in range(20):
        turning.add(SILENT)
    assert (turning.quality, turning.best, turning.total) == (0.0, 1.0, 60)


def test_a_few_good_beats_are_no_best_place_yet() -> None:
    assert window(*[CLEAN] * 19).best == 0.0


@pytest.mark.parametrize("beats", [[ECHO] * 20, [SILENT] * 20])
def test_only_echo_or_nothing_at_all_means_that_the_optics_are_swapped(beats: Any) -> None:
    assert window(*beats).advice[0].startswith(SWAPPED)


@pytest.mark.parametrize("beats", [[DAMAGED] * 20, [NAK] * 20, [CLEAN] * 20, [CLEAN] * 18 + [SILENT] * 2])
def test_a_meter_that_is_heard_is_not_called_swapped(beats: Any) -> None:
    assert not any("180°" in line for line in window(*beats).advice)


def test_a_swapped_probe_may_half_work_by_reflection_and_that_is_said() -> None:
    assert any("reflection: try it turned by 180°" in line for line in window(*[CLEAN] * 12, *[ECHO] * 8).advice)


def test_silence_names_the_other_causes_too() -> None:
    (_, others) = window(*[SILENT] * 20).advice
    assert "dtr = true" in others
    assert "ignores its port for five minutes" in others


@pytest.mark.parametrize("attempts", [[SLOW] * 20, [SLOW] * 2 + [LATE] * 18, [GPS] * 20])
def test_nobody_turns_a_probe_for_a_slow_meter_or_for_what_is_no_meter(attempts: Any) -> None:
    assert not any("turn" in line or "seat it" in line or "light" in line for line in window(*attempts).advice)


def test_a_slow_meter_is_said_to_be_slow() -> None:
    assert any("an answer takes 1.9 s" in line for line in window(*[LATE] * 4).advice)


def test_noise_is_a_remark_beside_whatever_else_there_is_to_say() -> None:
    seated = Attempt(answered=True, noise=3)
    good, noise = window(*[seated] * 5, *[CLEAN] * 15).advice
    assert good.startswith("the probe sits well")
    assert noise.startswith("bytes come with the probe idle: shade it")
    assert len(window(*[seated] * 4, *[CLEAN] * 16).advice) == 1


def test_the_counts_in_words() -> None:
    seen = window(CLEAN, AFTER_NAK, ECHO_WITH_DAMAGE, Attempt(answered=False, noise=7))
    assert str(seen) == "answered 2 of 4, NAK 1, CRC errors 1, echo 1, noise 7 bytes"
