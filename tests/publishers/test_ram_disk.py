"""The RAM disk: what is refused, what is written, and what bad days leave behind."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nesgw.errors import CacheUnavailable, ConfigError
from nesgw.publishers import payloads
from nesgw.publishers.payloads import MeterStatus
from nesgw.publishers.ram_disk import RamDisk, filesystem, mounted_at, read_file, readings, refuse_disk
from nesgw.values import Reading

# The partial reads of a real NES 83334, with the energy it showed.
BT23 = bytes.fromhex("744005009f1d0000")
BT28 = bytes.fromhex("960a0000000000000000000000000000")
READING = Reading(
    datetime(2026, 11, 20, 10, 21, 5, 120_000, UTC), {"energy_import": 344.180}, {"BT23": BT23, "BT28": BT28}
)

MOUNTS = r"""22 27 0:20 / /proc rw,nosuid shared:12 - proc proc rw
22 27 0:20 / /proc rw,nosuid shared:12 - proc proc rw
27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
30 27 0:25 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=93000k
41 30 0:40 / /run/user/1000 rw - fuse.portal portal rw
50 27 0:50 / /var/my\040cache rw - tmpfs tmpfs rw
60 27 8:1 / /srv rw - ext4 /dev/sda1 rw
61 60 0:61 / /srv rw - ramfs none rw
"""


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def disk(memory: Path) -> RamDisk:
    disk = RamDisk(memory / "nesgw", "house")
    disk.prepare()
    return disk


class TestTheDirectory:
    @pytest.mark.parametrize(
        ("directory", "kind"),
        [
            ("/run/nesgw", "tmpfs"),
            ("/run", "tmpfs"),
            ("/run/user/1000/nesgw", "fuse.portal"),
            ("/running/nesgw", "ext4"),
            ("/var/my cache/nesgw", "tmpfs"),
            ("/var/my", "ext4"),
            ("/srv/nesgw", "ramfs"),
        ],
    )
    def test_it_belongs_to_the_longest_and_latest_mount_point(self, directory: str, kind: str) -> None:
        assert mounted_at(Path(directory), MOUNTS) == kind

    def test_memory_is_taken_even_if_the_folder_has_yet_to_be_made(self, memory: Path) -> None:
        refuse_disk(memory / "not" / "yet")

    def test_a_link_is_followed(self, memory: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(memory)
        assert filesystem(tmp_path / "link" / "nesgw") == "tmpfs"

    def test_a_disk_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ConfigError) as refusal:
            RamDisk(Path("/proc/nesgw"), "house").prepare()
        assert refusal.value.problems == [
            "[cache] directory: /proc/nesgw is on proc, not on a RAM disk, and would wear out the SD card: "
            "take a folder under /run, or mount a tmpfs there (deploy/tmpfs-fstab), or set allow_disk = true"
        ]

    def test_a_folder_that_cannot_even_be_looked_for_is_a_mistake_of_the_configuration(self) -> None:
        with pytest.raises(ConfigError, match=r"\[cache\] directory: /run/n+: file name too long: take a folder"):
            refuse_disk(Path("/run") / ("n" * 300))

    def test_a_disk_is_taken_if_the_owner_insists(self, tmp_path: Path) -> None:
        disk = RamDisk(tmp_path, "house", allow_disk=True)
        disk.prepare()
        disk.write_reading(READING.tables, payloads.state(READING))
        assert disk.last_reading() is not None

    def test_folder_and_files_can_be_read_by_others_whatever_the_umask(self, memory: Path) -> None:
        before = os.umask(0o077)
        try:
            disk = RamDisk(memory / "nesgw", "house")
            disk.prepare()
            disk.write_reading(READING.tables, payloads.state(READING))
        finally:
            os.umask(before)
        assert [stat.S_IMODE(f.stat().st_mode) for f in (disk.folder.parent, disk.folder)] == [0o755, 0o755]
        assert {stat.S_IMODE(file.stat().st_mode) for file in disk.folder.iterdir()} == {0o644}


class TestTheFiles:
    def test_a_reading_is_the_raw_tables_and_the_state_object(self, disk: RamDisk) -> None:
        disk.write_reading(READING.tables, payloads.state(READING))
        assert {file.name for file in disk.folder.iterdir()} == {"BT23", "BT28", "reading.json"}
        assert (disk.folder / "BT23").read_bytes() == BT23
        assert (disk.folder / "BT28").read_bytes() == BT28
        assert (disk.folder / "reading.json").read_text() == (
            '{"time":"2026-11-20T10:21:05.120Z","energy_import":344.18}'
        )

    def test_the_status_is_the_status_object(self, disk: RamDisk) -> None:
        disk.write_status(payloads.meter_status(MeterStatus(polls=3, failures={"no_answer": 1})))
        status = json.loads((disk.folder / "status.json").read_text())
        assert (status["polls"], status["failures"]) == (3, {"no_answer": 1})

    def test_what_was_written_can_be_read_back(self, disk: RamDisk) -> None:
        assert disk.last_reading() is None
        assert disk.last_status() is None
        disk.write_reading(READING.tables, payloads.state(READING))
        disk.write_status(payloads.meter_status(MeterStatus(polls=3)))
        assert disk.last_reading() == {"time": "2026-11-20T10:21:05.120Z", "energy_import": 344.180}
        assert (disk.last_status() or {})["polls"] == 3

    @pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
    def test_a_damaged_file_reads_as_none(self, disk: RamDisk, damage: bytes) -> None:
        (disk.folder / "reading.json").write_bytes(damage)
        assert disk.last_reading() is None

    def test_a_reader_never_sees_half_a_file(self, disk: RamDisk) -> None:
        big = Reading(READING.time, {f"field_{n}": n for n in range(2000)}, {})
        disk.write_reading(big.tables, payloads.state(big))
        done = threading.Event()

        def write() -> None:
            for _ in range(100):
                disk.write_reading(big.tables, payloads.state(big))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            assert len(json.loads((disk.folder / "reading.json").read_text())) == 2001
        writer.join()


class TestAPlaceForEverybody:
    """What another user lays there is not followed, not opened and not believed."""

    def test_a_folder_of_another_users_is_refused(self, memory: Path) -> None:
        theirs = memory / "house"
        theirs.mkdir()
        if not given_away(theirs):
            pytest.skip("only root gives away")
        with pytest.raises(CacheUnavailable, match="belongs to another user"):
            RamDisk(memory, "house").prepare()

    def test_a_folder_below_one_of_another_users_is_refused(self, memory: Path) -> None:
        theirs = memory / "x"
        (theirs / "house").mkdir(parents=True)
        if not given_away(theirs):
            pytest.skip("only root gives away")
        with pytest.raises(CacheUnavailable, match=r"/x belongs to another user"):
            RamDisk(theirs, "house").prepare()

    def test_a_folder_that_changes_hands_is_not_written_any_more(self, disk: RamDisk) -> None:
        if not given_away(disk.folder):
            pytest.skip("only root gives away")
        with pytest.raises(CacheUnavailable, match="belongs to another user"):
            disk.write_status("{}")

    def test_a_folder_that_everybody_may_write_is_refused(self, memory: Path) -> None:
        (memory / "x").mkdir()
        (memory / "x").chmod(0o777)
        with pytest.raises(CacheUnavailable, match="can be written by everybody"):
            RamDisk(memory / "x", "house").prepare()

    def test_a_link_in_place_of_the_folder_is_refused(self, memory: Path) -> None:
        (memory / "elsewhere").mkdir()
        (memory / "house").symlink_to(memory / "elsewhere")
        with pytest.raises(CacheUnavailable, match="is a link"):
            RamDisk(memory, "house").prepare()
        assert list((memory / "elsewhere").iterdir()) == []

    @pytest.mark.parametrize("name", [".nesgw-BT23", ".nesgw-reading.json", "BT23", "reading.json"])
    def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(self, disk: RamDisk, name: str) -> None:
        target = disk.folder.parent / "shadow"
        target.write_text("root's own")
        target.chmod(0o600)
        (disk.folder / name).symlink_to(target)
        disk.write_reading(READING.tables, payloads.state(READING))
        assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("root's own", 0o600)
        assert not (disk.folder / "BT23").is_symlink()
        assert (disk.folder / "BT23").read_bytes() == BT23

    def test_a_pipe_in_place_of_a_file_is_not_waited_for(self, disk: RamDisk) -> None:
        os.mkfifo(disk.folder / "status.json")
        assert disk.last_status() is None
        with pytest.raises(OSError, match="not a file of nesgw's"):
            read_file(disk.folder / "status.json")
        disk.write_status(payloads.meter_status(MeterStatus(polls=3)))
        assert (disk.last_status() or {})["polls"] == 3

    def test_a_link_or_a_device_or_an_endless_file_is_not_read(self, disk: RamDisk) -> None:
        (disk.folder / "link").symlink_to("/etc/passwd")
        (disk.folder / "endless").touch()
        os.truncate(disk.folder / "endless", 10**12)
        for name in ("link", "endless"):
            with pytest.raises(OSError):  # noqa: PT011 (which one is the system's)
                read_file(disk.folder / name)
        with pytest.raises(OSError, match="not a file"):
            read_file(Path("/dev/zero"))

    def test_of_what_is_read_back_only_numbers_count_as_values(self) -> None:
        state = {"time": "2026", "power": 5, "frequency": 50.1, "voltage_l1": None, "x": [1], "y": True, "z": "\x1b"}
        assert readings(state) == {"power": 5, "frequency": 50.1, "voltage_l1": None}


def given_away(folder: Path) -> bool:
    """Whether the folder could be made another user's."""
    try:
        os.chown(folder, 12345, 12345)
    except PermissionError:
        return False
    return True


class TestBadDays:
    def test_what_a_killed_process_left_half_written_is_swept_away(self, disk: RamDisk) -> None:
        (disk.folder / ".nesgw-reading.json").write_bytes(b'{"time"')
        disk.prepare()
        assert list(disk.folder.iterdir()) == []

    def test_a_folder_that_vanished_is_made_again(self, disk: RamDisk) -> None:
        disk.folder.rmdir()
        disk.folder.parent.rmdir()
        disk.write_reading(READING.tables, payloads.state(READING))
        assert disk.last_reading() is not None

    def test_a_folder_that_cannot_be_made_is_an_error_that_passes(self, disk: RamDisk) -> None:
        disk.folder.rmdir()
        disk.folder.write_bytes(b"a file in its place")
        with pytest.raises(CacheUnavailable) as error:
            disk.write_status(payloads.meter_status(MeterStatus()))
        assert str(error.value) == (
            f"{disk.folder}: Not a directory: make room there or give the folder back to the nesgw user; "
            "MQTT goes on without it"
        )

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
    def test_a_full_ram_disk_is_an_error_that_passes_and_the_old_files_stay(self, memory: Path) -> None:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(memory)], check=False)
        if mounted.returncode:
            pytest.skip("may not mount")
        try:
            disk = RamDisk(memory, "house")
            disk.prepare()
            disk.write_reading(READING.tables, payloads.state(READING))
            before = (disk.folder / "reading.json").read_bytes()
            (memory / "hog").write_bytes(bytes(4096 * 10))
            big = Reading(READING.time, {f"field_{n}": n for n in range(5000)}, {})
            with pytest.raises(CacheUnavailable, match="No space left on device"):
                disk.write_reading(big.tables, payloads.state(big))
            assert (disk.folder / "reading.json").read_bytes() == before
            assert not list(disk.folder.glob(".nesgw-*"))
            (memory / "hog").unlink()
            disk.write_reading(READING.tables, payloads.state(READING))
        finally:
            subprocess.run(["umount", str(memory)], check=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
    def test_a_ram_disk_that_was_taken_away_is_noticed_before_the_disk_below_is_written(self) -> None:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as below:
            if filesystem(Path(below)) in {"tmpfs", "ramfs"}:
                pytest.skip("no disk here")
            if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", below], check=False).returncode:
                pytest.skip("may not mount")
            try:
                disk = RamDisk(Path(below), "house")
                disk.prepare()
            finally:
                subprocess.run(["umount", below], check=True)
            (Path(below) / "house").mkdir()
            with pytest.raises(CacheUnavailable, match="no longer on a RAM disk"):
                disk.write_status(payloads.meter_status(MeterStatus()))
            assert list((Path(below) / "house").iterdir()) == []
