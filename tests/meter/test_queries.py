"""What a meter is asked beside its values: the same questions whoever reads, as records, as lines and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nesgw.commands.read import pages
from nesgw.meter.profile import ask_identity, confirm, identify
from nesgw.meter.queries.clock import local_zone
from nesgw.meter.queries.events import event_logs, last_events, newest_event
from nesgw.meter.queries.everything import everything, last_log_entries
from nesgw.meter.queries.self_reads import last_self_reads
from nesgw.meter.reader import run
from nesgw.simulator import PROFILES
from nesgw.tables.alarms import AlarmTable
from nesgw.tables.event_log import Event
from nesgw.tables.outages import Outage
from nesgw.tables.query import Query
from nesgw.values import Firmware
from tests.virtual import line_to, reader_on

KEYS = ["clock", "tariff", "alarms", "demands", "sub_meters", "schedule", "outages", "events", "self_reads"]
ALARMS = AlarmTable.of(Firmware(3, 84), 9)


def asked(line: Any, query: Any) -> Any:
    with reader_on(line) as reader:
        return run(query(run(identify(), reader)), reader)


def all_of(line: Any) -> Any:
    return asked(line, lambda facts: everything(facts, None, lambda: datetime.now(UTC)))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_says_all_and_all_can_be_shown(profile: Any) -> None:
    found = all_of(line_to(profile))
    plain = pages.plain(found)
    assert list(plain) == KEYS
    assert found.remarks == ()
    assert json.loads(json.dumps(plain)) == plain, "plain values"
    lines = list(pages.everything(found, ALARMS))
    assert "Clock and tariff" in lines
    assert not any("None" in line or "{" in line for line in lines), lines


def test_sub_meters_and_demands_are_there() -> None:
    found = all_of(line_to("gen4-4.30"))
    assert [demand.channel.key for demand in found.demands] == ["power_import", "power_export"]
    sub_meters: Any = pages.plain(found)["sub_meters"]
    heat, water, gas = sub_meters
    assert (heat["manufacturer"], heat["serial"], heat["flow"], heat["units"]["flow"]) == (
        "LUG",
        "66112233",
        0.312,
        "m³/h",
    )
    assert (water["serial"], gas["conditions"]) == ("44556677", ["power_low"])


def test_a_schedule_of_the_sub_meters_is_there_in_words_and_without_the_customers_number() -> None:
    found = all_of(line_to("gen4-4.30"))
    lines = list(pages.everything(found, ALARMS))
    # By the profile: two meters that are read by the hour, a free channel, and one that is read each night at 0:05.
    hourly = "channel 1 hourly at minute 0, channel 2 hourly at minute 0"
    said = f"  the utility reads sub-meters: {hourly}, channel 4 daily at 00:05"
    assert lines[lines.index("Schedule of the sub-meters") + 1] == said
    plain: Any = pages.plain(found)["schedule"]
    assert [each["scheduled"] for each in plain] == [True, True, False, True]
    assert "CUSTOMER" not in json.dumps(plain)


def test_tariff_and_season_count_from_one_on_the_terminal_and_in_json() -> None:
    found = all_of(line_to("gen4-4.30"))
    plain: Any = pages.plain(found)
    (said,) = (line for line in pages.everything(found, ALARMS) if "Tariff in force" in line)
    assert f" {plain['tariff']['tier']}, " in said
    assert said.endswith(f"season {plain['tariff']['season']}")
    assert plain["tariff"]["season"] == found.tariff.season + 1
    assert plain["self_reads"]["self_read"]["season"] == found.self_reads.self_read.season + 1


def test_what_is_encrypted_says_so_and_has_no_values() -> None:
    lines = list(pages.everything(all_of(line_to("83331-3i-solar")), ALARMS))
    assert "  encrypted: the electricity meter has no key for it" in lines


@pytest.mark.parametrize("number", [52, 3, 70, 71, 74, 2048 + 11, 2048 + 36, 2048 + 9])
def test_a_table_that_is_kept_from_us_takes_nothing_else_with_it(number: Any) -> None:
    before = pages.plain(all_of(line_to("gen4-4.30")))
    found = all_of(line_to("gen4-4.30", locked_tables=frozenset({number})))
    after = pages.plain(found)
    lost = {key for key in KEYS if before[key] and not after[key]}
    expected = {52: {"clock"}, 3: {"alarms"}, 74: {"events"}, 2048 + 11: {"sub_meters", "schedule"}}
    assert lost == expected.get(number, set())
    list(pages.everything(found, ALARMS))


def test_the_newest_entries_of_all_logs_come_in_the_order_of_time() -> None:
    entries = asked(line_to("83331-3i"), lambda facts: last_log_entries(facts, 3, None))
    assert len(entries) == 3
    assert any(isinstance(entry, Outage) for entry in entries)
    all_entries = asked(line_to("83331-3i"), lambda facts: last_log_entries(facts, 1000, None))
    assert len(all_entries) > 3
    assert all_entries[-3:] != all_entries[:3]


def test_a_meter_without_bt71_has_its_events_by_the_maxima_of_bt70() -> None:
    line = line_to("83331-3i", locked_tables=frozenset({71}))
    with reader_on(line) as reader:
        facts = run(identify(), reader)
        assert facts.logs
        assert [log.name for log in run(event_logs(facts), reader)] == ["BT74"]
        events = run(last_events(facts, 5), reader)
        assert run(newest_event(facts), reader) == events[-1].sequence


def test_where_no_log_can_be_read_there_is_no_newest_event() -> None:
    line = line_to("83331-3i", locked_tables=frozenset({70, 71}))
    assert asked(line, newest_event) is None


def test_the_machines_zone_is_the_meters_if_their_clocks_agree() -> None:
    line = line_to("83331-3i")
    zones = [ZoneInfo(name) for name in ("Europe/Copenhagen", "Asia/Tokyo", "America/Los_Angeles", "UTC")]
    agreeing = [zone for zone in zones if asked(line, lambda facts, zone=zone: local_zone(facts, zone)) == zone]
    assert len(agreeing) == 1
    assert asked(line, lambda facts: local_zone(facts, None)) is None


def test_the_last_self_read_has_the_energy_that_the_meter_had_then() -> None:
    found = asked(line_to("gen4-4.30", key_opens_all=True), lambda facts: last_self_reads(facts, None))
    assert found.self_read is not None
    now = asked(line_to("gen4-4.30"), identify_values)
    assert 0 < found.self_read.values["energy_import"] < now["energy_import"]
    lines = list(pages.everything(all_of(line_to("gen4-4.30", key_opens_all=True)), ALARMS))
    assert any(line.startswith("  Last self-read") and "energy import" in line for line in lines)


def identify_values(facts: Any) -> Query[Any]:
    blocks = {}
    for part in facts.layout.reads:
        blocks[part.name] = yield part
    return facts.layout.decode(blocks)


class TestTheProfile:
    def test_who_it_is_takes_three_reads_and_no_more(self) -> None:
        line = line_to("83331-3i")
        with reader_on(line) as reader:
            identity = run(ask_identity(), reader)
            assert line.meter.counters.requests["partial_read"] + line.meter.counters.requests["read"] == 3
        assert (identity.id, identity.serial) == (line.meter.serial, line.meter.serial)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_what_is_identified_is_confirmed(self, profile: Any) -> None:
        with reader_on(line_to(profile)) as reader:
            run(confirm(run(identify(), reader)), reader)


class TestLines:
    def test_of_an_event_and_an_outage(self) -> None:
        event = Event(4711, datetime(2026, 11, 19, 22, 5, 9), 2050, 7, "0100", "BT74")
        began, ended = datetime(2026, 11, 20, 12, 44, 12), datetime(2026, 11, 20, 12, 46, 12)
        outage = Outage(began, ended, 119, "power_failure", "ET09", None)
        assert list(pages.log([event, outage])) == [
            "time                                log       number  what",
            "2026-11-19 22:05:09 (meter's time)  BT74        4711  manufacturer event 2050, by user 7, argument 0100",
            "2026-11-20 12:46:12 (meter's time)  ET09              outage of 119 s (power failure), "
            "since 2026-11-20 12:44:12 (meter's time)",
        ]

    def test_of_nothing(self) -> None:
        assert list(pages.log([])) == ["none"]
