"""The same meter read at its optical port and at its MEP port: to all that is above a link they are one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nesgw.commands.history.rows import kept_set
from nesgw.errors import NoLoadProfile
from nesgw.meter.meter import Meter
from nesgw.meter.queries.everything import everything
from nesgw.meter.reader import run, step
from nesgw.publishers import payloads
from nesgw.simulator import PROFILES, SimulatedMeter
from nesgw.simulator.tables.registry import TABLES
from nesgw.tables.load_profile import ProfileReading
from tests.virtual import VirtualMepPort, VirtualPort, line_to, meter_on

NOW = datetime(2026, 11, 20, 10, 21, 5, tzinfo=UTC)


def standing_still(profile: str) -> SimulatedMeter:
    """A meter whose tables do not change while they are read."""
    moving = SimulatedMeter(profile, clock=lambda: 1_000_000.0, epoch=NOW)
    images = {number: image for number in TABLES if (image := moving.image(number)) is not None}
    return SimulatedMeter(profile, clock=lambda: 1_000_000.0, images=images)


def meter_at(interface: str, profile: str, **manners: Any) -> Meter:
    still = standing_still(profile)
    line = VirtualMepPort(still, **manners) if interface == "mep" else VirtualPort(still)
    return meter_on(line, wall_clock=lambda: NOW)


@pytest.mark.parametrize("past_end", ["zeros", "short", "refused"])
@pytest.mark.parametrize("profile", PROFILES)
def test_both_give_the_same_identity_fields_and_state_object(profile: str, past_end: str) -> None:
    found = []
    for interface, manners in (("optical", {}), ("mep", {"past_end": past_end})):
        meter = meter_at(interface, profile, **manners)
        with meter.session(2_000_000.0):
            facts = meter.facts()
            found.append((facts.identity, facts.layout.fields, payloads.state(meter.reading())))
        meter.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("profile", PROFILES)
def test_all_else_that_can_be_asked_is_answered_alike_but_for_the_alarms(profile: str) -> None:
    """BT03 is not among what the MEP port offers."""
    found = []
    for interface in ("optical", "mep"):
        meter = meter_at(interface, profile)
        with meter.session(2_000_000.0):
            all_else = run(everything(meter.facts(), UTC, lambda: NOW), meter)
        meter.close()
        assert interface == "optical" or all_else.alarms is None
        found.append(replace(all_else, alarms=None))
    assert found[0] == found[1]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_load_profile_is_the_same(profile: str) -> None:
    found = []
    for interface in ("optical", "mep"):
        meter = meter_at(interface, profile)
        with meter.session(2_000_000.0):
            found.append(intervals(meter))
        meter.close()
    assert found[0] == found[1]
    assert found[0] or profile not in ("83331-3i", "gen4-4.30")


def intervals(meter: Meter) -> list[object]:
    """The intervals of the last six hours; none where the meter keeps no load profile."""
    facts = meter.facts()
    try:
        kept = run(kept_set(facts, None), meter)
    except NoLoadProfile:
        return []
    reading = ProfileReading(kept.profile, facts.general.byteorder, NOW - timedelta(hours=6), NOW, now=NOW)
    while reading.wanted is not None:
        step(reading, meter)
    return list(reading.intervals)


@pytest.mark.parametrize("manner", ["short", "refused"])
def test_a_register_of_which_not_every_byte_came_is_null_and_never_zero(
    manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BT23 ends behind 13 bytes: its dimensions promise eleven registers, of which three came, and a byte more."""
    line = line_to(interface="mep", manners={"past_end": manner})
    meter = meter_on(line)
    with meter.session(line.clock() + 60):
        before = meter.reading().values
    table = line.meter.table

    def shorter(number: int, *of_what: Any) -> Any:
        found = table(number, *of_what)
        return found[:13] if number == 23 and isinstance(found, bytes) else found

    monkeypatch.setattr(line.meter, "table", shorter)
    with meter.session(line.clock() + 60):
        values = meter.reading().values
    assert values.keys() == before.keys()
    assert values["energy_import"] == pytest.approx(before["energy_import"], abs=0.1)
    assert {values[key] for key in ("reactive_energy_export", "outage_count", "energy_total", "energy_net")} == {None}
    assert values["power_import"] is not None
