"""The JSON of our own: every meter, one meter, its load profile, the fields' names, the events of the page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from nesgw.publishers.languages import Language, translated
from nesgw.tables.alarms import ALARMS
from nesgw.tables.catalogue import FIELDS
from nesgw.web.recent import Recent, Today
from nesgw.web.request import Refused
from nesgw.web.response import json_text
from nesgw.web.snapshot import MeterNow, ProfileRow, SubMeter

Json = dict[str, object]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "da", "de")


def overview(meter: MeterNow, now: float) -> Json:
    """One line of the list of meters."""
    return {
        "name": meter.name,
        "label": meter.label,
        "id": meter.id,
        "online": meter.online,
        "age_s": _age(meter, now),
    }


def detail(meter: MeterNow, now: float, spoken: Language = "en") -> Json:
    """Everything that is known of one meter, in the objects of its MQTT topics."""
    return {
        **overview(meter, now),
        "info": meter.info,
        "state": meter.state,
        "status": meter.status,
        "demand": meter.demand,
        "sub_meters": [_sub_meter(each, spoken) for each in meter.sub_meters],
    }


def _age(meter: MeterNow, now: float) -> float | None:
    age = meter.age(now)
    return None if age is None else round(age, 1)


def _sub_meter(sub_meter: SubMeter, spoken: Language) -> Json:
    return {
        "id": sub_meter.id,
        "medium": sub_meter.medium,
        "serial": sub_meter.serial,
        "manufacturer": sub_meter.manufacturer,
        "time": None if sub_meter.time is None else _moment(sub_meter.time),
        "values": [
            {"key": key, "name": translated(name, spoken), "value": value, "unit": unit}
            for key, name, value, unit in sub_meter.values
        ],
    }


# The load profile

LONGEST: Final = 40  # days in one question


def time_range(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """Understand from and to, ISO 8601; today until ``now``, in its zone, where nothing is said. Raises Refused."""
    until = _time(query, "to", now)
    try:
        midnight = until.astimezone(now.tzinfo).replace(hour=0, minute=0, second=0, microsecond=0)
        since = _time(query, "from", midnight)
        days = (until - since).total_seconds() / 86400
    except OverflowError:
        raise Refused(400, "from and to are not in our time") from None
    if not 0 < days <= LONGEST:
        raise Refused(400, f"from is before to, and at most {LONGEST} days before it")
    return since, until


def _time(query: Mapping[str, str], key: str, default: datetime) -> datetime:
    text = query.get(key)
    if text is None:
        return default
    try:
        # In a query a plus may have become a blank.
        return datetime.fromisoformat(text.replace(" ", "+")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(400, f"{key} is no time; write it as 2026-11-01T00:00:00Z") from None


def profile_row(row: ProfileRow) -> Json:
    """One interval, as ``nesgw history --json`` writes it."""
    return {
        "time": _moment(row.end),
        **row.registers,
        "in_the_interval": row.used,
        "status": list(row.status),
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# The page


def language(query: Mapping[str, str]) -> Language:
    """The language that is asked for; English where we do not speak it."""
    wanted = query.get("lang")
    return next((known for known in LANGUAGES if known == wanted), "en")


def names(spoken: Language) -> Json:
    """The names and units of every field that a state object can have, and the alarms that matter to an owner."""
    return {
        "fields": {
            key: {
                "name": translated(field.name, spoken),
                "unit": field.kind.unit,
                "precision": field.kind.precision,
            }
            for key, field in FIELDS.items()
        },
        "alarms": {alarm.key: translated(alarm.name, spoken) for alarm in ALARMS if alarm.owner},
    }


def event(name: str, content: object) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json_text(content)}\n\n".encode()


class View(Protocol):
    """What events are made of."""

    def meters(self) -> tuple[MeterNow, ...]:
        """Every meter, as it stands now."""

    def recent(self, meter: MeterNow) -> Recent | None:
        """A meter's last hours."""

    def now(self) -> float:
        """The monotonic clock."""


class Events:
    """What one open page is sent: the list of meters, the one that it shows, and that one's curves at the beginning."""

    def __init__(self, view: View, name: str | None, spoken: Language = "en") -> None:
        self._view = view
        self._name = name
        self._language = spoken
        self._said: dict[str, object] = {}
        self._with_curve = False

    def take(self) -> bytes:
        """Return the events since the last call."""
        return b"".join(self._events())

    def _events(self) -> Iterator[bytes]:
        now, meters = self._view.now(), self._view.meters()
        shown = next((meter for meter in meters if meter.name == self._name), meters[0] if meters else None)
        if self._is_new("meters", [(each.name, each.id, each.online, each.problem) for each in meters]):
            yield event("meters", [{**overview(each, now), "problem": each.problem} for each in meters])
        if shown is None:
            return
        recent = self._view.recent(shown)
        if recent is not None and shown.read_at is not None and not self._with_curve:
            self._with_curve = True
            yield event("curves", {"hour": _curve(recent.hour.points(), 5), "day": _curve(recent.day.points(), 60)})
        if self._is_new("meter", shown):
            today = recent.today if recent else None
            yield event(
                "meter",
                {**detail(shown, now, self._language), "today": _today(today), "poll_interval_s": shown.poll_interval},
            )

    def _is_new(self, what: str, content: object) -> bool:
        before, self._said[what] = self._said.get(what), content
        return before != content


def _curve(points: tuple[int, list[int | None]], step: int) -> Json:
    return {"begin": points[0], "step": step, "watts": points[1]}


def _today(today: Today | None) -> Json | None:
    if today is None:
        return None
    return {
        "since": _moment(today.since),
        "energy_import": today.energy_import,
        "energy_export": today.energy_export,
    }
