"""Who a meter is and where its registers stand: asked once, confirmed where it changed, remembered for an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from nesgw.errors import MeterMisbehaved, UnsupportedMeter
from nesgw.tables import configuration
from nesgw.tables.alarms import ET29_SENSORS, AlarmTable, decode_earth_fault
from nesgw.tables.dimensions import BT20, BT21, Dimensions, decode_dimensions, decode_order
from nesgw.tables.event_log import BT70, BT71
from nesgw.tables.firmware import EARTH_FAULT
from nesgw.tables.identity import (
    BT00,
    BT01,
    ET03,
    ET29,
    GeneralConfiguration,
    behind_transformers,
    decode_general_configuration,
    decode_identity,
)
from nesgw.tables.installation import (
    BT15,
    ET04_PHASES,
    ET04_VERSION,
    ET42_TIER_SIZE,
    AbsentPhases,
    Installation,
    decode_absent_phases,
    decode_energy_unit,
    decode_ratios,
    decode_tier_size,
)
from nesgw.tables.layout import Layout
from nesgw.tables.query import Query, ask
from nesgw.tables.register import Part
from nesgw.values import Firmware, MeterIdentity

# Tables that a meter may lack, keep from the key, or fail to give time and again, and that it is then read without.
OPTIONAL: Final = frozenset(
    {"ET03", "ET04", "ET29", "ET42", "ET54", "ET55", "ET79", "BT03", "BT15", "BT22", "BT27", "BT70", "BT71", "BT74"}
)
# What says who a meter is.
IDENTITY: Final = frozenset({BT01, ET03, ET29})
# Of these a meter that gave one once must give it again: without it the same bytes would make other values.
NEEDED_AGAIN: Final = frozenset({"BT15", "BT22", "BT27", "ET55"})


@dataclass(frozen=True, slots=True)
class Declared:
    """What a meter says of itself, from which all else follows."""

    general: GeneralConfiguration
    identity: MeterIdentity
    dimensions: Dimensions
    installation: Installation
    summation_order: tuple[int, ...] | None  # BT22, None where the meter has no such table
    present_order: tuple[int, ...] | None  # BT27


@dataclass(frozen=True, slots=True)
class Facts:
    """What a meter is asked once and then remembered."""

    declared: Declared = field(repr=False)
    layout: Layout
    alarms: AlarmTable | None  # None: the meter keeps BT03 from this key
    logs: bool  # whether there is an event log to look into

    @property
    def general(self) -> GeneralConfiguration:
        """How the meter writes its tables."""
        return self.declared.general

    @property
    def identity(self) -> MeterIdentity:
        """Who the meter is."""
        return self.declared.identity

    @property
    def dimensions(self) -> Dimensions:
        """How long its register tables are."""
        return self.declared.dimensions

    @property
    def installation(self) -> Installation:
        """How it is wired."""
        return self.declared.installation

    def published_like(self, other: Facts | None) -> bool:
        """Whether every value would be published the same by both."""
        if other is None:
            return False
        mine, others = self.layout, other.layout
        return (self.identity, self.dimensions, mine.reads, mine.cells, mine.differences) == (
            other.identity,
            other.dimensions,
            others.reads,
            others.cells,
            others.differences,
        )


def identify(
    before: Facts | None = None, on_identity: Callable[[MeterIdentity], object] = lambda _: None
) -> Query[Facts]:
    """Ask a meter who it is and where its registers stand.

    ``before`` is what it was before: a meter that declares the same as then needs no sound registers to be believed.
    ``on_identity`` is called as soon as the meter has said who it is, which may yet turn out to be wrong.
    """
    declared = yield from _declared(before.identity if before else None, on_identity)
    dimensions = declared.dimensions
    layout = Layout.build(
        dimensions,
        declared.identity.firmware,
        declared.general.byteorder,
        registers=(yield from ask(dimensions.registers)),
        values=(yield from ask(dimensions.values)),
        summation_order=declared.summation_order,
        present_order=declared.present_order,
        installation=declared.installation,
        confirmed=before.layout if before and before.declared == declared else None,
    )
    alarms = yield from _alarms(declared.general, declared.identity.firmware)
    logs = (yield BT71) is not None or (yield BT70) is not None
    return Facts(declared, layout, alarms, logs)


def ask_identity() -> Query[MeterIdentity]:
    """Ask a meter who it is, and nothing else."""
    return (yield from _identity((yield ET29), None))


def confirm(facts: Facts, known: MeterIdentity | None = None) -> Query[None]:
    """Ask again for all that the layout follows from, and raise MeterMisbehaved where the meter says something else.

    Sound packets may carry a corrupted byte, and one in a serial number or in a dimension would make another meter,
    or other registers, of this one.
    """
    again = yield from _declared(known, lambda _: None)
    if again != facts.declared:
        raise MeterMisbehaved(service="who it is and what it has", problem="it says two different things")


def still_the_same(facts: Facts) -> Query[bool]:
    """Ask whether it is the same meter with the same dimensions: the cheap look, in doubt."""
    identity = yield from _identity((yield ET29), facts.identity)
    return identity == facts.identity and (yield from _dimensions()) == facts.dimensions


def ask_version() -> Query[bytes | None]:
    """Ask for the number that a meter changes with its dimensions; None where it tells none."""
    return (yield ET04_VERSION)


def _declared(known: MeterIdentity | None, on_identity: Callable[[MeterIdentity], object]) -> Query[Declared]:
    general = decode_general_configuration((yield from ask(BT00)))
    hardware = yield ET29
    identity = yield from _identity(hardware, known)
    on_identity(identity)
    dimensions = yield from _dimensions()
    installation = yield from _installation(general, identity.firmware, hardware)
    return Declared(
        general=general,
        identity=identity,
        dimensions=dimensions,
        installation=installation,
        summation_order=(yield from _order(dimensions.summation_order)),
        present_order=(yield from _order(dimensions.present_order)),
    )


def _identity(hardware: bytes | None, known: MeterIdentity | None) -> Query[MeterIdentity]:
    identification = yield from ask(BT01)
    identity = decode_identity(identification, (yield ET03), hardware)
    if known and not identity.utility_serial and identity.manufacturer_serial == known.manufacturer_serial:
        return replace(identity, utility_serial=known.utility_serial)  # kept back today: no other meter for that
    return identity


def _dimensions() -> Query[Dimensions]:
    if (data := (yield BT21)) is not None:
        return decode_dimensions(data)
    return decode_dimensions((yield from ask(BT20)), BT20)


def _order(part: Part) -> Query[tuple[int, ...] | None]:
    """BT22 or BT27, which came with firmware 3.10."""
    data = yield part
    return None if data is None else decode_order(data, part)


def _alarms(general: GeneralConfiguration, firmware: Firmware) -> Query[AlarmTable | None]:
    sensors = (yield ET29_SENSORS) if firmware >= EARTH_FAULT else None
    earth_fault = sensors is not None and decode_earth_fault(sensors, general.byteorder)
    table = AlarmTable.of(firmware, general.alarm_bytes, earth_fault=earth_fault)
    return table if (yield table.part) is not None else None


def _installation(general: GeneralConfiguration, firmware: Firmware, hardware: bytes | None) -> Query[Installation]:
    """What the meter says of its wiring; each part may be missing or closed to this key."""
    phases = yield ET04_PHASES
    absent = AbsentPhases() if phases is None else decode_absent_phases(phases)
    tier_size = yield ET42_TIER_SIZE
    size = None if tier_size is None else decode_tier_size(tier_size, general.byteorder)
    constants = yield BT15
    if constants is None and behind_transformers(hardware):
        raise UnsupportedMeter(
            problem="it is behind current transformers and keeps their ratios (BT15) from this key, so that nobody "
            "knows the unit of its energy"
        )
    if constants is None:
        return Installation(absent=absent, tier_size=size)
    maxima = decode_dimensions((yield from ask(BT20)), BT20)
    part = configuration.energy_unit(firmware, maxima.tiers)
    unit = (yield part) if part else None
    return Installation(
        ratios=decode_ratios(constants, general.byteorder),
        energy_unit=1 if unit is None else decode_energy_unit(unit),
        absent=absent,
        tier_size=size,
    )
