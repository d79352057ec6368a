"""Asks the meter who it is, again and again, to find out how well the probe sits. Needs no key and opens no session.

Repeats nothing and waits nothing out, so that a person who turns the probe sees at once what came of it. What the
attempts mean is judged in ``nesgw/commands/align/judge.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final

from nesgw.optical.link import Delivered, Event, GaveUp, Link, Reason, Received, Timing
from nesgw.optical.packet import ACK
from nesgw.optical.services import Identify, Request, Terminate
from nesgw.ports.port import Port

# A meter may take two seconds to acknowledge and six to answer, four times over: a bar would stand still for half a
# minute. Real meters take some hundredths of a second [Clients]. So the time-outs begin short, and grow for a meter
# that acknowledges and answers late. Below half a second they must not be: a meter that heard a part of our packet
# waits so long for the rest, and takes the next packet for it.
_IMPATIENT: Final = Timing(inter_character=0.1, response=0.55, sleeper=6.0, answer=1.0, attempts=1)
_STANDARD: Final = Timing()
_QUICK: Final = 0.4  # seconds to the answer, for which the shortest time-outs do

_SETTLE: Final = 0.05  # seconds for which an adapter holds back the last bytes of an exchange, at the most
_IDLE: Final = 0.05  # the least time in which nothing is asked, to see whether anything comes unasked
_REQUESTS: Final = 2
_ACKNOWLEDGEMENT: Final = bytes((ACK,))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one question."""

    answered: bool
    slow: bool = False  # the meter heard us, and its answer was not there in time
    naks: int = 0  # the meter heard us, damaged
    damaged: int = 0  # we heard the meter, damaged: wrong CRC
    echoes: int = 0  # we heard ourselves
    heard: int = 0  # bytes that came while an answer was due, whatever they were
    noise: int = 0  # bytes that came while nothing was due
    response: float | None = field(default=None, compare=False)  # seconds to the answer
    strange: bytes = field(default=b"", compare=False)  # what came and belonged to no sound packet


class _Result(Enum):
    ANSWERED = auto()
    REFUSED = auto()  # NAK
    ACKNOWLEDGED = auto()
    SILENT = auto()


class LineTest:
    """Asks on an open port. Not for two threads. Raises PortLost and nothing else."""

    def __init__(
        self,
        port: Port,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._port = port
        self._clock = clock
        self._sleep = sleep
        self._link = Link()
        self._patience = 1
        self._last_byte_at = float("-inf")
        # The last question went unanswered, so the meter may have opened the channel without our hearing it.
        self._in_doubt = False

    def attempt(self, period: float) -> Attempt:
        """Ask once, end the channel, and listen to the idle line until ``period`` seconds are over."""
        statistics = self._link.statistics
        end, before = self._clock() + period, replace(statistics)
        result = self._question()
        heard = statistics.bytes_in - before.bytes_in
        if result is _Result.ANSWERED:
            self._ask(Terminate())
        self._listen(_SETTLE)
        after, strange = replace(statistics), self._link.take_strange()
        self._listen(max(_IDLE, end - self._clock()))
        late = statistics.stale_answers > before.stale_answers
        unasked = statistics.packets_in == after.packets_in
        acknowledged = result is _Result.ACKNOWLEDGED and not strange.strip(_ACKNOWLEDGEMENT)
        answered = result is _Result.ANSWERED
        self._in_doubt = not answered
        self._adapt(late=late or acknowledged, quick=answered and (statistics.last_response or 0.0) < _QUICK)
        return Attempt(
            answered=answered or late,
            slow=acknowledged and not late,
            naks=after.naks_received - before.naks_received,
            damaged=after.damaged - before.damaged,
            echoes=after.echoes - before.echoes,
            heard=heard,
            noise=statistics.bytes_in - after.bytes_in if unasked else 0,
            response=statistics.last_response if answered else None,
            strange=strange + self._link.take_strange(),
        )

    def end(self) -> None:
        """Close a channel that may be open without our knowing."""
        if self._in_doubt:
            self._ask(Terminate())
            self._in_doubt = False

    def _question(self) -> _Result:
        """Ask who the meter is, or, in doubt, end the channel, which is answered in every state.

        In doubt the same question once more might also be dropped as a duplicate (trap 2). A NAK has it asked again at
        once: a meter that shares its port with the MEP interface refuses the first packet, however well the probe
        sits (trap 6).
        """
        request: Request[Any] = Terminate() if self._in_doubt else Identify()
        result = _Result.REFUSED
        for _ in range(_REQUESTS):
            if result is _Result.REFUSED:
                result = self._ask(request)
        return result

    def _adapt(self, *, late: bool, quick: bool) -> None:
        if late:
            self._patience *= 2
        elif quick:
            self._patience = 1

    def _ask(self, request: Request[Any]) -> _Result:
        """Ask once. A refusal is an answer: isss says that the channel of before is still open, and the light good."""
        self._link.reset()  # whatever was left behind: nothing is waited out
        self._link.timing = replace(
            _IMPATIENT,
            response=min(_STANDARD.response, self._patience * _IMPATIENT.response),
            answer=min(_STANDARD.answer, self._patience * _IMPATIENT.answer),
            byte_time=10 / self._port.baud,
        )
        self._link.send(request.encode(), self._clock(), request.fits)
        result = _Result.SILENT
        while True:
            for event in self._turn():
                match event:
                    case Received():
                        return _Result.ANSWERED
                    case Delivered():
                        result = _Result.ACKNOWLEDGED
                    case GaveUp(reason=reason):
                        return _Result.REFUSED if reason is Reason.NAK else result

    def _listen(self, seconds: float) -> None:
        """Take note of what comes unasked."""
        end = self._clock() + seconds
        while self._clock() < end:
            self._turn(end)

    def _turn(self, within: float = float("inf")) -> list[Event]:
        """Go once round the loop: write, read, think, write."""
        self._write()
        end = min(within, self._link.deadline() or within)
        data = self._port.read(max(0.0, end - self._clock()))
        now = self._clock()
        if data:
            self._last_byte_at = now
        events = self._link.receive(data, now) + self._link.expire(now)
        self._write()
        return events

    def _write(self) -> None:
        if data := self._link.outgoing():
            self._sleep(max(0.0, self._last_byte_at + self._link.timing.turn_around - self._clock()))
            self._port.write(data)
