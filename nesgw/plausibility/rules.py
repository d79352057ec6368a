"""What is plausible: one function a rule, gathered in ``RULES`` at the end. Keeps no state and decides nothing.

A rule looks at one reading and at the last accepted registers and names what it doubts. How long a doubt holds a
reading back is part of the rule; what becomes of it afterwards is ``judge``'s business. Deliberately no rule: register
7 against 0 and 1 (sound meters are kWh apart), V x I x power factor (not one angle), the sum of the tiers (a meter may
have counted before it had tiers). T9 and the like are observations in real meters, listed in docs/sources.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from nesgw.tables.catalogue import FIELDS, POWER_FACTOR, SINE
from nesgw.values import Number

# --- How long a doubt may hold a reading back, in seconds ------------------------------------------------------------

HOLD_PRESENT: Final = 30.0  # a present value does no lasting harm; wild ones last one reading (T11)
HOLD_ROLL_OVER: Final = 30.0  # explained to the Wh, so almost no doubt is left
HOLD_GROWTH: Final = 60.0  # more than max_power, but a load could have done it: max_power is set too low
HOLD_JUMP: Final = 300.0  # no load does that; seen to fall back "shortly after", and ruins statistics then (T7, T10)
HOLD_BACK: Final = 300.0  # a meter's energy is never reset in the field; Home Assistant counts a fall as a new meter
NEVER: Final = math.inf

# A register that fell is null after its hold, and what it fell from is remembered: meters have shown zeros for minutes
# and come back. It is believed when the meter has kept to the smaller value for so long and has counted on from it.
RESET_PROOF: Final = 900.0
COUNTER_PROOF: Final = 86_400.0  # … and a count of outages, which may not move for years, after a day at the latest

# --- What is plausible -----------------------------------------------------------------------------------------------

# A gG fuse must carry 1.25 times its rating for hours (IEC 60269-1), so a house may draw more than the fuse says;
# the lowest of the wild values seen, 60 kW (T11), still stands out of 63 A x 3 x 230 V = 44 kW.
HEADROOM: Final = 1.25
# The times of two reads are known this badly: a read repeated after the channel time-out of the optical port (6 s);
# the meter's own refresh of 500 ms is within that.
TIME_SLACK: Final = 6.0
# Meters have repeated their registers for a while and caught up then: growth is allowed since a register last moved,
# but for no longer than this, or the wild value of an idle register would find room.
CATCH_UP: Final = 300.0
REGISTER_STEPS: Final = 2  # each of the two values may be one step of the register off
# A register that grows ten times as fast as it may is no overload but a jump; a decimal shift is a factor of ten.
JUMP_FACTOR: Final = 10.0
JUMP_FLOOR: Final = 100_000.0  # W; above any directly connected meter (3 x 100 A x 240 V), for a max_power far too low
SAME_SIZE: Final = 3.0  # two suspect powers support each other within this factor: loads do switch meanwhile

ROLL_OVER_DIGITS: Final = range(5, 10)  # registers wrap at 10^5 to 10^9 steps (ET42, accumulator rollover digit)
HIGHEST_REGISTER: Final = 10**9 - 1  # steps
TOTAL_TOLERANCE: Final = 0.1  # kWh; register 6 is within 3 Wh of 0 + 1 (T15, T16), wild values are kWh away
PHASE_TOLERANCE: Final = 20.0  # W; 0 to 1 W within one answer (T12), some 10 W between two seconds of a quiet house
# Behind transformers a step of 1 W is multiplied by their ratio: 2 W of rounding are 0.06 % of max_power at 5 A.
PHASE_TOLERANCE_OF_MAX_POWER: Final = 0.0025
# The parts of a reading may be a second apart and a load moves meanwhile. A switch in between exceeds this: then the
# reading is torn, and the read that follows at once decides.
PHASE_TOLERANCE_OF_LOAD: Final = 0.05
COUNTS_PER_SECOND: Final = 100.0  # a pulse of an S0 output lasts 30 ms at least, and so does its pause (EN 62053-31)
LEAST_VOLTAGE: Final = 20.0  # V; a meter that answers has this on one phase at least (BT28 checks of the decoder)
LEAST_CURRENT: Final = 0.1  # A; below it a power factor of nothing is no surprise
LOW_MAINS: Final = 195.0  # V; 230 V less 15 %: turns max_power into a current, all of it on one phase
UNIT_CEILING: Final = 2**31 * 100.0  # no INT32 says more, not even in steps of 100

# Outside of these a value is no measurement. A phase may be absent (0 V). Frequency: the decoder's own check of BT28.
# Power factor and sine: 1 plus the meter's rounding and 2 % of difference between its own values.
BOUNDS_BY_UNIT: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"Hz": (45.0, 65.0), "V": (0.0, 600.0), "°": (-360.0, 360.0)}
)
RATIO_BOUNDS: Final = (-1.05, 1.05)
REGISTER_BOUNDS: Final = (0.0, UNIT_CEILING)
OTHER_BOUNDS: Final = (-UNIT_CEILING, UNIT_CEILING)

# --- The fields, by what may be asked of them ------------------------------------------------------------------------

ENERGY_UNITS: Final = ("kWh", "kvarh", "kVAh")
ENERGIES: Final = tuple(
    key for key, field in FIELDS.items()
    if field.kind.unit in ENERGY_UNITS and field.kind.state_class == "total_increasing"
)  # fmt: skip
NET_ENERGIES: Final = tuple(key for key, field in FIELDS.items() if field.kind.state_class == "total")  # may fall
COUNTERS: Final = tuple(
    key for key, field in FIELDS.items()
    if field.kind.state_class == "total_increasing" and key not in ENERGIES
)  # fmt: skip
REGISTERS: Final = (*ENERGIES, *NET_ENERGIES, *COUNTERS)
PRESENT: Final = tuple(key for key in FIELDS if key not in REGISTERS)
POWERS: Final = tuple(key for key, field in FIELDS.items() if field.kind.unit in ("W", "var", "VA"))
CURRENTS: Final = tuple(key for key, field in FIELDS.items() if field.kind.unit == "A")
VOLTAGES: Final = ("voltage_l1", "voltage_l2", "voltage_l3")
PHASE_POWERS: Final = tuple((f"power_import_l{n}", f"power_export_l{n}") for n in (1, 2, 3))
SIGNED_POWERS: Final = ("power_l1", "power_l2", "power_l3")  # the differences of those


def _bounds_of(key: str) -> tuple[float, float]:
    kind = FIELDS[key].kind
    if key in ENERGIES or key in COUNTERS:
        return REGISTER_BOUNDS
    if kind in (POWER_FACTOR, SINE):
        return RATIO_BOUNDS
    return BOUNDS_BY_UNIT.get(kind.unit or "", OTHER_BOUNDS)


BOUNDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({key: _bounds_of(key) for key in FIELDS})

# --- Vocabulary ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last accepted value of a register."""

    value: Number
    at: float  # when it was accepted
    moved: float  # when it was first accepted: since then the register has stood still


@dataclass(frozen=True, slots=True)
class Context:
    """All that a rule may look at."""

    values: Mapping[str, Number | None]
    marks: Mapping[str, Baseline]
    at: float
    max_power: float  # W, as configured
    limit: float  # W, the same or more where the meter proved it too low
    step: float  # kWh, one step of the energy registers

    def since(self, mark: Baseline) -> float:
        """Return the seconds in which a register may have grown from its baseline."""
        return max(self.at - mark.at, 0.0) + min(mark.at - mark.moved, CATCH_UP)

    def room(self, watts: float, seconds: float) -> float:
        """Return the kWh by which a register may grow."""
        return watts * (max(seconds, 0.0) + TIME_SLACK) / 3_600_000 + REGISTER_STEPS * self.step


@dataclass(frozen=True, slots=True)
class Reason:
    """One doubt about one reading."""

    rule: str
    fields: tuple[str, ...]
    value: float  # the doubtful figure
    limit: float  # what it was measured against
    text: str  # one plain sentence without a full stop
    hold: float  # seconds for which the doubt holds a reading back, at most
    subject: str = ""  # the register, where a rule doubts each on its own
    proof: float = 0.0  # seconds for which the meter must keep to the value and count on from it to be believed
    proof_without_counting: float = math.inf  # … or keep to it

    @property
    def key(self) -> tuple[str, str]:
        """What makes two doubts the same one."""
        return self.rule, self.subject


class Resolution(Enum):
    """What becomes of a doubtful value that the meter keeps to."""

    NEW_BASELINE = "accepted; from now on the register counts from there"
    SAME_SIZE = "accepted, and not asked about again while it is of that size"
    ACCEPTED = "accepted, and not asked about again"
    WITHHELD = "no measurement: the reading is accepted with null in its place"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of ``RULES``."""

    name: str
    check: Callable[[Context], Iterator[Reason]]
    kept: Resolution
    hint: str = ""  # said when it is accepted after all


def _shown(key: str, value: float) -> str:
    kind = FIELDS[key].kind
    return f"{value:.{kind.precision}f} {kind.unit or ''}".rstrip()


# --- The rules -------------------------------------------------------------------------------------------------------


def zeros(context: Context) -> Iterator[Reason]:
    """Zero in every field at once is what a reader starts with, never a measurement (T3)."""
    values = context.values
    if any(values.values()) or all(values.get(key) is None for key in (*VOLTAGES, "frequency")):
        return
    yield Reason("zeros", tuple(values), 0.0, 0.0, "every value is zero at once, even the voltage", NEVER)


def no_voltage(context: Context) -> Iterator[Reason]:
    """Without voltage on any phase no present value was measured: a meter that answers has one.

    Where it measures the mains' frequency and a power all the same, the voltage's own register is odd.
    """
    volts = [volt for key in VOLTAGES if (volt := context.values.get(key)) is not None]
    if not volts or not all(volt < LEAST_VOLTAGE for volt in volts):
        return
    low, high = BOUNDS["frequency"]
    alive = low <= (context.values.get("frequency") or 0) <= high and any(map(context.values.get, POWERS))
    fields = tuple(key for key in (VOLTAGES if alive else PRESENT) if context.values.get(key) is not None)
    text = f"no phase has a voltage (the highest is {max(volts):.1f} V), yet the meter answers"
    yield Reason("no_voltage", fields, float(max(volts)), LEAST_VOLTAGE, text, HOLD_PRESENT)


def part_zeros(context: Context) -> Iterator[Reason]:
    """Zeros in one part of an answer: a phase that has voltage or current has more of its values than zeros.

    A long table is read in parts, and one of them may come back as nothing but zeros. Some meters never fill these
    values; that is accepted as a habit.
    """
    values = context.values
    for phase in ("l1", "l2", "l3"):
        empty: list[str] = []
        if (values.get(f"voltage_{phase}") or 0) >= LEAST_VOLTAGE:
            others = (f"voltage_continuous_{phase}", f"voltage_average_{phase}")
            empty += [key for key in others if values.get(key) == 0]
        angles = (f"power_factor_{phase}", f"sin_phi_{phase}")
        if (values.get(f"current_{phase}") or 0) >= LEAST_CURRENT and all(values.get(key) == 0 for key in angles):
            empty += angles
        if empty:
            text = f"{' and '.join(empty)} are zero, but phase {phase.upper()} is alive"
            yield Reason("part_zeros", tuple(empty), 0.0, 0.0, text, HOLD_PRESENT, phase)


def bounds(context: Context) -> Iterator[Reason]:
    """Outside of these a value is no measurement; NaN is outside of everything."""
    for key, value in context.values.items():
        low, high = BOUNDS[key]
        if key in ENERGIES:
            high = HIGHEST_REGISTER * context.step
        if value is None or low <= value <= high:
            continue
        text = f"{key} is {_shown(key, value)}, outside of {low:g} to {high:g}"
        yield Reason("bounds", (key,), float(value), low if value < low else high, text, HOLD_PRESENT, key)


def max_power(context: Context) -> Iterator[Reason]:
    """No power is above what the main fuse carries (T11: 60 kW to several MW, for one reading)."""
    limit = context.max_power * HEADROOM
    found = {key: abs(value) for key in POWERS if (value := context.values.get(key)) is not None and abs(value) > limit}
    if found:
        key = max(found, key=found.__getitem__)
        text = f"{key} is {_shown(key, found[key])}, above the {limit:.0f} W that max_power allows"
        yield Reason("max_power", tuple(found), float(found[key]), limit, text, HOLD_PRESENT)


def current(context: Context) -> Iterator[Reason]:
    """No current is above what max_power would draw from a single phase."""
    limit = context.limit * HEADROOM / LOW_MAINS
    # Some meters give a current the sign of its power.
    found = {
        key: abs(value) for key in CURRENTS if (value := context.values.get(key)) is not None and abs(value) > limit
    }
    if found:
        key = max(found, key=found.__getitem__)
        text = f"{key} is {_shown(key, found[key])}, above the {limit:.0f} A that max_power allows on one phase"
        yield Reason("current", tuple(found), float(found[key]), limit, text, HOLD_PRESENT)


def phases(context: Context) -> Iterator[Reason]:
    """Phases add up to the total, signed (T8, T12): one may feed in while the others draw."""
    values = context.values
    present = [pair for pair in PHASE_POWERS if pair[0] in values]
    keys = ("power_import", "power_export", *(key for pair in present for key in pair))
    figures = {key: value for key in keys if (value := values.get(key)) is not None}
    if not present or len(figures) < len(keys):
        return
    total = figures["power_import"] - figures["power_export"]
    signed = sum(figures[drawn] - figures[fed] for drawn, fed in present)
    load = sum(abs(figures[key]) for pair in present for key in pair)
    tolerance = PHASE_TOLERANCE + PHASE_TOLERANCE_OF_MAX_POWER * context.max_power + PHASE_TOLERANCE_OF_LOAD * load
    if abs(signed - total) > tolerance:
        text = f"the phases add up to {signed:.0f} W, but the total is {total:.0f} W"
        made = [key for key in ("power", *SIGNED_POWERS) if key in values]
        fields = (*keys, *made)
        yield Reason("phases", fields, float(signed - total), tolerance, text, HOLD_PRESENT)


def total(context: Context) -> Iterator[Reason]:
    """Register 6 counts what 0 and 1 count (T15, T16), less a roll-over that it reaches first."""
    values = context.values
    drawn, fed, both = values.get("energy_import"), values.get("energy_export"), values.get("energy_total")
    if drawn is None or fed is None or both is None:
        return
    apart = drawn + fed - both
    tolerance = TOTAL_TOLERANCE + 3 * context.step
    if any(abs(apart - wrap) <= tolerance for wrap in (0.0, *_wraps(context.step))) or math.isnan(apart):
        return
    text = f"energy_import and energy_export add up to {drawn + fed:.3f} kWh, but energy_total is {both:.3f} kWh"
    yield Reason("total", ("energy_import", "energy_export", "energy_total"), apart, tolerance, text, HOLD_PRESENT)


def energy_back(context: Context) -> Iterator[Reason]:
    """Energy never goes back, but for a register that rolls over."""
    for key in ENERGIES:
        value, mark = context.values.get(key), context.marks.get(key)
        if value is None or mark is None or value >= mark.value:
            continue
        before = float(mark.value)
        room = context.room(context.limit * HEADROOM, context.at - mark.at)
        wraps = (wrap for wrap in _wraps(context.step) if wrap > before and value >= 0)
        wrap = next((wrap for wrap in wraps if value + wrap - before <= room), None)
        was = f"from {_shown(key, before)} to {_shown(key, value)}"
        if wrap is None:
            text = f"{key} went back {was}"
            yield Reason("energy_back", (key,), float(value), before, text, HOLD_BACK, key, RESET_PROOF)
        else:
            text = f"{key} rolled over at {wrap:.0f}, {was}"
            yield Reason("energy_back", (key,), float(value), before, text, HOLD_ROLL_OVER, key)


def energy_growth(context: Context) -> Iterator[Reason]:
    """Energy grows no faster than max_power over the time since it last moved (T7, T10; T9 is no fault)."""
    for key in (*ENERGIES, *NET_ENERGIES):
        value, mark = context.values.get(key), context.marks.get(key)
        if value is None or mark is None:
            continue
        grown = value - mark.value
        seconds = context.since(mark)
        room = context.room(context.limit * HEADROOM, seconds)
        if not (abs(grown) if key in NET_ENERGIES else grown) > room:
            continue
        jump = abs(grown) > context.room(_jump_power(context), seconds)
        text = f"{key} moved by {_shown(key, grown)} in {max(seconds, 0):.0f} s, {room:.3f} at most were expected"
        yield Reason(
            "energy_growth", (key,), float(value), float(mark.value) + room, text,
            HOLD_JUMP if jump else HOLD_GROWTH, key,
        )  # fmt: skip


def counter_back(context: Context) -> Iterator[Reason]:
    """No count of outages, pulses or errors goes back either, but a fall of theirs does little harm."""
    for key in COUNTERS:
        value, mark = context.values.get(key), context.marks.get(key)
        if value is not None and mark is not None and value < mark.value:
            text = f"{key} went back from {_shown(key, mark.value)} to {_shown(key, value)}"
            yield Reason(
                "counter_back", (key,), float(value), float(mark.value), text,
                HOLD_PRESENT, key, RESET_PROOF, COUNTER_PROOF,
            )  # fmt: skip


def counter_growth(context: Context) -> Iterator[Reason]:
    """Nothing that is counted comes faster than pulses do, and a second of outage takes a second."""
    for key in COUNTERS:
        value, mark = context.values.get(key), context.marks.get(key)
        if value is None or mark is None:
            continue
        seconds = max(context.at - mark.at, 0.0)
        room = COUNTS_PER_SECOND * (seconds + TIME_SLACK)
        if value - mark.value > room:
            text = f"{key} moved by {_shown(key, value - mark.value)} in {seconds:.0f} s"
            yield Reason("counter_growth", (key,), float(value), float(mark.value) + room, text, HOLD_PRESENT, key)


RULES: Final = (
    Rule("zeros", zeros, Resolution.WITHHELD),
    Rule("no_voltage", no_voltage, Resolution.WITHHELD),
    Rule("part_zeros", part_zeros, Resolution.ACCEPTED, "this meter does not fill them"),
    Rule("bounds", bounds, Resolution.WITHHELD),
    Rule("max_power", max_power, Resolution.SAME_SIZE, "max_power is probably set too low"),
    Rule("current", current, Resolution.SAME_SIZE, "max_power is probably set too low"),
    Rule("energy_back", energy_back, Resolution.NEW_BASELINE, "it counts from there now"),
    Rule(
        "energy_growth",
        energy_growth,
        Resolution.NEW_BASELINE,
        "max_power may be set too low; compare with the display",
    ),
    Rule("counter_back", counter_back, Resolution.NEW_BASELINE, "it counts from there now"),
    Rule("counter_growth", counter_growth, Resolution.NEW_BASELINE, "it counts from there now"),
    # Comparisons come last: they are pointless where one of their fields is withheld.
    Rule("phases", phases, Resolution.ACCEPTED, "this meter's phases do not add up to its total"),
    Rule("total", total, Resolution.ACCEPTED, "this meter's energy_total is a count of its own"),
)
RULE: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in RULES})


def agree(before: Reason, now: Reason, seconds: float, context: Context) -> bool:
    """Whether two doubtful readings in a row tell the same story: the meter keeps to it."""
    match RULE[now.rule].kept:
        case Resolution.ACCEPTED:
            return True
        case Resolution.SAME_SIZE:
            return before.value <= now.value * SAME_SIZE and now.value <= before.value * SAME_SIZE
        case Resolution.NEW_BASELINE:
            # Growth from one doubtful value to the next is only asked to be no jump: where max_power is set too low,
            # the story is true and still faster than max_power.
            grown = now.value - before.value
            room = context.room(_jump_power(context), seconds)
            if now.subject in COUNTERS:
                return grown >= 0
            return -room <= grown <= room if now.subject in NET_ENERGIES else 0 <= grown <= room
        case Resolution.WITHHELD:
            return False


def _jump_power(context: Context) -> float:
    return max(context.limit * HEADROOM * JUMP_FACTOR, JUMP_FLOOR)


def _wraps(step: float) -> tuple[float, ...]:
    return tuple(step * 10.0**digits for digits in ROLL_OVER_DIGITS)
