"""How a command reads a meter: it asks the running daemon, and opens a session of its own where none runs.

A daemon that starts or ends meanwhile is noticed, and the command goes on the other way. The meter's key is looked for
only where a session of its own is opened.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from nesgw.commands.target import Target
from nesgw.errors import (
    KeyRefused,
    MeterMisbehaved,
    PortBusy,
    ReaderBusy,
    ReaderDenied,
    ReaderGone,
    Retryable,
    Stopped,
    TableNotPresent,
)
from nesgw.meter.meter import Meter
from nesgw.meter.remote_reader import PATIENCE, RemoteReader, connect
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port
from nesgw.tables.register import Part

BURST: Final = 55.0  # seconds: an optical session of more than ten minutes is cut, and an MEP device waits meanwhile
PAUSE: Final = 1.0  # between two bursts

_GOODBYE: Final = 1.1  # seconds for ending a session in time, however it stands
_ATTEMPTS: Final = 3
_LOOK: Final = 1.0  # seconds between two looks whether a daemon runs
_STARTING: Final = 5.0  # seconds that a service takes to start again


class ClosableReader(Protocol):
    """A reader that holds something."""

    def read(self, part: Part) -> bytes:
        """Read one part."""

    def close(self) -> None:
        """Let go of it."""


class CommandReader:
    """A reader for one command. ``stop`` is asked in every wait; ``say`` is given what is being waited for."""

    def __init__(
        self,
        target: Target,
        *,
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda _: None,
        opener: Callable[..., Port] = open_port,
    ) -> None:
        """``opener`` opens the port for a session of our own."""
        self._target = target
        self._stop = stop
        self._opener = opener
        self._say = say
        self._source: ClosableReader | None = None
        self._looked = float("-inf")
        self._denied = False
        self._asked_daemon = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session, or let the daemon serve the next command."""
        source, self._source = self._source, None
        if source is not None:
            with suppress(Retryable):  # all that was to be read has been read
                source.close()

    def read(self, part: Part) -> bytes:
        """Read one part; what may pass is raised only after several attempts."""
        failures = 0
        while True:
            try:
                return self._reader().read(part)
            except ReaderGone:
                self.close()
                failures += 1
                if failures == _ATTEMPTS:
                    raise
            except ReaderBusy:
                raise
            except Retryable as problem:
                failures += 1
                if is_refusal(problem) or isinstance(problem, PortBusy) or failures == _ATTEMPTS:
                    raise

    def _reader(self) -> ClosableReader:
        """Return the daemon if one answers, else a session of our own."""
        if isinstance(self._source, RemoteReader):
            return self._source
        if time.monotonic() - self._looked >= _LOOK and (remote := self._daemon()) is not None:
            self.close()
            self._source = remote
            return remote
        if self._source is None:
            self._source = self._own_session()
        return self._source

    def _own_session(self) -> ClosableReader:
        meter = Meter(self._target.with_key(), stop=self._stop, opener=self._opener)
        own = BurstReader(meter, stop=self._stop)
        try:
            own.open()
        except PortBusy as busy:
            if (remote := self._daemon()) is not None:  # it has only just started
                return remote
            if self._denied:
                raise self._may_not_ask(busy) from None
            raise
        return own

    def _daemon(self) -> RemoteReader | None:
        """Connect to a daemon; one that has just ended may be about to start again."""
        folder = self._target.folder
        until = time.monotonic() + PATIENCE
        restarts = time.monotonic() + _STARTING
        while folder is not None:
            try:
                connection = connect(folder)
            except PermissionError:
                self._denied = True
                break
            except BlockingIOError:
                self._say("waiting for another nesgw command to end")
                if time.monotonic() > until:
                    raise ReaderBusy(seconds=round(PATIENCE)) from None
            except OSError:
                break
            else:
                if connection is not None:
                    self._asked_daemon = True
                    return RemoteReader(connection, stop=self._stop, say=self._say)
                if not self._asked_daemon or time.monotonic() > restarts:
                    break
            if self._stop():
                raise Stopped
            time.sleep(_LOOK / 4)
        self._looked, self._asked_daemon = time.monotonic(), False
        return None

    def _may_not_ask(self, busy: PortBusy) -> ReaderDenied:
        group = "nesgw"
        with suppress(OSError, KeyError):
            assert self._target.folder is not None  # noqa: S101 (somebody has denied it)
            group = grp.getgrgid(Path(self._target.folder).stat().st_gid).gr_name
        user = str(os.geteuid())
        with suppress(KeyError):
            user = pwd.getpwuid(os.geteuid()).pw_name
        return ReaderDenied(**busy.facts, user=user, group=group)


class BurstReader:
    """Reads in sessions of its own, none longer than a minute, with a pause between two.

    ``meter`` must be one of per-poll mode.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._meter = meter
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._session: ExitStack | None = None
        self._until = 0.0
        self._not_before = float("-inf")

    def open(self) -> None:
        """Open a session. Raises what that does."""
        while (left := self._not_before - self._clock()) > 0:
            if self._stop():
                raise Stopped
            self._sleep(left)
        self._until = self._clock() + BURST
        session = ExitStack()
        session.enter_context(self._meter.session(self._until + _GOODBYE))
        self._session = session

    def read(self, part: Part) -> bytes:
        """Read one part, in this session or in the next."""
        if self._session is not None and self._clock() + self._meter.seconds(part) > self._until:
            self._end()
        if self._session is None:
            self.open()
        try:
            return self._meter.read(part)
        except (TableNotPresent, KeyRefused):
            raise
        except BaseException as problem:
            if not is_refusal(problem):
                self._break_off(problem)
            raise

    def close(self) -> None:
        """End the session and give the port back."""
        try:
            self._end()
        finally:
            self._meter.close()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._not_before = self._clock() + PAUSE
            session.close()

    def _break_off(self, problem: BaseException) -> None:
        """Let the session see what ended it, so that it leaves the line clean."""
        session, self._session = self._session, None
        if session is not None:
            self._not_before = self._clock() + PAUSE
            with suppress(type(problem)):
                session.__exit__(type(problem), problem, problem.__traceback__)


def is_refusal(problem: BaseException) -> bool:
    """Whether the meter has plainly refused: it would again, and the session goes on."""
    return isinstance(problem, MeterMisbehaved) and "code" in problem.facts
