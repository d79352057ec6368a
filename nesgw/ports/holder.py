"""Who has a serial device open: the program's name and its process. Opens no device.

| looked at                   | finds                                          | sees the processes of   |
| --------------------------- | ---------------------------------------------- | ----------------------- |
| /proc/PID/fd                | every program that has it open, locked or not  | this user; root: of all |
| /proc/locks                 | programs that lock it with flock, as nesgw does | all                     |
| /run/lock/LCK..ttyUSB0      | terminal programs and modem software (UUCP)    | all                     |
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOCK_FILES: Final = Path("/run/lock")


def find_holder(
    name: str, but: int | None = None, processes: Path = Path("/proc"), lock_files: Path = _LOCK_FILES
) -> str | None:
    """Name a program (``but`` not that process) that has the device open, as far as this user may look."""
    with suppress(OSError):
        device = Path(name).resolve().stat()
        for process in (*_openers(device, processes), *_lockers(device, processes), *_uucp(name, lock_files)):
            if process != but and (program := _program(processes / str(process))):
                return f"{program} (process {process})"
    return None


def _openers(device: os.stat_result, processes: Path) -> Iterator[int]:
    for process in processes.glob("[0-9]*"):
        with suppress(OSError):
            if any(_is(device, descriptor) for descriptor in (process / "fd").iterdir()):
                yield int(process.name)


def _is(device: os.stat_result, descriptor: Path) -> bool:
    """Compare by device number: a container or a chroot has it under another path."""
    with suppress(OSError):  # descriptors come and go
        if str(descriptor.readlink()).startswith("/dev/"):  # to ask a file on a dead network share takes for ever
            opened = descriptor.stat()
            return stat.S_ISCHR(opened.st_mode) and opened.st_rdev == device.st_rdev
    return False


def _lockers(device: os.stat_result, processes: Path) -> Iterator[int]:
    """Read proc(5): ``1: FLOCK  ADVISORY  WRITE 4711 00:05:92 0 EOF``."""
    file = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    with suppress(OSError):
        for line in (processes / "locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if file in fields[5:6] and fields[4].isdecimal():
                yield int(fields[4])


def _uucp(name: str, lock_files: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):
        yield int((lock_files / f"LCK..{Path(name).resolve().name}").read_text(encoding="ascii"))


def _program(process: Path) -> str | None:
    """Give the name of a process; None where it is gone. The kernel cuts names where it will."""
    try:
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
    return "".join(sign if sign.isprintable() else "?" for sign in name)
