"""Exchanges on the MEP port, byte for byte, for both sides to be proven by.

G: printed in the MEP Client Developer's Guide 1.1, on the page given. C: computed for the specification, by code that
is part of neither side. No exchange here was made by nesgw or by its simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTORY_KEY = bytes([1]) * 16
KEY = b"a7941d85bce8a8fa2ab7"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer as on the wire, and what they say."""

    name: str
    key: bytes  # of the meter
    request: bytes
    answer: bytes
    table: int
    offset: int | None  # None: a full read
    count: int
    number: int
    code: int
    data: bytes = b""
    reported: int | None = None  # number, by 0x0C
    signed_with: bytes | None = None  # the request, if not with the meter's key


BT23_G2 = bytes(16) + bytes.fromhex("08 00 00 00 03 00 00 00") + bytes(16) + bytes.fromhex("06 00 00 00")
BT23_C2 = bytes.fromhex("74 40 05 00 9F 1D 00 00")
BT28_C3 = bytes.fromhex(
    "96 0A 00 00 00 00 00 00 00 00 00 00 39 02 00 00 F8 0C 00 00"
    "DC 0C 00 00 90 19 00 00 27 70 03 00 EF 6F 03 00 76 70 03 00"
)
BT28_C4 = bytes(range(0xDC))
BT52_C5 = bytes.fromhex("1A 0B 14 08 1E 00 15")
ET53_G5 = bytes.fromhex("6F 00 01 01 00")

EXCHANGES = (
    Exchange(
        "G1, page 15: the number is out of turn",
        FACTORY_KEY,
        bytes.fromhex("00 14 3F 00 17 00 00 00 00 2C 01 02 03 04 74 86 1F 6D 76 58 DD 56"),
        bytes.fromhex("00 0D 0C 77 63 5B 90 35 86 3C 1D F5 B9 14 82"),
        *(23, 0, 0x2C, 0x01020304, 0x0C),
        reported=0x77635B90,
    ),
    Exchange(
        "G2, page 16: on with the number behind it",
        FACTORY_KEY,
        bytes.fromhex("00 14 3F 00 17 00 00 00 00 2C 77 63 5B 91 13 DB 85 A1 35 A0 57 5E"),
        bytes.fromhex("00 37 00 00 2C") + BT23_G2 + bytes.fromhex("AD DC B8 2C 3D 41 7F 91"),
        *(23, 0, 0x2C, 0x77635B91, 0),
        BT23_G2,
    ),
    Exchange(
        "G5, page 47: ET53",
        FACTORY_KEY,
        bytes.fromhex("00 14 3F 08 35 00 00 00 00 05 5B 4E 42 E7 48 97 75 DA D8 53 E3 A3"),
        bytes.fromhex("00 10 00 00 05 6F 00 01 01 00 97 4B 99 CA A3 31 45 19"),
        *(2048 + 53, 0, 5, 0x5B4E42E7, 0),
        ET53_G5,
    ),
    Exchange(
        "C1: first contact",
        KEY,
        bytes.fromhex("00 14 3F 00 17 00 00 00 00 08 00 00 00 01 EF 34 07 96 99 CC E4 8E"),
        bytes.fromhex("00 0D 0C 5B 4E 43 00 F6 D8 97 79 0F E0 2F 0E"),
        *(23, 0, 8, 1, 0x0C),
        reported=0x5B4E4300,
    ),
    Exchange(
        "C2: BT23, 8 bytes",
        KEY,
        bytes.fromhex("00 14 3F 00 17 00 00 00 00 08 5B 4E 43 01 5C 40 B0 7B D9 15 0E B8"),
        bytes.fromhex("00 13 00 00 08 74 40 05 00 9F 1D 00 00 AB 2C 61 56 6B 63 40 7D"),
        *(23, 0, 8, 0x5B4E4301, 0),
        BT23_C2,
    ),
    Exchange(
        "C3: BT28, 40 bytes",
        KEY,
        bytes.fromhex("00 14 3F 00 1C 00 00 00 00 28 5B 4E 43 02 2F F0 B5 78 39 66 F1 1C"),
        bytes.fromhex("00 33 00 00 28") + BT28_C3 + bytes.fromhex("0F FE 02 70 57 18 36 B2"),
        *(28, 0, 40, 0x5B4E4302, 0),
        BT28_C3,
    ),
    Exchange(
        "C4: BT28, 220 bytes, a digest over two blocks",
        KEY,
        bytes.fromhex("00 14 3F 00 1C 00 00 00 00 DC 5B 4E 43 03 B5 F0 E7 2F 3E E2 78 24"),
        bytes.fromhex("00 E7 00 00 DC") + BT28_C4 + bytes.fromhex("40 71 34 B4 DC D0 5B 82"),
        *(28, 0, 0xDC, 0x5B4E4303, 0),
        BT28_C4,
    ),
    Exchange(
        "C5: BT52 in full, with room for 512 bytes",
        KEY,
        bytes.fromhex("00 11 30 00 34 02 00 5B 4E 43 04 A5 1E B3 2D 7D DE 87 B9"),
        bytes.fromhex("00 12 00 00 07 1A 0B 14 08 1E 00 15 4D B4 1A 92 AF 41 09 E9"),
        *(52, None, 512, 0x5B4E4304, 0),
        BT52_C5,
    ),
    Exchange(
        "C6: BT21 is absent",
        KEY,
        bytes.fromhex("00 14 3F 00 15 00 00 00 00 0A 5B 4E 43 05 4D 86 FA F3 7B 2B D8 47"),
        bytes.fromhex("00 09 05 B6 4B C5 8C C7 E7 BC 04"),
        *(21, 0, 10, 0x5B4E4305, 5),
    ),
    Exchange(
        "C7: no permission",
        KEY,
        bytes.fromhex("00 14 3F 00 15 00 00 00 00 0A 5B 4E 43 06 B6 F0 71 2F 99 DD 2F F3"),
        bytes.fromhex("00 09 03 4E 05 BF 57 37 48 1D 11"),
        *(21, 0, 10, 0x5B4E4306, 3),
    ),
    Exchange(
        "C8: the factory key in place of the meter's",
        KEY,
        bytes.fromhex("00 14 3F 00 17 00 00 00 00 08 5B 4E 43 07 25 17 00 8D 4D 40 CA 72"),
        bytes.fromhex("00 01 0B"),
        *(23, 0, 8, 0x5B4E4307, 0x0B),
        signed_with=FACTORY_KEY,
    ),
)

# A write, never sent by nesgw. What it shows: an answer of the single byte 00 has the digest of its request.
G3_REQUEST = bytes.fromhex("00 15 4F 08 32 00 00 1E 00 01 01 77 63 6E 2F 86 E5 0E 26 67 D1 E6 3C")
G3_ANSWER = bytes.fromhex("00 09 00 86 E5 0E 26 67 D1 E6 3C")

# Encrypted, with KEY. Plain: BT52 in full as C5, number 5B4E4308; BT23, 8 bytes, number 2, reports 5B4E4308.
C10_REQUEST = bytes.fromhex("00 14 08 99 B4 AD 4F 55 51 85 61 75 0A A6 2A EF 86 31 B0 B7 AF 19")
C10_ANSWER = bytes.fromhex("00 12 1D C7 8F 88 FE E8 E3 8A 86 CC 24 DB BD ED A1 77 A2 7A")
C11_REQUEST = bytes.fromhex("00 14 C8 4A 11 D9 6A FF 2D 8D 33 56 0B 52 B6 B9 7C 07 1A 1D A1 3C")
C11_ANSWER = bytes.fromhex("00 0D 44 ED 7F 1A 8E C3 A7 42 43 37 24 9C 24")

ALERT = bytes(2)
