"""A meter's tables for a report: what is masked in them, and what they say.

Which tables are read is said in ``tables/extent.py``. Serial numbers and customers' names become zeros in the bytes
themselves, so that nothing made of them can tell any. ``nesgw simulate --from`` plays a dump back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from nesgw import __version__
from nesgw.commands.read.pages import plain
from nesgw.errors import KeyRefused, MeterMisbehaved, NesgwError, TableNotPresent
from nesgw.meter.profile import Facts, identify
from nesgw.meter.queries.everything import everything, last_log_entries
from nesgw.meter.queries.load_profile import kept_profile, profile_sets
from nesgw.meter.reader import run
from nesgw.publishers import payloads
from nesgw.tables.extent import CATALOGUE, LOAD_PROFILE, Tables
from nesgw.tables.identity import BT01, ET03, decode_firmware
from nesgw.tables.mbus import CHANNELS, MBUS_HANDLES, PLAN
from nesgw.tables.mbus_records import SIZES, VARIABLE
from nesgw.tables.query import Query
from nesgw.tables.queues import ET36, decode_log_sizes
from nesgw.tables.register import EXTENDED

FORMAT: Final = "nesgw-dump"
VERSION: Final = 1
LOG_ENTRIES: Final = 1000  # of the logs, decoded: all that there are

_CONSUMPTION: Final = "the load profile's values (--load-profile adds them)"
_NOT_OF_THE_LINE: Final = "in first_minute: digests, and the bytes of tables (+N: so many bytes more)"
_NOTHING_ELSE: Final = "keys and what the guides do not describe"


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
            if index < CHANNELS:
                self._zero("ET13", index * entry + 8, 20, "customer id of an M-Bus device", letters=True)
            else:
                self._zero("ET13", index * entry + 9, PLAN - 9, "data of an MEP device", known=False)

    def _readings(self) -> None:
        """ET16 and ET45, which hold telegrams, or what MEP devices left."""
        entry = self.tables.number("ET11", 5, 2)
        for index in range(self.tables.number("ET11", 0)):
            self._reading("ET16", index * entry, entry, mbus=index < CHANNELS)
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
        facts = run(identify(), tables)
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
        found["values"] = dict(layout.decode({part.name: masked.read(part) for part in layout.reads}))
    except NesgwError as error:
        found["values"] = {"problem": str(error)}
    return found | _everything(facts, masked)


def _everything(facts: Facts, masked: Tables) -> dict[str, object]:
    found = run(everything(facts, None, lambda: masked.at.get("BT52", datetime.now(UTC))), masked)
    return {
        **plain(found),
        "log": _answered(_log(facts), masked),
        "load_profile": _answered(_load_profile(facts), masked),
        "remarks": list(found.remarks),
    }


def _answered(query: Query[list[dict[str, object]]], masked: Tables) -> object:
    try:
        return run(query, masked)
    except NesgwError as error:
        return {"problem": str(error)}


def _log(facts: Facts) -> Query[list[dict[str, object]]]:
    return [payloads.log_entry(entry) for entry in (yield from last_log_entries(facts, LOG_ENTRIES, None))]


def _load_profile(facts: Facts) -> Query[list[dict[str, object]]]:
    """Which sets of channels the meter keeps."""
    found: list[dict[str, object]] = []
    for number, profile in (yield from profile_sets(facts)).items():
        channels = (yield from kept_profile(facts, profile)).channels
        found.append(
            {
                "set": number,
                "blocks": profile.blocks,
                "intervals": profile.intervals,
                "minutes": profile.duration // timedelta(minutes=1),
                "channels": [channel.key for channel in channels],
            }
        )
    return found


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


def document(tables: Tables, key: bytes | None, made: datetime, line: Sequence[str] = ()) -> dict[str, object]:
    """Return the whole file; ``line`` is what passed over the MEP port in the first minute."""
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
            *([_NOT_OF_THE_LINE] if line else []),
            *(f"{name}, which the meter's bitmap names" for name in present if name not in CATALOGUE),
        ],
        "decoded": decoded(tables, masked),
        "tables": entries,
        **({"first_minute": list(line)} if line else {}),
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
