"""Changes a configuration as text: everything else in it, comments and order included, stays as it is. Pure.

What it cannot change with certainty it refuses: each change is read back, and must have had exactly its effect.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nesgw.config.example import toml_value

# The way to a table: ("mqtt",), ("mqtt", "tls"), ("meter", 1).
Table = tuple[str | int, ...]
Value = str | int | bool

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(#.*)?")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_BARE: Final = re.compile(r"[^\s#,\[\]{}\"']+")


class Unclear(ValueError):
    """A text that this module does not understand well enough to change it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One option of one table. A value of None takes the option out."""

    table: Table
    option: str
    value: Value | None


def changed(text: str, changes: Sequence[Change]) -> str:
    """Return the text with some options changed; tables that are missing are added at the end. Raises Unclear."""
    wanted = _applied(_parsed(text), changes)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for change in changes:
        lines = _with(lines, change)
    new = "\n".join(lines)
    if _parsed(new) != wanted:
        raise Unclear("it is written in a way that cannot be changed without touching the rest")
    return ("\ufeff" if text.startswith("\ufeff") else "") + (new.replace("\n", "\r\n") if "\r\n" in text else new)


def block(name: str, options: Mapping[str, Value]) -> str:
    """Write one block of a list of tables."""
    return f"[[{name}]]\n" + "".join(f"{option} = {toml_value(value)}\n" for option, value in options.items())


def appended(text: str, added: str) -> str:
    """Return the text with a block at its end, an empty line before it."""
    end = "\r\n" if "\r\n" in text else "\n"
    head = text.rstrip()
    return (head + end * 2 if head else "") + added.replace("\n", end)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        raise Unclear("it is no TOML") from None


def _applied(raw: dict[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """Do the same to the values."""
    raw = copy.deepcopy(raw)
    for change in changes:
        place: Any = raw
        for step in change.table:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if change.value is None:
            place.pop(change.option, None)
        else:
            place[change.option] = change.value
    return raw


def _with(lines: list[str], change: Change) -> list[str]:
    extent = _extent(lines, change.table)
    if extent is None and change.value is None:
        return lines
    if extent is None:
        lines = appended("\n".join(lines), f"[{'.'.join(map(str, change.table))}]\n").split("\n")
        extent = len(lines) - 1, len(lines) - 1
    begin, end = extent
    return [*lines[:begin], *_block_with(lines[begin:end], change.option, change.value), *lines[end:]]


def _extent(lines: Sequence[str], table: Table) -> tuple[int, int] | None:
    """Return where the options of a table begin and end, as indexes of lines."""
    name = ".".join(step for step in table if isinstance(step, str))
    index = next((step for step in table if isinstance(step, int)), 0)
    headers = [(number, match) for number, line in enumerate(lines) if (match := _HEADER.fullmatch(line))]
    ours = [number for number, match in headers if match[2] == name]
    if len(ours) <= index:
        return None
    begin = ours[index] + 1
    end = next((number for number, _ in headers if number >= begin), len(lines))
    return begin, end


def _block_with(lines: list[str], option: str, value: Value | None) -> list[str]:
    at = _find(lines, rf"(\s*)({re.escape(option)}\s*=\s*)")
    if value is None:
        return lines if at is None else [*lines[:at], *lines[at + 1 :]]
    if at is None:
        at = _find(lines, rf"(\s*)#\s?({re.escape(option)}\s*=\s*)")
    if at is not None and (line := _line_with(lines[at], option, value)) is not None:
        return [*lines[:at], line, *lines[at + 1 :]]
    end = max(
        (number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")),
        default=0,
    )
    return [*lines[:end], f"{option} = {toml_value(value)}", *lines[end:]]


def _find(lines: Sequence[str], pattern: str) -> int | None:
    return next((number for number, line in enumerate(lines) if re.match(pattern, line)), None)


def _line_with(line: str, option: str, value: Value) -> str | None:
    """Put a value in the place of the one in a line; the comment behind stays, and where it began if it can."""
    head = re.match(rf"(\s*)(#\s?)?({re.escape(option)}\s*=\s*)", line)
    assert head is not None  # noqa: S101 (it was found by it)
    size = _value_size(line[head.end() :])
    rest = line[head.end() + size :]
    if size == 0 or not re.fullmatch(r"\s*(#.*)?", rest):
        return None
    new = f"{head[1]}{head[3]}{toml_value(value)}"
    comment = rest.strip()
    return f"{new:<{len(line) - len(rest.lstrip()) - 1}} {comment}" if comment else new


def _value_size(text: str) -> int:
    """Return how long the value at the beginning of a text is; 0 if it does not end on this line."""
    if match := _STRING.match(text) or _BARE.match(text):
        return match.end()
    if not text.startswith("["):
        return 0
    depth = at = 0
    while at < len(text):
        if match := _STRING.match(text, at):
            at = match.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at
    return 0
