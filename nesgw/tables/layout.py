"""What this very meter publishes, what to read for it at each poll, and what the bytes mean.

A layout exists only after a first BT23 and BT28 have confirmed it: registers that do not stand where the dimensions
say are refused here, once, and not published as numbers. Invents nothing: a value is what the meter sent, or None.
Sources: OPG and MEPG, BT21 to BT28, and the captures of real meters in ``tests/vectors``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

from nesgw.tables.catalogue import COMPUTED, FIELDS, PRESENT_VALUES, SUMMATIONS, TIER_FIELDS
from nesgw.tables.dimensions import Dimensions
from nesgw.tables.firmware import counts_outages_in_minutes, knows
from nesgw.tables.identity import ByteOrder
from nesgw.tables.installation import AbsentPhases, Installation, Ratios
from nesgw.tables.register import Difference, Field, Part, Primary, Register, nonsense
from nesgw.values import Firmware, Number, Reading

# The ids that the guides' list of sources leaves undefined. A position with one of these, or with a zero that cannot
# be meant, keeps its place in the fixed order: the apparent energies have no id in the list, yet they are there.
UNNAMED: Final = frozenset({85, 86, 87, 200, *range(245, 256)})
UNSTATED: Final = 255

_INT32: Final[dict[ByteOrder, Struct]] = {"little": Struct("<i"), "big": Struct(">i")}

PLAUSIBLE_FREQUENCY: Final = range(45_000, 65_001)  # mHz
PLAUSIBLE_VOLTAGE: Final = range(20_000, 600_001)  # mV, of at least one phase
PLAUSIBLE_ENERGY: Final = range(10**9)  # the registers wrap after nine digits at the latest
ODD_REGISTERS: Final = 1  # that contradict a layout which the others confirm
AGREEMENT: Final = 100  # Wh: import + export against their sum, which steps at other moments
PROGRESS: Final = 10_000  # Wh: what a large customer may use between the totals and the last tier of one read

IMPORT, EXPORT, SUM = 0, 1, 6  # summations
FREQUENCY, VOLTAGES = 11, {7: 1, 8: 2, 9: 3}  # present values; the voltages with their phase
QUADRANTS = range(22, 26)  # present values that the guides deny to a 3.x meter without demands


class Cell(NamedTuple):
    """One field's four bytes in the answer to one read, and how they become the value."""

    key: str
    read: str
    offset: int
    factor: int
    divisor: int


@dataclass(frozen=True, slots=True)
class Layout:
    """One meter's registers. ``reads`` is what each poll asks for; their names are the keys of ``decode``'s blocks."""

    reads: tuple[Part, ...]
    fields: tuple[str, ...]  # what the meter has, in the order of publication
    remarks: tuple[str, ...]  # what is not as usual, for the log
    byteorder: ByteOrder
    energy_unit: int  # Wh, varh in one step of the registers
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    tiers: tuple[int, ...] = ()  # that are in use

    @classmethod
    def build(
        cls,
        dimensions: Dimensions,
        firmware: Firmware,
        byteorder: ByteOrder,
        *,
        registers: bytes,
        values: bytes,
        summation_order: Sequence[int] | None = None,
        present_order: Sequence[int] | None = None,
        installation: Installation | None = None,
        confirmed: Layout | None = None,
    ) -> Layout:
        """Lay out a meter from its tables and a first sample of each: ``dimensions.registers``, ``dimensions.values``.

        The orders come from BT22 and BT27 where the meter has them. ``confirmed`` is the layout that an earlier sample
        has confirmed, of the same meter with the same declarations: this one may show nothing but zeros.
        """
        registers, values = dimensions.registers.whole(registers), dimensions.values.whole(values)
        installation = installation or Installation()
        unit = installation.energy_unit if installation.ratios else 1
        summations = _positions(SUMMATIONS, dimensions.certain, summation_order, firmware)
        present = _positions(PRESENT_VALUES, dimensions.present_values, present_order, firmware)
        remarks: list[str] = []

        if confirmed:
            base = confirmed.parts_of(28)[0].size - 4 * dimensions.present_values
        else:
            _confirm_totals(dimensions, summations, registers, byteorder)
            base = _confirmed_base(dimensions, present, values, byteorder, installation)
        if base != dimensions.present_base:
            remarks.append(f"BT28 begins with the present values, not with {dimensions.present_demands} demands")
        if _quadrants_may_be_missing(dimensions, present, present_order, firmware):
            remarks.append("BT28 may lack the quadrants and there is no BT27: what follows them is left out")
            present = {number: position for number, position in present.items() if position < QUADRANTS[0]}
        tiers = tiers_in_use(dimensions, registers)
        if confirmed and confirmed.tiers:
            tiers = tuple(sorted({*confirmed.tiers, *tiers}))
        elif problem := _tiers_contradict(dimensions, summations, registers, byteorder, tiers, installation.tier_size):
            remarks.append(f"tariffs are left out: {problem}")
            tiers = ()
        if not dimensions.actual:
            remarks.append("no BT21, only BT20: tariffs and what comes after the first eleven totals are left out")
        if (ratios := installation.ratios) and (ratios.current, ratios.voltage) != (1, 1):
            odd = "" if ratios.possible else ", which there are not: set max_power"
            remarks.append(f"behind transformers of {ratios.current}:1 (current) and {ratios.voltage}:1 (voltage){odd}")
        if unit != 1:
            remarks.append(f"the energy registers count in {unit} Wh")

        totals = Part("BT23", 23, 0, dimensions.totals + 4 * dimensions.certain)
        tier_reads = _tier_reads(dimensions, summations, tiers)
        present_values = Part("BT28", 28, 0, base + 4 * dimensions.present_values)
        cells = [
            *_total_cells(totals, dimensions, summations, unit, firmware),
            *_tier_cells(tier_reads, dimensions, summations, unit),
            *_present_cells(present_values, base, present, installation),
        ]
        has = {cell.key for cell in cells}
        differences = tuple(made for made in COMPUTED if {made.minuend, made.subtrahend} <= has)
        has |= {made.field.key for made in differences}
        return cls(
            reads=(totals, *tier_reads.values(), present_values),
            fields=tuple(key for key in FIELDS if key in has),
            remarks=tuple(remarks),
            byteorder=byteorder,
            energy_unit=unit,
            cells=tuple(cells),
            differences=differences,
            tiers=tiers,
        )

    def parts_of(self, table: int) -> tuple[Part, ...]:
        """Return what each poll asks for of one table."""
        return tuple(part for part in self.reads if part.table == table)

    def reading(self, blocks: Mapping[str, bytes], time: datetime) -> Reading:
        """One poll's values, not judged yet, and the tables' bytes from offset 0; ``time``: when all had arrived."""
        tables = {part.name: blocks[part.name] for part in self.reads if part.offset == 0 and part.name in blocks}
        return Reading(time, self.decode(blocks), tables)

    def decode(self, blocks: Mapping[str, bytes]) -> dict[str, Number | None]:
        """One poll: every field of the meter, None where its bytes are not among ``blocks``."""
        raw: dict[str, int | None] = {}
        values: dict[str, Number | None] = dict.fromkeys(self.fields)
        int32 = _INT32[self.byteorder].unpack_from
        for key, read, offset, factor, divisor in self.cells:
            block = blocks.get(read, b"")
            number = raw[key] = int32(block, offset)[0] if len(block) >= offset + 4 else None
            values[key] = _scaled(number, factor, divisor)
        for made in self.differences:
            minuend, subtrahend = raw[made.minuend], raw[made.subtrahend]
            if minuend is not None and subtrahend is not None:
                values[made.field.key] = _scaled(minuend - subtrahend, 1, made.field.kind.divisor)
        return values


def tiers_in_use(dimensions: Dimensions, registers: bytes) -> tuple[int, ...]:
    """Which tiers of a whole BT23 hold anything; none if only the first does, as in a meter without tariffs."""
    if not dimensions.actual:
        return ()
    starts = {tier: dimensions.tier(tier) for tier in range(dimensions.tiers)}
    holding = tuple(tier for tier, at in starts.items() if any(registers[at : at + 4 * dimensions.summations]))
    return holding if any(holding) else ()


def _int32(data: bytes, offset: int, byteorder: ByteOrder) -> int | None:
    return _INT32[byteorder].unpack_from(data, offset)[0] if len(data) >= offset + 4 else None


def _scaled(number: int | None, factor: int, divisor: int) -> Number | None:
    if number is None or divisor == 1:
        return number if number is None else number * factor
    return number * factor / divisor  # exact integers: the quotient prints as the shortest decimal


def _within(span: range, number: int | None) -> bool:
    return number is not None and number in span


# Which value stands where


def _places(rows: Sequence[Register]) -> list[Register | Primary]:
    return [*rows, *(row.primary for row in rows if row.primary)]


def _positions(rows: Sequence[Register], count: int, order: Sequence[int] | None, firmware: Firmware) -> dict[int, int]:
    """Position of each number of the fixed order that this meter has.

    What the meter names itself is believed on any firmware. What only its position tells must be something that the
    firmware knows: reading past a table's end gives zeros, not an error.
    """
    places = _places(rows)
    order = (order if order is not None else [UNSTATED] * count)[:count]
    number_of = {place.source: place.number for place in places if place.source is not None}
    positions: dict[int, int] = {}
    for position, source in enumerate(order):
        if source in number_of:
            positions.setdefault(number_of[source], position)
    named = set(positions.values())
    known = {place.number for place in places if knows(firmware, place.since)}
    for position, source in enumerate(order):
        if position not in named and (source in UNNAMED or source == 0) and position in known:
            positions.setdefault(position, position)
    return positions


def _quadrants_may_be_missing(
    dimensions: Dimensions, present: Mapping[int, int], order: Sequence[int] | None, firmware: Firmware
) -> bool:
    """Whether a 3.x meter without demands has left out exactly the four quadrants, with no BT27 to say so.

    The guides tell of such meters, what follows standing four places earlier. Those in ``tests/vectors`` have them all.
    """
    known = sum(knows(firmware, place.since) for place in _places(PRESENT_VALUES))
    short = dimensions.present_values == known - len(QUADRANTS)
    return order is None and firmware.major == 3 and not dimensions.demands and short and QUADRANTS[0] in present


# Whether it really stands there


def _confirm_totals(
    dimensions: Dimensions, summations: Mapping[int, int], registers: bytes, byteorder: ByteOrder
) -> None:
    """Refuse totals that stand a byte beside their place: a demand reset count may be there although BT21 denies it.

    One odd register is not enough for that: it costs its own value, and the rules of plausibility withhold it. Where
    there is no sum to tell the two apart, it is. Where import and export add up to their sum, nothing else counts.
    """

    def at(number: int, start: int) -> int | None:
        position = summations.get(number)
        return None if position is None else _int32(registers, start + 4 * position, byteorder)

    def agree(start: int) -> bool:
        parts = [at(number, start) for number in (IMPORT, EXPORT, SUM)]
        if not all(_within(PLAUSIBLE_ENERGY, part) for part in parts):
            return False
        imported, exported, both = (part or 0 for part in parts)
        return abs(imported + exported - both) <= AGREEMENT

    def energies(start: int) -> list[int]:
        return [value for number in range(4) if (value := at(number, start)) is not None]

    def odd(start: int) -> int:
        return sum(not _within(PLAUSIBLE_ENERGY, energy) for energy in energies(start))

    here, beside = dimensions.totals, 1 - dimensions.totals
    if SUM in summations and agree(here):
        return
    shifted = agree(beside) if SUM in summations else odd(here) > odd(beside)
    if shifted or odd(here) > ODD_REGISTERS:
        raise nonsense("BT23", f"energies {energies(here)} at offset {here}, where the dimensions put them")


def _confirmed_base(
    dimensions: Dimensions,
    present: Mapping[int, int],
    values: bytes,
    byteorder: ByteOrder,
    installation: Installation,
) -> int:
    """Offset of the first present value, vouched for by the frequency and the voltages.

    Some meters may leave out the present demands that their dimensions announce, so 0 is tried as well. A zero says
    nothing: its phase may be dead. One odd value is outvoted; a sound frequency and voltage outvote them all.
    """
    for base in dict.fromkeys((dimensions.present_base, 0) if FREQUENCY in present else ()):
        spans = {FREQUENCY: PLAUSIBLE_FREQUENCY, **dict.fromkeys(VOLTAGES, PLAUSIBLE_VOLTAGE)}
        sound = {
            number: value in span
            for number, span in spans.items()
            if number in present and VOLTAGES.get(number) not in installation.absent.voltage
            if (value := _int32(values, base + 4 * present[number], byteorder))
        }
        outvoted = any(sound.values()) and list(sound.values()).count(False) <= ODD_REGISTERS
        if outvoted or (sound.get(FREQUENCY) and any(sound.get(voltage) for voltage in VOLTAGES)):
            return base
    raise nonsense(
        "BT28",
        f"no mains frequency and voltage where the dimensions put them (offset {dimensions.present_base})",
    )


def _tiers_contradict(
    dimensions: Dimensions,
    summations: Mapping[int, int],
    registers: bytes,
    byteorder: ByteOrder,
    tiers: Sequence[int],
    tier_size: int | None,
) -> str | None:
    """Why the tiers cannot be where the dimensions put them, if so."""
    if not tiers:
        return None
    if tier_size not in (None, dimensions.block):
        return f"BT21 makes a block {dimensions.block} bytes long, ET42 {tier_size}"
    contradictions: list[str] = []
    agree = False
    for number in (number for number in range(4) if number in summations):
        at = 4 * summations[number]
        total = _int32(registers, dimensions.totals + at, byteorder) or 0
        parts = [_int32(registers, dimensions.tier(tier) + at, byteorder) or 0 for tier in tiers]
        # Less than the total is sound: the meter may have counted before tariffs were set up.
        if min(parts) < 0 or sum(parts) > total + PROGRESS:
            contradictions.append(f"{parts} do not add up to {total}")
        else:
            agree |= sum(parts) > PROGRESS
    if contradictions and (len(contradictions) > ODD_REGISTERS or not agree):
        return contradictions[0]
    if not all(map(_is_date_or_unset, _demand_times(dimensions, registers))):
        return "a demand's time is no date"
    return None


def _demand_times(dimensions: Dimensions, registers: bytes) -> list[bytes]:
    if not dimensions.demand_time:
        return []
    blocks = range(dimensions.totals, dimensions.tier(dimensions.tiers), dimensions.block)
    records = chain.from_iterable(
        range(block + dimensions.demand_offset, block + dimensions.coincident_offset, dimensions.demand_record)
        for block in blocks
        if dimensions.demands
    )
    span = 5 * dimensions.occurrences
    return [registers[at : at + 5] for record in records for at in range(record, record + span, 5)]


def _is_date_or_unset(time: bytes) -> bool:
    year, month, day, hour, minute = time
    try:
        datetime(2000 + year, month, day, hour, minute)
    except ValueError:
        return not any(time)
    return True


# What is published of it


def _tier_reads(dimensions: Dimensions, summations: Mapping[int, int], tiers: Sequence[int]) -> dict[int, Part]:
    """One small read for each tier: its import and export."""
    at = sorted(4 * summations[number] for number in (IMPORT, EXPORT) if number in summations)
    if not at:
        return {}
    size = at[-1] + 4 - at[0]
    return {tier: Part(f"BT23 T{tier}", 23, dimensions.tier(tier) + at[0], size) for tier in tiers}


def _total_cells(
    part: Part, dimensions: Dimensions, summations: Mapping[int, int], unit: int, firmware: Firmware
) -> Iterator[Cell]:
    for row in SUMMATIONS:
        if row.number in summations and (factor := register_factor(row, unit, firmware)):
            yield _cell(row.field, part, dimensions.totals + 4 * summations[row.number], factor)


def _tier_cells(
    parts: Mapping[int, Part], dimensions: Dimensions, summations: Mapping[int, int], unit: int
) -> Iterator[Cell]:
    for row in TIER_FIELDS:
        if row.tier in parts and row.summation in summations:
            at = dimensions.tier(row.tier) + 4 * summations[row.summation]
            yield _cell(row.field, parts[row.tier], at, unit)


def _present_cells(part: Part, base: int, present: Mapping[int, int], installation: Installation) -> Iterator[Cell]:
    for row in PRESENT_VALUES:
        number = published_number(row, installation.ratios)
        if number is not None and number in present and not _missing_phases(row.field, installation.absent):
            yield _cell(row.field, part, base + 4 * present[number])


def _cell(field: Field, part: Part, at: int, factor: int = 1) -> Cell:
    return Cell(field.key, part.name, at - part.offset, factor, field.kind.divisor)


def register_factor(row: Register, unit: int, firmware: Firmware) -> int:
    """Return what a summation's integer is multiplied by; 0 if its meaning is not known."""
    match row.field.kind.unit:
        case "kWh" | "kvarh":
            return unit
        case "kVAh":
            return 1 if unit == 1 else 0  # whether the unit applies to these, the guides do not say
        case "s":
            return 60 if counts_outages_in_minutes(firmware) else 1
        case _:
            return 1


def published_number(row: Register, ratios: Ratios | None) -> int | None:
    """Which number of BT28 to publish.

    Behind transformers it is the primary-side one, so that power matches energy, or none at all.
    """
    if ratios is None:
        return row.number
    match row.field.kind.unit:
        case "A":
            ratio = ratios.current
        case "V":
            ratio = ratios.voltage
        case "W" | "var" | "VA":
            ratio = ratios.current * ratios.voltage
        case _:
            ratio = 1
    if ratio == 1:
        return row.number
    return row.primary.number if row.primary else None


def _missing_phases(field: Field, absent: AbsentPhases) -> bool:
    match field.kind.unit:
        case "V" | "°":
            missing = absent.voltage
        case "A":
            missing = absent.current
        case _:
            missing = absent.voltage | absent.current
    return not missing.isdisjoint(field.phases)
