"""Shows on a terminal that a long step goes on. Silent where stderr is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

_CLEAR_LINE = "\r\x1b[K"


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

    def _write(self, text: str) -> None:
        if self._shown:
            self._stream.write(_CLEAR_LINE + text)
            self._stream.flush()
