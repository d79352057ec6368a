"""The commands as a user types them: what they print, and how they exit."""

from __future__ import annotations

import codecs
import json
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from nesgw import commands as cli
from nesgw.commands import COMMANDS, main
from nesgw.commands.demo.command import fitted
from nesgw.commands.terminal.screen import plain
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.commands.setup.person import Person

KEY = DEFAULT_KEY.decode()
WRONG = "0123456789abcdefghij"


@pytest.fixture
def line() -> Iterator[Any]:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Any]:
    """Write a configuration for a port and return its path."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk:

        def write(port: Any, key: Any = KEY, more: str = "") -> str:
            path = tmp_path / "config.toml"
            path.touch(0o600)
            path.write_text(
                f'[[meter]]\nname = "house"\nlabel = "House"\nport = "{port}"\nkey = "{key}"\n{more}'
                f'[cache]\ndirectory = "{ram_disk}"\n'
            )
            cast(Any, write).ram_disk = Path(ram_disk)
            return str(path)

        yield write


def nesgw(*arguments: Any, folder: Any = None) -> Any:
    command = [sys.executable, "-P", "-m", "nesgw", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


class TestUsage:
    def test_the_version(self) -> None:
        from nesgw import __version__

        done = nesgw("--version")
        assert (done.returncode, done.stdout) == (0, f"nesgw {__version__}\n")

    @pytest.mark.parametrize("arguments", [["--help"], []])
    def test_the_help_names_every_command_and_is_what_nesgw_alone_prints(self, arguments: list[str]) -> None:
        done = nesgw(*arguments)
        assert done.returncode == 0
        assert all(f"    {command}" in done.stdout for command in COMMANDS)

    @pytest.mark.parametrize(
        "arguments", [["reed"], ["read", "--events", "abc"], ["read", "--jsonn"], ["simulate", "--baud", "fast"]]
    )
    def test_wrong_usage_is_64_and_says_where_help_is(self, arguments: list[Any] | list[str]) -> None:
        done = nesgw(*arguments)
        assert done.returncode == 64
        assert "--help" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ["read", "--port", "/dev/none", "--key", KEY],
            ["read", "--port", "/dev/none", f"--key={KEY}"],
            ["read", "--port", "/dev/none", "--key-file", KEY],
            ["read", "--port", KEY, "--key-file", "/none"],
            ["read", KEY],
            ["--key", KEY, "read"],
            ["dump", "--key", KEY],
            [KEY],
        ],
    )
    def test_a_key_on_the_command_line_is_refused_and_not_repeated(self, arguments: list[Any] | list[str]) -> None:
        done = nesgw(*arguments)
        assert done.returncode in (64, 78)
        assert KEY not in done.stdout + done.stderr

    @pytest.mark.parametrize("word", ["--\x1b[31mred", "--\x9b2Jclear", "\x1b]0;title\a", "--\u202etxet"])
    def test_what_steers_a_terminal_is_not_repeated_as_it_is(self, word: str) -> None:
        done = nesgw("check-config", word)
        assert done.returncode == 64
        assert done.stderr.strip().isprintable()

    def test_a_key_in_the_place_of_its_file_is_called_so(self) -> None:
        done = nesgw("read", "--port", "/dev/none", "--key-file", KEY)
        assert "this is the key itself: write it into a file that only you can read" in done.stderr

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_explains_itself(self, command: Any) -> None:
        done = nesgw(command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: nesgw {command}")

    def test_a_command_is_started_without_the_other_ones(self) -> None:
        code = "import sys; from nesgw.commands import main; main(['run', '--config', '/none']); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        loaded = {name for name in done.stdout.split() if name.startswith("nesgw.commands.")}
        assert loaded - {"nesgw.commands.terminal"} == {
            "nesgw.commands.run",
            "nesgw.commands.check_config",
            "nesgw.commands.terminal.screen",
        }
        assert done.stderr.startswith("nesgw: /none: ")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_wrong_usage_is_told_alike_whether_the_other_commands_are_known_or_not(
        self, command: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = []
        for commands in ([command], COMMANDS):
            with pytest.raises(SystemExit):
                cli.parser(commands).parse_args([command, "--no-such-option"])
            said.append(capsys.readouterr().err)
        assert said[0] == said[1] != ""


class TestRead:
    def test_a_table_with_the_meter_and_its_values(
        self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["read", "--config", configured(line.path)]) == 0
        page = capsys.readouterr().out
        assert "House: ELON 83331-3I, serial number 4080123456, firmware 3.84.06" in page
        energy = line.meter.truth().summations[0] / 1000
        assert f"  Energy import                   {energy:,.3f} kWh".replace(",", " ")[:48] in page
        assert "                                  L1           L2           L3" in page

    def test_json_is_the_state_object(self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--config", configured(line.path), "--json"]) == 0
        state = json.loads(capsys.readouterr().out)
        assert state["energy_export"] == 0.201
        assert next(iter(state)) == "time"

    def test_raw_is_the_tables_in_hex(self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--config", configured(line.path), "--raw"]) == 0
        bt23, bt28 = capsys.readouterr().out.splitlines()
        assert bt23.startswith("BT23 ")
        assert bytes.fromhex(bt23[5:])[4:8] == (201).to_bytes(4, "little")
        assert len(bytes.fromhex(bt28[5:])) == 220

    def test_port_and_key_file_do_without_a_configuration(
        self, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        key = tmp_path / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        assert main(["read", "--port", line.path, "--key-file", str(key), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["energy_import"] > 100_000

    def test_port_without_key_file_is_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--port", "/dev/null"]) == 64
        assert capsys.readouterr().err == "nesgw: --port and --key-file go together; see: nesgw read --help\n"

    @pytest.mark.parametrize("command", [["read"], ["history", "--from", "-1d"], ["dump"]])
    @pytest.mark.parametrize(
        ("option", "sentence"),
        [
            ("--meter", "--meter is for the configuration, which --port does without"),
            ("--config", "--port does without a configuration: give it or --config"),
        ],
    )
    def test_a_port_and_what_is_of_the_configuration_contradict_each_other(
        self, command: list[str], option: str, sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--port", "/dev/null", "--key-file", "key", option, "house"]) == 64
        assert sentence in capsys.readouterr().err

    def test_a_wrong_key_is_77_and_one_line_without_the_key(
        self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["read", "--config", configured(line.path, key=WRONG)]) == 77
        said = capsys.readouterr().err
        assert said == (
            "nesgw: the meter refused the key: it answered Security with err (refused without a reason): compare the "
            "key with the utility's letter: it must be the optical read-only key of this very meter; do not try the "
            "same key again, for a meter counts wrong keys, raises an alarm, and may lock its port\n"
        )
        assert line.meter.counters.wrong_keys == 1

    def test_a_missing_port_is_69_and_one_line(self, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["read", "--config", configured("/dev/nes-ir-probe")]) == 69
        said = capsys.readouterr().err
        assert said.startswith("nesgw: /dev/nes-ir-probe: no such device: plug the probe in")
        assert len(said.splitlines()) == 1

    def test_a_silent_port_is_69_and_one_line(self, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
        silent, device = pty.openpty()
        try:
            assert main(["read", "--config", configured(os.ttyname(device))]) == 69
        finally:
            os.close(silent)
            os.close(device)
        said = capsys.readouterr().err
        assert "the meter does not answer (Identify was sent 4 times): seat the probe squarely" in said
        assert len(said.splitlines()) == 1

    def test_garbage_from_the_probe_is_69_and_one_line(
        self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line.meter.faults.noise(corrupt=0.6)
        assert main(["read", "--config", configured(line.path)]) == 69
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert "nesgw align" in said

    def test_while_another_program_holds_the_port_the_daemons_reading_is_shown(
        self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = configured(line.path)
        daemon = subprocess.Popen([sys.executable, "-m", "nesgw", "run", "--config", config], stderr=subprocess.DEVNULL)
        try:
            from tests.broker_fixtures import eventually

            eventually(lambda: (configured.ram_disk / "house/reading.json").exists(), "a reading")
            # The port is held while a session lasts, and given back between two polls of the daemon only at its end.
            assert main(["read", "--config", config]) == 0
            shown = capsys.readouterr()
            assert "Energy import" in shown.out
            assert "its latest reading" in shown.err
            assert main(["read", "--config", config, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["energy_export"] == 0.201
            assert main(["read", "--config", config, "--raw"]) == 0
            assert capsys.readouterr().out.startswith("BT23 ")
        finally:
            daemon.terminate()
            daemon.wait(10)

    def test_what_stays_suspect_is_not_shown_and_it_is_said_why(
        self, line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = configured(line.path)
        line.meter.faults.flip(28, 11 * 4 + 2, 0x40, count=100)  # the frequency: 4,244 Hz
        assert main(["read", "--config", config, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["frequency"] is None
        line.meter.faults.clear()
        line.meter.faults.flip(28, 3, 0x7F, count=100)  # the power imported: two million kilowatts
        assert main(["read", "--config", config, "--json"]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["power_import"] is None
        assert json.loads(shown.out)["energy_export"] == 0.201
        assert "not shown, because it is not possible: power" in shown.err

    def test_several_meters_need_a_name(self, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
        more = f'[[meter]]\nname = "barn"\nport = "/dev/b"\nkey = "{KEY}"\n'
        config = configured("/dev/a", more=more)
        assert main(["read", "--config", config]) == 78
        assert "name one with --meter (house, barn)" in capsys.readouterr().err
        assert main(["read", "--config", config, "--meter", "shed"]) == 78
        assert "it has house, barn" in capsys.readouterr().err


class TestSimulate:
    def test_it_prints_a_device_that_can_be_read(self, tmp_path: Path) -> None:
        link = tmp_path / "meter"
        simulated = subprocess.Popen(
            [sys.executable, "-m", "nesgw", "simulate", "--no-pacing", "--profile", "gen4-4.30", "--link", str(link)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert simulated.stdout.readline() == f"{link}\n"
            key = tmp_path / "key"
            key.write_text(KEY)
            key.chmod(0o600)
            done = nesgw("read", "--port", str(link), "--key-file", str(key))
            assert done.returncode == 0
            assert "firmware 4.30" in done.stdout
            assert "Voltage angle L1-L2" in done.stdout
        finally:
            simulated.terminate()
            assert simulated.wait(10) == 0
            simulated.stdout.close()
        assert not link.exists()

    @pytest.mark.parametrize("interface", ["optical", "mep"])
    def test_it_prints_the_command_that_reads_it(self, interface: str, tmp_path: Path) -> None:
        link = tmp_path / "my meter"
        simulated = subprocess.Popen(
            [sys.executable, "-m", "nesgw", "simulate", "--no-pacing", "--interface", interface, "--link", str(link)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert simulated.stdout.readline() == f"{link}\n"
            command = simulated.stdout.readline()
            shell = f"nesgw() {{ '{sys.executable}' -m nesgw \"$@\"; }}; {command}"
            done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, cwd=tmp_path, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert "serial number 4080123456" in done.stdout
        finally:
            simulated.terminate()
            assert simulated.wait(10) == 0
            simulated.stdout.close()

    def test_a_link_that_would_destroy_a_file_is_refused_in_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "diary").write_text("dear diary")
        assert main(["simulate", "--link", str(tmp_path / "diary")]) == 69
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert (tmp_path / "diary").read_text() == "dear diary"


class TestDemo:
    def test_it_shows_live_values_and_leaves_nothing_behind(self) -> None:
        before = set(Path("/dev/shm").iterdir())
        done = nesgw("demo", "--readings", "2")
        assert done.returncode == 0
        assert done.stderr == ""
        assert done.stdout.count("energy import 115 921.") == 2
        until = time.monotonic() + 30  # another demonstration may run beside this one
        while (left := set(Path("/dev/shm").glob("nesgw-demo*")) - before) and time.monotonic() < until:
            time.sleep(0.2)
        assert not left

    def test_beside_a_clone_of_nesgw_it_runs_all_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "nesgw").mkdir()
        done = nesgw("demo", "--readings", "1", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("mistake", [["demo", "--readings", "0"], ["simulate", "--baud", "0"]])
    def test_a_number_that_makes_no_sense_is_wrong_usage(
        self, mistake: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(mistake)
        assert ended.value.code == 64
        assert "'0' is not a whole number from 1 on" in capsys.readouterr().err

    def test_in_a_low_window_the_end_of_the_page_is_left_out(self) -> None:
        page = ["House", "", "Energy", "  1 kWh", "Power"]
        assert fitted(page, 5) == page
        assert fitted(page, 4) == ["House", "", "Energy", "… and 2 lines more in a taller window"]

    def test_without_mosquitto_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)
        assert main(["demo"]) == 69
        assert capsys.readouterr().err.strip().endswith("mosquitto is not installed: sudo apt install mosquitto")


class TestWhereTheOutputGoes:
    def test_a_full_disk_is_74_and_one_line(self, configured: Any) -> None:
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "nesgw", "check-config", "--config", configured("/dev/null")]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (
            74,
            "nesgw: the output: No space left on device: make room there, or write to another place\n",
        )

    def test_the_help_gets_no_traceback_there_either(self) -> None:
        """Some versions of argparse say nothing of it, others leave it to us."""
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "nesgw", "--help"]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.returncode in (0, 74)
        assert len(done.stderr.splitlines()) <= 1

    def test_a_terminal_without_our_signs_gets_others_for_them(self) -> None:
        codecs.register_error("plain", plain)
        assert "[██░░] ● × e · → 3 – 4 …".encode("ascii", "plain") == b"[##..] o x e . -> 3 - 4 ..."
        assert "ß×".encode("ascii", "plain") == b"?x"

    @pytest.mark.parametrize("command", ["setup", "forget"])
    def test_a_closed_input_is_one_in_which_nobody_answers(self, command: str, tmp_path: Path) -> None:
        shell = f"{sys.executable} -P -m nesgw {command} --config {tmp_path}/none.toml <&-"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (64, 78)
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_closed_output_is_no_failure(self, configured: Any) -> None:
        command = [sys.executable, "-m", "nesgw", "check-config", "--config", configured("/dev/null")]
        done = subprocess.run(
            ["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_defect_is_70_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from nesgw.commands import check_config

    monkeypatch.setattr(check_config, "run", lambda options: 1 / 0)
    assert main(["check-config"]) == 70
    assert "this is a defect in nesgw" in capsys.readouterr().err


class TestWhatAnOwnerTriesFirst:
    @pytest.mark.parametrize("words", [[], ["help"]])
    def test_without_a_command_there_is_the_help(self, words: list[str]) -> None:
        done = nesgw(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: nesgw ")

    def test_the_short_option_for_the_version(self) -> None:
        assert nesgw("-V").stdout.startswith("nesgw ")

    @pytest.mark.parametrize(
        ("word", "said"), [("raed", "raed is no command; did you mean read?"), ("zzz", "zzz is no command; see:")]
    )
    def test_a_command_that_is_none_is_answered_with_the_nearest(self, word: str, said: str) -> None:
        done = nesgw(word)
        assert done.returncode == 64
        assert said in done.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["align", "--baud", "9600"], "nesgw align: unknown option --baud; see: nesgw align --help\n"),
            (["read", "it", "now"], "nesgw read: more words than the command takes; see: nesgw read --help\n"),
            (["--json"], "nesgw: a command is needed, in front of its options; see: nesgw --help\n"),
        ],
    )
    def test_what_a_command_does_not_take_leads_to_the_help_of_that_command(
        self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert (ended.value.code, capsys.readouterr().err) == (64, said)

    @pytest.mark.parametrize("option", ["--key", "--mqtt-password", "--token"])
    def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
        self, option: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(["setup", option, "correct-horse"])
        said = capsys.readouterr().err
        assert "no secret is given on the command line" in said
        assert "horse" not in said

    @pytest.mark.parametrize("command", ["read", "history", "dump", "doctor", "align"])
    @pytest.mark.parametrize("other", [("--config", "/nope.toml"), ("--meter", "house")])
    def test_what_the_port_would_silently_leave_out_is_refused(
        self, command: str, other: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        key = tmp_path / "key"
        key.touch(0o600)
        key.write_text(KEY)
        words = [command, "--port", "/dev/null", *(() if command == "align" else ("--key-file", str(key))), *other]
        words += ["--from", "-1h"] if command == "history" else []
        assert main(words) == 64
        assert "--port does without" in capsys.readouterr().err

    def test_the_help_says_what_each_simulated_meter_is(self) -> None:
        text = " ".join(nesgw("simulate", "--help").stdout.split())
        assert "ct, firmware 3.84 behind current transformers 200:5" in text

    def test_a_message_that_is_wider_than_the_terminal_breaks_between_words(self) -> None:
        words = [sys.executable, "-P", "-m", "nesgw", "check-config", "--config", "/nope.toml"]
        with Person(words, columns=60) as person:
            assert person.ends() == 78
        lines = [line for line in person.raw.splitlines() if line]
        assert len(lines) > 1
        assert all(len(line) <= 60 for line in lines[1:] if " " in line)
        assert " ".join(line.strip() for line in lines) == nesgw(*words[4:]).stderr.strip()
