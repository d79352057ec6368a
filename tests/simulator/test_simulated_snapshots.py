"""Snapshots, dimensions in one table and further load profile sets, against bytes written by hand."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.simulator import Truth
from nesgw.simulator.household import build
from nesgw.simulator.tables import TABLES

Make = Callable[..., Any]


def integers(data: bytes) -> list[int]:
    return [int.from_bytes(data[start : start + 4], "little", signed=True) for start in range(0, len(data), 4)]


def milliseconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp()) * 1000


def asked_for(meter: Any, table: int) -> list[int]:
    """The times of which a table wants to know the registers."""
    times = []
    then: Callable[[int], Truth] = meter._registers.then

    def spy(at: int) -> Truth:
        times.append(at)
        return then(at)

    meter._registers.then = spy
    meter.image(table)
    return times


def test_self_reads_are_of_each_month_and_numbered_where_there_are_demands(hand: Make) -> None:
    """47 months since January 2023; the newest of twelve stands at index 46 mod 12 = 10."""
    table = hand("gen4-4.30").meter.image(26)
    size = 2 + 6 + 1135
    assert len(table) == 6 + 12 * size
    assert table[:6] == bytes.fromhex("06 0c 0a 2f 00 0c")
    assert table[6 + 10 * size :][:9] == bytes.fromhex("2f 00 1a 0b 01 00 00 03 07")  # 7 demand resets
    assert table[6 + 9 * size :][:9] == bytes.fromhex("2e 00 1a 0a 01 00 00 02 07")
    assert table[6 + 11 * size :][:9] == bytes.fromhex("24 00 19 0c 01 00 00 03 07")  # the oldest


def test_without_demands_a_self_read_has_no_number_and_its_registers_grow_from_month_to_month(hand: Make) -> None:
    meter = hand("83331-3i-solar").meter
    table = meter.image(26)
    size = 6 + 220
    assert len(table) == 6 + 12 * size
    assert table[6 + 10 * size :][:6] == bytes.fromhex("1a 0b 01 00 00 03")
    in_order = [table[6 + index * size :][:size] for index in (11, *range(11))]
    totals = [integers(entry[6 : 6 + 220]) for entry in in_order] + [integers(meter.image(23))]
    for earlier, later in itertools.pairwise(totals):
        assert later[0] - earlier[0] > 20_000
        assert later[1] >= earlier[1]
        assert later[11] > earlier[11]  # tier 0
        assert later[22] > earlier[22]  # tier 1
    for registers in totals:
        assert registers[0] == registers[11] + registers[22]


def test_self_reads_are_taken_at_local_midnight(hand: Make) -> None:
    times = asked_for(hand().meter, 26)
    assert times[-1] == milliseconds("2026-10-31T23:00:00")
    assert times[-2] == milliseconds("2026-09-30T22:00:00")  # summer time
    assert len(times) == 12


def test_a_month_later_there_is_one_more(hand: Make) -> None:
    meter = hand().meter
    table = meter.image(26, meter.started + 20 * 86_400)
    assert table[:6] == bytes.fromhex("06 0c 0b 30 00 0c")
    assert table[6 + 11 * 226 :][:6] == bytes.fromhex("1a 0c 01 00 00 03")


def test_a_maximum_that_came_later_is_not_in_an_earlier_self_read(hand: Make) -> None:
    """Both maxima are of November 2026: the first of November knows neither, nor their coincidents."""
    entry = hand("gen4-4.30").meter.image(26)[6 + 10 * 1143 :][:1143]
    demands = entry[2 + 6 + 1 + 76 :]
    assert demands[:17] == bytes(5) + bytes.fromhex("50 14 00 00 50 14 00 00 00 00 00 00")
    assert demands[34:50] == bytes(16)


def test_the_previous_season_ended_with_september(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    assert asked_for(meter, 24) == [milliseconds("2026-09-30T22:00:00")]
    assert meter.image(24)[:7] == bytes.fromhex("1a 0a 01 00 00 02 07")
    assert len(meter.image(24)) == 6 + 1135
    bare = hand("gen4-4.30", season_reset_byte=False).meter
    assert len(bare.image(24)) == 6 + 1134
    assert bare.image(24)[6:] == meter.image(24)[7:]


def test_the_last_demand_reset_was_on_the_first_or_there_never_was_one(hand: Make) -> None:
    assert hand("gen4-4.30").meter.image(25)[:7] == bytes.fromhex("1a 0b 01 00 00 03 07")
    assert hand().meter.image(25) == bytes(226)


def test_the_interface_definition_of_a_generation_4_meter_byte_for_byte(hand: Make) -> None:
    assert hand("gen4-4.30").meter.image(2090) == bytes.fromhex("""
        9e 00 29 07 04 01 00 00
        2f 00 0f 0c 13 02 04 01 08 02 54 0f 01 7e 00
        31 07 00 00 1e 00 04 0f 13 00 60 00 00 00
        06 64 00 02
        00 00 00  00 00 00  00 00 00  00 00 00  18 0d 02  00 00 00  14 0c 00
        08 09  0c 0f 0c 0f
        00 00 01 00 02 00 03 00
        02  05 0c 14 00  09 0c 06 00
        07
        30 02 00 00 0e 00 05 3c 17 00 18 00 00 00  0f 00 10 00 11 00 08 00 09 00
        56 02 00 00 0c 00 04 54 13 00 1f 00 00 00  00 00 01 00 01 43 02 40
        d1 03 00 00 04 00 02 1e 0a 00 60 00 00 00  1d 00 28 00
        08 00 00 00 32 00 01 09
    """)


@pytest.mark.parametrize(
    ("profile", "length", "end"),
    [
        ("83331-3i", 80, "00 00 08 00 00 00 00 00 01 09"),
        ("ct", 80, "00 00 08 00 00 00 00 00 0a 09"),
        ("gen3-3.50", 72, "02 00 03 00 00 00"),  # no required section before 3.60
        ("gen3-3.01", 71, "02 00 03 00 00"),  # and only one data set before 3.50
    ],
)
def test_the_end_of_the_interface_definition(hand: Make, profile: str, length: int, end: str) -> None:
    table = hand(profile).meter.image(2090)
    assert len(table) == int.from_bytes(table[:2], "little") == length
    assert table.endswith(bytes.fromhex(end))


def test_a_meter_with_four_data_sets_says_so_everywhere(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    sets = "1e 00 60 00 {} 0f  0e 00 18 00 {} 3c  0c 00 1f 00 {} 54  04 00 60 00 {} 1e"
    assert meter.image(61) == bytes.fromhex("aa 21 01 00 00 0c 20" + sets.format("04", "05", "04", "02"))
    assert meter.image(60) == bytes.fromhex("aa 21 01 00 00 0c 20" + sets.format("10", "10", "10", "10"))
    assert meter.image(62) == bytes.fromhex("""
        00 00 00  00 01 00  00 02 00  00 03 00  20
        00 0f 00  00 10 00  00 11 00  00 08 00  00 09 00  20
        00 00 00  00 01 00  00 70 00  00 71 00  20
        00 1d 00  00 28 00  20
    """)
    assert [len(meter.image(number)) for number in (64, 65, 66, 67)] == [30 * 1841, 14 * 560, 12 * 598, 4 * 977]
    assert len(meter.image(63)) == 4 * 13
    internal = meter.image(2069)
    assert len(internal) == 4 * 131
    assert internal[131 + 8 : 131 + 14] == bytes.fromhex("30 02 00 00 08 00")
    assert internal[131 + 83 : 131 + 89] == bytes.fromhex("1a 0b 14 00 00 00")  # the block began at midnight
    assert internal[131 + 94 : 131 + 107] == bytes.fromhex("1a 0b 14 08 00 00 00 1a 0b 14 09 00 00")
    assert meter.image(2114) == bytes.fromhex("01 43 02 40") + bytes(124)
    assert meter.image(2105) == bytes.fromhex("05 0c 14 00 09 0c 06 00") + bytes(56)


def test_other_meters_have_the_first_data_set_alone(hand: Make) -> None:
    meter = hand().meter
    assert [meter.image(number) for number in (65, 66, 67)] == [None] * 3
    assert meter.image(60)[7:13] == bytes.fromhex("1e 00 60 00 10 0f")
    assert meter.image(2105) == bytes(64)


def newest_interval(meter: Any, number: int, block: int, header: int, interval: int) -> bytes:
    """By the recipe: the newest block of a set, and its last valid interval."""
    status = meter.image(63)[13 * number :][:13]
    start = int.from_bytes(status[3:5], "little") * block
    valid = int.from_bytes(status[11:13], "little")
    found = start + header + (valid - 1) * interval
    image: bytes = meter.image(64 + number)
    return image[start : start + 5] + image[found : found + interval]


def test_an_hourly_set_holds_present_values(hand: Make) -> None:
    found = newest_interval(hand("gen4-4.30").meter, 1, 560, 8, 23)
    assert found[:5] == bytes((26, 11, 20, 8, 0))
    assert found[5:8] == bytes.fromhex("20 00 00")  # the power failed at seven
    values = integers(found[8:])
    assert all(225_000 < value < 235_000 for value in values[:3])
    assert (values[3] == 0) != (values[4] == 0)


def test_a_daily_set_holds_the_sub_meters_counters_as_they_are(hand: Make) -> None:
    """Midnight was 8.5 hours ago: 350 and 38 a day less than written, by so much of a day."""
    meter = hand("gen4-4.30").meter
    found = newest_interval(meter, 2, 598, 9, 19)
    assert found[:5] == bytes((26, 11, 20, 0, 0))
    assert found[8 + 8 :] == bytes.fromhex("43 44 23 01 75 67 45 00")
    assert 0 < meter.truth().summations[0] - integers(found[8:12])[0] < 15_000


def test_a_set_of_tiers_adds_up_to_the_total(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    found = newest_interval(meter, 3, 977, 17, 10)
    assert found[:5] == bytes((26, 11, 20, 8, 30))
    assert sum(integers(found[7:])) == meter.truth().summations[0]


def statuses(meter: Any, now: float, intervals: range) -> list[str]:
    table = meter.image(64, now)
    start = int.from_bytes(meter.image(63, now)[3:5], "little") * 1841 + 17
    return [table[start + number * 19 :][:3].hex() for number in intervals]


def test_an_outage_marks_its_interval(hand: Make) -> None:
    meter = hand().meter  # the power failed from 7:00 to 7:02
    assert statuses(meter, meter.started, range(27, 30)) == ["000000", "200000", "000000"]


def test_summer_time_marks_every_interval(hand: Make) -> None:
    """It ended on 25 October at 1:00 UTC."""
    meter = hand(epoch=datetime.datetime(2026, 10, 25, 2, tzinfo=datetime.UTC)).meter
    seen = statuses(meter, meter.started, range(6))
    assert seen == ["100000", "100000", "300000", "000000", "000000", "000000"]  # the power failed at 0:30


def test_a_clock_that_is_set_marks_the_interval_it_was_set_in(hand: Make) -> None:
    meter = hand().meter
    meter.faults.set_clock(600.0)
    assert statuses(meter, meter.started + 400, range(33, 35)) == ["000000", "400000"]
    meter.faults.set_clock(-1200.0)  # to 8:20, in the interval that was complete
    assert meter.image(63)[11] == 33
    assert statuses(meter, meter.started + 3600, range(32, 36)) == ["000000", "800000", "c00000", "000000"]


def test_every_table_after_a_year_costs_no_more_than_the_households_patterns(hand: Make) -> None:
    meter = hand("gen4-4.30", seed=366).meter
    before = build.cache_info().misses
    for number in TABLES:
        assert meter.image(number, meter.started + 365 * 86_400) is not None or number in (15, 2048 + 51)
    assert build.cache_info().misses - before <= 96
