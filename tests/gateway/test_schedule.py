"""The beat of the polls and the pauses that grow."""

from hypothesis import given
from hypothesis import strategies as st

from nesgw.gateway.schedule import Backoff, Beat


def test_beats_stand_on_a_grid_that_no_late_poll_shifts():
    beat = Beat(start=100.0, interval=10.0)
    assert beat.after(99.0) == 100.0
    assert beat.after(100.0) == 110.0
    assert beat.after(103.9) == 110.0
    assert beat.after(110.0) == 120.0


def test_a_poll_that_overruns_skips_the_beats_it_covered():
    beat = Beat(start=0.0, interval=10.0)
    assert beat.after(34.0, previous=10.0) == 40.0
    assert beat.missed == 2


@given(st.floats(0, 1e7), st.sampled_from([1.0, 2.5, 10.0, 60.0, 3600.0]))
def test_the_next_beat_is_always_ahead_and_never_further_than_one_interval(now, interval):
    due = Beat(0.0, interval).after(now)
    assert now < due <= now + interval * (1 + 1e-9)


def test_pauses_double_up_to_the_longest_until_something_succeeds():
    backoff = Backoff(300.0, 3600.0)
    assert [backoff.pause() for _ in range(6)] == [300, 600, 1200, 2400, 3600, 3600]
    backoff.reset()
    assert backoff.pause() == 300
