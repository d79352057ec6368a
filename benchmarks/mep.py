"""How long a poll over the MEP port takes, in real time, against what the wire and the port's guide make it take.

    python -m benchmarks.mep [--polls N] [--profiles A,B]

A simulated port on a pseudo terminal, at the pace of 9600 baud. The least is made of what was asked for: the bytes of
each request and answer, the simulated meter's 20 ms to think, the guide's pause of 25 ms after each 117 bytes of an
answer, and its 100 ms from one request to the next. Ends with 1 if a median is beyond 1.05 times that.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from benchmarks.options import Parser, at_least_one
from nesgw.config.settings import MeterSettings, Secret
from nesgw.meter.meter import Meter
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, PROFILES, MepPort, PtyLine, SimulatedMeter

BYTE = 10 / 9600
REQUEST, AROUND_DATA, SEGMENT = 22, 13, 117  # bytes
THINKING, PAUSE, APART = 0.02, 0.025, 0.1  # seconds
BAR = 1.05
REST = 3.0  # seconds from one poll to the next: the guide's average of a read a second


def least(counts: list[int]) -> float:
    """Seconds that reads of so many bytes take at the least, one after the other."""
    times = [(REQUEST + AROUND_DATA + n) * BYTE + THINKING + (AROUND_DATA + n - 1) // SEGMENT * PAUSE for n in counts]
    return sum(max(APART, seconds) for seconds in times[:-1]) + times[-1]


def measured(profile: str, polls: int) -> tuple[list[float], list[int]]:
    """The seconds of each poll, and the bytes of the tables that one asks for."""
    asked: list[int] = []

    def opener(*place: Any, **options: Any) -> Any:
        port = open_port(*place, **options)
        write = port.write

        def noting(data: bytes) -> None:
            asked.append(int.from_bytes(data[8:10], "big"))
            write(data)

        setattr(port, "write", noting)  # noqa: B010 (it has the name that the client calls)
        return port

    took: list[float] = []
    with PtyLine(MepPort(SimulatedMeter(profile)), 9600) as line:
        meter = Meter(MeterSettings("house", line.path, interface="mep", key=Secret(DEFAULT_KEY)), opener=opener)
        with meter.session(time.monotonic() + 600):
            meter.reading()
            for _ in range(polls):
                time.sleep(REST)
                asked.clear()
                begin = time.perf_counter()
                meter.reading()
                took.append(time.perf_counter() - begin)
        meter.close()
    return took, list(asked)


def main() -> int:
    """Print a row for each profile."""
    parser = Parser(prog="python -m benchmarks.mep", description="poll time over the MEP port against the wire")
    parser.add_argument("--polls", type=at_least_one, default=20)
    parser.add_argument("--profiles", default="83331-3i", help=f"some of {', '.join(PROFILES)}")
    options = parser.parse_args()
    missed = False
    print("profile        bytes of BT23 + BT28   least ms   median ms   worst ms   median/least")
    for profile in options.profiles.split(","):
        took, counts = measured(profile, options.polls)
        lowest, median = least(counts), statistics.median(took)
        missed |= median > BAR * lowest
        row = (1000 * lowest, 1000 * median, 1000 * max(took))
        print(f"{profile:14} {' + '.join(map(str, counts)):22} {row[0]:8.1f} {row[1]:11.1f} {row[2]:10.1f}", end="")
        print(f"   {median / lowest:.3f}", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
