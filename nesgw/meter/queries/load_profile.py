"""The load profile: which sets of channels the meter keeps and what they mean.

Their intervals are read by ``tables/load_profile.py``'s ProfileReading, which goes on where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nesgw.meter.profile import Facts
from nesgw.tables import configuration
from nesgw.tables.firmware import SEVERAL_PROFILES, knows
from nesgw.tables.load_profile import (
    BT61,
    ET66,
    MAPPED,
    Channel,
    ProfileSet,
    decode_channels,
    decode_mapped_sources,
    decode_sets,
    decode_sources,
)
from nesgw.tables.query import Query, ask


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """A set of channels that the meter keeps, and what they mean."""

    profile: ProfileSet
    channels: tuple[Channel, ...]


def profile_sets(facts: Facts) -> Query[dict[int, ProfileSet]]:
    """Return the sets in use by their numbers, counted from 1; none where there is no load profile."""
    data = yield BT61
    sets = () if data is None else decode_sets(data, facts.general.byteorder)
    return {each.number + 1: each for each in sets}


def primary_set(facts: Facts, sets: Mapping[int, ProfileSet]) -> Query[int]:
    """Return the number of the set that the meter calls its primary one; the first where it does not say."""
    firmware = facts.identity.firmware
    if len(sets) > 1 and knows(firmware, SEVERAL_PROFILES):
        data = yield configuration.primary_profile(firmware)
        if data and data[0] + 1 in sets:
            return data[0] + 1
    return min(sets)


def kept_profile(facts: Facts, profile: ProfileSet) -> Query[KeptProfile]:
    """Return what the channels of a set mean."""
    sources = decode_sources((yield from ask(profile.control)), profile)
    mapped: Mapping[int, int] | None = None
    if any(source in MAPPED for source in sources) and (data := (yield ET66)) is not None:
        mapped = decode_mapped_sources(data, facts.general.byteorder)
    return KeptProfile(profile, decode_channels(sources, facts.identity.firmware, facts.installation, mapped))
