"""nesgw doctor: finds out step by step why it does not work, and says what to do about it."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nesgw.commands.check_config import config_argument
from nesgw.commands.terminal.screen import Paint
from nesgw.errors import EX_OK, ConfigError

if TYPE_CHECKING:
    from nesgw.commands.doctor.steps import Finding, GatewayCase, MeterCase, Step
    from nesgw.config.schema import Config
    from nesgw.config.settings import MeterSettings, Settings

_MARK_WIDTH: Final = 9
_TITLE_WIDTH: Final = 16  # and more where titles begin with the name of a meter
_CONFIGURATION: Final = "configuration"
_WITHOUT: Final = "the probe can be tried without one: nesgw align"

Found = tuple[str, "Finding"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--meter", metavar="NAME", help="look at this meter alone")
    parser.epilog = "Exits 0 if all is well, otherwise with the code of the first failure."


def run(options: argparse.Namespace) -> int:
    """Print a line a step as it is taken."""
    paint = Paint(sys.stdout)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    seen: list[Found] = []
    for title, finding, prefix in _findings(options):
        seen.append((title, finding))
        print(*render(title, finding, paint, width, _TITLE_WIDTH + prefix), sep="\n", flush=True)
    wrong = [(title, finding) for title, finding in seen if finding.exit_code]
    if not wrong:
        print("\nall is well")
        return EX_OK
    need = "needs" if len(wrong) == 1 else "need"
    print(f"\n{len(wrong)} of {len(seen)} steps {need} attention: begin with '{wrong[0][0]}'")
    return wrong[0][1].exit_code


def render(title: str, finding: Finding, paint: Paint, width: int | None, column: int = _TITLE_WIDTH) -> list[str]:
    """Write one finding: its line, and what to do below it. Wraps the text where the width is given.

    ``column`` is the width of the titles.
    """
    from nesgw.commands.doctor.steps import Mark

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


def _findings(options: argparse.Namespace) -> Iterator[tuple[str, Finding, int]]:
    """Take all steps: title, finding, and how much longer than usual the titles are."""
    from nesgw.commands.doctor.steps import GATEWAY_STEPS, METER_STEPS, failed, ok, skipped
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
    for meter, prefix in zip(meters, prefixes, strict=True):
        with _meter_case(meter, config, settings, options.config) as case:
            for title, finding in _examined(METER_STEPS, case):
                yield prefix + title, finding, longest
    for title, finding in _examined(GATEWAY_STEPS, _gateway_case(config)):
        yield title, finding, longest


def _examined(steps: Iterable[Step[Any]], case: Any) -> Iterator[Found]:
    from nesgw.commands.doctor.steps import Examination
    from nesgw.commands.terminal.progress import Progress

    examination = Examination(case)
    for step in steps:
        with Progress() as progress:
            progress.step(step.title)
            finding = examination.take(step)
        yield step.title, finding


def _meter_case(meter: MeterSettings, config: Config, settings: Settings, source: Path) -> MeterCase:
    from nesgw.commands.doctor.steps import MeterCase, load_report
    from nesgw.config.secrets import read_key

    section = next(section for section in config.meter if section.name == meter.name)
    key, problem = None, ""
    try:
        key = read_key(section)
    except ValueError as error:
        problem = str(error)
    holder = Path(section.key_file) if section.key_file else source
    since = holder.stat().st_mtime if key is not None and holder.exists() else 0.0
    return MeterCase(meter, key, problem, since, load_report(settings.cache.directory / meter.name))


def _gateway_case(config: Config) -> GatewayCase:
    from nesgw.commands.doctor.steps import GatewayCase
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
