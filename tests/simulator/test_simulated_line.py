"""The lines to the meter: a pseudo terminal in real time, a port in virtual time, and what the package may import."""

from __future__ import annotations

import ast
import os
import select
import sys
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nesgw.simulator
from nesgw.simulator import PROFILES, PtyLine, SimulatedMeter, VirtualLine, serve

Make = Callable[..., Any]

IDENTIFY = bytes.fromhex("ee 00 00 00 00 01 20 13 10")


def open_terminal(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    return descriptor


def exchange(descriptor: int, data: bytes, count: int) -> bytes:
    os.write(descriptor, data)
    heard = b""
    while len(heard) < count and select.select([descriptor], [], [], 2.0)[0]:
        heard += os.read(descriptor, 100)
    return heard


def test_the_simulator_imports_nothing_of_nesgw_but_itself() -> None:
    """A shared mistake would cancel out: the reader's code must stay unknown here."""
    folder = Path(nesgw.simulator.__file__).parent
    for module in sorted(folder.glob("**/*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module.name}: write imports out in full"
                names = [node.module or ""]
                assert node.module != "nesgw", f"{module.name} imports from nesgw"
            for name in names:
                own = name == "nesgw.simulator" or name.startswith("nesgw.simulator.")
                assert own or name.partition(".")[0] in sys.stdlib_module_names, f"{module.name} imports {name}"


def test_a_meter_answers_on_its_terminal() -> None:
    with PtyLine(SimulatedMeter(), baud=None) as line:
        terminal = open_terminal(line.path)
        try:
            assert exchange(terminal, IDENTIFY, 14)[:12] == bytes.fromhex("06 ee 00 00 00 00 05 00 00 01 00 00")
        finally:
            os.close(terminal)


def test_a_client_may_go_and_another_come(hand: Make) -> None:
    terminate = hand().packet(b"\x21", control=0x20)
    with PtyLine(SimulatedMeter(), baud=None) as line:
        for _ in range(2):
            terminal = open_terminal(line.path)
            try:
                assert exchange(terminal, IDENTIFY, 14)[:2] == b"\x06\xee"
                assert exchange(terminal, b"\x06" + terminate, 10)[:2] == b"\x06\xee"
                os.write(terminal, b"\x06")
                select.select([], [], [], 0.1)
            finally:
                os.close(terminal)


def test_the_terminal_keeps_the_baud_rates_pace() -> None:
    with PtyLine(SimulatedMeter(answer_delay=0.0), baud=300) as line:
        terminal = open_terminal(line.path)
        try:
            begin = time.monotonic()
            assert len(exchange(terminal, IDENTIFY, 14)) == 14
            # 9 bytes there, 14 back: 23 times ten bits at 300 baud are 0.767 s.
            assert time.monotonic() - begin >= 0.76
        finally:
            os.close(terminal)


def test_a_link_points_at_the_terminal_while_it_is_served(tmp_path: Path) -> None:
    link = tmp_path / "meter"
    link.symlink_to("/nowhere")
    with PtyLine(SimulatedMeter(), link=link) as line:
        assert str(link.readlink()) == line.path
    assert not link.is_symlink()


def test_a_file_in_the_links_place_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "meter"
    link.write_text("mine")
    with pytest.raises(FileExistsError), PtyLine(SimulatedMeter(), link=link):
        pass
    assert link.read_text() == "mine"


def test_serve_says_where_and_ends_when_told(tmp_path: Path) -> None:
    stop = threading.Event()
    seen: list[str] = []

    def ready(line: PtyLine) -> None:
        seen.append(line.path)
        stop.set()

    serve("single-phase", str(tmp_path / "meter"), 3, 9600, True, ready=ready, stop=stop)
    assert seen[0].startswith("/dev/")


def test_in_virtual_time_reading_takes_as_long_as_the_wire(hand: Make) -> None:
    meter = SimulatedMeter(clock=lambda: 0.0)
    line = VirtualLine(meter)
    line.write(IDENTIFY)
    line.drain()
    assert line.clock() == pytest.approx(9 * 10 / 9600)
    assert line.read(1.0) == b"\x06"
    assert line.clock() == pytest.approx(10 * 10 / 9600 + 0.000175)
    heard = b""
    while len(heard) < 13:
        heard += line.read(1.0)
    assert line.clock() == pytest.approx((9 + 13) * 10 / 9600 + 0.016)
    assert line.read(1.0) == b""


def test_hours_pass_in_no_time() -> None:
    meter = SimulatedMeter("83331-3i-mep", clock=lambda: 0.0)
    line = VirtualLine(meter)
    before = meter.truth().summations[0]
    line.sleep(86_400.0)
    assert line.clock() == 86_400.0
    assert meter.truth().summations[0] > before + 1000


def test_every_profile_opens_a_session_and_shows_its_registers(hand: Make) -> None:
    for name in PROFILES:
        probe = hand(name, mep_first_packet="off")
        probe.open()
        assert probe.read(23, 0, 52) == probe.meter.image(23)[:52]
