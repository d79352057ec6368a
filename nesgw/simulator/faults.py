"""What can go wrong on purpose: on the line, in the session, around the meter, in the values.

Methods may be called from any thread at any time; each says for how long or how often. A ``Fault`` in a plan calls
the same method at a given second after the start, so that a test can state its whole course beforehand.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from nesgw.simulator.alarms import ALARMS
from nesgw.simulator.services import Code

Direction = Literal["to_meter", "to_client", "both"]
FOREVER: Final = float("inf")


class Fault(NamedTuple):
    """One line of a plan: at so many seconds after the start, call that method of ``Faults``."""

    at: float
    name: str
    arguments: dict[str, object] = {}  # noqa: RUF012 - never changed


@dataclass(slots=True)
class _Noise:
    """Chances a byte has in one direction."""

    drop: float = 0.0
    corrupt: float = 0.0
    insert: float = 0.0
    duplicate: float = 0.0

    @property
    def quiet(self) -> bool:
        return not (self.drop or self.corrupt or self.insert or self.duplicate)


@dataclass(slots=True)
class _Refusal:
    code: Code
    until: float
    count: int
    services: frozenset[str] | None


@dataclass(slots=True)
class _Flip:
    table: int
    offset: int
    mask: int
    count: int


@dataclass(slots=True)
class _Condition:
    """All faults in force."""

    noise: dict[str, _Noise] = field(default_factory=lambda: {"to_meter": _Noise(), "to_client": _Noise()})
    lose_requests: int = 0
    lose_answers: int = 0
    lose_marks: int = 0
    repeat_answers: int = 0
    late_seconds: float = 0.0
    late_count: int = 0
    silent_until: float = 0.0
    deaf_until: float = 0.0
    echo: bool = False
    flood_from: float = 0.0
    flood_until: float = 0.0
    flood_rate: float = 0.0
    frozen_until: float = 0.0
    zeros: frozenset[int] | None = None
    refusals: list[_Refusal] = field(default_factory=list)
    flips: list[_Flip] = field(default_factory=list)


class Patient(Protocol):
    """What the meter itself does when it is told to."""

    def power_failure(self, seconds: float) -> None:
        """Stop and start again."""

    def exchange(self, serial: str, registers: dict[int, int] | None) -> None:
        """Become another meter."""

    def raise_alarm(self, byte: int, bit: int) -> None:
        """Latch a bit of BT03."""

    def clear_alarms(self) -> None:
        """Clear what is latched."""

    def open_cover(self) -> None:
        """Notice that the cover is off."""

    def set_clock(self, seconds: float) -> None:
        """Move the clock."""


class Faults:
    """The switchboard. ``now`` tells the meter's time."""

    def __init__(
        self,
        lock: threading.RLock,
        now: Callable[[], float],
        *,
        seed: int,
        meter: Patient,
        plan: Sequence[Fault] = (),
    ) -> None:
        self._lock = lock
        self._now = now
        self._meter = meter
        self._random = random.Random(f"faults {seed}")
        self._plan = sorted(plan, key=lambda fault: fault.at)
        self.active = _Condition()
        self.done: Counter[str] = Counter()  # how often each fault has struck

    # --- on the line

    def noise(
        self,
        *,
        drop: float = 0.0,
        corrupt: float = 0.0,
        insert: float = 0.0,
        duplicate: float = 0.0,
        direction: Direction = "both",
    ) -> None:
        """Damage bytes with these probabilities; call without any to end it."""
        with self._lock:
            for name in ("to_meter", "to_client") if direction == "both" else (direction,):
                self.active.noise[name] = _Noise(drop, corrupt, insert, duplicate)

    def lose(self, *, requests: int = 0, answers: int = 0, marks: int = 0) -> None:
        """Lose whole the next packets from the client, packets to the client, or ACKs and NAKs to it."""
        with self._lock:
            self.active.lose_requests += requests
            self.active.lose_answers += answers
            self.active.lose_marks += marks

    def repeat(self, answers: int = 1) -> None:
        """Send so many of the next packets to the client twice in a row."""
        with self._lock:
            self.active.repeat_answers += answers

    def echo(self, on: bool = True) -> None:
        """Reflect the client's own bytes."""
        with self._lock:
            self.active.echo = on

    def flood(self, seconds: float, rate: float = 200.0) -> None:
        """Send so many random bytes a second."""
        with self._lock:
            self.active.flood_from = self._now()
            self.active.flood_until = self._now() + seconds
            self.active.flood_rate = rate

    def deaf(self, seconds: float = FOREVER) -> None:
        """Hear nothing."""
        with self._lock:
            self.active.deaf_until = self._now() + seconds

    def silence(self, seconds: float = FOREVER) -> None:
        """Hear, and send nothing."""
        with self._lock:
            self.active.silent_until = self._now() + seconds

    # --- in the session

    def late(self, seconds: float, count: int = 1) -> None:
        """Send the next answers so much later; their requests are ACKed at once."""
        with self._lock:
            self.active.late_seconds, self.active.late_count = seconds, count

    def refuse(
        self,
        code: Code | int,
        *,
        seconds: float = FOREVER,
        count: int = 1_000_000_000,
        services: Sequence[str] | None = None,
    ) -> None:
        """Answer requests with a code (bsy, dlk, dnr, rno, err) for a time or a number of times."""
        with self._lock:
            only = None if services is None else frozenset(services)
            self.active.refusals.append(_Refusal(Code(code), self._now() + seconds, count, only))

    def restart(self, seconds: float = 3.0) -> None:
        """Power failure: the session is gone and the meter hears nothing until it has started again.

        It counts as an outage in the registers and in the logs (BT74, ET09, ET81) and raises its alarm.
        """
        with self._lock:
            self._meter.power_failure(seconds)

    def swap(self, serial: str, registers: dict[int, int] | None = None) -> None:
        """Another meter of the same kind hangs on the wall: its serial number and its registers at BT23's numbers."""
        with self._lock:
            self._meter.exchange(serial, registers)

    # --- what the meter notices

    def alarm(self, alarm: str | int, bit: int | None = None) -> None:
        """Latch an alarm of BT03, by its name in ``ALARMS`` or by byte and bit."""
        if isinstance(alarm, str):
            alarm, bit = ALARMS[alarm]
        with self._lock:
            self._meter.raise_alarm(alarm, bit or 0)

    def clear_alarms(self) -> None:
        """Clear every latched alarm, as the utility's host does it; nothing else clears one."""
        with self._lock:
            self._meter.clear_alarms()

    def open_cover(self) -> None:
        """Someone takes the cover off: an alarm and an entry in the event log."""
        with self._lock:
            self._meter.open_cover()

    def set_clock(self, seconds: float) -> None:
        """The meter's clock is set forward or back: two entries in the event log, a mark in the load profile."""
        with self._lock:
            self._meter.set_clock(seconds)

    # --- in the values

    def freeze(self, seconds: float = FOREVER) -> None:
        """Registers and present values stand still, perfectly plausible."""
        with self._lock:
            self.active.frozen_until = self._now() + seconds

    def flip(self, table: int, offset: int, mask: int = 0x80, count: int = 1) -> None:
        """Turn bits of a byte in the image of a table, in the next so many reads of it (CRC and checksum fit)."""
        with self._lock:
            self.active.flips.append(_Flip(table, offset, mask, count))

    def zeros(self, tables: Sequence[int] = (23, 28)) -> None:
        """These tables read as zeros; an empty list ends it."""
        with self._lock:
            self.active.zeros = frozenset(tables)

    def clear(self) -> None:
        """End every fault."""
        with self._lock:
            self.active = _Condition()

    # --- asked by the meter

    def due(self) -> float | None:
        """Seconds after the start of the plan's next line."""
        return self._plan[0].at if self._plan else None

    def expect(self, *faults: Fault) -> None:
        """Add lines to the plan."""
        with self._lock:
            self._plan = sorted((*self._plan, *faults), key=lambda fault: fault.at)

    def follow_plan(self, start: float, now: float) -> None:
        """Carry out what the plan says up to now. ``due`` is waited for by the same sum, to the last bit."""
        while self._plan and start + self._plan[0].at <= now:
            fault = self._plan.pop(0)
            getattr(self, fault.name)(**fault.arguments)

    def damage(self, data: bytes, direction: str) -> bytes:
        """What becomes of bytes on their way."""
        noise = self.active.noise[direction]
        if noise.quiet:
            return data
        chance = self._random.random
        out = bytearray()
        for byte in data:
            if chance() < noise.insert:
                self.done["insert"] += 1
                out.append(self._random.randrange(256))
            if chance() < noise.drop:
                self.done["drop"] += 1
                continue
            if chance() < noise.corrupt:
                self.done["corrupt"] += 1
                byte ^= 1 << self._random.randrange(8)
            out.append(byte)
            if chance() < noise.duplicate:
                self.done["duplicate"] += 1
                out.append(byte)
        return bytes(out)

    def garbage(self, count: int) -> bytes:
        """Random bytes."""
        self.done["garbage"] += count
        return self._random.randbytes(count)

    def lateness(self) -> float:
        """How much later this answer comes."""
        if self.active.late_count <= 0:
            return 0.0
        self.active.late_count -= 1
        self.done["late"] += 1
        return self.active.late_seconds

    def refusal(self, service: str, now: float) -> Code:
        """The code this request is refused with, or OK."""
        for refusal in self.active.refusals:
            wanted = refusal.services is None or service in refusal.services
            if wanted and refusal.count > 0 and now < refusal.until:
                refusal.count -= 1
                self.done["refuse"] += 1
                return refusal.code
        return Code.OK

    def lost(self, kind: Literal["request", "answer", "mark"]) -> bool:
        """Whether this one is lost whole."""
        name = f"lose_{kind}s"
        left: int = getattr(self.active, name)
        if left <= 0:
            return False
        setattr(self.active, name, left - 1)
        self.done[f"lose {kind}"] += 1
        return True

    def repeated(self) -> bool:
        """Whether this packet to the client is sent twice."""
        if self.active.repeat_answers <= 0:
            return False
        self.active.repeat_answers -= 1
        self.done["repeat"] += 1
        return True

    def distort(self, table: int, image: bytes) -> bytes:
        """What a read of a table shows."""
        if self.active.zeros and table in self.active.zeros:
            self.done["zeros"] += 1
            return bytes(len(image))
        for flip in self.active.flips:
            if flip.table == table and flip.count > 0 and flip.offset < len(image):
                flip.count -= 1
                self.done["flip"] += 1
                changed = bytearray(image)
                changed[flip.offset] ^= flip.mask
                image = bytes(changed)
        return image
