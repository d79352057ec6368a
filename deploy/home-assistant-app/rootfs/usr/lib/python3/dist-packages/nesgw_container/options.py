"""Translates the options of the app's form into nesgw's configuration. Pure; shows no secret in any message.

One to one wherever it can be: an option has the name that it has in config.toml, and one that is not there is left
out, so that each default is in nesgw alone. What the Supervisor has checked is not checked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nesgw_container.supervisor import Broker

GATEWAY: Final = "homeassistant"  # a Raspberry Pi of its own calls itself "nesgw": both may be on one broker
_METER: Final = (
    *("name", "label", "interface", "key", "poll_interval", "session", "max_power", "quiet", "rts", "dtr"),
    "port",
)
_MQTT: Final = ("base_topic", "per_value_topics")
_OWN_BROKER: Final = ("host", "port", "username", "password")


class OptionsError(Exception):
    """The options cannot be translated; the text says what to change."""


def has_own_broker(options: Mapping[str, Any]) -> bool:
    """Whether the owner names a broker, so that the Supervisor is not asked for one."""
    return bool(options["mqtt"].get("host"))


def document(
    options: Mapping[str, Any], broker: Broker | None, memory: Path, page: tuple[int, Path] | None = None
) -> dict[str, Any]:
    """Return the configuration as tables. ``broker`` is the Supervisor's; ``page`` the port and the token's file."""
    if not options["meters"]:
        raise OptionsError("there is no meter: add one in this app's configuration, with its key")
    tables: dict[str, Any] = {
        "gateway": {"name": GATEWAY, "log_format": "console"} | _some(options, "log_level"),
        "meter": [_meter(meter) for meter in options["meters"]],
        "cache": {"directory": str(memory / "readings")},
        "mqtt": _broker(options["mqtt"], broker) | _some(options["mqtt"], *_MQTT),
        "homeassistant": _some(options, "language"),
    }
    if page:
        # Whoever comes through Home Assistant has logged in there; anybody else would need the token, which nobody has.
        tables["http"] = {"enabled": True, "listen": f"0.0.0.0:{page[0]}", "token_file": str(page[1])}
    return tables


def toml(tables: Mapping[str, Any]) -> str:
    """Write tables as TOML: texts, numbers, booleans, tables and lists of tables."""
    return "\n".join(line for name, value in tables.items() for line in _table(name, value)) + "\n"


def _meter(meter: Mapping[str, Any]) -> dict[str, Any]:
    block = _some(meter, *_METER)
    if meter.get("port_url"):
        block["port"] = meter["port_url"]
    if baud := meter.get("baud"):  # a choice from a list is always a text
        block["baud"] = int(baud) if baud.isdigit() else baud
    return block


def _broker(own: Mapping[str, Any], found: Broker | None) -> dict[str, Any]:
    if found is None:
        return _some(own, *_OWN_BROKER) | ({"tls": {"enabled": True}} if own.get("tls") else {})
    login = {"username": found.username, "password": found.password} if found.username else {}
    tls = {"tls": {"enabled": True}} if found.tls else {}
    return {"host": found.host, "port": found.port} | login | tls


def _some(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The options of these names that the owner has filled in."""
    return {name: options[name] for name in names if options.get(name) not in (None, "")}


def _table(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _lines(f"[[{name}]]", name, each)
    else:
        yield from _lines(f"[{name}]", name, value)


def _lines(header: str, name: str, table: Mapping[str, Any]) -> Iterator[str]:
    yield header
    yield from (f"{key} = {_value(each)}" for key, each in table.items() if not isinstance(each, dict))
    for key, each in table.items():
        if isinstance(each, dict):
            yield from _table(f"{name}.{key}", each)


def _value(value: str | float | bool) -> str:
    """A text in JSON is one in TOML, too, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
