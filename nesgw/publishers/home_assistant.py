"""How nesgw introduces a meter and itself to Home Assistant: MQTT device discovery. Pure.

One message a device, but for a meter's alarms, which have one of their own: Home Assistant takes both for one device
by its identifiers. Options have their long names here, and Home Assistant's abbreviations in the message: brokers
limit its size. Only options that Home Assistant 2026.2 knows already: an unknown one at the top drops the whole
message. Of the options that all components share only those stand at the top that may (not ``expire_after``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from nesgw import HOMEPAGE, __version__
from nesgw.publishers.languages import Language, translated
from nesgw.publishers.message import Message, Part
from nesgw.publishers.payloads import EVENT_TYPES, json_object, to_json
from nesgw.publishers.topics import Topics, gateway_device, meter_device, slug
from nesgw.tables.register import Field
from nesgw.values import MeterIdentity

if TYPE_CHECKING:
    from nesgw.tables.alarms import Alarm
    from nesgw.tables.mbus import MbusReading

Component = dict[str, object]
Direction = Literal["import", "export"]

NOTHING_WRONG: Final = "none"  # "None" would be shown as unknown


def expire_after(interval: float) -> int:
    """Say after how many seconds without a message a value is no longer good: three intervals, at least a minute."""
    return max(math.ceil(3 * interval), 60)


def meter_discovery(
    topics: Topics,
    identity: MeterIdentity,
    fields: Iterable[Field],
    *,
    name: str,
    label: str,
    poll_interval: float,
    qos: int = 1,
    events: bool = False,
    demand: Iterable[Direction] = (),
    language: Language = "en",
) -> Message:
    """Announce the meter with a sensor for each field, its log, and what there is to say of reading it.

    ``demand`` are the directions of which the load profile tells the demand.
    """
    meter = identity.id
    unique = meter_device(meter)
    components = {field.key: _sensor_of(field) for field in fields}
    components |= {
        key: {**facts, "entity_category": "diagnostic", "state_topic": topics.status(meter)}
        for key, facts in METER_DIAGNOSTICS.items()
    }
    components |= {
        key: {**facts, "state_topic": topics.demand(meter), "json_attributes_topic": topics.demand(meter)}
        for direction in demand
        for key, facts in DEMAND[direction].items()
    }
    if events:
        components["log"] = {**EVENT_LOG, "state_topic": topics.event(meter)}
    return _device_message(
        topics.discovery(meter),
        Part.METER_DISCOVERY,
        device=_device_of(identity, topics, label),
        availability=[topics.gateway_availability, topics.availability(meter)],
        state_topic=topics.state(meter),
        qos=qos,
        components=_with_ids(components, unique, name, expire_after(poll_interval), device=label, language=language),
    )


def alarms_discovery(
    topics: Topics,
    identity: MeterIdentity,
    alarms: Iterable[Alarm],
    *,
    name: str,
    label: str,
    poll_interval: float,
    language: Language = "en",
) -> Message:
    """Announce the alarms of the meter that ``meter_discovery`` announces."""
    meter = identity.id
    components = {f"alarm_{alarm.key}": _sensor_of_alarm(alarm) for alarm in alarms}
    expiry = expire_after(poll_interval)
    return _device_message(
        topics.alarms_discovery(meter),
        Part.METER_DISCOVERY,
        device=_device_of(identity, topics, label),
        availability=[topics.gateway_availability, topics.availability(meter)],
        state_topic=topics.status(meter),
        qos=1,
        components=_with_ids(components, meter_device(meter), name, expiry, device=label, language=language),
    )


def _device_of(identity: MeterIdentity, topics: Topics, label: str) -> dict[str, object]:
    return {
        "identifiers": [meter_device(identity.id)],
        "name": label,
        "manufacturer": identity.manufacturer,
        "model": identity.model,
        "serial_number": identity.serial,
        "hw_version": identity.hardware,
        "sw_version": str(identity.firmware),
        "via_device": gateway_device(topics.gateway),
    }


def sub_meter_discovery(
    topics: Topics,
    sub_meter: str,
    reading: MbusReading,
    *,
    behind: MeterIdentity,
    expiry: float,
    language: Language = "en",
) -> Message:
    """Announce a water, heat or gas meter behind the meter as a device of its own; it is there while that meter is."""
    components: dict[str, Component] = {
        value.key: {
            "name": value.name,
            "device_class": value.device_class,
            "unit_of_measurement": value.unit,
            "state_class": value.state_class,
            "value_template": _value(value.key),
            "enabled_by_default": None if value.storage == 0 and not value.function else False,
        }
        for value in reading.values
    }
    # Each new moment is a line in the device's logbook, but a sub-meter is read once an hour at the most.
    components["last_read"] = {
        "name": "Last reading",
        "value_template": _value("time"),
        "entity_category": "diagnostic",
        "enabled_by_default": False,
    }
    unique = meter_device(sub_meter)
    medium = reading.medium.replace("_", " ").capitalize()
    name = f"{medium} meter {reading.serial}"
    model = translated(f"{medium} meter", language)
    shown_as = f"{model} {reading.serial}"
    return _device_message(
        topics.discovery(sub_meter),
        Part.METER_DISCOVERY,
        device={
            "identifiers": [unique],
            "name": shown_as,
            "manufacturer": reading.manufacturer,
            "model": model,
            "serial_number": reading.serial,
            "via_device": meter_device(behind.id),
        },
        availability=[topics.gateway_availability, topics.availability(behind.id)],
        state_topic=topics.state(sub_meter),
        qos=1,
        components=_with_ids(components, unique, name, expire_after(expiry), device=shown_as, language=language),
    )


def gateway_discovery(
    topics: Topics, meters: Mapping[str, str], *, status_interval: float, language: Language = "en"
) -> Message:
    """Announce the gateway with one text of trouble for each of its ``meters`` (name -> label).

    Those depend on nothing but the gateway, so that they can be seen while the meter itself is unavailable.
    """
    unique = gateway_device(topics.gateway)
    name = "nesgw" if topics.gateway == "nesgw" else f"nesgw {topics.gateway}"
    components = gateway_components(meters)
    return _device_message(
        topics.gateway_discovery,
        Part.GATEWAY_DISCOVERY,
        device={
            "identifiers": [unique],
            "name": name,
            "manufacturer": "nesgw",
            "model": "Gateway for Echelon/NES electricity meters",
            "sw_version": __version__,
        },
        availability=[topics.gateway_availability],
        state_topic=topics.gateway_status,
        qos=1,
        components=_with_ids(components, unique, name, expire_after(status_interval), device=name, language=language),
    )


def gateway_components(meters: Mapping[str, str]) -> dict[str, Component]:
    """Say what there is to see of a gateway with these meters (name -> label)."""
    components = dict(GATEWAY_DIAGNOSTICS)
    components |= {
        f"problem_{meter}": {"name": f"Problem {label}", "value_template": _problem_of(meter)}
        for meter, label in meters.items()
    }
    return {key: {**facts, "entity_category": "diagnostic"} for key, facts in components.items()}


Had = Mapping[str, Mapping[str, str]]  # discovery topic -> key of a component -> its platform


def announced(messages: Iterable[Message]) -> dict[str, dict[str, str]]:
    """Say which components discovery messages announce."""
    return {message.topic: former_components(message.payload, _device_id(message)) for message in messages}


def following(messages: Sequence[Message], had: Had) -> list[Message]:
    """Make the discovery messages of one device remove what their topics had and no message has."""
    everything = {key for message in messages for key in _components(message)}
    return [_removing(message, _gone(had.get(message.topic, {}), everything)) for message in messages]


def moving(messages: Sequence[Message], had: Had) -> Message | None:
    """Return what must be sent before the messages if one of them has what another one's topic had; else None.

    It makes Home Assistant let go of all that it knows from that topic, and keep the entities with all their settings.
    They come back with the next messages that have their unique ids, on that topic or another. Without it Home
    Assistant takes a component on another topic for a double one; one that is removed and comes back has lost what its
    owner has set, such as its entity id. What is gone for good is removed before, for nobody knows it afterwards.
    """
    everything = {key for message in messages for key in _components(message)}
    for message in messages:
        before = had.get(message.topic, {})
        if everything & before.keys() - _components(message).keys():
            gone = _gone(before, everything)
            removal = _with_components(message, gone) if gone else None
            return Message(message.topic, to_json({"migrate_discovery": True}), message.part, after=removal)
    return None


def _gone(before: Mapping[str, str], everything: Collection[str]) -> dict[str, Component]:
    """Name what is no more as it is removed: with nothing but its platform."""
    return {key: {_ABBREVIATIONS["platform"]: platform} for key, platform in before.items() if key not in everything}


def has_components(message: Message) -> bool:
    """Whether there is anything in a discovery message: Home Assistant takes none that is empty."""
    return bool(_components(message))


def _components(message: Message) -> dict[str, Any]:
    return dict(json_object(message.payload)[_ABBREVIATIONS["components"]])


def _device_id(message: Message) -> str:
    device = json_object(message.payload)[_ABBREVIATIONS["device"]]
    return str(device[_DEVICE_ABBREVIATIONS["identifiers"]][0])


def _removing(message: Message, gone: Mapping[str, Component]) -> Message:
    """Make the message also take components away: Home Assistant keeps one that is merely left out.

    The next process, which compares with this message, leaves them out.
    """
    return _with_components(message, {**_components(message), **gone}) if gone else message


def _with_components(message: Message, components: Mapping[str, Any]) -> Message:
    payload = json_object(message.payload)
    return replace(message, payload=to_json({**payload, _ABBREVIATIONS["components"]: components}))


_MOST_REMOVALS: Final = 500


def former_components(previous: str | None, device: str) -> dict[str, str]:
    """List the components of an earlier message that it did not itself remove: key -> platform.

    Anybody may have written it, and Home Assistant drops a whole message for one part that is not sound: what is not
    surely ours, by its key, its platform and its unique id, is left alone. Earlier versions wrote the long names.
    """
    found = json_object(previous)
    components = found.get("components") or found.get(_ABBREVIATIONS["components"])
    former: dict[str, str] = {}
    for key, facts in components.items() if isinstance(components, dict) else ():
        if isinstance(facts, dict) and re.fullmatch("[a-z0-9_-]{1,80}", key) and len(former) < _MOST_REMOVALS:
            platform, unique = (facts.get(option) or facts.get(_ABBREVIATIONS[option]) for option in _NAMING)
            if platform in _PLATFORMS and unique == f"{device}_{key}":
                former[key] = platform
    return former


_NAMING: Final = ("platform", "unique_id")
_PLATFORMS: Final = ("sensor", "binary_sensor", "event")


def _sensor_of(field: Field) -> Component:
    kind = field.kind
    sensor: Component = {
        "name": field.name,
        "device_class": kind.device_class,
        "unit_of_measurement": kind.unit,
        "state_class": kind.state_class,
        "suggested_display_precision": kind.precision,
        "value_template": _value(field.key),
    }
    if field.diagnostic:
        sensor["entity_category"] = "diagnostic"
    if not field.enabled:
        sensor["enabled_by_default"] = False
    return sensor


def _sensor_of_alarm(alarm: Alarm) -> Component:
    """Unknown until the alarms were read once; a latched one says that it has happened since the utility cleared it."""
    is_set = f"{{%set a=value_json.alarms%}}{{{{iif(a and'{alarm.key}'in a,'ON','OFF',none)}}}}"
    return {
        "platform": "binary_sensor",
        "name": alarm.name,
        "device_class": "problem",
        "value_template": is_set,
        **({} if alarm.owner else {"entity_category": "diagnostic", "enabled_by_default": False}),
    }


def _value(key: str) -> str:
    return f"{{{{value_json.{key}}}}}"


def _text(key: str) -> str:
    return f"{{{{value_json.{key} or'{NOTHING_WRONG}'}}}}"


def _problem_of(meter: str) -> str:
    # Bears that the status does not know the meter yet, or no longer.
    return f"{{{{ (value_json.meters.get('{meter}') or {{}}).get('last_error') or '{NOTHING_WRONG}' }}}}"


METER_DIAGNOSTICS: Final[Mapping[str, Component]] = {
    # Each new timestamp is a line in the device's logbook: only for those who ask for it.
    "last_read": {
        "name": "Last reading",
        "device_class": "timestamp",
        "value_template": _value("last_read"),
        "enabled_by_default": False,
    },
    "consecutive_failures": {
        "name": "Failed polls in a row",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "value_template": _value("consecutive_failures"),
    },
    "failed_polls": {
        "name": "Failed polls",
        "state_class": "total_increasing",
        "suggested_display_precision": 0,
        "value_template": "{{ value_json.failures.values() | sum }}",
        "enabled_by_default": False,
    },
    "rejected_readings": {
        "name": "Rejected readings",
        "state_class": "total_increasing",
        "suggested_display_precision": 0,
        "value_template": _value("rejected"),
    },
    "poll_duration": {
        "name": "Poll duration",
        "device_class": "duration",
        "unit_of_measurement": "ms",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "value_template": _value("poll_duration_ms"),
    },
    "last_error": {"name": "Last error", "value_template": _text("last_error")},
    "clock_drift": {
        "name": "Clock drift",
        "device_class": "duration",
        "unit_of_measurement": "s",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "value_template": _value("clock_drift_s"),
        "enabled_by_default": False,
    },
    "session": {
        "name": "Session",
        "device_class": "enum",
        "options": ["per-poll", "keep-open"],
        "value_template": _value("session"),
        "enabled_by_default": False,
    },
}


def _demand(name: str, template: str, attributes: str, *, enabled: bool = True) -> Component:
    """``attributes`` say when it was, and what it is worth."""
    return {
        "name": name,
        "device_class": "power",
        "unit_of_measurement": "W",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "value_template": template,
        "json_attributes_template": attributes,
        **({} if enabled else {"enabled_by_default": False}),
    }


def _attributes(**keys: str) -> str:
    """A template that makes an object of parts of the demand's."""
    return f"{{{{dict({','.join(f'{name}=value_json.{key}' for name, key in keys.items())})|tojson}}}}"


_INTERVAL: Final = _attributes(start="start", minutes="minutes", quality="quality")
_RUNNING: Final = _attributes(start="running.start", elapsed_s="running.elapsed_s")


def _peak_of(month: str, direction: Direction) -> str:
    return _attributes(start=f"{month}.{direction}_start", missing=f"{month}.missing")


# By the direction, whose key is the first of each.
DEMAND: Final[Mapping[Direction, Mapping[str, Component]]] = {
    "import": {
        "import_demand": _demand("Import demand", _value("import_w"), _INTERVAL),
        "running_import_demand": _demand("Running import demand", _value("running.import_w"), _RUNNING),
        "peak_import_month": _demand("Peak import this month", _value("month.import_w"), _peak_of("month", "import")),
        "peak_import_last_month": _demand(
            "Peak import last month", _value("last_month.import_w"), _peak_of("last_month", "import")
        ),
    },
    "export": {
        "export_demand": _demand("Export demand", _value("export_w"), _INTERVAL, enabled=False),
        "peak_export_month": _demand(
            "Peak export this month", _value("month.export_w"), _peak_of("month", "export"), enabled=False
        ),
        "peak_export_last_month": _demand(
            "Peak export last month", _value("last_month.export_w"), _peak_of("last_month", "export"), enabled=False
        ),
    },
}


def demand_announced(had: Mapping[str, str]) -> tuple[Direction, ...]:
    """Say of which directions an earlier message, with these components, announced the demand."""
    return tuple(direction for direction, components in DEMAND.items() if next(iter(components)) in had)


EVENT_LOG: Final[Component] = {"platform": "event", "name": "Log", "event_types": list(EVENT_TYPES)}

GATEWAY_DIAGNOSTICS: Final[Mapping[str, Component]] = {
    "started": {"name": "Started", "device_class": "timestamp", "value_template": _value("started")},
    # Beside those of the meters: what is wrong with the broker although it is connected.
    "problem": {"name": "Problem", "value_template": f"{{{{value_json.get('problem') or '{NOTHING_WRONG}'}}}}"},
    "meters_online": {
        "name": "Meters online",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "value_template": "{{ value_json.meters.values() | selectattr('online') | list | count }}",
    },
}


# As many decimals are shown of these units if nothing is suggested (Home Assistant 2026.2 to 2026.11, sensor/const.py).
_DECIMALS_BY_ITSELF: Final[Mapping[object, int]] = {"W": 0, "var": 0, "VA": 0, "A": 2, "ms": 0}


def _with_ids(
    components: Mapping[str, Component], unique: str, name: str, expiry: int, *, device: str, language: Language
) -> dict[str, Component]:
    """The components as Home Assistant wants them: each of an identity of its own; values expire by themselves.

    ``name`` begins the entity ids, which stay English; ``device`` is what the device is called.
    """
    finished: dict[str, Component] = {}
    for key, facts in components.items():
        platform = facts.get("platform", "sensor")
        entity = f"{slug(name)}_{slug(key)}"
        shown_as = translated(str(facts["name"]), language)
        finished[key] = {
            "platform": platform,
            "unique_id": f"{unique}_{key}",
            **({} if _comes_by_itself(entity, device, shown_as) else {"default_entity_id": f"{platform}.{entity}"}),
            **{
                option: value for option, value in facts.items() if value is not None and not _is_default(option, facts)
            },
            "name": shown_as,
        }
        if platform != "event":
            finished[key]["expire_after"] = expiry
    return finished


def _is_default(option: str, facts: Component) -> bool:
    """Whether Home Assistant does as much of itself."""
    by_itself = _DECIMALS_BY_ITSELF.get(facts.get("unit_of_measurement"))
    return option == "suggested_display_precision" and facts[option] == by_itself


def _comes_by_itself(entity: str, device: str, name: object) -> bool:
    """Whether Home Assistant makes this entity id of the device's name and the entity's.

    Sure of plain letters only: it writes others, and apostrophes, in a way of its own.
    """
    both = f"{device} {name}"
    return re.fullmatch("[A-Za-z0-9 _-]+", both) is not None and slug(both) == entity


def origin(homepage: str) -> dict[str, str]:
    """Say which program announces the device; the link to its support only if there is a place that it leads to."""
    return {"name": "nesgw", "sw_version": __version__} | ({"support_url": homepage} if homepage else {})


def _device_message(
    topic: str,
    part: Part,
    *,
    device: Mapping[str, object],
    availability: Iterable[str],
    state_topic: str,
    qos: int,
    components: Mapping[str, Component],
) -> Message:
    payload = {
        "device": {option: value for option, value in device.items() if value},
        "origin": origin(HOMEPAGE),
        "availability": [{"topic": each} for each in availability],
        "availability_mode": "all",
        "state_topic": state_topic,
        "qos": qos,
        "components": components,
    }
    return Message(topic, to_json(abbreviated(payload)), part)


# Home Assistant's own (mqtt/abbreviations.py), as far as they are used here; it takes both forms in all versions.
_ABBREVIATIONS: Final = {
    "availability": "avty",
    "availability_mode": "avty_mode",
    "components": "cmps",
    "default_entity_id": "def_ent_id",
    "device": "dev",
    "device_class": "dev_cla",
    "enabled_by_default": "en",
    "entity_category": "ent_cat",
    "event_types": "evt_typ",
    "expire_after": "exp_aft",
    "json_attributes_template": "json_attr_tpl",
    "json_attributes_topic": "json_attr_t",
    "options": "ops",
    "origin": "o",
    "platform": "p",
    "state_class": "stat_cla",
    "state_topic": "stat_t",
    "suggested_display_precision": "sug_dsp_prc",
    "topic": "t",
    "unique_id": "uniq_id",
    "unit_of_measurement": "unit_of_meas",
    "value_template": "val_tpl",
}
_DEVICE_ABBREVIATIONS: Final = {
    "hw_version": "hw",
    "identifiers": "ids",
    "manufacturer": "mf",
    "model": "mdl",
    "serial_number": "sn",
    "sw_version": "sw",
}
_ORIGIN_ABBREVIATIONS: Final = {"support_url": "url", "sw_version": "sw"}


def abbreviated(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Write a discovery message with Home Assistant's abbreviations."""
    inside = {
        "device": _renamed(payload["device"], _DEVICE_ABBREVIATIONS),
        "origin": _renamed(payload["origin"], _ORIGIN_ABBREVIATIONS),
        "availability": [_renamed(each, _ABBREVIATIONS) for each in payload["availability"]],
        "components": {key: _renamed(facts, _ABBREVIATIONS) for key, facts in payload["components"].items()},
    }
    return _renamed({**payload, **inside}, _ABBREVIATIONS)


def _renamed(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(option, option): value for option, value in options.items()}
