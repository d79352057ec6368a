"""Draws schematic.svg from circuit.toml with schemdraw (PyPI).

Values and net names come from the source; where a symbol stands is written here. A part that is in the source and
not on the sheet, or the other way round, is an error, and so is a pin drawn on another net than the source's.
"""

# mypy: disable-error-code="no-untyped-call,import-not-found"
# (schemdraw has no types, and need not be there)

from __future__ import annotations

import re
from typing import Any

import schemdraw
import schemdraw.elements as elm

from netlist import HERE, Circuit, load

UNITS = {"resistor": "Ω", "capacitor": "F"}


class Sheet:
    """The drawing, with a note of which pin was drawn on which net."""

    def __init__(self, circuit: Circuit, drawing: schemdraw.Drawing) -> None:
        self.circuit = circuit
        self.drawing = drawing
        self.drawn: dict[tuple[str, str], str] = {}

    def text(self, ref: str) -> str:
        """Give the label of a part: its name and value, or its name and type."""
        part = self.circuit[ref]
        unit = UNITS.get(part.kind)
        if unit is None:
            return f"{ref}\n{part.part}"
        digits = part.value.rstrip("pnumkM")
        prefix = part.value[len(digits) :].replace("u", "µ")
        return f"{ref}\n{digits} {prefix}{unit}"

    def put(self, ref: str, pins: dict[str, str], element: Any) -> Any:
        """Draw a part; `pins` says which net each of its pins is drawn on."""
        self.drawn |= {(ref, pin): net for pin, net in pins.items()}
        return self.drawing.add(element)

    def rail(self, at: Any) -> None:
        """Draw the supply's symbol."""
        text = f"{self.circuit.supply_net} {self.circuit.volts} V"
        self.drawing.add(elm.Vdd(lead=False).at(at).label(text, fontsize=10))

    def ground(self, at: Any) -> None:
        """Draw the ground's symbol."""
        self.drawing.add(elm.Ground(lead=False).at(at))

    def note(self, x: float, y: float, text: str, size: int = 10) -> None:
        """Write text that begins at a point, centred on its height."""
        label = elm.Label().at((x, y)).theta(0)
        self.drawing.add(label.label(text, loc="right", halign="left", valign="center", fontsize=size))

    def check(self) -> None:
        """Compare what was drawn with the source."""
        wanted = {(p.ref, p.name): p.net for p in self.circuit.pins}
        if self.drawn != wanted:
            raise SystemExit(f"schematic and circuit.toml differ: {sorted(self.drawn.items() ^ wanted.items())}")


def draw(circuit: Circuit) -> bytes:
    """Draw the sheet and give the SVG."""
    schemdraw.use("svg")
    with schemdraw.Drawing(show=False) as d:
        d.config(unit=2.6, fontsize=11, font="DejaVu Sans", lw=1.4, bgcolor="white", margin=0.4)
        s = Sheet(circuit, d)
        nets = {p.ref: {pin.name: pin.net for pin in p.pins} for p in circuit.parts}

        # The module at the Pi's end of the cable.
        u1 = elm.Ic(
            pins=[
                elm.IcPin(name="3V3", side="right", slot="4/4", anchorname="vcc"),
                elm.IcPin(name="TXD", side="right", slot="3/4", anchorname="txd"),
                elm.IcPin(name="RXD", side="right", slot="2/4", anchorname="rxd"),
                elm.IcPin(name="GND", side="right", slot="1/4", anchorname="gnd"),
            ],
            edgepadW=2.0,
            edgepadH=0.6,
            pinspacing=1.4,
            leadlen=0.6,
            lsize=11,
        )
        u1 = s.put("U1", nets["U1"], u1)
        s.note(0.1, 2.8, s.text("U1").replace(" ", "\n"))
        for pin in ("vcc", "gnd"):
            d.add(elm.Line().at(getattr(u1, pin)).right().length(0.8))
        s.rail((u1.vcc[0] + 0.8, u1.vcc[1]))
        s.ground((u1.gnd[0] + 0.8, u1.gnd[1]))
        for pin in ("txd", "rxd"):
            d.add(elm.Tag(width=1.5).at(getattr(u1, pin)).right().label(pin.upper(), fontsize=10))

        # Transmitter: light on while TXD is low.
        base = (13.0, 3.6)
        q1 = s.put("Q1", nets["Q1"], elm.BjtPnp(circle=True).at(base).anchor("base").right())
        s.note(14.2, 3.6, s.text("Q1"))
        r1 = s.put(
            "R1",
            {"2": nets["R1"]["2"], "1": nets["R1"]["1"]},
            elm.Resistor().at((11.6, 3.6)).left().label(s.text("R1"), loc="top", ofst=0.2, fontsize=10),
        )
        d.add(elm.Line().at((11.6, 3.6)).to(q1.base))
        d.add(elm.Tag(width=1.5).at(r1.end).left().label("TXD", fontsize=10))
        d.add(elm.Dot().at((11.6, 3.6)))
        r2 = s.put("R2", nets["R2"], elm.Resistor().at((11.6, 3.6)).up().label(s.text("R2"), loc="top", fontsize=10))
        d.add(elm.Line().at(q1.emitter).toy(r2.end))
        s.rail((q1.emitter[0], r2.end[1]))
        s.rail(r2.end)
        d1 = s.put("D1", nets["D1"], elm.LED().at(q1.collector).down())
        s.note(d1.center[0] + 0.9, d1.center[1], s.text("D1"))
        r3 = s.put("R3", nets["R3"], elm.Resistor().at(d1.end).down().label(s.text("R3"), loc="bottom", fontsize=10))
        s.ground(r3.end)
        s.note(7.4, 7.6, "Transmitter: light while TXD is low (space)", 12)

        # Receiver: light pulls RXD low.
        top = 6.2
        r4 = s.put("R4", nets["R4"], elm.Resistor().at((19.0, top)).down().label(s.text("R4"), loc="top", fontsize=10))
        s.rail((19.0, top))
        q2 = s.put("Q2", nets["Q2"], elm.NpnPhoto(circle=True).at(r4.end).anchor("collector").right())
        s.note(19.5, q2.center[1], s.text("Q2"))
        node = (19.0, q2.emitter[1] - 0.9)
        d.add(elm.Line().at(q2.emitter).to(node))
        d.add(elm.Dot().at(node))
        r5 = s.put("R5", nets["R5"], elm.Resistor().at(node).down().label(s.text("R5"), loc="top", fontsize=10))
        s.ground(r5.end)
        q3 = s.put("Q3", nets["Q3"], elm.BjtNpn(circle=True).at((22.2, node[1])).anchor("base").right())
        d.add(elm.Line().at(node).to(q3.base))
        s.note(23.4, node[1], s.text("Q3"))
        d.add(elm.Line().at(q3.emitter).toy(r5.end))
        s.ground((q3.emitter[0], r5.end[1]))
        out = (q3.collector[0], q3.collector[1] + 0.6)
        d.add(elm.Line().at(q3.collector).to(out))
        d.add(elm.Dot().at(out))
        r6 = s.put(
            "R6",
            {"2": nets["R6"]["2"], "1": nets["R6"]["1"]},
            elm.Resistor().at((out[0], top)).down().toy(out[1]).label(s.text("R6"), loc="top", fontsize=10),
        )
        s.rail(r6.start)
        d.add(elm.Line().at(out).right().length(1.2))
        d.add(elm.Tag(width=1.5).right().label("RXD", fontsize=10))
        s.note(17.4, 7.6, "Receiver: light pulls RXD low (space)", 12)

        # Decoupling, in the head.
        for ref, x in (("C1", 1.6), ("C2", 4.4)):
            c = elm.Capacitor().at((x, -1.6)).down().label(s.text(ref), loc="bottom", fontsize=10)
            c = s.put(ref, nets[ref], c)
            s.rail(c.start)
            s.ground(c.end)
        s.note(0.0, 7.6, "At the Pi", 12)
        s.note(0.0, -0.65, "In the head, across the cable's end", 12)
        s.note(7.4, -4.2, "Idle line = mark = TXD and RXD high = dark.", 11)
        s.note(7.4, -4.8, "W1 carries VCC, TXD, RXD and GND from U1 to the head.", 11)
        s.check()
        image = bytes(d.get_imagedata("svg")).decode()
    # schemdraw paints its background with CSS, which some viewers leave out
    box = re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', image)[0]
    head, rest = image.split(">", 1)
    sheet = '<rect x="{}" y="{}" width="{}" height="{}" fill="white"/>'.format(*box)
    return f"{head}>{sheet}{rest}\n".encode()


if __name__ == "__main__":
    (HERE / "schematic.svg").write_bytes(draw(load()))
