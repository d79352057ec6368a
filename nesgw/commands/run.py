"""nesgw run: the daemon, in the foreground (systemd starts it)."""

from __future__ import annotations

import argparse
import gc
from typing import TYPE_CHECKING

from nesgw.commands.check_config import config_argument

if TYPE_CHECKING:
    from nesgw.gateway.config_process import Loaded


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 78 at once on a wrong configuration."""
    from nesgw.gateway import config_process as apart

    gc.disable()  # what is imported is no garbage, and never will be
    loading = apart.loading(options.config)
    from nesgw.gateway import daemon  # meanwhile

    gc.freeze()
    gc.enable()

    def reload() -> Loaded:
        from nesgw.config import schema as config  # no process can be split off while there are threads

        return config.load(options.config)

    daemon.run(*loading(), reload=reload)
    return 0
