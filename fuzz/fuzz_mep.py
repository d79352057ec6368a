"""Coverage-guided fuzzing of the MEP port: reads, any bytes at any time, signed answers. ``scripts/fuzz`` runs it."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nesgw"]):
    from fuzz.mep import play

if __name__ == "__main__":
    atheris.Setup(sys.argv, play)
    atheris.Fuzz()
