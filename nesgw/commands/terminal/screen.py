"""What the commands need of a terminal: colour where it is wanted, and a block of lines that is drawn anew."""

from __future__ import annotations

import os
import select
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Final, TextIO

_PLAIN: Final = {"█": "#", "░": ".", "●": "o", "×": "x", "·": ".", "→": "->", "…": "...", "–": "-"}
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


def writable(descriptor: int, timeout: float = 0.0) -> bool:
    """Whether a few bytes can be written without waiting: nobody has stopped the terminal or left the pipe full."""
    return bool(select.select([], [descriptor], [], timeout)[1])


def plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by what looks most like it: a handler of such errors."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 (we only print)
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def wrapped(text: str, stream: TextIO) -> str:
    """Break lines that are wider than the terminal between words; for other readers a message stays one line."""
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 20)
    lines = (
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) if len(line) > width else [line]
        for line in text.split("\n")
    )
    return "\n".join(part for parts in lines for part in parts)


class Paint:
    """Colours for a stream; none where it is no terminal, or where the user wants none (https://no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        self._on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def green(self, text: str) -> str:
        """What is well."""
        return self._paint("32", text)

    def yellow(self, text: str) -> str:
        """What could be better."""
        return self._paint("33", text)

    def red(self, text: str) -> str:
        """What is wrong."""
        return self._paint("31", text)

    def grey(self, text: str) -> str:
        """What matters less."""
        return self._paint("90", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text else text


class Block:
    """Lines on stdout that each drawing replaces. They must be no wider than the terminal."""

    def __init__(self) -> None:
        self._height = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Draw the lines where the last ones stood."""
        up = f"\x1b[{self._height}A" if self._height else _HIDE
        body = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        sys.stdout.write(f"{up}\r{body}{_CLEAR_BELOW}")
        sys.stdout.flush()
        self._height = len(lines)

    def end(self) -> None:
        """Leave what was drawn last, and give the cursor back."""
        if self._height:
            sys.stdout.write(f"\r{_CLEAR_LINE}{_SHOW}")
            sys.stdout.flush()
            self._height = 0
