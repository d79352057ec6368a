"""Where the rows of nesgw history go: stdout, or a file that is gone on with.

Never waits for whoever reads them while the port is ours: a pager may be slow for hours.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Final

from nesgw.commands.history.sheet import Sheet
from nesgw.commands.terminal.interrupt import Asked
from nesgw.commands.terminal.progress import Progress
from nesgw.commands.terminal.screen import writable
from nesgw.errors import OutputFailed, WrongUsage

STDOUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})

_AT_ONCE: Final = 256  # bytes that a terminal or a pipe that can be written to takes for sure
_LOOK: Final = 0.25
_LAST_LINES: Final = 8192  # bytes at a file's end that hold its last row


class Sink:
    """Takes lines. ``last`` is up to which moment they were written."""

    def __init__(self, path: Path | None, progress: Progress) -> None:
        self.path = None if path is None or str(path) in STDOUT else path
        self._progress = progress
        self._descriptor: int | None = None
        self._pending: deque[tuple[bytes, datetime | None]] = deque()
        self._in_a_line = False
        self.last: datetime | None = None
        self.count = 0
        self.went_on = False  # after rows that the file had

    def open(self, sheet: Sheet, since: datetime, *, may_go_on: bool = True) -> datetime:
        """Begin with the header; return after which moment to read. Raises WrongUsage."""
        if self.path is None:
            self._descriptor = _stdout()
            self._put(sheet.header, None)
            return since
        try:
            last = self._open_file(self.path, sheet, may_go_on=may_go_on)
        except OSError as error:
            raise WrongUsage(command="history", problem=f"{self.path}: {error.strerror or error}") from None
        self.went_on = last is not None
        return since if last is None else max(since, last)

    def _open_file(self, path: Path, sheet: Sheet, *, may_go_on: bool) -> datetime | None:
        last = None
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # a device or a FIFO: nothing stands there
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self._put(sheet.header, None)
            return None
        if path.exists() and path.stat().st_size:
            if not may_go_on:
                raise WrongUsage(command="history", problem=f"{path} is not empty: name another file")
            last = go_on(path, sheet)
        self._descriptor = os.open(path, flags, 0o644)
        if not path.stat().st_size:
            self._put(sheet.header, None)
        return last

    @property
    def opened(self) -> bool:
        """Whether the place to write to was found good."""
        return self._descriptor is not None

    def add(self, text: str, end: datetime | None) -> None:
        """Take a line, and write what can be written without waiting."""
        if text:
            self._put(text, end)
            self.count += 1
        while self._pending and self._ready(0.0):
            self._write()

    def flush(self, asked: Asked) -> None:
        """Write the rest, unless we are asked to end."""
        while self._pending and not asked.is_set():
            if self._ready(_LOOK):
                self._write()

    def close(self) -> None:
        """Close the file."""
        if self.path is not None and self._descriptor is not None:
            os.close(self._descriptor)

    def _put(self, text: str, end: datetime | None) -> None:
        self._pending += ((line.encode(), end) for line in text.splitlines(keepends=True))

    def _ready(self, timeout: float) -> bool:
        return self._descriptor is None or writable(self._descriptor, timeout)

    def _write(self) -> None:
        data, end = self._pending.popleft()
        if not self._in_a_line:
            self._progress.clear()
        if self._descriptor is None:
            sys.stdout.write(data.decode())
        else:
            try:
                data = data[os.write(self._descriptor, data[:_AT_ONCE]) :]
            except BrokenPipeError:
                raise
            except OSError as error:
                self._pending.clear()  # nor would the rest find room
                raise OutputFailed(place=self.path or "the output", problem=error.strerror) from error
            self._in_a_line = bool(data)
            if data:
                self._pending.appendleft((data, end))
                return
        self.last = end or self.last


def _stdout() -> int | None:
    """Its descriptor, if it has one; a test's has none."""
    sys.stdout.flush()
    try:
        return sys.stdout.fileno()
    except OSError:
        return None


def go_on(path: Path, sheet: Sheet) -> datetime | None:
    """Find the time of a file's last row; None if it has none yet. A line that is not whole is cut off.

    Raises WrongUsage, and leaves the file alone, if it holds anything else than rows of this kind.
    """
    with path.open("r+b") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LAST_LINES))
        tail = file.read()
        file.seek(0)
        head = sheet.begins.encode()
        begins = file.read(len(head))
        if not head.startswith(begins):
            raise WrongUsage(command="history", problem=f"{path} has other columns: name another file")
        whole = tail.rfind(b"\n") + 1
        last = tail[:whole].decode(errors="replace").splitlines(keepends=True)
        found = _time_of(last[-1], sheet, path) if last and last[-1] != sheet.header else None
        file.truncate(size - len(tail) + whole)
    return found


def _time_of(line: str, sheet: Sheet, path: Path) -> datetime:
    try:
        return sheet.time(line)
    except (ValueError, KeyError, TypeError, IndexError):
        raise WrongUsage(command="history", problem=f"{path} has other rows: name another file") from None
