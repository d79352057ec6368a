"""Plays back what ``nesgw dump`` has written: a simulated meter with a real one's tables, word for word.

The file is JSON: ``{"format": "nesgw-dump", "version": 1, "tables": {"BT23": {"data": "<hex>"}, "ET13": {"refused":
"isc"}, …}}``; whatever else stands in it is left alone. A table that is not there is refused with ``iar``, and so is
one that was refused without saying how. Nothing moves: the registers and the clock stand as they were read.

A dump has its serial numbers masked: zeros, or X as letters of the serial or of the hex. One that is made up and
begins with 99 takes their place: the same for the same dump, another for another.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any, Final

from nesgw.simulator.meter import SimulatedMeter
from nesgw.simulator.profiles import PROFILES, Dimensions, Profile
from nesgw.simulator.services import Code

FORMAT, VERSION = "nesgw-dump", 1
BT01, BT20, BT21, ET03 = 1, 20, 21, 2048 + 3
_LONGEST_FILE: Final = 20_000_000  # bytes; a meter's tables take some hundred thousand
NAME: Final = re.compile(r"(BT|ET)(\d{2,4})")


def from_dump(path: Path | str, profile: str | Profile = "83331-3i", **settings: Any) -> SimulatedMeter:
    """A meter that shows a dump's tables; ``profile`` and ``settings`` say how its link and session behave.

    Raises OSError when the file cannot be read and ValueError when it is no such dump.
    """
    images = read_dump(_text(Path(path)))
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    dimensions = images.get(BT21, images.get(BT20))
    if isinstance(dimensions, bytes) and len(dimensions) >= 10:
        settings = {"actual": Dimensions(*dimensions[:10])} | settings
    return SimulatedMeter(chosen, images=images, **settings)


def _text(path: Path) -> str:
    if path.is_char_device():
        raise ValueError("no ordinary file")
    with path.open("rb") as file:
        content = file.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE:
        raise ValueError(f"not a {FORMAT}: longer than any")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"not a {FORMAT}, nor any text") from None


def read_dump(text: str) -> dict[int, bytes | Code]:
    """The tables of a dump by their numbers on the wire, each with its bytes or with the code that refuses it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"not a {FORMAT}, nor any JSON") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"not a {FORMAT} of version {VERSION}")
    tables = content.get("tables")
    if not isinstance(tables, dict):
        raise ValueError("the dump has no tables")
    images = dict(_table(name, entry) for name, entry in tables.items())
    _unmask(images)
    return images


def _table(name: str, entry: object) -> tuple[int, bytes | Code]:
    found = NAME.fullmatch(name)
    if found is None or not isinstance(entry, dict):
        raise ValueError(f"{name!r} is no table of a dump")
    number = int(found[2]) + (2048 if found[1] == "ET" else 0)
    data = entry.get("data")
    if isinstance(data, str):
        return number, bytes.fromhex(data.replace("X", "0"))
    refused = str(entry.get("refused")).upper()
    return number, Code[refused] if refused in Code.__members__ and refused != "OK" else Code.IAR


def _unmask(images: dict[int, bytes | Code]) -> None:
    """Serial numbers in place of masked ones."""
    digits = f"99{zlib.crc32(repr(sorted(images.items())).encode()) % 10**8:08d}"
    utility, maker = images.get(ET03), images.get(BT01)
    if isinstance(utility, bytes) and _masked(utility[:30]):
        images[ET03] = digits.encode().ljust(30, b"\0") + utility[30:]
    if isinstance(maker, bytes) and len(maker) >= 24 and _masked(maker[16:24]):
        images[BT01] = maker[:16] + bytes.fromhex(digits.rjust(16, "0")) + maker[24:]


def _masked(serial: bytes) -> bool:
    return not serial.strip(b"\0 0Xx")
