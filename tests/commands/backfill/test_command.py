"""nesgw backfill as its user sees it: a simulated meter on a port, and a Home Assistant with a hole."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from nesgw.commands import main
from nesgw.commands.backfill import command
from nesgw.commands.backfill.plan import HOUR
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.commands.backfill.fake_home_assistant import SENSOR, TOKEN, USERS_TOKEN, FakeHomeAssistant, running

METER = "4080123456"
CHANGES = ("recorder/adjust_sum_statistics", "recorder/import_statistics")


class House(NamedTuple):
    """A meter, a Home Assistant, and the configuration between them."""

    fake: FakeHomeAssistant
    register: Callable[[datetime], float]  # kWh at the end of the hour that starts then
    newest: datetime  # the last hour that is over
    config: Path

    def hour(self, back: int) -> datetime:
        return self.newest - back * HOUR

    def is_true(self, back: int) -> bool:
        """Whether an hour's bar is what the meter counted."""
        before, row = (self.fake.rows[self.hour(hours)] for hours in (back + 1, back))
        counted = self.register(self.hour(back)) - self.register(self.hour(back + 1))
        return abs(row[1] - before[1] - counted * self.per_kwh) < 0.0021 * self.per_kwh

    @property
    def per_kwh(self) -> float:
        return self.fake.per_kwh

    def written(self) -> list[str]:
        return [each["type"] for each in self.fake.received if each["type"] in CHANGES]

    def run(self, *options: str) -> int:
        return main(["backfill", "--config", str(self.config), *options])


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture(params=["kWh"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """The parameter: the statistic's unit, or how many days the meter remembers."""
    days = isinstance(request.param, int)
    meter = SimulatedMeter("83331-3i", load_blocks=request.param) if days else SimulatedMeter("83331-3i")
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOUR

    def register(hour: datetime) -> float:
        totals = meter._registers.then(round((hour + HOUR).timestamp() * 1000)).summations
        return totals[0] / 1000

    fake = FakeHomeAssistant(f"nesgw_{METER}_energy_import", unit="kWh" if days else request.param)
    with PtyLine(meter, baud=None) as line, running(fake) as url:
        key = private(tmp_path / "key", DEFAULT_KEY.decode())
        token = private(tmp_path / "token", f"{TOKEN}\n")
        config = tmp_path / "config.toml"
        config.write_text(
            f'[[meter]]\nname = "house"\nport = "{line.path}"\nkey_file = "{key}"\n'
            f'[cache]\ndirectory = "{tmp_path}"\nallow_disk = true\n[mqtt]\nenabled = false\n'
            f'[homeassistant]\nurl = "{url}"\ntoken_file = "{token}"\n'
        )
        there = House(fake, register, newest, config)
        for back in range(100):
            state = register(there.hour(back)) * there.per_kwh
            fake.rows[there.hour(back)] = state, state - 1000 * there.per_kwh
        yield there


def a_hole(house: House, first: int = 6, last: int = 4) -> None:
    """The gateway was away: hours are missing, and the one before was cut short."""
    for back in range(last, first + 1):
        del house.fake.rows[house.hour(back)]
    state, total = house.fake.rows[house.hour(first + 1)]
    house.fake.rows[house.hour(first + 1)] = state - 0.05 * house.per_kwh, total - 0.05 * house.per_kwh


class TestAHole:
    @pytest.mark.parametrize("house", ["kWh", "Wh", "MWh", "GJ", "kcal"], indirect=True)
    def test_is_shown_and_filled_and_the_second_run_writes_nothing(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_hole(house)
        assert house.run("--yes") == 0
        out = capsys.readouterr().out
        assert f"Energy import ({SENSOR}), in kWh\n" in out, "as the meter counts, whatever the owner chose"
        assert f"Energy import ({SENSOR}): 4 hours written\n" in out
        assert sum(line.startswith("20") for line in out.splitlines()) == 5, "each hour, and the one that follows"
        assert all(house.is_true(back) for back in range(30))
        assert house.written() == ["recorder/import_statistics"]
        assert house.run("--yes") == 0
        assert len(house.written()) == 1
        out = capsys.readouterr().out
        assert out.startswith("Nothing to be filled: ")
        assert "compared, and Home Assistant has what the meter counted." in out

    def test_that_is_older_than_the_last_days_is_found_all_the_same(self, house: House) -> None:
        a_hole(house, 90, 85)
        assert house.run("--yes") == 0
        assert all(house.is_true(back) for back in range(98))

    def test_behind_which_home_assistant_began_its_sum_again_is_filled(self, house: House) -> None:
        a_hole(house, 60, 10)
        for back in range(10):
            state, total = house.fake.rows[house.hour(back)]
            house.fake.rows[house.hour(back)] = state, total - 900
        assert house.run("--yes") == 0
        assert all(house.is_true(back) for back in range(98))
        assert house.written() == list(CHANGES)

    def test_in_which_the_rows_stand_still_is_filled(self, house: House) -> None:
        still = house.fake.rows[house.hour(80)]
        house.fake.rows |= {house.hour(back): still for back in range(75, 80)}
        assert house.run("--yes") == 0
        assert all(house.is_true(back) for back in range(98))

    def test_is_only_shown_by_a_dry_run(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        a_hole(house)
        assert house.run("--dry-run") == 0
        assert house.written() == []
        out = capsys.readouterr().out
        assert sum(line.startswith("20") for line in out.splitlines()) == 5
        assert "What stays as it is: the values every five minutes" in out

    def test_is_not_written_before_somebody_agrees(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        a_hole(house)
        assert house.run() == 64, "there is no terminal to ask on"
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        asked: list[str] = []

        def answer(text: str) -> str:
            asked.append(text)
            return "n"

        monkeypatch.setattr(builtins, "input", answer)
        assert house.run() == 0
        assert asked == ["Write 4 hours into Home Assistant? [y/N] "]
        assert house.written() == []
        monkeypatch.setattr(builtins, "input", lambda _: "y")
        assert house.run() == 0
        assert all(house.is_true(back) for back in range(30))

    def test_that_goes_on_is_left_alone(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        a_hole(house, 3, 0)
        assert house.run("--yes") == 0
        assert house.written() == []
        assert "try again after the next full hour" in capsys.readouterr().out

    def test_outside_of_the_times_that_were_asked_for_is_left_alone(self, house: House) -> None:
        a_hole(house, 60, 58)
        a_hole(house, 30, 28)
        a_hole(house, 6, 4)
        since, until = (house.hour(back).isoformat() for back in (40, 20))
        assert house.run("--yes", "--from", since, "--to", until) == 0
        assert all(house.is_true(back) for back in range(20, 40))
        assert [house.hour(back) in house.fake.rows for back in (59, 29, 5)] == [False, True, False]

    def test_that_begins_before_the_times_that_were_asked_for_is_told(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_hole(house, 30, 20)
        assert house.run("--yes", "--from", house.hour(25).isoformat()) == 69
        assert "--from is within a hole or right behind it: begin some hours earlier" in capsys.readouterr().err
        assert house.written() == []

    def test_behind_the_times_that_were_asked_for_is_no_matter(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_hole(house, 6, 4)
        assert house.run("--yes", "--to", house.hour(7).isoformat()) == 0
        assert "Nothing to be filled" in capsys.readouterr().out
        assert house.written() == []


class TestAHoleOlderThanTheMemory:
    """The meter remembers three days; Home Assistant has nothing between 90 and 10 hours ago."""

    @pytest.mark.parametrize("house", [3], indirect=True)
    def test_is_filled_from_there_on_where_it_is_asked_for(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_hole(house, 90, 10)
        assert house.run("--yes") == 0
        assert house.written() == [], "not by itself"
        out = capsys.readouterr().out
        assert "Nothing to be filled: 10 hours from" in out
        assert "with --from, what the meter remembers of that time is filled, too" in out
        assert house.run("--yes", "--from", "-14d") == 0
        out = capsys.readouterr().out
        first = next(back for back in range(90, 0, -1) if house.hour(back) in house.fake.rows)
        assert 47 <= first <= 71
        assert all(house.is_true(back) for back in range(first))
        assert f"Older than the meter's memory: {90 - first} hours; the hour from" in out
        assert "The meter's memory begins at" in out
        total = house.fake.rows[house.hour(0)][1] - house.fake.rows[house.hour(95)][1]
        assert total == pytest.approx(house.register(house.hour(0)) - house.register(house.hour(95)))
        assert house.run("--yes", "--from", "-14d") == 0
        out = capsys.readouterr().out
        assert out.startswith(f"Nothing to be filled: {first + 1} hours from")
        assert "hours before that cannot be filled from it" in out

    @pytest.mark.parametrize("house", [3], indirect=True)
    def test_behind_which_the_sum_began_again_is_filled_too(self, house: House) -> None:
        a_hole(house, 90, 10)
        for back in range(10):
            state, total = house.fake.rows[house.hour(back)]
            house.fake.rows[house.hour(back)] = state, total - 900
        assert house.run("--yes", "--from", "-14d") == 0
        assert all(house.is_true(back) for back in range(40))
        rows = [total for _, (_, total) in sorted(house.fake.rows.items())]
        assert rows == sorted(rows), "no bar is negative"

    @pytest.mark.parametrize("house", [3], indirect=True)
    def test_before_which_there_was_another_meter_is_left_alone(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_hole(house, 90, 10)
        for back in range(91, 100):
            state, total = house.fake.rows[house.hour(back)]
            house.fake.rows[house.hour(back)] = state + 5000, total + 5000
        assert house.run("--yes", "--from", "-14d") == 69
        assert "is it another meter's?" in capsys.readouterr().err
        assert house.written() == []


class TestBeforeTheFirstRow:
    def test_two_weeks_are_put_in_front_of_a_single_hour(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        house.fake.rows = {house.newest: house.fake.rows[house.newest]}
        assert house.run("--yes") == 0
        out = capsys.readouterr().out
        assert "Nothing to be filled: 1 hour from" in out
        assert "with --from, what the meter remembers of that time is filled, too" in out
        assert house.run("--yes", "--from", "-14d") == 0
        out = capsys.readouterr().out
        front = len(house.fake.rows) - 1
        assert 334 <= front <= 336
        assert all(house.is_true(back) for back in range(front))
        assert f": {front} hours are put in front of them." in out
        assert f"{front} hours written" in out
        assert house.run("--yes", "--from", "-14d") == 0
        assert "Nothing to be filled: " in capsys.readouterr().out

    def test_the_past_is_put_in_front_where_it_is_asked_for(self, house: House) -> None:
        house.fake.rows = {hour: row for hour, row in house.fake.rows.items() if hour >= house.hour(40)}
        a_hole(house, 20, 18)
        assert house.run("--yes") == 0
        assert min(house.fake.rows) == house.hour(40), "not by itself"
        assert house.run("--yes", "--from", house.hour(60).isoformat()) == 0
        assert min(house.fake.rows) == house.hour(60)
        assert all(house.is_true(back) for back in range(59))
        first = house.fake.rows[house.hour(60)]
        assert first[1] == pytest.approx(house.register(house.hour(60)) - house.register(house.hour(61)), abs=0.0021)
        before = len(house.written())
        assert house.run("--yes", "--from", house.hour(60).isoformat()) == 0
        assert len(house.written()) == before


class TestWhatDoesNotFit:
    def refused(self, house: House, capsys: pytest.CaptureFixture[str], code: int, says: str) -> None:
        before = dict(house.fake.rows)
        assert house.run("--yes") == code
        err = capsys.readouterr().err
        assert says in err
        assert house.fake.rows == before
        assert "Traceback" not in err
        assert TOKEN not in err

    def test_another_meter(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        for entry in house.fake.registry:
            entry["unique_id"] = "nesgw_999_energy_import"
        says = f"no energy sensor of meter {METER} that is enabled; it knows 999"
        self.refused(house, capsys, 69, says)

    def test_a_sensor_that_was_never_recorded(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        house.fake.metadata.clear()
        self.refused(house, capsys, 69, f"{SENSOR}: Home Assistant has never recorded it")

    def test_a_unit_that_is_none_of_energy(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        house.fake.metadata[0]["statistics_unit_of_measurement"] = "m³"
        self.refused(house, capsys, 69, f"{SENSOR}: its statistic is in m³, which is not filled: was its unit changed?")

    def test_a_token_that_is_wrong(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        private(house.config.with_name("token"), "some other token")
        self.refused(house, capsys, 77, "it refused the token")

    def test_a_sensor_that_is_disabled(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        for entry in house.fake.registry:
            entry["disabled_by"] = "user"
        self.refused(house, capsys, 69, f"no energy sensor of meter {METER} that is enabled: see whether")

    def test_a_newest_row_above_the_meter(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        state, total = house.fake.rows[house.newest]
        house.fake.rows[house.newest] = state + 500, total + 500
        self.refused(house, capsys, 69, "is it another meter's?")

    def test_a_sensor_of_which_no_hour_was_compiled(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        house.fake.rows.clear()
        assert house.run("--yes") == 0
        assert "Home Assistant has not compiled any hour of it: try again after" in capsys.readouterr().out

    def test_a_token_that_is_no_administrators(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        """Also while nothing is to be written: not only at the first outage."""
        private(house.config.with_name("token"), USERS_TOKEN)
        self.refused(house, capsys, 77, "the token is not an administrator's")

    def test_no_home_assistant(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        config = house.config.read_text()
        house.config.write_text(config.replace("http://127.0.0.1", "http://no-such-host.invalid"))
        self.refused(house, capsys, 69, "Home Assistant at http://no-such-host.invalid")

    @pytest.mark.parametrize(
        ("option", "says"),
        [("url", "nesgw backfill needs [homeassistant] url"), ("token_file", "needs [homeassistant] token_file")],
    )
    def test_an_option_that_is_not_there(
        self, house: House, capsys: pytest.CaptureFixture[str], option: str, says: str
    ) -> None:
        lines = house.config.read_text().splitlines(keepends=True)
        house.config.write_text("".join(line for line in lines if not line.startswith(f"{option} =")))
        self.refused(house, capsys, 78, says)

    def test_a_clock_of_home_assistant_that_is_wrong(
        self, house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "WORST_CLOCK", -1.0)  # its Date is in whole seconds: never that exact
        self.refused(house, capsys, 69, "this machine's: set the one that is wrong")

    def test_another_history(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        a_hole(house)
        house.fake.rows[house.hour(5)] = (house.register(house.hour(0)) + 5, 0.0)
        self.refused(house, capsys, 69, "more than the meter's")


def test_a_clock_of_the_meter_that_is_wrong(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with PtyLine(SimulatedMeter("83331-3i", clock_error=340.0), baud=None) as line:
        config = house.config.read_text()
        before = next(each for each in config.splitlines() if each.startswith("port"))
        house.config.write_text(config.replace(before, f'port = "{line.path}"'))
        assert house.run("--yes") == 69
    assert "s ahead, so that its hours are not Home Assistant's" in capsys.readouterr().err


def test_without_the_library_it_says_which_package_has_it(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "websockets"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "nesgw.commands.backfill.home_assistant")
    monkeypatch.setitem(sys.modules, "websockets", None)
    assert house.run() == 69
    assert capsys.readouterr().err == (
        "nesgw: nesgw backfill needs the Python library websockets, which is not installed: "
        "sudo apt install python3-websockets\n"
    )


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (["--from", "soon"], "--from: 'soon' is no time"),
        (["--from", "-1d", "--to", "-2d"], "--from -1d is not before --to -2d"),
        (["--to", "-3x"], "--to: '-3x' is no time"),
    ],
)
def test_a_mistake_in_a_time_is_64_and_one_line(
    capsys: pytest.CaptureFixture[str], times: list[str], says: str
) -> None:
    assert main(["backfill", *times]) == 64
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1


def test_the_rest_of_nesgw_does_not_load_the_library() -> None:
    import subprocess

    loaded = "import sys, nesgw.gateway.daemon, nesgw.commands.run; print('websockets' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True) == "False\n"
