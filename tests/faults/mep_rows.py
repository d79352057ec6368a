"""The faults of the MEP port by name: those of its line that the optical port has too, and those that it has alone.

What it has alone is done to the simulated port's manners, or by its owner: ``begin`` and ``end`` are given the line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nesgw.simulator.faults import Fault
from tests.faults.rows import ALL, Row
from tests.virtual import VirtualMepPort

Deed = Callable[[VirtualMepPort], object]


@dataclass(frozen=True)
class MepRow:
    """``trap`` is its number in the list of what goes wrong on this port."""

    name: str
    lasts: float
    plan: tuple[Fault, ...] = ()
    begin: Deed = lambda _: None
    end: Deed = lambda _: None
    trap: int | None = None
    borne: bool = False  # every poll succeeds while it lasts


def manner(name: str, seconds: float, trap: int | None = None, *, borne: bool = False, **manners: object) -> MepRow:
    """The port behaves otherwise for a while."""

    def begin(line: VirtualMepPort) -> None:
        for key, value in manners.items():
            setattr(line.port.manners, key, value)

    def end(line: VirtualMepPort) -> None:
        usual = type(line.port.manners)()
        for key in manners:
            setattr(line.port.manners, key, getattr(usual, key))

    return MepRow(name, seconds, begin=begin, end=end, trap=trap, borne=borne)


def deed(name: str, begin: Deed, trap: int | None = None, *, lasts: float = 0.0, end: Deed = lambda _: None) -> MepRow:
    """Something is done to the port or to its wires."""
    return MepRow(name, lasts, begin=begin, end=end, trap=trap)


def drop_enable(line: VirtualMepPort) -> None:
    """Somebody else opened the port and closed it: the kernel drops RTS, and nobody here has switched it."""
    line.port.enable(False, line.clock())


def other_key(line: VirtualMepPort) -> None:
    line.port.keys = [b"another-key-16-b"]


def other_key_signed(line: VirtualMepPort) -> None:
    line.port.manners.wrong_digest = "long"
    other_key(line)


def other_key_silent(line: VirtualMepPort) -> None:
    line.port.manners.wrong_digest = "silence"
    other_key(line)


def own_key(line: VirtualMepPort) -> None:
    line.port.manners.wrong_digest = "short"
    line.port.keys = [line.meter.key[:16]]


def join(line: VirtualMepPort) -> None:
    line.meter.faults.echo()
    line.meter.faults.deaf()


def part(line: VirtualMepPort) -> None:
    line.meter.faults.clear()


def other_client(line: VirtualMepPort) -> None:
    """A second device on the port: its requests move the number on, outside the window of ours."""
    line.port.number = (line.port.number + 100) % 2**32


def reset_number(line: VirtualMepPort) -> None:
    line.port.number = 5


def near_the_end(line: VirtualMepPort) -> None:
    line.port.number = 2**32 - 2


def lost(**what: object) -> tuple[Fault, ...]:
    return (Fault(0.0, "lose", what), Fault(30.0, "clear"))


def _of_the_optical_port(row: Row) -> bool:
    return row.mode == "per-poll" and row.profile == "83331-3i" and "acknowledgement" not in row.name


def _lateness(row: Row) -> float:
    """The last late answer is on its way for so long, and the meter gives no other before it."""
    return max((float(str(fault.arguments["seconds"])) for fault in row.plan if fault.name == "late"), default=0.0)


# What its line and its tables can suffer is the same.
COMMON = tuple(MepRow(row.name, row.lasts + _lateness(row), row.plan) for row in ALL if _of_the_optical_port(row))

OWN = (
    manner("long answers are cut at 101 bytes", 60, 1, borne=True, weak_after=101),
    manner("long answers are garbled from byte 101 on", 60, 1, borne=True, weak_after=101, weak_garbles=True),
    manner("zeros without end: wrong levels", 60, 2, floating=True),
    deed("TxD and RxD are joined: our own requests come back", join, 3, lasts=60.0, end=part),
    deed("Enable was dropped by another program", drop_enable, 19),
    deed(
        "the wire of Enable is loose for a minute",
        drop_enable,
        4,
        lasts=60.0,
        end=lambda line: line.port.enable(True, line.clock()),
    ),
    manner("0x0C reports the last number", 60, 7, borne=True, reports_last=True),
    deed("another client moves the number", other_client, 8),
    MepRow("an answer is lost", 30, lost(answers=1), trap=9),
    MepRow("three answers are lost", 30, lost(answers=3), trap=9),
    MepRow("a request is lost", 30, lost(requests=1)),
    deed("0x0B to all for a minute, in short", other_key, 10, lasts=60.0, end=own_key),
    deed("0x0B to all for a minute, with a digest", other_key_signed, 10, lasts=60.0, end=own_key),
    deed("silence in place of 0x0B for a minute", other_key_silent, 10, lasts=60.0, end=own_key),
    MepRow(
        "answers damaged: 5 % of their bytes",
        60,
        (Fault(0.0, "noise", {"corrupt": 0.05, "direction": "to_client"}), Fault(60.0, "clear")),
        trap=13,
    ),
    MepRow(
        "requests damaged: 5 % of their bytes",
        60,
        (Fault(0.0, "noise", {"corrupt": 0.05, "direction": "to_meter"}), Fault(60.0, "clear")),
        trap=10,
    ),
    manner("alerts once a second", 60, 15, borne=True, alerts=True),
    MepRow("deaf for 90 s: a session at the optical port", 90, (Fault(0.0, "deaf"), Fault(90.0, "clear")), trap=17),
    manner("the utility has switched the port off", 60, 18, disabled=True),
    MepRow(
        "stray bytes",
        60,
        (Fault(0.0, "noise", {"insert": 0.02, "direction": "to_client"}), Fault(60.0, "clear")),
        trap=20,
    ),
    manner("another baud rate", 60, 23, baud=4800),
    manner("answers take 400 ms", 60, borne=True, answer_delay=0.4),
    manner("answers take 700 ms, more than is waited for", 60, answer_delay=0.7),
    manner("at most three answers a second", 60, borne=True, throttle=0.33),
    manner("pauses of 100 ms within answers", 60, borne=True, pause=0.1),
    manner("a table's end: fewer bytes", 60, borne=True, past_end="short"),
    manner("a table's end: refused", 60, borne=True, past_end="refused"),
    manner("refusals without a digest", 60, borne=True, signed_refusals=False),
    deed("the number begins again", reset_number),
    deed("the number is near its end", near_the_end),
    deed("the number jumps by 25", lambda line: line.port.change_dimensions()),
)
ALL_ON_MEP = (*COMMON, *OWN)
