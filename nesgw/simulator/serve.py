"""Serves one simulated meter until it is told to stop: the body of ``nesgw simulate``. Prints nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from nesgw.simulator import dump
from nesgw.simulator.line import PtyLine
from nesgw.simulator.mep import MepPort
from nesgw.simulator.meter import SimulatedMeter


def serve(
    profile: str = "83331-3i",
    link: str | None = None,
    seed: int = 0,
    baud: int = 9600,
    pacing: bool = True,
    *,
    ready: Callable[[PtyLine], None] | None = None,
    stop: threading.Event | None = None,
    from_dump: Path | str | None = None,
    interface: str = "optical",
) -> None:
    """Run a meter on a pseudo terminal; ``ready`` is told of the line (its ``path``) once it can be opened.

    ``from_dump`` is a dump to play back in place of the profile; it raises ValueError when it is none. ``interface`` is
    "optical" or "mep"; on a pseudo terminal nobody can switch Enable, so it is on.
    """
    ending = stop or threading.Event()
    if from_dump is None:
        meter = SimulatedMeter(profile, seed=seed, baud=baud, bauds=(baud,))
    else:
        meter = dump.from_dump(from_dump, seed=seed, baud=baud, bauds=(baud,))
    port = MepPort(meter, baud=baud) if interface == "mep" else meter
    with PtyLine(port, baud if pacing else None, link) as line:
        if ready is not None:
            ready(line)
        while not ending.wait(3600):
            pass
