"""What the main thread tells systemd, the broker and the log of the workers and the broker."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import pytest
import structlog
from structlog.typing import EventDict

from nesgw.errors import BrokerUnavailable
from nesgw.gateway import systemd
from nesgw.gateway.watch import WATCHDOG, BrokerLog, Watch
from nesgw.publishers.message import Message
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.topics import Topics

TOPICS = Topics("nesgw", "attic")


class Worker:
    """Stands for one that has read nothing yet."""

    meter_name = "house"
    defect: Exception | None = None
    facts = None
    online = False
    status = MeterStatus()

    def __init__(self) -> None:
        self.pulse = time.monotonic()

    def look(self) -> None:
        """Notice stale readings."""

    def in_words(self) -> str:
        return "house: waiting"


class Publisher:
    def __init__(self) -> None:
        self.problem: BrokerUnavailable | None = None
        self.connections = 1
        self.published: list[Message] = []

    def set(self, *messages: Message) -> None:
        self.published += messages


def watch_over(worker: Worker, publisher: Publisher | None = None) -> Watch:
    return Watch([cast("Any", worker)], cast("Any", publisher), TOPICS)


def trouble(problem: str) -> BrokerUnavailable:
    return BrokerUnavailable(host="box", port=1883, problem=problem, advice="mend it", stage="use")


def test_the_watchdog_is_fed_only_while_every_loop_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[bool] = []
    monkeypatch.setattr(systemd, "alive", lambda: fed.append(True))
    worker = Worker()
    worker.pulse -= WATCHDOG
    watch = watch_over(worker)
    watch.look()
    assert fed == []
    worker.pulse = time.monotonic()
    watch.look()
    assert fed == [True]


def test_a_defect_of_a_worker_is_raised() -> None:
    worker = Worker()
    worker.defect = ZeroDivisionError("a defect")
    with pytest.raises(ZeroDivisionError):
        watch_over(worker).look()


def test_what_is_wrong_with_the_broker_stands_in_the_gateways_status_as_soon_as_it_is_known() -> None:
    publisher = Publisher()
    watch = watch_over(Worker(), publisher)
    watch.look()
    watch.look()
    publisher.problem = trouble("another gateway")
    watch.look()
    said = [json.loads(message.payload)["problem"] for message in publisher.published]
    assert said == [None, "MQTT broker box:1883: another gateway: mend it"]


def test_each_connection_gets_a_status_of_its_own() -> None:
    publisher = Publisher()
    watch = watch_over(Worker(), publisher)
    watch.look()
    publisher.connections += 1
    watch.look()
    watch.look()
    assert len(publisher.published) == 2


class TestTheLog:
    @pytest.fixture
    def lines(self) -> Any:
        with structlog.testing.capture_logs() as lines:
            yield lines

    def test_a_problem_is_a_warning_although_the_connection_stands(self, lines: list[EventDict]) -> None:
        log = BrokerLog()
        log(True, None)
        log(True, trouble("another gateway"))
        log(True, None)
        assert [(line["log_level"], line["event"]) for line in lines] == [
            ("info", "connected to the MQTT broker"),
            ("warning", "MQTT broker box:1883: another gateway: mend it"),
            ("info", "the trouble with the MQTT broker is over"),
        ]

    def test_to_be_connected_is_said_once_a_connection(self, lines: list[EventDict]) -> None:
        log = BrokerLog()
        for connected, problem in ((True, None), (True, None), (False, trouble("lost")), (True, None)):
            log(connected, problem)
        assert [line["event"] for line in lines].count("connected to the MQTT broker") == 2

    def test_a_problem_that_outlasts_a_connection_is_said_once(self, lines: list[EventDict]) -> None:
        log = BrokerLog()
        log(False, trouble("it cuts the line"))
        log(True, trouble("it cuts the line"))
        assert [line["log_level"] for line in lines] == ["warning", "info"]
