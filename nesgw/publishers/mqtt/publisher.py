"""Brings messages to the MQTT broker, whenever there is one.

What callers set is the wanted state: the newest message of each topic. A thread of the publisher's own connects (with
a new client each time, so that no queue outlives a connection), publishes everything in order, and from then on what
changes. It never waits in a caller's thread.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt import trouble
from nesgw.publishers.mqtt.connection import Connection
from nesgw.publishers.mqtt.delivery import Broker, Delivery, Due, Pace
from nesgw.publishers.mqtt.neighbours import Neighbours
from nesgw.publishers.mqtt.problems import OnState, Problem, Problems
from nesgw.publishers.mqtt.retained import RetainedSearch
from nesgw.publishers.mqtt.trouble import Stage
from nesgw.publishers.mqtt.wanted import Wanted
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics

_NOT_LASTING: Final = 2  # times that the broker may let us in and drop us before we say no more about it
_NEVER_LASTING: Final = 6  # times after which it is said that it does so always
_MOST_DOUBLINGS: Final = 16
_WILL_AGAIN: Final = 10  # rounds in vain until it is tried again whether the last will is the reason


class MqttPublisher:
    """Keeps the broker supplied with the newest message of each topic. All public methods are thread-safe.

    ``on_state`` is called with each change of connection or problem, once, in the publisher's own thread: it may call
    ``set``, but not wait for an answer or ``stop``.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        on_state: OnState | None = None,
        *,
        pace: Pace | None = None,
    ) -> None:
        self._hosts = trouble.brokers(settings)
        self._pace = pace or Pace()
        self._defect: Exception | None = None
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        online = Message(topics.gateway_availability, ONLINE, Part.AVAILABILITY)
        self._wanted = Wanted(online)
        self._problems = Problems(on_state)
        self._broker = Broker(
            topics,
            self._pace,
            online,
            self._wanted,
            self._problems,
            Neighbours(topics, self._wanted, online),
            self._stopping.is_set,
        )
        self._short_lived = 0  # connections in a row that did not last
        self._client_id = f"nesgw-{topics.gateway}"
        will = replace(online, payload=OFFLINE)
        self._wills = (will, replace(will, retain=False), None)  # from what is wanted to what any broker takes
        self._will = 0  # which of them was taken last

    # For any thread.

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._problems.connected

    @property
    def connections(self) -> int:
        """How often the broker has let us in."""
        return self._problems.connections

    @property
    def problem(self) -> BrokerUnavailable | None:
        """What is wrong although we are connected; the most serious if there are several."""
        return self._problems.worst

    def start(self) -> None:
        """Begin to connect, and go on for ever."""
        self._thread.start()

    def set(self, *messages: Message) -> None:
        """Want the broker to have these messages; a newer one takes the place of one not yet sent.

        States and statuses are published each time, as signs of life; all else only if it differs.
        A retained message with an empty payload removes the topic, and is forgotten once that is done.
        A status alone wakes nobody: it goes with what comes next, two seconds later at the latest.
        """
        if self._defect:
            raise self._defect
        if any(message.part is not Part.STATUS for message in self._wanted.set(messages)):
            self._wake()

    def withdraw(self, *topics: str) -> None:
        """Want nothing of these topics any more: what the broker has of them stays, but is not sent again."""
        self._wanted.withdraw(topics)

    def emit(self, *messages: Message) -> None:
        """Publish events: each once, in order, none in place of another.

        They wait in memory while there is no broker, the newest some hundred of them.
        """
        self._wanted.emit(messages)
        self._wake()

    @property
    def delivered(self) -> bool:
        """Whether the broker has every event."""
        return self._wanted.delivered

    def ask(self, filters: Sequence[str]) -> Callable[[float], dict[str, str] | None]:
        """Begin to fetch the retained messages of some topics or filters.

        The answer takes the seconds that it may still take, and gives None if the broker could not be asked in time.
        """
        searches = self._broker.searches
        search = next((each for each in list(searches) if each.filters == tuple(filters)), None)
        if search is None:
            search = RetainedSearch(filters)
            searches.append(search)
        self._wake()

        def answer(timeout: float) -> dict[str, str] | None:
            found = search.wait(timeout)
            with suppress(ValueError):
                searches.remove(search)
            return found

        return answer

    def retained(self, filters: Sequence[str], timeout: float) -> dict[str, str] | None:
        """Fetch the retained messages of some topics or filters, as ``ask`` does, and wait for them."""
        return self.ask(filters)(timeout)

    def stop(self) -> None:
        """Tell the broker that gateway and meters are offline, if it can be told soon, and disconnect."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(self._pace.goodbye + 1)
        if not self._thread.is_alive():
            self._wake_read.close()
            self._wake_write.close()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake already; closed: it has stopped
            self._wake_write.send(b"!")

    # For the publisher's own thread.

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception as defect:  # a defect must end the process, not just the thread: set() raises it
            self._defect = defect

    def _keep_connected(self) -> None:
        """Connect again and again; to the next host when one is gone, without a pause before the last."""
        attempts = number = 0
        while not self._stopping.is_set():
            settings, began = self._hosts[number], time.monotonic()
            delivery: Delivery | None = None
            try:
                connection = self._connected(settings, may_change_will=attempts % _WILL_AGAIN == 0)
                delivery = Delivery(self._broker, connection, settings, self._hosts[0])
                delivery.serve(self._wake_read, quietly=self._short_lived >= _NOT_LASTING)
                self._problems.leave()
                number = attempts = 0  # we stop, or the preferred broker is back
            except BrokerUnavailable as error:
                lasted = time.monotonic() - began >= self._pace.steady
                attempts = 0 if lasted else attempts
                self._after_loss(settings, delivery, error, lasted=lasted)
                number = (number + 1) % len(self._hosts)
                if number == 0:
                    self._stopping.wait(self._delay(attempts, error))
                    attempts += 1
            finally:
                if delivery:
                    delivery.connection.close()
        self._problems.end(None)

    def _connected(self, settings: MqttSettings, *, may_change_will: bool) -> Connection:
        """Connect with our last will as the broker takes it: some turn a client away for one, without a word.

        The others are tried at once: nothing else is likely to have changed in between.
        """
        first: BrokerUnavailable | None = None
        for number in range(self._will, len(self._wills) if may_change_will or self._will else 1):
            connection = Connection(settings, self._client_id, self._wills[number])
            try:
                connection.open(self._stopping.is_set)
            except BrokerUnavailable as error:
                connection.close()
                first = first or error
                if not connection.turned_away:
                    break
            else:
                self._note_will(settings, number)
                return connection
        self._will = 0
        assert first is not None  # noqa: S101 (the loop ran at least once)
        raise first

    def _note_will(self, settings: MqttSettings, number: int) -> None:
        self._will = number
        self._problems.clear(Problem.WILL)
        if self._wills[number] is None:
            topic = self._broker.topics.gateway_availability
            self._problems.note(Problem.WILL, trouble.no_will(settings, topic))
        elif number:
            self._broker.refusals.retain_nothing()
            if said := self._broker.refusals.in_words:
                self._problems.note(Problem.REFUSED, trouble.trouble(settings, Stage.USE, *said))

    def _after_loss(
        self,
        settings: MqttSettings,
        delivery: Delivery | None,
        error: BrokerUnavailable,
        *,
        lasted: bool,
    ) -> None:
        """Report it, and see what it was lost with."""
        refusals = self._broker.refusals
        self._broker.timers.cancel(Due.STEADY)
        if lasted:
            self._short_lived = 0
        elif delivery:
            self._short_lived += 1
        if lasted or not delivery:
            self._problems.clear(Problem.DROPPED)
        if not delivery and error.facts["stage"] == Stage.REACH.value:
            refusals.forget()
            self._problems.clear(Problem.REFUSED)
        elif delivery and delivery.shows_refusals and refusals.lost(delivery.connection.in_flight):
            self._short_lived = 0
            if said := refusals.in_words:
                error = trouble.trouble(settings, Stage.USE, *said)
                self._problems.note(Problem.REFUSED, error)
        elif delivery and self._short_lived >= _NEVER_LASTING:
            error = trouble.dropped(settings, self._client_id)
            self._problems.note(Problem.DROPPED, error)
        self._problems.end(error)

    def _delay(self, attempts: int, error: BrokerUnavailable) -> float:
        pace = self._pace
        if self._broker.timers.runs(Due.NAME_CONFLICT_OVER):
            delay = pace.conflict_retry
        else:
            passing = error.facts["stage"] in {Stage.REACH.value, Stage.USE.value}
            slowest = pace.slowest_retry if passing else pace.slowest_refused
            doublings = 0 if self._broker.refusals.searching else min(attempts, _MOST_DOUBLINGS)
            delay = min(pace.first_retry * 2.0**doublings, slowest)
        return delay * random.uniform(0.8, 1.2)  # noqa: S311 (not a secret: spreads the gateways after a power cut)
