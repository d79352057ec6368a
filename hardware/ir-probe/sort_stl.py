"""Puts the triangles of a binary STL into a fixed order, so that the same model gives the same file.

OpenSCAD writes them in an order that changes from run to run. The shape is not touched.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

Point = tuple[float, float, float]
FACET = struct.Struct("<12fH")


def sort(data: bytes) -> bytes:
    """Start each triangle with its least corner, then order the triangles; normals travel along."""
    facets: list[tuple[tuple[Point, ...], Point]] = []
    for numbers in FACET.iter_unpack(data[84:]):
        normal, *corners = (numbers[i : i + 3] for i in (0, 3, 6, 9))
        first = corners.index(min(corners))
        facets.append((tuple(corners[first:] + corners[:first]), normal))
    body = (FACET.pack(*normal, *(x for corner in corners for x in corner), 0) for corners, normal in sorted(facets))
    return b"nesgw ir-probe".ljust(80) + struct.pack("<I", len(facets)) + b"".join(body)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_bytes(sort(file.read_bytes()))
