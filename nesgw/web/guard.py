"""Who may ask: the name that a browser used for us, the page that made it ask, and the token. Pure.

A page on the internet can make the browser of a house ask any address in it. The same-origin rule keeps the answer from
that page, unless its own name is made to point to us (DNS rebinding): so names from outside the house are refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from nesgw.web.request import Refused, Request

HOME_DOMAINS: Final = (".local", ".localhost", ".lan", ".home.arpa", ".internal", ".fritz.box")
# Home Assistant's ingress has asked for a login itself, and passes on what the browser calls Home Assistant.
INGRESS: Final = "172.30.32.2"

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]{1,5})?")


def check_origin(request: Request, own_names: Iterable[str] = ()) -> None:
    """Raise Refused for a name that is not ours to answer to, and for a request made by a page that is not ours."""
    if request.client == INGRESS:
        return
    host = request.host
    if host is not None and not is_home(host, own_names):
        raise Refused(
            421,
            "nesgw answers to an IP address, a name without dots, or one that ends in .local, .lan, .home.arpa, "
            ".internal or .fritz.box; have a proxy send one of these as Host",
        )
    origin = request.fields.get("origin")
    if origin is not None and (host is None or origin.partition("://")[2].lower() != host.lower()):
        raise Refused(403, "asked by a page of another site")


def is_home(host: str, own_names: Iterable[str] = ()) -> bool:
    """Whether a Host field can only mean a machine in the house."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].lower().rstrip(".")
    if name in {own.lower() for own in own_names} or name.endswith(HOME_DOMAINS):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return bool(re.fullmatch("[a-z0-9_-]+", name))
    return True


def check_token(request: Request, token: str) -> None:
    """Raise Refused unless the request brings the token, as Bearer or as the password of Basic."""
    if not token or request.client == INGRESS:
        return
    scheme, _, given = request.fields.get("authorization", "").partition(" ")
    offered = given.strip() if scheme.lower() == "bearer" else _password(given) if scheme.lower() == "basic" else ""
    if not hmac.compare_digest(offered.encode(), token.encode()):
        raise Refused(401, "the token is asked for: as the password, with any user name, or as a Bearer token")


def _password(given: str) -> str:
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def is_neighbour(address: str) -> bool:
    """Whether a datagram's sender may be answered: loopback, private or link-local, never the internet."""
    try:
        sender = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(sender, ipaddress.IPv6Address) and sender.ipv4_mapped:
        sender = sender.ipv4_mapped
    return (sender.is_private or sender.is_link_local) and not sender.is_multicast and not sender.is_unspecified
