"""Prints the fault matrix behind the tests' own summary."""

from __future__ import annotations

from typing import Any

from tests.faults import figures


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if figures.TABLE:
        terminalreporter.section("fault matrix")
        for line in figures.lines():
            terminalreporter.write_line(line)
