"""The probe's circuit, numbers, pictures and prints in hardware/ir-probe agree with each other.

The rule check is tested by breaking the circuit; the numbers by values worked out by hand from the data sheets.
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
from pathlib import Path
from xml.etree import ElementTree

import pytest

PROBE = Path(__file__).resolve().parents[1] / "hardware" / "ir-probe"


@pytest.fixture(scope="module")
def probe():
    """The scripts of the probe; they import each other by bare names, so their folder is on the path meanwhile."""
    names = ("netlist", "calc", "erc", "bom", "drawings")
    sys.path.insert(0, str(PROBE))
    try:
        modules = {}
        for name in names:
            spec = importlib.util.spec_from_file_location(name, PROBE / f"{name}.py")
            modules[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(modules[name])
        yield type("Probe", (), modules)
    finally:
        sys.path.remove(str(PROBE))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def source():
    return (PROBE / "circuit.toml").read_text(encoding="utf-8")


class TestRuleCheck:
    def test_the_circuit_passes(self, probe):
        assert probe.erc.complaints(probe.netlist.load()) == []

    @pytest.mark.parametrize(
        ("old", "new", "rule"),
        [
            (
                'A = ["LED_A", "anode"], K = ["LED_K", "cathode"]',
                'A = ["LED_K", "anode"], K = ["LED_A", "cathode"]',
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
    def test_a_fault_is_found(self, probe, source, old, new, rule):
        assert source.count(old) == 1
        faulty = probe.netlist.parse(source.replace(old, new))
        assert any(found.startswith(rule) for found in probe.erc.complaints(faulty)), probe.erc.complaints(faulty)


class TestNumbers:
    def test_a_bit_lasts_104_microseconds(self, probe):
        assert 104.16 < probe.calc.BIT_US < 104.17

    def test_the_led_carries_what_its_resistor_leaves_it(self, probe):
        # 3.3 V less 0.1 V (Q1) less about 1.17 V (D1) over 300 Ω
        numbers = probe.calc.compute(probe.netlist.load())
        assert numbers.led_ma["typ"] == pytest.approx(6.8, abs=0.1)
        # 36 mW/sr at 100 mA
        assert numbers.led_mw_sr["typ"] == pytest.approx(0.36 * 6.8, abs=0.05)

    def test_a_lobe_is_half_as_bright_at_its_half_angle(self, probe):
        # cos 60° is one half, so n is one
        assert probe.calc.lobe_exponent(60.0) == pytest.approx(1.0)

    def test_a_narrow_reference_area_would_see_nearly_the_axis(self, probe):
        # tan 21.7° at the rim of 0.5 cm² at 1 cm; a lobe of ±25° loses about three tenths on average
        assert probe.calc.mean_over_reference_area(25.0) == pytest.approx(0.70, abs=0.01)

    def test_the_threshold_is_one_base_emitter_voltage_over_the_load(self, probe):
        # 0.65 V / 2.2 kΩ and a little base current
        assert probe.calc.compute(probe.netlist.load()).threshold_ma["typ"] == pytest.approx(0.31, abs=0.01)

    def test_the_edges_move_a_bit_by_less_than_a_fifth(self, probe):
        assert probe.calc.compute(probe.netlist.load()).bit_shift_share < 0.2

    def test_the_written_calculation_quotes_the_computed_figures(self, probe):
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


class TestBillOfMaterials:
    def test_the_committed_list_is_the_generated_one(self, probe):
        assert (PROBE / "bom.csv").read_text(encoding="utf-8") == probe.bom.text(probe.netlist.load())

    def test_every_part_is_listed_once_with_value_package_and_alternatives(self, probe):
        with (PROBE / "bom.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        listed = [ref for row in rows for ref in row["references"].split()]
        assert sorted(listed) == sorted(part.ref for part in probe.netlist.load().parts)
        assert all(row["value"] and row["package"] and row["alternatives"] for row in rows)
        assert all(int(row["quantity"]) == len(row["references"].split()) for row in rows)


class TestPictures:
    def test_the_committed_drawings_are_the_generated_ones(self, probe):
        for name, draw in probe.drawings.DRAWINGS.items():
            assert (PROBE / "drawings" / f"{name}.svg").read_text(encoding="utf-8") == draw(), name

    @pytest.mark.parametrize(
        "name", ["schematic.svg", "drawings/mounting.svg", "drawings/section.svg", "drawings/orientation.svg"]
    )
    def test_a_picture_is_well_formed(self, name):
        assert ElementTree.parse(PROBE / name).getroot().tag.endswith("svg")

    def test_the_schematic_shows_every_part_and_its_value(self, probe):
        texts = " ".join(ElementTree.parse(PROBE / "schematic.svg").getroot().itertext())
        for part in probe.netlist.load().parts:
            if part.kind == "mechanical":
                continue
            assert re.search(rf"\b{part.ref}\b", texts), part.ref
            if part.kind == "resistor":
                assert f"{part.value.rstrip('k')} {'k' if part.value.endswith('k') else ''}Ω" in texts, part.ref

    def test_the_schematic_can_be_drawn_anew(self, probe, monkeypatch):
        pytest.importorskip("schemdraw")
        monkeypatch.syspath_prepend(str(PROBE))
        schematic = importlib.import_module("schematic")
        monkeypatch.delitem(sys.modules, "schematic")
        assert schematic.draw(probe.netlist.load()).startswith(b"<svg")


def triangles(path):
    """The triangles of a binary STL."""
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80)
    assert len(data) == 84 + 50 * count
    for i in range(count):
        numbers = struct.unpack_from("<12f", data, 84 + 50 * i)
        yield tuple(numbers[3 * k : 3 * k + 3] for k in (1, 2, 3))


class TestPrints:
    def test_the_prints_were_made_from_the_committed_model(self):
        lines = (PROBE / "stl.sha256").read_text(encoding="utf-8").splitlines()
        recorded = {name: digest for digest, name in (line.split() for line in lines)}
        assert set(recorded) == {"holder.scad", "holder.stl", "lid.stl"}
        for name, digest in recorded.items():
            assert hashlib.sha256((PROBE / name).read_bytes()).hexdigest() == digest, f"{name}: run `make stl`"

    @pytest.mark.parametrize("name", ["holder.stl", "lid.stl"])
    def test_a_print_is_a_closed_body(self, name):
        edges = Counter()
        for a, b, c in triangles(PROBE / name):
            for edge in ((a, b), (b, c), (c, a)):
                edges[edge] += 1
        assert edges
        assert all(edges[(b, a)] == times for (a, b), times in edges.items())

    def test_the_holder_has_the_heads_size(self):
        points = [p for triangle in triangles(PROBE / "holder.stl") for p in triangle]
        widths = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in range(3)]
        assert widths[0] == pytest.approx(32.0, abs=0.1)  # round, but for the ridge at the top (y)
        assert widths[1] == pytest.approx(33.2, abs=0.1)
        assert widths[2] == pytest.approx(24.0, abs=0.01)

    def test_the_optical_axes_are_those_of_the_calculation(self, probe):
        assert probe.drawings.parameters()["axes_distance"] == 10 * probe.calc.AXES_CM == 6.5

    def test_between_the_two_bores_there_is_a_wall(self, probe):
        p = probe.drawings.parameters()
        assert p["axes_distance"] - p["rim_diameter"] - p["optic_gap"] >= 2.0

    def test_the_magnet_passes_and_the_optics_fit_inside_it(self, probe):
        p = probe.drawings.parameters()
        assert p["core_diameter"] < p["magnet_inner"]
        assert p["axes_distance"] + p["rim_diameter"] + p["optic_gap"] < p["core_diameter"]
        assert p["magnet_outer"] + 2 * p["magnet_gap"] < p["head_diameter"] - 2 * p["wall"]

    def test_the_lid_can_be_rendered(self, tmp_path):
        openscad = shutil.which("openscad")
        if openscad is None:
            pytest.skip("openscad is not installed")
        target = tmp_path / "lid.stl"
        command = [openscad, "-q", "-D", 'part="lid"', "-D", "$fn=16", "-o", str(target), str(PROBE / "holder.scad")]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        assert target.stat().st_size > 1000
