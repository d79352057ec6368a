"""A short visit to the broker by a command, under a client id of its own: the daemon is not disturbed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message
from nesgw.publishers.mqtt import trouble
from nesgw.publishers.mqtt.connection import Connection
from nesgw.publishers.mqtt.retained import QUIET, RetainedSearch

_TURN: Final = 2.0


class BrokerSession:
    """Connected as a context manager; where there are several brokers, to the first that is there.

    ``settings`` are those of the broker that it is connected to.
    """

    def __init__(self, settings: MqttSettings, client_id: str) -> None:
        self.settings = settings
        self._client_id = f"{client_id}-{os.getpid()}"

    def __enter__(self) -> Self:
        *others, last = trouble.brokers(self.settings)
        for each in others:
            try:
                return self._opened(each)
            except BrokerUnavailable:
                continue
        return self._opened(last)

    def _opened(self, settings: MqttSettings) -> Self:
        self.settings = settings
        self._connection = Connection(settings, self._client_id)
        try:
            self._connection.open()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._connection.leave()
        self._connection.close()

    def retained(self, filters: Sequence[str]) -> dict[str, str]:
        """Fetch the retained messages of some topics or filters."""
        found: list[dict[str, str] | None] = []
        search = RetainedSearch(filters, found.append)
        while not search.over:
            self._connection.turn(QUIET / 5)
            now = time.monotonic()
            for arrival in self._connection.arrivals():
                search.take(arrival, now)
            if refused := self._connection.refused():
                raise trouble.unreadable(self.settings, refused)
            search.advance(self._connection, now)
        self._connection.unsubscribe(search.filters)
        return found[0] or {}

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish messages and wait until the broker has acknowledged them."""
        for message in messages:
            while not self._connection.ready:
                self._connection.turn(_TURN)
            self._connection.publish(message)
        while not self._connection.idle:
            self._connection.turn(_TURN)

    def wait(self, seconds: float) -> None:
        """Let some time pass, with the connection kept alive."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._connection.turn(left)
