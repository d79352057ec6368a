"""ET42, the interface definition: all dimensions in one table, the energy unit and the rollover digits at its end."""

from __future__ import annotations

import struct

from nesgw.simulator.load_profile import LoadProfile
from nesgw.simulator.profiles import Profile
from nesgw.simulator.tables.general import et54
from nesgw.simulator.tables.logs import ARGUMENT, log_list
from nesgw.simulator.tables.registers import register_data
from nesgw.simulator.tables.registry import Moment, extended
from nesgw.simulator.tables.snapshots import self_reads_taken
from nesgw.simulator.tables.sub_meters import data_records

FIRST_LOG = 41


@extended(42, lambda profile: profile.has_actual)
def et42(now: Moment) -> bytes:
    """Interface definition; of the further data sets only those in use take space."""
    profile = now.profile
    logs = log_list(now)
    lists = b"".join(struct.pack("<BH", entries, size) for _, size, entries, _ in logs)
    lists += bytes(demand.source for demand in profile.demands)
    lists += bytes(coincident.source for coincident in profile.coincidents)
    lists += b"".join(_sources(profile, load) for load in now.loads[:1])
    records = data_records(profile)
    lists += bytes((len(records) // 4,)) + records
    if profile.since(3, 50):
        further = now.loads[1:]
        lists += bytes(((1 << len(further)) - 1,))
        lists += b"".join(_dimensions(load) + _sources(profile, load) for load in further)
    required = _required(profile)
    first = _dimensions(now.loads[0]) if now.loads else bytes(14)
    length = FIRST_LOG + len(lists) + len(required)
    head = struct.pack("<HBB", length, FIRST_LOG, len(logs)) + et54(now)[:2] + bytes(2)
    return head + _registers(now) + first + _history(now) + lists + required


def _registers(now: Moment) -> bytes:
    """Offsets 8 to 22."""
    actual = now.profile.actual
    flags = actual.flags0 >> 2 & 1 | actual.flags0 >> 3 & 0b110 | (0b1000 if actual.demands else 0)
    identity = self_reads_taken(now) & 0xFFFF if actual.demands else 0
    blocks = len(register_data(now.profile, now.truth, resets=False))
    minutes = (15, 1) if actual.demands else (0, 0)
    return (
        struct.pack("<HB", identity, flags)
        + actual.image()[2:]
        + struct.pack("<BBH", *minutes, blocks // (1 + actual.tiers))
    )


def _dimensions(load: LoadProfile) -> bytes:
    """The 14 bytes from the block size to the block's start."""
    kept = load.kept
    return struct.pack(
        "<IHBBBBHBB",
        *(load.block_size, kept.blocks, len(kept.channels), kept.interval, load.interval_size, 0),
        *(kept.intervals, 0, 0),
    )


def _sources(profile: Profile, load: LoadProfile) -> bytes:
    """Extended source ids: a mapped one in its long form, any other as it is."""
    return b"".join(
        struct.pack("<H", profile.mapped_sources[source - 112] if 112 <= source < 164 else source)
        for source in load.kept.channels
    )


def _history(now: Moment) -> bytes:
    """The event log: BT71's flags, its entries, the length of an argument."""
    return struct.pack("<BHB", 0b0000_0110, now.profile.event_entries, ARGUMENT)


def _required(profile: Profile) -> bytes:
    """The section at the end, which begins with its own length."""
    if not profile.since(3, 60):
        return b""
    if not profile.since(3, 70):
        return struct.pack("<BH", 3, 0)
    unit, digits = profile.energy_unit, profile.register_digits
    return struct.pack("<BHBHBB", 8, 0, 0, profile.alternate_entries, unit, digits)
