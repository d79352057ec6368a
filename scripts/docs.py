"""Writes what the documentation repeats of the code: the blocks between <!-- generated … --> and <!-- end -->.

Run it as ``.venv/bin/python -m scripts.docs`` after a change of options, registers, topics or errors;
``tests/test_docs.py`` fails until then. Facts come from the code; only the sentences that no code holds are here.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from nesgw import __version__, errors
from nesgw.config import example
from nesgw.config import schema as config
from nesgw.gateway import freshness, retries, watch
from nesgw.optical.session import AFTER_OK
from nesgw.publishers import home_assistant, payloads
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.delivery import Pace
from nesgw.publishers.payloads import GatewayMeter, GatewayStatus, MeterStatus
from nesgw.publishers.topics import Topics
from nesgw.tables.alarms import ALARMS, EARTH_FAULT, Alarm
from nesgw.tables.catalogue import COMPUTED, FIELDS, PRESENT_VALUES, SUMMATIONS, TIER_FIELDS
from nesgw.tables.event_log import Event
from nesgw.tables.firmware import ALL
from nesgw.tables.interval_demand import Demand, Month, Peak, Powers, Running
from nesgw.tables.outages import Outage
from nesgw.tables.register import Field, Register
from nesgw.values import Firmware, MeterIdentity, Reading

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
_BLOCK: Final = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def regenerated(text: str) -> str:
    """Return a page with each of its generated blocks made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]().strip()}\n\n{block[3]}", text)


def pages() -> list[Path]:
    """List the pages that have generated blocks."""
    return [path for path in sorted(DOCS.glob("*.md")) if _BLOCK.search(path.read_text(encoding="utf-8"))]


def main() -> None:
    """Write what differs, and say what that was."""
    for path in pages():
        before = path.read_text(encoding="utf-8")
        if (after := regenerated(before)) != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}: written anew\n")


# --- Configuration ---------------------------------------------------------------------------------------------------


def _configuration() -> str:
    return "\n\n".join(_options(config.Config, "", example.defaults()))


def _options(model: type[config.Section], prefix: str, within: dict[str, Any]) -> Iterator[str]:
    for name, section in config.tables(model).items():
        dotted = prefix + name
        many = section is config.MeterSection
        values = example.of_table(within, name)
        rows = [
            (f"`{key}`", _default(key, info, values), _allowed(info), info.description or "")
            for key, info in section.model_fields.items()
            if key not in config.tables(section)
        ]
        title = f"[[{dotted}]]" if many else f"[{dotted}]"
        about = (section.__doc__ or "").strip()
        note = " One block for each meter and probe; at least one." if many else ""
        yield f"## `{title}`\n\n{about}{note}\n\n{_table(('option', 'default', 'takes', 'meaning'), rows)}"
        yield from _options(section, f"{dotted}.", values)


def _default(key: str, info: FieldInfo, values: dict[str, Any]) -> str:
    if info.is_required():
        return "must be set"
    value = values.get(key, "")  # a secret is never among the values
    return f"`{example.toml_value(value)}`" if value != "" else "empty"


def _allowed(info: FieldInfo) -> str:
    """Say what an option takes: from its type, its bounds, or what the schema says of it."""
    if takes := next((fact.text for fact in info.metadata if isinstance(fact, config.Takes)), None):
        return takes
    kind = info.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{example.toml_value(choice)}`" for choice in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind is int:
        bounds = [getattr(fact, name) for name in ("ge", "le") for fact in info.metadata if hasattr(fact, name)]
        return " … ".join(str(bound) for bound in bounds)
    return "text"


# --- Entities --------------------------------------------------------------------------------------------------------

_ENTITY: Final = ("field", "name", "unit", "device class", "state class", "shown", "source", "since", "what it is")


def _energy_entities() -> str:
    return _entities((row.field, f"BT23 {row.number}", row.since) for row in SUMMATIONS)


def _tier_entities() -> str:
    return _entities((row.field, f"BT23 tier {row.tier}, {row.summation}", ALL) for row in TIER_FIELDS)


def _present_entities() -> str:
    return _entities((row.field, _present_source(row), row.since) for row in PRESENT_VALUES)


def _present_source(row: Register) -> str:
    return f"BT28 {row.number}" + (f" ({row.primary.number})" if row.primary else "")


def _computed_entities() -> str:
    return _entities((made.field, f"`{made.minuend}` − `{made.subtrahend}`", ALL) for made in COMPUTED)


def _entities(rows: Iterable[tuple[Field, str, Firmware]]) -> str:
    return _table(_ENTITY, [_entity(field, source, since) for field, source, since in rows])


def _entity(field: Field, source: str, since: Firmware) -> Sequence[str]:
    kind = field.kind
    shown = ("yes" if field.enabled else "no") + (", diagnostic" if field.diagnostic else "")
    texts = (kind.unit or "", kind.device_class or "", kind.state_class)
    return (f"`{field.key}`", field.name, *texts, shown, source, _since(since), field.info)


def _since(firmware: Firmware) -> str:
    return "all" if firmware == ALL else f"{firmware.major}.{firmware.minor:02d}"


def _meter_diagnostics() -> str:
    return _diagnostics(home_assistant.METER_DIAGNOSTICS)


def _gateway_diagnostics() -> str:
    return _diagnostics(home_assistant.gateway_components({"NAME": "LABEL"}))


_DIAGNOSTIC: Final = {
    "import_demand": "Drawn power, averaged over the last complete interval of the load profile.",
    "running_import_demand": "What the average of the running interval will be if it goes on as in the last minute.",
    "peak_import_month": "The highest interval of this month, by the meter's local time.",
    "peak_import_last_month": "The highest interval of the month before.",
    "export_demand": "Fed-in power, averaged over the last complete interval.",
    "peak_export_month": "The highest interval of this month.",
    "peak_export_last_month": "The highest interval of the month before.",
    "last_read": "When the latest reading was accepted.",
    "consecutive_failures": "Polls that failed since the last good one; 0 while all is well.",
    "failed_polls": "All polls that failed since the start.",
    "rejected_readings": "Readings that were not believed since the start.",
    "poll_duration": "How long the latest poll took.",
    "last_error": "What is wrong now, in words; `none` while all is well.",
    "clock_drift": "The meter's clock minus the Pi's; `unknown` while it is not read.",
    "session": "Whether the meter's session is ended after each poll or kept open.",
    "started": "When the gateway was started.",
    "problem": "What is wrong with the broker although it is connected; `none` if nothing.",
    "meters_online": "How many of its meters deliver readings.",
    "problem_NAME": "What is wrong with that meter, also while the meter itself is unavailable; `none` if nothing.",
}


def _diagnostics(components: Any) -> str:
    rows = [
        (
            f"`{key}`",
            facts["name"],
            facts.get("unit_of_measurement", ""),
            facts.get("device_class", ""),
            facts.get("state_class", ""),
            "no" if facts.get("enabled_by_default") is False else "yes",
            _DIAGNOSTIC.get(key, ""),
        )
        for key, facts in components.items()
    ]
    return _table(("key", "name", "unit", "device class", "state class", "shown", "what it is"), rows)


def _alarms() -> str:
    rows = [
        (
            f"`{alarm.key}`",
            alarm.name,
            "has happened since the utility last cleared it" if alarm.latched else "is so now",
            "yes" if alarm.owner else "no",
            _since(alarm.since[0]),
            f"BT03 {alarm.byte}.{alarm.bit}",
        )
        for alarm in (*ALARMS, EARTH_FAULT)
    ]
    return _table(("key", "name", "on means that it", "shown", "since", "source"), rows)


# --- MQTT ------------------------------------------------------------------------------------------------------------

_TOPICS: Final = Topics("BASE", "NAME", "PREFIX")
_NOW: Final = datetime(2026, 11, 20, 10, 21, 5, 120000, UTC)
# The simulated meter's own: a test asks it.
_IDENTITY: Final = MeterIdentity(
    "ELON",
    "83331-3I",
    Firmware(3, 84, 6),
    "4080123456",
    "0000000012345678",
    "three-phase, disconnect switch, M-Bus",
)
_VALUES: Final = {
    "energy_import": 115921.469,
    "energy_export": 0.201,
    "power_import": 701,
    "power_export": 0,
    "power": 701,
    "current_l1": 1.536,
    "voltage_l1": 232.591,
    "frequency": 50.0,
    "apparent_power": None,
}
_READING: Final = Reading(_NOW, _VALUES, {})
_METER_STATUS: Final = MeterStatus(
    id=_IDENTITY.id,
    manufacturer_serial=_IDENTITY.manufacturer_serial,
    last_read=_NOW,
    polls=8640,
    failures={"no_answer": 2},
    poll_duration_ms=412,
    bytes_sent=1036800,
    bytes_received=5184000,
    clock_drift_s=-3.0,
    alarms=("power_failure",),
    last_event=412,
    session="per-poll",
)
_GATEWAY_STATUS: Final = GatewayStatus(
    __version__, _NOW, 86400, {"house": GatewayMeter(_IDENTITY.id, online=True, last_read=_NOW)}
)

_TOPIC: Final = {
    "gateway_availability": "`online`; `offline` is the gateway's last will, and its goodbye",
    "gateway_status": "JSON: version, start, its meters and what is wrong with them",
    "gateway_discovery": "Home Assistant's discovery of the gateway",
    "info": "JSON: who the meter is and which fields it has",
    "availability": "`online` while its readings are fresh, else `offline`",
    "state": "JSON: the reading, once per accepted poll",
    "status": "JSON: how reading it goes, within two seconds of each poll",
    "demand": "JSON: average power of the last quarter of an hour, of the running one, the highest of the month",
    "event": "JSON: an entry of the meter's own log, each once",
    "value": "the plain number, only with `per_value_topics = true`",
    "discovery": "Home Assistant's discovery of the meter",
    "alarms_discovery": "Home Assistant's discovery of the meter's alarms",
}


def _topics() -> str:
    members = {
        name: getattr(Topics, name)
        for name in vars(Topics)
        if not name.startswith(("_", "of_")) and not name.endswith("_of") and name not in Topics.__slots__
    }
    rows = [(f"`{_topic(name, member)}`", _retained(name), _said_of(name, member)) for name, member in members.items()]
    return _table(("topic", "retained", "payload"), rows)


def _said_of(name: str, member: object) -> str:
    return _TOPIC.get(name) or (member.__doc__ or "").rstrip(".")


def _topic(name: str, member: object) -> str:
    if isinstance(member, property):
        return str(getattr(_TOPICS, name))
    return str(getattr(_TOPICS, name)(*("ID", "FIELD")[: member.__code__.co_argcount - 1]))  # type: ignore[attr-defined]


def _retained(name: str) -> str:
    if name in ("state", "value"):
        follows = [_of_reading(retain=wanted)[name].retain is wanted for wanted in (True, False)]
        return "as `retain` says" if all(follows) else "yes"
    if name == "event":
        return "yes" if payloads.event_message(_TOPICS, "ID", {}).retain else "no"
    return "yes" if Message("", "", Part.INFO).retain else "no"


def _of_reading(*, retain: bool) -> dict[str, Message]:
    state, *values = payloads.state_messages(
        _TOPICS, "ID", _READING, payloads.state(_READING), retain=retain, per_value=True
    )
    return {"state": state, "value": values[0]}


def _state_example() -> str:
    return _json_block(payloads.state(_READING))


_MEANING: Final = {
    "info": {
        "manufacturer": "as the meter says it",
        "model": "",
        "firmware": "major.minor.build",
        "hardware": "`null` if the meter does not tell",
        "utility_serial": "the number on the utility's papers; empty if blank in the meter",
        "manufacturer_serial": "",
        "fields": "the keys of the state object that this meter has",
    },
    "meter": {
        "id": "the meter's `ID`; `null` until it has told",
        "manufacturer_serial": "likewise; another one with the same `ID` is a meter that took over the former's number",
        "last_read": "when the latest reading was accepted; `null` before the first",
        "polls": "attempts since the start of the gateway",
        "failures": "failed polls since the start, by [kind](troubleshooting.md#every-message)",
        "consecutive_failures": "failed polls since the last good one",
        "last_error": "what is wrong now, in words; `null` while all is well",
        "last_error_kind": "its [kind](troubleshooting.md#every-message), or `rejected`",
        "rejected": "readings that were [not believed](plausibility.md)",
        "notice": "the latest odd reading that was accepted after all, in words",
        "poll_duration_ms": "of the latest poll",
        "bytes_sent": "to the meter, since the start",
        "bytes_received": "from the meter, since the start",
        "clock_drift_s": "the meter's clock minus ours in seconds; `null` while it is not known",
        "alarms": "the [alarms](entities.md#alarms) that are set; `null` until they were read",
        "last_event": "the newest entry of the meter's event log that was published",
        "last_outage": "likewise of its outage log",
        "fell_from": "registers that are `null` because the meter shows less than before, with what it showed",
        "session": "`per-poll` or `keep-open`",
        "session_reason": "why that one",
    },
    "gateway": {
        "version": "of nesgw",
        "started": "never changes while it runs",
        "uptime_s": "",
        "meters": "by the meter's `name`: its `id`, `online`, `last_read`, and `last_error` (`null` while all is well)",
        "problem": "what is wrong with the broker although it is connected, in words; `null` while all is well",
    },
}


def _demand_entities() -> str:
    return _diagnostics({**home_assistant.DEMAND["import"], **home_assistant.DEMAND["export"]})


def _demand_example() -> str:
    begin = datetime(2026, 10, 31, 23, tzinfo=UTC)
    quarter = timedelta(minutes=15)
    start = datetime(2026, 11, 20, 10, tzinfo=UTC)
    november = Month(
        begin,
        datetime(2026, 11, 30, 23, tzinfo=UTC),
        known=1870,
        expected=1870,
        imported=Peak(4212.0, datetime(2026, 11, 3, 17, 30, tzinfo=UTC)),
        exported=Peak(0.0, begin),
    )
    october = replace(
        november,
        begin=datetime(2026, 9, 30, 22, tzinfo=UTC),
        end=begin,
        known=2900,
        expected=2980,
        imported=Peak(3980.0, datetime(2026, 10, 9, 16, 15, tzinfo=UTC)),
        exported=Peak(0.0, datetime(2026, 9, 30, 22, tzinfo=UTC)),
    )
    demand = Demand(
        quarter, ("import", "export"), start, Powers(692.0, 0.0), month=november, last_month=october, drift=-3.0
    )
    running = Running(start + quarter, 365.0, Powers(701.0, 0.0), Powers(744.5, 0.0))
    return _json_block(payloads.demand_state(demand, running))


def _event_example() -> str:
    event = Event(412, _NOW, 3, None, "0000", "BT74")
    outage = Outage(_NOW - timedelta(seconds=95), _NOW, 95, None, "ET81", 7)
    shown = [_json_block(json.dumps(payloads.log_entry(entry))) for entry in (event, outage)]
    assert {payloads.log_entry(entry)["event_type"] for entry in (event, outage)} <= set(payloads.EVENT_TYPES)  # noqa: S101
    return "\n\n".join(shown)


def _info_keys() -> str:
    return _keys("info", payloads.info(_IDENTITY, list(_VALUES)[:3]))


def _meter_status_keys() -> str:
    return _keys("meter", payloads.meter_status(_METER_STATUS))


def _gateway_status_keys() -> str:
    return _keys("gateway", payloads.gateway_status(_GATEWAY_STATUS))


def _discovery_sizes() -> str:
    """The length of the longest discovery messages: of a usual meter, and of one with everything there is."""
    usual = Firmware(3, 84, 6)
    since = {row.field.key: row.since for row in (*SUMMATIONS, *PRESENT_VALUES)}
    tiers = {row.field.key for row in TIER_FIELDS}
    fields = [field for key, field in FIELDS.items() if since.get(key, ALL) <= usual and key not in tiers]
    alarms = [alarm for alarm in ALARMS if alarm.known_to(usual)]
    rows = [
        (name, *(f"{len(message.payload.encode()) / 1000:.0f} kB" for message in _discovery(firmware, has, raised)))
        for name, firmware, has, raised in (
            ("a meter with firmware 3.84 and no tariffs", usual, fields, alarms),
            ("a meter with every register, tariff and alarm", Firmware(4, 30), [*FIELDS.values()], [*ALARMS]),
        )
    ]
    return _table(("discovery of", "length", "that of its alarms"), rows)


def _discovery(firmware: Firmware, fields: Iterable[Field], alarms: Iterable[Alarm]) -> tuple[Message, Message]:
    topics, identity = Topics("nesgw", "nesgw"), replace(_IDENTITY, firmware=firmware)
    of_meter = home_assistant.meter_discovery(
        topics,
        identity,
        fields,
        name="house",
        label="House",
        poll_interval=10,
        events=True,
        demand=("import", "export"),
    )
    of_alarms = home_assistant.alarms_discovery(topics, identity, alarms, name="house", label="House", poll_interval=10)
    return of_meter, of_alarms


def _keys(which: str, payload: str) -> str:
    found = json.loads(payload)
    rows = [(f"`{key}`", f"`{json.dumps(value)}`", _MEANING[which].get(key, "")) for key, value in found.items()]
    return _table(("key", "for example", "meaning"), rows)


def _json_block(payload: str) -> str:
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in json.loads(payload).items()]
    return "```json\n{\n" + ",\n".join(lines) + "\n}\n```"


def _timings() -> str:
    stale = f"{freshness.STALE_POLLS} poll intervals, at least {freshness.STALE_SECONDS:.0f} s"
    shortest = home_assistant.expire_after(0)
    low, high = Pace().rediscovery
    rows = [
        (f"no accepted reading for {stale}", "the meter's topic says `offline`: its entities are unavailable"),
        (
            f"nothing at all for {home_assistant.expire_after(1000) // 1000} poll intervals, at least {shortest} s",
            "each entity becomes unavailable by itself",
        ),
        ("gateway stopped, or lost to the broker", "the gateway's topic says `offline`: all entities are unavailable"),
        ("Home Assistant was restarted", f"everything is announced again {low:.0f} to {high:.0f} s after it says so"),
        (
            "the meter refused the key",
            f"asked again after {retries.FIRST_PAUSE / 60:.0f} min, then ever later, at most every "
            f"{retries.LONGEST_PAUSE / 60:.0f} min",
        ),
        ("nothing new", f"the gateway's status is sent every {watch.STATUS_INTERVAL:.0f} s"),
    ]
    return _table(("when", "then"), rows)


# --- Errors ----------------------------------------------------------------------------------------------------------


def _errors() -> str:
    rows = [
        (f"`{kind.kind}`", _template(kind.what), _template(kind.do) or "—", str(kind.exit_code), _after(kind))
        for kind in _leaves(errors.NesgwError)
        if kind.what != errors.NesgwError.what and kind.exit_code != errors.EX_OK
    ]
    return _table(("kind", "what it says", "what to do", "exit code", "and the service"), rows)


def _leaves(kind: type[errors.NesgwError]) -> Iterator[type[errors.NesgwError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _leaves(each)


def _after(kind: type[errors.NesgwError]) -> str:
    if issubclass(kind, errors.Retryable):
        return "tries again"
    if issubclass(kind, errors.OperatorNeeded):
        return "tries again, rarely"
    return "goes on without"


def _template(text: str) -> str:
    """Write the gaps of a sentence in capitals: {port} -> PORT."""
    return re.sub(r"\{(\w+)\}", lambda gap: gap[1].upper(), text)


def _exit_codes() -> str:
    meaning = {
        "EX_OK": "done",
        "EX_USAGE": "wrong usage of the command",
        "EX_UNAVAILABLE": "the port, the meter or the broker cannot be reached",
        "EX_SOFTWARE": "a defect in nesgw: please report it",
        "EX_IOERR": "there is no room for what the command writes",
        "EX_NOPERM": "the meter refused the key, or the port may not be opened",
        "EX_CONFIG": "the configuration is wrong",
    }
    found = {name: value for name, value in vars(errors).items() if name.startswith("EX_")}
    return _table(("exit code", "meaning"), [(str(value), meaning.get(name, "")) for name, value in found.items()])


# --- For engineers ---------------------------------------------------------------------------------------------------

# The packages; values and errors are known to all.
_PARTS: Final = (
    "commands",
    "gateway",
    "meter",
    "optical",
    "mep",
    "ports",
    "tables",
    "plausibility",
    "publishers",
    "web",
    "config",
    "simulator",
)


def _states() -> str:
    services = list(dict.fromkeys(service for legal in AFTER_OK.values() for service in legal))
    rows = [
        (f"**{state.value}**", *(legal[service].value if service in legal else "" for service in services))
        for state, legal in AFTER_OK.items()
    ]
    return _table(("in the state", *(service.__name__ for service in services)), rows)


def _modules() -> str:
    lines = [f"  {part}" for part in _PARTS]
    lines += [f"  {part} --> {known}" for part in _PARTS for known in sorted(_known(part))]
    return "```mermaid\ngraph LR\n" + "\n".join(lines) + "\n```"


def _known(part: str) -> set[str]:
    package = ROOT / "nesgw"
    files = sorted((package / part).rglob("*.py")) or [package / f"{part}.py"]
    known = {name.split(".")[1] for file in files for name in _imports(file) if name.startswith("nesgw.")}
    return (known & set(_PARTS)) - {part}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- Writing ---------------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "configuration": _configuration,
    "energy-entities": _energy_entities,
    "tier-entities": _tier_entities,
    "present-entities": _present_entities,
    "computed-entities": _computed_entities,
    "alarms": _alarms,
    "meter-diagnostics": _meter_diagnostics,
    "gateway-diagnostics": _gateway_diagnostics,
    "topics": _topics,
    "state-example": _state_example,
    "demand-entities": _demand_entities,
    "demand-example": _demand_example,
    "event-example": _event_example,
    "info-keys": _info_keys,
    "meter-status-keys": _meter_status_keys,
    "gateway-status-keys": _gateway_status_keys,
    "discovery-sizes": _discovery_sizes,
    "timings": _timings,
    "errors": _errors,
    "exit-codes": _exit_codes,
    "states": _states,
    "modules": _modules,
}
assert set(FIELDS) == {row.field.key for row in (*SUMMATIONS, *TIER_FIELDS, *PRESENT_VALUES, *COMPUTED)}  # noqa: S101

if __name__ == "__main__":
    main()
