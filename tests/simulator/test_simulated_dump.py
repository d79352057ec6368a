"""A dump that is played back: exactly its tables, its refusals, and serial numbers where they were masked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nesgw.simulator import PtyLine, from_dump, serve

Make = Callable[..., Any]

BT01 = "454c4f4e 38333333312d3349 3a86 3a86"
TABLES = {
    "BT00": {"data": "02 2a 88"},
    "BT01": {"data": BT01 + "0000000000000000"},
    "BT21": {"data": "03 0c 0c 0b 00 00 00 04 00 37", "decoded": {"tiers": 4}},
    "BT23": {"data": "7440 0500 9f1d 0000"},
    "ET03": {"data": "00" * 30 + "ff" * 4},
    "ET13": {"refused": "isc"},
    "ET42": {"refused": "err"},
    "ET21": {"refused": None},
}


def write(path: Path, tables: dict[str, Any], **more: Any) -> Path:
    content = {"format": "nesgw-dump", "version": 1, "tables": tables, "nesgw": "0.2"} | more
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_exactly_the_tables_of_the_dump_are_served(hand: Make, tmp_path: Path) -> None:
    probe = hand()
    probe = type(probe)(from_dump(write(tmp_path / "dump.json", TABLES), clock=lambda: 1000.0))
    probe.open()
    assert probe.read(23) == bytes.fromhex("74 40 05 00 9f 1d 00 00")
    assert probe.read(23, 4, 8) == bytes.fromhex("9f 1d 00 00 00 00 00 00")  # zeros past the end
    assert probe.read(0) == bytes.fromhex("02 2a 88")
    for table, code in ((28, 5), (2048 + 13, 3), (2048 + 42, 1), (2048 + 21, 5), (52, 5)):
        assert probe.ask(b"\x30" + table.to_bytes(2, "big")) == bytes((code,))


def test_a_dumps_tables_want_the_key_like_any_others(hand: Make, tmp_path: Path) -> None:
    probe = type(hand())(from_dump(write(tmp_path / "dump.json", TABLES), clock=lambda: 1000.0))
    probe.ask(b"\x20")
    probe.ask(bytes.fromhex("50 00 02 20 20 20 20 20 20 20 20 20 20"))
    assert probe.ask(b"\x30\x00\x17") == b"\x03"
    assert probe.ask(b"\x30\x00\x1c") == b"\x05"
    assert len(probe.read(2051)) == 34


@pytest.mark.parametrize("mask", ["00" * 30, "58" * 10 + "00" * 20, "30" * 10 + "00" * 20, "XX" * 30])
def test_masked_serial_numbers_are_made_up_and_stay_the_same(tmp_path: Path, mask: str) -> None:
    tables = TABLES | {"ET03": {"data": mask + "ff" * 4}}
    meter = from_dump(write(tmp_path / "dump.json", tables))
    again = from_dump(tmp_path / "dump.json")
    other = from_dump(write(tmp_path / "other.json", tables | {"BT23": {"data": "01"}}))
    serial = meter.image(2051)
    assert serial is not None
    assert serial[:2] == b"99"
    assert serial[:10].decode().isdecimal()
    assert serial[10:] == bytes(20) + b"\xff" * 4
    assert again.image(2051) == serial
    assert other.image(2051) != serial
    nameplate = meter.image(1)
    assert nameplate is not None
    assert nameplate[:16] == bytes.fromhex(BT01)
    assert nameplate[16:].hex() == f"000000{serial[:10].decode()}"


def test_serial_numbers_that_were_left_in_stay(tmp_path: Path) -> None:
    tables = TABLES | {
        "ET03": {"data": b"4080123456".hex() + "00" * 20},
        "BT01": {"data": BT01 + "0000000012345678"},
    }
    meter = from_dump(write(tmp_path / "dump.json", tables))
    assert meter.image(2051) == b"4080123456" + bytes(20)
    assert (meter.image(1) or b"")[16:].hex() == "0000000012345678"


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("[]", "nesgw-dump"),
        ('{"format": "nesgw-dump", "version": 2, "tables": {}}', "version 1"),
        ('{"format": "nesgw-dump", "version": 1}', "no tables"),
        ('{"format": "nesgw-dump", "version": 1, "tables": {"XT23": {"data": "00"}}}', "XT23"),
        ('{"format": "nesgw-dump", "version": 1, "tables": {"BT23": "00"}}', "BT23"),
        ('{"format": "nesgw-dump", "version": 1, "tables": {"BT23": {"data": "0g"}}}', "hex"),
        ("not JSON", "nor any JSON"),
        ("[" * 100_000, "nor any JSON"),
        ("9" * 5000, "nor any JSON"),
    ],
)
def test_what_is_no_dump_is_refused_with_a_reason(tmp_path: Path, text: str, about: str) -> None:
    path = tmp_path / "dump.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=about):
        from_dump(path)


def test_a_device_is_no_dump_and_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="no ordinary file"):
        from_dump("/dev/zero")


def test_a_file_in_another_encoding_is_no_dump(tmp_path: Path) -> None:
    (path := tmp_path / "dump.json").write_text('{"format": "nesgw-dump"}', encoding="utf-16")
    with pytest.raises(ValueError, match="nor any text"):
        from_dump(path)


def test_polls_are_counted_by_the_dumps_own_dimensions(hand: Make, tmp_path: Path) -> None:
    tables = {"BT21": {"data": "77 0e 0c 13 02 04 01 08 02 54"}, "BT28": {"data": "00" * 350}}
    probe = type(hand())(from_dump(write(tmp_path / "dump.json", tables), clock=lambda: 1000.0))
    probe.open()
    probe.read(28, 14, 8)
    assert probe.meter.counters.polls == 1
    probe.read(28, 22, 8)
    assert probe.meter.counters.polls == 1


def test_a_dump_is_served_on_a_pseudo_terminal(tmp_path: Path) -> None:
    stop, seen = threading.Event(), []

    def ready(line: PtyLine) -> None:
        seen.append(Path(line.path).exists())
        stop.set()

    serve(from_dump=write(tmp_path / "dump.json", TABLES), ready=ready, stop=stop)
    assert seen == [True]
