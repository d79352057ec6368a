"""What a step is, what it finds, and the order in which steps are taken. Looks at nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from nesgw.errors import EX_NOPERM, NesgwError


class Mark(Enum):
    """What came of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found, what to do about it, and what it makes the command exit with."""

    mark: Mark
    text: str
    do: tuple[str, ...] = ()
    exit_code: int = 0
    blocks: bool = False  # what builds on this step need not be tried


def ok(text: str, *remarks: str) -> Finding:
    """All is well."""
    return Finding(Mark.OK, text, remarks)


def failed(text: str, *do: str, exit_code: int, blocks: bool = True) -> Finding:
    """It does not work; not ``blocks``: for the service alone, and we can go on looking."""
    return Finding(Mark.FAILED, text, do, exit_code, blocks)


def failed_with(error: NesgwError) -> Finding:
    """It ends in an error that a daemon would meet there, too."""
    return failed(error.happened, *filter(None, [error.remedy]), exit_code=error.exit_code)


def skipped(why: str, *do: str, exit_code: int = 0, blocks: bool = False) -> Finding:
    """Not tried."""
    return Finding(Mark.SKIPPED, why, do, exit_code, blocks)


Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class Step(Generic[Case]):
    """One thing to look at. ``needs`` names the steps that must not have failed."""

    title: str
    look: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()


class Examination(Generic[Case]):
    """Takes the steps one after the other."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._found: dict[str, Finding] = {}

    def take(self, step: Step[Case]) -> Finding:
        """Look at one thing; whatever nesgw's errors say of it is the finding."""
        missing = [title for title in step.needs if self._found[title].blocks]
        finding = skipped(f"needs: {missing[0]}", blocks=True) if missing else self._look(step)
        self._found[step.title] = finding
        return finding

    def _look(self, step: Step[Case]) -> Finding:
        try:
            return step.look(self._case)
        except NesgwError as error:
            return failed_with(error)
        except PermissionError as error:
            return failed(f"{error.filename}: this user may not look there", "sudo nesgw doctor", exit_code=EX_NOPERM)
