"""What nesgw setup asks: each question, how an answer is checked, and the option that answers it. Asks nothing itself.

A check takes the text of an answer and returns its value, or raises ValueError with what would be right. No message
repeats a secret.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from nesgw.config import checks, quantities
from nesgw.config.key import Key, bare, parse_key
from nesgw.config.settings import Interface, Secret
from nesgw.ports.urls import check_port

T = TypeVar("T")

MAINS: Final = 230  # V between a phase and neutral
_LONGEST_LABEL: Final = 60
_LONGEST_NAME: Final = 40
_POWER: Final = (100.0, 10e6)  # W, as max_power takes it


class BrokerPlace(NamedTuple):
    """Where a broker is, as somebody writes it."""

    host: str
    port: int | None  # None: nothing was said of it
    tls: bool | None = None


class TypedKey(NamedTuple):
    """A key, and the text that it was read from."""

    key: Key
    text: Secret


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One thing to know. ``option`` answers it on the command line; of a secret it names the file.

    ``otherwise`` is what an empty answer means, as one would write it; None: there has to be an answer.
    """

    option: str
    prompt: str
    check: Callable[[str], T]
    about: str = ""
    otherwise: str | None = None
    secret: bool = False

    @property
    def name(self) -> str:
        """The name of the option's value in argparse's answer."""
        return self.option.removeprefix("--").replace("-", "_")


def port(text: str) -> str:
    """A device path, a URL of pyserial, or "auto"."""
    checked = check_port(text.strip())
    assert isinstance(checked, str)  # noqa: S101 (it was one)
    return checked


def one_of(names: Sequence[str], otherwise: Callable[[str], T], make: Callable[[str], T]) -> Callable[[str], T]:
    """Check the number of a line in a list, or anything else in another way."""

    def check(text: str) -> T:
        if not text.strip().isdecimal() or not names:
            return otherwise(text)
        number = int(text)
        if not 1 <= number <= len(names):
            raise ValueError(f"write a number from 1 to {len(names)}" if len(names) > 1 else "there is only number 1")
        return make(names[number - 1])

    return check


def key(interface: Interface) -> Callable[[str], TypedKey]:
    """A key in any form in which utilities hand it out."""
    return lambda text: TypedKey(parse_key(text, interface), Secret(bare(text)))


def label(text: str) -> str:
    """What Home Assistant shows."""
    line = _line(text.strip())
    if not line or len(line) > _LONGEST_LABEL:
        raise ValueError(f"write a name of 1 to {_LONGEST_LABEL} characters, like House")
    return line


def _line(text: str) -> str:
    checks.line(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("has a character that this terminal does not send as UTF-8; write it in another way") from None
    return text


def name_of(shown: str, taken: Collection[str]) -> str:
    """Make the name of a meter from its label: a-z, 0-9, _ and -, and no other meter's."""
    letters = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})
    spelled = unicodedata.normalize("NFKD", shown.lower().translate(letters))
    plain = "".join(sign for sign in spelled if not unicodedata.combining(sign))
    name = re.sub("[^a-z0-9]+", "-", plain).strip("-")[: _LONGEST_NAME - 3].strip("-") or "meter"
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def main_fuse(text: str) -> float | None:
    """What the main fuse allows in W: "3 x 25 A" at 230 V, or a power; None for "auto"."""
    said = text.strip().lower().replace("×", "x").replace("*", "x").replace(",", ".")
    if said in ("", "auto"):
        return None
    if fuse := re.fullmatch(r"([13])\s*x\s*([0-9]+(?:\.[0-9]+)?)\s*a?(?:mp(?:ere)?)?", said):
        return _within(int(fuse[1]) * float(fuse[2]) * MAINS)
    if re.fullmatch(r"[0-9.]+\s*a(mp(ere)?)?", said):
        raise ValueError(f"of one phase or of three? Write 1 x {_number(said)} A, or 3 x {_number(said)} A")
    try:
        return _within(quantities.watts(said))
    except ValueError:
        raise ValueError("write it like 3 x 25 A, 1 x 35 A or 17 kW; nothing, if you do not know") from None


def _number(said: str) -> str:
    return re.sub("[^0-9.]", "", said)


def _within(watts: float) -> float:
    if not _POWER[0] <= watts <= _POWER[1]:
        raise ValueError("must be 100 W to 10000 kW")
    return watts


def broker(text: str) -> BrokerPlace:
    """A host, alone or with a port behind a colon, or as a URL."""
    scheme, found, rest = text.strip().rpartition("://")
    if found and scheme.lower() not in _SCHEMES:
        raise ValueError("write the broker's name or address, like homeassistant.local or 192.168.1.20")
    host, number = _host_and_port(rest.rstrip("/"))
    if not host:
        raise ValueError("write the broker's name or address, like homeassistant.local or 192.168.1.20")
    (checked,) = checks.hosts(host)
    return BrokerPlace(checked, number, _SCHEMES[scheme.lower()] if found else None)


_SCHEMES: Final = {"mqtt": False, "tcp": False, "mqtts": True, "ssl": True, "tls": True}


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Take host:port and [address]:port apart; an IPv6 address alone has colons of its own."""
    if match := re.fullmatch(r"\[([^\]]*)\](?::([0-9]+))?|([^:]*):([0-9]+)", text):
        number = match[2] or match[4]
        return match[1] or match[3] or "", number_of_port(number) if number else None
    return text, None


def number_of_port(text: str) -> int:
    """The number of a TCP port."""
    said = text.strip()
    if not (said.isascii() and said.isdecimal()) or not 1 <= int(said) <= 65535:
        raise ValueError("write a number from 1 to 65535, like 1883")
    return int(said)


def username(text: str) -> str:
    """The name of a user of the broker; none: no login."""
    return _line(text.strip())


def password(text: str) -> Secret:
    """A password that can stand in a file, from whose text blanks and quotes around it are taken away."""
    secret = text.rstrip("\r\n")
    if not secret:
        raise ValueError("the password is empty")
    _line(secret)
    if bare(secret) != secret:
        raise ValueError("a password with a blank or a quote at its ends cannot be kept in a file: take another one")
    return Secret(secret)


def file_of_password(text: str) -> Secret:
    """A password as its file holds it."""
    return password(bare(text))


# --- The table --------------------------------------------------------------------------------------------------------

PORT: Final = Question("--port", "Port", port)
KEY: Final = Question(
    "--key-file",
    "Key (it is not shown)",
    key("optical"),
    "The utility's letter has the key. Paste or type it as it stands there: 20 characters, 40 hex digits or "
    "20 numbers. The meter is asked once.",
    secret=True,
)
LABEL: Final = Question("--label", "Name of the meter", label, "What Home Assistant shows.", "House")
MAX_POWER: Final = Question(
    "--max-power",
    "Main fuse",
    main_fuse,
    "It helps to tell a wrong reading from a true one. Write it like 3 x 25 A, 1 x 35 A or 17 kW; "
    "Enter, if you do not know.",
    "auto",
)
MQTT_HOST: Final = Question("--mqtt-host", "Broker", broker)
MQTT_PORT: Final = Question("--mqtt-port", "Port of the broker", number_of_port, otherwise="1883")
MQTT_USERNAME: Final = Question("--mqtt-username", "User of the broker", username, "The broker asks for a login.")
MQTT_PASSWORD: Final = Question("--mqtt-password-file", "Password (it is not shown)", password, secret=True)

# In the order in which they come.
QUESTIONS: Final = (PORT, KEY, LABEL, MAX_POWER, MQTT_HOST, MQTT_PORT, MQTT_USERNAME, MQTT_PASSWORD)
