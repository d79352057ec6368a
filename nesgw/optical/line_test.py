"""Asks the meter who it is, again and again, to find out how well the probe sits. Needs no key and opens no session.

Repeats nothing and waits nothing out, so that a person who turns the probe sees at once what came of it. What the
beats mean is judged in ``nesgw/alignment.py``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from nesgw.errors import PortUnavailable, RequestDamaged, Retryable
from nesgw.optical.client import MeterClient
from nesgw.optical.link import Timing
from nesgw.optical.services import Identify, Request, ServiceRefused, Terminate

# A meter has up to two seconds to acknowledge and six to answer, four times over: half a minute in which a bar would
# stand still. Real meters take some hundredths of a second [Clients], so half a second for the acknowledgement is
# ample, and twice that for the answer of a meter that has heard us; one that needs even more is not wronged, for an
# answer is also counted when it comes late. Less it must not be: a meter that saw only a part of our packet waits for
# the rest through half a second of silence, and would take the next packet for it. No session is opened in which any
# of this matters.
IMPATIENT: Final = Timing(inter_character=0.1, response=0.55, answer=1.0, attempts=1)

_SETTLE: Final = 0.05  # an adapter holds back the last bytes of an exchange, an echo of ours among them, for 16 ms
_IDLE: Final = 0.05  # the least time in which nothing is asked, to see whether anything comes unasked
_REQUESTS: Final = 2


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one question."""

    answered: bool
    naks: int = 0  # the meter heard us, damaged
    damaged: int = 0  # we heard the meter, damaged: wrong CRC
    echoes: int = 0  # we heard ourselves
    heard: int = 0  # bytes that came while an answer was due, whatever they were
    noise: int = 0  # bytes that came while nothing was due


class LineTest(MeterClient):
    """A client that only knocks; made with ``timing=IMPATIENT``."""

    _in_doubt = False  # the last question went unanswered, so the meter may have opened the channel without our hearing

    def attempt(self, period: float) -> Attempt:
        """Ask once, end the channel, and listen to the idle line until ``period`` seconds are over. Raises PortLost."""
        end = self._clock() + period
        before = replace(self.statistics)
        answered = self._question()
        heard = self.statistics.bytes_in - before.bytes_in
        if answered:
            with suppress(RequestDamaged):
                self._knock(Terminate())
        self._listen(_SETTLE, at_most=_SETTLE)
        after = replace(self.statistics)
        self._listen(float("inf"), at_most=max(_IDLE, end - self._clock()))
        late = self.statistics.stale_answers > before.stale_answers
        unasked = self.statistics.packets_in == after.packets_in
        self._in_doubt = not answered
        return Attempt(
            answered=answered or late,
            naks=after.naks_received - before.naks_received,
            damaged=after.damaged - before.damaged,
            echoes=after.echoes - before.echoes,
            heard=heard,
            noise=self.statistics.bytes_in - after.bytes_in if unasked else 0,
        )

    def _question(self) -> bool:
        """Ask who the meter is, or, in doubt, end the channel, which is answered in every state; tell of an answer.

        In doubt the same question once more might also be dropped as a duplicate (trap 2). A NAK has it asked again at
        once: a meter that shares its port with the MEP interface refuses the first packet, however well the probe
        sits (trap 6).
        """
        request: Request[Any] = Terminate() if self._in_doubt else Identify()
        for _ in range(_REQUESTS):
            try:
                return self._knock(request)
            except RequestDamaged:
                continue
        return False

    def _knock(self, request: Request[Any]) -> bool:
        """Ask once; tell whether an answer came. Raises PortLost, and RequestDamaged after a NAK."""
        self._at_base()  # whatever was left behind: nothing is waited out
        try:
            self._exchange(request)
        except ServiceRefused:
            return True  # isss: the channel of before is still open; the light is good
        except (PortUnavailable, RequestDamaged):
            raise
        except Retryable:
            return False
        return True
