"""Commands beside a running daemon: it reads for them, whatever becomes of it or of them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.commands.reader import BURST, BurstReader, CommandReader
from nesgw.commands.target import Target
from nesgw.config.key import Key
from nesgw.config.settings import MeterSettings, Secret
from nesgw.errors import PortBusy, ReaderDenied, Stopped
from nesgw.gateway.read_server import listen
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from nesgw.tables.register import Part
from tests.broker_fixtures import eventually
from tests.virtual import line_to, meter_on

BT01 = Part("BT01", 1, 0, 4)
BT26 = Part("BT26", 26, 0, 512)


@pytest.fixture
def ram_disk() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


class TestWithoutADaemon:
    """In virtual time, with a meter at 9600 baud."""

    def reader(self, line: Any, **options: Any) -> BurstReader:
        return BurstReader(meter_on(line), clock=line.clock, sleep=line.sleep, **options)

    def test_no_session_is_longer_than_a_minute_and_the_line_rests_between_two(self) -> None:
        assert BURST < 60
        line = line_to("83331-3i-mep")
        reader, busy = self.reader(line), []
        for _ in range(120):
            reader.read(BT26)
            busy.append(line.clock())
        reader.close()
        assert not line.meter.deaf
        assert busy[-1] - busy[0] > BURST
        assert line.meter.counters.sessions == 1 + (busy[-1] - busy[0]) // BURST
        assert max(later - earlier for earlier, later in pairwise(busy)) > 1.0
        assert line.meter.state.name == "BASE"

    def test_a_wish_to_stop_ends_the_session(self) -> None:
        line, asked = line_to(), []
        reader = BurstReader(meter_on(line, stop=lambda: bool(asked)), clock=line.clock, sleep=line.sleep)
        reader.read(BT26)
        asked.append(True)
        with pytest.raises(Stopped):
            reader.read(BT26)
        reader.close()
        line.drain()  # the last acknowledgement
        assert line.meter.state.name == "BASE"

    def test_what_fails_leaves_the_line_so_that_the_next_read_is_sound(self) -> None:
        line = line_to()
        reader = self.reader(line)
        first = reader.read(BT26)
        line.meter.faults.silence(12.0)
        with pytest.raises(Exception, match="does not answer"):
            reader.read(BT26)
        line.sleep(12)
        assert reader.read(BT26) == first
        assert line.meter.counters.sessions == 2


class Daemon:
    """``nesgw run`` beside a simulated meter."""

    def __init__(self, line: Any, folder: Any, config: Any) -> None:
        self.line = line
        self.folder = folder
        self.config = config

    @property
    def read_at(self) -> Any:
        return datetime.fromisoformat(json.loads((self.folder / "reading.json").read_text())["time"]).timestamp()

    @contextmanager
    def running(self) -> Iterator[Any]:
        command = [sys.executable, "-m", "nesgw", "run", "--config", str(self.config)]
        (self.folder / "reading.json").unlink(missing_ok=True)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            eventually(lambda: (self.folder / "reading.json").exists(), "a reading", 15)
            yield process
            process.send_signal(signal.SIGTERM)

    def command(self, *words: Any) -> list[Any]:
        return [sys.executable, "-m", "nesgw", *words, "--config", str(self.config)]


@pytest.fixture
def paced(tmp_path: Path, ram_disk: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A daemon at the pace of 9600 baud, with polls four seconds apart in one session."""
    with PtyLine(SimulatedMeter("83331-3i")) as line:
        yield Daemon(line, ram_disk / "house", written(tmp_path, line.path, ram_disk, "4s"))


@pytest.fixture
def quick(tmp_path: Path, ram_disk: Any) -> Iterator[Any]:
    """A daemon beside a meter without a pace."""
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield Daemon(line, ram_disk / "house", written(tmp_path, line.path, ram_disk, "2s"))


def written(folder: Any, port: Any, ram_disk: Any, interval: Any) -> Any:
    path, key = folder / "config.toml", folder / "key"
    key.write_text(DEFAULT_KEY.decode())
    key.chmod(0o600)
    path.write_text(
        f'[[meter]]\nname = "house"\nport = "{port}"\nkey_file = "{key}"\npoll_interval = "{interval}"\n'
        f'session = "keep-open"\n[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
    )
    path.chmod(0o600)
    return path


def test_polls_stay_on_the_beat_while_days_are_read_no_session_is_opened_and_a_killed_command_leaves_nothing(
    paced: Any,
) -> None:
    with paced.running() as daemon:
        sessions, times = paced.line.meter.counters.sessions, {paced.read_at}
        command = paced.command("history", "--from", "-12h")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as history:
            while history.poll() is None:
                times.add(paced.read_at)
                time.sleep(0.05)
            rows = history.stdout.read().splitlines()
        assert history.returncode == 0
        assert len(rows) == 1 + 12 * 4
        steps = [later - earlier for earlier, later in pairwise(sorted(times)[1:])]
        assert all(step == pytest.approx(4.0, abs=1.5) for step in steps), steps
        status = json.loads((paced.folder / "status.json").read_text())
        assert status["failures"] == {}
        assert paced.line.meter.counters.sessions == sessions == 1

        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as history:
            time.sleep(3)
            history.kill()
            killed = time.time()
            eventually(lambda: paced.read_at > killed, "the next reading", 6)
        assert sorted(path.name for path in paced.folder.iterdir()) == [
            "BT23", "BT28", "reader", "reading.json", "status.json",
        ]  # fmt: skip
        assert paced.line.meter.counters.sessions == 1
        assert daemon.poll() is None


class TestBesideTheDaemon:
    def test_each_command_is_served_without_the_key_and_without_a_logon(
        self, quick: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with quick.running():
            sessions = quick.line.meter.counters.sessions
            (tmp_path / "key").chmod(0o666)  # nobody may take it from there: a command that tried would say so
            config = ["--config", str(quick.config)]
            assert main(["read", "--events", "2", *config]) == 0
            out, err = capsys.readouterr()
            assert (len(out.splitlines()), err) == (3, "")
            assert main(["read", "--all", *config]) == 0
            out = capsys.readouterr().out
            assert "Tariff in force" in out
            assert "serial number 4080123456" in out
            assert main(["history", "--from", "-1h", "--csv", *config]) == 0
            assert len(capsys.readouterr().out.splitlines()) == 5
            assert main(["dump", str(tmp_path / "dump.json"), *config]) == 0
            assert DEFAULT_KEY.decode() not in (tmp_path / "dump.json").read_text()
            assert quick.line.meter.counters.sessions == sessions == 1

    def test_read_shows_the_latest_reading_with_its_age_and_whose_it_is_at_once(
        self, quick: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with quick.running():
            asked = sum(quick.line.meter.counters.requests.values())
            assert main(["read", "--json", "--config", str(quick.config)]) == 0
            out, err = capsys.readouterr()
            state = json.loads(out)
            assert list(state)[:4] == ["time", "id", "model", "serial_number"]
            assert (state["id"], state["model"], state["serial_number"]) == ("4080123456", "83331-3I", "4080123456")
            assert "this is its latest reading, " in err
            assert main(["read", "--config", str(quick.config)]) == 0
            assert "House" not in capsys.readouterr().out.splitlines()[0]
            polls = quick.line.meter.counters.requests["partial_read"]
            assert sum(quick.line.meter.counters.requests.values()) - asked <= polls

    def test_the_socket_is_its_own_users_and_groups_and_goes_with_the_daemon(self, quick: Any) -> None:
        with quick.running():
            assert stat.S_IMODE((quick.folder / "reader").stat().st_mode) == 0o660
        assert not (quick.folder / "reader").exists()

    def test_a_command_goes_on_when_the_daemon_starts_meanwhile(self, quick: Any) -> None:
        reader = CommandReader(target(quick))
        assert reader.read(BT01) == b"ELON"
        assert quick.line.meter.counters.sessions == 1
        with threading_daemon(quick):
            eventually(lambda: (quick.folder / "reader").exists(), "the socket", 15)
            time.sleep(1.1)
            assert reader.read(BT01) == b"ELON"
            eventually(lambda: (quick.folder / "reading.json").exists(), "a reading", 15)
            assert reader.read(BT26)
            reader.close()

    def test_a_command_goes_on_when_the_daemon_ends_meanwhile(self, quick: Any) -> None:
        with quick.running(), CommandReader(target(quick)) as reader:
            assert reader.read(BT26)
            ended = reader
        with ended:
            assert reader.read(BT26)
        assert quick.line.meter.counters.sessions == 2

    def test_a_daemon_that_is_killed_and_started_again_is_asked_again(self, quick: Any) -> None:
        with CommandReader(target(quick)) as reader:
            with quick.running() as first:
                assert reader.read(BT26)
                first.kill()
                first.wait()
                assert (quick.folder / "reader").exists(), "what a killed one leaves"
            with quick.running():
                assert reader.read(BT26)

    def test_two_commands_at_a_time_are_served_one_after_the_other(self, quick: Any) -> None:
        with quick.running():
            command = quick.command("read", "--events", "3")
            several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
            assert [len(each.communicate(timeout=60)[0].splitlines()) for each in several] == [4] * 4


@contextmanager
def threading_daemon(quick: Any) -> Iterator[Any]:
    """A daemon that is only started: it finds the port taken for a while."""
    (quick.folder).mkdir(exist_ok=True)
    (quick.folder / "reading.json").unlink(missing_ok=True)
    with subprocess.Popen(quick.command("run"), stderr=subprocess.DEVNULL) as process:
        yield process
        process.send_signal(signal.SIGTERM)


def target(daemon: Any) -> Target:
    meter = MeterSettings("house", daemon.line.path, session="per-poll")
    return Target(meter, daemon.folder, lambda: Key(Secret(DEFAULT_KEY), "20 characters"))


class TestAPortThatIsTaken:
    def test_by_another_program_is_said_to_be(self, quick: Any) -> None:
        port = open_port(quick.line.path)
        with pytest.raises(PortBusy, match="in use by"), CommandReader(target(quick)) as reader:
            reader.read(BT01)
        port.close()

    def test_by_a_daemon_that_this_user_may_not_ask_says_how_to_be_allowed_to(
        self, quick: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(_folder: Any) -> None:
            raise PermissionError

        quick.folder.mkdir()
        monkeypatch.setattr("nesgw.commands.reader.connect", denied)
        port = open_port(quick.line.path)
        with pytest.raises(ReaderDenied, match="sudo usermod -aG") as refusal, CommandReader(target(quick)) as reader:
            reader.read(BT01)
        port.close()
        assert refusal.value.exit_code == 77


def test_a_daemon_whose_place_another_program_has_taken_is_not_believed(
    ram_disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who listens must be root, the folder's owner or ourselves."""
    from nesgw.meter import remote_reader

    with listen(ram_disk), remote_reader.connect(ram_disk) as connection:
        assert connection is not None
    monkeypatch.setattr(remote_reader, "_user_of", lambda _: os.geteuid() + 4711)
    with listen(ram_disk):
        assert remote_reader.connect(ram_disk) is None
