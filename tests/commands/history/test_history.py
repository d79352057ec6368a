"""nesgw history: times as people write them, rows in three forms, going on, and the command itself."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from nesgw.commands import main
from nesgw.commands.history.rows import Row, kept_set, rows
from nesgw.commands.history.sheet import sheet
from nesgw.commands.history.sink import go_on
from nesgw.commands.history.sums import Sum, Sums, begin_of
from nesgw.commands.terminal.times import moment
from nesgw.errors import NoLoadProfile, PortBusy, WrongUsage
from nesgw.meter.profile import identify
from nesgw.meter.queries.load_profile import KeptProfile
from nesgw.meter.reader import run
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from nesgw.tables.installation import Installation
from nesgw.tables.load_profile import Interval, ProfileSet, decode_channels
from nesgw.tables.register import Part
from nesgw.values import Firmware
from tests.broker_fixtures import eventually
from tests.virtual import line_to, meter_on, reader_on

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

CHANNELS = decode_channels((0, 1, 15), Firmware(3, 84), Installation())
KEPT = KeptProfile(ProfileSet(0, 30, 96, 3, QUARTER, Part("BT62", 62, 0, 10)), CHANNELS)
INTERVALS = (
    Interval(NOON, (), (115_921_000, 201, 229_500), (0, 0, 0)),
    Interval(NOON + QUARTER, (), (115_921_083, 201, 231_000), (0, 0, 0)),
    Interval(NOON + 2 * QUARTER, ("power_failure",), (115_921_100, None, 230_100), (0, 4, 0)),
)
HEADER = (
    "time,energy_import (kWh),energy_export (kWh),voltage_l1 (V),"
    "energy_import in the interval (kWh),energy_export in the interval (kWh),status\n"
)


@pytest.fixture
def warsaw(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Warsaw")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "means"),
        [
            ("2026-11-01", datetime(2026, 10, 31, 23, 0, tzinfo=UTC)),
            ("2026-07-01T10:00", datetime(2026, 7, 1, 8, 0, tzinfo=UTC)),
            ("2026-11-01 10:00", datetime(2026, 11, 1, 9, 0, tzinfo=UTC)),
            ("2026-11-01T10:00Z", datetime(2026, 11, 1, 10, 0, tzinfo=UTC)),
            ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, 0, tzinfo=UTC)),
            ("now", NOW),
            ("today", datetime(2026, 11, 19, 23, 0, tzinfo=UTC)),
            ("yesterday", datetime(2026, 11, 18, 23, 0, tzinfo=UTC)),
            ("-7d", NOW - timedelta(days=7)),
            ("-90m", NOW - timedelta(minutes=90)),
            ("-12h", NOW - timedelta(hours=12)),
            ("-2w", NOW - timedelta(weeks=2)),
        ],
    )
    def test_are_local_unless_they_say_otherwise(self, warsaw: Any, text: str, means: Any) -> None:
        assert moment(text, NOW) == means

    @pytest.mark.parametrize("text", ["", "tomorrow", "7d", "-7y", "2026-13-01", "10:00"])
    def test_anything_else_is_told_what_would_be_right(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no time; write 2026-11-01"):
            moment(text, NOW)


class TestRows:
    def test_csv_has_registers_units_what_was_counted_and_the_status(self) -> None:
        form = sheet(KEPT, "csv")
        assert form.header == HEADER
        assert [form.row(row) for row in rows(INTERVALS, KEPT)] == [
            "2026-11-19T12:00:00Z,115921.0,0.201,229.5,,,\n",
            "2026-11-19T12:15:00Z,115921.083,0.201,231.0,0.083,0.0,\n",
            "2026-11-19T12:30:00Z,115921.1,,230.1,0.017,,power_failure energy_export:skipped\n",
        ]

    def test_json_is_an_object_a_line(self) -> None:
        (row,) = rows(INTERVALS, KEPT, 2)
        text = sheet(KEPT, "json").row(row)
        assert text.endswith("}\n")
        assert json.loads(text) == {
            "time": "2026-11-19T12:30:00Z",
            "energy_import": 115_921.1,
            "energy_export": None,
            "voltage_l1": 230.1,
            "in_the_interval": {"energy_import": 0.017, "energy_export": None},
            "status": ["power_failure", "energy_export:skipped"],
        }

    def test_a_table_is_in_local_time_and_leaves_registers_out_where_there_is_no_room(self, warsaw: Any) -> None:
        wide, narrow = sheet(KEPT, "table", width=120), sheet(KEPT, "table", width=70)
        row = list(rows(INTERVALS, KEPT))[1]
        assert wide.row(row) == ("2026-11-19 13:15   115 921.083       0.083         0.201       0.000       231.000\n")
        assert narrow.row(row) == "2026-11-19 13:15       0.083       0.000       231.000\n"
        assert len(set(map(len, wide.header.splitlines()))) == 1
        assert wide.header.splitlines()[-2].split()[2:] == ["import", "counted", "export", "counted", "Voltage", "L1"]
        assert wide.header.splitlines()[-1].split() == ["local", "time", "kWh", "kWh", "kWh", "kWh", "V"]

    def test_nothing_is_counted_over_a_gap(self) -> None:
        gap = (INTERVALS[0], INTERVALS[2])
        assert list(rows(gap, KEPT))[1] == Row(INTERVALS[2], (None, None, None))

    @pytest.mark.parametrize(("width", "columns"), [(59, 2), (47, 2), (40, 1), (20, 1)])
    def test_a_table_on_a_phone_has_no_year_and_the_columns_that_fit(
        self, warsaw: Any, width: int, columns: int
    ) -> None:
        narrow = sheet(KEPT, "table", width=width)
        row = list(rows(INTERVALS, KEPT))[1]
        assert narrow.row(row).split() == ["11-19", "13:15", "0.083", "0.000"][: 2 + columns]
        assert all(len(line) < max(width, 30) for line in (narrow.header + narrow.row(row)).splitlines())

    def test_the_hour_that_comes_twice_is_told_apart(self, warsaw: Any) -> None:
        second = datetime(2026, 10, 25, 1, tzinfo=UTC)
        table = sheet(KEPT, "table", width=70)
        texts = [
            table.row(Row(Interval(end, (), (0, 0, 0), (0, 0, 0)), (None, None, None)))
            for end in (second - 4 * QUARTER, second, second + 4 * QUARTER)
        ]
        assert [text[:16] for text in texts] == ["2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 03:00"]
        assert [text.rstrip().rpartition("  ")[2] for text in texts] == ["CEST", "CET", "0.000"]

    def test_a_time_that_is_estimated_says_so(self, warsaw: Any) -> None:
        row = Row(Interval(NOON, ("time_estimated",), (0, 0, 0), (0, 0, 0)), (None, None, None))
        assert sheet(KEPT, "table", width=70).row(row).endswith("  time estimated\n")
        assert sheet(KEPT, "csv").row(row).endswith(",time_estimated\n")

    def test_a_danish_spreadsheet_gets_semicolons_decimal_commas_and_times_that_it_understands(self) -> None:
        form = sheet(KEPT, "csv", decimal_comma=True)
        assert form.header == HEADER.replace(",", ";").replace("time", "time (UTC)", 1)
        line = form.row(list(rows(INTERVALS, KEPT))[1])
        assert line == "2026-11-19 12:15:00;115921,083;0,201;231,0;0,083;0,0;\n"
        assert form.time(line) == datetime(2026, 11, 19, 12, 15, tzinfo=UTC), "to go on after it"

    def test_a_spreadsheet_is_told_which_of_two_hours_it_is(self, warsaw: Any) -> None:
        form = sheet(KEPT, "csv", span="hour", decimal_comma=True)
        twice = [datetime(2026, 10, 25, hour, tzinfo=UTC).astimezone() for hour in (0, 1)]
        assert [form.sum(Sum(begin, [29, 0, None])) for begin in twice] == [
            "2026-10-25 02:00:00;0,029;0,0;CEST\n",
            "2026-10-25 02:00:00;0,029;0,0;CET\n",
        ]

    def test_line_protocol_has_the_registers_at_the_meters_own_time(self) -> None:
        form = sheet(KEPT, "influx", meter="4080123456")
        assert form.header == ""
        assert [form.row(row) for row in rows(INTERVALS, KEPT)][1:] == [
            "nesgw,meter=4080123456 energy_import=115921.083,energy_export=0.201,voltage_l1=231.0 "
            "1795090500000000000\n",
            "nesgw,meter=4080123456 energy_import=115921.1,voltage_l1=230.1,"
            'status="power_failure energy_export:skipped" 1795091400000000000\n',
        ]


class TestSums:
    """A register of 1 Wh a quarter on 25 October, which has 25 hours in Warsaw."""

    MIDNIGHT = datetime(2026, 10, 24, 22, tzinfo=UTC)

    def intervals(self, first: Any, last: Any, leaving_out: Any = (), back_at: Any | None = None) -> Any:
        return [
            Interval(
                self.MIDNIGHT + number * QUARTER,
                (),
                (number - (500 if number == back_at else 0) + 1000, 0, 0),
                (0, 0, 0),
            )
            for number in range(first, last + 1)
            if number not in leaving_out
        ]

    def sums(self, span: Any, intervals: Any, since: Any | None = None) -> Any:
        adding = Sums(KEPT, span, since or intervals[0].end)
        spans = [*adding.add(intervals), *filter(None, [adding.rest()])]
        return [(f"{each.begin:%m-%d %H:%M %z}", each.raw[0], each.intervals, bool(each.incomplete)) for each in spans]

    def test_a_day_of_25_hours_has_100_quarters(self, warsaw: Any) -> None:
        assert self.sums("day", self.intervals(-96, 196)) == [
            ("10-24 00:00 +0200", 96, 96, False),
            ("10-25 00:00 +0200", 100, 100, False),
            ("10-26 00:00 +0100", 96, 96, False),
        ]

    def test_its_two_hours_from_two_oclock_are_two(self, warsaw: Any) -> None:
        assert self.sums("hour", self.intervals(8, 16)) == [
            ("10-25 02:00 +0200", 4, 4, False),
            ("10-25 02:00 +0100", 4, 4, False),
        ]

    def test_a_month_begins_at_local_midnight(self, warsaw: Any) -> None:
        days = 7 * 96 + 4  # from 24 October at midnight to the end of the 31st, with the 25 hours of the 25th
        assert self.sums("month", self.intervals(0, days + 96)) == [
            ("10-01 00:00 +0200", 676, 676, False),
            ("11-01 00:00 +0100", 96, 96, False),
        ]

    def test_a_gap_within_a_day_is_in_its_sum(self, warsaw: Any) -> None:
        assert self.sums("day", self.intervals(0, 100, leaving_out=range(20, 40))) == [
            ("10-25 00:00 +0200", 100, 80, False)
        ]

    def test_a_gap_over_midnight_is_nobodys(self, warsaw: Any) -> None:
        assert self.sums("day", self.intervals(0, 196, leaving_out=range(90, 110))) == [
            ("10-25 00:00 +0200", 89, 89, True),
            ("10-26 00:00 +0100", 86, 87, True),
        ]

    def test_a_register_that_fell_makes_no_sum_negative(self, warsaw: Any) -> None:
        ((_, raw, _, incomplete),) = self.sums("day", self.intervals(0, 60, back_at=30))
        assert (raw, incomplete) == (29 + 501 + 29, True)

    def test_is_written_by_its_day_or_month(self, warsaw: Any) -> None:
        adding = Sums(KEPT, "day", self.MIDNIGHT)
        list(adding.add(self.intervals(0, 100)))
        day = adding.rest()
        assert sheet(KEPT, "csv", span="day").header == (
            "day,energy_import in the day (kWh),energy_export in the day (kWh),status\n"
        )
        assert sheet(KEPT, "csv", span="day").sum(day) == "2026-10-25,0.1,0.0,\n"
        assert sheet(KEPT, "csv", span="month", decimal_comma=True).sum(day) == "2026-10;0,1;0,0;\n"
        assert sheet(KEPT, "table", span="day", width=70).sum(day).split() == ["2026-10-25", "0.100", "0.000"]
        assert json.loads(sheet(KEPT, "json", span="day").sum(day)) == {
            "from": "2026-10-24T22:00:00Z",
            "to": "2026-10-25T23:00:00Z",
            "intervals": 100,
            "counted": {"energy_import": 0.1, "energy_export": 0.0},
            "incomplete": [],
        }

    def test_begins_at_the_first_of_two_midnights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In Havana the clocks go back at one o'clock: midnight comes twice."""
        monkeypatch.setenv("TZ", "America/Havana")
        time.tzset()
        noon = datetime(2026, 11, 1, 17, tzinfo=UTC)
        assert begin_of(noon, "day").astimezone(UTC) == datetime(2026, 11, 1, 4, tzinfo=UTC)
        monkeypatch.undo()
        time.tzset()


class TestGoingOn:
    def file(self, tmp_path: Any, text: Any) -> Any:
        path = tmp_path / "rows"
        path.write_text(text)
        return path

    def test_after_the_last_whole_row_and_what_is_broken_off_is_cut(self, tmp_path: Path) -> None:
        row = "2026-11-19T12:15:00Z,115921.083,0.201,231.0,0.083,0.0,\n"
        path = self.file(tmp_path, f"{HEADER}{row}2026-11-19T12:3")
        assert go_on(path, sheet(KEPT, "csv")) == NOON + QUARTER
        assert path.read_text() == HEADER + row

    @pytest.mark.parametrize("text", ["", "time,energy_imp", HEADER])
    def test_a_file_that_has_just_begun_begins_anew(self, tmp_path: Path, text: Any) -> None:
        path = self.file(tmp_path, text)
        assert go_on(path, sheet(KEPT, "csv")) is None
        assert path.read_text() in ("", HEADER)

    @pytest.mark.parametrize("form", ["csv", "json"])
    @pytest.mark.parametrize("text", ["dear diary", "dear diary\nit rained\nand", HEADER.replace("kWh", "Wh"), "\n"])
    def test_a_file_of_something_else_is_left_alone(self, tmp_path: Path, form: Any, text: Any) -> None:
        path = self.file(tmp_path, text)
        with pytest.raises(WrongUsage, match="name another file"):
            go_on(path, sheet(KEPT, form))
        assert path.read_text() == text


class TestWhichSet:
    def kept(self, line: Any, wanted: Any | None = None) -> Any:
        with reader_on(line) as reader:
            return run(kept_set(run(identify(), reader), wanted), reader)

    def test_the_first_unless_another_is_named(self) -> None:
        line = line_to("gen4-4.30")
        assert self.kept(line).profile.number == 0
        third = self.kept(line, 3)
        assert [channel.key for channel in third.channels] == [
            "energy_import",
            "energy_export",
            "source_112",
            "source_113",
        ]

    def test_one_that_is_not_there_is_told_which_are(self) -> None:
        with pytest.raises(WrongUsage, match="no set 5 of channels; it has 1, 2, 3, 4"):
            self.kept(line_to("gen4-4.30"), 5)

    def test_the_primary_one_is_what_the_meter_says(self) -> None:
        line = line_to("gen4-4.30")
        line.meter.faults.flip(2048 + 55, 110, 0x01, count=1000)
        assert self.kept(line).profile.number == 1

    def test_a_meter_without_any(self) -> None:
        steps = kept_set(facts_of(line_to()), None)
        next(steps)
        with pytest.raises(NoLoadProfile, match="the meter keeps no load profile"):
            steps.send(bytes(31))


def facts_of(line: Any) -> Any:
    meter = meter_on(line)
    with meter.session(line.clock() + 60):
        return meter.facts()


class TestTheCommand:
    @pytest.fixture
    def line(self) -> Iterator[Any]:
        with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
            yield line

    @pytest.fixture
    def command(self, line: Any, tmp_path: Path) -> list[Any]:
        key = tmp_path / "key"
        key.write_text(DEFAULT_KEY.decode())
        key.chmod(0o600)
        return ["history", "--port", line.path, "--key-file", str(key)]

    def test_a_day_is_there_row_by_row_without_a_gap(self, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*command, "--from", "-1d"]) == 0
        header, *lines = capsys.readouterr().out.splitlines()
        assert header.startswith("time,energy_import (kWh),")
        times = [datetime.fromisoformat(line.split(",")[0]) for line in lines]
        assert len(times) in (95, 96)
        assert {later - earlier for earlier, later in pairwise(times)} == {QUARTER}
        assert all(line.split(",")[5] for line in lines), "the first one, too, says what was counted"

    def test_the_same_command_goes_on_with_its_file(
        self, command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "rows.csv"
        whole, part = [*command, "--from", "-1d", "--output", str(path)], "-12h"
        assert main([*whole, "--to", part]) == 0
        first = path.read_text()
        assert main(whole) == 0
        assert path.read_text().startswith(first)
        assert len(path.read_text().splitlines()) == len(set(path.read_text().splitlines())) > len(first.splitlines())
        out, err = capsys.readouterr()
        assert out == ""
        assert [line.split(" up to ")[0] for line in err.splitlines()] == [
            f"nesgw: {path}: {count} intervals" for count in (len(first.splitlines()) - 1, 48)
        ]
        assert main([*whole, "--to", part]) == 0
        assert capsys.readouterr() == ("", f"nesgw: the meter has no more intervals than {path} has of that time\n")

    @pytest.mark.parametrize(
        ("times", "says"),
        [
            (["--from", "soon"], "--from: 'soon' is no time"),
            (["--from", "2099-01-01"], "--from 2099-01-01 is not before --to now"),
            (["--from", "-1d", "--to", "-2d"], "--from -1d is not before --to -2d"),
            (["--from", "-999999w"], "--from: '-999999w' is further away than a calendar reaches"),
            (["--from", "0001-01-01"], "--from: '0001-01-01' is further away than a calendar reaches"),
            (["--from", "-3x"], "--from: '-3x' is no time; write 2026-11-01"),
            (["--from", "-1d", "--set", "7"], "the meter has no set 7 of channels; it has 1"),
            (["--from", "-1d", "--output", "/"], "/: Is a directory"),
        ],
    )
    def test_a_mistake_is_64_and_one_line(
        self, command: Any, capsys: pytest.CaptureFixture[str], times: list[str], says: str
    ) -> None:
        assert main([*command, *times]) == 64
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert says in err

    def test_a_file_that_finds_no_room_is_74_and_goes_on_later(
        self, command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "rows.csv"
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        try:
            assert main([*command, "--from", "-1d", "--output", str(path)]) == 74
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert capsys.readouterr().err.splitlines() == [
            f"nesgw: {path} is good so far; the same command goes on from there",
            f"nesgw: {path}: File too large: make room there, or write to another place",
        ]
        assert path.stat().st_size == 2000
        assert main([*command, "--from", "-1d", "--output", str(path)]) == 0
        assert len(path.read_text().splitlines()) in (96, 97)

    def test_times_of_which_the_meter_knows_nothing(self, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*command, "--from", "2001-01-01", "--to", "2001-01-02"]) == 0
        oldest = (datetime.now(UTC) - timedelta(days=29)).replace(hour=0, minute=0, second=0, microsecond=0)
        assert capsys.readouterr().err == (
            f"nesgw: the meter has no intervals of that time; it keeps {oldest.astimezone():%Y-%m-%d %H:%M} and later\n"
        )

    def test_times_of_which_it_knows_a_part(self, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*command, "--from", "-60d", "--to", "-28d"]) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") > 10
        assert re.fullmatch(r"nesgw: the meter keeps \S+ 00:00 and later; what was before is lost\n", err)

    @pytest.mark.parametrize("name", ["-", "/dev/stdout"])
    def test_output_to_stdout_by_name(
        self,
        command: Any,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main([*command, "--from", "-1h", "--output", name]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 5
        assert not (tmp_path / "-").exists()

    def test_output_that_takes_nothing_is_74_at_once(self, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*command, "--from", "-1d", "--output", "/dev/full"]) == 74
        assert capsys.readouterr().err.splitlines()[-1] == (
            "nesgw: /dev/full: No space left on device: make room there, or write to another place"
        )

    def test_sums_by_the_hour(self, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*command, "--from", "-3h", "--by", "hour", "--json"]) == 0
        spans = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(spans) in (3, 4)
        assert all(span["incomplete"] == [] for span in spans)

    @pytest.mark.parametrize(
        ("contradiction", "says"),
        [
            (["--decimal-comma", "--json"], "--decimal-comma is for CSV"),
            (["--by", "day", "--influx"], "--by and --influx"),
        ],
    )
    def test_options_that_contradict_each_other_are_64(
        self, command: Any, capsys: pytest.CaptureFixture[str], contradiction: list[str], says: str
    ) -> None:
        assert main([*command, "--from", "-1d", *contradiction]) == 64
        assert says in capsys.readouterr().err


class TestInterrupted:
    def test_it_ends_the_session_and_says_how_to_go_on(self, tmp_path: Path) -> None:
        """On a terminal, at the pace of 9600 baud; what is printed then is run, and goes on without a gap."""
        with PtyLine(SimulatedMeter("83331-3i")) as line:
            key = tmp_path / "key"
            key.write_text(DEFAULT_KEY.decode())
            key.chmod(0o600)
            place = ["--port", line.path, "--key-file", str(key)]
            command = [sys.executable, "-m", "nesgw", "history", "--from", "-20d", "--csv", *place]
            far, near = pty.openpty()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=near, text=True)
            os.close(near)
            seen = [process.stdout.readline().strip() for _ in range(3)]
            process.send_signal(signal.SIGINT)
            seen += process.communicate()[0].splitlines()
            shown = b""
            try:
                while piece := os.read(far, 4096):
                    shown += piece
            except OSError:
                pass
            os.close(far)
            assert process.wait(10) == 130
            assert cast(Any, line.meter).state.name == "BASE", "the meter's session was ended"
        text = shown.decode()
        assert "kB" in text
        assert " left" in text
        assert "Traceback" not in text
        (again,) = re.findall(r"to go on: nesgw history --from (\S+) --to \S+ --csv --port", text)
        assert seen[-1].startswith(again)

    def test_rows_that_nobody_takes_do_not_keep_the_port(self, tmp_path: Path) -> None:
        """As behind a pager: the pipe is full long before the last row."""
        with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
            key = tmp_path / "key"
            key.write_text(DEFAULT_KEY.decode())
            key.chmod(0o600)
            command = [sys.executable, "-m", "nesgw", "history", "--from", "-12d", "--port", line.path]
            with subprocess.Popen(
                [*command, "--key-file", str(key)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:

                def free() -> bool:
                    if not cast(Any, line.meter).counters.sessions:
                        return False
                    try:
                        open_port(line.path).close()
                    except PortBusy:
                        return False
                    return True

                eventually(free, "the port", 30)
                assert process.poll() is None, "it waits for its reader"
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
        assert process.returncode == 130
        last = out[: out.rfind(b"\n")].splitlines()[-1].split(b",")[0]
        assert b"to go on: nesgw history --from " + last in err
