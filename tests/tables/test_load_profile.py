"""BT61 to BT67 and ET66: what the registers were at the end of every interval."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved, ProtocolMisuse
from nesgw.tables.identity import ByteOrder
from nesgw.tables.installation import Installation, Ratios
from nesgw.tables.load_profile import (
    BT61,
    ESTIMATED,
    ET66,
    Block,
    Channel,
    Interval,
    ProfileReading,
    ProfileSet,
    consumption,
    decode_block,
    decode_channels,
    decode_interval,
    decode_mapped_sources,
    decode_sets,
    decode_sources,
    decode_status,
)
from nesgw.tables.queues import Head
from nesgw.tables.register import Part
from nesgw.values import Firmware

QUARTER = timedelta(minutes=15)
# The guides' example: 30 blocks, 96 intervals, 4 channels, 15 minutes; extended and simple status, INT32.
GUIDE_BT61 = bytes.fromhex("00 d8 00 00  00 0c  20  1e 00 60 00 04 0f") + bytes(18)
GUIDE = ProfileSet(0, 30, 96, 4, QUARTER, Part("BT62", 62, 0, 13))
HOUSE = Installation()


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


class TestSets:
    def test_the_guides_example(self) -> None:
        assert BT61 == ("BT61", 61, 0, 31)
        assert decode_sets(GUIDE_BT61, "little") == (GUIDE,)

    @pytest.mark.parametrize(
        ("channels", "intervals", "header", "interval", "block"),
        [(4, 96, 17, 19, 1841), (1, 24, 8, 5, 128), (16, 1440, 185, 73, 105305)],
    )
    def test_the_sizes_of_header_interval_and_block(
        self, channels: int, intervals: int, header: int, interval: int, block: int
    ) -> None:
        profile = ProfileSet(0, 30, intervals, channels, QUARTER, GUIDE.control)
        assert (profile.header_size, profile.interval_size, profile.block_size) == (header, interval, block)

    def test_further_sets_are_further_tables(self) -> None:
        second = bytes.fromhex("0a 00 18 00 01 3c")
        first, third = decode_sets(GUIDE_BT61[:13] + bytes(6) + second + bytes(6), "little")
        assert (first.number, third.number) == (0, 2)
        assert (third.name, third.blocks, third.intervals, third.duration) == ("BT66", 10, 24, timedelta(hours=1))
        assert third.control == ("BT62", 62, 14, 4)  # behind the 13 bytes of set 1 and the one of the empty set 2
        assert third.status == ("BT63", 63, 26, 13)

    @pytest.mark.parametrize(
        ("code", "duration"),
        [(1, timedelta(minutes=1)), (60, timedelta(hours=1)), (62, timedelta(hours=2)), (84, timedelta(hours=24))],
    )
    def test_intervals_of_minutes_and_of_hours(self, code: int, duration: timedelta) -> None:
        data = GUIDE_BT61[:12] + bytes([code]) + GUIDE_BT61[13:]
        assert decode_sets(data, "little")[0].duration == duration

    @pytest.mark.parametrize("code", [0, 85, 255])
    def test_intervals_of_no_length_that_the_guides_know_are_refused(self, code: int) -> None:
        with pytest.raises(MeterMisbehaved, match=f"length {code}"):
            decode_sets(GUIDE_BT61[:12] + bytes([code]) + GUIDE_BT61[13:], "little")

    @pytest.mark.parametrize("options", ["10 0c 20", "40 0c 20", "00 04 20", "00 08 20", "00 0c 10"])
    def test_forms_that_the_guides_do_not_describe_are_refused(self, options: str) -> None:
        with pytest.raises(MeterMisbehaved, match="do not describe"):
            decode_sets(GUIDE_BT61[:4] + bytes.fromhex(options) + GUIDE_BT61[7:], "little")

    def test_more_channels_than_any_meter_has_are_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="17 channels"):
            decode_sets(GUIDE_BT61[:11] + b"\x11" + GUIDE_BT61[12:], "little")

    def test_a_meter_without_a_load_profile_has_no_sets(self) -> None:
        assert decode_sets(bytes(31), "little") == ()


class TestSources:
    def test_the_middle_byte_of_each_channel_is_its_source(self) -> None:
        data = bytes.fromhex("00 00 00  00 01 00  00 1d 00  00 70 00  20")
        assert decode_sources(data, GUIDE) == (0, 1, 29, 112)

    def test_another_format_is_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="format 8"):
            decode_sources(bytes(12) + b"\x08", GUIDE)

    def test_et66_tells_what_is_behind_a_mapped_source(self) -> None:
        assert ET66 == ("ET66", 2114, 0, 104)
        mapped = decode_mapped_sources(bytes.fromhex("01 40 00 00 10 01").ljust(104, b"\0"), "little")
        assert (mapped[112], mapped[113], mapped[114], mapped[163]) == (0x4001, 0, 0x0110, 0)
        assert len(mapped) == 52


class TestChannels:
    def channel(
        self,
        source: int,
        installation: Installation = HOUSE,
        mapped: dict[int, int] | None = None,
        firmware: tuple[int, int] = (4, 30),
    ) -> Channel:
        return decode_channels([source], Firmware(*firmware), installation, mapped)[0]

    @pytest.mark.parametrize(
        ("source", "key", "raw", "value"),
        [
            (0, "energy_import", 1234, 1.234),
            (1, "energy_export", 1000, 1),
            (26, "pulse_input_1", 7, 7),
            (108, "reactive_energy_q1", 20_000, 20),
            (8, "power_import", 2710, 2710),
            (15, "voltage_l1", 225_319, 225.319),
            (19, "frequency", 50_012, 50.012),
            (29, "energy_import_t1", 500, 0.5),
            (30, "energy_export_t1", 500, 0.5),
            (40, "energy_import_t2", 500, 0.5),
            (62, "energy_import_t4", 500, 0.5),
            (63, "energy_export_t4", 500, 0.5),
            (81, "power_import", 2710, 2710),
            (236, "voltage_angle_l1_l2", 12_003, 120.03),
        ],
    )
    def test_a_source_of_the_catalogue_is_its_field(self, source: int, key: str, raw: int, value: float) -> None:
        channel = self.channel(source)
        assert (channel.key, channel.value(raw)) == (key, value)

    @pytest.mark.parametrize("source", [31, 73, 88, 96, 164, 201, 250])
    def test_others_go_by_their_number(self, source: int) -> None:
        channel = self.channel(source)
        assert (channel.key, channel.kind, channel.value(7)) == (f"source_{source}", None, 7)
        assert not channel.counts

    def test_registers_count_and_powers_do_not(self) -> None:
        assert self.channel(0).counts
        assert not self.channel(8).counts
        assert not self.channel(7).counts  # the net register does not only rise

    def test_behind_transformers_energies_count_in_the_meters_unit(self) -> None:
        installation = Installation(ratios=Ratios(40, 1, True), energy_unit=10)
        assert self.channel(0, installation).value(1234) == 12.34
        assert self.channel(29, installation).value(1234) == 12.34

    def test_behind_transformers_power_and_current_are_those_of_the_primary_side(self) -> None:
        installation = Installation(ratios=Ratios(40, 1, True))
        assert self.channel(81, installation).key == "power_import"
        assert self.channel(8, installation).key == "source_8"
        assert self.channel(197, installation).key == "current_l1"
        assert self.channel(12, installation).key == "source_12"
        assert self.channel(15, installation).key == "voltage_l1"

    def test_outages_are_in_minutes_on_2_0(self) -> None:
        assert self.channel(4, firmware=(2, 1)).value(3) == 180
        assert self.channel(4).value(3) == 3

    def test_a_field_that_comes_twice_keeps_its_number_the_second_time(self) -> None:
        keys = [channel.key for channel in decode_channels([8, 81], Firmware(3, 84), HOUSE)]
        assert keys == ["power_import", "source_81"]

    def test_a_mapped_source_may_be_another_source(self) -> None:
        channel = self.channel(113, mapped={113: 8})
        assert (channel.source, channel.extended, channel.key) == (113, 8, "power_import")

    def test_a_mapped_source_may_be_a_sub_meters(self) -> None:
        channel = self.channel(112, mapped={112: 0x4102})
        assert (channel.key, channel.extended) == ("source_112", 0x4102)
        assert channel.name == "M-Bus device 2, data 2"

    def test_a_mapping_of_zero_is_none(self) -> None:
        assert self.channel(112, mapped={112: 0}).key == "source_112"


class TestOneInterval:
    end = utc(20, 8, 30)

    def interval(self, status: str, *values: int, profile: ProfileSet = GUIDE) -> Interval:
        data = bytes.fromhex(status) + struct.pack(f"<{len(values)}i", *values)
        return decode_interval(data, self.end, profile, "little")

    def test_the_guides_example_of_a_power_failure_and_a_missing_device(self) -> None:
        interval = self.interval("20 0a 00", 100, -200, 300, 400)
        assert interval.flags == ("power_failure",)
        assert interval.codes == (0, 0, 10, 0)
        assert interval.raw == (100, -200, None, 400)
        assert interval.statuses == ("", "", "device_missing", "")

    def test_the_guides_example_of_a_clock_set_forward(self) -> None:
        interval = self.interval("50 12 30", 1, 2, 3, 4)
        assert interval.flags == ("daylight_saving", "clock_forward")
        assert interval.codes == (0, 1, 2, 3)
        assert interval.statuses == ("", "overflow", "partial", "long")

    def test_one_channel_has_its_status_in_the_low_half_of_the_only_byte(self) -> None:
        profile = ProfileSet(0, 30, 24, 1, QUARTER, GUIDE.control)
        interval = self.interval("8f", 5, profile=profile)
        assert (interval.flags, interval.codes, interval.raw) == (("clock_back",), (15,), (None,))

    def test_three_channels_fill_two_bytes(self) -> None:
        profile = ProfileSet(0, 30, 24, 3, QUARTER, GUIDE.control)
        assert self.interval("01 23", 5, 6, 7, profile=profile).codes == (1, 2, 3)

    @pytest.mark.parametrize("code", [4, 8, 10, 12, 15])
    def test_what_was_never_read_is_no_value(self, code: int) -> None:
        assert self.interval(f"0{code:x} 00 00", 1, 2, 3, 4).raw == (None, 2, 3, 4)

    def test_a_code_that_the_guides_do_not_describe_goes_by_its_number(self) -> None:
        assert self.interval("06 00 00", 1, 2, 3, 4).statuses[0] == "code_6"

    def test_values_are_converted_channel_by_channel(self) -> None:
        channels = decode_channels([0, 15, 88, 1], Firmware(4, 30), HOUSE)
        assert self.interval("00 0a 00", 1500, 230_000, 7, 8).values(channels) == (1.5, 230.0, None, 0.008)


class TestConsumption:
    channels = decode_channels([0, 8], Firmware(4, 30), HOUSE)

    def interval(self, end: datetime, energy: int | None, code: int = 0) -> Interval:
        return Interval(end, (), (energy, 500), (code, 0))

    def used(self, before: Interval, after: Interval) -> tuple[float | None, ...]:
        return consumption(before, after, self.channels, QUARTER)

    def test_it_is_the_difference_of_a_register_and_none_of_a_power(self) -> None:
        before, after = self.interval(utc(20, 8), 1_000_000), self.interval(utc(20, 8, 15), 1_000_321)
        assert self.used(before, after) == (0.321, None)

    def test_only_of_neighbours(self) -> None:
        before, after = self.interval(utc(20, 8), 1000), self.interval(utc(20, 8, 30), 1321)
        assert self.used(before, after) == (None, None)

    def test_a_register_that_fell_tells_nothing(self) -> None:
        before, after = self.interval(utc(20, 8), 999_999), self.interval(utc(20, 8, 15), 12)
        assert self.used(before, after) == (None, None)

    @pytest.mark.parametrize(("code", "counts"), [(0, True), (2, True), (3, True), (9, True), (1, False), (5, False),
                                                  (6, False), (11, False)])  # fmt: skip
    def test_only_where_both_statuses_allow_it(self, code: int, counts: bool) -> None:
        good, doubtful = self.interval(utc(20, 8), 1000), self.interval(utc(20, 8, 15), 1500, code)
        later = self.interval(utc(20, 8, 30), 1600)
        assert (self.used(good, doubtful)[0] is not None) is counts
        assert (self.used(doubtful, later)[0] is not None) is counts

    def test_not_of_a_value_that_is_missing(self) -> None:
        assert self.used(self.interval(utc(20, 8), None, 4), self.interval(utc(20, 8, 15), 5)) == (None, None)


class TestWhereThingsStand:
    head = Head(valid=30, newest=7, sequence=500)

    def test_the_newest_interval_of_the_guides_example(self) -> None:
        assert GUIDE.intervals_part(self.head, 0, 34, 1) == ("BT64", 64, 13_550, 19)

    def test_the_newest_complete_block_of_the_guides_example(self) -> None:
        assert GUIDE.block_part(self.head, 1) == ("BT64", 64, 11_046, 1841)

    def test_blocks_go_round_the_end_of_the_ring(self) -> None:
        assert GUIDE.header_part(self.head, 7) == ("BT64", 64, 0, 17)
        assert GUIDE.header_part(self.head, 8) == ("BT64", 64, 29 * 1841, 17)

    def test_the_status_of_a_set(self) -> None:
        #                       flags, 30 valid, index 7, number 500, unread, 35 intervals
        data = bytes.fromhex("24 1e 00 07 00 f4 01 00 00 63 00 23 00")
        assert decode_status(data, GUIDE, "little") == self.head

    def test_a_status_that_contradicts_the_dimensions_is_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="31 entries"):
            decode_status(bytes.fromhex("24 1f 00 07 00 f4 01 00 00 63 00 23 00"), GUIDE, "little")


class TestTheHeaderOfABlock:
    def test_a_complete_block_ends_with_its_last_interval(self) -> None:
        block = placed("1a 0b 14 00 00", b"\xff" * 12)
        assert block.ends(95) == utc(20)
        assert block.ends(0) == utc(19, 0, 15)
        assert block.start == utc(19)

    def test_a_block_that_still_fills_ends_with_its_newest_interval(self) -> None:
        block = placed("1a 0b 14 08 2d", bytes.fromhex("ff 07").ljust(12, b"\0"))
        assert block.processed == tuple(range(11))
        assert (block.ends(10), block.ends(0), block.start) == (utc(20, 8, 45), utc(20, 6, 15), utc(20, 6))

    def test_intervals_that_were_not_processed_are_not_there(self) -> None:
        block = placed("1a 0b 14 01 00", bytes.fromhex("09").ljust(12, b"\0"))
        assert block.processed == (0, 3)
        assert (block.ends(3), block.ends(0)) == (utc(20, 1), utc(20, 0, 15))

    def test_a_block_without_a_date_has_no_stamp(self) -> None:
        assert decode_block(bytes(17), GUIDE).stamp is None


def placed(stamp: str, bits: bytes) -> Block:
    """A block that ended when it says."""
    header = decode_block(bytes.fromhex(stamp) + bits, GUIDE)
    assert header.stamp is not None
    return Block(0, header.stamp, header.processed, GUIDE.duration)


class Profile:
    """A load profile of an imagined meter, written after the guides: one channel, four intervals of an hour a block.

    Block ``n`` covers four hours from ``n`` times four hours after the beginning of November; the value at the end
    of its interval ``i`` is 100 × (4n + i + 1).
    """

    channels, intervals, hour = 1, 4, timedelta(hours=1)
    begin = utc(1)

    def __init__(self, blocks: int, first: int, last: int, newest_intervals: int = 4) -> None:
        self.set = ProfileSet(0, blocks, self.intervals, self.channels, self.hour, Part("BT62", 62, 0, 4))
        self.image = bytearray(b"\xee" * (blocks * self.set.block_size))
        self.blocks = blocks
        self.valid = 0
        self.now = self.begin + (4 * last + newest_intervals) * self.hour
        for number in range(first, last):
            self.write(number)
        self.write(last, newest_intervals)

    def write(self, number: int, count: int = 4) -> None:
        end = self.begin + (4 * number + count) * self.hour
        data = bytes((end.year - 2000, end.month, end.day, end.hour, end.minute, (1 << count) - 1))
        data += b"".join(b"\0" + struct.pack("<i", 100 * (4 * number + at + 1)) for at in range(count))
        at = number % self.blocks * self.set.block_size
        self.image[at : at + len(data)] = data
        self.newest, self.sequence = number % self.blocks, number
        self.valid = min(self.valid + 1, self.blocks)

    def read(self, part: Part) -> bytes:
        if part.table == 63:
            return struct.pack("<BHHIHH", 0x24, self.valid, self.newest, self.sequence, 9, 0)
        assert part.table == 64
        return bytes(self.image[part.offset : part.offset + part.size])

    def history(
        self, since: datetime, until: datetime, during: Callable[..., Any] = lambda step: None
    ) -> tuple[ProfileReading, list[Part]]:
        reading = ProfileReading(self.set, "little", since, until, now=self.now)
        asked: list[Part] = []
        while part := reading.wanted:
            during(len(asked))
            asked.append(part)
            reading.answer(self.read(part))
        return reading, asked


def rows(reading: ProfileReading) -> list[tuple[datetime, int | None]]:
    return [(interval.end, interval.raw[0]) for interval in reading.intervals]


class TestReading:
    def test_all_that_is_there_the_oldest_first(self) -> None:
        reading, _ = Profile(5, 0, 2, newest_intervals=2).history(utc(1), utc(30))
        assert rows(reading) == [(utc(1, hour), 100 * hour) for hour in range(1, 11)]
        assert reading.done == reading.total == 10 * 5
        assert reading.result is None

    def test_the_first_end_is_left_out_and_the_last_is_in(self) -> None:
        reading, _ = Profile(5, 0, 2).history(utc(1, 3), utc(1, 6))
        assert rows(reading) == [(utc(1, 4), 400), (utc(1, 5), 500), (utc(1, 6), 600)]

    def test_nothing_but_the_wanted_blocks_is_read(self) -> None:
        profile = Profile(9, 0, 8)
        reading, asked = profile.history(utc(1, 4), utc(1, 8))
        assert rows(reading) == [(utc(1, hour), 100 * hour) for hour in (5, 6, 7, 8)]
        size = profile.set.block_size
        read = [part.offset // size for part in asked if part.table == 64 and part.size > 6]
        assert read == [1]

    def test_of_a_time_long_ago_each_header_is_looked_at_once(self) -> None:
        profile = Profile(64, 0, 63)
        reading, asked = profile.history(utc(1, 4), utc(1, 8))
        assert [raw for _, raw in rows(reading)] == [500, 600, 700, 800]
        assert len([part for part in asked if part.size == profile.set.header_size]) <= 64

    def test_of_the_last_hours_only_a_few_headers_are(self) -> None:
        profile = Profile(64, 0, 63)
        _, asked = profile.history(utc(11, 8), utc(11, 12))
        assert len(asked) < 12

    def test_round_the_end_of_the_ring(self) -> None:
        reading, _ = Profile(5, 0, 11).history(utc(1), utc(30))
        assert [raw for _, raw in rows(reading)] == [100 * hour for hour in range(29, 49)]

    def test_stale_intervals_are_not_read(self) -> None:
        reading, _ = Profile(2, 0, 2, newest_intervals=1).history(utc(1), utc(30))
        assert [raw for _, raw in rows(reading)] == [500, 600, 700, 800, 900]

    @pytest.mark.parametrize(("since", "until"), [(utc(20), utc(30)), (utc(1, 3), utc(1, 3)), (utc(1, 5), utc(1, 3))])
    def test_a_span_without_intervals_gives_none(self, since: datetime, until: datetime) -> None:
        assert rows(Profile(5, 0, 2).history(since, until)[0]) == []

    def test_an_empty_profile_gives_none(self) -> None:
        profile = Profile(5, 0, 0)
        profile.valid = 0
        reading, asked = profile.history(utc(1), utc(30))
        assert (rows(reading), len(asked)) == ([], 1)

    def test_no_step_is_longer_than_a_poll_can_wait(self) -> None:
        profile = ProfileSet(0, 2, 1440, 16, timedelta(minutes=1), Part("BT62", 62, 0, 49))
        reading = ProfileReading(profile, "little", utc(1), utc(2), now=utc(2))
        sizes: list[int] = []
        while (part := reading.wanted) and len(sizes) < 40:
            sizes.append(part.size)
            status = bytes.fromhex("24 01 00 00 00 01 00 00 00 00 00 a0 05")
            reading.answer(
                status if part.table == 63 else (bytes.fromhex("1a 0b 02 00 00") + b"\xff" * 600)[: part.size]
            )
        assert sizes[:3] == [13, 185, 7 * 73]
        assert max(sizes) <= 512
        assert reading.total == 1440 * 73
        assert reading.done == 38 * 7 * 73

    def test_it_goes_on_where_it_was_interrupted(self) -> None:
        profile = Profile(5, 0, 2)
        reading = ProfileReading(profile.set, "little", utc(1), utc(30), now=profile.now)
        for _ in range(6):
            reading.answer(profile.read(reading.wanted))
        assert 0 < reading.done < reading.total
        rest = reading.intervals[-1].end
        again, _ = profile.history(rest, utc(30))
        assert [raw for _, raw in rows(reading) + rows(again)] == [100 * hour for hour in range(1, 13)]

    def test_its_result_is_not_asked_for_before_its_end(self) -> None:
        reading = ProfileReading(GUIDE, "little", utc(1), utc(2), now=utc(2))
        with pytest.raises(ProtocolMisuse):
            _ = reading.result

    def test_nothing_is_answered_after_its_end(self) -> None:
        reading, _ = Profile(5, 0, 2).history(utc(1), utc(30))
        with pytest.raises(ProtocolMisuse):
            reading.answer(b"")


def stamped(profile: Profile, number: int, stamp: str) -> None:
    """Have a block say that it ended then: five bytes of a date, as a wrong clock wrote them."""
    at = number % profile.blocks * profile.set.block_size
    profile.image[at : at + 5] = bytes.fromhex(stamp)


class TestAClockThatWasWrong:
    """Seven blocks of four hours from 1 November on; no row is lost, and what was placed by the ring is marked."""

    everything = tuple(100 * hour for hour in range(1, 29))

    def history(self, profile: Profile, since: datetime | None = None, until: datetime | None = None) -> ProfileReading:
        return profile.history(since or utc(1), until or utc(2, 4))[0]

    def marked(self, reading: ProfileReading) -> tuple[int | None, ...]:
        return tuple(interval.raw[0] for interval in reading.intervals if ESTIMATED in interval.flags)

    @pytest.mark.parametrize(
        "lost", ["00 01 01 05 00", "00 00 00 00 00", "ff ff ff ff ff", "24 01 01 05 00", "1a 01 05 05 00"]
    )
    @pytest.mark.parametrize("block", range(1, 7))
    def test_for_one_block_loses_no_row(self, block: int, lost: str) -> None:
        profile = Profile(9, 0, 6)
        stamped(profile, block, lost)
        reading = self.history(profile)
        assert rows(reading) == [(utc(1) + hour * timedelta(hours=1), 100 * hour) for hour in range(1, 29)]
        assert self.marked(reading) == self.everything[4 * block : 4 * block + 4]

    def test_for_several_blocks_in_a_row_loses_none_either(self) -> None:
        profile = Profile(9, 0, 6)
        for number, stamp in enumerate(["1a 01 05 05 00", "1a 01 05 09 00", "1a 01 05 0d 00"], 2):
            stamped(profile, number, stamp)
        reading = self.history(profile)
        assert tuple(raw for _, raw in rows(reading)) == self.everything
        assert self.marked(reading) == self.everything[8:20]

    def test_and_was_set_back_by_a_day(self) -> None:
        """Blocks 0 to 4 were stamped a day late; the meter was set right before block 5."""
        profile = Profile(9, 0, 6)
        for number, hour in enumerate((4, 8, 12, 16, 20)):
            stamped(profile, number, f"1a 0b 02 {hour:02x} 00")
        reading = self.history(profile)
        assert rows(reading) == [(utc(1) + hour * timedelta(hours=1), 100 * hour) for hour in range(1, 29)]
        assert self.marked(reading)[:20] == self.everything[:20]

    @pytest.mark.parametrize("since", [utc(1), utc(1, 20), utc(1, 23)])
    @pytest.mark.parametrize("hours", [1, 2, 12, 23])
    @pytest.mark.parametrize("first", [1, 5, 6])
    def test_and_is_behind_since_then(self, first: int, hours: int, since: datetime) -> None:
        """The clock was right up to block ``first`` and is behind now: it is the new rows that are marked."""
        profile = Profile(9, 0, 6)
        for number in range(first, 7):
            right = utc(1) + (4 * number + 4 - hours) * timedelta(hours=1)
            stamped(profile, number, bytes((26, 11, right.day, right.hour, 0)).hex())
        profile.now += timedelta(minutes=5)
        reading = self.history(profile, since)
        wanted = [hour for hour in range(1, 29) if utc(1) + timedelta(hours=hour) > since]
        assert tuple(raw for _, raw in rows(reading))[-len(wanted) :] == tuple(100 * hour for hour in wanted)
        if hours > 1:
            assert rows(reading) == [(utc(1) + hour * timedelta(hours=1), 100 * hour) for hour in wanted]
            assert set(self.marked(reading)) == set(self.everything[4 * first :]) & {100 * hour for hour in wanted}

    def test_only_the_span_that_was_asked_for_is_given(self) -> None:
        profile = Profile(9, 0, 6)
        stamped(profile, 3, "00 01 01 05 00")
        reading = self.history(profile, utc(1, 12), utc(1, 16))
        assert rows(reading) == [(utc(1, hour), 100 * hour) for hour in (13, 14, 15, 16)]

    def test_nothing_is_said_of_what_was_used_between_a_placed_block_and_its_neighbours(self) -> None:
        profile = Profile(9, 0, 6)
        stamped(profile, 3, "00 01 01 05 00")
        known = [interval.follows for interval in self.history(profile).intervals]
        assert [number for number, follows in enumerate(known) if not follows] == [12, 16]

    def test_an_outage_is_no_wrong_clock(self) -> None:
        profile = Profile(9, 0, 6)
        for number in (0, 1, 2):
            stamped(profile, number, f"19 0b 01 {4 * number + 4:02x} 00")  # a year before
        reading = self.history(profile, datetime(2025, 10, 1, tzinfo=UTC))
        assert self.marked(reading) == ()
        assert rows(reading)[0] == (datetime(2025, 11, 1, 1, tzinfo=UTC), 100)

    def test_the_meters_memory_begins_with_its_oldest_block(self) -> None:
        reading = self.history(Profile(5, 0, 6), utc(2))
        assert reading.oldest == utc(1, 8), "when its first interval began"


class TestWhileTheMeterWrites:
    def test_a_new_block_does_not_disturb(self) -> None:
        profile = Profile(5, 0, 2)
        reading, _ = profile.history(utc(1), utc(30), lambda step: profile.write(3, 1) if step == 5 else None)
        assert [raw for _, raw in rows(reading)] == [100 * hour for hour in range(1, 13)]
        assert reading.lost == 0

    def test_a_block_that_was_replaced_is_lost_and_not_mixed_up(self) -> None:
        profile = Profile(3, 0, 2)
        # 0 to 4: the status and three headers, then the oldest block
        reading, _ = profile.history(utc(1), utc(30), lambda step: profile.write(3) if step == 4 else None)
        assert [raw for _, raw in rows(reading)] == [100 * hour for hour in range(5, 13)]
        assert reading.lost == 1

    def test_an_interval_that_ends_meanwhile_is_left_to_the_next_time(self) -> None:
        profile = Profile(5, 0, 2, newest_intervals=1)

        def end_one(step: int) -> None:
            if step == 2:  # the header of the newest block has been read
                profile.write(2, 2)

        reading, _ = profile.history(utc(1), utc(30), end_one)
        assert rows(reading)[-1] == (utc(1, 9), 900)

    def test_a_profile_that_was_set_up_anew_is_read_from_the_beginning(self) -> None:
        profile = Profile(5, 20, 22)
        with pytest.raises(MeterMisbehaved, match="anew"):
            profile.history(utc(1), utc(30), lambda step: profile.write(0) if step == 4 else None)


@settings(max_examples=60)
@given(st.binary(min_size=31, max_size=31), st.binary(min_size=1, max_size=60), st.sampled_from(["little", "big"]))
def test_any_bytes_are_a_profile_or_refused_by_name(dimensions: bytes, noise: bytes, byteorder: ByteOrder) -> None:
    with suppress(MeterMisbehaved):
        decode_sets(dimensions, byteorder)
    limits = bytes(
        (*b"\0\0\0\0\0\x0c\x20", dimensions[0] % 9 + 1, 0, dimensions[1] % 50 + 1, 0, dimensions[2] % 16 + 1, 15)
    )
    (profile,) = decode_sets(limits + bytes(18), "little")
    with suppress(MeterMisbehaved):
        sources = decode_sources((noise * 60)[: profile.control.size - 1] + b"\x20", profile)
        channels = decode_channels(
            sources, Firmware(3, 84), HOUSE, decode_mapped_sources((noise * 104)[:104], byteorder)
        )
        assert len({channel.key for channel in channels}) >= len(set(sources))
        reading = ProfileReading(profile, byteorder, utc(1), utc(30), now=utc(30))
        steps = 0
        while (part := reading.wanted) and steps < 200:
            data = (noise * part.size)[: part.size]
            if part.table == 63:
                data = b"\x04" + bytes([1 + noise[0] % profile.blocks, 0, 0, 0]) + bytes(8)
                data = data if byteorder == "little" else b"\x04\0" + bytes([1 + noise[0] % profile.blocks]) + bytes(10)
            elif noise[-1] & 1:
                data = bytes.fromhex("1a 0b 14 08 1e") + data[5:]
            reading.answer(data)
            steps += 1
        for interval in reading.intervals:
            assert len(interval.values(channels)) == profile.channels
            consumption(interval, interval, channels, timedelta(0))
