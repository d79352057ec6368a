"""nesgw read: one complete read of the meter, then exit."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw.cli.check_config import config_argument
from nesgw.errors import EX_OK, EX_USAGE, ConfigError, PortBusy

if TYPE_CHECKING:
    from nesgw.config import Config, MeterSection
    from nesgw.meter import MeterPort

# Long enough for a meter that busies itself elsewhere for a while, and short enough for a person who waits.
_LIMIT: Final = 45.0
_TABLES: Final = ("BT23", "BT28")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--port", metavar="DEV", help="read this port without a configuration; needs --key-file")
    parser.add_argument("--key-file", metavar="FILE", help="the file with the key, for --port")
    parser.add_argument("--meter", metavar="NAME", help="which meter of the configuration")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the state object instead of a table")
    form.add_argument("--raw", action="store_true", help="print the tables' bytes in hex instead")


def run(options: argparse.Namespace) -> int:
    """Print a reading; while the daemon holds the port, its latest one."""
    if bool(options.port) != bool(options.key_file):
        print("nesgw read: --port and --key-file go together; see: nesgw read --help", file=sys.stderr)
        return EX_USAGE
    target = _from_options(options) if options.port else _from_config(options)
    try:
        _print_reading(target, options)
    except PortBusy as busy:
        if target.cache is None or not _print_cached(target, options, busy):
            raise
    return EX_OK


@dataclass(frozen=True, slots=True)
class _Target:
    """What to read."""

    label: str
    place: MeterPort
    max_power: float
    cache: Path | None  # the daemon's folder for this meter


def _from_options(options: argparse.Namespace) -> _Target:
    from nesgw.config import MeterSection, read_key_file
    from nesgw.meter import MeterPort

    try:
        key = read_key_file(options.key_file)
    except ValueError as error:
        raise ConfigError([f"--key-file: {error}"]) from None
    default = MeterSection.model_fields["max_power"].default
    return _Target(options.port, MeterPort(options.port, key.value), default, None)


def _from_config(options: argparse.Namespace) -> _Target:
    from nesgw import config
    from nesgw.meter import MeterPort

    loaded, secrets = config.load(options.config)
    meter = choose(loaded, options.meter)
    place = MeterPort(meter.port, secrets.keys[meter.name].value, meter.first_baud, meter.rts, meter.dtr)
    return _Target(meter.label or meter.name, place, meter.max_power, Path(loaded.cache.directory, meter.name))


def choose(config: Config, name: str | None) -> MeterSection:
    """Return the meter of that name, or the only one."""
    names = [meter.name for meter in config.meter]
    if name is None and len(names) > 1:
        raise ConfigError([f"several meters are configured: name one with --meter ({', '.join(names)})"])
    for meter in config.meter:
        if name in (None, meter.name):
            return meter
    raise ConfigError([f"--meter {name}: no such meter in the configuration; it has {', '.join(names)}"])


def _print_reading(target: _Target, options: argparse.Namespace) -> None:
    from nesgw.cli.progress import Progress
    from nesgw.meter import Meter
    from nesgw.plausibility import Plausibility
    from nesgw.publishers import console, payloads

    meter = Meter(target.place)
    judge = Plausibility(target.max_power)
    with Progress() as progress:
        try:
            progress.step(f"opening a session with the meter at {target.place.port}")
            with meter.session(time.monotonic() + _LIMIT):
                progress.step("asking the meter who it is and what it measures")
                facts = meter.facts()
                progress.step(f"reading {len(facts.layout.fields)} values")
                reading = meter.read()
                verdict = judge.judge(reading.values, time.monotonic())
                if not verdict.accepted:
                    progress.step("the reading is suspect; reading again")
                    reading = meter.read()
                    verdict = judge.judge(reading.values, time.monotonic())
        finally:
            meter.close()
    for reason in verdict.reasons:
        print(f"nesgw: suspect, also when read again: {reason.text}", file=sys.stderr)
    if options.json:
        print(payloads.state(reading))
    elif options.raw:
        _print_raw(reading.tables)
    else:
        print(console.page(target.label, facts.identity, reading.time, reading.values), end="")


def _print_cached(target: _Target, options: argparse.Namespace, busy: PortBusy) -> bool:
    """Print what the daemon read last. False if there is nothing of its."""
    from nesgw.publishers import console

    assert target.cache is not None  # noqa: S101 (asked by the caller)
    try:
        text = (target.cache / "reading.json").read_text(encoding="utf-8")
        state = json.loads(text)
        read_at = datetime.fromisoformat(state.pop("time"))
        tables = {name: (target.cache / name).read_bytes() for name in _TABLES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    age = (datetime.now(UTC) - read_at).total_seconds()
    print(f"nesgw: {busy.happened}: this is its latest reading, {age:.0f} s old", file=sys.stderr)
    if options.json:
        print(text)
    elif options.raw:
        _print_raw(tables)
    else:
        print(console.page(target.label, None, read_at, state), end="")
    return True


def _print_raw(tables: Mapping[str, bytes]) -> None:
    for name, data in tables.items():
        print(f"{name} {data.hex(' ')}")
