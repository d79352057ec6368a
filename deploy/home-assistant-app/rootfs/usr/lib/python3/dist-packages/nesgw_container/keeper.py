"""Keeps nesgw running: passes signals on, notes that it lives, and ends with its exit code."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Self

from nesgw_container.pulse import Pulse

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_PASSED_ON: Final = (*ENDING, signal.SIGHUP)


class Signals:
    """The signals that this process was sent, one after the other."""

    def __init__(self) -> None:
        self._come: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put may interrupt itself

    def __enter__(self) -> Self:
        for number in (*_PASSED_ON, signal.SIGCHLD):
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (*_PASSED_ON, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)

    def wait(self, seconds: float) -> int | None:
        """Return the next signal, None if there was none for so long."""
        try:
            return self._come.get(timeout=seconds)
        except queue.Empty:
            return None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._come.put(number)


def keep(
    command: Sequence[str],
    signals: Signals,
    pulse: Pulse,
    *,
    changed: Callable[[], bool] = lambda: False,
    every: float = 3600.0,
) -> int:
    """Run the command until it ends; it reads its configuration again whenever ``changed`` says so.

    Returns its exit code, 0 if it was asked to end and had no time yet to do so by itself.
    """
    asked = False
    with _listen(pulse) as notices:
        environment = {**os.environ, "NOTIFY_SOCKET": str(notices)}
        environment.pop("SUPERVISOR_TOKEN", None)
        environment.pop("HASSIO_TOKEN", None)
        child = subprocess.Popen(command, env=environment)  # noqa: S603 (nesgw)
        while (code := child.poll()) is None:
            number = signals.wait(every)
            if number in _PASSED_ON:
                asked = asked or number in ENDING
                child.send_signal(number)
            elif number is None and changed():
                child.send_signal(signal.SIGHUP)
    return code if code >= 0 else 0 if asked else 128 - code


@contextmanager
def _listen(pulse: Pulse) -> Iterator[Path]:
    """A socket for what nesgw tells a service manager (sd_notify(3)); its life sign makes the pulse beat."""
    path = pulse.path.with_name("notify")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        threading.Thread(target=_note_life, args=(listener, pulse), daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RD)
    path.unlink(missing_ok=True)


def _note_life(listener: socket.socket, pulse: Pulse) -> None:
    while notice := listener.recv(4096):
        if b"WATCHDOG=1" in notice.splitlines():
            pulse.beat()
