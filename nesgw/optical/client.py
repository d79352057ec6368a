"""The only loop of the optical part: port, clock, link and session together give the bytes of a table.

Knows no table's content. The link answers packets, ``session.py`` says what is legal; what a meter may do against the
rules, and what is done about it, is here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, TypeVar

from nesgw.errors import (
    BridgeSilent,
    EchoOnly,
    KeyRefused,
    LineSlow,
    LineTooNoisy,
    MeterBusy,
    MeterMisbehaved,
    NesgwError,
    NoAnswer,
    PollTooLong,
    PortLost,
    PortShared,
    PortUnavailable,
    RequestDamaged,
    Retryable,
    SessionRefused,
    Stopped,
    TableNotPresent,
    Unanswered,
)
from nesgw.optical.link import (
    DEFAULT_PACKET_SIZE,
    Delivered,
    Event,
    GaveUp,
    Link,
    LinkStatistics,
    Reason,
    Received,
    Stale,
    Timing,
)
from nesgw.optical.other_devices import OtherDevice, busy_bridge, recognise, wrong_device
from nesgw.optical.packet import OVERHEAD
from nesgw.optical.read_plan import Span, coalesce
from nesgw.optical.services import (
    BAUD_CODES,
    Garbled,
    Identification,
    Identify,
    Logon,
    Negotiate,
    PartialRead,
    Read,
    Request,
    ResponseCode,
    Security,
    ServiceRefused,
    Terminate,
    Wait,
    WrongShape,
)
from nesgw.optical.session import State, after_ok
from nesgw.ports.port import Port, is_bridge

Result = TypeVar("Result")

_SLICE: Final = 0.25  # how long a call may go without looking at stop() and the limit
_INSTANT: Final = 0.000_03  # shorter than a sleep call and than one byte time
_QUIET: Final = 0.1  # a line that is silent for so long has no packet on it
_NOT_QUIET: Final = 3.0  # how long to wait for that: the longest message takes two seconds
_MARGIN: Final = 0.5  # the meter's six seconds need not be ours
_PATIENCE: Final = (0.1, 0.3, 0.9)  # pauses after busy, not ready, locked; short of the six seconds together
_HURRIED: Final = 1.0  # for terminating while the process is to end
_TERMINATE_BUDGET: Final = 4.5  # two transmissions
_ATTEMPTS_AT_NEW_BAUD: Final = 2  # a rate that works needs one; the channel has to time out after the last

_GARBLED: Final = 4  # times a table's data may have a wrong checksum, as often as a packet is sent
# Seconds in which a second answer to a question that was asked twice must have come, and times the longest so far.
_SECOND_ANSWER: Final = (0.25, 3)
_NO_BETTER: Final = 2.0  # after an unusual answer: the meter has sent what it had to say
_SLOW: Final = 0.3  # seconds from question to answer; meters take some hundredths

_PASSING = (ResponseCode.BSY, ResponseCode.DNR, ResponseCode.DLK)


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How much fits in a message, and how fast it goes."""

    packet_size: int = 512
    packets: int = 4
    baud: int | None = None  # None in a wish: as it is

    @property
    def table_bytes(self) -> int:
        """Bytes of a table that fit in one answer: the code, the count and the checksum take four."""
        return self.packets * (self.packet_size - OVERHEAD) - 4

    def __str__(self) -> str:
        return f"{self.packets} x {self.packet_size} bytes"


SMALL_LIMITS: Final = MessageLimits(DEFAULT_PACKET_SIZE, 2)  # what the clients in the field ask for [Clients]
DEFAULT_LIMITS: Final = MessageLimits(DEFAULT_PACKET_SIZE, 1)  # what holds without Negotiate


class MeterClient:
    """Talks with one meter. Not for two threads; ends with ``terminate`` or as a context manager.

    Whatever goes wrong leaves as one of nesgw's errors. After one that interrupts an exchange the channel is suspect:
    nothing but Terminate is legal until ``open_session`` (or ``resynchronise``) has put it in order.
    """

    def __init__(
        self,
        port: Port,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stop: Callable[[], bool] = lambda: False,
        timing: Timing | None = None,
        link: Link | None = None,
        trace: Callable[..., object] | None = None,
        table_name: Callable[[int], str] = str,
    ) -> None:
        self._port = port
        self._clock = clock
        self._sleep = sleep
        self._stop = stop
        self._trace = trace or (lambda *_: None)  # takes a %-template and what stands in it, as a logger does
        self._table_name = table_name  # for errors: the makers have their own names for their tables
        # The link of the client before, where a port was opened again: the meter may take what it sent for the last
        # packet, and the same one now for a repetition (trap 2).
        self._link = link or Link()
        self._link.reset()
        self._link.greeting = None
        self._link.timing = replace(timing or Timing(), byte_time=10 / port.baud)
        self._base_baud = port.baud
        self._limit: float | None = None
        self._last_byte_at = float("-inf")
        self._wait_until = float("-inf")  # the meter keeps the channel so long, after Wait
        self._state = State.BASE
        self._limits = replace(DEFAULT_LIMITS, baud=port.baud)
        self._largest_read = self._limits.table_bytes
        self._partial_reads = True
        # This meter does not know the service, or does not grant that: not asked in each session.
        self._cannot_negotiate = False
        self._not_granted: set[Negotiate] = set()
        self._is_unusual = False  # it answers some services against the rules
        self._disturbances = 0  # of the line, before the present limit
        self.too_fast = False  # a negotiated baud rate did not work: not to be asked for again

    def __enter__(self) -> MeterClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.terminate()

    @property
    def state(self) -> State:
        """What the channel is in, as far as we know."""
        return self._state

    @property
    def statistics(self) -> LinkStatistics:
        """What passed over the wire; counts on, over clients too where they are given the same link."""
        return self._link.statistics

    @property
    def limits(self) -> MessageLimits:
        """What was negotiated, or the defaults."""
        return self._limits

    def limit(self, until: float | None) -> None:
        """Let every exchange that passes this time of the clock end in PollTooLong; None takes the limit away."""
        self._limit = until
        self._disturbances = self.statistics.disturbances

    # --- A session ------------------------------------------------------------------------------------------------

    def open_session(
        self, key: bytes | None, wanted: MessageLimits | None = None, faster: tuple[int, ...] = ()
    ) -> None:
        """Identify, negotiate, log on, show the key if there is one.

        ``faster`` are baud rates to ask for, best first. A granted one must prove itself by the next exchange; if the
        probe or the meter cannot keep up, the session is opened at the port's own rate, and ``too_fast`` says so.
        Raises NoAnswer, EchoOnly, LineTooNoisy, MeterBusy, SessionRefused, KeyRefused and what every exchange can:
        MeterMisbehaved, PollTooLong, Stopped, PortLost.
        """
        self.identify()
        self.negotiate(wanted or MessageLimits(), faster)
        if self._port.baud == self._base_baud:
            self.logon()
        else:
            self._prove_baud(wanted or MessageLimits())
        if key is not None:
            self.authenticate(key)

    def _prove_baud(self, wanted: MessageLimits) -> None:
        """Log on at the new rate; where that is not understood, once more at the old one."""
        patient = self._link.timing
        self._link.timing = replace(patient, attempts=_ATTEMPTS_AT_NEW_BAUD)
        try:
            self.logon()
        except (NoAnswer, LineTooNoisy) as problem:
            self._trace("-- back to %s baud: %s", self._base_baud, problem.happened)
            self.too_fast = True
        finally:
            self._link.timing = replace(self._link.timing, attempts=patient.attempts)
        if self.too_fast:
            self._wait_out_channel()  # at the old rate the meter does not hear that we give up
            self.identify()
            self.negotiate(wanted)
            self.logon()

    def identify(self) -> Identification:
        """Open the channel.

        A channel that the process before us left open answers isss (trap 3): it is terminated, and if it insists,
        waited out.
        """
        if self._state is not State.BASE:
            self.resynchronise()
        self._link.take_strange()
        for way_out in (self.resynchronise, self._wait_out_channel, None):
            try:
                return self._ask(Identify())
            except ServiceRefused as refusal:
                if refusal.code is not ResponseCode.ISSS or way_out is None:
                    raise SessionRefused(service="Identify", code=str(refusal.code)) from None
                way_out()
            except (NoAnswer, LineTooNoisy):
                self._at_base()  # at worst the meter is in the ID state, and the next Identify learns it by isss
                raise
        raise AssertionError("the last way out raises")

    def negotiate(self, wanted: MessageLimits, faster: tuple[int, ...] = ()) -> MessageLimits:
        """Ask for larger messages, for less where that is refused, and go on with the defaults if need be."""
        if self._cannot_negotiate:
            return self._limits
        smaller = [rung for rung in (SMALL_LIMITS,) if rung.table_bytes < wanted.table_bytes]
        usual = wanted.baud or self._port.baud
        usually = [(rung, (usual,)) for rung in (wanted, *smaller)]
        at_once = [(wanted, (*faster, usual))] if faster else []
        for rung, rates in (*at_once, *usually):
            if rung.table_bytes <= DEFAULT_LIMITS.table_bytes:
                break
            codes = {BAUD_CODES[rate]: rate for rate in rates if rate in BAUD_CODES}
            request = Negotiate(rung.packet_size, rung.packets, tuple(codes.values()))
            if request in self._not_granted:
                continue
            try:
                granted = self._ask(request)
            except ServiceRefused as refusal:
                if refusal.code is ResponseCode.ISSS:
                    raise SessionRefused(service="Negotiate", code=str(refusal.code)) from None
                if refusal.code is ResponseCode.SNS:
                    self._cannot_negotiate = True
                    break
                self.too_fast = self.too_fast or rates != (usual,)  # perhaps it cannot choose among rates
                self._not_granted.add(request)
                continue
            self._link.use_packet_size(granted.packet_size, rung.packet_size)
            self._change_baud(codes.get(granted.baud_code or 0, self._port.baud))
            self._limits = MessageLimits(granted.packet_size, granted.packets, self._port.baud)
            self._largest_read = self._limits.table_bytes
            self._trace("-- messages of %s", self._limits)
            break
        return self._limits

    def logon(self) -> None:
        """Open the session; the meter looks at neither id nor user."""
        self._ask_for_session(Logon())

    def authenticate(self, key: bytes) -> None:
        """Show the key, once: the meter counts refused ones and may lock its port (trap 10)."""
        try:
            self._ask(Security(key))
        except ServiceRefused as refusal:
            if refusal.code in (ResponseCode.ISSS, ResponseCode.SNS):
                raise SessionRefused(service="Security", code=str(refusal.code)) from None
            raise KeyRefused(service="Security", code=str(refusal.code)) from None

    def wait(self, seconds: int) -> None:
        """Have the meter keep the channel open for so many seconds of silence, 1 to 255."""
        self._ask_for_session(Wait(seconds))
        self._wait_until = self._clock() + seconds

    def _ask_for_session(self, request: Request[None]) -> None:
        try:
            self._ask(request)
        except ServiceRefused as refusal:
            raise SessionRefused(service=request.name, code=str(refusal.code)) from None

    def terminate(self, budget: float = _TERMINATE_BUDGET) -> bool:
        """End session and channel as well as ``budget`` seconds allow; return whether the meter confirmed it.

        Neither stop() nor the limit ends it, for it is what is to be done when they strike; but stop() leaves it only
        a second. Raises nothing that the line, the meter or the port can cause.
        """
        if self._state is State.BASE:
            return True
        stop = self._stop

        def hurry() -> bool:
            if stop():
                self._limit = min(self._limit or math.inf, self._clock() + _HURRIED)
            return False

        with self._only(self._clock() + budget, hurry):
            return self._try_to_terminate(budget)

    def resynchronise(self) -> None:
        """Bring both sides to the base state, whatever went before, so that no late answer is taken for another's.

        Listen until the line is quiet, terminate; a channel that does not hear of it ends by silence.
        """
        if not self._channel_timed_out():
            self._state = State.SUSPECT
            until = self._clock() + _TERMINATE_BUDGET
            with self._only(until if self._limit is None else min(until, self._limit), self._stop):
                terminated = self._try_to_terminate(_TERMINATE_BUDGET)
            if not terminated:
                self._wait_out_channel()
        self._at_base()

    def _try_to_terminate(self, budget: float) -> bool:
        try:
            if self._state is State.SUSPECT:
                self._link.reset()
                self._listen(_QUIET, at_most=min(_NOT_QUIET, budget / 2))
            self._end_channel()
        except (Retryable, ServiceRefused) as problem:
            self._trace("-- not terminated: %s", problem)
            return False
        return True

    @contextmanager
    def _only(self, until: float, stop: Callable[[], bool]) -> Iterator[None]:
        """Have another limit for a while."""
        before = self._limit, self._stop
        self._limit, self._stop = until, stop
        try:
            yield
        finally:
            self._limit, self._stop = before

    def _wait_out_channel(self) -> None:
        """Let the channel time out; what still arrives restarts the silence, but not for ever."""
        self._link.reset()
        silence = max(self._link.timing.traffic, self._wait_until - self._clock()) + _MARGIN
        self._listen(silence, at_most=3 * silence)
        self._at_base()

    def _channel_timed_out(self) -> bool:
        last = max(self._link.last_activity + self._link.timing.traffic, self._wait_until)
        return self._clock() >= last + _MARGIN

    def _end_channel(self) -> None:
        """Terminate. The ACK of its answer is what takes the meter to the base state (trap 4): it leaves at once."""
        self._exchange(Terminate())
        self._at_base()

    def _at_base(self) -> None:
        self._link.reset()
        self._change_baud(self._base_baud)
        self._state = State.BASE
        self._wait_until = float("-inf")
        self._limits = replace(DEFAULT_LIMITS, baud=self._base_baud)
        self._largest_read = self._limits.table_bytes
        self._partial_reads = True

    def _change_baud(self, baud: int) -> None:
        if baud != self._port.baud:
            self._write()
            self._port.drain()
            self._port.baud = baud
            self._link.timing = replace(self._link.timing, byte_time=10 / baud)

    # --- Tables ---------------------------------------------------------------------------------------------------

    def read(self, table: int, offset: int, count: int) -> bytes:
        """Read exactly ``count`` bytes, in as many partial reads as the message limit asks for.

        They are not atomic: the meter may update between two of them. Raises TableNotPresent, KeyRefused (the key is
        too weak for this table), and what every exchange can.
        """
        data = b""
        while self._partial_reads and len(data) < count:
            request = PartialRead(table, offset + len(data), min(count - len(data), self._largest_read))
            try:
                data += self._ask(request)
            except ServiceRefused as refusal:
                if refusal.code is ResponseCode.SNS:
                    self._partial_reads = False
                elif refusal.code is ResponseCode.ONP and request.count > DEFAULT_LIMITS.table_bytes:
                    # It fits what the meter granted, and yet it may be too long: every meter can give the default.
                    self._largest_read = DEFAULT_LIMITS.table_bytes
                else:
                    raise self._read_refused(request, refusal.code) from None
        if not self._partial_reads:
            data = self.read_full(table)[offset : offset + count]
        if len(data) != count:
            raise MeterMisbehaved(
                service=f"Read table {table}", problem=f"the table ends before offset {offset + count}"
            )
        return data

    def read_all(self, spans: Sequence[Span]) -> dict[Span, bytes]:
        """Read several spans as ``read`` does each, in as few bytes on the wire as what was negotiated allows."""
        found: dict[Span, bytes] = {}
        for group in coalesce(tuple(spans), self._limits.packet_size, self._largest_read):
            table, begin, end = group[0].table, group[0].offset, max(span.end for span in group)
            data = self.read(table, begin, end - begin)
            found |= {span: data[span.offset - begin : span.end - begin] for span in group}
        return found

    def read_full(self, table: int, length: int | None = None) -> bytes:
        """Read a whole table; one that does not fit in a message only if the caller knows its ``length``.

        Raises as ``read`` does.
        """
        request = Read(table)
        try:
            return self._ask(request)
        except ServiceRefused as refusal:
            too_long = refusal.code in (ResponseCode.SNS, ResponseCode.ONP)
            if too_long and length is not None and self._partial_reads:
                return self.read(table, 0, length)
            raise self._read_refused(request, refusal.code) from None

    def _read_refused(self, request: Read | PartialRead, code: ResponseCode) -> NesgwError:
        match code:
            case ResponseCode.IAR:
                return TableNotPresent(table=self._table_name(request.table))
            case ResponseCode.ISC:
                cause = "the key is too weak for this table, or the meter's hardware lock covers it"
                return KeyRefused(service=str(request), code=f"{code}: {cause}")
            case ResponseCode.ISSS:
                return SessionRefused(service=str(request), code=str(code))
            case _:
                return MeterMisbehaved(service=str(request), problem=f"it is refused with {code}", code=str(code))

    # --- One exchange ---------------------------------------------------------------------------------------------

    def _ask(self, request: Request[Result]) -> Result:
        """Exchange, with patience for a meter that is busy; raises ServiceRefused for what patience does not mend."""
        for pause in (*_PATIENCE, None):
            try:
                return self._exchange_until_sound(request)
            except ServiceRefused as refusal:
                if refusal.code is ResponseCode.RNO:
                    self._state = State.SUSPECT  # a new session negotiates again; that is the caller's to open
                elif refusal.code not in _PASSING:
                    raise
                if pause is None or self._state is State.SUSPECT:
                    raise MeterBusy(service=str(request), code=str(refusal.code)) from None
                self._pause(pause, str(request))
        raise AssertionError("the last pause raises")

    def _exchange_until_sound(self, request: Request[Result]) -> Result:
        """Ask again at once where the answer's own count or checksum is wrong.

        Were it a late answer after all, there would be one too many now, so that is waited for.
        """
        for attempt in range(1, _GARBLED + 1):
            try:
                result = self._exchange(request)
            except Garbled as why:
                self._trace("-- %s: %s", request, why)
                problem = str(why)
            else:
                if attempt > 1:
                    least, times = _SECOND_ANSWER
                    quiet = max(least, times * self.statistics.longest_response)
                    self._listen(quiet, at_most=2 * quiet)
                return result
        raise MeterMisbehaved(service=str(request), problem=f"{problem}, {_GARBLED} times")

    def _exchange(self, request: Request[Result]) -> Result:
        """Send a request and wait for its answer. Whatever interrupts this leaves the channel suspect."""
        before, after = self._state, after_ok(self._state, request)
        try:
            result = self._converse(request)
        except ServiceRefused as refusal:
            if refusal.code is not ResponseCode.ISSS:  # isss: its state is not the one we think
                self._state = before
            raise
        except Garbled:
            self._state = before
            raise
        except PortLost as lost:
            raise self._why_lost(lost) from lost
        self._state = after
        return result

    def _converse(self, request: Request[Result]) -> Result:
        self._begin(request)
        delivered, stale, unusual, until = False, b"", b"", None
        while True:
            for event in self._turn(request, within=until):
                match event:
                    case Received(data=answer):
                        return request.parse(answer)
                    case Delivered():
                        delivered = True
                    case Stale(data=stale):
                        if delivered and request.fits_unusual(stale):
                            unusual, until = stale, self._clock() + (0.0 if self._is_unusual else _NO_BETTER)
                    case GaveUp():
                        raise self._gave_up(request, event, stale)
            if until is not None and self._clock() >= until:
                self._link.conclude()
                self._is_unusual = True
                return request.parse_unusual(unusual)

    def _begin(self, request: Request[Any]) -> None:
        just_now = self._clock() - self._last_byte_at < self._link.timing.byte_time
        if not just_now and (late := self._port.read(0)):  # it belongs to the last exchange
            self._last_byte_at = self._clock()
            self._link.receive(late, self._last_byte_at)
            self._write()
        if self._state is State.BASE:
            self._link.reset()  # a channel begins: what looks like a packet of the last one is no repetition of it
        self._state = State.SUSPECT
        self._trace("-> %s", request)
        self._link.send(request.encode(), self._clock(), request.fits)

    def _why_lost(self, lost: PortLost) -> PortUnavailable:
        """Some bridges say why they close the connection."""
        is_busy = recognise(self._link.take_strange()) is OtherDevice.BUSY_BRIDGE
        return busy_bridge(self._port.name) if is_busy else lost

    def _gave_up(self, request: Request[Any], event: GaveUp, stale: bytes) -> Retryable:
        self._cannot_negotiate = self._is_unusual = False  # what comes after the silence may be another meter
        self._not_granted.clear()
        self._trace("-- gave up on %s: %s in %s attempts", request, event.reason.value, event.attempts)
        if stale:
            try:
                request.parse(stale)
            except WrongShape as why:
                return MeterMisbehaved(service=str(request), problem=f"{why}; it was {_Shown(stale)}")
        if other := self._other_user():
            return other
        facts = {"port": self._port.name, "service": str(request), "attempts": event.attempts}
        if device := self._other_device():
            return wrong_device(device, **facts)
        match event.reason:
            case Reason.SILENCE if event.acknowledged:
                return Unanswered(**facts)
            case Reason.SILENCE:
                return (BridgeSilent if is_bridge(self._port.name) else NoAnswer)(**facts)
            case Reason.ECHO_ONLY:
                return EchoOnly(**facts)
            case Reason.DAMAGED:
                return LineTooNoisy(**facts)
            case Reason.NAK:
                return RequestDamaged(**facts)

    def _other_device(self) -> OtherDevice | None:
        """A telnet port passes most packets whole, and shows itself when it is opened."""
        return recognise(self._link.take_strange()) or recognise(self._link.greeting or b"")

    def _other_user(self) -> PortShared | None:
        """Whoever opened the port before us and locks nothing takes bytes away that we wait for."""
        holder = self._port.holder()
        return PortShared(port=self._port.name, holder=holder) if holder else None

    def _listen(self, quiet: float, at_most: float) -> None:
        """Take and drop what arrives, until nothing has for ``quiet`` seconds or ``at_most`` are over."""
        end = self._clock() + at_most
        silent_from, seen = self._clock(), self._link.statistics.bytes_in
        while True:
            self._turn("the line to fall silent", within=min(end, silent_from + quiet))
            now = self._clock()
            if self._link.statistics.bytes_in != seen:
                silent_from, seen = now, self._link.statistics.bytes_in
            if now >= min(end, silent_from + quiet):
                return

    def _turn(self, doing: object, within: float | None = None) -> list[Event]:
        """Go once round the loop. ``doing`` says what for, if there is no time left for it."""
        self._write()
        self._check(doing)
        data = self._read_until(self._next_look(within))
        now = self._clock()
        events = self._link.receive(data, now) + self._link.expire(now)
        self._write()
        return self._traced(events)

    def _traced(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, Received):
                self._trace("<- %s", _Shown(event.data))
            elif isinstance(event, Stale):
                self._trace("<- %s (late, dropped)", _Shown(event.data))
        return events

    def _next_look(self, within: float | None) -> float:
        """When to look at the clock again at the latest, whether anything comes or not."""
        ends = (self._clock() + _SLICE, within, self._limit, self._link.deadline())
        return min(end for end in ends if end is not None)

    def _read_until(self, end: float) -> bytes:
        """Read what comes first. The rest of a packet is slept for: it takes as long as the head's length says."""
        complete = self._link.complete_at()
        if complete is not None and (rest := min(complete, end) - self._clock()) > 0:
            self._sleep(rest)
        data = self._port.read(max(0.0, end - self._clock()))
        if data:
            self._last_byte_at = self._clock()
        return data

    def _write(self) -> None:
        if data := self._link.outgoing():
            silence = self._last_byte_at + self._link.timing.turn_around - self._clock()
            if silence > _INSTANT:
                self._sleep(silence)
            self._port.write(data)

    def _pause(self, seconds: float, doing: str) -> None:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self._check(doing)
            self._sleep(min(left, _SLICE))

    def _check(self, doing: object) -> None:
        if self._stop():
            raise Stopped
        if self._limit is not None and self._clock() >= self._limit:
            raise self._too_long(str(doing))

    def _too_long(self, doing: str) -> PollTooLong:
        seconds = self.statistics.longest_response
        if seconds >= _SLOW and self.statistics.disturbances == self._disturbances:
            return LineSlow(port=self._port.name, service=doing, seconds=f"{seconds:.1f}")
        return PollTooLong(port=self._port.name, service=doing)


class _Shown:
    """An answer as text for the log. What begins as a request is our own echo, perhaps with the key in it."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def __str__(self) -> str:
        if self._message[:1] >= b"\x20":
            return f"{len(self._message)} bytes that are no answer"
        return f"{self._message.hex(' ')} [{len(self._message)} bytes]"
