"""What the meter remembers of its energy registers, read as far back as it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nesgw.commands.backfill.plan import MeterHistory
from nesgw.commands.backfill.registers import Circumstances, fills_hours, meter_history
from nesgw.errors import NothingFilled, TableNotPresent
from nesgw.meter.profile import Facts, identify
from nesgw.meter.queries.clock import read_clock
from nesgw.meter.queries.load_profile import KeptProfile, kept_profile, primary_set, profile_sets
from nesgw.meter.reader import Reader, run, step
from nesgw.tables.load_profile import Channel, Interval, ProfileReading
from nesgw.tables.query import Query

WORST_CLOCK: Final = 60.0  # seconds: hours of a meter whose clock is further off are other hours
UNITS: Final = ("kWh", "kvarh")  # of what Home Assistant adds up
LONGEST: Final = timedelta(days=400)  # to look back where the meter does not say how far it goes


@dataclass(frozen=True, slots=True)
class Register:
    """An energy register and its place in each interval."""

    place: int
    channel: Channel


class MeterMemory:
    """The load profile of one meter. Raises NothingFilled where it fills no hours; ``now`` is the present time."""

    def __init__(
        self,
        reader: Reader,
        *,
        now: datetime,
        poll: float,
        power_limit: Callable[[float], float],
        progress: Callable[[float], object] = lambda _: None,
    ) -> None:
        self.now = now
        self._reader = reader
        self._progress = progress
        self._facts = run(identify(), reader)
        drift = _drift(self._facts, reader)
        self._kept = run(_hourly_set(self._facts), reader)
        ratios = self._facts.installation.ratios
        ratio = float(ratios.current * ratios.voltage) if ratios else 1.0
        self._known = Circumstances(
            duration=self._kept.profile.duration,
            poll=poll,
            drift=drift,
            most_power=power_limit(ratio),
            ratio=ratio,
        )
        self._intervals: list[Interval] = []
        self._since = now
        self._oldest = self._read(now, now).oldest

    @property
    def meter_id(self) -> str:
        """The meter's identity in topics and unique ids."""
        return self._facts.identity.id

    @property
    def oldest(self) -> datetime:
        """When it begins, as far as it can be told."""
        return self._oldest or self.now - LONGEST

    @property
    def registers(self) -> Iterator[Register]:
        """Its energy registers."""
        for place, channel in enumerate(self._kept.channels):
            if is_energy(channel):
                yield Register(place, channel)

    def reach_back(self, since: datetime) -> None:
        """Read on, back to an earlier moment; what is known already is not read again."""
        if since < self._since:
            earlier = self._read(since, self._since).intervals
            self._intervals = earlier + self._intervals
            self._since = since

    def history(self, register: Register) -> MeterHistory:
        """Say what a register was at full hours, in its own unit."""
        return meter_history(self._intervals, register.place, register.channel, self._known)

    def _read(self, since: datetime, until: datetime) -> ProfileReading:
        byteorder = self._facts.general.byteorder
        reading = ProfileReading(self._kept.profile, byteorder, since, until, now=self.now)
        while reading.wanted is not None:
            step(reading, self._reader)
            self._progress(reading.done / reading.total if reading.total else 0.0)
        return reading


def is_energy(channel: Channel) -> bool:
    """Whether a channel is a register that Home Assistant adds up."""
    return channel.counts and channel.kind is not None and channel.kind.unit in UNITS


def _hourly_set(facts: Facts) -> Query[KeptProfile]:
    """Find the first set with energy in it whose intervals end at full hours, beginning with the primary one."""
    sets = yield from profile_sets(facts)
    if not sets:
        raise NothingFilled(problem="the meter keeps no load profile", advice="the utility decides that; ask there")
    primary = yield from primary_set(facts, sets)
    for number in sorted(sets, key=lambda number: (number != primary, number)):
        kept = yield from kept_profile(facts, sets[number])
        if fills_hours(kept.profile.duration) and any(map(is_energy, kept.channels)):
            return kept
    raise NothingFilled(
        problem="the meter's load profile has no energy register in intervals that end at full hours",
        advice="the utility decides that; ask there",
    )


def _drift(facts: Facts, reader: Reader) -> float:
    """Return by how many seconds the meter's clock is ahead, if its hours are the true ones all the same."""
    try:
        drift = run(read_clock(facts, None, lambda: datetime.now(UTC)), reader).drift
    except TableNotPresent:
        return 0.0
    if drift is None or abs(drift) > WORST_CLOCK:
        wrong = "was never set" if drift is None else f"is {abs(drift):.0f} s {'ahead' if drift > 0 else 'behind'}"
        raise NothingFilled(
            problem=f"the meter's clock {wrong}, so that its hours are not Home Assistant's",
            advice="see whether this machine's clock is right (timedatectl); the meter's is for the utility to set",
        )
    return drift
