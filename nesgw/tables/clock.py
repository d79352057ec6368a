"""The meter's clock: BT52 in UTC, BT55 in local time with the tariff in force, BT53 for what lies between them.

Says how the clock stands to another one, and sets nothing.
Sources: OPG and MEPG, BT52, BT53, BT55.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final, Literal, NamedTuple

from nesgw.tables.identity import ByteOrder
from nesgw.tables.register import Part, nonsense
from nesgw.tables.times import decode_local, decode_utc

BT52: Final = Part("BT52", 52, 0, 7)
BT53: Final = Part("BT53", 53, 0, 6)
BT55: Final = Part("BT55", 55, 0, 9)

TierDrive = Literal["calendar", "manual_until_switch", "manual", "override"]
TIER_DRIVES: Final[tuple[TierDrive, ...]] = ("calendar", "manual_until_switch", "manual", "override")

ZONES: Final = range(-720, 841)  # minutes


class Clock(NamedTuple):
    """BT52, which the meter updates each second."""

    time: datetime | None  # UTC
    daylight_saving: bool  # in effect, but not in ``time``

    def drift(self, at: datetime) -> float | None:
        """How many seconds the meter's clock is ahead of ``at``, the aware moment of the reading.

        The meter tells whole seconds that have begun, so it is on average half a second further than it says.
        """
        return None if self.time is None else round((self.time - at).total_seconds() + 0.5, 1)


class LocalClock(NamedTuple):
    """BT55, which the meter updates each minute."""

    time: datetime | None  # local, without a zone
    daylight_saving: bool
    tier: int  # 0 is the first
    tier_drive: TierDrive
    special_schedule: int
    season: int

    def offset(self, clock: Clock) -> timedelta | None:
        """Local time minus UTC, to the quarter of an hour: the seconds of local time lag by up to a minute."""
        if self.time is None or clock.time is None:
            return None
        quarters = round((self.time - clock.time.replace(tzinfo=None)) / timedelta(minutes=15))
        return quarters * timedelta(minutes=15)


class ZoneRules(NamedTuple):
    """BT53: how local time comes from UTC."""

    change: time | None  # time of day at which daylight saving begins and ends
    shift: timedelta
    offset: timedelta  # without daylight saving


def decode_clock(data: bytes) -> Clock:
    """BT52."""
    data = BT52.whole(data)
    return Clock(time=decode_utc(data[:6]), daylight_saving=bool(data[6] & 0x08))


def decode_local_clock(data: bytes, byteorder: ByteOrder) -> LocalClock:
    """BT55; its last two bytes are one word of bit fields."""
    data = BT55.whole(data)
    status = int.from_bytes(data[7:9], byteorder)
    return LocalClock(
        time=decode_local(data[:6]),
        daylight_saving=bool(data[6] & 0x08),
        tier=status & 7,
        tier_drive=TIER_DRIVES[status >> 6 & 3],
        special_schedule=status >> 8 & 15,
        season=status >> 12,
    )


def decode_zone_rules(data: bytes, byteorder: ByteOrder) -> ZoneRules:
    """BT53; an offset that no zone on earth has is refused."""
    data = BT53.whole(data)
    offset = int.from_bytes(data[4:6], byteorder, signed=True)
    if offset not in ZONES:
        raise nonsense("BT53", f"a zone {offset} minutes from UTC")
    hour, minute, second = data[:3]
    valid = hour < 24 and minute < 60 and second < 60
    return ZoneRules(
        change=time(hour, minute, second) if valid else None,
        shift=timedelta(minutes=data[3]),
        offset=timedelta(minutes=offset),
    )
