"""A simulated meter in virtual time, as a port that a Meter opens: hours pass in no time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from nesgw.commands.reader import BurstReader
from nesgw.config.settings import MeterSettings, Secret
from nesgw.gateway.worker import Worker
from nesgw.meter.meter import Meter
from nesgw.publishers.payloads import MeterStatus
from nesgw.simulator import DEFAULT_KEY, MepPort, SimulatedMeter, VirtualLine

EPOCH = datetime(2026, 11, 18, 10, 7, 23, tzinfo=UTC)  # when the simulated time begins: no test hangs on today's date


class VirtualPort(VirtualLine[Any]):
    """The line with what a port has beyond it."""

    interface = "optical"

    def __init__(self, meter: Any, baud: int = 9600) -> None:
        super().__init__(meter, baud)
        self._baud = baud
        self.rts = True

    def holder(self) -> str | None:
        return None

    def lend(self) -> bool:
        return False

    def reclaim(self) -> None:
        pass

    @property
    def baud(self) -> int:
        return self._baud

    @baud.setter
    def baud(self, baud: int) -> None:
        self._baud = baud
        self.meter.set_pace(baud)

    def unpaced(self) -> None:
        """Pass the bytes on at once: what takes no time is simulated sooner."""
        self.meter.set_pace(None)


class VirtualMepPort(VirtualPort):
    """The same meter's MEP port, with the wire for Enable. ``meter`` is the meter, ``port`` its port."""

    interface = "mep"

    def __init__(self, meter: SimulatedMeter, baud: int = 9600, **manners: Any) -> None:
        self.port = MepPort(meter, **manners)
        self.port.enable(False, meter.clock())
        super().__init__(self.port, baud)
        self.meter = meter
        self.written = []  # when each request was sent, and what
        self.rts = False

    @property
    def rts(self) -> Any:
        return self._rts

    @rts.setter
    def rts(self, on: Any) -> None:
        self._rts = on
        self.port.enable(on, self.clock())

    @property
    def baud(self) -> int:
        return self._baud

    @baud.setter
    def baud(self, baud: int) -> None:
        self._baud = baud
        self.port.set_pace(baud)

    def write(self, data: Any) -> None:
        self.written.append((self.clock(), data))
        super().write(data)

    def unpaced(self) -> None:
        self.port.set_pace(None)

    def close(self) -> None:
        super().close()
        self.rts = False


def line_to(
    profile: str = "83331-3i", interface: str = "optical", manners: Any | None = None, **overrides: Any
) -> VirtualPort:
    meter = SimulatedMeter(profile, clock=lambda: 1_000_000.0, **{"epoch": EPOCH, **overrides})
    return VirtualMepPort(meter, **(manners or {})) if interface == "mep" else VirtualPort(meter)


def settings_with(key: Any = DEFAULT_KEY, **options: Any) -> MeterSettings:
    """The settings of a meter on the line; one session a poll, where nothing else is asked for."""
    return MeterSettings("house", key=Secret(key), **{"port": "virtual", "session": "per-poll", **options})


def true_time(line: Any) -> Any:
    """What a right clock shows in the meter's world."""
    return line.meter._epoch + timedelta(seconds=line.clock() - line.meter.started)


def meter_on(line: Any, settings: Any | None = None, **options: Any) -> Meter:
    """A meter on the line; ``options`` are of its settings, or of the object itself."""
    own = {field.name: options.pop(field.name) for field in fields(MeterSettings) if field.name in options}
    return Meter(
        settings or settings_with(**{"interface": line.interface, **own}),
        clock=line.clock,
        sleep=line.sleep,
        opener=lambda *_args, **_options: line,
        **{"wall_clock": lambda: true_time(line), **options},
    )


@contextmanager
def reader_on(line: Any) -> Iterator[Any]:
    """Read as a command does that finds no daemon; at no pace, for what takes no time is simulated sooner."""
    line.unpaced()
    reader = BurstReader(meter_on(line), clock=line.clock, sleep=line.sleep)
    try:
        yield reader
    finally:
        reader.close()


class MeterPublisher:
    """Writes down what it is told, and when."""

    def __init__(self, line: Any, polls: Any, last: Any | None = None) -> None:
        self.line = line
        self.last = last  # what an earlier process left behind
        self.polls = polls
        self.stop = threading.Event()
        self.said = []
        self.readings = []
        self.times = []
        self.statuses = []
        self.events = []
        self.demands = []
        self.sub_meters = []

    def expect(self, meter: Any) -> None:
        pass

    def identify(self, identity: Any, fields: Any, *, alarms: tuple[Any, ...] = (), events: bool = False) -> Any:
        self.said.append(("identify", identity.id, len(fields)))
        return self.last

    def accept(self, reading: Any) -> None:
        self.readings.append(reading)
        self.times.append(self.line.clock())

    def accept_demand(self, demand: Any, running: Any) -> None:
        self.demands.append((demand, running))

    def emit(self, entries: Any) -> None:
        self.events += entries

    def accept_sub_meter(self, reading: Any, every: Any) -> None:
        self.sub_meters.append(reading)

    listening = True

    def available(self, *, online: Any) -> None:
        self.said.append(("available", online))

    def report(self, status: MeterStatus) -> None:
        self.statuses.append(status)
        if len(self.statuses) >= self.polls:
            self.stop.set()


def work(
    line: Any,
    polls: Any,
    before_poll: Any | None = None,
    interval: float = 10.0,
    publisher: Any = None,
    on_change: Any = lambda: None,
    server: Any | None = None,
    wall_clock: Any | None = None,
    zone: Any | None = None,
    **options: Any,
) -> tuple[Any, ...]:
    """Run a worker until it has reported so many polls; ``before_poll`` maps a poll's number to what happens then."""
    publisher = publisher or MeterPublisher(line, polls)
    happenings = dict(before_poll or {})

    def pause(seconds: Any) -> None:
        if len(publisher.statuses) in happenings:
            happenings.pop(len(publisher.statuses))(line.meter)
        line.sleep(seconds)

    settings = settings_with(poll_interval=interval, interface=line.interface, **options)
    worker = Worker(
        settings,
        lambda turn: meter_on(line, settings, stop=turn),
        publisher,
        stop=publisher.stop,
        server=server,
        on_change=on_change,
        clock=line.clock,
        pause=pause,
        wall_clock=wall_clock or (lambda: true_time(line)),
        zone=zone,
    )
    worker.run()
    if worker.defect:
        raise worker.defect
    return worker, publisher
