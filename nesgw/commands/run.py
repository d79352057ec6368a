"""nesgw run: the daemon, in the foreground (systemd starts it)."""

from __future__ import annotations

import argparse

from nesgw.commands.check_config import config_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run the daemon."""
    from nesgw.config import loader
    from nesgw.gateway import daemon

    daemon.run(loader.load(options.config), reload=lambda: loader.load(options.config))
    return 0
