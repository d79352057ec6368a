"""Coverage-guided fuzzing of the data link: any bytes at any time, between requests of any length.

What must hold: no error but those of the module, memory for one packet, a deadline that moves on, a few bytes out for
many in, and the same events however a stream is cut.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nesgw"]):
    from nesgw.optical.link import Delivered, GaveUp, Link, Received, Stale
    from nesgw.optical.packet import OVERHEAD
    from nesgw.optical.services import Identify, Logon, Negotiate, PartialRead, Read, Security, Terminate, Wait

REQUESTS = (
    Identify(),
    Negotiate(512, 4, (9600,)),
    Logon(),
    Security(b"a7941d85bce8a8fa2ab7"),
    PartialRead(28, 0, 108),
    Read(23),
    Wait(14),
    Terminate(),
)
STEPS = (0.0, 0.001, 0.02, 0.3, 0.6, 2.1, 6.1, 40.0)


def one_input(data: bytes) -> None:
    """Operations, one byte each: send, receive the next so many bytes, let time pass, forget, other packet size."""
    whole, cut = Link(), Link()
    now, at, busy = 1000.0, 0, False
    taken = given = sent = 0
    while at < len(data):
        operation, argument = data[at] >> 5, data[at] & 0x1F
        at += 1
        events: list = []
        if operation == 0 and not busy:
            request = REQUESTS[argument % len(REQUESTS)]
            for link in (whole, cut):
                link.send(request.encode(), now, request.fits)
            busy, sent = True, sent + 1
        elif operation in (1, 2, 3, 4):
            size = argument if operation < 4 else 8 * argument
            piece = data[at : at + size]
            at += size
            taken += len(piece)
            events = whole.receive(piece, now)
            again = [event for byte in piece for event in cut.receive(bytes((byte,)), now)]
            assert events == again, "the cut made a difference"
        elif operation == 5:
            now += STEPS[argument % len(STEPS)]
            events = whole.expire(now)
            assert events == cut.expire(now)
        elif operation == 6 and argument == 0:
            whole.reset()
            cut.reset()
            busy = False
        elif operation == 7:
            for link in (whole, cut):
                link.use_packet_size(64 + 16 * argument, 512)
        deadline = whole.deadline()
        if deadline is not None and deadline <= now:
            late = whole.expire(now)
            assert late == cut.expire(now)
            events = events + late
            deadline = whole.deadline()
            assert deadline is None or deadline > now, "a deadline that stands still"
        assert all(isinstance(event, Delivered | Received | Stale | GaveUp) for event in events)
        assert all(event.attempts <= 4 for event in events if isinstance(event, GaveUp))
        busy = busy and not any(isinstance(event, Received | GaveUp) for event in events)
        out = whole.outgoing()
        assert out == cut.outgoing()
        given += len(out)
        assert len(whole._buffer) <= max(512, 64 + 16 * 31) + OVERHEAD
    # Each request goes out four times at the most; for what comes in, one mark for each smallest packet.
    assert given <= sent * 4 * 64 + taken + 16
    assert whole.statistics == cut.statistics


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
