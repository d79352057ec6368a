"""Which meter a command reads: one of the configuration, or a port and a key file without one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nesgw.commands.check_config import config_argument
from nesgw.errors import ConfigError, WrongUsage

if TYPE_CHECKING:
    from nesgw.config.settings import MeterSettings, Settings
    from nesgw.meter.visit import Visit


@dataclass(frozen=True, slots=True)
class Target:
    """What to read."""

    meter: MeterSettings
    folder: Path | None  # the daemon's for this meter, on the RAM disk


def target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which meter."""
    config_argument(parser)
    parser.add_argument("--port", metavar="DEV", help="read this port without a configuration; needs --key-file")
    parser.add_argument("--key-file", metavar="FILE", help="the file with the key, for --port")
    parser.add_argument("--meter", metavar="NAME", help="which meter of the configuration")


def target(options: argparse.Namespace) -> Target:
    """Find out which meter is meant. Raises WrongUsage or ConfigError."""
    if bool(options.port) != bool(options.key_file):
        raise WrongUsage(command=options.command, problem="--port and --key-file go together")
    if options.port and options.meter:
        raise WrongUsage(command=options.command, problem="--meter is for the configuration, which --port does without")
    return _from_options(options) if options.port else _from_config(options)


def _from_options(options: argparse.Namespace) -> Target:
    from nesgw.config.secrets import read_key_file
    from nesgw.config.settings import MeterSettings

    try:
        key = read_key_file(options.key_file)
    except ValueError as error:
        raise ConfigError([f"--key-file: {error}"]) from None
    return Target(MeterSettings(options.port, options.port, key=key.value, session="per-poll"), None)


def _from_config(options: argparse.Namespace) -> Target:
    from nesgw.config import loader

    settings = loader.load(options.config)
    meter = choose(settings, options.meter)
    meter = replace(meter, session="per-poll", negotiate_baud=False)
    return Target(meter, settings.cache.directory / meter.name)


def choose(settings: Settings, name: str | None) -> MeterSettings:
    """Return the meter of that name, or the only one."""
    names = [meter.name for meter in settings.meters]
    if name is None and len(names) > 1:
        raise ConfigError([f"several meters are configured: name one with --meter ({', '.join(names)})"])
    for meter in settings.meters:
        if name in (None, meter.name):
            return meter
    raise ConfigError([f"--meter {name}: no such meter in the configuration; it has {', '.join(names)}"])


def visit(target: Target, say: Callable[[str], None], stop: Callable[[], bool] = lambda: False) -> Visit:
    """Begin reads that leave the daemon its polls."""
    from nesgw.meter.session import Meter
    from nesgw.meter.visit import Visit

    return Visit(Meter(target.meter, stop=stop), target.meter, target.folder, stop=stop, say=say)
