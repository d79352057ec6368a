"""Writes bom.csv from circuit.toml: like parts in one line, with packages and alternatives."""

from __future__ import annotations

import csv
import io

from netlist import HERE, Circuit, load

HEADER = ("quantity", "references", "value", "package", "part", "alternatives", "order", "price_usd", "price_from")


def rows(circuit: Circuit) -> list[tuple[str, ...]]:
    """One row a kind of part, in the order of the source; the price is for one piece, empty where none was found."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for p in circuit.parts:
        price = "" if p.price_usd is None else f"{p.price_usd:.2f}"
        facts = (p.value, p.package, p.part, p.alternatives, p.order, price, p.price_from)
        groups.setdefault(facts, []).append(p.ref)
    return [(str(len(refs)), " ".join(refs), *facts) for facts, refs in groups.items()]


def total(circuit: Circuit) -> tuple[float, tuple[str, ...]]:
    """Sum the prices that are known, in US dollars, and name the parts that have none."""
    known = sum(p.price_usd for p in circuit.parts if p.price_usd is not None)
    return known, tuple(p.ref for p in circuit.parts if p.price_usd is None)


def text(circuit: Circuit) -> str:
    """Compose the file's content."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows(circuit)])
    return out.getvalue()


if __name__ == "__main__":
    the_circuit = load()
    (HERE / "bom.csv").write_text(text(the_circuit), encoding="utf-8")
    dollars, unknown = total(the_circuit)
    print(f"${dollars:.2f}, and without a price: {', '.join(unknown)}")
