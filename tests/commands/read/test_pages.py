"""What nesgw read prints of the meter's logs: whose time it is, and what the numbers mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from nesgw.commands.read import pages
from nesgw.publishers import payloads
from nesgw.tables.clock import LocalClock
from nesgw.tables.event_log import Event
from nesgw.tables.outages import Outage
from nesgw.tables.self_reads import Snapshot


@pytest.fixture(autouse=True)
def _in_denmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Copenhagen")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


RESTORED = Event(20, datetime(2026, 11, 27, 20, 23, 20, tzinfo=UTC), 2, None, "0000", "BT74")
LOCAL = Outage(datetime(2026, 11, 27, 21, 21, 20), datetime(2026, 11, 27, 21, 23, 20), 120, None, "ET81", 10)


def test_an_event_has_its_words_and_its_number_and_this_machines_time() -> None:
    assert list(pages.log([RESTORED])) == [
        "time                 log       number  what",
        "2026-11-27 21:23:20  BT74          20  power restored (standard event 2)",
    ]


def test_a_time_of_the_meters_own_is_marked_wherever_it_stands() -> None:
    _, event, outage = pages.log([RESTORED, LOCAL])
    assert event.startswith("2026-11-27 21:23:20                 BT74")
    assert outage == (
        "2026-11-27 21:23:20 (meter's time)  ET81          10  outage of 2 min, "
        "since 2026-11-27 21:21:20 (meter's time)"
    )


def test_tiers_and_seasons_are_both_counted_from_one_in_json_too() -> None:
    tariff = LocalClock(None, False, 0, "calendar", 0, 3)
    assert pages._plain_tariff(tariff) == {"tier": 1, "by": "calendar", "season": 4}
    assert payloads.snapshot(Snapshot(datetime(2026, 11, 1, tzinfo=UTC), 3, {}))["season"] == 4
