"""The fault matrix over the MEP port: the real worker in virtual time, at the default poll interval."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nesgw.simulator.faults import Fault
from tests.faults.figures import memory
from tests.faults.mep_rows import ALL_ON_MEP, MepRow
from tests.faults.recovery import check
from tests.faults.rig import Rig

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
    trap = f" (trap {row.trap})" if row.trap else ""
    check(rig, f"MEP: {row.name}{trap}", beginning, end, before)
    if row.borne:
        assert rig.worker.status.failures == {}
    assert {data[2] for _, data in rig.line.written} <= {0x30, 0x3F}
    assert min(later - earlier for (earlier, _), (later, _) in pairwise(rig.line.written)) > 0.0999


def test_every_trap_that_a_fault_can_be_made_of_has_its_row() -> None:
    """The others are of wiring, of keys, of writes, and of decoders: the tests of those name them."""
    assert {row.trap for row in ALL_ON_MEP if row.trap} >= {1, 2, 3, 4, 7, 8, 9, 10, 13, 15, 17, 18, 19, 20, 23}
