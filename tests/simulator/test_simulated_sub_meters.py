"""M-Bus devices of every kind, against bytes written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Make = Callable[..., Any]

ET11, ET13, ET14, ET16, ET45 = (2048 + number for number in (11, 13, 14, 16, 45))
READ_ET13 = bytes.fromhex("3f 08 0d 00 00 00 00 08")


def test_the_dimensions_grow_with_the_firmware(hand: Make) -> None:
    whole = bytes.fromhex("""
        06 42 24 05 06 05 02 01 03 f9 06 19 10 16 03 04 11 11 0a 0a 41 78 06 0a 0a 10 50 0a
        05 01 01 03 06 07 02 0a e2 04 03
    """)
    assert hand("gen4-4.30").meter.image(ET11) == whole
    assert hand("83331-3i").meter.image(ET11) == b"\x05" + whole[1:32]
    assert hand("gen3-3.01").meter.image(ET11) == b"\x05" + whole[1:28]
    assert hand("gen2-2.01").meter.image(ET11) is None


def test_status_and_data_agree_about_each_device(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    status, data = meter.image(ET14), meter.image(ET16)
    assert len(status) == 6 + 6 * 36
    assert len(data) == 6 * 517
    assert status[:6] == bytes.fromhex("00 00 00 00 00 0b")  # nobody at index 2
    assert status[6:12] == bytes.fromhex("01 00 01 04 45 00")
    assert status[42:48] == bytes.fromhex("02 00 01 04 18 00")
    assert status[78:114] == bytes(36)
    assert status[114:120] == bytes.fromhex("04 00 01 04 1b 00")
    assert status[114 + 14 : 114 + 17] == bytes.fromhex("11 00 04")  # alarms, primary address
    assert status[114 + 30 : 114 + 36] == bytes.fromhex("1a 0b 14 00 05 00")  # the night's reading
    assert data[1034:1551] == bytes(517)


def test_two_telegrams_follow_each_other(hand: Make) -> None:
    entry = hand("gen4-4.30").meter.image(ET16)[:517]
    # Read at nine local, half an hour before the start: one kWh less than written.
    assert entry[:69] == bytes.fromhex("""
        1a 0b 14 09 00 00 00
        1e 33 22 11 66 a7 32 07 04 2a 00 00 00 0c 06 88 67 45 00 0c 14 78 56 34 12 0b 2d 34 02 00 00
        1e 33 22 11 66 a7 32 07 04 2b 00 00 00 0b 3b 12 03 00 0a 5a 21 06 0a 5e 58 03 0a 62 63 02 00
    """)
    assert entry[7] == entry[8 + entry[7]] == 30
    assert not any(entry[69:])


def test_a_fixed_structure_has_two_counters(hand: Make) -> None:
    """0x10 bytes follow; E9 7E: litres, litres at a fixed date, water."""
    entry = hand("gen4-4.30").meter.image(ET16)[517:1034]
    assert entry[:24] == bytes.fromhex("1a 0b 14 09 00 00 02 10 77 66 55 44 07 00 e9 7e 38 23 01 00 01 22 01 00")
    assert not any(entry[24:])


def test_scheduled_readings_go_to_a_log_and_the_data_table_keeps_the_first(hand: Make) -> None:
    meter = hand("gen4-4.30").meter
    first = meter.image(ET16)[3 * 517 :][:27]
    assert first == bytes.fromhex("1a 08 0c 0a 00 00 00 13 44 33 22 11 93 15 0a 03 11 04 00 00 0c 14 59 95 19 01 00")
    table = meter.image(ET45)
    assert len(table) == 6 + 24 * 525
    assert table[:6] == bytes.fromhex("06 18 08 09 03 18")
    assert table[6 + 8 * 525 :][:39] == bytes.fromhex("""
        1f 00 00 00 04 00 00 04 1a 0b 14 00 05 00
        00 13 44 33 22 11 93 15 0a 03 11 04 00 00 0c 14 29 44 23 01 00 00 00 00 00
    """)
    assert table[6 + 7 * 525 :][8:14] == bytes.fromhex("1a 0b 13 00 05 00")
    assert table[6 + 9 * 525 :][8:14] == bytes.fromhex("1a 0a 1c 00 05 00")  # 24 nights ago, after the change


def test_a_meter_without_such_devices_has_an_empty_log(hand: Make) -> None:
    assert hand().meter.image(ET45) == b"\x04" + bytes(5 + 24 * 525)
    assert hand(reading_entries=0).meter.image(ET45) == b"\x04" + bytes(5)


def test_the_solar_meters_devices_are_the_guides_heat_meter_a_decrypted_and_an_encrypted_one(hand: Make) -> None:
    meter = hand("83331-3i-solar").meter
    status, data = meter.image(ET14), meter.image(ET16)
    assert [status[6 + 36 * index + 4] for index in range(4)] == [41, 32, 37, 0]
    water, gas = data[517:], data[1034:]
    assert water[6:20] == bytes.fromhex("04 18 21 43 65 87 a5 11 40 07 05 00 00 00")
    assert gas[6:37] == bytes.fromhex(
        "00 1d 88 77 66 55 93 15 0a 03 33 00 10 05 3e 91 c7 08 5d f2 a4 6b 19 d0 77 e5 42 8c b6 2f 00"
    )


def test_the_configuration_tells_of_a_key_but_not_the_key(hand: Make) -> None:
    table = hand("83331-3i-solar").meter.image(ET13)
    assert len(table) == 5 * 66
    assert table[:36] == bytes.fromhex("01 00 00 00 3c 00 04 ff 43 55 53 54 4f 4d 45 52") + bytes(20)
    assert table[66:70] == bytes.fromhex("01 00 05 01")  # each night at 0:05
    assert table[66 + 29] == 16
    assert table[66 + 30 : 66 + 62] == bytes(32)
    assert table[3 * 66 :][:4] == bytes.fromhex("27 00 00 04")  # nobody there


def test_the_configuration_may_be_closed_to_a_key_or_to_all(hand: Make) -> None:
    for settings in ({"key_opens_all": False}, {"locked_tables": (ET13,)}):
        probe = hand(**settings)
        probe.open()
        assert probe.ask(READ_ET13) == b"\x03"
    probe = hand()
    probe.open()
    assert len(probe.read(ET13, 0, 8)) == 8


def test_a_client_on_the_mep_port_shows_as_device_4(hand: Make) -> None:
    meter = hand("83331-3i-mep").meter
    status, data = meter.image(ET14), meter.image(ET16)
    assert status[5] == 0x10
    assert status[6 + 4 * 36 :][:6] == bytes.fromhex("e8 03 03 00 0f 00")
    assert data[4 * 517 :][:15] == bytes.fromhex("1a 0b 14 01 00 00 00 01 00 04 00 de ad be ef")
