"""What else may be on a serial port, recognised by the bytes that came: no user is to turn a probe that is none.

Pure: bytes in, a device with advice out. A device is named only by what it alone says, in order of certainty; bytes
that a meter behind a weak probe could have sent name none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from nesgw.errors import PortBusy, WrongDevice
from nesgw.optical.crc import crc16
from nesgw.optical.packet import HEAD, OVERHEAD, START

_ELSEWHERE: Final = (
    "set port to the one that is the probe ('ls -l /dev/serial/by-id/' shows what is plugged in), or unplug that device"
)


class OtherDevice(Enum):
    """What speaks there, and what to do about it."""

    BUSY_BRIDGE = (
        "a bridge that says that another program uses the port",
        "stop that program (for the nesgw service: sudo systemctl stop nesgw), or let the bridge serve several",
    )
    TELNET = (
        "a telnet server",
        "write rfc2217://HOST:PORT instead of socket://HOST:PORT, or set the bridge to raw TCP",
    )
    GPS = ("a GPS receiver (NMEA)", _ELSEWHERE)
    MODEM = ("a modem", f"{_ELSEWHERE}; if it is the probe, ModemManager has taken it: see docs/install.md")
    SML = (
        "an SML meter",
        "such a meter sends by itself and does not speak C12.18: nesgw reads NES (Echelon, OSGP) meters only",
    )
    IEC = (
        "an IEC 62056-21 (or P1) meter",
        "such a meter speaks another protocol: nesgw reads NES (Echelon, OSGP) meters only",
    )
    DLMS = (
        "a meter that speaks DLMS (HDLC)",
        "such a meter speaks another protocol: nesgw reads NES (Echelon, OSGP) meters only",
    )
    MBUS = (
        "an M-Bus device",
        "that is another port or another meter: nesgw reads a NES meter's optical or MEP port, "
        "and its M-Bus devices through it",
    )
    NETWORK = (
        "a server that is no serial bridge (SSH, HTTP, FTP, mail)",
        "correct HOST:PORT to those of the bridge's raw TCP port",
    )
    ZIGBEE = ("a Zigbee, Thread or Z-Wave stick", _ELSEWHERE)
    CONSOLE = (
        "a login console",
        "take the console off this port (on a Raspberry Pi: raspi-config, Interface Options, Serial Port), "
        "or set port to the one that is the probe",
    )
    TEXT = ("a device that sends text", _ELSEWHERE)
    SEVEN_BITS = (
        "a line that passes seven of eight bits",
        "set the bridge or the adapter to 9600 baud, 8 data bits, no parity, 1 stop bit",
    )
    XON_XOFF = (
        "a line that swallows the bytes 11 and 13: XON/XOFF flow control",
        "switch software flow control off at the bridge",
    )
    ZEROS = (
        "a line that is held low (nothing but zero bytes)",
        "the receiver is wired the wrong way round, has no power, or its signal is inverted; "
        "some probes draw their power from DTR: dtr = true (nesgw align --dtr)",
    )

    @property
    def what(self) -> str:
        """What it is, with its article."""
        return self.value[0]

    @property
    def advice(self) -> str:
        """What to do."""
        return self.value[1]


_ENOUGH_TEXT: Final = 24  # bytes
_MOSTLY: Final = 0.95
_ENOUGH_ZEROS: Final = 16
_LAST_SUBSYSTEM: Final = 0x15
_LEAST_HDLC: Final = 7  # bytes: format, two addresses, control, check sequence
_LONGEST_RADIO: Final = 64  # bytes of a frame: noise makes longer ones by chance
_FLOW: Final = (0x11, 0x13)
_REPEATED: Final = 2  # one packet that is sound with a byte put in may be chance

# Each with the flags that its pattern needs. Control bytes of other protocols make chance hits in noise all but
# impossible: the shortest has four bytes, or three at the very beginning.
_SAYS: Final = {
    device: re.compile(b"|".join(patterns), flags)
    for device, flags, *patterns in (
        # ser2net, esp-link and their like say it before they close the connection.
        (OtherDevice.BUSY_BRIDGE, re.I, rb"(port|device|line|server)[^\r\n]{0,40}(in use|busy|occupied)"),
        # RFC 854: IAC with WILL, WON'T, DO or DON'T and an option, first of all or twice; a subnegotiation.
        (
            OtherDevice.TELNET,
            re.S,
            rb"\A\s*\xff[\xfb-\xfe][\x00-\x31]",
            rb"(\xff[\xfb-\xfe][\x00-\x31]){2}",
            rb"\xff\xfa[^\xff]{1,80}\xff\xf0",
        ),
        # The escape sequence of SML's transport layer, with its begin or end.
        (OtherDevice.SML, re.S, rb"\x1b\x1b\x1b\x1b[\x01\x1a]"),
        # NMEA 0183 of a satellite receiver, a maker's own, AIS; the binary form of u-blox.
        (
            OtherDevice.GPS,
            re.S,
            rb"\$(G[APNLBQI]|BD|QZ|II|WI)[A-Z]{3},",
            rb"\$P[A-Z]{3}[A-Z0-9]*,",
            rb"!AIVD[MO],",
            rb"\xb5\x62[\x01-\x13\x21\x27]..\x00",
        ),
        # An OBIS code with and without medium and channel, and the identification that such a meter sends first.
        (
            OtherDevice.IEC,
            re.S,
            rb"\d-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}",
            rb"\b[0-9CFL]\.\d{1,2}\.\d{1,2}\(",
            rb"/[A-Z][A-Za-z]{2}\d[ -~]*\r\n",
        ),
        # What such servers say first, or to what they do not understand.
        (OtherDevice.NETWORK, re.S, rb"\ASSH-[12]\.", rb"\AHTTP/1\.[01] \d{3}", rb"\A220[ -][^\r\n]*\r\n"),
        # ASH of Silicon Labs: reset, and its acknowledgement.
        (OtherDevice.ZIGBEE, re.S, rb"\xc0\x38\xbc\x7e", rb"\xc1\x02.{1,4}\x7e"),
        # Answers to Hayes commands and what comes unasked; a command that is echoed.
        (
            OtherDevice.MODEM,
            re.M,
            rb"^(OK|ERROR|RING|NO CARRIER|NO DIALTONE|RDY)\r",
            rb"^(\+C[A-Z]{2,4}|\^[A-Z]{4,}):[^\r\n]*\r",
            rb"^AT[+&][A-Z]+",
        ),
        # A prompt. A terminal shows the control bytes that it is sent as ^@, ^A and so on.
        (
            OtherDevice.CONSOLE,
            re.I | re.M,
            rb"\blogin: ?",
            rb"^password: ?",
            rb"login incorrect|command not found",
            rb"\^@\^@",
            rb"^[\w.-]+@[\w.-]+:[^\r\n]*[$#] ",
        ),
    )
}


def busy_bridge(port: object) -> PortBusy:
    """Return the error for a bridge that says that it serves another."""
    return PortBusy(port=port, holder="another program, as the bridge says")


def wrong_device(device: OtherDevice, **facts: object) -> PortBusy | WrongDevice:
    """Return the error for a device in a meter's place, or for a bridge that says that it serves another.

    ``facts`` are those of the error that it takes the place of; the port's name is one.
    """
    if device is OtherDevice.BUSY_BRIDGE:
        return busy_bridge(facts["port"])
    return WrongDevice(**{**facts, "device": device.what, "advice": device.advice})


def recognise(heard: bytes) -> OtherDevice | None:
    """Name what sent these bytes, none of which belonged to a sound packet; None where a meter could have."""
    for looks in (_by_words, _framed, _hdlc, _mbus, _doubled, _seven_bits, _flow_controlled, _zeros, _text):
        if device := looks(heard):
            return device
    return None


def _by_words(heard: bytes) -> OtherDevice | None:
    """Look for what only that device says; also with the parity bit of 7E1 and 7O1 in the way."""
    bare = bytes(byte & 0x7F for byte in heard)
    for said in (heard, bare) if _is_text(bare) else (heard,):
        for device, pattern in _SAYS.items():
            if pattern.search(said):
                return device
    return None


def _framed(heard: bytes) -> OtherDevice | None:
    """Look for a whole frame of a radio stick whose own check is right: Z-Stack (FE) and Z-Wave (01)."""
    checks: dict[int, Callable[[bytes], bool]] = {0xFE: _is_z_stack, 0x01: _is_z_wave}
    for place, byte in enumerate(heard):
        if byte in checks and checks[byte](heard[place:]):
            return OtherDevice.ZIGBEE
    return None


def _is_z_stack(data: bytes) -> bool:
    """``FE length command(2) data xor``: the command's first byte is its kind, 1 to 3, and its subsystem, to 0x15."""
    end = data[1] + 5 if len(data) > 1 else 0
    return (
        0 < end <= min(len(data), _LONGEST_RADIO)
        and data[2] >> 5 in (1, 2, 3)
        and data[2] & 0x1F < 0x16
        and _xor(data[1 : end - 1]) == data[end - 1]
    )


def _is_z_wave(data: bytes) -> bool:
    """``01 length kind command data checksum``, kind 0 or 1."""
    end = data[1] + 2 if len(data) > 1 else 0
    return (
        5 <= end <= min(len(data), _LONGEST_RADIO) and data[2] < 2 and _xor(data[1 : end - 1]) ^ 0xFF == data[end - 1]
    )


def _hdlc(heard: bytes) -> OtherDevice | None:
    """Look for a frame of type 3 whose check sequence is right: ``7E A0+ length … fcs 7E``, HDLC."""
    for place in (place for place, byte in enumerate(heard) if byte == 0x7E):
        length = int.from_bytes(heard[place + 1 : place + 3], "big") & 0x7FF
        frame, behind = heard[place + 1 :][:length], heard[place + 1 + length :][:1]
        if (
            length >= _LEAST_HDLC
            and frame[0] >> 4 == 0xA
            and behind == b"\x7e"
            and crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")
        ):
            return OtherDevice.DLMS
    return None


def _mbus(heard: bytes) -> OtherDevice | None:
    """Look for a long frame whose checksum is right: ``68 L L 68 … sum 16`` of the wired M-Bus."""
    for place in (place for place, byte in enumerate(heard) if byte == 0x68):
        head = heard[place : place + 4]
        if len(head) == 4 and head[1] == head[2] >= 3 and head[3] == 0x68:
            body, end = heard[place + 4 :][: head[1]], heard[place + 4 + head[1] :][:2]
            if end == bytes((sum(body) & 0xFF, 0x16)):
                return OtherDevice.MBUS
    return None


def _xor(data: bytes) -> int:
    result = 0
    for byte in data:
        result ^= byte
    return result


def _doubled(heard: bytes) -> OtherDevice | None:
    """Find a packet that is sound once each FF FF is one FF: a telnet port doubles the byte (RFC 854)."""
    if b"\xff\xff" not in heard:
        return None
    single = heard.replace(b"\xff\xff", b"\xff")
    return OtherDevice.TELNET if any(0xFF in packet for packet in _sound_packets(single)) else None


def _sound_packets(heard: bytes) -> Iterator[bytes]:
    for place in _starts(heard):
        packet = heard[place : place + _data_length(heard, place) + OVERHEAD]
        if len(packet) > OVERHEAD and crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little"):
            yield packet


def _starts(heard: bytes) -> Iterator[int]:
    return (place for place, byte in enumerate(heard) if byte == START)


def _data_length(heard: bytes, place: int) -> int:
    return int.from_bytes(heard[place + 4 : place + HEAD], "big")


def _seven_bits(heard: bytes) -> OtherDevice | None:
    """Find the head of a packet with bit 7 gone, EE become 6E, where no byte has that bit."""
    head = re.compile(rb"n\x00[\x00 @`]\x00\x00[\x01-\x7f]")
    return OtherDevice.SEVEN_BITS if heard and max(heard) < 0x80 and head.search(heard) else None


def _flow_controlled(heard: bytes) -> OtherDevice | None:
    """Find packets that are sound with one 11 or 13 put back in, where neither ever comes."""
    if any(byte in heard for byte in _FLOW):
        return None
    return OtherDevice.XON_XOFF if sum(map(_lacks_one, _cut_packets(heard))) >= _REPEATED else None


def _cut_packets(heard: bytes) -> Iterator[bytes]:
    """Give what may be a packet short of one byte, from each start byte on."""
    for place in _starts(heard):
        length = _data_length(heard, place)
        packet = heard[place : place + length + OVERHEAD - 1]
        if 0 < length <= len(packet) - OVERHEAD + 1:
            yield packet


def _lacks_one(packet: bytes) -> bool:
    whole = (packet[:at] + bytes((byte,)) + packet[at:] for at in range(HEAD, len(packet) + 1) for byte in _FLOW)
    return any(crc16(each[:-2]) == int.from_bytes(each[-2:], "little") for each in whole)


def _zeros(heard: bytes) -> OtherDevice | None:
    zeros = heard.count(0)
    return OtherDevice.ZEROS if zeros >= _ENOUGH_ZEROS and zeros >= _MOSTLY * len(heard) else None


def _text(heard: bytes) -> OtherDevice | None:
    return OtherDevice.TEXT if len(heard) >= _ENOUGH_TEXT and _is_text(heard) else None


def _is_text(heard: bytes) -> bool:
    shown = sum(0x20 <= byte < 0x7F or byte in b"\r\n\t" for byte in heard)
    return bool(heard) and shown >= _MOSTLY * len(heard)
