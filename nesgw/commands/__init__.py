"""The command line: one module or one folder a command. Prints for people, exits with sysexits.h codes.

A module's ``arguments`` describes its command; its ``run`` does it and returns the exit code. Only the module of the
command that is given is imported, and heavy imports are inside ``run``: no command waits for what it does not need.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NoReturn

from nesgw import __version__
from nesgw.commands.terminal.screen import plain, wrapped
from nesgw.config.key import without_keys
from nesgw.errors import EX_SOFTWARE, EX_USAGE, NesgwError, OutputFailed
from nesgw.values import printable

# Each command with its module below this package.
_MODULES: Final = {
    "setup": "setup.command",
    "run": "run",
    "read": "read.command",
    "history": "history.command",
    "backfill": "backfill.command",
    "dump": "dump.command",
    "align": "align.command",
    "check-config": "check_config",
    "doctor": "doctor.command",
    "forget": "forget.command",
    "simulate": "simulate",
    "demo": "demo.command",
}
COMMANDS: Final = tuple(_MODULES)

_SECRETS: Final = frozenset({"--key", "--password", "--mqtt-password", "--token"})  # as they are looked for

_LONGEST: Final = 2000  # characters of a line of ours; some quote a broker, a meter or a file

# Everything else of this kind is told where it is met: what is left is what we print.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


class _Parser(argparse.ArgumentParser):
    """argparse with the exit code of sysexits.h and a pointer to the help.

    No option is known by its beginning alone: ``--key`` was once taken for ``--key-file``, and the key printed as the
    name of a file that does not exist.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"argument COMMAND: invalid choice: '([a-z-]{1,20})'", message):
            near = difflib.get_close_matches(unknown[1], COMMANDS, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            message = f"{unknown[1]} is no command{meant}"
        elif message.endswith("are required: COMMAND"):
            message = "a command is needed, in front of its options"
        said = printable(without_keys(message), _LONGEST)
        self.exit(EX_USAGE, f"{self.prog}: {said}; see: {self.prog} --help\n")


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Build the parser of the command line, with these commands (the man page is made from that of all)."""
    top = _Parser(prog="nesgw", description="Reads Echelon/NES electricity meters over their optical port.")
    top.add_argument("-V", "--version", action="version", version=f"nesgw {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        module = _module(name)
        summary = (module.__doc__ or "").splitlines()[0].removeprefix(f"nesgw {name}: ")
        command = commands.add_parser(name, help=summary, description=summary)
        module.arguments(command)
    return top


def _module(name: str) -> ModuleType:
    return import_module(f"nesgw.commands.{_MODULES[name]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Every error of ours ends as its sentence on stderr and its exit code."""
    codecs.register_error("plain", plain)
    if sys.stdin is None:  # closed by the caller: there is nothing to read, and nobody to ask
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, who wants to see nothing
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")  # a terminal without our signs is no reason to fail
    try:
        options = _parsed(argv)
        code: int = _module(options.command).run(options)
        sys.stdout.flush()
    except NesgwError as error:
        lines = (f"nesgw: {printable(line, _LONGEST)}" for line in without_keys(str(error)).splitlines())
        _complain(*(wrapped(line, sys.stderr) for line in lines))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (nesgw read | head): not an error of ours.
        _let_go_of_output()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            _let_go_of_output()
            failed = OutputFailed(place=error.filename or "the output", problem=error.strerror)
            _complain(f"nesgw: {failed}")
            return failed.exit_code
        import traceback

        _complain(
            traceback.format_exc().rstrip(), "nesgw: this is a defect in nesgw: please report it with the lines above"
        )
        return EX_SOFTWARE
    return code


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Take the command line apart; argparse prints help and version itself, and says nothing if that fails."""
    given = sys.argv[1:] if argv is None else list(argv)
    if not given or given == ["help"]:
        given = ["--help"]
    known = given[0] if given and given[0] in COMMANDS else None  # what else there is only the help has to say
    try:
        top = parser([known] if known else COMMANDS)
        options, unknown = top.parse_known_args(given)
        if unknown:
            _parser_of(top, options.command).error(_refused(unknown))
        return options
    finally:
        sys.stdout.flush()


def _parser_of(top: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    """Return the parser of a command, which knows where its help is."""
    (commands,) = (each for each in top._actions if isinstance(each, argparse._SubParsersAction))
    found: argparse.ArgumentParser = commands.choices[command]
    return found


def _refused(words: Sequence[str]) -> str:
    """Say which options are unknown by their names alone: what stands behind one may be a key."""
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    if _SECRETS & set(names):
        return "no secret is given on the command line, where others can see it: name a file that holds it"
    return f"unknown option {', '.join(names)}" if names else "more words than the command takes"


def _complain(*lines: str) -> None:
    """Print on stderr. Where nobody reads that, or its disk is full, the exit code has to do."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # or Python would try again at its end, and change the code
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)


def _let_go_of_output() -> None:
    """Send what is still buffered nowhere: Python flushes it at its end, and a failure there has a code of its own."""
    with contextlib.suppress(OSError, ValueError):  # no file behind it, as in a test
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
