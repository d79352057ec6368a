"""Whose time is shown: this machine's, and the meter's own where its zone is another."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from nesgw.commands.read import pages
from nesgw.meter.zone import machine_zone
from nesgw.tables.outages import Outage

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "hours"),
    [("Europe/Copenhagen", 2), (":Europe/Vienna", 2), ("UTC", 0), ("", 0), ("/usr/share/zoneinfo/Asia/Tokyo", 9)],
)
def test_the_variable_tz_is_the_zone_as_for_every_other_program(
    name: str, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", name)
    zone = machine_zone()
    assert zone is not None
    offset = SUMMER.astimezone(zone).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 3600 * hours


@pytest.mark.parametrize("name", ["No/Where", "CET-1CEST", "/nonexistent", "../../etc/passwd", "\u20ac"])
def test_a_zone_that_is_none_is_not_made_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    assert machine_zone() is None


def test_the_meters_own_time_is_marked_as_such_in_a_table_of_local_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ours = datetime(2026, 11, 27, 20, 23, 20, tzinfo=UTC)
    theirs = datetime(2026, 11, 27, 21, 23, 20)
    entries = [outage(ours), outage(theirs)]
    heading, first, second = pages.log(entries)
    assert first.startswith("2026-11-27 20:23:20  ")
    assert second.startswith("2026-11-27 21:23:20 (meter's time) ")
    assert first.index("ET81") == second.index("ET81") == heading.index("log")


def outage(end: datetime) -> Outage:
    return Outage(start=end, end=end, duration_s=0, cause=None, log="ET81", sequence=1)
