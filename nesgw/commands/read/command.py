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

from nesgw.commands.target import Target, target, target_arguments
from nesgw.commands.terminal.interrupt import INTERRUPTED, interruptible
from nesgw.commands.terminal.numbers import at_least_one
from nesgw.errors import EX_OK, NesgwError, PortBusy, Stopped, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.reader import CommandReader
    from nesgw.meter.profile import Facts
    from nesgw.meter.reader import Reader
    from nesgw.plausibility import Reason
    from nesgw.values import MeterIdentity, Reading

_PATIENCE: Final = 45.0  # seconds for the daemon to answer
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
        "--all",
        action="store_true",
        help="also clock, tariff, alarms, demands, sub-meters, self-reads, last outages and events",
    )
    more.add_argument(
        "--events",
        type=at_least_one,
        nargs="?",
        const=_EVENTS,
        metavar="N",
        help=f"the newest N entries of event log and outages instead (default: {_EVENTS})",
    )


def run(options: argparse.Namespace) -> int:
    """Print a reading; while a daemon reads the meter, its latest one.

    What that does not have the daemon reads between its polls.
    """
    chosen = target(options)
    if options.raw and (options.all or options.events is not None):
        raise WrongUsage(command="read", problem="--raw goes with neither --all nor --events")
    try:
        if options.events is not None:
            _print_events(chosen, options)
        elif options.all:
            _print_everything(chosen, options)
        elif not _print_latest(chosen, options):
            _print_reading(chosen, options)
    except Stopped:
        return INTERRUPTED
    return EX_OK


def _print_reading(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.terminal.progress import Progress
    from nesgw.meter.introduction import ONE_SESSION
    from nesgw.meter.meter import Meter

    meter = Meter(target.with_key())
    with Progress() as progress:
        try:
            progress.step(f"opening a session with the meter at {target.meter.port}")
            with meter.session(time.monotonic() + ONE_SESSION):
                progress.step("asking the meter who it is and what it measures")
                facts = meter.facts()
                progress.step(f"reading {len(facts.layout.fields)} values")
                reading, doubts = _judged(meter.reading, target, facts)
        except PortBusy as busy:
            progress.clear()
            if not _print_cached(target, options, None, busy.happened):
                raise
            return
        finally:
            meter.close()
    _say(doubts)
    _print(target, options, facts.identity, reading)


def _print(target: Target, options: argparse.Namespace, identity: MeterIdentity, reading: Reading) -> None:
    from nesgw.publishers import console, payloads

    if options.json:
        print(_json(_with_identity(json.loads(payloads.state(reading)), identity)))
    elif options.raw:
        _print_raw(reading.tables)
    else:
        print(console.page(target.meter.shown_as, identity, reading.time, reading.values), end="")


def _print_everything(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.read import pages
    from nesgw.meter.profile import identify
    from nesgw.meter.queries.everything import everything
    from nesgw.meter.reader import run
    from nesgw.meter.zone import machine_zone
    from nesgw.publishers import payloads

    with _reader(target) as reader:
        facts = run(identify(), reader)
        reading, doubts = _judged(lambda: _values(facts, reader), target, facts)
        found = run(everything(facts, machine_zone()), reader)
    _say(doubts)
    for remark in found.remarks:
        print(f"nesgw: {remark}", file=sys.stderr)
    if options.json:
        state = json.loads(payloads.state(reading))
        print(_json(_with_identity(state, facts.identity) | pages.plain(found)))
    else:
        _print(target, options, facts.identity, reading)
        print(*pages.everything(found, facts.alarms), sep="\n")


def _values(facts: Facts, reader: Reader) -> Reading:
    layout = facts.layout
    blocks = {part.name: reader.read(part) for part in layout.reads}
    return layout.reading(blocks, datetime.now(UTC))


def _print_events(target: Target, options: argparse.Namespace) -> None:
    from nesgw.commands.read import pages
    from nesgw.meter.profile import identify
    from nesgw.meter.queries.everything import last_log_entries
    from nesgw.meter.reader import run
    from nesgw.meter.zone import machine_zone
    from nesgw.publishers import payloads

    with _reader(target) as reader:
        entries = run(last_log_entries(run(identify(), reader), options.events, machine_zone()), reader)
    if options.json:
        print(_json({"events": [payloads.log_entry(entry) for entry in entries]}))
    else:
        print(*pages.log(entries), sep="\n")


def _judged(read: Callable[[], Reading], target: Target, facts: Facts) -> tuple[Reading, tuple[Reason, ...]]:
    """Read once, and again if that is suspect; what is doubted then as well is unknown, not shown."""
    from nesgw.plausibility import Plausibility

    limit = target.meter.power_limit(facts.installation.power_ratio)
    judge = Plausibility(limit, register_unit=facts.layout.energy_unit)
    reading = read()
    verdict = judge.judge(reading.values, time.monotonic())
    if not verdict.accepted:
        reading = read()
        verdict = judge.judge(reading.values, time.monotonic())
    return replace(reading, values=verdict.undoubted(reading.values)), verdict.reasons


def _say(doubts: tuple[Reason, ...]) -> None:
    for doubt in doubts:
        print(f"nesgw: not shown, because it is not possible: {doubt.text}", file=sys.stderr)


@contextmanager
def _reader(target: Target) -> Iterator[CommandReader]:
    """Read the meter, or have the daemon read it, with a line that shows what goes on."""
    from nesgw.commands.reader import CommandReader
    from nesgw.commands.terminal.progress import Progress

    with (
        interruptible() as asked,
        Progress() as progress,
        CommandReader(target, stop=asked.is_set, say=lambda text: progress.step(text or _READING)) as reader,
    ):
        progress.step(_READING)
        yield reader


# Beside a daemon


def _print_latest(target: Target, options: argparse.Namespace) -> bool:
    """Print what a running daemon read last. False where none runs, or where it has not read anything yet."""
    from nesgw.meter.remote_reader import RemoteReader, connect

    if target.folder is None:
        return False
    why = "the nesgw service reads this meter"
    try:
        connection = connect(target.folder)
    except (BlockingIOError, PermissionError):  # its files may be read by all
        return _print_cached(target, options, None, why)
    except OSError:
        return False
    if connection is None:
        return False
    remote = RemoteReader(connection, patience=_PATIENCE)
    try:
        return _print_cached(target, options, _identity(remote), why)
    finally:
        remote.close()


def _identity(reader: Reader) -> MeterIdentity | None:
    """Ask who the meter is, which the daemon remembers."""
    from nesgw.meter.profile import ask_identity
    from nesgw.meter.reader import run

    try:
        return run(ask_identity(), reader)
    except NesgwError:
        return None


def _print_cached(target: Target, options: argparse.Namespace, identity: MeterIdentity | None, why: str) -> bool:
    """Print the daemon's latest reading. False if there is none."""
    from nesgw.publishers import console
    from nesgw.publishers.payloads import timestamp
    from nesgw.publishers.ram_disk import READING, TABLES, read_file, readings

    if target.folder is None:
        return False
    try:
        state = json.loads(read_file(target.folder / READING)[0])
        read_at = datetime.fromisoformat(state["time"])
        values = readings(state)
        tables = {name: read_file(target.folder / name)[0] for name in TABLES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    age = (datetime.now(UTC) - read_at).total_seconds()
    print(f"nesgw: {why}: this is its latest reading, {age:.0f} s old", file=sys.stderr)
    if options.json:
        print(_json(_with_identity({"time": timestamp(read_at), **values}, identity)))
    elif options.raw:
        _print_raw(tables)
    else:
        print(console.page(target.meter.shown_as, identity, read_at, values), end="")
    return True


def _with_identity(state: Mapping[str, object], identity: MeterIdentity | None) -> dict[str, object]:
    """The state object with who the meter is, behind its time."""
    who = {
        "id": identity.id if identity else None,
        "model": identity.model if identity else None,
        "serial_number": identity.serial if identity else None,
    }
    return {"time": state["time"], **who, **{key: value for key, value in state.items() if key != "time"}}


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _print_raw(tables: Mapping[str, bytes]) -> None:
    for name, data in tables.items():
        print(f"{name} {data.hex(' ')}")
