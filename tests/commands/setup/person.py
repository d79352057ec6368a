"""A person at a terminal of so many columns: types at a program on a pseudo terminal, and reads its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

PATIENCE = 30.0
_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """What a terminal shows, the lines that have scrolled away included: as much of one as our commands use."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        while text:
            if match := _CONTROL.match(text):
                self._control(match[2], match[3])
                text = text[match.end() :]
                continue
            self._sign(text[0])
            text = text[1:]

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            self._row = max(0, self._row - int(number or 1))
        elif letter == "K":
            self.lines[self._row] = self.lines[self._row][: self._column]
        elif letter == "J":
            self.lines[self._row] = self.lines[self._row][: self._column]
            del self.lines[self._row + 1 :]
        else:
            assert letter in "mhl", f"a sequence that is not understood: {letter}"

    def _sign(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._down()
        elif sign.isprintable():
            if self._column == self.columns:
                self._column = 0
                self._down()
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + sign + line[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        while len(self.lines) <= self._row:
            self.lines.append("")

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


class Person:
    """Starts a program on a terminal of its own; ends it at the end. ``raw`` is every byte that came."""

    def __init__(self, words: Sequence[str], columns: int = 60, environment: Mapping[str, str] | None = None) -> None:
        self.screen = Screen(columns)
        self.raw = ""
        self._seen = 0
        self.process, self._terminal = pty.fork()
        if self.process == 0:
            own = {**os.environ, "TERM": "xterm", "PYTHONUNBUFFERED": "1", **(environment or {})}
            for size in ("COLUMNS", "LINES"):  # the terminal's own counts
                own.pop(size, None)
            os.execvpe(words[0], list(words), own)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        os.close(self._terminal)

    def sees(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until a text has come, behind the one of before; line ends count as blanks."""
        until = time.monotonic() + seconds
        while text not in self._unseen():
            assert time.monotonic() < until, f"waited in vain for {text!r}:\n{self.screen}"
            assert self._read(0.2), f"it ended without {text!r}:\n{self.screen}"
        self._seen += self._unseen().index(text) + len(text)

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def answers(self, prompt: str, text: str) -> None:
        """Wait for a prompt, and answer it with a line."""
        self.sees(prompt)
        self.sees(": ")
        self.types(f"{text}\n")

    def breaks_off(self) -> None:
        """Type Ctrl-C once it waits: the sign would stand within a sentence that is being written."""
        written = -1
        while written != len(self.raw):
            written = len(self.raw)
            self._read(0.5)
        self.types("\x03")

    def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        until = time.monotonic() + seconds
        while self._read(0.2):
            assert time.monotonic() < until, f"it does not end:\n{self.screen}"
        _, status = os.waitpid(self.process, 0)
        self.process = 0
        return os.waitstatus_to_exitcode(status)

    def _unseen(self) -> str:
        return re.sub(r"\s+", " ", _CONTROL.sub("", self.raw))[self._seen :]

    def _read(self, seconds: float) -> bool:
        if select.select([self._terminal], [], [], seconds)[0]:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # the other end has closed
                return False
            text = data.decode(errors="replace")
            self.raw += text
            self.screen.feed(text)
            return bool(data)
        return True
