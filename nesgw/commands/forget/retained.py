"""What nesgw has left on a broker: the meters and gateways that its retained messages tell of.

Pure: takes the retained messages, connects to nothing. What is not surely of nesgw is not named here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nesgw.publishers.topics import ONLINE, Topics, gateway_device
from nesgw.tables.catalogue import FIELDS

_GATEWAY: Final = "gateway/"  # begins a gateway's name among the ids: no meter's id has a slash


@dataclass(frozen=True, slots=True)
class Leftover:
    """One meter or gateway on the broker."""

    id: str  # a meter's id, or gateway/NAME
    name: str  # what people call it
    topics: tuple[str, ...]  # retained, in the order in which to remove them
    online: bool  # as Home Assistant sees it: all that it depends on says so
    last_read: datetime | None
    gateways: tuple[str, ...]  # that read it, as far as they say
    ours: bool  # of the gateway that the configuration at hand describes


def find(retained: Mapping[str, str], topics: Topics, named: str | None = None) -> list[Leftover]:
    """Tell the meters and gateways of some retained messages, meters first.

    Topics alone do not tell that they are nesgw's where other programs use the same base topic: without a message
    that only nesgw writes a meter is left out, unless it is the one that was ``named``.
    """
    meters = _grouped(retained, topics.meter_of)
    gateways = _grouped(retained, topics.gateway_of)
    readers = {name: _ids_read_by(retained.get(f"{topics.base}/gateway/{name}/status")) for name in gateways}
    found = [
        _meter(meter, own, retained, topics, tuple(name for name, ids in readers.items() if meter in ids))
        for meter, own in meters.items()
        if meter == named or _written_by_us(meter, retained, topics)
    ]
    return found + [_gateway(name, own, retained, topics) for name, own in gateways.items()]


def plain(text: str) -> str:
    """Write an id as it stands in the topics, however the serial number was typed."""
    return text if text.startswith(_GATEWAY) else "".join(char for char in text.lower() if char in _ID_CHARACTERS)


_ID_CHARACTERS: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")


def _grouped(retained: Mapping[str, str], whose: Any) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for topic, payload in sorted(retained.items()):
        if payload and (owner := whose(topic)):
            groups.setdefault(owner, []).append(topic)
    return groups


def _written_by_us(meter: str, retained: Mapping[str, str], topics: Topics) -> bool:
    if topics.discovery(meter) in retained:
        return True
    info, status, state = (
        _object(retained.get(topic)) for topic in (topics.info(meter), topics.status(meter), topics.state(meter))
    )
    read = "time" in state and not FIELDS.keys().isdisjoint(state)
    return "utility_serial" in info or "consecutive_failures" in status or read


def _meter(
    meter: str, own: Iterable[str], retained: Mapping[str, str], topics: Topics, readers: tuple[str, ...]
) -> Leftover:
    discovery = _object(retained.get(topics.discovery(meter)))
    info = _object(retained.get(topics.info(meter)))
    device = discovery.get("device")
    device = device if isinstance(device, dict) else {}
    if not readers:
        readers = tuple(_via_gateway(device, retained, topics))
    model = " ".join(str(info[key]) for key in ("manufacturer", "model") if info.get(key))
    names = [str(device["name"])] if device.get("name") else []
    status, state = _object(retained.get(topics.status(meter))), _object(retained.get(topics.state(meter)))
    needed = set(_availability(discovery)) or {
        topics.availability(meter),
        *(f"{topics.base}/gateway/{name}/availability" for name in readers),
    }
    return Leftover(
        id=meter,
        name=", ".join([*names, *([model] if model else [])]) or "a meter",
        topics=_in_order(own, topics.of_meter(meter)),
        online=all(retained.get(topic) == ONLINE for topic in needed),
        last_read=_moment(status.get("last_read")) or _moment(state.get("time")),
        gateways=readers,
        ours=topics.gateway in readers,
    )


def _gateway(name: str, own: Iterable[str], retained: Mapping[str, str], topics: Topics) -> Leftover:
    theirs = Topics(topics.base, name, topics.discovery_prefix)
    return Leftover(
        id=_GATEWAY + name,
        name="a gateway",
        topics=_in_order(own, theirs.of_gateway()),
        online=retained.get(theirs.gateway_availability) == ONLINE,
        last_read=None,
        gateways=(),
        ours=name == topics.gateway,
    )


def _in_order(own: Iterable[str], order: tuple[str, ...]) -> tuple[str, ...]:
    """Sort by the order of removal; what that names only by a filter comes last."""
    return tuple(sorted(own, key=lambda topic: (order.index(topic) if topic in order else len(order), topic)))


def _via_gateway(device: Mapping[str, Any], retained: Mapping[str, str], topics: Topics) -> Iterator[str]:
    for topic in retained:
        name = topics.gateway_of(topic)
        if name and device.get("via_device") == gateway_device(name):
            yield name
            return


def _availability(discovery: Mapping[str, Any]) -> Iterator[str]:
    listed = discovery.get("availability")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("topic"), str):
            yield each["topic"]


def _ids_read_by(status: str | None) -> set[str]:
    meters = _object(status).get("meters")
    each = meters.values() if isinstance(meters, dict) else ()
    return {meter["id"] for meter in each if isinstance(meter, dict) and isinstance(meter.get("id"), str)}


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
