"""What else may be on a serial port, by what it says: texts and frames from the makers' and the standards' examples."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesgw.optical.other_devices import OtherDevice, recognise
from tests.optical.conftest import packet, table_answer


def seven_even(text: bytes) -> bytes:
    """What a receiver of 8N1 sees of 7E1: the parity in bit 7."""
    return bytes(byte | 0x80 * (byte.bit_count() % 2) for byte in text)


def wire(text: str) -> bytes:
    return bytes.fromhex(text)


IDENTIFY_ANSWER = wire("EE 00 00 00 00 05 00 00 02 00 00 A2 5A")
P1 = b"/KFM5KAIFA-METER\r\n\r\n1-3:0.2.8(42)\r\n1-0:1.8.0(000123.456*kWh)\r\n!\r\n"


@pytest.mark.parametrize(
    ("device", "heard"),
    [
        (OtherDevice.GPS, b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"),
        (OtherDevice.GPS, b"02,N*5A\r\n$GNRMC,092751.000,A,5321.68"),  # begun in the middle
        (OtherDevice.GPS, b"$PUBX,00,081350.00,4717.113210,N"),
        (OtherDevice.GPS, b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n"),
        (OtherDevice.GPS, wire("B5 62 01 07 5C 00 00 11 22")),  # UBX-NAV-PVT
        (OtherDevice.MODEM, b"\r\nERROR\r\n"),
        (OtherDevice.MODEM, b"AT+GCAP\r\r\n+GCAP: +CGSM\r\n\r\nOK\r\n"),
        (OtherDevice.MODEM, b"\r\n+CREG: 2\r\n\r\nRDY\r\n"),
        (OtherDevice.MODEM, b"\r\n^RSSI:17\r\n"),
        (OtherDevice.MODEM, b"\r\nRING\r\n"),
        (OtherDevice.SML, wire("1B 1B 1B 1B 01 01 01 01 76 05 00 53 46 01")),
        (OtherDevice.SML, wire("00 1B 1B 1B 1B 1A 00 5E 8F")),
        (OtherDevice.IEC, b"/ELS5\\@V9.26\r\n"),
        (OtherDevice.IEC, P1),
        (OtherDevice.IEC, b"F.F(00)\r\n1.8.0(001234.5*kWh)\r\n"),
        (OtherDevice.IEC, seven_even(b"1.8.0(001234.5*kWh)\r\n0.0.0(12345678)\r\n")),
        (OtherDevice.IEC, seven_even(P1)),
        (OtherDevice.IEC, b"/ESY5Q3DB1024 V3.04\r\n"),
        (OtherDevice.DLMS, wire("7E A0 07 03 21 93 0F 01 7E")),
        (OtherDevice.DLMS, wire("13 05 7E A0 07 03 21 93 0F 01 7E 7E A0")),  # begun in the middle
        (OtherDevice.MBUS, wire("68 03 03 68 53 FE 50 A1 16")),
        (OtherDevice.NETWORK, b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        (OtherDevice.NETWORK, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        (OtherDevice.NETWORK, b"220 mail.lan ESMTP Postfix\r\n"),
        (OtherDevice.ZIGBEE, wire("1A C1 02 0B 0A 52 7E")),  # ASH: RSTACK
        (OtherDevice.ZIGBEE, wire("FE 06 41 80 02 02 00 02 06 03 C0")),  # Z-Stack: SYS_RESET_IND
        (OtherDevice.ZIGBEE, wire("01 04 01 15 01 EE")),  # Z-Wave, the check byte by hand: FF^04^01^15^01
        (OtherDevice.CONSOLE, b"\r\nraspberrypi login: "),
        (OtherDevice.CONSOLE, b"\xee^@^@^@^@^A ^S^P"),  # our Identify as a terminal shows it
        (OtherDevice.CONSOLE, b"-bash: \xee: command not found\r\n"),
        (OtherDevice.CONSOLE, b"root@pi:~# "),
        (OtherDevice.TELNET, wire("FF FB 03 FF FB 01 FF FD 00")),
        (OtherDevice.TELNET, wire("FF FD 2C")),  # COM-PORT-OPTION
        (OtherDevice.TELNET, wire("EE 00 FF FB 01 FF FD 03 00")),
        (OtherDevice.TELNET, wire("FF FA 2C 6B 00 FF F0")),
        (OtherDevice.TELNET, wire("FF FB 01 FF FB 03") + b"\r\nOpenWrt login: "),
        (OtherDevice.BUSY_BRIDGE, b"Port already in use\r\n"),
        (OtherDevice.BUSY_BRIDGE, b"ser2net: device /dev/ttyUSB0 is busy\r\n"),
        (OtherDevice.ZEROS, bytes(40)),
        (OtherDevice.ZEROS, bytes(30) + b"\x80"),
        (OtherDevice.TEXT, b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"),
        (OtherDevice.TEXT, b"22.5 C 41 %rH 1013 hPa\r\n22.5 C 41 %rH"),
    ],
)
def test_it_is_named(device: OtherDevice, heard: bytes) -> None:
    assert recognise(heard) is device


def test_a_line_of_seven_bits_is_told_by_the_head_of_a_packet_without_its_highest_bits() -> None:
    stripped = bytes(byte & 0x7F for byte in b"\x06" + IDENTIFY_ANSWER)
    assert stripped[1] == 0x6E
    assert recognise(stripped) is OtherDevice.SEVEN_BITS


def test_a_telnet_port_whose_greeting_was_missed_is_told_by_the_byte_that_it_doubles() -> None:
    answer = packet(table_answer(wire("01 FF 03 FF FF 06 07 08")))
    assert recognise(b"\x06" + answer.replace(b"\xff", b"\xff\xff")) is OtherDevice.TELNET
    assert recognise(b"\x06" + answer[:-1] + b"\0") is None


def test_flow_control_is_told_by_packets_that_are_sound_with_the_swallowed_byte() -> None:
    answer = packet(table_answer(wire("01 02 13 04 05 06 07 08")))
    cut = b"\x06" + bytes(byte for byte in answer if byte not in (0x11, 0x13))
    assert len(cut) == len(answer)  # one was in it
    assert recognise(cut * 2) is OtherDevice.XON_XOFF
    assert recognise(cut) is None  # once it may be chance


@pytest.mark.parametrize(
    "heard",
    [
        b"",
        b"\x06",
        b"\x15" * 4,
        bytes(6),  # zeros where an ACK was due, as one client saw them
        IDENTIFY_ANSWER[:7],  # the end is lost
        IDENTIFY_ANSWER[3:],
        b"\x06" + IDENTIFY_ANSWER[:-1] + b"\x5b",
        wire("EE 00 00 00 00 01 20 13 10") * 4,  # an echo
        packet(table_answer(b"NES  83331-3I       4080123456"))[:-1] + b"\0",  # text in a table
        wire("FF 80 00 FE E0 7F FF"),  # bright light
        b"HELLO",
    ],
)
def test_what_a_meter_behind_a_weak_probe_may_send_names_nobody(heard: bytes) -> None:
    assert recognise(heard) is None


@given(st.binary(max_size=1024))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_looked_at_without_a_failure(heard: bytes) -> None:
    assert recognise(heard) is None or isinstance(recognise(heard), OtherDevice)


def test_noise_is_hardly_ever_taken_for_a_device() -> None:
    chance = random.Random(2026)
    assert sum(recognise(chance.randbytes(512)) is not None for _ in range(2000)) <= 2


def test_damaged_answers_are_hardly_ever_taken_for_a_device() -> None:
    chance = random.Random(2026)

    def damaged() -> bytes:
        raw = bytearray(packet(table_answer(chance.randbytes(60))))
        for _ in range(3):
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        return bytes(raw)

    assert sum(recognise(b"".join(damaged() for _ in range(8))) is not None for _ in range(500)) <= 1


@pytest.mark.parametrize("device", OtherDevice)
def test_each_says_what_it_is_and_what_to_do(device: OtherDevice) -> None:
    assert device.what.startswith(("a ", "an "))
    assert len(device.advice) > 20
    assert "turn" not in device.advice
