"""A household's power, the same for the same seed: base load, fridge, kettle, cooker, motors, a solar roof.

Power stands still for five seconds at a time, so that the energy of any span is exact and cheap: an hour is one of
four patterns of its hour of the day, kept with its running sums. A year's jump is a walk over hours, never over
seconds. Whole watts and milliseconds only: nothing is lost to floating point.
"""

from __future__ import annotations

import datetime
import functools
import math
import random
from array import array
from typing import Final, NamedTuple

HOUR: Final = 3_600_000  # all times here are UTC in milliseconds
SLOT: Final = 5_000
SLOTS: Final = HOUR // SLOT
VARIANTS: Final = 4
HOUSES: Final = 24  # of which the patterns are kept: 9 MB each
POWERS: Final = 12  # the numbers of a slot

# The order of an energy vector, in watt (var, VA) milliseconds.
FORWARD, REVERSE, Q1, Q2, Q3, Q4, VA1, VA2, VA3, VA4 = range(10)
Energy = tuple[int, ...]
NOTHING: Final[Energy] = (0,) * 10


class Slot(NamedTuple):
    """What flows during five seconds: signed watts, signed vars (import positive) and volt-amperes."""

    watts: tuple[int, int, int]
    vars: tuple[int, int, int]
    vas: tuple[int, int, int]
    total_watts: int
    total_vars: int
    total_vas: int

    @property
    def quadrant(self) -> int:
        """0 to 3 for Q1 to Q4, from the direction of active and of reactive power."""
        if self.total_watts >= 0:
            return 0 if self.total_vars >= 0 else 3
        return 1 if self.total_vars >= 0 else 2

    @property
    def rates(self) -> Energy:
        """What each element of an energy vector grows by in a millisecond."""
        vector = [0] * 10
        vector[FORWARD] = max(self.total_watts, 0)
        vector[REVERSE] = max(-self.total_watts, 0)
        vector[Q1 + self.quadrant] = abs(self.total_vars)
        vector[VA1 + self.quadrant] = self.total_vas
        return tuple(vector)


class Hour(NamedTuple):
    """A pattern: 720 slots, and the energy from the hour's start up to the start of each (and its end), as arrays.

    Objects in their place would take six times the memory, and a month of many houses is kept.
    """

    powers: array[int]  # the numbers of one slot after the other
    sums: array[int]  # the energy vectors

    def slot(self, number: int) -> Slot:
        """What flows in a slot."""
        first = number * POWERS
        w1, w2, w3, q1, q2, q3, s1, s2, s3, watts, reactive, apparent = self.powers[first : first + POWERS]
        return Slot((w1, w2, w3), (q1, q2, q3), (s1, s2, s3), watts, reactive, apparent)

    def energy(self, number: int) -> Energy:
        """What flowed before a slot; before the 720th: in the whole hour."""
        return tuple(self.sums[number * len(NOTHING) : (number + 1) * len(NOTHING)])


def add(left: Energy, right: Energy) -> Energy:
    """Sum of two energy vectors."""
    return tuple(map(int.__add__, left, right))


def subtract(left: Energy, right: Energy) -> Energy:
    """Difference of two energy vectors."""
    return tuple(map(int.__sub__, left, right))


def mix(*numbers: int) -> int:
    """32 well mixed bits out of a few numbers: noise that needs no state."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ number) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 29
        state = state * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 32
    return state & 0xFFFFFFFF


@functools.lru_cache(maxsize=64)
def _summer(year: int) -> tuple[int, int]:
    """Begin and end of that year's summer time: 1 h UTC on the last Sundays of March and October."""
    changes = []
    for month in (3, 10):
        last = datetime.datetime(year, month, 31, 1, tzinfo=datetime.UTC)
        sunday = last - datetime.timedelta(days=last.isoweekday() % 7)
        changes.append(int(sunday.timestamp()) * 1000)
    return changes[0], changes[1]


def utc_offset(at: int) -> int:
    """Central European time against UTC, in minutes."""
    begin, end = _summer(datetime.datetime.fromtimestamp(at // 1000, datetime.UTC).year)
    return 120 if begin <= at < end else 60


def local_hour(at: int) -> int:
    """The hour of the day by the household's clock."""
    return (at + utc_offset(at) * 60_000) // HOUR % 24


class Kind(NamedTuple):
    """What sort of household: the same kind has the same patterns."""

    seed: int
    phases: int
    solar: int  # peak watts of the roof
    scale: int  # all loads times so much


@functools.lru_cache(maxsize=HOUSES * 24 * VARIANTS)
def build(kind: Kind, hour: int, variant: int) -> Hour:
    """One of the patterns of an hour of the day."""
    chance = random.Random(f"{kind.seed}/{hour}/{variant}")
    evening, day = 17 <= hour <= 22, 6 <= hour <= 22
    kettle = chance.randrange(SLOTS - 40) if hour in (6, 7, 9, 15, 19) or chance.random() < 0.1 else None
    cooker = hour in (12, 18) and variant != 3
    motor = chance.randrange(SLOTS // 2) if day and variant == 1 else None  # a washing machine's drum
    cloud = 0.2 + 0.25 * variant
    powers = array("i")
    running = list(NOTHING)
    sums = array("q", NOTHING)
    for number in range(SLOTS):
        jitter = chance.getrandbits(18)
        watts = [45 + (jitter & 7), 60 + (jitter >> 3 & 7), 32 + (jitter >> 6 & 7)]
        reactive = [-150 - (jitter >> 9 & 7), -120 - (jitter >> 12 & 7), -95 - (jitter >> 15 & 7)]
        if day:
            watts[0] += 110
            reactive[0] -= 25
        if evening:
            watts[0] += 140
            watts[2] += 85
        if (number + 90 * variant) % 360 < 150:  # the fridge: twelve minutes and a half of each half hour
            watts[1] += 92
            reactive[1] += 55
        if kettle is not None and 0 <= number - kettle < 36:
            watts[0] += 2050
        if cooker and 60 <= number < 560:
            watts[2] += 1800 if number % 9 < 5 else 0
            watts[1] += 1500 if number % 11 < 4 else 0
            reactive[2] += 40
        if motor is not None and 0 <= number - motor < 300:
            watts[2] += 420
            reactive[2] += 520
        if kind.solar and 6 <= hour < 20:
            sun = math.sin(math.pi * (hour + number / SLOTS - 6) / 14)
            gusts = 1 - cloud * (0.5 + 0.5 * math.sin(number / 17 + variant))
            generated = int(kind.solar * sun * gusts)
            watts[1] -= generated
            reactive[1] -= generated // 25
        slot = combine(kind, watts, reactive, dull=chance.random() < 0.6)
        powers.extend((*slot.watts, *slot.vars, *slot.vas, slot.total_watts, slot.total_vars, slot.total_vas))
        running[FORWARD if slot.total_watts >= 0 else REVERSE] += abs(slot.total_watts) * SLOT
        running[Q1 + slot.quadrant] += abs(slot.total_vars) * SLOT
        running[VA1 + slot.quadrant] += slot.total_vas * SLOT
        sums.extend(running)
    return Hour(powers, sums)


def combine(kind: Kind, watts: list[int], reactive: list[int], *, dull: bool) -> Slot:
    """A slot out of the phases' loads; a dull total shows 1 W less than the phases' sum."""
    if kind.phases == 1:
        watts, reactive = [sum(watts), 0, 0], [sum(reactive), 0, 0]
    watts = [kind.scale * value for value in watts]
    reactive = [kind.scale * value for value in reactive]
    # Harmonics: a little more than the root of the squares.
    vas = [
        math.isqrt(active * active + idle * idle) * 103 // 100 + 1 if active or idle else 0
        for active, idle in zip(watts, reactive, strict=True)
    ]
    # The total is the net of the phases; real meters show it equal to the sum or 1 W less.
    total = sum(watts)
    if dull and total > 1 and kind.phases > 1:
        total -= 1
    return Slot(
        (watts[0], watts[1], watts[2]),
        (reactive[0], reactive[1], reactive[2]),
        (vas[0], vas[1], vas[2]),
        total,
        sum(reactive),
        sum(vas),
    )


class Household:
    """Power and energy of one seed's household at any time, past or future."""

    def __init__(self, *, seed: int, start: int, phases: int = 3, solar: int = 0, scale: int = 1) -> None:
        self.seed = seed
        self.phases = phases
        self.scale = scale
        self._kind = Kind(seed, phases, solar, scale)
        self._origin = start // HOUR
        self._ahead: list[Energy] = [NOTHING]  # energy from the origin hour to the start of the n-th hour after it
        self._behind: list[Energy] = [NOTHING]  # the same backwards

    def slot(self, at: int) -> Slot:
        """What flows at that time."""
        return self._hour(at // HOUR).slot(at % HOUR // SLOT)

    def energy(self, at: int) -> Energy:
        """Energy from the hour in which the household began to that time, exactly."""
        hour, within = divmod(at, HOUR)
        number, rest = divmod(within, SLOT)
        pattern = self._hour(hour)
        rates = pattern.slot(number).rates
        total = add(self._until(hour - self._origin), pattern.energy(number))
        return tuple(known + rate * rest for known, rate in zip(total, rates, strict=True))

    def voltage(self, phase: int, at: int) -> int:
        """RMS voltage in mV: a slow swing, a little noise, and a droop with the load."""
        if phase >= self.phases:
            return 0
        swing = math.sin(at / 2_900_000 + 2.1 * phase) + 0.6 * math.sin(at / 611_000 + phase)
        noise = mix(self.seed, phase, at) % 501 - 250
        droop = self.slot(at).vas[phase] // self.scale * 3 // 2  # 0.35 ohm: about 1.5 mV a volt-ampere
        return 230_600 + round(900 * swing) + noise - droop

    def average_voltage(self, phase: int, at: int) -> int:
        """The average of the last ten minutes that are over."""
        if phase >= self.phases:
            return 0
        begin = (at // 600_000 - 1) * 600_000
        return sum(self.voltage(phase, begin + 60_000 * minute) for minute in range(10)) // 10

    def frequency(self, at: int) -> int:
        """Mains frequency in mHz; these meters know 50000 and 50050 only."""
        return 50_050 if mix(self.seed, 50, at // 60_000) % 4 == 0 else 50_000

    def _hour(self, hour: int) -> Hour:
        return build(self._kind, local_hour(hour * HOUR), mix(self.seed, hour) % VARIANTS)

    def _until(self, count: int) -> Energy:
        if count >= 0:
            while len(self._ahead) <= count:
                past = self._hour(self._origin + len(self._ahead) - 1)
                self._ahead.append(add(self._ahead[-1], past.energy(SLOTS)))
            return self._ahead[count]
        while len(self._behind) <= -count:
            past = self._hour(self._origin - len(self._behind))
            self._behind.append(subtract(self._behind[-1], past.energy(SLOTS)))
        return self._behind[-count]
