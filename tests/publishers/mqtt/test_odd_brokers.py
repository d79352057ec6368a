"""Brokers that are not as they should be, and things that are no broker: a sentence, and what can be is published."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nesgw.config.settings import MqttSettings, TlsSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt import connection
from nesgw.publishers.mqtt.connection import Connection
from nesgw.publishers.mqtt.delivery import Pace
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.mqtt.session import BrokerSession
from nesgw.publishers.topics import Topics
from tests.broker_fixtures import Broker, Listener, eventually, retained_topics
from tests.odd_brokers import CONNECT, PUBLISH, SUBSCRIBE, MemoryBroker, OddBroker, Packet, Talker

TOPICS = Topics("nesgw", "pi")
PACE = Pace(
    first_retry=0.05,
    slowest_retry=0.1,
    slowest_refused=0.1,
    settling=0.2,
    discovery_gap=0.2,
    former=1.0,
    verification=0.7,
    steady=0.5,
    return_home=0.5,
    conflict_retry=0.3,
)
WELCOME = bytes.fromhex("20 02 00 00")

DISCOVERY = Message("homeassistant/device/nesgw_42/config", "m" * 30_000, Part.METER_DISCOVERY)
GATEWAY_DISCOVERY = Message("homeassistant/device/nesgw_gateway_pi/config", "g" * 1000, Part.GATEWAY_DISCOVERY)
INFO = Message("nesgw/42/info", "i" * 500, Part.INFO)
AVAILABILITY = Message("nesgw/42/availability", "online", Part.AVAILABILITY)
STATE = Message("nesgw/42/state", '{"power":701}', Part.STATE)
STATUS = Message("nesgw/42/status", '{"polls":1}', Part.STATUS)
GATEWAY_STATUS = Message(
    "nesgw/gateway/pi/status",
    '{"version":"0.1.0","started":"2026-11-20T10:00:00.000Z","uptime_s":5,"meters":{}}',
    Part.STATUS,
)
EVERYTHING = (GATEWAY_DISCOVERY, DISCOVERY, INFO, AVAILABILITY, STATE, STATUS, GATEWAY_STATUS)
SMALL = {message.topic for message in EVERYTHING} - {DISCOVERY.topic} | {"nesgw/gateway/pi/availability"}


class Gateway:
    """A publisher and what it reported."""

    def __init__(self, port: int, pace: Pace = PACE, **more: Any) -> None:
        self.reports: list[tuple[bool, str]] = []
        settings = replace(MqttSettings("127.0.0.1", port), **more)
        self.publisher = MqttPublisher(settings, TOPICS, self._note, pace=pace)

    def _note(self, connected: bool, problem: BrokerUnavailable | None) -> None:
        self.reports.append((connected, str(problem or "")))

    def started(self, *messages: Message) -> Gateway:
        self.publisher.set(*messages)
        self.publisher.start()
        return self

    def said(self, text: str, timeout: float = 15.0) -> str:
        """Wait for a report with this text."""
        found = eventually(
            lambda: [line for _, line in self.reports if text in line], f"{text}; {self.reports}", timeout
        )
        return str(found[0])

    @property
    def problem(self) -> str:
        return str(self.publisher.problem or "")


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    running: list[Gateway] = []
    yield running
    for gateway in running:
        gateway.publisher.stop()
        assert gateway.publisher._defect is None


def packets(*texts: str) -> bytes:
    return bytes.fromhex("".join(texts))


class TestWhatIsTooLarge:
    """A packet may announce 256 MB (MQTT 3.1.1, 2.2.3), more than a small Pi has for all."""

    BEGUN = WELCOME + packets("30 ff ff ff 7f 00 01 61") + b"x" * 1000

    def test_a_packet_that_begins_so_is_not_taken_in_but_named(self, gateways: list[Gateway]) -> None:
        with Talker(self.BEGUN) as talker:
            gateways.append(gateway := Gateway(talker.port).started(*EVERYTHING))
            assert gateway.said("MQTT broker 127.0.0.1").split(": ")[1:] == [
                "it sent a message of 268 MB, and nesgw takes 16 MB at most",
                "remove what is retained on nesgw's topics there (nesgw forget lists the meters), "
                "or limit the size of messages",
            ]
            eventually(lambda: talker.connections >= 2, "it is tried again")

    def test_megabytes_are_taken_in_and_do_no_harm(self, gateways: list[Gateway]) -> None:
        with MemoryBroker() as broker:
            broker.kept["homeassistant/status"] = "x" * 10_000_000
            gateways.append(Gateway(broker.port).started(*EVERYTHING))
            eventually(lambda: broker.topics_taken() >= SMALL, "everything is published")
            assert broker.connections == 1


class TestOneThatTakesNoLastWill:
    """It turns us away at CONNECT for what stands in it, with a wrong word or none: all is published without it."""

    def test_where_nothing_is_retained_no_last_will_is_either(self, gateways: list[Gateway]) -> None:
        def cuts(packet: Packet) -> bool:
            return (packet.kind == CONNECT and packet.will_retain) or (packet.kind == PUBLISH and packet.retain)

        with MemoryBroker(cuts=cuts) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("it closes the connection when it gets a retained message: none is retained")
            eventually(lambda: broker.topics_taken() >= SMALL | {DISCOVERY.topic}, "everything is published")
        assert broker.connections == 2

    def test_with_a_real_mosquitto_that_retains_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, gateways: list[Gateway]
    ) -> None:
        broker = Broker(tmp_path_factory.mktemp("nothing"), ["allow_anonymous true", "retain_available false"])
        broker.start()
        listener = Listener(broker.port)
        try:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("none is retained")
            for message in EVERYTHING:
                listener.wait_for(message.topic, message.payload)
        finally:
            listener.close()
            broker.stop()

    def test_where_its_topic_is_not_allowed_there_is_none(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(refuses_client=lambda packet: packet.will) as broker:
            gateways.append(gateway := Gateway(broker.port, username="ann").started(*EVERYTHING))
            line = gateway.said("it lets us in only without a last will")
            eventually(lambda: broker.topics_taken() >= SMALL, "everything is published")
            assert broker.kept[STATE.topic] == STATE.payload
        assert 'allow user "ann" to write nesgw/gateway/pi/availability there' in line

    def test_a_login_that_is_refused_without_one_as_well_is_a_login_that_is_refused(
        self, gateways: list[Gateway]
    ) -> None:
        allowed = threading.Event()
        with MemoryBroker(refuses_client=lambda _packet: not allowed.is_set()) as broker:
            gateways.append(gateway := Gateway(broker.port, username="ann").started(*EVERYTHING))
            gateway.said('it refused the login of user "ann"')
            allowed.set()
            eventually(lambda: broker.topics_taken() >= SMALL, "everything is published")
            assert gateway.problem == ""


class TestOneThatDropsEveryConnection:
    """Its administrator, a limit, or another program with our client id: nothing is lost with one message."""

    def test_it_is_said_with_our_client_id_once_and_as_the_problem(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(hangs_up=lambda packet: packet.kind == PUBLISH) as broker:
            gateways.append(gateway := Gateway(broker.port, pace=replace(PACE, steady=5.0)).started(*EVERYTHING))
            line = gateway.said("it lets us in and drops the connection within seconds, again and again")
            eventually(lambda: broker.connections > 12, "it is tried again and again")
            assert gateway.problem == line
        assert 'if another program uses our client id "nesgw-pi", give one of the two another name' in line
        assert [said for _, said in gateway.reports].count(line) == 1

    def test_once_a_connection_lasts_all_is_well(self, gateways: list[Gateway]) -> None:
        done = threading.Event()
        with MemoryBroker(hangs_up=lambda packet: packet.kind == PUBLISH and not done.is_set()) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("again and again")
            done.set()
            eventually(lambda: gateway.reports[-1] == (True, ""), "it is said that all is well")
            assert gateway.problem == ""


class TestWhatIsNoBroker:
    """The port of a mail server, a web page, a proxy: a sentence that names it, and another attempt."""

    @pytest.mark.parametrize(
        ("said", "at_once", "line"),
        [
            (b"220 mail.example.lan ESMTP Postfix\r\n", True, '(it says "220 mail.example.lan ESMTP Postfix")'),
            (b"220 short\r\n", True, '(it says "220 short")'),
            (b"SSH-2.0-OpenSSH_9.2p1\r\n", True, '(it says "SSH-2.0-OpenSSH_9.2p1")'),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, '(it says "HTTP/1.1 400 Bad Request")'),
            (b"\xff\xfd\x18\xff\xfd\x20", True, "what answers there is no MQTT broker: check host"),
            (b"\0" * 100, False, "what answers there is no MQTT broker: check host"),
            (packets("20 03 00 84 00"), False, "it answers in MQTT 5, which it was not asked in: allow clients of"),
            (packets("20 02 00"), False, "what answers there is no MQTT broker: check host"),
            (packets("20 00"), False, "what answers there is no MQTT broker: check host"),
            (packets("30 03 00 01 61"), False, "what answers there is no MQTT broker: check host"),
            (packets("15 03 01 00 02 02 46"), False, "it speaks TLS on this port: set enabled = true"),
            (packets("20 02 00 01"), False, "it does not speak MQTT 3.1.1: update the broker"),
            (packets("20 02 00 06"), False, "it refuses us with a code that MQTT 3.1.1 does not know"),
            (packets("20 02 00 ff"), False, "it refuses us with a code that MQTT 3.1.1 does not know"),
        ],
    )
    def test_it_is_named_and_tried_again(self, gateways: list[Gateway], said: bytes, at_once: bool, line: str) -> None:
        with Talker(said, at_once=at_once, hang_up=True) as talker:
            gateways.append(gateway := Gateway(talker.port).started(*EVERYTHING))
            assert line in gateway.said("MQTT broker 127.0.0.1")
            eventually(lambda: talker.connections >= 3, "it is tried again")
            assert len(gateway.reports) == 1, "said once"

    def test_a_greeting_is_noticed_at_once_although_nothing_is_hung_up(self, gateways: list[Gateway]) -> None:
        with Talker(b"220 mail.example.lan ESMTP\r\n", at_once=True) as talker:
            gateways.append(gateway := Gateway(talker.port).started())
            gateway.said("no MQTT broker", timeout=3)

    def test_where_tls_is_expected_and_nothing_comes_the_handshake_is_named(self) -> None:
        settings = MqttSettings("127.0.0.1", 0, tls=TlsSettings())
        with Talker(b"", at_once=True) as silent, pytest.raises(BrokerUnavailable, match="the TLS handshake: set the"):
            Connection(replace(settings, port=silent.port), "nesgw-pi").open()

    def test_a_command_says_the_same(self) -> None:
        with (
            Talker(b"220 mail.example.lan ESMTP\r\n", at_once=True) as talker,
            pytest.raises(BrokerUnavailable, match=r"it says .220 mail\.example\.lan ESMTP") as error,
            BrokerSession(MqttSettings("127.0.0.1", talker.port), "nesgw-doctor"),
        ):
            pass
        assert error.value.facts["stage"] == "reach"

    def test_what_it_says_steers_no_terminal_and_is_no_novel(self) -> None:
        with (
            Talker(b"220 \x1b[2J" + b"x" * 1000, at_once=True) as talker,
            pytest.raises(BrokerUnavailable) as error,
            BrokerSession(MqttSettings("127.0.0.1", talker.port), "nesgw-doctor"),
        ):
            pass
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 200


class TestPacketsThatAreNone:
    """After the welcome: paho 2.1.0, which Debian 13 has, raises what it pleases on these."""

    @pytest.mark.parametrize(
        "broken",
        [
            packets("30 00"),
            packets("30 01 00"),
            packets("30 02 00 05"),
            packets("32 03 00 01 61"),
            packets("34 04 00 01 61 00"),
            packets("30 03 00 00 61"),
            packets("90 00"),
            packets("90 01 00"),
            packets("90 03 00 01 07"),
            packets("40 00"),
            packets("40 01 00"),
            packets("50 00"),
            packets("62 00"),
            packets("70 00"),
            packets("b0 00"),
            packets("f0 00"),
            packets("00 00"),
            packets("20 02 00 00 20 02 00 05"),
            packets("10 02 00 00"),
            packets("30 ff ff ff ff 7f"),
            packets("30 06 00 02 ff fe 61 62"),
            packets("e0 00"),
        ],
    )
    def test_the_connection_is_given_up_and_made_again(self, gateways: list[Gateway], broken: bytes) -> None:
        with Talker(WELCOME + broken, hang_up=True) as talker:
            gateways.append(gateway := Gateway(talker.port).started(*EVERYTHING))
            assert "MQTT broker 127.0.0.1" in gateway.said("nesgw tries again")
            eventually(lambda: talker.connections >= 3, "it is tried again")
            gateway.publisher.set(STATE)  # which would raise a defect

    def test_a_command_ends_with_a_sentence(self) -> None:
        with (
            Talker(WELCOME + packets("30 00"), hang_up=True) as talker,
            pytest.raises(BrokerUnavailable, match="nesgw tries again"),
            BrokerSession(MqttSettings("127.0.0.1", talker.port), "nesgw-forget") as session,
        ):
            session.retained(["nesgw/#"])


class TestAcknowledgementsThatStop:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "_ACKNOWLEDGEMENT", 0.6)

    def test_while_pings_go_on_it_connects_again_and_says_so(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(acknowledges=lambda number: number <= 30) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            stop = threading.Event()

            def poll() -> None:
                for power in range(400):
                    gateway.publisher.set(replace(STATE, payload=str(power)))
                    if stop.wait(0.02):
                        return

            threading.Thread(target=poll, daemon=True).start()
            line = gateway.said("it has acknowledged nothing for")
            assert line.endswith("although the connection stands: restart the broker if it lasts; nesgw connects again")
            seen = len(broker.taken)
            eventually(lambda: len(broker.taken) > seen + 20, "states flow again")
            stop.set()
            assert broker.connections >= 2

    def test_one_that_never_acknowledges_anything_is_left_again_and_again(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(acknowledges=lambda _: False) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("it has acknowledged nothing for")
            eventually(lambda: broker.connections >= 3, "it is tried again")
            assert "closes the connection when it gets" not in str(gateway.reports), "no message is to blame"

    def test_one_message_that_is_never_acknowledged_is_left_out_in_the_end(self, gateways: list[Gateway]) -> None:
        def big(packet: Packet) -> bool:
            return packet.kind == PUBLISH and packet.size > 20_000

        class Ignorant(MemoryBroker):
            def take(self, client: Any, packet: Packet) -> bool | None:
                return None if big(packet) else super().take(client, packet)

        with Ignorant() as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said(DISCOVERY.topic)
            eventually(lambda: broker.topics_taken() >= SMALL, "all else is there")

    def test_a_subscription_that_is_never_answered_is_named_and_all_is_published(self, gateways: list[Gateway]) -> None:
        class Deaf(MemoryBroker):
            def take(self, client: Any, packet: Packet) -> bool | None:
                return None if packet.kind == SUBSCRIBE else super().take(client, packet)

        with Deaf() as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            line = gateway.said("it has not answered a subscription to nesgw/gateway/pi/status")
            assert "but what came later: allow it there, or update the broker" in line
            eventually(lambda: broker.topics_taken() >= SMALL, "everything is published all the same")


class TestAMessageThatItWillNotHave:
    def test_is_named_with_its_size_and_all_else_is_published(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(cuts=lambda packet: packet.size > 10_000) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            assert gateway.said(DISCOVERY.topic) == (
                f"MQTT broker 127.0.0.1:{broker.port}: it closes the connection when it gets {DISCOVERY.topic} "
                "(30 000 bytes): raise its limit for the size of messages, or allow the topic; "
                "all else is published without it"
            )
            eventually(lambda: broker.topics_taken() >= SMALL, "all else is there")
            eventually(lambda: gateway.publisher.connected, "connected again")
            connections = broker.connections
            for power in range(10):
                gateway.publisher.set(replace(STATE, payload=str(power)))
                time.sleep(0.05)
            eventually(lambda: broker.kept[STATE.topic] == "9", "the newest state")
            assert broker.connections == connections, "and the connection lasts"
            assert DISCOVERY.topic in gateway.problem

    def test_with_a_real_mosquitto_that_limits_packets(
        self, tmp_path_factory: pytest.TempPathFactory, gateways: list[Gateway]
    ) -> None:
        broker = Broker(tmp_path_factory.mktemp("limit"), ["allow_anonymous true", "max_packet_size 20000"])
        broker.start()
        try:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said(f"{DISCOVERY.topic} (30 000 bytes)", timeout=30)
            eventually(lambda: retained_topics(broker.port).keys() >= SMALL, "all else is there")
        finally:
            broker.stop()

    def test_where_no_retained_message_is_taken_none_is_sent(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(cuts=lambda packet: packet.kind == PUBLISH and packet.retain) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            line = gateway.said("it closes the connection when it gets a retained message: none is retained")
            assert "Home Assistant learns of nothing that was sent before its start" in line
            eventually(
                lambda: broker.topics_taken() >= {m.topic for m in EVERYTHING}, "everything comes unretained", 30
            )

    def test_where_quality_of_service_2_is_not_taken_1_is_used(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(cuts=lambda packet: packet.kind == PUBLISH and packet.qos == 2) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING[:4], replace(STATE, qos=2)))
            gateway.said("QoS 1 is used: set qos = 1 under [mqtt]")
            eventually(lambda: STATE.topic in broker.kept, "the state is there")

    def test_where_a_topic_is_not_allowed_the_others_are_published(self, gateways: list[Gateway]) -> None:
        def foreign(packet: Packet) -> bool:
            return packet.kind == PUBLISH and packet.topic.startswith("homeassistant/")

        with MemoryBroker(cuts=foreign) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            eventually(lambda: broker.topics_taken() >= SMALL - {GATEWAY_DISCOVERY.topic}, "nesgw's own are there", 30)
            eventually(lambda: {GATEWAY_DISCOVERY.topic, DISCOVERY.topic} <= set(gateway.problem.split()), "both named")

    def test_where_a_subscription_is_not_allowed_all_is_published_without_it(self, gateways: list[Gateway]) -> None:
        def birth(packet: Packet) -> bool:
            return packet.kind == SUBSCRIBE and "homeassistant/status" in packet.filters

        with MemoryBroker(cuts=birth) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("a subscription to homeassistant/status:")
            eventually(lambda: broker.topics_taken() >= {m.topic for m in EVERYTHING}, "everything is there")

    def test_a_broker_that_goes_at_a_bad_moment_is_not_blamed_on_a_message(self, gateways: list[Gateway]) -> None:
        cut = threading.Event()

        def once(packet: Packet) -> bool:
            first = packet.kind == PUBLISH and not cut.is_set()
            if first:
                cut.set()
            return first

        with MemoryBroker(cuts=once) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            eventually(lambda: broker.topics_taken() >= {m.topic for m in EVERYTHING}, "everything is there")
            assert gateway.problem == ""


class TestMessagesThatDoNotArrive:
    """An access control list, or a limit, that takes a message, acknowledges it and throws it away."""

    def test_nothing_that_comes_back_is_said(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(swallows=lambda _packet: True) as broker:
            gateways.append(gateway := Gateway(broker.port, username="meter").started(*EVERYTHING))
            assert gateway.said("none of them can be read back") == (
                f"MQTT broker 127.0.0.1:{broker.port}: it takes our messages, but none of them can be read back: "
                'allow user "meter" to write and to read our topics (docs/mqtt.md) in the broker\'s access control list'
            )

    def test_one_that_is_swallowed_for_its_size_is_named(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(swallows=lambda packet: packet.size > 20_000) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            assert f"it takes, but does not keep {DISCOVERY.topic} (30 000 bytes):" in gateway.said("does not keep")

    def test_with_a_real_mosquitto_that_limits_messages(
        self, tmp_path_factory: pytest.TempPathFactory, gateways: list[Gateway]
    ) -> None:
        broker = Broker(tmp_path_factory.mktemp("limit"), ["allow_anonymous true", "message_size_limit 20000"])
        broker.start()
        try:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said(f"does not keep {DISCOVERY.topic} (30 000 bytes)")
        finally:
            broker.stop()

    def test_with_a_real_mosquitto_whose_list_lets_us_do_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, gateways: list[Gateway]
    ) -> None:
        folder = tmp_path_factory.mktemp("rights")
        (folder / "rights").write_text("topic readwrite other/#\n")
        (folder / "rights").chmod(0o700)
        broker = Broker(folder, ["allow_anonymous true", f"acl_file {folder / 'rights'}"])
        broker.start()
        try:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.said("none of them can be read back: allow clients without a login to write and to read our topics")
        finally:
            broker.stop()

    def test_a_broker_that_retains_nothing_is_said(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(retains=False) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            gateway.publisher.set(GATEWAY_STATUS)
            gateway.said("it keeps no retained messages")

    def test_where_everything_arrives_nothing_is_said(self, broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
        eventually(lambda: gateway.publisher.connected, "connected")
        time.sleep(3 * PACE.verification)
        assert gateway.reports == [(True, "")]

    def test_where_filters_are_not_answered_all_is_well_too(self, gateways: list[Gateway]) -> None:
        with MemoryBroker(answers_filters=False) as broker:
            gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
            eventually(lambda: broker.topics_taken() >= {m.topic for m in EVERYTHING}, "everything is there")
            time.sleep(3 * PACE.verification)
            assert gateway.reports == [(True, "")]


class TestAnotherGatewayWithOurMeter:
    """Both read a meter of the id 42; what one publishes is not published over by the other."""

    STARTED = "2026-11-19T08:00:00.000Z"  # before us

    def other(self, uptime: int, *, online: bool = True, started: str = STARTED) -> str:
        meters = {"cellar": {"id": "42", "online": online}}
        return json.dumps({"version": "0.1.0", "started": started, "uptime_s": uptime, "meters": meters})

    @pytest.fixture
    def listener(self, broker: Broker) -> Iterator[Listener]:
        listener = Listener(broker.port)
        yield listener
        listener.close()

    def there(self, listener: Listener, **more: Any) -> None:
        listener.say("nesgw/gateway/cellar/availability", "online", retain=True)
        listener.say("nesgw/gateway/cellar/status", self.other(100, **more), retain=True)

    def test_the_one_that_was_first_goes_on_alone_and_the_other_takes_over_when_it_stops(
        self, broker: Broker, listener: Listener, gateways: list[Gateway]
    ) -> None:
        self.there(listener)
        gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
        listener.wait_for(GATEWAY_STATUS.topic)
        listener.say("nesgw/gateway/cellar/status", self.other(130), retain=True)
        assert 'meter 42 is read by gateway "cellar" too, which came first' in gateway.said("meter 42")
        assert not [each for each in listener.heard if "42" in each.topic], "nothing of ours lies over its"
        listener.say("nesgw/gateway/cellar/status", self.other(160, online=False), retain=True)
        listener.wait_for(STATE.topic)
        eventually(lambda: gateway.problem == "", "all is well again")

    def test_one_that_came_later_is_said_and_does_not_stop_us(
        self, broker: Broker, listener: Listener, gateways: list[Gateway]
    ) -> None:
        gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
        listener.wait_for(STATE.topic)
        self.there(listener, started="2026-11-21T08:00:00.000Z")
        listener.say(AVAILABILITY.topic, "online", retain=True)  # as the other one does when it begins
        eventually(lambda: "gateway/cellar/status (QoS 0)" in broker.log, "it is looked at")
        listener.say("nesgw/gateway/cellar/status", self.other(130, started="2026-11-21T08:00:00.000Z"), retain=True)
        assert "which came later and waits" in gateway.said("meter 42")
        since = time.monotonic()
        gateway.publisher.set(replace(STATE, payload='{"power":5}'))
        listener.wait_for(STATE.topic, '{"power":5}', since=since - 1)

    def test_one_that_is_gone_and_left_a_living_status_is_seen_through(
        self, broker: Broker, listener: Listener, gateways: list[Gateway], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The broker was down when it went: its last will was never published."""
        monkeypatch.setattr("nesgw.publishers.rivals.WATCHED", 1.0)
        self.there(listener)
        began = time.monotonic()
        gateways.append(gateway := Gateway(broker.port).started(*EVERYTHING))
        assert listener.wait_for(STATE.topic).at - began >= 1.0
        assert gateway.problem == ""

    def test_one_that_says_goodbye_leaves_the_meter_to_us_at_once(
        self, broker: Broker, listener: Listener, gateways: list[Gateway]
    ) -> None:
        self.there(listener)
        gateways.append(Gateway(broker.port).started(*EVERYTHING))
        listener.wait_for(GATEWAY_STATUS.topic)
        listener.say("nesgw/gateway/cellar/availability", "offline", retain=True)
        listener.wait_for(STATE.topic)

    @pytest.mark.parametrize("meters", [{str(n): {"id": f"x{n}"} for n in range(4141)}, {"a": {"id": "x" * 10_000}}])
    def test_a_forged_status_of_ours_makes_no_thousand_topics(
        self, broker: Broker, listener: Listener, gateways: list[Gateway], meters: dict[str, dict[str, str]]
    ) -> None:
        listener.say(GATEWAY_STATUS.topic, json.dumps({"meters": meters}), retain=True)
        gateways.append(Gateway(broker.port).started(*EVERYTHING))
        listener.wait_for(STATE.topic)
        time.sleep(0.3)
        assert len({each.topic for each in listener.heard}) < 300


class TestSeveralBrokers:
    def test_the_next_is_taken_when_one_is_away_and_the_first_again_when_it_is_back(
        self, absent_broker: Broker, gateways: list[Gateway]
    ) -> None:
        # On one port number, for the settings have one: the spare listens on another loopback address.
        with MemoryBroker(at=("127.0.0.2", absent_broker.port)) as spare:
            gateways.append(gateway := Gateway(absent_broker.port, other_hosts=("127.0.0.2",)).started(*EVERYTHING))
            eventually(lambda: STATE.topic in spare.kept, "the spare broker has the state")
            absent_broker.start()
            eventually(lambda: STATE.topic in retained_topics(absent_broker.port), "the first has it again")
            eventually(lambda: spare.kept["nesgw/gateway/pi/availability"] == "offline", "it takes leave of the spare")
            assert [connected for connected, _ in gateway.reports].count(True) == 1, "to return is worth no word"


def test_it_stops_in_time_whatever_the_broker_does() -> None:
    with OddTalker() as broker:
        gateway = Gateway(broker.port).started(*EVERYTHING)
        eventually(lambda: broker.connections, "it has connected")
        began = time.monotonic()
        gateway.publisher.stop()
        assert time.monotonic() - began < 3.5


class OddTalker(OddBroker):
    """Welcomes everybody and never says anything else."""

    def take(self, client: Any, packet: Any) -> None:
        if packet.kind == CONNECT:
            client.sendall(WELCOME)
