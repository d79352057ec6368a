"""What the rest of nesgw is given of the configuration: checked, frozen, each fact once. No validator is known here.

``loader`` makes these from a file. The defaults are those of ``schema``, held together by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple, NoReturn, Self

Interface = Literal["optical", "mep"]
SessionOption = Literal["auto", "per-poll", "keep-open"]
Language = Literal["en", "da", "de"]

# W that max_power = "auto" allows a meter without transformers: 3 x 63 A at 230 V.
DIRECT_POWER: Final = 44_000.0


class NotPickled:
    """What may hold a secret, and is therefore never written down as it is."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} may hold a secret, and is not pickled")


class Secret(NotPickled):
    """A key, a password or a token. Shows itself in no repr, text, pickle or JSON; ``reveal`` is for who sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str = b"") -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._value

    def reveal_text(self) -> str:
        """Return the text, of what is known to be one."""
        return self._value.decode()

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(********)" if self._value else "Secret()"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


NO_SECRET: Final = Secret()


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """A span of each day, in local time, in which the meter's port is left to the utility. May cross midnight."""

    begin: time
    end: time

    def contains(self, moment: datetime) -> bool:
        """Whether the window is open at a local time; the end is outside."""
        now = moment.time()
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def ends(self, moment: datetime) -> datetime:
        """Return when the window that is open at ``moment`` closes, by the same local clock."""
        day = moment.date() if moment.time() < self.end else moment.date() + timedelta(days=1)
        return datetime.combine(day, self.end, moment.tzinfo)

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The gateway itself, and its log."""

    name: str = "nesgw"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """One meter: where it is, how it is opened, how often it is read. ``key`` is None where none is needed."""

    name: str
    port: str = "auto"
    label: str = ""
    interface: Interface = "optical"
    key: Secret | None = None
    key_form: str = ""  # in which it was written: "40 hex digits"
    poll_interval: float = 10.0  # seconds
    session: SessionOption = "auto"
    max_session: float = 300.0  # seconds
    max_power: float | None = None  # W; None: auto
    quiet: QuietWindow | None = None
    baud: int = 9600  # at which every session begins
    negotiate_baud: bool = False  # ask for a faster one
    rts: bool = True
    dtr: bool = False

    @property
    def shown_as(self) -> str:
        """What people are shown: the label, or the name where there is none."""
        return self.label or self.name

    def power_limit(self, transformer_ratio: float = 1.0) -> float:
        """Return the power in W that the meter may show; ``transformer_ratio`` is that of current times voltage."""
        return DIRECT_POWER * transformer_ratio if self.max_power is None else self.max_power


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The RAM disk."""

    directory: Path = Path("/run/nesgw")
    allow_disk: bool = False


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to check the broker's certificate, and ours if it wants one."""

    ca_file: Path | None = None  # None: the CAs that the system trusts
    cert_file: Path | None = None
    key_file: Path | None = None  # None: the key is in ``cert_file``
    verify_hostname: bool = True


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is, how to log in, and how readings are published."""

    host: str = "localhost"
    port: int = 1883
    username: str = ""
    password: Secret = NO_SECRET
    tls: TlsSettings | None = None  # None: in the clear
    birth_topic: str | None = "homeassistant/status"  # None: Home Assistant is not served
    other_hosts: tuple[str, ...] = ()  # tried in turn when ``host`` is gone
    enabled: bool = True
    base_topic: str = "nesgw"
    qos: int = 1
    retain: bool = True
    per_value_topics: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host, in the order in which they are tried."""
        return (self.host, *self.other_hosts)


@dataclass(frozen=True, slots=True)
class HomeAssistantSettings:
    """Discovery by Home Assistant, and where its statistics are filled in."""

    enabled: bool = True
    discovery_prefix: str = "homeassistant"
    language: Language = "en"
    url: str = ""
    token_file: Path | None = None  # for one command alone, which reads it itself


class Address(NamedTuple):
    """Where a service listens: an IP address and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The page, the JSON service, and the local devices that it answers as (each the name of a meter, or empty)."""

    enabled: bool = False
    listen: tuple[Address, ...] = (Address("127.0.0.1", 8480),)
    token: Secret | None = None
    ecotracker: str = ""
    shelly: str = ""
    tasmota: str = ""
    dabbler: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    meters: tuple[MeterSettings, ...]
    gateway: GatewaySettings = GatewaySettings()
    cache: CacheSettings = CacheSettings()
    mqtt: MqttSettings = MqttSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    http: HttpSettings = HttpSettings()

    def secrets(self) -> Iterator[Secret]:
        """Every secret that is set, for the log to cut out."""
        held = [*(meter.key for meter in self.meters), self.mqtt.password, self.http.token]
        yield from (secret for secret in held if secret)
