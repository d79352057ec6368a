"""The load profile's blocks: register snapshots in a ring of days (OPG and MEPG, BT61 to BT64).

A block that is complete never changes and is built once; the newest is still filling, and what it has not reached
yet holds the stale values of the block that it overwrites, as in a real meter.
"""

from __future__ import annotations

import datetime
import functools
import struct
from typing import Final

from nesgw.simulator.profiles import Profile
from nesgw.simulator.registers import Registers

DAY: Final = 86_400_000
SKIPPED: Final = 4  # the channel status of an interval that has no value


class LoadProfile:
    """The first data set of one meter."""

    def __init__(self, profile: Profile, registers: Registers) -> None:
        self.profile = profile
        self.registers = registers
        self.step = profile.load_minutes * 60_000
        self.intervals = DAY // self.step
        self._days_at_start = registers.start // DAY
        self._complete = functools.lru_cache(maxsize=profile.load_blocks)(self._build)

    @property
    def header_size(self) -> int:
        """End time and simple status."""
        return 5 + (self.intervals + 7) // 8

    @property
    def interval_size(self) -> int:
        """Extended status and the channels."""
        channels = len(self.profile.load_channels)
        return channels // 2 + 1 + 4 * channels

    @property
    def block_size(self) -> int:
        """A whole block."""
        return self.header_size + self.intervals * self.interval_size

    def valid(self, at: int) -> int:
        """How many intervals of the newest block are over; a block begins to count with its first."""
        return self._newest(at)[1]

    def newest_block(self, at: int) -> int:
        """Index of the newest block."""
        return self._newest(at)[0] % self.profile.load_blocks

    def sequence(self, at: int) -> int:
        """Sequence number of the newest block."""
        return self._newest(at)[0] - self._days_at_start + 400

    def image(self, at: int) -> bytes:
        """The ring of blocks."""
        day, valid = self._newest(at)
        ring = [b""] * self.profile.load_blocks
        for back in range(self.profile.load_blocks):
            count = valid if back == 0 else self.intervals
            ring[(day - back) % self.profile.load_blocks] = self._complete(day - back, count)
        return b"".join(ring)

    def end(self, at: int) -> int:
        """End of the newest interval."""
        day, valid = self._newest(at)
        return day * DAY + valid * self.step

    def _newest(self, at: int) -> tuple[int, int]:
        """The newest block's day and how many intervals it holds."""
        day, within = divmod(at, DAY)
        valid = within // self.step
        return (day, valid) if valid else (day - 1, self.intervals)

    def _build(self, day: int, valid: int) -> bytes:
        profile = self.profile
        marks = {
            interval: bytes.fromhex(status)
            for back, interval, status in profile.load_marks
            if self._days_at_start - back == day
        }
        plain = bytes(len(profile.load_channels) // 2 + 1)
        body = b""
        for interval in range(self.intervals):
            written = day if interval < valid else day - profile.load_blocks
            registers = self.registers.summations(written * DAY + (interval + 1) * self.step)
            status = marks.get(interval, plain) if interval < valid else plain
            values = [
                0 if channel_status(status, channel) == SKIPPED else registers[source]
                for channel, source in enumerate(profile.load_channels)
            ]
            body += status + struct.pack(f"<{len(values)}i", *values)
        moment = datetime.datetime.fromtimestamp((day * DAY + valid * self.step) // 1000, datetime.UTC)
        end = bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute))
        processed = ((1 << valid) - 1).to_bytes((self.intervals + 7) // 8, "little")
        return end + processed + body


def channel_status(status: bytes, channel: int) -> int:
    """The nibble of a channel: the first of all is common, high nibbles come first."""
    byte = status[(channel + 1) // 2]
    return byte & 0x0F if channel % 2 == 0 else byte >> 4
