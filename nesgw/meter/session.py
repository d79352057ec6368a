"""A meter as the daemon and the commands see it: sessions, the facts that rarely change, and the values of a poll.

Joins the optical client to the tables. Knows no MQTT, keeps no history and judges no value: the worker does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from nesgw.errors import (
    KeyRefused,
    LineTooNoisy,
    MeterBusy,
    MeterMisbehaved,
    NoAnswer,
    PortBusy,
    PortUnavailable,
    TableNotPresent,
    UnsupportedMeter,
)
from nesgw.meter.session_mode import SessionChoice, SessionMode
from nesgw.optical.client import DEFAULT_LIMITS, SMALL_LIMITS, MessageLimits, MeterClient
from nesgw.optical.link import Link
from nesgw.optical.read_plan import Span
from nesgw.optical.session import State
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port
from nesgw.tables.alarms import ET29_SENSORS, AlarmTable, decode_earth_fault
from nesgw.tables.dimensions import BT20, BT21, Dimensions, decode_dimensions, decode_order
from nesgw.tables.event_log import (
    BT70,
    BT71,
    ET54_ALTERNATE,
    decode_alternate_entries,
    decode_log_dimensions,
    event_queues,
)
from nesgw.tables.identity import (
    BT00,
    BT01,
    ET03,
    ET29,
    ByteOrder,
    GeneralConfiguration,
    behind_transformers,
    decode_general_configuration,
    decode_identity,
)
from nesgw.tables.installation import (
    BT15,
    ET04_PHASES,
    ET42_TIER_SIZE,
    AbsentPhases,
    Installation,
    decode_absent_phases,
    decode_energy_unit,
    decode_ratios,
    decode_tier_size,
    energy_unit_part,
)
from nesgw.tables.layout import Layout
from nesgw.tables.register import Part, table_name
from nesgw.values import Firmware, MeterIdentity, Reading

# What to negotiate, best first. A probe that cannot bear long packets shows it by damaged ones: one step down then.
LIMITS: Final = (MessageLimits(512, 4), SMALL_LIMITS, DEFAULT_LIMITS)

# What baud = "negotiate" asks for, best first.
FASTER: Final = (28800, 19200)

# The meter falls back to its base state after 6 s of silence [S]; Wait keeps the channel for up to 255 s.
_CHANNEL_SILENCE: Final = 4.0
_LONGEST_WAIT: Final = 255

_ALTERNATE_LOG: Final = Firmware(3, 70)  # from here on there may be a second event log

# Dimensions change when the utility reconfigures the meter: found within this time even if nothing else shows it.
_FACTS_LAST: Final = 3600.0
_GOODBYE: Final = 1.0  # seconds for ending a session while the process stops

# What a meter refuses to tell for no reason, or garbles, may be told the next time. After so many times in a row it
# is taken for a table that this meter cannot give.
_DO_WITHOUT_AFTER: Final = 3
# Failed polls in a row, after which the port is opened anew: an adapter or a network port may be stuck in a way that
# looks like silence, and a link may point to another device by now.
_REOPEN_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class MeterPort:
    """Where a meter is and how it is opened."""

    port: str
    key: bytes | None = field(repr=False)
    baud: int = 9600  # at which every session begins
    rts: bool = True
    dtr: bool = False
    negotiate_baud: bool = False  # ask for a faster one


class Facts(NamedTuple):
    """What a meter is asked once and then remembered: who it is and where its registers stand."""

    general: GeneralConfiguration
    identity: MeterIdentity
    dimensions: Dimensions
    installation: Installation
    layout: Layout
    alarms: AlarmTable | None  # None: the meter keeps BT03 from this key
    logs: bool  # whether there is an event log to look into
    learnt: float  # monotonic seconds

    def tell_the_same(self, other: Facts | None) -> bool:
        """Whether nothing differs that would be published differently."""
        if other is None:
            return False
        mine, others = self.layout, other.layout
        return (self.identity, self.dimensions, mine.reads, mine.cells, mine.differences) == (
            other.identity,
            other.dimensions,
            others.reads,
            others.cells,
            others.differences,
        )


class Meter:
    """One meter behind one probe. Not thread-safe: one worker owns it.

    ``stop`` is asked several times a second during every wait; once it says True the wait ends with ``Stopped``.
    """

    def __init__(
        self,
        place: MeterPort,
        *,
        mode: SessionMode | Literal["auto"] = "per-poll",
        max_session: float = 300.0,
        idle: float = 0.0,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Port] = open_port,
        trace: Callable[..., object] | None = None,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._place = place
        self._configured = mode
        self._choice = SessionChoice()
        self._max_session = max_session
        self._idle = idle  # seconds from one poll to the next, for keep-open
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._opener = opener
        self._trace = trace
        self._wall_clock = wall_clock
        self._client: MeterClient | None = None
        self._port: Port | None = None
        self._lent = False
        self._session_since: float | None = None
        self._too_fast = False  # for this probe and meter nothing but the usual baud rate
        self._facts: Facts | None = None
        self._doubted = False
        self._misbehaved: Counter[str] = Counter()  # times in a row, by the name of an optional part
        self._given: set[str] = set()  # the names of optional parts that this meter has
        self._asked: str | None = None  # whose those two are
        self._failures = 0  # polls in a row
        self._limits = 0  # index into LIMITS
        self._link = Link()  # outlives the port: what was sent last matters to the meter, not to the port

    @property
    def mode(self) -> SessionMode:
        """Whether each poll has a session of its own."""
        return self._choice.mode if self._configured == "auto" else self._configured

    @property
    def mode_reason(self) -> str:
        """Why that mode."""
        if self._configured != "auto":
            return "as configured"
        if self.mode == "keep-open" and not self._can_be_held:
            return f"{self._choice.reason}, but none can be held over {self._idle:.0f} s"
        return self._choice.reason

    @property
    def _can_be_held(self) -> bool:
        return self._idle + _CHANNEL_SILENCE <= _LONGEST_WAIT

    @property
    def limits(self) -> MessageLimits | None:
        """What the present session was granted; None while no port is open."""
        return self._client.limits if self._client else None

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        return self._link.statistics.bytes_out, self._link.statistics.bytes_in

    @contextmanager
    def session(self, until: float) -> Iterator[None]:
        """Hold a session that can read everything, until the monotonic time ``until`` at the latest.

        Whatever goes wrong inside leaves the line so that the next session starts clean.
        """
        client = self._connected()
        client.limit(until)
        try:
            if self._session_since is None or self._clock() - self._session_since > self._max_session:
                if self._session_since is not None:
                    self._end_session(client)
                wanted = replace(LIMITS[self._limits], baud=self._place.baud)
                faster = FASTER if self._place.negotiate_baud and not self._too_fast else ()
                client.open_session(self._place.key, wanted, faster)
                self._too_fast = self._too_fast or client.too_fast
                self._session_since = self._clock()
            yield
            self._leave(client)
            self._failures = 0
        except PortUnavailable:
            self._choice.interrupted()
            self._drop_port()
            raise
        except BaseException as error:
            # The meter may have been exchanged, or restarted with another configuration, while we heard nothing.
            self._doubted = True
            self._choice.interrupted()
            at_speed = client.limits.baud != self._place.baud
            if client.too_fast or (at_speed and isinstance(error, (NoAnswer, LineTooNoisy))):
                self._too_fast = True  # whether it is the speed that fails or not: the usual one is safer
            elif isinstance(error, LineTooNoisy):
                self._limits = min(self._limits + 1, len(LIMITS) - 1)
            self._abandon(client)
            self._failures += 1
            if self._failures % _REOPEN_AFTER == 0:
                self._drop_port()
            raise

    @property
    def to_be_learnt(self) -> bool:
        """Whether ``facts`` will ask for everything, which takes longer than a poll."""
        return self._facts is None or self._clock() - self._facts.learnt > _FACTS_LAST

    def facts(self, *, verify: bool = False, expect: Callable[[str], None] = lambda _: None) -> Facts:
        """Return who the meter is and its layout; asks the meter the first time, in doubt, and every hour.

        ``expect`` is told early whose id the meter gives, which may yet turn out to be wrong.
        """
        facts = self._facts
        if facts is None or self.to_be_learnt or ((verify or self._doubted) and self._changed(facts)):
            samples: dict[Part, bytes] = {}
            facts = self._learn(samples, expect)
            # What is news is believed when it was told twice: sound packets may carry a wild byte, and one in a
            # serial number or in a dimension would make another meter, or other registers, of this one.
            if not facts.tell_the_same(self._facts) and not self._learn(samples, told=facts).tell_the_same(facts):
                raise MeterMisbehaved(service="who it is and what it has", problem="it tells two different things")
            if self._facts is not None and facts.identity.id != self._facts.identity.id:
                self._choice = SessionChoice()
            self._facts = facts
        self._doubted = False
        return facts

    def _changed(self, facts: Facts) -> bool:
        return self._identity(self._optional(ET29)) != facts.identity or self._dimensions() != facts.dimensions

    def look_for_traces(self) -> None:
        """With session = "auto", and until that is decided: see whether the session before left an entry behind."""
        if self._configured != "auto" or not self._choice.open:
            return
        try:
            newest = self._newest_event(self.facts().layout.byteorder)
        except (MeterBusy, MeterMisbehaved) as error:
            if self._connected().state is not State.SESSION:
                raise
            if isinstance(error, MeterBusy):
                return  # the next session may tell
            newest = None
        if newest is None:
            self._choice.unreadable("the meter's event log cannot be read")
        else:
            self._choice.seen(newest)

    def _newest_event(self, byteorder: ByteOrder) -> int | None:
        """Return the sequence number of the newest entry; from 3.70 on both logs share one sequence."""
        part = BT71
        if (data := self._optional(BT71)) is None:
            part = BT70
            if (data := self._optional(BT70)) is None:
                return None
        alternate = self._optional(ET54_ALTERNATE) if self.facts().identity.firmware >= _ALTERNATE_LOG else None
        entries = 0 if alternate is None else decode_alternate_entries(alternate, byteorder)
        queues = event_queues(decode_log_dimensions(data, byteorder, part), entries)
        heads = [(queue, head) for queue in queues if (head := self._optional(queue.head)) is not None]
        return max((queue.decode_head(head, byteorder).sequence for queue, head in heads), default=None)

    def read(self) -> Reading:
        """Return one poll's values, read in this session; not judged yet."""
        layout = self.facts().layout
        spans = {part.name: Span(part.table, part.offset, part.size) for part in layout.reads}
        found = self._connected().read_all(list(spans.values()))
        return layout.reading({name: found[span] for name, span in spans.items()}, self._wall_clock())

    def lend(self) -> None:
        """End the session and let another process use the port, until ``reclaim`` or the next session."""
        if self._client is None or self._port is None or self._lent:
            return
        if self._session_since is not None:
            self._end_session(self._client)
        self._choice.interrupted()
        self._lent = self._port.lend()
        if not self._lent:
            self._drop_port()

    def reclaim(self) -> None:
        """Take the port back. Raises PortBusy while the other one is still at it."""
        if self._lent and self._port is not None:
            try:
                self._port.reclaim()
            except PortBusy:
                raise
            except PortUnavailable:
                self._drop_port()
                raise
            self._lent = False

    def close(self) -> None:
        """End the session, politely and quickly, and give the port back."""
        if self._client is not None and self._session_since is not None:
            self._abandon(self._client)
        self._drop_port()

    def _connected(self) -> MeterClient:
        self.reclaim()
        if self._client is None:
            place = self._place
            self._port = self._opener(place.port, baud=place.baud, rts=place.rts, dtr=place.dtr)
            self._client = MeterClient(
                self._port,
                clock=self._clock,
                sleep=self._sleep,
                stop=self._stop,
                link=self._link,
                trace=self._trace,
                table_name=table_name,
            )
        return self._client

    def _leave(self, client: MeterClient) -> None:
        """Between polls: end the session, or tell the meter how long we shall be silent."""
        if self.mode == "per-poll" or self._too_old_for_another or client.state is not State.SESSION:
            self._end_session(client)
        elif self._idle > _CHANNEL_SILENCE:
            if self._can_be_held:
                client.wait(round(self._idle + _CHANNEL_SILENCE))
            else:
                self._end_session(client)

    @property
    def _too_old_for_another(self) -> bool:
        """Whether the session would be older than it may be by the next poll: the meter's own limit does not wait."""
        since = self._session_since
        return since is not None and self._clock() + self._idle - since > self._max_session

    def _end_session(self, client: MeterClient) -> None:
        self._session_since = None
        client.terminate()

    def _abandon(self, client: MeterClient) -> None:
        """End what may still be a session, whatever state it is in, in little time."""
        self._session_since = None
        client.terminate(_GOODBYE)

    def _drop_port(self) -> None:
        self._session_since = None
        self._client = None
        self._lent = False
        if self._port is not None:
            self._port.close()
            self._port = None

    # What is asked once

    def _learn(
        self,
        samples: dict[Part, bytes],
        expect: Callable[[str], None] = lambda _: None,
        told: Facts | None = None,
    ) -> Facts:
        """Ask for everything; the second time, with what was ``told`` the first time, for what has to be the same.

        ``samples`` keeps the registers, which say little and are long, from the one for the other.
        """

        def sample(part: Part) -> bytes:
            if part not in samples:
                samples[part] = self.get(part)
            return samples[part]

        general = decode_general_configuration(self.get(BT00))
        hardware = self._optional(ET29)
        identity = self._identity(hardware)
        expect(identity.id)
        if identity.id != self._asked:
            self._asked = identity.id
            self._given.clear()  # what another meter had and lacked
            self._misbehaved.clear()
        dimensions = self._dimensions()
        installation = self._installation(general.byteorder, identity.firmware, hardware)
        layout = Layout.build(
            dimensions,
            identity.firmware,
            general.byteorder,
            registers=sample(dimensions.registers),
            values=sample(dimensions.values),
            summation_order=self._order(dimensions.summation_order),
            present_order=self._order(dimensions.present_order),
            installation=installation,
        )
        return Facts(
            general,
            identity,
            dimensions,
            installation,
            layout,
            alarms=told.alarms if told else self._alarms(general, identity.firmware),
            logs=told.logs if told else self._optional(BT71) is not None,
            learnt=self._clock(),
        )

    def _identity(self, hardware: bytes | None) -> MeterIdentity:
        identity = decode_identity(self.get(BT01), self._optional(ET03), hardware)
        known = self._facts.identity if self._facts else None
        if known and not identity.utility_serial and identity.manufacturer_serial == known.manufacturer_serial:
            return replace(identity, utility_serial=known.utility_serial)  # not told today: no other meter for that
        return identity

    def _dimensions(self) -> Dimensions:
        try:
            return decode_dimensions(self.get(BT21))
        except TableNotPresent:
            return decode_dimensions(self.get(BT20), BT20)

    def _order(self, part: Part) -> tuple[int, ...] | None:
        """BT22 or BT27, which came with firmware 3.10."""
        data = self._optional(part, once_given=True)
        return None if data is None else decode_order(data, part)

    def _alarms(self, general: GeneralConfiguration, firmware: Firmware) -> AlarmTable | None:
        sensors = self._optional(ET29_SENSORS) if firmware >= Firmware(4, 0) else None
        earth_fault = sensors is not None and decode_earth_fault(sensors, general.byteorder)
        table = AlarmTable.of(firmware, general.alarm_bytes, earth_fault=earth_fault)
        return table if self._optional(table.part) is not None else None

    def _installation(self, byteorder: ByteOrder, firmware: Firmware, hardware: bytes | None) -> Installation:
        """What the meter tells of its wiring; each part may be missing or closed to this key."""
        phases = self._optional(ET04_PHASES)
        absent = AbsentPhases() if phases is None else decode_absent_phases(phases)
        tier_size = self._optional(ET42_TIER_SIZE)
        size = None if tier_size is None else decode_tier_size(tier_size, byteorder)
        constants = self._optional(BT15, once_given=True)
        if constants is None and behind_transformers(hardware):
            raise UnsupportedMeter(
                problem="it is behind current transformers and keeps their ratios (BT15) from this key, so that "
                "nobody knows the unit of its energy"
            )
        if constants is None:
            return Installation(absent=absent, tier_size=size)
        maxima = decode_dimensions(self.get(BT20), BT20)
        part = energy_unit_part(firmware, maxima.tiers)
        unit = self._optional(part, once_given=True) if part else None
        return Installation(
            ratios=decode_ratios(constants, byteorder),
            energy_unit=1 if unit is None else decode_energy_unit(unit),
            absent=absent,
            tier_size=size,
        )

    def get(self, part: Part) -> bytes:
        """Read one part of a table in this session."""
        return self._connected().read(part.table, part.offset, part.size)

    def _optional(self, part: Part, *, once_given: bool = False) -> bytes | None:
        """Read what a meter may lack, keep from this key (isc without a wrong key: a hardware lock) or fail to give.

        ``once_given``: what it gave before it must give again, for without it the same bytes would make other values.
        """
        if self._misbehaved[part.name] >= _DO_WITHOUT_AFTER:
            return None
        try:
            data = self.get(part)
        except (TableNotPresent, KeyRefused):
            return None
        except (MeterBusy, MeterMisbehaved):
            # The poll fails with it: three times in one breath are one trouble, in three polls they are a habit.
            if not (once_given and part.name in self._given):
                self._misbehaved[part.name] += 1
            raise
        del self._misbehaved[part.name]
        self._given.add(part.name)
        return data
