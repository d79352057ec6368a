"""Which names a serial port may have: judges one before anything is opened, and says what would be right.

Knows the rules of pyserial's handlers (https://pyserial.readthedocs.io/en/latest/url_handlers.html), not pyserial: that
says them too late, and often in the words of another mistake.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

_LEVELS: Final = ("debug", "info", "warning", "error")
# pyserial's classes for a device of this system.
_CLASSES: Final = ("Serial", "PosixPollSerial", "VTIMESerial")
# Schemes that people try for one of ours.
_RELATIVES: Final = {"tcp": "socket", "raw": "socket", "telnet": "rfc2217", "tcp4": "socket", "tcp6": "socket"}
_EXAMPLE: Final = "HOST:PORT"

Check = Callable[[str], bool]


def _is_seconds(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _is_empty(text: str) -> bool:
    return text == ""


# What each option of a handler takes, in words and as a check.
_LOGGING: Final[tuple[str, Check]] = (f"one of {', '.join(_LEVELS)}", _LEVELS.__contains__)
_SWITCH: Final[tuple[str, Check]] = ("no value", _is_empty)
_OPTIONS: Final[Mapping[str, Mapping[str, tuple[str, Check]]]] = {
    "socket": {"logging": _LOGGING},
    "rfc2217": {
        "logging": _LOGGING,
        "ign_set_control": _SWITCH,
        "poll_modem": _SWITCH,
        "timeout": ("a number of seconds", _is_seconds),
    },
    "loop": {"logging": _LOGGING},
    "alt": {"class": (f"one of {', '.join(_CLASSES)}", _CLASSES.__contains__)},
}


def check_port(port: object) -> object:
    """Return the name of a port as it is; raises ValueError with what would be right."""
    if isinstance(port, str) and port != "auto":
        if "://" in port:
            _check_url(port)
        else:
            _check_path(port)
    return port


def _check_path(path: str) -> None:
    if not path:
        raise ValueError('must name the port, or be "auto"')
    if path != path.strip() or "\0" in path:
        raise ValueError("take out the blank in front of the path or behind it")
    if path.startswith("/"):
        return
    if path.lower() == "auto":
        raise ValueError('"auto" is written in small letters')
    if re.fullmatch(r"tty\w+|serial\d?|rfcomm\d+", path):
        raise ValueError(f'write the whole path: "/dev/{path}"')
    if re.fullmatch(r"COM\d+", path, re.IGNORECASE):
        raise ValueError('that is a name of Windows; here a port is a path, like "/dev/ttyUSB0"')
    if path.partition(":")[0].lower() in (*_OPTIONS, "hwgrep"):
        raise ValueError(f'two slashes stand behind the colon: "{path.partition(":")[0].lower()}://…"')
    if re.fullmatch(r"[\w.-]+:\d+", path):
        raise ValueError(f'a port in the network is a URL: "socket://{path}" (raw TCP) or "rfc2217://{path}"')
    raise ValueError('must be "auto", a path that begins with a slash, or a URL like "socket://HOST:PORT"')


def _check_url(url: str) -> None:
    scheme = url.partition("://")[0].lower()
    if re.search(r"[\s\0]", url):
        raise ValueError("a URL has no blanks")
    if scheme == "hwgrep":
        _check_search(url[len("hwgrep://") :])
    elif scheme in _OPTIONS:
        _check_parts(scheme, url)
    else:
        raise ValueError(_unknown(scheme, url))


def _unknown(scheme: str, url: str) -> str:
    if scheme in _RELATIVES:
        return f"write {_RELATIVES[scheme]}:// in place of {scheme}://"
    if scheme in ("file", "serial", "tty"):
        return 'a device is named by its path alone, like "/dev/ttyUSB0"'
    if scheme == "spy":
        return 'spy:// writes all that is sent, the key too, into the log; name the device alone, like "/dev/ttyUSB0"'
    if scheme == "cp2110":
        return "nesgw does not drive a CP2110, which is no serial adapter for this system"
    known = "socket://HOST:PORT (raw TCP) and rfc2217://HOST:PORT"
    return f"{scheme or url}:// is no way to a serial port; in the network there are {known}"


def _check_parts(scheme: str, url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"the brackets around an IPv6 address do not match; write {scheme}://[ADDRESS]:PORT") from None
    if "#" in url:
        raise ValueError("a '#' has no meaning in the URL of a port")
    if scheme in ("socket", "rfc2217"):
        _check_place(scheme, parts)
    elif scheme == "alt":
        _check_device(scheme, parts)
    elif parts.netloc or parts.path:
        raise ValueError("loop:// is a port that hears itself, and has no name; write it alone")
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(scheme, option, value)


def _check_place(scheme: str, parts: SplitResult) -> None:
    """A host and a port number, and nothing else in front of the options."""
    if "@" in parts.netloc:
        raise ValueError(f"no user is asked for; write {scheme}://{_EXAMPLE}")
    if parts.netloc.count(":") > 1 and "[" not in parts.netloc:
        raise ValueError(f"an IPv6 address stands in brackets: {scheme}://[ADDRESS]:PORT")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port must be a number from 1 to 65535") from None
    if not parts.hostname:
        raise ValueError(f"the host is missing; write {scheme}://{_EXAMPLE}")
    if not _is_host(parts.hostname):
        raise ValueError("the host is no name and no address")
    if port is None:
        raise ValueError(f"the port is missing; write {scheme}://{parts.netloc.rstrip(':')}:PORT")
    if port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    if parts.path not in ("", "/"):
        raise ValueError(f"nothing stands behind the port but options; write {scheme}://{parts.netloc}")


def _is_host(host: str) -> bool:
    """Whether a resolver could be asked for it."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _check_device(scheme: str, parts: SplitResult) -> None:
    """A path, which those handlers take as it is: neither "auto" nor another URL."""
    device = parts.netloc + parts.path
    if not device.startswith("/"):
        raise ValueError(f'a path follows, with a slash in front: "{scheme}:///dev/ttyUSB0"')


def _check_option(scheme: str, option: str, value: str) -> None:
    known = _OPTIONS[scheme]
    if option not in known:
        raise ValueError(f"unknown option '{option}' in the URL; {scheme}:// knows {', '.join(known)}")
    takes, fits = known[option]
    if not fits(value):
        raise ValueError(f"the option '{option}' in the URL takes {takes}")


def _check_search(search: str) -> None:
    """hwgrep://PATTERN&n=2&skip_busy; its options have no question mark, and its n counts from the second port on."""
    pattern, *options = search.split("&")
    if not pattern:
        raise ValueError('a part of the name of the adapter follows: "hwgrep://0403:6001"')
    try:
        with warnings.catch_warnings(action="error", category=FutureWarning):  # "[[" will mean something else one day
            re.compile(pattern)
    except (re.error, FutureWarning) as error:
        why = getattr(error, "msg", error)
        raise ValueError(f"the pattern behind hwgrep:// is no regular expression: {why}") from None
    for option in options:
        name, _, value = option.partition("=")
        if name not in ("n", "skip_busy"):
            raise ValueError(f"unknown option '{name}' in the URL; hwgrep:// knows n, skip_busy")
        if name == "n" and not (re.fullmatch("[0-9]{1,3}", value) and int(value) > 1):
            raise ValueError("the option 'n' in the URL takes a number from 2 on; the first port is found without it")
