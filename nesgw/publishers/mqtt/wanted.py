"""What the broker is wanted to have: the newest message of each topic, and events in order. Thread-safe.

Grows with the number of topics alone, however long there is no broker.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from nesgw.publishers.message import Message, Part

# Events of a broker's absence; the meter's own log holds about as many.
_MOST_EVENTS: Final = 500


class Wanted:
    """The wanted state, and which of it the broker does not have yet."""

    def __init__(self, *messages: Message) -> None:
        self._lock = threading.Lock()
        self._messages = {message.topic: message for message in messages}
        self._pending: dict[str, None] = {}  # topics, in the order in which they were wanted
        self._events: deque[Message] = deque(maxlen=_MOST_EVENTS)  # until the broker has them
        self._sent_events: set[int] = set()  # ids of those that are on their way

    def set(self, messages: Iterable[Message]) -> list[Message]:
        """Want these messages; return those that are to be sent.

        States and statuses are sent each time, as signs of life; all else only if it differs.
        """
        with self._lock:
            new = [m for m in messages if m.part >= Part.STATE or m != self._messages.get(m.topic)]
            self._messages |= {message.topic: message for message in new}
            self._pending |= dict.fromkeys(message.topic for message in new)
        return new

    def withdraw(self, topics: Iterable[str]) -> None:
        """Want nothing of these topics any more."""
        with self._lock:
            for topic in topics:
                self._messages.pop(topic, None)
                self._pending.pop(topic, None)

    def again(self, which: Callable[[Message], bool] = lambda _message: True) -> None:
        """Send messages again that were sent before."""
        with self._lock:
            self._pending |= dict.fromkeys(topic for topic, message in self._messages.items() if which(message))

    def start_again(self) -> None:
        """Send everything: a new connection has nothing, and what the last one may have lost is sent again."""
        with self._lock:
            # In the order in which they were first wanted; the order of the parts is made when sending.
            self._pending = dict.fromkeys(self._messages)
            self._sent_events.clear()

    def only(self, which: Callable[[Message], bool]) -> None:
        """Leave of what is to be sent only this."""
        with self._lock:
            self._pending = {topic: None for topic in self._pending if which(self._messages[topic])}

    def get(self, topic: str) -> Message | None:
        """Return what is wanted of a topic."""
        return self._messages.get(topic)

    def all(self) -> list[Message]:
        """Return everything that is wanted."""
        with self._lock:
            return list(self._messages.values())

    @property
    def pending(self) -> list[Message]:
        """What is to be sent, in the order of its parts."""
        with self._lock:
            return sorted((self._messages[topic] for topic in self._pending), key=lambda message: message.part)

    def sent(self, message: Message) -> None:
        """Take note that a message is on its way, if it is still the newest of its topic."""
        with self._lock:
            if self._messages.get(message.topic) is message:
                self._pending.pop(message.topic, None)

    def removed(self, topic: str) -> None:
        """Forget a topic that was wanted to be removed, once that is done."""
        with self._lock:
            if (message := self._messages.get(topic)) is not None and not message.payload:
                del self._messages[topic]
                self._pending.pop(topic, None)

    # Events

    def emit(self, messages: Iterable[Message]) -> None:
        """Want events to be sent, each once and in order; the newest some hundred of them are kept."""
        with self._lock:
            self._events.extend(messages)

    @property
    def events(self) -> list[Message]:
        """The events that are to be sent."""
        with self._lock:
            return [event for event in self._events if id(event) not in self._sent_events]

    def event_sent(self, event: Message) -> None:
        """Take note that an event is on its way."""
        with self._lock:
            self._sent_events.add(id(event))

    def event_done(self, event: Message) -> None:
        """Forget an event that the broker has."""
        with self._lock:
            self._sent_events.discard(id(event))
            with suppress(ValueError):
                self._events.remove(event)

    @property
    def delivered(self) -> bool:
        """Whether the broker has every event."""
        with self._lock:
            return not self._events
