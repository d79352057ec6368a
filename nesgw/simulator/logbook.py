"""What has happened to the meter: alarms, the event logs, outages, and what marks the load profile.

A logbook begins with the outages that the registers already count. It knows no time but what it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from nesgw.simulator.alarms import ALARMS
from nesgw.simulator.profiles import Profile

NOBODY: Final = 0xFFFF  # the user of an entry that no login made
METERING: Final = 0x01

# Events: 1 to 4 as C12.19 counts, to be confirmed. The meter's own numbers are not public; 0x8xx stand in for them.
POWER_DOWN, POWER_UP, CLOCK_BEFORE, CLOCK_AFTER = 1, 2, 3, 4
LOGON, WRONG_KEY, COVER_OPENED = 0x80A, 0x80B, 0x80C

# Marks of an interval: the common nibble of the extended status, as it stands in its byte.
POWER_FAILED, CLOCK_FORWARD, CLOCK_BACK = 0x20, 0x40, 0x80

MINUTE: Final = 60_000
DAY: Final = 86_400_000


class Event(NamedTuple):
    """An entry of an event log."""

    at: int  # UTC in milliseconds, as every time here
    sequence: int
    user: int
    number: int
    argument: bytes = b"\0\0"


class Outage(NamedTuple):
    """A power failure."""

    begin: int
    end: int
    cause: int = 3  # 8 would be a brown-out


class Incident(NamedTuple):
    """What marks the intervals of the load profile that it touches."""

    begin: int
    end: int
    mark: int


@dataclass(frozen=True, slots=True)
class Log:
    """A ring: what it still holds, oldest first, and how many entries it has ever had."""

    entries: tuple[Event, ...] = ()
    written: int = 0

    def and_then(self, event: Event, capacity: int) -> Log:
        """With one more entry."""
        return Log((*self.entries, event)[-capacity:], self.written + 1)


class Logbook:
    """One meter's."""

    def __init__(self, profile: Profile, start: int) -> None:
        self.profile = profile
        self.alarms = bytearray(13)
        self.alarms[0] = METERING
        self.sequence = profile.event_sequence
        self.events = Log()
        self.alternate = Log()
        self.outages: list[Outage] = []
        self.incidents: list[Incident] = []
        for outage in _past_outages(profile, start):
            self.outage(outage)

    def enter(self, at: int, number: int, user: int = NOBODY, argument: bytes = b"\0\0") -> None:
        """An entry; from 3.70 on both logs share one sequence."""
        self.sequence += 1
        self.raise_alarm(*ALARMS["event_log_unread"])
        event = Event(at, self.sequence, user, number, argument)
        if self.profile.alternate_entries and number in self.profile.alternate_events:
            self.alternate = self.alternate.and_then(event, self.profile.alternate_entries)
        else:
            self.events = self.events.and_then(event, self.profile.event_entries)

    def outage(self, outage: Outage) -> None:
        """A power failure, with its two entries."""
        self.outages.append(outage)
        self.incidents.append(Incident(outage.begin, outage.end, POWER_FAILED))
        self.enter(outage.begin, POWER_DOWN)
        self.enter(outage.end, POWER_UP)

    def clock_set(self, before: int, after: int, user: int = NOBODY) -> None:
        """The clock was set from one time to another."""
        mark = CLOCK_FORWARD if after > before else CLOCK_BACK
        self.incidents.append(Incident(min(before, after), max(before, after), mark))
        self.enter(before, CLOCK_BEFORE, user)
        self.enter(after, CLOCK_AFTER, user)

    def raise_alarm(self, byte: int, bit: int) -> None:
        """Set a bit; it stays set."""
        self.alarms[byte] |= 1 << bit

    def clear_alarms(self) -> None:
        """As the utility's host does it."""
        self.alarms[1:] = bytes(len(self.alarms) - 1)


def _past_outages(profile: Profile, start: int) -> list[Outage]:
    """As many as the registers count, ten at most, and as long in sum; the last ended 88 minutes ago."""
    registers = dict(profile.registers)
    seconds, count = registers.get(4, 0), min(registers.get(5, 0), 10)
    if not count:
        return []
    lengths = [seconds] if count == 1 else [120] + [max(seconds - 120, 0) // (count - 1)] * (count - 1)
    ends = [start - 88 * MINUTE - 200 * DAY * back for back in range(count)]
    return [Outage(end - 1000 * length, end) for end, length in zip(ends, lengths, strict=True)][::-1]
