"""The meter's registers at any moment: whole watt hours out of exact energy, and the 84 present values.

Everything follows from the household and the profile; nothing is kept but the tier boundaries already passed.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from nesgw.simulator.household import FORWARD, HOUR, REVERSE, VA1, Household, local_hour, mix, subtract, utc_offset
from nesgw.simulator.profiles import SUMMATION_SOURCES, Coincident, Demand, Profile

SUMMATIONS: Final = len(SUMMATION_SOURCES)
IN_TIERS: Final = (0, 1, 2, 3, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18)
QUARTER: Final = 900_000  # the demand interval


@dataclass(frozen=True, slots=True)
class Truth:
    """What the meter's registers hold: raw integers by the numbers of BT23 and BT28."""

    summations: dict[int, int]
    tiers: tuple[dict[int, int], ...]
    present: dict[int, int]
    reset_count: int
    demands: tuple[Demand, ...]
    coincidents: tuple[Coincident, ...]
    present_demands: tuple[int, ...]
    time_left: int  # seconds of the demand interval


class Registers:
    """The registers of one meter from its start on."""

    def __init__(self, profile: Profile, household: Household, start: int) -> None:
        self.profile = profile
        self.household = household
        self.start = start
        self.outages = 0
        self.outage_seconds = 0
        self._initial = self._initial_registers()
        self._zero = household.energy(start)
        self._tiers = [[0] * SUMMATIONS for _ in range(max(profile.actual.tiers, 1))]
        self._counted = start  # up to where the tiers hold everything
        first = self._whole(start)
        for number in IN_TIERS:
            self._tiers[0][number] = first[number]
        self._tier_base = first
        self._demands = list(profile.demands)
        self._coincidents = list(profile.coincidents)
        self._demand_next = (start // QUARTER + 1) * QUARTER

    def refreshed(self, at: int) -> int:
        """The moment of the last refresh."""
        step = int(self.profile.refresh * 1000)
        return at // step * step

    def truth(self, at: int) -> Truth:
        """All registers as of the last refresh before ``at``."""
        at = max(self.refreshed(at), self.start)
        totals = self._whole(at)
        self._count_demands(at)
        return Truth(
            summations=dict(enumerate(totals)),
            tiers=tuple(dict(enumerate(tier)) for tier in self._count_tiers(at, totals)),
            present=self._present(at),
            reset_count=self.profile.reset_count,
            demands=tuple(self._demands),
            coincidents=tuple(self._coincidents),
            present_demands=tuple(
                self._demand(demand.source, at // QUARTER * QUARTER, at)
                for demand in self._demands[: self.profile.actual.present_demands]
            ),
            time_left=(QUARTER - at % QUARTER) // 1000,
        )

    def summations(self, at: int) -> list[int]:
        """The summations as they were or will be at any time."""
        return self._whole(at)

    def tier(self, at: int) -> int:
        """Which tier counts."""
        return self.profile.tier_hours[local_hour(at)]

    def outage(self, seconds: int) -> None:
        """Count a power failure."""
        self.outages += 1
        self.outage_seconds += seconds

    def _initial_registers(self) -> list[int]:
        given = dict(self.profile.registers)
        initial = [given.get(number, 0) for number in range(SUMMATIONS)]
        if not any(number in given for number in range(11, 15)):
            initial[11], initial[14] = initial[2], initial[3]
        return initial

    def _whole(self, at: int) -> list[int]:
        """The summations in register units; Wh and the like carry their fractions exactly."""
        gained = subtract(self.household.energy(at), self._zero)
        unit = HOUR * self.profile.energy_unit
        base = [value * unit for value in self._initial]
        # A start in the middle of a watt hour: no two registers step together for ever.
        base = [value + mix(self.household.seed, 23, number) % unit for number, value in enumerate(base)]
        quadrants = [base[11 + q] + gained[2 + q] for q in range(4)]
        forward, reverse = base[0] + gained[FORWARD], base[1] + gained[REVERSE]
        wrap = 10**self.profile.register_digits
        values = [0] * SUMMATIONS
        values[0], values[1] = forward // unit, reverse // unit
        values[2] = (base[2] + gained[2] + gained[3]) // unit
        values[3] = (base[3] + gained[4] + gained[5]) // unit
        minutes = 60 if self.profile.outage_in_minutes else 1
        values[4] = (self._initial[4] + self.outage_seconds) // minutes
        values[5] = self._initial[5] + self.outages
        values[6] = (forward + reverse + mix(self.household.seed, 6) % (2 * unit)) // unit  # steps at other moments
        values[7] = max((forward - reverse) // unit - self.profile.net_offset, 0)
        for number in (8, 9, 10):
            values[number] = self._initial[number]
        for q in range(4):
            values[11 + q] = quadrants[q] // unit
            values[15 + q] = (base[15 + q] + gained[VA1 + q]) // unit
        return [max(value, 0) % wrap for value in values]

    def _count_tiers(self, at: int, totals: list[int]) -> list[list[int]]:
        """Hand what was counted since the last boundary to the tier that was in force."""
        if len(set(self.profile.tier_hours)) == 1:
            only = self.profile.tier_hours[0]
            return [
                [totals[n] if tier == only and n in IN_TIERS else 0 for n in range(SUMMATIONS)]
                for tier in range(self.profile.actual.tiers)
            ]
        boundary = (self._counted // HOUR + 1) * HOUR
        while boundary <= at:
            if self.tier(boundary) != self.tier(boundary - 1):
                self._credit(self._tiers, self.tier(boundary - 1), self._whole(boundary))
                self._tier_base = self._whole(boundary)
            self._counted = boundary
            boundary += HOUR
        current = [list(tier) for tier in self._tiers]
        self._credit(current, self.tier(at), totals)
        return current[: self.profile.actual.tiers]

    def _credit(self, tiers: list[list[int]], tier: int, totals: list[int]) -> None:
        wrap = 10**self.profile.register_digits
        for number in IN_TIERS:
            gained = totals[number] - self._tier_base[number]
            tiers[tier][number] = (tiers[tier][number] + gained) % wrap

    def _demand(self, source: int, begin: int, end: int) -> int:
        """The average power of a quarter of an hour; of the part that has passed, over the whole quarter."""
        begin = max(begin, self.start)
        energy = subtract(self.household.energy(end), self.household.energy(begin))
        by_source = {
            8: energy[0],
            9: energy[1],
            10: energy[2] + energy[3],
            11: energy[4] + energy[5],
            20: sum(energy[6:10]),
            81: energy[0],
            82: energy[1],
            **{104 + q: energy[2 + q] for q in range(4)},
        }
        return by_source[source] // QUARTER

    def _count_demands(self, at: int) -> None:
        """Let each quarter that is over compete with the maximum so far; of a long jump the last day only."""
        if not self._demands:
            return
        self._demand_next = max(self._demand_next, at // QUARTER * QUARTER - 95 * QUARTER)
        while self._demand_next <= at:
            end = self._demand_next
            for index, demand in enumerate(self._demands):
                value = self._demand(demand.source, end - QUARTER, end)
                if value > demand.maximum:
                    self._demands[index] = Demand(demand.source, short_local_time(end), demand.cumulative, value)
                    present = self._present(end)
                    numbers = {12: 4, 13: 5, 14: 6, 15: 7, 16: 8, 17: 9}
                    self._coincidents = [
                        Coincident(c.source, index, present[numbers[c.source]]) if c.demand == index else c
                        for c in self._coincidents
                    ]
            self._demand_next += QUARTER

    def _present(self, at: int) -> dict[int, int]:
        """The present values by their numbers in BT28's fixed order."""
        profile, home = self.profile, self.household
        before = at - int(profile.refresh * 1000)  # some values lag by one refresh: a frame is not atomic
        slot, earlier = home.slot(at), home.slot(before)
        ratio = profile.ct_ratio * profile.vt_ratio

        def secondary(value: int) -> int:
            return value // ratio

        def directions(signed: int) -> tuple[int, int]:
            return max(signed, 0), max(-signed, 0)

        voltages = [home.voltage(phase, at) for phase in range(3)]
        factors = [_per_mille(slot.watts[phase], slot.vas[phase]) for phase in range(3)]
        sines = [_per_mille(slot.vars[phase], slot.vas[phase]) for phase in range(3)]
        currents = [_milliamperes(slot.vas[phase], voltages[phase] * profile.vt_ratio) for phase in range(3)]
        lagging = [
            _milliamperes(earlier.vas[phase], home.voltage(phase, before) * profile.vt_ratio) for phase in range(3)
        ]
        watts = directions(slot.total_watts)
        reactive = directions(slot.total_vars)
        quadrants = [abs(slot.total_vars) if q == slot.quadrant else 0 for q in range(4)]
        apparent = [slot.total_vas if q == slot.quadrant else 0 for q in range(4)]
        applied = 1 if profile.ratios_applied else ratio

        values: list[int] = [secondary(value) for value in (*watts, *reactive)]
        values += [current // profile.ct_ratio for current in currents]
        values += voltages
        values += [factors[0], home.frequency(at), secondary(slot.total_vas), factors[1], factors[2], *sines]
        values += [value // applied for value in (*watts, *reactive)]
        values += [secondary(value) for value in quadrants]
        forward = [max(value, 0) for value in slot.watts]
        reverse = [max(-value, 0) for value in slot.watts]
        values += [secondary(value) for value in (*forward, *reverse)]
        values += [*forward, *reverse]
        values += lagging
        values += [home.voltage(phase, before) for phase in range(3)]
        values += [home.average_voltage(phase, at) for phase in range(3)]
        values += [secondary(value) for value in (*watts, *forward, *reverse)]
        values += [secondary(value) for value in apparent]
        for phase in range(3):
            quadrant = _quadrant(slot.watts[phase], slot.vars[phase])
            values += [secondary(slot.vas[phase]) if q == quadrant else 0 for q in range(4)]
        values.append((max(currents) - min(currents)) // profile.ct_ratio if profile.phases == 3 else 0)
        values += [current // profile.ct_ratio for current in lagging]
        angles = [12_000 + mix(home.seed, 75 + pair, at) % 7 - 3 for pair in range(2)]
        values += [*angles, 36_000 - sum(angles)] if profile.phases == 3 else [0, 0, 0]
        values += [secondary(max(value, 0)) for value in slot.vars]
        values += [secondary(max(-value, 0)) for value in slot.vars]
        return dict(enumerate(values))


def _per_mille(part: int, whole: int) -> int:
    return round(1000 * part / whole) if whole else 0


def _milliamperes(volt_amperes: int, millivolts: int) -> int:
    return volt_amperes * 1_000_000 // millivolts if millivolts else 0


def _quadrant(watts: int, reactive: int) -> int:
    if watts >= 0:
        return 0 if reactive >= 0 else 3
    return 1 if reactive >= 0 else 2


def short_local_time(at: int) -> tuple[int, int, int, int, int]:
    """STIME_DATE in local time."""
    moment = datetime.datetime.fromtimestamp(at // 1000 + utc_offset(at) * 60, datetime.UTC)
    return moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute
