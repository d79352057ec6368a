"""Writes kicad/ from circuit.toml: schematic, symbols, netlist and project, in the formats of KiCad 9.

Values, nets and footprints come from the source; where a symbol stands and where a wire runs is written here. The
symbols are our own, so that the schematic needs no library. `make schematic` lets KiCad draw schematic.svg from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from uuid import NAMESPACE_URL, uuid5

from netlist import HERE, Circuit, Part, Pin, load

PROJECT = "ir-probe"
GRID = 2.54  # mm; every coordinate below counts these
PAPER = (64, 28)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Symbol:
    """How a kind of part is drawn around its middle, y up: its legs by pin name, its lines and shapes, its texts."""

    pins: Mapping[str, tuple[float, float, int]]  # where the wire meets it, and the direction from there to the body
    lines: tuple[tuple[Point, ...], ...] = ()
    filled: tuple[tuple[Point, ...], ...] = ()
    boxes: tuple[tuple[Point, Point], ...] = ()
    circles: tuple[tuple[float, float, float], ...] = ()
    length: float = 1.0
    texts: Point = (1.0, 0.4)
    names: bool = True


UP, DOWN, LEFT, RIGHT = 90, 270, 180, 0  # of a pin: from its end to the body
_JUNCTION = (
    ((-0.4, 0.75), (-0.4, -0.75)),
    ((-0.4, 0.25), (1.0, 1.0)),
    ((-0.4, -0.25), (1.0, -1.0)),
)
_LIGHT_IN = (((-1.6, 1.1), (-0.9, 0.5)), ((-1.6, 0.6), (-0.9, 0.0)))
_LIGHT_OUT = (((0.6, 0.3), (1.2, 0.8)), ((0.6, -0.2), (1.2, 0.3)))
_TRANSISTOR_TEXTS = (1.8, 0.4)


def _tip(tail: Point, head: Point, size: float = 0.3) -> tuple[Point, ...]:
    """Give the triangle at the end of an arrow."""
    dx, dy = head[0] - tail[0], head[1] - tail[1]
    length = (dx * dx + dy * dy) ** 0.5
    ux, uy = size * dx / length, size * dy / length
    bx, by = head[0] - ux, head[1] - uy
    return (head, (bx - uy / 2, by + ux / 2), (bx + uy / 2, by - ux / 2), head)


SYMBOLS: dict[str, Symbol] = {
    "resistor": Symbol(
        pins={"1": (0, 1.5, DOWN), "2": (0, -1.5, UP)},
        boxes=(((-0.4, 1.0), (0.4, -1.0)),),
        length=0.5,
        texts=(0.8, 0.4),
        names=False,
    ),
    "capacitor": Symbol(
        pins={"1": (0, 1.5, DOWN), "2": (0, -1.5, UP)},
        lines=(((-0.8, 0.25), (0.8, 0.25)), ((-0.8, -0.25), (0.8, -0.25))),
        length=1.25,
        names=False,
    ),
    "ir_led": Symbol(
        pins={"A": (0, 1.5, DOWN), "K": (0, -1.5, UP)},
        lines=(((-0.5, -0.5), (0.5, -0.5)), *_LIGHT_OUT),
        filled=(((-0.5, 0.5), (0.5, 0.5), (0, -0.5), (-0.5, 0.5)), *(_tip(*line) for line in _LIGHT_OUT)),
        texts=(1.5, 0.4),
    ),
    "npn": Symbol(
        pins={"B": (-2, 0, RIGHT), "C": (1, 2, DOWN), "E": (1, -2, UP)},
        lines=(((-1, 0), (-0.4, 0)), *_JUNCTION),
        filled=(_tip((-0.4, -0.25), (0.8, -0.89)),),
        circles=((0.2, 0, 1.25),),
        texts=_TRANSISTOR_TEXTS,
    ),
    "pnp": Symbol(
        pins={"B": (-2, 0, RIGHT), "E": (1, 2, DOWN), "C": (1, -2, UP)},
        lines=(((-1, 0), (-0.4, 0)), *_JUNCTION),
        filled=(_tip((1.0, 1.0), (0.1, 0.52)),),
        circles=((0.2, 0, 1.25),),
        texts=_TRANSISTOR_TEXTS,
    ),
    "phototransistor": Symbol(
        pins={"C": (1, 2, DOWN), "E": (1, -2, UP)},
        lines=(*_JUNCTION, *_LIGHT_IN),
        filled=(_tip((-0.4, -0.25), (0.8, -0.89)), *(_tip(*line) for line in _LIGHT_IN)),
        circles=((0.2, 0, 1.25),),
        texts=_TRANSISTOR_TEXTS,
    ),
    "usb_uart": Symbol(
        pins={"3V3": (3.5, 3, LEFT), "TXD": (3.5, 1, LEFT), "RXD": (3.5, -1, LEFT), "GND": (3.5, -3, LEFT)},
        boxes=(((-2.5, 4), (2.5, -4)),),
        texts=(-2.5, 5.8),
    ),
    "cable": Symbol(
        pins={"VCC": (-2.5, 3, RIGHT), "TXD": (-2.5, 1, RIGHT), "RXD": (-2.5, -1, RIGHT), "GND": (-2.5, -3, RIGHT)},
        boxes=(((-1.5, 4), (1.5, -4)),),
        texts=(-1.5, 5.8),
    ),
}
RAIL = Symbol(pins={"1": (0, 0, UP)}, lines=(((0, 0), (0, 0.7)), ((-0.6, 0.7), (0.6, 0.7))), length=0, names=False)
GROUND = Symbol(
    pins={"1": (0, 0, DOWN)},
    lines=(
        ((0, 0), (0, -0.5)),
        ((-0.6, -0.5), (0.6, -0.5)),
        ((-0.35, -0.75), (0.35, -0.75)),
        ((-0.1, -1.0), (0.1, -1.0)),
    ),
    length=0,
    names=False,
)

# Where the parts stand: x to the right, y down, and a turn against the clock.
PLACES: dict[str, tuple[float, float, int]] = {
    "U1": (5.5, 10, 0),
    "W1": (15.5, 10, 0),
    "C1": (6, 22, 0),
    "C2": (12, 22, 0),
    "Q1": (31, 10, 0),
    "R1": (26.5, 10, 90),
    "R2": (28.5, 7.5, 0),
    "D1": (32, 14.5, 0),
    "R3": (32, 19, 0),
    "R4": (46, 7.5, 0),
    "Q2": (45, 12, 0),
    "R5": (46, 19, 0),
    "Q3": (53, 16, 0),
    "R6": (54, 7.5, 0),
}

# Lines from corner to corner; a corner is a pin or a point. Pins on the supply and the ground get their symbols
# by themselves.
WIRES: tuple[tuple[str | Point, ...], ...] = (
    ("U1.3V3", "W1.VCC"),
    ("U1.TXD", "W1.TXD"),
    ("U1.RXD", "W1.RXD"),
    ("U1.GND", "W1.GND"),
    ((23, 10), "R1.1"),
    ("R1.2", "Q1.B"),
    ("R2.2", (28.5, 10)),
    ("Q1.E", (32, 6)),
    ("Q1.C", "D1.A"),
    ("D1.K", "R3.1"),
    ("R4.2", "Q2.C"),
    ("Q2.E", "R5.1"),
    ((46, 16), "Q3.B"),
    ("R6.2", "Q3.C"),
    ((54, 11), (57, 11)),
    ("Q3.E", (54, 20.5)),
)
# What carries a name: a point and the side to which the text runs.
LABELS: tuple[tuple[str, Point, int], ...] = (
    ("TXD", (10.5, 9), 0),
    ("RXD", (10.5, 11), 0),
    ("TXD", (23, 10), 180),
    ("Q1_B", (28.5, 9.5), 180),
    ("LED_A", (32, 12.5), 0),
    ("LED_K", (32, 17), 0),
    ("PT_C", (46, 9.5), 0),
    ("PT_E", (48, 16), 0),
    ("RXD", (57, 11), 0),
)
# Supply and ground where no pin is: on the wires to the cable, and at the ends of longer wires.
RAILS: tuple[tuple[str, Point], ...] = (
    ("supply", (11, 7)),
    ("ground", (11, 13)),
    ("supply", (32, 6)),
    ("ground", (54, 20.5)),
)
WIRED_TO_RAILS = ("U1.3V3", "U1.GND", "W1.VCC", "W1.GND", "Q1.E", "Q3.E")
NOTES: tuple[tuple[float, float, float, str], ...] = (
    (3, 2.5, 1.0, "At the Pi, and the cable"),
    (3, 18, 1.0, "In the head, at the cable's end"),
    (22, 2.5, 1.0, "Transmitter: light while TXD is low (space)"),
    (43, 2.5, 1.0, "Receiver: light pulls RXD low (space)"),
    (3, 26.5, 0.7, "C2, if polarised: plus to VCC."),
    (
        22,
        24,
        0.8,
        "Idle line = mark = TXD and RXD high = dark. Not built yet: calculated and simulated only.",
    ),
    (22, 25.5, 0.8, "Numbers count the legs of a package: drawings/pinouts.svg shows which is which."),
)


def number(value: float) -> str:
    """Write a length in millimetres without a tail of zeros."""
    return f"{round(value, 4):g}"


def at(x: float, y: float, angle: int | None = None) -> str:
    """Write a place on the sheet, given in grid units."""
    turn = "" if angle is None else f" {angle}"
    return f"(at {number(x * GRID)} {number(y * GRID)}{turn})"


def quoted(text: str) -> str:
    """Write a string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def uuid(*what: object) -> str:
    """Give an id that is the same at each run."""
    return f'(uuid "{uuid5(NAMESPACE_URL, "/".join(map(str, ("nesgw", PROJECT, *what))))}")'


def font(size: float = 0.5, *, hide: bool = False, justify: str = "") -> str:
    """Write how a text looks; the size is in grid units."""
    height = number(size * GRID)
    aligned = f" (justify {justify})" if justify else ""
    return f"(effects (font (size {height} {height})){aligned}{' (hide yes)' if hide else ''})"


def field(name: str, value: str, place: str, effects: str) -> str:
    """Write one of a symbol's fields."""
    return f"(property {quoted(name)} {quoted(value)} {place} {effects})"


def points(corners: Iterable[Point], flip: int = 1) -> str:
    """Write a list of points."""
    return "(pts " + " ".join(f"(xy {number(x * GRID)} {number(flip * y * GRID)})" for x, y in corners) + ")"


def library_id(part: Part) -> str:
    """Name the symbol of a part."""
    return f"{PROJECT}:{part.kind}"


UNITS = {"resistor": "Ω", "capacitor": "F"}
PIN_TYPES = {"power_out": "power_out", "output": "output", "input": "input"}


def pin_type(part_kind: str, pin: Pin) -> str:
    """Tell KiCad's rule check what a pin does; a transistor's collector pulls down and is pulled up by a resistor."""
    if part_kind == "npn" and pin.kind == "collector":
        return "open_collector"
    return PIN_TYPES.get(pin.kind, "passive")


def _library_pin(symbol: Symbol, name: str, leg: int, kind: str) -> str:
    x, y, angle = symbol.pins[name]
    label = quoted(name if symbol.names else "~")
    return (
        f"(pin {kind} line {at(x, y, angle)} (length {number(symbol.length * GRID)}) "
        f"(name {label} {font(0.4)}) (number {quoted(str(leg))} {font(0.4)}))"
    )


def _shapes(symbol: Symbol) -> list[str]:
    stroke = f"(stroke (width {number(0.08 * GRID)}) (type default))"
    plain, dark, pale = "(fill (type none))", "(fill (type outline))", "(fill (type background))"
    shapes = [
        f"(rectangle (start {number(x1 * GRID)} {number(y1 * GRID)}) "
        f"(end {number(x2 * GRID)} {number(y2 * GRID)}) {stroke} {pale})"
        for (x1, y1), (x2, y2) in symbol.boxes
    ]
    shapes += [
        f"(circle (center {number(x * GRID)} {number(y * GRID)}) (radius {number(r * GRID)}) {stroke} {plain})"
        for x, y, r in symbol.circles
    ]
    shapes += [f"(polyline {points(line)} {stroke} {plain})" for line in symbol.lines]
    return shapes + [f"(polyline {points(line)} {stroke} {dark})" for line in symbol.filled]


def _symbol(name: str, symbol: Symbol, pins: Iterable[tuple[str, int, str]], prefix: str, library: str = "") -> str:
    """Write a library's symbol; `pins` are name, leg and KiCad's type. In a schematic its library goes before it."""
    rows = [_library_pin(symbol, *pin) for pin in pins]
    numbers = "" if symbol.names else " (pin_numbers (hide yes))"
    offset = number(0.3 * GRID if symbol.boxes else 0)
    power = " (power)" if prefix == "#PWR" else ""
    hidden = font(hide=True)
    return "\n".join(
        [
            f"  (symbol {quoted(library + name)}{power}{numbers} (pin_names (offset {offset}))",
            "    (exclude_from_sim no) (in_bom yes) (on_board yes)",
            f"    {field('Reference', prefix, at(0, 0, 0), hidden if power else font())}",
            *(f"    {field(key, '', at(0, 0, 0), hidden)}" for key in ("Value", "Footprint", "Datasheet")),
            f"    (symbol {quoted(name + '_0_1')}",
            *(f"      {shape}" for shape in _shapes(symbol)),
            "    )",
            f"    (symbol {quoted(name + '_1_1')}",
            *(f"      {row}" for row in rows),
            "    )",
            "  )",
        ]
    )


def symbols(c: Circuit, library: str = "") -> str:
    """Write each kind of part once, and the symbols of supply and ground."""
    kinds = {part.kind: part for part in reversed(drawn(c))}
    blocks = []
    for kind, part in sorted(kinds.items()):
        pins = [(pin.name, pin.number, pin_type(kind, pin)) for pin in part.pins]
        blocks.append(_symbol(kind, SYMBOLS[kind], pins, part.ref[0], library))
    for net, symbol in ((c.supply_net, RAIL), (c.ground_net, GROUND)):
        blocks.append(_symbol(net, symbol, [("1", 1, "power_in")], "#PWR", library))
    return "\n".join(blocks)


def drawn(c: Circuit) -> tuple[Part, ...]:
    """Give the parts with legs, which are all that a schematic shows."""
    return tuple(part for part in c.parts if part.pins)


def shown(part: Part) -> str:
    """Choose what stands beside a symbol: a value where the value matters, a type elsewhere."""
    if part.kind in UNITS:
        digits = part.value.rstrip("pnumkM")
        prefix = part.value[len(digits) :].replace("u", "µ")
        return f"{digits} {prefix}{UNITS[part.kind]}"
    return part.part


def turned(x: float, y: float, angle: int) -> Point:
    """Turn a point of a symbol (y up) against the clock and give it as on the sheet (y down)."""
    for _ in range(angle // 90):
        x, y = -y, x
    return (x, -y)


def spot(c: Circuit, corner: str | Point) -> Point:
    """Give the place of a pin such as "R1.2", or the point itself."""
    if not isinstance(corner, str):
        return corner
    ref, name = corner.split(".")
    x, y, angle = PLACES[ref]
    px, py, _ = SYMBOLS[c[ref].kind].pins[name]
    dx, dy = turned(px, py, angle)
    return (x + dx, y + dy)


def _instance(part: Part) -> str:
    x, y, angle = PLACES[part.ref]
    symbol = SYMBOLS[part.kind]
    tx, ty = symbol.texts if angle == 0 else (-1.0, 1.9)
    left = font(justify="left")
    upright = angle if angle == 0 else 90  # so that the texts of a turned part lie level
    places = [at(x + tx, y - ty + dy, upright) for dy in (0, 0.9)]
    hidden = [
        ("Footprint", part.footprint),
        ("Datasheet", ""),
        ("Order", part.order),
        ("Alternatives", part.alternatives),
    ]
    return "\n".join(
        [
            f"  (symbol (lib_id {quoted(library_id(part))}) {at(x, y, angle)} (unit 1)",
            "    (exclude_from_sim no) (in_bom yes) (on_board yes) (dnp no)",
            f"    {uuid(part.ref)}",
            f"    {field('Reference', part.ref, places[0], left)}",
            f"    {field('Value', shown(part), places[1], left)}",
            *(f"    {field(name, text, at(x, y, 0), font(hide=True))}" for name, text in hidden),
            *(f"    (pin {quoted(str(pin.number))} {uuid(part.ref, pin.name)})" for pin in part.pins),
            f"    {_reference(part.ref)}",
            "  )",
        ]
    )


def _reference(ref: str) -> str:
    sheet = uuid5(NAMESPACE_URL, f"nesgw/{PROJECT}/sheet")
    return f'(instances (project {quoted(PROJECT)} (path "/{sheet}" (reference {quoted(ref)}) (unit 1))))'


def rails(c: Circuit) -> list[tuple[str, Point]]:
    """Say where the symbols of supply and ground stand: at each of their pins, or where RAILS says."""
    named = {"supply": c.supply_net, "ground": c.ground_net}
    found = [(named[which], place) for which, place in RAILS]
    pins = [pin for part in drawn(c) for pin in part.pins if pin.net in named.values()]
    return found + [(pin.net, spot(c, str(pin))) for pin in pins if str(pin) not in WIRED_TO_RAILS]


def _rail(c: Circuit, count: int, net: str, place: Point) -> str:
    x, y = place
    ref = f"#PWR{count:02}"
    over = net == c.supply_net
    text = field("Value", net, at(x, y - 1.2 if over else y + 1.6, 0), font(0.45))
    return "\n".join(
        [
            f"  (symbol (lib_id {quoted(f'{PROJECT}:{net}')}) {at(x, y, 0)} (unit 1)",
            f"    (exclude_from_sim no) (in_bom yes) (on_board yes) (dnp no) {uuid(ref)}",
            f"    {field('Reference', ref, at(x, y, 0), font(hide=True))} {text}",
            f"    {field('Footprint', '', at(x, y, 0), font(hide=True))}",
            f"    {field('Datasheet', '', at(x, y, 0), font(hide=True))}",
            f'    (pin "1" {uuid(ref, 1)}) {_reference(ref)}',
            "  )",
        ]
    )


def steps(c: Circuit) -> list[tuple[Point, Point]]:
    """Give the straight pieces of the wires, cut wherever something else meets them: KiCad joins only ends."""
    whole = [step for wire in WIRES for step in pairwise(spot(c, corner) for corner in wire)]
    ends = _ends(c, whole)
    cut = []
    for first, last in whole:
        along = sorted({p for p in ends if _inside(p, (first, last))} | {first, last})
        cut += list(pairwise(along))
    return cut


def _ends(c: Circuit, pieces: Iterable[tuple[Point, Point]]) -> list[Point]:
    pins = [spot(c, str(pin)) for part in drawn(c) for pin in part.pins]
    return [end for piece in pieces for end in piece] + pins + [place for _, place in rails(c)]


def _inside(p: Point, step: tuple[Point, Point]) -> bool:
    (x1, y1), (x2, y2) = sorted(step)
    level, upright = y1 == y2 == p[1] and x1 < p[0] < x2, x1 == x2 == p[0] and y1 < p[1] < y2
    return level or upright


def _wires(c: Circuit) -> list[str]:
    stroke = "(stroke (width 0) (type default))"
    return [f"  (wire {points(step)} {stroke} {uuid('wire', step)})" for step in steps(c)]


def _junctions(c: Circuit) -> list[str]:
    """Put a dot wherever three ends meet."""
    ends = _ends(c, steps(c))
    dots = sorted({p for p in ends if ends.count(p) >= 3})
    return [f"  (junction {at(*p)} (diameter 0) (color 0 0 0 0) {uuid('junction', p)})" for p in dots]


def schematic(c: Circuit) -> str:
    """Compose the schematic."""
    width, height = (number(side * GRID) for side in PAPER)
    sheet = uuid("sheet")
    labels = [
        f"  (label {quoted(net)} {at(*place, angle)} "
        f"{font(0.45, justify='right bottom' if angle else 'left bottom')} {uuid('label', net, place)})"
        for net, place, angle in LABELS
    ]
    notes = [
        f"  (text {quoted(text)} (exclude_from_sim no) {at(x, y, 0)} {font(0.6 * size, justify='left')} "
        f"{uuid('note', text)})"
        for x, y, size, text in NOTES
    ]
    return "\n".join(
        [
            f"(kicad_sch (version 20250114) (generator {quoted('nesgw')}) (generator_version {quoted('9.0')}) {sheet}",
            f'  (paper "User" {width} {height})',
            f"  (title_block (title {quoted('nesgw infrared probe')}) (comment 1 {quoted('from circuit.toml')}))",
            "  (lib_symbols",
            symbols(c, f"{PROJECT}:"),
            "  )",
            *notes,
            *_wires(c),
            *_junctions(c),
            *labels,
            *(_instance(part) for part in drawn(c)),
            *(_rail(c, count, *rail) for count, rail in enumerate(rails(c), start=1)),
            '  (sheet_instances (path "/" (page "1")))',
            ")",
            "",
        ]
    )


def netlist(c: Circuit) -> str:
    """Compose the netlist that KiCad's board editor imports."""
    parts = [
        f"    (comp (ref {quoted(p.ref)}) (value {quoted(shown(p))}) (footprint {quoted(p.footprint)})\n"
        f"      (libsource (lib {quoted(PROJECT)}) (part {quoted(p.kind)}) (description {quoted(p.value)})))"
        for p in drawn(c)
    ]
    nets = []
    for code, (name, pins) in enumerate(c.nets.items(), start=1):
        nodes = [
            f"      (node (ref {quoted(pin.ref)}) (pin {quoted(str(pin.number))}) (pinfunction {quoted(pin.name)}) "
            f"(pintype {quoted(pin_type(c[pin.ref].kind, pin))}))"
            for pin in pins
        ]
        nets.append(f"    (net (code {quoted(str(code))}) (name {quoted(name)})\n" + "\n".join(nodes) + ")")
    return "\n".join(
        [
            f'(export (version "E") (design (source {quoted(f"{PROJECT}.kicad_sch")}) (tool "nesgw"))',
            "  (components",
            *parts,
            "  )",
            "  (nets",
            *nets,
            "  )",
            ")",
            "",
        ]
    )


def library(c: Circuit) -> str:
    """Compose the symbol library, for those who go on drawing."""
    return (
        f"(kicad_symbol_lib (version 20241209) (generator {quoted('nesgw')}) (generator_version {quoted('9.0')})\n"
        f"{symbols(c)}\n)\n"
    )


def files(c: Circuit) -> dict[str, str]:
    """Give the content of every file of the KiCad project by its name."""
    uri = f"${{KIPRJMOD}}/{PROJECT}.kicad_sym"
    row = f'(lib (name {quoted(PROJECT)}) (type "KiCad") (uri {quoted(uri)}) (options "") (descr ""))'
    project = {"meta": {"filename": f"{PROJECT}.kicad_pro", "version": 3}, "sheets": [], "boards": []}
    return {
        f"{PROJECT}.kicad_sch": schematic(c),
        f"{PROJECT}.kicad_sym": library(c),
        f"{PROJECT}.net": netlist(c),
        f"{PROJECT}.kicad_pro": json.dumps(project, indent=2) + "\n",
        "sym-lib-table": f"(sym_lib_table (version 7)\n  {row}\n)\n",
    }


if __name__ == "__main__":
    folder = HERE / "kicad"
    folder.mkdir(exist_ok=True)
    for name, text in files(load()).items():
        (folder / name).write_text(text, encoding="utf-8")
