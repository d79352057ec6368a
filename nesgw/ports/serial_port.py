"""The serial port: opens it for us alone, reads without delay, and says in our words what is wrong with it.

Knows no packet. How it is read depends on what pyserial opened:

| kind                          | waits in                | reads with                                          |
| ----------------------------- | ----------------------- | --------------------------------------------------- |
| terminal: a device, a pty     | select                  | os.read: pyserial makes three system calls of it    |
| descriptor: ``socket://``     | select                  | pyserial, which knows when the other end has closed |
| neither: ``rfc2217://``, …    | sleep, every 20 ms      | pyserial: a thread of its fills a queue             |
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import select
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import serial

from nesgw.errors import (
    BridgeLost,
    BridgeUnreachable,
    NesgwError,
    NotSerial,
    PortBusy,
    PortDenied,
    PortLost,
    PortMissing,
    PortOfRoot,
    PortShared,
    PortUnavailable,
)
from nesgw.ports.find import find_port
from nesgw.ports.holder import find_holder
from nesgw.ports.port import is_bridge
from nesgw.ports.urls import check_port

_WRITE_TIMEOUT: Final = 2.0  # our longest packet takes a twentieth of it
_POLL: Final = 0.02  # for ports without a file descriptor to wait on
_CHUNK: Final = 4096
_IN_THE_CHIP: Final = 4  # byte times: what the kernel has sent may still be in a USB adapter
UNSEEN: Final = "another program (sudo nesgw doctor names it)"
_NO_SUCH_LINE: Final = (errno.EINVAL, errno.ENOTTY)  # what a pseudo terminal says of RTS
# Whatever a driver or a URL's handler raises is the port's trouble: pyserial's handlers have no common root of errors.
_FAILURES = Exception


class SerialPort:
    """An open port. ``read`` returns as soon as anything is there; every failure is a PortLost."""

    def __init__(self, device: Any, name: str) -> None:  # pyserial's classes share an interface, not a base
        self._device = device
        self._name = name
        self._descriptor = _descriptor(device)
        self._terminal = self._descriptor if self._descriptor is not None and os.isatty(self._descriptor) else None

    @property
    def name(self) -> str:
        """The device as the user named it, or as it was found."""
        return self._name

    @property
    def baud(self) -> int:
        """Bits per second."""
        return int(self._device.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        with self._failing_as_lost():
            self._device.baudrate = baud

    @property
    def rts(self) -> bool:
        """Whether RTS is on."""
        return bool(self._device.rts)

    @rts.setter
    def rts(self, on: bool) -> None:
        with self._failing_as_lost():
            try:
                self._device.rts = on
            except OSError as problem:
                if problem.errno not in _NO_SUCH_LINE:
                    raise

    def read(self, timeout: float) -> bytes:
        """Return what has arrived as soon as anything has; nothing after ``timeout`` seconds."""
        try:
            if self._descriptor is not None:
                if self._terminal is not None and not timeout:
                    return _read(self._terminal, announced=False)
                ready, _, _ = select.select([self._descriptor], [], [], timeout)
                if self._terminal is not None:
                    return _read(self._terminal, announced=True) if ready else b""
            else:
                end = time.monotonic() + timeout
                while not self._device.in_waiting and time.monotonic() < end:
                    time.sleep(_POLL)
                return b"".join(iter(lambda: bytes(self._device.read(_CHUNK)), b""))  # RFC 2217 gives it byte by byte
            return bytes(self._device.read(_CHUNK))
        except _FAILURES as problem:
            raise self._lost(problem) from problem

    def write(self, data: bytes) -> None:
        """Send."""
        try:
            if self._terminal is not None:
                with suppress(BlockingIOError):
                    data = data[os.write(self._terminal, data) :]
            if data:
                self._device.write(data)
        except _FAILURES as problem:
            raise self._lost(problem) from problem

    def drain(self) -> None:
        """Wait until everything written has left, the adapter's chip included."""
        with self._failing_as_lost():
            self._device.flush()
            time.sleep(_IN_THE_CHIP * 10 / self._device.baudrate)

    def holder(self) -> str | None:
        """Name another program that has the port open as well, as far as this user may look."""
        return find_holder(self._name, but=os.getpid()) if self._terminal is not None else None

    def close(self) -> None:
        """Give the port back once all is out; one that is gone is as good as closed."""
        with suppress(PortLost):
            self.drain()
        with suppress(_FAILURES):
            # A pseudo terminal outlives this, and would refuse the next one to open it.
            fcntl.ioctl(self._device.fileno(), termios.TIOCNXCL)
        with suppress(_FAILURES):
            self._device.close()

    @contextmanager
    def _failing_as_lost(self) -> Iterator[None]:
        try:
            yield
        except NesgwError:
            raise
        except _FAILURES as problem:
            raise self._lost(problem) from problem

    def _lost(self, problem: Exception) -> PortUnavailable:
        if isinstance(problem, _TakenAway):
            return PortShared(port=self._name, holder=self.holder() or UNSEEN)
        kind = BridgeLost if is_bridge(self._name) else PortLost
        return kind(port=self._name, problem=_sentence(problem))


class _TakenAway(Exception):
    """Bytes that were there are gone before we read them: another program took them."""


def open_port(port: str, baud: int = 9600, rts: bool = True, dtr: bool = False) -> SerialPort:
    """Open a device path, a pyserial URL (socket://, rfc2217://, …) or "auto", for this process alone.

    RTS and DTR are set before the port opens: some probes draw their supply from them. Raises PortMissing,
    PortAmbiguous, PortBusy, PortDenied or PortUnavailable.
    """
    name = find_port() if port == "auto" else port
    device = None
    try:
        device = _closed_device(name)
        device.baudrate = baud
        device.timeout = 0
        device.write_timeout = None if _is_rfc2217(name) else _WRITE_TIMEOUT
        device.exclusive = True  # flock: between us and other programs that lock
        device.rts, device.dtr = rts, dtr
        device.open()
        _keep_others_off(device)
    except _FAILURES as problem:
        if device is not None:
            with suppress(_FAILURES):  # half open: what went wrong first is what to report
                device.close()
        raise _why_not(name, problem) from problem
    _avoid_latency(device, name)
    _wake_in_time()
    return SerialPort(device, name)


def _is_rfc2217(name: str) -> bool:
    return name.lower().startswith("rfc2217://")


def _closed_device(name: str) -> Any:
    if _is_rfc2217(name):
        from nesgw.ports.rfc2217 import Rfc2217Port

        return Rfc2217Port(name)
    return serial.serial_for_url(name, do_not_open=True)


def _read(descriptor: int, *, announced: bool) -> bytes:
    """Read without waiting. A terminal that ``select`` has announced and that gives nothing has gone, or is shared."""
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return b""
    if announced and not data:
        if _is_hung_up(descriptor):
            raise serial.SerialException("it returned no data")
        raise _TakenAway
    return data


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # hang-ups and errors are reported unasked
    return bool(poll.poll(0))


def _descriptor(device: Any) -> int | None:
    with suppress(_FAILURES):
        return int(device.fileno())
    return None


def _keep_others_off(device: Any) -> None:
    """Have the kernel refuse everybody else, a terminal program that locks nothing included."""
    descriptor = _descriptor(device)
    if descriptor is not None and os.isatty(descriptor):
        fcntl.ioctl(descriptor, termios.TIOCEXCL)


def _avoid_latency(device: Any, name: str) -> None:
    """Have a USB adapter hand over bytes at once: an FTDI chip collects them for 16 ms if it is left alone.

    The flag is enough for that driver; the file is for others, and mostly root's. Without either all works, slower.
    """
    with suppress(_FAILURES):
        device.set_low_latency_mode(True)
    with suppress(OSError):
        timer = Path("/sys/class/tty") / Path(name).resolve().name / "device" / "latency_timer"
        if timer.is_file():
            timer.write_text("1", encoding="ascii")


def _wake_in_time() -> None:
    """Have the kernel end this thread's sleeps when they are over, not 50 µs later as it likes to: proc(5).

    A silence of 175 µs (turn-around) would be half as long again, in each packet.
    """
    with suppress(OSError):
        Path(f"/proc/{threading.get_native_id()}/timerslack_ns").write_text("1", encoding="ascii")


def _why_not(name: str, problem: Exception) -> PortUnavailable:
    if is_bridge(name) and _is_turned_away(problem):
        return PortBusy(port=name, holder="another program, it seems: the bridge ends the connection at once")
    match _number(problem):
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return PortMissing(port=name)
        case errno.EACCES | errno.EPERM:
            group = _group(name)
            return (PortOfRoot if group == "root" else PortDenied)(port=name, user=_user(), group=group)
        case errno.EBUSY | errno.EAGAIN:
            return PortBusy(port=name, holder=find_holder(name) or UNSEEN)
        case errno.ENOTTY | errno.EISDIR:
            return NotSerial(port=name)
        case _:
            return _not_opened(name, problem)


def _not_opened(name: str, problem: Exception) -> PortUnavailable:
    if "://" not in name:
        return PortUnavailable(port=name, problem=_sentence(problem))
    try:
        check_port(name)
    except ValueError as mistake:
        return PortUnavailable(port=name, problem=str(mistake))
    return (BridgeUnreachable if is_bridge(name) else PortUnavailable)(port=name, problem=_sentence(problem))


def _is_turned_away(problem: Exception) -> bool:
    """Whether the connection was made and ended before the port was open, as bridges do that serve one at a time."""
    return _number(problem) in (errno.EPIPE, errno.ECONNRESET) or "RFC2217" in str(problem)


def _number(problem: Exception) -> int | None:
    """The system's error number. What pyserial says of a device that takes no settings has lost it."""
    number = getattr(problem, "errno", None)
    if number is None and isinstance(problem.__context__, termios.error):
        number = problem.__context__.args[0]
    return number if isinstance(number, int) else None


def _sentence(problem: Exception) -> str:
    """Say it in the system's words, without pyserial's repetition of the port's name."""
    if number := _number(problem):
        return os.strerror(number)
    if "returned no data" in str(problem):
        return "it was unplugged, or another program reads from it"
    if isinstance(problem.__context__, OSError) and problem.__context__.strerror:
        return problem.__context__.strerror  # of a URL: the network's
    if isinstance(problem.__context__, TypeError):
        return "a URL needs a host and a port number, such as socket://HOST:PORT"
    return str(problem)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group(name: str) -> str:
    """Name the group that the device really belongs to; it is not dialout everywhere."""
    try:
        number = Path(name).stat().st_gid
    except OSError:
        return "dialout"
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
