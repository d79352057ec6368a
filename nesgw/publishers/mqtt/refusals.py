"""Finds out which message makes a broker close the connection, by what was on its way each time. Pure.

Brokers limit the size of messages, and some cut the line at a topic, a retained message or a quality of service that
they do not allow, without a word. What was on its way when the line was lost is suspected, and is from then on sent
alone, the smallest first; what the line is lost with twice while nothing else was on its way, is it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from nesgw.publishers.message import Message
from nesgw.publishers.mqtt.connection import Subscription

_PROOF: Final = 2  # connections lost with a message that was alone on its way
_FAST: Final = 12  # messages that are looked for without waiting ever longer between two connections
_HIGHEST_QOS: Final = 2
_NAMED: Final = 3  # in a sentence
_NOT_RETAINED: Final = 2  # retained messages found, and none ever taken: it is the retaining


class Refusals:
    """What one broker will not have. Subscriptions count like messages, of no size."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again: the broker was away, and may have been set up otherwise."""
        self._lost_with: dict[str, int] = {}  # what is suspected -> connections lost with it alone
        self._found: dict[str, str] = {}  # what is withheld, in words
        self._found_retained = 0
        self._takes_retained = False
        self._without_retain = False
        self._most_qos = _HIGHEST_QOS

    # What comes of each connection

    def lost(self, in_flight: Iterable[Message | Subscription]) -> bool:
        """Note what was on its way when the connection was lost; whether that has shown what the broker refuses."""
        each = dict(_parcels(in_flight))
        if len(each) != 1:
            for key in each:
                self._lost_with.setdefault(key, 0)
            return False
        ((key, what),) = each.items()
        self._lost_with[key] = self._lost_with.get(key, 0) + 1
        if self._lost_with[key] < _PROOF:
            return False
        del self._lost_with[key]
        self._conclude(key, what)
        return True

    def taken(self, what: Message | Subscription) -> None:
        """Note what the broker has acknowledged: it is no longer suspected."""
        if isinstance(what, Message) and what.retain and what.qos and not self._without_retain:
            self._takes_retained = True
        for key, _ in _parcels([what]):
            self._lost_with.pop(key, None)

    def retain_nothing(self) -> None:
        """Note that a retained last will was turned away, and the same one not retained was taken."""
        self._without_retain = not self._takes_retained

    def _conclude(self, key: str, what: Message | None) -> None:
        if what is not None and what.qos == self._most_qos == _HIGHEST_QOS:
            self._most_qos = 1
            return
        self._found_retained += what is not None and what.retain
        if self._found_retained >= _NOT_RETAINED and not self._takes_retained and not self._without_retain:
            self._without_retain = True
            self._found.clear()
            return
        size = "" if what is None else f" ({len(what.payload.encode()):,} bytes)".replace(",", " ")
        self._found[key] = f"{key}{size}"

    # What follows from it

    def suspects(self, key: str) -> bool:
        """Whether this is to be sent alone."""
        return key in self._lost_with

    def withholds(self, key: str) -> bool:
        """Whether this is not to be sent at all."""
        return key in self._found

    def fit(self, message: Message) -> Message:
        """Return the message as this broker takes it."""
        retain, qos = message.retain and not self._without_retain, min(message.qos, self._most_qos)
        return message if (retain, qos) == (message.retain, message.qos) else replace(message, retain=retain, qos=qos)

    @property
    def searching(self) -> bool:
        """Whether the next connection will soon tell more."""
        return bool(self._lost_with) and len(self._found) < _FAST

    @property
    def in_words(self) -> tuple[str, str] | None:
        """What is withheld or sent otherwise, and what to do about it; None while all is well."""
        if self._found:
            named = list(self._found.values())
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            advice = "raise its limit for the size of messages, or allow the topic; all else is published without it"
            return f"it closes the connection when it gets {', '.join(named[:_NAMED])}{more}", advice
        if self._without_retain:
            advice = "allow them there: until then Home Assistant learns of nothing that was sent before its start"
            return "it closes the connection when it gets a retained message: none is retained", advice
        if self._most_qos < _HIGHEST_QOS:
            return "it closes the connection when it gets a message of QoS 2: QoS 1 is used", "set qos = 1 under [mqtt]"
        return None


def subscription_key(topic: str) -> str:
    """Name a subscription among what is sent."""
    return f"a subscription to {topic}"


def _parcels(sent: Iterable[Message | Subscription]) -> Iterator[tuple[str, Message | None]]:
    for each in sent:
        if isinstance(each, Message):
            yield each.topic, each
        else:
            yield from ((subscription_key(topic), None) for topic in each.topics)
