"""Starts what the image starts, with folders of the test: ``start_app.py MEMORY [OPTIONS SUPERVISOR]``."""

import sys
from pathlib import Path

from nesgw_container import app, keeper
from nesgw_container.pulse import Pulse
from nesgw_container.supervisor import Supervisor

from tests.container.supervisor import TOKEN

memory = Path(sys.argv[1])
pulse = Pulse(memory / "pulse")
app.ASK_AGAIN = 0.1
app.LOOK_EVERY = 0.2
with keeper.Signals() as signals:
    if sys.argv[2] == "--":
        sys.exit(keeper.keep(sys.argv[3:], signals, pulse))
    sys.exit(app.run(Path(sys.argv[2]), memory, Supervisor(sys.argv[3], TOKEN), signals, pulse))
