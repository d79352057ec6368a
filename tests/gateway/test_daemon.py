"""The real process, from the outside: a meter on a pseudo terminal, a real broker, real signals, systemd's socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker, Listener, eventually, retained_topics
from tests.odd_brokers import Talker

ID = "4080123456"
KEY = DEFAULT_KEY.decode()


@pytest.fixture
def ram_disk() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def line() -> Iterator[Any]:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Any]:
    """The service manager's end of sd_notify."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(0.05)

    class Systemd:
        path = str(tmp_path / "notify")
        heard: list[str] = []  # noqa: RUF012

        def lines(self) -> Any:
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

    def wait_for(self, text: str, timeout: float = 10.0) -> None:
        eventually(lambda: text in self.said, f"{text!r} in the log: {self.said}", timeout)

    def end(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    running = []

    def start(config: Any, **environment: Any) -> Any:
        daemon = Daemon(config, tmp_path / f"log{len(running)}", **environment)
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()


def configuration(folder: Any, ram_disk: Any, port: Any, broker_port: Any, more: str = "", meter: str = "") -> Any:
    path = folder / "config.toml"
    path.touch(0o600)
    path.write_text(
        f'[[meter]]\nname = "house"\nlabel = "House"\nport = "{port}"\nkey = "{KEY}"\npoll_interval = "1s"\n{meter}\n'
        f'[gateway]\nlog_format = "json"\n[cache]\ndirectory = "{ram_disk}"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n{more}'
    )
    return path


def test_from_the_meter_to_every_topic_and_file_and_back_to_offline(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, systemd: Any, start: Any
) -> None:
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
    listener.wait_for(f"nesgw/{ID}/status")
    kept = retained_topics(broker.port)
    assert {topic for topic in kept if "/value/" not in topic} == {
        "nesgw/gateway/nesgw/availability",
        "nesgw/gateway/nesgw/status",
        f"nesgw/{ID}/info",
        f"nesgw/{ID}/availability",
        f"nesgw/{ID}/state",
        f"nesgw/{ID}/status",
        f"homeassistant/device/nesgw_{ID}/config",
        f"homeassistant/device/nesgw_{ID}_alarms/config",
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


def test_the_end_takes_less_than_three_seconds_even_if_the_meter_is_silent(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port))
    eventually(lambda: (ram_disk / "house/reading.json").exists(), "a reading")
    line.meter.faults.silence()
    time.sleep(1.5)
    before = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - before < 3


def test_kill_leaves_the_last_will_and_readable_files(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
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


def test_meter_and_broker_may_come_later_in_any_order(
    tmp_path: Path, ram_disk: Any, absent_broker: Broker, start: Any
) -> None:
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


def test_two_meters_run_side_by_side_and_a_dead_one_delays_no_other(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
    second = f'[[meter]]\nname = "barn"\nport = "{tmp_path}/none"\nkey = "{KEY}"\npoll_interval = "1s"\n'
    listener = Listener(broker.port)
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port, meter=second))
    eventually(lambda: len(listener.payloads(f"nesgw/{ID}/state")) >= 3, "three readings")
    status = json.loads(listener.wait_for("nesgw/gateway/nesgw/status").payload)
    assert status["meters"].keys() == {"house", "barn"}
    daemon.wait_for("no such device")
    assert daemon.end() == 0
    listener.close()


def test_sighup_takes_up_a_new_configuration_and_leaves_a_wrong_one_alone(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
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
def test_a_wrong_configuration_ends_it_at_once_with_78_and_one_line(
    tmp_path: Path, ram_disk: Any, start: Any, change: tuple[Any, ...] | tuple[str, ...], said: str
) -> None:
    config = configuration(tmp_path, ram_disk, "/dev/null", 1)
    config.write_text(config.read_text().replace(*change))
    daemon = start(config)
    assert daemon.process.wait(10) == 78
    assert said in daemon.said
    assert "Traceback" not in daemon.said
    assert len(daemon.said.strip().splitlines()) == 1


class TestTheMetersAreReadOn:
    """Whatever becomes of the broker, of systemd and of the log: a gateway reads meters, and a log is a log."""

    def polls(self, ram_disk: Any) -> Any:
        return json.loads((ram_disk / "house/status.json").read_text())["polls"]

    def reads_on(self, ram_disk: Any) -> None:
        eventually(lambda: (ram_disk / "house/status.json").exists(), "the first poll")
        before = self.polls(ram_disk)
        eventually(lambda: self.polls(ram_disk) > before + 1, "polls go on")

    @pytest.mark.parametrize(
        ("said", "at_once"),
        [
            (b"220 mail.example.lan ESMTP Postfix\r\n", True),
            (bytes.fromhex("20 02 00 00 30 00"), False),
            (bytes.fromhex("20 02 00 00 90 00"), False),
        ],
    )
    def test_where_the_port_is_no_brokers_or_the_broker_talks_nonsense(
        self, tmp_path: Path, ram_disk: Any, line: Any, start: Any, said: bytes, at_once: bool
    ) -> None:
        with Talker(said, at_once=at_once) as talker:
            daemon = start(configuration(tmp_path, ram_disk, line.path, talker.port))
            self.reads_on(ram_disk)
            eventually(lambda: talker.connections >= 2, "it is tried again")
            self.reads_on(ram_disk)
            assert daemon.end() == 0
        assert "Traceback" not in daemon.said

    @pytest.mark.parametrize("address", ["/nonexistent", "@nobody"])
    def test_where_nobody_is_behind_systemds_socket(
        self, tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any, address: str
    ) -> None:
        config = configuration(tmp_path, ram_disk, line.path, broker.port)
        daemon = start(config, NOTIFY_SOCKET=address)
        self.reads_on(ram_disk)
        assert daemon.end() == 0

    def test_where_systemd_does_not_read_its_socket(
        self, tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            config = configuration(tmp_path, ram_disk, line.path, broker.port)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
                other.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        other.sendto(b"WATCHDOG=1", str(tmp_path / "notify"))
            daemon = start(config, NOTIFY_SOCKET=str(tmp_path / "notify"))
            self.reads_on(ram_disk)
            assert daemon.end() == 0

    @pytest.mark.parametrize("log", ["a full disk", "a reader that goes", "a reader that does not read", "none"])
    def test_whatever_becomes_of_the_log(
        self, tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, log: str
    ) -> None:
        config = configuration(tmp_path, ram_disk, line.path, broker.port)
        command = [sys.executable, "-m", "nesgw", "run", "--config", str(config)]
        if log == "none":
            command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
        read, write = os.pipe()
        if log == "a full disk":
            os.dup2(os.open("/dev/full", os.O_WRONLY), write)
        if log == "a reader that does not read":
            os.set_blocking(write, False)
            with suppress(BlockingIOError):
                while True:
                    os.write(write, bytes(4096))
            os.set_blocking(write, True)
        process = subprocess.Popen(command, stderr=write)
        os.close(write)
        try:
            if log == "a reader that goes":
                os.read(read, 1)
                os.close(read)
            self.reads_on(ram_disk)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()

    def test_a_wrong_configuration_ends_with_78_although_it_cannot_be_said(self, tmp_path: Path, ram_disk: Any) -> None:
        config = configuration(tmp_path, ram_disk, "/dev/null", 1)
        config.write_text(config.read_text().replace("poll_interval", "pol_interval"))
        with Path("/dev/full").open("wb") as full:
            command = [sys.executable, "-m", "nesgw", "run", "--config", str(config)]
            assert subprocess.run(command, stderr=full, timeout=20).returncode == 78


def test_two_gateways_of_one_name_say_so_in_their_logs_and_their_status(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
    daemons = []
    with PtyLine(SimulatedMeter("83331-3i", serial="4080999999"), baud=None) as second:
        for name, port in (("a", line.path), ("b", second.path)):
            (tmp_path / name).mkdir()
            daemons.append(start(configuration(tmp_path / name, ram_disk / name, port, broker.port)))
            daemons[0].wait_for("connected to the MQTT broker")
        for daemon in daemons:
            daemon.wait_for('another gateway named \\"nesgw\\" is connected to it too (nesgw ')
        for daemon in daemons:
            daemon.end()
            assert daemon.said.count("is connected to it too") == 1
            assert daemon.said.count('"event": "connected to the MQTT broker"') <= 3


def test_somebody_who_writes_to_our_status_topic_is_a_problem_that_home_assistant_shows(
    tmp_path: Path, ram_disk: Any, line: Any, broker: Broker, start: Any
) -> None:
    listener = Listener(broker.port)
    daemon = start(configuration(tmp_path, ram_disk, line.path, broker.port))
    listener.wait_for("nesgw/gateway/nesgw/status")
    listener.say("nesgw/gateway/nesgw/status", '{"version":"x\\u001b[2J","started":"y","uptime_s":5,"meters":{}}')
    daemon.wait_for(r"(nesgw x\\x1b[2J, started y)")

    def shown() -> Any:
        last = json.loads(listener.payloads("nesgw/gateway/nesgw/status")[-1])
        return "another gateway named" in (last.get("problem") or "")

    eventually(shown, "the problem in the gateway's status")
    assert daemon.end() == 0
    listener.close()


def test_no_thread_is_left_when_a_daemon_has_ended_in_this_process() -> None:
    assert [thread for thread in threading.enumerate() if thread.name.startswith(("meter-", "mqtt"))] == []
