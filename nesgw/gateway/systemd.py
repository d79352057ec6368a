"""Tells the service manager how the process stands, as sd_notify(3) does. Without one, every call does nothing.

The few lines are ours because those of libsystemd wait for a manager that does not read, and systemd-python waits
with Python's lock held: then the meters are not read and the broker takes us for dead. A report that cannot go at once
is of no use anyway.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

from systemd.daemon import listen_fds as _listen_fds


def ready(status: str) -> None:
    """Say that start-up is over: configuration read, threads running. Meter and broker may still be away."""
    _notify(f"READY=1\nSTATUS={_line(status)}")


def reloading() -> None:
    """Say that SIGHUP was taken; ``ready`` ends it."""
    # systemd 253 and later wants the time of the notice (sd_notify(3)); older ones ignore it.
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def status(text: str) -> None:
    """Set the line that ``systemctl status`` shows."""
    _notify(f"STATUS={_line(text)}")


def alive() -> None:
    """Feed the watchdog."""
    _notify("WATCHDOG=1")


def stopping() -> None:
    """Say that we are on our way out."""
    _notify("STOPPING=1")


def watchdog_seconds() -> float | None:
    """Return the time-out that the unit's WatchdogSec= sets for this process, or None (sd_watchdog_enabled(3))."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdigit() and int(usec) > 0 and pid == str(os.getpid()) else None


def sockets() -> list[socket.socket]:
    """Return those that a socket unit has opened for us, each time as new objects: the unit's own stay open."""
    return [socket.socket(fileno=os.dup(descriptor)) for descriptor in _listen_fds(unset_environment=False)]


def _notify(report: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # The variable is inherited by what the service starts, and by shells: nobody, or somebody else, may be behind it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.setblocking(False)
        manager.sendto(report.encode(errors="replace"), _abstract(address))


def _abstract(address: str) -> str:
    return f"\0{address[1:]}" if address.startswith("@") else address


def _line(text: str) -> str:
    return " ".join(text.split())
