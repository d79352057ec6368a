"""The faults by name: what is done to the meter or its line, for how long, and what it must come to.

``plan`` is a course of the simulated meter's own faults, in seconds from the fault's beginning. ``logs`` is what may
stand in the log, as regular expressions: nothing, unless the row says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nesgw.simulator.faults import Fault

BUSY = {"bsy": 6, "dnr": 7, "dlk": 8, "rno": 9}


@dataclass(frozen=True)
class Row:
    name: str
    plan: tuple[Fault, ...]
    lasts: float  # seconds from the beginning until the line could deliver again
    profile: str = "83331-3i"
    mode: str = "per-poll"
    logs: tuple[str, ...] = ()


def between(
    name: str,
    lasts: float,
    method: str,
    /,
    *logs: str,
    more: tuple[Fault, ...] = (),
    profile: str = "83331-3i",
    mode: str = "per-poll",
    **arguments: Any,
) -> Row:
    """A fault that begins, and is ended by ``clear``."""
    plan = (Fault(0.0, method, arguments), *more, Fault(lasts, "clear"))
    return Row(name, plan, lasts, profile, mode, logs and (*logs, UNAVAILABLE))


UNAVAILABLE = "^no reading for 30 s: the meter is unavailable$"
NO_TIME = "the time for one reading ran out"
SILENCE = rf"does not answer \(\w+ was sent [1-4] times\)|acknowledges \w+ and does not answer it|{NO_TIME}"
DAMAGE = rf"(arrived|reached the meter) damaged [1-4] times|{NO_TIME}"
POWER_FAILURE = "^the meter raised: power_failure$"
ENERGY_BACK = "^reading rejected: energy_import went back"
TOO_MUCH_POWER = "^reading rejected: power_import is "
ALL_ZERO = "^reading rejected: every value is zero at once"
ECHO = rf"only the probe's own echo comes back|{NO_TIME}"

LINE = (
    between("bytes dropped, 2 % to the client", 60, "noise", DAMAGE, drop=0.02, direction="to_client"),
    between("bytes dropped, 2 % to the meter", 60, "noise", DAMAGE, drop=0.02, direction="to_meter"),
    between("bytes corrupted, 2 % both ways", 60, "noise", DAMAGE, corrupt=0.02),
    between("bytes inserted, 2 % both ways", 60, "noise", DAMAGE, insert=0.02),
    between("bytes duplicated, 2 % both ways", 60, "noise", DAMAGE, duplicate=0.02),
    between(
        "every tenth byte of all four kinds", 60, "noise", DAMAGE, drop=0.1, corrupt=0.1, insert=0.1, duplicate=0.1
    ),
    between("packets to the meter lost: 9 in a row", 30, "lose", SILENCE, requests=9),
    between("packets from the meter lost: 9 in a row", 30, "lose", SILENCE, answers=9),
    between("acknowledgements lost: 9 in a row", 30, "lose", marks=9),
    between("packets from the meter duplicated: 60", 30, "repeat", answers=60),
    between("answers 1.5 s late", 30, "late", SILENCE, seconds=1.5, count=20),
    between("answers 4 s late", 60, "late", SILENCE, seconds=4.0, count=9),
    between("answers 7 s late, after we gave up", 60, "late", SILENCE, seconds=7.0, count=9),
    between("no answers, requests heard", 60, "silence", SILENCE),
    between("nothing heard", 60, "deaf", SILENCE),
    between("echo: our own light comes back", 60, "echo"),
    between("echo and nothing else", 60, "echo", ECHO, more=(Fault(0.0, "silence"),)),
    between("a flood of garbage, 200 bytes a second", 60, "flood", seconds=60, rate=200.0),
    between("a flood of garbage as fast as the line", 60, "flood", SILENCE, DAMAGE, seconds=60, rate=960.0),
)
MEETINGS = (
    *(
        between(f"the meter answers {name} to all", 60, "refuse", rf"the meter answered {name} \(", code=code)
        for name, code in BUSY.items()
    ),
    *(between(f"the meter answers {name} to 3", 20, "refuse", code=code, count=3) for name, code in BUSY.items()),
    between("the meter answers err to all", 60, "refuse", r"the meter refused Identify: err", code=1),
    Row("the meter restarts", (Fault(0.0, "restart", {"seconds": 3.0}),), 3.0, logs=(POWER_FAILURE,)),
    Row(
        "the meter restarts, a session held open",
        (Fault(0.0, "restart", {"seconds": 3.0}),),
        3.0,
        mode="keep-open",
        logs=(POWER_FAILURE,),
    ),
    between("300 s deaf", 300, "deaf", SILENCE),
    between("bytes dropped, a session held open", 60, "noise", DAMAGE, mode="keep-open", drop=0.02),
    between("no answers, a session held open", 60, "silence", SILENCE, mode="keep-open"),
    between("bytes corrupted, MEP on the line", 60, "noise", DAMAGE, profile="83331-3i-mep", corrupt=0.02),
    between("nothing heard, MEP on the line", 60, "deaf", SILENCE, DAMAGE, profile="83331-3i-mep"),
)
VALUES = (
    between("one wild byte in the energy", 20, "flip", table=23, offset=3, mask=0x04),
    between("the energy wild in every read", 60, "flip", ENERGY_BACK, table=23, offset=3, mask=0x04, count=1_000),
    between("the energy wild, every other read", 60, "flip", ENERGY_BACK, table=23, offset=3, mask=0x04, count=5),
    between("a wild byte in the power", 20, "flip", table=28, offset=2, mask=0x20),
    between("the power wild in every read", 25, "flip", TOO_MUCH_POWER, table=28, offset=2, mask=0x20, count=1_000),
    between("all tables read as zeros", 600, "zeros", ALL_ZERO),
    between("the registers read as zeros", 60, "zeros", ENERGY_BACK, tables=(23,)),
    between("a wild byte in the serial number", 20, "flip", table=2051, offset=3, mask=0x01),
)
ALL = (*LINE, *MEETINGS, *VALUES)
