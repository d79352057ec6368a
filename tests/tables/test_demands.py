"""Maximum demands, against bytes written by hand: a meter of generation 4 with two demands and four coincidents."""

from __future__ import annotations

from datetime import datetime

from nesgw.publishers import payloads
from nesgw.tables.demands import decode_demands, demand_records, demand_sources
from nesgw.tables.dimensions import decode_dimensions
from nesgw.tables.installation import Installation
from nesgw.tables.load_profile import decode_channels
from nesgw.values import Firmware

BT21 = bytes.fromhex("77 0e 0c 13 02 04 01 08 02 54")
RECORDS = bytes.fromhex(
    "1a 0b 03 12 0f 50 14 00 00 48 26 00 00 f8 11 00 00 1a 0b 09 0c 1e 36 01 00 00 6c 02 00 00 36 01 00 00"
)


def test_where_they_stand() -> None:
    dimensions = decode_dimensions(BT21)
    assert demand_sources(dimensions)[1:] == (22, 19, 2)
    assert demand_records(dimensions)[1:] == (23, 77, 34)


def test_each_has_its_time_its_sums_and_its_maximum() -> None:
    channels = decode_channels((8, 9), Firmware(4, 30), Installation())
    imported, exported = decode_demands(RECORDS, decode_dimensions(BT21), channels, "little")
    assert (imported.channel.key, exported.channel.key) == ("power_import", "power_export")
    assert (imported.value, imported.cumulative, imported.continuous) == (4600, 5200, 9800)
    assert imported.time == datetime(2026, 11, 3, 18, 15)
    assert (exported.value, exported.cumulative, exported.continuous) == (310, 310, 620)
    assert payloads.maximum_demand(exported) == {
        "field": "power_export",
        "value": 310,
        "unit": "W",
        "time": "2026-11-09T12:30:00",
        "cumulative": 310,
        "continuous_cumulative": 620,
    }


def test_parts_that_are_not_kept_take_no_space() -> None:
    bare = decode_dimensions(bytes.fromhex("01 0e 0c 0b 01 00 01 04 00 37"))
    assert demand_records(bare)[1:] == (23, 44, 4)
    (demand,) = decode_demands(b"\xf8\x11\0\0", bare, decode_channels((8,), Firmware(3, 84), Installation()), "little")
    assert (demand.value, demand.time, demand.cumulative, demand.continuous) == (4600, None, None, None)
