"""Checks perfboard.toml against the circuit and the holder, and draws both sides of the board.

The check walks the copper: legs and wires join holes, joined holes are a net, and each net must be the circuit's.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import hypot
from pathlib import Path

from drawings import COPPER, LIGHT, MAGNET, parameters
from netlist import HERE, Circuit, Part, load

from svg import GREY, INK, Svg

SOURCE = HERE / "perfboard.toml"
PITCH = 2.54  # mm
# Bodies as circles: the radius in mm; for the optics, whose bodies hang below, none.
RADIUS = {"resistor": 1.25, "npn": 2.4, "pnp": 2.4}
CAPACITOR_RADIUS = {"C1": 1.6, "C2": 2.75}  # a disc on its edge is as wide as it is thick
TOUCHES = 0.2  # mm that bodies may overlap on paper: legs bend

Hole = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Board:
    """Where the legs are, which holes the wires join; a hole is column and row, both from 0."""

    columns: int
    rows: int
    legs: Mapping[tuple[str, str], Hole]
    stands_on: Mapping[str, str]
    flat: Mapping[str, str]
    wires: tuple[tuple[Hole, ...], ...]

    def holes(self, ref: str) -> dict[str, Hole]:
        """Give the holes of a part by its pins' names."""
        return {pin: hole for (part, pin), hole in self.legs.items() if part == ref}

    def millimetres(self, hole: tuple[float, float]) -> tuple[float, float]:
        """Give a hole's distance from the board's middle, to the right and up, seen from behind."""
        column, row = hole
        return ((column - (self.columns - 1) / 2) * PITCH, ((self.rows - 1) / 2 - row) * PITCH)


def hole(name: str) -> Hole:
    """Turn "B3" into column 1, row 2."""
    return (ord(name[0]) - ord("A"), int(name[1:]) - 1)


def name(place: Hole) -> str:
    """Turn column 1, row 2 into "B3"."""
    return f"{chr(ord('A') + place[0])}{place[1] + 1}"


def load_board(path: Path = SOURCE) -> Board:
    """Read the board from its source."""
    return parse_board(path.read_text(encoding="utf-8"))


def parse_board(text: str) -> Board:
    """Read the board from TOML text."""
    tree = tomllib.loads(text)
    return Board(
        columns=tree["board"]["columns"],
        rows=tree["board"]["rows"],
        legs={(ref, pin): hole(at) for ref, pins in tree["legs"].items() for pin, at in pins.items()},
        stands_on=tree["stands_on"],
        flat=tree["flat"],
        wires=tuple(tuple(hole(corner) for corner in wire["along"]) for wire in tree["wire"]),
    )


def passed(wire: tuple[Hole, ...]) -> Iterator[Hole]:
    """Every hole that a wire passes over; a slanted piece gives its ends only (every_wire_is_straight says so)."""
    for (x1, y1), (x2, y2) in pairwise(wire):
        count = max(abs(x2 - x1), abs(y2 - y1))
        straight = x1 == x2 or y1 == y2
        steps = range(count + 1) if straight else (0, count)
        yield from ((x1 + (x2 - x1) * i // count, y1 + (y2 - y1) * i // count) for i in steps)


def islands(board: Board) -> list[set[Hole]]:
    """Give the holes that are joined to each other, by wires alone."""
    found: list[set[Hole]] = []
    for wire in board.wires:
        joined = set(passed(wire))
        touching = [island for island in found if island & joined]
        found = [island for island in found if not island & joined] + [joined.union(*touching)]
    return found


def on_board(c: Circuit) -> tuple[Part, ...]:
    """Give the parts that are soldered to the board: all with legs but the module at the Pi."""
    return tuple(part for part in c.parts if part.pins and part.kind != "usb_uart")


def every_leg_has_its_hole(board: Board, c: Circuit) -> Iterator[str]:
    """Find legs without a hole, holes off the board, and holes with two legs."""
    wanted = {(pin.ref, pin.name) for part in on_board(c) for pin in part.pins}
    for ref, pin in sorted(wanted ^ set(board.legs)):
        yield f"{ref}.{pin} is in only one of circuit.toml and perfboard.toml"
    for (ref, pin), place in board.legs.items():
        if not (0 <= place[0] < board.columns and 0 <= place[1] < board.rows):
            yield f"{ref}.{pin} is off the board"
    for (one, here), (other, there) in combinations(board.legs.items(), 2):
        if here == there:
            yield f"{'.'.join(one)} and {'.'.join(other)} share the hole {name(here)}"


def every_wire_is_straight(board: Board, c: Circuit) -> Iterator[str]:
    """Find wires that run slanted or off the board."""
    for wire in board.wires:
        for (x1, y1), (x2, y2) in pairwise(wire):
            if (x1 == x2) == (y1 == y2):
                yield f"the wire {name((x1, y1))}–{name((x2, y2))} is not straight"
        for x, y in wire:
            if not (0 <= x < board.columns and 0 <= y < board.rows):
                yield f"the wire to {name((x, y))} leaves the board"


def every_net_is_joined_and_none_shorted(board: Board, c: Circuit) -> Iterator[str]:
    """Compare what the copper joins with the circuit's nets."""
    joined = islands(board)
    nets = {(pin.ref, pin.name): pin.net for pin in c.pins}
    for island in joined:
        found = sorted({nets[leg] for leg, place in board.legs.items() if place in island and leg in nets})
        if len(found) > 1:
            yield f"{' and '.join(found)} are shorted around {name(min(island))}"
        if not found:
            yield f"the wire at {name(min(island))} joins nothing"
    for net, pins in c.nets.items():
        places = [board.legs[pin.ref, pin.name] for pin in pins if (pin.ref, pin.name) in board.legs]
        pieces = {next((i for i, island in enumerate(joined) if p in island), -1 - n) for n, p in enumerate(places)}
        if len(pieces) > 1:
            yield f"{net} is in {len(pieces)} pieces"


def body(board: Board, part: Part) -> tuple[float, float, float] | None:
    """Give the middle of a part's body on the board and its radius, in mm, seen from behind."""
    holes = board.holes(part.ref)
    if part.kind == "resistor":
        return (*board.millimetres(holes[board.stands_on[part.ref]]), RADIUS["resistor"])
    radius = CAPACITOR_RADIUS.get(part.ref) or RADIUS.get(part.kind)
    if radius is None:
        return None
    middle = (sum(x for x, _ in holes.values()) / len(holes), sum(y for _, y in holes.values()) / len(holes))
    return (*board.millimetres(middle), radius)


def bodies_have_room(board: Board, c: Circuit) -> Iterator[str]:
    """Find parts that stand in each other's place, and wires of the cable under a part."""
    bodies = {part.ref: found for part in on_board(c) if (found := body(board, part))}
    for (one, (x1, y1, r1)), (other, (x2, y2, r2)) in combinations(bodies.items(), 2):
        if hypot(x1 - x2, y1 - y2) < r1 + r2 - TOUCHES:
            yield f"{one} and {other} are too close"
    for pin, place in board.holes("W1").items():
        x, y = board.millimetres(place)
        for ref, (bx, by, r) in bodies.items():
            if hypot(x - bx, y - by) < r - TOUCHES:
                yield f"W1.{pin} is under {ref}"


def flat_sides_are_right(board: Board, c: Circuit) -> Iterator[str]:
    """With the flat side towards you a 2N3904 or 2N3906 has its emitter on the left: compare with the holes."""
    for part in c.of_kind("npn", "pnp"):
        emitter_above = board.legs[part.ref, "E"][1] < board.legs[part.ref, "C"][1]
        if emitter_above != (board.flat[part.ref] == "left"):
            yield f"{part.ref} would have emitter and collector swapped"


def it_fits_the_holder(board: Board, c: Circuit) -> Iterator[str]:
    """Compare the board with the space inside the holder, and the optics' legs with the axes of their bores."""
    p = parameters()
    corner = hypot(board.columns, board.rows) * PITCH / 2
    if corner > p["head_diameter"] / 2 - p["wall"] - 1.0:
        yield f"the board's corners are {corner:.1f} mm from its middle: it does not fit"
    for ref, side in (("D1", -1), ("Q2", 1)):
        holes = [board.millimetres(place) for place in board.holes(ref).values()]
        x, y = (sum(values) / len(holes) for values in zip(*holes, strict=True))
        if hypot(x - side * p["axes_distance"] / 2, y) > PITCH / 2:
            yield f"{ref} is more than half a hole off its bore"


RULES = (
    every_leg_has_its_hole,
    every_wire_is_straight,
    every_net_is_joined_and_none_shorted,
    bodies_have_room,
    flat_sides_are_right,
    it_fits_the_holder,
)


def complaints(board: Board, c: Circuit) -> list[str]:
    """Say what is wrong with the board; the later rules need what the first one demands."""
    found: list[str] = []
    for rule in RULES:
        found += [f"{rule.__name__}: {text}" for text in rule(board, c)]
        if found and rule is every_leg_has_its_hole:
            break
    return found


SCALE = 20.0  # pixels a millimetre
NET_COLOURS = {"VCC": "#b3261e", "GND": "#33393f", "TXD": LIGHT, "RXD": "#0b6e99"}
SIGNAL = "#7a5ea8"
BOARD, RING = "#f3e6c8", "#c78a3b"


class Side:
    """One side of the board being drawn; the solder side is mirrored, as it is when the board is turned over."""

    def __init__(self, svg: Svg, board: Board, x: float, y: float, *, mirrored: bool) -> None:
        self.svg, self.board, self.x, self.y, self.mirrored = svg, board, x, y, mirrored

    def at(self, place: tuple[float, float]) -> tuple[float, float]:
        """Give the pixel of a hole."""
        right, up = self.board.millimetres(place)
        return (self.x + (-right if self.mirrored else right) * SCALE, self.y - up * SCALE)

    def base(self, title: str) -> None:
        """Draw the bare board with the names of its holes."""
        width, height = self.board.columns * PITCH * SCALE, self.board.rows * PITCH * SCALE
        self.svg.text(self.x, self.y - height / 2 - 62, title, 17, "middle", weight="bold")
        self.svg.rect(self.x - width / 2, self.y - height / 2, width, height, fill=BOARD, rx=4)
        for column in range(self.board.columns):
            x, _ = self.at((column, 0))
            self.svg.text(x, self.y - height / 2 - 14, chr(ord("A") + column), 14, "middle", GREY)
        for row in range(self.board.rows):
            _, y = self.at((0, row))
            self.svg.text(self.x - width / 2 - 16, y + 5, str(row + 1), 14, "middle", GREY)
        for column in range(self.board.columns):
            for row in range(self.board.rows):
                spot = self.at((column, row))
                if self.mirrored:
                    self.svg.circle(*spot, 17, fill=RING, stroke="none")
                self.svg.circle(*spot, 9, fill="white", stroke="#b9a77c")


def net_colour(net: str) -> str:
    """Give the colour in which a net is drawn."""
    return NET_COLOURS.get(net, SIGNAL)


def _leg(side: Side, place: Hole, net: str) -> None:
    side.svg.circle(*side.at(place), 9, fill=net_colour(net), stroke="white")


def _standing(side: Side, part: Part, holes: dict[str, Hole]) -> None:
    """Draw a resistor on its end: the body over one hole, its upper leg bent to the other."""
    stands = side.board.stands_on[part.ref]
    other = next(pin for pin in holes if pin != stands)
    (x1, y1), (x2, y2) = side.at(holes[stands]), side.at(holes[other])
    side.svg.path(f"M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}", stroke=MAGNET, stroke_width=5)
    side.svg.circle(x1, y1, RADIUS["resistor"] * SCALE, fill="#8fb9d4")


def _transistor(side: Side, part: Part, holes: dict[str, Hole]) -> None:
    """Draw a TO-92 from above: a circle cut off on its flat side."""
    (x, y), r = side.at(holes["B"]), RADIUS["npn"] * SCALE
    away = -1 if side.board.flat[part.ref] == "left" else 1
    cut, half = away * 0.62 * r, 0.785 * r
    sweep = 1 if away < 0 else 0
    side.svg.path(
        f"M{x + cut:.1f} {y - half:.1f} A{r:.1f} {r:.1f} 0 1 {sweep} {x + cut:.1f} {y + half:.1f} Z", fill="#4a5058"
    )


def _capacitor(side: Side, part: Part, holes: dict[str, Hole]) -> None:
    (x1, y1), (x2, y2) = side.at(holes["1"]), side.at(holes["2"])
    r = CAPACITOR_RADIUS[part.ref] * SCALE
    if part.ref == "C2":
        side.svg.circle((x1 + x2) / 2, (y1 + y2) / 2, r, fill="#d8c48a")
        sign = 1 if x1 > x2 else -1
        side.svg.text(x1 + sign * 16, y1 - 14, "+", 20, "middle", weight="bold")
    else:
        side.svg.rect(x1 - r, min(y1, y2) - 6, 2 * r, abs(y2 - y1) + 12, fill="#e0b26a", rx=18)


def _optic(side: Side, part: Part, holes: dict[str, Hole]) -> None:
    """Draw where an optical part hangs below the board."""
    (x1, y1), (x2, y2) = (side.at(place) for place in holes.values())
    side.svg.circle((x1 + x2) / 2, (y1 + y2) / 2, 1.95 * SCALE, stroke=COPPER, stroke_dasharray="5 4")


SHAPES = {
    "resistor": _standing,
    "npn": _transistor,
    "pnp": _transistor,
    "capacitor": _capacitor,
    "ir_led": _optic,
    "phototransistor": _optic,
}
# Where the name of a part stands, in holes from its middle.
NAME_AT = {"D1": (0.0, 0.0), "Q2": (0.0, 0.0)}


def component_side(svg: Svg, board: Board, c: Circuit, x: float, y: float) -> None:
    """Draw the board from behind: bodies, legs with their letters, names."""
    side = Side(svg, board, x, y, mirrored=False)
    side.base("Component side, seen from behind")
    for part in on_board(c):
        holes = board.holes(part.ref)
        if shape := SHAPES.get(part.kind):
            shape(side, part, holes)
    for part in on_board(c):
        holes = board.holes(part.ref)
        covered = part.kind == "resistor"
        for pin in part.pins:
            if not (covered and board.stands_on[part.ref] == pin.name):
                _leg(side, holes[pin.name], pin.net)
            if part.kind not in {"resistor", "capacitor", "cable"}:
                px, py = side.at(holes[pin.name])
                svg.text(px, py + 5, pin.name, 13, "middle", "white", "bold")
        _name(side, part, holes)


def _name(side: Side, part: Part, holes: dict[str, Hole]) -> None:
    spots = [side.at(place) for place in holes.values()]
    mx, my = sum(x for x, _ in spots) / len(spots), sum(y for _, y in spots) / len(spots)
    if part.kind == "resistor":
        x, y = side.at(holes[side.board.stands_on[part.ref]])
        side.svg.text(x, y + 5, part.ref, 14, "middle", weight="bold")
    elif part.kind == "cable":
        for pin, place in holes.items():
            x, y = side.at(place)
            side.svg.text(x, y - 13, f"W1 {pin}", 12, "middle", INK, "bold", halo=True)
    elif part.kind in {"npn", "pnp"}:
        shift = 26 if side.board.flat[part.ref] == "left" else -26
        side.svg.text(mx + shift, my + 5, part.ref, 14, "middle", "white", "bold")
    elif part.kind == "capacitor":
        side.svg.text(mx, my + 5, part.ref, 14, "middle", weight="bold")
    else:
        side.svg.text(mx, my + 5, part.ref, 14, "middle", COPPER, "bold")


def solder_side(svg: Svg, board: Board, c: Circuit, x: float, y: float) -> None:
    """Draw the board turned over left to right: wires in the colour of their net, and the legs that come through."""
    side = Side(svg, board, x, y, mirrored=True)
    side.base("Solder side, turned over like a page")
    nets = {board.legs[pin.ref, pin.name]: pin.net for part in on_board(c) for pin in part.pins}
    for wire in board.wires:
        net = next(nets[place] for place in passed(wire) if place in nets)
        corners = " L".join("{:.1f} {:.1f}".format(*side.at(corner)) for corner in wire)
        svg.path(f"M{corners}", stroke=net_colour(net), stroke_width=11, stroke_linecap="round")
    for (ref, pin), place in board.legs.items():
        _leg(side, place, nets[place])
        px, py = side.at(place)
        svg.text(px, py - 12, f"{ref} {pin}", 11, "middle", INK, halo=True)


def draw(board: Board, c: Circuit) -> str:
    """Draw both sides side by side, with a legend."""
    svg = Svg(1180, 560, "The head on perfboard, both sides")
    component_side(svg, board, c, 300, 250)
    solder_side(svg, board, c, 870, 250)
    for column, (net, colour) in enumerate([*NET_COLOURS.items(), ("other nets", SIGNAL)]):
        svg.rect(60 + 118 * column, 452, 26, 12, fill=colour, stroke="none")
        svg.text(92 + 118 * column, 463, net, 13)
    size = f"{board.columns} × {board.rows} holes, {board.columns * PITCH:.1f} × {board.rows * PITCH:.1f} mm"
    svg.text(
        60,
        497,
        f"{size}. Resistors stand on their end. D1 and Q2 hang below the board, in the bores (dashed);\n"
        "their legs come up through it. Bare wire on the solder side: none crosses another, no bridge on top.",
        13.5,
    )
    svg.text(700, 463, "W1: the cable's four cores, each to the hole of its name.", 13)
    return svg.done()


if __name__ == "__main__":
    the_board, the_circuit = load_board(), load()
    wrong = complaints(the_board, the_circuit)
    legs, count = len(the_board.legs), len(the_board.wires)
    print("\n".join(wrong) or f"perfboard: {legs} legs, {count} wires, {len(RULES)} rules: passed")
    if not wrong:
        (HERE / "drawings" / "perfboard.svg").write_text(draw(the_board, the_circuit), encoding="utf-8")
    sys.exit(1 if wrong else 0)
