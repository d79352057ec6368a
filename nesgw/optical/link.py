"""The data link of C12.18: acknowledgement, toggle, joining, repetition, duplicates, echo.

Bytes and the time go in, events and bytes come out. Opens nothing, sleeps never, asks no clock; ``client.py`` is the
loop that does. The format of one packet is in ``packet.py``.

Three outcomes have three forms: "not all here yet" is an empty list, "damaged" is a NAK in ``outgoing()``, "over" is
``GaveUp``. How the receiver finds packets among noise: it looks for a start byte with a possible head behind it, and
an impossible head costs one byte, never more, so that a false start cannot swallow the packet behind it. A packet
whose CRC is wrong is searched for another start as well; only when there is none is it called damaged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from nesgw.errors import ProtocolMisuse
from nesgw.optical.packet import ACK, NAK, OVERHEAD, START, Packet, Verdict, examine, is_toggled

DEFAULT_PACKET_SIZE = 64  # before and without Negotiate [C12.18-1996, Clients]

# An answer of an earlier session with larger packets may still be on its way, so the receiver takes packets of this
# size at any time: the largest that nesgw asks for.
_ALWAYS_TAKEN = 512

_STRANGE_KEPT = 1024  # bytes; fewer are enough to recognise another device
# A USB adapter, or a port shared with the MEP interface, may fall asleep after two seconds and lose what wakes it. A
# repetition two seconds later finds it asleep again; an earlier one is a duplicate to a meter that heard the first.
# (C12Adapter wakes such a port with a byte of its own; that changes nothing on the meters of smartmeterosgp.)
_SILENCE = 1.0
_SURELY_LOST = 4  # times what the last acknowledgement took
_RECENT = 24  # answers of which the quickest tells a slow meter: those of two polls and more

_NEVER_TOGGLES = 2  # packets in a row

Fingerprint = tuple[bool, bytes]  # toggle and CRC: what the other side knows a packet by


@dataclass(frozen=True, slots=True)
class Timing:
    """The timers in seconds [C12.18-1996, Clients]; how long to wait for the answer [C12Adapter, Clients]."""

    turn_around: float = 175e-6  # silence before answering
    inter_character: float = 0.5  # a packet that pauses longer is broken
    response: float = 2.0  # for ACK or NAK, from the end of our transmission
    traffic: float = 6.0  # silence after which either side falls to the base state
    sleeper: float = 0.6  # for the ACK of the first packet after a silence: what sleeps between us has lost it
    answer: float = 6.0  # for each packet of the answer, from the ACK of the request or the packet before
    attempts: int = 4  # transmissions of a packet; one less NAKs for a received one
    byte_time: float = 10 / 9600  # 8N1 sends ten bits a byte


@dataclass(slots=True)
class LinkStatistics:
    """What passed over the wire since the start; only ever counts up."""

    bytes_in: int = 0
    bytes_out: int = 0
    packets_in: int = 0  # sound ones from the meter, duplicates included
    retransmissions: int = 0
    naks_received: int = 0
    damaged: int = 0
    duplicates: int = 0
    echoes: int = 0  # packets and acknowledgements of our own that came back
    noise_bytes: int = 0
    stale_answers: int = 0  # sound messages that did not answer what was asked
    # Seconds from the end of a request to the beginning of its answer: of the last answer, and the most there was.
    last_response: float | None = None
    longest_response: float = 0.0
    _recent_responses: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def note_response(self, seconds: float) -> None:
        """Count an answer that took so long to begin."""
        self.last_response = seconds
        self.longest_response = max(self.longest_response, seconds)
        self._recent_responses.append(seconds)

    @property
    def least_response(self) -> float:
        """What even the quickest of the last answers took: a meter that is slow, not one that was late for a while."""
        return min(self._recent_responses, default=0.0)

    @property
    def disturbances(self) -> int:
        """What went wrong on the line and not in the meter: repetitions and damage."""
        return self.retransmissions + self.naks_received + self.damaged


class Reason(Enum):
    """Why the link gave up."""

    SILENCE = "silence"
    NAK = "nak"  # the meter refused each of our transmissions as damaged
    DAMAGED = "damaged"  # what came from the meter was damaged
    ECHO_ONLY = "echo_only"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The meter acknowledged the whole message."""


@dataclass(frozen=True, slots=True)
class Received:
    """The answer, joined and acknowledged."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Stale:
    """A sound message that answers nothing we asked; acknowledged, because the meter would go on repeating it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The exchange is over without an answer."""

    attempts: int
    reason: Reason
    acknowledged: bool = field(default=False, compare=False)  # the meter had taken the request


Event = Delivered | Received | Stale | GaveUp


class _Awaiting(Enum):
    NOTHING = auto()
    ACKNOWLEDGEMENT = auto()
    ANSWER = auto()


@dataclass(slots=True)
class _Exchange:
    """One message on its way out and what has been seen in return."""

    fits: Callable[[bytes], bool]
    packets: deque[Packet] = field(repr=False)  # not yet acknowledged; the first is on its way
    sent: float = 0.0  # when the last byte of the packet on its way has left
    raw: bytes = field(default=b"", repr=False)  # as which bytes: to recognise its echo
    before: frozenset[Fingerprint] = frozenset()  # what the meter may have accepted last before this packet
    awaiting: _Awaiting = _Awaiting.ACKNOWLEDGEMENT
    deadline: float = 0.0
    after_silence: bool = False
    attempts: int = 0
    damaged: int = 0  # in a row
    delivered: bool = False
    response: float | None = None  # seconds that the beginning of the answer took
    heard: set[Reason] = field(default_factory=set)  # what came that was no sound packet


class Link:
    """One side of the link: the reader's.

    ``send`` a message, write ``outgoing()``, hand what arrives to ``receive`` and call ``expire`` no later than
    ``deadline()``, each time writing ``outgoing()`` again. One exchange at a time.
    """

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.statistics = LinkStatistics()
        self._outgoing: list[bytes] = []  # packets and acknowledgements to be written
        self._same_toggle = 0  # packets of the meter in a row, each another one, whose toggle did not change
        self._toggle = True  # of the last packet sent; each new one flips it, over sessions too
        self._meter_may_know: frozenset[Fingerprint] = frozenset()  # candidates for the meter's last accepted packet
        self._sending_until = float("-inf")
        self._last_activity = float("-inf")  # the end of the last byte sent or received
        self._echoing = False  # this probe hears itself
        self._echo: deque[bytes] = deque()  # what it is still to hear, packet by packet
        self._echo_heard = 0  # of the first of them
        self._strange = bytearray()  # what came since the last sound packet of the meter's
        self.greeting: bytes | None = None  # what came before the first one; None until that has come
        self._last_acknowledgement: float | None = None  # seconds that it took
        self._clear()

    def _clear(self) -> None:
        self._exchange: _Exchange | None = None
        self._size_out = DEFAULT_PACKET_SIZE
        self._most_in = _ALWAYS_TAKEN - OVERHEAD
        self._buffer = bytearray()  # received and not yet understood: never more than one packet
        self._refused = 0  # bytes at its front that belong to a damaged packet
        self._half_received = False  # whether the head of a packet is all here, and its rest is not
        self._complete_at: float | None = None  # when that can be, at the earliest
        self._last_byte = 0.0
        self._last_accepted: Fingerprint | None = None
        self._last_accepted_at = 0.0
        self._pieces: list[bytes] = []  # of an answer in several packets
        self._pieces_due = 0

    def reset(self) -> None:
        """Forget the conversation: the channel is, or is about to be, in the base state.

        What the meter may hold as its last accepted packet is not forgotten: only six silent seconds make it so.
        """
        if self._exchange:
            self._meter_may_know = self._exchange.before | {_fingerprint(self._exchange.raw)}
        self._outgoing.clear()
        self._forget_echo()
        self._clear()

    def use_packet_size(self, answered: int, requested: int) -> None:
        """Adopt what was negotiated. The meter's packets may have either size: which one it uses is not certain."""
        self._size_out = answered
        self._most_in = max(answered, requested, _ALWAYS_TAKEN) - OVERHEAD

    @property
    def last_activity(self) -> float:
        """When the last byte went or came: from then on the meter counts its silent seconds."""
        return self._last_activity

    # --- Sending --------------------------------------------------------------------------------------------------

    def send(self, message: bytes, now: float, fits: Callable[[bytes], bool] = lambda _: True) -> None:
        """Begin an exchange. ``fits`` says whether a message can be its answer: answers do not name their request.

        Raises ProtocolMisuse while an exchange is going on.
        """
        if self._exchange:
            raise ProtocolMisuse(problem="a request was sent while the answer to another was due")
        if now - self._last_activity >= self.timing.traffic:
            self._meter_may_know = frozenset()
        self._exchange = _Exchange(fits, self._packets(message))
        self._exchange.after_silence = now - self._last_activity >= _SILENCE
        self._send_next(self._exchange, now)

    def _packets(self, message: bytes) -> deque[Packet]:
        room = self._size_out - OVERHEAD
        if len(message) <= room:
            return deque((Packet(message),))
        parts = [message[start : start + room] for start in range(0, len(message), room)]
        return deque(
            Packet(part, multiple=True, first=not index, sequence=len(parts) - 1 - index)
            for index, part in enumerate(parts)
        )

    def _send_next(self, exchange: _Exchange, now: float) -> None:
        """Send the first packet that is left, with a toggle by which the meter cannot take it for an old one.

        Flipping alone does that while all goes well. After a lost request the meter may hold either of two packets as
        its last; where it may hold both forms of this one, only another request in between helps: ``client.py`` sends
        Terminate then.
        """
        packet = exchange.packets[0]
        known = self._meter_may_know
        exchange.raw = flipped = packet._replace(toggle=not self._toggle).encode()
        if _fingerprint(flipped) in known:
            kept = packet._replace(toggle=self._toggle).encode()
            exchange.raw = flipped if _fingerprint(kept) in known else kept
        exchange.before = known
        exchange.attempts = 0
        self._toggle = _fingerprint(exchange.raw)[0]
        self._transmit(exchange, now)

    def _transmit(self, exchange: _Exchange, now: float) -> None:
        exchange.attempts += 1
        exchange.awaiting = _Awaiting.ACKNOWLEDGEMENT
        self._meter_may_know = exchange.before | {_fingerprint(exchange.raw)}
        if exchange.attempts > 1:
            self.statistics.retransmissions += 1
            self._forget_echo()  # what has not come back by now will not
        exchange.sent = self._queue(exchange.raw, now)
        exchange.deadline = exchange.sent + self._acknowledged_within(exchange)

    def _acknowledged_within(self, exchange: _Exchange) -> float:
        if not exchange.after_silence or exchange.attempts > 1:
            return self.timing.response
        usual = self._last_acknowledgement or 0.0
        return min(self.timing.response, max(self.timing.sleeper, _SURELY_LOST * usual))

    def _queue(self, raw: bytes, now: float) -> float:
        """Have bytes sent; return when the last of them will have left."""
        self._outgoing.append(raw)
        self._sending_until = max(self._sending_until, now) + len(raw) * self.timing.byte_time
        self._last_activity = max(self._last_activity, self._sending_until)
        return self._sending_until

    def outgoing(self) -> bytes:
        """Hand out what is to be written now, each byte once."""
        if self._echoing:
            self._echo.extend(self._outgoing)
        waiting = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
        self._outgoing.clear()
        self.statistics.bytes_out += len(waiting)
        return waiting

    # --- Receiving ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what arrived, in whatever pieces it did; nothing is no arrival."""
        if not data:
            return []
        self.statistics.bytes_in += len(data)
        self._last_byte = now
        self._last_activity = max(self._last_activity, now)
        arrived = self._without_echo(data)
        self._buffer += arrived
        self._strange += arrived[: _STRANGE_KEPT - len(self._strange)]
        return self._scan(now)

    def take_strange(self) -> bytes:
        """Hand out what came since the last sound packet of the meter's, from its beginning on, and forget it."""
        strange = bytes(self._strange)
        self._strange.clear()
        return strange

    def conclude(self) -> None:
        """End the exchange whose answer was handed out as Stale and is to be taken all the same."""
        if self._exchange:
            self._meter_may_know = frozenset((_fingerprint(self._exchange.raw),))
            self._exchange = None

    def expire(self, now: float) -> list[Event]:
        """Act on the timers that have run out; call it after ``receive``, so that no waiting byte comes too late."""
        events: list[Event] = []
        if self._buffer and now >= self._last_byte + self.timing.inter_character:
            events += self._scan(now, cut_off=True)
        exchange = self._exchange
        if exchange and not self._half_received and now >= exchange.deadline:
            if exchange.awaiting is _Awaiting.ACKNOWLEDGEMENT:
                events += self._repeat(exchange, now)
            else:
                events += self._give_up(exchange, exchange.attempts)
        return events

    def deadline(self) -> float | None:
        """When ``expire`` has something to do: a half-received packet, an acknowledgement or an answer is overdue."""
        due = []
        if self._buffer:
            due.append(self._last_byte + self.timing.inter_character)
        if self._exchange and not self._half_received:
            due.append(self._exchange.deadline)
        return min(due, default=None)

    def complete_at(self) -> float | None:
        """When the packet that is arriving can be complete at the earliest; None until its head is here."""
        return self._complete_at if self._half_received else None

    def _without_echo(self, data: bytes) -> bytes:
        """Strip what is known to be our own light: exact, in order, whole packets and acknowledgements.

        The first deviation ends the expectation, and the probe has to be caught echoing again: better to miss an
        echo, which the parser recognises too, than to take the meter's ACK for our own.
        """
        while data and self._echo:
            sent = self._echo[0]
            heard = _common_length(sent[self._echo_heard :], data)
            self._echo_heard += heard
            data = data[heard:]
            if self._echo_heard == len(sent):
                self._echo.popleft()
                self._echo_heard = 0
                self._note_echo(sent)
            elif data:
                data = sent[: self._echo_heard] + data
                self._forget_echo()
                self._echoing = False
        return data

    def _note_echo(self, raw: bytes) -> None:
        self.statistics.echoes += 1
        if self._exchange and raw == self._exchange.raw:
            self._exchange.heard.add(Reason.ECHO_ONLY)

    def _forget_echo(self) -> None:
        self._echo.clear()
        self._echo_heard = 0

    def _scan(self, now: float, *, cut_off: bool = False) -> list[Event]:
        """Understand what is in the buffer. ``cut_off``: nothing more will come to complete it."""
        events: list[Event] = []
        self._half_received = False
        while self._buffer:
            if self._buffer[0] != START:
                events += self._skip(now, answer=self._buffer[0])
                continue
            verdict, length = examine(self._buffer, self._most_in)
            if verdict is Verdict.SOUND:
                raw = bytes(self._buffer[:length])
                self._consume(length)
                events += self._accept(raw, now)
                continue
            match verdict:
                case Verdict.FOREIGN:
                    self._consume(length)
                    self.statistics.noise_bytes += length
                case Verdict.PARTIAL | Verdict.HEADED if not cut_off:
                    if verdict is Verdict.HEADED:
                        self._await(length, now)
                    break
                case Verdict.HEADED:
                    self._refused = len(self._buffer)
                    events += self._skip(now)
                case Verdict.DAMAGED:
                    self._refused = max(self._refused, length)
                    events += self._skip(now)
                case _:
                    events += self._skip(now)
        return events

    def _await(self, length: int, now: float) -> None:
        """Note when the packet can be complete, once: a line may hand over what has come byte by byte."""
        self._half_received = True
        if self._complete_at is None:
            self._complete_at = now + (length - len(self._buffer)) * self.timing.byte_time

    def _consume(self, length: int) -> None:
        del self._buffer[:length]
        self._complete_at = None
        self._refused = 0  # a sound packet: the damaged one around it was a false start

    def _skip(self, now: float, answer: int | None = None) -> list[Event]:
        """Give up the first byte as a packet's start: part of a damaged packet, an ACK or NAK, or noise."""
        del self._buffer[:1]
        self._complete_at = None
        if self._refused:
            self._refused -= 1
            return [] if self._refused else self._refuse_packet(now)
        exchange = self._exchange
        if exchange and answer == ACK and exchange.awaiting is _Awaiting.ACKNOWLEDGEMENT:
            return self._acknowledged(exchange, now)
        if exchange and answer == NAK and self._can_be_refused(exchange):
            self.statistics.naks_received += 1
            exchange.heard.add(Reason.NAK)
            return self._repeat(exchange, now)
        self.statistics.noise_bytes += 1
        return []

    def _can_be_refused(self, exchange: _Exchange) -> bool:
        """Take a NAK until something of the answer came: the ACK before it was noise, or our own ACK come back."""
        return exchange.awaiting is _Awaiting.ACKNOWLEDGEMENT or not (exchange.damaged or self._pieces)

    # --- The exchange ---------------------------------------------------------------------------------------------

    def _acknowledged(self, exchange: _Exchange, now: float) -> list[Event]:
        self._meter_may_know = frozenset((_fingerprint(exchange.raw),))
        if len(exchange.packets) > 1:
            exchange.packets.popleft()
            self._send_next(exchange, now)
            return []
        exchange.awaiting = _Awaiting.ANSWER
        exchange.deadline = now + self.timing.answer
        if exchange.attempts == 1:
            self._last_acknowledgement = now - exchange.sent
        if exchange.delivered:
            return []
        exchange.delivered = True
        return [Delivered()]

    def _repeat(self, exchange: _Exchange, now: float) -> list[Event]:
        if exchange.attempts < self.timing.attempts:
            self._transmit(exchange, now)
            return []
        return self._give_up(exchange, exchange.attempts)

    def _give_up(self, exchange: _Exchange, attempts: int) -> list[Event]:
        self._meter_may_know = exchange.before | {_fingerprint(exchange.raw)}
        self._exchange = None
        self._pieces = []
        self._forget_echo()
        if exchange.awaiting is _Awaiting.ANSWER:
            telling: tuple[Reason, ...] = (Reason.DAMAGED,)
        else:
            telling = (Reason.NAK, Reason.ECHO_ONLY, Reason.DAMAGED)  # with echo, what is damaged most likely is echo
        reason = next((reason for reason in telling if reason in exchange.heard), Reason.SILENCE)
        return [GaveUp(attempts, reason, acknowledged=exchange.awaiting is _Awaiting.ANSWER)]

    def _refuse_packet(self, now: float) -> list[Event]:
        """NAK a damaged packet where an answer is due, else keep silent [C12.18-1996]."""
        self.statistics.damaged += 1
        exchange = self._exchange
        if not exchange:
            return []
        exchange.heard.add(Reason.DAMAGED)
        if exchange.awaiting is _Awaiting.ACKNOWLEDGEMENT and not self._pieces:
            return []
        exchange.damaged += 1
        if exchange.damaged >= self.timing.attempts:
            return self._give_up(exchange, exchange.damaged)
        self._queue(bytes((NAK,)), now)
        exchange.deadline = now + self.timing.answer
        return []

    def _accept(self, raw: bytes, now: float) -> list[Event]:
        """Take a sound packet: an echo, a duplicate, or something new."""
        exchange = self._exchange
        if exchange and raw == exchange.raw:
            self._note_echo(raw)
            self._echoing = True
            self._strange = self._strange.replace(raw, b"")
            self._withdraw_ack(exchange, now)  # it came before the packet had left: the echo of our own ACK
            return []
        packet, fingerprint = Packet.decode(raw), _fingerprint(raw)
        self.statistics.packets_in += 1
        if self.greeting is None:
            self.greeting = bytes(self._strange)
        self._strange.clear()
        recent = now - self._last_accepted_at < self.timing.traffic
        if fingerprint == self._last_accepted and recent and not self._may_be_new(exchange):
            self.statistics.duplicates += 1
            self._last_accepted_at = now  # the fourth transmission comes six seconds after the first
            self._queue(bytes((ACK,)), now)
            if exchange:
                self._withdraw_ack(exchange, now)  # a meter that repeats itself has not heard our request
            return []
        if exchange and len(exchange.packets) > 1:
            return []  # the request is not out yet; unacknowledged, the meter will repeat this
        if self._last_accepted and recent and fingerprint != self._last_accepted:
            self._same_toggle = self._same_toggle + 1 if fingerprint[0] == self._last_accepted[0] else 0
        self._last_accepted, self._last_accepted_at = fingerprint, now
        self._queue(bytes((ACK,)), now)
        if exchange and exchange.response is None and exchange.attempts == 1:
            exchange.response = max(0.0, now - len(raw) * self.timing.byte_time - exchange.sent)
        message = self._join(packet)
        if exchange and self._pieces:
            exchange.damaged = 0
            exchange.deadline = now + self.timing.answer
        if message is None:
            return []
        if not exchange or not exchange.fits(message):
            self.statistics.stale_answers += 1
            return [Stale(message)]
        self._note_response(exchange)
        self._exchange = None
        self._meter_may_know = frozenset((_fingerprint(exchange.raw),))
        # Whoever answers has the request: where its ACK was lost, the answer stands for it.
        return [Received(message)] if exchange.delivered else [Delivered(), Received(message)]

    def _may_be_new(self, exchange: _Exchange | None) -> bool:
        """Whether a packet like the last one may be an answer all the same: to a request that was acknowledged.

        Only of a meter that has shown that it never changes its toggle: two answers in a row may be alike.
        """
        answer_due = exchange is not None and exchange.awaiting is _Awaiting.ANSWER and not exchange.heard
        return answer_due and self._same_toggle >= _NEVER_TOGGLES

    def _note_response(self, exchange: _Exchange) -> None:
        if exchange.response is not None:
            self.statistics.note_response(exchange.response)

    def _withdraw_ack(self, exchange: _Exchange, now: float) -> None:
        """Wait again for an ACK: what passed for it was none. Only until something of the answer came."""
        if self._can_be_refused(exchange) and exchange.awaiting is _Awaiting.ANSWER:
            exchange.awaiting = _Awaiting.ACKNOWLEDGEMENT
            exchange.deadline = now + self.timing.response
            self._meter_may_know = exchange.before | {_fingerprint(exchange.raw)}

    def _join(self, packet: Packet) -> bytes | None:
        """Give the whole message once its last packet is here; one out of sequence is the rest of a stale message."""
        if not packet.multiple:
            self._pieces = []
            return packet.data
        if packet.first:
            self._pieces = []
        elif not self._pieces or packet.sequence != self._pieces_due:
            self._pieces = []
            self.statistics.stale_answers += 1
            return None
        self._pieces.append(packet.data)
        self._pieces_due = packet.sequence - 1
        if packet.sequence:
            return None
        message = b"".join(self._pieces)
        self._pieces = []
        return message


def _common_length(one: bytes, other: bytes) -> int:
    """Count the leading bytes that two strings share."""
    shortest = min(len(one), len(other))
    return next((index for index in range(shortest) if one[index] != other[index]), shortest)


def _fingerprint(raw: bytes) -> Fingerprint:
    """Give toggle and CRC, by which the receiver of a packet knows it from the one before."""
    return is_toggled(raw), raw[-2:]
