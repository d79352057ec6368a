"""The way to a meter, whichever of its ports it is: what a session needs of the optical link or of the MEP link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nesgw.errors import NesgwError
from nesgw.optical.read_plan import Span


class MeterLink(Protocol):
    """Reads spans of tables in sessions of its own making. Not for two threads.

    Whatever goes wrong leaves as one of nesgw's errors. After one that interrupts an exchange ``in_session`` is False
    until ``open_session`` has put the line in order.
    """

    has_sessions: bool  # False: no logon, so there is nothing to hold, to renew or to end between polls (MEP)

    @property
    def spare(self) -> int | None:
        """How many reads may be made at once; None where the port asks for no average."""

    @property
    def jumps(self) -> int | None:
        """How often so far the meter did what it does when its dimensions change; None where it does nothing."""

    @property
    def lateness(self) -> float:
        """Seconds that an answer takes at least, where that is far more than usual; 0.0 where it is not."""

    @property
    def notice(self) -> NesgwError | None:
        """What a person should mend although reading goes on."""

    @property
    def remark(self) -> str | None:
        """What its owner should know of this port, once."""

    @property
    def in_session(self) -> bool:
        """Whether tables can be read now."""

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""

    def connect(self) -> None:
        """Open the port, if it is not open. Raises PortUnavailable."""

    def limit(self, until: float) -> None:
        """Let every exchange that passes this time of the clock end in PollTooLong."""

    def open_session(self) -> None:
        """Open a session that can read everything the key opens; shows the key once."""

    def read(self, span: Span) -> bytes:
        """Read exactly one span. Raises TableNotPresent, KeyRefused, and what every exchange can."""

    def read_all(self, spans: Sequence[Span]) -> dict[Span, bytes]:
        """Read several spans, in as little time as the line allows."""

    def seconds(self, size: int) -> float:
        """How long reading so many bytes takes at the most, on a sound line; outside a session, with opening one."""

    def wait(self, seconds: int) -> None:
        """Have the meter keep the session over so many seconds of silence."""

    def terminate(self, budget: float | None = None) -> None:
        """End the session as well as ``budget`` seconds allow. Raises nothing that the line or the meter can cause."""

    def learn_from(self, error: BaseException) -> None:
        """Choose more cautious settings for the next session after what ended this one."""

    def close(self) -> None:
        """Give the port back."""
