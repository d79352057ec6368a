"""nesgw dump: every readable table, raw and decoded, without key and serial number, for a bug report."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw.commands.target import Target, target, target_arguments
from nesgw.commands.terminal.interrupt import INTERRUPTED, interruptible
from nesgw.commands.terminal.screen import wrapped
from nesgw.errors import EX_OK, ConfigError, NesgwError, OutputFailed, Retryable, Stopped, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.terminal.progress import Progress
    from nesgw.meter.reader import Reader
    from nesgw.tables.extent import Tables

_GIVE_UP_AT: Final = 3  # tables that could not be read for trouble on the line
_UNREAD: Final = "unread"
_NO_CAPTURE: Final = (
    "nesgw: the service has read it; only a dump without it shows what passed over the MEP port in the first minute, "
    "which helps: sudo systemctl stop nesgw, dump, and start it again"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="default: nesgw-dump-MODEL-FIRMWARE-DATE.json, here"
    )
    parser.add_argument(
        "--load-profile",
        action="store_true",
        help="also what was used when, for weeks back: only if the report is about it; takes minutes",
    )
    target_arguments(parser)
    parser.epilog = "Serial numbers, customer ids and the key are never in the file; it says what was masked."


def run(options: argparse.Namespace) -> int:
    """Read, mask, write; 130 when interrupted, and then nothing is written."""
    from nesgw.commands.dump import document as dump
    from nesgw.commands.reader import CommandReader
    from nesgw.commands.terminal.progress import Progress
    from nesgw.mep.capture import Capture
    from nesgw.ports.serial_port import open_port
    from nesgw.tables.extent import CATALOGUE, LOAD_PROFILE, Tables

    if options.file:
        _refuse(options.file)
    chosen = target(options)
    made = datetime.now(UTC)
    tables = Tables()
    capture = Capture(open_port) if chosen.meter.interface == "mep" else None
    opener = capture.open if capture else open_port
    with interruptible() as asked, Progress() as progress:
        try:
            with CommandReader(
                chosen, stop=asked.is_set, say=lambda text: progress.step(text or "reading"), opener=opener
            ) as reader:
                for number, name in enumerate(CATALOGUE):
                    if name == "BT20" and not options.file:  # by now it is known which meter it is
                        _refuse(Path(dump.file_name(tables, made)))
                    if options.load_profile or name not in LOAD_PROFILE:
                        _read(name, reader, tables, progress, number / len(CATALOGUE))
        except Stopped:
            progress.clear()
            print("nesgw: interrupted; nothing was written", file=sys.stderr)
            return INTERRUPTED
    line = capture.lines() if capture else []
    content = dump.document(tables, _key(chosen), made, line)
    path: Path = options.file or Path(dump.file_name(tables, made))
    _write(path, dump.text(content))
    print(wrapped(_summary(path, tables, content), sys.stdout))
    if capture and not line:
        print(wrapped(_NO_CAPTURE, sys.stderr), file=sys.stderr)
    return EX_OK


def _read(name: str, reader: Reader, tables: Tables, progress: Progress, share: float) -> None:
    """Read one table, or find out how it is refused. Raises what keeps several tables from being read."""
    from nesgw.commands.dump.document import refusal
    from nesgw.tables.extent import next_part, take

    while (part := next_part(name, tables)) is not None:
        got = sum(len(data) for data in tables.data.values())
        progress.bar(share, f"{name}, {got / 1000:.1f} kB so far")
        try:
            take(name, reader.read(part), tables)
        except Stopped:
            raise
        except NesgwError as problem:
            code = refusal(problem)
            unread = sum(why.startswith(_UNREAD) for why in tables.refused.values())
            if code is None and (not isinstance(problem, Retryable) or unread + 1 == _GIVE_UP_AT):
                raise
            tables.refused[name] = code or f"{_UNREAD}: {problem.happened}"
            return
    tables.at[name] = datetime.now(UTC)


def _is_there(path: Path) -> bool:
    """Whether the name is taken, be it by a link that leads nowhere. Raises OSError where that cannot be seen."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _refuse(path: Path) -> None:
    """Find out before minutes of reading that the file cannot be written."""
    folder = path.parent
    try:
        if _is_there(path):
            raise WrongUsage(command="dump", problem=f"{path} is there already: name another file")
        writable = folder.is_dir() and os.access(folder, os.W_OK)
    except OSError as error:
        raise WrongUsage(command="dump", problem=f"{path}: {error.strerror}") from None
    if not writable:
        raise WrongUsage(
            command="dump", problem=f"{folder.absolute()} is no folder that this user may write to: name another file"
        )


def _write(path: Path, text: str) -> None:
    try:
        file = path.open("x", encoding="utf-8")
    except OSError as error:
        raise WrongUsage(command="dump", problem=f"{path}: {error.strerror}") from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink()  # half a dump is none, and would stand in the way of the next
        raise OutputFailed(place=path, problem=error.strerror) from None


def _key(target: Target) -> bytes | None:
    """The key, to be looked for in what was read; the daemon has done so where this user may not know it."""
    try:
        return target.read_key().value.reveal()
    except ConfigError:
        return None


def _summary(path: Path, tables: Tables, content: dict[str, object]) -> str:
    """One sentence: what is in the file, and what is not."""
    from nesgw.tables.extent import LOAD_PROFILE

    decoded = content["decoded"]
    who = decoded.get("identity") if isinstance(decoded, dict) else None
    of = f" of the meter ({who['manufacturer']} {who['model']}, firmware {who['firmware']})" if who else ""
    values = "" if any(name in tables.data for name in LOAD_PROFILE) else ", the load profile"
    return (
        f"{path}: {len(tables.data)} tables{of}, raw and decoded, and how {len(tables.refused)} others were refused; "
        f"left out: the key, all serial numbers and customer ids{values}."
    )
