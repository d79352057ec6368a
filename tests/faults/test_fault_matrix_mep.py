"""The fault matrix over the MEP port: the real worker in virtual time, at the default poll interval."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nesgw.simulator.faults import Fault
from tests.faults.figures import Figures, memory
from tests.faults.mep_rows import ALL_ON_MEP, MepRow
from tests.faults.rig import Rig

INTERVAL = 10.0
POLL = 1.5  # seconds: a poll's own time, and the pauses that the guide asks for after trouble
BEGINNINGS = {"between polls": 46.0, "within a poll": 50.1}
COURSES = [
    pytest.param(
        row,
        beginning,
        id=f"{row.name}, {beginning}",
        marks=pytest.mark.allows_warnings("stiff 5 to 12 V" if row.borne else "."),
    )
    for row in ALL_ON_MEP
    for beginning in BEGINNINGS
]


@pytest.mark.parametrize(("row", "beginning"), COURSES)
def test_it_is_recovered_from_within_one_poll_interval_and_nothing_wrong_is_published(
    row: MepRow, beginning: str, tmp_path: Path
) -> None:
    begin = BEGINNINGS[beginning]
    end = begin + row.lasts
    before = memory()
    plan = tuple(Fault(begin + fault.at, fault.name, fault.arguments) for fault in row.plan)
    rig = Rig(tmp_path, interface="mep", plan=plan)
    rig.at = {begin: lambda: row.begin(rig.line), end + 1e-6: lambda: row.end(rig.line)}
    rig.run(end + 60)
    figures = Figures(
        fault=f"MEP: {row.name}" + (f" (trap {row.trap})" if row.trap else ""),
        where=f"virtual time, {beginning}",
        injected=max(sum(rig.line.meter.faults.done.values()), 1),
        published=len(rig.broker.states),
        wrong=len(rig.broker.wrong),
        recovery=rig.recovery(end),
        allowed=INTERVAL + POLL,
        memory=(before, memory()),
    ).note()
    assert rig.broker.wrong == []
    assert figures.recovery <= figures.allowed
    # The simulated household remembers the weeks that the load profile is read of.
    assert figures.memory[1] - figures.memory[0] < 100
    if row.borne:
        assert rig.worker.status.failures == {}
    # After that one every poll succeeds again, and the meter is seen as one and the same throughout.
    assert len([at for at in rig.read_at if at > end]) >= 5
    assert {meter for _, meter, _ in rig.broker.availability} == {rig.line.meter.serial}
    assert rig.broker.availability[-1][2] == "online"
    assert rig.worker.status.consecutive_failures == 0
    assert {data[2] for _, data in rig.line.written} <= {0x30, 0x3F}
    assert min(later - earlier for (earlier, _), (later, _) in pairwise(rig.line.written)) > 0.0999


def test_every_trap_that_a_fault_can_be_made_of_has_its_row() -> None:
    """The others are of wiring, of keys, of writes, and of decoders: the tests of those name them."""
    assert {row.trap for row in ALL_ON_MEP if row.trap} >= {1, 2, 3, 4, 7, 8, 9, 10, 13, 15, 17, 18, 19, 20, 23}
