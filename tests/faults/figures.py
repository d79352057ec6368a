"""The figures of the matrix: one line a fault, gathered while the tests run and printed at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TABLE: list[Figures] = []
HEAD = ("fault", "where", "injected", "published", "wrong", "recovered after", "allowed", "memory")


@dataclass
class Figures:
    fault: str
    where: str  # "virtual time", "process"
    injected: int
    published: int
    wrong: int
    recovery: float | None  # seconds from the end of the fault to the next reading; None: there was nothing to recover
    allowed: float | None
    memory: tuple[float, float]  # MB before and after

    def note(self) -> Figures:
        TABLE.append(self)
        return self

    def line(self) -> tuple[str, ...]:
        before, after = self.memory
        return (
            self.fault,
            self.where,
            str(self.injected),
            str(self.published),
            str(self.wrong),
            "-" if self.recovery is None else f"{self.recovery:.1f} s",
            "-" if self.allowed is None else f"{self.allowed:.1f} s",
            f"{before:.1f} -> {after:.1f} MB",
        )


def memory(process: int | str = "self") -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def lines() -> list[str]:
    rows = [HEAD, *(figures.line() for figures in TABLE)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text.insert(1, "  ".join("-" * width for width in widths))
    injected, published, wrong = (sum(getattr(f, name) for f in TABLE) for name in ("injected", "published", "wrong"))
    text.append(f"{len(TABLE)} faults, injected {injected} times; {published} readings published, {wrong} wrong values")
    return text
