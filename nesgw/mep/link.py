"""The MEP port without a port: one read after the other, repeated, numbered and verified.

Bytes and the time go in; events, bytes and the state of Enable come out. Opens nothing, sleeps never, asks no clock;
``client.py`` is the loop that does. What leads from one state to the next stands in ``session.py``; here is found out
what happened, and done what the table says.

How frames are found: two bytes of length and so many behind them, as long as the line is in step. Where it turns out
not to be, everything that came since the request is searched for an answer that verifies, once the line is silent: a
stray byte costs time, no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final

from nesgw.mep.answer_size import SHORT_READ, AnswerSize
from nesgw.mep.digest import DigestKey
from nesgw.mep.frames import (
    AROUND_DATA,
    LARGEST_MESSAGE,
    LENGTH,
    NUMBERS,
    Answer,
    Data,
    Frame,
    Refusal,
    Request,
    ResponseCode,
    WrongDigest,
    WrongNumber,
    frame_length,
    sign,
    understand,
    understand_signed,
)
from nesgw.mep.pace import Pace
from nesgw.mep.session import Action, Condition, Happening, State, find_row

_SEGMENT: Final = 117  # bytes that the meter sends without a pause (page 21)
_MOST_NUMBERS: Final = 5  # that the meter may report within one read
_MOST_BYTES: Final = 2 * (LENGTH + LARGEST_MESSAGE)  # are kept, of noise and all
_DOUBTS: Final = 10  # reads in a row that ended in 0x0B alone, before a proven key counts as unproven
_ALERTS: Final = 2  # may come close together; more than these and one a second are none


@dataclass(frozen=True, slots=True)
class Timing:
    """The timers in seconds. The guide's (page 21) with room for a USB adapter, and what other clients found to do."""

    settle: float = 1.0  # from Enable on
    first: float = 0.6  # from the end of our transmission to the second byte; the guide says 0.5
    gap: float = 0.2  # between two bytes of an answer; the meter pauses for 0.025
    frame: float = 0.5  # for a frame, beside the time of its bytes and its pauses
    pause: float = 0.025  # of the meter's, after each 117 bytes
    spacing: float = 0.1  # from the end of one request to the end of the next
    quiet: float = 0.1  # of silence before a request, after trouble
    never_quiet: float = 1.0  # for so long that silence is waited for
    off: float = 1.0  # Enable, to recover
    key_rest: float = 60.0  # after a refused key, twice as long each time
    key_rest_most: float = 3600.0
    tries: int = 3  # transmissions for one read, those with a new number not counted
    byte_time: float = 10 / 9600  # 8N1 sends ten bits a byte


@dataclass(slots=True)
class LinkStatistics:
    """What passed over the wire since the start; only ever counts up."""

    bytes_in: int = 0
    bytes_out: int = 0
    requests: int = 0  # retransmissions included
    retransmissions: int = 0
    answers: int = 0  # verified data and refusals
    answer_seconds: float = 0.0  # from the end of the last transmission to each of them
    wrong_numbers: int = 0  # 0x0C
    unexpected_numbers: int = 0  # of these, where neither the start nor a retransmission explains it
    wrong_digests: int = 0  # 0x0B
    unverified: int = 0  # frames that answered nothing
    cut_short: int = 0  # answers that ended early
    echoes: int = 0
    alerts: int = 0
    zeros: int = 0  # what would be alerts, were there not too many
    noise_bytes: int = 0


class Reason(Enum):
    """Why a read failed."""

    SILENCE = "silence"
    ZEROS = "zeros"
    ECHO = "echo"
    DAMAGED = "damaged"
    CUT_SHORT = "cut_short"
    TOO_LONG = "too_long"  # a short answer may well arrive
    REQUEST_DAMAGED = "request_damaged"  # 0x0B, from a meter that took the key before
    NUMBER = "number"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Received:
    """The answer: bytes of the table, fewer than were asked for where it ends."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The meter refuses this read."""

    code: ResponseCode


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The read failed. ``got`` and ``expected`` are bytes of the last answer that was spoiled."""

    reason: Reason
    transmissions: int = 0
    got: int = 0
    expected: int = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to be noted in a trace; it changes nothing for the caller."""

    text: str

    def __str__(self) -> str:
        return self.text


Event = Received | Refused | GaveUp | Remark


@dataclass(slots=True)
class _Read:
    """A read under way, and what has become of it so far."""

    request: Request
    number: int
    asked_at: float  # or asked for again
    due: bool = True  # a transmission is to come
    frame: Frame | None = None  # what was transmitted last, as long as an answer to it counts
    sent_until: float = 0.0
    tries: int = 0  # transmissions of this frame
    repeats: int = 0  # of any frame
    transmissions: int = 0
    answer: Answer | None = None
    reported: list[int] = field(default_factory=list)  # numbers, by 0x0C
    bare: list[ResponseCode] = field(default_factory=list)  # codes without a digest
    doubts: int = 0  # 0x0B
    spoiled: int = 0  # answers of the right length that were cut short or damaged
    got: int = 0  # bytes of the last of them
    heard: set[Reason] = field(default_factory=set)

    @property
    def expected(self) -> int:
        """Bytes behind the length field of a complete answer."""
        return AROUND_DATA + self.request.count

    def spoil(self, got: int) -> None:
        """Take note of an answer that was cut short or damaged; only a long one says anything of its length."""
        self.got = got
        self.spoiled += self.request.count > SHORT_READ


class Link:
    """The client's side of the port. Outlives the port: the number and what is known of the key stay.

    ``open`` it, keep Enable as ``state`` says, ``ask`` while it is idle, write ``outgoing()``, hand what arrives to
    ``receive`` and call ``expire`` no later than ``deadline()``. One read at a time.
    """

    def __init__(self, key: DigestKey, timing: Timing | None = None, statistics: LinkStatistics | None = None) -> None:
        self.timing = timing or Timing()
        self.statistics = statistics or LinkStatistics()
        self.answer_size = AnswerSize()
        self.pace = Pace()
        self._key = key
        self._state = State.CLOSED
        self._until = 0.0  # when the state is over, of those that end by themselves
        self._wanted: Request | None = None  # what was asked for last
        self._read: _Read | None = None
        self._number = 0  # of the last request
        self._sent_until = float("-inf")
        self._outgoing = b""
        self._key_proven = False
        self._doubted_reads = 0  # in a row, with nothing but 0x0B
        self._key_rest = self.timing.key_rest  # for how long it rests when it is refused next
        self._key_rests_until = float("-inf")
        self._buffer = bytearray()  # received and not yet understood
        self._began = 0.0  # when its first byte came
        self._last_byte = float("-inf")  # when the last one came
        self._strange = bytearray()  # received before the key was proven: perhaps not a meter's
        self._since_sent = bytearray()  # received since the last transmission, understood or not
        self._troubled = False  # the next request waits for a silent line
        self._looked_at = float("-inf")
        self._alerts_possible = 0.0  # that a meter may have sent and that were not seen yet
        self._now, self._happened = float("-inf"), Happening.OPENED

    @property
    def state(self) -> State:
        """What the port is in. Enable has to be on where ``state.enable`` is."""
        return self._state

    @property
    def key_proven(self) -> bool:
        """Whether the meter has taken the key, and not refused it since."""
        return self._key_proven

    def take_strange(self) -> bytes:
        """Return what came since the last call, as long as nothing shows that a meter sent it."""
        strange = bytes(self._strange)
        self._strange.clear()
        return b"" if self._key_proven else strange

    @property
    def key_rests_until(self) -> float:
        """When a refused key may be tried again."""
        return self._key_rests_until

    def open(self, now: float) -> None:
        """Begin with a port that was just opened; whatever went before, it settles first."""
        self._read = None
        self._outgoing = b""
        self._discard()
        self._looked_at = now
        self._state = State.CLOSED
        self._happen(Happening.OPENED, now)

    def ask(self, request: Request, now: float) -> list[Event]:
        """Begin a read. Raises ProtocolMisuse while the port is not ready for one."""
        self._wanted = request
        return self._happen(Happening.ASKED, now)

    def abandon(self, now: float) -> None:
        """Give up the read that is under way, if there is one; its answer may still come, and is dropped."""
        if self._read:
            self._happen(Happening.ABANDONED, now)

    def outgoing(self) -> bytes:
        """Hand out what is to be written now, each byte once."""
        waiting, self._outgoing = self._outgoing, b""
        self.statistics.bytes_out += len(waiting)
        return waiting

    # --- Time -----------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        due = [self._until] if self._state in (State.SETTLE, State.RECOVER) else []
        if self._buffer:
            due.append(self._buffer_ends())
        if self._read and (self._read.due or len(self._buffer) < LENGTH):
            due.append(self._send_at(self._read) if self._read.due else self._read.sent_until + self.timing.first)
        return min(due, default=None)

    def nothing_before(self) -> float | None:
        """Tell until when looking for bytes is of no use: a request is on its way, or a frame cannot be complete."""
        read = self._read
        if not read or read.due:
            return None
        if len(self._buffer) < LENGTH:
            return read.sent_until
        missing = LENGTH + self._length() - len(self._buffer)
        return self._last_byte + missing * self.timing.byte_time if self._length() <= LARGEST_MESSAGE else None

    def expire(self, now: float) -> list[Event]:
        """Act on the timers that have run out; call it after ``receive``, so that no waiting byte comes too late."""
        events: list[Event] = []
        while (due := self.deadline()) is not None and due <= now:
            events += self._expire(now)
        return events

    def _expire(self, now: float) -> list[Event]:
        if self._state in (State.SETTLE, State.RECOVER) and self._until <= now:
            return self._happen(Happening.TIME_UP, now)
        if self._buffer and self._buffer_ends() <= now:
            return self._break(now)
        if self._read and self._read.due:
            return self._transmit(self._read, now)
        return self._happen(Happening.SILENCE, now)

    def _send_at(self, read: _Read) -> float:
        """When the transmission that is due may begin: neither too soon, too often, nor into the meter's words."""
        spaced = self._sent_until + self.timing.spacing - frame_length(read.request) * self.timing.byte_time
        at = max(read.asked_at, spaced, self.pace.earliest)
        if self._troubled or self._buffer:
            quiet = self._last_byte + self.timing.quiet
            at = max(at, min(quiet, read.asked_at + self.timing.never_quiet))
        return at

    def _buffer_ends(self) -> float:
        """When what was received is no longer the beginning of a frame."""
        length = min(self._length(), LARGEST_MESSAGE)
        pauses = (length + LENGTH) // _SEGMENT * self.timing.pause
        most = self._began + (length + LENGTH) * self.timing.byte_time + pauses + self.timing.frame
        gap = self.timing.gap if self._length() <= LARGEST_MESSAGE else self.timing.quiet
        return min(self._last_byte + gap, most)

    def _length(self) -> int:
        return int.from_bytes(self._buffer[:LENGTH], "big") if len(self._buffer) >= LENGTH else 0

    # --- Sending --------------------------------------------------------------------------------------------------

    def _transmit(self, read: _Read, now: float) -> list[Event]:
        """Send the frame; one that is sent again is the same, one with a new number is only built here."""
        again = read.frame is not None
        self._discard()
        self._since_sent.clear()
        if read.frame is None:
            read.frame = sign(read.request, read.number, self._key)
            read.tries = 0
            self._number = read.number
        read.due = False
        read.tries += 1
        read.transmissions += 1
        read.sent_until = now + len(read.frame.raw) * self.timing.byte_time
        self._outgoing += read.frame.raw
        self._sent_until = read.sent_until
        self._troubled = False
        self.pace.take(now)
        self.statistics.requests += 1
        self.statistics.retransmissions += again
        return [Remark(f"-> {read.request}, number {read.number}{', again' if again else ''}")]

    # --- Receiving ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what arrived, in whatever pieces it did, nothing included."""
        if now > self._looked_at:
            self._alerts_possible = min(self._alerts_possible, _ALERTS) + now - self._looked_at
            self._looked_at = now
        if not data:
            return []
        self.statistics.bytes_in += len(data)
        self._last_byte = now
        if not self._key_proven:
            self._strange += data
            del self._strange[:-_MOST_BYTES]
        if self._state in (State.CLOSED, State.SETTLE, State.RECOVER):
            self.statistics.noise_bytes += len(data)
            return []
        if not self._buffer:
            self._began = now
        self._buffer += data
        self._since_sent += data
        events = self._scan(now)
        del self._buffer[_MOST_BYTES:]
        del self._since_sent[:-_MOST_BYTES]
        return events

    def _scan(self, now: float) -> list[Event]:
        events: list[Event] = []
        while len(self._buffer) >= LENGTH and self._length() <= LARGEST_MESSAGE:
            end = LENGTH + self._length()
            if len(self._buffer) < end:
                break
            frame = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._began = now
            events += self._happen(Happening.ALERT, now) if end == LENGTH else self._frame(frame, now)
        return events

    def _frame(self, frame: bytes, now: float) -> list[Event]:
        read = self._read
        if not read or not read.frame:
            self.statistics.unverified += 1
            return self._happen(Happening.FRAME, now)
        if frame == read.frame.raw:
            read.heard.add(Reason.ECHO)
            self.statistics.echoes += 1
            return self._happen(Happening.ECHO, now)
        answer = understand(frame[LENGTH:], read.request, read.frame, self._key)
        if answer is None:
            read.heard.add(Reason.DAMAGED)
            if len(frame) - LENGTH == read.expected:
                read.spoil(len(frame) - LENGTH)
        elif not read.due or isinstance(answer, Data):
            return self._answered(read, answer, now)
        self.statistics.unverified += 1
        return self._happen(Happening.FRAME, now)

    def _break(self, now: float) -> list[Event]:
        """Give up waiting for the rest of a frame; perhaps an answer stands behind a stray byte."""
        length, noise, read = self._length(), bytes(self._buffer), self._read
        self._discard()
        if not read:
            return self._happen(Happening.BROKEN, now)
        if read.due or read.frame is None:
            return []
        if answer := self._search(read.request, read.frame):
            return self._answered(read, answer, now)
        if len(noise) < LENGTH:
            return []
        if length == read.expected:
            read.heard.add(Reason.CUT_SHORT)
            read.spoil(len(noise) - LENGTH)
            self.statistics.cut_short += 1
        else:
            read.heard.add(Reason.DAMAGED)
        return self._happen(Happening.BROKEN, now)

    def _discard(self) -> None:
        self.statistics.noise_bytes += len(self._buffer)
        self._buffer.clear()

    def _search(self, request: Request, frame: Frame) -> Answer | None:
        """Look for an answer that verifies in all that came since the request was sent, wherever it begins."""
        said = bytes(self._since_sent)
        for start in range(len(said) - LENGTH):
            body = start + LENGTH
            end = body + int.from_bytes(said[start:body], "big")
            if body < end <= len(said) and (answer := understand_signed(said[body:end], request, frame, self._key)):
                return answer
        return None

    def _answered(self, read: _Read, answer: Answer, now: float) -> list[Event]:
        """Take an answer to what is under way; all but 0x0B and a bare code prove the key."""
        read.answer = answer
        match answer:
            case Data():
                self.answer_size.arrived(len(answer.data))
                happening = Happening.DATA
            case Refusal(signed=True):
                happening = Happening.REFUSAL
            case Refusal():
                read.bare.append(answer.code)
                return self._happen(Happening.BARE_REFUSAL, now)
            case WrongDigest():
                read.doubts += 1
                read.heard.add(Reason.REQUEST_DAMAGED)
                self.statistics.wrong_digests += 1
                return self._happen(Happening.WRONG_DIGEST, now)
            case WrongNumber():
                read.reported.append(answer.number)
                self.statistics.wrong_numbers += 1
                expected = not self._key_proven or read.tries > 1 or len(read.reported) > 1
                self.statistics.unexpected_numbers += not expected
                happening = Happening.WRONG_NUMBER
        self._key_proven = True
        self._doubted_reads = 0
        self._key_rest = self.timing.key_rest
        return self._happen(happening, now)

    # --- The table ------------------------------------------------------------------------------------------------

    def _happen(self, happening: Happening, now: float) -> list[Event]:
        """Do what the table says, and be in the state that it gives."""
        self._now, self._happened = now, happening
        row = find_row(self._state, happening, self._holds)
        before, self._state = self._state, row.after
        events = self._ACTIONS[row.action](self)
        if row.after is not before and row.after in (State.SETTLE, State.RECOVER):
            self._until = now + (self.timing.settle if row.after is State.SETTLE else self.timing.off)
            self._discard()
        if row.after is not State.WAIT:
            self._read = None
        return events

    def _holds(self, condition: Condition) -> bool:
        if condition is Condition.KEY_RESTS:
            return self._now < self._key_rests_until
        read = self._under_way
        match condition:
            case Condition.KEY_UNPROVEN_TWICE:
                return read.doubts > 1 and not (self._key_proven and self._doubted_reads < _DOUBTS - 1)
            case Condition.SAME_CODE_TWICE:
                return read.bare.count(read.bare[-1]) > 1
            case Condition.NUMBER_IS_NEW:
                return read.reported.count(read.reported[-1]) == 1 and len(read.reported) <= _MOST_NUMBERS
            case Condition.NUMBER_TWICE:
                return read.reported.count(read.reported[-1]) == 2
            case Condition.TRIES_LEFT:
                return read.repeats < self.timing.tries - 1
            case Condition.TOO_LONG:
                return read.spoiled > 1
        raise AssertionError(condition)

    @property
    def _under_way(self) -> _Read:
        assert self._read is not None  # noqa: S101 (the table has no row that needs one where there is none)
        return self._read

    def _do_nothing(self) -> list[Event]:
        return []

    def _count_alert(self) -> list[Event]:
        """Take two zeros for an alert, unless there are more of them than a meter sends."""
        self._alerts_possible -= 1
        many = self._alerts_possible < 0
        self.statistics.zeros += many
        self.statistics.alerts += not many
        if many and self._read:
            self._read.heard.add(Reason.ZEROS)
        return [Remark("<- zeros" if many else "<- alert")]

    def _drop(self) -> list[Event]:
        self._troubled = True
        return [Remark(f"<- {self._happened.value}, dropped")]

    def _ask(self) -> list[Event]:
        assert self._wanted is not None  # noqa: S101
        self._read = _Read(self._wanted, (self._number + 1) % NUMBERS, self._now)
        return []  # it goes out with the next look at the timers

    def _deliver(self) -> list[Event]:
        read = self._under_way
        self._troubled = read.tries > 1  # an answer to another transmission may follow
        self.statistics.answers += 1
        self.statistics.answer_seconds += max(0.0, self._now - read.sent_until)
        assert isinstance(read.answer, Data | Refusal)  # noqa: S101
        return [Received(read.answer.data) if isinstance(read.answer, Data) else Refused(read.answer.code)]

    def _go_on_behind(self) -> list[Event]:
        read = self._under_way
        return self._go_on((read.reported[-1] + 1) % NUMBERS)

    def _go_on_with(self) -> list[Event]:
        return self._go_on(self._under_way.reported[-1])

    def _go_on(self, number: int) -> list[Event]:
        read = self._under_way
        read.number, read.frame = number, None  # a second copy of this answer counts no more
        return [Remark(f"<- 0x0C, number {read.reported[-1]}"), *self._repeat()]

    def _repeat(self) -> list[Event]:
        read = self._under_way
        read.due, read.asked_at = True, self._now
        read.repeats += read.frame is not None
        self._troubled |= self._happened in (Happening.BROKEN, Happening.SILENCE)
        return []

    def _give_up(self) -> list[Event]:
        read = self._under_way
        self._troubled = True
        self._doubted_reads = self._doubted_reads + 1 if read.doubts == read.transmissions else 0
        reason = self._reason(read)
        if reason is Reason.TOO_LONG:
            self.answer_size.spoiled(self._now)
        return [GaveUp(reason, read.transmissions, read.got, read.expected if read.got else 0)]

    def _reason(self, read: _Read) -> Reason:
        """Tell the one that says most about the line, of all that was heard."""
        if self._happened is Happening.WRONG_NUMBER:
            return Reason.NUMBER
        if read.spoiled > 1:
            return Reason.TOO_LONG
        telling = (Reason.CUT_SHORT, Reason.DAMAGED, Reason.REQUEST_DAMAGED, Reason.ECHO, Reason.ZEROS)
        return next((reason for reason in telling if reason in read.heard), Reason.SILENCE)

    def _refuse_key(self) -> list[Event]:
        self._key_proven = False
        self._key_rests_until = self._now + self._key_rest
        self._key_rest = min(2 * self._key_rest, self.timing.key_rest_most)
        return [GaveUp(Reason.KEY, self._under_way.transmissions)]

    def _turn_down(self) -> list[Event]:
        return [GaveUp(Reason.KEY)]

    _ACTIONS: ClassVar[Mapping[Action, Callable[[Link], list[Event]]]] = {
        Action.NOTHING: _do_nothing,
        Action.COUNT_ALERT: _count_alert,
        Action.DROP: _drop,
        Action.ASK: _ask,
        Action.DELIVER: _deliver,
        Action.REPEAT: _repeat,
        Action.GO_ON_BEHIND: _go_on_behind,
        Action.GO_ON_WITH: _go_on_with,
        Action.GIVE_UP: _give_up,
        Action.REFUSE_KEY: _refuse_key,
        Action.TURN_DOWN: _turn_down,
        Action.FORGET: _do_nothing,
    }
