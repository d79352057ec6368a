"""One meter behind one port: its session, what is known of it, and the values of a poll."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final

from nesgw.config.settings import Interface, MeterSettings
from nesgw.errors import KeyRefused, MeterBusy, MeterMisbehaved, NesgwError, TableNotPresent
from nesgw.meter.link import MeterLink
from nesgw.meter.mep_link import MepLink
from nesgw.meter.optical_link import OpticalLink
from nesgw.meter.profile import IDENTITY, NEEDED_AGAIN, OPTIONAL, Facts, ask_version, confirm, identify, still_the_same
from nesgw.meter.queries.events import newest_event
from nesgw.meter.reader import Reader, run
from nesgw.meter.session import MeterSession
from nesgw.meter.session_mode import SessionMode
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port
from nesgw.tables.extent import may_be_read
from nesgw.tables.register import Part
from nesgw.values import MeterIdentity, Reading

_LINKS: Final[Mapping[Interface, type[OpticalLink | MepLink]]] = {"optical": OpticalLink, "mep": MepLink}

# Dimensions change when the utility reconfigures the meter: found within this time even if nothing else shows it.
_FACTS_LAST: Final = 3600.0

# What a meter refuses for no reason, or garbles, it may give the next time. After so many times in a row it is taken
# for a table that this meter cannot give.
_DO_WITHOUT_AFTER: Final = 3
_IN_PLACE_OF: Final = {"BT70": "BT71"}  # asked for the same: what fails in both is one trouble


class Meter:
    """One meter. Not thread-safe: one worker, or one command, owns it.

    ``stop`` is asked several times a second during every wait; once it says True the wait ends with ``Stopped``.
    ``link`` is the way there; by default the port and the interface of the settings.
    """

    def __init__(
        self,
        settings: MeterSettings,
        *,
        link: MeterLink | None = None,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Port] = open_port,
        trace: Callable[..., object] | None = None,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        link = link or _LINKS[settings.interface](
            settings, stop=stop, clock=clock, sleep=sleep, opener=opener, trace=trace
        )
        self._link: MeterLink = link
        self._session = MeterSession(link, settings, clock=clock)
        self._optional = OptionalTables(self._session)
        self._clock = clock
        self._wall_clock = wall_clock
        self._facts: Facts | None = None
        self._learnt = float("-inf")
        self._jumps: int | None = None  # of the link, when it was asked last what they mean
        self._version: bytes | None = None  # of the dimensions
        self._asked: str | None = None  # whose tables were found missing
        key = settings.key.reveal() if settings.key else None
        self._key_forms = (key, key.hex().encode(), key.hex().upper().encode()) if key else ()
        self.identity_parts: Mapping[Part, bytes | NesgwError] = {}  # what the meter said of who it is

    @property
    def mode(self) -> SessionMode:
        """Whether each poll has a session of its own."""
        return self._session.mode

    @property
    def mode_reason(self) -> str:
        """Why that mode."""
        return self._session.mode_reason

    @property
    def choosing_mode(self) -> bool:
        """Whether the mode is yet to be found out."""
        return self._session.choosing

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        return self._session.traffic

    @property
    def spare(self) -> int | None:
        """How many reads may be made at once; None where the port asks for no average."""
        return self._link.spare

    @property
    def notice(self) -> NesgwError | None:
        """What a person should mend although reading goes on."""
        return self._link.notice

    @property
    def remark(self) -> str | None:
        """What its owner should know of this port, once."""
        return self._link.remark

    @property
    def lateness(self) -> float:
        """Seconds that an answer takes at least, where that is far more than usual; 0.0 where it is not."""
        return self._link.lateness

    @property
    def in_session(self) -> bool:
        """Whether a session is open and sound."""
        return self._session.in_session

    def session(self, until: float) -> AbstractContextManager[None]:
        """Have a session that can read everything, until the monotonic time ``until`` at the latest."""
        return self._session.session(until)

    def limit(self, until: float) -> None:
        """Let the present session last until this time of the clock."""
        self._session.limit(until)

    def read(self, part: Part) -> bytes:
        """Read one part of a table in this session."""
        return self._session.read(part)

    def disclose(self, part: Part) -> bytes | None:
        """Read a part for somebody else: None if a key may stand there, and zeros where ours does."""
        if not run(may_be_read(part), self._session):
            return None
        data = self._session.read(part)
        for form in self._key_forms:
            data = data.replace(form, bytes(len(form)))
        return data

    def seconds(self, part: Part) -> float:
        """How long reading a part takes at the most, on a sound line; outside a session, with opening one."""
        return self._session.seconds(part)

    def reading(self, *, energies: bool = True) -> Reading:
        """Return one poll's values, read in this session; not judged yet. ``energies``: those of BT23 as well."""
        while True:
            facts = self.facts()
            parts = facts.layout.reads if energies else facts.layout.parts_of(28)
            blocks = self._session.read_all(parts)
            if self.facts() is facts:  # else its dimensions have changed under our hands
                return facts.layout.reading(blocks, self._wall_clock())

    @property
    def to_be_identified(self) -> bool:
        """Whether ``facts`` will ask for everything, which takes longer than a poll."""
        return self._facts is None or (self._link.jumps is None and self._may_be_outdated)

    @property
    def _may_be_outdated(self) -> bool:
        return self._clock() - self._learnt > _FACTS_LAST

    def facts(self, *, verify: bool = False, on_identity: Callable[[str], object] = lambda _: None) -> Facts:
        """Return who the meter is and its layout; asks the meter the first time, in doubt, and every hour.

        ``on_identity`` is called early with the id that the meter gives, which may yet turn out to be wrong.
        """
        facts = self._facts
        if facts is None or self.to_be_identified or not self._still_holds(facts, verify=verify):
            facts = self._identified(on_identity)
        self._session.doubted = False
        return facts

    def _still_holds(self, facts: Facts, *, verify: bool) -> bool:
        """Look whether anything has changed, where there is a reason to."""
        if self._link.jumps != self._jumps:
            jumps, version = self._link.jumps, run(ask_version(), self._session)
            if version is None or version != self._version:
                return False
            self._jumps = jumps
        outdated = self._may_be_outdated
        if (verify or self._session.doubted or outdated) and not run(still_the_same(facts), self._optional):
            return False
        if outdated:
            self._learnt = self._clock()
        return True

    def _identified(self, on_identity: Callable[[str], object]) -> Facts:
        """Ask for everything; what differs from before is asked once more, and counts if it was said twice."""
        before = self._facts
        known = before.identity if before else None

        def heard(identity: MeterIdentity) -> None:
            if identity.id != self._asked:
                self._asked = identity.id
                self._optional.forget()  # what another meter had and lacked
            on_identity(identity.id)

        self._jumps = self._link.jumps
        if self._jumps is not None:
            self._version = run(ask_version(), self._session)
        facts = run(identify(before, heard), self._optional)
        if not facts.published_like(before):
            run(confirm(facts, known), self._optional)
        if known is not None and facts.identity.id != known.id:
            self._session.another_meter()
        self._facts, self._learnt = facts, self._clock()
        self.identity_parts = dict(self._optional.identity)
        return facts

    def look_for_traces(self) -> None:
        """With session = "auto", and until that is decided: see whether the session before left an entry behind."""
        if not self._session.choosing:
            return
        try:
            newest = run(newest_event(self.facts()), self._optional)
        except (MeterBusy, MeterMisbehaved) as error:
            if not self._session.in_session:
                raise
            if isinstance(error, MeterBusy):
                return  # the next session may tell
            newest = None
        self._session.seen_event(newest)

    def close(self) -> None:
        """End the session, politely and quickly, and give the port back."""
        self._session.close()


class OptionalTables:
    """Reads what a meter may fail to give without end; after some failures in a row the table counts as missing."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._failures: Counter[str] = Counter()  # in a row, by the name of the table
        self._given: set[str] = set()
        self.identity: dict[Part, bytes | NesgwError] = {}  # the parts by which the meter is known

    def read(self, part: Part) -> bytes:
        """Read a part. Raises TableNotPresent for an optional table that failed too often."""
        try:
            data = self._read(part)
        except (TableNotPresent, KeyRefused) as refusal:
            if part in IDENTITY:
                self.identity[part] = refusal
            raise
        if part in IDENTITY:
            self.identity[part] = data
        return data

    def _read(self, part: Part) -> bytes:
        if part.name not in OPTIONAL:
            return self._reader.read(part)
        name = _IN_PLACE_OF.get(part.name, part.name)
        if self._failures[name] >= _DO_WITHOUT_AFTER:
            raise TableNotPresent(table=part.name)
        try:
            data = self._reader.read(part)
        except (TableNotPresent, KeyRefused):
            raise
        except (MeterBusy, MeterMisbehaved):
            # The poll fails with it: three times in one breath are one trouble, in three polls they are a habit.
            if not (name in NEEDED_AGAIN and name in self._given):
                self._failures[name] += 1
            raise
        del self._failures[name]
        self._given.add(name)
        return data

    def forget(self) -> None:
        """Begin again, with another meter."""
        self._failures.clear()
        self._given.clear()
