"""The vectors: tables that real meters sent, and who printed what of them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent.parent / "vectors"


@pytest.fixture
def vector() -> Callable[[str], dict[str, Any]]:
    """Load a vector by its file's name, "FILE", or by an item of ``incomplete.toml``, "incomplete:ID"."""

    def load(name: str) -> dict[str, Any]:
        file, _, item = name.partition(":")
        content = tomllib.loads((VECTORS / f"{file}.toml").read_text())
        if item:
            content = next(entry for entry in content["item"] if entry["id"] == item)
        content["bytes"] = bytes.fromhex(content["hex"]) if "hex" in content else b""
        return content

    return load


@pytest.fixture
def vector_names() -> list[str]:
    """The files that hold one whole answer each."""
    return sorted(path.stem for path in VECTORS.glob("*.toml") if path.stem not in ("incomplete", "openhab-session"))
