"""Table images against bytes written by hand from the guides' layouts and examples worked by hand from them."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.simulator import PROFILES, Truth
from nesgw.simulator.logbook import Event, Log
from nesgw.simulator.profiles import Demand
from nesgw.simulator.tables import TABLES, Moment

Make = Callable[..., Any]

AT = int(datetime.datetime(2026, 11, 20, 8, 30, tzinfo=datetime.UTC).timestamp()) * 1000

EXAMPLE_23 = bytes.fromhex("""
07
87 d6 12 00 c5 22 00 00 a0 5b 00 00 d2 1e 00 00 10 0e 00 00 04 00 00 00 4c f9 12 00 c2 b3 12 00
00 00 00 00 00 00 00 00 00 00 00 00 20 4e 00 00 80 0d 00 00 57 04 00 00 7b 1a 00 00
20 d6 13 00 28 23 00 00 00 00 00 00 00 00 00 00
1a 0b 03 12 0f 50 14 00 00 48 26 00 00 f8 11 00 00
1a 0b 09 0c 1e 36 01 00 00 6c 02 00 00 36 01 00 00
08 52 00 00 7c 80 03 00 78 05 00 00 8c 8e 03 00
""")
EXAMPLE_28 = bytes.fromhex("""
00 07 1e 04 10 00 00   00 07 1e 00 00 00 00
96 0a 00 00 00 00 00 00 00 00 00 00 39 02 00 00 f8 0c 00 00 dc 0c 00 00 90 19 00 00
27 70 03 00 ef 6f 03 00 76 70 03 00
""")


def example_truth() -> Truth:
    """Section 14.4's meter, number by number."""
    numbers = [1_234_567, 8_901, 23_456, 7_890, 3_600, 4, 1_243_468, 1_225_666, 0, 0, 0]
    numbers += [20_000, 3_456, 1_111, 6_779, 1_300_000, 9_000, 0, 0]
    nothing = dict.fromkeys(range(19), 0)
    profile = PROFILES["gen4-4.30"]
    present = dict.fromkeys(range(84), 0)
    present |= {0: 2710, 3: 569, 4: 3320, 5: 3292, 6: 6544, 7: 225_319, 8: 225_263, 9: 225_398, 11: 50_012}
    present |= {75: 12_003, 76: 11_998, 77: 11_999}
    return Truth(
        summations=dict(enumerate(numbers)),
        tiers=(nothing | {0: 900_000}, nothing | {0: 334_567}, *([nothing] * 6)),
        present=present,
        reset_count=7,
        demands=profile.demands,
        coincidents=profile.coincidents,
        present_demands=(4100, 0),
        time_left=450,
    )


def moment(profile: str = "gen4-4.30", **changes: Any) -> Moment:
    """A moment of that meter at 2026-11-20 08:30 UTC."""
    plain = Moment(PROFILES[profile], AT, 1, example_truth(), "5120100001", bytes(13), lambda _: example_truth(), AT)
    return dataclasses.replace(plain, **changes)


def image(number: int, now: Moment) -> bytes:
    built = TABLES[number](now)
    assert built is not None
    return built


def test_dimensions_and_sources_of_the_synthetic_generation_4_meter() -> None:
    assert image(21, moment()) == bytes.fromhex("77 0e 0c 13 02 04 01 08 02 54")
    assert image(22, moment()) == bytes.fromhex(
        "00 01 02 03 04 05 06 07 1a 1b 1c 6c 6d 6e 6f f5 f6 f7 f8 08 09 03 0c 0f 0c 0f 00 00 01 01"
    )


def test_registers_of_the_synthetic_generation_4_meter() -> None:
    table = image(23, moment())
    assert len(table) == 1135
    assert table[:127] == EXAMPLE_23
    assert table[127:131] == bytes.fromhex("a0 bb 0d 00")
    assert table[253:257] == bytes.fromhex("e7 1a 05 00")


def test_present_values_of_the_synthetic_generation_4_meter() -> None:
    table = image(28, moment())
    assert len(table) == 350
    assert table[:54] == EXAMPLE_28
    assert table[58:62] == (50_012).to_bytes(4, "little")
    assert table[314:326] == bytes.fromhex("e3 2e 00 00 de 2e 00 00 df 2e 00 00")


def test_the_guides_own_dimensions_and_what_follows_from_them(hand: Make) -> None:
    probe = hand("gen3-3.10-demand")
    assert probe.meter.image(20) == bytes.fromhex("3f 0e fd 0f 08 10 01 04 08 1a")
    assert probe.meter.image(21) == bytes.fromhex("3f 0e 0c 0f 08 00 01 04 08 1a")
    # A block: 15 summations, 8 demands of 5 + 4 + 4 + 4 bytes; a reset byte, totals and four tiers.
    assert len(probe.meter.image(23)) == 1 + 5 * (60 + 8 * 17) == 981
    assert len(probe.meter.image(28)) == 8 * 4 + 26 * 4
    assert len(probe.meter.image(22)) == 15 + 8 + 1
    assert probe.meter.image(27)[:12] == bytes((88, 89, 90, 91, 92, 93, 94, 95, 8, 9, 10, 11))


@pytest.mark.parametrize(
    ("profile", "bt23", "bt28"),
    [
        ("83331-3i", 220, 220),  # as three real meters answer
        ("83331-3i-solar", 220, 220),
        ("single-phase", 220, 220),
        ("ct", 4 * 11 * 9, 220),
        ("gen2-2.01", 4 * 15 * 5, 18 * 4),
        ("gen2-2.10", 220, 18 * 4),
        ("gen3-2.12", 220, 22 * 4),
        ("gen3-3.01", 220, 22 * 4),
        ("gen3-3.50", 220, 164),
        ("gen4-4.30", 1135, 350),
    ],
)
def test_lengths_of_the_register_tables(hand: Make, profile: str, bt23: int, bt28: int) -> None:
    meter = hand(profile).meter
    assert (len(meter.image(23)), len(meter.image(28))) == (bt23, bt28)


@pytest.mark.parametrize(
    ("profile", "absent"),
    [
        ("gen2-2.01", {15, 21, 22, 27, 71}),
        ("gen3-2.12", {15, 22, 27}),
        ("gen3-3.50", {15}),
        ("83331-3i", {15}),
        ("ct", set()),
    ],
)
def test_tables_that_a_firmware_does_not_have(hand: Make, profile: str, absent: set[int]) -> None:
    meter = hand(profile).meter
    assert {number for number in (15, 20, 21, 22, 23, 27, 28, 71, 74) if meter.image(number) is None} == absent


@pytest.mark.parametrize(
    ("firmware", "packed"),
    [
        ((3, 84, 6), "3a 86"),
        ((4, 30, 1), "43 c1"),
        ((4, 30, 12), "43 cc"),
        ((2, 12, 3), "21 83"),
        ((3, 10, 21), "31 55"),
    ],
)
def test_firmware_versions_are_packed_high_byte_first(firmware: tuple[int, int, int], packed: str) -> None:
    profile = dataclasses.replace(PROFILES["83331-3i"], firmware=firmware)
    table = image(1, dataclasses.replace(moment(), profile=profile))
    assert table[:4] == b"ELON"
    assert table[4:12] == b"83331-3I"
    assert table[14:16] == bytes.fromhex(packed)
    assert table[16:] == bytes.fromhex("00 00 00 00 12 34 56 78")


def test_the_general_configuration_says_how_to_decode_the_rest(hand: Make) -> None:
    table = hand("83331-3i").meter.image(0)
    assert table[:19] == bytes.fromhex("02 2a 88 45 4c 4f 4e 02 00 ff 0c 01 00 0a 0d 02 0c 09 03")
    assert hand("gen4-4.30").meter.image(0)[3:7] == b"NES\0"
    assert hand("gen4-4.30").meter.image(0)[14] == 20
    assert hand("gen2-2.01").meter.image(0)[17] == 4


def test_alarms_keep_their_bytes_and_end_where_the_general_configuration_says() -> None:
    alarms = bytes.fromhex("01 00 0a 00 08 02 02 10 00 00 00 00 00")
    assert image(3, moment(alarms=alarms)) == alarms
    assert image(3, moment("gen2-2.01", alarms=alarms)) == alarms[:8]


def test_the_clocks() -> None:
    assert image(52, moment()) == bytes.fromhex("1a 0b 14 08 1e 00 15")
    assert image(55, moment()) == bytes.fromhex("1a 0b 14 09 1e 00 25 01 30")


def test_the_local_clock_lags_by_its_seconds_and_knows_summer_time() -> None:
    summer = int(datetime.datetime(2026, 7, 5, 21, 59, 59, tzinfo=datetime.UTC).timestamp()) * 1000
    assert image(52, moment(at=summer)) == bytes.fromhex("1a 07 05 15 3b 3b 18")  # Sunday, DST, GMT
    assert image(55, moment(at=summer))[:7] == bytes.fromhex("1a 07 05 17 3b 00 68")  # zone and DST applied


def test_an_event_record() -> None:
    at = int(datetime.datetime(2026, 11, 19, 22, 5, 9, tzinfo=datetime.UTC).timestamp()) * 1000
    event = Event(at, 4711, 0xFFFF, 0x802, b"\x01\x00")
    table = image(74, moment(events=Log((event,), written=4711)))
    assert len(table) == 11 + 100 * 14
    assert table[1:5] == bytes((1, 0, 10, 0))  # one entry left, at index (4711 - 1) mod 100
    assert table[5:9] == (4711).to_bytes(4, "little")
    assert table[11 + 140 : 11 + 154] == bytes.fromhex("1a 0b 13 16 05 09 67 12 ff ff 02 08 01 00")


@pytest.mark.parametrize(("profile", "offset", "unit"), [("83331-3i", 197, 1), ("ct", 213, 10), ("gen4-4.30", 214, 1)])
def test_the_energy_unit_stands_where_the_most_tiers_push_it(hand: Make, profile: str, offset: int, unit: int) -> None:
    assert hand(profile).meter.image(2103)[offset] == unit


def test_the_optical_timer_of_generation_4() -> None:
    timed = dataclasses.replace(PROFILES["gen4-4.30"], session_limit=600.0)
    table = image(2103, dataclasses.replace(moment(), profile=timed))
    assert table[216:221] == bytes.fromhex("01 58 02 2c 01")  # on, 600 s, 300 s


def test_ratios_exist_on_transformer_meters_only(hand: Make) -> None:
    assert hand("ct").meter.image(15) == bytes.fromhex("01 00 00 00 00 00 00 00 01 28 00 00 00 01 00 00 00")
    options = hand("ct").meter.image(2077)
    assert options[2] & 0x02 == 0x02  # option 17: external current transformers
    assert hand("83331-3i").meter.image(2077)[2] & 0x02 == 0


def test_the_mep_port_shows_among_the_hardware_options(hand: Make) -> None:
    assert hand("83331-3i-mep").meter.image(2077)[1] & 0x04 == 0x04
    assert hand("83331-3i").meter.image(2077)[1] & 0x04 == 0


def test_the_order_of_present_values_without_quadrant_powers(hand: Make) -> None:
    meter = hand("gen3-3.50", quadrant_powers=False).meter
    sources = meter.image(27)
    assert len(sources) == 41
    assert sources[18:26] == bytes((81, 82, 83, 84, 185, 186, 187, 188))
    present = meter.truth().present
    assert meter.image(28)[88:92] == present[26].to_bytes(4, "little")


def test_a_demand_is_kept_for_the_totals_only() -> None:
    table = image(23, moment())
    assert table[127 + 76 : 253] == bytes(34 + 16)


def test_a_negative_value_is_signed() -> None:
    truth = dataclasses.replace(example_truth(), demands=(Demand(8), Demand(9)))
    truth.present[15] = -452
    assert image(28, moment(truth=truth))[14 + 60 : 14 + 64] == bytes.fromhex("3c fe ff ff")
