"""Reading that takes several answers, each deciding what to ask next: logs, queues, the load profile.

The steps are a generator that yields what it wants of the meter; whoever holds the port reads that and answers, at
once or after a hundred polls. So an query is interrupted by not going on, and resumed by going on. Pure.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, Generic, TypeAlias, TypeVar

from nesgw.errors import ProtocolMisuse, TableNotPresent
from nesgw.tables.register import Part, nonsense

# What a partial read has room for [C12.18-2006]: offsets of 24 bits and counts of 16.
HIGHEST_OFFSET: Final = 0xFFFFFF
MOST_BYTES: Final = 0xFFFF

T = TypeVar("T")
Query: TypeAlias = Generator[Part, bytes | None, T]


def ask(part: Part) -> Query[bytes]:
    """Ask for one part and go on with all of its bytes; what no request can ask for is no part of a table."""
    if part.size > MOST_BYTES or part.offset > HIGHEST_OFFSET - MOST_BYTES:
        raise nonsense(part.name, f"{part.size} bytes at offset {part.offset}")
    data = yield part
    if data is None:
        raise TableNotPresent(table=part.name)
    return part.whole(data)


class PendingQuery(Generic[T]):
    """``wanted`` is what to read next, None at the end; ``answer`` takes what the meter said.

    An error raised by ``answer`` ends the query: what it asked for made no sense, and a new one starts from the
    beginning. A read that failed on the line is simply read again: ``wanted`` is still the same.
    """

    def __init__(self, steps: Query[T]) -> None:
        self._steps = steps
        self._result: list[T] = []
        self.wanted: Part | None = None
        self._go_on(None)

    def answer(self, data: bytes | None) -> None:
        """Go on with the bytes of ``wanted``; None if the meter has no such table."""
        if self.wanted is None:
            raise ProtocolMisuse(problem="an query that is over was given another answer")
        self._go_on(data)

    @property
    def result(self) -> T:
        """What was found out; only once nothing more is wanted."""
        if not self._result:
            raise ProtocolMisuse(problem="an query that is not over, or has failed, was asked for its result")
        return self._result[0]

    def _go_on(self, data: bytes | None) -> None:
        self.wanted = None
        try:
            self.wanted = self._steps.send(data)
        except StopIteration as end:
            self._result.append(end.value)
