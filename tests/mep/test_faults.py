"""Every fault that the port can have, while a meter is polled: no wrong byte, and the poll after its end succeeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from nesgw.errors import NesgwError, ProtocolMisuse
from nesgw.simulator.services import Code
from tests.mep.conftest import Rig

INTERVAL = 10.0

Setting = Callable[[Rig], object]


def manners(**changes: object) -> Setting:
    def change(rig: Rig) -> None:
        for name, value in changes.items():
            setattr(rig.manners, name, value)

    return change


def usual(rig: Rig) -> None:
    """End every fault."""
    rig.faults.clear()
    manners(**USUAL)(rig)


USUAL: dict[str, object] = {
    "disabled": False,
    "floating": False,
    "baud": 9600,
    "weak_after": 0,
    "weak_garbles": False,
    "answer_delay": 0.02,
    "throttle": 0.1,
    "pause": 0.025,
    "alerts": False,
    "wrong_digest": "short",
    "signed_refusals": True,
    "reports_last": False,
}


def noise(rig: Rig) -> None:
    rig.faults.noise(corrupt=0.2)


def busy(rig: Rig) -> None:
    rig.faults.refuse(Code.BSY, count=2)


def both(*settings: Setting) -> Setting:
    def change(rig: Rig) -> None:
        for setting in settings:
            setting(rig)

    return change


# What a client bears: each poll succeeds while it lasts.
BORNE: dict[str, Setting] = {
    "Enable is weak: the answer stops": manners(weak_after=101),
    "Enable is weak: the answer is garbled": manners(weak_after=101, weak_garbles=True),
    "0x0C tells the last number": manners(reports_last=True),
    "the number jumps": lambda rig: rig.port.change_dimensions(),
    "the number is near its end": lambda rig: setattr(rig.port, "number", 2**32 - 2),
    "an answer takes 400 ms": manners(answer_delay=0.4),
    "answers are half a second apart": manners(throttle=0.5),
    "the meter pauses for 100 ms": manners(pause=0.1),
    "alerts": manners(alerts=True),
    "a request is lost": lambda rig: rig.faults.lose(requests=1),
    "an answer is lost": lambda rig: rig.faults.lose(answers=1),
    "an answer comes twice": lambda rig: rig.faults.repeat(3),
    "an answer comes late": lambda rig: rig.faults.late(0.7),
    "an answer comes very late": lambda rig: rig.faults.late(1.2),
    "our requests come back": lambda rig: rig.faults.echo(),
    "the meter is busy once": lambda rig: rig.faults.refuse(Code.BSY, count=1),
    "refusals without digest": both(manners(signed_refusals=False), busy),
}

# What it does not: polls fail while it lasts, and the first one after it succeeds.
SUFFERED: dict[str, Setting] = {
    "every answer takes 700 ms": manners(answer_delay=0.7),
    "every answer takes 3 s": manners(answer_delay=3.0),
    "deaf, as during an optical session": lambda rig: rig.faults.deaf(),
    "mute": lambda rig: rig.faults.silence(),
    "switched off by the utility": manners(disabled=True),
    "another baud rate": manners(baud=2400),
    "zeros without end": manners(floating=True),
    "stray bytes without end": lambda rig: rig.faults.flood(1e9, rate=300.0),
    "a bit in a hundred bytes to the meter": lambda rig: rig.faults.noise(corrupt=0.01, direction="to_meter"),
    "a bit in a hundred bytes to us": lambda rig: rig.faults.noise(corrupt=0.01, direction="to_client"),
    "a byte in fifty is lost": lambda rig: rig.faults.noise(drop=0.02),
    "a byte in fifty is doubled": lambda rig: rig.faults.noise(duplicate=0.02),
    "a byte in fifty is a stray one": lambda rig: rig.faults.noise(insert=0.02),
    "every bit is noise": lambda rig: rig.faults.noise(corrupt=1.0),
    "answers are lost": lambda rig: rig.faults.lose(answers=1000),
    "requests are lost": lambda rig: rig.faults.lose(requests=1000),
    "wrong digests, the code alone": both(manners(wrong_digest="short"), noise),
    "wrong digests, answered with a digest": both(manners(wrong_digest="long"), noise),
    "wrong digests, not answered": both(manners(wrong_digest="silence"), noise),
    "a power failure": lambda rig: rig.faults.restart(5.0),
    "too busy": lambda rig: rig.faults.refuse(Code.BSY),
    "no rights for a while": lambda rig: rig.faults.refuse(Code.ISC),
    "Enable was dropped by somebody": lambda rig: rig.line.drop_enable(),
}


def polled(rig: Rig) -> bool:
    """Poll, and compare each byte with the meter; tell whether it was answered."""
    begin = rig.now
    rig.client.limit(begin + 12.0)
    try:
        rig.poll()
    except ProtocolMisuse:
        raise
    except NesgwError:
        return False
    finally:
        rig.line.sleep(max(0.0, begin + INTERVAL - rig.now))
    return True


@pytest.mark.parametrize("fault", BORNE)
def test_a_fault_that_is_borne(fault: str) -> None:
    rig = Rig()
    assert polled(rig)
    for _ in range(5):
        BORNE[fault](rig)
        assert polled(rig)
    usual(rig)
    assert polled(rig)
    rig.clean()


@pytest.mark.parametrize("fault", SUFFERED)
def test_a_fault_that_is_suffered(fault: str) -> None:
    rig = Rig()
    assert polled(rig)
    SUFFERED[fault](rig)
    for _ in range(6):
        polled(rig)
    usual(rig)
    assert polled(rig)
    assert rig.port.monitor.forbidden == 0
    sent = [at for at, _ in rig.line.written]
    assert min(later - earlier for earlier, later in itertools.pairwise(sent)) > 0.0999
