"""Intervals of the meter's load profile as rows of text: a table, CSV, or one JSON object a line.

Says which set of channels is read and what its columns are, and writes each interval with what was counted in it. Knows
no port; reads a file's end only to go on where it stops.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from nesgw.errors import NoLoadProfile, WrongUsage
from nesgw.meter.profile import Facts
from nesgw.meter.queries.load_profile import KeptProfile, kept_profile, primary_set, profile_sets
from nesgw.publishers.console import number
from nesgw.tables.load_profile import Channel, Interval, consumption
from nesgw.tables.query import Query
from nesgw.tables.times import iso
from nesgw.values import Number

Form = Literal["table", "csv", "json"]

_TIME_WIDTH: Final = 16
_REGISTER_WIDTH: Final = 12
_COUNTED_WIDTH: Final = 10
_STATUS_WIDTH: Final = 15  # two blanks, and mostly not more than "power failure"
_JSON_BEGINS: Final = b'{"time":'
_LAST_LINES: Final = 8192  # bytes at a file's end that hold its last row


# What there is


def kept_set(facts: Facts, wanted: int | None) -> Query[KeptProfile]:
    """Find the set with that number, counted from 1; None: the one that the meter calls its primary one.

    Raises NoLoadProfile, and WrongUsage for a number that is not there.
    """
    sets = yield from profile_sets(facts)
    if not sets:
        raise NoLoadProfile
    chosen = (yield from primary_set(facts, sets)) if wanted is None else wanted
    if chosen not in sets:
        there = ", ".join(str(each) for each in sets)
        raise WrongUsage(command="history", problem=f"the meter has no set {chosen} of channels; it has {there}")
    return (yield from kept_profile(facts, sets[chosen]))


# Rows


@dataclass(frozen=True, slots=True)
class Row:
    """An interval with what its counting registers counted in it."""

    interval: Interval
    used: tuple[Number | None, ...]


def rows(intervals: Sequence[Interval], kept: KeptProfile, first: int = 0) -> Iterator[Row]:
    """Compare each interval from the ``first`` on to the one before it."""
    for place in range(first, len(intervals)):
        used: tuple[Number | None, ...] = (None,) * len(kept.channels)
        if place:
            used = consumption(intervals[place - 1], intervals[place], kept.channels, kept.profile.duration)
        yield Row(intervals[place], used)


def status(row: Row, kept: KeptProfile) -> Iterator[str]:
    """Yield what the meter says of an interval: of all of it, then of single channels."""
    yield from row.interval.flags
    said = zip(kept.channels, row.interval.statuses, strict=True)
    yield from (f"{channel.key}:{word}" for channel, word in said if word)


class Sheet:
    """Writes rows in one form; a table not wider than ``width``, if that can be."""

    def __init__(self, kept: KeptProfile, form: Form, width: int | None = None) -> None:
        self._kept = kept
        self._width = width
        self._header, self._row = {
            "table": (self._table_header, self._table_row),
            "csv": (self._csv_header, self._csv_row),
            "json": (lambda: "", self._json_row),
        }[form]

    @property
    def header(self) -> str:
        """What comes first."""
        return self._header()

    def row(self, row: Row) -> str:
        """One line, or one object."""
        return self._row(row)

    def _counting(self) -> list[int]:
        return [number for number, channel in enumerate(self._kept.channels) if channel.counts]

    def _csv_header(self) -> str:
        channels = self._kept.channels
        names = [f"{channel.key}{_unit(channel)}" for channel in channels]
        used = [f"{channels[index].key} in the interval{_unit(channels[index])}" for index in self._counting()]
        return _csv(["time", *names, *used, "status"])

    def _csv_row(self, row: Row) -> str:
        used = [row.used[index] for index in self._counting()]
        values = row.interval.values(self._kept.channels)
        return _csv([_time(row), *values, *used, " ".join(status(row, self._kept))])

    def _json_row(self, row: Row) -> str:
        channels = self._kept.channels
        content = {
            "time": _time(row),
            **dict(zip((channel.key for channel in channels), row.interval.values(channels), strict=True)),
            "in_the_interval": {channels[index].key: row.used[index] for index in self._counting()},
            "status": list(status(row, self._kept)),
        }
        return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"

    def _columns(self) -> list[_Column]:
        """All columns but time and status; the registers only if there is room for them beside what they counted."""
        channels = list(enumerate(self._kept.channels))
        everything: list[_Column] = []
        for index, channel in channels:
            everything.append(_Column(index, channel))
            everything += [_Column(index, channel, ("counted",))] if channel.counts else []
        if self._width is None or _table_width(everything) <= self._width:
            return everything
        return [
            _Column(index, channel, (*textwrap.wrap(channel.name, _COUNTED_WIDTH), "counted"))
            if channel.counts
            else _Column(index, channel)
            for index, channel in channels
        ]

    def _table_header(self) -> str:
        columns = self._columns()
        titles = [column.title for column in columns]
        height = max(len(title) for title in titles)
        lines = [["" for _ in columns] for _ in range(height)]
        for place, title in enumerate(titles):
            for line, text in enumerate(reversed(title)):
                lines[-1 - line][place] = text
        left = [""] * (height - 2) + ["interval ends", "local time"]
        return "".join(self._line(first, cells, columns) + "\n" for first, cells in zip(left, lines, strict=True))

    def _table_row(self, row: Row) -> str:
        columns = self._columns()
        words = "  ".join(word.replace("_", " ") for word in status(row, self._kept) if word != "daylight_saving")
        cells = [column.cell(row, self._kept) for column in columns]
        line = self._line(f"{row.interval.end.astimezone():%Y-%m-%d %H:%M}", cells, columns)
        return f"{line}  {words}".rstrip() + "\n"

    def _line(self, first: str, cells: Sequence[str], columns: Sequence[_Column]) -> str:
        padded = "".join(f"  {cell:>{column.width}}" for cell, column in zip(cells, columns, strict=True))
        return f"{first:<{_TIME_WIDTH}}{padded}"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table: a register or, with the title of its own, what it counted in each interval."""

    index: int
    channel: Channel
    counted: tuple[str, ...] = ()

    @property
    def title(self) -> list[str]:
        """A few short lines, the last of them the unit."""
        unit = (self.channel.kind.unit if self.channel.kind else None) or ""
        return [*(self.counted or textwrap.wrap(self.channel.name, self.width)), unit]

    @property
    def width(self) -> int:
        """Characters that its values take."""
        return _COUNTED_WIDTH if self.counted else _REGISTER_WIDTH

    def cell(self, row: Row, kept: KeptProfile) -> str:
        """The value in a row."""
        value = row.used[self.index] if self.counted else row.interval.values(kept.channels)[self.index]
        if self.channel.kind is None:
            return "–" if value is None else str(value)
        return number(value, self.channel.kind)


def _table_width(columns: Sequence[_Column]) -> int:
    return _TIME_WIDTH + sum(2 + column.width for column in columns) + _STATUS_WIDTH


def _time(row: Row) -> str:
    return str(iso(row.interval.end))


def _unit(channel: Channel) -> str:
    return f" ({channel.kind.unit})" if channel.kind and channel.kind.unit else ""


def _csv(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


# Going on with a file


def go_on(path: Path, sheet: Sheet, form: Form) -> datetime | None:
    """Find the time of a file's last row; None if it has none yet. A line that is not whole is cut off.

    Raises WrongUsage, and leaves the file alone, if it holds anything else than rows of this kind.
    """
    with path.open("r+b") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LAST_LINES))
        tail = file.read()
        file.seek(0)
        head = sheet.header.encode() or _JSON_BEGINS
        begins = file.read(len(head))
        if not head.startswith(begins):
            raise WrongUsage(command="history", problem=f"{path} has other columns: name another file")
        whole = tail.rfind(b"\n") + 1
        last = tail[:whole].decode(errors="replace").splitlines(keepends=True)
        found = _time_of(last[-1], form, path) if last and last[-1] != sheet.header else None
        file.truncate(size - len(tail) + whole)
    return found


def _time_of(line: str, form: Form, path: Path) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(line)["time"] if form == "json" else line.partition(",")[0])
    except (ValueError, KeyError, TypeError):
        raise WrongUsage(command="history", problem=f"{path} has other rows: name another file") from None
