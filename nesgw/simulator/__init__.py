"""A simulated meter, written from the sources alone: it imports nothing else of nesgw, so that no mistake is shared.

``SimulatedMeter`` is the meter without a line, ``MepPort`` its other port; ``PtyLine`` puts either on a pseudo
terminal, ``VirtualLine`` into virtual time; ``meter.faults`` is the switchboard of what can go wrong. ``from_dump``
plays a real meter's dump.
"""

from nesgw.simulator.alarms import ALARMS
from nesgw.simulator.dump import from_dump
from nesgw.simulator.faults import Fault, Faults
from nesgw.simulator.line import PtyLine, VirtualLine
from nesgw.simulator.mep import MepPort
from nesgw.simulator.meter import Counters, SimulatedMeter
from nesgw.simulator.profiles import DEFAULT_KEY, PROFILES, LoadSet, Profile
from nesgw.simulator.registers import Truth
from nesgw.simulator.serve import serve
from nesgw.simulator.services import Code, State
from nesgw.simulator.sub_meters import SubMeter

__all__ = [
    "ALARMS",
    "DEFAULT_KEY",
    "PROFILES",
    "Code",
    "Counters",
    "Fault",
    "Faults",
    "LoadSet",
    "MepPort",
    "Profile",
    "PtyLine",
    "SimulatedMeter",
    "State",
    "SubMeter",
    "Truth",
    "VirtualLine",
    "from_dump",
    "serve",
]
