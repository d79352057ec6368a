"""Registers as they stood at some moment: BT24 previous season, BT25 previous demand reset, BT26 self-reads.

Each snapshot is an image of BT23 behind a date in local time. What of it is a field, and where, the layout knows.
Sources: OPG and MEPG, BT24, BT25, BT26.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from nesgw.tables.dimensions import Dimensions
from nesgw.tables.layout import Layout
from nesgw.tables.queues import NewEntries, Queue
from nesgw.tables.register import Part, nonsense
from nesgw.tables.times import decode_local
from nesgw.values import Number

HEAD: Final = 6  # bytes: STIME_DATE and the season
LARGEST_ENERGY: Final = 10**6  # thousands of a register's unit: they have nine digits at the most
ENERGIES: Final = ("energy_import", "energy_export", "energy_total")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fields of BT23 at a moment."""

    time: datetime  # UTC, or local without a zone where that is not known
    season: int
    values: Mapping[str, Number]
    sequence: int | None = None  # of a self-read


def previous_season(dimensions: Dimensions) -> Part:
    """The whole of BT24."""
    return Part("BT24", 24, 0, HEAD + dimensions.registers.size)


def previous_demand_reset(dimensions: Dimensions) -> Part:
    """The whole of BT25."""
    return Part("BT25", 25, 0, HEAD + dimensions.registers.size)


def self_read_queue(dimensions: Dimensions) -> Queue | None:
    """BT26, to be read with ``queues.look``; None if it cannot be known how long its entries are, or if it has none."""
    if not dimensions.actual or not dimensions.self_reads:
        return None
    return Queue("BT26", 26, dimensions.self_reads, _identifier(dimensions) + HEAD + dimensions.registers.size)


def decode_snapshot(
    part: Part, data: bytes, dimensions: Dimensions, layout: Layout, zone: tzinfo | None = None
) -> Snapshot | None:
    """BT24 or BT25; None if that never happened.

    Whether BT24 repeats the demand reset count before the registers is not clear from the guides: where BT23 has one,
    the registers are looked for behind it and in its place.
    """
    data = part.whole(data)
    time = decode_local(data[:5], zone)
    if time is None:
        return None
    images = [data[HEAD:]]
    if part.table == 24 and dimensions.reset_counter:
        images.append(b"\0" + data[HEAD:-1])
    possible = [values for image in images if _possible(values := _registers(layout, image), layout)]
    if not possible:
        raise nonsense(part.name, "no registers where the dimensions put them")
    return Snapshot(time, data[5], min(possible, key=_disagreement))


def decode_self_reads(
    found: NewEntries, dimensions: Dimensions, layout: Layout, zone: tzinfo | None = None
) -> tuple[Snapshot, ...]:
    """BT26: oldest first. An entry without a date or with impossible energies is refused, and with it the layout."""
    start = _identifier(dimensions)
    snapshots = []
    for sequence, entry in found.entries:
        time = decode_local(entry[start : start + 5], zone)
        values = _registers(layout, entry[start + HEAD :])
        if time is None or not _possible(values, layout):
            raise nonsense("BT26", f"entry {sequence} is not where the dimensions put it")
        snapshots.append(Snapshot(time, entry[start + 5], values, sequence))
    return tuple(snapshots)


def _identifier(dimensions: Dimensions) -> int:
    """Bytes of the number that comes before a self-read, on meters with demands only."""
    return 2 if dimensions.demands else 0


def _registers(layout: Layout, image: bytes) -> dict[str, Number]:
    """Cut an image of BT23 into the parts that the layout reads of it."""
    parts = (part for part in layout.reads if part.table == 23)
    decoded = layout.decode({part.name: image[part.offset : part.offset + part.size] for part in parts})
    return {key: value for key, value in decoded.items() if value is not None}


def _possible(values: Mapping[str, Number], layout: Layout) -> bool:
    unit = next((cell.factor for cell in layout.cells if cell.key == "energy_import"), 1)
    energies = (values.get(key, 0) / unit for key in ENERGIES)
    return all(0 <= energy < LARGEST_ENERGY for energy in energies)


def _disagreement(values: Mapping[str, Number]) -> Number:
    """How far import and export are from their sum. Not a reason to refuse: a meter may have them set apart."""
    imported, exported, total = (values.get(key, 0) for key in ENERGIES)
    return abs(imported + exported - total)
