"""The beat of the polls and the pauses that grow."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nesgw.gateway.schedule import Backoff, Beat


def test_beats_stand_on_a_grid_that_no_late_poll_shifts() -> None:
    beat = Beat(start=100.0, interval=10.0)
    assert beat.after(99.0) == 100.0
    assert beat.after(100.0) == 110.0
    assert beat.after(103.9) == 110.0
    assert beat.after(110.0) == 120.0


def test_a_poll_that_overruns_skips_the_beats_it_covered() -> None:
    beat = Beat(start=0.0, interval=10.0)
    assert beat.after(34.0) == 40.0


def test_a_gap_leaves_a_fifth_of_the_interval_to_the_line() -> None:
    gap = Beat(start=0.0, interval=10.0).gap(3.0)
    assert gap.ends == 8.0
    assert gap.has_room(5.0, now=3.0)
    assert not gap.has_room(5.1, now=3.0)
    assert Beat(start=0.0, interval=1.0).gap(3.5).ends == 3.8
    assert gap.at_most(6.0).ends == 6.0
    assert gap.at_most(9.0) == gap


@given(st.floats(0, 1e7), st.sampled_from([1.0, 2.5, 10.0, 60.0, 3600.0]))
def test_the_next_beat_is_always_ahead_and_never_further_than_one_interval(now: Any, interval: Any) -> None:
    due = Beat(0.0, interval).after(now)
    assert now < due <= now + interval * (1 + 1e-9)


def test_pauses_double_up_to_the_longest_until_something_succeeds() -> None:
    backoff = Backoff(300.0, 3600.0)
    assert [backoff.pause() for _ in range(6)] == [300, 600, 1200, 2400, 3600, 3600]
    backoff.reset()
    assert backoff.pause() == 300
