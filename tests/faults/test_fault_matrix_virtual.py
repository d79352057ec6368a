"""The fault matrix, first part: every fault of line, session and values by name, at the default poll interval.

In virtual time, so that minutes cost nothing; the second part is a real process. Each fault begins once between two
polls and once in the middle of one.
"""

from pathlib import Path

import pytest

from nesgw.simulator.faults import Fault
from tests.faults.figures import Figures, memory
from tests.faults.rig import Rig
from tests.faults.rows import ALL, Row

# One poll interval, and the time that a poll itself takes at 9600 baud.
POLL = 1.5
BEGINNINGS = {"between polls": 46.0, "within a poll": 50.3}


INTERVAL = 10.0
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
    figures = Figures(
        fault=row.name,
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
    # After that one every poll succeeds again, and the meter is seen as one and the same throughout.
    assert len([at for at in rig.read_at if at > end]) >= 5
    assert {meter for _, meter, _ in rig.broker.availability} == {rig.line.meter.serial}
    assert rig.broker.availability[-1][2] == "online"
    assert rig.worker.status.consecutive_failures == 0
    assert rig.line.meter.counters.wrong_keys == 0
