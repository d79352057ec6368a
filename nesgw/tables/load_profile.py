"""The load profile: what the registers were at the end of every interval, kept by the meter for weeks or months.

Up to four sets of channels (BT64 to BT67), each a ring of blocks of intervals. Values are registers as they stood, not
what was used in the interval. Times are UTC and know no daylight saving. Needs no ET21, which the read-only key may
not open: the sizes follow from BT61, the newest interval from the block itself.
Sources: OPG and MEPG, BT61 to BT67, ET66.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Final

from nesgw.tables.catalogue import PRESENT_VALUES, SUMMATIONS, TIER_FIELDS
from nesgw.tables.identity import ByteOrder
from nesgw.tables.installation import Installation
from nesgw.tables.layout import published_number, register_factor
from nesgw.tables.query import PendingQuery, Query, ask
from nesgw.tables.queues import STEP, Head, decode_head
from nesgw.tables.register import EXTENDED, Field, Kind, Part, nonsense
from nesgw.tables.times import decode_utc
from nesgw.values import Firmware, Number

SETS: Final = 4
BT61: Final = Part("BT61", 61, 0, 7 + 6 * SETS)  # shorter before 3.50, and zero from there on
STATUS: Final = 13  # bytes of BT63 for each set

# BT61.4: extended and simple status are there; end readings, end pulses and scalars are not.
OPTIONS_MASK: Final = 0x0FF0
OPTIONS: Final = 0x0C00
INT32: Final = 0x20  # BT61.6, BT62: the only format
DAY: Final = 84  # BT61, the code of an interval of 24 hours

MAPPED: Final = range(112, 164)  # source ids that ET66 explains
ET66: Final = Part("ET66", EXTENDED + 66, 0, 2 * len(MAPPED))
TIER_SOURCES: Final = 29  # the first id of the first tier
SOURCES_PER_TIER: Final = 11
TIERS_WITH_SOURCES: Final = 4
SUB_METER: Final = 4  # type of an extended id: data of an M-Bus device
MOST_CHANNELS: Final = 16
LONGEST_OFFSET: Final = 0xFFFFFF  # of a read

# What the status of a channel says about its value. 6, 7, 13 and 14 are not described.
CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "overflow",
        2: "partial",  # the clock was set forward
        3: "long",  # the clock was set back
        4: "skipped",
        5: "test_mode",
        8: "encrypted",
        9: "clock_error",
        10: "device_missing",
        11: "not_current",
        12: "opted_out",
        15: "never_retrieved",
    }
)
NO_READING: Final = frozenset({4, 8, 10, 12, 15})
CONTINUOUS: Final = frozenset({0, 2, 3, 9})  # a register goes on counting through these
FLAGS: Final = ("daylight_saving", "power_failure", "clock_forward", "clock_back")  # bits of the common status

# Our own flag: the meter's clock was wrong or lost when it stamped the block, so its place in the ring tells the time.
ESTIMATED: Final = "time_estimated"
WRITTEN_AFTER: Final = timedelta(minutes=1)  # that an interval is over
EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)  # before any of these meters: the date of a clock that was lost
LONGEST_OUTAGE: Final = timedelta(days=730)  # a block that is older than this beside its neighbour was stamped wrongly


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """One set's dimensions (BT61) and what follows from them."""

    number: int  # 0 is the first; people call it 1
    blocks: int
    intervals: int  # of a block
    channels: int
    duration: timedelta  # of an interval
    control: Part  # its place in BT62

    @property
    def name(self) -> str:
        """The table with its data."""
        return f"BT{64 + self.number}"

    @property
    def status(self) -> Part:
        """Its place in BT63."""
        return Part("BT63", 63, STATUS * self.number, STATUS)

    @property
    def header_size(self) -> int:
        """Bytes of a block before its first interval: the end time and one bit for each interval."""
        return 5 + (self.intervals + 7) // 8

    @property
    def interval_size(self) -> int:
        """Bytes of an interval: the extended status, four bits for all and for each channel, then the values."""
        return self.channels // 2 + 1 + 4 * self.channels

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return self.header_size + self.intervals * self.interval_size

    def block_part(self, head: Head, age: int) -> Part:
        """A whole block: 0 is the newest, usually not yet complete, 1 the one before."""
        return Part(self.name, 64 + self.number, (head.newest - age) % self.blocks * self.block_size, self.block_size)

    def header_part(self, head: Head, age: int) -> Part:
        """The header of a block."""
        return self.block_part(head, age)._replace(size=self.header_size)

    def intervals_part(self, head: Head, age: int, first: int, count: int) -> Part:
        """Some intervals of a block."""
        block = self.block_part(head, age)
        offset = block.offset + self.header_size + first * self.interval_size
        return block._replace(offset=offset, size=count * self.interval_size)


@dataclass(frozen=True, slots=True)
class Channel:
    """What a channel logs. One whose meaning is not in the catalogue has no kind and gives plain numbers."""

    source: int
    extended: int | None  # ET66's word for a mapped source
    key: str  # a field's key, or "source_N"
    name: str
    kind: Kind | None
    factor: int = 1

    def value(self, raw: int) -> Number:
        """Convert to the unit of the kind."""
        divisor = self.kind.divisor if self.kind else 1
        return raw * self.factor if divisor == 1 else raw * self.factor / divisor

    @property
    def counts(self) -> bool:
        """Whether it is a register that counts up, so that differences mean something."""
        return self.kind is not None and self.kind.state_class == "total_increasing"


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval: its channels' raw values at its end; None where the status says that there is none."""

    end: datetime  # UTC
    flags: tuple[str, ...]  # of FLAGS, or ESTIMATED
    raw: tuple[int | None, ...]
    codes: tuple[int, ...]
    follows: bool = True  # False: nobody knows how long after the interval before

    def values(self, channels: Sequence[Channel]) -> tuple[Number | None, ...]:
        """In the channels' units."""
        pairs = zip(channels, self.raw, strict=True)
        return tuple(None if raw is None else channel.value(raw) for channel, raw in pairs)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The channels' statuses in words; "" where there is nothing to say."""
        return tuple(CODES.get(code, f"code_{code}") if code else "" for code in self.codes)


@dataclass(frozen=True, slots=True)
class Block:
    """The header of a block: which of its intervals are there, and when they ended."""

    age: int
    end: datetime  # of the newest interval
    processed: tuple[int, ...]
    duration: timedelta
    estimated: bool = False  # the end is what its place in the ring says, not the meter's stamp

    def ends(self, index: int) -> datetime:
        """When an interval ended."""
        return self.end - (self.processed[-1] - index) * self.duration

    @property
    def start(self) -> datetime:
        """When the first interval that is there began."""
        return self.ends(self.processed[0]) - self.duration if self.processed else self.end


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block as the meter stamped it; None where the stamp is no date."""

    stamp: datetime | None
    processed: tuple[int, ...]

    def is_sound(self, newer: datetime) -> bool:
        """Whether the stamp can be true of a block whose newer neighbour began then."""
        return self.stamp is not None and max(EARLIEST, newer - LONGEST_OUTAGE) <= self.stamp <= newer


def decode_sets(data: bytes, byteorder: ByteOrder) -> tuple[ProfileSet, ...]:
    """BT61: the sets in use."""
    data = BT61.whole(data)
    sets: list[ProfileSet] = []
    control = 0
    for number in range(SETS):
        at = 7 + 6 * number
        blocks, intervals = (int.from_bytes(data[start : start + 2], byteorder) for start in (at, at + 2))
        channels, code = data[at + 4], data[at + 5]
        if blocks and intervals and channels:
            part = Part("BT62", 62, control, 3 * channels + 1)
            profile = ProfileSet(number, blocks, intervals, channels, _duration(code), part)
            if channels > MOST_CHANNELS or blocks * profile.block_size > LONGEST_OFFSET:
                raise nonsense("BT61", f"{channels} channels, {blocks} blocks of {profile.block_size} bytes")
            sets.append(profile)
        control += 3 * channels + 1
    options = int.from_bytes(data[4:6], byteorder)
    if sets and (options & OPTIONS_MASK != OPTIONS or not data[6] & INT32):
        raise nonsense("BT61", f"options 0x{options:04x} and formats 0x{data[6]:02x}, which the guides do not describe")
    return tuple(sets)


def _duration(code: int) -> timedelta:
    """1 to 60 minutes, or 24 hours; that the codes between count hours as well is inferred from the latter."""
    if not 1 <= code <= DAY:
        raise nonsense("BT61", f"intervals of length {code}")
    return timedelta(minutes=code) if code <= 60 else timedelta(hours=code - 60)


def decode_sources(data: bytes, profile: ProfileSet) -> tuple[int, ...]:
    """BT62: the source id of each channel of a set."""
    data = profile.control.whole(data)
    if data[-1] != INT32:
        raise nonsense("BT62", f"values of format {data[-1]}")
    return tuple(data[1:-1:3])


def decode_mapped_sources(data: bytes, byteorder: ByteOrder) -> Mapping[int, int]:
    """ET66: the extended ids behind the source ids 112 to 163."""
    data = ET66.whole(data)
    return {source: int.from_bytes(data[2 * at : 2 * at + 2], byteorder) for at, source in enumerate(MAPPED)}


def decode_status(data: bytes, profile: ProfileSet, byteorder: ByteOrder) -> Head:
    """BT63: where a set's newest block is."""
    data = profile.status.whole(data)
    return decode_head(data, byteorder, "BT63", profile.blocks, wide=True)


def decode_block(data: bytes, profile: ProfileSet) -> BlockHeader:
    """Decode the header of a block; intervals without their bit may hold anything and are not there."""
    bits = int.from_bytes(data[5 : profile.header_size], "little")
    processed = tuple(index for index in range(profile.intervals) if bits >> index & 1)
    return BlockHeader(decode_utc(data[:5]), processed)


def decode_interval(data: bytes, end: datetime, profile: ProfileSet, byteorder: ByteOrder) -> Interval:
    """Decode one interval. The nibbles of the extended status come high one first: all channels', then each one's."""
    statuses = profile.channels // 2 + 1
    common, *codes = list(chain.from_iterable((byte >> 4, byte & 15) for byte in data[:statuses]))
    codes = codes[: profile.channels]
    raw = (
        int.from_bytes(data[at : at + 4], byteorder, signed=True)
        for at in range(statuses, statuses + 4 * profile.channels, 4)
    )
    return Interval(
        end=end,
        flags=tuple(flag for bit, flag in enumerate(FLAGS) if common >> bit & 1),
        raw=tuple(None if code in NO_READING else value for code, value in zip(codes, raw, strict=True)),
        codes=tuple(codes),
    )


def consumption(
    earlier: Interval, later: Interval, channels: Sequence[Channel], duration: timedelta
) -> tuple[Number | None, ...]:
    """What each register counted in the ``later`` of two neighbours; None where that cannot be told.

    A register that has fallen has wrapped or was exchanged: no difference is made up for it.
    """
    if not later.follows or later.end - earlier.end != duration:
        return (None,) * len(channels)
    used: list[Number | None] = []
    for number, channel in enumerate(channels):
        before, after = earlier.raw[number], later.raw[number]
        sound = {earlier.codes[number], later.codes[number]} <= CONTINUOUS
        rises = before is not None and after is not None and 0 <= before <= after
        used.append(channel.value((after or 0) - (before or 0)) if channel.counts and sound and rises else None)
    return tuple(used)


# What the channels mean


def decode_channels(
    sources: Sequence[int],
    firmware: Firmware,
    installation: Installation,
    mapped: Mapping[int, int] | None = None,
) -> tuple[Channel, ...]:
    """Say what each source is. Keys are unique: where two channels were the same field, the second keeps its number."""
    known = _known_sources(firmware, installation)
    channels: list[Channel] = []
    for source in sources:
        extended = (mapped or {}).get(source) or None
        meant = known.get(extended or source)
        if meant is None or meant.key in {channel.key for channel in channels}:
            channels.append(Channel(source, extended, f"source_{source}", _plain_name(source, extended), None))
        else:
            channels.append(replace(meant, source=source, extended=extended))
    return tuple(channels)


def _plain_name(source: int, extended: int | None) -> str:
    if extended is not None and extended >> 12 == SUB_METER:
        return f"M-Bus device {(extended >> 8 & 15) + 1}, data {extended & 31}"
    return f"Source {source}"


def _known_sources(firmware: Firmware, installation: Installation) -> dict[int, Channel]:
    """The channels that are fields; an extended id below 256 is such a source again."""
    ratios = installation.ratios
    unit = installation.energy_unit if ratios else 1
    known: dict[int, Channel] = {}

    def add(source: int | None, field: Field, factor: int = 1) -> None:
        if source is not None and factor:
            known[source] = Channel(source, None, field.key, field.name, field.kind, factor)

    for row in SUMMATIONS:
        add(row.source, row.field, register_factor(row, unit, firmware))
    for tier in TIER_FIELDS:
        if tier.tier < TIERS_WITH_SOURCES:
            add(TIER_SOURCES + SOURCES_PER_TIER * tier.tier + tier.summation, tier.field, unit)
    for row in PRESENT_VALUES:
        # Behind transformers a field is the primary side here as everywhere; the other side goes by its number.
        if published_number(row, ratios) == row.number:
            add(row.source, row.field)
        if row.primary:
            add(row.primary.source, row.field)
    return known


# Reading


class ProfileReading(PendingQuery[None]):
    """Reads the intervals of one set that ended after ``since`` and not after ``until``, both aware; the oldest first.

    Blocks stand in the order of the ring, whatever the meter's clock said: one that was stamped while the clock was
    wrong is placed by its neighbours, and its intervals are marked. ``now`` is the present time.

    ``intervals`` grows while it goes on, so that rows can be shown at once; ``done`` of ``total`` bytes are read, and
    ``total`` is 0 until it is known which blocks there are. Blocks that the meter replaced meanwhile are left out and
    counted in ``lost``. ``oldest`` is when the meter's memory begins, once that is known. To go on in another process,
    begin again with the last ``end`` as ``since``.
    """

    def __init__(
        self, profile: ProfileSet, byteorder: ByteOrder, since: datetime, until: datetime, *, now: datetime
    ) -> None:
        self.intervals: list[Interval] = []
        self.done = 0
        self.total = 0
        self.lost = 0
        self.oldest: datetime | None = None
        self._profile = profile
        self._byteorder: ByteOrder = byteorder
        self._since = since
        self._until = until
        self._now = now
        self._headers: dict[int, BlockHeader] = {}
        super().__init__(self._read())

    def _read(self) -> Query[None]:
        head = yield from self._status()
        blocks = [block for block in (yield from self._placed(head)) if self._wanted(block)]
        self.total = sum(len(self._wanted(block)) for block in blocks) * self._profile.interval_size
        beside_estimate = False
        for block in reversed(blocks):
            intervals = yield from self._intervals(head, block)
            replaced = self._newer(head, (yield from self._status())) + block.age >= self._profile.blocks
            if replaced:
                self.lost += 1
                continue
            if beside_estimate or block.estimated:
                intervals[0] = replace(intervals[0], follows=False)
            beside_estimate = block.estimated
            self.intervals += intervals

    def _placed(self, head: Head) -> Query[list[Block]]:
        """Say when each block ended, from the newest back to the first that ended before ``since``."""
        blocks: list[Block] = []
        newer = self._now + self._profile.duration
        behind = timedelta(0)  # by so much at the most: whole intervals from the end of the newest block to now
        for age in range(head.valid):
            header = yield from self._header(head, age)
            if not header.processed:
                continue
            fits = header.is_sound(newer)
            sound = fits and (yield from self._is_in_order(head, age, header))
            if not sound and behind and (fits or header.is_sound(newer + behind)):
                # Older blocks were stamped later, and before now there is room: the meter's clock is behind.
                blocks = [replace(each, end=each.end + behind, estimated=True) for each in blocks]
                newer, behind, sound = newer + behind, timedelta(0), not fits
            end = header.stamp if sound and header.stamp else self._last_end_before(newer)
            block = Block(age, end, header.processed, self._profile.duration, estimated=not sound)
            if not blocks and sound:
                behind = self._silence(block)
            elif not sound:
                behind = timedelta(0)
            newer = block.start
            blocks.append(block)
            if block.end <= self._since and not behind:
                break
        self.oldest = yield from self._begin(head, blocks[-1] if blocks else None, newer)
        return blocks

    def _begin(self, head: Head, last: Block | None, newer: datetime) -> Query[datetime | None]:
        """When the first interval of the oldest block began; None if nobody knows."""
        if not head.valid:
            return None
        if last and last.age == head.valid - 1:
            return None if last.estimated else last.start
        oldest = yield from self._header(head, head.valid - 1)
        if oldest.stamp is None or not oldest.is_sound(newer):
            return None
        return Block(head.valid - 1, oldest.stamp, oldest.processed, self._profile.duration).start

    def _silence(self, newest: Block) -> timedelta:
        """How long ago the newest block ended, in whole intervals: none, but after an outage or by a slow clock."""
        since = max(self._now - WRITTEN_AFTER - newest.end, timedelta(0))
        return since - since % self._profile.duration

    def _last_end_before(self, newer: datetime) -> datetime:
        """When an interval that ended before a newer block can have ended at the latest."""
        latest = min(newer, self._now)
        return latest - (latest - EARLIEST) % self._profile.duration

    def _is_in_order(self, head: Head, age: int, header: BlockHeader) -> Query[bool]:
        """Whether most of the older blocks that are looked at were stamped earlier: a clock that was lost stands out.

        Not the neighbour alone: where the clock was set back, it is the neighbour that stands out.
        """
        last = head.valid - 1
        agree = []
        for other in sorted({last, max(last - 1, age + 1), (age + last + 1) // 2} & set(range(age + 1, head.valid))):
            older = yield from self._header(head, other)
            if older.is_sound(self._now + self._profile.duration) and older.stamp and header.stamp:
                agree.append(older.stamp <= header.stamp)
        return 2 * sum(agree) >= len(agree)

    def _status(self) -> Query[Head]:
        data = yield from ask(self._profile.status)
        return decode_status(data, self._profile, self._byteorder)

    def _newer(self, before: Head, after: Head) -> int:
        """How many blocks were begun since."""
        begun = after.sequence - before.sequence
        if begun < 0 or (after.newest - before.newest - begun) % self._profile.blocks:
            raise nonsense(self._profile.name, "the load profile was set up anew while it was read")
        return begun

    def _header(self, head: Head, age: int) -> Query[BlockHeader]:
        if age not in self._headers:
            data = yield from ask(self._profile.header_part(head, age))
            self._headers[age] = decode_block(data, self._profile)
        return self._headers[age]

    def _wanted(self, block: Block) -> list[int]:
        return [index for index in block.processed if self._since < block.ends(index) <= self._until]

    def _intervals(self, head: Head, block: Block) -> Query[list[Interval]]:
        """Read the wanted intervals of one block, neighbours together."""
        size, most = self._profile.interval_size, max(1, STEP // self._profile.interval_size)
        intervals: list[Interval] = []
        wanted = self._wanted(block)
        while wanted:
            run = 1
            while run < min(most, len(wanted)) and wanted[run] == wanted[0] + run:
                run += 1
            data = yield from ask(self._profile.intervals_part(head, block.age, wanted[0], run))
            found = (
                decode_interval(data[at * size :][:size], block.ends(index), self._profile, self._byteorder)
                for at, index in enumerate(wanted[:run])
            )
            intervals += (replace(each, flags=(*each.flags, ESTIMATED)) if block.estimated else each for each in found)
            self.done += len(data)
            wanted = wanted[run:]
        return intervals
