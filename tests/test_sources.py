"""What the code cites can be looked up: every citation in a comment or a docstring has its row in docs/sources.md."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
FILES = sorted(path for part in ("nesgw", "tests", "fuzz", "scripts") for path in (ROOT / part).rglob("*.py"))

# A row's short name stands first in it, in backticks; a row of several tables has several.
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
TABLES = {name for row in ROWS for name in re.findall(r"\| `([BE]T\d+)` ", row)}
NAMES = {name for row in ROWS for name in re.findall(r"^\| `([^`\[]+)` ", row)} - TABLES
PAGES = {name: int(pages) for name, pages in re.findall(r"^\| `(\w+)` \|.*?\| (\d+) \|", PAGE, re.MULTILINE)}
CLAUSES = set(re.findall(r"\b\d(?:\.\d+)+\b", next(row for row in ROWS if "`MQTT 3.1.1`" in row)))

# Rows that no comment cites, and why they are there.
UNCITED = {
    "amsreader": "one of the Clients",
    "OptiGuard": "the grammar of C12.18-2006 comes from there",
    "MEP-SW-ESP32": "its issues are named by the rows",
    "NES-MEP-Reader": "its issues are named by the rows",
    "powermeterreader": "its issues are named by the rows",
    "IEC 62056-21": "cited by the probe's circuit",
}
TITLES = {r"MEP Client Developer's Guide(?: v?1\.1)?": "MEPG", r"Optical Port Programmer's Guide(?: v?1\.1)?": "OPG"}
LINKS = r"\[[^\]]*\]\([^)]*\)"
CODE = r"``.*?``|`[^`\n]+`|\w+:// *\S+"


@dataclass(frozen=True)
class Citation:
    """A short name, and what of the document is meant."""

    name: str
    pages: tuple[int, ...] = ()
    tables: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()


def prose(text: str) -> Iterator[str]:
    """The docstrings of a module, and its comments: each block of them in one piece, without the marks."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    block, last = "", -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not re.match(r"# (type|noqa|fmt|pragma)\b", token.string):
            if token.start[0] != last + 1:
                yield block
                block = ""
            block, last = f"{block}{token.string.lstrip('#')}", token.start[0]
    yield block


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def spelt_out(tables: str) -> tuple[str, ...]:
    """Each table of "BT20 to BT23, ET04"."""
    found: list[str] = []
    for first, last in re.findall(r"([BE]T\d+)(?: to ([BE]T\d+))?", tables):
        kind, start = first[:2], int(first[2:])
        found += [f"{kind}{number:02}" for number in range(start, int((last or first)[2:]) + 1)]
    return tuple(found)


TABLE = r"(?:[BE]T\d+(?: to [BE]T\d+)?)"
PATTERNS = {
    # [C12.18-1996, Clients]: brackets behind a word, with names in them that begin with a capital.
    "bracket": r"(?<![\w\]\"'`.(])\[([A-Z][^\[\]]*)\]",
    "trap": r"\b(MEP )?[Tt]raps? (\d+(?:(?:,| and| to) \d+)*)",
    "observation": r"\b([TF]\d{1,2})\b(?: to ([TF]\d{1,2})\b)?",
    "guide": rf"\b(OPG|MEPG)\b(?: and (OPG|MEPG))?(?:'s)?"
    rf"(?:,? pages? (\d+(?:(?:,| and| to) \d+)*)|,? ({TABLE}(?:,? {TABLE})*))?",
    "standard": r"\b([cC]12\.\d\d(?:-\d{4})?|EN \d{4,5}(?:-\d+)*|IEC \d{4,5}(?:-\d+)*|RFC \d+)\b",
    "mqtt": r"\b(MQTT \d(?:\.\d)*)(?:, (\d(?:\.\d+)+(?: and \d(?:\.\d+)+)*))?",
    "program": r"\b(termineter|amsreader|C12Adapter|OptiGuard|smartmeterosgp|NES-MEP-Reader|MEP-SW-ESP32)\b",
}


def citations(text: str) -> Iterator[Citation]:
    """Every citation in a piece of prose."""
    text = " ".join(re.sub(CODE, " ", text).split())
    for title, name in TITLES.items():
        text = re.sub(title, name, text)
    for inner in re.findall(PATTERNS["bracket"], text):
        yield from (Citation(name) for name in inner.split(", ") if not re.fullmatch(r"[\d.]+", name))
    for link, which in re.findall(PATTERNS["trap"], text):
        first, *rest = numbers(which)
        every = tuple(range(first, rest[0] + 1)) if " to " in which else (first, *rest)
        yield from (Citation(f"{link}trap {number}") for number in every)
    for begin, end in re.findall(PATTERNS["observation"], text):
        numbered = range(int(begin[1:]), int((end or begin)[1:]) + 1)
        yield from (Citation(f"{begin[0]}{number}") for number in numbered)
    for one, other, pages, tables in re.findall(PATTERNS["guide"], text):
        yield Citation(one, numbers(pages), spelt_out(tables))
        if other:
            yield Citation(other)
    yield from (Citation(name) for name in re.findall(PATTERNS["standard"], text))
    for name, clauses in re.findall(PATTERNS["mqtt"], text):
        yield Citation(name, clauses=tuple(re.findall(r"[\d.]+\d", clauses)))
    yield from (Citation(name) for name in re.findall(PATTERNS["program"], text))


def cited(path: Path) -> set[Citation]:
    return {citation for piece in prose(path.read_text(encoding="utf-8")) for citation in citations(piece)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the CRC [C12.18-1996, C12Adapter].", {"C12.18-1996", "C12Adapter"}),
        ("a duplicate (trap 2)", {"trap 2"}),
        ("Traps 3 and 4: the channel", {"trap 3", "trap 4"}),
        ("MEP traps 1 to 3", {"MEP trap 1", "MEP trap 2", "MEP trap 3"}),
        ("wild values (T7, T10)", {"T7", "T10"}),
        ("ANSI C12.19 and RFC 2217, by termineter", {"C12.19", "RFC 2217", "termineter"}),
        ("``list[Any]`` of Query[Facts], [a-z] and T0x, a trap", set()),
    ],
)
def test_citations_are_found(text: str, expected: set[str]) -> None:
    assert {citation.name for citation in citations(text)} >= expected
    if not expected:
        assert not set(citations(text))


def test_citations_say_what_of_the_document_is_meant() -> None:
    assert set(citations("OPG and MEPG, BT20 to BT22, ET04.")) == {
        Citation("OPG", tables=("BT20", "BT21", "BT22", "ET04")),
        Citation("MEPG"),
    }
    assert set(citations("MEPG, pages 13 and 250 to 253")) == {Citation("MEPG", pages=(13, 250, 253))}
    assert set(citations("MEP Client Developer's Guide 1.1, page 13")) == {Citation("MEPG", pages=(13,))}
    assert set(citations("(MQTT 3.1.1, 3.8.4)")) == {Citation("MQTT 3.1.1", clauses=("3.8.4",))}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_cited_has_its_row(path: Path) -> None:
    for citation in cited(path) if path != Path(__file__) else ():
        assert citation.name in NAMES, f"{citation.name} has no row in docs/sources.md"
        assert set(citation.tables) <= TABLES, f"{citation}: not described by the guides"
        assert all(page <= PAGES[citation.name] for page in citation.pages), f"{citation}: no such page"
        assert set(citation.clauses) <= CLAUSES, f"{citation}: not among the clauses in docs/sources.md"


def test_what_has_a_row_is_cited_or_known_to_be_background() -> None:
    used = {citation.name for path in FILES if path != Path(__file__) for citation in cited(path)}
    numbered = {name for name in NAMES if name.startswith("MEP trap ")}  # a list that is kept whole
    assert NAMES - used - numbered - set(UNCITED) == set()
    assert not used & set(UNCITED), "cited now: take it off the list"


def test_each_row_says_where_it_was_seen() -> None:
    """By an address, by the short name of another row, or by the folder of the captures."""
    for row in ROWS:
        name, *cells = re.findall(r"`([^`]+)`", row)
        if name not in TABLES | {"Inferred"}:
            assert re.search(LINKS, row) or "tests/vectors" in cells or (NAMES - {name}) & set(cells), row
    assert len(ROWS) > 60


def test_each_short_name_has_one_row() -> None:
    names = [match[1] for row in ROWS if (match := re.match(r"\| `([^`\[]+)` \|", row))]
    assert len(names) == len(set(names))
