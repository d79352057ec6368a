"""BT52, BT53, BT55 and the meter's dates: what time the meter thinks it is."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved
from nesgw.tables.clock import (
    BT52,
    BT53,
    BT55,
    Clock,
    LocalClock,
    ZoneRules,
    decode_clock,
    decode_local_clock,
    decode_zone_rules,
)
from nesgw.tables.times import decode_local, decode_utc, iso

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


class TestDates:
    def test_six_bytes_are_binary_and_to_the_second(self) -> None:
        assert decode_utc(bytes.fromhex("1a 0b 14 08 1e 3b")) == datetime(2026, 11, 20, 8, 30, 59, tzinfo=UTC)

    def test_five_bytes_are_to_the_minute(self) -> None:
        assert decode_local(bytes.fromhex("02 0c 1f 17 3b")) == datetime(2002, 12, 31, 23, 59)

    @pytest.mark.parametrize(
        "data",
        [
            "00 00 00 00 00 00",
            "1a 00 14 08 1e 00",
            "1a 0d 01 00 00 00",
            "1a 02 1d 00 00 00",
            "1a 0b 14 18 00 00",
            "1a 0b 14 08 3c 00",
            "1a 0b 14 08 1e 3c",
            "ff ff ff ff ff ff",
        ],
    )
    def test_what_was_never_set_or_is_no_date_is_none(self, data: str) -> None:
        assert decode_utc(bytes.fromhex(data)) is None
        assert decode_local(bytes.fromhex(data), COPENHAGEN) is None

    def test_local_time_becomes_utc_where_the_zone_is_known(self) -> None:
        winter, summer = bytes.fromhex("1a 01 0f 0c 00"), bytes.fromhex("1a 07 0f 0c 00")
        assert decode_local(winter, COPENHAGEN) == datetime(2026, 1, 15, 11, 0, tzinfo=UTC)
        assert decode_local(summer, COPENHAGEN) == datetime(2026, 7, 15, 10, 0, tzinfo=UTC)

    def test_of_the_hour_that_comes_twice_the_first_is_meant(self) -> None:
        assert decode_local(bytes.fromhex("1a 0a 19 02 1e"), COPENHAGEN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    def test_they_are_written_with_a_z_only_when_the_zone_is_known(self) -> None:
        assert iso(datetime(2026, 11, 20, 8, 30, tzinfo=UTC)) == "2026-11-20T08:30:00Z"
        assert iso(datetime(2026, 11, 20, 8, 30)) == "2026-11-20T08:30:00"
        assert iso(None) is None


class TestClock:
    def test_the_worked_example(self) -> None:
        assert BT52 == ("BT52", 52, 0, 7)
        clock = decode_clock(bytes.fromhex("1a 0b 14 08 1e 00 15"))
        assert clock == Clock(datetime(2026, 11, 20, 8, 30, tzinfo=UTC), daylight_saving=False)

    def test_daylight_saving_is_a_flag_and_not_in_the_time(self) -> None:
        clock = decode_clock(bytes.fromhex("1a 07 0f 08 1e 00 1b"))
        assert clock == Clock(datetime(2026, 7, 15, 8, 30, tzinfo=UTC), daylight_saving=True)

    def test_a_clock_that_was_never_set_has_no_time_and_no_drift(self) -> None:
        clock = decode_clock(bytes(7))
        assert clock.time is None
        assert clock.drift(datetime(2026, 11, 20, tzinfo=UTC)) is None

    @pytest.mark.parametrize(
        ("at", "drift"),
        [
            (datetime(2026, 11, 20, 8, 30, 0, 500_000, tzinfo=UTC), 0.0),
            (datetime(2026, 11, 20, 8, 29, 50, tzinfo=UTC), 10.5),
            (datetime(2026, 11, 20, 8, 31, 0, 250_000, tzinfo=UTC), -59.8),
            (datetime(2026, 11, 20, 9, 30, 0, 500_000, tzinfo=COPENHAGEN), 0.0),
        ],
    )
    def test_drift_is_how_far_the_meter_is_ahead(self, at: datetime, drift: float) -> None:
        assert decode_clock(bytes.fromhex("1a 0b 14 08 1e 00 15")).drift(at) == drift


class TestLocalClock:
    local = decode_local_clock(bytes.fromhex("1a 0b 14 09 1e 00 25 01 30"), "little")

    def test_the_worked_example(self) -> None:
        assert BT55 == ("BT55", 55, 0, 9)
        assert self.local == LocalClock(
            time=datetime(2026, 11, 20, 9, 30),
            daylight_saving=False,
            tier=1,
            tier_drive="calendar",
            special_schedule=0,
            season=3,
        )

    def test_tier_drive_special_schedule_and_season_share_a_word(self) -> None:
        local = decode_local_clock(bytes.fromhex("1a 07 0f 0a 1e 00 2b c3 b5"), "little")
        assert (local.daylight_saving, local.tier, local.tier_drive) == (True, 3, "override")
        assert (local.special_schedule, local.season) == (5, 11)

    def test_it_lags_by_up_to_a_minute_and_still_tells_its_distance_from_utc(self) -> None:
        clock = decode_clock(bytes.fromhex("1a 0b 14 08 1e 37 15"))
        assert self.local.offset(clock) == timedelta(hours=1)

    def test_without_both_times_there_is_no_distance(self) -> None:
        assert self.local.offset(decode_clock(bytes(7))) is None


class TestZoneRules:
    def test_change_shift_and_zone(self) -> None:
        assert BT53 == ("BT53", 53, 0, 6)
        assert decode_zone_rules(bytes.fromhex("02 00 00 3c 3c 00"), "little") == ZoneRules(
            change=time(2), shift=timedelta(hours=1), offset=timedelta(hours=1)
        )

    @pytest.mark.parametrize(("data", "minutes"), [("30 fd", -720), ("48 03", 840)])
    def test_the_outermost_zones(self, data: str, minutes: int) -> None:
        rules = decode_zone_rules(bytes(4) + bytes.fromhex(data), "little")
        assert rules.offset == timedelta(minutes=minutes)

    @pytest.mark.parametrize("data", ["2f fd", "49 03"])
    def test_zones_beyond_are_refused(self, data: str) -> None:
        with pytest.raises(MeterMisbehaved, match="minutes from UTC"):
            decode_zone_rules(bytes(4) + bytes.fromhex(data), "little")


@given(st.binary(max_size=12))
def test_any_bytes_are_a_time_or_refused_by_name(data: bytes) -> None:
    for decode in (decode_clock, lambda d: decode_local_clock(d, "big"), lambda d: decode_zone_rules(d, "big")):
        with suppress(MeterMisbehaved):
            decode(data)
