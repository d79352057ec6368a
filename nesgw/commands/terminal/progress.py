"""Shows on a terminal that a long step goes on. Silent where stderr is no terminal."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import Self, TextIO

from nesgw.commands.terminal.screen import writable

_CLEAR_LINE = "\r\x1b[K"
_BAR = 24  # characters


class Progress:
    """One line on stderr that names the step at work and vanishes at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._write("")

    def step(self, text: str) -> None:
        """Show what goes on now."""
        self._write(f"{text} …")

    def bar(self, share: float, text: str) -> None:
        """Show how far it has come, 0 to 1, and a few words on it."""
        done = round(share * _BAR)
        self._write(f"{'█' * done}{'░' * (_BAR - done)} {share:4.0%}  {text}")

    def clear(self) -> None:
        """Give the line to somebody else, until the next step."""
        self._write("")

    def _write(self, text: str) -> None:
        # A terminal that is held by Ctrl-S must not hold us: the meter's port may be in our hands.
        if self._shown and writable(self._stream.fileno()):
            self._stream.write(_CLEAR_LINE + text[: shutil.get_terminal_size().columns - 1])
            self._stream.flush()
