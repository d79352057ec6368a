"""BT15, ET04, ET42 and ET55: what of the wiring decides about the values."""

from __future__ import annotations

import pytest

from nesgw.errors import MeterMisbehaved
from nesgw.tables import configuration
from nesgw.tables.installation import (
    BT15,
    ET04_PHASES,
    ET42_TIER_SIZE,
    AbsentPhases,
    Installation,
    Ratios,
    decode_absent_phases,
    decode_energy_unit,
    decode_ratios,
    decode_tier_size,
)
from nesgw.values import Firmware

# multiplier 1, offset 0, the flag, CT 40, VT 1
RATIOS = bytes.fromhex("01 00 00 00  00 00 00 00  01  28 00 00 00  01 00 00 00")


class TestRatios:
    def test_the_two_ratios_and_the_flag(self) -> None:
        assert decode_ratios(RATIOS, "little") == Ratios(current=40, voltage=1, applied=True)

    def test_the_byte_order_is_the_meters(self) -> None:
        data = bytes(8) + bytes.fromhex("00  00 00 00 28  00 00 00 02")
        assert decode_ratios(data, "big") == Ratios(current=40, voltage=2, applied=False)

    def test_a_ratio_that_was_never_set_is_one(self) -> None:
        assert decode_ratios(bytes(17), "little") == Ratios(current=1, voltage=1, applied=False)

    @pytest.mark.parametrize(("current", "voltage"), [(10**9, 1), (40, 10**6)])
    def test_a_ratio_that_no_transformer_has_makes_no_power_plausible(self, current: int, voltage: int) -> None:
        data = bytes(9) + current.to_bytes(4, "little") + voltage.to_bytes(4, "little")
        ratios = decode_ratios(data, "little")
        assert Installation(ratios=ratios).power_ratio == 1
        assert not ratios.possible

    def test_a_negative_ratio_is_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="-1 and 1"):
            decode_ratios(RATIOS[:9] + b"\xff\xff\xff\xff" + RATIOS[13:], "little")

    def test_the_whole_table_is_asked_for(self) -> None:
        assert BT15 == ("BT15", 15, 0, 17)


class TestAbsentPhases:
    @pytest.mark.parametrize(
        ("mask", "voltage", "current"),
        [
            (0b0000_0000, set(), set()),
            (0b0000_0110, {2, 3}, {2, 3}),  # one phase: one mask for both
            (0b0010_1000, set(), {2}),  # three voltages, currents of L1 and L3
            (0b0111_0110, {2, 3}, {2, 3}),  # without bit 3 the upper mask does not count
            (0b0000_1110, {2, 3}, set()),
            (0b1111_1111, set(), set()),  # no phase at all: not believed
        ],
    )
    def test_a_bit_stands_for_a_phase_that_is_not_installed(
        self, mask: int, voltage: set[int], current: set[int]
    ) -> None:
        assert decode_absent_phases(bytes([mask])) == AbsentPhases(frozenset(voltage), frozenset(current))

    def test_it_is_byte_62_of_et04(self) -> None:
        assert ET04_PHASES == ("ET04", 2052, 62, 1)


class TestEnergyUnit:
    @pytest.mark.parametrize(
        ("firmware", "most_tiers", "offset"),
        [((3, 70), 4, 197), ((3, 84), 8, 213), ((4, 0), 4, 198), ((4, 30), 8, 214), ((1, 21), 8, 213)],
    )
    def test_its_place_depends_on_generation_and_tiers(
        self, firmware: tuple[int, int], most_tiers: int, offset: int
    ) -> None:
        assert configuration.energy_unit(Firmware(*firmware), most_tiers) == ("ET55", 2103, offset, 1)

    @pytest.mark.parametrize("firmware", [(2, 0), (2, 13), (3, 10), (3, 60)])
    def test_older_firmware_has_none(self, firmware: tuple[int, int]) -> None:
        assert configuration.energy_unit(Firmware(*firmware), 4) is None

    @pytest.mark.parametrize(("byte", "unit"), [(1, 1), (10, 10), (100, 100), (0, 1), (2, 1), (255, 1)])
    def test_only_the_three_units_there_are_count(self, byte: int, unit: int) -> None:
        assert decode_energy_unit(bytes([byte])) == unit

    def test_no_answer_means_one(self) -> None:
        assert decode_energy_unit(b"") == 1


def test_the_tier_size_is_a_word_of_et42() -> None:
    assert ET42_TIER_SIZE == ("ET42", 2090, 21, 2)
    assert decode_tier_size(bytes.fromhex("7e 00"), "little") == 126
    assert decode_tier_size(bytes.fromhex("00 7e"), "big") == 126
