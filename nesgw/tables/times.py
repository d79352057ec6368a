"""The meter's dates: STIME_DATE and LTIME_DATE, plain binary bytes from the year to the minute or the second.

A date that was never set (month 0) or that no calendar has is None, never an error and never a number. Which tables
keep UTC and which local time is said where they are decoded.
Sources: OPG and MEPG, data types.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def decode_utc(data: bytes) -> datetime | None:
    """Five bytes or six, of a table that keeps UTC."""
    moment = decode_local(data)
    return moment and moment.replace(tzinfo=UTC)


def decode_local(data: bytes, zone: tzinfo | None = None) -> datetime | None:
    """Five bytes or six, of a table that keeps local time: in UTC if the zone is known, else without any.

    The hour that comes twice in autumn is taken for the first of the two: the meter does not say which it means.
    """
    year, month, day, hour, minute, second = data.ljust(6, b"\0")
    try:
        moment = datetime(2000 + year, month, day, hour, minute, second)
    except ValueError:
        return None
    return moment.replace(tzinfo=zone).astimezone(UTC) if zone else moment


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 to the second, with a Z for UTC: the meter's dates are no finer."""
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
