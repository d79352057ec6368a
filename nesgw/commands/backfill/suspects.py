"""Where Home Assistant's rows look as if readings were missing, before the meter is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from nesgw.commands.backfill.plan import HOUR, ROUNDING, HourRow


def first_suspect(sensors: Sequence[Sequence[HourRow]]) -> datetime | None:
    """Return the first hour that some sensor lacks, or in which all of them stood still; None if there is none.

    Home Assistant writes rows that stand still for the time in which it was off itself. One register alone may well
    stand still: nothing is exported at night.
    """
    missing = [hour for rows in sensors for hour in _missing(rows)]
    still = [set(_still(rows)) for rows in sensors if len(rows) > 1]
    together = set.intersection(*still) if still else set()
    return min((*missing, *together), default=None)


def _missing(rows: Sequence[HourRow]) -> Iterator[datetime]:
    yield from (before.start + HOUR for before, row in pairwise(rows) if row.start - before.start > HOUR)


def _still(rows: Sequence[HourRow]) -> Iterator[datetime]:
    yield from (row.start for before, row in pairwise(rows) if abs(row.state - before.state) <= ROUNDING)
