"""The conversation of nesgw setup: from the probe to what is to be written. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from nesgw.commands.doctor.report import load_report
from nesgw.commands.setup import probe, service
from nesgw.commands.setup import questions as ask
from nesgw.commands.setup.broker_talk import BrokerTalk
from nesgw.commands.setup.dialogue import Interview
from nesgw.commands.setup.plan import (
    Answers,
    Configured,
    Meter,
    NewFile,
    Present,
    chosen,
    planned,
    ports_of_the_others,
)
from nesgw.commands.setup.present import config_of, config_with
from nesgw.commands.setup.questions import TypedKey
from nesgw.config import loader
from nesgw.config.key import Key
from nesgw.config.quantities import power_text
from nesgw.config.secrets import has_none, read_key
from nesgw.config.settings import Interface, MeterSettings, Secret, Settings
from nesgw.errors import (
    KeyRefused,
    NesgwError,
    NoAnswer,
    NoProbe,
    PortAmbiguous,
    PortBusy,
    PortUnavailable,
)
from nesgw.ports.find import find_adapters
from nesgw.publishers.console import summary

T = TypeVar("T")

_AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed upon."""

    files: list[NewFile]
    folder: Path  # of the meter, on the RAM disk
    label: str
    publishes: bool


class Conversation:
    """One run. ``give_back`` undoes what it had to do to the running service, whatever happened."""

    def __init__(self, interview: Interview, present: Present, interface: Interface | None) -> None:
        self._interview = interview
        self._screen = interview.screen
        self._present = present
        self._interface = interface
        self._config = config_of(list(present.texts), present.path)
        self._settings: Settings = loader.settings(self._config)
        self._stopped = False

    def hold(self) -> Agreement | None:
        """Ask everything; None if the person does not want it written in the end."""
        if not self._interview.silent:
            self._screen.say("Nothing is written before the end, and Ctrl-C leaves everything as it is.")
        self._screen.heading("1  The probe")
        place, others = self._meet()
        self._screen.heading("2  The key")
        key, key_file = self._key(place)
        self._screen.heading("3  The meter")
        meter = self._meter(place)
        self._screen.heading("4  The broker")
        broker, password_file = BrokerTalk(self._interview, self._present, self._config).hold()
        answers = Answers(meter, key, key_file, broker, password_file, others)
        files = planned(self._present, answers)
        config = config_with(self._present, files)
        self._screen.heading("5  Writing")
        if not self._agreed_to(files):
            self._screen.say("nothing was written")
            return None
        return Agreement(files, Path(config.cache.directory) / meter.name, meter.label, config.mqtt.enabled)

    def give_back(self) -> None:
        """Start the service again, if it was stopped for its port."""
        if self._stopped and not service.is_active():
            service.start()

    # --- The probe

    def _meet(self) -> tuple[MeterSettings, tuple[tuple[str, str], ...]]:
        """Find the port on which a meter answers; return it, and what ports other meters need now."""
        while True:
            adapters = find_adapters()
            try:
                port = self._port(adapters)
                place = self._place(port, adapters)
                others = ports_of_the_others(self._configured(), place.name, port, adapters, _same_device)
                met = self._with_the_port(partial(self._answering, place))
            except (PortUnavailable, NoAnswer) as error:
                self._interview.met(error)
            else:
                if met is not None:
                    return met, others

    def _with_the_port(self, use: Callable[[], T]) -> T:
        """Do something with a meter; where the service has its port, without the service."""
        try:
            return use()
        except PortBusy as busy:
            if not self._may_stop_the_service(busy):
                raise
            self._stopped = service.stop()
            return use()

    def _port(self, adapters: Sequence[str]) -> str:
        """Ask for the port; name what there is, and who is there."""
        if self._interview.is_given(ask.PORT) or self._interview.silent:
            port = self._interview.take(replace(ask.PORT, otherwise=self._own_port(adapters) or _AUTO))
        elif len(adapters) > 1:
            port = self._one_of(adapters)
        else:
            port = self._only(adapters)
        if port != _AUTO:
            return port
        if len(adapters) != 1:
            raise PortAmbiguous(count=len(adapters), names=", ".join(adapters)) if adapters else NoProbe()
        return adapters[0]

    def _own_port(self, adapters: Sequence[str]) -> str | None:
        """Give the port of the only meter that is configured, where that is none of the adapters: a bridge, a UART."""
        ports = [meter.port for meter in self._settings.meters if meter.name in self._present.names]
        if len(ports) != 1 or ports[0] == _AUTO or any(_same_device(ports[0], each) for each in adapters):
            return None
        return ports[0] if "://" in ports[0] or Path(ports[0]).exists() else None

    def _only(self, adapters: Sequence[str]) -> str:
        if own := self._own_port(adapters):
            self._screen.say(f"The configuration names {own}; Enter keeps that.")
            for number, name in enumerate(adapters, 1):
                self._screen.listed(number, name, "a serial adapter of this machine")
            check = ask.one_of(adapters, ask.port, str)
            return self._interview.take(replace(ask.PORT, check=check, otherwise=own))
        if not adapters:
            self._screen.say(
                "No USB serial adapter is plugged in. Plug the probe in and press Enter, or name its port."
            )
            return self._interview.take(replace(ask.PORT, otherwise=_AUTO))
        self._screen.listed(1, adapters[0], "the only serial adapter of this machine")
        check = ask.one_of(adapters, ask.port, str)
        return self._interview.take(replace(ask.PORT, check=check, otherwise="1"))

    def _one_of(self, adapters: Sequence[str]) -> str:
        for number, name in enumerate(adapters, 1):
            self._screen.listed(number, name, self._known_as(name))
        self._screen.say("Which one is the probe? Enter asks each of them who is there.")
        check = ask.one_of(adapters, ask.port, str)
        port = self._interview.take(replace(ask.PORT, check=check, otherwise=_AUTO))
        return self._found_among(adapters) if port == _AUTO else port

    def _found_among(self, adapters: Sequence[str]) -> str:
        """Ask all that no meter of the configuration has who they are."""
        meters = []
        for number, name in enumerate(adapters, 1):
            about, is_meter = (self._known_as(name), False) if self._known_as(name) else probe.status(_at(name))
            self._screen.listed(number, name, about)
            meters += [number] if is_meter else []
        check = ask.one_of(adapters, ask.port, str)
        return self._interview.take(
            replace(ask.PORT, check=check, otherwise=str(meters[0]) if len(meters) == 1 else None)
        )

    def _known_as(self, port: str) -> str:
        names = [each.name for each in self._settings.meters if each.port != _AUTO and _same_device(each.port, port)]
        return f"meter {names[0]} of the configuration" if names else ""

    def _configured(self) -> list[Configured]:
        return [
            Configured(meter.name, meter.port, self._own_key(meter.name) is not None)
            for meter in self._settings.meters
            if meter.name in self._present.names
        ]

    def _place(self, port: str, adapters: Sequence[str]) -> MeterSettings:
        """Return what is configured of the meter at a port, or what is usual for a new one."""
        name, possible = chosen(self._configured(), port, adapters, _same_device)
        for each in possible:
            if name is None and self._interview.agreed(f"Is it the meter {each}, configured before?", otherwise=False):
                name = each
        place = next((each for each in self._settings.meters if each.name == name), MeterSettings(""))
        own_name_of_it = place.port if place.port != _AUTO and _same_device(place.port, port) else port
        return replace(place, port=own_name_of_it, interface=self._interface or place.interface)

    def _answering(self, place: MeterSettings) -> MeterSettings | None:
        """See whether a meter answers, and help to seat the probe; None if another port is wanted."""
        if place.interface == "mep":
            self._screen.say("The MEP port says who the meter is only with its key.")
            return place
        seen = probe.look(place)
        if seen.dtr and not place.dtr:
            self._screen.well("this probe draws its power from DTR, which is switched on for it")
        place = replace(place, dtr=seen.dtr)
        if not seen.answers and not self._interview.silent and not self._aligned(place):
            return None
        self._screen.well(probe.described(probe.introduce(place)))
        return place

    def _aligned(self, place: MeterSettings) -> bool:
        self._screen.wrong("no meter answers there")
        self._screen.say("Turn the probe slowly until the bar is full; it goes on by itself then. Enter: another port.")
        return probe.align(place)

    def _may_stop_the_service(self, busy: PortBusy) -> bool:
        holder = str(busy.facts.get("holder", ""))
        if os.geteuid() != 0 or not service.is_active() or f"process {service.process()})" not in holder:
            return False
        return self._interview.agreed("The service reads this meter. Stop it meanwhile?")

    # --- The key

    def _key(self, place: MeterSettings) -> tuple[Secret | None, Path | None]:
        """Show the meter a key, each once, until it takes one; return what is to be kept of it."""
        interview, refused = self._interview, set[Secret]()
        question = replace(ask.KEY, check=ask.key(place.interface))
        own = self._kept_key(place)
        while True:
            key_file = interview.file_beside(question, self._present.path)
            typed: TypedKey | None = None if own else interview.take(question)
            key = own or (typed.key if typed else None)
            assert key is not None  # noqa: S101 (one of the two)
            if typed:
                self._screen.well(f"recognised as {typed.key.form}")
            if key.value in refused:
                self._screen.wrong("the meter refused this very key; it is not shown again")
                continue
            try:
                self._read(place, key)
            except KeyRefused as error:
                interview.met(error)
                refused.add(key.value)
                own = None
                continue
            return (typed.text if typed else None), key_file

    def _read(self, place: MeterSettings, key: Key) -> None:
        """Read with a key; trouble that may pass does not count against it. Raises KeyRefused."""
        while True:
            try:
                who, reading = self._with_the_port(lambda: probe.first_reading(place, key.value))
            except KeyRefused:
                raise
            except NesgwError as error:
                self._interview.met(error)
                if not self._interview.agreed("Try again?"):
                    raise KeyboardInterrupt from None
            else:
                self._screen.well("the meter took the key")
                if place.interface == "mep":
                    self._screen.well(probe.described(who))
                self._screen.well(f"first reading: {summary(reading.values)}")
                return

    def _kept_key(self, place: MeterSettings) -> Key | None:
        """Return the key of the configuration, if the meter has not refused it and it is to be used on."""
        own = self._own_key(place.name)
        if own is None or self._interview.is_given(ask.KEY):
            return None
        report = load_report(self._settings.cache.directory / place.name)
        if report is not None and report.key_refused:
            self._screen.wrong("the meter refused the key of the configuration: another one is needed")
            return None
        return own if self._interview.agreed("Use the key that the configuration has?") else None

    def _own_key(self, name: str) -> Key | None:
        for section in self._config.meter:
            if section.name == name and name in self._present.names and not has_none(section):
                with suppress(ValueError):
                    return read_key(section)
        return None

    # --- The meter

    def _meter(self, place: MeterSettings) -> Meter:
        label = self._interview.take(replace(ask.LABEL, otherwise=place.shown_as or ask.LABEL.otherwise))
        usual = power_text(place.max_power) if place.max_power else ask.MAX_POWER.otherwise
        power = self._interview.take(replace(ask.MAX_POWER, otherwise=usual))
        if power is not None:
            self._screen.say(f"The main fuse allows {power_text(power)}.")
        name = place.name or ask.name_of(label, self._present.names)
        return Meter(name, place.port, place.interface, label, power, place.dtr)

    # --- The end

    def _agreed_to(self, files: Sequence[NewFile]) -> bool:
        for each in files:
            state = "changed" if each.path.exists() else "new"
            self._screen.say(f"{each.path} ({state}{', the secret alone' if each.secret else ''})")
        if not files:
            self._screen.say("Everything is as it should be: there is nothing to change.")
            return True
        return self._interview.agreed("Write this?")


def _at(port: str) -> MeterSettings:
    return MeterSettings("", port)


def _same_device(one: str, other: str) -> bool:
    return one == other or ("://" not in one + other and os.path.realpath(one) == os.path.realpath(other))
