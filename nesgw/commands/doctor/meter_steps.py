"""The steps of nesgw doctor for one meter, from the port to its values.

A step returns a finding, or raises the error that a daemon would meet there. Prints nothing. Shows the meter a key
once at the most; changes nothing anywhere.
"""

from __future__ import annotations

import grp
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from nesgw.commands.align.judge import Seat
from nesgw.commands.doctor.case import MeterCase, NoKey
from nesgw.commands.doctor.examination import Finding, Step, failed, failed_with, ok, skipped
from nesgw.commands.doctor.mep_steps import long_answers, prove_line
from nesgw.commands.doctor.report import PATIENT, Report, age, ago
from nesgw.config.access import service_user
from nesgw.config.settings import Interface
from nesgw.errors import (
    EX_CONFIG,
    EX_NOPERM,
    EX_UNAVAILABLE,
    KeyRefused,
    MeterMisbehaved,
    PortBusy,
    PortDenied,
    PortMissing,
    PortShared,
    TableNotPresent,
)
from nesgw.meter.introduction import ONE_SESSION, ask_who
from nesgw.meter.meter import Meter
from nesgw.meter.optical_link import OpticalLink
from nesgw.meter.queries.sub_meters import sub_meter_schedule
from nesgw.meter.reader import run
from nesgw.optical.line_test import LineTest
from nesgw.ports.find import find_port
from nesgw.ports.port import is_bridge
from nesgw.ports.serial_port import open_port
from nesgw.publishers.console import schedule, summary

_ATTEMPTS: Final = 6  # identifies to judge the probe by
_PERIOD: Final = 0.4
_ROOT: Final = "root"


_ASK: Final[Mapping[Interface, str]] = {
    "optical": "ask the utility for the optical read-only key of this very meter. "
    "The probe and the meter can be tried without it, below",
    "mep": "ask the utility for the MEP key (MBK) of this very meter. The cable can be tried without it, below",
}
_COPY: Final = "copy it again from the utility's letter: all of it, and nothing of what stands beside it"


def _key(case: MeterCase) -> Finding:
    """Say in which form it is written. Only a systemd credential may be invisible here and yet in order."""
    if case.key is not None:
        return ok(f"recognised as {case.key.form}")
    match case.no_key:
        case NoKey.NOT_GIVEN | NoKey.CREDENTIAL as why:
            return skipped(why.value, blocks=why is NoKey.NOT_GIVEN)
        case NoKey.MALFORMED:
            return failed(case.key_problem, _COPY, exit_code=EX_CONFIG)
        case NoKey.UNREADABLE:
            return failed(case.key_problem, exit_code=EX_CONFIG)
        case NoKey.MISSING:
            return failed(
                case.key_problem, f"{NoKey.MISSING.value}; {_ASK[case.settings.interface]}", exit_code=EX_CONFIG
            )


def _port_exists(case: MeterCase) -> Finding:
    port = case.settings.port
    case.name = find_port() if port == "auto" else port
    if "://" in case.name:
        return ok(f"{case.name}: on the network" if is_bridge(case.name) else case.name)
    path = Path(case.name)
    if not path.exists():
        raise PortMissing(port=case.name)
    where = f"{path} → {path.resolve()}" if path.is_symlink() else str(path)
    return ok(f"auto: {where}" if port == "auto" else where)


def _permission(case: MeterCase) -> Finding:
    """Open it: that shows more than its mode, which knows nothing of containers and confinement."""
    if is_bridge(case.name) and case.service_lives:
        return ok("not needed on the network; the service has the connection, so none is made here")
    settings = case.settings
    rts = settings.rts or settings.interface == "mep"
    try:
        case.port = open_port(case.name, baud=settings.baud, rts=rts, dtr=settings.dtr)
    except PortBusy as busy:
        case.busy = busy  # for the next step: who gets this answer has the permission
    else:
        case.life.callback(case.port.close)
    return ok("not needed on the network") if "://" in case.name else _permission_of_the_service(case.name)


def _permission_of_the_service(port: str) -> Finding:
    device = Path(port).stat()
    group = _group_name(device.st_gid)
    service = service_user()
    if service is None:
        return ok(f"granted; the port belongs to group {group}")
    groups = os.getgrouplist(service.pw_name, service.pw_gid)
    if may_open(device.st_mode, device.st_uid, device.st_gid, service.pw_uid, groups):
        return ok(f"granted, to the service too; the port belongs to group {group}")
    denied = PortDenied(port=port, user=service.pw_name, group=group)
    return failed(
        f"{denied.happened}; the service runs as that user",
        _give_to_a_group(port) if group == _ROOT else f"sudo usermod -aG {group} {service.pw_name}",
        "then: sudo systemctl restart nesgw",
        exit_code=denied.exit_code,
        blocks=False,
    )


def _give_to_a_group(port: str) -> str:
    """To join the group of root would give away far more than the port."""
    rule = f'SUBSYSTEM=="tty", KERNEL=="{Path(port).resolve().name}", GROUP="dialout"'
    return (
        "give the port to the group dialout, in which the service is: put the line "
        f"{rule} into /etc/udev/rules.d/80-nes-ir-probe.rules, and plug the probe in again"
    )


def may_open(mode: int, owner: int, group: int, user: int, groups: Sequence[int]) -> bool:
    """Whether a file's mode lets a user both read and write."""
    if user == owner:
        wanted = stat.S_IRUSR | stat.S_IWUSR
    elif group in groups:
        wanted = stat.S_IRGRP | stat.S_IWGRP
    else:
        wanted = stat.S_IROTH | stat.S_IWOTH
    return mode & wanted == wanted


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _port_free(case: MeterCase) -> Finding:
    """Whether we have it for ourselves: the service, another program, or one that locks nothing and was there first."""
    if case.port is None and case.service_lives:
        case.service = case.report
        process = f" ({case.busy.facts['holder']})" if case.busy else ""
        return ok(f"held by the nesgw service{process}, as it should be: the next steps go by its reports")
    if case.busy is not None:
        raise case.busy
    assert case.port is not None  # noqa: S101 (else it is busy, or the service has it)
    if holder := case.port.holder():
        raise PortShared(port=case.name, holder=holder)
    if is_bridge(case.name):
        return ok("the bridge let us in; who else uses it cannot be seen from here")
    return ok("no other program holds it")


def _echo(case: MeterCase) -> Finding:
    if case.port is None:
        return skipped("the service has the port; to look yourself: sudo systemctl stop nesgw")
    line_test = LineTest(case.port)
    for _ in range(_ATTEMPTS):
        case.window.add(line_test.attempt(_PERIOD))
    line_test.end()
    if case.window.seat is Seat.ECHO:
        return failed("only the probe's own light comes back", *case.window.advice, exit_code=EX_UNAVAILABLE)
    if any(attempt.echoes for attempt in case.window.attempts):
        return ok("the probe hears itself beside the meter, which nesgw allows for")
    return ok("none")


def _answers(case: MeterCase) -> Finding:
    if case.service is not None:
        return _service_reads(case, case.service)
    window = case.window
    match window.seat:
        case Seat.GOOD:
            return ok(str(window), *window.advice[1:])
        case Seat.SLOW:
            return ok(f"late: {window}", *window.advice)
        case Seat.WEAK:
            return ok(f"now and then: {window}", *window.advice, "to see how well it sits: nesgw align")
        case seat:
            return failed(f"{seat.value}: {window}", *window.advice, exit_code=EX_UNAVAILABLE)


def _service_reads(case: MeterCase, service: Report) -> Finding:
    if service.last_read is not None and service.read_lately(case.settings.poll_interval):
        return ok(f"the service read it {ago(age(service.last_read))}")
    if service.key_refused:
        return ok("it does: it refused the service's key")
    problem = service.last_error or "it has not been read yet"
    return failed(f"the service says: {problem}", exit_code=EX_UNAVAILABLE)


def _identity(case: MeterCase) -> Finding:
    """Read what every meter gives away without a key."""
    if case.port is None:
        return skipped("the service has the port")
    meter = ask_who(case.port, time.monotonic() + ONE_SESSION)
    if meter is None:
        return skipped("this meter does not say who it is without a key")
    return ok(f"{meter.manufacturer} {meter.model}, serial number {meter.serial}, firmware {meter.firmware}")


def _key_accepted(case: MeterCase) -> Finding:
    report = case.service or case.report
    if report is not None and report.key_refused and (case.service or not _worth_another_try(case, report)):
        return skipped(
            f"the meter refused it {ago(report.age)}, when the service showed it: not tried again",
            KeyRefused.do,
            "with another key in its place: sudo systemctl restart nesgw",
            exit_code=EX_NOPERM,
            blocks=True,
        )
    if case.service is not None:
        return ok("the service reads with it")
    if case.key is None or case.port is None:
        return skipped("there is no key to show", blocks=True)
    if case.refusal:
        return failed_with(case.refusal)
    if case.meter is None:
        place = replace(case.settings, port=case.name, key=case.key.value, session="per-poll", negotiate_baud=False)
        case.meter = Meter(place, link=OpticalLink(place, port=case.port))
        try:
            case.life.enter_context(case.meter.session(time.monotonic() + ONE_SESSION))
        except KeyRefused as refusal:
            return failed_with(refusal)
    return ok("the meter took it")


def _worth_another_try(case: MeterCase, report: Report) -> bool:
    """Whether the key is another one than the meter refused, or that was long ago."""
    return report.age > PATIENT or case.key_since > time.time() - report.age


def _cable(case: MeterCase) -> Finding:
    """Have the meter answer, with our key if it may be shown; what it says of that is for the next step."""
    if case.service is not None:
        return _service_reads(case, case.service)
    refused_lately = case.report is not None and case.report.key_refused and not _worth_another_try(case, case.report)
    return prove_line(case, with_key=not refused_lately)


def _who(case: MeterCase) -> Finding:
    if case.service is not None:
        return skipped("the service has the port")
    assert case.meter is not None  # noqa: S101
    meter = case.meter.facts().identity
    return ok(f"{meter.manufacturer} {meter.model}, serial number {meter.serial}, firmware {meter.firmware}")


def _tables(case: MeterCase) -> Finding:
    if case.service is not None:
        return ok(f"{len(case.service.values)} values; {summary(case.service.values)}")
    assert case.meter is not None  # noqa: S101
    reading = case.meter.reading()
    return ok(f"{len(reading.values)} values; {summary(reading.values)}")


def _sub_meters(case: MeterCase) -> Finding:
    """Say when the utility has the M-Bus read: without a schedule a sub-meter never has a value."""
    if case.service is not None:
        return skipped("the service has the port; nesgw read --all asks through it")
    assert case.meter is not None  # noqa: S101
    case.meter.limit(case.clock() + ONE_SESSION)
    try:
        return ok(schedule(run(sub_meter_schedule(case.meter.facts()), case.meter)))
    except (TableNotPresent, KeyRefused):
        return skipped("the meter does not tell this key of its M-Bus")
    except MeterMisbehaved as nonsense:
        return skipped(nonsense.happened)


# By the meter's port that the probe or the cable is on.
METER_STEPS: Final[Mapping[Interface, tuple[Step[MeterCase], ...]]] = {
    "optical": (
        Step("key", _key),
        Step("port", _port_exists),
        Step("permission", _permission, needs=("port",)),
        Step("port free", _port_free, needs=("permission",)),
        Step("probe echo", _echo, needs=("port free",)),
        Step("meter answers", _answers, needs=("probe echo",)),
        Step("open tables", _identity, needs=("meter answers",)),
        Step("key accepted", _key_accepted, needs=("key", "open tables")),
        Step("tables", _tables, needs=("key accepted",)),
        Step("sub-meters", _sub_meters, needs=("tables",)),
    ),
    "mep": (
        Step("key", _key),
        Step("port", _port_exists),
        Step("permission", _permission, needs=("port",)),
        Step("port free", _port_free, needs=("permission",)),
        Step("cable, Enable", _cable, needs=("port free",)),
        Step("key accepted", _key_accepted, needs=("key", "cable, Enable")),
        Step("meter", _who, needs=("key accepted",)),
        Step("tables", _tables, needs=("meter",)),
        Step("sub-meters", _sub_meters, needs=("tables",)),
        Step("long answers", long_answers, needs=("tables",)),
    ),
}
