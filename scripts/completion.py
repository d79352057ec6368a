"""Writes what bash, zsh and fish complete: commands, options, their values, ports, and the names of the meters.

bash and zsh are shtab's work; fish is written here, because the shtab of Debian 13 does not know it yet. What only the
machine knows is asked at every press of the tab key, where a Raspberry Pi would take a second to start Python: sh
answers.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from typing import Final

# Words for options that take more than a few. They are offered, and nothing is refused for not being one of them.
WORDS: Final = {
    "--from": ("today", "yesterday"),
    "--to": ("now", "today", "yesterday"),
    "--max-power": ("auto",),
    "--mqtt-host": ("localhost", "homeassistant.local"),
    "--mqtt-port": ("1883", "8883"),
    "--broker": ("localhost", "homeassistant.local"),
}
FILES: Final = ("FILE", "PATH")  # the metavars of what names a file
METERS: Final = "_nesgw_meters"
PORTS: Final = "_nesgw_ports"
ASKED: Final = {"--meter": METERS, "--port": PORTS}

# Both are for sh, whichever shell asks, and without a single quote, so that each can hold them in a pair.
# The names in the configuration $1, if that may be read; and those of the meters that the running service reads.
_NAMES: Final = (
    r'sed -n "/^ *\[\[ *meter *]]/,/^ *\[[^[]/s/^ *name *= *.\([a-z0-9_-]\{1,\}\).*/\1/p" '
    r'"$1" "$(dirname "$1")"/conf.d/*.toml 2>/dev/null; '
    'for each in /run/nesgw/*/status.json; do [ ! -e "$each" ] || basename "${each%/*}"; done'
)
_DEVICES: Final = (
    "for each in /dev/nes-ir-probe* /dev/serial/by-id/* /dev/ttyUSB* /dev/ttyACM*; do "
    '[ ! -e "$each" ] || echo "$each"; done; echo auto'
)

_BASH: Final = f"""\
{METERS}() {{
  local file=/etc/nesgw/config.toml at
  for ((at = 1; at < COMP_CWORD - 1; at++)); do
    if [[ ${{COMP_WORDS[at]}} = --config ]]; then file=${{COMP_WORDS[at + 1]/#\\~/$HOME}}; fi
  done
  compgen -W "$(sh -c '{_NAMES}' sh "$file")" -- "$1"
}}
{PORTS}() {{
  compgen -W "$(sh -c '{_DEVICES}')" -- "$1" || compgen -f -- "$1"
}}
"""

_ZSH: Final = f"""\
{METERS}() {{
  local file=${{words[${{words[(i)--config]}} + 1]:-/etc/nesgw/config.toml}}
  local -a names=(${{(f)"$(sh -c '{_NAMES}' sh "${{file/#\\~/$HOME}}")"}})
  compadd -a names
}}
{PORTS}() {{
  local -a ports=(${{(f)"$(sh -c '{_DEVICES}')"}})
  compadd -a ports || _files
}}
"""

_FISH: Final = f"""\
function _{METERS}
    set -l words (commandline -opc)
    set -l file /etc/nesgw/config.toml
    if set -l at (contains -i -- --config $words)
        set file $words[(math $at + 1)]
    end
    sh -c '{_NAMES}' sh (string replace -r '^~' $HOME -- $file)
end
function _{PORTS}
    set -l begun (commandline -ct)
    set -l ports (sh -c '{_DEVICES}')
    if string match -q -- "$begun*" $ports
        printf '%s\\n' $ports
    else
        __fish_complete_path $begun
    end
end
complete -c nesgw -f
"""


def texts(parser: Callable[[], argparse.ArgumentParser]) -> dict[str, str]:
    """Return the text for each shell, from parsers that are made here and not used for anything else."""
    import shtab  # which Debian has, and the program does not need

    preambles = {"bash": _BASH, "zsh": _ZSH}
    return {shell: shtab.complete(_for_shtab(parser()), shell, preamble=text) for shell, text in preambles.items()} | {
        "fish": _FISH + "".join(f"complete -c nesgw {line}\n" for line in _fish(parser()))
    }


def subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yield each command: its name, the line that says what it does, and its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield name, helps.get(name, ""), command


def _for_shtab(top: argparse.ArgumentParser) -> argparse.ArgumentParser:
    import shtab

    for summary, parser in (("", top), *((summary, parser) for _, summary, parser in subparsers(top))):
        parser.description = summary.replace("'", "’")  # which shtab would escape where zsh takes it as it is
        for action in parser._actions:
            option = action.option_strings[-1] if action.option_strings else ""
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif option in ASKED:
                action.complete = dict.fromkeys(("bash", "zsh"), ASKED[option])  # type: ignore[attr-defined]
            elif option in WORDS:
                action.choices = list(WORDS[option])
                action.metavar = re.sub(r"\W.*", "", str(action.metavar))  # a colon would end it for zsh
            elif action.choices and not isinstance(action, argparse._SubParsersAction):
                action.choices = list(action.choices)  # shtab takes no mapping for zsh
    return top


# --- fish -------------------------------------------------------------------------------------------------------------


def _fish(top: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the arguments of ``complete``: one line a command, one an option of a command."""
    first = "-n __fish_use_subcommand"
    for action in top._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield f"{first} {_fish_option(action)}"
    for name, summary, parser in subparsers(top):
        yield f"{first} -a {name} -d {_quoted(summary)}"
        within = f"-n '__fish_seen_subcommand_from {name}'"
        for action in parser._actions:
            if action.option_strings:
                yield f"{within} {_fish_option(action)}"
            elif action.metavar in FILES:
                yield f"{within} -F"


def _fish_option(action: argparse.Action) -> str:
    names = ("-l " + name[2:] if name.startswith("--") else "-s " + name[1:] for name in action.option_strings)
    return " ".join([*names, *_fish_value(action), "-d", _quoted(action.help or "")])


def _fish_value(action: argparse.Action) -> Iterator[str]:
    """Yield how an option's value is completed: -r for one that is needed, -x for one that is no file."""
    option = action.option_strings[-1]
    if action.metavar in FILES:
        yield "-rF"
    elif option in ASKED:
        yield f"-xa '(_{ASKED[option]})'"
    elif words := action.choices or WORDS.get(option):
        yield f"-xa {_quoted(' '.join(words))}"
    elif action.nargs is None:
        yield "-x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
