"""What is logged of a trouble, and how often: once when it begins, and once when it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

# One poll that fails is nothing to wake anybody for; two in a row are.
FAILURES_TO_REPORT: Final = 2

# Seconds for which a trouble that was logged is not logged again: one that comes and goes would fill the journal.
LOGGED_FOR: Final = 600.0


class TroubleLog:
    """The troubles of one meter. Each kind is logged once until readings come again."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._failures = 0  # in a row
        self._since: float | None = None
        self._reported: set[str] = set()  # of the present trouble
        self._logged_at: dict[str, float] = {}
        self._remarks: dict[str, str] = {}

    def failed(self, kind: str, sentence: str, *, at_once: bool) -> None:
        """A poll has failed; ``at_once`` for what does not pass by itself."""
        self._failures += 1
        self.report(kind, sentence, at_once=at_once)

    def report(self, kind: str, sentence: str, *, at_once: bool) -> None:
        """Log a trouble, unless it has been."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        if now - self._logged_at.get(kind, float("-inf")) < LOGGED_FOR or kind in self._reported:
            return
        if at_once or self._failures >= FAILURES_TO_REPORT:
            self._reported.add(kind)
            self._logged_at[kind] = now
            self._log.warning(sentence)

    def unavailable(self, sentence: str, last_error: str | None) -> None:
        """Log that the meter is unavailable; each time, for it is what people see."""
        self._reported.add("unavailable")
        self._log.error(sentence, last_error=last_error)

    def recovered(self) -> None:
        """A reading was accepted: whatever was logged is over."""
        if self._since is not None and self._reported:
            self._log.info(f"reading again after {self._clock() - self._since:.0f} s", failed_polls=self._failures)
        self._since = None
        self._failures = 0
        self._reported.clear()

    def remark(self, about: str, sentence: str) -> None:
        """Log what is asked again and again, and answered mostly the same: once, until the answer is another."""
        if self._remarks.get(about) != sentence:
            self._remarks[about] = sentence
            self._log.info(sentence)

    def another_meter(self) -> None:
        """Remarks were of another meter."""
        self._remarks.clear()
