"""Reads a configuration: file → options → settings. Every mistake is one line that says where, what and what else."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nesgw.config import access, secrets
from nesgw.config import files as small_files
from nesgw.config.document import Document, Location, Mistake, Source, WrongConfiguration
from nesgw.config.schema import OPTICAL_ONLY, Config, HttpSection, MeterSection, MqttSection, Section, tables
from nesgw.config.secrets import NO_SECRETS, Secrets
from nesgw.config.settings import (
    NO_SECRET,
    CacheSettings,
    GatewaySettings,
    HomeAssistantSettings,
    HttpSettings,
    MeterSettings,
    MqttSettings,
    Secret,
    Settings,
    TlsSettings,
)

T = TypeVar("T")
FURTHER: Final = "conf.d"  # the folder beside the configuration whose files belong to it
_BAUD: Final = 9600  # at which sessions with baud = "negotiate" begin
_LONGEST_FILE: Final = 1_000_000
_EXAMPLE: Final = "/usr/share/doc/nesgw/examples/config.example.toml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sound configuration: its text, its options, and the secrets that it names."""

    document: Document
    config: Config
    secrets: Secrets


def load(path: Path) -> Settings:
    """Read a configuration and the secrets it names. Raises ConfigError with a line for each mistake."""
    loaded = load_document(open_document(path))
    return settings(loaded.config, loaded.secrets)


def load_document(document: Document, elsewhere: Container[str] = ()) -> Loaded:
    """Validate a configuration and read its secrets, for who looks at it more closely than the daemon.

    ``elsewhere`` names systemd credentials that the service has and that are not seen from here: no key is missing
    then.
    """
    config = _validated(document)
    return Loaded(document, config, _read_secrets(config, document, elsewhere))


def read(path: Path) -> Config:
    """Read a configuration without the secrets: for what works while a key is missing. Raises ConfigError."""
    return _validated(open_document(path))


def parse(text: str, source: str) -> Config:
    """Read a configuration from a text; ``source`` stands in front of each mistake."""
    return _validated(Document([Source(source, text)]))


def settings(config: Config, found: Secrets = NO_SECRETS) -> Settings:
    """Return the settings that a configuration and its secrets make; a meter whose key is not among them has none."""
    assistant = config.homeassistant
    return Settings(
        meters=tuple(_meter(section, found) for section in config.meter),
        gateway=GatewaySettings(**dict(config.gateway)),
        cache=CacheSettings(Path(config.cache.directory), config.cache.allow_disk),
        mqtt=_mqtt(config, found),
        homeassistant=HomeAssistantSettings(
            enabled=assistant.enabled,
            discovery_prefix=assistant.discovery_prefix,
            language=assistant.language,
            url=assistant.url,
            token_file=_path(assistant.token_file),
        ),
        http=_http(config.http, found),
    )


def _meter(section: MeterSection, found: Secrets) -> MeterSettings:
    key = found.keys.get(section.name)
    return MeterSettings(
        name=section.name,
        port=section.port,
        label=section.label,
        interface=section.interface,
        key=key.value if key else None,
        key_form=key.form if key else "",
        poll_interval=section.poll_interval,
        session=section.session,
        max_session=section.max_session,
        max_power=section.max_power,
        quiet=section.quiet,
        baud=_BAUD if section.baud == "negotiate" else section.baud,
        negotiate_baud=section.baud == "negotiate",
        rts=section.rts,
        dtr=section.dtr,
    )


def _mqtt(config: Config, found: Secrets) -> MqttSettings:
    mqtt, tls = config.mqtt, config.mqtt.tls
    return MqttSettings(
        host=mqtt.host[0],
        port=mqtt.port,
        username=mqtt.username,
        password=found.mqtt_password,
        tls=TlsSettings(_path(tls.ca_file), _path(tls.cert_file), _path(tls.key_file), tls.verify_hostname)
        if tls.enabled
        else None,
        birth_topic=config.homeassistant.birth_topic if config.homeassistant.enabled else None,
        other_hosts=mqtt.host[1:],
        enabled=mqtt.enabled,
        base_topic=mqtt.base_topic,
        qos=mqtt.qos,
        retain=mqtt.retain,
        per_value_topics=mqtt.per_value_topics,
    )


def _http(http: HttpSection, found: Secrets) -> HttpSettings:
    return HttpSettings(
        enabled=http.enabled,
        listen=http.listen,
        token=found.http_token,
        ecotracker=http.ecotracker,
        shelly=http.shelly,
        tasmota=http.tasmota,
        dabbler=http.dabbler,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


# --- Files ------------------------------------------------------------------------------------------------------------


def files(path: Path) -> list[Path]:
    """Return the files that make a configuration, in their order: the named one, and what its folder conf.d holds."""
    folder = path.parent / FURTHER
    try:
        names = os.listdir(folder)  # noqa: PTH208 (what pathlib cannot look into it takes for empty)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        # To whom all of /etc/nesgw is closed the file that he knows is named, and not a folder that may not be there.
        closed = folder if os.access(path, os.R_OK) else path
        raise WrongConfiguration([_unreadable(closed, error)]) from None
    return [path, *(folder / name for name in sorted(names) if name.endswith(".toml") and not name.startswith("."))]


def open_document(path: Path) -> Document:
    """Read the files of a configuration. Raises ConfigError if one cannot be read, is no TOML, or shows a secret."""
    sources: list[Source] = []
    mistakes: list[Mistake] = []
    for each in files(path):
        try:
            source = Source(str(each), _text(each))
            _refuse_open_secrets(each, source)
            sources.append(source)
        except WrongConfiguration as error:
            mistakes += error.mistakes
    if mistakes:
        raise WrongConfiguration(mistakes)
    return Document(sources)


def _text(path: Path) -> str:
    try:
        return small_files.read_bytes(path, _LONGEST_FILE).decode("utf-8")
    except FileNotFoundError:
        if path.is_symlink():
            problem = f"a link to {path.readlink()}, which is not there; make that, or remove the link"
            raise WrongConfiguration([Mistake(str(path), 0, "", problem)]) from None
        problem = (
            f"no such file; sudo nesgw setup asks for what it needs, or begin with a copy of {_EXAMPLE}; "
            "another file is named with --config"
        )
        raise WrongConfiguration([Mistake(str(path), 0, "", problem)]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise WrongConfiguration([Mistake(str(path), line, "", "not UTF-8 text; save the file as UTF-8")]) from None
    except ValueError as error:
        problem = str(error).removeprefix(f"{path} ")
        raise WrongConfiguration([Mistake(str(path), 0, "", problem)]) from None
    except OSError as error:
        raise WrongConfiguration([_unreadable(path, error)]) from None


def _unreadable(path: Path, error: OSError) -> Mistake:
    advice = "; try with sudo" if isinstance(error, PermissionError) else ""
    return Mistake(str(path), 0, "", f"cannot be read: {error.strerror}{advice}")


def _refuse_open_secrets(path: Path, source: Source) -> None:
    """A configuration that holds a secret is judged like a file that holds one."""
    held = list(_inline_secrets(source.raw))
    if held and access.open_to_all(path.stat().st_mode):
        document = Document([source])
        problem = (
            f"{path} holds a secret and can be read by everyone on this machine; run: {access.making_private(path)}"
        )
        raise WrongConfiguration([document.mistake(held[0], problem)])


def _inline_secrets(raw: dict[str, Any]) -> Iterator[Location]:
    meters, mqtt = raw.get("meter"), raw.get("mqtt")
    for index, meter in enumerate(meters if isinstance(meters, list) else []):
        if isinstance(meter, dict) and meter.get("key"):
            yield "meter", index, "key"
    if isinstance(mqtt, dict) and mqtt.get("password"):
        yield "mqtt", "password"


# --- Secrets ----------------------------------------------------------------------------------------------------------


def _read_secrets(config: Config, document: Document, elsewhere: Container[str]) -> Secrets:
    """Read every secret that the daemon needs from where the configuration says it is."""
    mistakes: list[Mistake] = []

    def attempt(location: Location, reading: Callable[[], T]) -> T | None:
        try:
            return reading()
        except ValueError as error:
            mistakes.append(document.mistake(location, str(error)))
            return None

    keys = {
        meter.name: key
        for index, meter in enumerate(config.meter)
        if not (secrets.has_none(meter) and f"{meter.name}.key" in elsewhere)
        if (key := attempt(_of_key(index, meter), lambda meter=meter: secrets.read_key(meter)))  # type: ignore[misc]
    }
    password = attempt(_of_password(config.mqtt), lambda: secrets.read_password(config.mqtt))
    token = attempt(("http", "token_file"), lambda: _http_token(config.http))
    if mistakes:
        raise WrongConfiguration(mistakes)
    return Secrets(keys, password or NO_SECRET, token)


def _http_token(http: HttpSection) -> Secret | None:
    return secrets.read_token(http.token_file) if http.enabled else None


def _of_key(index: int, meter: MeterSection) -> Location:
    return "meter", index, "key_file" if meter.key_file else "key"


def _of_password(mqtt: MqttSection) -> Location:
    return "mqtt", "password_file" if mqtt.password_file else "password"


# --- Validation -------------------------------------------------------------------------------------------------------


def _validated(document: Document) -> Config:
    try:
        config = Config.model_validate(document.raw)
    except ValidationError as error:
        # pydantic's own text repeats the input, which may be a key: only the details are used.
        found = error.errors(include_url=False, include_input=False)
        # A bad block also leaves the list of meters too short: that is no mistake of its own.
        own = [details for details in found if details["type"] != "too_short"] or found
        own.sort(key=lambda details: document.number(details["loc"]))
        raise WrongConfiguration(document.mistake(details["loc"], _problem(details)) for details in own) from None
    if mistakes := [document.mistake(location, problem) for location, problem in _contradictions(config)]:
        raise WrongConfiguration(mistakes)
    return config


def _problem(details: ErrorDetails) -> str:
    location = details["loc"]
    match details["type"]:
        case "extra_forbidden":
            return f"unknown option{_nearest(location)}"
        case "missing" | "too_short" if location == ("meter",):
            return "no meter; add a [[meter]] block with name, port and key_file"
        case "tuple_type":
            return f"must be a list of blocks; write [[{location[-1]}]] with double brackets"
        case "model_type" if isinstance(location[-1], int):
            return f"is no block of options; write [[{location[0]}]] on a line of its own, options below"
        case "model_type":
            return f"is a table of options; write [{'.'.join(map(str, location))}] on a line of its own, options below"
        case "missing":
            return "missing; add it"
        case "string_pattern_mismatch":
            return "must consist of lower-case letters, digits, '_' and '-'; what people are shown is the label"
        case "literal_error":
            return f"must be one of {details['ctx']['expected'].replace(' or ', ', ')}"
        case "value_error":
            return str(details["ctx"]["error"])
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number, without quotes"
        case "bool_parsing" | "bool_type":
            return "must be true or false, without quotes"
        case "string_type":
            return 'must be a text in quotes, like "house"'
        case _:
            message = details["msg"].removeprefix("Input ")
            return f"{message[0].lower()}{message[1:]}"


def _nearest(location: Location) -> str:
    """Name the option that was probably meant: one of this table, or the same of another table."""
    name = str(location[-1])
    table = tuple(part for part in location[:-1] if isinstance(part, str))
    options = dict(_options(Config, ()))
    here = options[table]
    if near := difflib.get_close_matches(name, here, n=1, cutoff=0.6):
        return f"; did you mean '{near[0]}'?"
    around = table[:-1]
    elsewhere = [around] if name in options[around] else [other for other, names in options.items() if name in names]
    if elsewhere and elsewhere != [()]:
        return f"; it belongs to {' or '.join(map(_header, elsewhere))}"
    if near := difflib.get_close_matches(name, here, n=1, cutoff=0.5):
        return f"; did you mean '{near[0]}'?"
    return f"; known here: {', '.join(here)}"


def _options(model: type[Section], table: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    yield table, list(model.model_fields)
    for name, section in tables(model).items():
        yield from _options(section, (*table, name))


def _header(table: tuple[str, ...]) -> str:
    dotted = ".".join(table)
    return f"[[{dotted}]]" if dotted == "meter" else f"[{dotted}]"


def _contradictions(config: Config) -> Iterator[tuple[Location, str]]:
    """Mistakes that no single option shows."""
    yield from _shared(config, "name", "used by {count} meters; give each its own")
    yield from _shared(config, "port", "{value} {what}; give each probe's own name from /dev/serial/by-id/")
    for index, meter in enumerate(config.meter):
        yield from (((("meter", index, option), problem)) for option, problem in _not_on_mep(meter))
    yield from _broker_contradictions(config.mqtt)
    names = {meter.name for meter in config.meter}
    for option in ("ecotracker", "shelly", "tasmota", "dabbler"):
        if (name := getattr(config.http, option)) and name not in names:
            yield ("http", option), f'no meter is named "{name}"; there is {", ".join(sorted(names))}'
        elif name and not config.http.enabled:
            yield ("http", "enabled"), f"{option} is set, but the service is off; set enabled = true"


def _shared(config: Config, option: str, problem: str) -> Iterator[tuple[Location, str]]:
    """What two meters cannot have in common, at the second of them."""
    values = [getattr(meter, option) for meter in config.meter]
    for index, value in enumerate(values):
        if values[:index].count(value) == 1:
            what = "cannot serve several meters" if value == "auto" else "is set for several meters"
            yield ("meter", index, option), problem.format(count=values.count(value), value=f'"{value}"', what=what)


def _not_on_mep(meter: MeterSection) -> Iterator[tuple[str, str]]:
    """The MEP port has no sessions, and its Enable line is RTS."""
    if meter.interface != "mep":
        return
    for option in sorted(OPTICAL_ONLY & meter.model_fields_set):
        yield option, 'is for the optical port; take it out where interface = "mep"'
    if meter.baud == "negotiate":
        yield "baud", 'no speed is negotiated where interface = "mep"; write the number that the port is set to'


def _broker_contradictions(mqtt: MqttSection) -> Iterator[tuple[Location, str]]:
    tls = mqtt.tls
    if bool(tls.cert_file) != bool(tls.key_file):
        missing = "key_file" if tls.cert_file else "cert_file"
        yield ("mqtt", "tls", missing), "a client certificate needs both cert_file and key_file"
    if (tls.cert_file or tls.ca_file) and not tls.enabled:
        yield ("mqtt", "tls", "enabled"), "certificates are set, but TLS is off; set enabled = true"
    if not mqtt.username and (mqtt.password.get_secret_value() or mqtt.password_file):
        yield ("mqtt", "username"), "a password is set without a user name; set both"
