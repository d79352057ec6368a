"""Takes the answers: from the command line where they stand there, else from a person at a terminal."""

from __future__ import annotations

import getpass
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from nesgw.commands.setup.questions import Question
from nesgw.commands.terminal.screen import Paint
from nesgw.config.key import is_key, without_keys
from nesgw.config.secrets import private_text
from nesgw.errors import ConfigError, NesgwError, WrongUsage

T = TypeVar("T")

_WIDEST: Final = 78
_ROOM: Final = 16  # for the answer, on the line of the question
_KEEP: Final = "\N{NO-BREAK SPACE}"  # shown as a blank, at which no line ends
_UNIT: Final = re.compile(r"([0-9] x )?[0-9]+( [0-9]{3})*(\.[0-9]+)? (A|W|kW|kWh)\b")
_YES: Final = {"y": True, "yes": True, "n": False, "no": False}


class Screen:
    """A terminal with a person before it. Lines fit on it, and nothing depends on colours."""

    def __init__(self) -> None:
        self.paint = Paint(sys.stdout)

    def heading(self, text: str) -> None:
        """Begin a part."""
        print(f"\n{text}", flush=True)

    def say(self, *texts: str) -> None:
        """Say something."""
        for text in texts:
            self._wrapped(text, "  ")

    def well(self, text: str) -> None:
        """Say what is in order."""
        self._wrapped(text, "  ok  ", self.paint.green)

    def wrong(self, text: str) -> None:
        """Say what is not."""
        self._wrapped(without_keys(text), "  !!  ", self.paint.red)

    def lines(self, lines: Sequence[str]) -> None:
        """Show what is to be copied as it is."""
        for line in lines:
            print(f"    {line}", flush=True)

    def listed(self, number: int, name: str, about: str) -> None:
        """Show one line of a choice; a name that is longer than the line is not cut."""
        print(f"  {number}  {name}", flush=True)
        if about:
            self._wrapped(about, "     ")

    def ask(self, prompt: str, otherwise: str | None) -> str:
        """Ask, and return what was typed; ``otherwise`` where that is nothing."""
        shown = f" [{otherwise}]" if otherwise else ""
        if len(prompt) + len(shown) + _ROOM > shutil.get_terminal_size().columns:
            self.say(prompt)
            prompt = ""
        self._prompt(f"{prompt}{shown}: ".lstrip())
        line = sys.stdin.readline()
        if not line.endswith("\n"):
            print(flush=True)
            raise KeyboardInterrupt  # Ctrl-D, or the terminal has gone
        return line.strip() or otherwise or ""

    def ask_secretly(self, prompt: str) -> str:
        """Ask without showing what is typed."""
        try:
            return getpass.getpass(f"  {prompt}: ")
        except EOFError:
            raise KeyboardInterrupt from None

    def _prompt(self, text: str) -> None:
        print(f"  {text}", end="", flush=True)

    def _wrapped(self, text: str, lead: str, paint: Callable[[str], str] = str) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST) - len(lead) - 1
        kept = _UNIT.sub(lambda match: match[0].replace(" ", _KEEP), text)
        lines = textwrap.wrap(kept, width, break_on_hyphens=False, break_long_words=False) or [""]
        leads = [paint(lead), *[" " * len(lead)] * (len(lines) - 1)]
        print(*(each + line.replace(_KEEP, " ") for each, line in zip(leads, lines, strict=True)), sep="\n", flush=True)


class Interview:
    """Gets each answer once from the command line, and after that from the person."""

    def __init__(self, given: Mapping[str, str | None], screen: Screen, *, silent: bool) -> None:
        self._given = {name: text for name, text in given.items() if text is not None}
        self.screen = screen
        self.silent = silent  # --yes: nobody is asked
        self._explained: set[str] = set()

    def is_given(self, question: Question[Any]) -> bool:
        """Whether the command line still answers it."""
        return question.name in self._given

    def judge(self, questions: Sequence[Question[Any]]) -> None:
        """Refuse a wrong answer of the command line before anybody is asked anything, the meter included."""
        for question in questions:
            if question.name in self._given and not question.secret:
                self._from_option(question, self._given[question.name], question.check)

    def file_beside(self, question: Question[Any], path: Path) -> Path | None:
        """Return the file that a secret's option names, where it lies beside ``path`` already and may stay there."""
        if question.name not in self._given:
            return None
        file = Path(self._given[question.name]).absolute()
        return file if file.parent == path.absolute().parent else None

    def take(self, question: Question[T], file_check: Callable[[str], T] | None = None) -> T:
        """Return the answer. Raises WrongUsage where nobody may be asked for it, ConfigError for a wrong file.

        ``file_check`` takes the text of a secret's file, where that is read otherwise than what is typed.
        """
        if question.name in self._given:
            return self._from_option(question, self._given.pop(question.name), file_check or question.check)
        if self.silent:
            return self._without_asking(question)
        self._explain(question)
        while True:
            try:
                return question.check(self._asked(question))
            except ValueError as error:
                self.screen.wrong(str(error))

    def agreed(self, prompt: str, *, otherwise: bool = True) -> bool:
        """Ask for yes or no; where nobody may be asked it is ``otherwise``."""
        while not self.silent:
            said = self.screen.ask(prompt, "Y/n" if otherwise else "y/N").lower()
            if said in ("y/n", ""):
                break
            if said in _YES:
                return _YES[said]
            self.screen.wrong("write y or n")
        return otherwise

    def met(self, error: NesgwError, advice: str | None = None) -> None:
        """Say what went wrong and go on asking; where nobody may be asked, end with it.

        ``advice`` takes the place of the error's own, which is for who has a configuration.
        """
        if self.silent:
            raise error if advice is None else type(error)(**{**error.facts, "advice": advice})
        self.screen.wrong(str(error) if advice is None else f"{error.happened}: {advice}")

    def _explain(self, question: Question[Any]) -> None:
        """Say what it is about, the first time."""
        if question.about and question.name not in self._explained:
            self.screen.say(question.about)
        self._explained.add(question.name)

    def _asked(self, question: Question[T]) -> str:
        if question.secret:
            return self.screen.ask_secretly(question.prompt)
        while not (said := self.screen.ask(question.prompt, question.otherwise)):
            self.screen.wrong("an answer is needed")
        return said

    def _from_option(self, question: Question[T], text: str, check: Callable[[str], T]) -> T:
        try:
            return check(_of_file(text) if question.secret else text)
        except ValueError as error:
            problem = f"{question.option}: {error}"
        raise ConfigError([problem]) if question.secret else WrongUsage(command="setup", problem=problem)

    def _without_asking(self, question: Question[T]) -> T:
        if question.otherwise is None:
            raise WrongUsage(command="setup", problem=f"{question.option} is missing: --yes asks nothing")
        return question.check(question.otherwise)


def _of_file(path: str) -> str:
    if is_key(path):
        raise ValueError("this is the key itself: write it into a file that only you can read, and name that file")
    return private_text(Path(path))
