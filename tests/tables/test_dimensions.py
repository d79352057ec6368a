"""BT20, BT21, BT22 and BT27: where everything stands."""

from __future__ import annotations

import pytest

from nesgw.errors import MeterMisbehaved
from nesgw.tables.dimensions import BT20, BT21, decode_dimensions, decode_order

GENERATION_4 = bytes.fromhex("77 0e 0c 13 02 04 01 08 02 54")  # made up after the guides: 4.30 with demand
GUIDE_BT20 = bytes.fromhex("3f 0e fd 0f 08 10 01 04 08 1a")
GUIDE_BT21 = bytes.fromhex("3f 0e 0c 0f 08 00 01 04 08 1a")
HOUSE = bytes.fromhex("03 0c 0c 0b 00 00 00 04 00 37")  # an 83331-3I, 3.84.06, as its owner's program printed it


class TestGeneration4:
    """Reset count, two demands with all their parts, four coincidents, eight tiers, time remaining."""

    dimensions = decode_dimensions(GENERATION_4)

    def test_the_counts_are_those_of_the_bytes(self) -> None:
        assert self.dimensions.self_reads == 12
        assert self.dimensions.summations == 19
        assert (self.dimensions.demands, self.dimensions.coincidents, self.dimensions.occurrences) == (2, 4, 1)
        assert self.dimensions.tiers == 8
        assert (self.dimensions.present_demands, self.dimensions.present_values) == (2, 84)

    def test_a_demand_is_time_cumulative_continuous_and_value(self) -> None:
        assert self.dimensions.demand_record == 5 + 4 + 4 + 4

    def test_the_demand_reset_count_comes_before_the_first_register(self) -> None:
        assert self.dimensions.totals == 1
        assert self.dimensions.totals + self.dimensions.demand_offset == 77
        assert self.dimensions.totals + self.dimensions.coincident_offset == 111

    def test_the_tiers_follow_the_totals_demands_and_coincidents(self) -> None:
        assert self.dimensions.block == 76 + 34 + 16
        assert self.dimensions.tier(0) == 127
        assert self.dimensions.tier(1) == 253
        assert self.dimensions.registers == ("BT23", 23, 0, 1135)

    def test_the_present_demands_with_their_time_come_before_the_present_values(self) -> None:
        assert self.dimensions.present_base == 14
        assert self.dimensions.values == ("BT28", 28, 0, 350)

    def test_the_orders_are_read_without_what_is_not_needed_of_them(self) -> None:
        assert self.dimensions.summation_order == ("BT22", 22, 0, 19)
        assert self.dimensions.present_order == ("BT27", 27, 2, 84)


class TestTheGuidesDump:
    def test_the_actual_configuration(self) -> None:
        dimensions = decode_dimensions(GUIDE_BT21)
        assert dimensions.actual
        assert (dimensions.self_reads, dimensions.summations, dimensions.demands) == (12, 15, 8)
        assert (dimensions.coincidents, dimensions.tiers, dimensions.present_values) == (0, 4, 26)
        assert dimensions.block == 60 + 8 * 17
        assert dimensions.registers.size == 981
        assert dimensions.present_base == 32

    def test_the_maxima_tell_of_the_totals_alone(self) -> None:
        dimensions = decode_dimensions(GUIDE_BT20, BT20)
        assert not dimensions.actual
        assert dimensions.coincidents == 16
        assert dimensions.registers.size == 1 + 44, "eleven: a meter whose maximum is 15 may keep no more"


class TestAHouse:
    """No demands: no reset count, and nothing between the summations and the tiers."""

    dimensions = decode_dimensions(HOUSE)

    def test_the_tables_have_the_length_that_the_meter_sends(self) -> None:
        assert self.dimensions.block == 44
        assert self.dimensions.registers.size == 220
        assert self.dimensions.values.size == 220

    def test_the_registers_begin_at_once(self) -> None:
        assert self.dimensions.totals == 0
        assert self.dimensions.present_base == 0


def test_absent_parts_of_a_demand_take_no_space() -> None:
    #                                          flags: date, reset count; 11 summations, one demand, one tier
    dimensions = decode_dimensions(bytes.fromhex("06 0c 0c 0b 01 00 01 01 01 37"))
    assert dimensions.demand_record == 5 + 4
    assert dimensions.present_base == 4


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes(10), "without registers"),
        (bytes([0xFF] * 10), "demands"),
        (bytes.fromhex("03 0c 0c 0b 09 00 01 04 00 37"), "9 demands"),
        (bytes.fromhex("03 0c 0c 0b 08 11 01 04 00 37"), "17 coincidents"),
        (bytes.fromhex("03 0c 0c 0b 00 00 00 09 00 37"), "9 tiers"),
        (bytes.fromhex("03 0c 0c 0b 00 00 00 04 09 37"), "9 present demands"),
        (bytes.fromhex("03 0c 0c 0b 02 00 00 04 00 37"), "never occur"),
        (bytes.fromhex("03 0c 0c 0b 00 02 01 04 00 37"), "of no demand"),
        (bytes.fromhex("03 0c 0c 0b 00 00 00 04 00 00"), "without registers"),
        (bytes.fromhex("37 0c 0c ff 08 10 ff 08 08 ff"), "longer"),
        (bytes.fromhex("03 0c 0c 0b 00 00 00 04 00"), "9 of 10 bytes"),
    ],
)
def test_dimensions_that_no_meter_can_have_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(MeterMisbehaved, match=why):
        decode_dimensions(data)


def test_both_dimension_tables_have_one_form() -> None:
    assert BT20 == ("BT20", 20, 0, 10)
    assert BT21 == ("BT21", 21, 0, 10)


def test_an_order_is_one_source_a_position() -> None:
    part = decode_dimensions(HOUSE).summation_order
    assert decode_order(bytes.fromhex("00 01 02 03 04 05 06 07 1a 1b 1c"), part) == (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)
    with pytest.raises(MeterMisbehaved, match="BT22"):
        decode_order(bytes(10), part)
