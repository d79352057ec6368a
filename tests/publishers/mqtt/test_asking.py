"""What the broker remembers is all found, however it delivers it, and waited for no longer than that takes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nesgw.config.settings import MqttSettings
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.topics import Topics
from tests.broker_fixtures import Broker, Listener, eventually

STATE, STATUS = "nesgw/42/state", "nesgw/42/status"
MARK = Message("homeassistant/device/nesgw_gateway_pi/config", "{}", Part.GATEWAY_DISCOVERY)

# What a broker without a mark is granted to say nothing.
LONG = 0.25

_PUBLISH, _SUBACK = 3, 9  # MQTT 3.1.1, 2.2.1


class Relay:
    """Stands between one client and a broker and holds back what the broker says, by its type and topic."""

    def __init__(self, broker: Broker, delay: Callable[[int, str], float]) -> None:
        self._delay = delay
        self._door = socket.create_server((broker.host, 0))
        self.port: int = self._door.getsockname()[1]
        self._broker = socket.create_connection((broker.host, broker.port))
        self._client: socket.socket | None = None
        threading.Thread(target=self._inwards, daemon=True).start()

    def _inwards(self) -> None:
        with suppress(OSError):
            self._client, _ = self._door.accept()
            threading.Thread(target=self._outwards, daemon=True).start()
            while data := self._client.recv(4096):
                self._broker.sendall(data)

    def _outwards(self) -> None:
        with suppress(OSError), self._broker.makefile("rb") as stream:
            while head := stream.read(1):
                length, raw = 0, b""
                while not raw or raw[-1] & 0x80:
                    raw += stream.read(1)
                    length |= (raw[-1] & 0x7F) << 7 * (len(raw) - 1)
                body = stream.read(length)
                kind = head[0] >> 4
                topic = body[2 : 2 + int.from_bytes(body[:2], "big")].decode() if kind == _PUBLISH else ""
                if delay := self._delay(kind, topic):
                    threading.Timer(delay, self._onwards, [head + raw + body]).start()
                else:
                    self._onwards(head + raw + body)

    def _onwards(self, packet: bytes) -> None:
        assert self._client is not None
        with suppress(OSError):
            self._client.sendall(packet)

    def close(self) -> None:
        for each in (self._door, self._broker, self._client):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


Relaying = Callable[[Callable[[int, str], float]], Relay]


@pytest.fixture
def relay(broker: Broker) -> Iterator[Relaying]:
    relays = []

    def between(delay: Callable[[int, str], float]) -> Relay:
        relays.append(Relay(broker, delay))
        return relays[-1]

    yield between
    for each in relays:
        each.close()


Started = Callable[[int], MqttPublisher]


@pytest.fixture
def started() -> Iterator[Started]:
    running = []

    def start(port: int) -> MqttPublisher:
        publisher = MqttPublisher(MqttSettings("127.0.0.1", port), Topics("nesgw", "pi"))
        running.append(publisher)
        publisher.set(MARK)
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


def marked(publisher: MqttPublisher, memory: Listener) -> MqttPublisher:
    memory.wait_for(MARK.topic)
    eventually(lambda: publisher.retained([STATE], 5) == {STATE: "the state"}, "the broker answers")
    return publisher


def test_of_what_is_not_there_it_is_known_as_soon_as_the_mark_has_come(
    broker: Broker, memory: Listener, started: Started
) -> None:
    publisher = marked(started(broker.port), memory)
    taken = []
    for _ in range(3):  # a busy machine may stall once
        began = time.monotonic()
        assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}
        taken.append(time.monotonic() - began)
    assert min(taken) < LONG


def test_it_is_asked_beside_other_work_and_before_there_is_a_connection(
    broker: Broker, memory: Listener, started: Started
) -> None:
    publisher = started(broker.port)
    answer = publisher.ask([STATE, STATUS])
    assert answer(5) == {STATE: "the state"}


def test_to_ask_again_while_it_is_asked_is_the_same_question(absent_broker: Broker, started: Started) -> None:
    publisher = started(absent_broker.port)
    answers = [publisher.ask([STATE]) for _ in range(1000)]
    assert len(publisher._inquiries) == 1
    absent_broker.start()
    assert answers[0](10) == {}


def test_what_is_held_back_behind_the_answer_is_waited_for(relay: Relaying, memory: Listener, started: Started) -> None:
    """Nagle's algorithm on the broker's side and delayed acknowledgements on ours: 40 to 200 ms."""
    publisher = started(relay(lambda kind, _: 0.2 if kind == _PUBLISH else 0.0).port)
    memory.wait_for(MARK.topic)
    assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}


def test_what_a_broker_that_looks_up_in_parallel_says_behind_the_mark_is_found(
    relay: Relaying, memory: Listener, started: Started
) -> None:
    publisher = started(relay(lambda _, topic: 0.01 if topic == STATE else 0.0).port)
    memory.wait_for(MARK.topic)
    assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}


def test_a_broker_far_away_has_some_of_its_answering_times(relay: Relaying, memory: Listener, started: Started) -> None:
    """What it says behind the mark may be as late as its answers are."""
    publisher = started(
        relay(lambda kind, topic: {STATE: 0.12}.get(topic, 0.05 if kind in (_PUBLISH, _SUBACK) else 0.0)).port
    )
    memory.wait_for(MARK.topic)
    assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}


def test_the_mark_of_one_question_is_not_taken_for_that_of_another(
    relay: Relaying, memory: Listener, started: Started
) -> None:
    publisher = started(relay(lambda _, topic: 0.1 if topic == STATE else 0.0).port)
    memory.wait_for(MARK.topic)
    answers = [publisher.ask([STATUS, topic]) for topic in ("nesgw/43/state", STATE)]
    assert [answer(5) for answer in answers] == [{}, {STATE: "the state"}]


def test_without_leave_to_read_the_mark_silence_is_the_end(tmp_path: Path, started: Started) -> None:
    rights = tmp_path / "rights"
    rights.write_text("topic readwrite nesgw/#\ntopic write homeassistant/#\n")
    broker = Broker(tmp_path, ["allow_anonymous true", f"acl_file {rights}"])
    broker.start()
    try:
        publisher = started(broker.port)
        publisher.set(Message(STATE, "the state", Part.STATE))
        eventually(lambda: publisher.retained([STATE], 5), "the state is there")
        for _ in range(2):
            began = time.monotonic()
            assert publisher.retained([STATE, STATUS], 5) == {STATE: "the state"}
            assert time.monotonic() - began >= LONG
        assert publisher.problem is None
    finally:
        broker.stop()
