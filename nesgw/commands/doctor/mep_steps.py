"""The steps of nesgw doctor that the MEP port has alone: whether its wires, levels and Enable are right, and how well.

All that is asked for is a partial read of one table; any answer to that proves the line, whatever it says of the key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nesgw.commands.doctor.case import MeterCase
from nesgw.commands.doctor.examination import Finding, failed, ok, skipped
from nesgw.errors import (
    EX_UNAVAILABLE,
    MEP_CAUSES,
    KeyRefused,
    LoopedBack,
    MepNoAnswer,
    MepRequestDamaged,
    Retryable,
    WrongLevels,
)
from nesgw.mep.client import NO_KEY, MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.link import Link, Timing
from nesgw.meter.introduction import ONE_SESSION
from nesgw.meter.mep_link import MepLink
from nesgw.meter.meter import Meter

_RATES: Final = (9600, 4800, 2400, 1200, 300, 19200, 14400)  # those of older meters first
_SEEN: Final = ("another program on the port", "the baud rate")  # causes that the steps have excluded


def prove_line(case: MeterCase, *, with_key: bool) -> Finding:
    """Have the meter answer. ``with_key``: by a session with the key there is, which the next steps go on with."""
    assert case.port is not None  # noqa: S101 (else the service has it)
    try:
        if with_key and case.key is not None:
            return _opened(case)
        _ask_at(case, case.settings.baud)
    except (LoopedBack, WrongLevels):
        raise
    except MepNoAnswer as silence:
        return _silent(case, silence)
    return ok("the meter answers; whether it takes a key was not asked")


def _opened(case: MeterCase) -> Finding:
    assert case.key is not None  # noqa: S101
    place = replace(case.settings, port=case.name, key=case.key.value, key_form=case.key.form)
    link = MepLink(place, port=case.port, clock=case.clock, sleep=case.sleep)
    case.meter = Meter(place, link=link, clock=case.clock)
    try:
        case.life.enter_context(case.meter.session(case.clock() + ONE_SESSION))
    except KeyRefused as refusal:
        case.refusal = refusal
    return ok("the meter answers")


def _silent(case: MeterCase, silence: MepNoAnswer) -> Finding:
    """Try the other rates, once each; then there is nothing left that could be seen from here."""
    for rate in _RATES:
        if rate != case.settings.baud and _answers_at(case, rate):
            return failed(f"the meter answers at {rate} baud", f"set baud = {rate}", exit_code=EX_UNAVAILABLE)
    causes = [cause for cause in MEP_CAUSES if cause not in _SEEN]
    return failed(f"{silence.happened}, at no baud rate", *causes, exit_code=EX_UNAVAILABLE)


def _answers_at(case: MeterCase, rate: int) -> bool:
    assert case.port is not None  # noqa: S101
    try:
        case.port.baud = rate
        _ask_at(case, rate, tries=1)
    except MepRequestDamaged:
        return True  # it says that of our digest, once
    except Retryable:
        return False
    else:
        return True
    finally:
        case.port.baud = case.settings.baud


def _ask_at(case: MeterCase, rate: int, tries: int = 3) -> None:
    """Ask for a table with a digest that no meter takes; raises what the line can."""
    assert case.port is not None  # noqa: S101
    assert case.port.baud == rate  # noqa: S101 (the timers follow it)
    link = Link(DigestKey(NO_KEY), Timing(tries=tries))
    MepClient(case.port, link, clock=case.clock, sleep=case.sleep).prove_line()


def long_answers(case: MeterCase) -> Finding:
    """Say whether the longest answer of a reading arrived whole: Enable feeds the meter's transmitter."""
    if case.meter is None:
        return skipped("the service has the port")
    if notice := case.meter.notice:
        return failed(notice.happened, notice.remedy, exit_code=notice.exit_code, blocks=False)
    return ok("they arrive whole: Enable is fed well", *filter(None, [case.meter.remark]))
