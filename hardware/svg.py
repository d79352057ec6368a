"""Composes SVG pictures: shapes, lines of text, arrows, labels with a line to what they name.

The scripts of the folders beside this file draw with it; their Makefiles put it on Python's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

INK, GREY, PALE = "#1b1f24", "#6b7480", "#e9edf1"


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
        *,
        halo: bool = False,
    ) -> None:
        """Write lines of text, the first on the given baseline; a halo keeps what lies below away from the letters."""
        around = ' stroke="white" stroke-width="3" paint-order="stroke"' if halo else ""
        for row, line in enumerate(text.split("\n")):
            self.items.append(
                f'<text x="{x:.1f}" y="{y + row * size * 1.35:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
                f'fill="{fill}" font-weight="{weight}"{around}>{escape(line)}</text>'
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

    def dimension(self, x1: float, y: float, x2: float, text: str) -> None:
        """Draw a level dimension line between two ends, with its figure above."""
        for x in (x1, x2):
            self.path(f"M{x:.1f} {y - 8:.1f} L{x:.1f} {y + 8:.1f}", stroke=GREY)
        self.arrow(x1, y, x2, y, stroke=GREY, both=True)
        self.text((x1 + x2) / 2, y - 9, text, 14, "middle")

    def done(self) -> str:
        """Give the file's content."""
        return "\n".join([*self.items, "</svg>", ""])
