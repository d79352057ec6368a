"""Which tables may be read as they are, how long each is, and what was read of them so far.

Only tables of the guides that hold no key are on the list, and of ET13 only what precedes each device's key. A length
may follow from other tables, or from what was read of the table itself. Given bytes; reads nothing.
Sources: OPG and MEPG, as noted where the tables are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nesgw.errors import KeyRefused, NesgwError, TableNotPresent
from nesgw.tables import configuration
from nesgw.tables.dimensions import BT20, BT21, Dimensions, decode_dimensions
from nesgw.tables.identity import ByteOrder, decode_firmware
from nesgw.tables.load_profile import BT61, STATUS, decode_sets
from nesgw.tables.mbus import ET11, PLAN
from nesgw.tables.query import Query
from nesgw.tables.queues import ET36, LOG_RECORD, STEP, decode_log_sizes
from nesgw.tables.register import EXTENDED, Part, table_name, table_number


@dataclass(slots=True)
class Tables:
    """What was read so far: bytes by the name of the table, or the response code that refused it."""

    data: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    at: dict[str, datetime] = field(default_factory=dict)  # when a table had been read

    def __getitem__(self, name: str) -> bytes:
        """The bytes so far; none where it was refused."""
        return self.data.get(name, b"")

    @property
    def byteorder(self) -> ByteOrder:
        """As BT00 gives it."""
        return "big" if self["BT00"][:1] and self["BT00"][0] & 1 else "little"

    def number(self, name: str, at: int, size: int = 1) -> int:
        """A number in a table; 0 where there is none."""
        return int.from_bytes(self[name][at : at + size].ljust(size, b"\0"), self.byteorder)

    def dimensions(self) -> Dimensions:
        """BT21, or BT20."""
        if len(self["BT21"]) >= BT21.size:
            return decode_dimensions(self["BT21"])
        return decode_dimensions(self["BT20"], BT20)

    def read(self, part: Part) -> bytes:
        """Answer as the meter would: what lies behind the end is zero."""
        name = table_name(part.table)
        if name in self.data:
            return self.data[name][part.offset : part.offset + part.size].ljust(part.size, b"\0")
        code = self.refused.get(name, "iar")
        raise KeyRefused(service=name, code=code) if code == "isc" else TableNotPresent(table=name)


# Which tables, and how long each is. A length may follow from what was read of the table itself.

Size = Callable[[Tables], int]


def _general(tables: Tables) -> int:
    counts = tables["BT00"][13:17]
    return 19 + sum(counts)


def _pending(tables: Tables) -> int:
    general = tables["BT00"]
    return general[13] + general[14] + 6 + 8 * general[18]


def _selection(tables: Tables) -> int:
    known = tables.dimensions()
    return known.summations + known.demands + (known.demands + 7) // 8 + 2 * known.coincidents


def _self_reads(tables: Tables) -> int:
    known = tables.dimensions()
    entry = (2 if known.demands else 0) + 6 + known.registers.size
    return 6 + (known.self_reads * entry if known.actual else 0)


def _present_order(tables: Tables) -> int:
    known = tables.dimensions()
    return known.present_demands + known.present_values


def _events(tables: Tables, entries: int) -> int:
    log = "BT71" if tables["BT71"] else "BT70"
    return 11 + entries * (12 + tables.number(log, 4))


def _event_log(tables: Tables) -> int:
    return _events(tables, tables.number("BT71" if tables["BT71"] else "BT70", 5, 2))


def _queue(number: int) -> Size:
    """A log whose record in ET36 says how long it is; without one, its head."""

    def size(tables: Tables) -> int:
        sizes = decode_log_sizes(tables["ET36"].ljust(ET36.size, b"\0"), tables.byteorder)
        log = sizes.get(EXTENDED + number)
        return 6 + log.entry * log.entries if log else 6

    return size


def _sets(tables: Tables) -> int:
    return len(decode_sets(tables["BT61"].ljust(BT61.size, b"\0"), tables.byteorder))


def _control(tables: Tables) -> int:
    sets = decode_sets(tables["BT61"].ljust(BT61.size, b"\0"), tables.byteorder)
    return max((each.control.offset + each.control.size for each in sets), default=0)


def _profile(number: int) -> Size:
    def size(tables: Tables) -> int:
        sets = decode_sets(tables["BT61"].ljust(BT61.size, b"\0"), tables.byteorder)
        return sum(each.blocks * each.block_size for each in sets if each.number == number)

    return size


def _devices(size_at: int, bytes_of_size: int = 1, head: int = 0) -> Size:
    def size(tables: Tables) -> int:
        return head + tables.number("ET11", 0) * tables.number("ET11", size_at, bytes_of_size)

    return size


def _configuration(tables: Tables) -> int:
    firmware = decode_firmware(tables["BT01"][14], tables["BT01"][15])
    return configuration.length(firmware, tables.number("BT20", 7))


def _mep_data(tables: Tables) -> int:
    clients = tables.number("ET11", 34) or 1
    return clients * (35 + 6 * tables.number("ET11", 22))


CATALOGUE: Final[Mapping[str, int | Size]] = {
    "BT00": _general,
    "BT01": 24,
    "ET03": 143,
    "BT20": BT20.size,
    "BT21": BT21.size,
    "ET11": 39,
    "ET36": lambda tables: 1 + LOG_RECORD * tables.number("ET36", 0),
    "BT61": BT61.size,
    "BT03": lambda tables: max(13, 4 + tables.number("BT00", 17)),
    "BT04": _pending,
    "BT15": 17,
    "BT22": _selection,
    "BT23": lambda tables: tables.dimensions().registers.size,
    "BT24": lambda tables: 6 + tables.dimensions().registers.size,
    "BT25": lambda tables: 6 + tables.dimensions().registers.size,
    "BT26": _self_reads,
    "BT27": _present_order,
    "BT28": lambda tables: tables.dimensions().values.size,
    "BT50": 9,
    "BT52": 7,
    "BT53": 6,
    "BT54": lambda tables: tables.number("BT50", 7, 2),
    "BT55": 9,
    "BT60": BT61.size,
    "BT62": _control,
    "BT63": lambda tables: STATUS * _sets(tables),
    "BT64": _profile(0),
    "BT65": _profile(1),
    "BT66": _profile(2),
    "BT67": _profile(3),
    "BT70": 9,
    "BT71": 9,
    "BT74": _event_log,
    "ET04": 128,
    "ET09": lambda tables: 6 + 18 * tables.number("ET04", 53),
    "ET13": _devices(1),
    "ET14": _devices(2, head=6),
    "ET16": _devices(5, 2),
    "ET21": lambda tables: 131 * _sets(tables),
    "ET23": 99,
    "ET29": 48,
    "ET42": lambda tables: tables.number("ET42", 0, 2) or 2,
    "ET45": _queue(45),
    "ET50": _mep_data,
    "ET51": lambda tables: 10 * (tables.number("ET11", 34) or 1),
    "ET54": 82,
    "ET55": _configuration,
    "ET57": lambda tables: 4 * tables.number("ET11", 25),
    "ET66": 128,
    "ET79": lambda tables: _events(tables, tables.number("ET54", 80, 2)),
    "ET81": _queue(81),
}
LOAD_PROFILE: Final = ("BT64", "BT65", "BT66", "BT67")

READABLE: Final = frozenset(map(table_number, CATALOGUE))  # the numbers of these tables
_ET13: Final = table_number("ET13")


def may_be_read(part: Part) -> Query[bool]:
    """Find out whether nothing in a part can be a key.

    In ET13 the length of an entry says where the keys are. It is asked twice, for a corrupted byte would open them.
    """
    if part.table != _ET13:
        return part.table in READABLE
    first, again = (yield ET11), (yield ET11)
    if first is None or first != again:
        return False
    entry = first[1]
    return entry >= PLAN and part.offset % entry + part.size <= PLAN


def next_part(name: str, tables: Tables) -> Part | None:
    """Say what to read next of a table; None when it is complete, or when nobody can say how long it is."""
    size = CATALOGUE[name]
    done = len(tables[name])
    try:
        length = size if isinstance(size, int) else size(tables)
    except (NesgwError, IndexError):
        return None
    if done >= length:
        return None
    count = min(STEP, length - done)
    if name == "ET13":  # never a device's key, nor what follows it
        count = min(PLAN, length - done)
    return Part(name, table_number(name), done, count)


def take(name: str, data: bytes, tables: Tables) -> None:
    """Put the bytes of ``next_part`` where they belong; what was not asked for in ET13 is zero."""
    tables.data[name] = tables[name] + data
    if name == "ET13":
        entry = max(tables.number("ET11", 1), 1)
        tables.data[name] = tables[name].ljust(-(-len(tables[name]) // entry) * entry, b"\0")
