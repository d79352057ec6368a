"""nesgw dump: what is in the file and what never is, and that the simulated meter plays it back as the same meter."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.commands.dump import document as dump
from nesgw.errors import KeyRefused, MeterMisbehaved, TableNotPresent
from nesgw.simulator import DEFAULT_KEY, PROFILES, PtyLine, SimulatedMeter, VirtualLine, from_dump
from nesgw.tables import extent
from nesgw.tables.extent import Tables
from nesgw.tables.register import table_number
from tests.virtual import VirtualPort, line_to, meter_on, reader_on

KEY = DEFAULT_KEY.decode()


def reading(line: Any) -> tuple[Any, ...]:
    meter = meter_on(line)
    with meter.session(line.clock() + 60):
        facts = meter.facts()
        return facts, meter.reading()


def dumped(line: Any, load_profile: bool = False) -> Any:
    """What the command does, in virtual time and at no pace."""
    tables = Tables()
    with reader_on(line) as reader:
        for name in extent.CATALOGUE:
            if not load_profile and name in extent.LOAD_PROFILE:
                continue
            while (part := extent.next_part(name, tables)) is not None:
                try:
                    extent.take(name, reader.read(part), tables)
                except (TableNotPresent, KeyRefused, MeterMisbehaved) as problem:
                    tables.refused[name] = dump.refusal(problem)
                    break
    return tables


def secrets_of(line: Any) -> Iterator[Any]:
    """Everything that must not be in the file, in every form: as text, as hex of the text, packed, turned round."""
    profile = line.meter.profile
    serials = [profile.serial, profile.maker_serial.lstrip("0")]
    serials += re.findall(r"serial (\d{8})", " ".join(m.describes for m in profile.sub_meters if m))
    for serial in serials:
        packed = serial.zfill(len(serial) + len(serial) % 2)
        turned = bytes.fromhex(packed)[::-1].hex()
        yield from (serial, serial.encode().hex(), packed, turned)
    yield from (KEY, KEY.encode().hex(), "CUSTOMER", b"CUSTOMER".hex())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_dump_played_back_reads_as_the_same_meter_and_tells_no_serial_number(profile: Any, tmp_path: Path) -> None:
    line = line_to(profile, key_opens_all=True)
    tables = dumped(line)
    _, before = reading(line)
    content: Any = dump.document(tables, DEFAULT_KEY, before.time)
    text = dump.text(content)
    for secret in secrets_of(line):
        assert secret not in text, secret

    path = tmp_path / "dump.json"
    path.write_text(text)
    copy = VirtualPort(from_dump(path))
    facts, after = reading(copy)
    assert list(after.values) == list(before.values)
    assert after.values == content["decoded"]["values"]
    identity = content["decoded"]["identity"]
    assert (facts.identity.model, str(facts.identity.firmware)) == (identity["model"], identity["firmware"])
    assert facts.identity.utility_serial.startswith("99"), "made up"
    assert content["decoded"]["remarks"] == []
    for key in ("clock", "alarms", "log", "load_profile"):
        assert content["decoded"][key], key

    again: Any = dump.document(dumped(copy), DEFAULT_KEY, before.time)
    differing = {name for name in content["tables"] if again["tables"].get(name) != content["tables"][name]}
    assert differing == set(), "a dump of the copy is the same dump"


def test_every_table_of_the_simulated_meter_that_is_on_the_list_is_read_whole() -> None:
    line = line_to("gen4-4.30", key_opens_all=True)
    tables = dumped(line)
    for name, data in tables.data.items():
        image = line.meter.image(table_number(name))
        assert len(data) >= len(image.rstrip(b"\0")), name


@pytest.mark.parametrize("profile", PROFILES)
def test_over_the_mep_port_a_dump_has_the_same_tables_as_far_as_it_offers_them(profile: Any) -> None:
    """Those that do not change while they are read, byte for byte."""
    optical, mep = (dumped(line_to(profile, interface, key_opens_all=True)) for interface in ("optical", "mep"))
    assert mep.data.keys() <= optical.data.keys()
    assert {"BT01", "BT21", "BT23", "BT28", "BT74", "ET03"} & optical.data.keys() <= mep.data.keys()
    for name in {
        "BT00",
        "BT01",
        "BT20",
        "BT21",
        "BT22",
        "BT27",
        "BT61",
        "BT62",
        "BT71",
        "ET03",
        "ET42",
    } & mep.data.keys():
        assert mep.data[name] == optical.data[name], name
    assert set(mep.refused) - set(optical.refused) >= {"BT03"}


class TestWhatIsRefused:
    def test_its_code_is_kept_and_plays_back(self, tmp_path: Path) -> None:
        line = line_to("gen2-2.01", key_opens_all=False)
        tables = dumped(line)
        assert tables.refused["BT21"] == "iar"
        assert tables.refused["ET21"] == "isc"
        path = tmp_path / "dump.json"
        path.write_text(dump.text(dump.document(tables, DEFAULT_KEY, reading(line)[1].time)))
        assert json.loads(path.read_text())["tables"]["BT21"] == {"refused": "iar"}
        facts, _ = reading(VirtualPort(from_dump(path)))
        assert not facts.dimensions.actual

    @pytest.mark.parametrize(
        ("problem", "code"),
        [
            (TableNotPresent(table="ET99"), "iar"),
            (KeyRefused(service="Read", code="isc (insufficient security clearance): the key is too weak"), "isc"),
            (MeterMisbehaved(service="Read", problem="…", code="onp (operation not possible)"), "onp"),
            (MeterMisbehaved(service="Read", problem="nonsense"), None),
        ],
    )
    def test_the_code_is_the_short_one(self, problem: Any, code: str | None) -> None:
        assert dump.refusal(problem) == code


class TestTheMasks:
    def test_the_key_of_a_sub_meter_is_never_asked_for(self) -> None:
        line = line_to("83331-3i-solar", key_opens_all=True)
        asked = []
        answer = line.meter.session.answer

        def spy(data: Any, *rest: Any) -> Any:
            asked.append(data)
            return answer(data, *rest)

        line.meter.session.answer = spy
        tables = dumped(line)
        reads = [data for data in asked if data[1:3] == (2048 + 13).to_bytes(2, "big")]
        assert reads
        for data in reads:
            assert data[0] == 0x3F, "in parts"
            offset, count = int.from_bytes(data[3:6], "big"), int.from_bytes(data[6:8], "big")
            assert offset % 66 + count <= 28
        assert tables["ET13"][28:66] == bytes(38)

    def test_a_telegrams_fabrication_number_customer_and_location_are_found(self) -> None:
        records = bytes.fromhex("0c13 674523010c78 214365870dfd11 03 4142430dfd10 02 58590b3b 000000")
        assert [records[at : at + size].hex() for at, size in dump.identifying(records)] == [
            "21436587",
            "414243",
            "5859",
        ]

    @pytest.mark.parametrize("records", ["", "0c", "0c78", "8c", "0dfd11ff", "0f1234", "2f2f"])
    def test_a_telegram_that_is_cut_off_is_no_trouble(self, records: str) -> None:
        assert list(dump.identifying(bytes.fromhex(records))) in ([], [(2, 4)], [(4, 15)])

    def test_a_serial_number_in_an_unknown_place_is_found_in_each_form(self) -> None:
        tables = Tables({"BT00": bytes(19), "BT01": bytes(16) + bytes.fromhex("0000000012345678")})
        tables.data["ET03"] = b"4080123456".ljust(143, b"\0")
        tables.data["ET55"] = b"ab4080123456cd" + bytes.fromhex("12345678 00 78563412 00") + b"12345678"
        tables.data["ET54"] = (4080123456).to_bytes(4, "little") + bytes.fromhex("4080123456")
        mask = dump.Mask(tables)
        masked = mask.apply(None)
        assert masked["ET55"] == b"ab0000000000cd" + bytes(10) + b"00000000"
        assert masked["ET54"] == bytes(9)
        assert tables["ET03"].startswith(b"4080123456"), "the originals stay"
        assert "ET55, bytes 2 to 11: serial number or customer id again" in mask.notes

    def test_what_is_too_short_or_all_zeros_is_not_looked_for(self) -> None:
        assert list(dump.forms("000000")) == []
        assert list(dump.forms("12")) == []
        assert b"12345678" in dump.forms("0012345678")


class TestTheCommand:
    @pytest.fixture
    def line(self) -> Iterator[Any]:
        with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
            yield line

    def test_it_writes_a_file_named_after_the_kind_of_meter_and_never_over_one(
        self, line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "key").chmod(0o600)
        command = ["dump", "--port", line.path, "--key-file", "key"]
        assert main(command) == 0
        (path,) = tmp_path.glob("nesgw-dump-*")
        assert re.fullmatch(r"nesgw-dump-83331-3I-3\.84\.06-\d{4}-\d\d-\d\d\.json", path.name)
        said = capsys.readouterr().out
        assert said.startswith(f"{path.name}: ")
        assert "left out: the key, all serial numbers and customer ids, the load profile." in said
        assert "BT64" not in json.loads(path.read_text())["tables"]
        before = path.read_bytes()
        assert main(command) == 64
        assert capsys.readouterr().err == (
            f"nesgw: {path.name} is there already: name another file; see: nesgw dump --help\n"
        )
        assert path.read_bytes() == before

    def test_a_link_that_leads_nowhere_is_refused_before_the_meter_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (key := tmp_path / "key").write_text(KEY)
        key.chmod(0o600)
        (link := tmp_path / "dump.json").symlink_to("/nonexistent/dump.json")
        assert main(["dump", "--port", "/dev/none", "--key-file", str(key), str(link)]) == 64
        assert f"{link} is there already: name another file" in capsys.readouterr().err

    def test_a_file_that_finds_no_room_is_74_and_is_not_left_half(
        self, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        key, path = tmp_path / "key", tmp_path / "dump.json"
        key.write_text(KEY)
        key.chmod(0o600)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        try:
            assert main(["dump", "--port", line.path, "--key-file", str(key), str(path)]) == 74
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert capsys.readouterr().err == (
            f"nesgw: {path}: File too large: make room there, or write to another place\n"
        )
        assert not path.exists()

    def test_a_folder_that_is_not_there_is_told_before_anything_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["dump", str(tmp_path / "none/x.json"), "--config", "/none"]) == 64
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_a_file_that_cannot_be_looked_for_is_told_before_anything_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / ("x" * 300)
        assert main(["dump", str(path), "--config", "/none"]) == 64
        assert capsys.readouterr().err == f"nesgw: {path}: File name too long; see: nesgw dump --help\n"

    @pytest.mark.parametrize("content", ["", "{}", '{"format":"nesgw-dump","version":2}', "\x00"])
    def test_what_is_no_dump_is_not_played_back(
        self, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "dump.json"
        path.write_text(content)
        assert main(["simulate", "--from", str(path)]) == 64
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert "not a nesgw-dump" in err

    def test_a_dump_that_is_not_there_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["simulate", "--from", "/none.json"]) == 64
        assert capsys.readouterr().err == (
            "nesgw: --from /none.json: No such file or directory; see: nesgw simulate --help\n"
        )


def test_the_load_profile_is_there_when_it_is_asked_for() -> None:
    line = VirtualPort(SimulatedMeter("gen4-4.30", clock=lambda: 1_000_000.0, key_opens_all=True))
    tables = dumped(line, load_profile=True)
    assert len(tables["BT67"]) == 4 * (5 + 12 + 96 * 10)
    assert isinstance(line, VirtualLine)
