"""Reads the small files that people write. A pipe that nobody fills is not waited for, and no device is swallowed."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path
from typing import Final

# Where a shell hands over what it makes no file of.
_PIPES: Final = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def refuse_no_file(path: Path, mode: int) -> None:
    """Refuse what is neither a file nor a pipe of the shell; ``mode`` is the path's. Raises ValueError."""
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name the file in it")
    if not stat.S_ISREG(mode) and not str(path).startswith(_PIPES):
        raise ValueError(f"{path} is no ordinary file")


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most ``most`` bytes. Raises OSError, and ValueError for what is no such file."""
    refuse_no_file(path, path.stat().st_mode)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} is longer than {most:,} bytes; name the right file".replace(",", " "))
    return content


def text_of(content: bytes) -> str:
    """Decode UTF-8, or what Windows calls Unicode if a byte order mark says so. Raises UnicodeDecodeError."""
    return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8")
