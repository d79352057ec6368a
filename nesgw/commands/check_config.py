"""nesgw check-config: validates the configuration and prints what is in force, every secret masked."""

from __future__ import annotations

import argparse
from pathlib import Path

from nesgw import CONFIG_FILE
from nesgw.errors import ConfigError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)


def config_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --config, the same in every command."""
    parser.add_argument(
        "--config", type=Path, default=Path(CONFIG_FILE), metavar="FILE", help=f"configuration (default: {CONFIG_FILE})"
    )


def run(options: argparse.Namespace) -> int:
    """Exit 0, or 78 with a line for each mistake."""
    from nesgw.config import loader
    from nesgw.config.example import effective
    from nesgw.publishers.ram_disk import refuse_disk

    loaded = loader.load_document(loader.open_document(options.config))
    cache = loaded.config.cache
    if not cache.allow_disk:
        try:
            refuse_disk(Path(cache.directory))
        except ConfigError as error:
            raise ConfigError([f"{options.config}: {problem}" for problem in error.problems]) from None
    print(effective(loaded.config), end="")
    for name, key in loaded.secrets.keys.items():
        print(f"# meter {name}: the key was recognised as {key.form}")
    return 0
