"""The load profile's blocks: register snapshots in a ring (OPG and MEPG, BT61 to BT67).

The newest block is still filling, and what it has not reached yet holds the stale values of the block that it
overwrites, as in a real meter. Only the intervals that somebody asks for are reckoned: the ring is large, and reads are
small.
"""

from __future__ import annotations

import datetime
import functools
import struct
from collections.abc import Callable, Sequence
from typing import Final

from nesgw.simulator.household import utc_offset
from nesgw.simulator.logbook import Incident
from nesgw.simulator.profiles import PRESENT_SOURCES, SUMMATION_SOURCES, LoadSet, Profile
from nesgw.simulator.registers import Registers

DAY: Final = 86_400_000
SUMMER: Final = 0x10  # in the extended status, whose first nibble all channels share
SKIPPED: Final = 4  # the channel status of an interval that has no value
FIRST_TIER_SOURCE, TIER_SOURCES, TIERS = 29, 11, 4
MAPPED: Final = range(112, 164)


class LoadProfile:
    """One data set of one meter."""

    def __init__(
        self, kept: LoadSet, value: Callable[[int, int], int], start: int, incidents: Sequence[Incident] = ()
    ) -> None:
        self.kept = kept
        self.step = kept.step
        self._value = value
        self._incidents = incidents
        self._length = kept.intervals * kept.step
        self._block_at_start = start // self._length

    @property
    def header_size(self) -> int:
        """End time and simple status."""
        return 5 + (self.kept.intervals + 7) // 8

    @property
    def interval_size(self) -> int:
        """Extended status and the channels."""
        channels = len(self.kept.channels)
        return channels // 2 + 1 + 4 * channels

    @property
    def block_size(self) -> int:
        """A whole block."""
        return self.header_size + self.kept.intervals * self.interval_size

    def valid(self, at: int) -> int:
        """How many intervals of the newest block are over; a block begins to count with its first."""
        return self._newest(at)[1]

    def newest_block(self, at: int) -> int:
        """Index of the newest block."""
        return self._newest(at)[0] % self.kept.blocks

    def sequence(self, at: int) -> int:
        """Sequence number of the newest block."""
        return self._newest(at)[0] - self._block_at_start + 400

    def image(self, at: int, wanted: range) -> bytes:
        """The ring of blocks; only what holds some of the ``wanted`` bytes is filled in, the rest is left zero."""
        newest, valid = self._newest(at)
        size, blocks = self.block_size, self.kept.blocks
        ring = bytearray(size * blocks)
        for place in _touched(wanted, 0, size, blocks):
            start, back = place * size, (newest - place) % blocks
            within = range(wanted.start - start, wanted.stop - start)
            count = self.kept.intervals if back else valid
            ring[start : start + size] = self._block(newest - back, count, within)
        return bytes(ring)

    def end(self, at: int) -> int:
        """End of the newest interval."""
        block, valid = self._newest(at)
        return block * self._length + valid * self.step

    def _newest(self, at: int) -> tuple[int, int]:
        """The newest block, counted from 1970 on, and how many intervals it holds."""
        block, within = divmod(at, self._length)
        valid = within // self.step
        return (block, valid) if valid else (block - 1, self.kept.intervals)

    def _block(self, block: int, valid: int, wanted: range) -> bytes:
        """One block, with the intervals that hold some of its ``wanted`` bytes."""
        kept, size = self.kept, self.interval_size
        begin = block * self._length
        marks = {
            interval: bytes.fromhex(status)
            for back, interval, status in kept.marks
            if self._block_at_start - back == block and interval < valid
        }
        incidents = [i for i in self._incidents if i.end >= begin and i.begin < begin + self._length]
        body = bytearray(kept.intervals * size)
        for interval in _touched(wanted, self.header_size, size, kept.intervals):
            end = begin + (interval + 1) * self.step
            if interval >= valid:
                end -= kept.blocks * self._length
            status = marks.get(interval) or self._status(end, incidents)
            body[interval * size : (interval + 1) * size] = self._interval(status, end)
        moment = datetime.datetime.fromtimestamp((begin + valid * self.step) // 1000, datetime.UTC)
        end_time = bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute))
        processed = ((1 << valid) - 1).to_bytes((kept.intervals + 7) // 8, "little")
        return end_time + processed + body

    def _interval(self, status: bytes, end: int) -> bytes:
        """The extended status, and what each channel stood at."""
        values = [
            0 if channel_status(status, channel) == SKIPPED else self._value(source, end)
            for channel, source in enumerate(self.kept.channels)
        ]
        return status + struct.pack(f"<{len(values)}i", *values)

    def _status(self, end: int, incidents: Sequence[Incident]) -> bytes:
        """Summer time at the interval's end, and what happened in the interval."""
        common = SUMMER if utc_offset(end) == 120 else 0
        for incident in incidents:
            if incident.begin < end and incident.end >= end - self.step:
                common |= incident.mark
        return bytes((common,)) + bytes(len(self.kept.channels) // 2)


def _touched(wanted: range, first: int, size: int, count: int) -> range:
    """Which of ``count`` pieces of ``size`` bytes, the first of them at ``first``, hold some of the wanted bytes."""
    return range(max(0, (wanted.start - first) // size), min(count, -((first - wanted.stop) // size)))


def channel_status(status: bytes, channel: int) -> int:
    """The nibble of a channel: the first of all is common, high nibbles come first."""
    byte = status[(channel + 1) // 2]
    return byte & 0x0F if channel % 2 == 0 else byte >> 4


def load_profiles(
    profile: Profile, registers: Registers, start: int, incidents: Sequence[Incident]
) -> tuple[LoadProfile, ...]:
    """The data sets that a meter keeps."""
    value = Sources(profile, registers).value
    return tuple(LoadProfile(kept, value, start, incidents) for kept in profile.load_sets)


class Sources:
    """What stands behind a source id. The channels of an interval ask one after the other about the same time."""

    def __init__(self, profile: Profile, registers: Registers) -> None:
        self._profile = profile
        self._start = registers.start
        self._summations = functools.lru_cache(maxsize=2)(registers.summations)
        self._tiers = functools.lru_cache(maxsize=2)(registers.tiers)
        self._present = functools.lru_cache(maxsize=2)(registers.present)

    def value(self, source: int, at: int) -> int:
        """What it stood at or will stand at: a register, a tier's, a present value, a sub-meter's counter."""
        if source in MAPPED:
            extended = self._profile.mapped_sources[source - MAPPED.start]
            meter = self._profile.sub_meters[extended >> 8 & 0x0F]
            return 0 if meter is None else int.from_bytes(meter.counter(at, self._start), "little", signed=True)
        if source in SUMMATION_SOURCES:
            return self._summations(at)[SUMMATION_SOURCES.index(source)]
        tier, number = divmod(source - FIRST_TIER_SOURCE, TIER_SOURCES)
        if 0 <= tier < TIERS:
            return self._tiers(at)[tier][number]
        return self._present(at)[PRESENT_SOURCES.index(source)]
