"""The only loop of the MEP part: port, clock and link together give the bytes of a table.

Knows no table's content. What the meter may say or not say, and what is sent then, is ``link.py``'s; here are the port,
the waiting, and what a caller has of all that: bytes, or one of nesgw's errors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from nesgw.errors import (
    EnableWeak,
    KeyRefused,
    KeyRests,
    LoopedBack,
    MepKeyRefused,
    MepLineTooNoisy,
    MepNoAnswer,
    MepPollTooLong,
    MepRequestDamaged,
    MepTableClosed,
    MeterBusy,
    MeterMisbehaved,
    NesgwError,
    NumberRefused,
    Stopped,
    TableNotPresent,
    TlsWanted,
    WrongLevels,
)
from nesgw.mep.answer_size import SHORT_READ
from nesgw.mep.digest import KEY_LENGTH
from nesgw.mep.frames import LARGEST_READ, FullRead, PartialRead, Request, ResponseCode
from nesgw.mep.link import Event, GaveUp, Link, LinkStatistics, Reason, Received, Refused
from nesgw.mep.read_plan import AnySpan, coalesce, end_of
from nesgw.mep.session import State
from nesgw.ports.port import Port

_SLICE: Final = 0.25  # how long a call may go without looking at stop() and the limit
_NAP: Final = 0.001  # a shorter wait is not worth its own system call
_PATIENCE: Final = (1.0, 1.0, 1.0)  # pauses after busy, not ready, locked
_ET03: Final = (2048 + 3, 0, 30)  # the utility's serial number: said to need no key

_PASSING = (ResponseCode.BUSY, ResponseCode.NOT_READY, ResponseCode.LOCKED, ResponseCode.RENEGOTIATE)
_PERHAPS_DAMAGED = (ResponseCode.UNRECOGNIZED, ResponseCode.UNSUPPORTED)  # nesgw sends neither: asked once more

NO_KEY: Final = bytes(16)  # proves the line with a digest that no meter takes


class _Failed(Exception):
    """A read failed; ``event`` says how."""

    def __init__(self, event: GaveUp) -> None:
        self.event = event
        super().__init__(event.reason.value)


class _ReadRefused(Exception):
    """The meter refused a read."""

    def __init__(self, code: ResponseCode) -> None:
        self.code = code
        super().__init__(str(code))


class MepClient:
    """Reads one meter through a port that was just opened. Not for two threads.

    The ``link`` knows the meter and outlives the port: give the same one to the next client of this meter.
    """

    def __init__(
        self,
        port: Port,
        link: Link,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stop: Callable[[], bool] = lambda: False,
        trace: Callable[..., object] | None = None,
        key_form: str = "",
    ) -> None:
        """``key_form`` says in which form the key was given ("40 hex digits"), for who has to compare it."""
        self._port = port
        self._link = link
        self._clock = clock
        self._sleep = sleep
        self._stop = stop
        self._trace = trace or (lambda *_: None)  # takes a %-template and what stands in it, as a logger does
        self._key_form = key_form or f"{KEY_LENGTH} bytes"
        self._limit: float | None = None
        self._spoiled = GaveUp(Reason.TOO_LONG)  # the last long answer that was
        link.timing = replace(link.timing, byte_time=10 / port.baud)
        link.open(clock())
        self._enable = link.state.enable
        port.rts = self._enable

    @property
    def state(self) -> State:
        """What the port is in."""
        return self._link.state

    @property
    def statistics(self) -> LinkStatistics:
        """What passed over the wire; counts on, over clients too where they have the same link."""
        return self._link.statistics

    @property
    def notice(self) -> NesgwError | None:
        """What a person should mend although reading goes on; None where there is nothing."""
        return self._enable_weak() if self._link.answer_size.weak else None

    def spare(self) -> int:
        """Count the reads that can be made now without waiting for the average that the guide asks for."""
        return self._link.pace.spare(self._clock())

    def limit(self, until: float | None) -> None:
        """Let every read that passes this time of the clock end in PollTooLong; None takes the limit away."""
        self._limit = until

    # --- Tables ---------------------------------------------------------------------------------------------------

    def read(self, table: int, offset: int, count: int) -> bytes:
        """Read exactly ``count`` bytes, in one partial read where they fit into an answer.

        Several are not atomic: the meter may update between two of them. Behind a table's end there are zeros, as the
        meter itself has them on the optical port.

        Raises TableNotPresent, KeyRefused, MeterMisbehaved (there is nothing at all from ``offset`` on, or the meter
        does not do it), NoAnswer, LineTooNoisy, MeterBusy, NumberRefused, TlsWanted, PollTooLong and Stopped; what the
        port raises passes through.
        """
        return self._read(table, offset, count).ljust(count, b"\0")

    def _read(self, table: int, offset: int, count: int) -> bytes:
        """Read so many bytes, or fewer where the table ends."""
        data, largest = b"", LARGEST_READ
        while len(data) < count:
            most = min(largest, self._link.answer_size.largest_read(self._clock()))
            request = PartialRead(table, offset + len(data), min(count - len(data), most))
            try:
                piece = self._ask(request)
            except _ReadRefused as refusal:
                if refusal.code is not ResponseCode.NOT_POSSIBLE:
                    raise self._refused(request, refusal.code) from None
                if request.count <= SHORT_READ:  # the table's size tells whether it ends here
                    piece = self._whole(request)[request.offset : request.offset + request.count]
                else:
                    largest = SHORT_READ
                    continue
            except _Failed as failure:
                if failure.event.reason is not Reason.TOO_LONG:
                    raise self._failed(request, failure.event) from None
                self._trace("-- %s", self._enable_weak().happened)
                continue
            data += piece
            if len(piece) < request.count:
                break
        if not data:
            raise MeterMisbehaved(service=f"Read table {table}", problem=f"the table ends before offset {offset}")
        return data

    def read_all(self, spans: Sequence[AnySpan]) -> dict[AnySpan, bytes]:
        """Read several spans; those that stand close together in one answer, of one instant. Raises what ``read`` does.

        A span is shorter where its table ends: values are made of these, and none is made of bytes that never came.
        """
        found: dict[AnySpan, bytes] = {}
        for group in coalesce(spans, self._link.answer_size.largest_read(self._clock())):
            begin = group[0].offset
            data = self._read(group[0].table, begin, end_of(group) - begin)
            found |= {span: data[span.offset - begin : span.offset - begin + span.size] for span in group}
        return found

    def prove_line(self) -> None:
        """Find out whether the meter answers at all, whatever it says of the key; raises what the line can.

        Needs no key that the meter takes (``NO_KEY``). Once in a run is enough: a refused key rests for a minute.
        """
        try:
            self.read(*_ET03)
        except (KeyRefused, TableNotPresent, MeterMisbehaved, MeterBusy, NumberRefused, TlsWanted):
            return

    def _whole(self, refused: PartialRead) -> bytes:
        """Read a whole table, for its size; the size of one that fills an answer is not known."""
        try:
            table = self._ask(FullRead(refused.table))
        except _ReadRefused:
            table = bytes(LARGEST_READ)
        except _Failed as failure:
            raise self._failed(refused, failure.event) from None
        if len(table) == LARGEST_READ:
            raise self._refused(refused, ResponseCode.NOT_POSSIBLE)
        return table

    # --- One read -------------------------------------------------------------------------------------------------

    def _ask(self, request: Request) -> bytes:
        """Read, with patience for a meter that is busy and for what may be damage."""
        passing, once_more = iter(_PATIENCE), iter((0.0,))
        pauses = dict.fromkeys(_PASSING, passing) | dict.fromkeys(_PERHAPS_DAMAGED, once_more)
        while True:
            try:
                return self._exchange(request)
            except _ReadRefused as refusal:
                pause = next(pauses.get(refusal.code, iter(())), None)
                if pause is None:
                    raise
                self._pause(pause, request)

    def _exchange(self, request: Request) -> bytes:
        """Make one read of the link, and wait for what becomes of it."""
        while self._link.state in (State.SETTLE, State.RECOVER):
            self._turn(request)
        events = self._link.receive(self._port.read(0), self._clock())  # what came since the read before
        events += self._link.ask(request, self._clock())
        try:
            while True:
                for event in events:
                    match event:
                        case Received():
                            return event.data
                        case Refused():
                            raise _ReadRefused(event.code)
                        case GaveUp():
                            if event.reason is Reason.TOO_LONG:
                                self._spoiled = event
                            self._recover()
                            raise _Failed(event)
                        case _:
                            self._trace("%s", event)
                events = self._turn(request)
        finally:
            self._link.abandon(self._clock())

    def _recover(self) -> None:
        """Switch Enable off and on, so that it has settled by the next poll; no limit keeps it from that."""
        while self._link.state is State.RECOVER and not self._stop():
            self._wait_and_look(self._clock() + _SLICE)

    def _turn(self, doing: Request) -> list[Event]:
        """Go once round the loop, unless it is time to end."""
        self._check(doing)
        end = self._clock() + _SLICE
        return self._wait_and_look(end if self._limit is None else min(end, self._limit))

    def _wait_and_look(self, end: float) -> list[Event]:
        """Wait for what comes until ``end``, or until something is due; think, write."""
        now, deadline, soonest = self._clock(), self._link.deadline(), self._link.nothing_before()
        end = end if deadline is None else min(end, deadline)
        if soonest is not None and (nap := min(soonest, end) - now) > _NAP:
            self._sleep(nap)  # to wake for each byte of a frame would cost more than all the rest
            now += nap
        data = self._port.read(max(0.0, end - now))
        events = self._link.receive(data, self._clock())
        events += self._link.expire(self._clock())
        self._write()
        return events

    def _write(self) -> None:
        if self._enable is not self._link.state.enable:
            self._enable = self._port.rts = self._link.state.enable
            self._trace("-- Enable %s", "on" if self._enable else "off")
        if data := self._link.outgoing():
            self._port.write(data)

    def _pause(self, seconds: float, doing: Request) -> None:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self._sleep(min(left, _SLICE))
            self._check(doing)

    def _check(self, doing: Request) -> None:
        if self._stop():
            raise Stopped
        if self._limit is not None and self._clock() >= self._limit:
            raise MepPollTooLong(port=self._port.name, service=str(doing))

    # --- What a caller hears of it --------------------------------------------------------------------------------

    def _refused(self, request: Request, code: ResponseCode) -> NesgwError:
        match code:
            case ResponseCode.TABLE_NOT_POSSIBLE:
                return TableNotPresent(table=table_name(request.table))
            case ResponseCode.NO_PERMISSION:
                return MepTableClosed(service=str(request), code=str(code))
            case ResponseCode.WRONG_STATE:
                return TlsWanted(service=str(request), code=str(code))
            case _ if code in _PASSING:
                return MeterBusy(service=str(request), code=str(code))
            case _:
                return MeterMisbehaved(service=str(request), problem=f"it is refused with {code}", code=str(code))

    def _failed(self, request: Request, event: GaveUp) -> NesgwError:
        self._trace("-- gave up on %s: %s in %s attempts", request, event.reason.value, event.transmissions)
        if event.reason is Reason.KEY:
            if event.transmissions:
                return MepKeyRefused(service=str(request), code=str(ResponseCode.WRONG_DIGEST), form=self._key_form)
            rest = round(self._link.key_rests_until - self._clock())
            return KeyRests(
                service=str(request), code=str(ResponseCode.WRONG_DIGEST), form=self._key_form, seconds=rest
            )
        if event.reason in (Reason.CUT_SHORT, Reason.TOO_LONG) and self._link.answer_size.weak:
            return self._enable_weak()
        kind = {
            Reason.SILENCE: MepNoAnswer,
            Reason.ZEROS: WrongLevels,
            Reason.ECHO: LoopedBack,
            Reason.DAMAGED: MepLineTooNoisy,
            Reason.CUT_SHORT: MepLineTooNoisy,
            Reason.REQUEST_DAMAGED: MepRequestDamaged,
            Reason.NUMBER: NumberRefused,
        }[event.reason]
        return kind(port=self._port.name, service=str(request), attempts=event.transmissions)

    def _enable_weak(self) -> EnableWeak:
        return EnableWeak(port=self._port.name, got=self._spoiled.got, expected=self._spoiled.expected)


def table_name(table: int) -> str:
    """Give the name that the OSGP guides use: BT23, ET03."""
    return f"ET{table - 2048:02}" if 2048 <= table < 4096 else f"BT{table:02}"
