"""Which zone is this machine's."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nesgw.meter.zone import machine_zone

SUMMER = datetime(2026, 7, 1)


@pytest.mark.parametrize("name", ["Europe/Vienna", ":Europe/Vienna"])
def test_tz_names_it_as_in_containers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    assert machine_zone() == ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize("name", ["CET-1CEST", "Nowhere/Atall", "../etc/passwd"])
def test_a_tz_that_names_no_zone_is_no_zone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    assert machine_zone() is None


@pytest.mark.parametrize("name", ["", None])
def test_without_it_the_system_says(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    if name is not None:
        monkeypatch.setenv("TZ", name)
    zone = machine_zone()
    assert zone is None or isinstance(SUMMER.replace(tzinfo=zone).utcoffset(), timedelta)
