"""The text of the configuration: mistakes in its grammar, and files that lie beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw.config import loader
from nesgw.config.document import Document, Source, WrongConfiguration
from nesgw.errors import ConfigError

KEY = "a7941d85bce8a8fa2ab7"


def said_of(text: str) -> list[str]:
    """The lines said of a text that is no TOML."""
    with pytest.raises(ConfigError) as caught:
        Document([Source("c.toml", text)])
    (problem,) = caught.value.problems
    return problem.split("\n")


def said_of_file(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.read(path)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "[[meter]]\nname = house\n",
            [
                "c.toml:2: not valid TOML: texts stand in straight double quotes, numbers with a unit as well: "
                'name = "…"',
                "    name = house",
                "           ^",
            ],
        ),
        (
            "[[meter]]\nname = “house”\n",
            [
                'c.toml:2: not valid TOML: texts stand in straight double quotes, not in curly ones: name = "…"',
                "    name = “house”",
                "           ^",
            ],
        ),
        (
            "[[meter]]\npoll_interval = 10s\n",
            [
                "c.toml:2: not valid TOML: texts stand in straight double quotes, numbers with a unit as well: "
                'poll_interval = "…"',
                "    poll_interval = 10s",
                "                      ^",
            ],
        ),
        (
            '[[meter]]\nname = "a"\nbaud = 9600\nname = "b"\n',
            [
                "c.toml:4: not valid TOML: name stands twice in its table; keep one of them",
                '    name = "b"',
                "              ^",
            ],
        ),
        (
            "[mqtt]\nport = 1\n[mqtt]\n",
            [
                "c.toml:3: not valid TOML: the table [mqtt] stands twice; put its options together",
                "    [mqtt]",
                "         ^",
            ],
        ),
        (
            "[mqtt]\nport: 1883\n",
            [
                "c.toml:2: not valid TOML: an option and its value are joined by an equals sign: port = …",
                "    port: 1883",
                "        ^",
            ],
        ),
        (
            "[mqtt]\nretain = True\n",
            [
                "c.toml:2: not valid TOML: retain is switched with true or false, in small letters",
                "    retain = True",
                "             ^",
            ],
        ),
        (
            '[mqtt]\nhost = "box\nport = 1883\n',
            [
                "c.toml:2: not valid TOML: the quote at the end of the text is missing",
                '    host = "box',
                "               ^",
            ],
        ),
        (
            '[mqtt]\nhost = "box',
            [
                "c.toml:2: not valid TOML: the quote at the end of the text is missing",
                '    host = "box',
                "               ^",
            ],
        ),
        (
            '[cache]\ndirectory = "C:\\nes\\gw"\n',
            [
                "c.toml:2: not valid TOML: a backslash in a text is written twice",
                '    directory = "C:\\nes\\gw"',
                "                         ^",
            ],
        ),
        (
            "[gateway\nname = 1\n",
            [
                "c.toml:1: not valid TOML: expected ']' at the end of a table declaration",
                "    [gateway",
                "            ^",
            ],
        ),
        (
            '[gateway]\n\u200bname = "a"\n',
            ["c.toml:2: not valid TOML: character 1 of the line is an unseen one (U+200B); type the line again"],
        ),
        (
            '[gateway]\nname\u00a0= "a"\n',
            ["c.toml:2: not valid TOML: character 5 of the line is an unseen one (U+00A0); type the line again"],
        ),
    ],
)
def test_a_mistake_in_the_grammar_is_shown_with_its_line_and_what_would_be_right(text: str, lines: list[str]) -> None:
    assert said_of(text) == lines


@pytest.mark.parametrize(
    "line",
    [
        f"key = {KEY}",
        f"key = “{KEY}”",
        f'key: "{KEY}"',
        f"KEY = {KEY}",
        f"key {KEY}",
        f"label = {KEY}",
        "password = hunter22",
        "password: hunter22",
        'password = "hunter22',
        "mqtt.password = hunter22",
        "api_token = hunter22",
        "hunter22",
        '[mqtt] password = "hunter22"',
        '[mqtt password = "hunter22"',
        '[[meter]] key = "hunter22"',
        '[gateway]\n[gateway] token = "hunter22"',
        'mqtt = { host = "box", password = "hunter22"',
        'username = "me" password = "hunter22"',
        f"[{KEY}",
        # Misspelt, or in the owner's language: nobody knows what such an option holds.
        "adgangskode = hunter22",
        'passwort: "hunter22"',
        'kodeord = "hunter22',
        "kennwort = “hunter22”",
        'passwords = ["a", hunter22]',
        "password_file = hunter22",
        'mqtt = { host = "box", pin = hunter22 }',
        "[mqtt] pin = hunter22",
        "label = House # hunter22",
        "host = mqtt://me:hunter22@box",
        'username = "me" hunter22',
        "username = me, kode: hunter22",
        f"{KEY} = house",
        f"[{KEY}]\n[{KEY}]",
    ],
)
def test_the_line_is_shown_without_the_secret_in_it(line: str) -> None:
    shown = "\n".join(said_of(f"[[meter]]\n{line}\n"))
    assert KEY not in shown
    assert "hunter22" not in shown


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'[[meter]]\r\nname = "house"\r\nlabel = "H"\r\n')
    assert loader.read(path).meter[0].label == "H"


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("latin-1", 3), ("cp1252", 3)])
def test_a_file_in_another_encoding_is_refused_with_the_line_and_what_to_do(
    tmp_path: Path, encoding: str, line: int
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[meter]]\nname = "house"\nlabel = "Køkken"\n', encoding=encoding)
    assert said_of_file(path) == f"{path}:{line}: not UTF-8 text; save the file as UTF-8"


class TestWhatIsNoConfiguration:
    """Named in place of one: it is refused at once, whatever it is. Nothing is waited for, and no device swallowed."""

    def test_a_pipe_that_nobody_fills(self, tmp_path: Path) -> None:
        os.mkfifo(path := tmp_path / "c.toml")
        assert said_of_file(path) == f"{path}: is no ordinary file"

    def test_a_pipe_among_further_files(self, tmp_path: Path) -> None:
        (tmp_path / "conf.d").mkdir()
        os.mkfifo(further := tmp_path / "conf.d" / "house.toml")
        (path := tmp_path / "c.toml").write_text("")
        assert said_of_file(path) == f"{further}: is no ordinary file"

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
    def test_a_device(self, device: str) -> None:
        assert said_of_file(Path(device)) == f"{device}: is no ordinary file"

    def test_a_link_that_leads_to_itself(self, tmp_path: Path) -> None:
        (path := tmp_path / "c.toml").symlink_to(path)
        assert said_of_file(path) == f"{path}: cannot be read: Too many levels of symbolic links"

    @pytest.mark.parametrize("name", ["c.toml", "conf.d/house.toml"])
    def test_a_link_that_leads_nowhere_is_called_so(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "conf.d").mkdir()
        (tmp_path / "c.toml").write_text("")
        (link := tmp_path / name).unlink(missing_ok=True)
        link.symlink_to("/nonexistent/house.toml")
        assert said_of_file(tmp_path / "c.toml") == (
            f"{link}: a link to /nonexistent/house.toml, which is not there; make that, or remove the link"
        )

    def test_a_file_of_megabytes(self, tmp_path: Path) -> None:
        (path := tmp_path / "c.toml").write_bytes(b"# x\n" * 300_000)
        assert said_of_file(path) == f"{path}: is longer than 1 000 000 bytes; name the right file"

    def test_what_the_shell_hands_over_as_a_file_is_one(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as sink:
            sink.write('[[meter]]\nname = "house"\n')
        try:
            assert loader.read(Path(f"/dev/fd/{reading}")).meter[0].name == "house"
        finally:
            os.close(reading)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("port = " + "9" * 5000, "a number is too long"),
        ("port = " + "[" * 5000 + "]" * 5000, "brackets within brackets, too deep for any configuration"),
    ],
)
def test_what_python_has_a_limit_for_is_a_mistake_like_any_other(line: str, problem: str) -> None:
    assert said_of(f"[[meter]]\n{line}\n") == [f"c.toml: not valid TOML: {problem}"]


def test_who_may_read_nothing_is_shown_the_file_and_not_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.listdir", denied)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError) as error:
        loader.files(Path("/etc/nesgw/config.toml"))
    assert str(error.value) == "/etc/nesgw/config.toml: cannot be read: Permission denied; try with sudo"


def test_a_missing_configuration_says_where_to_begin() -> None:
    with pytest.raises(ConfigError) as caught:
        loader.load(Path("/nonexistent/config.toml"))
    assert caught.value.problems == [
        "/nonexistent/config.toml: no such file; sudo nesgw setup asks for what it needs, or begin with a copy of "
        "/usr/share/doc/nesgw/examples/config.example.toml; another file is named with --config"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[mqtt]\ntls.enabeld = true\n", 2),
        ("[mqtt]\n[mqtt.tls]\nenabeld = true\n", 3),
        ("[mqtt]\ntls = { enabled = true, enabeld = true }\n", 2),
        ('[[meter]]\nname = "a"\nport = "/dev/a"\n[[meter]]\nname = "b"\nport = "/dev/b"\nbaud = 7\n', 7),
        ('[[meter]]\nname = "a"\n[meter.more]\nx = 1\n', 3),
        ("[ mqtt ]\n  prt = 7\n", 2),
    ],
)
def test_mistakes_are_found_in_each_way_of_writing_an_option(text: str, line: int) -> None:
    meter = "" if "[[meter]]" in text else '[[meter]]\nname = "house"\n'
    with pytest.raises(WrongConfiguration) as caught:
        loader.parse(text + meter, "c.toml")
    assert [mistake.line for mistake in caught.value.mistakes] == [line]


class TestFolderBesideIt:
    """The files of conf.d are read as if they stood at the end of the configuration, in the order of their names."""

    @pytest.fixture
    def write(self, tmp_path: Path) -> Callable[[str, str], Path]:
        def written(name: str, text: str) -> Path:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch(0o600)
            path.write_text(text)
            return path

        return written

    def test_its_meters_come_behind_those_of_the_configuration(self, write: Callable[[str, str], Path]) -> None:
        config = write("config.toml", '[[meter]]\nname = "house"\nport = "/dev/a"')
        write("conf.d/b.toml", '[[meter]]\nname = "barn"\nport = "/dev/b"\n')
        write("conf.d/a.toml", '[mqtt]\nhost = "box"\n[[meter]]\nname = "annex"\nport = "/dev/c"')
        write("conf.d/.hidden.toml", "no toml")
        write("conf.d/b.toml~", "no toml")
        found = loader.read(config)
        assert [meter.name for meter in found.meter] == ["house", "annex", "barn"]
        assert found.mqtt.host == ("box",)

    def test_a_configuration_may_have_its_meters_there_alone(self, write: Callable[[str, str], Path]) -> None:
        write("conf.d/house.toml", '[[meter]]\nname = "house"\n')
        assert loader.read(write("config.toml", "")).meter[0].name == "house"

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('[[meter]]\nname = "barn"\nbaud = 1\n', ":3: meter.barn.baud: must be one of "),
            ("[[meter]]\nname = barn\n", ":2: not valid TOML: texts stand in straight double quotes"),
            (
                '[gateway]\nname = "b"\n',
                ":1: not valid TOML: the table [gateway] stands twice; put its options together",
            ),
            ('[[meter]]\nname = "house"\nport = "/dev/b"\n', ":2: meter.house.name: used by 2 meters"),
            (
                "# of the attic\nmqtt.port = 1884\n",
                ":2: mqtt.port: stands outside of a table; begin the file with [[meter]], or another table",
            ),
            (
                "mqtt = { port = 1884 }\n",
                ":1: mqtt: stands outside of a table; begin the file with [[meter]], or another table",
            ),
            (
                'name = "barn"\n',
                ":1: name: stands outside of a table; begin the file with [[meter]], or another table",
            ),
            ('[[meter]]\nname = "barn"\nport = "/dev/b"\n', ":1: meter.barn.key: the meter has no key"),
        ],
    )
    def test_a_mistake_names_the_file_it_is_in(
        self, write: Callable[[str, str], Path], text: str, problem: str
    ) -> None:
        config = write(
            "config.toml", f'[gateway]\nname = "a"\n[[meter]]\nname = "house"\nport = "/dev/a"\nkey = "{KEY}"\n'
        )
        further = write("conf.d/barn.toml", text)
        with pytest.raises(ConfigError) as caught:
            loader.load(config)
        (line,) = caught.value.problems
        assert line.startswith(f"{further}{problem}")

    def test_mistakes_of_several_files_are_all_named(self, write: Callable[[str, str], Path]) -> None:
        config, further = write("config.toml", "[gateway\n"), write("conf.d/a.toml", "[[meter\n")
        with pytest.raises(WrongConfiguration) as caught:
            loader.load(config)
        assert [mistake.file for mistake in caught.value.mistakes] == [str(config), str(further)]
