"""The files of nesgw setup: all or none, with the owner and the mode that the service needs."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from nesgw.commands.setup import files
from nesgw.commands.setup.files import refuse_without_rights, write
from nesgw.commands.setup.plan import NewFile
from nesgw.config.settings import Secret
from nesgw.errors import OutputFailed, SetupDenied

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> int:
    """The service's group: one that this machine has."""
    found = grp.getgrall()[-1]
    monkeypatch.setattr(files, "SERVICE_GROUP", found.gr_name)
    return found.gr_gid


@pytest.fixture
def _no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SERVICE_GROUP", "no-such-group")


def rights(path: Path) -> tuple[str, int]:
    found = path.stat()
    return oct(stat.S_IMODE(found.st_mode)), found.st_gid


@AS_ROOT
def test_what_is_new_is_for_root_and_the_service(tmp_path: Path, group: int) -> None:
    key, config = tmp_path / "etc" / "house.key", tmp_path / "etc" / "config.toml"
    write([NewFile(key, Secret("k\n"), secret=True), NewFile(config, Secret("c\n"), secret=False)])
    assert rights(key) == rights(config) == ("0o640", group)
    assert rights(tmp_path / "etc") == ("0o750", group)
    assert key.read_text() == "k\n"


@pytest.mark.usefixtures("_no_service")
def test_without_the_service_it_is_for_the_owner_alone(tmp_path: Path) -> None:
    write([NewFile(tmp_path / "house.key", Secret("k"), secret=True)])
    assert rights(tmp_path / "house.key")[0] == "0o600"


@AS_ROOT
def test_a_configuration_keeps_its_owner_and_mode(tmp_path: Path, group: int) -> None:
    config = tmp_path / "config.toml"
    config.write_text("old")
    config.chmod(0o644)
    os.chown(config, 65534, 65534)
    write([NewFile(config, Secret("new"), secret=False)])
    assert config.read_text() == "new"
    assert rights(config) == ("0o644", 65534)
    assert group != 65534


@AS_ROOT
def test_a_secret_that_everybody_could_read_no_longer_can_be(tmp_path: Path, group: int) -> None:
    key = tmp_path / "house.key"
    key.write_text("old")
    key.chmod(0o644)
    write([NewFile(key, Secret("new"), secret=True)])
    assert rights(key) == ("0o640", group)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("old")
    (tmp_path / "config.toml").symlink_to("real.toml")
    write([NewFile(tmp_path / "config.toml", Secret("new"), secret=False)])
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text() == "new"


def test_where_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    key = tmp_path / "house.key"
    key.write_text("old")
    (tmp_path / "file").write_text("no folder")
    impossible = tmp_path / "file" / "config.toml"
    with pytest.raises(OutputFailed):
        write([NewFile(key, Secret("new"), secret=True), NewFile(impossible, Secret("c"), secret=False)])
    assert key.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "house.key"]


def test_who_may_not_write_is_told_at_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, mode: int) -> bool:
        return mode != os.W_OK | os.X_OK

    monkeypatch.setattr(os, "access", refused)
    with pytest.raises(SetupDenied) as denied:
        refuse_without_rights(tmp_path / "etc" / "config.toml")
    assert str(tmp_path) in str(denied.value)
    assert denied.value.exit_code == 77
    assert denied.value.remedy == "run: sudo nesgw setup"
