"""A command has its turn at a port that the daemon holds: who asks how, and who answers what.

Both sides meet in the meter's folder on the RAM disk. The guest leaves the file ``guest`` with its process number and
keeps it locked for as long as it lives, so that one whose process has died counts for nothing. The host answers with
the file ``grant``: the monotonic time (one clock for the whole machine) until which the port is the guest's. A grant
in the past says: a daemon is here, wait for a grant. Nothing here touches the port itself.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from nesgw.errors import GuestRefused, PortBusy

REQUEST: Final = "guest"
GRANT: Final = "grant"

# How a host lends. A grant is over so long before the next beat that the beat is on time; one shorter than the least
# is no use to anybody, for opening and ending a session take their time. Where the beats are too close for that, every
# other turn is the guest's, this long, and beats are missed.
HANDED_BACK: Final = 0.3
LEAST: Final = 2.5
BETWEEN_CLOSE_BEATS: Final = 4.0
LOOK: Final = 0.25  # how often a host looks whether its guest has gone

_ATTEMPTS: Final = 5
_INSTANT: Final = 0.01  # a host's look at the lock lasts less


class Host:
    """The daemon's side, for one meter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def waiting(self) -> bool:
        """Whether there is a guest, and its process lives. What a dead one left is removed."""
        path = self._folder / REQUEST
        try:
            request = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(request, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            return True
        except OSError:
            pass
        finally:
            os.close(request)
        return False

    def grant(self, until: float) -> None:
        """Let the guest use the port until that monotonic time; one that has passed calls it away."""
        temporary = self._folder / f".nesgw-{GRANT}"  # swept away at the next start if we are killed here
        with suppress(OSError):  # on a full RAM disk there are no guests
            temporary.write_text(f"{until:.3f}\n", encoding="ascii")
            temporary.chmod(0o644)
            temporary.replace(self._folder / GRANT)

    def withdraw(self) -> None:
        """Take the grant away."""
        with suppress(OSError):
            (self._folder / GRANT).unlink(missing_ok=True)


class Guest:
    """The command's side. One guest at a time; ``ask`` makes it known, ``leave`` ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    def ask(self, port: str) -> None:
        """Leave the request. Raises PortBusy if there is another guest, GuestRefused if the folder is not ours."""
        path = self._folder / REQUEST
        for _ in range(_ATTEMPTS):
            try:
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as problem:
                raise GuestRefused(port=port, holder="another program") from problem
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_ino == path.stat().st_ino:
                    os.ftruncate(lock, 0)
                    os.write(lock, f"{os.getpid()}\n".encode())
                    with suppress(OSError):  # left by another user's process
                        os.fchmod(lock, 0o644)
                    self._lock = lock
                    return
            except OSError:
                pass  # another guest, the host's look, or a file that was removed meanwhile
            os.close(lock)
            time.sleep(_INSTANT)
        raise PortBusy(port=port, holder=self._other())

    def granted(self) -> float | None:
        """Until when the port is ours; None if nobody has said anything."""
        try:
            return float((self._folder / GRANT).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def leave(self) -> None:
        """Withdraw the request."""
        if self._lock is not None:
            with suppress(OSError):
                (self._folder / REQUEST).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _other(self) -> str:
        try:
            number = int((self._folder / REQUEST).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return "another nesgw command"
        return f"another nesgw command (process {number})"
