"""The first minute on a MEP port, for a report: what was sent and what came, and when. Opens nothing.

Meters differ in what no guide says: the form of 0x0B, the number that 0x0C reports, what a port does that is switched
off. A capture shows it, and must tell neither key nor owner: digests help to find the key, and tables say whose meter
it is. So of an answer only its head is shown, which is length and code and the count or the number behind it; of all
else it is told how many bytes there were.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import Final

from nesgw.mep.digest import DIGEST_LENGTH
from nesgw.mep.frames import AROUND_DATA, LENGTH, ResponseCode
from nesgw.ports.port import Port

LASTS: Final = 60.0  # seconds
_MOST: Final = 2000  # happenings, however noisy the line is
_NUMBER: Final = 4  # bytes of a sequence number
_LONGEST_REFUSAL: Final = 1 + _NUMBER + DIGEST_LENGTH


class _Kind(Enum):
    SENT = ">"
    CAME = "<"
    ENABLE = "Enable"


@dataclass(frozen=True, slots=True)
class _Happening:
    at: float  # seconds after the first
    kind: _Kind
    data: bytes = b""  # of a request, without its digest
    on: bool = False  # Enable


class Capture:
    """Notes what happens on the ports that it opens, for a minute from the first on."""

    def __init__(self, opener: Callable[..., Port], clock: Callable[[], float] = time.monotonic) -> None:
        self._opener = opener
        self._clock = clock
        self._began: float | None = None
        self._noted: list[_Happening] = []

    def open(self, name: str, *, baud: int, rts: bool, dtr: bool) -> Port:
        """Open a port as the opener does; raises what that does."""
        port = self._opener(name, baud=baud, rts=rts, dtr=dtr)
        self.note_enable(on=rts)
        return _CapturedPort(port, self)

    def note_enable(self, *, on: bool) -> None:
        """Take note of Enable, which is RTS."""
        self._note(_Kind.ENABLE, on=on)

    def note_sent(self, frame: bytes) -> None:
        """Take note of a request."""
        self._note(_Kind.SENT, frame[:-DIGEST_LENGTH])

    def note_came(self, data: bytes) -> None:
        """Take note of what arrived at once."""
        self._note(_Kind.CAME, data)

    def _note(self, kind: _Kind, data: bytes = b"", *, on: bool = False) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
        if now - self._began <= LASTS and len(self._noted) < _MOST:
            self._noted.append(_Happening(now - self._began, kind, data, on))

    def lines(self) -> list[str]:
        """One line for each happening: seconds, direction, bytes, and how many more there were that are not shown."""
        found, still_shown = [], 0
        for place, each in enumerate(self._noted):
            if each.kind is _Kind.ENABLE:
                found.append(f"{each.at:.3f} Enable {'on' if each.on else 'off'}")
                continue
            if each.kind is _Kind.SENT:
                shown, hidden = each.data, DIGEST_LENGTH
                later = takewhile(lambda other: other.kind is not _Kind.SENT, self._noted[place + 1 :])
                still_shown = _head(b"".join(other.data for other in later))
            else:
                shown, hidden = each.data[:still_shown], max(0, len(each.data) - still_shown)
                still_shown -= len(shown)
            parts = (f"{each.at:.3f}", each.kind.value, shown.hex(), f"+{hidden}" if hidden else "")
            found.append(" ".join(part for part in parts if part))
        return found


def _head(stream: bytes) -> int:
    """Count the bytes that may be shown of what came behind a request: alerts, and the head of what is an answer."""
    at = 0
    while stream[at : at + LENGTH] == bytes(LENGTH):
        at += LENGTH
    if len(stream) < at + LENGTH + 1:
        return at
    length, code = int.from_bytes(stream[at : at + LENGTH], "big"), stream[at + LENGTH]
    behind = stream[at + LENGTH + 1 :]
    if (
        code == ResponseCode.OK
        and len(behind) >= LENGTH
        and int.from_bytes(behind[:LENGTH], "big") == (length - AROUND_DATA)
    ):
        return at + LENGTH + 1 + LENGTH
    if code == ResponseCode.WRONG_NUMBER and length == _LONGEST_REFUSAL:
        return at + LENGTH + 1 + _NUMBER
    if ResponseCode.OK < code <= ResponseCode.WRONG_NUMBER and 1 <= length <= _LONGEST_REFUSAL:
        return at + LENGTH + 1
    return at


class _CapturedPort:
    """A port, and a capture that is told of all that passes."""

    def __init__(self, port: Port, capture: Capture) -> None:
        self._port = port
        self._capture = capture
        self._rts = port.rts

    @property
    def name(self) -> str:
        """How the user knows it."""
        return self._port.name

    @property
    def baud(self) -> int:
        """Bits per second."""
        return self._port.baud

    @baud.setter
    def baud(self, baud: int) -> None:
        self._port.baud = baud

    @property
    def rts(self) -> bool:
        """Enable."""
        return self._port.rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._port.rts = on
        if on is not self._rts:
            self._rts = on
            self._capture.note_enable(on=on)

    def read(self, timeout: float) -> bytes:
        """Return what has arrived."""
        data = self._port.read(timeout)
        if data:
            self._capture.note_came(data)
        return data

    def write(self, data: bytes) -> None:
        """Send a request."""
        self._capture.note_sent(data)
        self._port.write(data)

    def drain(self) -> None:
        """Wait until everything has left."""
        self._port.drain()

    def holder(self) -> str | None:
        """Name another program that has the port open."""
        return self._port.holder()

    def close(self) -> None:
        """Give the port back, and Enable goes off with it."""
        self._port.close()
        self._capture.note_enable(on=False)
