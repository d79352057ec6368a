"""The data records of an M-Bus telegram: DIF, DIFE, VIF, VIFE and value; a row of QUANTITIES for each kind of value.

What has no row here keeps its number for a name ("vif_fd17"), its value as it stands and no unit. What is no value (a
digit that is none, a date that no calendar has, a record that its meter marks as wrong) is None.
Sources: EN 13757-3, as far as the meters of MEPG's ET16 need it. The decoder that Python's index has, pyMeterBus, makes
numbers of broken digits and dates and brings a cipher library with it, so this is our own.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from nesgw.tables.register import StateClass
from nesgw.values import Number

MORE: Final = 0x80  # bit of DIF, DIFE, VIF and VIFE: another byte of the kind follows
MOST_EXTENSIONS: Final = 10

# DIF
FILLER: Final = 0x2F
SPECIAL: Final = 0x0F  # the low half: what follows is the manufacturer's own
REAL: Final = 0x05
BCD: Final = (0x09, 0x0A, 0x0B, 0x0C, 0x0E)
VARIABLE: Final = 0x0D
SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6)  # bytes of a value by the low half
FUNCTIONS: Final = ("", "max", "min", "error")
FUNCTION_NAMES: Final = ("", "maximum", "minimum", "at error")

# VIF and VIFE
PLAIN_TEXT: Final = 0x7C  # the unit follows in letters
OTHER_TABLES: Final = (0x7B, 0x7D, 0x7F)  # FB, FD, and the manufacturer's own: the VIFEs name the value
ERRORS: Final = range(0x20)  # VIFE: the value is wrong or missing
UNCORRECTED: Final = 0x3A  # VIFE: a volume as it passed, not converted to standard conditions


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a run of VIFs stands for; the first gives 10 to the power of ``exponent`` units, the next ten times that."""

    first: int
    count: int
    exponent: int
    key: str
    name: str
    unit: str
    device_class: str | None = None  # Home Assistant's, with a unit that it takes
    state_class: StateClass = "measurement"


# fmt: off
QUANTITIES: Final = (
    Quantity(0x00, 8, -6, "energy", "Energy", "kWh", "energy", "total_increasing"),
    Quantity(0x08, 8, -6, "energy", "Energy", "MJ", "energy", "total_increasing"),
    Quantity(0x10, 8, -6, "volume", "Volume", "m³", "volume", "total_increasing"),
    Quantity(0x18, 8, -3, "mass", "Mass", "kg", "weight", "total_increasing"),
    Quantity(0x28, 8, -3, "power", "Power", "W", "power"),
    Quantity(0x30, 8, 0, "power", "Power", "J/h"),
    Quantity(0x38, 8, -6, "flow", "Flow", "m³/h", "volume_flow_rate"),
    Quantity(0x58, 4, -3, "flow_temperature", "Flow temperature", "°C", "temperature"),
    Quantity(0x5C, 4, -3, "return_temperature", "Return temperature", "°C", "temperature"),
    # A class of its own, from Home Assistant 2025.11: as a temperature it may show a difference of 20 K as -253 °C.
    Quantity(0x60, 4, -3, "temperature_difference", "Temperature difference", "K", "temperature_delta"),
)
# fmt: on
BY_VIF: Final[Mapping[int, Quantity]] = MappingProxyType(
    {row.first + power: row for row in QUANTITIES for power in range(row.count)}
)

# Home Assistant's class of a volume, by what flows.
VOLUME_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {"gas": "gas", "water": "water", "cold_water": "water", "hot_water": "water"}
)


@dataclass(frozen=True, slots=True)
class MbusValue:
    """One value of a sub-meter."""

    key: str  # unique among the values of a telegram
    name: str
    value: Number | str | None
    unit: str | None
    device_class: str | None
    state_class: StateClass | None
    function: str = ""  # of FUNCTIONS: "" for the present value
    storage: int = 0  # 0 is now, the others are past periods
    tariff: int = 0  # 0 is all together
    subunit: int = 0


def decode_records(data: bytes, medium: str, *, msb_first: bool = False) -> tuple[tuple[MbusValue, ...], bool]:
    """Decode the records of a telegram, and say whether it was whole; what follows a cut or an unknown form is left."""
    values: list[MbusValue] = []
    cursor = _Cursor(data)
    try:
        while cursor.left:
            dif = cursor.byte()
            if dif == FILLER:
                continue
            if dif & SPECIAL == SPECIAL:
                break
            if value := _record(cursor, dif, medium, msb_first):
                values.append(value)
    except EOFError:
        return tuple(values), False
    return tuple(values), True


def unique(values: Iterable[MbusValue]) -> tuple[MbusValue, ...]:
    """Number the values of one key: the second of "volume" is "volume_2"."""
    seen: Counter[str] = Counter()
    numbered = []
    for value in values:
        seen[value.key] += 1
        if (count := seen[value.key]) > 1:
            value = replace(value, key=f"{value.key}_{count}", name=f"{value.name} {count}")
        numbered.append(value)
    return tuple(numbered)


class _Cursor:
    """The bytes still to be read; EOFError when there are fewer than a record needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise EOFError
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def extensions(self, byte: int) -> bytes:
        """Take the bytes that follow as long as each announces another."""
        taken = bytearray()
        while byte & MORE:
            if len(taken) == MOST_EXTENSIONS:
                raise EOFError
            byte = self.byte()
            taken.append(byte)
        return bytes(taken)


@dataclass(frozen=True, slots=True)
class _Content:
    """A value as it stands: bytes, highest first, and the number or the letters that they are."""

    data: bytes
    number: Number | None = None
    letters: str | None = None
    digits: bool = False


NOTHING: Final = _Content(b"")


def _record(cursor: _Cursor, dif: int, medium: str, msb_first: bool) -> MbusValue | None:
    """Take one record; None if it has no value, which is how some fill up a telegram."""
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for place, dife in enumerate(cursor.extensions(dif)):
        storage |= (dife & 0x0F) << (1 + 4 * place)
        tariff |= (dife >> 4 & 3) << (2 * place)
        subunit |= (dife >> 6 & 1) << place
    vif = cursor.byte()
    unit = _ordered(cursor.take(cursor.byte()), msb_first) if vif & 0x7F == PLAIN_TEXT else None
    vifes = cursor.extensions(vif)
    content = _content(cursor, dif & 0x0F, msb_first)
    if not content.data:
        return None

    modifiers = {vife & 0x7F for vife in vifes}
    if vif & 0x7F not in OTHER_TABLES and not modifiers.isdisjoint(ERRORS):
        content = NOTHING
        modifiers -= set(ERRORS)
    value = _named(vif, vifes, modifiers, medium, content)
    function = dif >> 4 & 3
    notes = [
        (FUNCTIONS[function], FUNCTION_NAMES[function]) if function else None,
        (f"t{tariff}", f"tariff {tariff}") if tariff else None,
        (f"u{subunit}", f"unit {subunit}") if subunit else None,
        (f"s{storage}", f"stored {storage}") if storage else None,
    ]
    return replace(
        value,
        key="_".join([value.key, *(note[0] for note in notes if note)]),
        name=" ".join([value.name, *(note[1] for note in notes if note)]),
        unit=value.unit if unit is None else _text(unit),
        state_class=value.state_class if not function and not storage else None,
        function=FUNCTIONS[function],
        storage=storage,
        tariff=tariff,
        subunit=subunit,
    )


def _ordered(data: bytes, msb_first: bool) -> bytes:
    """Put the highest byte, or the first letter, first."""
    return data if msb_first else data[::-1]


def _content(cursor: _Cursor, form: int, msb_first: bool) -> _Content:
    sign = 1
    if form != VARIABLE:
        size = SIZES[form]
    elif (length := cursor.byte()) < 0xC0:
        data = _ordered(cursor.take(length), msb_first)
        return _Content(data, letters=_text(data))
    elif length < 0xE0:  # digits, positive or negative
        form, size, sign = BCD[0], length & 0x0F, 1 if length < 0xD0 else -1
    elif length < 0xF0:
        size = length & 0x0F
    else:
        raise EOFError  # the standard gives such a length no meaning
    data = _ordered(cursor.take(size), msb_first)
    if form == REAL:
        (real,) = struct.unpack(">f", data)
        return _Content(data, number=float(real) if math.isfinite(real) else None)
    if form in BCD:
        number = _bcd(data)
        return _Content(data, number=None if number is None else sign * number, digits=True)
    return _Content(data, number=int.from_bytes(data, "big", signed=True))


def _named(vif: int, vifes: bytes, modifiers: set[int], medium: str, content: _Content) -> MbusValue:
    """Say what a value is, as far as that is known."""
    row = BY_VIF.get(vif & 0x7F)
    if row and not modifiers - {UNCORRECTED}:
        key, name = (f"{row.key}_uncorrected", f"{row.name} uncorrected") if modifiers else (row.key, row.name)
        value = _scaled(content.number, row.exponent + (vif & 0x7F) - row.first)
        device_class = VOLUME_CLASSES.get(medium, "volume") if row.key == "volume" else row.device_class
        return MbusValue(key, name, value, row.unit, device_class, row.state_class)
    if not modifiers:
        match vif & 0x7F:
            case 0x6C:
                return MbusValue("date", "Date", _date(content.data), None, "date", None)
            case 0x6D:
                return MbusValue("date_time", "Date and time", _date_time(content.data), None, None, None)
            case 0x78:
                return MbusValue("fabrication_number", "Fabrication number", _serial(content), None, None, None)
    code = bytes((vif, *vifes)).hex()
    plain = content.letters if content.number is None else content.number
    return MbusValue(f"vif_{code}", f"VIF {code.upper()}", plain, None, None, None)


def _serial(content: _Content) -> str | None:
    if content.number is None:
        return content.letters
    return content.data.hex() if content.digits else str(content.number)


def _scaled(raw: Number | None, exponent: int) -> Number | None:
    if raw is None:
        return None
    if isinstance(raw, float):  # of 24 bits: more than seven digits are not known
        return float(f"{raw * 10.0**exponent:.7g}")
    return raw * int(10**exponent) if exponent >= 0 else raw / int(10**-exponent)


def _bcd(first_high: bytes) -> int | None:
    """Packed digits; an F in the highest place is a minus sign, any other letter makes it no number."""
    digits = first_high.hex()
    sign = 1
    if digits.startswith("f"):
        digits, sign = digits[1:], -1
    return sign * int(digits) if digits.isdecimal() else None


def _text(letters: bytes) -> str:
    return "".join(chr(letter) for letter in letters if 32 <= letter < 127).strip()


def _date(first_high: bytes) -> str | None:
    """Type G, two bytes: the year in the high bits of both."""
    if len(first_high) != 2:
        return None
    high, low = first_high
    year, month, day = high >> 1 & 0x78 | low >> 5, high & 15, low & 31
    try:
        return date(_century(year), month, day).isoformat()
    except ValueError:
        return None


def _date_time(first_high: bytes) -> str | None:
    """Type F, four bytes, or type I, six, which has seconds; in the device's own time."""
    if len(first_high) == 6:
        _week, high, low, hour, minute, second = first_high
    elif len(first_high) == 4:
        (high, low, hour, minute), second = first_high, 0
    else:
        return None
    invalid = minute & 0x80
    year, month, day = high >> 1 & 0x78 | low >> 5, high & 15, low & 31
    try:
        moment = datetime(_century(year), month, day, hour & 31, minute & 63, second & 63)
    except ValueError:
        return None
    return None if invalid else moment.isoformat()


def _century(year: int) -> int:
    return 2000 + year if year <= 80 else 1900 + year
