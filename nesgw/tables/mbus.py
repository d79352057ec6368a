"""Water, heat and gas meters that the electricity meter reads over M-Bus: what it has of them.

Which devices there are (ET11, ET14), how they are read (ET13, without their keys, which nesgw never asks for), and
their latest telegrams (ET16, ET45). What a telegram says is decoded in ``mbus_records.py``. One that the electricity
meter could not decrypt is named as such and nothing is made of it.

Sources: OPG and MEPG, ET11, ET13, ET14, ET16, ET36, ET45.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final, Literal

from nesgw.tables.identity import ByteOrder
from nesgw.tables.mbus_records import MbusValue, decode_records, unique
from nesgw.tables.queues import LogSize, NewEntries, Queue
from nesgw.tables.register import EXTENDED, Part, nonsense
from nesgw.tables.times import decode_local
from nesgw.values import plain_id

ET11: Final = Part("ET11", EXTENDED + 11, 0, 7)
ET45: Final = EXTENDED + 45

CHANNELS: Final = 4  # the first indexes of ET13 to ET16 are of M-Bus, the others of MEP devices
MOST_DEVICES: Final = 8  # more than any guide's meter has; ET14 has one bit for each
STATUS_HEAD: Final = 6
PLAN: Final = 28  # bytes of an ET13 entry before the length of the key and the key

BAUDS: Final = (9600, 300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200)
PERIODS: Final = ("hourly", "daily", "weekly", "monthly", "never")
# EN 13757-3; MEPG names 3, 4, 6 and 7.
MEDIA: Final[Mapping[int, str]] = MappingProxyType(
    {
        2: "electricity",
        3: "gas",
        4: "heat",
        6: "hot_water",
        7: "water",
        10: "cooling",
        13: "heat_cooling",
        22: "cold_water",
    }
)
HEADER: Final = 12  # bytes of a telegram of variable structure before its records
CONDITIONS: Final[Mapping[int, str]] = MappingProxyType({2: "power_low", 3: "permanent_error", 4: "temporary_error"})
APPLICATION: Final[tuple[tuple[str, ...], ...]] = ((), ("busy",), ("application_error",), ())

DeviceState = Literal["empty", "up", "down"]

# ET14, alarms of a device by bit: latched.
ALARMS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "billing_data_collected",
        2: "new_device",
        3: "billing_overflow",
        4: "communication_failed",
        5: "serial_mismatch",
        6: "firmware_switched",
        7: "firmware_switch_failed",
    }
)

# ET16.6
MSB_FIRST: Final = 0x01
FIXED: Final = 0x02
DECRYPTED: Final = 0x04
SECURITY_FAILED: Final = 0x20

RESULT_OK: Final = 4  # ET45
MBUS_HANDLES: Final = range(1, 1000)


@dataclass(frozen=True, slots=True)
class MbusDimensions:
    """ET11, as far as it is about devices."""

    devices: int
    plan: int  # bytes of an entry of ET13
    status: int  # of ET14
    data: int  # of ET16

    @property
    def statuses(self) -> Part:
        """The whole of ET14."""
        return Part("ET14", EXTENDED + 14, 0, STATUS_HEAD + self.devices * self.status)

    def read_plan(self, index: int) -> Part:
        """A device's entry in ET13, up to its key."""
        return Part(f"ET13 {index}", EXTENDED + 13, index * self.plan, PLAN)

    def latest(self, device: MbusDevice) -> Part | None:
        """A device's entry in ET16, as far as it is filled; None if it is empty."""
        size = min(device.billing_length, self.data)
        return Part(f"ET16 {device.index}", EXTENDED + 16, device.index * self.data, size) if size else None


@dataclass(frozen=True, slots=True)
class MbusDevice:
    """One occupied entry of ET14."""

    index: int
    handle: int
    mbus: bool  # False: a MEP device, whose data only its maker knows
    state: DeviceState
    baud: int | None
    billing_length: int
    attempts: int
    answers: int
    alarms: tuple[str, ...]  # of ALARMS, or "bit_N"
    device_alarms: int  # the device's own alarm byte
    last_status: datetime | None
    last_billing: datetime | None


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """When the electricity meter reads a device (ET13), by local time."""

    day: int | None  # of the month
    weekday: int | None  # 0 is Sunday
    hour: int
    minute: int
    period: str
    status_minutes: int  # between status reads; 0: with the billing read
    baud: int | None
    customer: str

    @property
    def scheduled(self) -> bool:
        """Whether it is ever read by itself: neither its day is off (39) nor its period never."""
        return self.period != "never" and (self.day is not None or self.weekday is not None)


@dataclass(frozen=True, slots=True)
class MbusReading:
    """What one device told at some time."""

    time: datetime | None  # when it was read; UTC, or local without a zone where that is not known
    handle: int  # of the device in ET14
    serial: str
    manufacturer: str | None  # three letters; telegrams of fixed structure have none
    version: int | None
    medium: str  # of MEDIA, or "medium_N"
    access: int
    conditions: tuple[str, ...]  # "power_low", "permanent_error", …
    encrypted: bool  # not decrypted: no values
    complete: bool  # False: the electricity meter cut the telegram off
    values: tuple[MbusValue, ...]

    @property
    def id(self) -> str:
        """What it is known by: its manufacturer and serial number, as they stand in topics."""
        return plain_id(f"{self.manufacturer or ''}{self.serial}")


def decode_mbus_dimensions(data: bytes, byteorder: ByteOrder) -> MbusDimensions:
    """ET11."""
    data = ET11.whole(data)
    dimensions = MbusDimensions(data[0], data[1], data[2], int.from_bytes(data[5:7], byteorder))
    if dimensions.devices > MOST_DEVICES or (
        dimensions.devices and (dimensions.plan < PLAN or dimensions.status < 36 or dimensions.data < 11)
    ):
        raise nonsense("ET11", f"dimensions {data.hex(' ')}")
    return dimensions


def decode_devices(
    data: bytes, dimensions: MbusDimensions, byteorder: ByteOrder, zone: tzinfo | None = None
) -> tuple[MbusDevice, ...]:
    """ET14: the devices that are there."""
    data = dimensions.statuses.whole(data)
    devices = []
    for index in range(dimensions.devices):
        if not data[5] >> index & 1:
            continue
        entry = data[STATUS_HEAD + index * dimensions.status :][: dimensions.status]
        handle, length, alarms = (int.from_bytes(entry[at : at + 2], byteorder) for at in (0, 4, 14))
        attempts, answers = (int.from_bytes(entry[at : at + 4], byteorder) for at in (6, 10))
        devices.append(
            MbusDevice(
                index=index,
                handle=handle,
                mbus=entry[2] in (1, 2),
                state="up" if entry[2] in (1, 3) else "down" if entry[2] in (2, 4) else "empty",
                baud=_baud(entry[3]),
                billing_length=length,
                attempts=attempts,
                answers=answers,
                alarms=tuple(ALARMS.get(bit, f"bit_{bit}") for bit in range(16) if alarms >> bit & 1),
                device_alarms=entry[23],
                last_status=decode_local(entry[24:30], zone),
                last_billing=decode_local(entry[30:36], zone),
            )
        )
    return tuple(devices)


def decode_read_plan(part: Part, data: bytes, byteorder: ByteOrder) -> ReadPlan:
    """ET13: one entry without its key."""
    data = part.whole(data)
    day = data[0]
    return ReadPlan(
        day=max(day, 1) if day <= 28 else None,
        weekday=day - 32 if 32 <= day <= 38 else None,
        hour=data[1],
        minute=data[2],
        period=PERIODS[data[3]] if data[3] < len(PERIODS) else f"period_{data[3]}",
        status_minutes=int.from_bytes(data[4:6], byteorder),
        baud=_baud(data[6]),
        customer="".join(chr(byte) for byte in data[8:28].partition(b"\0")[0] if 32 <= byte < 127).strip(),
    )


def _baud(code: int) -> int | None:
    return BAUDS[code] if code < len(BAUDS) else None


# Telegrams


def mbus_queue(sizes: Mapping[int, LogSize]) -> Queue | None:
    """ET45 as ET36 describes it; None where that log is not set up. To be read with ``queues.look``."""
    size = sizes.get(ET45)
    return Queue("ET45", ET45, size.entries, size.entry) if size and size.entry > 8 else None


def decode_latest(device: MbusDevice, data: bytes, zone: tzinfo | None = None) -> MbusReading | None:
    """ET16: a device's entry; None if nothing was ever read.

    It may be months old: scheduled readings may go to ET45 instead. The later of the two times is the present one.
    """
    return _decode_reading("ET16", device.handle, data, zone)


def decode_queued(found: NewEntries, byteorder: ByteOrder, zone: tzinfo | None = None) -> tuple[MbusReading, ...]:
    """ET45: the readings of M-Bus devices, oldest first. Entries of other devices and of failed reads are left out."""
    readings = []
    for _, entry in found.entries:
        length, handle = (int.from_bytes(entry[at : at + 2], byteorder) for at in (0, 4))
        if handle in MBUS_HANDLES and entry[7] == RESULT_OK:
            reading = _decode_reading("ET45", handle, _queued_record(entry, length), zone)
            readings += [reading] if reading else []
    return tuple(readings)


def _queued_record(entry: bytes, length: int) -> bytes:
    """The record in an entry of ET45, without what an earlier entry left behind it.

    The guides count its length "handle to terminator", and do not say whether from the handle or from behind the
    length: the record is what ends where a telegram does.
    """
    readings = [entry[8 : start + length] for start in (4, 2)]
    return next((record for record in readings if _ends_with_a_telegram(record)), readings[0])


def _ends_with_a_telegram(record: bytes) -> bool:
    """Whether the last telegram, or a zero behind it, ends the record."""
    at = 7  # behind time and flags; the guide's worked example has its last zero within the telegram
    while at < len(record) and record[at] >= HEADER:
        at += 1 + record[at]
    return at == len(record) or (at == len(record) - 1 and not record[at])


def _decode_reading(table: str, handle: int, data: bytes, zone: tzinfo | None) -> MbusReading | None:
    """Decode time, flags and telegrams: what ET16 and the end of an entry of ET45 have in common."""
    if len(data) < 8 or not any(data):
        return None
    time, flags = decode_local(data[:6], zone), data[6]
    telegrams, complete = _split(data[7:])
    least = 16 if flags & FIXED else HEADER
    if not telegrams or len(telegrams[0]) < least:
        raise nonsense(table, f"a telegram without its header ({data[:24].hex(' ')})")
    if flags & FIXED:
        return _fixed(telegrams[0], time, handle, flags, complete)
    return _variable(telegrams, time, handle, flags, complete)


def _split(data: bytes) -> tuple[list[bytes], bool]:
    """Take the telegrams apart, each behind its length; False if the last of them is cut off."""
    telegrams: list[bytes] = []
    while data and (length := data[0]):
        telegrams.append(data[1 : 1 + length])
        if length >= len(data):
            return telegrams, False
        data = data[1 + length :]
    return telegrams, True


def _variable(
    telegrams: Sequence[bytes], time: datetime | None, handle: int, flags: int, complete: bool
) -> MbusReading:
    """Decode telegrams of variable structure: one header each, of one device, and data records."""
    msb_first = bool(flags & MSB_FIRST)
    serial, maker, (version, medium_code, access, status), signature = _header(telegrams[0], msb_first)
    medium = _medium(medium_code)
    values: list[MbusValue] = []
    encrypted = False
    for telegram in telegrams:
        if len(telegram) < HEADER:
            complete = False
            continue
        *_, signature = _header(telegram, msb_first)
        if flags & SECURITY_FAILED or (signature and not flags & DECRYPTED):
            encrypted = True
            continue
        found, whole = decode_records(_records(telegram), medium, msb_first=msb_first)
        values += found
        complete = complete and whole
    return MbusReading(
        time=time,
        handle=handle,
        serial=serial,
        manufacturer=_letters(maker),
        version=version,
        medium=medium,
        access=access,
        conditions=(*APPLICATION[status & 3], *_conditions(status)),
        encrypted=encrypted,
        complete=complete,
        values=unique(values),
    )


def _header(telegram: bytes, msb_first: bool) -> tuple[str, int, bytes, int]:
    """Serial number, manufacturer, the four single bytes and the signature."""
    serial, maker, signature = telegram[:4], telegram[4:6], telegram[10:12]
    order: ByteOrder = "big" if msb_first else "little"
    return (
        (serial if msb_first else serial[::-1]).hex(),
        int.from_bytes(maker, order),
        telegram[6:10],
        int.from_bytes(signature, order),
    )


def _records(telegram: bytes) -> bytes:
    """The data records, without the zero that the electricity meter puts behind them."""
    return telegram[HEADER:-1] if telegram[-1:] == b"\0" else telegram[HEADER:]


def _fixed(telegram: bytes, time: datetime | None, handle: int, flags: int, complete: bool) -> MbusReading:
    """Decode a telegram of fixed structure: two counters. Which units they count, the guides do not say."""
    step = 1 if flags & MSB_FIRST else -1
    serial, *counters = (telegram[at : at + 4][::step] for at in (0, 8, 12))
    status = telegram[5]
    values = []
    for number, counter in enumerate(counters, 1):
        digits = counter.hex()
        value = int.from_bytes(counter, "big") if status & 1 else int(digits) if digits.isdecimal() else None
        values.append(MbusValue(f"counter_{number}", f"Counter {number}", value, None, None, "total_increasing"))
    return MbusReading(
        time=time,
        handle=handle,
        serial=serial.hex(),
        manufacturer=None,
        version=None,
        medium=_medium(telegram[6] >> 6 | telegram[7] >> 4 & 0x0C),
        access=telegram[4],
        conditions=_conditions(status),
        encrypted=False,
        complete=complete,
        values=tuple(values),
    )


def _medium(code: int) -> str:
    return MEDIA.get(code, f"medium_{code}")


def _letters(maker: int) -> str | None:
    letters = "".join(chr((maker >> shift & 31) + 64) for shift in (10, 5, 0))
    return letters if letters.isalpha() else None


def _conditions(status: int) -> tuple[str, ...]:
    return tuple(condition for bit, condition in CONDITIONS.items() if status >> bit & 1)
