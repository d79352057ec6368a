"""Coverage-guided fuzzing of the table decoders: any bytes in, documented errors out. ``scripts/fuzz`` runs it."""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["nesgw"]):
    from fuzz.tables import DOCUMENTED, TARGETS


def one_input(data: bytes) -> None:
    """The first byte chooses decoder and byte order; the rest is what the meter answers, one after the other."""
    if not data:
        return
    target = TARGETS[data[0] >> 1 & 0x3F] if data[0] >> 1 & 0x3F < len(TARGETS) else TARGETS[data[0] % len(TARGETS)]
    rest = memoryview(data)[1:]
    at = 0

    def answer(part) -> bytes:
        nonlocal at
        piece = bytes(rest[at : at + part.size])
        at += part.size
        return piece.ljust(part.size, b"\0")  # past the end a meter fills up with zeros

    with suppress(*DOCUMENTED):
        target(answer, "big" if data[0] & 1 else "little")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
