"""A command's reads of a meter, in bursts: the daemon's polls and an MEP device have their turn in between.

While a daemon holds the port, a burst lasts as long as that grants (``guest.py``); otherwise a minute at the most, with
a pause behind it. Whoever reads need not know: ``get`` waits until it is its turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nesgw.config.settings import MeterSettings
from nesgw.errors import GuestRefused, KeyRefused, MeterMisbehaved, PortBusy, Retryable, Stopped, TableNotPresent
from nesgw.meter.port_loan import LEAST, Guest
from nesgw.meter.session import Facts, Meter
from nesgw.tables.query import PendingQuery, Query, T
from nesgw.tables.register import Part
from nesgw.values import Reading

BURST: Final = 55.0  # seconds without a daemon
PAUSE: Final = 1.0  # between such bursts
GOODBYE: Final = 1.1  # for ending a session in time, however it stands

_LOOK: Final = 0.05  # seconds between two looks for a grant
_LEFT: Final = 10.0  # seconds of a grant that are worth a second burst
_NO_GRANT: Final = 5.0  # after which the port may be free: the daemon may have ended
_PATIENCE: Final = 45.0  # a daemon has a poll of thirty seconds at the most, and then a pause
_ATTEMPTS: Final = 3

# A read takes its bytes' time, the overhead of packets and answers, and a few turn-arounds.
_OVERHEAD: Final = 1.6
_FRAME: Final = 60
_TURN_AROUNDS: Final = 0.1


class Visit:
    """One command's time with a meter. ``folder`` is the daemon's for it, None where none is known.

    ``stop`` is asked in every wait; ``say`` is told what is being waited for, and "" when it goes on.
    ``meter`` must be one of per-poll mode.
    """

    def __init__(
        self,
        meter: Meter,
        place: MeterSettings,
        folder: Path | None,
        *,
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._meter = meter
        self._place = place
        self._folder = folder
        self._stop = stop
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._guest: Guest | None = None
        self._hosted = False  # whether a daemon says when
        self._used: float | None = None  # the grant of the last burst
        self._session: ExitStack | None = None
        self._limit = 0.0  # of the burst
        self._ended = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.rest()
        except Retryable:
            pass  # all that was to be read has been read
        finally:
            self._meter.close()
            if self._guest:
                self._guest.leave()

    def get(self, part: Part) -> bytes:
        """Read one part, in this burst or in the next.

        Raises what ``Meter.get`` does; what may pass, only after several attempts.
        """
        seconds = self._duration(part.size)
        return self._attempt(lambda: self._meter.get(part), seconds)

    def facts(self) -> Facts:
        """Who the meter is and what it has."""
        return Secondhand(self.get).facts()

    def reading(self, facts: Facts) -> Reading:
        """Return one poll's values; all of them in one burst."""
        layout = facts.layout
        seconds = sum(self._duration(part.size) for part in layout.reads)
        blocks = self._attempt(lambda: {part.name: self._meter.get(part) for part in layout.reads}, seconds)
        return layout.reading(blocks, datetime.now(UTC))

    def find(self, steps: Query[T]) -> T:
        """Go through an query. A table that is missing, or kept from this key, is answered by None."""
        query = PendingQuery(steps)
        while query.wanted is not None:
            self.step(query)
        return query.result

    def step(self, query: PendingQuery[T]) -> None:
        """Give an query its next answer."""
        assert query.wanted is not None  # noqa: S101 (asked by the caller)
        data: bytes | None
        try:
            data = self.get(query.wanted)
        except (TableNotPresent, KeyRefused):
            data = None
        query.answer(data)

    def rest(self) -> None:
        """End the burst, if one is under way: the port is free until the next read."""
        self._end_burst()
        self._meter.close()

    def _end_burst(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._ended = self._clock()
            session.close()
        if self._hosted:
            self._meter.close()  # the daemon keeps it open, so the probe's supply does not drop

    @property
    def bursting(self) -> bool:
        """Whether the port is held just now."""
        return self._session is not None

    def _duration(self, size: int) -> float:
        return (size * _OVERHEAD + _FRAME) * 10 / self._place.baud + _TURN_AROUNDS

    def _attempt(self, read: Callable[[], T], seconds: float) -> T:
        failures = 0
        while True:
            try:
                self._begin(seconds)
                return read()
            except (TableNotPresent, KeyRefused, Stopped) as final:
                if isinstance(final, Stopped) or self._session is None:
                    self._break_off(final)
                raise
            except Retryable as problem:
                if isinstance(problem, MeterMisbehaved) and "code" in problem.facts:
                    raise  # a plain refusal: it would come again, and the session goes on
                self._break_off(problem)
                failures += 1
                if failures == _ATTEMPTS or isinstance(problem, PortBusy):
                    raise
            except BaseException as other:
                self._break_off(other)
                raise

    def _break_off(self, problem: BaseException) -> None:
        """Let the session see what ended it, so that it leaves the line clean."""
        session, self._session = self._session, None
        if session is not None:
            self._ended = self._clock()
            with suppress(type(problem)):
                session.__exit__(type(problem), problem, problem.__traceback__)
        if self._hosted:
            self._meter.close()

    # Whose turn it is

    def _begin(self, seconds: float) -> None:
        """See to a session that has so many seconds left; a fresh one is taken as it comes."""
        if self._session is not None:
            if self._clock() + seconds <= self._limit and not self._called_away():
                return
            self._end_burst()
        patience = self._clock() + _PATIENCE
        while True:
            self._limit = (self._granted() if self._hosted else self._own_turn()) - GOODBYE
            session = ExitStack()
            try:
                session.enter_context(self._meter.session(self._limit))
            except PortBusy as busy:
                if self._folder is None or self._clock() > patience:
                    raise
                try:
                    self._become_guest()
                except GuestRefused:
                    raise GuestRefused(**busy.facts) from None
                self._hosted = True
            else:
                self._session = session
                if self._hosted:
                    self._say("")
                return

    def _own_turn(self) -> float:
        """Without a daemon: after a pause, for so long; a daemon that is started meanwhile finds our request."""
        if self._folder is not None and self._folder.is_dir() and self._guest is None:
            with suppress(PortBusy):  # not our folder: then the port decides
                self._become_guest()
        while self._clock() < self._ended + PAUSE:
            self._wait(min(PAUSE, self._ended + PAUSE - self._clock()))
        return self._clock() + BURST

    def _granted(self) -> float:
        """With a daemon: wait for its grant. Without one for long, the port may be free.

        What is left of a grant, after a burst of the greatest length, is good for another one.
        """
        assert self._guest is not None  # noqa: S101 (made when the daemon was found)
        self._say("waiting for the daemon to lend the port")
        give_up = self._clock() + _NO_GRANT
        while self._clock() < give_up:
            until = self._guest.granted() or 0.0
            least, begin = (_LEFT, self._ended + PAUSE) if until == self._used else (2 * GOODBYE, 0.0)
            if until - self._clock() >= least and self._clock() >= begin:
                self._used = until
                return min(until, self._clock() + BURST)
            self._wait(_LOOK)
        return self._clock() + LEAST + GOODBYE

    def _called_away(self) -> bool:
        """Whether a daemon has come since we took the port."""
        if self._hosted or self._guest is None or self._guest.granted() is None:
            return False
        self._hosted = True
        return True

    def _become_guest(self) -> None:
        if self._guest is None and self._folder is not None:
            guest = Guest(self._folder)
            guest.ask(self._place.port)
            self._guest = guest

    def _wait(self, seconds: float) -> None:
        if self._stop():
            raise Stopped
        self._sleep(max(seconds, 0.0))


class Secondhand(Meter):
    """A meter known by what somebody else reads of it: the same learning and decoding, no port.

    What was read once is remembered, so learning goes on where it was interrupted.
    """

    def __init__(self, read: Callable[[Part], bytes]) -> None:
        super().__init__(MeterSettings("", ""))
        self._read_part = read
        self._known: dict[Part, bytes] = {}

    def get(self, part: Part) -> bytes:
        """Read a part where it comes from, the first time."""
        if part not in self._known:
            self._known[part] = self._read_part(part)
        return self._known[part]
