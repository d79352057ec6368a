"""Coverage-guided fuzzing of the connection to the broker: any bytes in, a sentence out. ``scripts/fuzz`` runs it."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nesgw", "paho"]):
    from fuzz.broker import WELCOME, Stranger, converse

STRANGER = Stranger()


def one_input(data: bytes) -> None:
    """An even first byte: the stranger is a broker that lets us in before it goes astray."""
    if data:
        converse(STRANGER, (b"" if data[0] & 1 else WELCOME) + data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
