"""Mistakes on the command lines of the tools: a sentence and exit code 64, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        ("benchmarks", ["--only", "nonsense"], "scripts/benchmark: argument --only: invalid choice: 'nonsense'"),
        ("benchmarks", ["--profiles", "nonsense"], "there is no profile 'nonsense', only"),
        ("benchmarks", ["--rounds", "0"], "'0' is no whole number from 1 on"),
        ("benchmarks", ["--polls", "many"], "'many' is no whole number from 1 on"),
        ("benchmarks", ["--nonsense"], "unrecognized arguments: --nonsense"),
        ("tests.soak", ["--profile", "nonsense"], "scripts/soak: argument --profile: invalid choice: 'nonsense'"),
        ("tests.soak", ["--polls", "-1"], "'-1' is no whole number from 1 on"),
    ],
)
def test_a_mistake_is_one_sentence_and_64(module: str, options: list[str], says: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 64
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_the_fuzzer_takes_seconds_alone() -> None:
    ended = subprocess.run([ROOT / "scripts/fuzz", "soon"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (64, "scripts/fuzz: soon is no number of seconds\n")
