"""The whole daemon as ``nesgw run`` runs it, but with a beat that the configuration would refuse: for long counts.

Run as ``python -m benchmarks.gateway CONFIG SECONDS``.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(path: str, interval: float) -> None:
    """Run until SIGTERM."""
    from nesgw.gateway import config_process as apart

    loading = apart.loading(Path(path))
    from nesgw.gateway import daemon

    config, secrets = loading()
    for meter in config.meter:
        meter.__dict__["poll_interval"] = interval
    daemon.run(config, secrets, reload=lambda: (config, secrets))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
