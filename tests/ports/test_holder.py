"""Who has a port, as far as this user may look: by open files, by locks of the kernel, by lock files."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nesgw.ports.holder import find_holder


@pytest.fixture
def pty() -> Iterator[str]:
    far, near = os.openpty()
    yield os.ttyname(near)
    os.close(near)
    os.close(far)


@pytest.fixture
def reader(pty: str) -> Iterator[int]:
    """A program that has the port open and locks nothing."""
    opened = os.open(pty, os.O_RDWR | os.O_NOCTTY)
    process = subprocess.Popen(["sleep", "60"], stdin=opened)
    os.close(opened)
    yield process.pid
    process.kill()
    process.wait()


def a_process(processes: Path, number: int, name: bytes) -> Path:
    process = processes / str(number)
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_bytes(name + b"\n")
    return process


def test_a_program_that_locks_nothing_is_found(pty: str, reader: int) -> None:
    assert find_holder(pty, but=os.getpid()) == f"sleep (process {reader})"


def test_under_whatever_name_it_opened_the_port(pty: str, reader: int, tmp_path: Path) -> None:
    alias = tmp_path / "probe"
    alias.symlink_to(pty)
    assert find_holder(str(alias), but=os.getpid()) == f"sleep (process {reader})"


def test_nobody_else(pty: str) -> None:
    assert find_holder(pty, but=os.getpid()) is None


def test_a_port_that_is_not_there_is_nobodys() -> None:
    assert find_holder("/dev/nesgw-none") is None


def test_a_lock_names_its_owner_even_where_his_open_files_are_not_to_be_seen(tmp_path: Path) -> None:
    """proc(5): whose a lock is, everybody may see."""
    a_process(tmp_path, 4711, b"nesgw")
    device = Path("/dev/null").stat()
    place = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    (tmp_path / "locks").write_text(
        "1: POSIX  ADVISORY  READ 7 00:2d:1 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 4711 {place} 0 EOF\n"
        f"3: -> FLOCK  ADVISORY  WRITE 12 {place} 0 EOF\n"
    )
    assert find_holder("/dev/null", processes=tmp_path) == "nesgw (process 4711)"


def test_the_kernel_tells_of_a_lock_in_that_form(tmp_path: Path) -> None:
    file = tmp_path / "port"
    with file.open("w") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        opened = file.stat()
        place = f"{os.major(opened.st_dev):02x}:{os.minor(opened.st_dev):02x}:{opened.st_ino}"
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    assert [str(os.getpid()), place] in [line[4:6] for line in lines]


def test_terminal_programs_leave_a_lock_file(tmp_path: Path) -> None:
    a_process(tmp_path / "proc", 815, b"minicom")
    (tmp_path / "LCK..null").write_text("       815\n")
    assert find_holder("/dev/null", processes=tmp_path / "proc", lock_files=tmp_path) == "minicom (process 815)"


def test_a_lock_file_of_a_program_that_has_gone_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "LCK..null").write_text("815\n")
    assert find_holder("/dev/null", processes=tmp_path / "proc", lock_files=tmp_path) is None


@pytest.mark.parametrize("name", [b"evil\x1b[2Jname", "fünfzehn Bytes".encode()[:2]])
def test_a_name_can_do_a_terminal_no_harm(tmp_path: Path, name: bytes) -> None:
    process = a_process(tmp_path, 1, name)
    (process / "fd" / "3").symlink_to("/dev/null")
    found = find_holder("/dev/null", processes=tmp_path)
    assert found is not None
    assert found.isprintable()
