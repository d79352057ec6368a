"""How a command asks the running daemon for a part of a table, over the Unix socket in the meter's folder.

A request is the line ``GET TABLE OFFSET SIZE``, in decimal. The answer is ``OK SIZE`` and the bytes, or ``NO`` with the
error as JSON. There is no other request: nothing can be written through the socket, and only what ``nesgw dump`` may
read can be asked for. Pure; both sides are here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nesgw import errors
from nesgw.errors import NesgwError, OperatorNeeded, Retryable, TableNotPresent
from nesgw.tables.extent import READABLE
from nesgw.tables.queues import STEP
from nesgw.tables.register import Part, table_name

SOCKET: Final = "reader"  # its name in the meter's folder

MOST: Final = STEP // 2  # bytes of a request: one fits between polls two seconds apart
LONGEST_REQUEST: Final = 40  # bytes of the line
LONGEST_HEAD: Final = 4096  # bytes of the answer's line
LONGEST_FACT: Final = 300  # characters

_REQUEST: Final = re.compile(rb"GET (\d{1,4}) (\d{1,8}) (\d{1,4})\n")
_HIGHEST_OFFSET: Final = 0xFFFFFF


def request(part: Part) -> bytes:
    """Write a request."""
    return f"GET {part.table} {part.offset} {part.size}\n".encode()


def parse_request(line: bytes) -> Part | None:
    """Understand a request; None for anything else, and for what may not be read."""
    match = _REQUEST.fullmatch(line)
    if match is None:
        return None
    table, offset, size = map(int, match.groups())
    if table not in READABLE or not 0 < size <= MOST or offset > _HIGHEST_OFFSET:
        return None
    return Part(table_name(table), table, offset, size)


def answer(result: bytes | NesgwError) -> bytes:
    """Write an answer."""
    if isinstance(result, bytes):
        return f"OK {len(result)}\n".encode() + result
    facts = {name: _shown(str(value)) for name, value in result.facts.items()}
    return b"NO " + json.dumps({"error": type(result).__name__, "facts": facts}).encode() + b"\n"


def parse_head(line: bytes) -> int | NesgwError | None:
    """Understand an answer's line: how many bytes follow, or the error; None for anything else."""
    if match := re.fullmatch(rb"OK (\d{1,4})\n", line):
        return int(match[1])
    if not line.startswith(b"NO "):
        return None
    try:
        content = json.loads(line[3:])
        made = _ERRORS[content["error"]](**{str(name): _shown(str(value)) for name, value in content["facts"].items()})
        str(made)  # whether all its facts are there
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
    return made


def parts_of(part: Part) -> list[Part]:
    """Cut a part into pieces that can be asked for."""
    return [
        part._replace(offset=part.offset + start, size=min(MOST, part.size - start))
        for start in range(0, part.size, MOST)
    ]


def socket_in(folder: Path) -> Path:
    """Where the daemon listens for a meter."""
    return folder / SOCKET


def _shown(text: str) -> str:
    """What came from elsewhere must steer no terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:LONGEST_FACT]


def _errors() -> Mapping[str, type[NesgwError]]:
    kinds = (Retryable, OperatorNeeded, TableNotPresent)
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, kinds)]
    return {each.__name__: each for each in found}


_ERRORS: Final = _errors()
