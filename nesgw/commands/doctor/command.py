"""nesgw doctor: finds out step by step why it does not work, and says what to do about it."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nesgw.commands.check_config import config_argument, refuse_config_beside_port
from nesgw.commands.terminal.screen import Paint
from nesgw.errors import EX_OK, ConfigError, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.doctor.case import MeterCase, NoKey
    from nesgw.commands.doctor.examination import Finding, Step
    from nesgw.commands.doctor.gateway_steps import GatewayCase
    from nesgw.config.key import Key
    from nesgw.config.schema import Config, MeterSection
    from nesgw.config.settings import Interface, MeterSettings, Settings

_MARK_WIDTH: Final = 9
_TITLE_WIDTH: Final = 16  # and more where titles begin with the name of a meter
_CONFIGURATION: Final = "configuration"
_INTERFACES: Final = ("optical", "mep")
_WITHOUT: Final = "the probe can be tried without one: nesgw align, or nesgw doctor --port DEV"

Found = tuple[str, "Finding"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--meter", metavar="NAME", help="look at this meter alone")
    parser.add_argument("--port", metavar="DEV", help="look at the meter on this port, without a configuration")
    parser.add_argument("--key-file", metavar="FILE", help="the file with the key, for --port")
    parser.add_argument("--interface", choices=_INTERFACES, help="which of the meter's ports it is, for --port")
    parser.epilog = "Exits 0 if all is well, otherwise with the code of the first failure."


def run(options: argparse.Namespace) -> int:
    """Print a line a step as it is taken."""
    paint = Paint(sys.stdout)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    seen: list[Found] = []
    for title, finding, prefix in _from_port(options) if _names_a_port(options) else _findings(options):
        seen.append((title, finding))
        print(*render(title, finding, paint, width, _TITLE_WIDTH + prefix), sep="\n", flush=True)
    wrong = [(title, finding) for title, finding in seen if finding.exit_code]
    if not wrong:
        without_key = options.port and not options.key_file
        print("\nall is well, as far as it goes without a key" if without_key else "\nall is well")
        return EX_OK
    need = "needs" if len(wrong) == 1 else "need"
    print(f"\n{len(wrong)} of {len(seen)} steps {need} attention: begin with '{wrong[0][0]}'")
    return wrong[0][1].exit_code


def _names_a_port(options: argparse.Namespace) -> bool:
    """Whether a port stands on the command line. Raises WrongUsage if what goes with it stands there alone."""
    given = {name: getattr(options, name.replace("-", "_")) for name in ("key-file", "interface")}
    lonely = [f"--{name}" for name, value in given.items() if value and not options.port]
    if lonely:
        raise WrongUsage(command="doctor", problem=f"{lonely[0]} goes with --port")
    refuse_config_beside_port(options)
    return bool(options.port)


def render(title: str, finding: Finding, paint: Paint, width: int | None, column: int = _TITLE_WIDTH) -> list[str]:
    """Write one finding: its line, and what to do below it. Wraps the text where the width is given.

    ``column`` is the width of the titles.
    """
    from nesgw.commands.doctor.examination import Mark

    colour = {Mark.OK: paint.green, Mark.FAILED: paint.red, Mark.SKIPPED: paint.grey}[finding.mark]
    indent = " " * (_MARK_WIDTH + column)
    room = None if width is None else max(width - len(indent) - 1, 30)
    head = f"{title:<{column - 1}} "
    first, *rest = _wrapped(finding.text, room, "")
    lines = [f"{colour(f'{finding.mark.value:<{_MARK_WIDTH}}')}{head}{first}", *(indent + line for line in rest)]
    for text in finding.do:
        lines += [indent + line for line in _wrapped(text, room, "→ ")]
    return lines


def _wrapped(text: str, room: int | None, sign: str) -> list[str]:
    if room is None:
        return [sign + text]
    return textwrap.wrap(
        text, room, initial_indent=sign, subsequent_indent=" " * len(sign), break_on_hyphens=False
    ) or [sign]


def _from_port(options: argparse.Namespace) -> Iterator[tuple[str, Finding, int]]:
    """Take the steps of a meter that no configuration knows of."""
    from nesgw.commands.doctor.case import MeterCase, NoKey
    from nesgw.commands.doctor.meter_steps import METER_STEPS
    from nesgw.config.settings import MeterSettings

    settings = MeterSettings(options.port, options.port, interface=options.interface or "optical")
    case = MeterCase(settings, None, NoKey.NOT_GIVEN)
    if options.key_file:
        _find_key(case, lambda: _key_of(options.key_file, settings.interface), Path(options.key_file))
    with case:
        for title, finding in _examined(METER_STEPS[settings.interface], case):
            yield title, finding, 0


def _findings(options: argparse.Namespace) -> Iterator[tuple[str, Finding, int]]:
    """Take all steps of a configuration: title, finding, and how much longer than usual the titles are."""
    from nesgw.commands.doctor.examination import failed, ok, skipped
    from nesgw.commands.doctor.gateway_steps import GATEWAY_STEPS
    from nesgw.commands.doctor.meter_steps import METER_STEPS
    from nesgw.commands.doctor.service_steps import SERVICE_STEPS, ServiceCase
    from nesgw.commands.target import choose
    from nesgw.config import loader

    try:
        config = loader.read(options.config)
        settings = loader.settings(config)
        meters = (choose(settings, options.meter),) if options.meter else settings.meters
    except ConfigError as error:
        head, *more = (problem.splitlines()[0] for problem in error.problems)
        yield _CONFIGURATION, failed(head, *more, _WITHOUT, exit_code=error.exit_code), 0
        yield "all else", skipped(f"needs: {_CONFIGURATION}"), 0
        return
    prefixes = [""] if len(meters) == 1 else [f"{meter.name}: " for meter in meters]
    longest = max(map(len, prefixes))
    names = ", ".join(meter.name for meter in meters)
    yield _CONFIGURATION, ok(f"{options.config}: {'meter' if len(meters) == 1 else 'meters'} {names}"), longest
    for title, finding in _examined(SERVICE_STEPS, ServiceCase(options.config, config)):
        yield title, finding, longest
    gateway = _gateway_case(config)
    for meter, prefix in zip(meters, prefixes, strict=True):
        with _meter_case(meter, config, settings, options.config) as case:
            for title, finding in _examined(METER_STEPS[meter.interface], case):
                yield prefix + title, finding, longest
            gateway.service_runs = gateway.service_runs or case.service is not None
    for title, finding in _examined(GATEWAY_STEPS, gateway):
        yield title, finding, longest


def _examined(steps: Iterable[Step[Any]], case: Any) -> Iterator[Found]:
    from nesgw.commands.doctor.examination import Examination
    from nesgw.commands.terminal.progress import Progress

    examination = Examination(case)
    for step in steps:
        with Progress() as progress:
            progress.step(step.title)
            finding = examination.take(step)
        yield step.title, finding


def _meter_case(meter: MeterSettings, config: Config, settings: Settings, source: Path) -> MeterCase:
    from nesgw.commands.doctor.case import MeterCase, NoKey
    from nesgw.commands.doctor.report import load_report
    from nesgw.config import credentials
    from nesgw.config.secrets import has_none, read_key

    section = next(section for section in config.meter if section.name == meter.name)
    case = MeterCase(meter, None, report=load_report(settings.cache.directory / meter.name))
    if has_none(section) and f"{meter.name}.key" in credentials.of_the_service():
        case.no_key = NoKey.CREDENTIAL
        return case
    _find_key(case, lambda: read_key(section), _place_of(section, source))
    return case


def _place_of(section: MeterSection, source: Path) -> Path | None:
    """Where the key of a meter stands; None if nowhere."""
    if section.key_file:
        return Path(section.key_file)
    return source if section.key.get_secret_value() else None


def _find_key(case: MeterCase, read: Callable[[], Key], place: Path | None) -> None:
    try:
        case.key = read()
    except ValueError as error:
        case.key_problem, case.no_key = str(error), _why_no_key(place)
    with suppress(OSError):
        case.key_since = place.stat().st_mtime if place else 0.0


def _key_of(file: str, interface: Interface) -> Key:
    from nesgw.config.secrets import read_key_file

    return read_key_file(file, interface)


def _why_no_key(place: Path | None) -> NoKey:
    """Tell a key that is not there from one that cannot be read and from what is no key."""
    from nesgw.commands.doctor.case import NoKey
    from nesgw.config.secrets import private_text

    if place is None or not place.exists():
        return NoKey.MISSING
    try:
        return NoKey.MALFORMED if private_text(place).strip() else NoKey.MISSING
    except ValueError:
        return NoKey.UNREADABLE


def _gateway_case(config: Config) -> GatewayCase:
    from nesgw.commands.doctor.gateway_steps import GatewayCase
    from nesgw.config import loader
    from nesgw.config.secrets import Secrets, read_password
    from nesgw.config.settings import NO_SECRET
    from nesgw.publishers.topics import Topics

    password, problem = NO_SECRET, ""
    try:
        password = read_password(config.mqtt)
    except ValueError as error:
        problem = str(error)
    settings = loader.settings(config, Secrets(mqtt_password=password))
    return GatewayCase(
        settings.cache,
        settings.mqtt if settings.mqtt.enabled else None,
        problem,
        Topics(settings.mqtt.base_topic, settings.gateway.name, settings.homeassistant.discovery_prefix),
    )
