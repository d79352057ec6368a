"""The load profile and the sub-meters as who follows the guides finds them (OPG, pages 29 to 31)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nesgw.simulator.household import build

Make = Callable[..., Any]

BLOCK, HEADER, INTERVAL = 1841, 17, 19


def integers(data: bytes) -> list[int]:
    return [int.from_bytes(data[start : start + 4], "little", signed=True) for start in range(0, len(data), 4)]


def test_dimensions_are_those_of_the_worked_example(hand: Make) -> None:
    meter = hand().meter
    # 30 blocks, 96 intervals, 4 channels, 15 minutes; INT32 only; extended and simple status.
    assert meter.image(61)[4:13] == bytes.fromhex("00 0c 20 1e 00 60 00 04 0f")
    assert len(meter.image(61)) == 31
    assert meter.image(62)[:13] == bytes.fromhex("00 00 00 00 01 00 00 02 00 00 03 00 20")
    assert len(meter.image(64)) == 30 * BLOCK
    assert len(hand("gen3-3.10-demand").meter.image(61)) == 13  # one data set before 3.50


def test_the_newest_interval_is_where_the_recipe_looks_and_holds_the_registers_of_its_end(hand: Make) -> None:
    probe = hand()  # half past eight: 34 intervals of the day are over
    table = probe.meter.image(64)
    status, internal = probe.meter.image(63), probe.meter.image(2069)
    newest = int.from_bytes(status[3:5], "little")
    assert int.from_bytes(status[11:13], "little") == 34
    assert internal[8:10] == BLOCK.to_bytes(2, "little")
    assert internal[18:20] == status[3:5]
    assert internal[20:22] == (33).to_bytes(2, "little")
    assert internal[94:100] == bytes((26, 11, 20, 8, 30, 0))
    start = newest * BLOCK
    assert table[start : start + 5] == bytes((26, 11, 20, 8, 30))
    assert table[start + 5 : start + 17] == bytes.fromhex("ff ff ff ff 03 00 00 00 00 00 00 00")
    found = start + HEADER + 33 * INTERVAL
    truth = probe.meter.truth().summations
    assert integers(table[found + 3 : found + INTERVAL]) == [truth[0], truth[1], truth[2], truth[3]]


def test_yesterdays_block_is_complete_and_ends_at_midnight(hand: Make) -> None:
    meter = hand().meter
    newest = int.from_bytes(meter.image(63)[3:5], "little")
    start = (newest - 1) % 30 * BLOCK
    block = meter.image(64)[start : start + BLOCK]
    assert block[:5] == bytes((26, 11, 20, 0, 0))
    assert block[5:17] == b"\xff" * 12
    forward = [integers(block[HEADER + i * INTERVAL + 3 :][:4])[0] for i in range(96)]
    assert forward == sorted(forward)
    assert 1000 < forward[-1] - forward[0] < 30_000


def test_intervals_not_reached_yet_hold_stale_values_without_their_status_bit(hand: Make) -> None:
    meter = hand().meter
    newest = int.from_bytes(meter.image(63)[3:5], "little")
    start = newest * BLOCK + HEADER
    fresh = integers(meter.image(64)[start + 33 * INTERVAL + 3 :][:4])[0]
    stale = integers(meter.image(64)[start + 34 * INTERVAL + 3 :][:4])[0]
    assert 0 < stale < fresh - 100_000  # a month ago


def test_the_newest_block_stays_yesterdays_until_the_first_interval_is_over(hand: Make) -> None:
    meter = hand().meter
    at_midnight = meter.started + 15.5 * 3600
    before, after = meter.image(63, at_midnight + 600), meter.image(63, at_midnight + 900)
    assert int.from_bytes(before[11:13], "little") == 96
    assert int.from_bytes(after[11:13], "little") == 1
    assert int.from_bytes(after[5:9], "little") == int.from_bytes(before[5:9], "little") + 1


def test_intervals_can_be_marked(hand: Make) -> None:
    meter = hand(load_marks=((1, 34, "20 0a 00"), (1, 35, "04 44 40"))).meter
    newest = int.from_bytes(meter.image(63)[3:5], "little")
    start = (newest - 1) % 30 * BLOCK + HEADER
    table = meter.image(64)
    assert table[start + 34 * INTERVAL :][:3] == bytes.fromhex("20 0a 00")
    assert integers(table[start + 34 * INTERVAL + 3 :][:4])[0] > 0
    assert table[start + 35 * INTERVAL :][:19] == bytes.fromhex("04 44 40") + bytes(16)  # skipped: zeros


def test_a_read_only_key_may_not_open_the_internal_configuration(hand: Make) -> None:
    probe = hand(key_opens_all=False)
    probe.open()
    assert probe.ask(bytes.fromhex("3f 08 15 00 00 00 00 08")) == b"\x03"
    assert len(probe.read(63, 0, 13)) == 13


def test_a_sub_meter_shows_its_telegram(hand: Make) -> None:
    meter = hand("83331-3i-solar").meter
    assert meter.image(2059)[:10] == bytes.fromhex("05 42 24 05 06 05 02 01 03 f9")
    status = meter.image(2062)
    assert status[:6] == bytes.fromhex("00 00 00 00 00 07")
    assert status[6:12] == bytes.fromhex("01 00 01 04 29 00")  # handle 1, M-Bus up, 2400 baud, 41 bytes
    data = meter.image(2064)
    assert data[:6] == bytes((26, 11, 20, 9, 0, 0))  # the last full hour, local time
    assert data[6:41] == bytes.fromhex(
        "00 21 78 56 34 12 2d 2c 01 04 2a 00 00 00 04 06 39 30 00 00 04 13 15 cd 5b 00 02 5a 6c 02 02 5e 68 01 00"
    )
    assert len(data) == 5 * 517
    assert not any(hand().meter.image(2064))


def test_a_dump_can_be_played_back(hand: Make) -> None:
    probe = hand(images={0: b"zero", 1: b"one", 2051: b"serial", 23: bytes.fromhex("74 40 05 00 9f 1d 00 00")})
    probe.open()
    assert probe.read(23, 0, 8) == bytes.fromhex("74 40 05 00 9f 1d 00 00")
    assert probe.ask(bytes.fromhex("30 00 1c")) == b"\x05"


@pytest.mark.parametrize("first", [0, 4, 16, 17, 18, 35, 36, BLOCK - 1, BLOCK, 7 * BLOCK + 1000, 30 * BLOCK - 1])
@pytest.mark.parametrize("count", [1, 19, 256, 2 * BLOCK + 3])
def test_what_is_asked_for_is_the_same_as_in_the_whole(hand: Make, first: int, count: int) -> None:
    meter = hand().meter
    part = meter.table(64, meter.started, range(first, first + count))
    assert part[first : first + count] == meter.image(64)[first : first + count]
    assert len(part) == 30 * BLOCK


def test_a_small_read_reckons_the_hours_that_it_shows_and_no_month(hand: Make) -> None:
    meter = hand(seed=12_821).meter
    newest = int.from_bytes(meter.image(63)[3:5], "little")
    interval = newest * BLOCK + HEADER + 33 * INTERVAL
    before = build.cache_info().misses
    meter.table(64, meter.started, range(interval, interval + INTERVAL))
    assert build.cache_info().misses - before <= 2


def test_eight_houses_are_kept_side_by_side(hand: Make) -> None:
    meters = [hand(seed=20_000 + number).meter for number in range(8)]
    for meter in meters:
        meter.image(64)
    before = build.cache_info().misses
    for meter in meters:
        meter.image(64)
    assert build.cache_info().misses == before
