"""The meter's circular lists: a head that says where the newest entry is, then entries that replace the oldest.

Event logs, outages, self-reads and M-Bus readings are kept this way, and the blocks of the load profile. The unread
counters in the heads belong to the utility and are not looked at.
Sources: OPG and MEPG, BT26, BT63, BT74, ET36, ET45, ET81.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from nesgw.tables.identity import ByteOrder
from nesgw.tables.query import Query, ask
from nesgw.tables.register import EXTENDED, Part, nonsense

# The most bytes that one step asks for, about half a second on the line: between two steps a poll can have its turn.
STEP: Final = 512
# Of a log, a quarter of that: it finds room between polls a second apart.
LOG_STEP: Final = 112

LOGS: Final = 7  # records in ET36
LOG_RECORD: Final = 17
ET36: Final = Part("ET36", EXTENDED + 36, 0, 1 + LOGS * LOG_RECORD)


class Head(NamedTuple):
    """How far a list has come."""

    valid: int  # entries
    newest: int  # index
    sequence: int  # number of the newest entry


class Queue(NamedTuple):
    """Where a circular list stands. ``wide`` ones count in two and four bytes, the others in one and two."""

    name: str
    table: int
    capacity: int
    entry: int  # bytes
    wide: bool = False

    @property
    def head(self) -> Part:
        """The head, which comes before the entries."""
        return Part(self.name, self.table, 0, 11 if self.wide else 6)

    def decode_head(self, data: bytes, byteorder: ByteOrder) -> Head:
        """Decode the head; one that contradicts the list's dimensions is refused."""
        return decode_head(self.head.whole(data), byteorder, self.name, self.capacity, wide=self.wide)

    def read_newest(self, head: Head, count: int) -> Query[list[bytes]]:
        """Read the newest ``count`` entries, newest first."""
        entries: list[bytes] = []
        while len(entries) < count:
            place = (head.newest - len(entries)) % self.capacity
            run = min(place + 1, count - len(entries), max(1, LOG_STEP // self.entry))
            offset = self.head.size + (place + 1 - run) * self.entry
            data = yield from ask(Part(self.name, self.table, offset, run * self.entry))
            entries += [data[at : at + self.entry] for at in reversed(range(0, len(data), self.entry))]
        return entries

    def intact(self, before: Head, after: Head, count: int) -> int:
        """How many of the newest ``count`` entries, read between two looks at the head, were not being replaced."""
        counted = (after.sequence - before.sequence) % (1 << (32 if self.wide else 16))
        added = (after.newest - before.newest) % self.capacity if self.capacity else 0
        if counted == 0 and added == 0:
            return count
        if not 0 < added <= counted < self.capacity:
            return 0  # emptied, or gone round once or more
        return min(count, self.capacity - added)


def decode_head(data: bytes, byteorder: ByteOrder, name: str, capacity: int, *, wide: bool) -> Head:
    """Decode the head of a list of ``capacity`` entries."""
    width = 2 if wide else 1
    valid, newest, sequence = (
        int.from_bytes(data[1 + start * width : 1 + end * width], byteorder) for start, end in ((0, 1), (1, 2), (2, 4))
    )
    if valid > capacity or (valid and newest >= capacity):
        problem = f"{valid} entries up to index {newest} in a list of {capacity}"
    elif data[0] & 0x01:
        problem = "its newest entry comes first, which the guides do not describe"
    else:
        return Head(valid, newest, sequence)
    raise nonsense(name, problem)


class NewEntries(NamedTuple):
    """The entries of a narrow list that a look found, oldest first, each with its number."""

    entries: tuple[tuple[int, bytes], ...]
    bookmark: int | None  # the next look's ``after``; None if there was nothing to go by


def look(queue: Queue, byteorder: ByteOrder, after: int | None = None, most: int | None = None) -> Query[NewEntries]:
    """Read what came after the entry numbered ``after``, or all; at the most the newest ``most``.

    These lists' numbers have 16 bits and are never reset: they go on from 65535 with 0.
    """
    head = queue.decode_head((yield from ask(queue.head)), byteorder)
    count = head.valid if after is None else min(head.valid, (head.sequence - after) % 0x10000)
    count = count if most is None else min(count, most)
    entries = yield from queue.read_newest(head, count)
    if entries:
        again = queue.decode_head((yield from ask(queue.head)), byteorder)
        count = queue.intact(head, again, len(entries))
        if not count:
            return NewEntries((), after)  # nothing is known of the entries any more
        entries = entries[:count]
    numbered = [((head.sequence - age) % 0x10000, entry) for age, entry in enumerate(entries)]
    return NewEntries(tuple(reversed(numbered)), head.sequence)


class LogSize(NamedTuple):
    """One log's record in ET36."""

    entry: int  # bytes
    entries: int


def decode_log_sizes(data: bytes, byteorder: ByteOrder) -> Mapping[int, LogSize]:
    """ET36: the sizes of the logs by the number of their table; one of no entries is not kept."""
    data = ET36.whole(data)
    sizes: dict[int, LogSize] = {}
    for at in range(1, 1 + min(data[0], LOGS) * LOG_RECORD, LOG_RECORD):
        table, entry, _most, entries = (int.from_bytes(data[at + i : at + i + 2], byteorder) for i in (0, 2, 4, 6))
        if entry and entries:
            sizes[table & 0x0FFF] = LogSize(entry, entries)
    return sizes
