"""The model of the wire: how many bytes a poll takes at least, and how long the line needs for them. Pure arithmetic.

It is written from the protocol alone and imports nothing of nesgw, so that a measured duration can be checked
against it. What is counted for one exchange, a request and its answer:

- a packet is its data and 8 bytes around it; a message longer than a packet's room takes several of them
- each packet is acknowledged with one byte
- a byte takes ten bits (8N1)
- the meter thinks for ``answer_delay`` from the end of the request to the start of its answer; its acknowledgement of
  the request falls into that time, unless the delay is shorter than a turn-around and a byte
- ``turn_around`` passes before our acknowledgement, and before each further packet of the meter's

``answer_delay`` (16 ms) and ``turn_around`` (175 µs) are the simulated meter's documented parameters. Nothing is
counted for what is not the line's: no latency of an adapter, no computing time of either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

AROUND = 8  # bytes of a packet around its data
MARK = 1  # an acknowledgement

IDENTIFY = (1, 5)  # bytes of the request and of the ok answer: what they are without a packet around them
LOGON = (13, 1)
SECURITY = (21, 1)
WAIT = (2, 1)
TERMINATE = (1, 1)
PARTIAL_READ = 8  # the request; the answer adds code, count and checksum to the data
FULL_READ = 3
AROUND_DATA = 4


@dataclass(frozen=True)
class Line:
    """The speed of the line and the meter's manners."""

    baud: int = 9600
    answer_delay: float = 0.016
    turn_around: float = 0.000_175

    @property
    def byte_time(self) -> float:
        """Seconds a byte takes."""
        return 10 / self.baud


@dataclass(frozen=True)
class Limits:
    """What was negotiated."""

    packet_size: int = 64
    packets: int = 2

    @property
    def table_bytes(self) -> int:
        """Bytes of a table that fit in one answer."""
        return self.packets * (self.packet_size - AROUND) - AROUND_DATA


DEFAULTS = Limits(64, 1)


@dataclass(frozen=True)
class Cost:
    """Bytes on the wire in both directions, and seconds."""

    bytes: int
    seconds: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bytes + other.bytes, self.seconds + other.seconds)


NOTHING = Cost(0, 0.0)


@dataclass(frozen=True)
class Piece:
    """Bytes of a table that a poll cannot do without."""

    table: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def packets_of(length: int, packet_size: int) -> int:
    """How many packets a message takes."""
    return max(1, -(-length // (packet_size - AROUND)))


def exchange(request: int, answer: int, packet_size: int, line: Line) -> Cost:
    """A request of so many bytes and its answer."""
    asked, told = packets_of(request, packet_size), packets_of(answer, packet_size)
    sent = request + asked * AROUND
    received = answer + told * AROUND
    seconds = sent * line.byte_time
    seconds += (asked - 1) * 2 * (line.turn_around + MARK * line.byte_time)
    seconds += max(line.answer_delay, line.turn_around + MARK * line.byte_time)
    seconds += received * line.byte_time
    seconds += told * (line.turn_around + MARK * line.byte_time) + (told - 1) * line.turn_around
    return Cost(sent + received + (asked + told) * MARK, seconds)


def total(costs: Iterable[Cost]) -> Cost:
    """All of them, one after the other."""
    result = NOTHING
    for cost in costs:
        result += cost
    return result


def session(line: Line, limits: Limits | None, fast: Line | None = None, bauds: int = 1) -> Cost:
    """The lean session around a per-poll reading: identify, negotiate, log on, show the key, terminate.

    ``limits`` None: a meter that knows no Negotiate need not be asked in each session. ``fast`` is the line from the
    Negotiate on, if it grants another rate. ``bauds`` are the rates asked for.
    """
    size = limits.packet_size if limits else DEFAULTS.packet_size
    opening = exchange(*IDENTIFY, DEFAULTS.packet_size, line)
    if limits:
        opening += exchange(4 + bauds, 5, DEFAULTS.packet_size, line)
    rest = [exchange(*service, size, fast or line) for service in (LOGON, SECURITY, TERMINATE)]
    return opening + total(rest)


def least(pieces: Sequence[Piece], limits: Limits, line: Line, whole: Mapping[int, int] | None = None) -> Cost:
    """The fewest bytes by which these pieces can be read: over all ways to join neighbours and to split the rest.

    ``whole`` gives the length of a table that could be read at once, where that is known: the shorter request.
    """
    result = NOTHING
    for table in sorted({piece.table for piece in pieces}):
        mine = sorted((piece for piece in pieces if piece.table == table), key=lambda piece: piece.offset)
        result += _least_of_table(tuple(mine), limits, line, (whole or {}).get(table))
    return result


@cache
def _least_of_table(pieces: tuple[Piece, ...], limits: Limits, line: Line, whole: int | None) -> Cost:
    if not pieces:
        return NOTHING
    ways = [
        _read(pieces[0].offset, pieces[count - 1].end, limits, line, whole)
        + _least_of_table(pieces[count:], limits, line, whole)
        for count in range(1, len(pieces) + 1)
    ]
    return min(ways, key=lambda cost: (cost.bytes, cost.seconds))


def _read(begin: int, end: int, limits: Limits, line: Line, whole: int | None) -> Cost:
    if begin == 0 and end == whole and whole <= limits.table_bytes:
        return exchange(FULL_READ, whole + AROUND_DATA, limits.packet_size, line)
    sizes = [min(limits.table_bytes, end - at) for at in range(begin, end, limits.table_bytes)]
    return total(exchange(PARTIAL_READ, size + AROUND_DATA, limits.packet_size, line) for size in sizes)
