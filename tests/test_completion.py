"""What the shells complete, each asked itself: with the keys of a terminal, or as fish answers for one."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from nesgw import commands
from nesgw.simulator import PROFILES
from scripts import completion

pytest.importorskip("shtab")

# Puts everything that could be meant onto the line, as "ESC *" of bash does by itself.
ALL_OF_ZSH = """
fpath=($PWD $fpath); autoload -U compinit; compinit -u -D
zle -C all-matches complete-word _generic; bindkey '^[*' all-matches
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
"""
INTERACTIVE = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
Complete = Callable[[str], list[str]]


def typed(shell: str, setting: str, line: str, folder: Path) -> list[str]:
    """Type a line in a terminal, have everything inserted, and let the shell say what the line is then."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(shell, INTERACTIVE[shell], {**os.environ, "TERM": "dumb", "PS1": "", "HOME": str(folder)})
    with ExitStack() as life:
        life.callback(os.waitpid, process, 0)
        life.callback(os.kill, process, 9)
        life.callback(os.close, terminal)
        os.write(terminal, f"{setting.strip()}\necho rea''dy\n".encode())
        until(terminal, rb"ready\r\n")
        os.write(terminal, f"{line}\x1b*\x05 THEEND\x01echo GO''T \n".encode())
        return until(terminal, rb"\nGOT (.*) THEEND\r").decode().split()[line.count(" ") :]


def until(terminal: int, pattern: bytes) -> bytes:
    read = b""
    deadline = time.monotonic() + 20
    while not (found := re.search(pattern, read)):
        assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], read
        read += os.read(terminal, 65536)
    return found[found.re.groups]


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request: pytest.FixtureRequest, tmp_path: Path) -> Complete:
    """What a shell offers for the last word of a line, in a folder with a configuration and a key."""
    shell: str = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / {"bash": "nesgw", "zsh": "_nesgw", "fish": "nesgw.fish"}[shell]
    script.write_text(completion.texts(commands.parser)[shell], encoding="utf-8")
    (tmp_path / "my.key").touch()
    (tmp_path / "etc/conf.d").mkdir(parents=True)
    (tmp_path / "etc/config.toml").write_text(
        '[gateway]\nname = "cellar"\n\n[[meter]]\nname = "house"\nport = "auto"\n[[meter]]\n  name = \'heat-pump\'\n'
        '[mqtt]\nname = "broker"\n'
    )
    (tmp_path / "etc/conf.d/more.toml").write_text('[[meter]]\nname="annex" # the neighbour\n')

    def offered(line: str) -> list[str]:
        if shell == "fish":
            # Beside the offer stands what it is, behind a tab.
            asking = f"source nesgw.fish; complete -C '{line}'"
            command = ["fish", "--no-config", "-c", asking]
            env = {**os.environ, "HOME": str(tmp_path)}
            answer = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
            assert answer.stderr == ""
            return sorted(each.partition("\t")[0] for each in answer.stdout.splitlines())
        return sorted(typed(shell, ALL_OF_ZSH if shell == "zsh" else ". ./nesgw", line, tmp_path))

    return offered


def test_the_commands(complete: Complete) -> None:
    assert complete("nesgw ") == sorted(commands.COMMANDS)


def test_the_options_of_a_command_and_of_no_other(complete: Complete) -> None:
    offered = complete("nesgw check-config --")
    assert {"--config", "--json"} <= set(offered) <= {"--config", "--json", "--help"}


def test_the_meters_of_the_configuration_that_is_named_and_no_other_name_in_it(complete: Complete) -> None:
    assert complete("nesgw read --config etc/config.toml --meter ") == ["annex", "heat-pump", "house"]
    assert complete("nesgw align --config ~/etc/config.toml --meter h") == ["heat-pump", "house"]


def test_no_meter_and_no_complaint_where_there_is_no_configuration(complete: Complete) -> None:
    assert complete("nesgw history --config none/config.toml --meter ho") in ([], ["ho"])


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nesgw history --by ", ["day", "hour", "month"]),
        ("nesgw history --from ", ["today", "yesterday"]),
        ("nesgw read --interface ", ["mep", "optical"]),
        ("nesgw simulate --profile gen4", sorted(name for name in PROFILES if name.startswith("gen4"))),
        ("nesgw setup --max-power ", ["auto"]),
        ("nesgw setup --port a", ["auto"]),
        ("nesgw demo --broker l", ["localhost"]),
    ],
)
def test_the_values_of_an_option_that_has_a_set_of_them(complete: Complete, line: str, offered: list[str]) -> None:
    assert complete(line) == offered


@pytest.mark.parametrize(
    "option", ["read --key-file my", "demo --mqtt-password-file my", "simulate --from my", "dump my", "align --port my"]
)
def test_files_where_a_file_or_a_port_of_any_name_is_meant(complete: Complete, option: str) -> None:
    assert complete(f"nesgw {option}") == ["my.key"]


def test_every_option_with_a_value_offers_some_or_is_known_to_be_free() -> None:
    free = {"label", "mqtt-username", "count", "readings", "events", "set", "seed", "baud"}
    for _name, _summary, parser in completion.subparsers(commands.parser()):
        for action in parser._actions:
            if action.option_strings and action.nargs != 0 and not action.choices:
                option = action.option_strings[-1]
                helped = action.metavar in completion.FILES or option in completion.WORDS or option in completion.ASKED
                assert helped is not (option[2:] in free), option
