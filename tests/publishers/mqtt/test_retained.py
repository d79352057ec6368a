"""What the broker remembers is all found, however slowly it tells; and what it never answers is not waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from nesgw.config.settings import MqttSettings
from nesgw.publishers.mqtt.connection import Subscription
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.mqtt.retained import RetainedSearch
from nesgw.publishers.topics import Topics
from tests.broker_fixtures import Broker, Listener

STATE, STATUS = "nesgw/42/state", "nesgw/42/status"

Started = Callable[[int], MqttPublisher]


@pytest.fixture
def started() -> Iterator[Started]:
    running = []

    def start(port: int) -> MqttPublisher:
        publisher = MqttPublisher(MqttSettings("127.0.0.1", port), Topics("nesgw", "pi"))
        running.append(publisher)
        publisher.start()
        return publisher

    yield start
    for publisher in running:
        publisher.stop()


@pytest.fixture
def memory(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    listener.say(STATE, "the state", retain=True)
    yield listener
    listener.close()


def test_what_is_there_is_found_and_what_is_not_is_waited_for_half_a_second(
    broker: Broker, memory: Listener, started: Started
) -> None:
    publisher = started(broker.port)
    assert publisher.retained([STATE], 5) == {STATE: "the state"}
    began = time.monotonic()
    assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}
    assert 0.5 <= time.monotonic() - began < 1.5


class SlowConnection:
    """Acknowledges a subscription when it is told to."""

    answered = False

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        return Subscription(tuple(topics))

    def subscribed(self, subscription: Subscription) -> bool:
        return self.answered


@pytest.mark.parametrize(("took", "silence"), [(0.0625, 0.5), (0.5, 2.5), (64.0, 30.0)])
def test_a_broker_that_is_slow_to_answer_is_waited_for_longer(took: float, silence: float) -> None:
    """Or what it has not told yet would be said to be lost."""
    found: list[dict[str, str] | None] = []
    connection: Any = SlowConnection()
    search = RetainedSearch([STATE], found.append)
    search.advance(connection, 100.0)
    search.advance(connection, 100.0 + took)
    connection.answered = True
    search.advance(connection, 100.0 + took + silence - 0.125)
    assert not search.over
    search.advance(connection, 100.0 + took + silence)
    assert found == [{}]


def test_it_is_asked_beside_other_work_and_before_there_is_a_connection(
    broker: Broker, memory: Listener, started: Started
) -> None:
    answer = started(broker.port).ask([STATE, STATUS])
    assert answer(5) == {STATE: "the state"}


def test_to_ask_again_while_it_is_asked_is_the_same_question(absent_broker: Broker, started: Started) -> None:
    publisher = started(absent_broker.port)
    answers = [publisher.ask([STATE]) for _ in range(1000)]
    assert len(publisher._broker.searches) == 1
    absent_broker.start()
    assert answers[0](10) == {}
