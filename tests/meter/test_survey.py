"""nesgw read --all and --events: all that a meter tells beside its values, as objects and as lines."""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nesgw.commands import main
from nesgw.commands.read import pages
from nesgw.meter.survey import Survey
from nesgw.meter.visit import Visit
from nesgw.simulator import DEFAULT_KEY, PROFILES, PtyLine, SimulatedMeter
from nesgw.tables.alarms import AlarmTable
from nesgw.values import Firmware
from tests.broker_fixtures import eventually
from tests.virtual import line_to, meter_on, settings_with

KEYS = ["clock", "tariff", "alarms", "demands", "sub_meters", "outages", "events"]
ALARMS = AlarmTable.of(Firmware(3, 84), 9)


def surveyed(line, ask=lambda survey: survey.everything()):
    line.meter.set_pace(None)  # what takes no time on the wire takes less to simulate
    place = settings_with()
    with Visit(meter_on(line), place, None, clock=line.clock, sleep=line.sleep) as visit:
        survey = Survey(visit.facts(), None, lambda: datetime.now(UTC))
        return visit.find(ask(survey)), survey.remarks


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_tells_all_and_all_can_be_shown(profile):
    found, remarks = surveyed(line_to(profile))
    assert list(found) == KEYS
    assert remarks == []
    assert json.loads(json.dumps(found)) == found, "plain values"
    lines = list(pages.survey(found, ALARMS))
    assert "Clock and tariff" in lines
    assert not any("None" in line or "{" in line for line in lines), lines


def test_sub_meters_and_demands_are_there():
    found, _ = surveyed(line_to("gen4-4.30"))
    assert [demand["field"] for demand in found["demands"]] == ["power_import", "power_export"]
    heat, water, gas = found["sub_meters"]
    assert (heat["manufacturer"], heat["serial"], heat["flow"], heat["units"]["flow"]) == (
        "LUG",
        "66112233",
        0.312,
        "m³/h",
    )
    assert (water["serial"], gas["conditions"]) == ("44556677", ["power_low"])


def test_what_is_encrypted_says_so_and_has_no_values():
    found, _ = surveyed(line_to("83331-3i-solar"))
    lines = list(pages.survey(found, ALARMS))
    assert "  encrypted: the electricity meter has no key for it" in lines


@pytest.mark.parametrize("number", [52, 3, 70, 71, 74, 2048 + 11, 2048 + 36, 2048 + 9])
def test_a_table_that_is_kept_from_us_takes_nothing_else_with_it(number):
    before, _ = surveyed(line_to("gen4-4.30"))
    after, _ = surveyed(line_to("gen4-4.30", locked_tables=frozenset({number})))
    lost = {key for key in KEYS if before[key] and not after[key]}
    expected = {52: {"clock"}, 3: {"alarms"}, 74: {"events"}, 2048 + 11: {"sub_meters"}}
    assert lost == expected.get(number, set())
    list(pages.survey(after, ALARMS))


def test_the_newest_entries_of_all_logs_come_in_the_order_of_time():
    entries, _ = surveyed(line_to("83331-3i"), lambda survey: survey.log(3))
    kinds = [entry.payload()["event_type"] for entry in entries]
    assert len(kinds) == 3
    assert "outage" in kinds
    everything, _ = surveyed(line_to("83331-3i"), lambda survey: survey.log(1000))
    assert len(everything) > 3
    assert everything[-3:] != everything[:3]


class TestLines:
    def test_of_an_event_and_an_outage(self):
        event = {"event_type": "manufacturer", "time": "2026-11-19T22:05:09", "sequence": 4711, "number": 2050}
        event |= {"user": 7, "argument": "0100", "log": "BT74"}
        outage = {"event_type": "outage", "time": "2026-11-20T12:46:12", "start": "2026-11-20T12:44:12"}
        outage |= {"duration_s": 119, "cause": "power_failure", "sequence": None, "log": "ET09"}
        assert list(pages.events([event, outage])) == [
            "time                 log       number  what",
            "2026-11-19 22:05:09  BT74        4711  manufacturer event 2050, by user 7, argument 0100",
            "2026-11-20 12:46:12  ET09              outage of 119 s (power failure), since 2026-11-20 12:44:12",
        ]

    def test_of_nothing(self):
        assert list(pages.events([])) == ["none"]


class TestTheCommand:
    @pytest.fixture
    def line(self):
        with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
            yield line

    @pytest.fixture
    def config(self, line, tmp_path):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk:
            path = tmp_path / "config.toml"
            path.touch(0o600)
            path.write_text(
                f'[[meter]]\nname = "house"\nport = "{line.path}"\nkey = "{DEFAULT_KEY.decode()}"\n'
                f'[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
            )
            self.folder = Path(ram_disk, "house")
            yield str(path)

    def test_all_adds_keys_of_their_own_to_the_state_object(self, config, capsys):
        assert main(["read", "--all", "--json", "--config", config]) == 0
        state = json.loads(capsys.readouterr().out)
        assert next(iter(state)) == "time"
        assert list(state)[-7:] == KEYS
        assert state["energy_export"] == 0.201

    @pytest.mark.parametrize("options", [["--all", "--raw"], ["--events", "--raw"], ["--events", "0"]])
    def test_what_does_not_go_together_is_64_and_one_line(self, config, capsys, options):
        assert main(["read", *options, "--config", config]) == 64
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_beside_the_daemon_a_reading_is_its_latest_and_the_rest_is_read_in_between(self, config, capsys):
        command = [sys.executable, "-m", "nesgw", "run", "--config", config]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
            eventually(lambda: (self.folder / "reading.json").exists(), "a reading", 15)
            assert main(["read", "--config", config]) == 0
            assert "this is its latest reading" in capsys.readouterr().err
            assert main(["read", "--events", "2", "--config", config]) == 0
            out, err = capsys.readouterr()
            assert (len(out.splitlines()), err) == (3, "")
            assert main(["read", "--all", "--config", config]) == 0
            assert "Tariff in force" in capsys.readouterr().out
            daemon.terminate()
