"""The app's process from the form to values on the broker, with the real nesgw, a real broker and a simulated meter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from nesgw_container.pulse import LONGEST, Pulse

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker, Listener, eventually, free_port
from tests.container.supervisor import FakeSupervisor, mqtt_service

KEY = DEFAULT_KEY.decode()
ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "deploy/home-assistant-app/rootfs/usr/lib/python3/dist-packages"


class Stage:
    """A folder in memory, a Supervisor, and the processes that were started."""

    def __init__(self, life: ExitStack, folder: Path) -> None:
        self._life = life
        self._folder = folder
        self.memory = Path(life.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.supervisor = life.enter_context(FakeSupervisor())
        self.pulse = Pulse(self.memory / "pulse")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the process with its arguments after the memory's folder; its log is in ``log``."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{PACKAGES}",
            "SUPERVISOR_TOKEN": "not for nesgw",
        }
        command = [sys.executable, str(Path(__file__).with_name("start_app.py")), str(self.memory), *arguments]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment)
        self._life.callback(process.wait)
        self._life.callback(process.kill)
        return process

    def start_app(self, *meters: dict[str, Any], **more: Any) -> subprocess.Popen[str]:
        """Start the app with these options."""
        form = self._folder / "options.json"
        form.write_text(json.dumps({"meters": meters, "mqtt": {}, **more}))
        return self.start(str(form), self.supervisor.address)

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def hears(self, sentence: str) -> None:
        """Wait for a sentence in the log."""
        eventually(lambda: sentence in self.log, f"{sentence!r} in the log", 30.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as life:
        yield Stage(life, tmp_path)


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


def test_from_the_form_and_the_supervisors_login_to_values_on_the_broker(stage: Stage, password_broker: Broker) -> None:
    stage.supervisor.mqtt = mqtt_service(password_broker.port, "meter", "correct horse")
    listener = Listener(password_broker.port, username="meter", password="correct horse")
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        app = stage.start_app({"name": "house", "label": "House", "key": KEY, "port": line.path})
        eventually(lambda: [h for h in listener.heard if h.topic.endswith("/state")], "a reading", 30.0)
        listener.wait_for("nesgw/gateway/homeassistant/availability", "online")
        eventually(stage.pulse.beats, "a sign of life")
        config = stage.memory / "config.toml"
        assert config.stat().st_mode & 0o777 == 0o600
        assert ended(app) == 0
    listener.close()
    state = json.loads(next(h.payload for h in listener.heard if h.topic.endswith("/state")))
    assert state["energy_import"] > 0
    for secret in (KEY, "correct horse", "not for nesgw"):
        assert secret not in stage.log
    assert not (stage.memory / "notify").exists()


def test_without_a_broker_it_waits_says_so_once_lives_and_goes_on_when_there_is_one(
    stage: Stage, broker: Broker
) -> None:
    app = stage.start_app({"name": "house", "key": KEY, "port": "/dev/none"})
    eventually(lambda: stage.supervisor.asked.count("/services/mqtt") > 3, "asked again")
    assert stage.log.count("there is no MQTT broker") == 1
    assert stage.pulse.beats()
    stage.supervisor.mqtt = mqtt_service(broker.port)
    stage.hears("connected to the MQTT broker")
    assert ended(app) == 0


def test_ended_while_it_waits_for_a_broker_it_ends_well(stage: Stage) -> None:
    app = stage.start_app({"name": "house", "key": KEY})
    stage.hears("there is no MQTT broker")
    assert ended(app) == 0


def test_a_new_login_is_taken_up_without_a_restart(stage: Stage, password_broker: Broker) -> None:
    stage.supervisor.mqtt = mqtt_service(password_broker.port, "meter", "of former times")
    app = stage.start_app({"name": "house", "key": KEY, "port": "/dev/none"})
    stage.hears("refused the login")
    stage.supervisor.mqtt = mqtt_service(password_broker.port, "meter", "correct horse")
    stage.hears("the broker or its login has changed: taken up")
    stage.hears("connected to the MQTT broker")
    assert ended(app) == 0
    assert "correct horse" not in stage.log


def test_a_broker_of_the_owners_own_is_not_asked_for(stage: Stage, broker: Broker) -> None:
    meter = {"name": "house", "key": KEY, "port": "/dev/none"}
    app = stage.start_app(meter, mqtt={"host": "127.0.0.1", "port": broker.port})
    stage.hears("connected to the MQTT broker")
    assert ended(app) == 0
    assert "/services/mqtt" not in stage.supervisor.asked


def test_a_form_without_a_meter_is_a_wrong_configuration(stage: Stage, broker: Broker) -> None:
    stage.supervisor.mqtt = mqtt_service(broker.port)
    assert stage.start_app().wait(20) == 78
    assert "there is no meter: add one in this app's configuration" in stage.log


def test_a_key_that_is_none_is_a_wrong_configuration_and_is_not_shown(stage: Stage, broker: Broker) -> None:
    stage.supervisor.mqtt = mqtt_service(broker.port)
    assert stage.start_app({"name": "house", "key": "my secret of 19 signs"[:19]}).wait(20) == 78
    assert "key" in stage.log
    assert "my secret" not in stage.log


def test_the_page_is_there_for_home_assistant_and_for_nobody_else(stage: Stage, broker: Broker) -> None:
    port = free_port()
    stage.supervisor.mqtt = mqtt_service(broker.port)
    stage.supervisor.info |= {"ingress": True, "ingress_port": port}
    app = stage.start_app({"name": "house", "key": KEY, "port": "/dev/none"})
    stage.hears("the page is at")
    # Whoever comes from Home Assistant's address is let in without; this one does not.
    assert page(port) == 401
    token = stage.memory / "page.token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert page(port, token.read_text()) == 200
    assert token.read_text() not in stage.log
    assert ended(app) == 0


def page(port: int, token: str = "") -> int:
    """Ask for the page; the answer is its status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"} if token else {})
        return connection.getresponse().status
    finally:
        connection.close()


class TestTheKeeper:
    def test_ends_with_the_exit_code_of_the_program(self, stage: Stage) -> None:
        assert stage.start("--", "sh", "-c", "exit 70").wait(10) == 70

    def test_ends_well_if_the_program_had_no_time_to_end_by_itself(self, stage: Stage) -> None:
        process = stage.start("--", "sh", "-c", "echo begun; exec sleep 60")
        stage.hears("begun")
        assert ended(process) == 0

    def test_says_which_signal_ended_the_program_otherwise(self, stage: Stage) -> None:
        assert stage.start("--", "sh", "-c", "kill -KILL $$").wait(10) == 137

    def test_hands_neither_token_nor_other_secrets_of_the_supervisor_on(self, stage: Stage) -> None:
        assert stage.start("--", "sh", "-c", 'test -z "$SUPERVISOR_TOKEN" && test -n "$NOTIFY_SOCKET"').wait(10) == 0


class TestThePulse:
    def test_beats_after_a_beat_and_not_before(self, tmp_path: Path) -> None:
        pulse = Pulse(tmp_path / "pulse")
        assert not pulse.beats()
        pulse.beat()
        assert pulse.beats()

    @pytest.mark.parametrize(("age", "beats"), [(LONGEST - 5, True), (LONGEST + 5, False)])
    def test_is_over_after_ninety_seconds_of_silence(self, tmp_path: Path, age: float, beats: bool) -> None:
        pulse = Pulse(tmp_path / "pulse")
        pulse.beat()
        then = time.monotonic() - age
        os.utime(pulse.path, (then, then))
        assert pulse.beats() is beats
