"""Draws drawings/*.svg: the probe on a meter, a section through the holder, which way round it goes, its legs.

The lengths come from holder.scad. The meter is a sketch of no particular model.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from netlist import HERE, Part, load

from svg import GREY, INK, PALE, Svg

BOARD_WIDTH = 8 * 2.54  # mm, of perfboard.toml
LIGHT, MAGNET, COPPER = "#c2410c", "#8a93a0", "#1d6f5c"


def parameters() -> dict[str, float]:
    """Read the numbers of holder.scad."""
    text = (HERE / "holder.scad").read_text(encoding="utf-8")
    return {name: float(number) for name, number in re.findall(r"^(\w+) = ([\d.]+);", text, re.MULTILINE)}


def _port(s: Svg, x: float, y: float, k: float, left: str, right: str) -> None:
    """Draw a meter's optical port: the round seat and its two windows."""
    p = parameters()
    s.circle(x, y, k * p["head_diameter"] / 2 * 1.06, fill="#d5dbe1")
    s.circle(x, y, k * p["magnet_outer"] / 2, stroke=GREY, stroke_dasharray="4 3")
    for side, colour in ((-1, left), (1, right)):
        s.circle(x + side * k * p["axes_distance"] / 2, y, k * 2.0, fill=colour)


def _head_from_behind(s: Svg, x: float, y: float, k: float, turned: bool = False) -> None:
    """Draw the probe as the person sees it: lid with arrow, one dot for TX, two for RX, cable, ridge."""
    p = parameters()
    sign = -1 if turned else 1
    r = k * p["head_diameter"] / 2
    s.rect(x - k, y - sign * r - (k * 1.2 if sign > 0 else 0), 2 * k, k * 1.4, fill=INK)
    s.rect(x - k * 2.1, y + (r - 4 if sign > 0 else -r - k * 4 + 4), k * 4.2, k * 4, fill=INK, rx=3)
    s.circle(x, y, r, fill="#3a424c")
    tip, foot = y - sign * k * 11, y - sign * k * 5
    triangle = f"M{x - 4 * k:.1f} {foot:.1f} L{x + 4 * k:.1f} {foot:.1f} L{x:.1f} {tip:.1f} Z"
    s.path(triangle, fill="white", stroke="white")
    s.circle(x - sign * 6.5 * k, y, 1.2 * k, fill=LIGHT, stroke="white")
    for dy in (-2, 2):
        s.circle(x + sign * 6.5 * k, y + dy * k, 1.2 * k, fill=COPPER, stroke="white")


def mounting() -> str:
    """Draw meter, probe, cable, module and Pi from the front."""
    s = Svg(1120, 660, "The probe on the meter, and its cable to the Pi")
    # The meter without and with the probe
    for x, probe in ((40, False), (400, True)):
        s.rect(x, 70, 280, 420, fill=PALE, rx=14)
        s.rect(x + 35, 105, 210, 90, fill="#cfd8cf", rx=4)
        s.text(x + 140, 160, "00344.180", 26, "middle", "#31402f")
        s.rect(x, 415, 280, 75, fill="#d9dee4", rx=10)
        if probe:
            _head_from_behind(s, x + 140, 300, 3.2)
        else:
            s.text(x + 140, 458, "terminals, sealed: leave closed", 12, "middle", GREY)
            _port(s, x + 140, 300, 3.2, "#20493f", "#5b2a1a")
    s.text(40, 520, "A sketch: where port and display sit differs by model.", 12, fill=GREY)
    s.text(180, 40, "1  Find the optical port", 17, "middle", weight="bold")
    s.text(540, 40, "2  Set the probe on it, cable down", 17, "middle", weight="bold")
    s.label(180, 222, (180, 262), "round seat: the magnet holds here", "middle", 12)
    s.label(180, 388, (180, 302), "two dark windows, side by side", "middle", 12)
    s.label(700, 232, (548, 246), "arrow and ridge up", size=13)
    s.label(700, 374, (519, 300), "one dot: the probe's transmitter", size=13)
    s.label(700, 298, (561, 293), "two dots: the probe's receiver", size=13)
    s.text(700, 424, "No answer? Turn it by 180°\n(cable up) and look again\nwith: nesgw align", 13)
    # Cable, module, Pi
    s.path("M540 362 C540 400 530 520 560 560 S640 590 700 585", stroke=INK, stroke_width=6)
    s.rect(700, 568, 92, 34, fill="#2b5a8a", rx=4)
    s.text(746, 590, "U1", 14, "middle", "white")
    s.rect(792, 576, 26, 18, fill="#b9c0c8")
    s.rect(818, 520, 220, 120, fill="#2f6b46", rx=8)
    for row, text in enumerate(("Raspberry Pi", "/dev/serial/by-id/usb-…")):
        s.text(928, 575 + 24 * row, text, 15 if row == 0 else 12, "middle", "white")
    s.text(746, 626, "USB-UART", 12, "middle", GREY)
    s.label(500, 568, (551, 552), "cable, at most 2 m, with slack:\nit must not pull", "end", 13)
    return s.done()


def section() -> str:
    """Draw the cut through both optical axes, to scale, with dimensions, and the holder's lower side with the cable."""
    p = parameters()
    k, x0, y0 = 13.0, 350.0, 500.0  # scale, axis, the face's line

    def x(mm: float) -> float:
        return x0 + k * mm

    def y(mm: float) -> float:
        return y0 - k * mm

    def box(s: Svg, left: float, right: float, low: float, high: float, fill: str, stroke: str = INK) -> None:
        s.rect(x(left), y(high), k * (right - left), k * (high - low), fill=fill, stroke=stroke)

    s = Svg(1120, 620, "Section through the holder along both optical axes")
    s.text(x0, 36, "Section through both optical axes, seen from below (mm)", 16, "middle", weight="bold")
    r, axis = p["head_diameter"] / 2, p["axes_distance"] / 2
    plastic = "#59636f"
    # The meter below the face
    s.rect(x(-r - 2), y(0), k * (2 * r + 4), 50, fill=PALE, stroke=GREY)
    for side, colour in ((-1, "#20493f"), (1, "#5b2a1a")):
        s.rect(x(side * axis - 2.2), y(0), k * 4.4, 28, fill=colour)
    # Body: face, walls, magnet, core
    box(s, -r, r, 0, p["face_thickness"], plastic)
    for side in (-1, 1):
        left, right = sorted((side * r, side * (r - p["wall"])))
        box(s, left, right, 0, p["body_height"], plastic)
        left, right = sorted((side * (p["magnet_outer"] / 2 + p["magnet_gap"]), side * r))
        box(s, left, right, 0, p["face_thickness"] + p["magnet_height"], plastic)
        left, right = sorted((side * p["magnet_inner"] / 2, side * p["magnet_outer"] / 2))
        box(s, left, right, p["face_thickness"], p["face_thickness"] + p["magnet_height"], MAGNET)
    box(s, -p["core_diameter"] / 2, p["core_diameter"] / 2, 0, p["core_height"], plastic)
    top = p["core_height"] + p["baffle_height"]
    box(s, -p["baffle_thickness"] / 2, p["baffle_thickness"] / 2, p["core_height"] - 0.05, top, plastic)
    # Channels and the parts in them
    tip = p["rim_seat"] - p["lens_length"]
    for cx, colour in ((-axis, "#f0a37f"), (axis, "#4b8f7f")):
        for width, low, high in (
            (p["tunnel_diameter"], 0, p["core_height"]),
            (p["rim_diameter"] + p["optic_gap"], p["rim_seat"], p["core_height"]),
        ):
            box(s, cx - width / 2, cx + width / 2, low, high, "white", stroke="none")
        w = p["optic_diameter"] / 2
        s.path(
            f"M{x(cx - w):g} {y(p['rim_seat']):g} L{x(cx - w):g} {y(tip + w):g} "
            f"A{k * w} {k * w} 0 0 0 {x(cx + w):g} {y(tip + w):g} L{x(cx + w):g} {y(p['rim_seat']):g} Z",
            fill=colour,
        )
        rim = p["rim_diameter"] / 2
        box(s, cx - rim, cx + rim, p["rim_seat"], p["rim_seat"] + 1.0, colour)
        # one leg lies behind the other; at the board they stand in the nearest column of holes
        hole = 1.5 * 2.54 * (1 if cx > 0 else -1)
        s.path(
            f"M{x(cx):g} {y(p['rim_seat'] + 1.0):g} L{x(hole):g} {y(top):g} L{x(hole):g} {y(top + 2.4):g}",
            stroke=MAGNET,
            stroke_width=0.5 * k,
        )
        along = f"M{x(cx):g} {y(-3.4):g} L{x(cx):g} {y(p['body_height'] + 3.6):g}"
        s.path(along, stroke=GREY, stroke_dasharray="10 4 2 4", stroke_width=1)
    # Board, small parts, lid
    box(s, -BOARD_WIDTH / 2, BOARD_WIDTH / 2, top + 0.4, top + 2.0, COPPER)
    for left, wide, high, fill in ((-10, 2.4, 7.4, "#8fb9d4"), (-7.2, 4.6, 5.0, "#4a5058"), (7.6, 2.4, 7.4, "#8fb9d4")):
        box(s, left, left + wide, top + 2.0, top + 2.0 + high, fill)
    box(s, -2.2, 3.2, top + 2.0, top + 9.0, "#d8c48a")
    box(s, -r, r, p["body_height"], p["body_height"] + p["lid_thickness"], plastic)
    for side in (-1, 1):
        left, right = sorted((side * (r - p["wall"] - 0.15), side * (r - 2 * p["wall"])))
        box(s, left, right, p["body_height"] - p["lid_plug"], p["body_height"], plastic)
    # Light
    s.arrow(x(-axis), y(tip - 0.3), x(-axis), y(-1.9), stroke=LIGHT)
    s.arrow(x(axis), y(-1.9), x(axis), y(tip - 0.3), stroke=LIGHT)
    # Names, each level with what it names
    for mm, height, text in (
        (r - 2, p["body_height"] + 1, "lid (friction fit)"),
        (9.4, top + 6, "parts on the board"),
        (BOARD_WIDTH / 2 - 0.6, top + 1.2, "perfboard, 8 × 6 holes"),
        (0.2, top - 2.6, "baffle between D1 and Q2"),
        (axis + 1.2, p["rim_seat"] + 0.5, "Q2, receiver"),
        (11, 3.4, f"magnet ring {p['magnet_outer']:g} × {p['magnet_inner']:g} × {p['magnet_height']:g}"),
        (axis + 1.2, -1.2, "the meter's transmitter"),
    ):
        s.label(x(r) + 40, y(height) + 5, (x(mm), y(height)), text)
    s.label(x(-r) - 40, y(p["rim_seat"] + 0.5) + 5, (x(-axis - 1.2), y(p["rim_seat"] + 0.5)), "D1,\ntransmitter", "end")
    s.label(x(-r) - 40, y(-1.2) + 5, (x(-axis - 1.2), y(-1.2)), "the meter's\nreceiver", "end")
    # Dimensions
    for level, half, text in (
        (y(-5.6), p["head_diameter"] / 2, f"⌀ {p['head_diameter']:g}"),
        (y(p["body_height"] + 4.2), axis, f"{p['axes_distance']:g}"),
    ):
        s.dimension(x(-half), level, x(half), text)
    hx, total = x(-r - 1.6), p["body_height"] + p["lid_thickness"]
    for mm in (0.0, total):
        s.path(f"M{hx - 8:g} {y(mm):g} L{hx + 8:g} {y(mm):g}", stroke=GREY)
    s.arrow(hx, y(0), hx, y(total), stroke=GREY, both=True)
    s.text(hx - 10, y(total / 2) + 5, f"{total:g}", 14, "end")
    _lower_side(s, p, 960, 330, 6.5)
    return s.done()


def _lower_side(s: Svg, p: dict[str, float], x0: float, y0: float, k: float) -> None:
    """Draw the holder's outside where the cable leaves it; the face is down."""
    r, total = p["head_diameter"] / 2, p["body_height"] + p["lid_thickness"]
    s.text(x0, y0 - k * total - 24, "Seen from below: the cable's side", 14, "middle", weight="bold")
    s.rect(x0 - k * r, y0 - k * p["body_height"], 2 * k * r, k * p["body_height"], fill="#59636f")
    s.rect(x0 - k * r, y0 - k * total, 2 * k * r, k * p["lid_thickness"], fill="#59636f")
    level = y0 - k * p["cable_height"]
    s.circle(x0, level, k * p["cable_diameter"] / 2, fill="white")
    for mm in (-5.0, 5.0):
        s.rect(x0 + k * (mm - 0.75), level - k * 1.5, k * 1.5, k * 3, fill="white")
    s.label(x0 + 10, y0 + 30, (x0, level + 4), "hole for the cable", "middle")
    s.label(x0 - 84, y0 + 58, (x0 - k * 5, level + k), "slots for the tie", "middle")


def orientation() -> str:
    """Draw which windows must meet: right, turned by 180°, and for a head of the other kind."""
    s = Svg(1120, 560, "Which way round the probe goes")
    s.text(40, 40, "Transmitter must face receiver: the 180° question", 17, weight="bold")
    tx, rx = LIGHT, COPPER
    cases = (
        ("The meter's port", "the side of the transmitter\ndiffers between IEC and ANSI", None),
        ("Right", "answers come", False),
        ("Turned by 180°", "silence, or only an echo:\nturn it", True),
    )
    for column, (title, verdict, turned) in enumerate(cases):
        x = 190 + 370 * column
        s.text(x, 90, title, 16, "middle", weight="bold")
        if turned is None:
            _port(s, x, 210, 5.0, rx, tx)
            s.text(x - 30, 318, "RX", 15, "end", rx, "bold")
            s.text(x + 30, 318, "TX", 15, "start", tx, "bold")
        else:
            _head_from_behind(s, x, 210, 4.4, turned)
            s.text(x - 50, 318, "RX" if turned else "TX", 15, "end", rx if turned else tx, "bold")
            s.text(x + 50, 318, "TX" if turned else "RX", 15, "start", tx if turned else rx, "bold")
        s.text(x, 352, verdict, 14, "middle", GREY)
    # The windows that face each other
    for column, turned in ((1, False), (2, True)):
        x = 190 + 370 * column
        for side in (-1, 1):
            head_tx = (side < 0) != turned
            meter_tx = side > 0
            colour = LIGHT if head_tx != meter_tx else GREY
            cx = x + side * 60
            s.rect(cx - 32, 410, 64, 30, fill=tx if head_tx else rx, rx=4)
            s.text(cx, 431, "TX" if head_tx else "RX", 14, "middle", "white", "bold")
            s.rect(cx - 32, 490, 64, 30, fill=tx if meter_tx else rx, rx=4)
            s.text(cx, 511, "TX" if meter_tx else "RX", 14, "middle", "white", "bold")
            if head_tx != meter_tx:
                ends = (442, 488) if head_tx else (488, 442)
                s.arrow(cx, ends[0], cx, ends[1], stroke=colour)
            else:
                s.path(f"M{cx - 8} 457 l16 16 m0 -16 l-16 16", stroke=colour, stroke_width=3)
        s.text(x - 110, 431, "probe", 13, "end", GREY)
        s.text(x - 110, 511, "meter", 13, "end", GREY)
    s.text(
        40,
        440,
        "All views: you face the meter.\nWhich arrangement your meter\n"
        "has was not verified: try both,\nnesgw align tells.",
        14,
    )
    s.path("M682 170 C700 110 785 110 802 158", stroke_width=2)
    s.arrow(799, 148, 806, 172)
    s.text(745, 150, "180°", 15, "middle", weight="bold")
    return s.done()


def _to92(s: Svg, x: float, y: float, ref: str, part: Part) -> None:
    """Draw a transistor with its flat side to the viewer, and its legs from left to right."""
    s.text(x, y - 112, f"{ref}: {part.part}", 16, "middle", weight="bold")
    s.rect(x - 52, y - 88, 104, 92, fill="#4a5058", rx=5)
    s.text(x, y - 36, part.part, 15, "middle", "white")
    for pin in part.pins:
        cx = x + 34 * (pin.number - 2)
        s.rect(cx - 4, y + 4, 8, 112, fill=MAGNET)
        s.text(cx, y + 138, pin.name, 17, "middle", weight="bold")
        s.text(cx, y + 158, f"{pin.net}", 11, "middle", GREY)
    s.text(x, y + 186, "flat side to you, legs down", 13, "middle", GREY)


def _t1(s: Svg, x: float, y: float, ref: str, part: Part, lens: str) -> None:
    """Draw a 3 mm package from the side and from below: leg 1 is the short one, at the flat of the rim."""
    short, long = part.pins
    s.text(x, y - 112, f"{ref}: {part.part}", 16, "middle", weight="bold")
    s.path(f"M{x - 30} {y - 12} L{x - 30} {y - 58} A30 30 0 0 1 {x + 30} {y - 58} L{x + 30} {y - 12} Z", fill=lens)
    s.path(f"M{x - 39} {y - 12} L{x + 30} {y - 12} L{x + 30} {y + 4} L{x - 39} {y + 4} Z", fill=lens)
    for pin, dx, length in ((long, -16, 112), (short, 16, 82)):
        s.rect(x + dx - 4, y + 4, 8, length, fill=MAGNET)
        s.text(x + dx * 1.6, y + 138, pin.name, 17, "middle", weight="bold")
        s.text(x + dx * 2.2, y + 158, pin.net, 11, "middle", GREY)
    s.label(x + 56, y + 66, (x + 18, y + 62), "short leg,\nflat of the rim", size=12)
    s.path(f"M{x + 97} {y - 72} L{x + 97} {y - 28} A30 30 0 1 1 {x + 97} {y - 72} Z", fill=PALE)
    s.circle(x + 64, y - 50, 4, fill=INK)
    s.circle(x + 88, y - 50, 4, fill=INK)
    s.text(x + 64, y - 59, long.name, 12, "middle")
    s.text(x + 86, y - 59, short.name, 12, "middle")
    s.text(x + 76, y - 6, "from below", 11, "middle", GREY)


def pinouts() -> str:
    """Draw which leg of each semiconductor is which, with the net that it goes to."""
    c = load()
    s = Svg(1120, 430, "Which leg is which")
    _to92(s, 130, 150, "Q1", c["Q1"])
    _to92(s, 340, 150, "Q3", c["Q3"])
    _t1(s, 570, 150, "D1", c["D1"], "#c9d3ee")
    _t1(s, 870, 150, "Q2", c["Q2"], "#3a3f46")
    s.text(
        60,
        388,
        "Mind: the short leg of Q2 is its collector and goes to the plus side; that of D1 is its cathode.\n"
        "BC547 and BC557 have their legs the other way round. Makers differ: check the data sheet of yours.",
        13,
    )
    return s.done()


DRAWINGS: dict[str, Callable[[], str]] = {
    "mounting": mounting,
    "section": section,
    "orientation": orientation,
    "pinouts": pinouts,
}

if __name__ == "__main__":
    folder = HERE / "drawings"
    folder.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")
