"""The maximum demands of the totals (BT23), on meters that keep any."""

from __future__ import annotations

from nesgw.meter.profile import Facts
from nesgw.tables.demands import Demand, decode_demands, demand_records, demand_sources
from nesgw.tables.load_profile import decode_channels
from nesgw.tables.query import Query, ask


def maximum_demands(facts: Facts) -> Query[tuple[Demand, ...]]:
    """Read them; none where the meter keeps none, or where it does not say how they stand."""
    dimensions = facts.dimensions
    if not (dimensions.actual and dimensions.demands):
        return ()
    sources = tuple((yield from ask(demand_sources(dimensions))))
    data = yield from ask(demand_records(dimensions))
    channels = decode_channels(sources, facts.identity.firmware, facts.installation)
    return decode_demands(data, dimensions, channels, facts.general.byteorder)
