"""Brings messages to the MQTT broker, whenever there is one: the only module that knows paho.

What callers set is the wanted state: the newest message of each topic. A thread of the publisher's own connects (with
a new client each time, so that no queue outlives a connection), publishes everything in order, and from then on what
changes. It never reads what it publishes, and never waits in a caller's thread.
"""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable, ConfigError
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt import broker
from nesgw.publishers.mqtt.broker import Stage, TlsContext
from nesgw.publishers.name_conflict import NameConflict
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics

# The broker publishes our last will when it has heard nothing for one and a half of these (MQTT 3.1.1, 3.1.2.10).
_KEEPALIVE: Final = 20
_ANSWER: Final = 10.0  # for the broker's answer to CONNECT
# Messages that may wait for the broker's acknowledgement: all others stay with us, newest only.
_IN_FLIGHT: Final = 20
# Retained messages follow a subscription at once, but nothing says which is the last.
_QUIET: Final = 0.5
# Of plain topics there is one each: silence for some of the broker's own answering times is enough, and the first
# reading waits for it. What follows the answer may be held back for a delayed ACK (Nagle), 40 to 200 ms.
_QUIET_TOPICS: Final = 0.25
# Behind the mark (see _Inquiry) comes only what a broker looks up in parallel.
_QUIET_MARKED: Final = 0.02
_ANSWERING_TIMES: Final = 4
_FAREWELLS: Final = 5  # turns until DISCONNECT is sent; one, unless the line is stuck
# Events of a broker's absence; the meter's own log holds about as many.
_MOST_EVENTS: Final = 500
_THROWN_OUT: Final = 2  # times that the broker may let us in and drop us before we say no more about it
_TURN: Final = 2.0  # the longest sleep: statuses wait for its end, and so would what a lost wake-up has left

OnState = Callable[[bool, BrokerUnavailable | None], None]


class Pace(NamedTuple):
    """The waiting times of the publisher, in seconds."""

    first_retry: float = 1.0  # doubles with each attempt
    slowest_retry: float = 10.0  # nobody there: cheap to ask, and the state is wanted as soon as there is
    slowest_refused: float = 60.0  # login or certificate: a person has to act first
    twin_retry: float = 120.0
    steady: float = 30.0  # a connection that lasted so long was a good one
    # Home Assistant drops what comes in the instant of its birth message.
    rediscovery: tuple[float, float] = (2.1, 4.8)
    # It takes Home Assistant a moment from a discovery message to the subscription of its topics.
    settling: float = 1.5
    # Two different discovery messages of one device must not follow one another within a fraction of a second.
    discovery_gap: float = 2.0
    goodbye: float = 2.0


class Arrival(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: str
    retained: bool  # it was there before we subscribed


class Connection:
    """One connection to the broker, for use by one thread. Once lost it stays lost."""

    def __init__(self, settings: MqttSettings, client_id: str, will: Message | None = None) -> None:
        self._settings = settings
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_log = self._on_log
        if settings.username:
            self._client.username_pw_set(settings.username, settings.password.reveal_text() or None)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._answer: int | None = None
        self._said = ""  # paho's words for what went wrong
        self._unacknowledged: dict[int, Message] = {}
        self._acknowledged: list[Message] = []
        self._subscribing: dict[int, tuple[str, ...]] = {}
        self._refused: list[str] = []
        self._arrivals: list[Arrival] = []

    def open(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Connect and log in, or raise ``BrokerUnavailable``."""
        context = self._tls_context()
        try:
            self._client.connect(self._settings.host, self._settings.port, _KEEPALIVE)
        except (OSError, ValueError) as error:
            if context:
                context.close_last()
            raise broker.unreachable(self._settings, error) from error
        deadline = time.monotonic() + _ANSWER
        while self._answer is None:
            if time.monotonic() > deadline or give_up():
                raise broker.silent(self._settings, closed=False)
            self.turn(0.25)
        if self._answer:
            raise broker.refused(self._settings, self._answer)

    def _tls_context(self) -> TlsContext | None:
        if self._settings.tls is None:
            return None
        try:
            context = broker.tls_context(self._settings.tls)
        except ConfigError as error:
            raise broker.trouble(self._settings, Stage.TLS, error.problems[0], "correct that") from error
        self._client.tls_set_context(context)
        return context

    def turn(self, timeout: float, wake: socket.socket | None = None) -> None:
        """Send and receive what can be, waiting at most ``timeout`` or until ``wake`` can be read."""
        sock: Any = self._client.socket()
        if sock is not None:
            poll = select.poll()
            poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
            if wake is not None:
                poll.register(wake, select.POLLIN)
            # Bytes that TLS has decrypted already do not make the socket readable.
            waiting = self._settings.tls is not None and sock.pending() > 0
            events = dict(poll.poll(0 if waiting else timeout * 1000))
            if waiting or events.get(sock.fileno(), 0) & ~select.POLLOUT:
                self._client.loop_read()
            if self._client.want_write():
                self._client.loop_write()
            self._client.loop_misc()  # keep-alive
        if self._client.socket() is None and not self._answer:
            raise self._lost()

    def _lost(self) -> BrokerUnavailable:
        if alert := broker.alerted(self._settings, self._said):
            return alert
        if self._answer is None:
            return broker.silent(self._settings, closed=True)
        return broker.trouble(
            self._settings, Stage.USE, "the connection was lost", "nothing to do unless it lasts; nesgw tries again"
        )

    @property
    def ready(self) -> bool:
        """Whether one more message may be handed over: never more than the broker keeps up with."""
        return len(self._unacknowledged) < _IN_FLIGHT and not self._client.want_write()

    @property
    def idle(self) -> bool:
        """Whether the broker has everything that was published."""
        return not self._unacknowledged and not self._client.want_write()

    def publish(self, message: Message) -> None:
        """Hand a message over."""
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        if message.qos:
            self._unacknowledged[info.mid] = message
        else:
            self._acknowledged.append(message)

    def subscribe(self, topics: Sequence[str]) -> int:
        """Subscribe to topics or filters; the answer is the id that ``subscribed`` takes."""
        _, mid = self._client.subscribe([(topic, 0) for topic in topics])
        if mid is None:
            raise self._lost()
        self._subscribing[mid] = tuple(topics)
        return mid

    def hurry(self) -> None:
        """Acknowledge at once what has come: a broker that has more may be waiting for that (Nagle)."""
        sock: Any = self._client.socket()
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Undo ``subscribe``."""
        self._client.unsubscribe(list(topics))

    def subscribed(self, mid: int) -> bool:
        """Whether the broker has answered a subscription."""
        return mid not in self._subscribing

    def acknowledged(self) -> list[Message]:
        """Take the messages that the broker has since the last call."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def refused(self) -> list[str]:
        """Take the topics that the broker will not let us read."""
        taken, self._refused = self._refused, []
        return taken

    def arrivals(self) -> list[Arrival]:
        """Take what came in since the last call."""
        taken, self._arrivals = self._arrivals, []
        return taken

    def leave(self) -> None:
        """Say goodbye: the broker forgets the last will."""
        self._client.disconnect()
        with suppress(BrokerUnavailable):
            for _ in range(_FAREWELLS):
                self.turn(0.1)

    def close(self) -> None:
        """Drop the connection without a word, if it is still there."""
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    # paho calls these inside turn(), in our own thread. They only take notes: paho must not be called from them.

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._answer = reason.value

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):  # not a message of ours
            self._arrivals.append(Arrival(message.topic, message.payload.decode(), message.retain))

    def _on_publish(self, _client: Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        if message := self._unacknowledged.pop(mid, None):
            self._acknowledged.append(message)

    def _on_subscribe(self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        topics = self._subscribing.pop(mid, ())
        self._refused += [topic for topic, reason in zip(topics, reasons, strict=False) if reason.is_failure]

    def _on_log(self, _client: Client, _data: Any, _level: int, text: str) -> None:
        if "failed to receive" in text:
            self._said = text


class _Inquiry:
    """A search for retained messages, over when they have stopped coming.

    Asked for last is a *mark*, where there is one: a topic of which the broker surely has a retained message. Filters
    are answered as if each had been asked for alone, one after the other (MQTT 3.1.1, 3.8.4).
    """

    def __init__(self, filters: Sequence[str]) -> None:
        self.filters = tuple(filters)
        self.plain = not any(sign in each for each in filters for sign in "+#")  # one message each, at the most
        self.found: dict[str, str] = {}
        self.readable = True
        self.over = threading.Event()
        self.mark: str | None = None
        self._marked = False  # whether it has come
        self._mid: int | None = None
        self._asked_at = 0.0
        self._quiet_since = 0.0
        self._answering: float | None = None  # the seconds that the broker took

    @property
    def asked(self) -> bool:
        """Whether the broker is being asked."""
        return self._mid is not None

    @property
    def topics(self) -> list[str]:
        """What is subscribed to for it."""
        return [*self.filters, self.mark] if self.mark else list(self.filters)

    @property
    def due(self) -> float:
        """When it will be over if nothing more comes."""
        if not self.plain:
            return self._quiet_since + _QUIET
        least = _QUIET_MARKED if self._marked else _QUIET_TOPICS
        return self._quiet_since + min(_QUIET, max(least, _ANSWERING_TIMES * (self._answering or 0.0)))

    def advance(self, connection: Connection, now: float, mark: str | None = None) -> None:
        """Ask, or see whether the answer is complete."""
        connection.hurry()
        if self._mid is None:
            self.mark = mark
            self._mid = connection.subscribe(self.topics)
            self._asked_at = self._quiet_since = now
        elif not connection.subscribed(self._mid):
            self._quiet_since = now
        elif self._answering is None:
            self._answering = now - self._asked_at
        elif now >= self.due or self.found.keys() >= set(self.filters):
            self.over.set()

    def start_again(self) -> None:
        """Forget what a connection that was lost had said."""
        self._mid = self._answering = self.mark = None
        self._marked = False
        self.found.clear()

    def take(self, arrival: Arrival, now: float) -> None:
        """Keep a retained message that was asked for."""
        if not arrival.retained:
            return
        if arrival.topic == self.mark:
            self._marked = True
            self._quiet_since = now
        if any(topic_matches_sub(each, arrival.topic) for each in self.filters):
            self.found[arrival.topic] = arrival.payload
            self._quiet_since = now

    def refused(self, topics: Iterable[str]) -> None:
        """Note that the broker does not let us read some of it."""
        self.readable = self.readable and not set(topics) & set(self.filters)


class BrokerSession:
    """A short visit to the broker by a command, under a client id of its own: the daemon is not disturbed."""

    def __init__(self, settings: MqttSettings, client_id: str) -> None:
        self._settings = settings
        self._connection = Connection(settings, f"{client_id}-{os.getpid()}")

    def __enter__(self) -> Self:
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
        inquiry = _Inquiry(filters)
        while not inquiry.over.is_set():
            self._connection.turn(_QUIET / 5)
            now = time.monotonic()
            for arrival in self._connection.arrivals():
                inquiry.take(arrival, now)
            inquiry.advance(self._connection, now)
        self._connection.unsubscribe(inquiry.filters)
        if refused := self._connection.refused():
            raise _unreadable(self._settings, refused)
        return inquiry.found

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish messages and wait until the broker has them."""
        for message in messages:
            while not self._connection.ready:
                self._connection.turn(_TURN)
            self._connection.publish(message)
        while not self._connection.idle:
            self._connection.turn(_TURN)


class MqttPublisher:
    """Keeps the broker supplied with the newest message of each topic. All public methods are thread-safe.

    ``on_state`` is told of each change of connection or problem, once, in the publisher's own thread: it may call
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
        self._settings = settings
        self._topics = topics
        self._on_state = on_state
        self._pace = pace or Pace()
        self._online = Message(topics.gateway_availability, ONLINE, Part.AVAILABILITY)
        self._standing = [topics.gateway_status, topics.gateway_availability]
        if settings.birth_topic:
            self._standing.append(settings.birth_topic)

        self._lock = threading.Lock()  # of the five below
        self._wanted: dict[str, Message] = {self._online.topic: self._online}
        self._pending: dict[str, None] = {}  # topics whose newest message the broker does not have, in order
        self._events: deque[Message] = deque(maxlen=_MOST_EVENTS)  # until the broker has them, in order
        self._inquiries: list[_Inquiry] = []
        self._defect: Exception | None = None

        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

        # What follows belongs to the thread.
        self._connected = False
        self._problem: BrokerUnavailable | None = None
        self._reported: bool | None = None  # what on_state was last told
        self._thrown_out = 0  # connections in a row that did not last
        self._steady_at: float | None = None  # when a connection that is not told of yet will have lasted
        self._twins = NameConflict()
        self._twin_until: float | None = None
        self._watched: set[str] = set()  # availability of our own, to hear if somebody else denies it
        self._mark: str | None = None  # for inquiries: retained, the broker has it, and we do not listen to it
        self._mark_expected = False  # asked for, and not here yet: it cannot mark the end of another inquiry
        self._sent_events: set[int] = set()  # ids of the events on their way over this connection
        self._announced: dict[str, tuple[str, float]] = {}  # discovery topic -> what was sent, and when
        self._rediscover_at: float | None = None
        self._follow_at: float | None = None
        self._follow_all = False
        self._next_discovery_at: float | None = None  # the one that was held back

    # For any thread.

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._connected

    @property
    def problem(self) -> BrokerUnavailable | None:
        """What is wrong, in the words last given to ``on_state``."""
        return self._problem

    def start(self) -> None:
        """Begin to connect, and go on for ever."""
        self._thread.start()

    def set(self, *messages: Message) -> None:
        """Want the broker to have these messages; a newer one takes the place of one not yet sent.

        States and statuses are published each time, as signs of life; all else only if it differs.
        A retained message with an empty payload removes the topic, and is forgotten once that is done.
        A status alone wakes nobody: it goes with what comes next, two seconds later at the latest.
        """
        urgent = False
        with self._lock:
            if self._defect:
                raise self._defect
            for message in messages:
                if message == self._wanted.get(message.topic) and message.part < Part.STATE:
                    continue
                self._wanted[message.topic] = message
                self._pending[message.topic] = None
                urgent = urgent or message.part is not Part.STATUS
                if message.topic == self._topics.gateway_status:
                    self._twins.published(message.payload)
        if urgent:
            self._wake()

    def withdraw(self, *topics: str) -> None:
        """Want nothing of these topics any more: what the broker has of them stays, but is not sent again."""
        with self._lock:
            for topic in topics:
                self._wanted.pop(topic, None)
                self._pending.pop(topic, None)

    def emit(self, *messages: Message) -> None:
        """Publish events: each once, in order, none in place of another.

        They wait in memory while there is no broker, the newest some hundred of them.
        """
        with self._lock:
            self._events.extend(messages)
        self._wake()

    @property
    def delivered(self) -> bool:
        """Whether the broker has every event."""
        with self._lock:
            return not self._events

    def ask(self, filters: Sequence[str]) -> Callable[[float], dict[str, str] | None]:
        """Begin to fetch the retained messages of some topics or filters.

        The answer takes the seconds that it may still take, and gives None if the broker could not be asked in time.
        """
        with self._lock:
            inquiry = next((each for each in self._inquiries if each.filters == tuple(filters)), None)
            if inquiry is None:
                inquiry = _Inquiry(filters)
                self._inquiries.append(inquiry)
        self._wake()

        def answer(timeout: float) -> dict[str, str] | None:
            answered = inquiry.over.wait(timeout)
            with self._lock, suppress(ValueError):
                self._inquiries.remove(inquiry)
            return inquiry.found if answered and inquiry.readable else None

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
            with self._lock:
                self._defect = defect

    def _keep_connected(self) -> None:
        attempts = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            will = replace(self._online, payload=OFFLINE)
            connection = Connection(self._settings, f"nesgw-{self._topics.gateway}", will)
            try:
                connection.open(self._stopping.is_set)
                self._serve(connection)
            except BrokerUnavailable as error:
                if time.monotonic() - began >= self._pace.steady:
                    attempts = self._thrown_out = 0
                elif self._connected:
                    self._thrown_out += 1
                self._steady_at = None
                self._report(False, error)
                self._stopping.wait(self._delay(attempts, error))
                attempts += 1
            finally:
                connection.close()

    def _delay(self, attempts: int, error: BrokerUnavailable) -> float:
        pace = self._pace
        if self._twin_until is not None:
            delay = pace.twin_retry
        else:
            passing = error.facts["stage"] in {Stage.REACH.value, Stage.USE.value}
            slowest = pace.slowest_retry if passing else pace.slowest_refused
            delay = min(pace.first_retry * 2.0 ** min(attempts, 16), slowest)
        return delay * random.uniform(0.8, 1.2)  # noqa: S311 (not a secret: spreads the gateways after a power cut)

    def _serve(self, connection: Connection) -> None:
        """Publish everything, then whatever changes, until the connection is lost or we stop."""
        connection.subscribe(self._standing)
        self._watched = set(self._standing)
        with self._lock:
            # In the order in which they were first wanted; the order of the parts is made when sending.
            self._pending = dict.fromkeys(self._wanted)
            for inquiry in self._inquiries:
                inquiry.start_again()
        self._mark, self._mark_expected = None, False
        self._sent_events = set()  # what the former connection lost without an answer is sent again
        self._rediscover_at = None
        if self._thrown_out < _THROWN_OUT:
            self._report(True, None)
        else:  # told when it lasts: in and out every few seconds would fill the journal
            self._connected = True
            self._steady_at = time.monotonic() + self._pace.steady
        while not self._stopping.is_set():
            now = time.monotonic()
            self._run_timers(now)
            self._send(connection, now)
            self._advance_inquiries(connection, now)
            connection.turn(self._until_next_timer(now), self._wake_read)
            self._drain_wake_ups()
            self._forget_done(connection)
            for arrival in connection.arrivals():
                self._take(arrival, time.monotonic())
            if refused := connection.refused():
                self._complain_unreadable(refused)
        self._say_goodbye(connection)

    def _send(self, connection: Connection, now: float) -> None:
        with self._lock:
            due = sorted((self._wanted[topic] for topic in self._pending), key=lambda message: message.part)
        self._next_discovery_at = None
        for message in due:
            if not connection.ready:
                return
            if message.part.is_discovery:
                payload, at = self._announced.get(message.topic, (message.payload, now))
                if payload != message.payload and now < at + self._pace.discovery_gap:
                    self._next_discovery_at = at + self._pace.discovery_gap
                    continue
                self._announced[message.topic] = (message.payload, now)
                self._follow_at = now + self._pace.settling
            with self._lock:
                if self._wanted.get(message.topic) is message:
                    self._pending.pop(message.topic, None)
            if message.part is Part.AVAILABILITY and message.topic not in self._watched:
                self._watched.add(message.topic)
                connection.subscribe([message.topic])
            connection.publish(message)
        with self._lock:
            events = [event for event in self._events if id(event) not in self._sent_events]
        for event in events:
            if not connection.ready:
                return
            self._sent_events.add(id(event))
            connection.publish(event)

    def _forget_done(self, connection: Connection) -> None:
        for message in connection.acknowledged():
            if message.part is Part.EVENT:
                with self._lock, suppress(ValueError):
                    self._events.remove(message)
                self._sent_events.discard(id(message))
            elif message.part is Part.GATEWAY_DISCOVERY and message.payload:
                self._mark = message.topic
            elif not message.payload:
                with self._lock:
                    if self._wanted.get(message.topic) is message:
                        del self._wanted[message.topic]
                        self._pending.pop(message.topic, None)

    def _run_timers(self, now: float) -> None:
        if self._rediscover_at is not None and now >= self._rediscover_at:
            self._rediscover_at = None
            self._follow_all = True
            self._want_again(lambda message: message.part.is_discovery)
        if self._follow_at is not None and now >= self._follow_at:
            everything, self._follow_at, self._follow_all = self._follow_all, None, False
            # What is retained comes by itself to whoever subscribes, unless Home Assistant has just started.
            self._want_again(lambda message: message.part >= Part.AVAILABILITY and (everything or not message.retain))
        if self._twin_until is not None and now >= self._twin_until:
            self._twin_until = None
            self._report(True, None)
        if self._steady_at is not None and now >= self._steady_at:
            self._steady_at = None
            self._report(True, None)

    def _want_again(self, which: Callable[[Message], bool]) -> None:
        with self._lock:
            self._pending |= dict.fromkeys(topic for topic, message in self._wanted.items() if which(message))

    def _until_next_timer(self, now: float) -> float:
        set_timers = (
            self._rediscover_at,
            self._follow_at,
            self._next_discovery_at,
            self._twin_until,
            self._steady_at,
        )
        timers = [at for at in set_timers if at is not None]
        with self._lock:
            timers += [each.due for each in self._inquiries if each.asked]
        return max(0.0, min([now + _TURN, *timers]) - now)

    def _drain_wake_ups(self) -> None:
        with suppress(BlockingIOError):
            self._wake_read.recv(4096)

    def _advance_inquiries(self, connection: Connection, now: float) -> None:
        with self._lock:
            inquiries = list(self._inquiries)
        for inquiry in inquiries:
            if inquiry.asked or not inquiry.plain:
                inquiry.advance(connection, now)
            elif self._mark or not self._mark_is_coming():
                mark = None if self._mark_expected else self._mark
                self._mark_expected |= mark is not None
                inquiry.advance(connection, now, mark)
            if inquiry.over.is_set():
                with self._lock, suppress(ValueError):
                    self._inquiries.remove(inquiry)
                if others := [each for each in inquiry.topics if each not in self._standing]:
                    connection.unsubscribe(others)

    def _mark_is_coming(self) -> bool:
        """Whether the broker will soon have what can serve as a mark."""
        with self._lock:
            return any(message.part is Part.GATEWAY_DISCOVERY for message in self._wanted.values())

    def _take(self, arrival: Arrival, now: float) -> None:
        with self._lock:
            inquiries = list(self._inquiries)
        for inquiry in inquiries:
            inquiry.take(arrival, now)
        if arrival.topic == self._mark and arrival.retained:
            self._mark_expected = False
        if arrival.topic == self._settings.birth_topic:
            # A retained one tells of a birth before we came, and we have just published everything.
            if arrival.payload == ONLINE and not arrival.retained and self._rediscover_at is None:
                self._rediscover_at = now + random.uniform(*self._pace.rediscovery)  # noqa: S311 (not a secret)
        elif arrival.topic == self._topics.gateway_status:
            if twin := self._twins.seen(arrival.payload, retained=arrival.retained):
                self._complain_of_twin(twin, now)
        elif arrival.topic == self._topics.gateway_availability and not arrival.retained and arrival.payload != ONLINE:
            # The late last will of our former connection, or somebody else's mistake: we know better.
            self._want_again(lambda message: message is self._online)
        elif arrival.topic in self._watched and not arrival.retained and arrival.payload == OFFLINE:
            # The goodbye of a gateway that read this meter before us.
            self._want_again(lambda message: message.topic == arrival.topic and message.payload == ONLINE)

    def _complain_of_twin(self, twin: str, now: float) -> None:
        name = self._topics.gateway
        problem = f'another gateway named "{name}" is connected to it too ({twin})'
        error = broker.trouble(self._settings, Stage.USE, problem, "give one of the two another [gateway] name")
        if self._twin_until is None:
            self._report(True, error)
        # Longer than the twin, as slow as we are, may stay away.
        self._twin_until = now + 3 * self._pace.twin_retry

    def _complain_unreadable(self, refused: list[str]) -> None:
        with self._lock:
            for inquiry in self._inquiries:
                inquiry.refused(refused)
        if standing := [topic for topic in refused if topic in self._standing]:
            self._report(True, _unreadable(self._settings, standing))

    def _report(self, connected: bool, problem: BrokerUnavailable | None) -> None:
        """Tell of a change, once. While a twin is about, that is the problem, whatever else happens."""
        self._connected = connected
        if self._twin_until is not None or (connected, str(problem)) == (self._reported, str(self._problem)):
            return
        self._problem, self._reported = problem, connected
        if self._on_state:
            self._on_state(connected, problem)

    def _say_goodbye(self, connection: Connection) -> None:
        """Publish what is pending, and that all is offline: the broker keeps the last will for those who crash."""
        deadline = time.monotonic() + self._pace.goodbye
        with self._lock:
            known = [m for m in self._wanted.values() if m.part is Part.AVAILABILITY and m.payload]
            gone = [replace(message, payload=OFFLINE) for message in known]
            self._wanted |= {message.topic: message for message in gone}
            self._pending |= dict.fromkeys(message.topic for message in gone)
            self._pending = {t: None for t in self._pending if not self._wanted[t].part.is_discovery}
        while (self._pending or not connection.idle) and (now := time.monotonic()) < deadline:
            self._send(connection, now)
            connection.turn(deadline - now)
        connection.leave()
        self._report(False, None)


def _unreadable(settings: MqttSettings, topics: Iterable[str]) -> BrokerUnavailable:
    problem = f"it does not let us read {', '.join(topics)}"
    return broker.trouble(settings, Stage.USE, problem, "allow it in the broker's access control list")
