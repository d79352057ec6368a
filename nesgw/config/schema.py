"""The configuration: every option's name, default, bounds and help text, each once.

Reads a TOML file and the secrets that it points to, and turns every mistake into one line: file, key, what is
wrong, what would be right. ``config.example.toml`` and the configuration reference are generated from here.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nesgw import CONFIG_FILE
from nesgw.config import quantities as units
from nesgw.config.key import Key, is_key, parse_key
from nesgw.errors import ConfigError

DEFAULT_PATH: Final = Path(CONFIG_FILE)
_NAME: Final = r"^[a-z0-9_-]+$"


def _between(parse: Any, lowest: float, highest: float, text: str) -> BeforeValidator:
    def check(value: object) -> float:
        number: float = parse(value)
        if not lowest <= number <= highest:
            raise ValueError(f"must be {text}")
        return number

    return BeforeValidator(check)


def _host(value: object) -> object:
    if value == "":
        raise ValueError('must name the broker, like "localhost"; without a broker: [mqtt] enabled = false')
    if isinstance(value, str) and "://" in value:
        raise ValueError("write the host name alone; the port goes to 'port', and TLS is [mqtt.tls] enabled = true")
    return value


def _topic(value: object) -> object:
    if isinstance(value, str) and (not value or re.search(r"[+#\x00\s]", value) or value.startswith(("/", "$"))):
        raise ValueError("must be a topic without spaces, '+', '#', and a '/' or '$' in front")
    return value.rstrip("/") if isinstance(value, str) else value


_write_duration = PlainSerializer(units.duration_text, return_type=str)
PollInterval = Annotated[float, _between(units.seconds, 1, 3600, '"1s" to "1h"'), _write_duration]
SessionLimit = Annotated[
    float, _between(units.seconds, 10, 570, '"10s" to "570s", well below the meter\'s own 600 s'), _write_duration
]
Power = Annotated[
    float, _between(units.watts, 100, 10e6, '"100 W" to "10000 kW"'), PlainSerializer(units.power_text, return_type=str)
]
Name = Annotated[str, Field(pattern=_NAME, max_length=40)]
Host = Annotated[str, BeforeValidator(_host)]
Topic = Annotated[str, BeforeValidator(_topic)]


class Section(BaseModel):
    """One table of the file; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewaySection(Section):
    """The gateway itself: one Raspberry Pi among others on the broker."""

    name: Name = Field("nesgw", description="[a-z0-9_-]+; this Pi among others: topics, MQTT client id, HA device")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug | info | warning | error"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto (journal under systemd, console on a terminal) | json | console"
    )


class MeterSection(Section):
    """One meter and its probe."""

    name: Name = Field(
        description="[a-z0-9_-]+; names the log lines and the command line's --meter", examples=["house"]
    )
    label: str = Field("", description="what Home Assistant shows; default: the name", examples=["House"])
    port: Annotated[str, Field(min_length=1)] = Field(
        "auto", description='a device path, /dev/serial/by-id/…, any pyserial URL, or "auto" (the only probe)'
    )
    key_file: str = Field(
        "",
        description='or key = "…", or the systemd credential NAME.key',
        examples=["/etc/nesgw/house.key"],
    )
    key: SecretStr = Field(
        SecretStr(""), description="the key itself: 20 characters, 40 hex digits or 20 decimal codes", exclude=True
    )
    poll_interval: PollInterval = Field(10.0, description="1s … 1h")
    session: Literal["auto", "per-poll", "keep-open"] = Field(
        "auto",
        description="auto | per-poll | keep-open; auto: per-poll, unless each leaves an entry in the meter's event log",
    )
    max_session: SessionLimit = Field(300.0, description="keep-open only: leave before the meter's 600 s limit")
    max_power: Power = Field(44000.0, description="what the main fuse allows; the plausibility limit")
    baud: Literal[300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, "negotiate"] = Field(
        9600, description='the probe\'s speed; "negotiate": from 9600 to what meter and probe bear, back by itself'
    )
    rts: bool = Field(True, description="many probes draw their power from RTS")
    dtr: bool = Field(False, description="… and some from DTR")

    @property
    def first_baud(self) -> int:
        """The rate at which every session begins."""
        return 9600 if self.baud == "negotiate" else self.baud


class CacheSection(Section):
    """The RAM disk that other programs on the Pi read."""

    directory: str = Field("/run/nesgw", description="must be a tmpfs: refused otherwise unless allow_disk = true")
    allow_disk: bool = Field(False, description="true wears the SD card out")


class TlsSection(Section):
    """Encryption of the way to the broker."""

    enabled: bool = Field(False, description="the broker's port is then mostly 8883")
    ca_file: str = Field("", description="default: the system's")
    cert_file: str = Field("", description="client certificate, if the broker asks for one")
    key_file: str = Field("", description="its private key")
    verify_hostname: bool = Field(True, description="false accepts a certificate for another name")


class MqttSection(Section):
    """The broker."""

    enabled: bool = Field(True, description="false: only the RAM disk")
    host: Host = Field("localhost", description="the broker's name or address")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(1883, description="8883 with tls")
    username: str = Field("", description="empty: no login")
    password_file: str = Field("", description='or password = "…", or the systemd credential mqtt-password')
    password: SecretStr = Field(SecretStr(""), description="the password itself", exclude=True)
    base_topic: Topic = Field("nesgw", description="in front of every topic of ours")
    qos: Literal[0, 1, 2] = Field(1, description="of the readings")
    retain: bool = Field(True, description="the broker keeps the latest reading")
    per_value_topics: bool = Field(False, description="also one plain topic per value (FHEM, openHAB, Node-RED)")
    tls: TlsSection = TlsSection()


class HomeAssistantSection(Section):
    """Discovery by Home Assistant."""

    enabled: bool = Field(True, description="announce every meter to Home Assistant")
    discovery_prefix: Topic = Field("homeassistant", description="as set in Home Assistant's MQTT integration")
    birth_topic: Topic = Field("homeassistant/status", description="where Home Assistant says that it is back")


class Config(Section):
    """The whole file."""

    gateway: GatewaySection = GatewaySection()
    meter: Annotated[tuple[MeterSection, ...], Field(min_length=1)]
    cache: CacheSection = CacheSection()
    mqtt: MqttSection = MqttSection()
    homeassistant: HomeAssistantSection = HomeAssistantSection()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the configuration points to; kept apart from it, so that printing the one never shows the other."""

    keys: dict[str, Key] = field(repr=False)  # by the meter's name
    mqtt_password: str = field(repr=False, default="")


def load(path: Path) -> tuple[Config, Secrets]:
    """Read a configuration and the secrets it names. Raises ConfigError with a line for each mistake."""
    config = read(path)
    return config, read_secrets(config, str(path))


def read(path: Path) -> Config:
    """Read a configuration without the secrets: for what works while a key is missing. Raises ConfigError."""
    return parse(_read(path), str(path))


def parse(text: str, source: str) -> Config:
    """Read a configuration from a text; ``source`` stands in front of each mistake."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{source}: not valid TOML: {error}"]) from None
    lines = _Lines(text)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        # pydantic's own text repeats the input, which may be a key: only the details are used.
        mistakes = error.errors(include_url=False)
        # A bad block also leaves the list of meters too short: that is no mistake of its own.
        own = [details for details in mistakes if details["type"] != "too_short"] or mistakes
        own.sort(key=lambda details: lines.number(details["loc"]))
        raise ConfigError([_problem(source, lines, raw, details) for details in own]) from None
    if problems := [f"{source}: {problem}" for problem in _contradictions(config)]:
        raise ConfigError(problems)
    return config


def read_secrets(config: Config, source: str) -> Secrets:
    """Read keys and password from where the configuration says they are."""
    problems: list[str] = []
    keys: dict[str, Key] = {}
    for meter in config.meter:
        where = f"meter.{meter.name}.key_file" if meter.key_file else f"meter.{meter.name}.key"
        try:
            keys[meter.name] = read_key(meter)
        except ValueError as error:
            problems.append(f"{source}: {where}: {error}")
    password = ""
    try:
        password = read_password(config.mqtt)
    except ValueError as error:
        problems.append(f"{source}: mqtt.password_file: {error}")
    if problems:
        raise ConfigError(problems)
    return Secrets(keys, password)


def read_key(meter: MeterSection) -> Key:
    """Read a meter's key from where its block says it is. Raises ValueError with what to do."""
    if text := _secret(meter.key.get_secret_value(), meter.key_file, f"{meter.name}.key"):
        return parse_key(text)
    raise ValueError(
        f'the meter has no key; put it into a file and name that: key_file = "/etc/nesgw/{meter.name}.key"'
    )


def read_password(mqtt: MqttSection) -> str:
    """Read the broker's password, "" where there is none. Raises ValueError with what to do."""
    return _secret(mqtt.password.get_secret_value(), mqtt.password_file, "mqtt-password")


def read_key_file(path: str) -> Key:
    """Read a key from a file that others cannot read. Raises ValueError with what to do."""
    if is_key(path):
        raise ValueError("this is the key itself: write it into a file that only you can read, and name that file")
    return parse_key(_private_text(Path(path)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problem = "no such file; start from config.example.toml, or name another with --config"
        raise ConfigError([f"{path}: {problem}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text: {error.reason} at byte {error.start}"]) from None
    except PermissionError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; try with sudo"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None


def _secret(direct: str, path: str, credential: str) -> str:
    """Take a secret from the option itself, the file that it names, or the systemd credential."""
    if direct and path:
        raise ValueError("given twice: keep either the file or the value")
    if direct:
        return direct
    if path:
        if is_key(path):
            raise ValueError("this is the key itself, not the name of a file: write it into a file, and name that")
        return _private_text(Path(path))
    # systemd.exec(5), LoadCredential=: a private directory that only this service can read.
    loaded = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), credential)
    return loaded.read_text(encoding="utf-8").strip() if loaded.is_file() else ""


def _private_text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ValueError(f"{path} is a folder; name the file in it")
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ValueError(f"{path} can be read by everyone on this machine; run: chmod o-rwx {path}")
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; write the secret into it, then: chmod 0640 {path}") from None
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read by this user ({error.strerror}); try with sudo, "
            f"or for the service: chown root:nesgw {path} && chmod 0640 {path}"
        ) from None


def _contradictions(config: Config) -> Iterator[str]:
    """Mistakes that no single key shows."""
    names = [meter.name for meter in config.meter]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"meter.{name}.name: used by {names.count(name)} meters; give each its own"
    ports = [meter.port for meter in config.meter]
    for port in sorted({port for port in ports if ports.count(port) > 1}):
        what = "cannot serve several meters" if port == "auto" else "is set for several meters"
        yield f'meter.port: "{port}" {what}; give each probe\'s own name from /dev/serial/by-id/'
    tls = config.mqtt.tls
    if bool(tls.cert_file) != bool(tls.key_file):
        missing = "key_file" if tls.cert_file else "cert_file"
        yield f"mqtt.tls.{missing}: a client certificate needs both cert_file and key_file"
    if (tls.cert_file or tls.ca_file) and not tls.enabled:
        yield "mqtt.tls.enabled: certificates are set, but TLS is off; set enabled = true"
    if not config.mqtt.username and (config.mqtt.password.get_secret_value() or config.mqtt.password_file):
        yield "mqtt.username: a password is set without a user name; set both"


class _Lines:
    """Finds the line of a key for the messages; TOML's parser in the standard library keeps no positions."""

    def __init__(self, text: str) -> None:
        self._found: dict[tuple[str | int, ...], int] = {}
        counts: dict[str, int] = {}
        table: tuple[str | int, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            if array := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
                index = counts.setdefault(array[1], -1) + 1
                counts[array[1]] = index
                table = (*array[1].split("."), index)
                self._found.setdefault(table, number)
            elif header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
                table = tuple(header[1].split("."))
                self._found.setdefault(table, number)
            elif key := re.match(r"\s*([\w-]+)\s*=", line):
                self._found.setdefault((*table, key[1]), number)

    def number(self, location: tuple[str | int, ...]) -> int:
        """Return the line of a key, or of the innermost table around it; 0 where there is none."""
        for length in range(len(location), 0, -1):
            if line := self._found.get(location[:length]):
                return line
        return 0


def _problem(source: str, lines: _Lines, raw: dict[str, Any], details: ErrorDetails) -> str:
    location = details["loc"]
    line = lines.number(location)
    place = f"{source}{f':{line}' if line else ''}: {_dotted(location, raw)}"
    match details["type"]:
        case "extra_forbidden":
            return f"{place}: unknown key{_nearest(location)}"
        case "missing" | "too_short" if location == ("meter",):
            return f"{place}: no meter; add a [[meter]] block with name, port and key_file"
        case "tuple_type":
            return f"{place}: must be a list of blocks; write [[{location[-1]}]] with double brackets"
        case "missing":
            return f"{place}: missing; add it"
        case "string_pattern_mismatch":
            return f"{place}: must consist of lower-case letters, digits, '_' and '-'"
        case "literal_error":
            return f"{place}: must be one of {details['ctx']['expected'].replace(' or ', ', ')}"
        case "value_error":
            return f"{place}: {details['ctx']['error']}"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{place}: must be a whole number, without quotes"
        case "bool_parsing" | "bool_type":
            return f"{place}: must be true or false, without quotes"
        case "string_type":
            return f'{place}: must be a text in quotes, like "house"'
        case _:
            message = details["msg"].removeprefix("Input ")
            return f"{place}: {message[0].lower()}{message[1:]}"


def _dotted(location: tuple[str | int, ...], raw: dict[str, Any]) -> str:
    """("meter", 0, "baud") -> meter.house.baud; the position where the block has no name."""
    if len(location) >= 2 and location[0] == "meter" and isinstance(location[1], int):
        block = raw["meter"][location[1]] if isinstance(raw.get("meter"), list) else {}
        name = block.get("name") if isinstance(block, dict) else None
        location = ("meter", name if isinstance(name, str) else location[1] + 1, *location[2:])
    return ".".join(str(part) for part in location)


def _nearest(location: tuple[str | int, ...]) -> str:
    import difflib  # only for who has made a mistake

    model: Any = Config
    for part in location[:-1]:
        if isinstance(part, str):
            model = sections(model).get(part, model)
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known here: {', '.join(known)}"


def sections(model: type[Section]) -> dict[str, type[Section]]:
    """Return the tables within a table."""
    if model is Config:
        return {
            "gateway": GatewaySection,
            "meter": MeterSection,
            "cache": CacheSection,
            "mqtt": MqttSection,
            "homeassistant": HomeAssistantSection,
        }
    return {"tls": TlsSection} if model is MqttSection else {}


def example() -> str:
    """Return config.example.toml: every option with its default and its help."""
    blocks = [
        "# nesgw configuration. Every option with its default; only [[meter]] is needed.\n"
        "# Check it with: nesgw check-config\n"
    ]
    blocks += _example_tables(Config, "")
    return "\n".join(blocks)


def _example_tables(model: type[Section], prefix: str) -> Iterator[str]:
    for name, section in sections(model).items():
        dotted = prefix + name
        header = f"[[{dotted}]]" if section is MeterSection else f"[{dotted}]"
        note = "one block per meter and probe; at least one" if section is MeterSection else section.__doc__
        options = "".join(
            _option_line(key, _shown(info), info.description or "")
            for key, info in section.model_fields.items()
            if key not in sections(section) and not info.exclude
        )
        yield f"# {(note or '').rstrip('.')}\n{header}\n{options}"
        yield from _example_tables(section, f"{dotted}.")


def _shown(info: FieldInfo) -> object:
    if info.examples:
        return info.examples[0]
    if info.annotation is float and isinstance(info.default, float):
        writer = next(item for item in info.metadata if isinstance(item, PlainSerializer))
        return writer.func(info.default)  # type: ignore[call-arg]
    return info.default


def _option_line(key: str, value: object, comment: str) -> str:
    option = f"{key} = {toml_value(value)}"
    return f"{option:<30} # {comment}\n" if comment else f"{option}\n"


def toml_value(value: object) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def effective(config: Config) -> str:
    """Return the configuration in force as TOML, every secret masked."""
    blocks = []
    for name in sections(Config):
        value = getattr(config, name)
        for section in value if isinstance(value, tuple) else (value,):
            header = f"[[{name}]]" if isinstance(value, tuple) else f"[{name}]"
            blocks.append(_effective_table(header, section))
            blocks += [
                _effective_table(f"[{name}.{inner}]", getattr(section, inner)) for inner in sections(type(section))
            ]
    return "\n".join(blocks)


def _effective_table(header: str, section: Section) -> str:
    lines = [header]
    inner = sections(type(section))
    for key, value in section.model_dump().items():
        if key not in inner:
            lines.append(f"{key} = {toml_value(value)}")
    for key, info in type(section).model_fields.items():
        secret = getattr(section, key)
        if info.exclude and isinstance(secret, SecretStr) and secret.get_secret_value():
            lines.append(f'{key} = "********"')
    return "\n".join(lines) + "\n"
