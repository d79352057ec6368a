"""Polls a meter with nesgw's own reading part and says how long it took: what termineter.py does with termineter.

Decoding is included, judging and publishing are not: ``gateway.py`` is the whole.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from benchmarks.pace import GAP, Pace
from nesgw.config.settings import MeterSettings, Secret
from nesgw.meter.meter import Meter
from nesgw.meter.optical_link import OpticalLink
from nesgw.simulator import DEFAULT_KEY


def main(settings: dict[str, Any]) -> None:
    """Poll, print what was measured as JSON."""
    place = MeterSettings(
        "benchmark",
        settings["port"],
        key=Secret(DEFAULT_KEY),
        poll_interval=settings.get("interval", 1.0),
        session=settings["mode"],
        negotiate_baud=settings.get("negotiate", False),
    )
    link = OpticalLink(place)
    meter = Meter(place, link=link)
    limits: list[int | None] = []
    pieces: list[list[int]] = []
    values: list[int] = []

    def poll() -> float:
        began = time.monotonic()
        with meter.session(began + 30):
            layout = meter.facts().layout
            meter.reading()
            if (granted := link.limits) and not limits:
                limits.extend((granted.packet_size, granted.packets, granted.baud))
                pieces.extend([part.table, part.offset, part.size] for part in layout.reads)
                values.append(len(layout.fields))
        return time.monotonic() - began

    poll()  # learns the meter's layout
    time.sleep(GAP)
    poll()
    pace = Pace(settings.get("interval"))
    before, traffic = resource.getrusage(resource.RUSAGE_SELF), sum(meter.traffic)
    durations = [pace.keep(poll) for _ in range(settings["polls"])]
    after, spent = resource.getrusage(resource.RUSAGE_SELF), sum(meter.traffic) - traffic
    meter.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "durations": durations,
                "cpu": cpu / len(durations),
                "bytes": spent / len(durations),
                "limits": limits,
                "pieces": pieces,
                "values": values[0],
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
