"""Brokers that are not as they should be, on raw sockets: written after MQTT 3.1.1. Imports nothing of nesgw."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14


@dataclass(frozen=True)
class Packet:
    """A packet from a client."""

    kind: int
    flags: int
    body: bytes

    @property
    def size(self) -> int:
        return 2 + len(self.body)

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    @property
    def topic(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode()

    @property
    def will(self) -> bool:
        """Of a CONNECT: whether it brings a last will (MQTT 3.1.1, 3.1.2.5)."""
        return bool(self.body[7] & 0x04)

    @property
    def will_retain(self) -> bool:
        """Of a CONNECT: whether that is to be retained (3.1.2.7)."""
        return bool(self.body[7] & 0x20)

    @property
    def mid(self) -> bytes:
        if self.kind == PUBLISH:
            at = 2 + int.from_bytes(self.body[:2], "big")
            return self.body[at : at + 2]
        return self.body[:2]

    @property
    def payload(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 + len(self.topic.encode()) + (2 if self.qos else 0) :].decode()

    @property
    def filters(self) -> list[str]:
        """Of a SUBSCRIBE."""
        found, rest = [], self.body[2:]
        while rest:
            size = int.from_bytes(rest[:2], "big")
            found.append(rest[2 : 2 + size].decode())
            rest = rest[3 + size :]
        return found


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Write a packet (MQTT 3.1.1, 2.2)."""
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind << 4 | flags]) + length + body


class OddBroker:
    """Listens on a port of its own, one thread a client; what it does with a packet its subclasses say."""

    host = "127.0.0.1"

    def __init__(self, at: tuple[str, int] | None = None) -> None:
        self._door = socket.create_server(at or (self.host, 0))
        self.port: int = self._door.getsockname()[1]
        self.connections = 0
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._admit, daemon=True).start()

    @property
    def section(self) -> str:
        """The configuration that leads here."""
        return f'[mqtt]\nhost = "{self.host}"\nport = {self.port}\n'

    def _admit(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self.connections += 1
                self._clients.append(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client, client.makefile("rb") as stream:
            self.greet(client)
            while head := stream.read(1):
                size, shift = 0, 0
                while True:
                    digit = ord(stream.read(1) or b"\0")
                    size |= (digit & 0x7F) << shift
                    shift += 7
                    if not digit & 0x80:
                        break
                if self.take(client, Packet(head[0] >> 4, head[0] & 0xF, stream.read(size))) is False:
                    client.shutdown(socket.SHUT_RDWR)
                    return

    def greet(self, client: socket.socket) -> None:
        """Say something before the client does; a broker does not."""

    def take(self, client: socket.socket, packet: Packet) -> bool | None:
        """Answer a packet; False closes the connection."""
        raise NotImplementedError

    def close(self) -> None:
        for each in (self._door, *self._clients):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Talker(OddBroker):
    """Something that says these bytes: at once, or when it has got a CONNECT."""

    def __init__(self, said: bytes, *, at_once: bool = False, hang_up: bool = False) -> None:
        self._said, self._at_once, self._hang_up = said, at_once, hang_up
        super().__init__()

    def greet(self, client: socket.socket) -> None:
        if self._at_once:
            client.sendall(self._said)

    def take(self, client: socket.socket, packet: Packet) -> bool | None:
        if packet.kind == CONNECT and not self._at_once:
            client.sendall(self._said)
        return False if self._hang_up else None


Refusal = Callable[[Packet], bool]


@dataclass
class Rules:
    """What a broker does otherwise than others."""

    cuts: Refusal = lambda _packet: False  # closes the connection at such a packet
    refuses_client: Refusal = lambda _packet: False  # does not let a client in, by its CONNECT
    hangs_up: Refusal = lambda _packet: False  # closes the connection once such a packet is answered
    swallows: Refusal = lambda _packet: False  # acknowledges such a message, and that is all
    acknowledges: Callable[[int], bool] = lambda _number: True  # the n-th message of a connection, from 1
    answers_filters: bool = True
    retains: bool = True
    removes_after: float = 0.0
    refuses: frozenset[str] = field(default_factory=frozenset)  # topics that a subscription is refused for


class MemoryBroker(OddBroker):
    """A small broker with rules of its own. Knows one subscription a filter, and QoS 0 for whoever listens."""

    def __init__(self, at: tuple[str, int] | None = None, **rules: object) -> None:
        self.rules = Rules(**rules)  # type: ignore[arg-type]
        self.kept: dict[str, str] = {}
        self.taken: list[tuple[float, str, str]] = []  # when, topic, payload
        self._subscribed: dict[socket.socket, set[str]] = {}
        self._numbers: dict[socket.socket, int] = {}
        self._lock = threading.RLock()
        super().__init__(at)

    def topics_taken(self) -> set[str]:
        return {topic for _, topic, _ in list(self.taken)}

    def take(self, client: socket.socket, packet: Packet) -> bool | None:
        with self._lock:
            if self.rules.cuts(packet):
                return False
            match packet.kind:
                case 1 if self.rules.refuses_client(packet):
                    self._say(client, CONNACK, b"\0\5")
                    return False
                case 1:
                    self._say(client, CONNACK, b"\0\0")
                case 3:
                    self._published(client, packet)
                case 6:
                    self._say(client, PUBCOMP, packet.mid)
                case 8:
                    self._subscribe(client, packet)
                case 10:
                    self._subscribed.get(client, set()).difference_update(packet.filters)
                    self._say(client, UNSUBACK, packet.mid)
                case 12:
                    self._say(client, PINGRESP, b"")
                case 14:
                    return False
            return False if self.rules.hangs_up(packet) else None

    def _say(self, client: socket.socket, kind: int, body: bytes, flags: int = 0) -> None:
        with suppress(OSError):
            client.sendall(packet(kind, body, flags))

    def _published(self, client: socket.socket, message: Packet) -> None:
        number = self._numbers[client] = self._numbers.get(client, 0) + 1
        if not self.rules.acknowledges(number):
            return
        if message.qos:
            self._say(client, PUBACK if message.qos == 1 else PUBREC, message.mid)
        if self.rules.swallows(message):
            return
        self.taken.append((time.monotonic(), message.topic, message.payload))
        if message.retain and self.rules.retains:
            if message.payload:
                self.kept[message.topic] = message.payload
            elif self.rules.removes_after:
                threading.Timer(self.rules.removes_after, self.kept.pop, [message.topic, None]).start()
            else:
                self.kept.pop(message.topic, None)
        for each, filters in list(self._subscribed.items()):
            if any(self._meets(one, message.topic) for one in filters):
                self._deliver(each, message.topic, message.payload, retained=False)

    def _subscribe(self, client: socket.socket, packet: Packet) -> None:
        codes = bytes(0x80 if each in self.rules.refuses else 0 for each in packet.filters)
        self._say(client, SUBACK, packet.mid + codes)
        allowed = [each for each in packet.filters if each not in self.rules.refuses]
        self._subscribed.setdefault(client, set()).update(allowed)
        for topic, payload in list(self.kept.items()):
            asked = [each for each in allowed if self.rules.answers_filters or not re.search("[+#]", each)]
            if any(self._meets(each, topic) for each in asked):
                self._deliver(client, topic, payload, retained=True)

    def _deliver(self, client: socket.socket, topic: str, payload: str, *, retained: bool) -> None:
        name = topic.encode()
        self._say(client, PUBLISH, struct.pack("!H", len(name)) + name + payload.encode(), int(retained))

    @staticmethod
    def _meets(topic_filter: str, topic: str) -> bool:
        pattern = re.escape(topic_filter).replace(r"\+", "[^/]+").replace(r"\#", ".*").replace("#", ".*")
        return re.fullmatch(pattern, topic) is not None
