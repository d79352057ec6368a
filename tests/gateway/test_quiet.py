"""The window that leaves the port to the utility: nothing is sent in it, and polls go on behind it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nesgw.config.settings import QuietWindow
from nesgw.gateway.quiet import QuietTime
from tests.virtual import line_to, work

NIGHT = QuietWindow(time(2, 5), time(2, 15))


@pytest.mark.parametrize(
    ("now", "open_until"),
    [("02:04:54", None), ("02:04:55", "02:15"), ("02:05:00", "02:15"), ("02:14:59", "02:15"), ("02:15:00", None)],
)
def test_it_begins_five_seconds_early_so_that_no_poll_reaches_into_it(now: str, open_until: str | None) -> None:
    moment = datetime.combine(datetime(2026, 11, 20), time.fromisoformat(now))
    obstacle = QuietTime(NIGHT, lambda: moment).obstacle()
    assert (obstacle and obstacle.facts["until"]) == open_until


def test_without_a_window_there_is_no_obstacle() -> None:
    assert QuietTime(None, lambda: datetime(2026, 11, 20, 2, 10)).obstacle() is None


@pytest.mark.parametrize(
    ("now", "left"), [("23:49:00", 60.0), ("23:50:00", 0.0), ("00:09:59", 0.0), ("00:10:00", 85_200.0)]
)
def test_over_midnight_it_opens_once_a_day(now: str, left: float) -> None:
    window = QuietWindow(time(23, 50), time(0, 10))
    moment = datetime.combine(datetime(2026, 11, 20), time.fromisoformat(now))
    assert QuietTime(window, lambda: moment).seconds_left() == left


@pytest.mark.parametrize(
    ("begin", "now", "left"),
    [
        ((3, 5), "2026-03-29T01:59:30+01:00", 330.0),  # set forward from 2 to 3
        ((2, 30), "2026-10-25T02:50:00+02:00", 2400.0),  # set back from 3 to 2: 2:30 comes twice
        ((2, 30), "2026-10-25T02:50:00+01:00", 85_200.0),
        ((2, 30), "2026-10-25T01:50:00+02:00", 2400.0),
    ],
)
def test_over_a_change_of_the_clock_it_opens_when_the_local_clock_says_so(
    begin: tuple[int, int], now: str, left: float
) -> None:
    moment = datetime.fromisoformat(now)
    window = QuietWindow(time(*begin), time(begin[0], begin[1] + 10))
    assert QuietTime(window, lambda: moment, ZoneInfo("Europe/Copenhagen")).seconds_left() == left


@pytest.mark.parametrize("interface", ["optical", "mep"])
@pytest.mark.parametrize("interval", [300.0, 3600.0])
def test_nothing_that_follows_a_poll_reaches_into_it(interface: str, interval: float) -> None:
    """Behind the first poll, logs and months of history are read: for 45 s, if the interval has room for that."""
    line: Any = line_to(interface=interface)
    begin, start = line.clock(), datetime(2026, 11, 20, 2, 4, 30, tzinfo=UTC)
    sent: list[time] = []
    send: Any = line.write

    def now() -> datetime:
        return start + timedelta(seconds=line.clock() - begin)

    def write(data: bytes) -> None:
        sent.append(now().time())
        send(data)

    line.write = write
    _, publisher = work(line, polls=3, interval=interval, quiet=NIGHT, wall_clock=now)
    assert not [moment for moment in sent if time(2, 5) <= moment < time(2, 15)]
    assert publisher.readings
    assert publisher.statuses[-1].failures == {}


@pytest.mark.expects_warnings("^no reading for 30 s: the meter is unavailable$")
def test_a_meter_is_left_alone_in_it_and_read_again_behind_it() -> None:
    line = line_to()
    begin, midnight = line.clock(), datetime(2026, 11, 20, 2, 4, tzinfo=UTC)
    now = lambda: midnight + timedelta(seconds=line.clock() - begin)  # noqa: E731
    worker, publisher = work(line, polls=20, session="keep-open", quiet=NIGHT, wall_clock=now)
    times = [(midnight + timedelta(seconds=at - begin)).time() for at in publisher.times]
    assert not [moment for moment in times if time(2, 5) <= moment < time(2, 15)]
    assert any(moment < time(2, 5) for moment in times)
    assert any(time(2, 15) <= moment < time(2, 15, 20) for moment in times)
    assert worker.status.failures == {}
    quiet = [status.notice for status in publisher.statuses if status.notice]
    assert quiet == ["the meter's port is left to the utility until 02:15 (quiet)"] * len(quiet)
    assert quiet
