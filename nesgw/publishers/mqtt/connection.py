"""One connection to a broker, for use by one thread: the only module that knows paho.

Whatever bytes a broker sends, or something that is no broker, the end of it is a ``BrokerUnavailable``: the versions
of paho that owners have raise what they please on a packet that is too short.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable, ConfigError
from nesgw.publishers.message import Message
from nesgw.publishers.mqtt import trouble
from nesgw.publishers.mqtt.trouble import TlsContext

# The broker publishes our last will when it has heard nothing for one and a half of these (MQTT 3.1.1, 3.1.2.10).
_KEEPALIVE: Final = 20
_ANSWER: Final = 10.0  # for the broker's answer to CONNECT
# Messages that may wait for the broker's acknowledgement: all others stay with us, newest only.
_IN_FLIGHT: Final = 20
# Seconds that the oldest of them may wait. Brokers acknowledge in the order of arrival (MQTT 3.1.1, 4.6).
_ACKNOWLEDGEMENT: Final = 30.0
# Bytes of a packet that are taken in: MQTT allows 256 MB, which a small Pi has not. Ours are shorter than 64 kB.
_LARGEST: Final = 16_000_000
_FAREWELLS: Final = 5  # turns until DISCONNECT is sent; one, unless the line is stuck
_CONNACK: Final = b"\x20"
_BEGINNING: Final = 200  # bytes of the answer to CONNECT that are looked at if it is none


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message from the broker."""

    topic: str
    payload: str
    retained: bool  # it was there before we subscribed


@dataclass(frozen=True, slots=True)
class Subscription:
    """Topics or filters that we asked to read."""

    topics: tuple[str, ...]


class _TooLarge(Exception):
    """A packet begins that is too large to be taken in; ``args`` has its bytes."""


class _Client(Client):
    """paho's client, which itself takes any packet in."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > _LARGEST:  # paho asks for the whole rest of a packet at once
            raise _TooLarge(bufsize)
        return super()._sock_recv(bufsize)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is one of those that a filter with ``+`` or ``#`` stands for."""
    return topic_matches_sub(topic_filter, topic)


class Connection:
    """One connection to the broker. Once lost it stays lost."""

    def __init__(self, settings: MqttSettings, client_id: str, will: Message | None = None) -> None:
        self._settings = settings
        self._client = _Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_log = self._on_log
        self._will = will
        self._answer: int | None = None
        self._beginning = b""  # of what came before that answer
        self._nonsense = False  # what came is no MQTT
        self._said = ""  # paho's words for what went wrong
        # By packet identifier, in the order of sending; those of QoS 0, which nobody acknowledges, by its negative.
        self._in_flight: dict[int, Message | Subscription] = {}
        self._oldest_since = 0.0  # when the first of them became the first
        self.stalled = False  # whether it was given up because acknowledgements stopped
        self.turned_away = False  # whether it was closed or refused at CONNECT, perhaps for what stands in it
        self._passed_over = False  # whether the broker has taken messages that came after the oldest of them
        self._acknowledged: list[Message | Subscription] = []
        self._refused: list[str] = []
        self._arrivals: list[Arrival] = []

    def open(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Connect and log in, or raise ``BrokerUnavailable``."""
        settings = self._settings
        trouble.check_login(settings)
        context = self._tls_context()
        with self._no_surprise():
            if settings.username:
                self._client.username_pw_set(settings.username, settings.password.reveal_text() or None)
            if self._will is not None:
                self._client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
            try:
                self._client.connect(settings.host, settings.port, _KEEPALIVE)
            except (OSError, ValueError) as error:
                in_handshake = context is not None and context.close_last()
                if in_handshake and isinstance(error, TimeoutError):
                    raise trouble.no_handshake(settings) from error
                raise trouble.unreachable(settings, error) from error
        deadline = time.monotonic() + _ANSWER
        while self._answer is None:
            if time.monotonic() > deadline or give_up():
                raise self._lost() if self._beginning else trouble.silent(settings, closed=False)
            self.turn(0.25)
        if self._answer:
            raise self._refusal(self._answer)

    def _tls_context(self) -> TlsContext | None:
        if self._settings.tls is None:
            return None
        try:
            context = trouble.tls_context(self._settings.tls)
        except ConfigError as error:
            raise trouble.bad_files(self._settings, error) from error
        self._client.tls_set_context(context)
        return context

    @contextmanager
    def _no_surprise(self) -> Iterator[None]:
        """Take whatever paho raises for what it means: the other end does not speak MQTT as it should."""
        try:
            yield
        except BrokerUnavailable:
            raise
        except _TooLarge as error:
            (size,) = error.args
            raise trouble.too_large(self._settings, size, _LARGEST) from error
        except Exception as error:
            self._nonsense = True
            raise self._lost() from error

    def turn(self, timeout: float, wake: socket.socket | None = None) -> None:
        """Send and receive what can be, waiting at most ``timeout`` or until ``wake`` can be read."""
        with self._no_surprise():
            self._exchange(timeout, wake)
        if self._nonsense or (self._client.socket() is None and not self._answer):
            raise self._lost()
        if self._waits_for_acknowledgement and time.monotonic() - self._oldest_since > _ACKNOWLEDGEMENT:
            self.stalled = True
            raise trouble.no_acknowledgement(self._settings, _ACKNOWLEDGEMENT, self._passed)

    def _exchange(self, timeout: float, wake: socket.socket | None) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            return
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wake is not None:
            poll.register(wake, select.POLLIN)
        # Bytes that TLS has decrypted already do not make the socket readable.
        waiting = self._settings.tls is not None and sock.pending() > 0
        events = dict(poll.poll(0 if waiting else timeout * 1000))
        if waiting or events.get(sock.fileno(), 0) & ~select.POLLOUT:
            self._peek(sock)
            if not self._nonsense and self._client.loop_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL:
                self._nonsense = True
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()  # keep-alive

    def _peek(self, sock: Any) -> None:
        """Keep how the answer to CONNECT begins, for people to read if it is none (MQTT 3.1.1, 3.2)."""
        if self._answer is None and not self._beginning and self._settings.tls is None:
            with suppress(OSError):
                self._beginning = sock.recv(_BEGINNING, socket.MSG_PEEK)
            self._nonsense = self._beginning[:1] not in (b"", _CONNACK)

    def _lost(self) -> BrokerUnavailable:
        if alert := trouble.alerted(self._settings, self._said):
            return alert
        if self._answer:
            return self._refusal(self._answer)
        if self._answer is None:
            if self._nonsense or self._beginning:
                return trouble.no_broker(self._settings, self._beginning)
            self.turned_away = True
            return trouble.silent(self._settings, closed=True)
        return trouble.no_mqtt(self._settings) if self._nonsense else trouble.lost(self._settings)

    def _refusal(self, code: int) -> BrokerUnavailable:
        self.turned_away = code == trouble.NOT_AUTHORIZED
        return trouble.refused(self._settings, code)

    @property
    def ready(self) -> bool:
        """Whether one more message may be handed over: never more than the broker keeps up with."""
        return sum(mid > 0 for mid in self._in_flight) < _IN_FLIGHT and not self._client.want_write()

    @property
    def idle(self) -> bool:
        """Whether the broker has everything that was published."""
        return not self._waits_for_acknowledgement and not self._client.want_write()

    @property
    def _waits_for_acknowledgement(self) -> bool:
        return any(mid > 0 for mid in self._in_flight)

    @property
    def _passed(self) -> str:
        """What the broker leaves unanswered although it has answered what came later; empty if it answers nothing."""
        if not self._passed_over:
            return ""
        oldest = next(what for mid, what in self._in_flight.items() if mid > 0)
        return oldest.topic if isinstance(oldest, Message) else f"a subscription to {', '.join(oldest.topics)}"

    @property
    def in_flight(self) -> list[Message | Subscription]:
        """What was handed over and may not have arrived."""
        return list(self._in_flight.values())

    def publish(self, message: Message) -> None:
        """Hand a message over."""
        with self._no_surprise():
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        self._sent(info.mid if message.qos else -info.mid, message)
        if not message.qos:
            self._acknowledged.append(message)

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Subscribe to topics or filters; ``subscribed`` takes the answer."""
        with self._no_surprise():
            _, mid = self._client.subscribe([(topic, 0) for topic in topics])
        if mid is None:
            raise self._lost()
        subscription = Subscription(tuple(topics))
        self._sent(mid, subscription)
        return subscription

    def _sent(self, mid: int, what: Message | Subscription) -> None:
        if not self._waits_for_acknowledgement:
            self._oldest_since = time.monotonic()
        self._in_flight[mid] = what
        for each in [each for each in self._in_flight if each < 0][:-_IN_FLIGHT]:
            del self._in_flight[each]

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Undo ``subscribe``."""
        with self._no_surprise():
            self._client.unsubscribe(list(topics))

    def subscribed(self, subscription: Subscription) -> bool:
        """Whether the broker has answered a subscription."""
        return not any(each is subscription for each in self._in_flight.values())

    def acknowledged(self) -> list[Message | Subscription]:
        """Take what the broker has taken since the last call."""
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
        with suppress(BrokerUnavailable):
            with self._no_surprise():
                self._client.disconnect()
            for _ in range(_FAREWELLS):
                self.turn(0.1)

    def close(self) -> None:
        """Drop the connection without a word, if it is still there."""
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    # paho calls these inside turn(), in our own thread. They only take notes: paho must not be called from them.

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._answer is None:
            self._answer = reason.value
        else:
            self._nonsense = True  # it was answered already

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if self._answer is None:
            self._nonsense = True  # the first packet of a broker is its answer to CONNECT (MQTT 3.1.1, 3.2)
        with suppress(UnicodeDecodeError):  # not a message of ours
            self._arrivals.append(Arrival(message.topic, message.payload.decode(), message.retain))

    def _on_publish(self, _client: Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._arrived(mid)

    def _on_subscribe(self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        if isinstance(subscription := self._arrived(mid), Subscription):
            answers = zip(subscription.topics, reasons, strict=False)
            self._refused += [topic for topic, reason in answers if reason.is_failure]

    def _arrived(self, mid: int) -> Message | Subscription | None:
        """Take note of an acknowledgement."""
        if mid not in self._in_flight:
            return None
        earlier = list(self._in_flight)[: list(self._in_flight).index(mid)]
        if all(each < 0 for each in earlier):
            self._oldest_since = time.monotonic()
            self._passed_over = False
        elif isinstance(self._in_flight[mid], Message):
            self._passed_over = True
        for each in earlier:
            if each < 0:
                del self._in_flight[each]
        what = self._in_flight.pop(mid)
        self._acknowledged.append(what)
        return what

    def _on_log(self, _client: Client, _data: Any, _level: int, text: str) -> None:
        if "failed to receive" in text:
            self._said = text
