"""BT03: which alarms a firmware has, and which are set."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved
from nesgw.tables.alarms import ALARMS, EARTH_FAULT, ET29_SENSORS, MODES, AlarmTable, decode_earth_fault
from nesgw.values import Firmware

GENERATION_4 = AlarmTable.of(Firmware(4, 30), 9)


def keys(firmware: tuple[int, int], alarm_bytes: int = 9) -> set[str]:
    return {alarm.key for alarm in AlarmTable.of(Firmware(*firmware), alarm_bytes).alarms}


class TestTheRows:
    def test_every_bit_and_every_key_stands_once(self) -> None:
        assert not [key for key, count in Counter(row.key for row in (*ALARMS, EARTH_FAULT)).items() if count > 1]
        assert not [place for place, count in Counter((row.byte, row.bit) for row in ALARMS).items() if count > 1]

    def test_the_rows_cover_every_bit_that_the_guides_list(self) -> None:
        places = {(byte, bit) for byte in (1, 2, 4, 5, 6, 7, 8) for bit in range(8)}
        places |= {(3, bit) for bit in range(4)} | {(9, 0)}
        assert {(row.byte, row.bit) for row in ALARMS} == places

    def test_rows_are_in_the_order_of_the_table(self) -> None:
        assert list(ALARMS) == sorted(ALARMS, key=lambda row: (row.byte, row.bit))

    def test_keys_are_fit_for_topics_and_unique_ids(self) -> None:
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", row.key) for row in ALARMS)
        assert not {row.key for row in ALARMS} & set(MODES)

    def test_names_are_short_and_begin_with_a_capital(self) -> None:
        assert all(row.name[0].isupper() and len(row.name) < 40 for row in ALARMS)

    def test_a_relay_and_a_counter_of_unread_entries_tell_how_things_are_now(self) -> None:
        now = {row.key for row in ALARMS if not row.latched}
        assert {"control_relay_1_open", "control_relay_2_open", "event_log_unread"} <= now
        assert "load_profile_overflow" not in now

    def test_only_some_matter_to_whoever_lives_there(self) -> None:
        owner = {row.key for row in ALARMS if row.owner}
        assert {"low_battery", "cover_removed", "magnetic_tamper", "phase_loss"} <= owner
        assert not {"event_log_unread", "load_profile_1_unread", "self_read", "system_reset"} & owner
        assert len(owner) < len(ALARMS) / 2


class TestWhatAFirmwareHas:
    @pytest.mark.parametrize(
        ("key", "firmware", "has"),
        [
            ("cover_removed", (2, 0), True),
            ("mbus_alarm", (2, 0), False),
            ("mbus_alarm", (2, 10), True),
            ("event_log_overflow_pending", (2, 0), True),
            ("magnetic_tamper", (2, 10), False),
            ("magnetic_tamper", (2, 12), True),
            ("magnetic_tamper", (2, 13), True),
            ("magnetic_tamper", (3, 0), False),
            ("magnetic_tamper", (3, 1), True),
            ("magnetic_tamper", (3, 84), True),
            ("load_profile_1_unread", (3, 1), False),
            ("load_profile_1_unread", (3, 10), True),
            ("load_profile_2_unread", (3, 49), False),
            ("load_profile_2_unread", (3, 50), True),
            ("key_expiration_pending", (2, 3), False),
            ("key_expiration_pending", (2, 4), True),
            ("key_expiration_pending", (2, 12), False),
            ("key_expiration_pending", (2, 13), True),
            ("key_expiration_pending", (3, 10), False),
            ("key_expiration_pending", (3, 13), True),
            ("key_expiration_pending", (3, 70), False),
            ("key_expiration_pending", (3, 80), True),
            ("g3_alarm", (4, 10), False),
            ("g3_alarm", (4, 20), True),
            ("control_relay_2_open", (4, 20), False),
            ("control_relay_2_open", (4, 30), True),
            ("control_relay_2_open", (1, 32), True),
        ],
    )
    def test_an_alarm_is_there_from_its_firmware_on(self, key: str, firmware: tuple[int, int], has: bool) -> None:
        assert (key in keys(firmware)) is has

    def test_what_lies_beyond_the_tables_end_is_not_there(self) -> None:
        assert "unbalanced_voltage" in keys((3, 84), alarm_bytes=9)
        assert "unbalanced_voltage" not in keys((3, 84), alarm_bytes=4)
        assert "load_side_voltage" in keys((3, 84), alarm_bytes=4)

    def test_earth_faults_take_the_place_of_the_neutral_current(self) -> None:
        table = AlarmTable.of(Firmware(4, 30), 9, earth_fault=True)
        assert table.decode(bytes([1, 0, 0, 8]).ljust(13, b"\0")).alarms == ("earth_fault",)
        assert "neutral_current_deviation" not in {alarm.key for alarm in table.alarms}

    def test_which_of_the_two_is_a_bit_of_et29(self) -> None:
        assert ET29_SENSORS == ("ET29", 2077, 33, 4)
        assert decode_earth_fault(bytes.fromhex("80 00 00 00"), "little")
        assert decode_earth_fault(bytes.fromhex("00 00 00 80"), "big")
        assert not decode_earth_fault(bytes.fromhex("7f 00 00 00"), "little")


class TestTheLengthToRead:
    @pytest.mark.parametrize(("alarm_bytes", "size"), [(4, 13), (9, 13), (10, 14)])
    def test_every_form_that_the_guides_know_fits(self, alarm_bytes: int, size: int) -> None:
        assert AlarmTable.of(Firmware(3, 84), alarm_bytes).part == ("BT03", 3, 0, size)

    def test_less_is_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="12 of 13 bytes"):
            GENERATION_4.decode(bytes(12))


class TestTheBits:
    def test_the_worked_example(self) -> None:
        status = GENERATION_4.decode(bytes.fromhex("01 00 0a 00 08 02 02 10 00 00 00 00 00"))
        assert status.modes == ("metering",)
        assert status.alarms == (
            "low_loss_potential",
            "power_failure",
            "control_relay_1_open",
            "remote_communication_inactive",
            "mbus_alarm",
            "event_log_unread",
        )

    def test_alarms_8_to_15_are_in_the_third_byte(self) -> None:
        assert GENERATION_4.decode(bytes.fromhex("00 01 80").ljust(13, b"\0")).alarms == (
            "unprogrammed",
            "disconnect_switch_error",
        )

    def test_test_mode_and_shop_mode_are_no_alarms(self) -> None:
        status = GENERATION_4.decode(bytes([6]).ljust(13, b"\0"))
        assert (status.modes, status.alarms) == (("test", "shop"), ())

    def test_bits_that_no_guide_knows_go_by_their_place(self) -> None:
        data = bytes.fromhex("09 00 00 10 00 00 00 00 00 02 00 00 80")
        assert GENERATION_4.decode(data).alarms == ("0.3", "3.4", "9.1", "12.7")

    def test_a_bit_that_this_firmware_should_not_have_goes_by_its_place(self) -> None:
        data = bytes.fromhex("01 00 00 00 00 00 00 02 01").ljust(13, b"\0")
        assert AlarmTable.of(Firmware(2, 10), 4).decode(data).alarms == ("7.1", "8.0")

    def test_before_3_50_the_fourth_byte_means_nothing(self) -> None:
        data = bytes.fromhex("01 00 00 ff").ljust(13, b"\0")
        assert AlarmTable.of(Firmware(3, 49), 9).decode(data).alarms == ()
        assert "load_profile_2_unread" in AlarmTable.of(Firmware(3, 50), 9).decode(data).alarms
        assert "load_profile_2_unread" in AlarmTable.of(Firmware(1, 32), 9).decode(data).alarms


@given(st.binary(min_size=13, max_size=13), st.builds(Firmware, st.integers(0, 15), st.integers(0, 127)))
def test_every_set_bit_is_told_once(data: Any, firmware: Any) -> None:
    status = AlarmTable.of(firmware, 9).decode(data)
    told = [*status.modes, *status.alarms]
    ignored = data[3] if firmware.major != 1 and firmware < Firmware(3, 50) else 0
    assert len(set(told)) == len(told) == int.from_bytes(data, "big").bit_count() - ignored.bit_count()
