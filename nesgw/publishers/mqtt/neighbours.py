"""What other gateways on the broker say, and what our own former run has left there.

Holds our messages back until that is known, and those of a meter that another gateway publishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.connection import Arrival
from nesgw.publishers.mqtt.wanted import Wanted
from nesgw.publishers.name_conflict import NameConflict
from nesgw.publishers.payloads import availability_message
from nesgw.publishers.rivals import Rivals, former_meters
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics


class Neighbours:
    """For the publisher's own thread; ``wanted`` is what we want the broker to have."""

    def __init__(self, topics: Topics, wanted: Wanted, online: Message) -> None:
        # All gateways by filters; ours by name besides, for brokers whose memory answers no filters.
        self.filters: Final = (*topics.of_gateways(), topics.gateway_status, topics.gateway_availability)
        self.known = False  # whether it was seen what they and our former run have left
        self.heard_ourselves = False  # whether a message of ours has come back over this connection
        self._topics = topics
        self._wanted = wanted
        self._online = online
        self._names = NameConflict()
        self._broker = ""  # that we are, or were last, connected to
        self._rivals = Rivals(topics)
        self._echoes: Counter[str] = Counter()  # messages on the meters' availability that are still to come back

    def begin(self, broker: str) -> None:
        """A new connection: nothing of ours is on its way."""
        if broker != self._broker:
            self._names.another_broker()
        self._broker = broker
        self._echoes.clear()
        self.heard_ourselves = False

    @property
    def watched(self) -> list[str]:
        """Topics of other gateways that are to be listened to."""
        return self._rivals.watched

    def holds(self, message: Message, now: float) -> bool:
        """Whether a message may not go yet."""
        if message.part is Part.GATEWAY_DISCOVERY:
            return False
        if message.part in (Part.METER_DISCOVERY, Part.INFO) and (meter := self._topics.meter_of(message.topic)):
            self._rivals.read(meter, now)
        if not self.known:
            return True
        if not self._rivals.watched:
            return False
        return self._rivals.owner(self._topics.meter_of(message.topic) or "", now) is not None

    def published(self, message: Message) -> None:
        """Take note of a message of ours that goes."""
        if message.part is Part.AVAILABILITY:
            self._echoes[message.topic] += 1
        if message.topic == self._topics.gateway_status:
            self._names.published(message.payload)
            self._rivals.published(message.payload)

    def found(self, retained: Mapping[str, str], now: float) -> None:
        """Take note of what they have left."""
        self.known = True
        self.withdraw_former(retained)
        self._rivals.found(retained, now)

    def withdraw_former(self, retained: Mapping[str, str]) -> None:
        """Say that the meters of our former run are offline, until they are read: killed, it could not say so.

        The broker still has its status then; ours is not published before.
        """
        for meter in sorted(former_meters(retained, self._topics)):
            message = availability_message(self._topics, meter, online=False)
            if self._wanted.get(message.topic) is None:
                self._wanted.set([message])

    def conflicts(self, now: float) -> tuple[dict[str, str], list[str]]:
        """Give the meters that others read as well, with their gateways, and those of them that we publish."""
        others = self._rivals.conflicts(now)
        return others, [meter for meter in others if self._rivals.owner(meter, now) is None]

    def next_change(self, now: float) -> float:
        """When what is held back may be free by time alone; infinity if never."""
        return self._rivals.next_change(now)

    # What comes in

    def name_conflict(self, arrival: Arrival) -> str | None:
        """Take a message on our own topics; describe another gateway of our name if it shows one."""
        self.heard_ourselves = self.heard_ourselves or not arrival.retained
        if arrival.topic == self._topics.gateway_status:
            return self._names.seen(arrival.payload, retained=arrival.retained)
        if not arrival.retained and arrival.payload != ONLINE:
            # The late last will of our former connection, or somebody else's mistake: we know better.
            self._wanted.again(lambda message: message is self._online)
        return None

    def heard(self, arrival: Arrival, now: float) -> bool:
        """Take a message of another gateway, or on a meter's availability; True if all are to be asked again."""
        if arrival.topic in self._rivals.watched:
            self._rivals.heard(arrival.topic, arrival.payload, retained=arrival.retained, now=now)
            return False
        return not arrival.retained and self._is_strange(arrival)

    def _is_strange(self, arrival: Arrival) -> bool:
        """Whether somebody else speaks of a meter of ours."""
        wanted = self._wanted.get(arrival.topic)
        self._echoes[arrival.topic] -= 1
        if wanted and arrival.payload == OFFLINE and wanted.payload == ONLINE:
            # The goodbye of a gateway that read this meter before us.
            self._echoes[arrival.topic] = 0
            self._wanted.again(lambda message: message is wanted)
            return False
        strange = self._echoes[arrival.topic] < 0
        self._echoes[arrival.topic] = max(self._echoes[arrival.topic], 0)
        return strange
