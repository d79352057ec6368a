"""nesgw history: intervals from the meter's own load profile, with their status."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw import CONFIG_FILE
from nesgw.commands.target import target, target_arguments
from nesgw.commands.terminal.interrupt import INTERRUPTED, interruptible
from nesgw.commands.terminal.screen import wrapped
from nesgw.commands.terminal.times import FORMS, local, option, take_times
from nesgw.errors import EX_OK, NesgwError, Stopped, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.history.sheet import Form, Sheet
    from nesgw.commands.history.sink import Sink
    from nesgw.commands.history.sums import Sum, Sums
    from nesgw.commands.terminal.progress import Progress
    from nesgw.meter.queries.load_profile import KeptProfile
    from nesgw.meter.reader import Reader
    from nesgw.tables.load_profile import Interval, ProfileReading

_SURE: Final = 0.1  # the share of the work after which its own pace is known
_OVERHEAD: Final = 1.5  # bytes on the wire for each of the load profile, before


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    when = f"{FORMS}; local time if it says no other"
    parser.add_argument("--from", dest="since", metavar="T", required=True, help=f"intervals after this: {when}")
    parser.add_argument("--to", dest="until", metavar="T", default="now", help="… and up to this (default: now)")
    parser.add_argument("--by", choices=("hour", "day", "month"), help="add up what was used, by local time")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV (the default where stdout is no terminal)")
    form.add_argument("--json", action="store_true", help="print one JSON object a line")
    form.add_argument("--influx", action="store_true", help="print InfluxDB's line protocol, at the meter's own times")
    parser.add_argument("--decimal-comma", action="store_true", help="CSV with semicolons and decimal commas")
    parser.add_argument("--set", type=int, metavar="N", help="which set of channels, if the meter keeps several")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write to a file; go on after the last row it has (-: stdout)"
    )
    target_arguments(parser)
    parser.epilog = (
        "30 days of 15 minutes take one to two minutes. The nesgw service, where it runs, reads them between "
        "its polls. Ctrl-C ends it properly and says how to go on."
    )
    take_times(parser)


def run(options: argparse.Namespace) -> int:
    """Write the rows as they come; 130 when interrupted."""
    from nesgw.commands.history.sink import Sink
    from nesgw.commands.reader import CommandReader
    from nesgw.commands.terminal.progress import Progress

    since, until = _times(options)
    _refuse_contradictions(options)
    chosen = target(options)
    with interruptible() as asked, Progress() as progress:
        sink = Sink(options.output, progress)
        work = _Work(options, progress, sink, since, until)
        try:
            with CommandReader(chosen, stop=asked.is_set, say=work.waiting) as reader:
                work.read(reader)
            work.sum_up()
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
    return EX_OK


def _times(options: argparse.Namespace) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    since = option("history", "--from", options.since, now)
    until = option("history", "--to", options.until, now)
    if since >= min(until, now):
        problem = f"--from {options.since} is not before " + (f"--to {options.until}" if until <= now else "now")
        raise WrongUsage(command="history", problem=problem)
    return since, min(until, now)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    if options.decimal_comma and (options.json or options.influx):
        raise WrongUsage(command="history", problem="--decimal-comma is for CSV")
    if options.influx and options.by:
        raise WrongUsage(command="history", problem="--by and --influx: the database adds up by itself")


class _Work:
    """The reading of one time."""

    def __init__(
        self, options: argparse.Namespace, progress: Progress, sink: Sink, since: datetime, until: datetime
    ) -> None:
        self._options = options
        self._progress = progress
        self._sink = sink
        self._since = since
        self._until = until
        self._form = _form(options)
        self._begun: float | None = None
        self._pace = 0.0  # seconds a byte, before it is known
        self._reading: ProfileReading | None = None
        self._kept: KeptProfile | None = None
        self._total: Sum | None = None

    def waiting(self, text: str) -> None:
        """Show what is being waited for; "" when that is over."""
        if self._begun is None:
            self._progress.step(text or "asking the meter what it keeps")
        else:
            self._show(note=text)

    def read(self, reader: Reader) -> None:
        """Read, and write each row as soon as it is there."""
        from nesgw.commands.history.rows import kept_set
        from nesgw.commands.history.sheet import sheet
        from nesgw.meter.profile import identify
        from nesgw.meter.reader import run, step
        from nesgw.tables.load_profile import ProfileReading

        options = self._options
        self._progress.step("asking the meter what it keeps")
        facts = run(identify(), reader)
        kept = self._kept = run(kept_set(facts, options.set), reader)
        form = sheet(
            kept,
            self._form,
            width=shutil.get_terminal_size().columns,
            span=options.by,
            decimal_comma=options.decimal_comma,
            meter=facts.identity.id,
        )
        since = self._sink.open(form, self._since, may_go_on=not options.by)
        # One interval more: what the first one counted is its difference to that.
        profile = kept.profile
        reading = self._reading = ProfileReading(
            profile, facts.general.byteorder, since - profile.duration, self._until, now=datetime.now(UTC)
        )
        self._pace = _OVERHEAD * 10 / 9600
        writer = _Writer(kept, form, self._sink, options.by, since)
        while reading.wanted is not None:
            step(reading, reader)
            writer.take(reading.intervals)
            self._show()
        self._total = writer.end()
        self._progress.clear()

    def _show(self, note: str = "") -> None:
        done, total = (self._reading.done, self._reading.total) if self._reading else (0, 0)
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
        if self._sink.path and self._sink.opened and not options.by:
            print(f"nesgw: {self._sink.path} is good so far; the same command goes on from there", file=sys.stderr)
            return
        if last is None or self._sink.path:
            return
        words = ["nesgw", "history", "--from", _text(last), "--to", _text(self._until)]
        for name in ("csv", "json", "influx", "decimal_comma"):
            words += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
        for name in ("by", "set", "port", "key_file", "interface", "meter"):
            value = getattr(options, name)
            words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        words += [] if options.config == Path(CONFIG_FILE) else ["--config", str(options.config)]
        print(f"nesgw: to go on: {shlex.join(words)}", file=sys.stderr)

    def sum_up(self) -> None:
        """Say what a reader of the rows could not see, and what was used in all."""
        reading, total = self._reading, self._total
        if reading is None or self._kept is None:
            return
        if reading.lost:
            print(f"nesgw: {reading.lost} blocks were replaced by newer ones meanwhile: read again", file=sys.stderr)
        oldest = reading.oldest
        if not self._sink.count:
            keeps = f"; it keeps {local(oldest)} and later" if oldest and not self._sink.went_on else ""
            more = f"more intervals than {self._sink.path} has" if self._sink.went_on else "intervals"
            print(f"nesgw: the meter has no {more} of that time{keeps}", file=sys.stderr)
        elif oldest and oldest > self._since + self._kept.profile.duration and not self._sink.went_on:
            print(f"nesgw: the meter keeps {local(oldest)} and later; what was before is lost", file=sys.stderr)
        if total and self._sink.count:
            self._close(total, self._kept)

    def _close(self, total: Sum, kept: KeptProfile) -> None:
        """The closing line: below a table, or on stderr where somebody looks at it."""
        from nesgw.commands.history.sheet import total as in_words

        count = "1 interval" if total.intervals == 1 else f"{total.intervals} intervals"
        words = f"{count} up to {local(total.until or total.begin)}"
        used = in_words(kept, total)
        line = f"{words}: {used}" if used else words
        if self._sink.path:
            print(wrapped(f"nesgw: {self._sink.path}: {line}", sys.stderr), file=sys.stderr)
        elif self._form == "table":
            self._sink.add(f"{wrapped(line, sys.stdout)}\n", None)
        elif sys.stderr.isatty():
            print(wrapped(f"nesgw: {line}", sys.stderr), file=sys.stderr)


class _Writer:
    """Makes rows or sums of intervals as they come."""

    def __init__(self, kept: KeptProfile, form: Sheet, sink: Sink, span: str | None, since: datetime) -> None:
        from nesgw.commands.history.sums import Sums

        self._kept = kept
        self._sheet = form
        self._sink = sink
        self._since = since
        self._taken = 0
        self._spans: Sums | None = Sums(kept, span, since) if span else None  # type: ignore[arg-type]
        self._all = Sums(kept, None, since)

    def take(self, intervals: list[Interval]) -> None:
        """Write what is new in a list that grows."""
        from nesgw.commands.history.rows import rows

        fresh, taken = intervals[self._taken :], self._taken
        self._taken = len(intervals)
        for _ in self._all.add(fresh):
            pass
        if self._spans:
            for span in self._spans.add(fresh):
                self._sink.add(self._sheet.sum(span), span.until)
            return
        for row in rows(intervals, self._kept, taken):
            if row.interval.end > self._since:
                self._sink.add(self._sheet.row(row), row.interval.end)

    def end(self) -> Sum | None:
        """Write the last span; return the sum of all."""
        if self._spans and (last := self._spans.rest()):
            self._sink.add(self._sheet.sum(last), last.until)
        return self._all.rest()


def _form(options: argparse.Namespace) -> Form:
    if options.json:
        return "json"
    if options.influx:
        return "influx"
    is_csv = options.csv or options.decimal_comma or options.output or not sys.stdout.isatty()
    return "csv" if is_csv else "table"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
