"""Writes the inputs that fuzzing begins with: what simulated meters of every kind answer, and what their links say."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from fuzz.mep import COURSES, SECOND
from fuzz.tables import DOCUMENTED, TARGETS
from fuzz.web import REQUESTS
from nesgw.simulator import PROFILES, SimulatedMeter

FOLDER = Path(sys.argv[1])


def tables() -> None:
    """One file for each decoder and profile."""
    folder = FOLDER / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROFILES:
        meter = SimulatedMeter(name, clock=lambda: 1_000_000.0)
        for number, target in enumerate(TARGETS):
            said = bytearray((number << 1,))

            def answer(part, meter=meter, said=said) -> bytes:
                image = meter.image(part.table) or b""
                piece = image[part.offset : part.offset + part.size].ljust(part.size, b"\0")
                said.extend(piece)
                return piece

            with suppress(*DOCUMENTED):
                target(answer, "little")
            (folder / f"{target.__name__}-{name}").write_bytes(said)


def link() -> None:
    """A session: each request sent, each answer received."""
    folder = FOLDER / "link"
    folder.mkdir(parents=True, exist_ok=True)
    answers = ("00 00 01 00 00", "00 00 40 02 06", "00", "00", "00 00 04 01 02 03 04 f6", "05", "00", "00")
    for toggle in (0x00, 0x20):
        course = bytearray()
        for number, text in enumerate(answers):
            body = bytes.fromhex(text)
            packet = bytes((0xEE, 0, toggle, 0, 0, len(body))) + body
            packet += crc(packet)
            course += bytes((number, 0x20 | 1, 0x06, 0x20 | len(packet))) + packet + bytes((0xA0 | number,))
            toggle ^= 0x20
        (folder / f"session-{toggle}").write_bytes(course)


def broker() -> None:
    """Each packet that a broker sends (MQTT 3.1.1, 3), behind a welcome, and what listens on other ports."""
    folder = FOLDER / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    packets = (
        "20 02 00 00",
        "90 03 00 01 00",
        "90 03 00 01 80",
        "30 11 00 0e 6e 65 73 67 77 2f 34 32 2f 73 74 61 74 65 7b",
        "32 07 00 01 61 00 05 7b 7d",
        "34 07 00 01 61 00 05 7b 7d",
        "50 02 00 02",
        "62 02 00 05",
        "70 02 00 02",
        "b0 02 00 01",
        "d0 00",
    )
    for number, text in enumerate(packets):
        (folder / f"packet-{number}").write_bytes(b"\0" + bytes.fromhex(text))
    (folder / "all").write_bytes(b"\0" + bytes.fromhex("".join(packets)))
    for number, text in enumerate((b"220 mail ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n")):
        (folder / f"stranger-{number}").write_bytes(b"\1" + text)


def mep() -> None:
    """What happens to a MEP port that has settled."""
    folder = FOLDER / "mep"
    folder.mkdir(parents=True, exist_ok=True)
    for name, course in COURSES.items():
        (folder / name.replace(" ", "-")).write_bytes(SECOND + course)


def web() -> None:
    """What clients were seen to send."""
    folder = FOLDER / "web"
    folder.mkdir(parents=True, exist_ok=True)
    for name, said in REQUESTS.items():
        for cut in (0x00, 0x7E):
            (folder / f"{name}-{cut}").write_bytes(bytes((cut,)) + said)


def crc(data: bytes) -> bytes:
    """CRC-16/X-25, low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return (register ^ 0xFFFF).to_bytes(2, "little")


if __name__ == "__main__":
    tables()
    link()
    broker()
    mep()
    web()
