"""A reader that asks the running daemon, which reads between its polls and in its own session."""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nesgw.errors import NesgwError, ReaderBusy, ReaderGone, Stopped
from nesgw.meter.read_protocol import LONGEST_HEAD, SOCKET, parse_head, parts_of, request
from nesgw.tables.register import Part

PATIENCE: Final = 90.0  # seconds for an answer: the daemon may be in a long poll, or serve another command before us
_LOOK: Final = 0.25  # seconds between two looks whether we are asked to end
_NOTICEABLE: Final = 1.0  # seconds after which a person is shown what is being waited for
_ROOT: Final = 0


class RemoteReader:
    """One connection.

    ``stop`` is asked in every wait; ``say`` is given what is being waited for, and "" when it goes on.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda _: None,
        patience: float = PATIENCE,
    ) -> None:
        self._connection = connection
        self._stop = stop
        self._say = say
        self._patience = patience
        self._received = b""

    def read(self, part: Part) -> bytes:
        """Read one part. Raises what reading it raised in the daemon, ReaderBusy, ReaderGone and Stopped."""
        return b"".join(self._read(piece) for piece in parts_of(part))

    def _read(self, part: Part) -> bytes:
        try:
            self._connection.sendall(request(part))
        except OSError as problem:
            raise ReaderGone from problem
        try:
            head = parse_head(self._until_line())
            if isinstance(head, NesgwError):
                raise head
            if head != part.size:
                raise ReaderGone
            return self._take(head)
        finally:
            self._say("")

    def _until_line(self) -> bytes:
        while b"\n" not in self._received:
            if len(self._received) > LONGEST_HEAD:
                raise ReaderGone
            self._receive()
        return self._take(self._received.index(b"\n") + 1)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _receive(self) -> None:
        began = time.monotonic()
        while not select.select([self._connection], [], [], _LOOK)[0]:
            waited = time.monotonic() - began
            if self._stop():
                raise Stopped
            if waited > self._patience:
                raise ReaderBusy(seconds=round(waited))
            if waited > _NOTICEABLE:
                self._say("waiting for the nesgw service, which reads between its polls")
        try:
            data = self._connection.recv(LONGEST_HEAD)
        except OSError as problem:
            raise ReaderGone from problem
        if not data:
            raise ReaderGone
        self._received += data

    def close(self) -> None:
        """Let the next one be served."""
        self._connection.close()


def connect(folder: Path) -> socket.socket | None:
    """Connect to the daemon that reads the meter of this folder; None if none does.

    No link is followed, and whoever listens must be root, the folder's owner or ourselves: a folder that others may
    write to leads root nowhere. Raises PermissionError where this user may not ask, and BlockingIOError where others
    are waiting already.
    """
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        owner = os.fstat(place).st_uid
        found = os.open(SOCKET, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    except FileNotFoundError:
        return None
    finally:
        os.close(place)
    try:
        return _connected(found, owner) if stat.S_ISSOCK(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def _connected(found: int, owner: int) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(f"/proc/self/fd/{found}")
        if _user_of(connection) in (_ROOT, owner, os.geteuid()):
            return connection
    except (PermissionError, BlockingIOError):
        connection.close()
        raise
    except OSError:
        pass
    connection.close()
    return None


def _user_of(connection: socket.socket) -> int:
    """Return the user who listens at the other end."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)
