"""``session = "auto"``: finds out whether a session leaves an entry in the meter's event log, and chooses by that.

The meter belongs to the utility, and its log is read by people. Nothing says whether a logon is logged (trap 11),
but the sequence number of the newest entry does, read in one session and again in the next. Pure.
"""

from __future__ import annotations

from typing import Final, Literal

SessionMode = Literal["per-poll", "keep-open"]

# Other things are logged as well. That something happened between each two of so many sessions is no chance, unless
# they are far apart, and then no session can be held open anyway. One session without a trace settles it.
SESSIONS_WITH_TRACE: Final = 3


class SessionChoice:
    """Per-poll until it is known that each session leaves a trace. For one meter; another needs another choice."""

    def __init__(self) -> None:
        self.mode: SessionMode = "per-poll"
        self.reason = "auto: finding out whether a session leaves an entry in the meter's event log"
        self.open = True  # not yet decided
        self._before: int | None = None
        self._traces = 0

    def seen(self, newest: int) -> None:
        """Take note of the newest entry's sequence number; to be called once in each session."""
        before, self._before = self._before, newest
        if not self.open or before is None:
            return
        if newest == before:
            self._decide("per-poll", "a session leaves no entry in the meter's event log")
        elif newest > before:
            self._traces += 1
            if self._traces >= SESSIONS_WITH_TRACE:
                self._decide("keep-open", f"each of {self._traces} sessions left an entry in the meter's event log")
        else:  # before firmware 3.70 the sequence begins anew when the log is emptied
            self._traces = 0

    def interrupted(self) -> None:
        """Compare no session with one before a failure: nobody knows how many logons there were in between."""
        self._before = None

    def unreadable(self, why: str) -> None:
        """Give it up."""
        if self.open:
            self._decide("per-poll", why)

    def _decide(self, mode: SessionMode, why: str) -> None:
        self.open = False
        self.mode = mode
        self.reason = f"auto: {why}"
