"""What a demonstration leaves on somebody's broker, and what it must not touch there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from nesgw.commands.forget.retained import availability_topics, find
from nesgw.publishers.payloads import json_object
from nesgw.publishers.topics import ONLINE, Topics

TOPICS: Final = Topics("nesgw", "demo")


class Obstacle(NamedTuple):
    """Why a demonstration must not begin, and what to do about it."""

    problem: str
    advice: str


def obstacle(retained: Mapping[str, str], meter: str) -> Obstacle | None:
    """See whether somebody else has the names of the demonstration.

    What one that could not clean up has left is no obstacle: this one takes it over, and away.
    """
    if retained.get(TOPICS.gateway_availability) == ONLINE:
        return Obstacle(f'a gateway named "{TOPICS.gateway}" is at work on it', "end that demonstration first")
    if meter in ids_of_others(retained, meter):
        problem = f"a meter with the number of the simulated one is on it already ({meter})"
        return Obstacle(problem, "take a simulated one of another number with --profile")
    return None


def ids_of_others(retained: Mapping[str, str], meter: str) -> frozenset[str]:
    """Name the meters on the broker that are of other gateways."""
    ours = _ours(retained, meter)
    return frozenset(owner for topic in retained if (owner := TOPICS.meter_of(topic)) and owner not in ours)


def traces(retained: Mapping[str, str], meter: str, others: Collection[str]) -> list[str]:
    """List what to remove: devices first, so that Home Assistant shows none without its values.

    ``others`` are the ids that were on the broker before, of other gateways.
    """
    ids = ({meter} | _ours(retained, meter)) - set(others)
    mine = [
        topic
        for topic in sorted(retained)
        if TOPICS.meter_of(topic) in ids or TOPICS.gateway_of(topic) == TOPICS.gateway
    ]
    return sorted(mine, key=lambda topic: not topic.startswith(f"{TOPICS.discovery_prefix}/"))


def _ours(retained: Mapping[str, str], meter: str) -> set[str]:
    """The meters that depend on the demonstration's gateway, or are read by it; the sub-meters among them."""
    owners = {owner for topic in retained if (owner := TOPICS.meter_of(topic))}
    announced = {owner: json_object(retained.get(TOPICS.discovery(owner))) for owner in owners}
    depend = {owner for owner, said in announced.items() if TOPICS.gateway_availability in availability_topics(said)}
    return depend | {each.id for each in find(retained, TOPICS, meter) if each.ours}
