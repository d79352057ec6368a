"""The meters that can be simulated: what each generation's tables look like, as data.

Every number is from the guides (OPG, MEPG) or from captures of real meters; what the guides leave open is a field
here, so that a test can take the other reading by overriding it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesgw.simulator import sub_meters
from nesgw.simulator.services import Code
from nesgw.simulator.sub_meters import SubMeter

DEFAULT_KEY: Final = b"a7941d85bce8a8fa2ab7"

# Source ids of the 84 present values in BT28's fixed order (BT27).
PRESENT_SOURCES: Final = (
    *(8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25),
    *(81, 82, 83, 84),
    *(104, 105, 106, 107),
    *range(185, 200),
    *range(202, 245),
)
# Source ids of the summations in BT23's fixed order (BT22); 245-248 stand in for apparent energy, which has none.
SUMMATION_SOURCES: Final = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 108, 109, 110, 111, 245, 246, 247, 248)


@dataclass(frozen=True, slots=True)
class Dimensions:
    """BT20 or BT21, byte for byte."""

    flags0: int
    flags1: int
    self_reads: int
    summations: int
    demands: int
    coincidents: int
    occurrences: int
    tiers: int
    present_demands: int
    present_values: int

    def image(self) -> bytes:
        """The ten bytes."""
        return bytes(
            (
                self.flags0,
                self.flags1,
                self.self_reads,
                self.summations,
                self.demands,
                self.coincidents,
                self.occurrences,
                self.tiers,
                self.present_demands,
                self.present_values,
            )
        )


def dimensions(text: str) -> Dimensions:
    """Dimensions out of the ten bytes as a dump shows them."""
    return Dimensions(*bytes.fromhex(text))


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand of BT23: its source, and the maximum that it has seen (year since 2000 … minute)."""

    source: int
    time: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    cumulative: int = 0
    maximum: int = 0


@dataclass(frozen=True, slots=True)
class Coincident:
    """A coincident of BT23: source, the demand it belongs to, its value."""

    source: int
    demand: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class LoadSet:
    """A data set of the load profile."""

    channels: tuple[int, ...]  # source ids
    blocks: int
    intervals: int  # in a block
    interval: int  # BT61's code: minutes up to 60; 61 to 83: so many hours beyond 60; 84: a day
    marks: tuple[tuple[int, int, str], ...] = ()  # (blocks back from the start, interval, extended status in hex)

    @property
    def step(self) -> int:
        """An interval in milliseconds."""
        return 60_000 * (self.interval if self.interval <= 60 else (self.interval - 60) * 60)


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of meter."""

    name: str
    describes: str
    firmware: tuple[int, int, int]
    model: str
    maxima: Dimensions  # BT20
    actual: Dimensions  # BT21, or what the meter does where it has no BT21
    manufacturer: str = "ELON"
    serial: str = "4080123456"
    maker_serial: str = "0000000012345678"

    # Registers at the start, by BT23 number.
    registers: tuple[tuple[int, int], ...] = (
        *((0, 12_345_678), (1, 201), (2, 4_056_900), (3, 20_491_900), (4, 3600), (5, 4)),
    )
    net_offset: int = 2355  # register 7 falls short of 0 − 1 by so much
    reset_count: int = 0
    demands: tuple[Demand, ...] = ()
    coincidents: tuple[Coincident, ...] = ()
    present_demand_sources: tuple[int, ...] = ()
    quadrant_powers: bool = True  # values 22-25 of BT28, also without demand (three real meters had them)
    tier_hours: tuple[int, ...] = (0,) * 24  # which tier counts, by local hour
    tier_shares: tuple[int, ...] = ()  # per cent of each register that tiers 1, 2 … hold at the start; tier 0 the rest
    register_digits: int = 9  # registers wrap at ten to this
    outage_in_minutes: bool = False

    phases: int = 3
    solar: int = 0
    scale: int = 1
    refresh: float = 1.0  # registers change at most so often; 0.5 at the least
    ct_ratio: int = 1
    vt_ratio: int = 1
    ratios_applied: bool = True  # BT15.8.0
    energy_unit: int = 1

    version: int = 1  # of the dimensions (ET04)
    has_actual: bool = True  # BT21, BT71
    has_sources: bool = True  # BT22, BT27
    alarm_bytes: int = 9
    event_entries: int = 100
    event_sequence: int = 0  # the sequence number before the first entry
    alternate_entries: int = 0  # of ET79 (3.70 and later); 0: no alternate log
    alternate_events: tuple[int, ...] = (0x80A, 0x80B)  # what it takes: logons, wrong keys
    outage_entries: int = 20  # of ET81 (3.70 and later); 0: not configured
    reading_entries: int = 24  # of ET45
    logon_leaves_entry: bool = False
    clock_error: float = 0.0  # seconds ahead at the start
    clock_drift: float = 0.0  # seconds gained in a day
    season_reset_byte: bool = True  # BT24 begins its registers with the demand reset byte, as BT25 does

    # The load profile: sources of the channels of the first data set, kept in blocks of a day (UTC).
    load_channels: tuple[int, ...] = (0, 1, 2, 3)
    load_blocks: int = 30
    load_minutes: int = 15
    load_marks: tuple[tuple[int, int, str], ...] = ()  # (days back, interval, extended status in hex)
    further_sets: tuple[LoadSet, ...] = ()  # up to three more (3.50 and later)
    mapped_sources: tuple[int, ...] = ()  # extended source ids of 112, 113 …: 0x4000 + 256 × device + record
    data_records: tuple[tuple[int, str], ...] = ()  # ET57: number of a record and its header in hex

    # Sub-meters at the M-Bus indexes 0 to 3; None: nobody there.
    sub_meters: tuple[SubMeter | None, ...] = ()
    mep_client: bool = False  # a client on the MEP port, at index 4

    key_opens_all: bool = True  # False: a key of the read-only kind, to which ET13, ET21, ET51 and BT04 answer isc
    locked_tables: tuple[int, ...] = ()  # locked at the factory: isc to every key

    # The link and the session.
    identify: tuple[int, ...] = (0, 1, 0, 0)  # standard, version, revision, end of features
    packet_size_limit: int = 64
    packets_limit: int = 2
    bauds: tuple[int, ...] = (9600,)
    baud: int = 9600
    negotiable: bool = True
    wrong_key_code: Code = Code.ERR
    logon_refused: Code = Code.OK  # another code refuses every logon, as a meter that wants TLS may
    wait_until_next: bool = True  # Wait lasts until the next packet; False: for the rest of the session
    toggle: bool = False  # the first answer's toggle bit
    turn_around: float = 0.000_175
    answer_delay: float = 0.016
    inter_character: float = 0.5
    response: float = 2.0
    channel_traffic: float = 6.0

    # Sharing the line with the MEP port (generations 2 and 3).
    mep_first_packet: str = "off"  # off | nak | swallow: what becomes of the packet that switches the line over
    mep_idle: float = 10.0  # the MEP port takes the line back after so long
    mep_chatter: float = 0.0  # seconds between bursts on the line while the MEP port has it; 0: silent
    mep_burst: int = 0  # bytes seen before the first mark of a session
    session_limit: float = 0.0  # 0: none
    hold_off: float = 300.0

    # Lock-out after wrong keys (4.30 and later); 0 minutes: none.
    failures_allowed: int = 0
    lockout_minutes: int = 0
    lockout_deaf: bool = False  # False: every key is refused meanwhile; True: nothing is answered

    @property
    def generation_4(self) -> bool:
        """Whether the firmware is 4.0 or later."""
        return self.firmware >= (4, 0, 0)

    def since(self, major: int, minor: int) -> bool:
        """Whether the firmware is at least that."""
        return self.firmware[:2] >= (major, minor)

    @property
    def load_sets(self) -> tuple[LoadSet, ...]:
        """The data sets of the load profile; a block of the first is a day."""
        if not self.load_channels:
            return ()
        intervals = 24 * 60 // self.load_minutes
        first = LoadSet(self.load_channels, self.load_blocks, intervals, self.load_minutes, self.load_marks)
        return (first, *self.further_sets)

    @property
    def present_numbers(self) -> tuple[int, ...]:
        """The numbers (BT28's fixed order) of the values this meter shows, in its order."""
        count = self.actual.present_values
        if self.quadrant_powers:
            return tuple(range(count))
        return tuple(number for number in range(count + 4) if not 22 <= number <= 25)[:count]


_DK = ((0, 115_921_469), (1, 201), (2, 4_056_958), (3, 20_491_954), (4, 23_315_499), (5, 10))

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile(
            "83331-3i",
            "Echelon 83331-3I, firmware 3.84.06: three phases, no demand, four tiers (a common Danish meter)",
            firmware=(3, 84, 6),
            model="83331-3I",
            maxima=dimensions("3f 0e fd 0f 08 10 01 04 08 37"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 37"),
            registers=_DK,
        ),
        Profile(
            "83331-3i-mep",
            "the same meter with an MEP client on the optical line: first packet lost, sessions of 600 s at most",
            firmware=(3, 84, 6),
            model="83331-3I",
            serial="4080123457",
            maxima=dimensions("3f 0e fd 0f 08 10 01 04 08 37"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 37"),
            registers=_DK,
            mep_first_packet="nak",
            mep_client=True,
            mep_burst=5,
            session_limit=600.0,
        ),
        Profile(
            "83331-3i-solar",
            "the same meter under a solar roof, two tariff tiers in use, three sub-meters",
            firmware=(3, 84, 6),
            model="83331-3I",
            serial="4080123458",
            maxima=dimensions("3f 0e fd 0f 08 10 01 04 08 37"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 37"),
            registers=((0, 21_334_180), (1, 9_007_583), (2, 1_740_002), (3, 6_022_111), (4, 3600), (5, 4)),
            tier_hours=(1,) * 6 + (0,) * 16 + (1,) * 2,
            tier_shares=(38,),
            solar=5200,
            wrong_key_code=Code.ISC,
            sub_meters=(sub_meters.HEAT, sub_meters.WATER, sub_meters.ENCRYPTED_GAS),
        ),
        Profile(
            "single-phase",
            "firmware 3.84, one phase, maxima of eight tiers",
            firmware=(3, 84, 6),
            model="83332-1I",
            serial="4080200001",
            maxima=dimensions("3f 0e fd 0f 08 10 01 08 08 37"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 37"),
            phases=1,
        ),
        Profile(
            "ct",
            "firmware 3.84 behind current transformers 200:5, energy in steps of 10 Wh",
            firmware=(3, 84, 6),
            model="83334-3I",
            serial="4080300001",
            maxima=dimensions("3f 0e fd 0f 08 10 01 08 08 37"),
            actual=dimensions("03 0c 0c 0b 00 00 00 08 00 37"),
            registers=((0, 51_234_567), (1, 201), (2, 1_040_569), (3, 38_204_919), (4, 3600), (5, 4)),
            scale=40,
            ct_ratio=40,
            energy_unit=10,
            wrong_key_code=Code.ISC,
        ),
        Profile(
            "gen2-2.01",
            "firmware 2.01: no BT21, 18 values, 15 summations, outages in minutes",
            firmware=(2, 1, 12),
            model="83021-3I",
            serial="2040100001",
            maxima=dimensions("03 0e 0c 0f 08 10 01 04 08 12"),
            actual=dimensions("03 0c 0c 0f 00 00 00 04 00 12"),
            has_actual=False,
            has_sources=False,
            alarm_bytes=4,
            outage_in_minutes=True,
            negotiable=False,
            mep_first_packet="nak",
        ),
        Profile(
            "gen2-2.10",
            "firmware 2.10: no BT21, 18 values; 11 summations though BT20, the maxima, says 15",
            firmware=(2, 10, 4),
            model="83021-3I",
            serial="2100100001",
            maxima=dimensions("03 0e 18 0f 08 10 01 04 08 12"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 12"),
            has_actual=False,
            has_sources=False,
            alarm_bytes=4,
        ),
        Profile(
            "gen3-2.12",
            "firmware 2.12: BT21 but neither BT22 nor BT27, 22 values",
            firmware=(2, 12, 3),
            model="83031-3I",
            serial="3060100001",
            maxima=dimensions("03 0e 18 0f 08 10 01 04 08 16"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 16"),
            has_sources=False,
            alarm_bytes=4,
            mep_first_packet="swallow",
        ),
        Profile(
            "gen3-3.01",
            "firmware 3.01: BT21 but neither BT22 nor BT27, 22 values",
            firmware=(3, 1, 5),
            model="83331-3I",
            serial="3080100001",
            maxima=dimensions("03 0e d6 0f 08 10 01 04 08 16"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 16"),
            has_sources=False,
            alarm_bytes=4,
        ),
        Profile(
            "gen3-3.10-demand",
            "firmware 3.10 with demand as in the guide's dump: reset byte, eight demands, 26 values",
            firmware=(3, 10, 21),
            model="83331-3I",
            serial="3080200001",
            maxima=dimensions("3f 0e fd 0f 08 10 01 04 08 1a"),
            actual=dimensions("3f 0e 0c 0f 08 00 01 04 08 1a"),
            reset_count=7,
            demands=tuple(
                Demand(source, (26, 11, 3 + number, 18, 15), 5200, 4600 if source == 8 else 310)
                for number, source in enumerate((8, 9, 10, 11, 20, 81, 82, 104))
            ),
            present_demand_sources=(88, 89, 90, 91, 92, 93, 94, 95),
            mep_first_packet="nak",
        ),
        Profile(
            "gen3-3.50",
            "firmware 3.50: 41 values, no demand",
            firmware=(3, 50, 2),
            model="83331-3I",
            serial="3080300001",
            maxima=dimensions("3f 0e fd 0f 08 10 01 04 08 29"),
            actual=dimensions("03 0c 0c 0b 00 00 00 04 00 29"),
        ),
        Profile(
            "gen4-4.30",
            "firmware 4.30: 84 values, 19 summations, eight tiers, demand, four load profile sets, three sub-meters",
            firmware=(4, 30, 1),
            model="84031-3I",
            manufacturer="NES",
            serial="5120100001",
            maxima=dimensions("7f 0e fd 13 08 10 01 08 08 54"),
            actual=dimensions("77 0e 0c 13 02 04 01 08 02 54"),
            registers=(
                *((0, 21_234_567), (1, 3_008_901), (2, 1_523_456), (3, 6_007_890), (4, 3600), (5, 4)),
                *((11, 1_020_000), (12, 503_456), (13, 2_001_111), (14, 4_006_779)),
                *((15, 19_300_000), (16, 1_009_000), (17, 3_100_000), (18, 4_200_000)),
            ),
            net_offset=0,
            reset_count=7,
            demands=(
                Demand(8, (26, 11, 3, 18, 15), 5200, 4600),
                Demand(9, (26, 11, 9, 12, 30), 310, 310),
            ),
            coincidents=(
                Coincident(12, 0, 21_000),
                Coincident(15, 0, 229_500),
                Coincident(12, 1, 1_400),
                Coincident(15, 1, 233_100),
            ),
            present_demand_sources=(88, 89),
            tier_hours=(0,) * 6 + (1,) * 16 + (0,) * 2,
            tier_shares=(64,),
            solar=3000,
            alternate_entries=50,
            further_sets=(
                LoadSet((15, 16, 17, 8, 9), blocks=14, intervals=24, interval=60),  # voltages and powers, hourly
                LoadSet((0, 1, 112, 113), blocks=12, intervals=31, interval=84),  # daily, with gas and heat
                LoadSet((29, 40), blocks=4, intervals=96, interval=30),  # the tiers, two days a block
            ),
            mapped_sources=(0x4301, 0x4002),
            data_records=((1, "0c 14 00"), (2, "0c 06 00")),
            sub_meters=(sub_meters.HEAT_IN_TWO, sub_meters.FIXED_WATER, None, sub_meters.GAS),
            refresh=0.5,
            packet_size_limit=512,
            packets_limit=4,
            failures_allowed=3,
        ),
    )
}
