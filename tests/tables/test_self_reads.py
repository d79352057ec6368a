"""BT24, BT25 and BT26: the registers as they stood."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved
from nesgw.publishers import payloads
from nesgw.tables.dimensions import BT20, Dimensions, decode_dimensions
from nesgw.tables.layout import Layout
from nesgw.tables.queues import NewEntries
from nesgw.tables.self_reads import (
    decode_self_reads,
    decode_snapshot,
    previous_demand_reset,
    previous_season,
    self_read_queue,
)
from nesgw.values import Firmware

# The guides' generation 4: reset count, two demands of 17 bytes, four coincidents, eight tiers (blocks of 126 bytes).
WITH_DEMANDS = decode_dimensions(bytes.fromhex("77 0e 0c 13 02 04 01 08 02 54"))
HOUSE = decode_dimensions(bytes.fromhex("03 0c 0c 0b 00 00 00 04 00 37"))

TOTALS = bytes.fromhex(
    "87 d6 12 00 c5 22 00 00 a0 5b 00 00 d2 1e 00 00 10 0e 00 00 04 00 00 00 4c f9 12 00 c2 b3 12 00"
    "00 00 00 00 00 00 00 00 00 00 00 00 20 4e 00 00 80 0d 00 00 57 04 00 00 7b 1a 00 00"
    "20 d6 13 00 28 23 00 00 00 00 00 00 00 00 00 00"
)
DEMANDS = bytes.fromhex(
    "1a 0b 03 12 0f 50 14 00 00 48 26 00 00 f8 11 00 00 1a 0b 09 0c 1e 36 01 00 00 6c 02 00 00 36 01 00 00"
    "08 52 00 00 7c 80 03 00 78 05 00 00 8c 8e 03 00"
)
TIERS = bytes.fromhex("a0 bb 0d 00").ljust(126, b"\0") + bytes.fromhex("e7 1a 05 00").ljust(126, b"\0") + bytes(6 * 126)
IMAGE = TOTALS + DEMANDS + TIERS  # behind the reset count
HOUSE_IMAGE = TOTALS[:44] + bytes(4 * 44)
VALUES = struct.pack("<84i", *([0] * 7 + [230_000] * 3 + [0, 50_000] + [0] * 72))
LAST_OF_OCTOBER = bytes.fromhex("1a 0a 1f 17 3b 03")  # 31 October 2026, 23:59, season 3


def layout(dimensions: Any, registers: Any, values: Any) -> Any:
    return Layout.build(dimensions, Firmware(4, 30), "little", registers=registers, values=values)


FULL = layout(WITH_DEMANDS, b"\x07" + IMAGE, bytes(14) + VALUES)
PLAIN = layout(HOUSE, HOUSE_IMAGE, VALUES[:220])


class TestPreviousDemandReset:
    part = previous_demand_reset(WITH_DEMANDS)

    def test_it_is_an_image_of_bt23_behind_a_date_and_the_season(self) -> None:
        assert self.part == ("BT25", 25, 0, 6 + 1135)
        snapshot = decode_snapshot(self.part, LAST_OF_OCTOBER + b"\x07" + IMAGE, WITH_DEMANDS, FULL)
        assert (snapshot.time, snapshot.season) == (datetime(2026, 10, 31, 23, 59), 3)
        assert snapshot.values["energy_import"] == 1234.567
        assert snapshot.values["energy_export"] == 8.901
        assert snapshot.values["outage_count"] == 4
        assert snapshot.values["apparent_energy_q1"] == 1300
        assert snapshot.values["energy_import_t1"] == 900
        assert snapshot.values["energy_import_t2"] == 334.567
        assert not [key for key in snapshot.values if key.startswith(("power", "voltage", "frequency"))]

    def test_the_time_is_local(self) -> None:
        data = LAST_OF_OCTOBER + b"\x07" + IMAGE
        snapshot = decode_snapshot(self.part, data, WITH_DEMANDS, FULL, ZoneInfo("Europe/Copenhagen"))
        assert snapshot.time == datetime(2026, 10, 31, 22, 59, tzinfo=UTC)
        assert payloads.snapshot(snapshot)["time"] == "2026-10-31T22:59:00Z"
        assert payloads.snapshot(snapshot)["energy_import"] == 1234.567

    def test_one_that_never_happened_is_none(self) -> None:
        assert decode_snapshot(self.part, bytes(1141), WITH_DEMANDS, FULL) is None

    def test_registers_in_another_place_are_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="no registers where"):
            decode_snapshot(self.part, LAST_OF_OCTOBER + IMAGE + b"\0", WITH_DEMANDS, FULL)


class TestPreviousSeason:
    part = previous_season(WITH_DEMANDS)

    @pytest.mark.parametrize("image", [b"\x07" + IMAGE, IMAGE + b"\0"])
    def test_it_is_read_with_and_without_the_reset_count(self, image: bytes) -> None:
        snapshot = decode_snapshot(self.part, LAST_OF_OCTOBER + image, WITH_DEMANDS, FULL)
        assert (snapshot.values["energy_import"], snapshot.values["energy_import_t2"]) == (1234.567, 334.567)

    def test_registers_too_small_to_tell_are_decided_by_their_sum(self) -> None:
        """A meter of a few watt-hours: both places hold possible energies."""
        image = bytes.fromhex("05 00 00 00  01 00 00 00").ljust(24, b"\0") + bytes.fromhex("06 00 00 00")
        for data in (b"\0" + image.ljust(1134, b"\0"), image.ljust(1135, b"\0")):
            snapshot = decode_snapshot(self.part, LAST_OF_OCTOBER + data, WITH_DEMANDS, FULL)
            assert (snapshot.values["energy_import"], snapshot.values["energy_total"]) == (0.005, 0.006)

    def test_a_meter_without_demands_has_no_such_count(self) -> None:
        part = previous_season(HOUSE)
        assert part == ("BT24", 24, 0, 226)
        snapshot = decode_snapshot(part, LAST_OF_OCTOBER + HOUSE_IMAGE, HOUSE, PLAIN)
        assert snapshot.values["energy_import"] == 1234.567
        assert set(snapshot.values) == set(PLAIN.fields) & set(snapshot.values)


class TestSelfReads:
    def test_with_demands_a_number_comes_before_the_date(self) -> None:
        queue = self_read_queue(WITH_DEMANDS)
        assert (queue.table, queue.capacity, queue.entry) == (26, 12, 2 + 6 + 1135)
        entry = bytes.fromhex("2a 00") + LAST_OF_OCTOBER + b"\x07" + IMAGE
        (snapshot,) = decode_self_reads(NewEntries(((9, entry),), 9), WITH_DEMANDS, FULL)
        assert (snapshot.sequence, snapshot.time.day, snapshot.season) == (9, 31, 3)
        assert snapshot.values["energy_import"] == 1234.567

    def test_without_demands_the_date_comes_first(self) -> None:
        queue = self_read_queue(HOUSE)
        assert queue.entry == 6 + 220
        assert queue.head == ("BT26", 26, 0, 6)
        found = NewEntries(((9, LAST_OF_OCTOBER + HOUSE_IMAGE), (10, LAST_OF_OCTOBER + HOUSE_IMAGE)), 10)
        first, second = decode_self_reads(found, HOUSE, PLAIN)
        assert (first.sequence, second.sequence) == (9, 10)
        assert second.values["energy_export"] == 8.901

    def test_a_sum_that_was_set_apart_is_no_reason_to_refuse(self) -> None:
        image = HOUSE_IMAGE[:24] + bytes(4) + HOUSE_IMAGE[28:]
        (snapshot,) = decode_self_reads(NewEntries(((9, LAST_OF_OCTOBER + image),), 9), HOUSE, PLAIN)
        assert (snapshot.values["energy_import"], snapshot.values["energy_total"]) == (1234.567, 0)

    def test_an_entry_that_begins_elsewhere_is_refused(self) -> None:
        entry = bytes.fromhex("2a 00") + LAST_OF_OCTOBER + HOUSE_IMAGE[:-2]
        with pytest.raises(MeterMisbehaved, match="entry 9"):
            decode_self_reads(NewEntries(((9, entry),), 9), HOUSE, PLAIN)

    def test_dimensions_that_are_only_maxima_do_not_tell_how_long_an_entry_is(self) -> None:
        assert self_read_queue(decode_dimensions(bytes.fromhex("3f 0e fd 0f 08 10 01 04 08 1a"), BT20)) is None


@given(st.binary(max_size=300), st.sampled_from([(WITH_DEMANDS, FULL), (HOUSE, PLAIN)]))
def test_any_bytes_are_a_snapshot_or_refused_by_name(data: bytes, meter: tuple[Dimensions, Layout]) -> None:
    dimensions, its_layout = meter
    for part in (previous_season(dimensions), previous_demand_reset(dimensions)):
        with suppress(MeterMisbehaved):
            decode_snapshot(part, data, dimensions, its_layout)
        with suppress(MeterMisbehaved):
            snapshot = decode_snapshot(part, LAST_OF_OCTOBER + (data * 1200)[: part.size], dimensions, its_layout)
            json.dumps(payloads.snapshot(snapshot))
    entry = (LAST_OF_OCTOBER + data * 1200)[: self_read_queue(dimensions).entry]
    with suppress(MeterMisbehaved):
        decode_self_reads(NewEntries(((1, entry),), 1), dimensions, its_layout)
