"""The real process, from the outside: a meter on a pseudo terminal, a real broker, real signals, systemd's socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from paho.mqtt.client import topic_matches_sub

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import Listener, eventually, retained_topics

ID = "4080123456"
KEY = DEFAULT_KEY.decode()


@pytest.fixture
def ram_disk():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def line():
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line


@pytest.fixture
def systemd(tmp_path):
    """The service manager's end of sd_notify."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(0.05)

    class Systemd:
        path = str(tmp_path / "notify")
        heard: list[str] = []  # noqa: RUF012

        def lines(self):
            while True:
                try:
                    self.heard += manager.recv(65536).decode().splitlines()
                except TimeoutError:
                    return self.heard

    systemd = Systemd()
    systemd.heard = []
    yield systemd
    manager.close()


class Daemon:
    def __init__(self, config: Path, log: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nesgw", "run", "--config", str(config)],
                stderr=output,
                env={**os.environ, **environment},
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        eventually(lambda: text in self.said, f"{text!r} in the log: {self.said}")

    def end(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)


@pytest.fixture
def start(tmp_path):
    running = []

    def start(config, **environment):
        daemon = Daemon(config, tmp_path / f"log{len(running)}", **environment)
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()


def configuration(folder, ram_disk, port, broker_port, more="", meter=""):
    path = folder / "config.toml"
    path.touch(0o600)
    path.write_text(
        f'[[meter]]\nname = "house"\nlabel = "House"\nport = "{port}"\nkey = "{KEY}"\npoll_interval = "1s"\n{meter}\n'
        f'[gateway]\nlog_format = "json"\n[cache]\ndirectory = "{ram_disk}"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n{more}'
    )
    return path


def test_from_the_meter_to_every_topic_and_file_and_back_to_offline(tmp_path, ram_disk, line, broker, systemd, start):
    listener = Listener(broker.port)
    config = configuration(tmp_path, ram_disk, line.path, broker.port, "per_value_topics = true\n")
    daemon = start(config, NOTIFY_SOCKET=systemd.path, WATCHDOG_USEC="60000000")
    listener.wait_for(f"nesgw/{ID}/state")
    listener.wait_for(f"nesgw/{ID}/availability", "online")
    listener.wait_for("nesgw/gateway/nesgw/availability", "online")
    eventually(lambda: (ram_disk / "house/status.json").exists(), "the status on the RAM disk")

    state = json.loads(listener.payloads(f"nesgw/{ID}/state")[-1])
    truth = line.meter.truth()
    assert state["energy_import"] == pytest.approx(truth.summations[0] / 1000, abs=0.01)
    assert state["time"].endswith("Z")
    listener.wait_for(f"nesgw/{ID}/value/energy_import")
    listener.wait_for("nesgw/gateway/nesgw/status")
    kept = retained_topics(broker.port)
    assert {topic for topic in kept if "/value/" not in topic} == {
        "nesgw/gateway/nesgw/availability",
        "nesgw/gateway/nesgw/status",
        f"nesgw/{ID}/info",
        f"nesgw/{ID}/availability",
        f"nesgw/{ID}/state",
        f"nesgw/{ID}/status",
        f"homeassistant/device/nesgw_{ID}/config",
        "homeassistant/device/nesgw_gateway_nesgw/config",
    }
    assert json.loads(kept[f"nesgw/{ID}/info"])["firmware"] == "3.84.06"
    on_disk = json.loads((ram_disk / "house/reading.json").read_text())
    assert on_disk.keys() == state.keys()
    assert (ram_disk / "house/BT23").read_bytes()[:4] == round(on_disk["energy_import"] * 1000).to_bytes(4, "little")
    assert len((ram_disk / "house/BT28").read_bytes()) == 220

    eventually(lambda: any("power" in said for said in systemd.lines()), "the reading in words")
    assert "READY=1" in systemd.lines()
    assert "WATCHDOG=1" in systemd.lines()

    assert daemon.end() == 0
    listener.wait_for("nesgw/gateway/nesgw/availability", "offline")
    listener.wait_for(f"nesgw/{ID}/availability", "offline")
    assert "STOPPING=1" in systemd.lines()
    assert line.meter.state.name == "BASE", "the meter's session was ended"
    assert KEY not in daemon.said
    listener.close()


def test_the_end_takes_less_than_three_seconds_even_if_the_meter_is_silent(tmp_path, ram_disk, line, broker, start):
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port))
    eventually(lambda: (ram_disk / "house/reading.json").exists(), "a reading")
    line.meter.faults.silence()
    time.sleep(1.5)
    before = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - before < 3


def test_kill_leaves_the_last_will_and_readable_files(tmp_path, ram_disk, line, broker, start):
    listener = Listener(broker.port)
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port))
    listener.wait_for(f"nesgw/{ID}/state")
    assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    listener.wait_for("nesgw/gateway/nesgw/availability", "offline")
    assert json.loads((ram_disk / "house/reading.json").read_text())["energy_import"] > 100_000
    again = start(configuration(tmp_path, ram_disk, line.path, broker.port))
    since = time.monotonic()
    listener.wait_for(f"nesgw/{ID}/state", since=since)
    assert again.end() == 0
    listener.close()


def test_meter_and_broker_may_come_later_in_any_order(tmp_path, ram_disk, absent_broker, start):
    device = tmp_path / "probe"
    daemon = start(configuration(tmp_path, ram_disk, device, absent_broker.port))
    daemon.wait_for("no such device")
    daemon.wait_for("no broker listens there")
    with PtyLine(SimulatedMeter("83331-3i"), baud=None, link=device):
        eventually(lambda: (ram_disk / "house/reading.json").exists(), "a reading without a broker")
        absent_broker.start()
        listener = Listener(absent_broker.port)
        listener.wait_for(f"nesgw/{ID}/state")
        listener.wait_for(f"homeassistant/device/nesgw_{ID}/config")
        assert daemon.end() == 0
        listener.close()
    assert daemon.said.count("no such device") == 1, "told once"


def test_two_meters_run_side_by_side_and_a_dead_one_delays_no_other(tmp_path, ram_disk, line, broker, start):
    second = f'[[meter]]\nname = "barn"\nport = "{tmp_path}/none"\nkey = "{KEY}"\npoll_interval = "1s"\n'
    listener = Listener(broker.port)
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port, meter=second))
    eventually(lambda: len(listener.payloads(f"nesgw/{ID}/state")) >= 3, "three readings")
    status = json.loads(listener.wait_for("nesgw/gateway/nesgw/status").payload)
    assert status["meters"].keys() == {"house", "barn"}
    daemon.wait_for("no such device")
    assert daemon.end() == 0
    listener.close()


def test_sighup_takes_up_a_new_configuration_and_leaves_a_wrong_one_alone(tmp_path, ram_disk, line, broker, start):
    listener = Listener(broker.port)
    config = configuration(tmp_path, ram_disk, line.path, broker.port)
    good = config.read_text()
    daemon = start(config)
    listener.wait_for(f"nesgw/{ID}/state")
    config.write_text(good.replace("poll_interval", "pol_interval"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for("the old one stays in force")
    assert "did you mean 'poll_interval'?" in daemon.said
    config.write_text(good.replace("[mqtt]", '[mqtt]\nbase_topic = "power"'))
    daemon.process.send_signal(signal.SIGHUP)
    listener.wait_for(f"power/{ID}/state")
    assert daemon.end() == 0
    listener.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("poll_interval", "pol_interval"), "did you mean 'poll_interval'?"),
        (('directory = "', 'directory = "/var/tmp/'), "not on a RAM disk"),
        ((KEY, "too short"), "expected 20 characters"),
    ],
)
def test_a_wrong_configuration_ends_it_at_once_with_78_and_one_line(tmp_path, ram_disk, start, change, said):
    config = configuration(tmp_path, ram_disk, "/dev/null", 1)
    config.write_text(config.read_text().replace(*change))
    daemon = start(config)
    assert daemon.process.wait(10) == 78
    assert said in daemon.said
    assert "Traceback" not in daemon.said
    assert len(daemon.said.strip().splitlines()) == 1


def test_the_watchdog_is_fed_only_while_every_loop_turns():
    from nesgw.gateway import daemon
    from nesgw.gateway import systemd as notify

    class Hung:
        meter_name = "house"
        defect = None
        pulse = time.monotonic() - daemon.WATCHDOG
        facts = None
        online = False

        def look(self):
            pass

        class status:  # noqa: N801
            last_read = None
            last_error = None

        def in_words(self):
            return "house"

    fed = []
    before = notify.alive
    notify.alive = lambda: fed.append(True)
    try:
        worker = Hung()
        watch = daemon._Watch([worker], None, daemon.Topics("nesgw", "nesgw"))
        watch.look()
        assert fed == []
        worker.pulse = time.monotonic()
        watch.look()
        assert fed == [True]
    finally:
        notify.alive = before


class TestTheMetersOfAFormerRun:
    """Killed, it could not say that they are offline; the next run says so, before it publishes a status of its own."""

    STATUS = '{"meters":{"house":{"id":"4080123456"},"garage":{"id":"4080123457"}}}'

    class Publisher:
        connected = True

        def __init__(self, retained, deaf=0):
            self.there, self.deaf = retained, deaf
            self.published = []

        def retained(self, filters, timeout):
            self.deaf -= 1
            found = {t: p for t, p in self.there.items() if any(topic_matches_sub(each, t) for each in filters)}
            return None if self.deaf >= 0 else found

        def set(self, *messages):
            self.published += [(message.topic, message.payload) for message in messages]

    def withdrawn(self, publisher, looks):
        from nesgw.gateway import daemon

        watch = daemon._Watch([], publisher, daemon.Topics("nesgw", "attic"))
        for _ in range(looks):
            watch.look()
        return [topic for topic, payload in publisher.published if payload == "offline"]

    def test_are_offline_until_they_are_read(self):
        publisher = self.Publisher({"nesgw/gateway/attic/status": self.STATUS})
        assert self.withdrawn(publisher, 1) == ["nesgw/4080123456/availability", "nesgw/4080123457/availability"]
        assert publisher.published[-1][0] == "nesgw/gateway/attic/status"

    @pytest.mark.parametrize("deaf", [1, 2, 3])
    def test_are_asked_for_again_where_the_broker_is_slow(self, deaf):
        publisher = self.Publisher({"nesgw/gateway/attic/status": self.STATUS}, deaf)
        assert len(self.withdrawn(publisher, 3)) == 2

    def test_are_not_waited_for_for_ever(self):
        publisher = self.Publisher({}, deaf=1000)
        assert self.withdrawn(publisher, 10) == []
        assert publisher.published[-1][0] == "nesgw/gateway/attic/status"

    def test_are_left_alone_if_another_gateway_reads_them_now(self):
        publisher = self.Publisher(
            {
                "nesgw/gateway/attic/status": self.STATUS,
                "nesgw/gateway/cellar/status": '{"meters":{"all":{"id":"4080123456"}}}',
                "nesgw/gateway/cellar/availability": "online",
                "nesgw/gateway/gone/status": '{"meters":{"old":{"id":"4080123457"}}}',
                "nesgw/gateway/gone/availability": "offline",
            }
        )
        assert self.withdrawn(publisher, 1) == ["nesgw/4080123457/availability"]


def test_no_thread_is_left_when_a_daemon_has_ended_in_this_process():
    assert [thread for thread in threading.enumerate() if thread.name.startswith(("meter-", "mqtt"))] == []
