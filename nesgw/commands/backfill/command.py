"""nesgw backfill: fills the holes in Home Assistant's energy statistics from the meter's load profile."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nesgw.commands.check_config import config_argument
from nesgw.commands.target import configured_target
from nesgw.commands.terminal.interrupt import INTERRUPTED, Asked, interruptible
from nesgw.commands.terminal.times import FORMS, option, take_times
from nesgw.errors import (
    EX_OK,
    EX_USAGE,
    ConfigError,
    HomeAssistantUnavailable,
    LibraryMissing,
    NesgwError,
    NothingFilled,
    Stopped,
    TokenRefused,
    WrongUsage,
)

if TYPE_CHECKING:
    from nesgw.commands.backfill.home_assistant import HomeAssistant
    from nesgw.commands.backfill.repair import Repair
    from nesgw.commands.target import Target
    from nesgw.config.settings import HomeAssistantSettings

WORST_CLOCK: Final = 60.0  # seconds between Home Assistant's clock and ours
_CREDENTIAL: Final = "homeassistant-token"
_YES: Final = frozenset({"y", "yes"})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--meter", metavar="NAME", help="which meter of the configuration (default: all)")
    parser.add_argument(
        "--from",
        dest="since",
        metavar="T",
        help=f"only hours from then on: {FORMS} (default: where something is missing)",
    )
    parser.add_argument("--to", dest="until", metavar="T", help="only hours before that (default: now)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.epilog = (
        "Needs [homeassistant] url, and token_file with the long-lived token of an administrator. Hours that are right "
        "stay as they are, and a second run writes nothing."
    )
    take_times(parser)


def run(options: argparse.Namespace) -> int:
    """Compare, show, ask, write, read back; one meter after the other."""
    from nesgw.config import loader

    since, until = _times(options)
    settings = loader.settings(loader.read(options.config))
    names = [options.meter] if options.meter else [meter.name for meter in settings.meters]
    targets = [configured_target(options.config, name) for name in names]
    codes = []
    with _connected(settings.homeassistant, options) as assistant:
        _refuse_wrong_clock(assistant)
        if not options.dry_run:
            assistant.refuse_who_may_not_write()
        for target in targets:
            if len(targets) > 1:
                print(f"{target.meter.shown_as}:")
            try:
                codes.append(_fill(assistant, target, options, since, until))
            except (HomeAssistantUnavailable, TokenRefused):
                raise
            except Stopped:
                return INTERRUPTED
            except NesgwError as problem:
                if len(targets) == 1:
                    raise
                print(f"nesgw: {target.meter.name}: {problem}", file=sys.stderr)
                codes.append(problem.exit_code)
    return max(codes)


def _fill(
    assistant: HomeAssistant,
    target: Target,
    options: argparse.Namespace,
    since: datetime | None,
    until: datetime | None,
) -> int:
    repair = _compared(assistant, target, since, until)
    print(*repair.shown(), sep="\n", flush=True)
    if repair.is_needed and not options.dry_run:
        if not (options.yes or _agreed(repair)):
            return EX_OK if sys.stdin.isatty() else EX_USAGE
        for line in repair.write():
            print(line, flush=True)
    return _end(repair)


def _times(options: argparse.Namespace) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    since = option("backfill", "--from", options.since, now) if options.since else None
    until = option("backfill", "--to", options.until, now) if options.until else None
    if since and since >= min(until or now, now):
        before = f"--to {options.until}" if until and until <= now else "now"
        raise WrongUsage(command="backfill", problem=f"--from {options.since} is not before {before}")
    return since, until


def _connected(settings: HomeAssistantSettings, options: argparse.Namespace) -> HomeAssistant:
    """Say where Home Assistant is and how to log in. Raises ConfigError and LibraryMissing."""
    from nesgw.config.secrets import read_token

    try:
        from nesgw.commands.backfill.home_assistant import HomeAssistant
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "websockets":
            raise
        raise LibraryMissing(command="backfill", library="websockets", package="python3-websockets") from None
    try:
        token = read_token(str(settings.token_file or ""), _CREDENTIAL)
    except ValueError as error:
        raise ConfigError([f"{options.config}: homeassistant.token_file: {error}"]) from None
    if not settings.url:
        raise ConfigError([_needed(options, 'url = "http://homeassistant.local:8123"')])
    if token is None:
        raise ConfigError([_needed(options, "token_file: a file with the long-lived access token of an administrator")])
    return HomeAssistant(settings.url, token.reveal_text())


def _needed(options: argparse.Namespace, what: str) -> str:
    return f"{options.config}: nesgw backfill needs [homeassistant] {what}"


def _refuse_wrong_clock(assistant: HomeAssistant) -> None:
    if abs(assistant.clock_error) > WORST_CLOCK:
        how = "ahead of" if assistant.clock_error > 0 else "behind"
        raise NothingFilled(
            problem=f"Home Assistant's clock is {abs(assistant.clock_error):.0f} s {how} this machine's",
            advice="set the one that is wrong (timedatectl says whether it is synchronised)",
        )


def _compared(assistant: HomeAssistant, chosen: Target, since: datetime | None, until: datetime | None) -> Repair:
    """Read both histories; the meter's port is free again at the end."""
    from nesgw.commands.backfill.memory import MeterMemory
    from nesgw.commands.backfill.repair import Repair
    from nesgw.commands.reader import CommandReader
    from nesgw.commands.terminal.progress import Progress

    meter = chosen.meter
    with interruptible() as asked, Progress() as progress:
        progress.step("waiting for Home Assistant to have compiled its statistics")
        assistant.wait_until_caught_up()
        progress.step("asking the meter what it keeps")
        with CommandReader(chosen, stop=asked.is_set, say=progress.step) as reader:
            memory = MeterMemory(
                reader,
                now=datetime.now(UTC),
                poll=meter.poll_interval,
                power_limit=meter.power_limit,
                progress=lambda share: progress.bar(share, "of the meter's load profile"),
            )
            repair = Repair(assistant, memory, since, until)
    _end_if_asked(asked)
    return repair


def _end_if_asked(asked: Asked) -> None:
    if asked.is_set():
        raise Stopped


def _agreed(repair: Repair) -> bool:
    if not sys.stdin.isatty():
        print("nesgw: there is no terminal to ask on; to write it without asking: --yes", file=sys.stderr)
        return False
    try:
        answer = input(f"Write {repair.amount} into Home Assistant? [y/N] ")
    except EOFError:
        answer = ""
        print()
    if answer.strip().lower() in _YES:
        return True
    print("nothing was written")
    return False


def _end(repair: Repair) -> int:
    """Say what is not as it should be, with the exit code of that."""
    from nesgw.commands.backfill.pages import STAYS

    if repair.is_needed:
        print(STAYS)
    if repair.problems:
        raise NothingFilled(problem="; ".join(repair.problems), advice="")
    return EX_OK
