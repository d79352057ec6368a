"""Asking a broker what it remembers: subscribe, wait until no more retained messages come, unsubscribe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nesgw.publishers.mqtt.connection import Arrival, Connection, Subscription, matches

# Retained messages follow a subscription at once, but nothing says which is the last.
QUIET: Final = 0.5


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
        self._quiet_since = 0.0

    @property
    def over(self) -> bool:
        """Whether everything has been found."""
        return self._over.is_set()

    @property
    def due(self) -> float:
        """When it is to be looked at again if nothing comes; infinity before it was asked."""
        return float("inf") if self._subscription is None else self._quiet_since + QUIET

    def advance(self, connection: Connection, now: float) -> None:
        """Ask, or see whether the answer is complete."""
        if self._subscription is None:
            self._subscription = connection.subscribe(self.filters)
            self._quiet_since = now
        elif not connection.subscribed(self._subscription):
            self._quiet_since = now
        elif now >= self.due or self._found.keys() >= set(self.filters):
            self._over.set()
            self._then(self._found if self._readable else None)

    def start_again(self) -> None:
        """Forget what a connection that was lost had said."""
        self._subscription = None
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
