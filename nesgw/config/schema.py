"""The options of the configuration file: each one's name, default, bounds and help text, once. Nothing else.

``loader`` reads a file with these; ``config.example.toml`` and the configuration reference are generated from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from nesgw.config import checks, quantities
from nesgw.config.settings import Address, NotPickled, QuietWindow
from nesgw.ports.urls import check_port


@dataclass(frozen=True, slots=True)
class Takes:
    """What an option takes, for the reference."""

    text: str


def _between(parse: Callable[[object], float], lowest: float, highest: float, text: str) -> BeforeValidator:
    def check(value: object) -> float:
        number = parse(value)
        if not lowest <= number <= highest:
            raise ValueError(f"must be {text}")
        return number

    return BeforeValidator(check)


def _or_auto(check: BeforeValidator) -> BeforeValidator:
    inner: Any = check.func
    return BeforeValidator(lambda value: None if value == "auto" else inner(value))


def _one_or_list(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else texts


_number = BeforeValidator(checks.number)
_duration = PlainSerializer(quantities.duration_text, return_type=str)
PollInterval = Annotated[
    float, _between(quantities.seconds, 1, 3600, '"1s" to "1h"'), Takes('`"1s"` … `"1h"`'), _duration
]
SessionLimit = Annotated[
    float,
    _between(quantities.seconds, 10, 570, '"10s" to "570s", well below the meter\'s own 600 s'),
    Takes('`"10s"` … `"570s"`'),
    _duration,
]
Power = Annotated[
    float | None,
    _or_auto(_between(quantities.watts, 100, 10e6, '"auto", or "100 W" to "10000 kW"')),
    Takes('`"auto"`, `"100 W"` … `"10000 kW"`'),
    PlainSerializer(lambda value: "auto" if value is None else quantities.power_text(value), return_type=str),
]
Quiet = Annotated[
    QuietWindow | None,
    BeforeValidator(quantities.window),
    Takes('`"HH:MM-HH:MM"`'),
    PlainSerializer(lambda window: str(window or ""), return_type=str),
]
Hosts = Annotated[
    tuple[str, ...],
    BeforeValidator(checks.hosts),
    Takes("a name or an address, or a list of them"),
    PlainSerializer(lambda hosts: _one_or_list(list(hosts))),
]
Addresses = Annotated[
    tuple[Address, ...],
    BeforeValidator(checks.addresses),
    Takes("`ADDRESS:PORT`, or a list of them"),
    PlainSerializer(lambda found: _one_or_list([checks.address_text(each) for each in found])),
]
Name = Annotated[
    str, Field(pattern=r"^[a-z0-9_-]+$", max_length=40), BeforeValidator(checks.name), Takes("`a-z`, `0-9`, `_`, `-`")
]
Line = Annotated[str, BeforeValidator(checks.line), Takes("text")]
Topic = Annotated[str, BeforeValidator(checks.topic), BeforeValidator(checks.line), Takes("a topic")]
File = Annotated[str, BeforeValidator(checks.file), BeforeValidator(checks.line), Takes("a path")]
Folder = Annotated[str, BeforeValidator(checks.folder), BeforeValidator(checks.line), Takes("a path")]
Site = Annotated[str, BeforeValidator(checks.site), Takes("`http://HOST:PORT`")]
SerialPlace = Annotated[
    str, BeforeValidator(check_port), BeforeValidator(checks.line), Takes('`"auto"`, a path or a URL')
]


# Options that have no meaning on the MEP port, which has no sessions and whose Enable line is RTS.
OPTICAL_ONLY: Final = frozenset({"session", "max_session", "dtr"})


class Section(NotPickled, BaseModel):
    """One table of the file; an option that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewaySection(Section):
    """The gateway itself: one Raspberry Pi among others on the broker."""

    name: Name = Field("nesgw", description="this Pi among others: topics, MQTT client id, Home Assistant device")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug | info | warning | error"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto (journal under systemd, console on a terminal) | json | console"
    )


class MeterSection(Section):
    """One meter and its probe."""

    name: Name = Field(description="a-z, 0-9, _ and -; names the log lines and --meter", examples=["house"])
    label: Line = Field("", description="what Home Assistant shows; default: the name", examples=["House"])
    interface: Literal["optical", "mep"] = Field("optical", description="optical | mep: which of the meter's ports")
    port: SerialPlace = Field(
        "auto", description='a device path, /dev/serial/by-id/…, a pyserial URL, or "auto" (the only probe)'
    )
    key_file: File = Field(
        "",
        description='the file with the key; or key = "…", or the systemd credential NAME.key',
        examples=["/etc/nesgw/house.key"],
    )
    key: SecretStr = Field(
        SecretStr(""),
        description="the key itself: 20 characters, 40 hex digits or 20 decimal codes (mep: also 16, 32, 16)",
        exclude=True,
    )
    poll_interval: PollInterval = Field(10.0, description="time from one reading to the next: 1s … 1h")
    session: Literal["auto", "per-poll", "keep-open"] = Field(
        "auto",
        description="auto | per-poll | keep-open; auto: per-poll, unless each leaves an entry in the meter's event log",
    )
    max_session: SessionLimit = Field(300.0, description="keep-open only: leave before the meter's 600 s limit")
    max_power: Power = Field(
        None,
        description='what the main fuse allows, like "17 kW": readings above are doubted; '
        "auto: 44 kW, times the transformer ratios",
    )
    quiet: Quiet = Field(None, description='"02:05-02:15", local time: no polls, the port is left to the utility')
    baud: Literal[300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, "negotiate"] = Field(
        9600, description='the speed; "negotiate": begin at 9600 and go as fast as meter and probe can'
    )
    rts: bool = Field(True, description="raise RTS, from which many probes draw their power")
    dtr: bool = Field(False, description="raise DTR, from which some probes draw their power")


class CacheSection(Section):
    """The RAM disk that other programs on the Pi read."""

    directory: Folder = Field("/run/nesgw", description="must be a tmpfs: refused otherwise unless allow_disk = true")
    allow_disk: bool = Field(False, description="true wears the SD card out")


class TlsSection(Section):
    """Encryption of the way to the broker."""

    enabled: bool = Field(False, description="the broker's port is then usually 8883")
    ca_file: File = Field("", description="the CA that signed the broker's certificate; default: the system's CAs")
    cert_file: File = Field("", description="client certificate, if the broker asks for one")
    key_file: File = Field("", description="the private key of the client certificate")
    verify_hostname: bool = Field(True, description="false accepts a certificate for another name")


class MqttSection(Section):
    """The broker."""

    enabled: bool = Field(True, description="false: only the RAM disk and [http]")
    host: Hosts = Field(("localhost",), description="the broker; of a list the next is tried when one is gone")
    port: Annotated[int, Field(ge=1, le=65535), _number] = Field(1883, description="8883 with tls")
    username: Line = Field("", description="empty: no login")
    password_file: File = Field(
        "", description='the file with the password; or password = "…", or the systemd credential mqtt-password'
    )
    password: SecretStr = Field(SecretStr(""), description="the password itself", exclude=True)
    base_topic: Topic = Field("nesgw", description="all topics of nesgw begin with it")
    qos: Annotated[Literal[0, 1, 2], _number] = Field(1, description="quality of service of the readings")
    retain: bool = Field(True, description="the broker keeps the latest reading")
    per_value_topics: bool = Field(False, description="also one plain topic per value (FHEM, openHAB, Node-RED)")
    tls: TlsSection = TlsSection()


class HomeAssistantSection(Section):
    """Discovery by Home Assistant."""

    enabled: bool = Field(True, description="announce every meter to Home Assistant")
    discovery_prefix: Topic = Field("homeassistant", description="as set in Home Assistant's MQTT integration")
    birth_topic: Topic = Field("homeassistant/status", description="where Home Assistant says that it is back")
    language: Literal["en", "da", "de"] = Field("en", description="en | da | de: the names of devices and entities")
    url: Site = Field("", description='like "http://homeassistant.local:8123"; for nesgw backfill only')
    token_file: File = Field(
        "",
        description="the file with a long-lived token of an administrator, "
        "or the systemd credential homeassistant-token; for nesgw backfill only",
    )


class HttpSection(Section):
    """The page, the JSON service, and the local devices that nesgw answers as."""

    enabled: bool = Field(False, description="serve the page, /api and /metrics")
    listen: Addresses = Field(
        (Address("127.0.0.1", 8480),), description='"0.0.0.0:8480" or "[::]:8480" for the LAN; several as a list'
    )
    token_file: File = Field("", description="the file with a token that /, /api and /metrics then ask for")
    ecotracker: Line = Field("", description="the name of a meter: answers as an everHome EcoTracker")
    shelly: Line = Field("", description="the name of a meter: answers as a Shelly Pro 3EM")
    tasmota: Line = Field("", description="the name of a meter: answers as Tasmota's SML sensor")
    dabbler: Line = Field("", description="the name of a meter: answers as the Dabbler MEP module")


class Config(Section):
    """The whole file."""

    gateway: GatewaySection = GatewaySection()
    meter: Annotated[tuple[MeterSection, ...], Field(min_length=1)]
    cache: CacheSection = CacheSection()
    mqtt: MqttSection = MqttSection()
    homeassistant: HomeAssistantSection = HomeAssistantSection()
    http: HttpSection = HttpSection()


def tables(model: type[Section]) -> dict[str, type[Section]]:
    """Return the tables within a table, by name; a list of tables counts as one."""
    found: dict[str, type[Section]] = {}
    for name, info in model.model_fields.items():
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                found[name] = kind
    return found


_SECRET: Final = ("key", "password", "token")


def shown(model: type[Section] = Config) -> frozenset[str]:
    """Return the options whose values may be shown: none whose name speaks of a secret, for one may stand there."""
    own = {name for name in model.model_fields if not name.startswith(_SECRET)}
    return frozenset(own).union(*map(shown, tables(model).values()))
