"""The fault matrix, first part: every fault of line, session and values by name, at the default poll interval.

In virtual time, so that minutes cost nothing; the second part is a real process. Each fault begins once between two
polls and once in the middle of one.
"""

from pathlib import Path

import pytest

from nesgw.simulator.faults import Fault
from tests.faults.figures import memory
from tests.faults.recovery import check
from tests.faults.rig import Rig
from tests.faults.rows import ALL, Row

BEGINNINGS = {"between polls": 46.0, "within a poll": 50.3}
COURSES = [
    pytest.param(row, beginning, id=f"{row.name}, {beginning}", marks=pytest.mark.allows_warnings(*row.logs))
    for row in ALL
    for beginning in BEGINNINGS
]


@pytest.mark.parametrize(("row", "beginning"), COURSES)
def test_it_is_recovered_from_within_one_poll_interval_and_nothing_wrong_is_published(
    row: Row, beginning: str, tmp_path: Path
) -> None:
    begin = BEGINNINGS[beginning]
    plan = tuple(Fault(begin + fault.at, fault.name, fault.arguments) for fault in row.plan)
    before = memory()
    rig = Rig(tmp_path, row.profile, plan=plan, session=row.mode)
    end = begin + row.lasts
    rig.run(end + 60)
    check(rig, row.name, beginning, end, before)
    assert rig.line.meter.counters.wrong_keys == 0
