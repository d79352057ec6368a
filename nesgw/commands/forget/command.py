"""nesgw forget: removes our own retained topics of a meter that is gone from the broker; without ID: lists them."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nesgw.commands.check_config import config_argument
from nesgw.commands.terminal.screen import Paint, wrapped
from nesgw.errors import EX_OK, EX_UNAVAILABLE, EX_USAGE, ConfigError, WrongUsage
from nesgw.values import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nesgw.commands.forget.retained import Leftover
    from nesgw.config.settings import Settings
    from nesgw.publishers.mqtt.session import BrokerSession
    from nesgw.publishers.topics import Topics

_ID: Final = "[a-z0-9]{1,64}|gateway/[a-z0-9_-]{1,64}"
_YES: Final = frozenset({"y", "yes"})

# Brokers do not say what their access control list keeps from us.
_OR_CLOSED: Final = ", or this login may not read it there"

# Some brokers acknowledge a removal before they have done it.
_LOOKS: Final = 4
_BETWEEN_LOOKS: Final = 1.0  # seconds


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("id", metavar="ID", nargs="?", help="the meter's serial number as listed, or gateway/NAME")
    which.add_argument("--all", action="store_true", help="all meters and gateways that are offline")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """List what there is, or remove some of it after asking."""
    from nesgw.commands.forget.retained import plain
    from nesgw.publishers.mqtt.session import BrokerSession
    from nesgw.publishers.topics import Topics

    loaded = _settings(options.config)
    settings = loaded.mqtt
    if not settings.enabled:
        problem = "[mqtt] enabled = false: no broker is asked; set it to true to remove what is left on one"
        raise ConfigError([f"{options.config}: {problem}"])
    topics = Topics(settings.base_topic, loaded.gateway.name, loaded.homeassistant.discovery_prefix)
    wanted = plain(options.id) if options.id else None
    if wanted is not None and not re.fullmatch(_ID, wanted):
        raise WrongUsage(command="forget", problem=f"{options.id} is the id of no meter and no gateway")
    with BrokerSession(settings, "nesgw-forget") as session:
        settings = session.settings
        found = _found(session, topics, wanted)
        if options.all:
            for each in (each for each in found if each.online):
                print(f"left alone, for it is online: {each.id} ({each.name})")
            chosen = [each for each in found if not each.online]
        else:
            chosen = [each for each in found if each.id == wanted]
    where = f"the broker {settings.host}:{settings.port}"
    if wanted and not chosen:
        rest = "; it has:" if found else _OR_CLOSED
        print(f"nesgw: nothing of {printable(wanted)} is on {where}{rest}", file=sys.stderr)
    if not options.all and not chosen:
        if found or not wanted:
            _list(found, where)
        return EX_UNAVAILABLE if wanted else EX_OK
    if not chosen:
        print(f"nothing to remove from {where}{'' if found else _OR_CLOSED}")
        return EX_OK
    _describe(chosen)
    if not options.yes:
        if not sys.stdin.isatty():
            print("nesgw: there is no terminal to ask on; to remove it without asking: --yes", file=sys.stderr)
            return EX_USAGE
        if not _agreed(chosen, where):
            print("nothing was removed")
            return EX_OK
    # The person may have taken minutes: another visit, to a broker that is surely still there.
    with BrokerSession(settings, "nesgw-forget") as session:
        return _remove(session, chosen)


def _found(session: BrokerSession, topics: Topics, wanted: str | None) -> list[Leftover]:
    """Look for everything, and by name for what is wanted, or for our own: some brokers' memory answers no filters."""
    from nesgw.commands.forget.retained import find, topics_of
    from nesgw.publishers.payloads import parse_gateway_status

    retained = session.retained(topics.of_everything())
    if wanted:
        retained |= session.retained(topics_of(wanted, topics))
    elif not retained:
        retained = session.retained(topics.of_gateway())
        status = parse_gateway_status(retained.get(topics.gateway_status))
        for meter in set(status.meters.values()) if status else ():
            retained |= session.retained(topics_of(meter, topics))
    return find(retained, topics, wanted)


def _settings(source: Path) -> Settings:
    """The configuration without the keys of the meters, which are not needed."""
    from nesgw.config import loader
    from nesgw.config.secrets import Secrets, read_password

    config = loader.read(source)
    try:
        password = read_password(config.mqtt)
    except ValueError as error:
        raise ConfigError([f"{source}: mqtt.password_file: {error}"]) from None
    return loader.settings(config, Secrets(mqtt_password=password))


def _list(found: Sequence[Leftover], where: str) -> None:
    if not found:
        print(f"nothing of nesgw is on {where}{_OR_CLOSED}")
        return
    paint = Paint(sys.stdout)
    id_width, name_width = (max(len(getattr(each, key)) for each in found) for key in ("id", "name"))
    for each in found:
        state = paint.green("online ") if each.online else paint.grey("offline")
        words = [f"last read {_when(each.last_read)}"] if each.last_read else []
        words += [f"by gateway {name}" for name in each.gateways] + (["this gateway"] if _is_own_gateway(each) else [])
        print(f"{each.id:<{id_width}}  {each.name:<{name_width}}  {state}  {', '.join(words)}".rstrip())
    print("\nto remove one: nesgw forget ID; all that are offline: nesgw forget --all")


def _is_own_gateway(each: Leftover) -> bool:
    return each.ours and each.id.startswith("gateway/")


def _when(moment: datetime) -> str:
    age = (datetime.now(UTC) - moment).total_seconds()
    if 0 <= age < 120:
        return f"{age:.0f} s ago"
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _describe(chosen: Iterable[Leftover]) -> None:
    """Print what would go, and on stderr what speaks against it."""
    for each in chosen:
        read = f", last read {_when(each.last_read)}" if each.last_read else ""
        print(f"{each.id} ({each.name}{read}):", *(f"  {topic}" for topic in each.topics), sep="\n", flush=True)
        if each.online:
            reader = f"gateway {each.gateways[0]}" if each.gateways else "its gateway"
            _warn(f"{each.id} is online: {reader} reads it, and publishes it again")
        elif each.ours:
            of = "this gateway" if _is_own_gateway(each) else "read by this gateway"
            _warn(f"{each.id} is {of}: it comes back when that runs")


def _warn(text: str) -> None:
    said = wrapped(f"nesgw: warning: {text}", sys.stderr)
    print(Paint(sys.stderr).yellow(said), file=sys.stderr, flush=True)


def _agreed(chosen: Sequence[Leftover], where: str) -> bool:
    count = sum(len(each.topics) for each in chosen)
    try:
        answer = input(f"remove {'this topic' if count == 1 else f'these {count} topics'} from {where}? [y/N] ")
    except EOFError:
        print()
        return False
    except KeyboardInterrupt:
        print("\nnothing was removed")
        raise
    return answer.strip().lower() in _YES


def _remove(session: BrokerSession, chosen: Sequence[Leftover]) -> int:
    """Remove, and look whether it is gone: a broker does not say what its access control list swallows."""
    from nesgw.publishers.message import Message, Part

    doomed = [topic for each in chosen for topic in each.topics]
    session.publish(Message(topic, "", Part.STATE) for topic in doomed)
    for look in range(_LOOKS):
        left = {topic for topic, payload in session.retained(doomed).items() if payload}
        if not left or look == _LOOKS - 1:
            break
        session.wait(_BETWEEN_LOOKS)
    for each in chosen:
        for topic in each.topics:
            print(f"{'still there' if topic in left else 'removed'}: {topic}")
    for each in chosen:
        if each.online:
            _warn(f"{each.id} is still read: to have it back in Home Assistant at once, restart its gateway")
    if not left:
        return EX_OK
    if any(each.online for each in chosen):
        advice = "the gateway that reads the meter has published it again: take the meter out of its configuration"
    else:
        advice = "the broker may not let this user remove it: see its access control list"
    said = f"nesgw: {len(left)} of {len(doomed)} topics are still there: {advice}"
    print(wrapped(said, sys.stderr), file=sys.stderr)
    return EX_UNAVAILABLE
