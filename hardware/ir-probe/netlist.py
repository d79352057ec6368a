"""The circuit as values: loads circuit.toml and answers what is connected to what.

It judges nothing (erc.py does) and computes nothing (calc.py does).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "circuit.toml"

PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}
TEXTS = ("kind", "value", "package", "part", "alternatives", "source", "footprint", "order", "price_from")
NO_RATINGS = frozenset({"ref", "pins", "price_usd", *TEXTS})


@dataclass(frozen=True, slots=True)
class Pin:
    """One leg of a part and the net it is soldered to; the number counts the package's legs from 1."""

    ref: str
    number: int
    name: str
    net: str
    kind: str

    def __str__(self) -> str:
        return f"{self.ref}.{self.name}"


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the bill of materials, with its pins and its absolute maxima."""

    ref: str
    kind: str
    value: str
    package: str
    part: str
    alternatives: str
    source: str
    footprint: str
    order: str
    price_usd: float | None
    price_from: str
    pins: tuple[Pin, ...]
    ratings: Mapping[str, float]

    def net(self, pin: str) -> str:
        """Give the net of the pin of that name."""
        return next(p.net for p in self.pins if p.name == pin)


@dataclass(frozen=True, slots=True)
class Circuit:
    """All parts and the supply."""

    parts: tuple[Part, ...]
    supply_net: str
    ground_net: str
    volts: float
    tolerance: float

    def __getitem__(self, ref: str) -> Part:
        return next(p for p in self.parts if p.ref == ref)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Every pin of every part."""
        return tuple(pin for part in self.parts for pin in part.pins)

    @property
    def nets(self) -> Mapping[str, tuple[Pin, ...]]:
        """Net name to the pins on it."""
        names = sorted({pin.net for pin in self.pins})
        return {name: tuple(p for p in self.pins if p.net == name) for name in names}

    def of_kind(self, *kinds: str) -> tuple[Part, ...]:
        """Give the parts of these kinds."""
        return tuple(p for p in self.parts if p.kind in kinds)

    def number(self, ref: str) -> float:
        """Give a resistor's or capacitor's value in ohms or farads."""
        return parse_value(self[ref].value)


def parse_value(text: str) -> float:
    """Turn "4.7k" into 4700.0."""
    digits = text.rstrip("".join(p for p in PREFIXES if p))
    return float(digits) * PREFIXES[text[len(digits) :]]


def _part(row: Mapping[str, Any]) -> Part:
    ref = str(row["ref"])
    legs = enumerate(row["pins"].items(), start=1)
    pins = tuple(Pin(ref, number, name, net, kind) for number, (name, (net, kind)) in legs)
    ratings = {name: float(value) for name, value in row.items() if name not in NO_RATINGS}
    texts = {name: str(row.get(name, "")) for name in TEXTS}
    return Part(ref=ref, pins=pins, price_usd=row.get("price_usd"), ratings=ratings, **texts)


def load(path: Path = SOURCE) -> Circuit:
    """Read the circuit from its source."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Circuit:
    """Read the circuit from TOML text."""
    tree = tomllib.loads(text)
    supply = tree["supply"]
    return Circuit(
        parts=tuple(_part(row) for row in tree["part"]),
        supply_net=supply["net"],
        ground_net=supply["ground"],
        volts=float(supply["volts"]),
        tolerance=float(supply["tolerance"]),
    )
