"""Reads for commands with the worker's own meter and session, in what the polls leave of each interval.

Right behind a poll a command's reads share its session; in between, a burst of them shares one of its own. Each read
begins only if it will be over before the next beat. Where the beats are so close that one never is, the command and the
polls take turns, and beats are missed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from nesgw.errors import KeyRefused, NesgwError, ProtocolMisuse, Stopped, TableNotPresent
from nesgw.gateway.read_server import ReadRequest, ReadServer
from nesgw.gateway.schedule import Gap
from nesgw.meter.meter import Meter
from nesgw.tables.register import Part

LINGER: Final = 0.2  # seconds for which a session is held for the next request of the same command
BURST: Final = 55.0  # seconds: an optical session of more than ten minutes is cut, and an MEP device waits meanwhile
PAUSE: Final = 1.0  # between two bursts
OVERTIME: Final = 4.0  # seconds: a read that fits between no two beats waits so long, and then has its turn so long


class Serving:
    """``pause`` waits for so many seconds, or until a request comes; it raises Stopped at the end of the process."""

    def __init__(
        self, server: ReadServer, meter: Meter, clock: Callable[[], float], pause: Callable[[float], object]
    ) -> None:
        self._server = server
        self._meter = meter
        self._clock = clock
        self._pause = pause
        self._not_before = float("-inf")

    def remember(self, parts: Mapping[Part, bytes | NesgwError]) -> None:
        """Have these parts answered without the meter."""
        self._server.known = parts

    def after_poll(self, gap: Gap, closes: float) -> None:
        """Serve who waits, in the session of the poll. Raises what breaks the session.

        ``closes`` is when the port is left to the utility: nothing reaches beyond that.
        """
        request = self._server.waiting
        if request is None:
            return
        if not self._has_room(request, gap):
            now = self._clock()
            request.passed_over = now if request.passed_over is None else request.passed_over
            if now - request.passed_over < OVERTIME:
                return
            gap = self._overtime(request).wholly_before(closes)
            if not self._has_room(request, gap):
                return
        self._burst(gap)

    def between_polls(self, gap: Gap, obstacle: NesgwError | None) -> None:
        """Serve who waits, in a session for that; ``obstacle`` is why the meter must not be asked now."""
        request = self._server.waiting
        if request is None:
            return
        if obstacle is not None:
            self._server.answer(request, obstacle)
        elif self._clock() >= self._not_before and self._has_room(request, gap):
            try:
                with self._meter.session(gap.limit):
                    self._burst(gap)
            except (Stopped, ProtocolMisuse):
                raise
            except NesgwError as trouble:  # the next poll meets it, too, and counts it
                self._server.answer(request, trouble)

    def _burst(self, gap: Gap) -> None:
        """Serve one request after the other."""
        gap = gap.at_most(self._clock() + BURST)
        self._meter.limit(gap.limit)
        while (request := self._next()) is not None and self._has_room(request, gap):
            self._answer(request)
        if self._clock() > gap.ends - PAUSE:
            self._not_before = self._clock() + PAUSE

    def _overtime(self, request: ReadRequest) -> Gap:
        ends = self._clock() + max(OVERTIME, self._meter.seconds(request.part))
        return Gap(ends, ends + OVERTIME)

    def _next(self) -> ReadRequest | None:
        until = self._clock() + LINGER
        while (request := self._server.waiting) is None and (left := until - self._clock()) > 0:
            self._pause(left)
        return request

    def _has_room(self, request: ReadRequest, gap: Gap) -> bool:
        return gap.has_room(self._meter.seconds(request.part), self._clock())

    def _answer(self, request: ReadRequest) -> None:
        try:
            data = self._meter.disclose(request.part)
        except (TableNotPresent, KeyRefused) as refusal:
            self._server.answer(request, refusal)
        except (Stopped, ProtocolMisuse):
            raise
        except NesgwError as trouble:
            self._server.answer(request, trouble)
            if not self._meter.in_session:
                raise
        else:
            if data is None:
                self._server.refuse(request)
            else:
                self._server.answer(request, data)
