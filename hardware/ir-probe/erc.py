"""Electrical rule check of circuit.toml: connections, drivers, polarity, ratings.

Each rule is a function from the circuit to its complaints; no complaint at all means the circuit passes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import calc
from netlist import Circuit, Part, load, parse_value

E24 = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91)

PINS_OF_KIND = {
    "resistor": {"passive"},
    "capacitor": {"passive"},
    "ir_led": {"anode", "cathode"},
    "phototransistor": {"collector", "emitter"},
    "npn": {"base", "collector", "emitter"},
    "pnp": {"base", "collector", "emitter"},
    "usb_uart": {"power_out", "output", "input"},
    "cable": {"passive"},
    "mechanical": set(),
}


def references_are_unique(c: Circuit) -> Iterator[str]:
    """Two parts of one name would share their pins."""
    names = [p.ref for p in c.parts]
    yield from (f"{name} is used twice" for name in sorted(set(names)) if names.count(name) > 1)


def pins_suit_their_part(c: Circuit) -> Iterator[str]:
    """Find parts that lack a pin of their kind, or have one that is on no net."""
    for part in c.parts:
        if part.kind not in PINS_OF_KIND:
            yield f"{part.ref}: unknown kind {part.kind}"
        elif {p.kind for p in part.pins} != PINS_OF_KIND[part.kind]:
            yield f"{part.ref}: a {part.kind} has the pins {sorted(PINS_OF_KIND[part.kind])}"
        yield from (f"{pin} is not connected" for pin in part.pins if not pin.net)
        if part.kind in {"resistor", "capacitor"} and len(part.pins) != 2:
            yield f"{part.ref} needs two pins"


def no_net_is_lonely(c: Circuit) -> Iterator[str]:
    """Find nets with a single pin, or none but the cable's: they lead nowhere."""
    for name, pins in c.nets.items():
        ends = [pin for pin in pins if c[pin.ref].kind != "cable"]
        if len(ends) < 2:
            yield f"net {name} has one pin: {(ends or pins)[0]}"


def no_part_is_bridged(c: Circuit) -> Iterator[str]:
    """Find parts with all legs on one net: they do nothing."""
    yield from (f"{p.ref} is short-circuited" for p in c.parts if p.pins and len({x.net for x in p.pins}) == 1)


def supply_is_driven_once(c: Circuit) -> Iterator[str]:
    """Supply and ground each have exactly one source, and no other net has one."""
    for name, pins in c.nets.items():
        sources = [p for p in pins if p.kind == "power_out"]
        if name in (c.supply_net, c.ground_net) and len(sources) != 1:
            yield f"{name} has {len(sources)} sources"
        elif name not in (c.supply_net, c.ground_net) and sources:
            yield f"{name} is a signal, yet {sources[0]} feeds it"


def signals_have_one_driver(c: Circuit) -> Iterator[str]:
    """No net has two drivers; every input has one: an output, or a collector with a pull-up."""
    for name, pins in c.nets.items():
        if name in (c.supply_net, c.ground_net):
            continue
        drivers = [p for p in pins if p.kind == "output" or (p.kind == "collector" and c[p.ref].kind in {"npn", "pnp"})]
        if len(drivers) > 1:
            yield f"{name} has the drivers {', '.join(map(str, drivers))}"
        if any(p.kind == "input" for p in pins):
            if not drivers:
                yield f"the input on {name} has no driver"
            elif drivers[0].kind == "collector" and not _resistors_between(c, name, c.supply_net):
                yield f"{name} is an open collector without a pull-up"


def light_flows_the_right_way(c: Circuit) -> Iterator[str]:
    """Anode, collectors and emitters face the right rail, and both optical parts have something to limit them."""
    for led in c.of_kind("ir_led"):
        anode, cathode = (next(p.net for p in led.pins if p.kind == k) for k in ("anode", "cathode"))
        if not _reaches(c, anode, c.supply_net, without=led) or not _reaches(c, cathode, c.ground_net, without=led):
            yield f"{led.ref} is the wrong way round"
        ends = ((net, rail) for net in (anode, cathode) for rail in (c.supply_net, c.ground_net))
        if not any(_resistors_between(c, net, rail) for net, rail in ends):
            yield f"{led.ref} has no series resistor"
    for part in c.of_kind("phototransistor", "npn"):
        emitter, collector = (next(p.net for p in part.pins if p.kind == k) for k in ("emitter", "collector"))
        sinks, sources = (emitter, c.ground_net), (collector, c.supply_net)
        if not all(_reaches(c, net, rail, without=part) for net, rail in (sinks, sources)):
            yield f"{part.ref} is the wrong way round"
        if not _resistors_between(c, collector, c.supply_net):
            yield f"{part.ref} has nothing to limit its current"
    for part in c.of_kind("pnp"):
        emitter, collector = (next(p.net for p in part.pins if p.kind == k) for k in ("emitter", "collector"))
        if emitter != c.supply_net or not _reaches(c, collector, c.ground_net, without=part):
            yield f"{part.ref} is the wrong way round"


def idle_is_dark_and_light_is_low(c: Circuit) -> Iterator[str]:
    """Mark (TXD high, RXD high) is dark: count the inversions on both ways."""
    for pnp in c.of_kind("pnp"):
        drives_led = any(p.kind == "anode" for p in c.nets[next(x.net for x in pnp.pins if x.kind == "collector")])
        base = next(x.net for x in pnp.pins if x.kind == "base")
        if drives_led and not _resistors_between(c, base, "TXD"):
            yield f"{pnp.ref} lights the LED but does not listen to TXD"
        if not _resistors_between(c, base, c.supply_net):
            yield f"{pnp.ref} is not held off while TXD floats"
    receivers = [p for p in c.nets.get("RXD", ()) if p.kind == "collector"]
    for pin in receivers:
        stage = c[pin.ref]
        if stage.kind == "phototransistor":
            continue  # light pulls RXD low by itself
        base = next((p.net for p in stage.pins if p.kind == "base"), "")
        if stage.kind != "npn" or not any(
            p.kind == "emitter" and c[p.ref].kind == "phototransistor" for p in c.nets.get(base, ())
        ):
            yield f"light does not pull RXD low through {stage.ref}"
    if not receivers:
        yield "nothing pulls RXD low"


def supply_is_decoupled(c: Circuit) -> Iterator[str]:
    """At the head's end of the cable there is a capacitor across the supply."""
    across = [p for p in c.of_kind("capacitor") if {x.net for x in p.pins} == {c.supply_net, c.ground_net}]
    if not across:
        yield "no capacitor across the supply"
    yield from (f"{p.ref}: rated below twice the supply" for p in across if p.ratings["volts_max_v"] < 1.9 * c.volts)


def values_can_be_bought(c: Circuit) -> Iterator[str]:
    """Resistors are of the E24 series; every part names an alternative and a package."""
    for r in c.of_kind("resistor"):
        ohms = parse_value(r.value)
        while ohms >= 100:
            ohms /= 10
        if round(ohms) not in E24 or abs(ohms - round(ohms)) > 1e-6:
            yield f"{r.ref}: {r.value} is no E24 value"
    yield from (
        f"{p.ref}: package, part and alternatives are needed"
        for p in c.parts
        if not (p.package and p.part and p.alternatives)
    )
    yield from (
        f"{p.ref}: no source for its ratings"
        for p in c.of_kind("ir_led", "phototransistor", "npn", "pnp")
        if not p.source
    )


def ratings_hold(c: Circuit) -> Iterator[str]:
    """Currents and powers stay within the absolute maxima; calc.py knows the numbers."""
    yield from (f"limit violated: {text}" for text in calc.check(c, calc.compute(c)))
    for led in c.of_kind("ir_led"):
        if led.ratings["reverse_max_v"] < c.volts:
            yield f"{led.ref}: the supply exceeds its reverse voltage"
    for part in c.of_kind("phototransistor", "npn", "pnp"):
        if part.ratings["vce_max_v"] < 2 * c.volts:
            yield f"{part.ref}: VCE rating too low"


RULES: tuple[Callable[[Circuit], Iterator[str]], ...] = (
    references_are_unique,
    pins_suit_their_part,
    no_net_is_lonely,
    no_part_is_bridged,
    supply_is_driven_once,
    signals_have_one_driver,
    light_flows_the_right_way,
    idle_is_dark_and_light_is_low,
    supply_is_decoupled,
    values_can_be_bought,
    ratings_hold,
)


def complaints(c: Circuit) -> list[str]:
    """Say what is wrong, in the order of the rules; numbers are computed only from a sound structure."""
    found: list[str] = []
    for rule in RULES:
        if rule is ratings_hold and found:
            break
        found += [f"{rule.__name__}: {text}" for text in rule(c)]
    return found


def _resistors_between(c: Circuit, a: str, b: str) -> list[Part]:
    return [r for r in c.of_kind("resistor") if {p.net for p in r.pins} == {a, b}]


def _reaches(c: Circuit, start: str, goal: str, without: Part) -> bool:
    """Whether current can get from one net to the other through resistors and transistors' main paths."""
    seen, frontier = {start}, [start]
    while frontier:
        here = frontier.pop()
        if here == goal:
            return True
        if here in (c.supply_net, c.ground_net):
            continue  # a rail is an end, not a way through
        for pin in c.nets.get(here, ()):
            part = c[pin.ref]
            if part is without or part.kind not in {"resistor", "pnp", "npn", "phototransistor", "ir_led"}:
                continue
            if pin.kind == "base":
                continue
            onward = {p.net for p in part.pins if p.kind != "base"} - seen
            seen |= onward
            frontier += sorted(onward)
    return False


if __name__ == "__main__":
    circuit = load()
    wrong = complaints(circuit)
    print("\n".join(wrong) or f"ERC: {len(circuit.parts)} parts, {len(circuit.nets)} nets, {len(RULES)} rules: passed")
    sys.exit(1 if wrong else 0)
