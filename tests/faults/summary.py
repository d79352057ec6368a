"""Prints the fault matrix behind the tests' own summary, whichever of pytest's processes the rows come from."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from tests.faults import figures


def pytest_sessionfinish(session: Any) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = [astuple(each) for each in figures.TABLE]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    figures.TABLE += [figures.Figures(*each) for each in getattr(node, "workeroutput", {}).get("faults", ())]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if figures.TABLE:
        terminalreporter.section("fault matrix")
        for line in figures.lines():
            terminalreporter.write_line(line)
