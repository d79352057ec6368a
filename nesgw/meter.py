"""A meter as the daemon and the commands see it: sessions, the facts that rarely change, and the values of a poll.

Joins the optical client to the tables. Knows no MQTT, keeps no history and judges no value: the worker does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from nesgw.errors import KeyRefused, LineTooNoisy, MeterMisbehaved, PortUnavailable, TableNotPresent
from nesgw.optical.client import DEFAULT_LIMITS, SMALL_LIMITS, MessageLimits, MeterClient, Port
from nesgw.optical.port import open_port
from nesgw.tables.dimensions import BT20, BT21, Dimensions, decode_dimensions, decode_order
from nesgw.tables.identity import (
    BT00,
    BT01,
    ET03,
    ByteOrder,
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
from nesgw.tables.register import Part
from nesgw.values import Firmware, MeterIdentity, Reading

SessionMode = Literal["per-poll", "keep-open"]

# What to negotiate, best first. A probe that cannot bear long packets shows it by damaged ones: one step down then.
LIMITS: Final = (MessageLimits(512, 4), SMALL_LIMITS, DEFAULT_LIMITS)

# The meter falls back to its base state after 6 s of silence [S]; Wait keeps the channel for up to 255 s.
_CHANNEL_SILENCE: Final = 4.0
_LONGEST_WAIT: Final = 255

# Dimensions change when the utility reconfigures the meter: found within this time even if nothing else shows it.
_FACTS_LAST: Final = 3600.0
_GOODBYE: Final = 1.0  # seconds for ending a session while the process stops


@dataclass(frozen=True, slots=True)
class MeterPort:
    """Where a meter is and how it is opened."""

    port: str
    key: bytes | None
    baud: int = 9600
    rts: bool = True
    dtr: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a meter is asked once and then remembered: who it is and where its registers stand."""

    identity: MeterIdentity
    dimensions: Dimensions
    layout: Layout
    learnt: float  # monotonic seconds


class Meter:
    """One meter behind one probe. Not thread-safe: one worker owns it.

    ``stop`` is asked several times a second during every wait; once it says True the wait ends with ``Stopped``.
    """

    def __init__(
        self,
        place: MeterPort,
        *,
        mode: SessionMode = "per-poll",
        max_session: float = 300.0,
        idle: float = 0.0,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Port] = open_port,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._place = place
        self.mode: SessionMode = mode
        self._max_session = max_session
        self._idle = idle  # seconds from one poll to the next, for keep-open
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._opener = opener
        self._trace = trace
        self._client: MeterClient | None = None
        self._port: Port | None = None
        self._session_since: float | None = None
        self._facts: Facts | None = None
        self._doubted = False
        self._limits = 0  # index into LIMITS
        self._traffic = (0, 0)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        if self._client is None:
            return self._traffic
        counted = self._client.statistics
        return self._traffic[0] + counted.bytes_out, self._traffic[1] + counted.bytes_in

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
                client.open_session(self._place.key, replace(LIMITS[self._limits], baud=self._place.baud))
                self._session_since = self._clock()
            yield
            self._leave(client)
        except PortUnavailable:
            self._drop_port()
            raise
        except BaseException as error:
            # The meter may have been exchanged, or restarted with another configuration, while we heard nothing.
            self._doubted = True
            if isinstance(error, LineTooNoisy):
                self._limits = min(self._limits + 1, len(LIMITS) - 1)
            self._abandon(client)
            raise

    def facts(self, *, verify: bool = False) -> Facts:
        """Return who the meter is and its layout; asks the meter the first time, in doubt, and every hour."""
        facts = self._facts
        if (
            facts is None
            or self._clock() - facts.learnt > _FACTS_LAST
            or ((verify or self._doubted) and self._changed(facts))
        ):
            facts = self._facts = self._learn()
        self._doubted = False
        return facts

    def _changed(self, facts: Facts) -> bool:
        return self._identity() != facts.identity or self._dimensions() != facts.dimensions

    def read(self) -> Reading:
        """Return one poll's values, read in this session; not judged yet."""
        layout = self.facts().layout
        blocks = {part.name: self._get(part) for part in layout.reads}
        tables = {part.name: blocks[part.name] for part in layout.reads if part.offset == 0}
        return Reading(datetime.now(UTC), layout.decode(blocks), tables)

    def close(self) -> None:
        """End the session, politely and quickly, and give the port back."""
        if self._client is not None and self._session_since is not None:
            self._abandon(self._client)
        self._drop_port()

    def _connected(self) -> MeterClient:
        if self._client is None:
            place = self._place
            self._port = self._opener(place.port, baud=place.baud, rts=place.rts, dtr=place.dtr)
            self._client = MeterClient(
                self._port, clock=self._clock, sleep=self._sleep, stop=self._stop, trace=self._trace
            )
        return self._client

    def _leave(self, client: MeterClient) -> None:
        """Between polls: end the session, or tell the meter how long we shall be silent."""
        if self.mode == "per-poll":
            self._end_session(client)
        elif self._idle > _CHANNEL_SILENCE:
            if self._idle + _CHANNEL_SILENCE > _LONGEST_WAIT:
                self._end_session(client)  # no session can be held over so long a pause
            else:
                client.wait(round(self._idle + _CHANNEL_SILENCE))

    def _end_session(self, client: MeterClient) -> None:
        self._session_since = None
        client.terminate()

    def _abandon(self, client: MeterClient) -> None:
        """End what may still be a session, whatever state it is in, in little time."""
        self._session_since = None
        client.terminate(_GOODBYE)

    def _drop_port(self) -> None:
        self._traffic = self.traffic
        self._session_since = None
        self._client = None
        if self._port is not None:
            self._port.close()
            self._port = None

    # What is asked once

    def _learn(self) -> Facts:
        general = decode_general_configuration(self._get(BT00))
        identity = self._identity()
        dimensions = self._dimensions()
        layout = Layout.build(
            dimensions,
            identity.firmware,
            general.byteorder,
            registers=self._get(dimensions.registers),
            values=self._get(dimensions.values),
            summation_order=self._order(dimensions.summation_order),
            present_order=self._order(dimensions.present_order),
            installation=self._installation(general.byteorder, identity.firmware),
        )
        return Facts(identity, dimensions, layout, self._clock())

    def _identity(self) -> MeterIdentity:
        return decode_identity(self._get(BT01), self._optional(ET03))

    def _dimensions(self) -> Dimensions:
        try:
            return decode_dimensions(self._get(BT21))
        except TableNotPresent:
            return decode_dimensions(self._get(BT20), BT20)

    def _order(self, part: Part) -> tuple[int, ...] | None:
        """BT22 or BT27, which came with firmware 3.10."""
        data = self._optional(part)
        return None if data is None else decode_order(data, part)

    def _installation(self, byteorder: ByteOrder, firmware: Firmware) -> Installation:
        """What the meter tells of its wiring; each part may be missing or closed to this key."""
        phases = self._optional(ET04_PHASES)
        absent = AbsentPhases() if phases is None else decode_absent_phases(phases)
        tier_size = self._optional(ET42_TIER_SIZE)
        size = None if tier_size is None else decode_tier_size(tier_size, byteorder)
        constants = self._optional(BT15)
        if constants is None:
            return Installation(absent=absent, tier_size=size)
        maxima = decode_dimensions(self._get(BT20), BT20)
        part = energy_unit_part(firmware, maxima.tiers)
        unit = self._optional(part) if part else None
        return Installation(
            ratios=decode_ratios(constants, byteorder),
            energy_unit=1 if unit is None else decode_energy_unit(unit),
            absent=absent,
            tier_size=size,
        )

    def _get(self, part: Part) -> bytes:
        return self._connected().read(part.table, part.offset, part.size)

    def _optional(self, part: Part) -> bytes | None:
        """Read what a meter may lack, keep from this key (isc without a wrong key: a hardware lock) or fail to give."""
        try:
            return self._get(part)
        except (TableNotPresent, KeyRefused, MeterMisbehaved):
            return None
