"""nesgw check-config: what is in force, each mistake, and what the service will meet that root does not."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.config import access, credentials, loader

KEY = "a7941d85bce8a8fa2ab7"
NOBODY = pwd.getpwnam("nobody")

Write = Callable[..., Path]


@pytest.fixture
def ram_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def write(tmp_path: Path, ram_disk: Path) -> Write:
    """Write a configuration with a meter, a cache and more; its owner's alone."""

    def written(more: str = "", *, meter: str = f'key = "{KEY}"\n', cache: Path = ram_disk) -> Path:
        path = tmp_path / "config.toml"
        path.touch(0o600)
        path.write_text(
            f'[[meter]]\nname = "house"\nport = "/dev/a"\n{meter}[cache]\ndirectory = "{cache}"\n{more}',
        )
        return path

    return written


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command; give its exit code, and what it wrote to stdout and to stderr."""

    def checked(path: Path, *options: str) -> tuple[int, str, str]:
        code = main(["check-config", "--config", str(path), *options])
        return code, *capsys.readouterr()

    return checked


Check = Callable[..., tuple[int, str, str]]


def test_a_good_one_is_printed_as_toml_with_the_key_masked_and_its_form_named(write: Write, check: Check) -> None:
    code, said, complaints = check(path := write())
    assert (code, complaints) == (0, "")
    assert 'key = "********"' in said
    assert "# meter house: the key was recognised as 20 characters" in said
    assert KEY not in said
    assert loader.parse(said, "said") != loader.read(path), "but for the key it is the same"
    assert loader.parse(said.replace("********", KEY), "said") == loader.read(path)


def test_a_wrong_one_is_78_with_a_line_for_each_mistake(write: Write, check: Check) -> None:
    code, said, complaints = check(path := write(meter=f'key = "{KEY}"\nbauds = 9600\nrts = "yes please"\n'))
    assert (code, said) == (78, "")
    assert complaints.splitlines() == [
        f"nesgw: {path}:5: meter.house.bauds: unknown option; did you mean 'baud'?",
        f"nesgw: {path}:6: meter.house.rts: must be true or false, without quotes",
    ]


def test_a_mistake_in_the_grammar_is_shown_with_its_place(write: Write, check: Check) -> None:
    code, _, complaints = check(path := write("[mqtt]\nhost = box\n"))
    assert code == 78
    assert complaints.splitlines() == [
        f"nesgw: {path}:8: not valid TOML: texts stand in straight double quotes, numbers with a unit as well: "
        'host = "…"',
        "nesgw:     host = box",
        "nesgw:            ^",
    ]


def test_a_cache_on_a_disk_is_reported_here_already(write: Write, check: Check) -> None:
    code, _, complaints = check(path := write(cache=Path("/usr/share")))
    assert code == 78
    assert complaints.startswith(f"nesgw: {path}:6: cache.directory: /usr/share is on ")
    assert "not on a RAM disk" in complaints


class TestJson:
    def test_a_good_one_is_an_object_with_what_is_in_force_and_no_secret(self, write: Write, check: Check) -> None:
        code, said, _ = check(write('[mqtt]\nhost = ["a", "b"]\nusername = "me"\npassword = "hunter22"\n'), "--json")
        found = json.loads(said)
        assert (code, found["ok"]) == (0, True)
        assert found["configuration"]["meter"][0]["poll_interval"] == "10s"
        assert found["configuration"]["mqtt"]["host"] == ["a", "b"]
        assert found["configuration"]["mqtt"]["tls"]["enabled"] is False
        assert found["configuration"]["mqtt"]["password"] == "********"
        assert found["keys"] == {"house": "20 characters"}
        assert "hunter22" not in said
        assert KEY not in said

    def test_a_wrong_one_is_78_and_lists_each_mistake_in_parts(self, write: Write, check: Check) -> None:
        code, said, complaints = check(path := write("[mqtt]\nqos = 3\n[gatewai]\n"), "--json")
        assert (code, complaints) == (78, "")
        assert json.loads(said) == {
            "ok": False,
            "mistakes": [
                {"file": str(path), "line": 8, "option": "mqtt.qos", "problem": "must be one of 0, 1, 2"},
                {
                    "file": str(path),
                    "line": 9,
                    "option": "gatewai",
                    "problem": "unknown option; did you mean 'gateway'?",
                },
            ],
        }

    def test_what_has_no_line_has_null(self, tmp_path: Path, check: Check) -> None:
        _, said, _ = check(tmp_path / "none.toml", "--json")
        (mistake,) = json.loads(said)["mistakes"]
        assert (mistake["file"], mistake["line"], mistake["option"]) == (str(tmp_path / "none.toml"), None, None)


class TestCertificates:
    def tls(self, option: str, file: object) -> str:
        return f'[mqtt]\nport = 8883\n[mqtt.tls]\nenabled = true\n{option} = "{file}"\n'

    def test_a_ca_that_is_not_there_is_a_mistake(self, write: Write, check: Check) -> None:
        code, _, complaints = check(path := write(self.tls("ca_file", "/nonexistent/ca.pem")))
        assert code == 78
        assert complaints.startswith(f"nesgw: {path}:11: mqtt.tls.ca_file: /nonexistent/ca.pem: no such file")

    def test_a_ca_that_is_no_certificate_is_a_mistake(self, write: Write, check: Check, tmp_path: Path) -> None:
        (file := tmp_path / "ca.pem").write_text("no certificate")
        code, _, complaints = check(path := write(self.tls("ca_file", file)))
        assert code == 78
        assert complaints.startswith(f"nesgw: {path}:11: mqtt.tls.ca_file: {file}: holds no certificate in PEM format")

    def test_where_mqtt_is_off_nobody_needs_them(self, write: Write, check: Check) -> None:
        more = self.tls("ca_file", "/nonexistent/ca.pem").replace("[mqtt]\n", "[mqtt]\nenabled = false\n")
        assert check(write(more))[0] == 0


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ('username = "me"\n', "mqtt.username is set without a password; set password_file, if the broker asks for one"),
        ("port = 8883\n", "mqtt.port 8883 is usually that of TLS; set [mqtt.tls] enabled = true, if it is"),
        ("tls.enabled = true\n", "mqtt.port 1883 is usually that without TLS; with TLS it is usually 8883"),
    ],
)
def test_what_is_seldom_meant_is_remarked(write: Write, check: Check, more: str, remark: str) -> None:
    code, said, _ = check(path := write(f"[mqtt]\n{more}"))
    assert code == 0
    assert f"# remark: {remark}\n" in said
    assert json.loads(check(path, "--json")[1])["remarks"] == [remark]


class TestCredentials:
    """A secret that systemd hands to the service is seen by the service alone."""

    @pytest.fixture(autouse=True)
    def unit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        drop_in = tmp_path / "nesgw.service.d" / "override.conf"
        drop_in.parent.mkdir()
        found = credentials.of_the_service
        monkeypatch.setattr(credentials, "of_the_service", lambda: found([tmp_path]))
        return drop_in

    @pytest.mark.parametrize(
        "setting",
        [
            "LoadCredential=house.key:/root/house.key",
            "LoadCredentialEncrypted=house.key:/etc/nesgw/house.cred",
            "SetCredential=house.key:abc",
            "ImportCredential=house.*",
        ],
    )
    def test_a_key_that_the_unit_loads_is_not_missing(
        self, write: Write, check: Check, unit: Path, setting: str
    ) -> None:
        unit.write_text(f"[Service]\n{setting}\n")
        code, said, _ = check(write(meter=""))
        assert code == 0
        assert "# skipped: meter house: its key is a systemd credential, which only the service sees\n" in said

    @pytest.mark.parametrize("setting", ["", "#LoadCredential=house.key:/x", "LoadCredential=barn.key:/x"])
    def test_one_that_it_does_not_load_is(self, write: Write, check: Check, unit: Path, setting: str) -> None:
        unit.write_text(f"[Service]\n{setting}\n")
        code, _, complaints = check(write(meter=""))
        assert code == 78
        assert "the meter has no key" in complaints

    def test_a_file_that_cannot_be_read_is_no_credential(self, write: Write, check: Check, unit: Path) -> None:
        unit.write_text("[Service]\nLoadCredential=house.key:/root/house.key\n")
        code, _, complaints = check(write(meter='key_file = "/nonexistent/house.key"\n'))
        assert code == 78
        assert "/nonexistent/house.key does not exist" in complaints

    def test_a_password_that_the_unit_loads_is_not_missing(self, write: Write, check: Check, unit: Path) -> None:
        unit.write_text("[Service]\nLoadCredential=mqtt-password:/root/password\n")
        assert "# remark" not in check(write('[mqtt]\nusername = "me"\n'))[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for another user")
class TestForTheService:
    """Root can read everything; the service's user, here nobody, has to as well."""

    @pytest.fixture(autouse=True)
    def service(self, monkeypatch: pytest.MonkeyPatch, ram_disk: Path) -> None:
        monkeypatch.setattr(access, "service_user", lambda: NOBODY)
        os.chown(ram_disk, NOBODY.pw_uid, NOBODY.pw_gid)

    @pytest.fixture
    def tmp_path(self) -> Iterator[Path]:
        """A folder that everybody may enter, as /etc/nesgw is one that the service may."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            Path(folder).chmod(0o755)
            yield Path(folder)

    def given_to_service(self, file: Path, mode: int = 0o640) -> Path:
        os.chown(file, 0, NOBODY.pw_gid)
        file.chmod(mode)
        return file

    def test_what_its_group_may_read_is_well(self, write: Write, check: Check) -> None:
        assert check(self.given_to_service(write()))[0] == 0

    def test_a_configuration_that_it_cannot_read_is_a_mistake_with_the_command_to_run(
        self, write: Write, check: Check
    ) -> None:
        code, _, complaints = check(path := write())
        assert code == 78
        assert complaints.splitlines() == [
            f"nesgw: {path}: the service's user nobody cannot read {path} (Permission denied); "
            f"run: sudo chown root:nesgw {path} && sudo chmod 0640 {path}"
        ]

    @pytest.mark.parametrize("option", ["key_file", "password_file", "token_file", "ca_file"])
    def test_so_is_each_file_that_it_names(
        self, write: Write, check: Check, tmp_path: Path, option: str, request: pytest.FixtureRequest
    ) -> None:
        file = tmp_path / "file"
        file.touch(0o600)
        file.write_text(KEY)
        options: dict[str, dict[str, Any]] = {
            "key_file": {"meter": f'key_file = "{file}"\n'},
            "password_file": {"more": f'[mqtt]\nusername = "me"\npassword_file = "{file}"\n'},
            "token_file": {"more": f'[http]\nenabled = true\ntoken_file = "{file}"\n'},
            "ca_file": {"more": f'[mqtt]\nport = 8883\ntls.enabled = true\ntls.ca_file = "{file}"\n'},
        }
        if option == "ca_file":
            certificates: Path = request.getfixturevalue("certificates")
            file.write_bytes((certificates / "ca.pem").read_bytes())
        path = self.given_to_service(write(**options[option]))
        code, _, complaints = check(path)
        assert code == 78
        assert f"{option}: the service's user nobody cannot read {file} (Permission denied); run: sudo " in complaints
        self.given_to_service(file)
        assert check(path)[0] == 0

    def test_the_token_of_home_assistant_is_none_of_the_service_s(self, write: Write, check: Check) -> None:
        assert check(self.given_to_service(write('[homeassistant]\ntoken_file = "/root/token"\n')))[0] == 0

    def test_a_file_in_a_closed_folder_is_to_be_moved(self, write: Write, check: Check, tmp_path: Path) -> None:
        (closed := tmp_path / "closed").mkdir(0o700)
        (key := closed / "house.key").write_text(KEY)
        self.given_to_service(key)
        code, _, complaints = check(self.given_to_service(write(meter=f'key_file = "{key}"\n')))
        assert code == 78
        assert complaints.endswith(
            f"the service's user nobody cannot enter the folder {closed}; move house.key to /etc/nesgw, "
            "and name it there\n"
        )

    def test_a_folder_of_further_files_has_to_be_open_to_it(self, write: Write, check: Check, tmp_path: Path) -> None:
        path = self.given_to_service(write())
        (tmp_path / "conf.d").mkdir(0o711)
        self.given_to_service(tmp_path / "conf.d", 0o711)
        (more := tmp_path / "conf.d" / "more.toml").write_text('[gateway]\nname = "cellar"\n')
        code, _, complaints = check(path)
        assert code == 78
        assert f"cannot read {more.parent} (Permission denied)" in complaints

    def test_a_cache_that_it_cannot_write_to_is_a_mistake(self, write: Write, check: Check, ram_disk: Path) -> None:
        os.chown(ram_disk, 0, 0)
        code, _, complaints = check(path := self.given_to_service(write()))
        assert code == 78
        assert complaints == (
            f"nesgw: {path}:6: cache.directory: the service's user nobody cannot write to {ram_disk}; "
            f"run: sudo chown nobody: {ram_disk}\n"
        )

    def test_so_is_a_meter_s_folder_that_a_daemon_of_root_s_has_made(
        self, write: Write, check: Check, ram_disk: Path
    ) -> None:
        (ram_disk / "house").mkdir(0o755)
        code, _, complaints = check(self.given_to_service(write()))
        assert code == 78
        assert complaints.endswith(f"run: sudo chown nobody: {ram_disk}/house\n")

    def test_who_is_not_root_is_told_what_was_not_looked_at(
        self, write: Write, check: Check, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        code, said, _ = check(write())
        assert code == 0
        assert "# skipped: whether nobody, the service's user, can read the files; to know, run it with sudo\n" in said
