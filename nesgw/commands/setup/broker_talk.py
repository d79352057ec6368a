"""The part of nesgw setup's conversation that is about the broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nesgw.commands.setup import brokers
from nesgw.commands.setup import questions as ask
from nesgw.commands.setup.brokers import Reached
from nesgw.commands.setup.dialogue import Interview
from nesgw.commands.setup.plan import BrokerAccess, Present
from nesgw.commands.setup.questions import BrokerPlace, Question
from nesgw.config import loader
from nesgw.config.schema import Config
from nesgw.config.secrets import read_password
from nesgw.config.settings import NO_SECRET, MqttSettings, Secret
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.mqtt.trouble import Stage

_LATER: Final = "later"
_CHECK_BOTH: Final = "check --mqtt-username and what --mqtt-password-file names"
_USER: Final = "nesgw"
_LISTENER: Final = ("listener 1883", "allow_anonymous false", "password_file /etc/mosquitto/passwd")


class BrokerTalk:
    """Finds a broker that lets us in. Writes nothing there."""

    def __init__(self, interview: Interview, present: Present, config: Config) -> None:
        self._interview = interview
        self._screen = interview.screen
        self._present = present
        self._settings = replace(loader.settings(config).mqtt, password=_own_password(config))
        self._password_file = interview.file_beside(ask.MQTT_PASSWORD, present.path)

    def hold(self) -> tuple[BrokerAccess | None, Path | None]:
        """Return the broker, and the file that has its password already; None if MQTT is off and stays so."""
        if self._stays_off():
            return None, None
        asked = self._question()
        tried = BrokerAccess("", brokers.PLAIN)
        while (place := self._interview.take(asked)) is not None:
            known = self._known(place)
            choices = self._ways(place, known)
            tried = BrokerAccess(place.host, *choices[0], username=self._username(known), password=self._password())
            try:
                broker = self._logged_in(tried, choices)
            except BrokerUnavailable as error:
                self._interview.met(error, self._advice(place.host, error))
                asked = self._again(place)
            else:
                self._welcome(broker)
                return broker, self._password_file
        return tried, self._password_file

    def _stays_off(self) -> bool:
        if self._present.mqtt("enabled") is not False or self._interview.is_given(ask.MQTT_HOST):
            return False
        return self._interview.agreed("MQTT is switched off. Leave it so?")

    # Where it is

    def _question(self) -> Question[Any]:
        """List what there is; the first of it is the default."""
        if self._interview.is_given(ask.MQTT_HOST):
            return ask.MQTT_HOST
        named = self._settings.host if self._present.mqtt("host") is not None else None
        found = brokers.candidates(named, self._settings.port)
        for number, each in enumerate(found, 1):
            self._screen.listed(number, each.host, each.about)
        if not found:
            self._screen.say("No broker was found on this machine, nor at homeassistant.local.")
            self._advise(brokers.HERE)
        check = ask.one_of([each.host for each in found], ask.broker, ask.broker)
        usual = "1" if found else named if self._interview.silent else None
        return replace(ask.MQTT_HOST, check=check, otherwise=usual)

    def _again(self, place: BrokerPlace) -> Question[Any]:
        self._screen.say(
            f"Enter tries again. Or name another one, like host:port; or write {_LATER} to go on untested."
        )
        question: Question[Any] = ask.MQTT_HOST
        return replace(question, check=_place_or_later, otherwise=_written(place))

    def _known(self, place: BrokerPlace) -> MqttSettings | None:
        """Return what the configuration says of this very broker."""
        named = self._present.mqtt("host") is not None
        return self._settings if named and place.host in (self._settings.host, *self._settings.other_hosts) else None

    def _ways(self, place: BrokerPlace, known: MqttSettings | None) -> list[tuple[int, bool]]:
        if self._interview.is_given(ask.MQTT_PORT):
            return brokers.ways(self._interview.take(ask.MQTT_PORT), place.tls)
        if known and self._present.mqtt("port") is not None and place.port in (None, known.port):
            return [(known.port, known.tls is not None)]
        return brokers.ways(place.port, place.tls)

    # Who we are there

    def _username(self, known: MqttSettings | None) -> str:
        if self._interview.is_given(ask.MQTT_USERNAME):
            return self._interview.take(ask.MQTT_USERNAME)
        return known.username if known else ""

    def _password(self) -> Secret | None:
        """Return the password of the command line; None: that of the configuration, if any."""
        if not self._interview.is_given(ask.MQTT_PASSWORD):
            return None
        return self._interview.take(ask.MQTT_PASSWORD, ask.file_of_password)

    def _logged_in(self, broker: BrokerAccess, choices: list[tuple[int, bool]]) -> BrokerAccess:
        """Log in, and ask for user and password where the broker does. Raises BrokerUnavailable."""
        while True:
            try:
                return brokers.reach(self._settings, broker, choices)
            except Reached as reached:
                if not reached.asks_for_a_login:
                    raise reached.trouble from None
                if broker.username:
                    self._interview.met(
                        reached.trouble, _CHECK_BOTH if self._interview.silent else "type both once more"
                    )
                broker = self._with_login(reached.broker)
                choices = [(broker.port, broker.tls)]

    def _with_login(self, broker: BrokerAccess) -> BrokerAccess:
        usual = None if self._interview.silent else broker.username or self._settings.username or _USER
        user = self._interview.take(replace(ask.MQTT_USERNAME, otherwise=usual))
        password = self._interview.take(ask.MQTT_PASSWORD, ask.file_of_password)
        self._password_file = None  # this one is not in it
        return replace(broker, username=user, password=password)

    # What to know of it

    def _advise(self, host: str) -> None:
        if brokers.is_here(host) and not brokers.is_installed():
            self._screen.say(f"{brokers.INSTALL}.")

    def _advice(self, host: str, trouble: BrokerUnavailable) -> str | None:
        """Say what to do where the broker cannot be reached; None: what the trouble itself says."""
        if trouble.facts["stage"] != Stage.REACH.value:
            return None
        return brokers.advice(host)

    def _welcome(self, broker: BrokerAccess) -> None:
        how = f'as user "{broker.username}"' if broker.username else "without a login"
        self._screen.well(f"{broker.host}:{broker.port} lets us in {how}{', with TLS' if broker.tls else ''}")
        if brokers.is_here(broker.host) and not brokers.takes_others(broker.port):
            self._screen.say(
                "It takes connections from this machine only. If Home Assistant runs on another one, write into "
                "/etc/mosquitto/conf.d/lan.conf:"
            )
            self._screen.lines(_LISTENER)
            self._screen.say("How to make the passwords: docs/broker.md. Then run nesgw setup again.")


def _own_password(config: Config) -> Secret:
    try:
        return read_password(config.mqtt)
    except ValueError:
        return NO_SECRET


def _place_or_later(text: str) -> BrokerPlace | None:
    return None if text.strip() == _LATER else ask.broker(text)


def _written(place: BrokerPlace) -> str:
    host = f"[{place.host}]" if ":" in place.host and place.port else place.host
    return f"{host}:{place.port}" if place.port else host
