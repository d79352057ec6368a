"""Coverage-guided fuzzing of the web service: any bytes in, answers and refusals out. ``scripts/fuzz`` runs it."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nesgw", "json", "urllib"]):
    from fuzz.web import play

if __name__ == "__main__":
    atheris.Setup(sys.argv, play)
    atheris.Fuzz()
