"""What nesgw has left on a broker: the meters and gateways that its retained messages tell of.

Pure: takes the retained messages, connects to nothing. What is not surely of nesgw is not named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from nesgw.publishers.payloads import json_object, parse_gateway_status
from nesgw.publishers.topics import ONLINE, Topics, gateway_device
from nesgw.tables.catalogue import FIELDS
from nesgw.values import plain_id, printable

_LONGEST: Final = 60  # characters of a name: anybody may have written it
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
    return text if text.startswith(_GATEWAY) else plain_id(text)


def topics_of(wanted: str, topics: Topics) -> tuple[str, ...]:
    """List by name all topics that a meter or gateway may have: some brokers' memory answers no filters."""
    if wanted.startswith(_GATEWAY):
        return replace(topics, gateway=wanted.removeprefix(_GATEWAY)).of_gateway()
    *plain_topics, _filter = topics.of_meter(wanted)
    ours = (topics.gateway_availability, topics.gateway_status)
    return (*plain_topics, *(topics.value(wanted, field) for field in FIELDS), *ours)


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
        json_object(retained.get(topic)) for topic in (topics.info(meter), topics.status(meter), topics.state(meter))
    )
    read = "time" in state and not FIELDS.keys().isdisjoint(state)
    return "utility_serial" in info or "consecutive_failures" in status or read


def _meter(
    meter: str, own: Iterable[str], retained: Mapping[str, str], topics: Topics, readers: tuple[str, ...]
) -> Leftover:
    discovery = json_object(retained.get(topics.discovery(meter)))
    info = json_object(retained.get(topics.info(meter)))
    device = discovery.get("dev") or discovery.get("device")
    device = device if isinstance(device, dict) else {}
    if not readers:
        readers = tuple(_via_gateway(device, retained, topics))
    model = " ".join(str(info[key]) for key in ("manufacturer", "model") if info.get(key))
    names = [str(device["name"])] if device.get("name") else []
    status, state = json_object(retained.get(topics.status(meter))), json_object(retained.get(topics.state(meter)))
    needed = set(availability_topics(discovery)) or {
        topics.availability(meter),
        *(f"{topics.base}/gateway/{name}/availability" for name in readers),
    }
    return Leftover(
        id=meter,
        name=printable(", ".join([*names, *([model] if model else [])]) or "a meter", _LONGEST),
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


def availability_topics(discovery: Mapping[str, Any]) -> Iterator[str]:
    """Yield the topics on which a device that was announced depends."""
    listed = discovery.get("avty") or discovery.get("availability")
    for each in listed if isinstance(listed, list) else ():
        topic = (each.get("t") or each.get("topic")) if isinstance(each, dict) else None
        if isinstance(topic, str):
            yield topic


def _ids_read_by(status: str | None) -> set[str]:
    seen = parse_gateway_status(status)
    return set(seen.meters.values()) if seen else set()


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
