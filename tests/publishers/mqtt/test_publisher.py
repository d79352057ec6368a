"""The publisher against a real mosquitto: the good days and the bad ones."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from nesgw.config.settings import MqttSettings, Secret, TlsSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.delivery import Pace
from nesgw.publishers.mqtt.publisher import MqttPublisher
from nesgw.publishers.mqtt.session import BrokerSession
from nesgw.publishers.topics import Topics
from tests.broker_fixtures import Broker, Listener, TlsBroker, eventually, free_port, retained_topics

TOPICS = Topics("nesgw", "pi")
HASTE = Pace(first_retry=0.05, slowest_retry=0.2, slowest_refused=0.2, settling=0.2, discovery_gap=0.3, former=1.0)

GATEWAY_DISCOVERY = Message("homeassistant/device/nesgw_gateway_pi/config", '{"g":1}', Part.GATEWAY_DISCOVERY)
DISCOVERY = Message("homeassistant/device/nesgw_42/config", '{"m":1}', Part.METER_DISCOVERY)
INFO = Message("nesgw/42/info", "{}", Part.INFO)
AVAILABILITY = Message("nesgw/42/availability", "online", Part.AVAILABILITY)
STATE = Message("nesgw/42/state", '{"power":701}', Part.STATE)
STATUS = Message("nesgw/42/status", '{"polls":1}', Part.STATUS)
GATEWAY_STATUS = Message(
    "nesgw/gateway/pi/status",
    '{"version":"0.1.0","started":"2026-11-20T10:00:00.000Z","uptime_s":5,"meters":{}}',
    Part.STATUS,
)
# Deliberately in the wrong order.
EVERYTHING = (GATEWAY_STATUS, STATUS, STATE, AVAILABILITY, INFO, DISCOVERY, GATEWAY_DISCOVERY)
IN_ORDER = [
    GATEWAY_DISCOVERY.topic,
    DISCOVERY.topic,
    INFO.topic,
    "nesgw/gateway/pi/availability",
    AVAILABILITY.topic,
    STATE.topic,
    GATEWAY_STATUS.topic,
    STATUS.topic,
]


class Gateway:
    """A publisher and what it reported."""

    def __init__(self, settings: MqttSettings, pace: Pace = HASTE) -> None:
        self.reports: list[tuple[bool, str]] = []
        self.publisher = MqttPublisher(settings, TOPICS, self._note, pace=pace)

    def _note(self, connected: bool, problem: BrokerUnavailable | None) -> None:
        self.reports.append((connected, str(problem or "")))

    def started(self, *messages: Message) -> Gateway:
        self.publisher.set(*messages)
        self.publisher.start()
        return self

    def connected(self) -> Gateway:
        eventually(lambda: self.publisher.connected, f"connected; {self.reports}")
        return self

    def has_reported(self, line: str) -> bool:
        return (True, line) in self.reports

    def complaint(self) -> str:
        """The first problem that it reports."""
        return str(eventually(lambda: next((text for _, text in self.reports if text), None), "a complaint"))


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    running: list[Gateway] = []
    yield running
    for gateway in running:
        gateway.publisher.stop()


def settings_of(broker: Broker) -> MqttSettings:
    return MqttSettings(broker.host, broker.port)


@pytest.fixture
def gateway(broker: Broker, gateways: list[Gateway]) -> Gateway:
    gateways.append(Gateway(settings_of(broker)))
    return gateways[0]


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    yield listener
    listener.close()


class TestPublishing:
    def test_everything_comes_in_the_order_that_home_assistant_needs(
        self, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(*EVERYTHING)
        listener.wait_for(STATUS.topic)
        topics = [each.topic for each in listener.heard]
        assert list(dict.fromkeys(topics)) == IN_ORDER

    def test_all_but_the_state_is_retained_whatever_is_configured(
        self, broker: Broker, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(*EVERYTHING[:2], replace(STATE, retain=False, qos=0), *EVERYTHING[3:])
        assert listener.wait_for(STATE.topic).qos == 0
        assert listener.wait_for(STATUS.topic).qos == 1
        assert retained_topics(broker.port).keys() == set(IN_ORDER) - {STATE.topic}

    def test_a_change_is_published_at_once(self, gateway: Gateway, listener: Listener) -> None:
        gateway.started(*EVERYTHING)
        listener.wait_for(STATUS.topic)
        began = time.monotonic()
        gateway.publisher.set(replace(STATE, payload='{"power":702}'))
        assert listener.wait_for(STATE.topic, '{"power":702}').at - began < 0.5

    def test_what_is_the_same_is_published_again_only_as_a_sign_of_life(
        self, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(*EVERYTHING)
        first = listener.wait_for(STATUS.topic)
        gateway.publisher.set(*EVERYTHING)
        listener.wait_for(STATUS.topic, since=first.at)
        assert len(listener.payloads(STATE.topic)) == 2
        assert [len(listener.payloads(m.topic)) for m in (DISCOVERY, INFO, AVAILABILITY)] == [1, 1, 1]

    def test_an_empty_payload_removes_the_topic_and_is_not_repeated(
        self, broker: Broker, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(*EVERYTHING)
        listener.wait_for(STATUS.topic)
        gateway.publisher.set(replace(DISCOVERY, payload=""))
        listener.wait_for(DISCOVERY.topic, "")
        eventually(lambda: DISCOVERY.topic not in gateway.publisher._wanted._messages, "it is forgotten")
        assert DISCOVERY.topic not in retained_topics(broker.port)

    def test_a_state_that_is_not_retained_is_repeated_when_home_assistant_can_have_subscribed(
        self, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(*EVERYTHING[:2], replace(STATE, retain=False), *EVERYTHING[3:])
        discovery = listener.wait_for(DISCOVERY.topic)
        listener.wait_for(STATE.topic, since=discovery.at + HASTE.settling / 2)
        assert len(listener.payloads(STATUS.topic)) == 1

    def test_two_different_discoveries_of_a_device_keep_their_distance(
        self, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(DISCOVERY)
        first = listener.wait_for(DISCOVERY.topic)
        gateway.publisher.set(replace(DISCOVERY, payload='{"m":2}'))
        assert listener.wait_for(DISCOVERY.topic, '{"m":2}').at - first.at >= HASTE.discovery_gap - 0.05

    def test_what_must_come_before_two_discoveries_comes_once_and_is_taken_in(
        self, broker: Broker, gateway: Gateway, listener: Listener
    ) -> None:
        removal = replace(DISCOVERY, payload='{"gone":1}')
        release = replace(DISCOVERY, payload='{"migrate_discovery":true}', after=removal)
        of_meter = replace(DISCOVERY, after=release)
        of_alarms = Message(
            "homeassistant/device/nesgw_42_alarms/config", '{"a":1}', Part.METER_DISCOVERY, after=release
        )
        gateway.started(of_alarms, of_meter)
        first = listener.wait_for(removal.topic, removal.payload)
        then = listener.wait_for(release.topic, release.payload)
        assert then.at - first.at >= HASTE.discovery_gap - 0.05
        for message in (of_meter, of_alarms):
            assert listener.wait_for(message.topic, message.payload).at - then.at >= HASTE.discovery_gap - 0.05
        assert listener.payloads(release.topic).count(release.payload) == 1
        broker.stop()
        broker.start()
        again = eventually(lambda: retained_topics(broker.port).get(of_meter.topic), "it is announced again")
        assert again == of_meter.payload

    def test_many_thousand_states_of_many_meters_get_through(self, gateway: Gateway, listener: Listener) -> None:
        gateway.started().connected()
        for number in range(2000):
            for meter in range(5):
                gateway.publisher.set(Message(f"nesgw/{meter}/state", str(number), Part.STATE))
        for meter in range(5):
            listener.wait_for(f"nesgw/{meter}/state", "1999")


class TestTheBrokerIsAway:
    def test_absent_at_the_start_it_gets_everything_once_it_is_there(
        self, absent_broker: Broker, gateways: list[Gateway]
    ) -> None:
        gateways.append(gateway := Gateway(settings_of(absent_broker)).started(*EVERYTHING))
        assert gateway.complaint() == (
            f"MQTT broker 127.0.0.1:{absent_broker.port}: no broker listens there: "
            "start it (sudo systemctl start mosquitto), or check host and port under [mqtt]"
        )
        absent_broker.start()
        gateway.connected()
        eventually(lambda: retained_topics(absent_broker.port).keys() == set(IN_ORDER), "everything is there")

    def test_trouble_is_reported_once_and_not_for_each_attempt(
        self, absent_broker: Broker, gateways: list[Gateway]
    ) -> None:
        gateways.append(gateway := Gateway(settings_of(absent_broker), replace(HASTE, slowest_retry=0.05)).started())
        gateway.complaint()
        time.sleep(0.5)
        assert len(gateway.reports) == 1

    def test_one_that_lets_us_in_and_throws_us_out_again_does_not_fill_the_journal(
        self, gateways: list[Gateway]
    ) -> None:
        with socket.create_server((Broker.host, 0)) as door:

            def keep_throwing_out() -> None:
                with suppress(OSError):
                    while True:
                        guest, _ = door.accept()
                        guest.recv(1024)
                        guest.sendall(b"\x20\x02\x00\x00")  # CONNACK: come in
                        guest.close()

            threading.Thread(target=keep_throwing_out, daemon=True).start()
            gateways.append(gateway := Gateway(MqttSettings(Broker.host, door.getsockname()[1])).started(*EVERYTHING))
            time.sleep(3)
            door.shutdown(socket.SHUT_RDWR)
        assert any(connected for connected, _ in gateway.reports)
        assert "the connection was lost" in gateway.complaint()
        assert len(gateway.reports) <= 5

    def test_restarted_it_gets_the_newest_state_and_all_discovery(self, broker: Broker, gateway: Gateway) -> None:
        gateway.started(*EVERYTHING).connected()
        broker.stop()
        eventually(lambda: not gateway.publisher.connected, "the loss is noticed")
        for power in range(10_000):
            gateway.publisher.set(replace(STATE, payload=f'{{"power":{power}}}'))
        broker.start()
        eventually(lambda: retained_topics(broker.port).get(STATUS.topic), "everything is there again")
        found = retained_topics(broker.port)
        assert found.keys() == set(IN_ORDER)
        assert found[STATE.topic] == '{"power":9999}'
        assert [connected for connected, _ in gateway.reports[:2]] == [True, False]
        assert gateway.reports[-1] == (True, "")

    def test_restarted_it_gets_nothing_that_was_withdrawn(self, broker: Broker, gateway: Gateway) -> None:
        gateway.started(*EVERYTHING).connected()
        eventually(lambda: STATE.topic in retained_topics(broker.port), "the state")
        gateway.publisher.withdraw(STATE.topic)
        assert STATE.topic in retained_topics(broker.port)
        broker.stop()
        broker.start()
        eventually(lambda: STATUS.topic in retained_topics(broker.port), "all else")
        assert STATE.topic not in retained_topics(broker.port)

    def test_nothing_piles_up_while_it_is_away(self, absent_broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(settings_of(absent_broker)).started(*EVERYTHING))
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(50_000):
                gateway.publisher.set(replace(STATE, payload=str(number)))
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 500_000  # ten bytes a message; where coverage is measured, its own notes are counted too

    def test_nothing_piles_up_while_it_takes_nothing(self, broker: Broker, gateway: Gateway) -> None:
        gateway.started(*EVERYTHING).connected()
        eventually(lambda: STATE.topic in retained_topics(broker.port), "the state")
        broker.freeze(True)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(20_000):
                gateway.publisher.set(replace(STATE, payload=str(number) + "x" * 1000))
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
            broker.freeze(False)
        assert grown < 300_000
        eventually(lambda: retained_topics(broker.port)[STATE.topic].startswith("19999x"), "the newest state")

    def test_callers_never_wait_for_it(self, gateways: list[Gateway]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection and says nothing
            port = mute.getsockname()[1]
            gateways.append(gateway := Gateway(MqttSettings("127.0.0.1", port)).started())
            began = time.monotonic()
            gateway.publisher.set(*EVERYTHING)
            assert gateway.publisher.retained([STATE.topic], timeout=0.1) is None
            gateway.publisher.stop()
            assert time.monotonic() - began < 1.5


class TestFarewell:
    def test_a_clean_stop_says_offline_for_gateway_and_meters(self, broker: Broker, gateway: Gateway) -> None:
        gateway.started(*EVERYTHING).connected()
        began = time.monotonic()
        gateway.publisher.stop()
        assert time.monotonic() - began < 1
        found = retained_topics(broker.port)
        assert found["nesgw/gateway/pi/availability"] == "offline"
        assert found[AVAILABILITY.topic] == "offline"
        assert gateway.reports[-1] == (False, "")

    def test_what_was_set_last_is_published_before_it(self, broker: Broker, gateway: Gateway) -> None:
        gateway.started(*EVERYTHING).connected()
        gateway.publisher.set(replace(STATUS, payload='{"polls":2}'))
        gateway.publisher.stop()
        assert retained_topics(broker.port)[STATUS.topic] == '{"polls":2}'

    def test_a_stop_without_a_broker_is_quick(self, absent_broker: Broker) -> None:
        gateway = Gateway(settings_of(absent_broker), Pace(first_retry=60)).started()
        gateway.complaint()
        began = time.monotonic()
        gateway.publisher.stop()
        assert time.monotonic() - began < 1

    def test_a_stop_does_not_wait_for_a_broker_that_hangs(self, broker: Broker) -> None:
        gateway = Gateway(settings_of(broker), replace(HASTE, goodbye=0.3)).started(*EVERYTHING).connected()
        broker.freeze(True)
        began = time.monotonic()
        gateway.publisher.stop()
        assert time.monotonic() - began < 1.5

    def test_a_meter_that_another_gateway_takes_leave_of_is_still_ours(
        self, gateway: Gateway, listener: Listener
    ) -> None:
        """The probe has moved to this gateway, and the one that had it is stopped only now."""
        gateway.started(*EVERYTHING).connected()
        listener.wait_for(STATUS.topic)
        listener.say(AVAILABILITY.topic, "offline", retain=True)
        lie = listener.wait_for(AVAILABILITY.topic, "offline")
        truth = listener.wait_for(AVAILABILITY.topic, "online", since=lie.at)
        gateway.publisher.set(replace(AVAILABILITY, payload="offline"))
        listener.wait_for(AVAILABILITY.topic, "offline", since=truth.at)
        time.sleep(0.3)
        assert listener.payloads(AVAILABILITY.topic)[-1] == "offline"

    def test_a_killed_process_leaves_its_last_will(self, broker: Broker, listener: Listener) -> None:
        program = (
            "import sys, time\n"
            "from nesgw.config.settings import MqttSettings\n"
            "from nesgw.publishers.mqtt.publisher import MqttPublisher\n"
            "from nesgw.publishers.topics import Topics\n"
            "MqttPublisher(MqttSettings('127.0.0.1', int(sys.argv[1])), Topics('nesgw', 'pi')).start()\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", program, str(broker.port)]) as process:
            online = listener.wait_for("nesgw/gateway/pi/availability", "online")
            process.kill()
            listener.wait_for("nesgw/gateway/pi/availability", "offline", since=online.at)
        assert retained_topics(broker.port)["nesgw/gateway/pi/availability"] == "offline"

    def test_an_offline_that_is_not_true_is_put_right(self, gateway: Gateway, listener: Listener) -> None:
        gateway.started(*EVERYTHING).connected()
        listener.wait_for(STATUS.topic)
        listener.say("nesgw/gateway/pi/availability", "offline", retain=True)
        lie = listener.wait_for("nesgw/gateway/pi/availability", "offline")
        listener.wait_for("nesgw/gateway/pi/availability", "online", since=lie.at)


class TestHomeAssistantStarts:
    def test_discovery_comes_again_two_to_five_seconds_later_then_availability_and_state(
        self, broker: Broker, gateways: list[Gateway], listener: Listener
    ) -> None:
        pace = Pace(settling=0.3)
        gateways.append(Gateway(settings_of(broker), pace).started(*EVERYTHING).connected())
        listener.wait_for(STATUS.topic)
        listener.say("homeassistant/status", "online")
        birth = listener.wait_for("homeassistant/status").at
        discovery = listener.wait_for(DISCOVERY.topic, since=birth).at
        assert 2 <= discovery - birth <= 5
        assert listener.wait_for(GATEWAY_DISCOVERY.topic, since=birth).at < discovery
        availability = listener.wait_for(AVAILABILITY.topic, since=birth).at
        assert listener.wait_for("nesgw/gateway/pi/availability", since=birth).at > discovery
        assert discovery + 0.2 < availability < listener.wait_for(STATE.topic, since=birth).at

    def test_a_birth_said_twice_is_one_birth_and_a_death_is_none(
        self, broker: Broker, gateways: list[Gateway], listener: Listener
    ) -> None:
        gateways.append(Gateway(settings_of(broker), replace(HASTE, rediscovery=(0.2, 0.2))).started(*EVERYTHING))
        listener.wait_for(STATUS.topic)
        listener.say("homeassistant/status", "offline")
        listener.say("homeassistant/status", "online")
        listener.say("homeassistant/status", "online")
        listener.wait_for(STATE.topic, since=listener.wait_for("homeassistant/status", "online").at)
        assert len(listener.payloads(DISCOVERY.topic)) == 2

    def test_a_retained_birth_does_not_double_what_is_published_at_connecting(
        self, broker: Broker, gateways: list[Gateway], listener: Listener
    ) -> None:
        listener.say("homeassistant/status", "online", retain=True)
        gateways.append(Gateway(settings_of(broker), replace(HASTE, rediscovery=(0.1, 0.1))).started(*EVERYTHING))
        listener.wait_for(STATUS.topic)
        time.sleep(0.5)
        assert len(listener.payloads(DISCOVERY.topic)) == 1


class TestLogin:
    def test_the_right_password_is_taken(self, password_broker: Broker, gateways: list[Gateway]) -> None:
        settings = replace(settings_of(password_broker), username="meter", password=Secret("correct horse"))
        gateways.append(Gateway(settings).started().connected())

    def test_a_wrong_password_is_one_clear_line_without_the_password(
        self, password_broker: Broker, gateways: list[Gateway]
    ) -> None:
        settings = replace(settings_of(password_broker), username="meter", password=Secret("wrong horse"))
        gateways.append(gateway := Gateway(settings).started())
        assert gateway.complaint() == (
            f'MQTT broker 127.0.0.1:{password_broker.port}: it refused the login of user "meter": '
            "check username and password_file under [mqtt]"
        )
        assert "horse" not in repr(settings)

    def test_no_login_where_one_is_needed_is_one_clear_line(
        self, password_broker: Broker, gateways: list[Gateway]
    ) -> None:
        gateways.append(gateway := Gateway(settings_of(password_broker)).started())
        assert gateway.complaint() == (
            f"MQTT broker 127.0.0.1:{password_broker.port}: it lets nobody in without a login: "
            "set username and password_file under [mqtt]"
        )

    def test_a_topic_that_may_not_be_read_is_said(self, gateways: list[Gateway]) -> None:
        # mosquitto grants every subscription and delivers nothing; others say so. Bytes: MQTT 3.1.1, 3.2 and 3.9.
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            gateways.append(gateway := Gateway(MqttSettings("127.0.0.1", port)).started())
            with server.accept()[0] as line:
                assert line.recv(1000)[0] == 0x10  # CONNECT
                line.send(bytes.fromhex("20 02 00 00"))  # CONNACK: welcome
                subscribe = line.recv(1000)
                line.send(bytes.fromhex("90 05") + subscribe[2:4] + bytes.fromhex("00 00 80"))  # SUBACK: not the third
                assert gateway.complaint() == (
                    f"MQTT broker 127.0.0.1:{port}: it does not let us read homeassistant/status: "
                    "allow it in the broker's access control list"
                )
                assert gateway.publisher.connected


class TestTls:
    def test_with_ca_and_client_certificate_it_connects(self, tls_broker: TlsBroker, gateways: list[Gateway]) -> None:
        tls = TlsSettings(tls_broker.ca_file, tls_broker.cert_file, tls_broker.key_file)
        gateways.append(gateway := Gateway(MqttSettings("localhost", tls_broker.port, tls=tls)))
        gateway.started(*EVERYTHING).connected()
        assert gateway.publisher.retained([INFO.topic], timeout=5) is not None

    def test_another_host_name_will_do_if_the_owner_says_so(
        self, tls_broker: TlsBroker, gateways: list[Gateway]
    ) -> None:
        tls = TlsSettings(tls_broker.ca_file, tls_broker.cert_file, tls_broker.key_file, verify_hostname=False)
        gateways.append(Gateway(MqttSettings("127.0.0.1", tls_broker.port, tls=tls)).started().connected())

    @pytest.mark.parametrize(
        ("host", "ca_file", "complaint"),
        [
            (
                "localhost",
                "other_ca_file",
                "its certificate comes from a CA that is not trusted: "
                "set ca_file under [mqtt.tls] to the certificate of the broker's CA",
            ),
            (
                "127.0.0.1",
                "ca_file",
                "its certificate is made out to another name: "
                "set host to a name that the certificate lists as subjectAltName (its CN does not count), "
                "or verify_hostname = false under [mqtt.tls]",
            ),
        ],
        ids=["wrong CA", "wrong name"],
    )
    def test_each_mistake_is_one_clear_line(
        self,
        tls_broker: TlsBroker,
        gateways: list[Gateway],
        host: str,
        ca_file: str,
        complaint: str,
    ) -> None:
        tls = TlsSettings(getattr(tls_broker, ca_file), tls_broker.cert_file, tls_broker.key_file)
        gateways.append(gateway := Gateway(MqttSettings(host, tls_broker.port, tls=tls)).started())
        assert gateway.complaint() == f"MQTT broker {host}:{tls_broker.port}: {complaint}"

    @pytest.mark.parametrize("certificate", [None, "other_cert_file"])
    def test_a_certificate_that_is_missing_or_of_another_ca_is_one_clear_line(
        self, tls_broker: TlsBroker, gateways: list[Gateway], certificate: str | None
    ) -> None:
        tls = TlsSettings(tls_broker.ca_file, getattr(tls_broker, certificate) if certificate else None)
        gateways.append(gateway := Gateway(MqttSettings("localhost", tls_broker.port, tls=tls)).started())
        line = gateway.complaint()
        assert "set cert_file and key_file under [mqtt.tls]" in line
        assert "certificate" in line

    def test_tls_where_none_is_spoken_is_one_clear_line(self, broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(replace(settings_of(broker), tls=TlsSettings())).started())
        assert gateway.complaint().endswith(
            "it does not speak TLS on this port: "
            "set the port that it speaks TLS on (mostly 8883), or enabled = false under [mqtt.tls]"
        )

    def test_no_tls_where_it_is_spoken_is_one_clear_line(self, tls_broker: TlsBroker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(settings_of(tls_broker.broker)).started())
        assert gateway.complaint().endswith(
            "it closes the connection without an answer: check that MQTT is spoken on this port, "
            "and if with TLS (mostly on 8883), set enabled = true under [mqtt.tls]"
        )


class TestTwoGatewaysOfOneName:
    PACE = replace(HASTE, conflict_retry=0.4, steady=0.0)

    @staticmethod
    def live(gateway: Gateway, started: str, stop: threading.Event) -> threading.Thread:
        """Let a gateway's status move on, as a daemon does."""

        def tell() -> None:
            uptime = 0
            while not stop.wait(0.05):
                uptime += 1
                status = {"version": "0.1.0", "started": started, "uptime_s": uptime, "meters": {}}
                gateway.publisher.set(replace(GATEWAY_STATUS, payload=json.dumps(status)))

        thread = threading.Thread(target=tell)
        thread.start()
        return thread

    def test_two_gateways_of_one_name_say_so_once_and_then_keep_quiet(
        self, broker: Broker, gateways: list[Gateway]
    ) -> None:
        stop = threading.Event()
        starts = ["2026-11-20T10:00:00.000Z", "2026-11-20T10:00:07.000Z"]
        threads = []
        for started in starts:
            gateways.append(gateway := Gateway(settings_of(broker), self.PACE).started())
            threads.append(self.live(gateway, started, stop))
        try:
            for gateway, other in zip(gateways, reversed(starts), strict=True):
                line = (
                    f'MQTT broker 127.0.0.1:{broker.port}: another gateway named "pi" is connected to it too '
                    f"(nesgw 0.1.0, started {other}): give one of the two another [gateway] name"
                )
                eventually(partial(gateway.has_reported, line), "the twin is noticed")
            reports = [len(gateway.reports) for gateway in gateways]
            time.sleep(1)
            assert [len(gateway.reports) for gateway in gateways] == reports
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_when_the_twin_is_gone_all_is_well_again(self, broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(settings_of(broker), self.PACE).started(GATEWAY_STATUS).connected())
        twin = {"version": "0.0.9", "started": "2026-11-20T09:00:00.000Z", "uptime_s": 77, "meters": {}}
        other = Listener(broker.port)
        other.say(GATEWAY_STATUS.topic, json.dumps(twin), retain=True)
        assert "another gateway" in gateway.complaint()
        eventually(lambda: gateway.reports[-1] == (True, ""), "the all-clear")
        other.close()

    def test_what_our_former_run_left_is_no_twin(self, broker: Broker, gateways: list[Gateway]) -> None:
        former = {"version": "0.0.9", "started": "2026-11-20T09:00:00.000Z", "uptime_s": 77, "meters": {}}
        other = Listener(broker.port)
        other.say(GATEWAY_STATUS.topic, json.dumps(former), retain=True)
        gateways.append(gateway := Gateway(settings_of(broker)).started(GATEWAY_STATUS).connected())
        other.wait_for(GATEWAY_STATUS.topic, GATEWAY_STATUS.payload)
        other.close()
        assert gateway.reports == [(True, "")]


class TestAskingTheBroker:
    def test_the_state_of_before_the_reboot_can_be_fetched(self, gateway: Gateway, listener: Listener) -> None:
        listener.say(STATE.topic, '{"energy_import":12.345}', retain=True)
        gateway.started()
        found = gateway.publisher.retained([STATE.topic, "nesgw/43/state"], timeout=5)
        assert found == {STATE.topic: '{"energy_import":12.345}'}

    def test_one_topic_that_is_there_is_answered_without_delay(self, gateway: Gateway, listener: Listener) -> None:
        listener.say(STATE.topic, "{}", retain=True)
        gateway.started().connected()
        began = time.monotonic()
        assert gateway.publisher.retained([STATE.topic], timeout=5) == {STATE.topic: "{}"}
        assert time.monotonic() - began < 0.45

    def test_a_broker_that_is_away_gives_none_in_time(self, absent_broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(settings_of(absent_broker)).started())
        assert gateway.publisher.retained([STATE.topic], timeout=0.3) is None

    def test_a_broker_that_comes_in_time_is_asked_then(self, absent_broker: Broker, gateways: list[Gateway]) -> None:
        gateways.append(gateway := Gateway(settings_of(absent_broker)).started(STATE))
        gateway.complaint()
        threading.Timer(0.2, absent_broker.start).start()
        assert gateway.publisher.retained(["nesgw/+/none"], timeout=10) == {}

    def test_a_command_can_remove_a_meter_that_is_gone_beside_the_running_daemon(
        self, broker: Broker, gateway: Gateway, listener: Listener
    ) -> None:
        gateway.started(GATEWAY_STATUS).connected()
        for topic in ("nesgw/7/info", "nesgw/7/state", "nesgw/7/value/power", "homeassistant/device/nesgw_7/config"):
            listener.say(topic, "1", retain=True)
        with BrokerSession(settings_of(broker), "nesgw-pi") as session:
            found = session.retained(TOPICS.of_meter("7"))
            assert len(found) == 4
            session.publish(Message(topic, "", Part.INFO) for topic in found)
        assert not [topic for topic in retained_topics(broker.port) if "7" in topic]
        assert gateway.publisher.connected
        assert gateway.reports == [(True, "")]

    def test_thousands_of_retained_topics_of_an_older_version_are_all_found(
        self, broker: Broker, gateway: Gateway
    ) -> None:
        with BrokerSession(settings_of(broker), "nesgw-pi") as session:
            session.publish(Message(f"nesgw/{n}/state", "{}", Part.STATE) for n in range(3000))
            assert len(session.retained(TOPICS.of_everything())) == 3000

    def test_a_command_is_told_that_there_is_no_broker(self) -> None:
        with (
            pytest.raises(BrokerUnavailable, match="no broker listens there") as error,
            BrokerSession(MqttSettings("127.0.0.1", free_port()), "nesgw-pi"),
        ):
            pass
        assert error.value.facts["stage"] == "reach"

    @pytest.mark.parametrize("host", ["", "a..b", "no-such-host.invalid"])
    def test_a_host_that_is_none_is_one_clear_line(self, host: str) -> None:
        with (
            pytest.raises(BrokerUnavailable, match=r"check host and port|check the network") as error,
            BrokerSession(MqttSettings(host), "nesgw-pi"),
        ):
            pass
        assert error.value.facts["stage"] == "reach"


def test_a_defect_in_the_thread_reaches_the_daemon(broker: Broker) -> None:
    def broken(connected: bool, problem: BrokerUnavailable | None) -> None:
        raise AssertionError("a defect")

    publisher = MqttPublisher(settings_of(broker), TOPICS, broken)
    publisher.start()

    def fails() -> bool:
        try:
            publisher.set(STATE)
        except AssertionError:
            return True
        return False

    eventually(fails, "the defect is raised")
    publisher.stop()
