"""nesgw simulate: a simulated meter on a pseudo terminal, so that everything can be tried without hardware."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from nesgw.commands.terminal.numbers import at_least_one
from nesgw.errors import EX_OK, PortUnavailable, WrongUsage

if TYPE_CHECKING:
    from nesgw.simulator import PtyLine


_DEFAULT: Final = "83331-3i"  # the three-phase meter of most households that run nesgw

_KEY_FILE: Final = "simulated.key"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    profile_argument(parser)
    interface_argument(parser)
    parser.add_argument("--from", dest="dump", metavar="FILE", help="play back what nesgw dump wrote, as that meter")
    parser.add_argument("--link", metavar="PATH", help="also make a symbolic link of this name to the device")
    seed_argument(parser)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--baud", type=at_least_one, default=9600, metavar="N", help="pace of the line (default: 9600)")
    pace.add_argument("--no-pacing", action="store_true", help="pass the bytes on as fast as the machine can")


def profile_argument(parser: argparse.ArgumentParser) -> None:
    """Add --profile with what each profile is."""
    from nesgw.simulator import PROFILES

    names = ", ".join(PROFILES)
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=_DEFAULT,
        metavar="NAME",
        help=f"which meter: {names} (default: {_DEFAULT})",
    )
    parser.epilog = "The meters: " + "; ".join(f"{each.name}, {each.describes}" for each in PROFILES.values()) + "."


def interface_argument(parser: argparse.ArgumentParser) -> None:
    """Add --interface."""
    parser.add_argument(
        "--interface", choices=("optical", "mep"), default="optical", help="which of its ports (default: optical)"
    )


def seed_argument(parser: argparse.ArgumentParser) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another number, another house (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Print the device path, and the command that reads it, and serve the meter until Ctrl-C."""
    from nesgw.simulator import DEFAULT_KEY, serve

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())

    def ready(line: PtyLine) -> None:
        port, key = options.link or line.path, DEFAULT_KEY.decode()
        print(port)
        print(_reading(port, key, options.interface), flush=True)
        print(f"the key of this meter is {key}; Ctrl-C ends it", file=sys.stderr)

    try:
        serve(
            options.profile,
            options.link,
            options.seed,
            options.baud,
            not options.no_pacing,
            ready=ready,
            stop=stop,
            from_dump=options.dump,
            interface=options.interface,
        )
    except ValueError as error:
        raise WrongUsage(command="simulate", problem=f"--from {options.dump}: {error}") from None
    except OSError as error:
        if options.dump and error.filename == options.dump:
            raise WrongUsage(command="simulate", problem=f"--from {options.dump}: {error.strerror}") from None
        problem = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            problem = "the folder is not there: make it, or take another name for the link"
        raise PortUnavailable(port=options.link, problem=problem) from None
    return EX_OK


def _reading(port: str, key: str, interface: str) -> str:
    """Write the command that reads this meter, for another terminal; it makes the key file first."""
    other_port = "" if interface == "optical" else f" --interface {interface}"
    read = f"nesgw read --port {shlex.quote(port)} --key-file {_KEY_FILE}{other_port}"
    return f"(umask 077; echo {key} >{_KEY_FILE}); {read}"
