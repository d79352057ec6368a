"""What must hold of every fault in virtual time, by whichever port the meter is read."""

from __future__ import annotations

from tests.faults.figures import Figures, memory
from tests.faults.rig import Rig

INTERVAL = 10.0  # seconds from poll to poll
POLL = 1.5  # that one takes itself, at 9600 baud; on MEP with the pauses that the guide asks for after trouble


def check(rig: Rig, fault: str, where: str, end: float, memory_before: float) -> None:
    """The fault ended at ``end``, and a minute has passed: nothing wrong was published, and the next poll was good."""
    figures = Figures(
        fault=fault,
        where=f"virtual time, {where}",
        injected=max(sum(rig.line.meter.faults.done.values()), 1),
        published=len(rig.broker.states),
        wrong=len(rig.broker.wrong),
        recovery=rig.recovery(end),
        allowed=INTERVAL + POLL,
        memory=(memory_before, memory()),
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
