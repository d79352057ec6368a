"""A soak in accelerated time: a hundred thousand polls of the real worker, publisher and RAM disk, with random faults.

    scripts/soak [--polls N] [--seed N] [--profile NAME] [--session MODE] [--interface I]

Both links side by side, as in a daemon with two meters, unless --interface names one; N polls each. What must come
out: no wrong value published, no poll lost that no fault excused, memory and threads flat. Each reading is compared
with the simulated meter's registers. Ends with 1 if anything of it does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import structlog

from benchmarks.options import Parser, at_least_one
from nesgw.config.settings import Interface
from nesgw.simulator.faults import Fault
from nesgw.simulator.household import VARIANTS, build
from nesgw.simulator.profiles import PROFILES
from tests.faults.figures import memory
from tests.faults.mep_rows import OWN
from tests.faults.rig import GRAIN, Recorder, Rig
from tests.faults.truth import wrong_values

INTERVAL = 10.0
CHANCE = 0.04  # that a fault is planned with a poll
OF_THE_PORT = 0.3  # that it is one of those that the MEP port has alone
# A fault may spoil what begins within one interval of its end, and no more: that is the promise.
EXCUSED = INTERVAL + 1.0


def random_fault(chance: random.Random, registers: int, values: int) -> tuple[str, dict[str, Any], float]:
    """A fault, its arguments, and for how long; told where the first register of BT23 and of BT28 stands."""

    def high(count: int) -> int:
        return 4 * chance.randrange(count) + chance.choice((2, 3))

    brief, long = chance.uniform(0.05, 12.0), chance.uniform(5.0, 90.0)
    rate = chance.choice((0.002, 0.01, 0.05, 0.2))
    return chance.choice(
        (
            ("noise", {"drop": rate}, long),
            ("noise", {"corrupt": rate}, long),
            ("noise", {"insert": rate}, long),
            ("noise", {"duplicate": rate}, long),
            ("noise", {"drop": rate, "corrupt": rate, "insert": rate, "duplicate": rate}, long),
            ("lose", {"requests": chance.randint(1, 6)}, brief),
            ("lose", {"answers": chance.randint(1, 6)}, brief),
            ("lose", {"marks": chance.randint(1, 6)}, brief),
            ("repeat", {"answers": chance.randint(1, 20)}, long),
            ("late", {"seconds": chance.uniform(0.5, 9.0), "count": chance.randint(1, 9)}, long),
            ("silence", {}, chance.choice((brief, long))),
            ("deaf", {}, chance.choice((brief, long, 300.0))),
            ("echo", {}, long),
            ("flood", {"seconds": brief, "rate": chance.choice((20.0, 200.0, 960.0))}, brief),
            ("refuse", {"code": chance.choice((1, 6, 7, 8, 9)), "count": chance.choice((1, 3, 10**6))}, long),
            ("restart", {"seconds": chance.uniform(0.5, 20.0)}, 20.0),
            # In one of the two high bytes: 65 kWh and more. What a low byte does may be true as well.
            ("flip", {"table": 23, "offset": registers + high(11), "mask": 0x80}, brief),
            ("flip", {"table": 28, "offset": values + high(20), "mask": 0x80}, brief),
            ("flip", {"table": 2051, "offset": chance.randrange(10), "mask": 0x01, "count": 1}, brief),
        )
    )


class Counting(Recorder):
    """Keeps figures instead of what it heard, so that its own memory is flat."""

    rig: Soak

    published = 0
    wrong_count = 0
    last = -1.0

    def set(self, *messages: Any) -> None:
        for message in messages:
            self.topics[message.topic] = message.payload
            if message.topic == f"nesgw/{self.rig.line.meter.serial}/state":
                now = self.rig.line.clock()
                self.published += 1
                self.last = now
                # The pace of the MEP port holds a poll up for a second a read: it may have begun before ``longest``.
                longest = max(self.rig.longest, self.rig.in_poll)
                wrong = wrong_values(json.loads(message.payload), self.rig.line.meter, now, longest)
                if wrong:
                    self.wrong_count += 1
                    print(
                        f"WRONG at {self.rig.now:.1f} s, {self.rig.in_poll:.1f} s after its poll began: {wrong}",
                        flush=True,
                    )


class Soak(Rig):
    """A rig that plans its own faults and keeps account of the polls."""

    def __init__(self, folder: Path, options: argparse.Namespace, interface: Interface) -> None:
        super().__init__(
            folder, options.profile, interface=interface, interval=INTERVAL, paced=False, session=options.session
        )
        self.interface = interface
        self.broker = Counting(self)
        self.worker._publisher._broker = self.broker
        self.options = options
        self.chance = random.Random(options.seed)
        actual = self.line.meter.profile.actual
        self.bases = actual.flags0 >> 2 & 1, actual.present_demands * (7 if actual.flags0 & 0x40 else 4)
        self.windows: deque[tuple[float, float]] = deque(maxlen=50)
        self.done = Counter()
        self.polls = self.owed = 0
        self.poll_began = 0.0
        self.lost: list[float] = []
        self.free_at = 60.0  # the first minute is undisturbed
        self.began = time.monotonic()
        for hour in range(24):  # the household's patterns, which are kept: or they would look like a leak
            for variant in range(VARIANTS):
                build(self.line.meter.household._kind, hour, variant)
        self.settled = 0.0  # MB, once everything has been used
        poll = self.worker._poll
        self.worker._poll = lambda beat: self._account(lambda: poll(beat))

    @property
    def in_poll(self) -> float:
        """Seconds since the poll began."""
        return self.now - self.poll_began

    def _pause(self, seconds: Any) -> None:
        self.line.sleep(seconds)
        if self.polls >= self.options.polls:
            self.stop.set()

    def _account(self, poll: Any) -> None:
        self.poll_began = begin = self.now
        if begin >= self.free_at and self.chance.random() < CHANCE:
            self._plan(begin + self.chance.uniform(0.0, INTERVAL))
        poll()
        self.polls += 1
        if self.interface == "mep":
            self.line.written.clear()  # kept for other tests
        excused = any(start <= self.now and begin <= end + EXCUSED for start, end in self.windows)
        if not excused:
            self.owed += 1
            if self.broker.last - self.start < begin:
                self.lost.append(begin)
                print(f"LOST a poll at {begin:.1f} s: {self.worker.status.last_error}", flush=True)
        if self.polls % (self.options.polls // 10 or 1) == 0:
            self._say()

    def _plan(self, at: Any) -> None:
        if self.interface == "mep" and self.chance.random() < OF_THE_PORT:
            name, seconds = self._plan_of_the_port(at)
        else:
            name, arguments, seconds = random_fault(self.chance, *self.bases)
            self.line.meter.faults.expect(Fault(at, name, arguments), Fault(at + seconds, "clear"))
            if self.interface == "mep" and name == "late":
                seconds += arguments["seconds"]  # this port gives no answer before the one that is late
        self.windows.append((at, at + seconds))
        self.free_at = at + seconds
        self.done[name] += 1

    def _plan_of_the_port(self, at: Any) -> tuple[Any, ...]:
        row = self.chance.choice([row for row in OWN if not row.plan])
        self.at[at] = lambda: row.begin(self.line)
        self.at[at + row.lasts + GRAIN] = lambda: row.end(self.line)
        return row.name, row.lasts

    def _say(self) -> None:
        self.settled = self.settled or memory()
        spent = time.monotonic() - self.began
        print(
            f"{self.interface:7}  {self.polls:7d} polls  {self.now / 86400:5.1f} days  {spent:5.0f} s  "
            f"{self.broker.published} published  {self.broker.wrong_count} wrong  "
            f"{len(self.lost)} of {self.owed} owed lost  {sum(self.done.values())} faults  "
            f"RSS {memory():.1f} MB  {threading.active_count()} threads",
            flush=True,
        )


def main() -> int:
    parser = Parser(prog="scripts/soak", description=__doc__.splitlines()[0])
    parser.add_argument("--polls", type=at_least_one, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="83331-3i", choices=PROFILES)
    parser.add_argument("--session", default="per-poll", choices=("auto", "per-poll", "keep-open"))
    parser.add_argument("--interface", choices=("optical", "mep"), help="this link alone (default: both)")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    threads = threading.active_count()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        interfaces: tuple[Any, ...] = (options.interface,) if options.interface else ("optical", "mep")
        soaks = [Soak(Path(folder, interface), options, interface) for interface in interfaces]
        for soak in soaks:
            soak.worker.start()
        for soak in soaks:
            soak.worker.join()
            if soak.worker.defect:
                raise soak.worker.defect
    grown = memory() - max(soak.settled for soak in soaks)
    for soak in soaks:
        status = soak.worker.status
        print(f"{soak.interface}: faults: {dict(soak.done)}")
        print(f"{soak.interface}: failed polls by kind: {dict(sorted(status.failures.items()))}", end="")
        print(f", rejected: {status.rejected}")
    lost = any(soak.lost or soak.broker.wrong_count for soak in soaks)
    sound = not lost and threading.active_count() == threads and grown < 5
    print("sound" if sound else "NOT SOUND")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
