"""What the web service is given of the daemon, and nothing more: how each meter stands now, and its load profile.

Whoever feeds it replaces whole values; whoever asks gets those, at any time, without waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nesgw.values import Number

JsonObject = Mapping[str, object]
StateObject = Mapping[str, "Number | str | None"]  # "time", then every field that the meter has


@dataclass(frozen=True, slots=True)
class SubMeter:
    """A water, heat or gas meter behind the meter, as it was read last."""

    id: str
    medium: str
    serial: str
    manufacturer: str | None
    time: datetime | None
    values: tuple[tuple[str, str, Number | str | None, str | None], ...]  # key, name, value, unit


@dataclass(frozen=True, slots=True)
class MeterNow:
    """A configured meter as it stands now. The objects are those of its MQTT topics."""

    name: str
    label: str
    poll_interval: float = 10.0  # seconds
    id: str | None = None  # None until the meter has said who it is
    online: bool = False
    read_at: float | None = None  # of the last accepted reading, on the monotonic clock
    info: JsonObject | None = None
    state: StateObject | None = None
    status: JsonObject | None = None
    demand: JsonObject | None = None
    sub_meters: tuple[SubMeter, ...] = ()

    def age(self, now: float) -> float | None:
        """Seconds since the last accepted reading; None if there is none yet."""
        return None if self.read_at is None else max(0.0, now - self.read_at)

    @property
    def problem(self) -> str | None:
        """The sentence that says what is wrong; None while all is well."""
        sentence = (self.status or {}).get("last_error")
        return sentence if isinstance(sentence, str) else None

    @property
    def fresh(self) -> StateObject | None:
        """The state object while it may be taken for the present; else None."""
        return self.state if self.online else None


class Snapshot(Protocol):
    """The daemon, as the web service sees it."""

    def meters(self) -> tuple[MeterNow, ...]:
        """Return how every configured meter stands, in the order of the configuration."""

    def alive(self) -> bool:
        """Whether the daemon's loops turn."""


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """An interval of the meter's load profile, with the keys and units of the state object."""

    end: datetime  # aware
    registers: Mapping[str, Number | None]  # as they stood then
    used: Mapping[str, Number | None]  # what the counting ones counted in the interval
    status: tuple[str, ...] = ()


class ProfileSource(Protocol):
    """Reads a meter's load profile; takes seconds to minutes, for it is read between the polls."""

    def __call__(self, meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
        """Yield the intervals that end after ``since`` and not after ``until``, the oldest first.

        What the first one counted is known, too, if the meter has the one before it.

        Raises NesgwError, with a sentence for the reader, where the meter has none or cannot be asked.
        """
