"""Why does it not work? The steps of ``nesgw doctor``, each a small function that looks at one thing.

A step returns a finding, or raises the error that a daemon would meet there. Prints nothing. Shows the meter a key
once at the most; changes nothing anywhere.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from nesgw.commands.align.judge import Seat, Window
from nesgw.config.key import Key
from nesgw.config.settings import CacheSettings, MeterSettings, MqttSettings
from nesgw.errors import (
    EX_CONFIG,
    EX_NOPERM,
    EX_UNAVAILABLE,
    BrokerUnavailable,
    CacheUnavailable,
    KeyRefused,
    NesgwError,
    PortBusy,
    PortDenied,
    PortMissing,
    TableNotPresent,
    UnsupportedMeter,
)
from nesgw.meter.meter import Meter
from nesgw.optical.client import DEFAULT_LIMITS, MeterClient, Port
from nesgw.optical.line_test import IMPATIENT, LineTest
from nesgw.ports.serial_port import find_port, open_port
from nesgw.publishers.console import summary
from nesgw.publishers.mqtt.broker import Stage
from nesgw.publishers.mqtt.publisher import BrokerSession
from nesgw.publishers.ram_disk import filesystem, refuse_disk
from nesgw.publishers.topics import Topics
from nesgw.tables.identity import BT00, BT01, ET03, decode_general_configuration, decode_identity

_BEATS: Final = 6  # identifies to judge the probe by
_PERIOD: Final = 0.4
_SESSION: Final = 30.0  # for a session that reads everything, on a bad line
_ROOM: Final = 256 * 1024  # bytes that a meter's files and their successors take, amply

# The service reports after each poll. While it waits for a person (a refused key, an unknown meter), it polls hourly.
_STALE_POLLS: Final = 3
_GRACE: Final = 60.0
_PATIENT: Final = 3600.0
_WAITS_FOR_A_PERSON: Final = tuple(kind.what.partition("{")[0] for kind in (KeyRefused, UnsupportedMeter))
_KEY_REFUSED: Final = _WAITS_FOR_A_PERSON[0]

_NOT_AGAIN: Final = "do not try the same key again: a meter counts wrong keys, raises an alarm, and may lock its port"
_SERVICE_USER: Final = "nesgw"


class Mark(Enum):
    """What came of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found, what to do about it, and what it makes the command exit with."""

    mark: Mark
    text: str
    do: tuple[str, ...] = ()
    exit_code: int = 0
    blocks: bool = False  # what builds on this step need not be tried


def ok(text: str, *remarks: str) -> Finding:
    """All is well."""
    return Finding(Mark.OK, text, remarks)


def failed(text: str, *do: str, exit_code: int) -> Finding:
    """It does not work."""
    return Finding(Mark.FAILED, text, do, exit_code, blocks=True)


def skipped(why: str, *do: str, exit_code: int = 0, blocks: bool = False) -> Finding:
    """Not tried."""
    return Finding(Mark.SKIPPED, why, do, exit_code, blocks)


Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class Step(Generic[Case]):
    """One thing to look at. ``needs`` names the steps that must not have failed."""

    title: str
    look: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()


class Examination(Generic[Case]):
    """Takes the steps one after the other."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._found: dict[str, Finding] = {}

    def take(self, step: Step[Case]) -> Finding:
        """Look at one thing; whatever nesgw's errors say of it is the finding."""
        missing = [title for title in step.needs if self._found[title].blocks]
        if missing:
            finding = skipped(f"needs: {missing[0]}", blocks=True)
        else:
            try:
                finding = step.look(self._case)
            except NesgwError as error:
                finding = failed(error.happened, *filter(None, [error.remedy]), exit_code=error.exit_code)
            except PermissionError as error:
                finding = failed(
                    f"{error.filename}: this user may not look there", "sudo nesgw doctor", exit_code=EX_NOPERM
                )
        self._found[step.title] = finding
        return finding


# --- A meter ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """What the service left on the RAM disk about a meter."""

    age: float  # seconds since its last word
    last_error: str | None
    last_read: datetime | None
    values: dict[str, Any]

    @property
    def key_refused(self) -> bool:
        """Whether the meter refused the key when it was asked last."""
        return bool(self.last_error) and str(self.last_error).startswith(_KEY_REFUSED)

    def is_live(self, poll_interval: float) -> bool:
        """Whether a service that wrote this would not have written more by now."""
        waits = self.last_error is not None and self.last_error.startswith(_WAITS_FOR_A_PERSON)
        return self.age <= (_PATIENT if waits else _STALE_POLLS * poll_interval) + _GRACE

    def read_lately(self, poll_interval: float) -> bool:
        """Whether the service reads the meter."""
        return self.last_read is not None and _age(self.last_read) <= _STALE_POLLS * poll_interval + _GRACE


def load_report(folder: Path) -> Report | None:
    """Read what the service said last; None if there is nothing of its, or nothing sound."""
    try:
        written = (folder / "status.json").stat().st_mtime
        status = json.loads((folder / "status.json").read_bytes())
        last_read = status["last_read"] and datetime.fromisoformat(status["last_read"])
        error = status["last_error"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    try:
        values = json.loads((folder / "reading.json").read_bytes())
        values.pop("time")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        values = {}
    return Report(max(0.0, time.time() - written), error and str(error), last_read, values)


@dataclass
class MeterCase:
    """A meter under examination, and what the steps have opened of it. Closes all that as a context manager."""

    settings: MeterSettings
    key: Key | None = field(repr=False)
    key_problem: str  # why there is no key
    key_since: float  # when the file that holds the key was changed last
    report: Report | None
    name: str = ""  # of the port, once it is found
    port: Port | None = None
    busy: PortBusy | None = None
    service: Report | None = None  # what the service says, while it holds the port
    window: Window = field(default_factory=Window)
    meter: Meter | None = None
    life: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> MeterCase:
        return self

    def __exit__(self, *error: object) -> None:
        self.life.close()


def _key(case: MeterCase) -> Finding:
    if case.key is None:
        if case.report is not None and case.report.read_lately(case.settings.poll_interval):
            return skipped(f"the service has one, which cannot be looked at from here: {case.key_problem}")
        return failed(
            case.key_problem,
            "without it nesgw reads no values; ask the utility for the optical read-only key of this very meter. "
            "The probe and the meter can be tried without it, below",
            exit_code=EX_CONFIG,
        )
    return ok(f"recognised as {case.key.form}")


def _port_exists(case: MeterCase) -> Finding:
    port = case.settings.port
    case.name = find_port() if port == "auto" else port
    if "://" in case.name:
        return ok(f"{case.name}: on the network")
    path = Path(case.name)
    if not path.exists():
        raise PortMissing(port=case.name)
    where = f"{path} → {path.resolve()}" if path.is_symlink() else str(path)
    return ok(f"auto: {where}" if port == "auto" else where)


def _permission(case: MeterCase) -> Finding:
    """Open it: that shows more than its mode, which knows nothing of containers and confinement."""
    settings = case.settings
    try:
        case.port = open_port(case.name, baud=settings.baud, rts=settings.rts, dtr=settings.dtr)
    except PortBusy as busy:
        case.busy = busy  # for the next step: to be told so takes the permission
    else:
        case.life.callback(case.port.close)
    if "://" in case.name:
        return ok("not needed on the network")
    device = Path(case.name).stat()
    group = _group_name(device.st_gid)
    try:
        service = pwd.getpwnam(_SERVICE_USER)
    except KeyError:
        return ok(f"granted; the port belongs to group {group}")
    groups = os.getgrouplist(_SERVICE_USER, service.pw_gid)
    if not may_open(device.st_mode, device.st_uid, device.st_gid, service.pw_uid, groups):
        denied = PortDenied(port=case.name, user=_SERVICE_USER, group=group)
        remedy = f"sudo usermod -aG {group} {_SERVICE_USER} && sudo systemctl restart nesgw"
        return failed(f"{denied.happened}; the service runs as that user", remedy, exit_code=denied.exit_code)
    return ok(f"granted, to the service too; the port belongs to group {group}")


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
    if case.busy is None:
        return ok("no other program holds it")
    holder = str(case.busy.facts["holder"])
    if case.report is not None and case.report.is_live(case.settings.poll_interval):
        case.service = case.report
        return ok(f"held by the nesgw service ({holder}), as it should be: the next steps go by its reports")
    raise case.busy


def _echo(case: MeterCase) -> Finding:
    if case.port is None:
        return skipped("the service has the port; to look yourself: sudo systemctl stop nesgw")
    line_test = LineTest(case.port, timing=IMPATIENT)
    for _ in range(_BEATS):
        case.window.add(line_test.attempt(_PERIOD))
    line_test.terminate(_PERIOD)
    if case.window.seat is Seat.ECHO:
        return failed("only the probe's own light comes back", *case.window.advice, exit_code=EX_UNAVAILABLE)
    if any(beat.echoes for beat in case.window.beats):
        return ok("the probe hears itself beside the meter, which nesgw allows for")
    return ok("none")


def _answers(case: MeterCase) -> Finding:
    if case.service is not None:
        return _service_reads(case, case.service)
    window = case.window
    if window.seat is Seat.GOOD:
        return ok(str(window), *window.advice[1:])
    if any(beat.answered for beat in window.beats):
        return ok(f"now and then: {window}", *window.advice, "to see how well it sits: nesgw align")
    return failed(f"{window.seat.value}: {window}", *window.advice, exit_code=EX_UNAVAILABLE)


def _service_reads(case: MeterCase, service: Report) -> Finding:
    if service.last_read is not None and service.read_lately(case.settings.poll_interval):
        return ok(f"the service read it {_ago(_age(service.last_read))}")
    if service.key_refused:
        return ok("it does: it refused the service's key")
    problem = service.last_error or "it has not been read yet"
    return failed(f"the service says: {problem}", exit_code=EX_UNAVAILABLE)


def _identity(case: MeterCase) -> Finding:
    """Read what every meter gives away without a key."""
    if case.port is None:
        return skipped("the service has the port")
    with MeterClient(case.port) as client:
        client.limit(time.monotonic() + _SESSION)
        client.open_session(None, replace(DEFAULT_LIMITS, baud=case.settings.baud))
        try:
            general, who = (client.read(part.table, part.offset, part.size) for part in (BT00, BT01))
        except KeyRefused:
            return skipped("this meter does not say who it is without a key")
        utility = None
        with suppress(TableNotPresent, KeyRefused):
            utility = client.read(ET03.table, ET03.offset, ET03.size)
    decode_general_configuration(general)
    meter = decode_identity(who, utility)
    return ok(f"{meter.manufacturer} {meter.model}, serial number {meter.serial}, firmware {meter.firmware}")


def _key_accepted(case: MeterCase) -> Finding:
    report = case.service or case.report
    if report is not None and report.key_refused and (case.service or not _worth_another_try(case, report)):
        return skipped(
            f"the meter refused it {_ago(report.age)}, when the service showed it: not tried again",
            KeyRefused.do,
            _NOT_AGAIN,
            "with another key in its place: sudo systemctl restart nesgw",
            exit_code=EX_NOPERM,
            blocks=True,
        )
    if case.service is not None:
        return ok("the service reads with it")
    if case.key is None or case.port is None:
        return skipped("there is none at hand to show", blocks=True)
    settings, port = case.settings, case.port
    place = replace(settings, port=case.name, key=case.key.value, session="per-poll", negotiate_baud=False)
    case.meter = Meter(place, opener=lambda *_place, **_options: port)
    try:
        case.life.enter_context(case.meter.session(time.monotonic() + _SESSION))
    except KeyRefused as refusal:
        return failed(refusal.happened, refusal.remedy, _NOT_AGAIN, exit_code=refusal.exit_code)
    return ok("the meter took it")


def _worth_another_try(case: MeterCase, report: Report) -> bool:
    """Whether the key is another one than the meter refused, or that was long ago."""
    return report.age > _PATIENT or case.key_since > time.time() - report.age


def _tables(case: MeterCase) -> Finding:
    if case.service is not None:
        return ok(f"{len(case.service.values)} values; {summary(case.service.values)}")
    assert case.meter is not None  # noqa: S101
    reading = case.meter.reading()
    return ok(f"{len(reading.values)} values; {summary(reading.values)}")


METER_STEPS: Final[tuple[Step[MeterCase], ...]] = (
    Step("key", _key),
    Step("port", _port_exists),
    Step("permission", _permission, needs=("port",)),
    Step("port free", _port_free, needs=("permission",)),
    Step("probe echo", _echo, needs=("port free",)),
    Step("meter answers", _answers, needs=("probe echo",)),
    Step("open tables", _identity, needs=("meter answers",)),
    Step("key accepted", _key_accepted, needs=("key", "open tables")),
    Step("tables", _tables, needs=("key accepted",)),
)


# --- What all meters share --------------------------------------------------------------------------------------------


@dataclass
class GatewayCase:
    """Where the readings go."""

    cache: CacheSettings
    mqtt: MqttSettings | None  # None: switched off
    password_problem: str
    topics: Topics
    trouble: BrokerUnavailable | None = None  # that came after the broker was reached


def _cache(case: GatewayCase) -> Finding:
    directory = case.cache.directory
    if not case.cache.allow_disk:
        refuse_disk(directory)
    place = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    if shutil.disk_usage(place).free < _ROOM:
        raise CacheUnavailable(directory=directory, problem="No space left on device")
    kind = filesystem(directory)
    if case.cache.allow_disk:
        return ok(f"{directory} is on {kind}: allow_disk = true says that this may be")
    return ok(f"{directory} is on {kind}")


def _broker(case: GatewayCase) -> Finding:
    """Visit the broker once, and leave to the next steps what they have to say of it."""
    if case.mqtt is None:
        return skipped("[mqtt] enabled = false", blocks=True)
    try:
        with BrokerSession(case.mqtt, "nesgw-doctor") as session:
            session.retained([case.topics.gateway_status])
    except BrokerUnavailable as trouble:
        if trouble.facts["stage"] == Stage.REACH.value:
            raise
        case.trouble = trouble
    return ok(f"{case.mqtt.host}:{case.mqtt.port} is there")


def _tls(case: GatewayCase) -> Finding:
    if case.mqtt is None or case.mqtt.tls is None:
        return skipped("[mqtt.tls] enabled = false")
    if case.trouble and case.trouble.facts["stage"] == Stage.TLS.value:
        raise case.trouble
    if not case.mqtt.tls.verify_hostname:
        return ok("the certificate is valid; for whom is not asked (verify_hostname = false)")
    return ok(f"the certificate is valid, and made out to {case.mqtt.host}")


def _login(case: GatewayCase) -> Finding:
    if case.password_problem:
        return failed(case.password_problem, exit_code=EX_CONFIG)
    if case.trouble:
        raise case.trouble
    assert case.mqtt is not None  # noqa: S101
    return ok(f'as user "{case.mqtt.username}"' if case.mqtt.username else "without a user name")


GATEWAY_STEPS: Final[tuple[Step[GatewayCase], ...]] = (
    Step("RAM disk", _cache),
    Step("broker", _broker),
    Step("broker's TLS", _tls, needs=("broker",)),
    Step("broker's login", _login, needs=("broker", "broker's TLS")),
)


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
