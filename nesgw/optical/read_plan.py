"""Which reads fetch several spans of the meter's tables in the least time on the wire. Pure arithmetic.

Neighbours are read together where the bytes between them cost less than another request, answer and acknowledgements.
Knows no table and reads nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from nesgw.optical.packet import OVERHEAD

_REQUEST: Final = 8 + OVERHEAD + 1  # a partial read and its acknowledgement
_THINKING: Final = 8  # bytes that pass while a meter thinks of its answer: field meters take 8 ms and more
_AROUND_DATA: Final = 4  # code, count and checksum
_SLOW_ANSWER: Final = 0.05  # seconds from a request to its answer, of a meter that takes its time
_MARGIN: Final = 0.05  # seconds


class Span(NamedTuple):
    """Bytes of a table."""

    table: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


@lru_cache(maxsize=64)  # a poll asks for the same each time
def coalesce(spans: tuple[Span, ...], packet_size: int, largest_read: int) -> tuple[tuple[Span, ...], ...]:
    """Group the spans, in the order of tables and offsets, each group to be read in one piece.

    ``largest_read`` is how many bytes of a table one answer holds; a longer piece takes several exchanges.
    """
    ordered = tuple(sorted(spans))
    # best[n]: the cheapest grouping of the first n spans, and what it costs
    best: list[tuple[int, tuple[tuple[Span, ...], ...]]] = [(0, ())]
    for count in range(1, len(ordered) + 1):
        ways = []
        for first in range(count):
            group = ordered[first:count]
            if group[0].table == group[-1].table:
                cost, groups = best[first]
                size = max(span.end for span in group) - group[0].offset
                ways.append((cost + _THINKING + bytes_to_read(size, packet_size, largest_read), (*groups, group)))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def bytes_to_read(size: int, packet_size: int, largest_read: int) -> int:
    """Count the bytes on the wire, both ways, that reading ``size`` bytes in a row takes."""
    total = 0
    while size > 0:
        message = min(size, largest_read) + _AROUND_DATA
        packets = -(-message // (packet_size - OVERHEAD))
        total += _REQUEST + message + packets * (OVERHEAD + 1)
        size -= largest_read
    return total


def seconds_to_read(size: int, packet_size: int, largest_read: int, baud: int) -> float:
    """How long reading ``size`` bytes in a row takes at the most, on a sound line: the wire, and the meter's pauses."""
    exchanges = -(-size // largest_read)
    return bytes_to_read(size, packet_size, largest_read) * 10 / baud + exchanges * _SLOW_ANSWER + _MARGIN
