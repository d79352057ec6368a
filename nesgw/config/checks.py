"""What single options take: each check returns the value as it is kept, or raises ValueError with what would be right.

Knows no file, no validator and no other option.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from nesgw.config.key import is_key
from nesgw.config.settings import Address

_PORTS: Final = range(1, 65536)
_LISTEN: Final = 'write an address and a port: "127.0.0.1:8480", "0.0.0.0:8480" for the LAN, "[::]:8480" for IPv6'


_LONGEST: Final = 1000


# What makes a terminal write the rest of a line from right to left.
_TURNING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def line(value: object) -> object:
    """A text of one line: a control character would reach terminals, logs and Home Assistant."""
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise ValueError(f"must be at most {_LONGEST} characters; it has {len(value)}")
        for place, sign in enumerate(value, 1):
            turns = unicodedata.bidirectional(sign) in _TURNING
            if turns or unicodedata.category(sign) in ("Cc", "Zl", "Zp"):
                raise ValueError(f"must be one line of text; character {place} is a control character")
    return value


def number(value: object) -> object:
    """A number: Python takes true and false for one."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number, without quotes")
    return value


def name(value: object) -> object:
    """A name, which is shown everywhere: no key that was written in its place."""
    if isinstance(value, str) and is_key(value) and any(sign.isdigit() for sign in value):
        raise ValueError("this is the key itself; a name is like 'house', and the key goes into a file")
    return value


def file(value: object) -> object:
    """A path, or nothing. A key in its place must not be shown."""
    if isinstance(value, str) and is_key(value, (16, 20)):
        raise ValueError("this is the key itself, not the name of a file: write it into a file, and name that")
    return folder(value) if value != "" else value


def folder(value: object) -> object:
    """A path. The service is started in another folder than whoever tries the configuration."""
    if isinstance(value, str) and not value.startswith("/"):
        raise ValueError("must be a whole path, with a slash in front")
    return value


def topic(value: object) -> object:
    """An MQTT topic that ours may begin with."""
    if isinstance(value, str) and (not value or re.search(r"[+#\x00\s]", value) or value.startswith(("/", "$"))):
        raise ValueError("must be a topic without spaces, '+', '#', and a '/' or '$' in front")
    return value.rstrip("/") if isinstance(value, str) else value


def site(value: object) -> object:
    """The address of a web server, without a path."""
    if isinstance(value, str) and value and not re.fullmatch(r"https?://[^/?#\s@]+/?", value):
        raise ValueError('must be an address without a path, like "http://homeassistant.local:8123"')
    return value.rstrip("/") if isinstance(value, str) else value


_LONGEST_NAME: Final = 253


def hosts(value: object) -> tuple[str, ...]:
    """One host's name or address, or a list of them."""
    names = _texts(value, 'like "localhost"')
    if "" in names:
        raise ValueError('must name the broker, like "localhost"; without a broker: [mqtt] enabled = false')
    return tuple(_host(name) for name in names)


def addresses(value: object) -> tuple[Address, ...]:
    """One address to listen at, or a list of them."""
    return tuple(_address(text) for text in _texts(value, 'like "127.0.0.1:8480"'))


def address_text(address: Address) -> str:
    """Write an address as the configuration takes it."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _texts(value: object, example: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = [text for text in values if isinstance(text, str)]
    if not values or len(texts) < len(values):
        raise ValueError(f"must be a text in quotes, {example}, or a list of such")
    if len(set(texts)) < len(texts):
        raise ValueError("names one of them twice")
    return texts


def _host(name: str) -> str:
    if "://" in name:
        raise ValueError("write the host name alone; the port goes to 'port', and TLS is [mqtt.tls] enabled = true")
    if re.search(r"\s", name):
        raise ValueError("must be a host name without blanks and line ends; several hosts are a list")
    if "@" in name:
        raise ValueError("write the host name alone; the user goes to 'username'")
    if "/" in name:
        raise ValueError("write the host name alone, without a path")
    if "[" in name or "]" in name:
        raise ValueError("write an IPv6 address without brackets; the port goes to 'port'")
    if re.fullmatch(r"[^:]+:[0-9]*", name):
        raise ValueError("write the host name alone; the port goes to 'port'")
    if not _is_address(name) and not _is_name(name):
        raise ValueError('must be a host name or an address, like "localhost" or "192.168.1.5"')
    return name


def _is_name(host: str) -> bool:
    """Whether it may be a name [RFC 1123]; what ends in a number is an address, or nothing."""
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_NAME or labels[-1].isdecimal():
        return False
    return all(re.fullmatch(r"\w([\w-]{0,61}\w)?", label) for label in labels)


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})", text)
    host = (match["six"] or match["four"]) if match else ""
    if match is None or not _is_address(host) or (":" in host) is not bool(match["six"]):
        raise ValueError(_LISTEN)
    port = int(match["port"])
    if port not in _PORTS:
        raise ValueError("the port must be 1 to 65535")
    return Address(host, port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
