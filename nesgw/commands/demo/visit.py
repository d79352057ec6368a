"""The owner's broker, as nesgw demo --broker uses it: looked at before, and left at the end as it was."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from nesgw.commands.demo.traces import TOPICS, ids_of_others, obstacle, traces
from nesgw.config.settings import NO_SECRET, MqttSettings, Secret
from nesgw.errors import BrokerUnavailable, WrongUsage
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.session import BrokerSession

if TYPE_CHECKING:
    from nesgw.commands.setup.plan import BrokerAccess

_CLIENT: Final = "nesgw-demo"
_PATIENCE: Final = 15.0  # seconds in which a broker that has just gone may come back for the end
_LOOKS: Final = 4  # some brokers acknowledge a removal before they have done it
_BETWEEN: Final = 1.0  # seconds


def settings(options: argparse.Namespace) -> MqttSettings:
    """Find the way in: try the port that was named, or the usual ones. Raises WrongUsage or BrokerUnavailable."""
    from nesgw.commands.setup import brokers, questions
    from nesgw.commands.setup.plan import BrokerAccess

    try:
        place = questions.broker(options.broker)
    except ValueError as error:
        raise _wrong(f"--broker: {error}") from None
    ways = brokers.ways(place.port, place.tls)
    access = BrokerAccess(place.host, ways[0][0], username=options.mqtt_username or "", password=_password(options))
    blank = MqttSettings()
    try:
        return brokers.settings_of(blank, brokers.reach(blank, access, ways))
    except brokers.Reached as reached:
        if reached.asks_for_a_login:
            raise _login(reached.trouble, reached.broker) from None
        raise reached.trouble from None
    except BrokerUnavailable as trouble:
        raise BrokerUnavailable(**{**trouble.facts, "advice": brokers.advice(place.host)}) from None


def _password(options: argparse.Namespace) -> Secret:
    """From the file, or by keyboard; none without a user."""
    from pathlib import Path

    from nesgw.commands.setup import questions
    from nesgw.config.secrets import private_text

    if not options.mqtt_username:
        if options.mqtt_password_file:
            raise _wrong("--mqtt-password-file goes with --mqtt-username")
        return NO_SECRET
    try:
        if options.mqtt_password_file:
            return questions.file_of_password(private_text(Path(options.mqtt_password_file)))
        if not sys.stdin.isatty():
            raise _wrong("there is no terminal to ask for the password on: name its file with --mqtt-password-file")
        return questions.password(getpass.getpass(f"Password of {options.mqtt_username} (it is not shown): "))
    except ValueError as error:
        raise _wrong(f"--mqtt-password-file: {error}" if options.mqtt_password_file else str(error)) from None


def _wrong(problem: str) -> WrongUsage:
    return WrongUsage(command="demo", problem=problem)


def _login(trouble: BrokerUnavailable, broker: BrokerAccess) -> BrokerUnavailable:
    """The same trouble with the options of this command for the configuration's."""
    advice = "check both" if broker.username else "name its user with --mqtt-username; the password is asked"
    return BrokerUnavailable(**{**trouble.facts, "advice": advice})


@contextlib.contextmanager
def left_clean(settings: MqttSettings, meter: str) -> Iterator[None]:
    """Look whether the names of the demonstration are free, and take its traces away at the end, whatever happens.

    Raises BrokerUnavailable, also where they are not free or where something is left at the end.
    """
    with BrokerSession(settings, _CLIENT) as session:
        before = session.retained(TOPICS.of_everything())
    if found := obstacle(before, meter):
        raise BrokerUnavailable(host=settings.host, port=settings.port, problem=found.problem, advice=found.advice)
    others = ids_of_others(before, meter)
    try:
        yield
    finally:
        _clean(settings, meter, others)


def _clean(settings: MqttSettings, meter: str, others: frozenset[str]) -> None:
    """Remove everything, and look whether it is gone. Raises BrokerUnavailable with what to do about what is left."""
    deadline = time.monotonic() + _PATIENCE
    again = "run the same command once more, and end it"
    while True:
        try:
            left = _removed(settings, meter, others)
            break
        except BrokerUnavailable as trouble:
            if time.monotonic() > deadline:
                problem = f"{trouble.facts['problem']}, so that the simulated meter may still be on it"
                raise BrokerUnavailable(**{**trouble.facts, "problem": problem, "advice": again}) from None
            time.sleep(_BETWEEN)
    if left:
        problem = f"{len(left)} topics of the simulated meter are still on it"
        raise BrokerUnavailable(host=settings.host, port=settings.port, problem=problem, advice=again)
    print(f"the simulated meter is gone from {settings.host}:{settings.port}", flush=True)


def _removed(settings: MqttSettings, meter: str, others: frozenset[str]) -> list[str]:
    with BrokerSession(settings, _CLIENT) as session:
        for look in range(_LOOKS):
            left = traces(session.retained(TOPICS.of_everything()), meter, others)
            if not left:
                break
            if look:
                session.wait(_BETWEEN)
            session.publish(Message(topic, "", Part.STATE) for topic in left)
    return left
