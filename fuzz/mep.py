"""What the MEP port is put through: reads, any bytes at any time, and answers that are signed as they should be.

What must hold: no error but those of the module, memory for two frames, a deadline that moves on, one outcome for one
read, nothing sent but reads, 100 ms between them and one a second on average, Enable as the state says, no byte
delivered that was not signed, and the same events however a stream is cut.
"""

from __future__ import annotations

from collections.abc import Callable

from nesgw.mep.digest import DigestKey
from nesgw.mep.frames import LARGEST_MESSAGE, LARGEST_READ, LENGTH, FullRead, PartialRead
from nesgw.mep.link import Event, GaveUp, Link, Received, Refused, Remark
from nesgw.mep.session import State

KEY = DigestKey(b"a7941d85bce8a8fa2ab7")
REQUESTS = (PartialRead(23, 0, 8), PartialRead(28, 0, 220), FullRead(52), PartialRead(28, 300, LARGEST_READ))
STEPS = (0.0, 0.001, 0.02, 0.06, 0.11, 0.21, 0.61, 1.1, 5.0, 61.0, 4000.0)
CODES = (0, 1, 3, 5, 6, 10, 11, 12)


class Course:
    """Two links that hear the same, the one in pieces, and what has happened to them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.whole, self.cut = Link(KEY), Link(KEY)
        self.waiting = False
        self.signed: set[bytes] = set()  # data that a meter signed
        self.sent: list[float] = []
        self.raw = b""  # the request that was sent last
        for link in (self.whole, self.cut):
            link.open(self.now)

    def ask(self, number: int) -> None:
        """Begin a read where that is legal."""
        if self.whole.state in (State.IDLE, State.REFUSED):
            request = REQUESTS[number % len(REQUESTS)]
            self.waiting = True
            self._both(lambda link: link.ask(request, self.now))
            self.pass_time(0.0)

    def hear(self, data: bytes) -> None:
        """Have bytes arrive, at once and one by one."""
        events = self.whole.receive(data, self.now)
        pieces = [bytes((byte,)) for byte in data] or [b""]
        again = [event for piece in pieces for event in self.cut.receive(piece, self.now)]
        assert events == again, "the cut made a difference"
        self._judge(events)

    def answer(self, code: int, content: bytes) -> None:
        """Have a signed answer to the last request arrive."""
        body = bytes((code,))
        if code == 0:
            self.signed.add(content)
            body += len(content).to_bytes(2, "big") + content
        elif code == 12:
            body += content[:4].ljust(4, b"\0")
        body += KEY.digest(self.raw[2:-8] + body)
        self.hear(len(body).to_bytes(LENGTH, "big") + body)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, looking at each deadline."""
        end = self.now + seconds
        while (due := self.whole.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self._both(lambda link: link.expire(self.now))
            after = self.whole.deadline()
            assert after is None or after > self.now, "a deadline that stands still"
        self.now = end

    def abandon(self) -> None:
        """Give up what is under way."""
        self.whole.abandon(self.now)
        self.cut.abandon(self.now)
        self.waiting = False

    def reopen(self) -> None:
        """Open the port again."""
        self.whole.open(self.now)
        self.cut.open(self.now)
        self.waiting = False

    def _both(self, what: Callable[[Link], list[Event]]) -> None:
        events = what(self.whole)
        assert events == what(self.cut)
        self._judge(events)

    def _judge(self, events: list[Event]) -> None:
        for event in events:
            assert isinstance(event, Received | Refused | GaveUp | Remark)
            if isinstance(event, Received):
                assert event.data in self.signed
            if not isinstance(event, Remark):
                assert self.waiting, "an outcome that nobody asked for"
                self.waiting = False
        assert self.waiting == (self.whole.state is State.WAIT)
        out = self.whole.outgoing()
        assert out == self.cut.outgoing()
        if out:
            self._sent(out)
        assert len(self.whole._buffer) <= 2 * (LENGTH + LARGEST_MESSAGE)
        assert len(self.whole._since_sent) <= 2 * (LENGTH + LARGEST_MESSAGE)

    def _sent(self, out: bytes) -> None:
        assert self.whole.state.enable
        assert out[2] in (0x30, 0x3F)
        assert int.from_bytes(out[:2], "big") == len(out) - 2
        assert out[-8:] == KEY.digest(out[2:-8])
        end = self.now + len(out) * 10 / 9600
        assert not self.sent or end - self.sent[-1] > 0.0999
        self.sent.append(end)
        if len(self.sent) > 60:
            assert self.sent[-1] - self.sent[-61] > 0.99, "more than one read a second, and 60 ahead"
        self.raw = out


def play(data: bytes) -> None:
    """Operations, one byte each, some with bytes behind it."""
    course, at = Course(), 0
    while at < len(data):
        operation, argument = data[at] >> 5, data[at] & 0x1F
        at += 1
        if operation == 0:
            course.ask(argument)
        elif operation in (1, 2):
            size = argument if operation == 1 else 16 * argument
            course.hear(data[at : at + size])
            at += size
        elif operation in (3, 4):
            size = argument if operation == 3 else 8 * argument
            course.answer(CODES[argument % len(CODES)] if operation == 3 else 0, data[at : at + size])
            at += size
        elif operation in (5, 6):
            course.pass_time(STEPS[argument % len(STEPS)])
        elif argument == 0:
            course.reopen()
        elif argument == 1:
            course.abandon()
        elif argument == 2:
            course.hear(course.raw)
        elif argument < 16:
            course.hear(bytes.fromhex("00 01 0B"))
        else:
            course.hear(bytes(2 * (argument & 3)))
    assert course.whole.statistics == course.cut.statistics


def hear(data: bytes) -> bytes:
    """Give the operation by which up to 31 bytes arrive."""
    return bytes((0x20 | len(data),)) + data


ASK, ASK_LONG = b"\x00", b"\x01"
SOON, LATER, TOO_LATE, SECOND, SECONDS, MINUTE = b"\xa4", b"\xa5", b"\xa6\xa3", b"\xa7", b"\xa8", b"\xa9"
OPEN, ABANDON, ECHO, WRONG_DIGEST, ALERT = b"\xe0", b"\xe1", b"\xe2", b"\xe8", b"\xf1"
DATA, REFUSAL, WRONG_NUMBER = b"\x81ABCDEFGH", b"\x63...", b"\x67\0\0\1\0..."
BARE_REFUSAL, OTHER_REFUSAL, THIRD_REFUSAL = hear(b"\x00\x01\x05"), hear(b"\x00\x01\x04"), hear(b"\x00\x01\x03")
FRAME, BROKEN, CUT = hear(b"\x00\x02\xaa\xbb"), hear(b"\x00\x09") + LATER, hear(b"\x00\xe7\x00") + LATER
LONG_FRAME = b"\x4e\x00\xe7\x00" + bytes(221) + b"\x29" + bytes(9)

# What happens to a port that has settled, for each row of the table one that leads there.
COURSES = {
    "data": ASK + DATA,
    "idle": ALERT + FRAME + BROKEN,
    "a refusal": ASK + ALERT + REFUSAL,
    "bare refusals": ASK + BARE_REFUSAL + LATER + BARE_REFUSAL,
    "bare refusals that differ": ASK + BARE_REFUSAL + LATER + OTHER_REFUSAL + LATER + THIRD_REFUSAL,
    "numbers": ASK + 3 * (WRONG_NUMBER + LATER),
    "a proven key": ASK + DATA + ASK + SOON + 3 * (WRONG_DIGEST + LATER) + SECONDS,
    "a refused key": ASK + 2 * (WRONG_DIGEST + LATER) + ASK + ALERT + FRAME + BROKEN + OPEN + SECOND + MINUTE + ASK,
    "what answers nothing": ASK + FRAME + ECHO + DATA,
    "answers that break off": ASK + 3 * (BROKEN + LATER) + SECONDS,
    "long answers that break off": ASK_LONG + 2 * (CUT + LATER),
    "long answers that are damaged": ASK_LONG + 2 * (LONG_FRAME + TOO_LATE),
    "silence": ASK + 3 * TOO_LATE + SECONDS,
    "an abandoned read": ASK + ABANDON + ASK + SOON + DATA,
}

HAPPENINGS = (
    *(ASK, ASK_LONG, DATA, REFUSAL, WRONG_NUMBER, BARE_REFUSAL, OTHER_REFUSAL, FRAME, BROKEN, CUT, LONG_FRAME),
    *(SOON, LATER, TOO_LATE, SECOND, SECONDS, MINUTE, ABANDON, OPEN, ECHO, WRONG_DIGEST, ALERT),
)
