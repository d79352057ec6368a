"""The meter's side of the data link: marks, toggle, duplicates, retransmission, messages of several packets.

Time is given to it and it writes nothing: what is to be sent waits in ``queue`` with the time it is due.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from nesgw.simulator.wire import ACK, FIRST, MULTI, NAK, OVERHEAD, TOGGLE, Packet, Receiver, packet

ATTEMPTS: Final = 4  # transmissions of a packet [C12Adapter, Clients]
NAKS: Final = 3  # of one damaged packet [C12Adapter, Clients]
DEFAULT_PACKET_SIZE: Final = 64
DEFAULT_PACKETS: Final = 1


class Upper(Protocol):
    """What lies above the link."""

    def message(self, data: bytes, now: float) -> None:
        """A whole request arrived and was ACKed."""

    def delivered(self, now: float) -> None:
        """The last packet of the answer was ACKed."""

    def lost(self, now: float) -> None:
        """All retries are used up."""

    def hears(self) -> bool:
        """Whether the packet that just arrived really arrived."""


@dataclass(slots=True)
class LinkCounters:
    """What happened on the link."""

    packets_in: int = 0
    packets_out: int = 0
    retransmissions: int = 0
    duplicates: int = 0
    damaged: int = 0
    naks_sent: int = 0
    naks_received: int = 0
    noise_bytes: int = 0


@dataclass(slots=True)
class Due:
    """Bytes that leave at a given time."""

    at: float
    data: bytes
    is_packet: bool


class Link:
    """One end of the link; ``upper`` hears what it achieves."""

    def __init__(
        self, upper: Upper, *, turn_around: float, inter_character: float, response: float, toggle: bool = False
    ) -> None:
        self.upper = upper
        self.turn_around = turn_around
        self.response = response
        self.byte_time = 0.0
        self.packet_size = DEFAULT_PACKET_SIZE
        self.packets = DEFAULT_PACKETS
        self.queue: list[Due] = []
        self.counters = LinkCounters()
        self._receiver = Receiver(inter_character)
        self._toggle = toggle
        self._accepted: tuple[int, int] | None = None  # toggle and CRC of the last packet taken
        self._parts = b""
        self._naks_in_a_row = 0
        self._outbound: deque[bytes] = deque()
        self._attempts = 0
        self._deadline: float | None = None

    def reset(self) -> None:
        """Back to the base state: default parameters, nothing under way, the toggle open [C12.18-2006, C12Adapter]."""
        self.packet_size = DEFAULT_PACKET_SIZE
        self.packets = DEFAULT_PACKETS
        self._accepted = None
        self._parts = b""
        self._naks_in_a_row = 0
        self._abandon()

    def hush(self) -> None:
        """Forget all that is waiting to be sent or half received."""
        self._receiver.reset()
        self.queue.clear()
        self._abandon()

    def deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        times = [time for time in (self._deadline, self._receiver.deadline) if time is not None]
        return min(times, default=None)

    def parse(self, byte: int, now: float) -> Packet | None:
        """Follow the byte stream without answering to marks or taking packets."""
        return self._receiver.feed(byte, now)

    def cut_short(self, now: float) -> bool:
        """Give up half a packet without a word; true when there was one."""
        begun = not self._receiver.idle
        self._receiver.expire(now)
        return begun and self._receiver.idle

    def receive(self, byte: int, now: float) -> None:
        """Take one byte from the line."""
        if self._receiver.idle and byte in (ACK, NAK):
            self._mark(byte, now)
            return
        found = self._receiver.feed(byte, now)
        if found is not None:
            if self.upper.hears():
                self.take(found, now)
        elif self._receiver.idle:
            self.counters.noise_bytes += 1

    def take(self, found: Packet, now: float) -> None:
        """Judge a packet: NAK it, drop it as a duplicate, or accept it."""
        if found.sound and found.identity != 0:
            return  # somebody else's
        fits = len(found.data) + OVERHEAD <= max(self.packet_size, DEFAULT_PACKET_SIZE)
        if not found.sound or not fits or found.control & 0x1F:
            self.refuse(now)
            return
        self._naks_in_a_row = 0
        mark_of_it = (found.control & TOGGLE, found.crc)
        self._send_mark(ACK, now)
        if mark_of_it == self._accepted:
            self.counters.duplicates += 1
            return
        self._accepted = mark_of_it
        self.counters.packets_in += 1
        self._abandon()  # whoever asks anew waits no longer for the last answer
        if found.control & MULTI:
            self._parts = (b"" if found.control & FIRST else self._parts) + found.data
            if found.sequence:
                return
            whole, self._parts = self._parts, b""
        else:
            whole, self._parts = found.data, b""
        self.upper.message(whole, now)

    def refuse(self, now: float) -> None:
        """NAK a damaged packet; after three of them the channel is given up."""
        self.counters.damaged += 1
        self._naks_in_a_row += 1
        if self._naks_in_a_row > NAKS:
            self._naks_in_a_row = 0
            self.upper.lost(now)
            return
        self.counters.naks_sent += 1
        self._send_mark(NAK, now)

    def send(self, message: bytes, at: float) -> None:
        """Send an answer from ``at`` on, in as many packets as it takes."""
        room = self.packet_size - OVERHEAD
        parts = [message[start : start + room] for start in range(0, len(message), room)] or [b""]
        self._abandon()
        for index, part in enumerate(parts):
            control = TOGGLE if self._toggle else 0
            if len(parts) > 1:
                control |= MULTI | (FIRST if index == 0 else 0)
            self._toggle = not self._toggle
            self._outbound.append(packet(control, len(parts) - 1 - index, part))
        self._attempts = 0
        self._transmit(at)

    def expire(self, now: float) -> None:
        """Do what is due: give up half a packet, repeat an answer nobody ACKed."""
        if self._receiver.expire(now):
            self.refuse(now)
        if self._deadline is not None and now >= self._deadline:
            self._again(now)

    def _mark(self, byte: int, now: float) -> None:
        if self._deadline is None or any(due.is_packet for due in self.queue):
            self.counters.noise_bytes += 1  # nothing of ours is waiting for a mark
        elif byte == NAK:
            self.counters.naks_received += 1
            self._again(now)
        else:
            self._outbound.popleft()
            self._attempts = 0
            self._deadline = None
            if self._outbound:
                self._transmit(now + self.turn_around)
            else:
                self.upper.delivered(now)

    def _again(self, now: float) -> None:
        if self._attempts >= ATTEMPTS:
            self._abandon()
            self.upper.lost(now)
            return
        self.counters.retransmissions += 1
        self._transmit(now + self.turn_around)

    def _transmit(self, at: float) -> None:
        data = self._outbound[0]
        self._attempts += 1
        self._deadline = at + len(data) * self.byte_time + self.response
        self.counters.packets_out += 1
        self.queue.append(Due(at, data, is_packet=True))

    def _send_mark(self, mark: int, now: float) -> None:
        self.queue.append(Due(now + self.turn_around, bytes((mark,)), is_packet=False))

    def _abandon(self) -> None:
        self._outbound.clear()
        self._deadline = None
        self.queue = [due for due in self.queue if not due.is_packet]
