"""nesgw history: intervals from the meter's own load profile, with their status."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw import CONFIG_FILE
from nesgw.commands.target import target, target_arguments
from nesgw.commands.terminal.interrupt import INTERRUPTED, Asked, interruptible
from nesgw.commands.terminal.screen import writable
from nesgw.commands.terminal.times import FORMS, option, take_times
from nesgw.errors import EX_OK, NesgwError, OutputFailed, Stopped, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.history.rows import Form, Row, Sheet
    from nesgw.commands.terminal.progress import Progress
    from nesgw.meter.reader import Reader

_AT_ONCE: Final = 256  # bytes that a terminal or a pipe that can be written to takes for sure
_LOOK: Final = 0.25
_SURE: Final = 0.1  # the share of the work after which its own pace is known
_OVERHEAD: Final = 1.5  # bytes on the wire for each of the load profile, before


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    when = f"{FORMS}; local time if it says no other"
    parser.add_argument("--from", dest="since", metavar="T", required=True, help=f"intervals after this: {when}")
    parser.add_argument("--to", dest="until", metavar="T", default="now", help="… and up to this (default: now)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV (the default where stdout is no terminal)")
    form.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--set", type=int, metavar="N", help="which set of channels, if the meter keeps several")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to a file; go on after the last row it has")
    target_arguments(parser)
    parser.epilog = (
        "30 days of 15 minutes take one to two minutes. The nesgw service, where it runs, reads them between "
        "its polls. Ctrl-C ends it properly and says how to go on."
    )
    take_times(parser)


def run(options: argparse.Namespace) -> int:
    """Write the rows as they come; 130 when interrupted."""
    from nesgw.commands.reader import CommandReader
    from nesgw.commands.terminal.progress import Progress

    since, until = _times(options)
    chosen = target(options)
    with interruptible() as asked, Progress() as progress:
        sink = _Sink(options, progress)
        work = _Work(options, progress, sink, since, until)
        try:
            with CommandReader(chosen, stop=asked.is_set, say=work.waiting) as reader:
                work.read(reader)
            sink.flush(asked)
        except (Stopped, NesgwError) as problem:
            sink.flush(asked)
            progress.clear()
            work.say_how_to_go_on()
            if isinstance(problem, Stopped):
                if sink.last is None:
                    print("nesgw: interrupted before the first row", file=sys.stderr)
                return INTERRUPTED
            raise
        finally:
            sink.close()
        if asked.is_set():
            work.say_how_to_go_on()
            return INTERRUPTED
    work.sum_up()
    return EX_OK


def _times(options: argparse.Namespace) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    since = option("history", "--from", options.since, now)
    until = option("history", "--to", options.until, now)
    if since >= min(until, now):
        problem = f"--from {options.since} is not before " + (f"--to {options.until}" if until <= now else "now")
        raise WrongUsage(command="history", problem=problem)
    return since, min(until, now)


class _Work:
    """The reading of one time."""

    def __init__(
        self, options: argparse.Namespace, progress: Progress, sink: _Sink, since: datetime, until: datetime
    ) -> None:
        self._options = options
        self._progress = progress
        self._sink = sink
        self._since = since
        self._until = until
        self._note = ""
        self._begun: float | None = None
        self._pace = 0.0  # seconds a byte, before it is known
        self._lost = 0
        self._read = (0, 0)

    def waiting(self, text: str) -> None:
        """Show what is being waited for; "" when that is over."""
        if self._begun is None:
            self._progress.step(text or "asking the meter what it keeps")
        else:
            self._show(note=text)

    def read(self, reader: Reader) -> None:
        """Read, and write each row as soon as it is there."""
        from nesgw.commands.history.rows import Sheet, kept_set, rows
        from nesgw.meter.profile import identify
        from nesgw.meter.reader import run, step
        from nesgw.tables.load_profile import ProfileReading

        self._progress.step("asking the meter what it keeps")
        facts = run(identify(), reader)
        kept = run(kept_set(facts, self._options.set), reader)
        form = _form(self._options)
        sheet = Sheet(kept, form, shutil.get_terminal_size().columns)
        since = self._sink.open(sheet, form, self._since)
        # One interval more: what the first one counted is its difference to that.
        profile = kept.profile
        reading = ProfileReading(
            profile, facts.general.byteorder, since - profile.duration, self._until, now=datetime.now(UTC)
        )
        self._pace = _OVERHEAD * 10 / 9600
        written = 0
        while reading.wanted is not None:
            step(reading, reader)
            fresh = [row for row in rows(reading.intervals, kept, written) if row.interval.end > since]
            written = len(reading.intervals)
            self._sink.add(sheet, fresh)
            self._read = reading.done, reading.total
            self._lost = reading.lost
            self._show()
        self._progress.clear()

    def _show(self, note: str = "") -> None:
        done, total = self._read
        if not total:
            self._progress.step(note or "looking for the blocks of that time")
            return
        if self._begun is None:
            self._begun = time.monotonic()
        spent = time.monotonic() - self._begun
        left = spent / done * (total - done) if done > _SURE * total else self._pace * (total - done)
        text = f"{done / 1000:.0f} of {total / 1000:.0f} kB, {_duration(left)} left"
        self._progress.bar(done / total, f"{text}: {note}" if note else text)

    def say_how_to_go_on(self) -> None:
        """Print the command that reads the rest."""
        last = self._sink.last
        options = self._options
        if options.output and self._sink.opened:
            print(f"nesgw: {options.output} is good so far; the same command goes on from there", file=sys.stderr)
            return
        if last is None or options.output:
            return
        words = ["nesgw", "history", "--from", _text(last), "--to", _text(self._until)]
        for name in ("csv", "json"):
            words += [f"--{name}"] if getattr(options, name) else []
        for name in ("set", "port", "key_file", "meter"):
            value = getattr(options, name)
            words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        words += [] if options.config == Path(CONFIG_FILE) else ["--config", str(options.config)]
        print(f"nesgw: to go on: {shlex.join(words)}", file=sys.stderr)

    def sum_up(self) -> None:
        """Say what a reader of the rows could not see."""
        if self._lost:
            print(f"nesgw: {self._lost} blocks were replaced by newer ones meanwhile: read again", file=sys.stderr)
        if not self._sink.count:
            more = f"more intervals than {self._options.output} has" if self._sink.went_on else "intervals"
            print(f"nesgw: the meter has no {more} of that time", file=sys.stderr)


def _form(options: argparse.Namespace) -> Form:
    if options.json:
        return "json"
    return "csv" if options.csv or options.output or not sys.stdout.isatty() else "table"


class _Sink:
    """Where the rows go. Never waits for whoever reads them while the port is ours: a pager may be slow for hours."""

    def __init__(self, options: argparse.Namespace, progress: Progress) -> None:
        self._path: Path | None = options.output
        self._progress = progress
        self._descriptor: int | None = None
        self._pending: deque[tuple[bytes, datetime | None]] = deque()  # lines, and which intervals they tell of
        self._in_a_line = False
        self.last: datetime | None = None  # the end of the last interval that was written
        self.count = 0
        self.went_on = False  # after rows that the file had

    def open(self, sheet: Sheet, form: Form, since: datetime) -> datetime:
        """Begin with the header; return after which moment to read."""
        from nesgw.commands.history.rows import go_on

        if self._path is None:
            self._descriptor = _descriptor()
            self._put(sheet.header, None)
            return since
        try:
            last = go_on(self._path, sheet, form) if self._path.exists() else None
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not self._path.stat().st_size:
                self._put(sheet.header, None)
        except OSError as error:
            raise WrongUsage(command="history", problem=f"{self._path}: {error.strerror}") from None
        self.went_on = last is not None
        return since if last is None else max(since, last)

    @property
    def opened(self) -> bool:
        """Whether the place to write to was found good."""
        return self._descriptor is not None

    def add(self, sheet: Sheet, rows: list[Row]) -> None:
        """Take rows, and write what can be written without waiting."""
        for row in rows:
            self._put(sheet.row(row), row.interval.end)
        self.count += len(rows)
        while self._pending and self._ready(0.0):
            self._write()

    def flush(self, asked: Asked) -> None:
        """Write the rest, unless we are asked to end."""
        while self._pending and not asked.is_set():
            if self._ready(_LOOK):
                self._write()

    def close(self) -> None:
        """Close the file."""
        if self._path is not None and self._descriptor is not None:
            os.close(self._descriptor)

    def _put(self, text: str, end: datetime | None) -> None:
        self._pending += ((line.encode(), end) for line in text.splitlines(keepends=True))

    def _ready(self, timeout: float) -> bool:
        return self._descriptor is None or writable(self._descriptor, timeout)

    def _write(self) -> None:
        data, end = self._pending.popleft()
        if not self._in_a_line:
            self._progress.clear()
        if self._descriptor is None:
            sys.stdout.write(data.decode())
        else:
            try:
                data = data[os.write(self._descriptor, data[:_AT_ONCE]) :]
            except BrokenPipeError:
                raise
            except OSError as error:
                self._pending.clear()  # nor would the rest find room
                raise OutputFailed(place=self._path or "the output", problem=error.strerror) from error
            self._in_a_line = bool(data)
            if data:
                self._pending.appendleft((data, end))
                return
        self.last = end or self.last


def _descriptor() -> int | None:
    """Stdout's, if it has one; a test's has none."""
    sys.stdout.flush()
    try:
        return sys.stdout.fileno()
    except OSError:
        return None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
