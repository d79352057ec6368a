"""Checks cable.toml and draws the cable to the MEP port, the ways to feed Enable, and the list of parts.

`python3 cable.py` needs svg.py of the folder above on Python's path: use make.
"""

from __future__ import annotations

import csv
import io
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from svg import GREY, INK, PALE, Svg

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "cable.toml"

# What a PC's plug, and so an adapter's, does with these pins.
DE9_DRIVES = {2: False, 3: True, 5: None, 7: True}
METAL, PLASTIC = "#c9ced4", "#59636f"
SIGN_GREEN, SIGN_RED = "#1d6f5c", "#b3261e"


@dataclass(frozen=True, slots=True)
class Signal:
    """A line of the port: who drives it, and where it is on each connector. Without a DE-9 pin it stays open."""

    name: str
    driver: str
    header_maker: int
    header_odd_even: int
    terminal_old: str
    terminal_new: str
    colour: str
    de9: int | None = None
    de9_name: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A line of the list of parts; the price is in US dollars."""

    ref: str
    value: str
    part: str
    alternatives: str
    order: str
    price_usd: float | None = None
    price_from: str = ""


@dataclass(frozen=True, slots=True)
class Cable:
    """All of cable.toml."""

    signals: tuple[Signal, ...]
    parts: tuple[Part, ...]

    @property
    def wired(self) -> tuple[Signal, ...]:
        """The lines that have a wire, in the order of the DE-9's pins."""
        return tuple(sorted((s for s in self.signals if s.de9 is not None), key=lambda s: s.de9 or 0))

    def signal(self, name: str) -> Signal:
        """Give the line of that name."""
        return next(s for s in self.signals if s.name == name)


def load(path: Path = SOURCE) -> Cable:
    """Read the cable from its source."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Cable:
    """Read the cable from TOML text."""
    tree = tomllib.loads(text)
    return Cable(tuple(Signal(**row) for row in tree["signal"]), tuple(Part(**row) for row in tree["part"]))


def place_maker(number: int) -> tuple[int, int]:
    """Give row and column on the 2 × 3 header of a pin in the maker's count: 1 2 3 over 4 5 6."""
    return divmod(number - 1, 3)


def place_odd_even(number: int) -> tuple[int, int]:
    """Give row and column of a pin in KiCad's count: 1 3 5 over 2 4 6."""
    column, row = divmod(number - 1, 2)
    return (row, column)


def complaints(cable: Cable) -> list[str]:
    """Say what cannot be right."""
    return [*_headers_agree(cable), *_numbers_differ(cable), *_drivers_meet_inputs(cable), *_supply_is_open(cable)]


def _headers_agree(cable: Cable) -> Iterator[str]:
    for s in cable.signals:
        if place_maker(s.header_maker) != place_odd_even(s.header_odd_even):
            yield f"{s.name}: pin {s.header_maker} of the maker's count is not pin {s.header_odd_even} of the other"


def _numbers_differ(cable: Cable) -> Iterator[str]:
    for one, other in combinations(cable.signals, 2):
        for field in ("de9", "header_maker", "header_odd_even", "terminal_old", "terminal_new"):
            if getattr(one, field) is not None and getattr(one, field) == getattr(other, field):
                yield f"{one.name} and {other.name} share {field} {getattr(one, field)}"


def _drivers_meet_inputs(cable: Cable) -> Iterator[str]:
    for s in cable.wired:
        expected = {"client": True, "meter": False, "nobody": None}[s.driver]
        if DE9_DRIVES.get(s.de9 or 0, "?") != expected:
            yield f"{s.name} is driven by the {s.driver}: pin {s.de9} of the DE-9 does not fit"


def _supply_is_open(cable: Cable) -> Iterator[str]:
    if cable.signal("MEP_PWR").de9 is not None:
        yield "MEP_PWR is connected: it must stay open"


def _arrow_heads(s: Svg, x1: float, x2: float, y: float, signal: Signal) -> None:
    """Draw a wire with an arrow in the direction in which its line is driven; the client is on the left."""
    s.path(f"M{x1} {y} L{x2} {y}", stroke=signal.colour, stroke_width=4)
    middle = (x1 + x2) / 2
    if signal.driver == "client":
        s.path(_head(middle + 12, y, 1), stroke=signal.colour, fill=signal.colour)
    elif signal.driver == "meter":
        s.path(_head(middle - 12, y, -1), stroke=signal.colour, fill=signal.colour)


def _head(x: float, y: float, way: int) -> str:
    """Give the outline of a broad arrow head that points to the right (1) or to the left (-1)."""
    return f"M{x} {y} l{-way * 20} -9 l0 18 Z"


def _de9(s: Svg, x: float, y: float, cable: Cable) -> dict[int, tuple[float, float]]:
    """Draw the DE-9 socket of the cable from its solder side, which counts like the plug's pins from the front."""
    s.path(f"M{x - 100} {y - 46} L{x + 100} {y - 46} L{x + 78} {y + 46} L{x - 78} {y + 46} Z", fill=METAL)
    used = {signal.de9: signal for signal in cable.wired}
    spots = {n: (x - 72 + 36 * (n - 1), y - 18.0) for n in range(1, 6)}
    spots |= {n: (x - 54 + 36 * (n - 6), y + 20.0) for n in range(6, 10)}
    for n, (cx, cy) in spots.items():
        s.circle(cx, cy, 11, fill=used[n].colour if n in used else "white")
        s.text(cx, cy + 4.5, str(n), 12, "middle", "white" if n in used else GREY, "bold")
    return spots


def _header(s: Svg, x: float, y: float, cable: Cable, count: Callable[[Signal], int], title: str) -> None:
    """Draw the 2 × 3 header with the numbers of one way of counting; the pins themselves are the same."""
    pitch = 52
    s.text(x, y - 62, title, 13, "middle", weight="bold")
    s.rect(x - 1.5 * pitch - 6, y - pitch + 2, 3 * pitch + 12, 2 * pitch - 4, fill=PALE, rx=6)
    numbers: dict[tuple[int, int], tuple[str, str]] = {(1, 2): ("6", "#ffffff")}
    for signal in cable.signals:
        numbers[place_maker(signal.header_maker)] = (str(count(signal)), signal.colour)
    for (row, column), (number, colour) in numbers.items():
        cx, cy = x + (column - 1) * pitch, y + (row - 0.5) * pitch * 0.86
        s.rect(cx - 15, cy - 15, 30, 30, fill=colour, rx=3)
        s.text(cx, cy + 5, number, 15, "middle", GREY if colour == "#ffffff" else "white", "bold")


def wiring(cable: Cable) -> str:
    """Draw the cable: adapter, DE-9, four wires, and where they end on each kind of meter."""
    s = Svg(1180, 690, "The cable from a USB-RS-232 adapter to the MEP port")
    s.text(40, 40, "The cable to the MEP port", 18, weight="bold")
    s.text(40, 64, "as the maker's sheet wires a PC; never tried by us on a meter", 13, fill=GREY)
    # Adapter and plug
    s.rect(40, 110, 150, 62, fill="#2b5a8a", rx=8)
    s.text(115, 137, "USB–RS-232", 14, "middle", "white", "bold")
    s.text(115, 157, "to the Pi's USB", 12, "middle", "white")
    s.rect(190, 118, 34, 46, fill=METAL)
    s.text(232, 136, "DE-9 plug of the adapter", 12)
    s.text(232, 154, "into the cable's DE-9 socket", 12)
    _de9(s, 145, 262, cable)
    s.text(145, 332, "the socket from its solder side:\ntop row 1 to 5, below 6 to 9", 12, "middle", GREY)
    # Wires
    left, right = 336.0, 500.0
    for row, signal in enumerate(cable.wired):
        y = 232 + 56 * row
        s.circle(left - 14, y, 13, fill=signal.colour)
        s.text(left - 14, y + 5, str(signal.de9), 13, "middle", "white", "bold")
        s.text(left - 34, y + 5, signal.de9_name, 13, "end", weight="bold")
        _arrow_heads(s, left, right, y, signal)
    open_y = 232 + 56 * len(cable.wired)
    # Table of the meter's side
    columns = (
        (516, "the meter's name", "start"),
        (748, "header,\nmaker's count", "middle"),
        (858, "header,\nodd and even", "middle"),
        (972, "terminals\n83332/4-3I", "middle"),
        (1086, "terminals,\nolder sheet", "middle"),
    )
    for x, title, anchor in columns:
        s.text(x, 178, title, 12.5, anchor, GREY)
    rows = [*cable.wired, cable.signal("MEP_PWR")]
    for row, signal in enumerate(rows):
        y = 232 + 56 * row
        numbers = (signal.header_maker, signal.header_odd_even, signal.terminal_new, signal.terminal_old)
        s.text(516, y + 1, signal.name, 14, weight="bold", fill=signal.colour)
        s.text(516, y + 18, _says(signal), 11.5, fill=GREY)
        for (x, _, _), number in zip(columns[1:], numbers, strict=True):
            s.text(x, y + 6, str(number), 15, "middle", weight="bold")
        s.path(f"M512 {y + 29} L1140 {y + 29}", stroke=PALE)
    s.path(f"M{right - 26} {open_y - 8} l16 16 m0 -16 l-16 16", stroke=SIGN_RED, stroke_width=3)
    s.text(right - 40, open_y + 5, "leave open, insulate", 12.5, "end", SIGN_RED)
    # Headers
    _header(s, 600, 594, cable, lambda signal: signal.header_maker, "the header, maker's count")
    _header(s, 838, 594, cable, lambda signal: signal.header_odd_even, "the same pins, odd and even")
    s.text(
        960,
        546,
        "The meter's leaflet or the drawing\nin its cover says which corner is\npin 1. Check it, and by which\n"
        "count it was written, before you\nplug anything in.",
        12,
    )
    s.text(
        40,
        440,
        "Straight through: 2 to TXD, 3 to RXD.\nNo null-modem cable, no crossing.\n\n"
        "RTS on = pin 7 positive = Enable.\nnesgw opens the port with RTS on\nand without hardware handshake.\n\n"
        "Colours are those of this picture.",
        13,
    )
    return s.done()


def _says(signal: Signal) -> str:
    """Say who speaks on a line."""
    if signal.name == "MEP_PWR":
        return "+24 or +26 V from the meter"
    return {
        "client": "driven by the adapter",
        "meter": "driven by the meter",
        "nobody": "common ground",
    }[signal.driver]


@dataclass(frozen=True, slots=True)
class Feed:
    """One way to feed Enable: the source with its upper and lower end, and what to say of it."""

    title: str
    source: str
    plus: str
    minus: str
    volts: str
    verdict: str
    colour: str = INK
    fused: bool = False


FEEDS = (
    Feed(
        title="1  From RTS",
        source="the adapter",
        plus="pin 7, RTS",
        minus="pin 5, GND",
        volts="+5 … +12 V while on",
        verdict="the maker's way: start here,\nnesgw can switch it off and on",
        colour=SIGN_GREEN,
    ),
    Feed(
        title="2  From USB's +5 V",
        source="a USB plug",
        plus="+5 V",
        minus="GND",
        volts="+5 V, stiff",
        verdict="if long answers are cut short;\nalways on: nesgw cannot switch it",
        fused=True,
    ),
    Feed(
        title="3  From a 9 V battery",
        source="a battery",
        plus="+9 V",
        minus="minus",
        volts="+9 V, stiff",
        verdict="for a test of a few minutes:\nis it Enable that sags?",
    ),
)


def _feed(s: Svg, x: float, feed: Feed, red: str) -> None:
    s.text(x, 86, feed.title, 15, "middle", weight="bold")
    s.rect(x - 160, 120, 122, 128, fill=PALE, rx=6)
    s.text(x - 99, 155, feed.plus, 12.5, "middle", weight="bold")
    s.text(x - 99, 190, feed.source, 12.5, "middle", GREY)
    s.text(x - 99, 227, feed.minus, 12.5, "middle", weight="bold")
    s.rect(x + 70, 120, 92, 128, fill=PLASTIC, rx=6)
    for y, name, colour in ((150.0, "ENABLE", red), (222.0, "GND", "#33393f")):
        s.text(x + 116, y + 5, name, 12.5, "middle", "white", "bold")
        s.path(f"M{x - 38} {y} L{x + 70} {y}", stroke=colour, stroke_width=4)
    s.text(x + 16, 272, feed.volts, 13, "middle", weight="bold")
    s.text(x + 6, 304, feed.verdict, 12.5, "middle", feed.colour)


def enable(cable: Cable) -> str:
    """Draw where Enable can be fed from, from the plain way to the stiff ones."""
    s = Svg(1180, 400, "Where Enable is fed from")
    s.text(40, 40, "Enable feeds the meter's transmitter: it needs a source that does not sag", 17, weight="bold")
    red = cable.signal("MEP_COM_ENABLE").colour
    for column, feed in enumerate(FEEDS):
        x = 200 + 390 * column
        _feed(s, x, feed, red)
        if feed.fused:
            s.rect(x - 6, 139, 46, 22, fill="white")
            s.text(x + 17, 155, "F1", 12, "middle", weight="bold")
    s.text(
        40,
        360,
        "In 2 and 3 pin 7 of the adapter stays open, and the grounds of adapter, source and meter are joined. "
        "Open, 0 V or negative is off. Never more than 12 V, never MEP_PWR.",
        13,
    )
    return s.done()


DRAWINGS: Mapping[str, Callable[[Cable], str]] = {"wiring": wiring, "enable": enable}
HEADER = ("reference", "value", "part", "alternatives", "order", "price_usd", "price_from")


def bom(cable: Cable) -> str:
    """Compose bom.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for p in cable.parts:
        price = "" if p.price_usd is None else f"{p.price_usd:.2f}"
        writer.writerow((p.ref, p.value, p.part, p.alternatives, p.order, price, p.price_from))
    return out.getvalue()


if __name__ == "__main__":
    the_cable = load()
    wrong = complaints(the_cable)
    print("\n".join(wrong) or f"cable: {len(the_cable.signals)} lines, {len(the_cable.wired)} wires: passed")
    if not wrong:
        (HERE / "bom.csv").write_text(bom(the_cable), encoding="utf-8")
        for name, draw in DRAWINGS.items():
            (HERE / f"{name}.svg").write_text(draw(the_cable), encoding="utf-8")
    sys.exit(1 if wrong else 0)
