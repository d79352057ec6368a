"""What is to be published: one message, and its place in the order in which a broker gets everything.

Plain values; opens nothing. ``mqtt.py`` sends messages without reading them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Part(IntEnum):
    """The order of a complete publication: who a device is, before what it measures.

    The gateway's discovery comes before the meters' because they name it in ``via_device``; the states come after
    the discovery because Home Assistant subscribes to them only then.
    """

    GATEWAY_DISCOVERY = 0
    METER_DISCOVERY = 1
    INFO = 2
    AVAILABILITY = 3
    STATE = 4
    EVENT = 5  # before the status, which tells how far events were published
    STATUS = 6

    @property
    def is_discovery(self) -> bool:
        """Whether Home Assistant wants it again when it has started."""
        return self <= Part.METER_DISCOVERY


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. A retained one with an empty payload removes the topic from the broker."""

    topic: str
    payload: str
    part: Part
    retain: bool = True
    qos: int = 1
    after: Message | None = None  # what must be sent once before it, and be taken in: see ``home_assistant.moving``
