"""Finds a broker for nesgw setup, tries it, and sees whom it lets in."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nesgw.commands.setup import mdns
from nesgw.commands.setup.plan import BrokerAccess
from nesgw.commands.terminal.progress import Progress
from nesgw.config.settings import NO_SECRET, MqttSettings, TlsSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.mqtt.session import BrokerSession
from nesgw.publishers.mqtt.trouble import Stage
from nesgw.publishers.topics import Topics

INSTALL: Final = "mosquitto is not installed here; in another window: sudo apt install mosquitto"
PLAIN: Final = 1883
ENCRYPTED: Final = 8883
HERE: Final = "localhost"
HOME_ASSISTANT: Final = "homeassistant.local"
_PATIENCE: Final = 1.5  # seconds to look whether anybody listens
_LISTENING: Final = "0A"  # proc(5), net/tcp
_LOOPBACK: Final = ("0100007F", "00000000000000000000000001000000")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A broker that was found, or that the configuration names."""

    host: str
    about: str


def candidates(configured: str | None, listen: int = PLAIN) -> list[Candidate]:
    """Look on this machine and for Home Assistant in the network."""
    with Progress() as progress:
        progress.step("looking for a broker")
        found = [Candidate(HERE, "on this machine")] if _listens(HERE, listen) else []
        found += _home_assistant()
    if configured and configured not in (HERE, *(each.host for each in found)):
        found.insert(0, Candidate(configured, "the configuration names it"))
    return found


def _home_assistant() -> Iterator[Candidate]:
    names: list[str] = []
    lookup = threading.Thread(target=lambda: names.extend(_resolved(HOME_ASSISTANT)), daemon=True)
    lookup.start()
    address = mdns.lookup(HOME_ASSISTANT)
    lookup.join(_PATIENCE)  # a name server that does not answer is not waited for
    if names:
        if _listens(HOME_ASSISTANT, PLAIN) or _listens(HOME_ASSISTANT, ENCRYPTED):
            yield Candidate(HOME_ASSISTANT, f"Home Assistant, {names[0]}")
    elif address and (_listens(address, PLAIN) or _listens(address, ENCRYPTED)):
        advice = "give it a fixed address in your router, or: sudo apt install libnss-mdns"
        yield Candidate(address, f"{HOME_ASSISTANT}, a name that this machine cannot look up; {advice}")


def _resolved(name: str) -> list[str]:
    with suppress(OSError):
        return [str(found[4][0]) for found in socket.getaddrinfo(name, PLAIN, type=socket.SOCK_STREAM)]
    return []


def _listens(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), _PATIENCE):
        return True
    return False


def ways(place_port: int | None, tls: bool | None) -> list[tuple[int, bool]]:
    """Which ports to try, each with or without TLS, the most likely first; never without it where it was asked for."""
    if place_port is None:
        return [(ENCRYPTED, True)] if tls else [(PLAIN, False), (ENCRYPTED, True)]
    if tls is not None:
        return [(place_port, tls)]
    usual = place_port == ENCRYPTED
    return [(place_port, usual)] if usual else [(place_port, False), (place_port, True)]


def reach(settings: MqttSettings, broker: BrokerAccess, choices: Sequence[tuple[int, bool]]) -> BrokerAccess:
    """Return the broker with the first port that lets us in. Raises BrokerUnavailable of the first that is there."""
    first: BrokerUnavailable | None = None
    for port, tls in choices:
        chosen = replace(broker, port=port, tls=tls)
        try:
            attempt(settings, chosen)
        except BrokerUnavailable as trouble:
            if trouble.facts["stage"] != Stage.REACH.value and not _is_no_tls(trouble, first):
                raise Reached(chosen, trouble) from None
            first = first or trouble
        else:
            return chosen
    assert first is not None  # noqa: S101 (there is at least one way)
    raise first


def _is_no_tls(trouble: BrokerUnavailable, first: BrokerUnavailable | None) -> bool:
    """Whether TLS was only tried because the plain way failed, and is not spoken: the first failure says more."""
    return first is not None and trouble.facts["stage"] == Stage.TLS.value


class Reached(Exception):
    """A broker is there, and does not let us in."""

    def __init__(self, broker: BrokerAccess, trouble: BrokerUnavailable) -> None:
        super().__init__()
        self.broker = broker
        self.trouble = trouble

    @property
    def asks_for_a_login(self) -> bool:
        """Whether a user and a password may mend it."""
        return bool(self.trouble.facts["stage"] == Stage.LOGIN.value)


def attempt(settings: MqttSettings, broker: BrokerAccess) -> None:
    """Log in and read one topic. Raises BrokerUnavailable."""
    with Progress() as progress:
        progress.step(f"trying {broker.host}:{broker.port}")
        with BrokerSession(settings_of(settings, broker), "nesgw-setup") as session:
            session.retained([Topics(settings.base_topic, "nesgw", "homeassistant").gateway_status])


def settings_of(settings: MqttSettings, broker: BrokerAccess) -> MqttSettings:
    """Return the settings that a configuration with this broker would make."""
    return replace(
        settings,
        host=broker.host,
        other_hosts=(),
        port=broker.port,
        username=broker.username,
        password=settings.password if broker.password is None and broker.username else broker.password or NO_SECRET,
        tls=(settings.tls or TlsSettings()) if broker.tls else None,
    )


def advice(host: str) -> str:
    """Say what to do where a broker cannot be reached, to who named it on the command line or on being asked."""
    if is_here(host):
        return "start it: sudo systemctl start mosquitto" if is_installed() else INSTALL
    return (
        "is that its name (its address does as well), and is it started? For other machines mosquitto listens only "
        "with a few lines that docs/broker.md has"
    )


def is_here(host: str) -> bool:
    """Whether a broker is on this machine."""
    return host in _LOCAL


def is_installed() -> bool:
    """Whether mosquitto is installed here."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is not None


def takes_others(port: int, tables: Sequence[Path] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))) -> bool:
    """Whether a server on this machine listens for other machines as well; True where that cannot be seen."""
    addresses = [address for table in tables for address in _listening(table, port)]
    return not addresses or any(address not in _LOOPBACK for address in addresses)


def _listening(table: Path, port: int) -> Iterator[str]:
    """Read proc(5): ``0: 0100007F:075B 00000000:0000 0A …``."""
    with suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTENING and int(number, 16) == port:
                yield address
