"""What the web service is given of the workers: how each meter stands, and its load profile.

Reads what the workers show to everybody, whole values that they replace; holds nothing up.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nesgw.config.settings import MeterSettings
from nesgw.errors import LineTooNoisy, MeterBusy, NoAnswer, NoLoadProfile, PollTooLong, ReaderBusy, ReaderGone
from nesgw.gateway.worker import Worker
from nesgw.meter.profile import Facts, identify
from nesgw.meter.queries.load_profile import KeptProfile, kept_profile, primary_set, profile_sets
from nesgw.meter.reader import run, step
from nesgw.meter.remote_reader import RemoteReader, connect
from nesgw.publishers import payloads
from nesgw.publishers.payloads import MeterStatus
from nesgw.tables.interval_demand import Demand as DemandNow
from nesgw.tables.interval_demand import Running
from nesgw.tables.load_profile import ProfileReading, consumption
from nesgw.tables.mbus import MbusReading
from nesgw.tables.query import Query
from nesgw.tables.register import Part
from nesgw.values import Reading, plain_id
from nesgw.web.snapshot import JsonObject, MeterNow, ProfileRow, StateObject, SubMeter

Clock = Callable[[], float]

ATTEMPTS: Final = 3  # at one part of a load profile: a day has a hundred


class WorkersNow:
    """The workers as the web service sees them; ``hang`` is after how many seconds one that does not turn hangs."""

    def __init__(
        self, meters: Sequence[MeterSettings], workers: Sequence[Worker], hang: float, clock: Clock = time.monotonic
    ) -> None:
        self._meters = [_Sight(meter, worker, clock) for meter, worker in zip(meters, workers, strict=True)]
        self._workers = workers
        self._hang = hang
        self._clock = clock

    def meters(self) -> tuple[MeterNow, ...]:
        """Return how every configured meter stands."""
        return tuple(meter.now() for meter in self._meters)

    def alive(self) -> bool:
        """Whether every worker turns."""
        now = self._clock()
        return all(worker.defect is None and now - worker.pulse < self._hang for worker in self._workers)


class _Sight:
    """One worker; what has not changed since it was looked at last is not made again."""

    def __init__(self, settings: MeterSettings, worker: Worker, clock: Clock) -> None:
        self._settings = settings
        self._worker = worker
        self._clock = clock
        self._facts: Facts | None = None
        self._info: JsonObject | None = None
        self._reading: Reading | None = None
        self._read_at: float | None = None
        self._state: StateObject | None = None
        self._status: MeterStatus | None = None
        self._status_object: JsonObject | None = None
        self._demands: tuple[DemandNow | None, Running | None] = (None, None)
        self._demand_object: JsonObject | None = None
        self._lock = threading.Lock()  # the jobs of the web service look, too

    def now(self) -> MeterNow:
        """Look at the worker."""
        with self._lock:
            worker = self._worker
            # First whether it is fresh: a reading that is older than that is never taken for a fresh one.
            online, facts, reading, status = worker.online, worker.facts, worker.reading, worker.status
            demands = worker.slow.demand, worker.slow.running
            if facts is not self._facts:
                self._facts = facts
                self._info = json.loads(payloads.info(facts.identity, facts.layout.fields)) if facts else None
            if reading is not self._reading:
                self._reading, self._read_at = reading, self._clock()
                self._state = json.loads(payloads.state(reading)) if reading else None
            if status is not self._status:
                self._status, self._status_object = status, json.loads(payloads.meter_status(status))
            if demands[0] is not self._demands[0] or demands[1] is not self._demands[1]:
                self._demands = demands
                self._demand_object = _demand(*demands)
            return MeterNow(
                name=self._settings.name,
                label=self._settings.shown_as,
                poll_interval=self._settings.poll_interval,
                id=facts.identity.id if facts else None,
                online=online and reading is not None,
                read_at=self._read_at,
                info=self._info,
                state=self._state,
                status=self._status_object,
                demand=self._demand_object,
                sub_meters=tuple(_sub_meter(each) for each in tuple(worker.slow.sub_meters.values())),
            )


def _demand(demand: DemandNow | None, running: Running | None) -> JsonObject | None:
    content: JsonObject | None = json.loads(payloads.demand_state(demand, running)) if demand else None
    return content


def _sub_meter(reading: MbusReading) -> SubMeter:
    return SubMeter(
        id=plain_id(f"{reading.manufacturer or ''}{reading.serial}"),
        medium=reading.medium,
        serial=reading.serial,
        manufacturer=reading.manufacturer,
        time=reading.time,
        values=tuple((value.key, value.name, value.value, value.unit) for value in reading.values),
    )


# The load profile


class ProfileReader:
    """Reads load profiles as commands do: through the daemon's own socket, between the polls."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def __call__(self, meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
        """Yield the intervals that end in that time, with what was counted in each."""
        try:
            connection = connect(self._cache / meter)
        except BlockingIOError:
            raise ReaderBusy(seconds=0.0) from None
        if connection is None:
            raise ReaderGone
        with closing(RemoteReader(connection)) as remote:
            reader = _PatientReader(remote)
            facts = run(identify(), reader)
            kept = run(_kept(facts), reader)
            # One interval more: what the first one counted is its difference to that.
            first, now = since - kept.profile.duration, datetime.now(UTC)
            reading = ProfileReading(kept.profile, facts.general.byteorder, first, until, now=now)
            while reading.wanted is not None:
                step(reading, reader)
        yield from _rows(reading, kept, since)


class _PatientReader:
    """Reads a part again that was lost on the line, or had no time between two polls."""

    def __init__(self, reader: RemoteReader) -> None:
        self._reader = reader

    def read(self, part: Part) -> bytes:
        for _ in range(ATTEMPTS - 1):
            with suppress(NoAnswer, LineTooNoisy, PollTooLong, MeterBusy):
                return self._reader.read(part)
        return self._reader.read(part)


def _kept(facts: Facts) -> Query[KeptProfile]:
    sets = yield from profile_sets(facts)
    if not sets:
        raise NoLoadProfile
    return (yield from kept_profile(facts, sets[(yield from primary_set(facts, sets))]))


def _rows(reading: ProfileReading, kept: KeptProfile, since: datetime) -> Iterator[ProfileRow]:
    channels, intervals = kept.channels, reading.intervals
    keys = tuple(channel.key for channel in channels)
    counting = [at for at, channel in enumerate(channels) if channel.counts]
    for place, interval in enumerate(intervals):
        if interval.end <= since:
            continue
        used = consumption(intervals[place - 1], interval, channels, kept.profile.duration) if place else ()
        said = zip(keys, interval.statuses, strict=True)
        yield ProfileRow(
            end=interval.end,
            registers=dict(zip(keys, interval.values(channels), strict=True)),
            used={keys[at]: used[at] if used else None for at in counting},
            status=(*interval.flags, *(f"{key}:{word}" for key, word in said if word)),
        )
