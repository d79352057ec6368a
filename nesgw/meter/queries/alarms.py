"""The alarms that are set now (BT03)."""

from __future__ import annotations

from nesgw.errors import TableNotPresent
from nesgw.meter.profile import Facts
from nesgw.tables.query import Query, ask


def active_alarms(facts: Facts) -> Query[tuple[str, ...]]:
    """Return their keys, and "byte.bit" of what no guide knows."""
    if facts.alarms is None:
        raise TableNotPresent(table="BT03")
    return facts.alarms.decode((yield from ask(facts.alarms.part))).alarms
