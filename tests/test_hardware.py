"""The circuits, numbers, pictures and prints in hardware/ agree with each other.

The rule checks are tested by breaking what they check; the numbers by values worked out by hand from the data sheets.
What KiCad is given is read back here with a reader of its own, and by KiCad where it is installed.
"""

import csv
import hashlib
import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

HARDWARE = Path(__file__).resolve().parents[1] / "hardware"
PROBE = HARDWARE / "ir-probe"
MEP_CABLE = HARDWARE / "mep-cable"

Point = tuple[float, ...]
Nets = dict[str, set[tuple[str, str]]]


def scripts(folder: Path, *names: str) -> Iterator[SimpleNamespace]:
    """The scripts of a folder; they import each other by bare names, so they stand in sys.modules meanwhile."""
    files = {name: (folder if (folder / f"{name}.py").exists() else HARDWARE) / f"{name}.py" for name in names}
    modules: dict[str, ModuleType] = {}
    try:
        for name, file in files.items():
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None
            assert spec.loader is not None
            modules[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(modules[name])
        yield SimpleNamespace(**modules)
    finally:
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def probe() -> Iterator[SimpleNamespace]:
    yield from scripts(
        PROBE, "svg", "netlist", "calc", "erc", "bom", "drawings", "kicad", "perfboard", "schematic", "simulate"
    )


@pytest.fixture(scope="module")
def mep_cable() -> Iterator[SimpleNamespace]:
    yield from scripts(MEP_CABLE, "svg", "cable")


@pytest.fixture(scope="module")
def source() -> str:
    return (PROBE / "circuit.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def layout() -> str:
    return (PROBE / "perfboard.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wiring() -> str:
    return (MEP_CABLE / "cable.toml").read_text(encoding="utf-8")


class TestRuleCheck:
    def test_the_circuit_passes(self, probe: Any) -> None:
        assert probe.erc.complaints(probe.netlist.load()) == []

    @pytest.mark.parametrize(
        ("old", "new", "rule"),
        [
            (
                'K = ["LED_K", "cathode"], A = ["LED_A", "anode"]',
                'K = ["LED_A", "cathode"], A = ["LED_K", "anode"]',
                "light_flows_the_right_way: D1",
            ),
            (
                'C = ["PT_C", "collector"], E = ["PT_E", "emitter"]',
                'C = ["PT_E", "collector"], E = ["PT_C", "emitter"]',
                "light_flows_the_right_way: Q2",
            ),
            ('E = ["VCC", "emitter"]', 'E = ["GND", "emitter"]', "light_flows_the_right_way: Q1"),
            ('"1" = ["TXD", "passive"]', '"1" = ["TXT", "passive"]', "no_net_is_lonely: net TXD"),
            ('"1" = ["TXD", "passive"]', '"1" = ["RXD", "passive"]', "idle_is_dark_and_light_is_low: Q1"),
            ('TXD = ["TXD", "output"]', 'TXD = ["RXD", "output"]', "signals_have_one_driver: RXD"),
            ('"2" = ["RXD", "passive"]', '"2" = ["GND", "passive"]', "signals_have_one_driver: RXD is an open"),
            ('"1" = ["LED_K", "passive"]', '"1" = ["GND", "passive"]', "no_part_is_bridged: R3"),
            ('"3V3" = ["VCC", "power_out"]', '"3V3" = ["VCC", "passive"]', "supply_is_driven_once: VCC has 0 sources"),
            ('ref = "R2"', 'ref = "R1"', "references_are_unique: R1"),
            ('value = "300"', 'value = "305"', "values_can_be_bought: R3"),
            ('value = "300"', 'value = "30"', "ratings_hold: limit violated: strongest LED"),
            ('value = "300"', 'value = "1k"', "ratings_hold: limit violated: weakest LED gives the light"),
            ('value = "470"', 'value = "100"', "ratings_hold: limit violated: Q2 within its current"),
            ('value = "2.2k"', 'value = "1k"', "ratings_hold: limit violated: any receiver hears 200"),
            ('value = "2.2k"', 'value = "22k"', "ratings_hold: limit violated: no receiver hears 20"),
            ("volts_max_v = 6.3", "volts_max_v = 4", "supply_is_decoupled: C2"),
        ],
    )
    def test_a_fault_is_found(self, probe: Any, source: str, old: str, new: str, rule: str) -> None:
        assert source.count(old) == 1
        faulty = probe.netlist.parse(source.replace(old, new))
        assert any(found.startswith(rule) for found in probe.erc.complaints(faulty)), probe.erc.complaints(faulty)


class TestNumbers:
    def test_a_bit_lasts_104_microseconds(self, probe: Any) -> None:
        assert 104.16 < probe.calc.BIT_US < 104.17

    def test_the_led_carries_what_its_resistor_leaves_it(self, probe: Any) -> None:
        # 3.3 V less 0.1 V (Q1) less about 1.17 V (D1) over 300 Ω
        numbers = probe.calc.compute(probe.netlist.load())
        assert numbers.led_ma["typ"] == pytest.approx(6.8, abs=0.1)
        # 36 mW/sr at 100 mA
        assert numbers.led_mw_sr["typ"] == pytest.approx(0.36 * 6.8, abs=0.05)

    def test_a_lobe_is_half_as_bright_at_its_half_angle(self, probe: Any) -> None:
        # cos 60° is one half, so n is one
        assert probe.calc.lobe_exponent(60.0) == pytest.approx(1.0)

    def test_a_narrow_reference_area_would_see_nearly_the_axis(self, probe: Any) -> None:
        # tan 21.7° at the rim of 0.5 cm² at 1 cm; a lobe of ±25° loses about three tenths on average
        assert probe.calc.mean_over_reference_area(25.0) == pytest.approx(0.70, abs=0.01)

    def test_the_threshold_is_one_base_emitter_voltage_over_the_load(self, probe: Any) -> None:
        # 0.65 V / 2.2 kΩ and a little base current
        assert probe.calc.compute(probe.netlist.load()).threshold_ma["typ"] == pytest.approx(0.31, abs=0.01)

    def test_the_edges_move_a_bit_by_less_than_a_fifth(self, probe: Any) -> None:
        assert probe.calc.compute(probe.netlist.load()).bit_shift_share < 0.2

    def test_the_written_calculation_quotes_the_computed_figures(self, probe: Any) -> None:
        text = (PROBE / "circuit.md").read_text(encoding="utf-8")
        n = probe.calc.compute(probe.netlist.load())
        for figure in (
            f"{n.led_ma['min']:.1f} / {n.led_ma['typ']:.1f} / {n.led_ma['max']:.1f} mA",
            f"{n.light_at_10mm['min']:.0f} / {n.light_at_10mm['typ']:.0f} / {n.light_at_10mm['max']:.0f} µW/cm²",
            f"{n.threshold_light['min']:.0f} … {n.threshold_light['max']:.0f} µW/cm²",
            f"{100 * n.bit_shift_share:.0f} % of a bit",
            f"{n.supply_ma:.0f} mA",
            f"{n.echo_worst:.0f} µW/cm²",
        ):
            assert figure in text, figure

    def test_the_calculation_holds_for_the_bag_of_two_groups_as_written(self, probe: Any) -> None:
        text = (PROBE / "circuit.md").read_text(encoding="utf-8")
        n = probe.calc.compute(probe.netlist.load(), probe.calc.PT_MA_PER_MW_4_5)
        # 0.6 V / 2.2 kΩ and 13 µA of base current, over 3.2 mA at 0.5 mW/cm²
        assert n.threshold_light["min"] == pytest.approx(1000 * 0.286 / 6.4, abs=0.5)
        assert f"{n.threshold_light['min']:.0f} µW/cm²" in text
        assert f"{100 * n.bit_shift_share:.1f} % of a bit" in text

    def test_ngspice_gives_the_written_figures(self, probe: Any, capsys: pytest.CaptureFixture[str]) -> None:
        if shutil.which("ngspice") is None:
            pytest.skip("ngspice is not installed")
        assert probe.simulate.main() == 0
        said = capsys.readouterr().out
        shares = [int(share) for share in re.findall(r"bit (?:changed by )?(\d+) %", said)]
        assert shares == pytest.approx([13, 1, 6, 7, 8, 13], abs=1)  # versions of ngspice round differently
        assert "13 %, 1 % and 6 %" in (PROBE / "circuit.md").read_text(encoding="utf-8")
        assert "7 %, 8 % and 13 %" in (PROBE / "circuit.md").read_text(encoding="utf-8")


class TestBillOfMaterials:
    def test_the_committed_list_is_the_generated_one(self, probe: Any) -> None:
        assert (PROBE / "bom.csv").read_text(encoding="utf-8") == probe.bom.text(probe.netlist.load())

    def test_every_part_is_listed_once_with_value_package_and_alternatives(self, probe: Any) -> None:
        with (PROBE / "bom.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        listed = [ref for row in rows for ref in row["references"].split()]
        assert sorted(listed) == sorted(part.ref for part in probe.netlist.load().parts)
        assert all(row["value"] and row["package"] and row["alternatives"] for row in rows)
        assert all(int(row["quantity"]) == len(row["references"].split()) for row in rows)

    def test_a_price_names_where_it_was_seen(self, probe: Any) -> None:
        for part in probe.netlist.load().parts:
            assert (part.price_usd is None) == (not part.price_from), part.ref

    def test_the_page_tells_the_sum_of_the_known_prices_and_what_has_none(self, probe: Any) -> None:
        # 8.00 + 0.20 + 0.60 + 0.10 + 6 × 0.10 + 0.20 + 1.50 + 4.00
        dollars, unknown = probe.bom.total(probe.netlist.load())
        assert dollars == pytest.approx(15.20)
        text = (PROBE / "README.md").read_text(encoding="utf-8")
        assert f"${dollars:.2f}" in text
        assert ", ".join(unknown) in text


class TestPictures:
    def test_the_committed_drawings_are_the_generated_ones(self, probe: Any) -> None:
        for name, draw in probe.drawings.DRAWINGS.items():
            assert (PROBE / "drawings" / f"{name}.svg").read_text(encoding="utf-8") == draw(), name

    @pytest.mark.parametrize("picture", sorted(HARDWARE.rglob("*.svg")), ids=lambda picture: picture.name)
    def test_a_picture_is_well_formed(self, picture: Path) -> None:
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")

    def test_the_schematic_shows_every_part_and_its_value(self, probe: Any) -> None:
        texts = list(ElementTree.parse(PROBE / "schematic.svg").getroot().itertext())
        for part in probe.netlist.load().parts:
            if part.pins:
                assert part.ref in texts, part.ref
                assert probe.kicad.shown(part) in texts, part.ref

    def test_a_value_is_shown_with_its_unit(self, probe: Any) -> None:
        circuit = probe.netlist.load()
        assert [probe.kicad.shown(circuit[ref]) for ref in ("R1", "R3", "C1", "C2", "Q1")] == [
            "4.7 kΩ",
            "300 Ω",
            "100 nF",
            "10 µF",
            "2N3906",
        ]

    def test_the_schematic_was_drawn_from_the_committed_sheet(self) -> None:
        lines = (PROBE / "schematic.sha256").read_text(encoding="utf-8").splitlines()
        recorded = {name: digest for digest, name in (line.split() for line in lines)}
        assert set(recorded) == {"kicad/ir-probe.kicad_sch", "schematic.svg"}
        for name, digest in recorded.items():
            assert hashlib.sha256((PROBE / name).read_bytes()).hexdigest() == digest, f"{name}: run `make schematic`"

    def test_the_pinouts_name_each_leg_with_its_net(self, probe: Any) -> None:
        texts = Counter(ElementTree.parse(PROBE / "drawings" / "pinouts.svg").getroot().itertext())
        for part in probe.netlist.load().of_kind("npn", "pnp", "ir_led", "phototransistor"):
            for pin in part.pins:
                assert texts[pin.name]
                assert texts[pin.net], pin


def expressions(text: str) -> list[Any]:
    """KiCad's files as nested lists: strings and bare words become str."""
    stack: list[list[Any]] = [[]]
    for opened, closed, string, word in re.findall(r'(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+)', text):
        if opened:
            stack.append([])
        elif closed:
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            stack[-1].append(string or word)
    assert len(stack) == 1
    tree: list[Any] = stack[0][0]
    return tree


def below(tree: list[Any], name: str) -> list[list[Any]]:
    """The lists of that name directly in a list."""
    return [item for item in tree if isinstance(item, list) and item and item[0] == name]


def numbers(tree: list[Any], name: str) -> list[float]:
    """The numbers of the only list of that name, such as (at 2.54 5.08 90)."""
    return [float(number) for number in below(tree, name)[0][1:]]


def traced(sheet: list[Any]) -> Nets:
    """What a schematic connects, found by walking its wires: each net's name, and its pins by part and leg."""
    library = {symbol[1]: symbol for symbol in below(below(sheet, "lib_symbols")[0], "symbol")}
    pins: dict[tuple[str, str], Point] = {}
    names: list[tuple[Point, str]] = []
    for symbol in below(sheet, "symbol"):
        x, y, angle = numbers(symbol, "at")
        fields = {field[1]: field[2] for field in below(symbol, "property")}
        for unit in below(library[below(symbol, "lib_id")[0][1]], "symbol"):
            for pin in below(unit, "pin"):
                px, py, _ = numbers(pin, "at")
                for _ in range(int(angle) // 90):
                    px, py = -py, px
                place = (round(x + px, 3), round(y - py, 3))  # a symbol's y goes up, the sheet's goes down
                if fields["Reference"].startswith("#PWR"):
                    names.append((place, fields["Value"]))
                else:
                    pins[fields["Reference"], below(pin, "number")[0][1]] = place
    names += [((*(round(n, 3) for n in numbers(label, "at")[:2]),), label[1]) for label in below(sheet, "label")]
    wires = [
        tuple(tuple(round(float(n), 3) for n in point[1:]) for point in below(wire, "pts")[0][1:])
        for wire in below(sheet, "wire")
    ]
    return joined_by(wires, pins, names)


def joined_by(
    wires: list[tuple[Point, ...]], pins: dict[tuple[str, str], Point], names: list[tuple[Point, str]]
) -> Nets:
    """Collect the pins that wires and names join. Only ends join, as in KiCad; a label sits anywhere on a wire."""

    def on(place: Point, wire: tuple[Point, ...]) -> bool:
        (x1, y1), (x2, y2) = wire
        between = min(x1, x2) <= place[0] <= max(x1, x2) and min(y1, y2) <= place[1] <= max(y1, y2)
        return between and (x2 - x1) * (place[1] - y1) == (y2 - y1) * (place[0] - x1)

    groups: list[set[Any]] = [{*wire} for wire in wires] + [{place} for place in pins.values()]
    for place, name in names:
        groups.append({place, name, *(end for wire in wires if on(place, wire) for end in wire)})
    merged: list[set[Any]] = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group] + [group.union(*touching)]
    nets: Nets = {}
    for group in merged:
        held = {pin for pin, place in pins.items() if place in group}
        given = [item for item in group if isinstance(item, str)]
        assert len(given) == 1, f"{sorted(held)} is named {given}"
        nets[given[0]] = held
    return nets


def wanted(circuit: Any) -> Nets:
    """The nets of circuit.toml in the same form."""
    return {name: {(pin.ref, str(pin.number)) for pin in pins} for name, pins in circuit.nets.items()}


def listed(tree: list[Any]) -> Nets:
    """The nets of a netlist in KiCad's form."""
    return {
        below(net, "name")[0][1].removeprefix("/"): {
            (below(node, "ref")[0][1], below(node, "pin")[0][1]) for node in below(net, "node")
        }
        for net in below(below(tree, "nets")[0], "net")
    }


class TestKicad:
    def test_the_committed_files_are_the_generated_ones(self, probe: Any) -> None:
        written = probe.kicad.files(probe.netlist.load())
        assert {file.name for file in (PROBE / "kicad").iterdir()} == set(written)
        for name, text in written.items():
            assert (PROBE / "kicad" / name).read_text(encoding="utf-8") == text, f"{name}: run `make kicad`"

    def test_the_schematic_connects_what_the_circuit_connects(self, probe: Any) -> None:
        sheet = expressions((PROBE / "kicad" / "ir-probe.kicad_sch").read_text(encoding="utf-8"))
        assert traced(sheet) == wanted(probe.netlist.load())

    def test_the_netlist_connects_what_the_circuit_connects(self, probe: Any) -> None:
        tree = expressions((PROBE / "kicad" / "ir-probe.net").read_text(encoding="utf-8"))
        assert listed(tree) == wanted(probe.netlist.load())

    def test_another_circuit_gives_another_schematic(self, probe: Any, source: str) -> None:
        swapped = source.replace('C = ["PT_C", "collector"], E = ["PT_E"', 'C = ["PT_E", "collector"], E = ["PT_C"')
        circuit = probe.netlist.parse(swapped)
        sheet = expressions(probe.kicad.schematic(circuit))
        assert traced(sheet) != wanted(circuit)  # its lines are drawn by hand: the test above would tell

    def test_schematic_and_netlist_carry_values_and_footprints(self, probe: Any) -> None:
        circuit = probe.netlist.load()
        sheet = expressions((PROBE / "kicad" / "ir-probe.kicad_sch").read_text(encoding="utf-8"))
        tree = expressions((PROBE / "kicad" / "ir-probe.net").read_text(encoding="utf-8"))
        symbols = [{field[1]: field[2] for field in below(symbol, "property")} for symbol in below(sheet, "symbol")]
        drawn = {s["Reference"]: (s["Value"], s["Footprint"]) for s in symbols if s["Reference"][0] != "#"}
        parts = below(below(tree, "components")[0], "comp")
        imported = {
            below(part, "ref")[0][1]: (below(part, "value")[0][1], below(part, "footprint")[0][1]) for part in parts
        }
        assert drawn == imported
        assert drawn["R3"] == ("300 Ω", "Resistor_THT:R_Axial_DIN0207_L6.3mm_D2.5mm_P2.54mm_Vertical")
        assert set(drawn) == {part.ref for part in circuit.parts if part.pins}

    def test_kicad_opens_it_finds_no_error_and_reads_the_same_nets(self, probe: Any, tmp_path: Path) -> None:
        kicad = shutil.which("kicad-cli")
        if kicad is None:
            pytest.skip("kicad-cli is not installed")
        sheet = str(PROBE / "kicad" / "ir-probe.kicad_sch")
        erc = [kicad, "sch", "erc", "--severity-error", "--exit-code-violations", "-o", str(tmp_path / "erc"), sheet]
        subprocess.run(erc, check=True, timeout=120, capture_output=True)
        export = [kicad, "sch", "export", "netlist", "-o", str(tmp_path / "net"), sheet]
        subprocess.run(export, check=True, timeout=120, capture_output=True)
        tree = expressions((tmp_path / "net").read_text(encoding="utf-8"))
        assert listed(tree) == wanted(probe.netlist.load())


class TestPerfboard:
    def test_the_board_passes(self, probe: Any) -> None:
        assert probe.perfboard.complaints(probe.perfboard.load_board(), probe.netlist.load()) == []

    def test_the_committed_drawing_is_the_generated_one(self, probe: Any) -> None:
        drawn = probe.perfboard.draw(probe.perfboard.load_board(), probe.netlist.load())
        assert (PROBE / "drawings" / "perfboard.svg").read_text(encoding="utf-8") == drawn

    @pytest.mark.parametrize(
        ("old", "new", "rule"),
        [
            ('along = ["C4", "C5"]', 'along = ["C4", "B4"]', "every_net_is_joined_and_none_shorted: LED_K is in 2"),
            ('along = ["B3", "C3"]', 'along = ["B3", "D3"]', "every_net_is_joined_and_none_shorted: GND and LED_A are"),
            ('along = ["A4", "A5"]', 'along = ["A3", "A5"]', "every_net_is_joined_and_none_shorted: Q1_B and TXD are"),
            ('along = ["F2", "F3"]', 'along = ["F2", "G3"]', "every_wire_is_straight: the wire F2–G3"),
            ('along = ["B6", "H6"]', 'along = ["B6", "I6"]', "every_wire_is_straight: the wire to I6 leaves"),
            ('R5 = { "1" = "F5"', 'R5 = { "1" = "F4"', "every_leg_has_its_hole: Q2.E and R5.1 share the hole F4"),
            ('RXD = "G4"', 'RXD = "G7"', "every_leg_has_its_hole: W1.RXD is off the board"),
            (', GND = "B6" }', " }", "every_leg_has_its_hole: W1.GND is in only one"),
            ('R2 = "1"\nR3', 'R2 = "2"\nR3', "bodies_have_room: Q1 and R2 are too close"),
            ('VCC = "E3"', 'VCC = "D2"', "bodies_have_room: W1.VCC is under C1"),
            ('Q1 = "left"', 'Q1 = "right"', "flat_sides_are_right: Q1"),
            ("columns = 8", "columns = 11", "it_fits_the_holder: the board's corners"),
            ('D1 = { A = "C3", K = "C4" }', 'D1 = { A = "B4", K = "B5" }', "it_fits_the_holder: D1"),
        ],
    )
    def test_a_fault_is_found(self, probe: Any, layout: str, old: str, new: str, rule: str) -> None:
        assert layout.count(old) == 1
        faulty = probe.perfboard.parse_board(layout.replace(old, new))
        found = probe.perfboard.complaints(faulty, probe.netlist.load())
        assert any(complaint.startswith(rule) for complaint in found), found

    def test_copper_joins_every_hole_that_a_wire_passes(self, probe: Any) -> None:
        corner = [probe.perfboard.hole(name) for name in ("A1", "C1", "C3")]
        passed = {probe.perfboard.name(place) for place in probe.perfboard.passed(tuple(corner))}
        assert passed == {"A1", "B1", "C1", "C2", "C3"}

    def test_the_optics_stand_on_both_sides_of_the_middle(self, probe: Any) -> None:
        board = probe.perfboard.load_board()
        # columns C and F of eight: 1.5 holes of 2.54 mm from the middle
        assert board.millimetres(board.legs["D1", "A"]) == pytest.approx((-3.81, 1.27))
        assert board.millimetres(board.legs["Q2", "E"]) == pytest.approx((3.81, -1.27))


class TestMepCable:
    def test_the_cable_passes(self, mep_cable: Any) -> None:
        assert mep_cable.cable.complaints(mep_cable.cable.load()) == []

    def test_the_committed_drawings_and_list_are_the_generated_ones(self, mep_cable: Any) -> None:
        cable = mep_cable.cable.load()
        assert (MEP_CABLE / "bom.csv").read_text(encoding="utf-8") == mep_cable.cable.bom(cable)
        for name, draw in mep_cable.cable.DRAWINGS.items():
            assert (MEP_CABLE / f"{name}.svg").read_text(encoding="utf-8") == draw(cable), name

    def test_its_pins_are_those_of_the_makers_sheet(self, mep_cable: Any) -> None:
        pins = {signal.name: (signal.de9, signal.terminal_old) for signal in mep_cable.cable.load().signals}
        assert pins == {
            "MEP_COM_TXD": (2, "16A"),
            "MEP_COM_RXD": (3, "17"),
            "MEP_COM_GND": (5, "19"),
            "MEP_COM_ENABLE": (7, "18"),
            "MEP_PWR": (None, "16"),
        }

    def test_both_counts_of_the_header_name_the_same_pin(self, mep_cable: Any) -> None:
        # 1 2 3 over 4 5 6 against 1 3 5 over 2 4 6
        maker = [mep_cable.cable.place_maker(number) for number in (1, 2, 3, 4, 5, 6)]
        assert maker == [mep_cable.cable.place_odd_even(number) for number in (1, 3, 5, 2, 4, 6)]

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("header_odd_even = 2", "header_odd_even = 6", "MEP_COM_TXD: pin 4 of the maker's count is not pin 6"),
            ('terminal_new = "30"', 'terminal_new = "32"', "MEP_COM_RXD and MEP_COM_TXD share terminal_new 32"),
            ("de9 = 7", "de9 = 2", "MEP_COM_ENABLE is driven by the client: pin 2 of the DE-9 does not fit"),
            (
                'driver = "meter"\nheader_maker = 5',
                'driver = "meter"\nde9 = 9\nheader_maker = 5',
                "MEP_PWR is connected",
            ),
        ],
    )
    def test_a_fault_is_found(self, mep_cable: Any, wiring: str, old: str, new: str, complaint: str) -> None:
        assert wiring.count(old) == 1
        found = mep_cable.cable.complaints(mep_cable.cable.parse(wiring.replace(old, new)))
        assert any(said.startswith(complaint) for said in found), found


def triangles(path: Path) -> Iterator[tuple[Point, ...]]:
    """The triangles of a binary STL."""
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80)
    assert len(data) == 84 + 50 * count
    for i in range(count):
        numbers = struct.unpack_from("<12f", data, 84 + 50 * i)
        yield tuple(numbers[3 * k : 3 * k + 3] for k in (1, 2, 3))


class TestPrints:
    def test_the_prints_were_made_from_the_committed_model(self) -> None:
        lines = (PROBE / "stl.sha256").read_text(encoding="utf-8").splitlines()
        recorded = {name: digest for digest, name in (line.split() for line in lines)}
        assert set(recorded) == {"holder.scad", "holder.stl", "lid.stl"}
        for name, digest in recorded.items():
            assert hashlib.sha256((PROBE / name).read_bytes()).hexdigest() == digest, f"{name}: run `make stl`"

    @pytest.mark.parametrize("name", ["holder.stl", "lid.stl"])
    def test_a_print_is_a_closed_body(self, name: str) -> None:
        edges: Counter[tuple[Point, Point]] = Counter()
        for a, b, c in triangles(PROBE / name):
            for edge in ((a, b), (b, c), (c, a)):
                edges[edge] += 1
        assert edges
        assert all(edges[(b, a)] == times for (a, b), times in edges.items())

    def test_the_holder_has_the_heads_size(self) -> None:
        points = [p for triangle in triangles(PROBE / "holder.stl") for p in triangle]
        widths = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in range(3)]
        assert widths[0] == pytest.approx(32.0, abs=0.1)  # round, but for the ridge at the top (y)
        assert widths[1] == pytest.approx(33.2, abs=0.1)
        assert widths[2] == pytest.approx(26.0, abs=0.01)

    def test_the_optical_axes_are_those_of_the_calculation(self, probe: Any) -> None:
        assert probe.drawings.parameters()["axes_distance"] == 10 * probe.calc.AXES_CM == 6.5

    def test_between_the_two_bores_there_is_a_wall(self, probe: Any) -> None:
        p = probe.drawings.parameters()
        assert p["axes_distance"] - p["rim_diameter"] - p["optic_gap"] >= 2.0

    def test_the_magnet_passes_and_the_optics_fit_inside_it(self, probe: Any) -> None:
        p = probe.drawings.parameters()
        assert p["core_diameter"] < p["magnet_inner"]
        assert p["axes_distance"] + p["rim_diameter"] + p["optic_gap"] < p["core_diameter"]
        assert p["magnet_outer"] + 2 * p["magnet_gap"] < p["head_diameter"] - 2 * p["wall"]

    def test_the_page_tells_how_far_the_optics_hang_below_the_board(self, probe: Any) -> None:
        p = probe.drawings.parameters()
        rim = 1.0  # of a 3 mm package
        text = (PROBE / "README.md").read_text(encoding="utf-8")
        assert f"{p['core_height'] + p['baffle_height'] - p['rim_seat'] - rim:.0f} mm of leg" in text
        assert f"the bores are {p['axes_distance']} mm\n   apart, the holes {3 * 2.54:.1f}" in text

    def test_the_lid_can_be_rendered(self, tmp_path: Path) -> None:
        openscad = shutil.which("openscad")
        if openscad is None:
            pytest.skip("openscad is not installed")
        target = tmp_path / "lid.stl"
        command = [openscad, "-q", "-D", 'part="lid"', "-D", "$fn=16", "-o", str(target), str(PROBE / "holder.scad")]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        assert target.stat().st_size > 1000
