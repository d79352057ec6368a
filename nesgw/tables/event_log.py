"""The event log BT74 and the alternate log ET79: which entries are new, and what one says.

Neither guide lists what the event numbers mean, so the number is published and no name is made up for it. New are
entries by their sequence numbers: the meter's unread counters are the utility's.

Sources: OPG and MEPG, BT70, BT71, BT74, ET54, ET79; C12.19 for the manufacturer's bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from nesgw.tables.event_names import STANDARD_EVENTS
from nesgw.tables.identity import ByteOrder
from nesgw.tables.query import Query, ask
from nesgw.tables.queues import Head, Queue
from nesgw.tables.register import EXTENDED, Part, nonsense
from nesgw.tables.times import decode_utc

BT70: Final = Part("BT70", 70, 0, 9)  # the maxima, where the meter has no BT71
BT71: Final = Part("BT71", 71, 0, 9)  # from 2.12 on
ET54_ALTERNATE: Final = Part("ET54", EXTENDED + 54, 80, 2)  # from 3.70 on: entries of ET79, 0 while it is off

DATE_AND_SEQUENCE: Final = 0x06  # BT71.0: entries have both, and no event counter
LOW: Final = 0x10000  # an entry holds the low 16 bits of its sequence number
MANUFACTURER: Final = 0x800  # bit of the event number

# Who was logged in: the number that an optical login gave, or one of these.
USERS: Final[Mapping[int, str | None]] = MappingProxyType({0xFFFF: None, 0xFFFE: "network", 0xFFFD: "mep"})


class LogDimensions(NamedTuple):
    """BT71, as far as the event log goes."""

    entries: int
    argument: int  # bytes of an entry's argument


class Event(NamedTuple):
    """An entry of either log."""

    sequence: int
    time: datetime | None  # UTC
    number: int
    user: int | str | None
    argument: str  # hex, as it stands
    log: str  # "BT74" or "ET79"

    @property
    def manufacturer(self) -> bool:
        """Whether the manufacturer gave the number its meaning, and not the standard."""
        return bool(self.number & MANUFACTURER)

    @property
    def meaning(self) -> str | None:
        """What it is in words; None for the manufacturer's own, and where the standard has no such number."""
        return STANDARD_EVENTS.get(self.number)


class NewEvents(NamedTuple):
    """What a look at the logs found, in the order of the sequence numbers."""

    events: tuple[Event, ...]
    bookmark: int | None  # the next look's ``after``; None while no event was ever logged


def decode_log_dimensions(data: bytes, byteorder: ByteOrder, part: Part = BT71) -> LogDimensions:
    """BT71, or BT70 where the meter has no BT71: one layout, but then the count is a maximum."""
    data = part.whole(data)
    if data[0] & 0x07 != DATE_AND_SEQUENCE:
        raise nonsense(part.name, f"entries of another form (0x{data[0]:02x})")
    return LogDimensions(entries=int.from_bytes(data[5:7], byteorder), argument=data[4])


def decode_alternate_entries(data: bytes, byteorder: ByteOrder) -> int:
    """ET54.80: how many entries ET79 has."""
    return int.from_bytes(ET54_ALTERNATE.whole(data), byteorder)


def event_queues(dimensions: LogDimensions, alternate_entries: int = 0) -> tuple[Queue, ...]:
    """Return the logs that this meter keeps."""
    size = 12 + dimensions.argument
    logs = (
        Queue("BT74", 74, dimensions.entries, size, wide=True),
        Queue("ET79", EXTENDED + 79, alternate_entries, size, wide=True),
    )
    return tuple(log for log in logs if log.capacity)


def look_for_events(
    queues: Sequence[Queue], byteorder: ByteOrder, after: int | None = None, most: int | None = None
) -> Query[NewEvents]:
    """Read the events after the one numbered ``after``, or all; at the most the newest ``most``.

    From 3.70 on both logs share one sequence. Entries written meanwhile are left to the next look, together with
    those that they may have to be sorted in with. Before 3.70 the sequence falls when the log is emptied: then all
    that is there is new.
    """
    heads: dict[Queue, Head] = {}
    for queue in queues:
        heads[queue] = queue.decode_head((yield from ask(queue.head)), byteorder)
    newest = max((head.sequence for head in heads.values()), default=None)
    if newest is None or (newest == 0 and not any(head.valid for head in heads.values())):
        return NewEvents((), after)
    if after is not None and newest < after:
        after = None

    entries: dict[Queue, list[bytes]] = {}
    for queue, head in heads.items():
        count = head.valid if after is None else min(head.valid, max(0, head.sequence - after))
        entries[queue] = yield from queue.read_newest(head, count if most is None else min(count, most))

    complete = newest
    if any(entries.values()):
        for queue, head in heads.items():
            again = queue.decode_head((yield from ask(queue.head)), byteorder)
            count = queue.intact(head, again, len(entries[queue]))
            if entries[queue] and not count:
                return NewEvents((), after)  # nothing is known of the entries any more
            entries[queue] = entries[queue][:count]
            if queue is queues[0] and again != head:
                # It may lack entries that are older than those of the other log, whose head was read later.
                complete = head.sequence
    events = [event for queue, head in heads.items() for event in _decode(entries[queue], head, queue.name, byteorder)]
    found = sorted((event for event in events if _within(event, after, complete)), key=lambda event: event.sequence)
    return NewEvents(tuple(found if most is None else found[len(found) - min(most, len(found)) :]), complete)


def _within(event: Event, after: int | None, complete: int) -> bool:
    return (after is None or event.sequence > after) and event.sequence <= complete


def _decode(entries: Sequence[bytes], head: Head, log: str, byteorder: ByteOrder) -> list[Event]:
    """Decode entries that stand newest first, from the one that the head tells of.

    Each is older than the one before. Where the numbers do not fall any more the list ends: an entry that has just
    been replaced, or the end of a list that is shorter than BT70's maximum.
    """
    events: list[Event] = []
    sequence = head.sequence
    for data in entries:
        time, (low, user, number) = data[:6], (int.from_bytes(data[at : at + 2], byteorder) for at in (6, 8, 10))
        step = (sequence - low) % LOW
        if not any(data) or bool(step) != bool(events) or step > LOW // 2:
            break
        sequence -= step
        events.append(
            Event(
                sequence=sequence,
                time=decode_utc(time),
                number=number & 0x0FFF,
                user=USERS.get(user, user),
                argument=data[12:].hex(),
                log=log,
            )
        )
    if entries and not events:
        raise nonsense(
            log,
            f"the newest entry does not have the number {head.sequence} that its head gives",
        )
    return events
