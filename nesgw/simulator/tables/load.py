"""The load profile: BT60 to BT67, and ET21 and ET66 about it."""

from __future__ import annotations

import struct
from typing import Final

from nesgw.simulator.profiles import Profile
from nesgw.simulator.tables.registry import Moment, basic, extended, fields, long_local_time, long_time

MOST_CHANNELS: Final = 16


def _kept(profile: Profile) -> bool:
    return bool(profile.load_sets)


def _unused(now: Moment) -> int:
    """How many data sets the firmware has beyond those in use."""
    return (4 if now.profile.since(3, 50) else 1) - len(now.loads)


def _dimensions(now: Moment, channels: int | None = None) -> bytes:
    memory = sum(load.block_size * load.kept.blocks for load in now.loads)
    image = struct.pack("<IHB", memory, 1 << 10 | 1 << 11, 1 << 5)
    for load in now.loads:
        kept = load.kept
        image += struct.pack("<HHBB", kept.blocks, kept.intervals, channels or len(kept.channels), kept.interval)
    return image + bytes(6 * _unused(now))


@basic(60, _kept)
def bt60(now: Moment) -> bytes:
    """Load profile dimensions, maxima: as in use, but for the channels."""
    return _dimensions(now, MOST_CHANNELS)


@basic(61, _kept)
def bt61(now: Moment) -> bytes:
    """Load profile dimensions, actual."""
    return _dimensions(now)


@basic(62, _kept)
def bt62(now: Moment) -> bytes:
    """Load profile control: a set's sources and its format."""
    image = b""
    for load in now.loads:
        image += b"".join(bytes((0, source, 0)) for source in load.kept.channels) + bytes((32,))
    return image + bytes((32,)) * _unused(now)


@basic(63, _kept)
def bt63(now: Moment) -> bytes:
    """Load profile status: where the newest block is and how full."""
    image = b""
    for load in now.loads:
        flags = 1 << 1 | 1 << 2 | 1 << 5  # overflow, circular, active
        blocks, newest = load.kept.blocks, load.newest_block(now.at)
        image += struct.pack("<BHHIHH", flags, blocks, newest, load.sequence(now.at), blocks, load.valid(now.at))
    return image + bytes(13 * _unused(now))


@basic(64, _kept)
def bt64(now: Moment) -> bytes:
    """Load profile data, first set."""
    return now.loads[0].image(now.at, now.wanted)


@basic(65, lambda profile: len(profile.load_sets) > 1)
def bt65(now: Moment) -> bytes:
    """Load profile data, second set."""
    return now.loads[1].image(now.at, now.wanted)


@basic(66, lambda profile: len(profile.load_sets) > 2)
def bt66(now: Moment) -> bytes:
    """Load profile data, third set."""
    return now.loads[2].image(now.at, now.wanted)


@basic(67, lambda profile: len(profile.load_sets) > 3)
def bt67(now: Moment) -> bytes:
    """Load profile data, fourth set."""
    return now.loads[3].image(now.at, now.wanted)


@extended(21, _kept)
def et21(now: Moment) -> bytes:
    """Internal configuration of the load profile, one element a set."""
    image = b""
    for load in now.loads:
        kept, valid, end = load.kept, load.valid(now.at), load.end(now.at)
        channels = bytes(kept.channels)
        image += fields(
            131,
            *((8, "I", load.block_size), (12, "H", load.header_size)),
            *((14, "H", kept.blocks), (16, "H", valid), (18, "H", load.newest_block(now.at))),
            *((20, "H", valid - 1), (22, "B", 5), (23, "B", load.header_size - 5)),
            *((24, "B", load.header_size), (25, "B", load.interval_size), (26, "B", len(channels) // 2 + 1)),
            *((28, "B", len(channels)), (29, "B", kept.interval), (30, "8s", channels[:8])),
            *((70, "8s", channels[8:]), (83, "6s", long_time(end - valid * load.step))),
            *((94, "6s", long_time(end)), (101, "6s", long_local_time(end))),
            (107, "I", load.block_size * kept.blocks),
        )
    return image


@extended(66)
def et66(now: Moment) -> bytes:
    """Extended source ids of the mapped ones, from 112 on."""
    mapped = now.profile.mapped_sources
    return struct.pack(f"<{len(mapped)}H", *mapped).ljust(4 * MOST_CHANNELS * 2, b"\0")
