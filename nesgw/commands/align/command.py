"""nesgw align: live in the terminal: how well the probe sits, and when it is the wrong way round; needs no key.

For the optical port alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw import CONFIG_FILE
from nesgw.commands.check_config import config_argument, refuse_config_beside_port
from nesgw.commands.terminal.numbers import at_least_one
from nesgw.commands.terminal.screen import Block, Paint
from nesgw.errors import EX_OK, EX_UNAVAILABLE, PortUnavailable, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.align.judge import Window
    from nesgw.config.settings import MeterSettings
    from nesgw.optical.line_test import Attempt

_PERIOD: Final = 0.4  # seconds from attempt to attempt; a little more while nothing answers
_REOPEN: Final = 1.0
_NO_PROBE: Final = (
    "it is for the optical port, on which a probe sits; "
    "this meter is read through its MEP port, which nesgw doctor looks at"
)
_WIDEST: Final = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--port", metavar="DEV", help="use this port, without a configuration")
    parser.add_argument("--dtr", action="store_true", help="raise DTR, which some probes draw their power from")
    parser.add_argument("--meter", metavar="NAME", help="which meter of the configuration")
    parser.add_argument("--count", type=at_least_one, metavar="N", help="end after N attempts (default: at Ctrl-C)")
    parser.epilog = "Exits 0 if the probe sits well at the end, and 69 if it does not."


def run(options: argparse.Namespace) -> int:
    """Ask again and again and show what comes of it, until Ctrl-C or so many attempts."""
    from nesgw.commands.align.judge import Seat, Window

    place = _place(options)
    window = Window()
    live = sys.stdout.isatty()
    show = _Live(window) if live else _Lines(window)
    try:
        with closing(_attempts(place, patient=live and options.count is None)) as attempts:
            for attempt in attempts:
                show(attempt)
                if window.total == options.count:
                    break
    except KeyboardInterrupt:
        pass  # the usual end
    finally:
        show.end()
    return EX_OK if window.seat is Seat.GOOD else EX_UNAVAILABLE


def _place(options: argparse.Namespace) -> MeterSettings:
    """Where to ask: --port, the configuration, or the only probe where there is no configuration that one may read."""
    from nesgw.commands.target import choose
    from nesgw.config import loader
    from nesgw.config.settings import MeterSettings

    refuse_config_beside_port(options)
    if options.port:
        return MeterSettings("", options.port, dtr=options.dtr)
    if not _is_readable(options.config):
        if options.config != Path(CONFIG_FILE) or options.meter:
            loader.read(options.config)  # one that is named is wanted: this says what is wrong with it
        return MeterSettings("", dtr=options.dtr)
    meter = choose(loader.settings(loader.read(options.config)), options.meter)
    if meter.interface == "mep":
        raise WrongUsage(command="align", problem=_NO_PROBE)
    return replace(meter, dtr=meter.dtr or options.dtr)


def _is_readable(path: Path) -> bool:
    try:
        path.open("rb").close()
    except OSError:
        return False
    return True


def _attempts(place: MeterSettings, *, patient: bool) -> Generator[Attempt | PortUnavailable, None, None]:
    """Attempt for ever. ``patient``: a cable that is pulled while turning the probe is waited for, and reported."""
    from nesgw.optical.line_test import LineTest
    from nesgw.ports.serial_port import open_port

    opened = False
    while True:
        try:
            port = open_port(place.port, baud=place.baud, rts=place.rts, dtr=place.dtr)
        except PortUnavailable as problem:
            if not (patient and opened):
                raise
            yield problem
            time.sleep(_REOPEN)
            continue
        opened = True
        line_test = LineTest(port)
        try:
            while True:
                yield line_test.attempt(_PERIOD)
        except PortUnavailable as problem:
            if not patient:
                raise
            yield problem
        finally:
            with suppress(PortUnavailable):
                line_test.end()
            port.close()


class _Lines:
    """A line for each attempt, for a file or a pipe."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def __call__(self, attempt: Attempt | PortUnavailable) -> None:
        """Show an attempt."""
        if isinstance(attempt, PortUnavailable):
            print(attempt, flush=True)
            return
        self._window.add(attempt)
        print(f"{self._window.total:>4}  {_in_words(attempt)}", flush=True)

    def end(self) -> None:
        """Sum up."""
        if self._window.total:
            print(*_verdict(self._window), sep="\n", flush=True)


class _Live:
    """A bar that is drawn again at each attempt."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._block = Block()

    def __call__(self, attempt: Attempt | PortUnavailable) -> None:
        """Show an attempt."""
        problem = None
        if isinstance(attempt, PortUnavailable):
            problem = str(attempt)
        else:
            self._window.add(attempt)
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        self._block.draw(picture(self._window, width, Paint(sys.stdout), problem))

    def end(self) -> None:
        """Leave the last picture where it is."""
        self._block.end()
        if self._window.total:
            print(_verdict(self._window)[0], flush=True)


def _verdict(window: Window) -> tuple[str, ...]:
    from nesgw.commands.align.judge import ENOUGH, Seat

    if window.seat is Seat.UNKNOWN:
        return (f"too few attempts to judge by, {ENOUGH} are needed: {window}",)
    return (f"{window.seat.value}: {window}", *window.advice)


def picture(window: Window, width: int, paint: Paint, problem: str | None = None) -> list[str]:
    """Draw the bar, the row of the last attempts, the counts and the advice."""
    from nesgw.commands.align.judge import GOOD, Outcome, outcome

    quality = window.quality
    colour = paint.green if quality >= GOOD else paint.yellow if window.attempts and quality > 0 else paint.red
    room = max(width - 14, 10)
    filled = round(quality * room)
    marks = {Outcome.ANSWERED: paint.green, Outcome.SILENT: paint.grey}
    last = window.attempts[-(width // 2 - 1) :]
    row = " ".join(marks.get(seen, paint.yellow)(seen.value) for seen in map(outcome, last))
    best = f"   best so far {window.best:.0%}" if window.best > quality else ""
    advice = [problem] if problem else list(window.advice)
    legend = "● answered  × damaged  n NAK  e only echo  s slow  · nothing    (Ctrl-C ends)"
    return [
        f"  [{colour('█' * filled)}{paint.grey('░' * (room - filled))}] {quality:>5.0%}",
        "",
        f"  {row}",
        *(f"  {line}" for line in textwrap.wrap(f"{window}{best}", width - 2)),
        "",
        *(
            line
            for text in advice
            for line in textwrap.wrap(text, width - 2, initial_indent="  → ", subsequent_indent="    ")
        ),
        "",
        *(paint.grey(f"  {line}") for line in textwrap.wrap(legend, width - 2)),
    ]


def _in_words(attempt: Attempt) -> str:
    from nesgw.commands.align.judge import outcome

    seen = [outcome(attempt).name.lower()]
    counts = {"NAK": attempt.naks, "CRC error": attempt.damaged, "echo": attempt.echoes, "noise bytes": attempt.noise}
    seen += [f"{name} {count}" for name, count in counts.items() if count]
    return ", ".join(seen)
