"""Writes bom.csv from circuit.toml: like parts in one line, with packages and alternatives."""

from __future__ import annotations

import csv
import io

from netlist import HERE, Circuit, load

HEADER = ("quantity", "references", "value", "package", "part", "alternatives")


def rows(circuit: Circuit) -> list[tuple[str, ...]]:
    """One row a kind of part, in the order of the source."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for p in circuit.parts:
        groups.setdefault((p.value, p.package, p.part, p.alternatives), []).append(p.ref)
    return [(str(len(refs)), " ".join(refs), *facts) for facts, refs in groups.items()]


def text(circuit: Circuit) -> str:
    """Compose the file's content."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows(circuit)])
    return out.getvalue()


if __name__ == "__main__":
    (HERE / "bom.csv").write_text(text(load()), encoding="utf-8")
