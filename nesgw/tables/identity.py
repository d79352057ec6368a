"""Who the meter is and how it writes its numbers: BT00, BT01 and ET03.

These three answer without a key. Believes BT00, and refuses number formats that it could only guess at.
Sources: OPG and MEPG, BT00, BT01, ET03.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from nesgw.errors import UnsupportedMeter
from nesgw.tables.register import EXTENDED, Part
from nesgw.values import Firmware, MeterIdentity, plain_id

ByteOrder = Literal["little", "big"]

BT00: Final = Part("BT00", 0, 0, 19)
BT01: Final = Part("BT01", 1, 0, 24)
ET03: Final = Part("ET03", EXTENDED + 3, 0, 30)
ET29: Final = Part("ET29", EXTENDED + 29, 0, 6)  # needs a key, and may be kept from any

# What ET29 says is built in: bits of its first three bytes, as one number with the first byte lowest.
OPTIONS: Final = {
    0: "pulse output",
    5: "disconnect switch",
    6: "control relay",
    7: "control relay 2",
    8: "M-Bus",
    10: "MEP port",
    16: "no display",
    17: "external current transformers",
}
TRANSFORMERS: Final = 17

INT32: Final = 8  # the code of NI_FMAT for four bytes, signed


class GeneralConfiguration(NamedTuple):
    """How this meter writes its tables (BT00)."""

    byteorder: ByteOrder
    manufacturer: str
    standard_version: int
    standard_revision: int
    alarm_bytes: int  # of the manufacturer's alarms in BT03: the guides print 4 and 9, the meter knows


def decode_general_configuration(data: bytes) -> GeneralConfiguration:
    """BT00; a meter that does not write its registers as INT32 is not read at all."""
    data = BT00.whole(data)
    for name, code in (("NI_FMAT1", data[2] & 15), ("NI_FMAT2", data[2] >> 4)):
        if code != INT32:
            raise UnsupportedMeter(problem=f"BT00 gives number format {code} for {name}, and nesgw reads only {INT32}")
    return GeneralConfiguration(
        byteorder="big" if data[0] & 1 else "little",
        manufacturer=_text(data[3:7]),
        standard_version=data[11],
        standard_revision=data[12],
        alarm_bytes=data[17],
    )


def decode_identity(identification: bytes, utility: bytes | None, hardware: bytes | None = None) -> MeterIdentity:
    """BT01, and ET03 and ET29 where the meter gave them.

    A meter without any serial number is refused: its topics and unique ids would be those of every such meter.
    """
    data = BT01.whole(identification)
    identity = MeterIdentity(
        manufacturer=_text(data[0:4]),
        model=_text(data[4:12]),
        firmware=decode_firmware(data[14], data[15]),
        utility_serial=_identifying(utility[: ET03.size]) if utility else "",
        manufacturer_serial=_serial(data[16:24]),
        hardware=decode_hardware(hardware) if hardware else None,
    )
    if not identity.id:
        raise UnsupportedMeter(problem="neither ET03 nor BT01 holds a serial number to know it by")
    return identity


def decode_hardware(data: bytes) -> str | None:
    """ET29: phases and options in words; None if it says nothing."""
    data = ET29.whole(data)
    options = int.from_bytes(data[:3], "little")
    phases = {1: ["single-phase"], 2: ["three-phase"]}.get(data[5] & 3, [])
    words = phases + [word for bit, word in OPTIONS.items() if options >> bit & 1]
    return ", ".join(words) or None


def behind_transformers(data: bytes | None) -> bool:
    """ET29: whether the meter is made for external current transformers; False where it does not tell."""
    return data is not None and bool(int.from_bytes(ET29.whole(data)[:3], "little") >> TRANSFORMERS & 1)


def decode_firmware(high: int, low: int) -> Firmware:
    """BT01.14 and .15: the one number that stands most significant byte first, whatever BT00 says."""
    word = high << 8 | low
    return Firmware(major=word >> 12, minor=word >> 5 & 127, build=word & 31)


def _text(data: bytes) -> str:
    """ASCII up to the first NUL; what is not printable there is left out."""
    return "".join(chr(byte) for byte in data.partition(b"\0")[0] if 32 <= byte < 127).strip()


def _identifying(data: bytes) -> str:
    """A serial number that tells a meter from others; nothing where the field was never set, or not with text."""
    written = data.partition(b"\0")[0].strip()
    return _text(written) if all(32 <= byte < 127 for byte in written) and not _is_placeholder(_text(written)) else ""


def _serial(data: bytes) -> str:
    """Packed BCD, high nibble first: sixteen digits, or nothing where the field was never set."""
    return "" if _is_placeholder(data.hex()) else data.hex()


def _is_placeholder(text: str) -> bool:
    """Whether many meters may have this for a serial number: zeros, one character repeated, words without a number."""
    plain = plain_id(text)
    return len(set(plain)) < 2 or not re.search("[1-9]", plain)
