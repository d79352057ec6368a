"""Draws drawings/*.svg: the probe on a meter, a section through the holder, and which way round it goes.

The lengths come from holder.scad. The meter is a sketch of no particular model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape

from netlist import HERE

INK, GREY, PALE, LIGHT, MAGNET, COPPER = "#1b1f24", "#6b7480", "#e9edf1", "#c2410c", "#8a93a0", "#1d6f5c"


def parameters() -> dict[str, float]:
    """Read the numbers of holder.scad."""
    text = (HERE / "holder.scad").read_text(encoding="utf-8")
    return {name: float(number) for name, number in re.findall(r"^(\w+) = ([\d.]+);", text, re.MULTILINE)}


class Svg:
    """A picture under construction; units are SVG pixels, y down."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.items = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" font-family="DejaVu Sans, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        ]

    def _add(self, tag: str, style: Mapping[str, object], **shape: object) -> None:
        attributes = {**shape, **style}
        parts = (f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.items.append(f"<{tag} {' '.join(parts)}/>")

    def rect(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str = "none",
        stroke: str = INK,
        rx: float = 0,
        **style: object,
    ) -> None:
        """Draw a rectangle."""
        self._add(
            "rect",
            {"fill": fill, "stroke": stroke, "stroke_width": 1.4, **style},
            x=f"{x:.1f}",
            y=f"{y:.1f}",
            width=f"{w:.1f}",
            height=f"{h:.1f}",
            rx=rx,
        )

    def circle(self, x: float, y: float, r: float, fill: str = "none", stroke: str = INK, **style: object) -> None:
        """Draw a circle."""
        self._add(
            "circle",
            {"fill": fill, "stroke": stroke, "stroke_width": 1.4, **style},
            cx=f"{x:.1f}",
            cy=f"{y:.1f}",
            r=f"{r:.1f}",
        )

    def path(self, d: str, stroke: str = INK, fill: str = "none", **style: object) -> None:
        """Draw a path."""
        self._add("path", {"fill": fill, "stroke": stroke, "stroke_width": 1.4, **style}, d=d)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 14,
        anchor: str = "start",
        fill: str = INK,
        weight: str = "normal",
    ) -> None:
        """Write lines of text, the first on the given baseline."""
        for row, line in enumerate(text.split("\n")):
            self.items.append(
                f'<text x="{x:.1f}" y="{y + row * size * 1.35:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
                f'fill="{fill}" font-weight="{weight}">{escape(line)}</text>'
            )

    def arrow(self, x1: float, y1: float, x2: float, y2: float, stroke: str = INK, both: bool = False) -> None:
        """Draw an arrow from the first point to the second."""
        self.path(f"M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}", stroke=stroke)
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        for (x, y), sign in (((x2, y2), 1), ((x1, y1), -1))[: 2 if both else 1]:
            bx, by = x - sign * 9 * ux, y - sign * 9 * uy
            self.path(
                f"M{x:.1f} {y:.1f} L{bx - 3.5 * uy:.1f} {by + 3.5 * ux:.1f} L{bx + 3.5 * uy:.1f} {by - 3.5 * ux:.1f} Z",
                stroke=stroke,
                fill=stroke,
            )

    def label(
        self, x: float, y: float, to: tuple[float, float], text: str, anchor: str = "start", size: float = 14
    ) -> None:
        """Write a text with a thin line to what it names: from its side, or from its middle up or down."""
        sideways = {"start": -6, "end": 6, "middle": 0}[anchor]
        height = -0.35 * size
        if anchor == "middle":
            height = 0.45 * size if to[1] > y else -1.1 * size
        self.path(f"M{x + sideways:.1f} {y + height:.1f} L{to[0]:.1f} {to[1]:.1f}", stroke=GREY, stroke_width=1)
        self.circle(*to, 2.2, fill=GREY, stroke="none")
        self.text(x, y, text, size, anchor)

    def done(self) -> str:
        """Give the file's content."""
        return "\n".join([*self.items, "</svg>", ""])


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
    s.text(180, 40, "1  Find the optical port", 17, "middle", weight="bold")
    s.text(540, 40, "2  Set the probe on it, cable down", 17, "middle", weight="bold")
    s.label(180, 222, (180, 262), "round seat: the magnet holds here", "middle", 12)
    s.label(180, 388, (180, 302), "two dark windows, side by side", "middle", 12)
    s.label(700, 232, (548, 246), "arrow and ridge up", size=13)
    s.label(700, 352, (519, 300), "one dot: the probe's transmitter", size=13)
    s.label(700, 298, (561, 293), "two dots: the probe's receiver", size=13)
    s.text(700, 402, "No answer? Turn it by 180°\n(cable up) and look again\nwith: nesgw align", 13)
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
    """Draw the cut through both optical axes, to scale, with dimensions."""
    p = parameters()
    k, x0, y0 = 15.0, 480.0, 560.0  # scale, axis, the face's line

    def x(mm: float) -> float:
        return x0 + k * mm

    def y(mm: float) -> float:
        return y0 - k * mm

    def box(s: Svg, left: float, right: float, low: float, high: float, fill: str, stroke: str = INK) -> None:
        s.rect(x(left), y(high), k * (right - left), k * (high - low), fill=fill, stroke=stroke)

    s = Svg(1120, 720, "Section through the holder along both optical axes")
    s.text(40, 40, "Section through both optical axes, seen from below (mm)", 17, weight="bold")
    r, axis = p["head_diameter"] / 2, p["axes_distance"] / 2
    plastic = "#59636f"
    # The meter below the face
    s.rect(x(-r - 2), y(0), k * (2 * r + 4), 62, fill=PALE, stroke=GREY)
    for side, colour in ((-1, "#20493f"), (1, "#5b2a1a")):
        s.rect(x(side * axis - 2.2), y(0), k * 4.4, 30, fill=colour)
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
            f"M{x(cx - w)} {y(p['rim_seat'])} L{x(cx - w)} {y(tip + w)} "
            f"A{k * w} {k * w} 0 0 0 {x(cx + w)} {y(tip + w)} L{x(cx + w)} {y(p['rim_seat'])} Z",
            fill=colour,
        )
        rim = p["rim_diameter"] / 2
        box(s, cx - rim, cx + rim, p["rim_seat"], p["rim_seat"] + 1.0, colour)
        for leg in (-1.27, 1.27):
            leg_low, leg_high = p["rim_seat"] + 1.0, top + 1.6
            box(s, cx + leg - 0.25, cx + leg + 0.25, leg_low, leg_high, MAGNET, stroke="none")
        s.path(
            f"M{x(cx)} {y(-3.6)} L{x(cx)} {y(p['body_height'] + 3.4)}",
            stroke=GREY,
            stroke_dasharray="10 4 2 4",
            stroke_width=1,
        )
    # Board, small parts, lid
    box(s, -9.5, 9.5, top, top + 1.6, COPPER)
    for bx in (-6.2, -0.6, 5.0):
        box(s, bx, bx + 3.4, top + 1.6, top + 4.6, INK)
    box(s, -r, r, p["body_height"], p["body_height"] + p["lid_thickness"], plastic)
    for side in (-1, 1):
        left, right = sorted((side * (r - p["wall"] - 0.15), side * (r - 2 * p["wall"])))
        box(s, left, right, p["body_height"] - p["lid_plug"], p["body_height"], plastic)
    # Light
    s.arrow(x(-axis), y(tip - 0.3), x(-axis), y(-1.9), stroke=LIGHT)
    s.arrow(x(axis), y(-1.9), x(axis), y(tip - 0.3), stroke=LIGHT)
    # Names
    for yy, to, text in (
        (130, (x(12), y(p["body_height"] + 1)), "lid (friction fit)"),
        (210, (x(6.6), y(top + 3.4)), "Q1, Q3, R, C"),
        (262, (x(9.0), y(top + 0.8)), "board, up to 19 × 19 mm"),
        (322, (x(0.3), y(top - 1.3)), "baffle between the legs"),
        (382, (x(axis + 1.2), y(p["rim_seat"] + 0.5)), "Q2, receiver"),
        (436, (x(10.8), y(3.6)), f"magnet ring {p['magnet_outer']:g} × {p['magnet_inner']:g} × {p['magnet_height']:g}"),
        (580, (x(axis + 1.4), y(-1.3)), "the meter's transmitter"),
    ):
        s.label(800, yy, to, text)
    s.label(178, 382, (x(-axis - 1.2), y(p["rim_seat"] + 0.5)), "D1, transmitter", anchor="end")
    s.label(196, 580, (x(-axis - 1.4), y(-1.3)), "the meter's receiver", anchor="end")
    # Dimensions
    for level, half, text in (
        (y(-6.6), p["head_diameter"] / 2, f"⌀ {p['head_diameter']:g}"),
        (y(p["body_height"] + 4.2), axis, f"{p['axes_distance']:g}"),
    ):
        for end in (-half, half):
            s.path(f"M{x(end)} {level - 8} L{x(end)} {level + 8}", stroke=GREY)
        s.arrow(x(-half), level, x(half), level, stroke=GREY, both=True)
        s.text(x(0), level - 9, text, 14, "middle")
    hx = x(-r - 3.2)
    for mm in (0.0, p["body_height"] + p["lid_thickness"]):
        s.path(f"M{hx - 8} {y(mm)} L{hx + 8} {y(mm)}", stroke=GREY)
    s.arrow(hx, y(0), hx, y(p["body_height"] + p["lid_thickness"]), stroke=GREY, both=True)
    s.text(hx - 10, y(18), f"{p['body_height'] + p['lid_thickness']:g}", 14, "end")
    return s.done()


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


DRAWINGS: dict[str, Callable[[], str]] = {"mounting": mounting, "section": section, "orientation": orientation}

if __name__ == "__main__":
    folder = HERE / "drawings"
    folder.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")
