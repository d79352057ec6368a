"""Each fact stands once: names of tables and files, and firmware versions, have a home each and stand nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "nesgw"
# The simulated meter shares nothing with the rest on purpose.
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "simulator" not in path.parts]

# What still stands elsewhere. Nothing may join it, and what is put right leaves it.
TABLES_ELSEWHERE = {
    "commands/dump/command.py",
    "gateway/slow_tables.py",
    "meter/meter.py",
    "meter/poll_plan.py",
    "meter/profile.py",
    "meter/queries/alarms.py",
    "publishers/ram_disk.py",
}
EXTENDED_ELSEWHERE = {"mep/client.py"}


def constants(path: Path) -> Iterator[object]:
    """The constants of a module, but for its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)


def homes(pattern: str) -> set[str]:
    """Where a whole string looks like this."""
    return {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(isinstance(value, str) and re.fullmatch(pattern, value) for value in constants(path))
    }


def test_a_table_is_named_where_it_is_decoded_and_where_it_is_dumped() -> None:
    where = homes(r"[BE]T\d\d+")
    assert "tables/clock.py" in where
    assert {name for name in where if not name.startswith(("tables/", "commands/dump/document"))} == TABLES_ELSEWHERE


def test_a_file_on_the_ram_disk_is_named_where_it_is_written() -> None:
    assert homes(r"(reading|status)\.json") == {"publishers/ram_disk.py"}


def test_a_firmware_version_is_written_out_in_one_module() -> None:
    where = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "Firmware":
                continue
            if any(isinstance(argument, ast.Constant) for argument in node.args):
                where.add(str(path.relative_to(PACKAGE)))
    assert where == {"tables/firmware.py"}


def test_the_number_of_the_first_extended_table_is_written_out_in_one_module() -> None:
    where = {str(path.relative_to(PACKAGE)) for path in FILES if 2048 in set(constants(path))}
    # In an event's number the same bit says that it is the manufacturer's; elsewhere it is so many bytes.
    assert where - {"tables/event_log.py", "commands/align/judge.py"} == {"tables/register.py"} | EXTENDED_ELSEWHERE
