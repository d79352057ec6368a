"""Other gateways that publish a meter which we read as well: by their statuses, which name their meters. Pure.

A meter belongs to one gateway at a time, and may move to another at any moment. What a gateway that is gone left
retained looks like a living one until it is seen whether its status moves on: as long as that takes, the meter is not
published. Of two that live, the one that was started first goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from nesgw.publishers.payloads import SeenGateway, parse_gateway_status
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics

# A living gateway's status comes every half minute.
WATCHED: Final = 40.0
# One that has not come for so long is no longer believed, whatever its availability says.
_BELIEVED: Final = 100.0
_MOST: Final = 16  # gateways that are watched at a time


@dataclass(frozen=True, slots=True)
class _Other:
    status: SeenGateway
    first_seen: float
    moved_on: float | None = None  # when it was last seen to live


class Rivals:
    """The gateways that name one of our meters among theirs."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._readers: dict[str, tuple[str, SeenGateway]] = {}  # by the meter's id: who says that it reads it
        self._ours: set[str] = set()
        self._others: dict[str, _Other] = {}
        self._started = ""

    def published(self, status: str) -> None:
        """Take note of a status of ours: when we were started decides who goes on."""
        ours = parse_gateway_status(status)
        self._started = ours.started if ours else ""

    def found(self, retained: Mapping[str, str], now: float) -> None:
        """Take note of what all gateways have left on the broker."""
        self._readers.clear()
        for topic, payload in retained.items():
            name = self._topics.gateway_of(topic)
            if not name or name == self._topics.gateway or topic != self._of(name).gateway_status:
                continue
            status = parse_gateway_status(payload)
            if status and retained.get(self._of(name).gateway_availability) == ONLINE:
                self._readers |= dict.fromkeys(status.online, (name, status))
        self._compare(now)

    def read(self, meter: str, now: float) -> None:
        """Take note of a meter that we read."""
        if meter not in self._ours:
            self._ours.add(meter)
            self._compare(now)

    def _compare(self, now: float) -> None:
        for name, status in (self._readers[meter] for meter in self._ours & self._readers.keys()):
            if len(self._others) < _MOST:
                self._others.setdefault(name, _Other(status, now))

    @property
    def watched(self) -> list[str]:
        """The topics that tell more of them."""
        others = [self._of(name) for name in self._others]
        return [topic for each in others for topic in (each.gateway_availability, each.gateway_status)]

    def heard(self, topic: str, payload: str, *, retained: bool, now: float) -> None:
        """Take note of a message on one of those topics."""
        name = self._topics.gateway_of(topic)
        if name is None or name not in self._others:
            return
        other = self._others[name]
        if topic == self._of(name).gateway_availability:
            if payload == OFFLINE:
                del self._others[name]
        elif (status := parse_gateway_status(payload)) is not None:
            moved = not retained or status.uptime_s > other.status.uptime_s
            self._others[name] = replace(other, status=status, moved_on=now if moved else other.moved_on)

    def owner(self, meter: str, now: float) -> str | None:
        """Name the gateway that publishes the meter, or may do so, and goes before us; None if it is ours."""
        for name, other in self._others.items():
            if meter in other.status.online and (self._is_open(other, now) or self._goes_before(name, other, now)):
                return name
        return None

    def conflicts(self, now: float) -> dict[str, str]:
        """Give the living gateway that reads each contested meter, by the meter's id."""
        living = {name: other for name, other in self._others.items() if self._lives(other, now)}
        return {meter: name for name, other in living.items() for meter in sorted(other.status.online & self._ours)}

    def next_change(self, now: float) -> float:
        """When a judgement may change by time alone; infinity if none will."""
        ends = [
            other.first_seen + WATCHED if other.moved_on is None else other.moved_on + _BELIEVED
            for other in self._others.values()
        ]
        return min((end for end in ends if end > now), default=float("inf"))

    def _is_open(self, other: _Other, now: float) -> bool:
        return other.moved_on is None and now < other.first_seen + WATCHED

    def _lives(self, other: _Other, now: float) -> bool:
        return other.moved_on is not None and now < other.moved_on + _BELIEVED

    def _goes_before(self, name: str, other: _Other, now: float) -> bool:
        started = other.status.started
        return bool(started) and self._lives(other, now) and (started, name) < (self._started, self._topics.gateway)

    def _of(self, name: str) -> Topics:
        return replace(self._topics, gateway=name)


def former_meters(retained: Mapping[str, str], topics: Topics) -> set[str]:
    """Give the ids that a former run of ours read and no other gateway reads now.

    Killed, it had no time to say that they are offline.
    """
    former = parse_gateway_status(retained.get(topics.gateway_status))
    if former is None:
        return set()
    others = {name for topic in retained if (name := topics.gateway_of(topic)) and name != topics.gateway}
    theirs = [replace(topics, gateway=name) for name in others]
    alive = [each for each in theirs if retained.get(each.gateway_availability) == ONLINE]
    statuses = [parse_gateway_status(retained.get(each.gateway_status)) for each in alive]
    return set(former.meters.values()).difference(*(status.meters.values() for status in statuses if status))
