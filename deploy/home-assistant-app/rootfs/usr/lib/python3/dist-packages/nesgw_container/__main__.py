"""The entry point of the image.

Without an argument: as an app of Home Assistant nesgw with the options of its form, elsewhere nesgw with
/etc/nesgw/config.toml. With ``health``: exit 0 while nesgw lives. With anything else: nesgw with these arguments.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from nesgw_container import keeper
from nesgw_container.pulse import Pulse

OPTIONS: Final = Path("/data/options.json")  # written by the Supervisor at each start
# A tmpfs in every container; the container's own root is on the SD card.
MEMORY: Final = Path("/dev/shm/nesgw")  # noqa: S108
SUPERVISOR: Final = "http://supervisor"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the answer is the exit code."""
    pulse = Pulse(MEMORY / "pulse")
    if arguments == ["health"]:
        return 0 if pulse.beats() else 1
    if arguments:
        os.execvp("nesgw", ["nesgw", *arguments])  # noqa: S606, S607 (the one of the image)
    MEMORY.mkdir(mode=0o700, exist_ok=True)
    with keeper.Signals() as signals:
        if OPTIONS.exists():
            # Half of this process's memory, which a container elsewhere can do without.
            from nesgw_container import app
            from nesgw_container.supervisor import Supervisor

            address = os.environ.get("NESGW_SUPERVISOR", SUPERVISOR)
            supervisor = Supervisor(address, os.environ.get("SUPERVISOR_TOKEN", ""))
            return app.run(OPTIONS, MEMORY, supervisor, signals, pulse)
        return keeper.keep(["nesgw", "run"], signals, pulse)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
