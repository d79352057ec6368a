"""Log lines: readable in the journal, and never with a secret in them."""

from __future__ import annotations

import json
import os
import pty
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from nesgw.gateway import logs

KEY = b"a7941d85bce8a8fa2ab7"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_journal_line_has_priority_meter_sentence_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "journal")
    structlog.get_logger().bind(meter="house").warning("no answer", attempts=4)
    assert capsys.readouterr().err == "<4>house: no answer [attempts=4]\n"


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("warning", "journal")
    structlog.get_logger().info("nobody asked")
    assert capsys.readouterr().err == ""


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    structlog.get_logger().info("reading", power=2710)
    assert json.loads(capsys.readouterr().err)["power"] == 2710


@pytest.mark.parametrize("form", ["journal", "json", "console"])
@pytest.mark.parametrize(
    "leak",
    [KEY, KEY.decode(), KEY.hex(), KEY.hex(" "), " ".join(map(str, KEY)), ["in a list", KEY], ValueError(KEY.decode())],
)
def test_a_registered_secret_never_reaches_a_line_in_any_form(
    form: logs.Format, leak: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.keep_secret(KEY)
    logs.set_up("debug", form)
    log = structlog.get_logger()
    log.info(f"the key is {KEY.decode()}", leak=leak)
    try:
        raise RuntimeError(KEY.decode())
    except RuntimeError:
        log.exception("it happened")
    written = capsys.readouterr().err
    for secret in (KEY.decode(), KEY.hex(), KEY.hex(" "), " ".join(map(str, KEY))):
        assert secret not in written
    assert logs.MASK in written


@pytest.mark.parametrize("form", ["journal", "json", "console"])
def test_what_others_wrote_steers_no_terminal_and_forges_no_line(
    form: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", form)
    evil = "\x1b]0;x\x07\x1b[2J\x9b31m\u202e\rnesgw: all is well\n<3>forged" + "x" * 100_000
    structlog.get_logger().warning(f"another gateway is connected ({evil})", version=evil)
    written = capsys.readouterr().err
    assert not set(written) & {"\x1b", "\x07", "\x9b", "\u202e", "\r"}
    assert len(written) < 10_000
    if form != "console":  # where what follows a newline stands below the line, for people
        assert len(written.splitlines()) == 1


class TestWhatTheLogDoesNotTake:
    """The meters are read on: lines are lost, and that they are is said when there is a reader again."""

    @staticmethod
    def stream(descriptor: Any) -> Any:
        return os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)

    def test_a_full_disk_costs_the_line_and_nothing_else(self) -> None:
        stream = logs.LogStream(self.stream(os.open("/dev/full", os.O_WRONLY)))
        stream.write("lost\n")
        stream.write("lost too\n")
        assert stream._lost == 2

    def test_a_reader_that_is_gone_is_no_error(self) -> None:
        read, write = os.pipe()
        os.close(read)
        logs.LogStream(self.stream(write)).write("nobody reads this\n")

    def test_a_closed_stream_is_no_error(self) -> None:
        read, write = os.pipe()
        file = os.fdopen(write, "w")
        stream = logs.LogStream(file)
        file.close()
        os.close(read)
        stream.write("nobody reads this\n")

    def test_a_pipe_that_nobody_reads_is_waited_for_once_and_for_an_instant(self) -> None:
        read, write = os.pipe()
        stream = logs.LogStream(self.stream(write), "journal")
        began = time.monotonic()
        for number in range(2000):
            stream.write(f"<6>line {number} {'x' * 200}\n")
        assert time.monotonic() - began < 1
        said = os.read(read, 10_000_000)
        stream.write("<6>here we are again\n")
        said += os.read(read, 100_000)
        lines = said.decode().splitlines()
        assert lines[0].startswith("<6>line 0 ")
        lost = 2000 - sum(line.startswith("<6>line ") and line.endswith("x") for line in lines)
        assert f"<4>{lost} lines of this log are lost: nobody took them" in lines
        assert lines[-1] == "<6>here we are again"

    def test_a_terminal_that_was_stopped_is_not_waited_for(self) -> None:
        """Ctrl-S."""
        ours, theirs = pty.openpty()
        stream = logs.LogStream(self.stream(theirs))
        termios.tcflow(theirs, termios.TCOOFF)
        began = time.monotonic()
        for number in range(50):
            stream.write(f"line {number}\n")
        assert time.monotonic() - began < 1
        termios.tcflow(theirs, termios.TCOON)
        stream.write("again\n")
        assert b"again" in os.read(ours, 100_000)
