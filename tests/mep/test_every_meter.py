"""What the tables' decoders ask for, over the MEP port of every simulated meter: the same as from its memory."""

from __future__ import annotations

import pytest

from fuzz.tables import learn
from nesgw.errors import TableNotPresent
from nesgw.mep.client import MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.link import Link
from nesgw.simulator import DEFAULT_KEY, PROFILES, MepPort, SimulatedMeter
from nesgw.tables.register import Part
from tests.mep.conftest import Line


@pytest.mark.parametrize("past_end", ["zeros", "short", "refused"])
@pytest.mark.parametrize("profile", PROFILES)
def test_dimensions_layout_and_identity(profile: str, past_end: str) -> None:
    meter = SimulatedMeter(profile, clock=lambda: 1_000_000.0)
    port = MepPort(meter, past_end=past_end, not_offered=None)  # BT03 is asked for, too
    line = Line(port)
    client = MepClient(line, Link(DigestKey(DEFAULT_KEY)), clock=line.clock, sleep=line.sleep)

    def at_once(part: Part) -> bytes:
        return (meter.image(part.table) or b"")[part.offset : part.offset + part.size].ljust(part.size, b"\0")

    def over_the_port(part: Part) -> bytes:
        try:
            return client.read(part.table, part.offset, part.size)
        except TableNotPresent:
            return bytes(part.size)

    assert learn(over_the_port, "little") == learn(at_once, "little")
    monitor = port.monitor
    assert (monitor.forbidden, monitor.too_soon, monitor.while_off) == (0, 0, 0)
