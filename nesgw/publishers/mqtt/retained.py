"""Asking a broker what it remembers: subscribe, wait until no more retained messages come, unsubscribe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nesgw.publishers.mqtt.connection import Arrival, Connection, Subscription, matches

# Retained messages follow a subscription at once, but nothing says which is the last: that no more come for so many
# seconds does. A broker that takes its time to answer the question takes it between its messages, too.
QUIET: Final = 0.5
_TIMES_THE_ANSWER: Final = 5
_MOST_QUIET: Final = 30.0


class RetainedSearch:
    """A search for the retained messages of some topics or filters, over when they have stopped coming.

    ``then`` is called with what was found, in the thread that holds the connection; None if it may not be read.
    """

    def __init__(
        self, filters: Sequence[str], then: Callable[[dict[str, str] | None], object] = lambda _found: None
    ) -> None:
        self.filters = tuple(filters)
        self._then = then
        self._found: dict[str, str] = {}
        self._readable = True
        self._over = threading.Event()
        self._subscription: Subscription | None = None
        self._asked_at = self._quiet_since = 0.0
        self._answer_took = 0.0  # seconds from the question to the broker's acknowledgement

    @property
    def over(self) -> bool:
        """Whether everything has been found."""
        return self._over.is_set()

    @property
    def due(self) -> float:
        """When it is to be looked at again if nothing comes; infinity before it was asked."""
        if self._subscription is None:
            return float("inf")
        return self._quiet_since + min(max(QUIET, _TIMES_THE_ANSWER * self._answer_took), _MOST_QUIET)

    def advance(self, connection: Connection, now: float) -> None:
        """Ask, or see whether the answer is complete."""
        if self._subscription is None:
            self._subscription = connection.subscribe(self.filters)
            self._asked_at = self._quiet_since = now
        elif not connection.subscribed(self._subscription):
            self._answer_took = now - self._asked_at
            self._quiet_since = now
        elif now >= self.due or self._found.keys() >= set(self.filters):
            self._over.set()
            self._then(self._found if self._readable else None)

    def start_again(self) -> None:
        """Forget what a connection that was lost had said."""
        self._subscription = None
        self._answer_took = 0.0
        self._readable = True
        self._found.clear()

    def take(self, arrival: Arrival, now: float) -> None:
        """Keep a retained message that was asked for."""
        if arrival.retained and any(matches(each, arrival.topic) for each in self.filters):
            self._found[arrival.topic] = arrival.payload
            self._quiet_since = now

    def refused(self, topics: Iterable[str]) -> None:
        """Note that the broker does not let us read some of it."""
        self._readable = self._readable and not set(topics) & set(self.filters)

    def wait(self, timeout: float) -> dict[str, str] | None:
        """Wait in another thread; None if it was not over in time, or not readable."""
        return self._found if self._over.wait(timeout) and self._readable else None
