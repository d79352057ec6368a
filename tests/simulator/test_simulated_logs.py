"""What happens to the simulated meter, and where it can be read: alarms, event logs, outages, clocks."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from nesgw.simulator import ALARMS, Fault

Make = Callable[..., Any]

WRONG = b"\x51" + b"0" * 20
ALTERNATE, OUTAGES, OLD_OUTAGES = 2048 + 79, 2048 + 81, 2048 + 9


def records(table: bytes) -> list[bytes]:
    """Newest first, by the recipe."""
    valid, newest = int.from_bytes(table[1:3], "little"), int.from_bytes(table[3:5], "little")
    entries = (len(table) - 11) // 14
    return [table[11 + (newest - back) % entries * 14 :][:14] for back in range(valid)]


def test_the_event_log_begins_with_the_outages_that_the_registers_count(hand: Make) -> None:
    table = hand("gen4-4.30").meter.image(74)  # four outages, two entries each
    assert table[:11] == bytes.fromhex("04 08 00 07 00 08 00 00 00 08 00")
    assert records(table)[:2] == [
        bytes.fromhex("1a 0b 14 07 02 00 08 00 ff ff 02 00 00 00"),
        bytes.fromhex("1a 0b 14 07 00 00 07 00 ff ff 01 00 00 00"),
    ]


def test_two_logs_share_one_sequence(hand: Make) -> None:
    probe = hand("gen4-4.30", logon_leaves_entry=True)
    assert probe.meter.image(ALTERNATE) == b"\x04" + bytes(10 + 50 * 14)
    probe.ask(b"\x20")
    probe.ask(bytes.fromhex("50 00 02 20 20 20 20 20 20 20 20 20 20"))
    probe.meter.faults.open_cover()
    probe.ask(WRONG)
    alternate = probe.meter.image(ALTERNATE)
    assert alternate[:11] == bytes.fromhex("04 02 00 01 00 0b 00 00 00 02 00")
    assert [record[6:] for record in records(alternate)] == [
        bytes.fromhex("0b 00 02 00 0b 08 00 00"),  # a wrong key, by user 2
        bytes.fromhex("09 00 02 00 0a 08 00 00"),  # the logon
    ]
    primary = probe.meter.image(74)
    assert primary[5:9] == bytes.fromhex("0a 00 00 00")
    assert records(primary)[0][6:] == bytes.fromhex("0a 00 02 00 0c 08 00 00")  # the cover
    assert probe.meter.image(2102)[80:82] == bytes.fromhex("32 00")


def test_without_an_alternate_log_everything_is_in_the_first(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    probe.ask(bytes.fromhex("50 00 02 20 20 20 20 20 20 20 20 20 20"))
    probe.ask(WRONG)
    assert records(probe.meter.image(74))[0][6:] == bytes.fromhex("15 00 02 00 0b 08 00 00")
    assert probe.meter.image(ALTERNATE) == b"\x04" + bytes(10)
    assert hand("gen3-3.50").meter.image(ALTERNATE) is None


def test_a_full_log_is_a_ring_and_its_entries_carry_the_low_word_of_the_sequence(hand: Make) -> None:
    meter = hand("gen4-4.30", event_entries=5, event_sequence=65_530).meter  # eight entries have been written
    table = meter.image(74)
    assert table[:11] == bytes.fromhex("06 05 00 02 00 02 00 01 00 05 00")
    assert [record[6:8].hex() for record in records(table)] == ["0200", "0100", "0000", "ffff", "feff"]


def test_the_outage_log_is_in_local_time_and_the_old_one_in_utc(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    table = meter.image(OUTAGES)
    assert len(table) == 6 + 20 * 12
    assert table[:6] == bytes.fromhex("04 04 03 04 00 04")
    assert table[6 + 36 : 6 + 48] == bytes.fromhex("1a 0b 14 08 00 00 1a 0b 14 08 02 00")
    old = meter.image(OLD_OUTAGES)
    assert len(old) == 6 + 10 * 18
    assert old[6:24] == bytes.fromhex("1a 0b 14 07 02 00 03 00 1a 0b 14 07 00 00 78 00 00 00")
    assert old[24 + 14 : 24 + 18] == bytes.fromhex("88 04 00 00")  # (3600 − 120) / 3 seconds, 200 days before
    assert old[6 + 4 * 18 :] == bytes(6 * 18)


def test_a_power_failure_is_counted_and_written_down(hand: Make) -> None:
    probe = hand("gen4-4.30")
    meter = probe.meter
    before = meter.truth().summations
    meter.faults.restart(30.0)
    probe.silence(31.0)
    after = meter.truth().summations
    assert (after[4] - before[4], after[5] - before[5]) == (30, 1)
    assert meter.image(OUTAGES)[:6] == bytes.fromhex("04 05 04 05 00 05")
    assert meter.image(OUTAGES)[6 + 48 : 6 + 60] == bytes.fromhex("1a 0b 14 09 1e 00 1a 0b 14 09 1e 1e")
    assert meter.image(OLD_OUTAGES)[6 + 14 : 6 + 18] == bytes.fromhex("1e 00 00 00")
    assert [record[10] for record in records(meter.image(74))[:2]] == [2, 1]
    assert meter.image(3)[2] == 0x08


def test_outages_were_fewer_in_the_past(hand: Make) -> None:
    """The last was today, the one before it 200 days ago."""
    table = hand("83331-3i").meter.image(26)
    newest, oldest = table[6 + 10 * 226 :][:226], table[6 + 11 * 226 :][:226]
    assert (newest[6 + 20], oldest[6 + 20]) == (9, 8)


def test_an_outage_log_that_is_not_configured_is_a_header_alone(hand: Make) -> None:
    meter = hand(outage_entries=0).meter
    assert meter.image(OUTAGES) == b"\x04" + bytes(5)
    assert meter.image(2084)[103:111] == bytes.fromhex("51 08 0c 00 00 00 00 00")
    assert hand("gen3-3.50").meter.image(OUTAGES) is None


def test_the_dimensions_of_the_logs(hand: Make) -> None:
    table = hand().meter.image(2084)
    assert len(table) == 1 + 7 * 17
    assert table[:10] == bytes.fromhex("07 1f 08 00 00 00 00 00 00 00")
    assert table[69:86] == bytes.fromhex("2d 08 0d 02 18 00 18 00 01") + bytes(8)
    assert table[103:120] == bytes.fromhex("51 08 0c 00 14 00 14 00 00") + bytes(8)


@pytest.mark.parametrize(
    ("alarm", "byte", "mask"),
    [
        ("magnetic_tamper", 7, 0x02),
        ("cover_removed", 2, 0x10),
        ("phase_loss", 4, 0x10),
        ("neutral_current_deviation", 3, 0x08),
        ("g3_event_logged", 8, 0x80),
        ("control_relay_2_open", 9, 0x01),
        ("invalid_password", 5, 0x01),
        ("manufacturer_log_entry", 6, 0x80),
        ("measurement_error", 1, 0x80),
    ],
)
def test_alarms_have_names_and_are_latched_until_cleared(hand: Make, alarm: str, byte: int, mask: int) -> None:
    meter = hand("gen4-4.30").meter
    meter.faults.clear_alarms()
    assert meter.image(3) == b"\x01" + bytes(12)
    meter.faults.alarm(alarm)
    meter.faults.clear()  # ends faults, not alarms
    expected = bytearray(b"\x01" + bytes(12))
    expected[byte] = mask
    assert meter.image(3) == bytes(expected)
    meter.faults.clear_alarms()
    assert meter.image(3) == b"\x01" + bytes(12)


def test_an_alarm_can_be_given_by_byte_and_bit(hand: Make) -> None:
    meter = hand().meter
    meter.faults.clear_alarms()
    meter.faults.alarm(2, 3)
    assert meter.image(3)[2] == 0x08
    assert len(ALARMS) == 8 + 8 + 4 + 8 * 5 + 1


def test_an_opened_cover_leaves_an_alarm_and_an_entry(hand: Make) -> None:
    meter = hand().meter
    meter.faults.open_cover()
    assert meter.image(3)[2] & 0x10
    assert records(meter.image(74))[0] == bytes.fromhex("1a 0b 14 08 1e 00 15 00 ff ff 0c 08 00 00")


def test_a_clock_that_is_set_leaves_both_times(hand: Make) -> None:
    meter = hand().meter
    meter.faults.set_clock(-45.0)
    assert meter.image(52)[:6] == bytes.fromhex("1a 0b 14 08 1d 0f")
    assert records(meter.image(74))[:2] == [
        bytes.fromhex("1a 0b 14 08 1d 0f 16 00 ff ff 04 00 00 00"),
        bytes.fromhex("1a 0b 14 08 1e 00 15 00 ff ff 03 00 00 00"),
    ]


def test_a_clock_can_be_wrong_and_go_wrong(hand: Make) -> None:
    meter = hand(clock_error=-90.0, clock_drift=4.0).meter
    assert meter.image(52)[:6] == bytes.fromhex("1a 0b 14 08 1c 1e")
    assert meter.image(52, meter.started + 86_400)[:6] == bytes.fromhex("1a 0b 15 08 1c 22")


@pytest.mark.parametrize(
    ("moment", "utc", "local"),
    [
        ("2026-03-29T00:59:00", "1a 03 1d 00 3b 00 10", "1a 03 1d 01 3b 00 20"),
        ("2026-03-29T01:00:00", "1a 03 1d 01 00 00 18", "1a 03 1d 03 00 00 68"),
        ("2026-10-25T00:59:00", "1a 0a 19 00 3b 00 18", "1a 0a 19 02 3b 00 68"),
        ("2026-10-25T01:00:00", "1a 0a 19 01 00 00 10", "1a 0a 19 02 00 00 20"),  # two o'clock again
        ("2026-10-25T02:00:00", "1a 0a 19 02 00 00 10", "1a 0a 19 03 00 00 20"),
    ],
)
def test_summer_time_moves_the_local_clock_and_never_utc(hand: Make, moment: str, utc: str, local: str) -> None:
    meter = hand(epoch=datetime.datetime.fromisoformat(moment + "+00:00")).meter
    assert meter.image(52) == bytes.fromhex(utc)
    assert meter.image(55)[:7] == bytes.fromhex(local)


def test_tables_of_little_use_are_there_all_the_same(hand: Make) -> None:
    assert hand().meter.image(4) == bytes(10 + 13 + 5 + 1 + 3 * 8)
    assert hand("gen4-4.30").meter.image(4) == bytes(10 + 20 + 5 + 1 + 4 * 8)
    assert hand().meter.image(50) == bytes.fromhex("00 00 04 0a 14 30 00 f0 00")


def test_the_general_configuration_lists_the_tables_there_are(hand: Make) -> None:
    def listed(profile: str) -> tuple[set[int], set[int]]:
        table = hand(profile).meter.image(0)
        split = 19 + table[13]
        basic, extended = table[19:split], table[split:]
        assert len(extended) == table[14]
        return tuple(
            {8 * at + bit for at, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1}
            for bits in (basic, extended)
        )  # type: ignore[return-value]

    everywhere = {0, 1, 3, 4, 20, 23, 24, 25, 26, 28, 50, 52, 53, 55, 60, 61, 62, 63, 64, 70, 74}
    assert listed("gen2-2.01") == (everywhere, {3, 4, 9, 21, 29, 36, 51, 54, 55, 66})
    sub_meters = {11, 13, 14, 16, 45, 57}
    assert listed("83331-3i") == (
        everywhere | {21, 22, 27, 71},
        {3, 4, 9, 21, 29, 36, 42, 54, 55, 66, 79, 81} | sub_meters,
    )
    assert listed("gen4-4.30")[0] == everywhere | {21, 22, 27, 65, 66, 67, 71}


def test_an_outage_through_the_hour_that_comes_twice_seems_to_have_no_length_in_local_time(hand: Make) -> None:
    probe = hand("gen4-4.30", epoch=datetime.datetime(2026, 10, 25, 0, 30, tzinfo=datetime.UTC))
    probe.meter.faults.restart(3600.0)
    probe.silence(3601.0)
    assert probe.meter.image(OUTAGES)[6 + 48 : 6 + 60] == bytes.fromhex("1a 0a 19 02 1e 00 1a 0a 19 02 1e 00")
    assert probe.meter.image(OLD_OUTAGES)[6 + 14 : 6 + 18] == bytes.fromhex("10 0e 00 00")


def test_a_plan_can_raise_alarms(hand: Make) -> None:
    probe = hand(faults=[Fault(5.0, "alarm", {"alarm": "phase_loss"}), Fault(9.0, "clear_alarms")])
    probe.silence(6.0)
    assert probe.meter.image(3)[4] == 0x10
    probe.silence(4.0)
    assert probe.meter.image(3)[4] == 0
