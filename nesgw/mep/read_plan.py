"""Which reads fetch several spans of the meter's tables. Pure arithmetic; knows no table and reads nothing.

Neighbours in a table are read together: each read takes its place in the guide's spacing and average, and what stands
in one answer is of one instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

_WORTH: Final = 96  # bytes: they pass in the time that two requests have to be apart, at 9600 baud


class Span(Protocol):
    """Bytes of a table."""

    @property
    def table(self) -> int:
        """The table's number."""

    @property
    def offset(self) -> int:
        """Where they begin."""

    @property
    def size(self) -> int:
        """How many they are."""


AnySpan = TypeVar("AnySpan", bound=Span)


def coalesce(spans: Sequence[AnySpan], largest_read: int) -> list[list[AnySpan]]:
    """Group the spans, in the order of tables and offsets, each group to be read in one piece.

    No group is longer than ``largest_read`` bytes, unless one of its spans is.
    """
    groups: list[list[AnySpan]] = []
    for span in sorted(spans, key=lambda span: (span.table, span.offset, span.size)):
        if groups and _belongs(span, groups[-1], largest_read):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def end_of(group: Sequence[AnySpan]) -> int:
    """Give the first byte behind all spans of a group."""
    return max(span.offset + span.size for span in group)


def _belongs(span: AnySpan, group: list[AnySpan], largest_read: int) -> bool:
    end, together = end_of(group), end_of([*group, span]) - group[0].offset
    return (
        span.table == group[0].table
        and span.offset - end <= _WORTH
        and together <= max(largest_read, end - group[0].offset)
    )
