"""The commands and the daemon over the MEP port, as a user runs them: a simulated port on a pseudo terminal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nesgw.commands import main
from nesgw.simulator import DEFAULT_KEY, MepPort, PtyLine, SimulatedMeter
from nesgw.simulator.dump import read_dump
from nesgw.tables import extent
from tests.commands.test_reader import Daemon

KEY = DEFAULT_KEY.decode()


@pytest.fixture
def line() -> Iterator[PtyLine]:
    with PtyLine(MepPort(SimulatedMeter("83331-3i")), baud=None) as line:
        yield line


@pytest.fixture
def options(line: PtyLine, tmp_path: Path) -> list[str]:
    return ["--port", line.path, "--key-file", key_file(tmp_path, KEY), "--interface", "mep"]


def key_file(folder: Path, key: str) -> str:
    path = folder / "key"
    path.touch(0o600)
    path.write_text(key)
    return str(path)


class TestWithoutADaemon:
    def test_read_gives_the_state_object_and_the_raw_tables(
        self, options: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["read", "--json", *options]) == 0
        state = json.loads(capsys.readouterr().out)
        assert (state["id"], state["model"]) == ("4080123456", "83331-3I")
        assert state["energy_import"] > 0
        assert main(["read", "--raw", *options]) == 0
        assert {line.split()[0].rstrip(":") for line in capsys.readouterr().out.splitlines()} >= {"BT23", "BT28"}

    def test_everything_events_and_history(self, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--all", *options]) == 0
        text = capsys.readouterr().out
        assert "Tariff in force" in text
        assert "the meter keeps them to itself" in text, "the alarms"
        assert main(["read", "--events", "2", *options]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert main(["history", "--from", "-1h", "--csv", *options]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 5

    def test_a_key_of_16_characters_is_the_same_key_without_its_end(
        self, line: PtyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        short = key_file(tmp_path, KEY[:16])
        assert main(["read", "--json", "--port", line.path, "--key-file", short, "--interface", "mep"]) == 0
        assert json.loads(capsys.readouterr().out)["id"] == "4080123456"
        assert main(["read", "--port", line.path, "--key-file", short]) == 78, "at the optical port it is none"

    def test_a_refused_key_is_77_and_says_how_it_was_understood(
        self, line: PtyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = key_file(tmp_path, "30313233343536373839616263646566")
        assert main(["read", "--port", line.path, "--key-file", wrong, "--interface", "mep"]) == 77
        said = capsys.readouterr().err
        assert "it was taken as 32 hex digits" in said
        assert "0123456789abcdef" not in said

    def test_an_interface_goes_with_a_port(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--interface", "mep"]) == 64
        assert "--interface goes with --port" in capsys.readouterr().err


class TestDump:
    """Of a few tables: of all it would take the minute that the guide's pace makes it last."""

    @pytest.fixture(autouse=True)
    def few_tables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        few = {"BT00", "BT01", "ET03", "BT20", "BT21"}
        monkeypatch.setattr(extent, "CATALOGUE", {name: size for name, size in extent.CATALOGUE.items() if name in few})

    def test_it_shows_the_first_minute_on_the_line_without_digests_and_tables(
        self, options: list[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "dump.json"
        assert main(["dump", *options, str(path)]) == 0
        content = json.loads(path.read_text())
        lines = [line.split(" ", 1)[1] for line in content["first_minute"]]
        assert lines[0] == "Enable on"
        assert lines[1] == "> 00143f0000000000000100000001 +8", "BT00, one byte: the first number is 1"
        assert lines[2].startswith("< 000d0c"), "the meter's own number"
        assert lines[-1] == "Enable off"
        assert any("digests" in what for what in content["left_out"])
        shown = "".join(content["first_minute"])
        for secret in ("4080123456", KEY):
            assert secret.encode().hex() not in shown
        assert set(read_dump(path.read_text())) == {0, 1, 2048 + 3, 20, 21}, "and it is played back as before"

    def test_beside_the_daemon_there_is_none_and_it_says_how_to_get_one(
        self, line: PtyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "dump.json"
        with on_mep(line, tmp_path) as daemon, daemon.running():
            assert main(["dump", "--config", str(daemon.config), str(path)]) == 0
        assert "first_minute" not in json.loads(path.read_text())
        assert "sudo systemctl stop nesgw" in capsys.readouterr().err


@contextmanager
def on_mep(line: PtyLine, folder: Path) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk:
        path = folder / "config.toml"
        path.touch(0o600)
        path.write_text(
            f'[[meter]]\nname = "house"\ninterface = "mep"\nport = "{line.path}"\nkey_file = '
            f'"{key_file(folder, KEY)}"\npoll_interval = "2s"\n'
            f'[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
        )
        yield Daemon(line, Path(ram_disk, "house"), path)


class TestBesideTheDaemon:
    @pytest.fixture
    def daemon(self, line: PtyLine, tmp_path: Path) -> Iterator[Daemon]:
        with on_mep(line, tmp_path) as daemon:
            yield daemon

    def test_each_command_is_served_between_the_polls(
        self, daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = ["--config", str(daemon.config)]
        with daemon.running():
            (tmp_path / "key").chmod(0o666)  # a command that looked for the key would say so
            assert main(["read", "--json", *config]) == 0
            assert json.loads(capsys.readouterr().out)["id"] == "4080123456"
            assert main(["read", "--events", "2", *config]) == 0
            assert len(capsys.readouterr().out.splitlines()) == 3
            assert main(["history", "--from", "-1h", "--csv", *config]) == 0
            assert len(capsys.readouterr().out.splitlines()) == 5
            status = json.loads((daemon.folder / "status.json").read_text())
        assert status["failures"] == {}
        assert status["session_reason"] == "this port knows no sessions"


def test_align_says_that_it_is_for_the_optical_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    path.write_text(f'[[meter]]\nname = "house"\ninterface = "mep"\nport = "/dev/none"\nkey = "{KEY}"\n')
    assert main(["align", "--config", str(path)]) == 64
    said = capsys.readouterr().err
    assert "it is for the optical port" in said
    assert "nesgw doctor" in said
