"""What a meter publishes, what is read for it, and what is refused or left out rather than published wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.errors import MeterMisbehaved
from nesgw.tables.catalogue import FIELDS
from nesgw.tables.dimensions import BT20, Dimensions, decode_dimensions
from nesgw.tables.installation import AbsentPhases, Installation, Ratios
from nesgw.tables.layout import Layout, tiers_in_use
from nesgw.values import Firmware

# A made-up meter of generation 4 after the guides: reset count, two demands, coincidents, tiers, present demands.
GENERATION_4 = bytes.fromhex("77 0e 0c 13 02 04 01 08 02 54")
BT22 = bytes.fromhex("00 01 02 03 04 05 06 07 1a 1b 1c 6c 6d 6e 6f f5 f6 f7 f8")
BT23 = bytearray(1135)
BT23[:127] = bytes.fromhex("""
  07
  87 d6 12 00 c5 22 00 00 a0 5b 00 00 d2 1e 00 00 10 0e 00 00 04 00 00 00 4c f9 12 00 c2 b3 12 00
  00 00 00 00 00 00 00 00 00 00 00 00 20 4e 00 00 80 0d 00 00 57 04 00 00 7b 1a 00 00
  20 d6 13 00 28 23 00 00 00 00 00 00 00 00 00 00
  1a 0b 03 12 0f 50 14 00 00 48 26 00 00 f8 11 00 00
  1a 0b 09 0c 1e 36 01 00 00 6c 02 00 00 36 01 00 00
  08 52 00 00 7c 80 03 00 78 05 00 00 8c 8e 03 00
""")
BT23[127:131] = bytes.fromhex("a0 bb 0d 00")  # the first tier's import
BT23[253:257] = bytes.fromhex("e7 1a 05 00")  # the second's
BT28 = bytearray(350)
BT28[:54] = bytes.fromhex("""
  00 07 1e 04 10 00 00   00 07 1e 00 00 00 00
  96 0a 00 00 00 00 00 00 00 00 00 00 39 02 00 00 f8 0c 00 00 dc 0c 00 00 90 19 00 00
  27 70 03 00 ef 6f 03 00 76 70 03 00
""")
BT28[58:62] = bytes.fromhex("5c c3 00 00")
BT28[314:326] = bytes.fromhex("e3 2e 00 00 de 2e 00 00 df 2e 00 00")
FIRMWARE_3, FIRMWARE_4 = Firmware(3, 84, 6), Firmware(4, 30, 12)


def generation_4(registers: bytes = bytes(BT23), values: bytes = bytes(BT28), **more: Any) -> Layout:
    more = {"summation_order": tuple(BT22), **more}
    return Layout.build(
        decode_dimensions(GENERATION_4), FIRMWARE_4, "little", registers=registers, values=values, **more
    )


# A plain house: 11 summations, 4 tiers, no demands; its energies and present values as given, by number.
def tables(
    energies: dict[int, int] | None = None,
    present: dict[int, int] | None = None,
    *,
    dimensions: str = "03 0c 0c 0b 00 00 00 04 00 37",
    order: str = "<",
) -> tuple[Dimensions, bytes, bytes]:
    size = decode_dimensions(bytes.fromhex(dimensions))
    registers, values = bytearray(size.registers.size), bytearray(size.values.size)
    for number, value in (energies or {0: 5_000_000, 1: 66, 6: 5_000_066}).items():
        struct.pack_into(f"{order}i", registers, size.totals + 4 * number, value)
    for number, value in {7: 230_000, 11: 50_000, **(present or {})}.items():
        struct.pack_into(f"{order}i", values, size.present_base + 4 * number, value)
    return size, bytes(registers), bytes(values)


def house(
    energies: dict[int, int] | None = None,
    present: dict[int, int] | None = None,
    firmware: Firmware = FIRMWARE_3,
    dimensions: str = "03 0c 0c 0b 00 00 00 04 00 37",
    **more: Any,
) -> tuple[Layout, dict[str, float]]:
    size, registers, values = tables(energies, present, dimensions=dimensions)
    layout = Layout.build(size, firmware, "little", registers=registers, values=values, **more)
    return layout, layout.decode({"BT23": registers, "BT28": values})


class TestTheMeterOfGeneration4:
    """The worked example of the guides' layout: every part that a table may have is there."""

    layout = generation_4()
    values = layout.decode(
        {
            "BT23": bytes(BT23[:77]),
            "BT23 T0": bytes(BT23[127:135]),
            "BT23 T1": bytes(BT23[253:261]),
            "BT28": bytes(BT28),
        }
    )

    def test_a_poll_reads_the_totals_the_tiers_in_use_and_the_present_values(self) -> None:
        assert self.layout.reads == (
            ("BT23", 23, 0, 77),
            ("BT23 T0", 23, 127, 8),
            ("BT23 T1", 23, 253, 8),
            ("BT28", 28, 0, 350),
        )

    def test_the_registers_follow_the_reset_count(self) -> None:
        expected = {
            "energy_import": 1234.567,
            "energy_export": 8.901,
            "reactive_energy_import": 23.456,
            "reactive_energy_export": 7.89,
            "outage_duration": 3600,
            "outage_count": 4,
            "energy_total": 1243.468,
            "energy_net": 1225.666,
            "pulse_input_1": 0,
            "pulse_input_2": 0,
            "error_count": 0,
            "reactive_energy_q1": 20,
            "reactive_energy_q2": 3.456,
            "reactive_energy_q3": 1.111,
            "reactive_energy_q4": 6.779,
            "apparent_energy_q1": 1300,
            "apparent_energy_q2": 9,
            "apparent_energy_q3": 0,
            "apparent_energy_q4": 0,
        }
        assert {key: self.values[key] for key in expected} == expected

    def test_the_two_tariffs_in_use_add_up_to_the_total(self) -> None:
        assert self.values["energy_import_t1"] == 900
        assert self.values["energy_import_t2"] == 334.567
        assert self.values["energy_export_t1"] == 0
        assert "energy_import_t3" not in self.values

    def test_the_present_values_follow_the_present_demands(self) -> None:
        assert self.values["power"] == 2710
        assert self.values["reactive_power_export"] == 569
        assert [self.values[f"current_l{phase}"] for phase in (1, 2, 3)] == [3.32, 3.292, 6.544]
        assert [self.values[f"voltage_l{phase}"] for phase in (1, 2, 3)] == [225.319, 225.263, 225.398]
        assert self.values["frequency"] == 50.012
        assert self.values["voltage_angle_l1_l2"] == 120.03
        assert self.values["voltage_angle_l2_l3"] == 119.98
        assert self.values["voltage_angle_l3_l1"] == 119.99

    def test_it_has_every_field_but_the_tariffs_it_does_not_use(self) -> None:
        unused = {f"energy_{way}_t{tariff}" for way in ("import", "export") for tariff in range(3, 9)}
        assert self.layout.fields == tuple(key for key in FIELDS if key not in unused)
        assert tuple(self.values) == self.layout.fields

    def test_the_values_are_written_with_the_digits_the_meter_has(self) -> None:
        text = json.dumps(self.values)
        assert '"energy_import": 1234.567,' in text
        assert '"power": 2710,' in text
        assert '"voltage_angle_l2_l3": 119.98,' in text


class TestWhatAPollDidNotGet:
    layout = generation_4()

    def test_a_missing_answer_makes_its_fields_unknown_and_no_others(self) -> None:
        values = self.layout.decode({"BT28": bytes(BT28)})
        assert values["energy_import"] is None
        assert values["energy_import_t1"] is None
        assert values["power"] == 2710

    def test_a_short_answer_makes_what_it_lacks_unknown(self) -> None:
        values = self.layout.decode({"BT23": bytes(BT23[:12]), "BT28": bytes(BT28[:20])})
        assert values["energy_export"] == 8.901
        assert values["reactive_energy_import"] is None  # only three of its bytes
        assert values["power_import"] == 2710
        assert values["power_export"] is None
        assert values["power"] is None

    def test_nothing_at_all_is_unknown_and_never_zero(self) -> None:
        values = self.layout.decode({})
        assert set(values.values()) == {None}
        assert tuple(values) == self.layout.fields


class TestPower:
    def test_it_is_negative_while_feeding_in(self) -> None:
        _, values = house(present={0: 0, 1: 4321})
        assert values["power"] == -4321

    def test_the_registers_are_signed(self) -> None:
        _, values = house(present={13: -243})
        assert values["power_factor_l2"] == -0.243


class TestByteOrder:
    def test_a_big_endian_meter_is_read_as_it_writes(self) -> None:
        dimensions, registers, values = tables({0: 344_180, 1: 7_583, 6: 351_763}, {0: 2710}, order=">")
        layout = Layout.build(dimensions, Firmware(3, 84), "big", registers=registers, values=values)
        decoded = layout.decode({"BT23": registers, "BT28": values})
        assert (decoded["energy_import"], decoded["power"], decoded["frequency"]) == (344.18, 2710, 50)

    def test_the_wrong_order_is_not_taken_for_a_reading(self) -> None:
        dimensions, registers, values = tables()
        with pytest.raises(MeterMisbehaved):
            Layout.build(dimensions, Firmware(3, 84), "big", registers=registers, values=values)


class TestWhatTheFirmwareHas:
    """Zeros follow the end of a table, so a field that the firmware does not know is left out."""

    @pytest.mark.parametrize(
        ("firmware", "first_missing"),
        [((2, 12), "reactive_power_q1"), ((3, 10), "power_import_l1"), ((3, 60), "voltage_continuous_l1"),
         ((3, 84), "apparent_power_q1"), ((4, 0), "current_average_l1"), ((4, 20), "voltage_angle_l1_l2")],
    )  # fmt: skip
    def test_newer_values_than_the_firmware_are_left_out(self, firmware: tuple[int, int], first_missing: str) -> None:
        layout, _ = house(firmware=Firmware(*firmware), dimensions="03 0c 0c 0b 00 00 00 04 00 54")
        order = list(FIELDS)
        assert first_missing not in layout.fields
        assert order[order.index(first_missing) - 1] in layout.fields

    def test_apparent_energy_begins_with_generation_4(self) -> None:
        nineteen = "03 0c 0c 13 00 00 00 04 00 37"
        assert "apparent_energy_q1" not in house(dimensions=nineteen)[0].fields
        assert "apparent_energy_q1" in house(dimensions=nineteen, firmware=Firmware(4, 0))[0].fields

    def test_no_more_values_than_the_dimensions_say(self) -> None:
        layout, _ = house(firmware=FIRMWARE_4, dimensions="03 0c 0c 0b 00 00 00 04 00 1a")
        assert layout.fields[-1] == "reactive_power_q4"
        assert layout.reads[-1] == ("BT28", 28, 0, 26 * 4)

    def test_fewer_summations_are_fewer_fields(self) -> None:
        layout, _ = house(dimensions="03 0c 0c 02 00 00 00 04 00 37", energies={0: 5, 1: 6})
        assert [key for key in layout.fields if "energy" in key] == ["energy_import", "energy_export"]
        assert layout.reads[0] == ("BT23", 23, 0, 8)

    def test_control_point_modules_count_from_1_and_have_what_their_dimensions_say(self) -> None:
        layout, _ = house(firmware=Firmware(1, 32), dimensions="03 0c 0c 0b 00 00 00 04 00 54")
        assert "voltage_angle_l3_l1" in layout.fields

    def test_a_3x_meter_of_just_four_values_less_may_lack_the_quadrants(self) -> None:
        """The guides: without demand no sources 104-107; then what follows would stand four places earlier."""
        layout, _ = house(dimensions="03 0c 0c 0b 00 00 00 04 00 33")
        assert "sin_phi_l3" in layout.fields
        assert "reactive_power_q1" not in layout.fields
        assert "power_import_l1" not in layout.fields
        assert "BT27" in layout.remarks[0]

    @pytest.mark.parametrize(
        ("firmware", "dimensions"),
        [(FIRMWARE_3, "07 0c 0c 0b 01 00 01 04 01 33"), (Firmware(4, 0), "03 0c 0c 13 00 00 00 04 00 44")],
    )
    def test_with_demand_and_on_generation_4_the_quadrants_are_there(self, firmware: Firmware, dimensions: str) -> None:
        layout, _ = house(firmware=firmware, dimensions=dimensions)
        assert "power_import_average" in layout.fields


class TestTheMetersOwnOrder:
    """BT22 and BT27 name the source at each position; they rule where they speak."""

    HOUSE_BT22 = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)
    HOUSE_BT27 = (*range(8, 26), *range(81, 85), *range(104, 108), *range(185, 200), *range(202, 216))

    def test_the_usual_order_changes_nothing(self) -> None:
        assert house(summation_order=self.HOUSE_BT22, present_order=self.HOUSE_BT27) == house()

    def test_without_quadrants_the_rest_moves_up(self) -> None:
        order = tuple(source for source in self.HOUSE_BT27 if source not in range(104, 108))
        layout, values = house(
            present={22: 311, 23: 366, 24: 25}, dimensions="03 0c 0c 0b 00 00 00 04 00 33", present_order=order
        )
        assert [values[f"power_import_l{phase}"] for phase in (1, 2, 3)] == [311, 366, 25]
        assert "reactive_power_q1" not in values
        assert "power_export_average_l3" in layout.fields

    def test_another_order_of_the_registers_is_followed(self) -> None:
        order = (1, 0, *self.HOUSE_BT22[2:])
        _, values = house(energies={0: 66, 1: 5_000_000, 6: 5_000_066}, summation_order=order)
        assert (values["energy_import"], values["energy_export"]) == (5000, 0.066)

    def test_frequency_and_voltage_are_looked_for_where_they_are_named(self) -> None:
        order = (19, 15, *self.HOUSE_BT27[:11], *self.HOUSE_BT27[12:])[:55]
        _, values = house(present={0: 49_950, 1: 231_000, 2: 700, 11: 0, 7: 0}, present_order=order)
        assert (values["frequency"], values["voltage_l1"], values["power_import"]) == (49.95, 231, 700)

    def test_a_newer_value_than_the_firmware_is_believed_if_the_meter_names_it(self) -> None:
        layout, values = house(present={54: 123}, present_order=(*self.HOUSE_BT27[:54], 232))
        assert values["current_neutral"] == 0.123
        assert "power_export_average_l3" not in layout.fields

    @pytest.mark.parametrize("unnamed", [0, 85, 200, 245, 255])
    def test_a_position_without_a_known_name_keeps_its_place(self, unnamed: int) -> None:
        order = (*self.HOUSE_BT22[:6], unnamed, *self.HOUSE_BT22[7:])
        _, values = house(summation_order=order)
        assert values["energy_total"] == 5000.066

    def test_an_order_of_zeros_is_none(self) -> None:
        assert house(summation_order=bytes(11), present_order=bytes(55)) == house()

    def test_a_zero_that_names_the_import_names_nothing_else(self) -> None:
        layout, values = house(energies={3: 5_000_000, 0: 66}, summation_order=(1, 2, 73, 0, *self.HOUSE_BT22[4:]))
        assert values["energy_import"] == 5000
        assert "reactive_energy_export" not in layout.fields

    def test_a_position_with_another_known_name_is_not_what_stands_there_otherwise(self) -> None:
        layout, _ = house(summation_order=(*self.HOUSE_BT22[:10], 73))  # a counter of another device
        assert "error_count" not in layout.fields

    def test_a_value_named_twice_is_taken_from_its_first_place(self) -> None:
        layout, values = house(present={0: 700, 1: 5}, present_order=(8, 8, *self.HOUSE_BT27[2:]))
        assert values["power_import"] == 700
        assert "power_export" not in layout.fields
        assert "power" not in layout.fields

    def test_the_unnamed_apparent_energies_stand_at_the_end(self) -> None:
        assert "apparent_energy_q4" in generation_4().fields


# Present values of both sides: 18, 20, 32 and 38 are the primary side of 0, 2, 26 and 4.
BEHIND_TRANSFORMERS = {
    0: 10,
    1: 0,
    2: 3,
    18: 400,
    20: 120,
    4: 1500,
    38: 60_000,
    26: 11,
    32: 440,
    12: 15,
    47: 10,
    10: 990,
}


class TestTransformers:
    """Energy is of the primary side always; so is every power that is published."""

    def behind(self, current: int, voltage: int, **more: Any) -> tuple[Layout, dict[str, float]]:
        installation = Installation(ratios=Ratios(current=current, voltage=voltage, applied=True), **more)
        return house(present=BEHIND_TRANSFORMERS, installation=installation)

    def test_the_primary_side_is_published_under_the_same_names(self) -> None:
        _, values = self.behind(40, 1)
        assert (values["power"], values["power_import"], values["reactive_power_import"]) == (400, 400, 120)
        assert (values["power_import_l1"], values["current_l1"]) == (440, 60)

    def test_what_has_no_primary_side_is_withdrawn_not_multiplied(self) -> None:
        layout, values = self.behind(40, 1)
        for withdrawn in ("apparent_power", "power_import_average", "reactive_power_q1", "power_export_average_l3"):
            assert withdrawn not in layout.fields
        assert values["voltage_l1"] == 230
        assert values["power_factor_l1"] == 0.99
        assert values["frequency"] == 50

    def test_voltages_are_withdrawn_behind_voltage_transformers_alone(self) -> None:
        layout, values = self.behind(1, 100)
        assert not any(key.startswith("voltage") for key in layout.fields)
        assert values["power"] == 400
        assert values["current_l1"] == 1.5

    def test_ratios_of_one_change_nothing(self) -> None:
        layout, values = self.behind(1, 1)
        assert layout.fields == house()[0].fields
        assert (values["power"], values["current_l1"]) == (10, 1.5)

    def test_power_that_the_firmware_has_on_the_secondary_side_only_is_withdrawn(self) -> None:
        installation = Installation(ratios=Ratios(current=40, voltage=1, applied=True))
        layout, _ = house(firmware=Firmware(2, 0), installation=installation)
        assert "power" not in layout.fields
        assert "power_import" not in layout.fields
        assert "current_l1" not in layout.fields
        assert "energy_import" in layout.fields

    def test_the_flag_changes_nothing(self) -> None:
        def published(applied: bool) -> tuple[Layout, dict[str, float]]:
            return house(present=BEHIND_TRANSFORMERS, installation=Installation(ratios=Ratios(40, 1, applied)))

        assert published(applied=False) == published(applied=True)

    def test_it_is_said(self) -> None:
        assert any("40:1" in remark for remark in self.behind(40, 1)[0].remarks)


class TestUnits:
    CT = Ratios(current=40, voltage=1, applied=True)

    @pytest.mark.parametrize(("unit", "kwh"), [(1, 5000), (10, 50_000), (100, 500_000)])
    def test_the_energy_unit_scales_the_energies(self, unit: int, kwh: int) -> None:
        _, values = house(installation=Installation(ratios=self.CT, energy_unit=unit))
        assert values["energy_import"] == kwh
        assert values["outage_count"] == 0

    def test_whether_it_scales_apparent_energy_is_not_known_so_that_is_withdrawn(self) -> None:
        scaled = generation_4(installation=Installation(ratios=self.CT, energy_unit=10))
        assert "apparent_energy_q1" not in scaled.fields
        assert scaled.decode({"BT23 T0": bytes(BT23[127:135])})["energy_import_t1"] == 9000

    def test_a_meter_without_transformers_counts_in_watt_hours(self) -> None:
        _, values = house(installation=Installation(energy_unit=10))
        assert values["energy_import"] == 5000

    @pytest.mark.parametrize(
        ("firmware", "seconds"), [((2, 0), 420), ((2, 1), 420), ((2, 10), 7), ((2, 12), 7), ((3, 84), 7), ((1, 32), 7)]
    )
    def test_outages_are_in_minutes_on_2_0x(self, firmware: tuple[int, int], seconds: int) -> None:
        _, values = house(energies={4: 7}, firmware=Firmware(*firmware))
        assert values["outage_duration"] == seconds


class TestAbsentPhases:
    def test_a_single_phase_meter_has_one_phase_and_no_angles(self) -> None:
        absent = frozenset({2, 3})
        dimensions, registers, values = tables(dimensions="03 0c 0c 0b 00 00 00 04 00 54")
        layout = Layout.build(
            dimensions, FIRMWARE_4, "little", registers=registers, values=values,
            installation=Installation(absent=AbsentPhases(absent, absent)),
        )  # fmt: skip
        assert {"voltage_l1", "current_l1", "power_import_l1", "apparent_power_q1_l1"} <= set(layout.fields)
        assert not any(key.endswith(("_l2", "_l3")) or "angle" in key for key in layout.fields)
        assert {"power", "current_neutral"} <= set(layout.fields)

    def test_a_phase_without_current_has_its_voltage(self) -> None:
        absent = AbsentPhases(current=frozenset({2}))
        layout, _ = house(installation=Installation(absent=absent))
        assert {"voltage_l2", "voltage_average_l2"} <= set(layout.fields)
        assert not {"current_l2", "power_import_l2", "power_factor_l2"} & set(layout.fields)

    def test_a_voltage_on_an_absent_phase_vouches_for_nothing(self) -> None:
        absent = Installation(absent=AbsentPhases(frozenset({1}), frozenset({1})))
        with pytest.raises(MeterMisbehaved):
            house(present={7: 230_000, 8: 12, 11: 17}, installation=absent)
        house(present={7: 0, 8: 230_000}, installation=absent)


class TestWherePresentValuesBegin:
    def test_two_dead_phases_are_no_sign_of_a_wrong_place(self) -> None:
        house(present={7: 0, 8: 0, 9: 121_000})

    @pytest.mark.parametrize("frequency", [0, 44_999, 65_001, 50_000_000, -50_000])
    def test_an_odd_frequency_is_outvoted_by_the_voltage(self, frequency: int) -> None:
        assert house(present={11: frequency})[0] == house()[0]

    @pytest.mark.parametrize("voltage", [0, 19_999, 600_001, -230_000])
    def test_an_odd_voltage_is_outvoted_by_the_frequency(self, voltage: int) -> None:
        assert house(present={7: voltage})[0] == house()[0]

    @pytest.mark.parametrize(("voltage", "frequency"), [(0, 0), (19_999, 44_999), (600_001, 65_001), (-230_000, 50)])
    def test_where_neither_is_one_of_a_grid_the_place_is_wrong(self, voltage: int, frequency: int) -> None:
        with pytest.raises(MeterMisbehaved, match="BT28"):
            house(present={7: voltage, 11: frequency})

    @pytest.mark.parametrize(("millivolts", "millihertz"), [(20_000, 45_000), (600_000, 65_000)])
    def test_the_limits_are_within(self, millivolts: int, millihertz: int) -> None:
        house(present={7: millivolts, 11: millihertz})

    def test_announced_demands_that_are_not_there_are_noticed_and_said(self) -> None:
        dimensions = decode_dimensions(bytes.fromhex("47 0c 0c 0b 01 00 01 04 02 37"))
        values = bytearray(dimensions.values.size)
        struct.pack_into("<i", values, 4 * 11, 50_000)
        struct.pack_into("<i", values, 4 * 8, 230_000)
        struct.pack_into("<i", values, 0, 701)
        layout = Layout.build(
            dimensions, Firmware(3, 84), "little", registers=bytes(dimensions.registers.size), values=bytes(values)
        )
        assert layout.decode({"BT28": bytes(values)})["power_import"] == 701
        assert layout.reads[-1] == ("BT28", 28, 0, 220)
        assert layout.remarks == ("BT28 begins with the present values, not with 2 demands",)

    def test_where_both_places_could_be_the_dimensions_rule(self) -> None:
        dimensions = decode_dimensions(bytes.fromhex("07 0c 0c 0b 01 00 01 04 01 37"))
        values = bytearray(dimensions.values.size)
        struct.pack_into("<2i", values, 4 * 11, 50_000, 50_050)
        struct.pack_into("<2i", values, 4 * 8, 230_000, 231_000)
        layout = Layout.build(
            dimensions, FIRMWARE_3, "little", registers=bytes(dimensions.registers.size), values=bytes(values)
        )
        assert layout.decode({"BT28": bytes(values)})["frequency"] == 50.05

    def test_a_meter_without_frequency_cannot_be_confirmed(self) -> None:
        with pytest.raises(MeterMisbehaved):
            house(present={}, dimensions="03 0c 0c 0b 00 00 00 04 00 0c", present_order=(*range(8, 19), 20))

    def test_the_sample_must_be_whole(self) -> None:
        dimensions, registers, values = tables()
        with pytest.raises(MeterMisbehaved, match="219 of 220"):
            Layout.build(dimensions, FIRMWARE_4, "little", registers=registers, values=values[:-1])
        with pytest.raises(MeterMisbehaved, match="219 of 220"):
            Layout.build(dimensions, FIRMWARE_4, "little", registers=registers[:-1], values=values)


class TestWhereTheRegistersBegin:
    """The demand reset count is one byte; read without it or with it by mistake, every number is nonsense."""

    def test_a_reset_count_that_is_not_there(self, vector: Callable[..., Any]) -> None:
        registers = vector("dk2-nickym-08-bt23")["bytes"]
        with pytest.raises(MeterMisbehaved, match="BT23"):
            house_with("07 0c 0c 0b 00 00 00 04 00 37", registers + b"\0")

    def test_a_reset_count_that_is_not_announced(self, vector: Callable[..., Any]) -> None:
        registers = vector("dk2-nickym-08-bt23")["bytes"]
        with pytest.raises(MeterMisbehaved, match="BT23"):
            house_with("03 0c 0c 0b 00 00 00 04 00 37", (b"\x07" + registers)[:220])

    def test_the_example_of_the_infrared_reader(self) -> None:
        """74 40 05 00 9f 1d 00 00 read with a reset count would be 116 resets and -1627388608 Wh.

        The sum is theirs: 344,180 and 7,583 Wh.
        """
        registers = struct.pack("<8s4i1i", bytes.fromhex("74 40 05 00 9f 1d 00 00"), 0, 0, 0, 0, 351_763)
        with pytest.raises(MeterMisbehaved, match="-1627388608"):
            house_with("07 0c 0c 0b 00 00 00 04 00 37", registers.ljust(221, b"\0"))

    def test_the_same_without_a_sum_to_tell_by(self) -> None:
        registers = bytes.fromhex("74 40 05 00 9f 1d 00 00").ljust(25, b"\0")
        with pytest.raises(MeterMisbehaved, match="-1627388608"):
            house_with("07 06 06 06 00 00 00 04 00 37", registers.ljust(6 * 4 * 5 + 1, b"\0"))

    def test_a_new_meter_full_of_zeros_is_no_contradiction(self) -> None:
        house_with("03 0c 0c 0b 00 00 00 04 00 37", bytes(220))
        house_with("07 0c 0c 0b 00 00 00 04 00 37", bytes(221))

    def test_a_new_meter_that_could_be_read_either_way_is_read_as_it_says(self) -> None:
        registers = struct.pack("<b7i", 2, 900, 0, 10, 10, 0, 0, 900).ljust(221, b"\0")
        layout = house_with("07 0c 0c 0b 00 00 00 04 00 37", registers)
        assert layout.decode({"BT23": registers})["energy_import"] == 0.9

    @pytest.mark.parametrize("number", [0, 1, 2, 3, 6])
    @pytest.mark.parametrize("energy", [-5, 10**9, 2**31 - 1, -(2**31)])
    def test_a_single_register_that_shows_what_it_cannot_is_outvoted(self, number: int, energy: int) -> None:
        energies = {0: 5_000_000, 1: 66, 2: 12, 3: 34, 6: 5_000_066}
        assert house(energies={**energies, number: energy})[0] == house()[0]

    @pytest.mark.parametrize("energy", [-1, 10**9, 2**31 - 1])
    def test_two_that_no_register_can_show_are_refused(self, energy: int) -> None:
        with pytest.raises(MeterMisbehaved, match=str(energy)):
            house(energies={0: energy, 2: energy})

    def test_a_sum_register_that_has_wrapped_alone_is_no_contradiction(self) -> None:
        house(energies={0: 999_000_000, 1: 2_000_000, 6: 1_000_000})


def house_with(dimensions: str, registers: bytes) -> Layout:
    size, _, values = tables(dimensions=dimensions)
    return Layout.build(size, Firmware(3, 84), "little", registers=registers, values=values)


class TestTariffs:
    def build(
        self, *tiers: tuple[int, int], total: tuple[int, int] = (5_000_000, 66), **more: Any
    ) -> tuple[Layout, bytes]:
        dimensions, registers, values = tables({0: total[0], 1: total[1], 6: sum(total)})
        data = bytearray(registers)
        for tier, energies in enumerate(tiers):
            struct.pack_into("<2i", data, 44 * (1 + tier), *energies)
        layout = Layout.build(
            dimensions, Firmware(3, 84), "little", registers=bytes(data), values=values,
            installation=Installation(**more),
        )  # fmt: skip
        return layout, bytes(data)

    def test_tariffs_begin_with_a_second_tier_in_use(self) -> None:
        layout, data = self.build((4_000_000, 60), (1_000_000, 6))
        assert layout.reads == (
            ("BT23", 23, 0, 44),
            ("BT23 T0", 23, 44, 8),
            ("BT23 T1", 23, 88, 8),
            ("BT28", 28, 0, 220),
        )
        values = layout.decode({"BT23 T0": data[44:52], "BT23 T1": data[88:96]})
        assert (values["energy_import_t1"], values["energy_export_t1"]) == (4000, 0.06)
        assert (values["energy_import_t2"], values["energy_export_t2"]) == (1000, 0.006)

    def test_everything_in_the_first_tier_is_no_tariff(self) -> None:
        layout, _ = self.build((5_000_000, 66))
        assert len(layout.reads) == 2

    def test_only_the_tiers_in_use_are_read(self) -> None:
        layout, _ = self.build((4_000_000, 60), (0, 0), (1_000_000, 6))
        assert [part.name for part in layout.reads] == ["BT23", "BT23 T0", "BT23 T2", "BT28"]
        assert "energy_import_t2" not in layout.fields
        assert "energy_import_t3" in layout.fields

    def test_tiers_may_hold_less_than_the_total(self) -> None:
        """A meter may have counted before its tariffs were set up."""
        layout, _ = self.build((1_000, 0), (1_000, 0))
        assert "energy_import_t2" in layout.fields

    def test_registers_that_moved_during_the_read_do_no_harm(self) -> None:
        layout, _ = self.build((4_000_000, 60), (1_010_000, 6))
        assert "energy_import_t2" in layout.fields

    @pytest.mark.parametrize("tiers", [((4_000_000, 0), (1_010_001, 0)), ((6_000_000, 0), (-1_000_000, 0))])
    def test_tiers_that_contradict_the_total_are_left_out_and_said(
        self, tiers: tuple[tuple[int, int], tuple[int, int]]
    ) -> None:
        layout, _ = self.build(*tiers)
        assert layout.reads == (("BT23", 23, 0, 44), ("BT28", 28, 0, 220))
        assert "add up" in layout.remarks[0]

    def test_the_meters_own_tier_size_is_compared(self) -> None:
        tiers = ((4_000_000, 60), (1_000_000, 6))
        assert "energy_import_t2" in self.build(*tiers, tier_size=44)[0].fields
        layout, _ = self.build(*tiers, tier_size=60)
        assert "energy_import_t2" not in layout.fields
        assert "60" in layout.remarks[0]

    def test_a_demand_time_that_is_no_date_withdraws_the_tiers(self) -> None:
        data = bytearray(BT23)
        data[77:82] = bytes.fromhex("1a 0d 03 12 0f")  # a thirteenth month
        layout = generation_4(registers=bytes(data))
        assert "energy_import_t1" not in layout.fields
        assert "energy_import" in layout.fields

    def test_where_the_dimensions_are_maxima_no_tier_is_found(self) -> None:
        dimensions = decode_dimensions(GENERATION_4, BT20)
        assert tiers_in_use(dimensions, bytes(BT23)) == ()

    def test_what_a_tier_holds_is_found_in_its_summations(self) -> None:
        assert tiers_in_use(decode_dimensions(GENERATION_4), bytes(BT23)) == (0, 1)


class TestWithoutTheActualDimensions:
    """Firmware 2.00 to 2.10 has BT20 alone, whose counts are maxima."""

    MAXIMA = bytes.fromhex("03 0e 18 0f 08 10 01 04 08 29")

    def build(self, base: int) -> tuple[Layout, dict[str, float]]:
        dimensions = decode_dimensions(self.MAXIMA, BT20)
        registers = struct.pack("<15i", 5_000_000, 66, 0, 0, 0, 0, 5_000_066, *[0] * 8)
        values = bytearray(dimensions.values.size)
        struct.pack_into("<i", values, base, 701)
        struct.pack_into("<i", values, base + 4 * 7, 230_000)
        struct.pack_into("<i", values, base + 4 * 11, 50_000)
        layout = Layout.build(dimensions, Firmware(2, 10), "little", registers=registers, values=bytes(values))
        return layout, layout.decode({"BT23": registers, "BT28": bytes(values)})

    @pytest.mark.parametrize("base", [0, 32])
    def test_the_frequency_finds_the_present_values(self, base: int) -> None:
        layout, values = self.build(base)
        assert values["power"] == 701
        assert values["energy_import"] == 5000
        assert "sin_phi_l3" in layout.fields
        assert "reactive_power_q1" not in layout.fields

    def test_the_totals_alone_are_read_and_it_is_said(self) -> None:
        layout, _ = self.build(0)
        assert layout.reads[0] == ("BT23", 23, 0, 44)
        assert not any("_t1" in key for key in layout.fields)
        assert not any(key.startswith("reactive_energy_q") for key in layout.fields), "that may be the first tier"
        assert any("BT20" in remark for remark in layout.remarks)
