"""A session with a meter, held or renewed as the mode says: reads parts of tables, and recovers from what goes wrong.

Knows no value and no MQTT, and not which link is under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from nesgw.config.settings import MeterSettings
from nesgw.errors import PortUnavailable, TableNotPresent
from nesgw.meter.link import MeterLink
from nesgw.meter.session_mode import SessionChoice, SessionMode
from nesgw.optical.read_plan import Span
from nesgw.tables.register import Part

# The meter falls back to its base state after 6 s of silence [C12.18-1996]; Wait keeps the channel for up to 255 s.
_CHANNEL_SILENCE: Final = 4.0
_LONGEST_WAIT: Final = 255

_GOODBYE: Final = 1.0  # seconds for ending a session that went wrong, or while the process stops

# Failed sessions in a row, after which the port is opened again: an adapter or a network port may be stuck in a way
# that looks like silence, and a link may point to another device by now.
_REOPEN_AFTER: Final = 3


class MeterSession:
    """The one session with one meter. Not for two threads: one worker, or one command, owns it."""

    def __init__(
        self,
        link: MeterLink,
        settings: MeterSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._configured = settings.session
        self._choice = SessionChoice()
        self._max_session = settings.max_session
        self._idle = settings.poll_interval  # seconds from one poll to the next, for keep-open
        self._clock = clock
        self._since: float | None = None
        self._failures = 0  # sessions in a row
        self.doubted = False  # whether the meter may be another one since it was heard last

    @property
    def mode(self) -> SessionMode:
        """Whether each poll has a session of its own."""
        if not self._link.has_sessions:
            return "keep-open"
        return self._choice.mode if self._configured == "auto" else self._configured

    @property
    def mode_reason(self) -> str:
        """Why that mode."""
        if not self._link.has_sessions:
            return "this port knows no sessions"
        if self._configured != "auto":
            return "as configured"
        if self.mode == "keep-open" and not self._can_be_held:
            return f"{self._choice.reason}, but none can be held over {self._idle:.0f} s"
        return self._choice.reason

    @property
    def choosing(self) -> bool:
        """Whether ``session = "auto"`` is yet to be decided, by ``seen_event`` in each session."""
        return self._link.has_sessions and self._configured == "auto" and self._choice.open

    def seen_event(self, newest: int | None) -> None:
        """Take note of the newest entry of the meter's event log; None: it cannot be read."""
        if newest is None:
            self._choice.unreadable("the meter's event log cannot be read")
        else:
            self._choice.seen(newest)

    def another_meter(self) -> None:
        """Begin to choose the mode again: what was seen was seen of another meter."""
        self._choice = SessionChoice()

    @property
    def in_session(self) -> bool:
        """Whether a session is open and sound."""
        return self._since is not None and self._link.in_session

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        return self._link.traffic

    @contextmanager
    def session(self, until: float) -> Iterator[None]:
        """Have a session that can read everything, until the monotonic time ``until`` at the latest.

        Whatever goes wrong inside leaves the line so that the next session starts clean.
        """
        link = self._link
        link.connect()
        link.limit(until)
        try:
            if self._since is None or self._too_old(self._clock()):
                if self._since is not None:
                    self._end_session()
                link.open_session()
                self._since = self._clock()
            yield
            self._leave()
            self._failures = 0
        except PortUnavailable:
            self._choice.interrupted()
            self._drop_port()
            raise
        except BaseException as error:
            # The meter may have been exchanged, or restarted with another configuration, while we heard nothing.
            self.doubted = True
            self._choice.interrupted()
            link.learn_from(error)
            self._abandon()
            self._failures += 1
            if self._failures % _REOPEN_AFTER == 0:
                self._drop_port()
            raise

    def limit(self, until: float) -> None:
        """Let the present session last until this time of the clock."""
        self._link.limit(until)

    def read(self, part: Part) -> bytes:
        """Read one part of a table in this session."""
        try:
            return self._link.read(Span(part.table, part.offset, part.size))
        except TableNotPresent:
            raise TableNotPresent(table=part.name) from None

    def read_all(self, parts: Sequence[Part]) -> dict[str, bytes]:
        """Read several parts, by their names, in as little time as the line allows."""
        spans = {part.name: Span(part.table, part.offset, part.size) for part in parts}
        found = self._link.read_all(list(spans.values()))
        return {name: found[span] for name, span in spans.items()}

    def seconds(self, part: Part) -> float:
        """How long reading a part takes at the most, on a sound line; outside a session, with opening one."""
        return self._link.seconds(part.size)

    def close(self) -> None:
        """End the session, politely and quickly, and give the port back."""
        if self._since is not None:
            self._abandon()
        self._drop_port()

    # How it is left between polls

    def _leave(self) -> None:
        """End the session, or have the meter keep it over the time that we shall be silent."""
        may_be_held = self.mode == "keep-open" and self._link.in_session
        if not may_be_held or self._too_old(self._clock() + self._idle):
            self._end_session()
        elif self._link.has_sessions and self._idle > _CHANNEL_SILENCE:
            if self._can_be_held:
                self._link.wait(round(self._idle + _CHANNEL_SILENCE))
            else:
                self._end_session()

    @property
    def _can_be_held(self) -> bool:
        return self._idle + _CHANNEL_SILENCE <= _LONGEST_WAIT

    def _too_old(self, at: float) -> bool:
        """Whether the session would be older than it may be by then: the meter's own limit does not wait."""
        return self._link.has_sessions and self._since is not None and at - self._since > self._max_session

    def _end_session(self) -> None:
        self._since = None
        self._link.terminate()

    def _abandon(self) -> None:
        """End what may still be a session, whatever state it is in, in little time."""
        self._since = None
        self._link.terminate(_GOODBYE)

    def _drop_port(self) -> None:
        self._since = None
        self._link.close()
