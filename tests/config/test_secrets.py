"""Files with secrets: who may read them, what is in them, and what is done about one that cannot be used."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw.config import access, loader
from nesgw.config.secrets import read_key_file, read_token
from nesgw.config.settings import Settings
from nesgw.errors import ConfigError

KEY = "a7941d85bce8a8fa2ab7"
WITH_KEY = f'[[meter]]\nname = "house"\nkey = "{KEY}"\n'

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file that is its owner's alone."""

    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.touch(0o600)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def problems(path: Path) -> list[str]:
    try:
        loader.load(path)
    except ConfigError as error:
        return error.problems
    return []


def of_key(key_file: object) -> str:
    return f'[[meter]]\nname = "house"\nkey_file = "{key_file}"\n'


def of_password(password_file: object) -> str:
    return WITH_KEY + f'[mqtt]\nusername = "me"\npassword_file = "{password_file}"\n'


class TestKeyFile:
    def test_it_is_read(self, write: Write) -> None:
        settings = loader.load(write("c.toml", of_key(write("house.key", KEY + "\n"))))
        key = settings.meters[0].key
        assert key is not None
        assert key.reveal() == KEY.encode()

    def test_one_that_others_can_read_is_refused_with_the_command_to_run(self, write: Write) -> None:
        key, config = write("house.key", KEY), write("c.toml", "")
        key.chmod(0o644)
        config.write_text(of_key(key))
        assert problems(config) == [
            f"{config}:3: meter.house.key_file: {key} can be read by everyone on this machine; run: chmod o-rwx {key}"
        ]

    def test_one_that_is_not_there_is_made_with_the_command_to_run(self, write: Write, tmp_path: Path) -> None:
        config = write("c.toml", of_key(tmp_path / "my key"))
        assert problems(config) == [
            f"{config}:3: meter.house.key_file: {tmp_path}/my key does not exist; make it, then write the secret into "
            f"it: install -m 0600 /dev/null '{tmp_path}/my key'"
        ]

    def test_a_folder_is_none(self, write: Write, tmp_path: Path) -> None:
        config = write("c.toml", of_key(tmp_path))
        assert problems(config) == [f"{config}:3: meter.house.key_file: {tmp_path} is a folder; name the file in it"]

    @pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
    def test_a_device_is_none(self, write: Write, device: str) -> None:
        config = write("c.toml", of_key(device))
        assert problems(config) == [f"{config}:3: meter.house.key_file: {device} is no ordinary file"]

    def test_a_pipe_that_nobody_writes_to_is_not_waited_for(self, write: Write, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe", 0o600)
        config = write("c.toml", of_key(tmp_path / "pipe"))
        assert problems(config) == [f"{config}:3: meter.house.key_file: {tmp_path}/pipe is no ordinary file"]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
    def test_what_windows_calls_unicode_is_read(self, write: Write, encoding: str) -> None:
        config = write("c.toml", of_key(write("house.key", f"{KEY}\r\n".encode(encoding))))
        assert problems(config) == []

    def test_a_link_that_leads_to_itself_is_called_so(self, write: Write, tmp_path: Path) -> None:
        (key := tmp_path / "house.key").symlink_to(key)
        (line,) = problems(write("c.toml", of_key(key)))
        assert line.endswith(f"{key} is a link that leads back to itself; name the file itself")

    def test_one_that_this_user_may_not_read_is_made_readable_by_the_command_that_is_named(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = write("house.key", KEY)

        def denied(_path: Path) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("nesgw.config.secrets._text", denied)
        (line,) = problems(write("c.toml", of_key(key)))
        me = pwd.getpwuid(os.geteuid()).pw_name
        assert line.endswith(
            f"{key} cannot be read by this user (Permission denied); try with sudo, "
            f"or make it this user's own: sudo chown {me} {key}"
        )

    def test_a_key_is_not_read_out_of_the_beginning_of_a_large_file(self, write: Write) -> None:
        key = write("house.key", KEY + " " * 70_000 + "and more")
        (line,) = problems(write("c.toml", of_key(key)))
        assert line.endswith(f"{key} is longer than 65 536 bytes; name the right file")

    @pytest.mark.parametrize("content", [bytes(range(128, 148)), "ÿ".encode("latin-1") * 20, b"\xff\xfe\x00"])
    def test_a_binary_is_none(self, write: Write, content: bytes) -> None:
        key = write("house.key", content)
        config = write("c.toml", of_key(key))
        assert problems(config) == [f"{config}:3: meter.house.key_file: {key} is not a text file"]

    def test_one_with_something_else_says_what_a_key_is_but_not_what_it_found(self, write: Write) -> None:
        (line,) = problems(write("c.toml", of_key(write("house.key", "hunter22"))))
        assert "not a key: 8 characters; expected 20 characters" in line
        assert "hunter22" not in line

    def test_one_with_two_keys_is_refused(self, write: Write) -> None:
        (line,) = problems(write("c.toml", of_key(write("house.key", f"{KEY}\nb8052e96cdf9b9ab3bc8\n"))))
        assert line.endswith("2 keys; leave only the one of this meter and port")

    @pytest.mark.parametrize("option", ["key_file", "port", "label", "session", "poll_interval", "name", KEY])
    def test_a_key_in_place_of_something_else_is_not_shown(self, write: Write, option: str) -> None:
        config = write("c.toml", f'[[meter]]\n{option} = "{KEY}"\nbaud = 7\n')
        assert KEY not in "".join(problems(config))

    @pytest.mark.parametrize("key", [KEY, KEY[:16], KEY.encode().hex()])
    def test_a_key_in_place_of_its_file_is_explained(self, write: Write, key: str) -> None:
        config = write("c.toml", of_key(key))
        assert problems(config) == [
            f"{config}:3: meter.house.key_file: this is the key itself, not the name of a file: "
            "write it into a file, and name that"
        ]

    def test_one_named_on_the_command_line_may_be_a_pipe_of_the_shell(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as sink:
            sink.write(KEY)
        try:
            assert read_key_file(f"/dev/fd/{reading}").value.reveal() == KEY.encode()
        finally:
            os.close(reading)


class TestForTheService:
    """Where its user exists, files below /etc are given to its group: the command says so."""

    @pytest.fixture(autouse=True)
    def service(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(access, "_SYSTEM", tmp_path)
        monkeypatch.setattr(access, "SERVICE_GROUP", "daemon")  # any that exists

    def test_a_missing_file(self, write: Write, tmp_path: Path) -> None:
        (line,) = problems(write("c.toml", of_key(tmp_path / "house.key")))
        assert line.endswith(f"it: sudo install -m 0640 -g daemon /dev/null {tmp_path}/house.key")

    def test_a_file_that_others_can_read(self, write: Write) -> None:
        (key := write("house.key", KEY)).chmod(0o644)
        (line,) = problems(write("c.toml", of_key(key)))
        assert line.endswith(f"; run: sudo chown root:daemon {key} && sudo chmod 0640 {key}")

    def test_a_file_elsewhere_is_its_owner_s(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(access, "_SYSTEM", tmp_path / "etc")
        with pytest.raises(ValueError, match="install -m 0600 /dev/null"):
            read_key_file(str(tmp_path / "my.key"))


class TestPassword:
    @pytest.mark.parametrize(
        "content",
        [
            "correct horse",
            "correct horse\n",
            "correct horse\r\n",
            "\ufeffcorrect horse\r\n",
            "\u00a0correct horse\u00a0\n",
            "\u200bcorrect horse\n",
            '"correct horse"\n',
            "'correct horse'",
            "“correct horse”",
        ],
    )
    def test_what_an_editor_adds_is_no_part_of_it_as_with_a_key(self, write: Write, content: str) -> None:
        settings = loader.load(write("c.toml", of_password(write("password", content))))
        assert settings.mqtt.password.reveal_text() == "correct horse"

    def test_what_windows_calls_unicode_is_read(self, write: Write) -> None:
        config = write("c.toml", of_password(write("password", "correct horse\r\n".encode("utf-16"))))
        assert loader.load(config).mqtt.password.reveal_text() == "correct horse"

    @pytest.mark.parametrize("text", ['a"b', "a'", '"', "ø æ", "a:b=c", "password=x", "a\tb"])
    def test_all_that_was_typed_is(self, write: Write, text: str) -> None:
        assert loader.load(write("c.toml", of_password(write("p", text)))).mqtt.password.reveal_text() == text

    def test_in_the_configuration_it_is_taken_as_it_stands(self, write: Write) -> None:
        config = write("c.toml", WITH_KEY + '[mqtt]\nusername = "me"\npassword = \' "x" \'\n')
        assert loader.load(config).mqtt.password.reveal_text() == ' "x" '

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ("", "the password is empty; write it into the file, or take the option out"),
            ("\r\n", "the password is empty; write it into the file, or take the option out"),
            ("one\ntwo\n", "2 lines; the file holds the password alone, on one line"),
            ("x" * 65536, "the password is longer than the 65535 bytes that MQTT can send"),
            ("hunter\0", "character 7 of the password is a control character; write it again"),
            ("hun\x1bter", "character 4 of the password is a control character; write it again"),
            ('password = "hunter"', "the file holds an option; it holds the password alone, without a name and quotes"),
        ],
    )
    def test_a_file_without_one_is_refused(self, write: Write, content: str, what: str) -> None:
        config = write("c.toml", of_password(write("password", content)))
        assert problems(config) == [f"{config}:6: mqtt.password_file: {what}"]

    def test_it_is_not_shown_by_a_mistake(self, write: Write) -> None:
        (line,) = problems(write("c.toml", of_password(write("password", "hunter22\nhunter23"))))
        assert "hunter" not in line


class TestTokenOfTheWebService:
    def test_it_is_read_where_the_service_is_on(self, write: Write) -> None:
        more = f'[http]\nenabled = true\ntoken_file = "{write("token", "let me in")}"\n'
        settings = loader.load(write("c.toml", WITH_KEY + more))
        assert [secret.reveal_text() for secret in settings.secrets()] == [KEY, "let me in"]

    def test_an_empty_one_is_refused(self, write: Write) -> None:
        config = write("c.toml", WITH_KEY + f'[http]\nenabled = true\ntoken_file = "{write("token", "")}"\n')
        assert problems(config) == [
            f"{config}:6: http.token_file: the token is empty; write it into the file, or take the option out"
        ]

    def test_where_the_service_is_off_it_need_not_be_there(self, write: Write) -> None:
        assert problems(write("c.toml", WITH_KEY + '[http]\ntoken_file = "/nonexistent/token"\n')) == []


class TestSecretsWithinTheConfiguration:
    """A file that holds a secret is judged like a file of secrets, whatever else it holds."""

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (WITH_KEY, "3: meter.house.key"),
            ('[[meter]]\nname = "house"\n[mqtt]\nusername = "me"\npassword = "hunter22"\n', "5: mqtt.password"),
        ],
    )
    def test_it_must_not_be_readable_by_everyone(self, write: Write, text: str, place: str) -> None:
        (config := write("c.toml", text)).chmod(0o644)
        assert problems(config) == [
            f"{config}:{place}: {config} holds a secret and can be read by everyone on this machine; "
            f"run: chmod o-rwx {config}"
        ]

    def test_without_one_it_may_be(self, write: Write) -> None:
        (config := write("c.toml", of_key(write("house.key", KEY)))).chmod(0o644)
        assert problems(config) == []

    def test_a_further_file_is_judged_by_itself(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "conf.d").mkdir()
        config, further = write("c.toml", ""), write("conf.d/house.toml", WITH_KEY)
        config.chmod(0o644)
        assert problems(config) == []
        further.chmod(0o604)
        (line,) = problems(config)
        assert line.startswith(f"{further}:3: meter.house.key: {further} holds a secret")


class TestCredentials:
    """systemd hands a service its secrets in a folder of its own: systemd.exec(5), LoadCredential=."""

    @pytest.fixture(autouse=True)
    def credentials(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "credentials"
        folder.mkdir()
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        return folder

    def settings(self, write: Write, more: str = "") -> Settings:
        return loader.load(write("c.toml", f'[[meter]]\nname = "house"\n{more}'))

    def test_they_stand_in_for_files(self, credentials: Path, write: Write) -> None:
        (credentials / "house.key").write_text("\ufeff" + KEY)
        (credentials / "mqtt-password").write_text("hunter22\n")
        found = self.settings(write, '[mqtt]\nusername = "me"\n')
        assert [secret.reveal_text() for secret in found.secrets()] == [KEY, "hunter22"]

    @pytest.mark.parametrize("name", ["house.key", "mqtt-password"])
    def test_one_that_is_no_text_is_called_so_without_showing_it(
        self, credentials: Path, write: Write, name: str
    ) -> None:
        (credentials / "house.key").write_text(KEY)
        (credentials / name).write_bytes(b"hunter\xff")
        (line,) = problems(write("c.toml", '[[meter]]\nname = "house"\n[mqtt]\nusername = "me"\n'))
        assert line.endswith(f"{credentials / name} is not a text file")

    def test_one_that_this_user_may_not_read_is_called_so(
        self, credentials: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (credentials / "house.key").write_text(KEY)

        def denied(_path: Path) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("nesgw.config.secrets._text", denied)
        (line,) = problems(write("c.toml", '[[meter]]\nname = "house"\n'))
        assert line.endswith(f"{credentials}/house.key cannot be read by this user (Permission denied)")

    def test_the_token_of_home_assistant_is_for_one_command_that_reads_it_itself(self, credentials: Path) -> None:
        assert read_token("", "homeassistant-token") is None
        (credentials / "homeassistant-token").write_text("ey.x.y\n")
        token = read_token("", "homeassistant-token")
        assert token is not None
        assert token.reveal_text() == "ey.x.y"
