"""A meter's tables for a report: which are read and how long they are, what is masked in them, what they say.

Only tables of the guides that hold no key are on the list, and of ET13 only what precedes each device's key. Serial
numbers and customers' names become zeros in the bytes themselves, so that nothing made of them can tell any.
``nesgw simulate --from`` plays a dump back. Sources: OPG and MEPG, as noted where the tables are decoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from nesgw import __version__
from nesgw.errors import KeyRefused, MeterMisbehaved, NesgwError, TableNotPresent
from nesgw.meter.session import Facts
from nesgw.meter.survey import Survey
from nesgw.meter.visit import Secondhand
from nesgw.tables.dimensions import Dimensions, decode_dimensions
from nesgw.tables.identity import BT01, ET03, ByteOrder, decode_firmware
from nesgw.tables.load_profile import BT61, STATUS, decode_sets
from nesgw.tables.mbus import MBUS_HANDLES, PLAN
from nesgw.tables.mbus_records import SIZES, VARIABLE
from nesgw.tables.query import PendingQuery, Query, T
from nesgw.tables.queues import ET36, LOG_RECORD, STEP, decode_log_sizes
from nesgw.tables.register import EXTENDED, Part

FORMAT: Final = "nesgw-dump"
VERSION: Final = 1
LOG_ENTRIES: Final = 1000  # of the logs, decoded: all that there are

_MBUS_DEVICES: Final = 4  # the first indexes of ET13 to ET16; the others are MEP devices
_CONSUMPTION: Final = "the load profile's values (--load-profile adds them)"
_NOTHING_ELSE: Final = "keys and what the guides do not describe"


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
        if len(self["BT21"]) >= 10:
            return decode_dimensions(self["BT21"])
        return decode_dimensions(self["BT20"], Part("BT20", 20, 0, 10))

    def cut(self, part: Part) -> bytes:
        """Answer as the meter would: what lies behind the end is zero."""
        name = f"{'ET' if part.table >= EXTENDED else 'BT'}{part.table % EXTENDED:02d}"
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
    """ET55 up to the last field that the guides name, behind a list as long as the most tiers."""
    firmware = decode_firmware(tables["BT01"][14], tables["BT01"][15])
    return (147 if firmware.major >= 4 else 146) + 4 * (tables.number("BT20", 7) - 1) + 101


def _mep_data(tables: Tables) -> int:
    clients = tables.number("ET11", 34) or 1
    return clients * (35 + 6 * tables.number("ET11", 22))


CATALOGUE: Final[Mapping[str, int | Size]] = {
    "BT00": _general,
    "BT01": 24,
    "ET03": 143,
    "BT20": 10,
    "BT21": 10,
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


def table_number(name: str) -> int:
    """The number of a table in a request."""
    return int(name[2:]) + (EXTENDED if name.startswith("ET") else 0)


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


# Masks


@dataclass(slots=True)
class Mask:
    """Makes zeros of what tells whose meter it is, and keeps account."""

    tables: Tables
    notes: list[str] = field(default_factory=list)
    _found: list[str] = field(default_factory=list)  # letters and digits that must not be anywhere else either

    def apply(self, key: bytes | None) -> Tables:
        """Return masked tables; the originals stay as they are."""
        masked = Tables(dict(self.tables.data), dict(self.tables.refused), dict(self.tables.at))
        self.tables = masked
        self._zero("BT01", 16, 8, "manufacturer's serial number")
        self._zero("ET03", 0, ET03.size, "utility's serial number", letters=True)
        self._devices()
        self._readings()
        clients = 35 + 6 * masked.number("ET11", 22)
        for start in range(0, len(masked["ET50"]), clients):
            self._zero("ET50", start, 30, "MEP device's id", letters=True)
            self._zero("ET50", start + 31, clients - 31, "MEP device's data", known=False)
        for secret in self._found:
            for form in forms(secret):
                self._everywhere(form, "serial number or customer id again")
        for form in (key, key.hex().encode()) if key else ():
            self._everywhere(form, "key")
        return masked

    def _devices(self) -> None:
        entry = self.tables.number("ET11", 1)
        for index in range(self.tables.number("ET11", 0)):
            if index < _MBUS_DEVICES:
                self._zero("ET13", index * entry + 8, 20, "customer id of an M-Bus device", letters=True)
            else:
                self._zero("ET13", index * entry + 9, PLAN - 9, "data of an MEP device", known=False)

    def _readings(self) -> None:
        """ET16 and ET45, which hold telegrams, or what MEP devices left."""
        entry = self.tables.number("ET11", 5, 2)
        for index in range(self.tables.number("ET11", 0)):
            self._reading("ET16", index * entry, entry, mbus=index < _MBUS_DEVICES)
        sizes = decode_log_sizes(self.tables["ET36"].ljust(ET36.size, b"\0"), self.tables.byteorder)
        if log := sizes.get(EXTENDED + 45):
            for start in range(6, len(self.tables["ET45"]), log.entry):
                handle = self.tables.number("ET45", start + 4, 2)
                self._reading("ET45", start + 8, log.entry - 8, mbus=handle in MBUS_HANDLES)

    def _reading(self, name: str, start: int, size: int, *, mbus: bool) -> None:
        data = self.tables[name][start : start + size]
        if not any(data):
            return
        if not mbus:
            self._zero(name, start + 11, size - 11, "data of an MEP device", known=False)
            return
        at = 7
        while at < len(data) and (length := data[at]):
            self._zero(name, start + at + 1, 4, "serial number of an M-Bus device")
            for place, count in identifying(data[at + 13 : at + 1 + length]):
                self._zero(name, start + at + 13 + place, count, "identification in an M-Bus telegram")
            at += 1 + length

    def _zero(self, name: str, start: int, size: int, what: str, *, letters: bool = False, known: bool = True) -> None:
        """Zero a field; ``letters`` become zeros of their own kind. What is ``known`` is looked for elsewhere, too."""
        data = self.tables[name]
        old = data[start : start + size]
        if not old.strip(b"\0\xff "):
            return
        if known:
            text = old.partition(b"\0")[0].decode("ascii", "replace").strip()
            self._found += [text] if letters else [old.hex(), old[::-1].hex()]
        new = re.sub(rb"[^\0]", b"0", old) if letters else bytes(len(old))
        self.tables.data[name] = data[:start] + new + data[start + len(old) :]
        self._note(name, start, len(old), what)

    def _everywhere(self, form: bytes, what: str) -> None:
        for name, data in list(self.tables.data.items()):
            at = data.find(form)
            while at >= 0:
                data = data[:at] + (b"0" if form.isalnum() else b"\0") * len(form) + data[at + len(form) :]
                self._note(name, at, len(form), what)
                at = data.find(form, at + len(form))
            self.tables.data[name] = data

    def _note(self, name: str, start: int, size: int, what: str) -> None:
        self.notes.append(f"{name}, bytes {start} to {start + size - 1}: {what}")


def forms(secret: str) -> Iterator[bytes]:
    """How a serial number or an id may stand elsewhere: in letters, packed as digits, or as a number.

    What is shorter than four bytes, or hardly anything but zeros, is found everywhere and proves nothing.
    """
    short = secret.lstrip("0")
    found = {secret.encode(), short.encode()}
    if short.isdecimal():
        packed, value = bytes.fromhex(short.zfill(len(short) + len(short) % 2)), int(short)
        found |= {packed, packed[::-1]}
        if 1 << 24 <= value < 1 << 64:
            size = 4 if value < 1 << 32 else 8
            found |= {value.to_bytes(size, "little"), value.to_bytes(size, "big")}
    yield from sorted((form for form in found if len(form) >= 4 and len(set(form)) > 2), key=len, reverse=True)


def identifying(records: bytes) -> Iterator[tuple[int, int]]:
    """Find the values of a telegram that say whose it is: fabrication number, location, customer, passwords."""
    at = 0
    try:
        while at < len(records):
            dif = last = records[at]
            at += 1
            if dif == 0x2F:
                continue
            if dif & 0x0F == 0x0F:
                return
            while last & 0x80:
                last = records[at]
                at += 1
            codes = [records[at]]
            at += 1
            if codes[0] & 0x7F == 0x7C:
                at += 1 + records[at]
            while codes[-1] & 0x80:
                codes.append(records[at])
                at += 1
            if dif & 0x0F == VARIABLE:
                length = records[at]
                size = length if length < 0xC0 else length & 0x0F
                at += 1
            else:
                size = SIZES[dif & 0x0F]
            if codes[0] & 0x7F in (0x78, 0x79) or (codes[0] == 0xFD and 0x10 <= codes[1] & 0x7F <= 0x16):
                yield at, size
            at += size
    except IndexError:
        return  # cut off


# What the tables say


def decoded(tables: Tables, masked: Tables) -> dict[str, object]:
    """Decode what can be decoded: the layout from the tables as they are, all that is shown from the masked ones."""
    found: dict[str, object] = {"tables_by_bitmap": list(bitmap(masked))}
    try:
        facts = Secondhand(tables.cut).facts()
    except NesgwError as error:
        return found | {"problem": str(error)}
    identity, layout = facts.identity, facts.layout
    found["identity"] = {
        "manufacturer": identity.manufacturer,
        "model": identity.model,
        "firmware": str(identity.firmware),
        "hardware": identity.hardware,
    }
    known = facts.dimensions
    found["dimensions"] = known._asdict()
    found["layout"] = {"reads": [list(part) for part in layout.reads], "remarks": list(layout.remarks)}
    try:
        found["values"] = dict(layout.decode({part.name: masked.cut(part) for part in layout.reads}))
    except NesgwError as error:
        found["values"] = {"problem": str(error)}
    return found | _surveyed(facts, masked)


def _surveyed(facts: Facts, masked: Tables) -> dict[str, object]:
    survey = Survey(facts, None, lambda: masked.at.get("BT52", datetime.now(UTC)))
    found = _answered(survey.everything(), masked)
    for key, part in (("log", survey.log(LOG_ENTRIES)), ("load_profile", survey.load_profile())):
        try:
            result: Any = _answered(part, masked)
            found[key] = [entry.payload() for entry in result] if key == "log" else result
        except NesgwError as error:
            found[key] = {"problem": str(error)}
    return found | {"remarks": survey.remarks}


def _answered(steps: Query[T], tables: Tables) -> T:
    query = PendingQuery(steps)
    while query.wanted is not None:
        try:
            data: bytes | None = tables.cut(query.wanted)
        except (TableNotPresent, KeyRefused):
            data = None
        query.answer(data)
    return query.result


def bitmap(tables: Tables) -> Iterator[str]:
    """Yield the tables that the bitmaps behind BT00 say are there: a hint, and not more."""
    general = tables["BT00"]
    if len(general) < 19:
        return
    start = 19
    for prefix, size in (("BT", general[13]), ("ET", general[14])):
        bits = int.from_bytes(general[start : start + size], "little")
        yield from (f"{prefix}{number:02d}" for number in range(8 * size) if bits >> number & 1)
        start += size


def document(tables: Tables, key: bytes | None, made: datetime) -> dict[str, object]:
    """Return the whole file."""
    mask = Mask(tables)
    masked = mask.apply(key)
    present = list(bitmap(masked))
    entries = {name: _entry(name, masked) for name in CATALOGUE if name in masked.data or name in masked.refused}
    return {
        "format": FORMAT,
        "version": VERSION,
        "made": made.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "by": f"nesgw {__version__}",
        "masked": mask.notes,
        "left_out": [
            _NOTHING_ELSE,
            *([] if any(name in entries for name in LOAD_PROFILE) else [_CONSUMPTION]),
            *(f"{name}, which the meter's bitmap names" for name in present if name not in CATALOGUE),
        ],
        "decoded": decoded(tables, masked),
        "tables": entries,
    }


def _entry(name: str, tables: Tables) -> dict[str, str]:
    entry = {"data": tables.data[name].hex()} if tables[name] else {}
    return entry | ({"refused": tables.refused[name]} if name in tables.refused else {})


def text(content: Mapping[str, object]) -> str:
    """Write the file."""
    return json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"


def file_name(tables: Tables, made: datetime) -> str:
    """Name the file after the meter's kind, never after the meter."""
    identification = tables["BT01"].ljust(BT01.size, b"\0")
    model = re.sub(rb"[^A-Za-z0-9]+", b"-", identification[4:12]).decode().strip("-") or "meter"
    firmware = decode_firmware(identification[14], identification[15])
    return f"{FORMAT}-{model}-{firmware}-{made.astimezone():%Y-%m-%d}.json"


def refusal(problem: NesgwError) -> str | None:
    """The response code in an error, as its short name; None if it is none."""
    match problem:
        case TableNotPresent():
            return "iar"
        case KeyRefused() | MeterMisbehaved() if code := problem.facts.get("code"):
            return re.split(r"[^a-z]", str(code))[0]
    return None
