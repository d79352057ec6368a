"""nesgw run: the daemon, in the foreground (systemd starts it)."""

from __future__ import annotations

import argparse

from nesgw.cli.check_config import config_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 78 at once on a wrong configuration."""
    from nesgw import config, daemon

    loaded, secrets = config.load(options.config)
    daemon.run(loaded, secrets, reload=lambda: config.load(options.config))
    return 0
