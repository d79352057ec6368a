"""Which meter a command reads: one of the configuration, or a port and a key file without one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nesgw.commands.check_config import config_argument
from nesgw.errors import ConfigError, WrongUsage

if TYPE_CHECKING:
    from nesgw.config.schema import Config, MeterSection
    from nesgw.meter.session import MeterPort
    from nesgw.meter.visit import Visit


@dataclass(frozen=True, slots=True)
class Target:
    """What to read."""

    label: str
    place: MeterPort
    max_power: float
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
    from nesgw.config.schema import MeterSection, read_key_file
    from nesgw.meter.session import MeterPort

    try:
        key = read_key_file(options.key_file)
    except ValueError as error:
        raise ConfigError([f"--key-file: {error}"]) from None
    default = MeterSection.model_fields["max_power"].default
    return Target(options.port, MeterPort(options.port, key.value), default, None)


def _from_config(options: argparse.Namespace) -> Target:
    from nesgw.config import schema as config
    from nesgw.meter.session import MeterPort

    loaded, secrets = config.load(options.config)
    meter = choose(loaded, options.meter)
    place = MeterPort(meter.port, secrets.keys[meter.name].value, meter.first_baud, meter.rts, meter.dtr)
    return Target(meter.label or meter.name, place, meter.max_power, Path(loaded.cache.directory, meter.name))


def choose(config: Config, name: str | None) -> MeterSection:
    """Return the meter of that name, or the only one."""
    names = [meter.name for meter in config.meter]
    if name is None and len(names) > 1:
        raise ConfigError([f"several meters are configured: name one with --meter ({', '.join(names)})"])
    for meter in config.meter:
        if name in (None, meter.name):
            return meter
    raise ConfigError([f"--meter {name}: no such meter in the configuration; it has {', '.join(names)}"])


def visit(target: Target, say: Callable[[str], None], stop: Callable[[], bool] = lambda: False) -> Visit:
    """Begin reads that leave the daemon its polls."""
    from nesgw.meter.session import Meter
    from nesgw.meter.visit import Visit

    return Visit(Meter(target.place, stop=stop), target.place, target.folder, stop=stop, say=say)
