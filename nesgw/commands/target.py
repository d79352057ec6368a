"""Which meter a command reads: one of the configuration, or a port and a key file without one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nesgw.commands.check_config import config_argument, refuse_config_beside_port
from nesgw.errors import ConfigError, WrongUsage

if TYPE_CHECKING:
    from nesgw.config.key import Key
    from nesgw.config.settings import Interface, MeterSettings, Settings


@dataclass(frozen=True, slots=True)
class Target:
    """What to read. ``meter`` has no key: a command that the daemon reads for does without, and others ask for it."""

    meter: MeterSettings
    folder: Path | None  # the daemon's for this meter, on the RAM disk
    read_key: Callable[[], Key] = field(repr=False)

    def with_key(self) -> MeterSettings:
        """Return what a session of our own needs. Raises ConfigError where the key cannot be read."""
        key = self.read_key()
        return replace(self.meter, key=key.value, key_form=key.form)


def target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which meter."""
    config_argument(parser)
    parser.add_argument("--port", metavar="DEV", help="read this port without a configuration; needs --key-file")
    parser.add_argument("--key-file", metavar="FILE", help="the file with the key, for --port")
    parser.add_argument(
        "--interface", choices=("optical", "mep"), help="for --port: which of the meter's ports (default: optical)"
    )
    parser.add_argument("--meter", metavar="NAME", help="which meter of the configuration")


def target(options: argparse.Namespace) -> Target:
    """Find out which meter is meant. Raises WrongUsage or ConfigError."""
    if bool(options.port) != bool(options.key_file):
        raise WrongUsage(command=options.command, problem="--port and --key-file go together")
    if options.interface and not options.port:
        raise WrongUsage(command=options.command, problem="--interface goes with --port")
    refuse_config_beside_port(options)
    return _from_options(options) if options.port else configured_target(options.config, options.meter)


def _from_options(options: argparse.Namespace) -> Target:
    from nesgw.config.secrets import read_key_file
    from nesgw.config.settings import MeterSettings

    interface: Interface = options.interface or "optical"
    try:
        key = read_key_file(options.key_file, interface)
    except ValueError as error:
        raise ConfigError([f"--key-file: {error}"]) from None
    return Target(MeterSettings(options.port, options.port, interface=interface, session="per-poll"), None, lambda: key)


def configured_target(config: Path, name: str | None) -> Target:
    """Find the meter in the configuration. Raises ConfigError."""
    from nesgw.config import loader

    settings = loader.settings(loader.read(config))
    meter = choose(settings, name)

    def read_key() -> Key:
        from nesgw.config.key import Key

        complete = choose(loader.load(config), meter.name)
        assert complete.key is not None  # noqa: S101 (a configuration without it is refused)
        return Key(complete.key, complete.key_form)

    own = replace(meter, session="per-poll", negotiate_baud=False)
    return Target(own, settings.cache.directory / meter.name, read_key)


def choose(settings: Settings, name: str | None) -> MeterSettings:
    """Return the meter of that name, or the only one."""
    names = [meter.name for meter in settings.meters]
    if name is None and len(names) > 1:
        raise ConfigError([f"several meters are configured: name one with --meter ({', '.join(names)})"])
    for meter in settings.meters:
        if name in (None, meter.name):
            return meter
    raise ConfigError([f"--meter {name}: no such meter in the configuration; it has {', '.join(names)}"])
