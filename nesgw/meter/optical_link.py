"""The optical port as a link: opens it, and finds the message sizes and the baud rate that probe and meter bear."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from nesgw.config.settings import MeterSettings
from nesgw.errors import LineTooNoisy, NoAnswer
from nesgw.optical.client import DEFAULT_LIMITS, SMALL_LIMITS, MessageLimits, MeterClient
from nesgw.optical.link import Link, LinkStatistics
from nesgw.optical.read_plan import Span, seconds_to_read
from nesgw.optical.session import State
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port
from nesgw.tables.register import table_name

# What to negotiate, best first. A probe that cannot bear long packets shows it by damaged ones: one step down then.
LIMITS: Final = (MessageLimits(512, 4), SMALL_LIMITS, DEFAULT_LIMITS)

# What baud = "negotiate" asks for, best first.
FASTER: Final = (28800, 19200)

_OPENING: Final = 260  # bytes on the wire, both ways, to open a session and to end it; with the pauses of the meter

# Seconds from a question to its answer that are worth a line in the log: meters take some hundredths, and may take six.
_SLOW: Final = (0.3, 1, 3)
_TAKES_ITS_TIME: Final = "an answer takes {seconds} s and more: the meter or the line to it is slow, which it may be"


class OpticalLink:
    """One probe. The port is opened for the first session, if none is given, and stays open until ``close``."""

    has_sessions = True
    spare = None
    jumps = None
    notice = None

    def __init__(
        self,
        settings: MeterSettings,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Port] = open_port,
        trace: Callable[..., object] | None = None,
        port: Port | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._opener = opener
        self._trace = trace
        self._port = port
        self._client: MeterClient | None = None
        self._memory = Link()  # outlives the port: what was sent last matters to the meter, not to the port
        self._step = 0  # index into LIMITS
        self._too_fast = False  # for this probe and meter nothing but the usual baud rate

    @property
    def in_session(self) -> bool:
        """Whether tables can be read now."""
        return self._client is not None and self._client.state is State.SESSION

    @property
    def limits(self) -> MessageLimits | None:
        """What the present session was granted; None while no port is open."""
        return self._client.limits if self._client else None

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        return self.statistics.bytes_out, self.statistics.bytes_in

    @property
    def statistics(self) -> LinkStatistics:
        """What passed over the wire since the start, and how long the meter's answers take."""
        return self._memory.statistics

    @property
    def remark(self) -> str | None:
        """Of a meter or a line whose answers take their time: how much. None while they are as quick as usual."""
        seconds = max((step for step in _SLOW if self.lateness >= step), default=None)
        return None if seconds is None else _TAKES_ITS_TIME.format(seconds=seconds)

    @property
    def lateness(self) -> float:
        """Seconds that an answer takes at least, where that is far more than usual."""
        least = self.statistics.least_response
        return least if least >= _SLOW[0] else 0.0

    @property
    def _connected(self) -> MeterClient:
        self.connect()
        assert self._client is not None  # noqa: S101 (connect has made it)
        return self._client

    def connect(self) -> None:
        """Open the port, if it is not open. Raises PortUnavailable."""
        if self._client is None:
            place = self._settings
            if self._port is None:
                self._port = self._opener(place.port, baud=place.baud, rts=place.rts, dtr=place.dtr)
            self._client = MeterClient(
                self._port,
                clock=self._clock,
                sleep=self._sleep,
                stop=self._stop,
                link=self._memory,
                trace=self._trace,
                table_name=table_name,
            )

    def limit(self, until: float) -> None:
        """Let every exchange that passes this time of the clock end in PollTooLong."""
        self._connected.limit(until)

    def open_session(self) -> None:
        """Open a session with the largest messages and the fastest rate that are known to work."""
        client = self._connected
        faster = FASTER if self._settings.negotiate_baud and not self._too_fast else ()
        key = self._settings.key
        wanted = replace(LIMITS[self._step], baud=self._settings.baud)
        client.open_session(key.reveal() if key else None, wanted, faster)
        self._too_fast = self._too_fast or client.too_fast

    def read(self, span: Span) -> bytes:
        """Read exactly one span."""
        return self._connected.read(span.table, span.offset, span.size)

    def read_all(self, spans: Sequence[Span]) -> dict[Span, bytes]:
        """Read several spans, in as few bytes on the wire as what was negotiated allows."""
        return self._connected.read_all(spans)

    def seconds(self, size: int) -> float:
        """How long reading so many bytes takes at the most, on a sound line; outside a session, with opening one."""
        baud = self._settings.baud
        if self._client is None or not self.in_session:
            limits = LIMITS[self._step]
            opening = _OPENING * 10 / baud
        else:
            limits, opening = self._client.limits, 0.0
            baud = limits.baud or baud
        return opening + seconds_to_read(size, limits.packet_size, limits.table_bytes, baud)

    def wait(self, seconds: int) -> None:
        """Have the meter keep the session over so many seconds of silence."""
        self._connected.wait(seconds)

    def terminate(self, budget: float | None = None) -> None:
        """End the session as well as ``budget`` seconds allow."""
        if self._client is None:
            return
        if budget is None:
            self._client.terminate()
        else:
            self._client.terminate(budget)

    def learn_from(self, error: BaseException) -> None:
        """Smaller messages after damaged ones; the usual baud rate after trouble at a faster one."""
        client = self._connected
        at_speed = client.limits.baud != self._settings.baud
        if client.too_fast or (at_speed and isinstance(error, (NoAnswer, LineTooNoisy))):
            self._too_fast = True  # whether it is the speed that fails or not: the usual one is safer
        elif isinstance(error, LineTooNoisy):
            self._step = min(self._step + 1, len(LIMITS) - 1)

    def close(self) -> None:
        """Give the port back."""
        self._client = None
        if self._port is not None:
            self._port.close()
            self._port = None
