"""Who reads a meter's tables: a session on the port, the running daemon, a dump. To a query they are all the same."""

from __future__ import annotations

from typing import Protocol, TypeVar

from nesgw.errors import KeyRefused, TableNotPresent
from nesgw.tables.query import PendingQuery, Query
from nesgw.tables.register import Part

T = TypeVar("T")


class Reader(Protocol):
    """Reads a meter's tables, and nothing else."""

    def read(self, part: Part) -> bytes:
        """Return the bytes of a part, all of them.

        Raises TableNotPresent, KeyRefused for a table that is closed to the key, and what the way there can cause.
        """


def run(query: Query[T], reader: Reader) -> T:
    """Go through a query. A table that is missing, or closed to the key, is answered by None."""
    pending = PendingQuery(query)
    while pending.wanted is not None:
        step(pending, reader)
    return pending.result


def step(query: PendingQuery[T], reader: Reader) -> None:
    """Read what a query wants next, and give it that."""
    part = query.wanted
    assert part is not None  # noqa: S101 (asked by the caller)
    data, refused = None, None
    try:
        data = reader.read(part)
    except (TableNotPresent, KeyRefused) as refusal:
        refused = refusal
    try:
        query.answer(data)
    except TableNotPresent as missing:
        # The meter's own word says more than that the table cannot be had.
        raise refused if refused and missing.facts.get("table") == part.name else missing from None
