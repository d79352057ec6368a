"""The text of a configuration: its files one behind the other, and where in them each option and mistake stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nesgw.config.key import without_keys
from nesgw.config.schema import shown
from nesgw.config.settings import NotPickled
from nesgw.errors import ConfigError

# The way to an option: ("meter", 0, "baud").
Location = tuple[str | int, ...]

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_OPTION: Final = re.compile(r"\s*([\w.-]+)\s*=")
_AT: Final = re.compile(r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)
_OPTION_AND_REST: Final = re.compile(r"(\s*([\w.-]+)\s*[=:]\s*)(.*)")
_OPEN_HEADER: Final = re.compile(r"\s*\[\[?\s*[\w.-]{1,20}\s*\]?\s*")
_MORE: Final = re.compile(r"[={#@]|:\s|^(\"[^\"]*\"|'[^']*')\s*\w")  # than one plain value
_LONG_WORD: Final = re.compile(r"[^\s\"'/\[\]]{16,}")
_MASK: Final = "********"
_LONGEST_NAME: Final = 60  # of a meter that is wrong; a right one has 40


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. ``line`` is 0 and ``option`` empty where there is none; ``excerpt`` shows the very place."""

    file: str
    line: int
    option: str
    problem: str
    excerpt: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        sentence = ": ".join(part for part in (place, self.option, self.problem) if part)
        return "\n".join((sentence, *self.excerpt))


class WrongConfiguration(ConfigError):
    """The configuration is wrong; ``mistakes`` has in parts what ``problems`` says."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__([str(mistake) for mistake in self.mistakes])


class Source(NotPickled):
    """One file, by the name under which its mistakes are reported. Raises WrongConfiguration if it is no TOML."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        try:
            self.raw = tomllib.loads("\n".join(self.lines))
        except tomllib.TOMLDecodeError as error:
            line, problem, excerpt = _explained(error, self.lines)
            raise WrongConfiguration([Mistake(name, line, "", problem, excerpt)]) from None
        except RecursionError:
            problem = "not valid TOML: brackets within brackets, too deep for any configuration"
            raise WrongConfiguration([Mistake(name, 0, "", problem)]) from None
        except ValueError:  # Python's limit for the digits of a number
            raise WrongConfiguration([Mistake(name, 0, "", "not valid TOML: a number is too long")]) from None


class Document(NotPickled):
    """A configuration as one text; further files are read as if they stood at the end of the first.

    Raises WrongConfiguration if they do not fit together.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._lines = [line for source in sources for line in source.lines]
        self._numbers: dict[Location, int] = {}
        for location, number in _locations(self._lines):
            self._numbers.setdefault(location, number)
        for source in sources[1:]:
            _refuse_options_outside(source)
        try:
            self.raw: dict[str, Any] = tomllib.loads("\n".join(self._lines))
        except tomllib.TOMLDecodeError as error:
            number, problem, excerpt = _explained(error, self._lines)
            raise WrongConfiguration([Mistake(*self._in_file(number), "", problem, excerpt)]) from None

    def mistake(self, location: Location, problem: str) -> Mistake:
        """Return the mistake of one option."""
        return Mistake(*self._in_file(self.number(location)), without_keys(self._dotted(location)), problem)

    def number(self, location: Location) -> int:
        """Return the line of an option in the whole text, or of the innermost table around it; 0 if there is none."""
        return next((self._numbers[way] for way in _inside_out(location) if way in self._numbers), 0)

    def _in_file(self, number: int) -> tuple[str, int]:
        for source in self._sources:
            if number <= len(source.lines):
                return source.name, number
            number -= len(source.lines)
        return self._sources[-1].name, 0

    def _dotted(self, location: Location) -> str:
        """("meter", 0, "baud") -> meter.house.baud; the position where the block has no name."""
        match location:
            case ("meter", int(index), *rest):
                blocks = self.raw["meter"]
                block = blocks[index] if isinstance(blocks, list) else None
                name = block.get("name") if isinstance(block, Mapping) else None
                who = name if isinstance(name, str) and len(name) <= _LONGEST_NAME else index + 1
                location = ("meter", who, *rest)
        return ".".join(str(part) for part in location)


def _inside_out(location: Location) -> Iterator[Location]:
    return (location[:end] for end in range(len(location), 0, -1))


def _locations(lines: Iterable[str]) -> Iterator[tuple[Location, int]]:
    """Find the line of each table and option; TOML's parser in the standard library keeps no positions.

    Texts of several lines, and options within braces, are not looked into.
    """
    counts: dict[str, int] = {}
    table: Location = ()
    for number, line in enumerate(lines, 1):
        if header := _HEADER.match(line):
            name = header[2]
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
            first, *rest = name.split(".")
            table = (first, counts[first], *rest) if first in counts else (first, *rest)
            yield table, number
        elif option := _OPTION.match(line):
            yield (*table, *option[1].split(".")), number


def _refuse_options_outside(source: Source) -> None:
    """A further file begins with a table: its first options would belong to whatever table was the last before it."""
    for name, number in _outside(source):
        problem = "stands outside of a table; begin the file with [[meter]], or another table"
        raise WrongConfiguration([Mistake(source.name, number, name, problem)])


def _outside(source: Source) -> Iterator[tuple[str, int]]:
    """Yield the options before the first table, whose names may have several parts, and those in quotes."""
    for number, line in enumerate(source.lines, 1):
        if _HEADER.match(line):
            break
        if option := _OPTION.match(line):
            yield option[1], number
    for name, value in source.raw.items():
        if not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield name, next((at for where, at in _locations(source.lines) if where == (name,)), 0)


def _explained(error: tomllib.TOMLDecodeError, lines: Sequence[str]) -> tuple[int, str, tuple[str, ...]]:
    """Return the line of a mistake in the grammar, what would be right, and the line with a sign below the place."""
    match = _AT.match(str(error))
    said = match[1] if match else str(error)
    number = int(match[2]) if match and match[2] else len(lines)
    line = lines[number - 1] if number <= len(lines) else ""
    while not line.strip() and number > 1 and not (match and match[2]):
        number -= 1  # the end of the file, but for empty lines
        line = lines[number - 1]
    column = int(match[3]) if match and match[3] else len(line) + 1
    return number, f"not valid TOML: {without_keys(_hint(said, line))}", _excerpt(line, column)


def _excerpt(line: str, column: int) -> tuple[str, ...]:
    """Show a line, but no secret in it."""
    shown = without_keys(_without_secret(line)).replace("\t", " ")
    if not shown.strip() or not shown.isprintable():
        return ()
    return (f"    {shown}", f"    {' ' * (min(column, len(shown) + 1) - 1)}^")


def _without_secret(line: str) -> str:
    """Show a table's name, or an option; its value only where that is the value of an option that holds no secret.

    What a misspelt option holds nobody knows, nor what stands behind a mistake: ``passwort = hunter2``.
    """
    if header := _HEADER.match(line):
        rest = line[header.end() :].lstrip("]")
        return line[: len(line) - len(rest)] + (_MASK if rest.strip() else "")
    if not (option := _OPTION_AND_REST.match(line)):
        return line if _OPEN_HEADER.fullmatch(line) else ""
    name, value = option[2].rpartition(".")[2], option[3]
    if name not in shown() or _MORE.search(value):
        return option[1] + _MASK
    return option[1] + _LONG_WORD.sub(_MASK, value)


_QUOTES: Final = "texts stand in straight double quotes"


def _hint(said: str, line: str) -> str:
    """Say what would be right, of the mistakes that are made most."""
    match = _OPTION_AND_REST.match(line)
    name, value = (match[2], match[3].partition("#")[0].strip()) if match else ("", "")
    if said.startswith(("Cannot overwrite", "Duplicate inline")):
        return f"{name or 'an option'} stands twice in its table; keep one of them"
    if said.startswith("Cannot declare"):
        return f"the table {_without_secret(line).strip()} stands twice; put its options together"
    if unseen := re.search(r"[\u00a0\u200b-\u200d\u2060\ufeff]", line):
        return (
            f"character {unseen.start() + 1} of the line is an unseen one (U+{ord(unseen[0]):04X}); type the line again"
        )
    if re.search("[“”„‟«»‘’]", line):
        return f'{_QUOTES}, not in curly ones: {name or "name"} = "…"'
    if re.match(r"\s*[\w.-]+\s*:", line):
        return f"an option and its value are joined by an equals sign: {name} = …"
    if re.fullmatch(r"(?i)true|false|yes|no|on|off", value):
        return f"{name} is switched with true or false, in small letters"
    if said.startswith("Unescaped '\\'"):
        return "a backslash in a text is written twice"
    if said.startswith(("Unterminated string", "Illegal character '\\n'")):
        return "the quote at the end of the text is missing"
    if _OPTION.match(line) and value and value[0] not in "\"'[{":
        return f'{_QUOTES}, numbers with a unit as well: {name} = "…"'
    return f"{said[0].lower()}{said[1:]}"
