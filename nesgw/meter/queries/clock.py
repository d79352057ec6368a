"""The meter's clock, the tariff in force, and whether the meter keeps this machine's local time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from nesgw.meter.profile import Facts
from nesgw.tables.clock import BT52, BT55, Clock, LocalClock, decode_clock, decode_local_clock
from nesgw.tables.query import Query, ask


@dataclass(frozen=True, slots=True)
class ClockFound:
    """The clock, and how many seconds it was ahead of ours when it was read; None if it was never set."""

    clock: Clock
    drift: float | None
    zone: tzinfo | None  # the machine's, if the meter's local time agrees with it


def read_clock(
    facts: Facts, machine: tzinfo | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Query[ClockFound]:
    """Read the clock and compare it; ``machine`` is this machine's time zone, ``now`` gives its time, aware."""
    clock = decode_clock((yield from ask(BT52)))
    drift = clock.drift(now())
    return ClockFound(clock, drift, (yield from _agreed(clock, facts, machine)))


def local_zone(facts: Facts, machine: tzinfo | None) -> Query[tzinfo | None]:
    """Return this machine's zone if the meter's clocks agree with it now; for tables that keep local time."""
    if machine is None or (data := (yield BT52)) is None:
        return None
    return (yield from _agreed(decode_clock(data), facts, machine))


def _agreed(clock: Clock, facts: Facts, machine: tzinfo | None) -> Query[tzinfo | None]:
    if machine is None or clock.time is None or (local := (yield BT55)) is None:
        return None
    offset = decode_local_clock(local, facts.general.byteorder).offset(clock)
    return machine if offset == clock.time.astimezone(machine).utcoffset() else None


def read_tariff(facts: Facts) -> Query[LocalClock]:
    """Read local time with the tier and the season in force."""
    return decode_local_clock((yield from ask(BT55)), facts.general.byteorder)
