"""A report to the service manager never ends the process and never waits, whoever is behind the socket or not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nesgw.gateway import systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def test_the_status_is_one_line(manager: socket.socket) -> None:
    systemd.ready("waiting\nfor\rit")
    assert manager.recv(1000) == b"READY=1\nSTATUS=waiting for it"


def test_a_socket_without_a_file_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0nesgw-test")
        monkeypatch.setenv("NOTIFY_SOCKET", "@nesgw-test")
        systemd.alive()
        assert manager.recv(1000) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nonexistent", "/dev/null", "@nobody-is-there", "nonsense", "/" + "x" * 500])
def test_nobody_behind_it_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Containers, sudo -E and shells below a user service inherit the variable."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.ready("reading")
    systemd.alive()


def test_one_that_goes_away_is_no_error(manager: socket.socket) -> None:
    systemd.alive()
    manager.close()
    systemd.alive()


def test_one_that_does_not_read_is_not_waited_for(manager: socket.socket) -> None:
    began = time.monotonic()
    for _ in range(2000):  # its queue takes some hundred
        systemd.alive()
    assert time.monotonic() - began < 1
    assert manager.recv(1000) == b"WATCHDOG=1"
