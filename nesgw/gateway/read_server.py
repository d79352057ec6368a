"""The daemon reads for commands: one Unix socket a meter, in its folder on the RAM disk.

A thread accepts one client at a time, takes one request at a time, and waits for the worker to answer it between two
polls; the meter is the worker's alone. What a client sends that is no request closes its connection, and so does a
client that goes away. The folder may be written by the service's user: no link is followed, whoever runs the daemon.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from nesgw.errors import NesgwError
from nesgw.meter.read_protocol import LONGEST_REQUEST, SOCKET, answer, parse_request
from nesgw.tables.register import Part

MODE: Final = 0o660

_IDLE: Final = 15.0  # seconds without a request, after which a client gives its place to the next
_SLOW: Final = 5.0  # seconds for sending an answer
_LOOK: Final = 30.0  # seconds between two looks whether the socket is still there: a RAM disk may be mounted again
_QUEUE: Final = 0  # clients beside the one that is served: the system lets one wait


class ReadRequest:
    """One part that a client waits for."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.passed_over: float | None = None  # since when there was no room for it behind a poll, monotonic


class ReadServer:
    """``waiting`` is what a client waits for, and ``answer`` is for the worker; each request wakes it.

    ``known`` holds what the worker remembers of the meter, by the part: it is answered at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wake: Callable[[], object] = lambda: None
        self.known: Mapping[Part, bytes | NesgwError] = {}
        self._waiting: ReadRequest | None = None
        self._result: bytes | None = None  # as it goes out; b"" closes the connection
        self._lock = threading.Lock()
        self._answered = _Signal()
        self._ending = _Signal()
        self._thread: threading.Thread | None = None
        self._problem: str | None = None
        self._log = structlog.get_logger().bind(meter=folder.name)

    # The worker's side

    @property
    def waiting(self) -> ReadRequest | None:
        """What is to be read next, None if nobody waits."""
        return self._waiting

    def answer(self, request: ReadRequest, result: bytes | NesgwError) -> None:
        """Answer a request; one whose client has gone meanwhile is forgotten."""
        self._put(request, answer(result))

    def refuse(self, request: ReadRequest) -> None:
        """Close the connection of a client that asked for what nobody may read."""
        self._put(request, b"")

    def _put(self, request: ReadRequest, result: bytes) -> None:
        with self._lock:
            if request is self._waiting:
                self._waiting, self._result = None, result
                self._answered.set()

    # The thread

    def start(self, wake: Callable[[], object]) -> None:
        """Begin to listen."""
        self._wake = wake
        self._thread = threading.Thread(target=self._run, name=f"reader-{self._folder.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, close every connection, and take the socket away."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_SLOW)

    def _run(self) -> None:
        while not self._ending.is_set():
            listening = self._listen()
            if listening is None:
                self._ending.wait(_LOOK)
                continue
            with listening:
                number = _inode(self._folder)
                while not self._ending.is_set() and _inode(self._folder) == number:
                    self._accept(listening)
                if _inode(self._folder) == number:
                    with suppress(OSError):
                        (self._folder / SOCKET).unlink()

    def _listen(self) -> socket.socket | None:
        """Put the socket into the folder; None if that cannot be, which is logged once."""
        problem = None
        try:
            return listen(self._folder)
        except OSError as error:
            problem = f"commands cannot be served: {self._folder / SOCKET}: {error.strerror or error}"
        if problem != self._problem:
            self._log.warning(problem)
        self._problem = problem
        return None

    def _accept(self, listening: socket.socket) -> None:
        if listening.fileno() not in _readable((listening, self._ending), _LOOK):
            return
        with suppress(OSError):  # a client that went away before it was looked at
            client, _ = listening.accept()
            with client:
                client.settimeout(_SLOW)
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        while (line := self._line(client)) and (part := parse_request(line)) is not None:
            known = self.known.get(part)
            result = self._asked(part, client) if known is None else answer(known)
            if not result:
                return
            client.sendall(result)

    def _asked(self, part: Part, client: socket.socket) -> bytes | None:
        """Have the worker read a part; None if the client goes, or goes on talking, and its request with it."""
        self._answered.clear()
        with self._lock:
            self._waiting = ReadRequest(part)
        self._wake()
        _readable((client, self._answered, self._ending), None)
        with self._lock:
            self._waiting = None
            result, self._result = self._result, None
        return result

    def _line(self, client: socket.socket) -> bytes:
        """Receive one line; nothing if the client goes, is silent for long, or says too much."""
        line, until = b"", time.monotonic() + _IDLE
        while len(line) <= LONGEST_REQUEST and not line.endswith(b"\n"):
            ready = _readable((client, self._ending), max(0.0, until - time.monotonic()))
            if client.fileno() not in ready or not (data := client.recv(LONGEST_REQUEST)):
                return b""
            line += data
        return line


def _readable(these: Sequence[socket.socket | _Signal], seconds: float | None) -> list[int]:
    """Wait until one of these has something; return the descriptors of those that have."""
    return select.select([each.fileno() for each in these], [], [], seconds)[0]


class _Signal:
    """An event that ``select`` can wait for."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._descriptor

    def set(self) -> None:
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def is_set(self) -> bool:
        return self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def __del__(self) -> None:
        os.close(self._descriptor)


def listen(folder: Path) -> socket.socket:
    """Make the socket in a folder that is ours, in the place of one that nobody listens to any more.

    Raises OSError, also for a folder that is a link or another's, and where another process listens.
    """
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(place).st_uid != os.geteuid():
            raise OSError("the folder belongs to another user")
        # By its descriptor: whatever takes the folder's name meanwhile is not followed.
        path = f"/proc/self/fd/{place}/{SOCKET}"
        if _is_live(place, path):
            raise OSError("another nesgw serves this meter")
        with suppress(FileNotFoundError):
            os.unlink(SOCKET, dir_fd=place)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mask = os.umask(0o777 & ~MODE)  # a change of mode behind the name could be led elsewhere
            try:
                listening.bind(path)
            finally:
                os.umask(mask)
            listening.listen(_QUEUE)
        except OSError:
            listening.close()
            raise
        return listening
    finally:
        os.close(place)


def _is_live(place: int, path: str) -> bool:
    """Whether somebody listens to what is there."""
    try:
        if not stat.S_ISSOCK(os.stat(SOCKET, dir_fd=place, follow_symlinks=False).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.setblocking(False)
            trial.connect(path)
    except BlockingIOError:
        return True  # its queue is full
    except OSError:
        return False
    return True


def _inode(folder: Path) -> int | None:
    try:
        return (folder / SOCKET).lstat().st_ino
    except OSError:
        return None
