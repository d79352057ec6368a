"""A real mosquitto for the tests, and somebody who listens to it. Imports nothing of nesgw."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PATIENCE = 30.0


def eventually(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Wait for a condition; its truth is the answer."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout} s in vain: {what}"
        time.sleep(0.01)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """A mosquitto on a loopback port of its own. It remembers retained messages only while it runs."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, lines: Sequence[str] = ("allow_anonymous true",)) -> None:
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._conf = folder / "mosquitto.conf"
        # As root mosquitto would become a user that may not read the test's files.
        user = ["user root"] if os.geteuid() == 0 else []
        listener = [f"listener {self.port} {self.host}", "persistence false", "log_type all"]
        self._conf.write_text("\n".join([*user, *listener, *lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [MOSQUITTO, "-c", str(self._conf)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(self._listens, f"mosquitto listens; it said: {self.log}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self, frozen: bool) -> None:
        """Stop answering, with all connections standing; or go on."""
        assert self._process is not None
        self._process.send_signal(19 if frozen else 18)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Heard:
    at: float  # monotonic
    topic: str
    payload: str
    retained: bool
    qos: int


class Listener:
    """Subscribes to everything and notes it; speaks when asked to."""

    def __init__(self, port: int, host: str = Broker.host, tls: ssl.SSLContext | None = None, **login: str) -> None:
        self.heard: list[Heard] = []
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        self._client.on_message = self._note
        if login:
            self._client.username_pw_set(**login)
        if tls:
            self._client.tls_set_context(tls)
        self._client.connect(host, port)
        self._client.loop_start()
        eventually(lambda: self._subscribed, "the listener is subscribed")

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        text = message.payload.decode()
        self.heard.append(Heard(time.monotonic(), message.topic, text, message.retain, message.qos))

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)

    def payloads(self, topic: str) -> list[str]:
        return [each.payload for each in self.heard if each.topic == topic]

    def wait_for(self, topic: str, payload: str | None = None, since: float = 0.0) -> Heard:
        """Wait until a message has come (after the moment ``since``); the answer is the first such."""

        def found() -> Heard | None:
            return next(
                (
                    each
                    for each in list(self.heard)
                    if each.topic == topic and payload in (None, each.payload) and each.at > since
                ),
                None,
            )

        answer: Heard = eventually(
            found, f"{topic} {payload or ''}; heard {[(h.topic, h.payload) for h in self.heard]}"
        )
        return answer

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def retained_topics(port: int) -> dict[str, str]:
    """What a newcomer finds on the broker."""
    listener = Listener(port)
    listener.say("test/the-end", "", retain=False)
    listener.wait_for("test/the-end")
    listener.close()
    return {each.topic: each.payload for each in listener.heard if each.retained}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A plain broker that lets everybody in."""
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def absent_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that has not been started yet."""
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def password_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that lets in nobody but the user ``meter`` with the password ``correct horse``."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "meter", "correct horse"], check=True)
    broker = Broker(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    broker.start()
    yield broker
    broker.stop()


@dataclass(frozen=True)
class TlsBroker:
    """A broker with a certificate for ``localhost`` that asks for certificates of its clients."""

    broker: Broker
    ca_file: Path
    cert_file: Path  # a client's, with its key
    key_file: Path
    other_ca_file: Path  # has issued nothing here
    other_cert_file: Path  # a client's of the other CA

    @property
    def port(self) -> int:
        return self.broker.port


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = trustme.CA(), trustme.CA()
    for name, ca in {"ca": ours, "other_ca": other}.items():
        ca.cert_pem.write_to_path(folder / f"{name}.pem")
    for name, ca, host in (
        ("server", ours, "localhost"),
        ("client", ours, "nesgw.test"),
        ("other_client", other, "nesgw.test"),
    ):
        certificate = ca.issue_cert(host)
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}_both.pem")
    return folder


@pytest.fixture
def tls_broker(tmp_path: Path, certificates: Path) -> Iterator[TlsBroker]:
    broker = Broker(
        tmp_path,
        [
            "allow_anonymous true",
            f"cafile {certificates / 'ca.pem'}",
            f"certfile {certificates / 'server.pem'}",
            f"keyfile {certificates / 'server.key'}",
            "require_certificate true",
        ],
    )
    broker.start()
    yield TlsBroker(
        broker,
        certificates / "ca.pem",
        certificates / "client.pem",
        certificates / "client.key",
        certificates / "other_ca.pem",
        certificates / "other_client_both.pem",
    )
    broker.stop()
