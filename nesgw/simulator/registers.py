"""The meter's registers at any moment: whole watt hours out of exact energy, and the 84 present values.

Everything follows from the household and the profile; nothing is kept but the tier boundaries already passed.
"""

from __future__ import annotations

import bisect
import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from nesgw.simulator.household import FORWARD, HOUR, REVERSE, VA1, Household, local_hour, mix, subtract, utc_offset
from nesgw.simulator.logbook import Outage
from nesgw.simulator.profiles import SUMMATION_SOURCES, Coincident, Demand, Profile

SUMMATIONS: Final = len(SUMMATION_SOURCES)
IN_TIERS: Final = (0, 1, 2, 3, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18)
NET: Final = 7  # the one register of these that may fall
QUARTER: Final = 900_000  # the demand interval
SEASONS: Final = 4


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


class Switch(NamedTuple):
    """What the registers and the tiers held when another tier came into force."""

    at: int
    totals: list[int]
    tiers: list[list[int]]


class Registers:
    """The registers of one meter, from its start on and before it."""

    def __init__(self, profile: Profile, household: Household, start: int, outages: Sequence[Outage] = ()) -> None:
        self.profile = profile
        self.household = household
        self.start = start
        self._outages = outages  # grows with each power failure
        self._known_outages = tuple(outages)
        self._initial = self._initial_registers()
        self._zero = household.energy(start)
        self._unit = HOUR * profile.energy_unit
        # A start in the middle of a watt hour: no two registers step together for ever.
        self._base = [
            value * self._unit + mix(household.seed, 23, number) % self._unit
            for number, value in enumerate(self._initial)
        ]
        self._sum_lead = mix(household.seed, 6) % (2 * self._unit)  # register 6 steps at other moments
        self.then = functools.lru_cache(maxsize=64)(self._then)
        first = self._whole(start)
        self._ahead = [Switch(start, first, self._split(first))]
        self._behind = self._ahead[:]
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
            tiers=tuple(dict(enumerate(tier)) for tier in self.tiers(at, totals)),
            present=self.present(at),
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

    def _then(self, at: int) -> Truth:
        """The registers at an earlier time; a maximum reached since then is left out."""
        totals = self._whole(at)
        now = short_local_time(at)
        known = [demand.time <= now for demand in self._demands]
        return Truth(
            summations=dict(enumerate(totals)),
            tiers=tuple(dict(enumerate(tier)) for tier in self.tiers(at, totals)),
            present={},
            reset_count=self.profile.reset_count,
            demands=tuple(
                demand if was else Demand(demand.source, cumulative=demand.cumulative)
                for demand, was in zip(self._demands, known, strict=True)
            ),
            coincidents=tuple(
                coincident if known[coincident.demand] else Coincident(coincident.source, coincident.demand)
                for coincident in self._coincidents
            ),
            present_demands=(),
            time_left=0,
        )

    def _initial_registers(self) -> list[int]:
        given = dict(self.profile.registers)
        initial = [given.get(number, 0) for number in range(SUMMATIONS)]
        if not any(number in given for number in range(11, 15)):
            initial[11], initial[14] = initial[2], initial[3]
        return initial

    def _whole(self, at: int) -> list[int]:
        """The summations in register units; Wh and the like carry their fractions exactly."""
        gained = subtract(self.household.energy(at), self._zero)
        unit, base = self._unit, self._base
        quadrants = [base[11 + q] + gained[2 + q] for q in range(4)]
        forward, reverse = base[0] + gained[FORWARD], base[1] + gained[REVERSE]
        wrap = 10**self.profile.register_digits
        values = [0] * SUMMATIONS
        values[0], values[1] = forward // unit, reverse // unit
        values[2] = (base[2] + gained[2] + gained[3]) // unit
        values[3] = (base[3] + gained[4] + gained[5]) // unit
        minutes = 60 if self.profile.outage_in_minutes else 1
        count, seconds = self._outages_until(at)
        values[4] = max(self._initial[4] + seconds, 0) // minutes
        values[5] = self._initial[5] + count
        values[6] = (forward + reverse + self._sum_lead) // unit
        values[7] = max((forward - reverse) // unit - self.profile.net_offset, 0)
        for number in (8, 9, 10):
            values[number] = self._initial[number]
        for q in range(4):
            values[11 + q] = quadrants[q] // unit
            values[15 + q] = (base[15 + q] + gained[VA1 + q]) // unit
        return [max(value, 0) % wrap for value in values]

    def _outages_until(self, at: int) -> tuple[int, int]:
        """Outages and their seconds, more (or, before the start, less) than the initial registers hold."""
        counted = [outage for outage in self._outages if outage.begin <= at]
        seconds = sum(outage.end - outage.begin for outage in counted)
        seconds -= sum(outage.end - outage.begin for outage in self._known_outages)
        return len(counted) - len(self._known_outages), seconds // 1000

    def tiers(self, at: int, totals: list[int] | None = None) -> list[list[int]]:
        """What each tier holds: as of the last switch, and what was counted since by the one in force."""
        totals = totals or self._whole(at)
        if len(set(self.profile.tier_hours)) == 1:
            only = self.profile.tier_hours[0]
            return [
                [totals[n] if tier == only and n in IN_TIERS else 0 for n in range(SUMMATIONS)]
                for tier in range(self.profile.actual.tiers)
            ]
        last = self._last_switch(at)
        return self._credited(last.tiers, self.tier(last.at), last.totals, totals)

    def _split(self, totals: list[int]) -> list[list[int]]:
        """The tiers at the start."""
        shares = (*self.profile.tier_shares, *[0] * 8)
        tiers = [[0] * SUMMATIONS for _ in range(max(self.profile.actual.tiers, 1))]
        for number in IN_TIERS:
            for tier in range(1, len(tiers)):
                tiers[tier][number] = totals[number] * shares[tier - 1] // 100
            tiers[0][number] = totals[number] - sum(tier[number] for tier in tiers)
        return tiers

    def _last_switch(self, at: int) -> Switch:
        """The last switch up to a time, each kept once it is found; the start counts as one."""
        if at >= self.start:
            while (boundary := self._boundary(self._ahead[-1].at, 1)) <= at:
                last, totals = self._ahead[-1], self._whole(boundary)
                tiers = self._credited(last.tiers, self.tier(last.at), last.totals, totals)
                self._ahead.append(Switch(boundary, totals, tiers))
            return self._ahead[bisect.bisect_right(self._ahead, at, key=lambda switch: switch.at) - 1]
        while self._behind[-1].at > at:
            first = self._behind[-1]
            boundary = self._boundary(first.at, -1)
            totals = self._whole(boundary)
            tiers = self._credited(first.tiers, self.tier(boundary), first.totals, totals)
            self._behind.append(Switch(boundary, totals, tiers))
        return self._behind[bisect.bisect_left(self._behind, -at, key=lambda switch: -switch.at)]

    def _boundary(self, at: int, direction: int) -> int:
        """The next switch after a time, or the last one before it."""
        hour = (at // HOUR + 1 if direction > 0 else (at - 1) // HOUR) * HOUR
        while self.tier(hour) == self.tier(hour - 1):
            hour += direction * HOUR
        return hour

    def _credited(self, tiers: list[list[int]], tier: int, begin: list[int], end: list[int]) -> list[list[int]]:
        """The tiers after one of them has counted from one state of the totals to another."""
        wrap = 10**self.profile.register_digits
        counted = [list(values) for values in tiers]
        for number in IN_TIERS:
            value = tiers[tier][number] + end[number] - begin[number]
            counted[tier][number] = max(value, 0) if number == NET else value % wrap
        return counted[: max(self.profile.actual.tiers, 1)]

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
                    present = self.present(end)
                    numbers = {12: 4, 13: 5, 14: 6, 15: 7, 16: 8, 17: 9}
                    self._coincidents = [
                        Coincident(c.source, index, present[numbers[c.source]]) if c.demand == index else c
                        for c in self._coincidents
                    ]
            self._demand_next += QUARTER

    def present(self, at: int) -> dict[int, int]:
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


def season(at: int) -> int:
    """A quarter of the year by local time, 0 to 3."""
    return (short_local_time(at)[1] - 1) // 3


def short_local_time(at: int) -> tuple[int, int, int, int, int]:
    """STIME_DATE in local time."""
    moment = datetime.datetime.fromtimestamp(at // 1000 + utc_offset(at) * 60, datetime.UTC)
    return moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute
