"""Simulated meters in a process of their own, so that their work is not counted as the reader's.

Takes a JSON object on the command line, prints the terminals' paths as a JSON list, then for each line on stdin what
the meters have been asked so far, and ends with stdin.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any

from nesgw.simulator import PtyLine, SimulatedMeter


class WatchedMeter(SimulatedMeter):
    """A meter that notes when a request had arrived."""

    requests: list[tuple[float, str]]

    def message(self, data: bytes, now: float) -> None:
        """Note the request's first bytes: they name the service, and the table and offset of a read."""
        self.requests.append((now, data[:6].hex()))
        super().message(data, now)


def main(settings: dict[str, Any]) -> None:
    """Serve until stdin ends."""
    with ExitStack() as lines:
        meters, paths = [], []
        for number in range(settings.get("count", 1)):
            overrides: dict[str, Any] = dict(settings.get("overrides", {}))
            if settings.get("count", 1) > 1:
                overrides["serial"] = f"{4_080_000_000 + number}"
            meter = WatchedMeter(settings["profile"], seed=number, **overrides)
            meter.requests = []
            paths.append(lines.enter_context(PtyLine(meter, settings.get("baud"))).path)
            meters.append(meter)
        print(json.dumps(paths), flush=True)
        for _ in sys.stdin:
            answer = [
                {
                    "requests": meter.requests,
                    "bytes": meter.counters.bytes_in + meter.counters.bytes_out,
                    "retransmissions": meter.counters.link.retransmissions,
                }
                for meter in meters
            ]
            print(json.dumps(answer), flush=True)
            for meter in meters:
                meter.requests = []


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
