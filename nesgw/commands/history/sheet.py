"""Rows and sums as text: a table, CSV, one JSON object a line, InfluxDB's line protocol. Pure."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from nesgw.commands.history.rows import Row, status
from nesgw.commands.history.sums import Span, Sum
from nesgw.commands.terminal.times import local, which
from nesgw.meter.queries.load_profile import KeptProfile
from nesgw.publishers.console import number
from nesgw.tables.load_profile import Channel
from nesgw.tables.times import iso
from nesgw.values import Number

Form = Literal["table", "csv", "json", "influx"]

MEASUREMENT: Final = "nesgw"  # in InfluxDB
_STATUS_WIDTH: Final = 15  # two blanks, and mostly not more than "power failure"
_INCOMPLETE: Final = "incomplete"
_PLAIN_TIME: Final = "%Y-%m-%d %H:%M:%S"  # as spreadsheets of all languages understand it


class Sheet(Protocol):
    """Writes what was read, line by line."""

    @property
    def header(self) -> str:
        """What comes first; "" where there is nothing."""

    @property
    def begins(self) -> str:
        """How each file of this kind begins."""

    def row(self, row: Row) -> str:
        """One interval."""

    def sum(self, span: Sum) -> str:
        """One hour, day or month."""

    def time(self, line: str) -> datetime:
        """Find the interval's end in a line that ``row`` has written. Raises ValueError, KeyError or TypeError."""


def sheet(
    kept: KeptProfile,
    form: Form,
    *,
    width: int | None = None,
    span: Span | None = None,
    decimal_comma: bool = False,
    meter: str = "",
) -> Sheet:
    """Choose; a table is not wider than ``width``, if that can be. ``meter`` is the id that InfluxDB gets as a tag."""
    match form:
        case "table":
            return _Table(kept, width, span)
        case "csv":
            return _Csv(kept, span, decimal_comma=decimal_comma)
        case "json":
            return _Json(kept)
        case "influx":
            return _Influx(kept, meter)


def total(kept: KeptProfile, span: Sum) -> str:
    """What was counted in all, in words."""
    pairs = zip(kept.channels, span.values(kept), strict=True)
    words = [
        f"{channel.name} {number(value, channel.kind)} {channel.kind.unit}" + _mark(place in span.incomplete)
        for place, (channel, value) in enumerate(pairs)
        if channel.counts and channel.kind and value is not None
    ]
    return ", ".join(words)


def _mark(incomplete: bool) -> str:
    return f" ({_INCOMPLETE})" if incomplete else ""


def _counting(kept: KeptProfile) -> list[int]:
    return [place for place, channel in enumerate(kept.channels) if channel.counts]


def _named(kept: KeptProfile, places: Iterable[int]) -> list[str]:
    return [kept.channels[place].key for place in sorted(places)]


# CSV


class _Csv:
    """Times are ends in UTC; those of sums are beginnings in local time, a day or a month without an hour.

    Spreadsheets take a time with a T or a zone for text: where a decimal comma says that this is for one, times have
    neither. The head says that they are UTC, and of two hours alike the status says which.
    """

    def __init__(self, kept: KeptProfile, span: Span | None, *, decimal_comma: bool) -> None:
        self._kept = kept
        self._span = span
        self._decimal_comma = decimal_comma
        self._between = ";" if decimal_comma else ","

    @property
    def header(self) -> str:
        channels = self._kept.channels
        used = [f"{channels[index].key} in the interval{_unit(channels[index])}" for index in _counting(self._kept)]
        if self._span:
            return self._line(
                [self._span, *(each.replace("the interval", f"the {self._span}") for each in used), "status"]
            )
        time = "time (UTC)" if self._decimal_comma else "time"
        return self._line([time, *(f"{channel.key}{_unit(channel)}" for channel in channels), *used, "status"])

    @property
    def begins(self) -> str:
        return self.header

    def row(self, row: Row) -> str:
        used = [row.used[index] for index in _counting(self._kept)]
        values = row.interval.values(self._kept.channels)
        end = f"{row.interval.end.astimezone(UTC):{_PLAIN_TIME}}" if self._decimal_comma else iso(row.interval.end)
        return self._line([end, *values, *used, " ".join(status(row, self._kept))])

    def sum(self, span: Sum) -> str:
        values = span.values(self._kept)
        marks = [f"{key}:{_INCOMPLETE}" for key in _named(self._kept, span.incomplete)]
        begin = _begin(span, self._span)
        if self._decimal_comma and self._span == "hour":
            begin = f"{span.begin:{_PLAIN_TIME}}"
            marks = [*filter(None, [which(span.begin)]), *marks]
        return self._line([begin, *(values[index] for index in _counting(self._kept)), " ".join(marks)])

    def time(self, line: str) -> datetime:
        time = datetime.fromisoformat(line.partition(self._between)[0])
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def _line(self, cells: Sequence[object]) -> str:
        line = io.StringIO()
        if self._decimal_comma:
            cells = [str(cell).replace(".", ",") if isinstance(cell, float) else cell for cell in cells]
        csv.writer(line, delimiter=self._between, lineterminator="\n").writerow(cells)
        return line.getvalue()


def _begin(span: Sum, length: Span | None) -> str:
    forms = {"day": "%Y-%m-%d", "month": "%Y-%m"}
    return f"{span.begin:{forms[length]}}" if length in forms else str(iso(span.begin))


def _unit(channel: Channel) -> str:
    return f" ({channel.kind.unit})" if channel.kind and channel.kind.unit else ""


# JSON


class _Json:
    """One object a line."""

    header = ""
    begins = '{"time":'

    def __init__(self, kept: KeptProfile) -> None:
        self._kept = kept

    def row(self, row: Row) -> str:
        channels = self._kept.channels
        return _json_line(
            {
                "time": iso(row.interval.end),
                **dict(zip((channel.key for channel in channels), row.interval.values(channels), strict=True)),
                "in_the_interval": {channels[index].key: row.used[index] for index in _counting(self._kept)},
                "status": list(status(row, self._kept)),
            }
        )

    def sum(self, span: Sum) -> str:
        values = span.values(self._kept)
        return _json_line(
            {
                "from": iso(span.begin.astimezone(UTC)),
                "to": iso(span.until),
                "intervals": span.intervals,
                "counted": {self._kept.channels[index].key: values[index] for index in _counting(self._kept)},
                "incomplete": _named(self._kept, span.incomplete),
            }
        )

    def time(self, line: str) -> datetime:
        return datetime.fromisoformat(json.loads(line)["time"])


def _json_line(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"


# InfluxDB


class _Influx:
    """Line protocol: registers as they stood, at the meter's own time in nanoseconds. Without a register no line."""

    header = ""

    def __init__(self, kept: KeptProfile, meter: str) -> None:
        self._kept = kept
        self._series = f"{MEASUREMENT},meter={meter}"
        self.begins = f"{self._series} "

    def row(self, row: Row) -> str:
        pairs = zip(self._kept.channels, row.interval.values(self._kept.channels), strict=True)
        fields = [f"{channel.key}={float(value)!r}" for channel, value in pairs if value is not None]
        if not fields:
            return ""
        words = " ".join(status(row, self._kept))
        fields += [f'status="{words}"'] if words else []
        return f"{self._series} {','.join(fields)} {round(row.interval.end.timestamp())}000000000\n"

    def sum(self, span: Sum) -> str:
        raise NotImplementedError  # refused before: a database adds up by itself

    def time(self, line: str) -> datetime:
        return datetime.fromtimestamp(int(line.rsplit(" ", 1)[1]) / 1e9, UTC)


# A table


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: a register, or what it counted."""

    index: int
    channel: Channel
    width: int
    counted: bool
    title: tuple[str, ...]  # a few short lines, the last of them the unit

    def cell(self, values: Sequence[Number | None], used: Sequence[Number | None]) -> str:
        """The value in a row."""
        value = (used if self.counted else values)[self.index]
        if self.channel.kind is None:
            return "–" if value is None else str(value)
        return number(value, self.channel.kind)


class _Table:
    """In local time. As narrow as it has to be: without registers, then without the year, then with fewer columns."""

    def __init__(self, kept: KeptProfile, width: int | None, span: Span | None) -> None:
        self._kept = kept
        self._span = span
        self._columns, self._time_width = _fitting(kept, width, span)

    @property
    def header(self) -> str:
        height = max((len(column.title) for column in self._columns), default=2)
        ends = "interval ends" if self._time_width == _TIME else "ends"
        left = [""] * (height - 2) + ["from" if self._span else ends, "local time"]
        cells = [[""] * (height - len(column.title)) + list(column.title) for column in self._columns]
        lines = (self._line(first, [cell[at] for cell in cells]) for at, first in enumerate(left))
        return "".join(f"{line}\n" for line in lines)

    @property
    def begins(self) -> str:
        return self.header

    def row(self, row: Row) -> str:
        values = row.interval.values(self._kept.channels)
        words = [word.replace("_", " ") for word in status(row, self._kept) if word != "daylight_saving"]
        marks = [*filter(None, [which(row.interval.end)]), *words]
        return self._written(local(row.interval.end), values, row.used, marks)

    def sum(self, span: Sum) -> str:
        values = span.values(self._kept)
        begin = {"day": "%Y-%m-%d", "month": "%Y-%m"}.get(self._span or "", "%Y-%m-%d %H:%M")
        marks = [which(span.begin)] if self._span == "hour" else []
        marks += [_INCOMPLETE] if span.incomplete else []
        return self._written(f"{span.begin:{begin}}", values, values, [*filter(None, marks)])

    def time(self, line: str) -> datetime:
        raise ValueError(f"a table goes on with no file: {line}")

    def _written(
        self, time: str, values: Sequence[Number | None], used: Sequence[Number | None], marks: Sequence[str]
    ) -> str:
        shown = time if len(time) <= self._time_width else time[-self._time_width :]
        line = self._line(shown, [column.cell(values, used) for column in self._columns])
        return f"{line}  {'  '.join(marks)}".rstrip() + "\n"

    def _line(self, first: str, cells: Sequence[str]) -> str:
        padded = "".join(f"  {cell:>{column.width}}" for cell, column in zip(cells, self._columns, strict=True))
        return f"{first:<{self._time_width}}{padded}"


_REGISTER: Final = 12  # characters
_COUNTED: Final = 10
_NARROW: Final = 8
_TIME: Final = 16
_NARROW_TIME: Final = 11  # without the year


def _fitting(kept: KeptProfile, width: int | None, span: Span | None) -> tuple[list[_Column], int]:
    """Choose columns and the width of the time; what is left out last are the last channels."""
    channels = list(enumerate(kept.channels))
    counted = [_column(index, channel, _COUNTED, titled=True) for index, channel in channels if channel.counts]
    narrow = [_column(index, channel, _NARROW, titled=True) for index, channel in channels if channel.counts]
    mixed = [
        _column(index, channel, _COUNTED, titled=True) if channel.counts else _column(index, channel, _REGISTER)
        for index, channel in channels
    ]
    everything: list[_Column] = []
    for index, channel in channels:
        everything.append(_column(index, channel, _REGISTER))
        everything += [_column(index, channel, _COUNTED, titled=False)] if channel.counts else []
    choices = [counted] if span else [everything, mixed]
    for columns in choices:
        if width is None or _width(columns, _TIME) <= width:
            return columns, _TIME
    narrow = narrow or mixed
    while len(narrow) > 1 and _width(narrow, _NARROW_TIME) > (width or 0):
        narrow.pop()
    return narrow, _NARROW_TIME


def _column(index: int, channel: Channel, width: int, *, titled: bool | None = None) -> _Column:
    """Make a column: of a register, or of what it counted, with or without the register's name."""
    unit = (channel.kind.unit if channel.kind else None) or ""
    name = () if titled is False else tuple(textwrap.wrap(channel.name, width))
    what = () if titled is None else ("counted",)
    return _Column(index, channel, width, counted=titled is not None, title=(*name, *what, unit))


def _width(columns: Sequence[_Column], time: int) -> int:
    return time + sum(2 + column.width for column in columns) + _STATUS_WIDTH
