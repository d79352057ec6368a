"""The faults by name: what is done to the meter or its line, for how long, and what it must come to.

``plan`` is a course of the simulated meter's own faults, in seconds from the fault's beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

from nesgw.simulator.faults import Fault

BUSY = {"bsy": 6, "dnr": 7, "dlk": 8, "rno": 9}


@dataclass(frozen=True)
class Row:
    name: str
    plan: tuple[Fault, ...]
    lasts: float  # seconds from the beginning until the line could deliver again
    profile: str = "83331-3i"
    mode: str = "per-poll"


def between(name, lasts, method, /, more=(), profile="83331-3i", mode="per-poll", **arguments):
    """A fault that begins, and is ended by ``clear``."""
    plan = (Fault(0.0, method, arguments), *more, Fault(lasts, "clear"))
    return Row(name, plan, lasts, profile, mode)


LINE = (
    between("bytes dropped, 2 % to the client", 60, "noise", drop=0.02, direction="to_client"),
    between("bytes dropped, 2 % to the meter", 60, "noise", drop=0.02, direction="to_meter"),
    between("bytes corrupted, 2 % both ways", 60, "noise", corrupt=0.02),
    between("bytes inserted, 2 % both ways", 60, "noise", insert=0.02),
    between("bytes duplicated, 2 % both ways", 60, "noise", duplicate=0.02),
    between("every tenth byte of all four kinds", 60, "noise", drop=0.1, corrupt=0.1, insert=0.1, duplicate=0.1),
    between("packets to the meter lost: 9 in a row", 30, "lose", requests=9),
    between("packets from the meter lost: 9 in a row", 30, "lose", answers=9),
    between("acknowledgements lost: 9 in a row", 30, "lose", marks=9),
    between("packets from the meter duplicated: 60", 30, "repeat", answers=60),
    between("answers 1.5 s late", 30, "late", seconds=1.5, count=20),
    between("answers 4 s late", 60, "late", seconds=4.0, count=9),
    between("answers 7 s late, after we gave up", 60, "late", seconds=7.0, count=9),
    between("no answers, requests heard", 60, "silence"),
    between("nothing heard", 60, "deaf"),
    between("echo: our own light comes back", 60, "echo"),
    between("echo and nothing else", 60, "echo", more=(Fault(0.0, "silence"),)),
    between("a flood of garbage, 200 bytes a second", 60, "flood", seconds=60, rate=200.0),
    between("a flood of garbage as fast as the line", 60, "flood", seconds=60, rate=960.0),
)
MEETINGS = (
    *(between(f"the meter answers {name} to all", 60, "refuse", code=code) for name, code in BUSY.items()),
    *(between(f"the meter answers {name} to 3", 20, "refuse", code=code, count=3) for name, code in BUSY.items()),
    between("the meter answers err to all", 60, "refuse", code=1),
    Row("the meter restarts", (Fault(0.0, "restart", {"seconds": 3.0}),), 3.0),
    Row("the meter restarts, a session held open", (Fault(0.0, "restart", {"seconds": 3.0}),), 3.0, mode="keep-open"),
    between("300 s deaf", 300, "deaf"),
    between("bytes dropped, a session held open", 60, "noise", mode="keep-open", drop=0.02),
    between("no answers, a session held open", 60, "silence", mode="keep-open"),
    between("bytes corrupted, MEP on the line", 60, "noise", profile="83331-3i-mep", corrupt=0.02),
    between("nothing heard, MEP on the line", 60, "deaf", profile="83331-3i-mep"),
)
VALUES = (
    between("one wild byte in the energy", 20, "flip", table=23, offset=3, mask=0x04),
    between("the energy wild in every read", 60, "flip", table=23, offset=3, mask=0x04, count=1_000),
    between("the energy wild, every other read", 60, "flip", table=23, offset=3, mask=0x04, count=5),
    between("a wild byte in the power", 20, "flip", table=28, offset=2, mask=0x20),
    between("the power wild in every read", 25, "flip", table=28, offset=2, mask=0x20, count=1_000),
    between("all tables read as zeros", 600, "zeros"),
    between("the registers read as zeros", 60, "zeros", tables=(23,)),
    between("a wild byte in the serial number", 20, "flip", table=2051, offset=3, mask=0x01),
)
ALL = (*LINE, *MEETINGS, *VALUES)
