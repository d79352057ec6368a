"""A simulated meter in virtual time, as a port that a Meter opens: hours pass in no time."""

import threading

from nesgw.gateway.worker import Worker
from nesgw.meter.session import Meter, MeterPort
from nesgw.publishers.payloads import MeterStatus
from nesgw.simulator import DEFAULT_KEY, SimulatedMeter, VirtualLine


class VirtualPort(VirtualLine):
    """The line with what a port has beyond it."""

    def __init__(self, meter, baud=9600):
        super().__init__(meter, baud)
        self._baud = baud
        self.rts = True

    def holder(self):
        return None

    @property
    def baud(self):
        return self._baud

    @baud.setter
    def baud(self, baud):
        self._baud = baud
        self.meter.set_pace(baud)


def line_to(profile="83331-3i", **overrides):
    return VirtualPort(SimulatedMeter(profile, clock=lambda: 1_000_000.0, **overrides))


def meter_on(line, key=DEFAULT_KEY, **options):
    return Meter(
        MeterPort("virtual", key),
        clock=line.clock,
        sleep=line.sleep,
        opener=lambda *_args, **_options: line,
        **options,
    )


class MeterPublisher:
    """Writes down what it is told, and when."""

    def __init__(self, line, polls, last=None):
        self.line = line
        self.last = last  # what an earlier process left behind
        self.polls = polls
        self.stop = threading.Event()
        self.said = []
        self.readings = []
        self.times = []
        self.statuses = []
        self.events = []
        self.sub_meters = []

    def expect(self, meter):
        pass

    def identify(self, identity, fields, *, alarms=(), events=False):
        self.said.append(("identify", identity.id, len(fields)))
        return self.last

    def accept(self, reading):
        self.readings.append(reading)
        self.times.append(self.line.clock())

    def emit(self, entries):
        self.events += entries

    def accept_sub_meter(self, reading, every):
        self.sub_meters.append(reading)

    listening = True

    def available(self, *, online):
        self.said.append(("available", online))

    def report(self, status: MeterStatus):
        self.statuses.append(status)
        if len(self.statuses) >= self.polls:
            self.stop.set()


def work(
    line,
    polls,
    before_poll=None,
    key=None,
    interval=10.0,
    publisher=None,
    max_power=44_000.0,
    news=lambda: None,
    **options,
):
    """Run a worker until it has reported so many polls; ``before_poll`` maps a poll's number to what happens then."""
    publisher = publisher or MeterPublisher(line, polls)
    happenings = dict(before_poll or {})
    key = {} if key is None else {"key": key}

    def pause(seconds):
        if len(publisher.statuses) in happenings:
            happenings.pop(len(publisher.statuses))(line.meter)
        line.sleep(seconds)

    worker = Worker(
        "house",
        lambda turn: meter_on(line, stop=turn, idle=interval, **key, **options),
        publisher,
        poll_interval=interval,
        max_power=max_power,
        stop=publisher.stop,
        news=news,
        clock=line.clock,
        pause=pause,
    )
    worker.run()
    if worker.defect:
        raise worker.defect
    return worker, publisher
