"""The MEP port of a simulated meter: the same tables as at its optical port, one signed answer for one signed request.

Bytes and the time go in, bytes come out when they are due; ``line.py`` carries them as it does those of the optical
port. Where the guide is silent or meters differ, ``Manners`` has a field, so that a test can take the other reading.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from nesgw.simulator.mep_wire import DIGEST, Inbox, apply, digest, packet_stream
from nesgw.simulator.meter import SimulatedMeter
from nesgw.simulator.services import Code

WRONG_DIGEST: Final = 0x0B
WRONG_NUMBER: Final = 0x0C
READ, PARTIAL_READ = 0x30, 0x3F
FORBIDDEN: Final = frozenset({0x40, 0x4F, 0x57, 0x58, 0x59, 0x80})  # writes and TLS: no reader sends these

WINDOW: Final = 8  # numbers past the last accepted one
MOST_DATA: Final = 465  # bytes of a table in one answer
SEGMENT: Final = 117  # bytes without a pause
NUMBERS: Final = 1 << 32
WAKING: Final = 0.1  # seconds from Enable on until the port is there
JUMP: Final = 25  # by which the number moves on when the dimensions changed
KEY_PAUSE: Final = 60.0  # a refused key is not to be shown sooner, but for one repetition

# What the guide lists as readable with the MBK (pages 259 to 262); EXTENDED tables from 2048 on.
TABLES: Final = frozenset(
    {
        *(0, 1, 4, 7, 8, 15, *range(20, 29), 30, 33, 50, *range(52, 56), *range(60, 68), 70, 71, 74),
        *(2048 + number for number in (*range(2, 8), 9, 11, *range(13, 17), 21, 23, 29, 30, 31, 34, 36, 40, 41, 42)),
        *(2048 + number for number in (45, 46, 47, *range(50, 56), 57, 58, 59, 66, 67, 70, 71, *range(74, 78))),
        *(2048 + number for number in (79, 80, 81, 85)),
    }
)


@dataclass(slots=True)
class Manners:
    """How this meter's port behaves; may be changed at any time."""

    disabled: bool = False  # by the utility: mute
    baud: int = 9600
    gap: float = 0.05  # a longer pause within a request drops what came
    reports_last: bool = False  # 0x0C tells the last accepted number in place of the next
    wrong_digest: Literal["short", "long", "silence"] = "short"
    signed_refusals: bool = True  # False: the code alone
    without_count: Literal["number", "refused", "wrong digest"] = "number"  # a full read that has no count
    past_end: Literal["zeros", "short", "refused"] = "zeros"
    too_long: Literal["refused", "cut", "silence"] = "refused"  # more than an answer holds
    not_offered: Code | None = Code.IAR  # to tables that the guide does not list; None: they are offered all the same
    answer_delay: float = 0.02
    throttle: float = 0.1  # between the beginnings of two answers
    pause: float = 0.025  # after each 117 bytes
    alerts: bool = False  # a device was registered, and something waits for it
    floating: bool = False  # wrong levels or wires: zeros without end, and nothing is heard
    weak_after: int = 0  # Enable sags: what follows so many bytes of an answer is lost; 0: it is strong
    weak_garbles: bool = False  # it is damaged in place of lost
    stray_zero: bool = True  # sent when Enable is switched on


@dataclass(slots=True)
class Monitor:
    """What the client did, and what it should not have done."""

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)  # by code
    forbidden: int = 0
    too_soon: int = 0  # within 100 ms of the request before
    keys_repeated: int = 0  # a refused key a third time within a minute
    out_of_window: int = 0  # twice in a row
    while_off: int = 0  # bytes sent without Enable


class MepPort:
    """The port, of a meter whose faults it shares. What is not of the port (``serial``, ``clock``) is the meter's."""

    def __init__(
        self, meter: SimulatedMeter, *, number: int | None = None, mak: bytes = b"", **manners: object
    ) -> None:
        """``number`` is the last accepted sequence number, random if not given; ``mak`` a second key that is taken."""
        self.meter = meter
        self.manners = Manners(**manners)  # type: ignore[arg-type]
        self.monitor = Monitor()
        self.window = WINDOW
        self.keys = [key[:16] for key in (mak, meter.key) if key]
        self.number = random.Random(f"mep {meter.seed}").randrange(NUMBERS) if number is None else number
        self._pace = 0.0
        self._line_baud: int | None = None
        self._enabled_at: float | None = meter.started - WAKING
        self._inbox = Inbox(self.manners.gap)
        self._out: deque[tuple[float, bytes]] = deque()
        self._free = meter.started  # when the answer before has been said
        self._answered_at = float("-inf")
        self._requested_at = float("-inf")
        self._alert_at = meter.started + 1.0
        self._zero_at = meter.started
        self._refused_at: deque[float] = deque(maxlen=2)
        self._outside = False

    # --- the line's side -----------------------------------------------------------------------------------------

    @property
    def serial(self) -> str:
        """The meter's."""
        return self.meter.serial

    @property
    def clock(self) -> Callable[[], float]:
        """The meter's."""
        return self.meter.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self.meter.clock = clock

    @property
    def byte_time(self) -> float:
        """Seconds a byte takes on the line; 0 where the line has no pace."""
        return self._pace

    def set_pace(self, baud: int | None) -> None:
        """Take the pace of the line: so many bits a second, ten a byte, or None for no pace at all."""
        with self.meter.lock:
            self._line_baud = baud
            self._pace = 10 / baud if baud else 0.0

    def enable(self, on: bool, now: float) -> None:
        """The client switches Enable."""
        with self.meter.lock:
            if on and self._enabled_at is None:
                self._enabled_at = now
                if self.manners.stray_zero:
                    self._out.append((now + WAKING / 2, b"\0"))
            elif not on:
                self._enabled_at = None
                self._inbox.reset()
                self._out.clear()

    def receive(self, data: bytes, now: float) -> None:
        """Bytes arrive from the client."""
        with self.meter.lock:
            self.meter.advance(now)
            self.meter.counters.bytes_in += len(data)
            faults = self.meter.faults
            if faults.active.echo:
                faults.done["echo"] += len(data)
                self._out.append((now, data))
            if self._enabled_at is None:
                self.monitor.while_off += len(data)
            if not self._hears(now):
                self._inbox.reset()
                return
            self._inbox.gap = self.manners.gap
            for byte in faults.damage(data, "to_meter"):
                if (body := self._inbox.feed(byte, now)) is not None and not faults.lost("request"):
                    self._request(body, now)

    def due(self, now: float) -> bytes:
        """The bytes that leave at ``now`` or should have left before."""
        with self.meter.lock:
            self.meter.advance(now)
            self._alert(now)
            self._float(now)
            faults = self.meter.faults
            ready = sorted((item for item in self._out if item[0] <= now), key=lambda item: item[0])
            self._out = deque(item for item in self._out if item[0] > now)
            out = b"".join(faults.damage(data, "to_client") for _, data in ready)
            if now < faults.active.silent_until or self._mute():
                out = b""
            out += self.meter.flood(now)
            self.meter.counters.bytes_out += len(out)
            return out

    def wake(self) -> float | None:
        """When ``due`` next has something to do, if nothing arrives before."""
        with self.meter.lock:
            times = [at for at, _ in self._out]
            if self.manners.alerts:
                times.append(self._alert_at)
            if self.manners.floating:
                times.append(self._zero_at)
            if (other := self.meter.wake()) is not None:
                times.append(other)
            return min(times, default=None)

    # --- for tests -----------------------------------------------------------------------------------------------

    def change_dimensions(self) -> None:
        """Move the number on, as a meter does whose tables have got another shape."""
        with self.meter.lock:
            self.number = (self.number + JUMP) % NUMBERS

    # --- inside --------------------------------------------------------------------------------------------------

    def _mute(self) -> bool:
        wrong_baud = self._line_baud is not None and self._line_baud != self.manners.baud
        return self.manners.disabled or self._enabled_at is None or wrong_baud

    def _hears(self, now: float) -> bool:
        awake = self._enabled_at is not None and now >= self._enabled_at + WAKING
        return awake and not self.manners.floating and not self._mute() and not self.meter.deaf_at(now)

    def _request(self, body: bytes, now: float) -> None:
        """Answer what follows a length field, unless the answer is to be silence."""
        self.monitor.too_soon += now - self._requested_at < 0.0999
        self._requested_at = now
        self._alert_at = now + 1.0
        opened = self._open(body)
        if opened is None:
            if (answer := self._wrong_digest(now)) is not None:
                self._send(answer, now)
            return
        key, message, stream = opened
        content = self._answer(message, now)
        if content is None:
            return
        self.monitor.answers[content[0]] += 1
        signed = self.manners.signed_refusals or content[0] in (Code.OK, WRONG_NUMBER)
        seal = digest(key, message + content) if signed else b""
        self._send((apply(stream, content) if stream else content) + seal, now)

    def _open(self, body: bytes) -> tuple[bytes, bytes, Iterator[int] | None] | None:
        """Find the key that signed a request, and what it says, plain or decrypted."""
        message, seal = body[:-DIGEST], body[-DIGEST:]
        if not message:
            return None
        for key in self.keys:
            if digest(key, message) == seal:
                return key, message, None
        for key in self.keys:
            stream = packet_stream(key, seal)
            if digest(key, plain := apply(stream, message)) == seal:
                return key, plain, stream
        return None

    def _wrong_digest(self, now: float) -> bytes | None:
        self.monitor.answers[WRONG_DIGEST] += 1
        self.monitor.keys_repeated += len(self._refused_at) > 1 and now - self._refused_at[0] < KEY_PAUSE
        self._refused_at.append(now)
        if self.manners.wrong_digest == "silence":
            return None
        return bytes((WRONG_DIGEST,)) + (bytes(DIGEST) if self.manners.wrong_digest == "long" else b"")

    def _answer(self, message: bytes, now: float) -> bytes | None:
        """What a request gets whose digest is right: all but the digest; None for silence."""
        number = int.from_bytes(message[-4:], "big")
        inside = 1 <= (number - self.number) % NUMBERS <= self.window
        self.monitor.out_of_window += not inside and self._outside
        self._outside = not inside
        if not inside:
            reported = self.number if self.manners.reports_last else (self.number + 1) % NUMBERS
            return bytes((WRONG_NUMBER,)) + reported.to_bytes(4, "big")
        self.number = number
        service = {READ: "read", PARTIAL_READ: "partial_read"}.get(message[0], "unknown")
        self.monitor.requests[service] += 1
        self.monitor.forbidden += message[0] in FORBIDDEN
        if (trouble := self.meter.faults.refusal(service, now)) is not Code.OK:
            return bytes((trouble,))
        if service == "read":
            return self._full_read(message, now)
        if service == "partial_read" and len(message) == 12:
            return self._partial_read(message, now)
        return bytes((Code.ERR,))

    def _full_read(self, message: bytes, now: float) -> bytes | None:
        if len(message) < 9:  # the count is left out
            if self.manners.without_count == "refused":
                return bytes((Code.ERR,))
            if self.manners.without_count == "wrong digest":
                return bytes((WRONG_DIGEST,))
        count = int.from_bytes(message[3:5], "big")
        image = self._image(int.from_bytes(message[1:3], "big"), now, range(count))
        return bytes((image,)) if isinstance(image, Code) else self._data(image[:count])

    def _partial_read(self, message: bytes, now: float) -> bytes | None:
        offset, count = int.from_bytes(message[3:6], "big"), int.from_bytes(message[6:8], "big")
        image = self._image(int.from_bytes(message[1:3], "big"), now, range(offset, offset + count))
        if isinstance(image, Code):
            return bytes((image,))
        piece = image[offset : offset + count]
        if len(piece) < count and self.manners.past_end == "refused":
            return bytes((Code.ONP,))
        if self.manners.past_end == "zeros":
            piece = piece.ljust(min(count, 0xFFFF), b"\0")
        return self._data(piece)

    def _data(self, data: bytes) -> bytes | None:
        if len(data) > MOST_DATA:
            if self.manners.too_long == "silence":
                return None
            if self.manners.too_long == "refused":
                return bytes((Code.ONP,))
            data = data[:MOST_DATA]
        return bytes((Code.OK,)) + len(data).to_bytes(2, "big") + data

    def _image(self, number: int, now: float, wanted: range) -> bytes | Code:
        if number in self.meter.profile.locked_tables:
            return Code.ISC
        if number not in TABLES and self.manners.not_offered is not None:
            return self.manners.not_offered
        return self.meter.table(number, now, wanted)

    def _send(self, body: bytes, now: float) -> None:
        """Put an answer on its way: late enough behind the one before, in segments, perhaps lost or twice."""
        faults = self.meter.faults
        if faults.lost("answer"):
            return
        ready = now + self.manners.answer_delay + faults.lateness()
        at = self._answered_at = max(ready, self._answered_at + self.manners.throttle, self._free)
        frame = self._weaken(len(body).to_bytes(2, "big") + body)
        for _ in range(2 if faults.repeated() else 1):
            for begin in range(0, len(frame), SEGMENT):
                piece = frame[begin : begin + SEGMENT]
                self._out.append((at, piece))
                at += len(piece) * self._pace + self.manners.pause * (len(piece) == SEGMENT)
        self._free = at

    def _weaken(self, frame: bytes) -> bytes:
        """Take from a long answer what a sagging Enable takes."""
        strong = self.manners.weak_after or len(frame)
        if len(frame) > strong:
            self.meter.faults.done["weak"] += 1
        tail = bytes(byte ^ 0x5A for byte in frame[strong:]) if self.manners.weak_garbles else b""
        return frame[:strong] + tail

    def _alert(self, now: float) -> None:
        """Once a second while something waits for a registered device, not within a second of a request."""
        while now >= self._alert_at:
            if self.manners.alerts and self._hears(now) and now - self._alert_at < 1.0:
                self._out.append((self._alert_at, b"\0\0"))
            self._alert_at += 1.0

    def _float(self, now: float) -> None:
        """A zero now and then, as a line without a level gives them."""
        while now >= self._zero_at:
            if self.manners.floating:
                self._out.append((self._zero_at, b"\0"))
            self._zero_at += 0.02
