"""nesgw align as a person uses it: on a pseudo terminal in front of a simulated meter."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.commands.align import command as align
from nesgw.commands.align.command import picture
from nesgw.commands.align.judge import Window
from nesgw.commands.terminal.screen import Paint
from nesgw.optical.line_test import Attempt
from nesgw.ports.serial_port import open_port
from nesgw.simulator import PtyLine, SimulatedMeter

SWAPPED = "transmitter and receiver are swapped: turn it by 180°"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "_PERIOD", 0.1)


@pytest.fixture
def line() -> Iterator[Any]:
    with PtyLine(SimulatedMeter("83331-3i")) as line:
        yield line


def test_a_good_seat_is_0_with_a_line_a_beat_and_a_summary(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", "--port", line.path, "--count", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "   1  answered",
        "   2  answered",
        "   3  answered",
        "   4  answered",
        "good: answered 4 of 4, NAK 0, CRC errors 0, echo 0, noise 0 bytes",
        "the probe sits well: fix the cable so that it does not pull, done",
    ]


def test_only_echo_is_69_and_says_what_to_turn(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line.meter.faults.deaf()
    line.meter.faults.echo()
    assert main(["align", "--port", line.path, "--count", "4"]) == 69
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "   1  echo, echo 1"
    assert said[4].startswith("only echo: answered 0 of 4, NAK 0, CRC errors 0, echo 4")
    assert said[5] == SWAPPED


def test_noise_is_told_and_no_reason_to_turn_the_probe_round(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line.meter.faults.flood(60, rate=30)
    main(["align", "--port", line.path, "--count", "4"])
    said = capsys.readouterr().out
    assert re.search(r"noise bytes \d", said)
    assert "bytes come with the probe idle: shade it" in said
    assert SWAPPED not in said


def test_a_held_port_is_one_sentence_that_says_what_to_stop(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon = open_port(line.path)
    try:
        assert main(["align", "--port", line.path]) == 69
    finally:
        daemon.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "in use by" in said.err
    assert "sudo systemctl stop nesgw" in said.err


def test_the_port_comes_from_a_configuration_that_still_lacks_the_key(
    line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[[meter]]\nname = "house"\nport = "{line.path}"\n')
    assert main(["align", "--config", str(config), "--count", "4"]) == 0
    assert "good: answered 4 of 4" in capsys.readouterr().out


def test_beats_that_are_too_few_to_judge_by_are_said_to_be(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", "--port", line.path, "--count", "3"]) == 69
    said = capsys.readouterr().out.splitlines()
    assert said[3:] == [
        "too few attempts to judge by, 4 are needed: answered 3 of 3, NAK 0, CRC errors 0, echo 0, noise 0 bytes"
    ]


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A default configuration as in /etc/nesgw, which only root and the service may enter; this one not even root."""
    config = str(tmp_path / ("x" * 300))
    monkeypatch.setattr("nesgw.commands.align.command.CONFIG_FILE", config)
    return config


def test_without_a_configuration_that_one_may_read_the_only_probe_is_asked(
    unreadable: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["align", "--config", unreadable]) == 69
    assert capsys.readouterr().err.startswith('nesgw: port = "auto" finds no USB serial device')


def test_whoever_names_a_meter_of_it_or_another_file_is_told_that_it_cannot_be_read(
    unreadable: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["align", "--config", unreadable, "--meter", "house"]) == 78
    assert capsys.readouterr().err == f"nesgw: {unreadable}: cannot be read: File name too long\n"
    assert main(["align", "--config", unreadable + "y"]) == 78


def test_another_device_is_named_and_nobody_is_told_to_turn_it(capsys: pytest.CaptureFixture[str]) -> None:
    far, near = os.openpty()
    tty.setraw(near)
    sending = threading.Event()

    def receiver() -> None:
        while not sending.wait(0.1):
            os.write(far, b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n")

    thread = threading.Thread(target=receiver)
    thread.start()
    try:
        assert main(["align", "--port", os.ttyname(near), "--count", "4"]) == 69
    finally:
        sending.set()
        thread.join()
        os.close(near)
        os.close(far)
    said = capsys.readouterr().out.splitlines()
    assert said[4].startswith("not a meter: answered 0 of 4")
    assert said[5].startswith("a GPS receiver (NMEA) is on this port: set port to the one that is the probe")
    assert "turn" not in "".join(said)


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none_is_wrong_usage(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["align", "--count", count])
    assert ended.value.code == 64
    assert "--count" in capsys.readouterr().err


class TestPicture:
    def test_the_bar_the_row_the_counts_and_the_advice(self) -> None:
        window = Window()
        for beat in [Attempt(answered=True)] * 10 + [Attempt(answered=False)] * 9 + [Attempt(answered=False, echoes=1)]:
            window.add(beat)
        lines = picture(window, 80, Paint(sys.stdout))
        assert lines[0] == f"  [{'█' * 33}{'░' * 33}]   50%"
        assert lines[2] == "  " + " ".join("●" * 10 + "·" * 9 + "e")
        assert lines[3] == "  answered 10 of 20, NAK 0, CRC errors 0, echo 1, noise 0 bytes"
        assert lines[5].startswith("  → light is weak or slanted")

    @pytest.mark.parametrize("width", [200, 80, 40, 24])
    def test_no_line_is_wider_than_the_terminal(self, width: int) -> None:
        window = Window()
        for _ in range(20):
            window.add(Attempt(answered=False, noise=1))
        assert max(map(len, picture(window, width, Paint(sys.stdout)))) <= width

    def test_a_pulled_cable_takes_the_place_of_the_advice(self) -> None:
        lines = picture(Window(), 80, Paint(sys.stdout), "/dev/ttyUSB0: the probe was unplugged")
        assert "  → /dev/ttyUSB0: the probe was unplugged" in lines


class Terminal:
    """A person in front of nesgw align."""

    def __init__(self, *arguments: Any) -> None:
        self._screen, terminal = pty.openpty()
        command = [sys.executable, "-m", "nesgw", "align", *arguments]
        self.process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        self.text = ""

    def see(self, pattern: Any, timeout: int = 15) -> None:
        """Look until the text shows what is wanted."""
        end = time.monotonic() + timeout
        while not re.search(pattern, self.text):
            assert select.select([self._screen], [], [], max(0, end - time.monotonic()))[0], self.text
            try:
                self.text += os.read(self._screen, 65536).decode()
            except OSError:
                assert re.search(pattern, self.text), self.text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


def test_ctrl_c_ends_the_live_bar_with_a_summary_and_gives_the_cursor_back(line: Any) -> None:
    person = Terminal("--port", line.path)
    try:
        person.see("answered 4 of 4")
        assert "█" in person.text
        person.process.send_signal(signal.SIGINT)
        person.see(r"good: answered \d+ of \d+")
        assert person.process.wait(5) == 0
    finally:
        person.close()
    assert "Traceback" not in person.text
    assert person.text.count("\x1b[?25l") == person.text.count("\x1b[?25h") == 1


def test_a_cable_that_is_pulled_while_turning_is_told_and_taken_up_again(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    with PtyLine(SimulatedMeter("83331-3i"), link=probe):
        person = Terminal("--port", str(probe))
        try:
            person.see("answered 1 of 1")
        except BaseException:
            person.close()
            raise
    try:
        person.see("unplugged|no such device")
        with PtyLine(SimulatedMeter("83331-3i"), link=probe):
            before = len(person.text)
            person.see("answered [3-9] of")
            assert len(person.text) > before
    finally:
        person.close()
