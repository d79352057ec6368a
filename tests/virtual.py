"""A simulated meter in virtual time, as a port that a Meter opens: hours pass in no time."""

from nesgw.meter import Meter, MeterPort
from nesgw.simulator import DEFAULT_KEY, SimulatedMeter, VirtualLine


class VirtualPort(VirtualLine):
    """The line with what a port has beyond it."""

    def __init__(self, meter, baud=9600):
        super().__init__(meter, baud)
        self._baud = baud

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
