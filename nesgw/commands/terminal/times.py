"""Times as people write and read them: this machine's local time, if they say no other."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from nesgw.errors import WrongUsage

FORMS: Final = "2026-11-01, 2026-11-01T10:00, yesterday, today, now or -7d"

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHIFTS: Final = tuple(timedelta(minutes=minutes) for minutes in (-60, -30, 30, 60))  # of summer time, anywhere


def take_times(parser: argparse.ArgumentParser) -> None:
    """Have argparse take "-7d" behind an option for a value: it asks this whether a word with a dash is one."""
    parser._negative_number_matcher = re.compile(r"^-\d\S*$")


def moment(text: str, now: datetime) -> datetime:
    """Understand a time; without an offset it is this machine's local time. Raises ValueError."""
    try:
        return _moment(text, now)
    except OverflowError:
        raise ValueError(f"{text!r} is further away than a calendar reaches") from None


def _moment(text: str, now: datetime) -> datetime:
    today = datetime.combine(now.astimezone().date(), time())
    if text == "now":
        return now
    if text in ("today", "yesterday"):
        day = today if text == "today" else today - timedelta(days=1)
        return day.astimezone(UTC)
    if back := re.fullmatch(r"-(\d{1,6})([mhdw])", text):
        return now - timedelta(**{_UNITS[back[2]]: int(back[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write {FORMS}") from None
    try:
        return given.astimezone(UTC)
    except ValueError:  # "year 0 is out of range"
        raise OverflowError from None


def option(command: str, name: str, text: str, now: datetime) -> datetime:
    """Understand the time that an option gives. Raises WrongUsage."""
    try:
        return moment(text, now)
    except ValueError as error:
        raise WrongUsage(command=command, problem=f"{name}: {error}") from None


def local(moment: datetime) -> str:
    """Write an aware moment to the minute."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def which(moment: datetime) -> str:
    """Name the zone of a moment whose local time comes twice, when summer time ends; "" for any other."""
    shown = _shown(moment)
    twice = any(_shown(moment + shift) == shown for shift in _SHIFTS)
    return (moment.astimezone().tzname() or "") if twice else ""


def _shown(moment: datetime) -> datetime:
    return moment.astimezone().replace(tzinfo=None)
