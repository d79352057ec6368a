"""The whole daemon as ``nesgw run`` runs it, but with a beat that the configuration would refuse: for long counts.

Run as ``python -m benchmarks.gateway CONFIG SECONDS``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path


def main(path: Path, interval: float) -> None:
    """Run until SIGTERM."""
    from nesgw.config import loader
    from nesgw.gateway import daemon

    settings = loader.load(path)
    settings = replace(settings, meters=tuple(replace(meter, poll_interval=interval) for meter in settings.meters))
    daemon.run(settings, reload=lambda: settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
