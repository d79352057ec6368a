"""nesgw run: the daemon, in the foreground (systemd starts it)."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from nesgw.commands.check_config import config_argument

# What paho and structlog import where it is installed, as Debian 13 does beside them, and what the daemon never uses.
UNUSED: Final = ("dns", "rich")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run the daemon."""
    leave_out_unused()
    from nesgw.config import loader
    from nesgw.gateway import daemon

    daemon.run(loader.load(options.config), reload=lambda: loader.load(options.config))
    return 0


def leave_out_unused() -> None:
    """Have the libraries find these not installed: they and what they import in turn take 15 MB for years."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # the import system's sign for "not there"
