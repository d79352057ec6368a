"""How long the register tables are and where their parts stand: BT21, or BT20 for want of it, and BT22 and BT27.

Everything about positions that is arithmetic is here; which of it is published is decided in ``layout.py``.
Sources: OPG and MEPG, BT20 to BT23, BT27, BT28.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nesgw.tables.register import Part, nonsense

BT20: Final = Part("BT20", 20, 0, 10)  # the maxima, on every firmware
BT21: Final = Part("BT21", 21, 0, 10)  # the actual configuration, from 2.12 on

# The largest numbers that the guides give. A table that says more is not one that we understand.
FEWEST: Final = 11  # summations of any meter
LARGEST: Final = {"demands": 8, "coincidents": 16, "tiers": 8, "present_demands": 8}
LONGEST: Final = 0xFFFF  # bytes of a table that one request can ask for


class Dimensions(NamedTuple):
    """The counts and options of BT21, and what follows from them for BT22, BT23, BT27 and BT28."""

    actual: bool  # False: from BT20, whose counts are maxima; only the totals of BT23 stand where they say
    demand_time: bool
    reset_counter: bool
    cumulative_demand: bool
    continuous_demand: bool
    time_remaining: bool
    self_reads: int
    summations: int
    demands: int
    coincidents: int
    occurrences: int
    tiers: int
    present_demands: int
    present_values: int

    # BT23: [resets] block of the totals, blocks of the tiers; a block: summations, demands, coincidents

    @property
    def totals(self) -> int:
        """Offset of the first summation."""
        return 1 if self.reset_counter else 0

    @property
    def demand_record(self) -> int:
        """Bytes of one demand: times, cumulative, continuous cumulative, values; what is absent takes no space."""
        times = 5 * self.occurrences if self.demand_time else 0
        return times + 4 * self.cumulative_demand + 4 * self.continuous_demand + 4 * self.occurrences

    @property
    def coincident_record(self) -> int:
        """Bytes of one coincident."""
        return 4 * self.occurrences

    @property
    def demand_offset(self) -> int:
        """Offset of the first demand within a block."""
        return 4 * self.summations

    @property
    def coincident_offset(self) -> int:
        """Offset of the first coincident within a block."""
        return self.demand_offset + self.demands * self.demand_record

    @property
    def block(self) -> int:
        """Bytes of the totals, and of each tier; ET42 calls it the tier size."""
        return self.coincident_offset + self.coincidents * self.coincident_record

    def tier(self, tier: int) -> int:
        """Offset of a tier's block; 0 is the first tier."""
        return self.totals + (1 + tier) * self.block

    @property
    def certain(self) -> int:
        """How many summations certainly stand where they should: BT20 tells 15 of meters that may keep 11.

        What follows the eleven may then be the first tier, and would pass for reactive energy.
        """
        return self.summations if self.actual else min(self.summations, FEWEST)

    @property
    def registers(self) -> Part:
        """The whole of BT23; the totals' summations alone where the rest is not known."""
        return Part("BT23", 23, 0, self.tier(self.tiers) if self.actual else self.totals + 4 * self.certain)

    # BT28: present demands, present values

    @property
    def present_base(self) -> int:
        """Offset of the first present value."""
        return self.present_demands * (7 if self.time_remaining else 4)

    @property
    def values(self) -> Part:
        """The whole of BT28."""
        return Part("BT28", 28, 0, self.present_base + 4 * self.present_values)

    # BT22 and BT27: which source stands where

    @property
    def summation_order(self) -> Part:
        """What to read of BT22 for ``decode_order``: the sources of the summations."""
        return Part("BT22", 22, 0, self.certain)

    @property
    def present_order(self) -> Part:
        """What to read of BT27 for ``decode_order``: the sources of the present values."""
        return Part("BT27", 27, self.present_demands, self.present_values)


def decode_dimensions(data: bytes, part: Part = BT21) -> Dimensions:
    """BT21, or BT20 where the meter has no BT21: one layout, but then the counts are maxima."""
    data = part.whole(data)
    flags = data[0]
    dimensions = Dimensions(
        actual=part == BT21,
        demand_time=bool(flags & 0x02),
        reset_counter=bool(flags & 0x04),
        cumulative_demand=bool(flags & 0x10),
        continuous_demand=bool(flags & 0x20),
        time_remaining=bool(flags & 0x40),
        self_reads=data[2],
        summations=data[3],
        demands=data[4],
        coincidents=data[5],
        occurrences=data[6],
        tiers=data[7],
        present_demands=data[8],
        present_values=data[9],
    )
    if problem := _impossible(dimensions):
        raise nonsense(part.name, f"{problem} (bytes {data.hex(' ')})")
    return dimensions


def _impossible(dimensions: Dimensions) -> str | None:
    for name, largest in LARGEST.items():
        if (count := getattr(dimensions, name)) > largest:
            return f"{count} {name.replace('_', ' ')}, more than any such meter has"
    if not dimensions.summations or not dimensions.present_values:
        return "a meter without registers"
    if dimensions.demands and not dimensions.occurrences:
        return "demands that never occur"
    if dimensions.coincidents and not dimensions.demands:
        return "coincidents of no demand"
    if dimensions.tier(dimensions.tiers) > LONGEST:
        return "a BT23 longer than a table can be"
    return None


def decode_order(data: bytes, part: Part) -> tuple[int, ...]:
    """BT22 or BT27: one source id for each position."""
    return tuple(part.whole(data))
