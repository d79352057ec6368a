"""BT00, BT01 and ET03: who the meter is, and how it writes numbers."""

from __future__ import annotations

import pytest

from nesgw.errors import MeterMisbehaved, UnsupportedMeter
from nesgw.tables.identity import (
    BT00,
    BT01,
    ET03,
    decode_firmware,
    decode_general_configuration,
    decode_hardware,
    decode_identity,
)
from nesgw.values import Firmware

# BT00 as the guides describe it: little-endian, ASCII, INT32 twice, "NES", standard version 1.0, nine alarm bytes.
GENERAL = bytes.fromhex("02 2a 88") + b"NES\0" + bytes.fromhex("02 00 ff 0c 01 00 0a 0d 02 0c 09 03")
# BT01 of the 83331-3I of the vectors, firmware bytes 58 and 134; its serial number is made up.
IDENTIFICATION = b"ELON" + b"83331-3I" + bytes([0, 0, 58, 134]) + bytes.fromhex("0012345678901234")
UTILITY = b"4080123456\0" + bytes(19)


def changed(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


class TestGeneralConfiguration:
    def test_the_meter_says_how_it_writes_its_tables(self) -> None:
        general = decode_general_configuration(GENERAL)
        assert general.byteorder == "little"
        assert general.manufacturer == "NES"
        assert (general.standard_version, general.standard_revision) == (1, 0)
        assert general.alarm_bytes == 9

    def test_a_big_endian_meter_is_believed(self) -> None:
        assert decode_general_configuration(changed(GENERAL, 0, 0x03)).byteorder == "big"

    @pytest.mark.parametrize("formats", [0x00, 0x08, 0x80, 0x85, 0x58, 0xFF])
    def test_registers_that_are_not_int32_are_refused(self, formats: int) -> None:
        with pytest.raises(UnsupportedMeter):
            decode_general_configuration(changed(GENERAL, 2, formats))

    def test_the_refusal_names_the_code_and_its_place(self) -> None:
        with pytest.raises(UnsupportedMeter, match="number format 5 for NI_FMAT2"):
            decode_general_configuration(changed(GENERAL, 2, 0x58))

    def test_the_number_of_alarm_bytes_is_the_meters_not_a_constant(self) -> None:
        assert decode_general_configuration(changed(GENERAL, 17, 4)).alarm_bytes == 4

    def test_half_a_table_is_no_configuration(self) -> None:
        with pytest.raises(MeterMisbehaved, match="18 of 19 bytes"):
            decode_general_configuration(GENERAL[:18])

    def test_these_bytes_are_asked_for(self) -> None:
        assert BT00 == ("BT00", 0, 0, 19)
        assert BT01 == ("BT01", 1, 0, 24)
        assert ET03 == ("ET03", 2051, 0, 30)


class TestFirmware:
    @pytest.mark.parametrize(
        ("high", "low", "text"),
        [
            (0x30, 0x18, "3.00.24"),  # the guide's
            (0x31, 0x55, "3.10.21"),  # the guide's
            (58, 134, "3.84.06"),  # an 83331-3I
            (0x43, 0xC1, "4.30.01"),
            (0x43, 0xCC, "4.30.12"),
            (0x21, 0x83, "2.12.03"),
        ],
    )
    def test_the_two_bytes_are_read_most_significant_first(self, high: int, low: int, text: str) -> None:
        assert str(decode_firmware(high, low)) == text

    def test_versions_compare_by_number_not_by_text(self) -> None:
        assert Firmware(3, 5) < Firmware(3, 10) <= decode_firmware(0x31, 0x55) < Firmware(3, 50) < Firmware(4, 0)


class TestIdentity:
    def test_a_meter_has_a_name_of_its_own(self) -> None:
        identity = decode_identity(IDENTIFICATION, UTILITY)
        assert identity.manufacturer == "ELON"
        assert identity.model == "83331-3I"
        assert identity.firmware == Firmware(3, 84, 6)
        assert identity.utility_serial == "4080123456"
        assert identity.manufacturer_serial == "0012345678901234"
        assert identity.id == "4080123456"

    def test_names_are_without_the_padding(self) -> None:
        identity = decode_identity(b"NES\0" + b"8333  \0\0" + IDENTIFICATION[12:], UTILITY)
        assert (identity.manufacturer, identity.model) == ("NES", "8333")

    def test_the_serial_number_ends_at_the_nul_whatever_follows(self) -> None:
        assert decode_identity(IDENTIFICATION, b"  AB-12 \0garbage").utility_serial == "AB-12"

    def test_a_line_end_is_no_part_of_it(self) -> None:
        assert decode_identity(IDENTIFICATION, b"4080123456\r\n\0").utility_serial == "4080123456"

    @pytest.mark.parametrize("utility", [None, b"", bytes(30), b" " * 30, b"\xff" * 30])
    def test_without_a_utility_serial_the_manufacturers_takes_its_place(self, utility: bytes | None) -> None:
        identity = decode_identity(IDENTIFICATION, utility)
        assert identity.utility_serial == ""
        assert identity.id == "0012345678901234"

    @pytest.mark.parametrize(
        "placeholder",
        [
            b"0000000000",
            b"1111111",
            b"XXXX",
            b"N/A",
            b"n.a.",
            b"none",
            b"-",
            b"Unknown",
            b"NOT PROGRAMMED",
            b"0x00000000",
            b"SN 000",
        ],
    )
    def test_nor_does_a_placeholder_that_many_meters_share_tell_it_from_others(self, placeholder: bytes) -> None:
        assert decode_identity(IDENTIFICATION, placeholder.ljust(30, b"\0")).id == "0012345678901234"

    @pytest.mark.parametrize("damaged", [b"4080\xb5123", "Zähler 12".encode(), b"\xff\x0140\x8080"])
    def test_nor_does_what_is_no_text_throughout(self, damaged: bytes) -> None:
        assert decode_identity(IDENTIFICATION, damaged + b"\0").id == "0012345678901234"

    def test_an_unset_manufacturer_serial_is_blank(self) -> None:
        for unset in (bytes(8), b"\xff" * 8, b"\x11" * 8):
            assert decode_identity(IDENTIFICATION[:16] + unset, UTILITY).manufacturer_serial == ""

    def test_a_meter_that_cannot_be_told_from_others_is_refused(self) -> None:
        with pytest.raises(UnsupportedMeter, match="serial number"):
            decode_identity(IDENTIFICATION[:16] + bytes(8), bytes(30))

    def test_half_a_table_is_no_identity(self) -> None:
        with pytest.raises(MeterMisbehaved):
            decode_identity(IDENTIFICATION[:23], UTILITY)


class TestHardware:
    """ET29: 24 option bits in bytes 0 to 2, single phase or polyphase in byte 5."""

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ("00 00 00 00 00 01", "single-phase"),
            ("00 00 00 00 00 02", "three-phase"),
            ("21 05 00 00 00 02", "three-phase, pulse output, disconnect switch, M-Bus, MEP port"),
            ("00 00 02 00 00 02", "three-phase, external current transformers"),
            ("00 00 00 00 00 00", None),
        ],
    )
    def test_it_is_told_in_words(self, data: str, words: str | None) -> None:
        assert decode_hardware(bytes.fromhex(data)) == words
