"""Looks at a meter for nesgw setup: whether it answers, who it is, how well the probe sits, and the first reading.

Each opens the port for itself and gives it back.
"""

from __future__ import annotations

import select
import shutil
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nesgw.commands.align.command import picture
from nesgw.commands.align.judge import Seat, Window
from nesgw.commands.terminal.interrupt import interruptible
from nesgw.commands.terminal.progress import Progress
from nesgw.commands.terminal.screen import Block, Paint
from nesgw.config.settings import MeterSettings, Secret
from nesgw.errors import NesgwError, PortBusy, PortShared, PortUnavailable, Stopped
from nesgw.meter.introduction import ONE_SESSION, ask_who
from nesgw.meter.meter import Meter
from nesgw.optical.line_test import LineTest
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port
from nesgw.values import MeterIdentity, Reading

_ATTEMPTS: Final = 5  # to see whether anything answers
_STEADY: Final = 8  # good attempts in a row, after which nobody has to turn the probe any more
_PERIOD: Final = 0.4  # seconds from attempt to attempt
_ANSWERING: Final = frozenset({Seat.GOOD, Seat.WEAK, Seat.SLOW})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a port found."""

    window: Window
    dtr: bool  # with which it was found

    @property
    def answers(self) -> bool:
        """Whether a meter answers."""
        return self.window.seat in _ANSWERING


@contextmanager
def _opened(place: MeterSettings) -> Iterator[Port]:
    port = open_port(place.port, baud=place.baud, rts=place.rts, dtr=place.dtr)
    try:
        if holder := port.holder():
            raise PortShared(port=place.port, holder=holder)
        yield port
    finally:
        port.close()


def look(place: MeterSettings) -> Seen:
    """Ask who is there a few times; where nothing at all comes back, also with DTR raised, as some probes need it.

    Raises PortUnavailable.
    """
    with Progress() as progress:
        progress.step(f"listening at {Path(place.port).name}")
        window = _window(place)
        if window.seat is Seat.NOTHING and not place.dtr and "://" not in place.port:
            raised = _window(replace(place, dtr=True))
            if raised.seat in _ANSWERING:
                return Seen(raised, dtr=True)
    return Seen(window, place.dtr)


def _window(place: MeterSettings) -> Window:
    window = Window()
    with _opened(place) as port:
        line_test = LineTest(port)
        try:
            for _ in range(_ATTEMPTS):
                window.add(line_test.attempt(_PERIOD))
        finally:
            with suppress(PortUnavailable):
                line_test.end()
    return window


def align(place: MeterSettings) -> bool:
    """Show live how the probe sits, until it sits well or somebody presses Enter; return whether a meter answers.

    Raises PortUnavailable.
    """
    window, block = Window(_STEADY), Block()
    with _opened(place) as port, _without_echo():
        line_test = LineTest(port)
        try:
            while not _is_steady(window) and not _enter_pressed():
                window.add(line_test.attempt(_PERIOD))
                block.draw(picture(window, min(shutil.get_terminal_size().columns, 78), Paint(sys.stdout)))
        finally:
            block.end()
            with suppress(PortUnavailable):
                line_test.end()
    return window.seat in _ANSWERING


@contextmanager
def _without_echo() -> Iterator[None]:
    """Keep an Enter from moving what is drawn."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = list(before)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _is_steady(window: Window) -> bool:
    attempts = window.attempts
    return len(attempts) == _STEADY and all(each.answered and not each.damaged for each in attempts)


def _enter_pressed() -> bool:
    if select.select([sys.stdin], [], [], 0)[0]:
        sys.stdin.readline()
        return True
    return False


def introduce(place: MeterSettings) -> MeterIdentity | None:
    """Ask the meter who it is; None if it does not say without a key."""
    with Progress() as progress:
        progress.step("asking the meter who it is")
        with _opened(place) as port:
            return ask_who(port, time.monotonic() + ONE_SESSION)


def first_reading(place: MeterSettings, key: Secret) -> tuple[MeterIdentity, Reading]:
    """Read the meter once with a key, which is shown to it once. Ctrl-C ends the session, and then us.

    Raises KeyRefused, and whatever else a session can.
    """
    own = replace(place, key=key, session="per-poll", negotiate_baud=False)
    try:
        with interruptible() as asked, Progress() as progress:
            meter = Meter(own, stop=asked.is_set)
            try:
                progress.step("showing the meter the key")
                with meter.session(time.monotonic() + ONE_SESSION):
                    progress.step("reading the meter")
                    facts = meter.facts()
                    return facts.identity, meter.reading()
            finally:
                meter.close()
    except Stopped:
        raise KeyboardInterrupt from None


def status(place: MeterSettings) -> tuple[str, bool]:
    """Say in a few words who is at a port, and whether that is a meter."""
    try:
        seen = look(place)
        if not seen.answers:
            return f"no meter: {seen.window.seat.value}", False
        who = introduce(replace(place, dtr=seen.dtr))
    except PortBusy as busy:
        return f"in use by {busy.facts['holder']}", False
    except NesgwError as error:
        return error.happened, False
    return described(who), True


def described(who: MeterIdentity | None) -> str:
    """Say who a meter is."""
    if who is None:
        return "a meter that says who it is only with its key"
    return f"{who.manufacturer} {who.model}, serial number {who.serial}, firmware {who.firmware}"
