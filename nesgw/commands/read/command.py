"""nesgw read: one complete read of the meter, then exit."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nesgw.commands.target import Target, target, target_arguments, visit
from nesgw.commands.terminal.interrupt import INTERRUPTED, interruptible
from nesgw.errors import EX_OK, PortBusy, Stopped, WrongUsage

if TYPE_CHECKING:
    from nesgw.meter.visit import Visit
    from nesgw.plausibility import Reason
    from nesgw.values import Reading

# Long enough for a meter that busies itself elsewhere for a while, and short enough for a person who waits.
_LIMIT: Final = 45.0
_EVENTS: Final = 20
_READING: Final = "reading the meter"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    target_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the state object instead of a table")
    form.add_argument("--raw", action="store_true", help="print the tables' bytes in hex instead")
    more = parser.add_mutually_exclusive_group()
    more.add_argument(
        "--all", action="store_true", help="also clock, tariff, alarms, demands, sub-meters, last outages and events"
    )
    more.add_argument(
        "--events",
        type=int,
        nargs="?",
        const=_EVENTS,
        metavar="N",
        help=f"the newest N entries of event log and outages instead (default: {_EVENTS})",
    )


def run(options: argparse.Namespace) -> int:
    """Print a reading; while the daemon holds the port, its latest one.

    What that does not tell is read while the daemon lends the port.
    """
    chosen = target(options)
    if options.raw and (options.all or options.events is not None):
        raise WrongUsage(command="read", problem="--raw goes with neither --all nor --events")
    if options.events is not None and options.events < 1:
        raise WrongUsage(command="read", problem="--events takes a number from 1 on")
    try:
        if options.events is not None:
            _print_events(chosen, options)
        elif options.all:
            _print_everything(chosen, options)
        else:
            _print_reading(chosen, options)
    except Stopped:
        return INTERRUPTED
    except PortBusy as busy:
        if chosen.folder is None or options.events is not None or not _print_cached(chosen, options, busy):
            raise
    return EX_OK


def _print_reading(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.terminal.progress import Progress
    from nesgw.meter.session import Meter
    from nesgw.publishers import console, payloads

    meter = Meter(target.place)
    with Progress() as progress:
        try:
            progress.step(f"opening a session with the meter at {target.place.port}")
            with meter.session(time.monotonic() + _LIMIT):
                progress.step("asking the meter who it is and what it measures")
                facts = meter.facts()
                progress.step(f"reading {len(facts.layout.fields)} values")
                reading, doubts = _judged(meter.read, target.max_power)
        finally:
            meter.close()
    _say(doubts)
    if options.json:
        print(payloads.state(reading))
    elif options.raw:
        _print_raw(reading.tables)
    else:
        print(console.page(target.label, facts.identity, reading.time, reading.values), end="")


def _print_everything(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.read import pages
    from nesgw.meter.survey import Survey
    from nesgw.meter.zone import machine_zone
    from nesgw.publishers import console, payloads

    with _visiting(target) as there:
        facts = there.facts()
        reading, doubts = _judged(lambda: there.reading(facts), target.max_power)
        survey = Survey(facts, machine_zone())
        found = there.find(survey.everything())
    _say(doubts)
    for remark in survey.remarks:
        print(f"nesgw: {remark}", file=sys.stderr)
    if options.json:
        print(json.dumps({**json.loads(payloads.state(reading)), **found}, ensure_ascii=False, separators=(",", ":")))
    else:
        print(console.page(target.label, facts.identity, reading.time, reading.values), end="")
        print(*pages.survey(found, facts.alarms), sep="\n")


def _print_events(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.read import pages
    from nesgw.meter.survey import Survey
    from nesgw.meter.zone import machine_zone

    with _visiting(target) as there:
        entries = there.find(Survey(there.facts(), machine_zone()).log(options.events))
    plain = [entry.payload() for entry in entries]
    if options.json:
        print(json.dumps({"events": plain}, ensure_ascii=False, separators=(",", ":")))
    else:
        print(*pages.events(plain), sep="\n")


def _judged(read: Callable[[], Reading], max_power: float) -> tuple[Reading, tuple[Reason, ...]]:
    """Read once, and again if that is suspect; what is doubted then as well is unknown, not shown."""
    from nesgw.plausibility import Plausibility

    judge = Plausibility(max_power)
    reading = read()
    verdict = judge.judge(reading.values, time.monotonic())
    if not verdict.accepted:
        reading = read()
        verdict = judge.judge(reading.values, time.monotonic())
    return replace(reading, values=verdict.undoubted(reading.values)), verdict.reasons


def _say(doubts: tuple[Reason, ...]) -> None:
    for doubt in doubts:
        print(f"nesgw: not shown, for it cannot be: {doubt.text}", file=sys.stderr)


@contextmanager
def _visiting(target: Target) -> Iterator[Visit]:
    """Read beside the daemon, with a line that shows what goes on."""
    from nesgw.commands.terminal.progress import Progress

    with (
        interruptible() as asked,
        Progress() as progress,
        visit(target, lambda text: progress.step(text or _READING), asked.is_set) as there,
    ):
        progress.step(_READING)
        yield there


def _print_cached(target: Target, options: argparse.Namespace, busy: PortBusy) -> bool:
    """Print what the daemon read last. False if there is nothing of its."""
    from nesgw.publishers import console
    from nesgw.publishers.ram_disk import READING, TABLES, read_file, readings

    assert target.folder is not None  # noqa: S101 (asked by the caller)
    try:
        state = json.loads(read_file(target.folder / READING)[0])
        read_at = datetime.fromisoformat(state["time"])
        values = readings(state)
        tables = {name: read_file(target.folder / name)[0] for name in TABLES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    age = (datetime.now(UTC) - read_at).total_seconds()
    print(f"nesgw: {busy.happened}: this is its latest reading, {age:.0f} s old", file=sys.stderr)
    if options.json:
        print(json.dumps({"time": state["time"], **values}, separators=(",", ":")))
    elif options.raw:
        _print_raw(tables)
    else:
        print(console.page(target.label, None, read_at, values), end="")
    return True


def _print_raw(tables: Mapping[str, bytes]) -> None:
    for name, data in tables.items():
        print(f"{name} {data.hex(' ')}")
