"""Every vector, through the whole of the decoder: what is published is what the source's own program printed.

The three houses' meters are alike (dimensions of an 83331-3I of firmware 3.84.06), so each of their tables is decoded
with those, beside a sample of the other table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.tables.dimensions import BT20, BT21, decode_dimensions
from nesgw.tables.identity import decode_identity
from nesgw.tables.layout import Layout
from nesgw.tables.register import Part
from nesgw.values import Firmware

HOUSE = bytes.fromhex("03 0c 0c 0b 00 00 00 04 00 37")

# What the vectors call a value -> the published field and the meter's steps in one of its units.
WH = {
    "fwd_wh": ("energy_import", 1000),
    "rev_wh": ("energy_export", 1000),
    "imp_varh": ("reactive_energy_import", 1000),
    "exp_varh": ("reactive_energy_export", 1000),
    "outage_duration": ("outage_duration", 1),
    "outage_count": ("outage_count", 1),
    "fwd_plus_rev_wh": ("energy_total", 1000),
    "fwd_minus_rev_wh": ("energy_net", 1000),
    "pulse1": ("pulse_input_1", 1),
    "pulse2": ("pulse_input_2", 1),
    "error_counter": ("error_count", 1),
}
W = {
    "fwd_w": ("power_import", 1),
    "rev_w": ("power_export", 1),
    "imp_var": ("reactive_power_import", 1),
    "exp_var": ("reactive_power_export", 1),
    "freq_mhz": ("frequency", 1000),
    "va": ("apparent_power", 1),
    "fwd_w_avg": ("power_import_average", 1),
    "rev_w_avg": ("power_export_average", 1),
    **{f"q{q}_var": (f"reactive_power_q{q}", 1) for q in (1, 2, 3, 4)},
}
for phase in (1, 2, 3):
    W |= {
        f"i{phase}_ma": (f"current_l{phase}", 1000),
        f"v{phase}_mv": (f"voltage_l{phase}", 1000),
        f"pf{phase}": (f"power_factor_l{phase}", 1000),
        f"sin{phase}": (f"sin_phi_l{phase}", 1000),
        f"fwd_w_l{phase}": (f"power_import_l{phase}", 1),
        f"rev_w_l{phase}": (f"power_export_l{phase}", 1),
        f"v{phase}_cont_mv": (f"voltage_continuous_l{phase}", 1000),
        f"v{phase}_avg_mv": (f"voltage_average_l{phase}", 1000),
        f"fwd_w_l{phase}_avg": (f"power_import_average_l{phase}", 1),
        f"rev_w_l{phase}_avg": (f"power_export_average_l{phase}", 1),
    }
# The primary side has no fields of its own in a house, where it is the same.
PRIMARY = {"fwd_w_ct", "rev_w_ct", "imp_var_ct", "exp_var_ct"}
PRIMARY |= {f"{name}_l{phase}_ct" for name in ("fwd_w", "rev_w") for phase in (1, 2, 3)}
PRIMARY |= {f"i{phase}_ma_ct" for phase in (1, 2, 3)}


@pytest.fixture
def house(vector: Callable[..., Any]) -> Layout:
    """The layout of such a meter, confirmed by two of the captures."""
    return Layout.build(
        decode_dimensions(HOUSE),
        Firmware(3, 84, 6),
        "little",
        registers=vector("dk10-allanhvam-bt23")["bytes"],
        values=vector("dk10-allanhvam-d7-bt28")["bytes"],
    )


def expected(names: dict[str, tuple[str, int]], facts: dict[str, Any]) -> dict[str, float]:
    return {names[name][0]: facts[name] / names[name][1] for name in facts if name in names}


def published(values: dict[str, float | None], expectation: dict[str, float]) -> dict[str, float]:
    return {key: values[key] for key in expectation}


@pytest.mark.parametrize(
    "name", ["dk10-allanhvam-bt23", "dk2-nickym-08-bt23", "dk2-nickym-12-bt23", "dk2-nickym-19-bt23"]
)
class TestRegistersOfHouses:
    def test_the_energies_are_those_the_owner_saw(self, name: str, vector: Callable[..., Any], house: Layout) -> None:
        capture = vector(name)
        printed = expected(WH, capture["printed"])
        assert set(printed) == {"energy_import", "energy_export"}
        assert published(house.decode({"BT23": capture["bytes"]}), printed) == printed

    def test_all_registers_are_those_of_another_decoder(
        self, name: str, vector: Callable[..., Any], house: Layout
    ) -> None:
        capture = vector(name)
        computed = expected(WH, capture["computed"])
        assert len(computed) == 11
        assert published(house.decode({"BT23": capture["bytes"]}), computed) == computed

    def test_a_poll_asks_for_the_totals_alone(self, name: str, vector: Callable[..., Any], house: Layout) -> None:
        whole = vector(name)["bytes"]
        assert [part for part in house.reads if part.table == 23] == [("BT23", 23, 0, 44)]
        assert house.decode({"BT23": whole[:44]}) == house.decode({"BT23": whole})

    def test_one_tier_that_holds_everything_is_no_tariff(
        self, name: str, vector: Callable[..., Any], house: Layout
    ) -> None:
        capture = vector(name)
        layout = Layout.build(
            decode_dimensions(HOUSE), Firmware(3, 84, 6), "little",
            registers=capture["bytes"], values=vector("dk2-nickym-16-bt28")["bytes"],
        )  # fmt: skip
        assert layout.fields == house.fields
        assert not any("_t1" in key for key in layout.fields)
        assert layout.remarks == ()


@pytest.mark.parametrize("name", ["dk10-allanhvam-d7-bt28", "dk2-nickym-16-bt28", "dk4-amajland-mixed-bt28"])
class TestPresentValuesOfHouses:
    def test_the_values_are_those_the_owner_saw(self, name: str, vector: Callable[..., Any], house: Layout) -> None:
        capture = vector(name)
        printed = expected(W, capture.get("printed", {}))
        assert published(house.decode({"BT28": capture["bytes"]}), printed) == printed

    def test_all_values_are_those_of_another_decoder(
        self, name: str, vector: Callable[..., Any], house: Layout
    ) -> None:
        capture = vector(name)
        assert set(capture["computed"]) == set(W) | PRIMARY
        computed = expected(W, capture["computed"])
        assert published(house.decode({"BT28": capture["bytes"]}), computed) == computed

    def test_every_such_frame_confirms_the_layout(self, name: str, vector: Callable[..., Any], house: Layout) -> None:
        layout = Layout.build(
            decode_dimensions(HOUSE), Firmware(3, 84, 6), "little",
            registers=vector("dk2-nickym-08-bt23")["bytes"], values=vector(name)["bytes"],
        )  # fmt: skip
        assert layout == house


class TestWhatWasSeenInHouses:
    def test_import_net_over_the_phases_while_one_feeds_in(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT28": vector("dk4-amajland-mixed-bt28")["bytes"]})
        assert (values["power_import"], values["power_export"], values["power"]) == (311, 0, 311)
        assert [values[f"power_import_l{phase}"] for phase in (1, 2, 3)] == [387, 0, 44]
        assert [values[f"power_export_l{phase}"] for phase in (1, 2, 3)] == [0, 119, 0]
        assert values["power_factor_l2"] == -0.243
        assert values["current_l2"] == 2.167

    def test_the_quadrants_are_there_without_demand_and_shift_nothing(
        self, vector: Callable[..., Any], house: Layout
    ) -> None:
        values = house.decode({"BT28": vector("dk2-nickym-16-bt28")["bytes"]})
        assert values["reactive_power_q4"] == values["reactive_power_export"] == 545
        assert sum(values[f"power_import_l{phase}"] for phase in (1, 2, 3)) == 321 + 59 + 52

    def test_registers_6_and_7_are_published_as_the_meter_has_them(
        self, vector: Callable[..., Any], house: Layout
    ) -> None:
        values = house.decode({"BT23": vector("dk2-nickym-08-bt23")["bytes"]})
        assert values["energy_total"] == 65845.519  # 2 Wh less than the two added
        assert values["energy_net"] == 65842.808  # 2355 Wh less than the difference

    def test_an_outage_of_nine_months_is_a_value_like_any_other(
        self, vector: Callable[..., Any], house: Layout
    ) -> None:
        assert house.decode({"BT23": vector("dk2-nickym-08-bt23")["bytes"]})["outage_duration"] == 23315499


class TestBeginningsAndEnds:
    """Captures of which a part is lost: what is there is published, what is not is unknown."""

    def test_a_beginning_of_bt23(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT23": vector("incomplete:dk2-nickym-13-bt23")["bytes"]})
        assert values["energy_import"] == 65845.343
        assert values["energy_export"] == 0.179
        assert values["reactive_energy_export"] == 20491.955
        assert values["energy_total"] == 65845.52
        assert values["energy_net"] == 65842.808

    def test_a_beginning_of_bt28(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT28": vector("incomplete:dk2-nickym-09-bt28")["bytes"]})
        assert values["power"] == 440
        assert values["reactive_power_export"] == 546
        assert [values[f"current_l{phase}"] for phase in (1, 2, 3)] == [1.986, 0.77, 0.865]
        assert [values[f"voltage_l{phase}"] for phase in (1, 2, 3)] == [227.879, 226.287, 227.896]
        assert [values[f"power_factor_l{phase}"] for phase in (1, 2, 3)] == [0.732, 0.339, 0.264]
        assert values["frequency"] == 50
        assert values["apparent_power"] == 820
        assert values["sin_phi_l3"] is None
        assert values["power_import_l1"] is None

    def test_a_bt28_but_for_its_last_bytes(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT28": vector("incomplete:dk10-allanhvam-first-bt28")["bytes"]})
        assert values["power"] == 455
        assert [values[f"power_import_l{phase}"] for phase in (1, 2, 3)] == [168, 140, 148]
        assert values["voltage_l3"] == 234.16
        assert values["voltage_average_l3"] == 231.727
        assert values["power_export_average_l1"] is None

    def test_an_end_of_bt28_at_its_place(self, vector: Callable[..., Any], house: Layout) -> None:
        capture = vector("incomplete:dk10-allanhvam-495-bt28")
        values = house.decode({"BT28": bytes(44 * 4) + capture["bytes"]})
        for phase, volts, watts in ((1, 232.112, 201), (2, 232.111, 140), (3, 231.727, 155)):
            assert values[f"voltage_average_l{phase}"] == volts
            assert values[f"power_import_average_l{phase}"] == watts
        assert values["power_import_average"] == 495


class TestPrintsWithoutBytes:
    """Values that a source printed, encoded here by hand at the places the guides give, must come out again."""

    @pytest.mark.parametrize("item", ["dk10-allanhvam-495-bt28", "bt28-blog"])
    def test_the_printed_values_come_out(self, item: str, vector: Callable[..., Any], house: Layout) -> None:
        p = vector(f"incomplete:{item}")["printed"]
        present = struct.pack(
            "<55i",
            p["fwd_w"], p["rev_w"], p["imp_var"], p["exp_var"],
            p["i1_ma"], p["i2_ma"], p["i3_ma"], p["v1_mv"], p["v2_mv"], p["v3_mv"],
            p["pf1"], p["freq_mhz"], p["va"], p["pf2"], p["pf3"],
            0, 0, 0,
            p["fwd_w"], p["rev_w"], p["imp_var"], p["exp_var"],
            0, 0, 0, 0,
            p["fwd_w_l1"], p["fwd_w_l2"], p["fwd_w_l3"], p["rev_w_l1"], p["rev_w_l2"], p["rev_w_l3"],
            0, 0, 0, 0, 0, 0, 0, 0, 0,
            p["v1_cont_mv"], p["v2_cont_mv"], p["v3_cont_mv"], p["v1_avg_mv"], p["v2_avg_mv"], p["v3_avg_mv"],
            *(p.get(name, 0) for name in ("fwd_w_avg", "rev_w_avg")),
            *(p.get(f"{way}_w_l{phase}_avg", 0) for way in ("fwd", "rev") for phase in (1, 2, 3)),
        )  # fmt: skip
        printed = expected(W, p)
        assert len(printed) == len(p)
        assert published(house.decode({"BT28": present}), printed) == printed

    def test_the_blogs_meter_as_published(self, vector: Callable[..., Any], house: Layout) -> None:
        """The blog's numbers, once more written out: 701 W on three phases, inductive."""
        present = bytearray(220)
        for number, value in {
            0: 701, 2: 139, 4: 1536, 5: 1874, 6: 139, 7: 232591, 8: 233879, 9: 234387, 10: 875, 11: 50000, 12: 822,
            13: 836, 14: 837, 26: 311, 27: 366, 28: 25, 41: 232507, 42: 233922, 43: 234246, 44: 232185, 45: 232990,
            46: 234229, 47: 701, 49: 311, 50: 366, 51: 25,
        }.items():  # fmt: skip
            struct.pack_into("<i", present, 4 * number, value)
        values = house.decode({"BT28": bytes(present)})
        assert (values["power"], values["reactive_power_import"], values["apparent_power"]) == (701, 139, 822)
        assert [values[f"current_l{phase}"] for phase in (1, 2, 3)] == [1.536, 1.874, 0.139]
        assert [values[f"voltage_l{phase}"] for phase in (1, 2, 3)] == [232.591, 233.879, 234.387]
        assert [values[f"power_factor_l{phase}"] for phase in (1, 2, 3)] == [0.875, 0.836, 0.837]
        assert [values[f"power_import_l{phase}"] for phase in (1, 2, 3)] == [311, 366, 25]
        assert [values[f"voltage_continuous_l{phase}"] for phase in (1, 2, 3)] == [232.507, 233.922, 234.246]
        assert [values[f"voltage_average_l{phase}"] for phase in (1, 2, 3)] == [232.185, 232.99, 234.229]
        assert values["frequency"] == 50

    def test_the_blogs_energies_as_published(self, house: Layout) -> None:
        values = house.decode({"BT23": struct.pack("<2i", 115921469, 201)})
        assert values["energy_import"] == 115921.469  # the display showed 115921 kWh
        assert values["energy_export"] == 0.201

    def test_the_energies_of_a_row_without_bytes(self, house: Layout) -> None:
        values = house.decode({"BT23": struct.pack("<2i", 63961868, 66)})
        assert (values["energy_import"], values["energy_export"]) == (63961.868, 0.066)

    def test_the_averages_of_a_row_without_bytes(self, house: Layout) -> None:
        present = bytearray(220)
        struct.pack_into("<6i", present, 4 * 41, 232676, 232810, 232216, 232112, 232111, 231727)
        struct.pack_into("<5i", present, 4 * 47, 468, 0, 183, 139, 147)
        values = house.decode({"BT28": bytes(present)})
        assert values["voltage_continuous_l2"] == 232.81
        assert values["voltage_average_l1"] == 232.112
        assert values["power_import_average"] == 468
        assert values["power_import_average_l3"] == 147

    def test_the_blogs_dimensions(self, vector: Callable[..., Any]) -> None:
        """The program printed 12 self-reads, 11 summations, no demands, 55 values; the length gives the tiers."""
        rebuilt = vector("incomplete:bt21-blog")["hex_rebuilt"].replace("??", "04")
        dimensions = decode_dimensions(bytes.fromhex(rebuilt))
        assert dimensions == decode_dimensions(HOUSE)
        assert (dimensions.self_reads, dimensions.summations, dimensions.demands) == (12, 11, 0)
        assert (dimensions.present_demands, dimensions.present_values) == (0, 55)

    def test_the_blogs_firmware(self) -> None:
        """Version bytes 58.134; the serial number is made up, its author masked it."""
        identification = b"ELON83331-3I" + bytes([0, 0, 58, 134]) + bytes(8)
        identity = decode_identity(identification, b"4080000000".ljust(30, b"\0"))
        assert (identity.manufacturer, identity.model, str(identity.firmware)) == ("ELON", "83331-3I", "3.84.06")


class TestTheOpticalPort:
    """Two partial reads of an NES 83334 by infrared."""

    def test_eight_bytes_of_bt23_are_two_energies(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT23": vector("ir-guest-bt23")["bytes"]})
        assert values["energy_import"] == 344.18
        assert values["energy_export"] == 7.583
        assert values["reactive_energy_import"] is None

    def test_forty_bytes_of_bt28_are_ten_values(self, vector: Callable[..., Any], house: Layout) -> None:
        values = house.decode({"BT28": vector("ir-guest-bt28")["bytes"]})
        assert (values["power_import"], values["power_export"], values["power"]) == (2710, 0, 2710)
        assert (values["reactive_power_import"], values["reactive_power_export"]) == (0, 569)
        assert [values[f"current_l{phase}"] for phase in (1, 2, 3)] == [3.32, 3.292, 6.544]
        assert [values[f"voltage_l{phase}"] for phase in (1, 2, 3)] == [225.319, 225.263, 225.398]
        assert values["frequency"] is None


class TestTheGuidesDumps:
    @pytest.mark.parametrize(("name", "part"), [("guide-tx-bt20", BT20), ("guide-tx-bt21", BT21)])
    def test_the_dimensions_are_those_of_another_decoder(
        self, name: str, part: Part, vector: Callable[..., Any]
    ) -> None:
        capture = vector(name)
        computed = capture["computed"]
        dimensions = decode_dimensions(capture["bytes"], part)
        assert dimensions.self_reads == computed["selfreads"]
        for count in ("summations", "demands", "coincidents", "occurrences", "tiers"):
            assert getattr(dimensions, count) == computed[count]
        assert dimensions.present_demands == computed["present_demands"]
        assert dimensions.present_values == computed["present_values"]
        if part is BT21:
            assert dimensions.registers.size == computed["bt23_length"]
            assert dimensions.present_base == computed["bt28_base"]

    def test_the_registers_of_a_meter_on_a_bench(self, vector: Callable[..., Any], house: Layout) -> None:
        capture = vector("guide-rc4-bt23")
        computed = expected(WH, capture["computed"])
        values = house.decode({"BT23": capture["bytes"]})
        assert published(values, computed) == computed
        assert (values["outage_duration"], values["outage_count"], values["error_count"]) == (8, 3, 6)

    def test_the_transaction_holds_the_dumps_of_the_single_tables(self, vector: Callable[..., Any]) -> None:
        transaction = vector("guide-tx-et53")["bytes"]
        for name in ("guide-tx-bt20", "guide-tx-bt21", "guide-tx-et11", "guide-tx-et14", "guide-tx-et15"):
            assert vector(name)["bytes"] in transaction


def test_every_vector_says_where_it_is_from_and_is_as_long_as_it_says(
    vector: Callable[..., Any], vector_names: list[str]
) -> None:
    assert len(vector_names) == 16
    for name in vector_names:
        capture = vector(name)
        assert capture["source_url"]
        assert capture["author"]
        assert len(capture["bytes"]) == capture["count"]
