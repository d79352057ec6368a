"""Lending the port: who asks, who answers, and that the daemon's polls do not suffer whatever the guest does."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from nesgw.errors import GuestRefused, PortBusy, Stopped
from nesgw.gateway.worker import Worker
from nesgw.meter.port_loan import Guest, Host
from nesgw.meter.session import Meter
from nesgw.meter.visit import BURST, Visit
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from nesgw.tables.register import Part
from tests.broker_fixtures import eventually
from tests.gateway.test_worker import MeterPublisher
from tests.ports.test_serial_port import is_exclusive
from tests.virtual import VirtualPort, line_to, meter_on, settings_with

PLACE = settings_with()
BT26 = Part("BT26", 26, 0, 512)


@pytest.fixture
def ram_disk():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


class TestTheRequest:
    def test_a_host_sees_its_guest_come_and_go(self, tmp_path):
        host, guest = Host(tmp_path), Guest(tmp_path)
        assert not host.waiting
        guest.ask("/dev/probe")
        assert host.waiting
        assert (tmp_path / "guest").read_text() == f"{os.getpid()}\n"
        guest.leave()
        assert not host.waiting
        assert list(tmp_path.iterdir()) == []

    def test_one_whose_process_was_killed_counts_for_nothing_and_is_in_nobodys_way(self, tmp_path):
        code = "import sys, time; from pathlib import Path; from nesgw.meter.port_loan import Guest\n"
        code += "Guest(Path(sys.argv[1])).ask('p'); print('there', flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            assert Host(tmp_path).waiting
            process.kill()
        assert (tmp_path / "guest").exists()
        assert not Host(tmp_path).waiting
        assert not (tmp_path / "guest").exists()
        guest = Guest(tmp_path)
        guest.ask("/dev/probe")
        assert Host(tmp_path).waiting
        guest.leave()

    def test_a_second_guest_is_told_who_is_there(self, tmp_path):
        first, second = Guest(tmp_path), Guest(tmp_path)
        first.ask("/dev/probe")
        with pytest.raises(PortBusy, match=rf"another nesgw command \(process {os.getpid()}\)"):
            second.ask("/dev/probe")
        first.leave()
        second.ask("/dev/probe")
        second.leave()

    def test_a_folder_that_is_not_ours_says_to_use_sudo(self, tmp_path):
        with pytest.raises(GuestRefused, match="run the command with sudo"):
            Guest(tmp_path / "none").ask("/dev/probe")

    def test_a_grant_is_the_time_until_which_the_port_is_the_guests(self, tmp_path):
        host, guest = Host(tmp_path), Guest(tmp_path)
        assert guest.granted() is None
        host.grant(1234.5)
        assert guest.granted() == 1234.5
        assert (tmp_path / "grant").stat().st_mode & 0o444 == 0o444
        host.withdraw()
        assert guest.granted() is None
        (tmp_path / "grant").write_text("nonsense")
        assert guest.granted() is None


class TestTheLocks:
    @pytest.fixture
    def device(self):
        with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
            yield line.path

    def test_a_lent_port_stays_open_here_and_can_be_opened_by_another(self, device):
        port = open_port(device)
        assert port.lend()
        assert not is_exclusive(port._device.fileno())
        open_port(device).close()
        port.reclaim()
        assert is_exclusive(port._device.fileno())
        with pytest.raises(PortBusy):
            open_port(device)
        port.close()

    def test_who_overstays_is_told_of_and_the_port_can_be_had_later(self, device):
        port = open_port(device)
        port.lend()
        guest = open_port(device)
        with pytest.raises(PortBusy, match="in use by"):
            port.reclaim()
        guest.close()
        port.reclaim()
        port.close()


class TestWithoutADaemon:
    """In virtual time, with a meter at 9600 baud."""

    def visiting(self, line, folder=None, **options):
        return Visit(meter_on(line), PLACE, folder, clock=line.clock, sleep=line.sleep, **options)

    def test_no_session_is_longer_than_a_minute_and_the_line_rests_between_two(self):
        assert BURST < 60
        line = line_to("83331-3i-mep")
        busy = []
        with self.visiting(line) as visit:
            for _ in range(80):
                visit.get(BT26)
                busy.append(line.clock())
        assert not line.meter.deaf
        sessions = line.meter.counters.sessions
        assert busy[-1] - busy[0] > BURST
        assert sessions == 1 + (busy[-1] - busy[0]) // BURST
        assert max(later - earlier for earlier, later in pairwise(busy)) > 1.0

    def test_what_fails_is_tried_again_in_a_new_session(self):
        line = line_to()
        with self.visiting(line) as visit:
            first = visit.get(BT26)
            line.meter.faults.silence(12.0)
            assert visit.get(BT26) == first
        assert line.meter.counters.sessions == 2
        assert line.meter.state.name == "BASE"

    def test_a_wish_to_stop_ends_the_session(self):
        line = line_to()
        asked = []
        meter = meter_on(line, stop=lambda: bool(asked))
        visit = Visit(meter, PLACE, None, stop=lambda: bool(asked), clock=line.clock, sleep=line.sleep)
        with visit:
            visit.get(BT26)
            asked.append(True)
            with pytest.raises(Stopped):
                visit.get(BT26)
        assert line.meter.state.name == "BASE"

    def test_facts_go_on_where_they_were_interrupted(self):
        line = line_to("gen4-4.30")
        with self.visiting(line) as visit:
            facts = visit.facts()
            reading = visit.reading(facts)
        assert facts.identity.model == "84031-3I"
        assert reading.values.keys() == set(facts.layout.fields)

    def test_a_daemon_that_is_started_meanwhile_is_given_the_port(self, tmp_path):
        line = line_to()
        waits = []
        with self.visiting(line, tmp_path, say=waits.append) as visit:
            visit.get(BT26)
            host = Host(tmp_path)
            assert host.waiting
            host.grant(line.clock() - 1)  # what a daemon says that finds the port taken
            before = line.meter.counters.sessions

            def lend(seconds, sleep=line.sleep):
                sleep(seconds)
                host.grant(line.clock() + 8)

            visit._sleep = lend
            visit.get(BT26)
            assert visit.bursting
            assert waits == ["waiting for the daemon to lend the port", ""]
            assert line.meter.counters.sessions == before + 1


class TestTheWorker:
    """In virtual time, with a host that only writes down what it is asked to grant."""

    class FakeHost:
        def __init__(self, line):
            self.line = line
            self.waiting = False
            self.grants = []

        def grant(self, until):
            self.grants.append((self.line.clock(), until))

        def withdraw(self):
            pass

    class LendablePort(VirtualPort):
        busy = False

        def lend(self):
            return True

        def reclaim(self):
            if self.busy:
                raise PortBusy(port="virtual", holder="a guest")

    def work(self, polls, interval, happenings):
        line = self.LendablePort(SimulatedMeter("83331-3i", clock=lambda: 1_000_000.0))
        publisher, host = MeterPublisher(line, polls), self.FakeHost(line)
        settings = settings_with(poll_interval=interval)

        def pause(seconds):
            if len(publisher.statuses) in happenings:
                happenings.pop(len(publisher.statuses))(line, host)
            line.sleep(seconds)

        worker = Worker(
            settings,
            lambda turn: meter_on(line, settings, stop=turn),
            publisher,
            guests=host,
            stop=publisher.stop,
            clock=line.clock,
            pause=pause,
        )
        start = line.clock()
        worker.run()
        assert worker.defect is None
        return start, publisher, host

    def test_a_grant_ends_before_the_next_beat_and_polls_stay_on_it(self):
        come = {3: lambda _line, host: setattr(host, "waiting", True)}
        start, publisher, host = self.work(10, 10.0, come)
        assert len(host.grants) >= 5
        assert all((until - start) % 10 == pytest.approx(9.7, abs=0.01) for _, until in host.grants)
        assert all((time - start) % 10 < 3 for time in publisher.times[1:]), "the first has to learn the meter"
        assert publisher.statuses[-1].failures == {}

    def test_where_beats_are_close_every_other_turn_is_the_guests(self):
        come = {3: lambda _line, host: setattr(host, "waiting", True)}
        _, publisher, host = self.work(10, 1.0, come)
        assert [round(until - at, 1) for at, until in host.grants] == [4.0] * len(host.grants)
        assert len(host.grants) >= 5
        assert max(later - earlier for earlier, later in pairwise(publisher.times[4:])) < 6

    @pytest.mark.expects_warnings("^virtual: in use by a guest")
    def test_a_guest_that_overstays_costs_a_poll_is_called_away_and_the_polls_go_on(self):
        def overstay(line, host):
            host.waiting = line.busy = True

        def go(line, host):
            host.waiting = line.busy = False

        _, publisher, host = self.work(8, 10.0, {3: overstay, 5: go})
        assert publisher.statuses[-1].failures["port"] >= 1
        assert any(until <= at for at, until in host.grants), "called away"
        assert publisher.statuses[-1].consecutive_failures == 0


def test_of_a_grant_of_an_hour_no_more_than_a_minute_is_taken_at_a_time(tmp_path):
    line = line_to("83331-3i-mep")
    with Visit(meter_on(line), PLACE, tmp_path, clock=line.clock, sleep=line.sleep) as visit:
        visit._become_guest()
        visit._hosted = True
        Host(tmp_path).grant(line.clock() + 3600)
        begin = line.clock()
        while line.clock() < begin + 150:
            visit.get(BT26)
    assert line.meter.counters.sessions == 3
    assert not line.meter.deaf


class TestWithTheRealDaemon:
    """Real processes on a pseudo terminal at the pace of 9600 baud, with polls four seconds apart."""

    INTERVAL = 4.0

    @pytest.fixture
    def line(self):
        with PtyLine(SimulatedMeter("83331-3i")) as line:
            yield line

    @pytest.fixture
    def config(self, line, tmp_path, ram_disk):
        path = tmp_path / "config.toml"
        path.touch(0o600)
        path.write_text(
            f'[[meter]]\nname = "house"\nport = "{line.path}"\nkey = "{DEFAULT_KEY.decode()}"\n'
            f'poll_interval = "{self.INTERVAL:.0f}s"\n[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
        )
        return path

    @pytest.fixture
    def daemon(self, config, ram_disk):
        with subprocess.Popen(
            [sys.executable, "-m", "nesgw", "run", "--config", str(config)], stderr=subprocess.DEVNULL
        ) as daemon:
            eventually(lambda: (ram_disk / "house/reading.json").exists(), "a reading", 15)
            yield daemon
            daemon.send_signal(signal.SIGTERM)

    def test_polls_stay_on_the_beat_while_days_are_read_and_go_on_after_a_guest_is_killed(
        self, daemon, config, ram_disk, line
    ):
        folder = ram_disk / "house"

        def read_at():
            return datetime.fromisoformat(json.loads((folder / "reading.json").read_text())["time"]).timestamp()

        command = [sys.executable, "-m", "nesgw", "history", "--from", "-2h", "--config", str(config)]
        times = {read_at()}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as guest:
            while guest.poll() is None:
                times.add(read_at())
                time.sleep(0.05)
            rows = guest.stdout.read().splitlines()
        assert guest.returncode == 0
        assert len(rows) == 1 + 2 * 4
        found = sorted(times)[1:]  # the first one took longer: the meter had to be learnt
        steps = [later - earlier for earlier, later in pairwise(found)]
        assert steps, "it took several turns"
        assert all(step == pytest.approx(self.INTERVAL, abs=1.5) for step in steps), steps
        status = json.loads((folder / "status.json").read_text())
        assert (status["failures"], status["polls"]) == ({}, status["polls"])
        assert not (folder / "guest").exists()

        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as guest:
            in_a_burst = lambda: (folder / "grant").exists() and line.meter.state.name == "SESSION"  # noqa: E731
            eventually(in_a_burst, "the guest's session", 15)
            guest.kill()
            killed = time.time()
            eventually(lambda: read_at() > killed, "the next reading", self.INTERVAL + 2)
        assert not Host(folder).waiting
        assert daemon.poll() is None


def test_a_lent_port_that_is_not_given_back_is_a_failed_poll_and_no_more(tmp_path):
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        meter = Meter(settings_with(port=line.path))
        with meter.session(time.monotonic() + 10):
            meter.facts()
        meter.lend()
        guest = open_port(line.path)
        with pytest.raises(PortBusy), meter.session(time.monotonic() + 10):
            pass
        guest.close()
        with meter.session(time.monotonic() + 10):
            assert meter.read().values["frequency"]
        meter.close()
