"""What is plausible of water, heat and gas meters behind the meter: the same law, hold but never freeze.

Their telegrams are hours apart, and each value stands for itself: a doubtful one is null and the others go on. A
counter that fell or jumped is accepted when three telegrams in a row agree on it, and a smaller one only when it has
counted on. What it fell from is remembered meanwhile, and over a restart. A zero is no first word of a counter. Seen
in the field: a single 0 m³ from a gas meter, which an energy dashboard books as a lifetime's use (F2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from nesgw.tables.mbus import MbusReading
from nesgw.tables.mbus_records import MbusValue
from nesgw.values import Number

AGREEING: Final = 3  # telegrams
PROOF: Final = 900.0  # seconds from the first of them to the last
# A telegram's time is full minutes or hours; within this no growth is too fast.
SHORTEST_SPAN: Final = 3600.0  # seconds
# The most that is used in an hour: a gas or water meter of 25 m³/h serves a large house, as 250 kW of heat do.
MOST_AN_HOUR: Final[Mapping[str, float]] = MappingProxyType({"m³": 25.0, "kWh": 250.0, "MJ": 900.0, "kg": 25_000.0})
MOST_OF_ANYTHING: Final = 250_000.0  # litres or watt-hours, where a telegram does not say what it counts
AGE: Final = 86_400.0  # seconds that a telegram may be old when it is fetched
ERRORS: Final = frozenset({"temporary_error", "permanent_error"})  # the device's own word that it may be wrong


@dataclass(frozen=True, slots=True)
class Judged:
    """A telegram with null for what is doubted, and what to log."""

    reading: MbusReading
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Counted:
    """A counter's value, and when the device counted it."""

    value: Number
    at: float  # seconds
    fetched: float = -math.inf  # seconds of our own clock


@dataclass(frozen=True, slots=True)
class _Streak:
    """Doubtful telegrams in a row that agree with one another."""

    first: _Counted
    last: _Counted
    telegrams: int


class SubMeterPlausibility:
    """The judge of one sub-meter's telegrams. Another serial number needs another judge."""

    def __init__(self) -> None:
        self._accepted: dict[str, _Counted] = {}
        self._streaks: dict[str, _Streak] = {}
        self._judged: Judged | None = None
        self._telegram: object = None

    def judge(self, reading: MbusReading, at: float) -> Judged:
        """Judge a telegram that was fetched at ``at`` (monotonic seconds); the same one again is judged the same."""
        telegram = (reading.time, reading.values, reading.conditions)
        if self._judged is not None and reading.time is not None and telegram == self._telegram:
            return replace(self._judged, messages=())
        counted_at = at if reading.time is None else _seconds(reading.time)
        failing = not ERRORS.isdisjoint(reading.conditions)
        values: list[MbusValue] = []
        messages: list[str] = []
        for value in reading.values:
            doubt = self._doubt(value, counted_at, at, failing=failing)
            values.append(value if doubt is None else replace(value, value=None))
            if doubt:
                messages.append(doubt)
        self._telegram = telegram
        self._judged = Judged(replace(reading, values=tuple(values)), tuple(messages))
        return self._judged

    @property
    def counters(self) -> Mapping[str, Number]:
        """What each counter showed when it was accepted last, for ``restore``."""
        return {key: counted.value for key, counted in self._accepted.items()}

    def restore(self, state: Mapping[str, object], at: float) -> None:
        """Take up what was accepted of this sub-meter before a restart: by the "time" in it, else a day before ``at``.

        ``at`` is what ``judge`` will be given.
        """
        counted_at = at - timedelta(days=1).total_seconds()
        with suppress(ValueError):
            counted_at = _seconds(datetime.fromisoformat(str(state.get("time"))))
        for key, value in state.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
                self._accepted.setdefault(key, _Counted(value, counted_at))

    def _doubt(self, value: MbusValue, at: float, fetched: float, *, failing: bool) -> str | None:
        """Say why a value is not to be published; "" where that was said before, None where it is to be."""
        if value.value is None or isinstance(value.value, str) or value.state_class is None:
            return None
        if value.state_class != "total_increasing":
            return "" if failing else None
        if not math.isfinite(value.value):
            return ""
        now = _Counted(value.value, at, fetched)
        before = self._accepted.get(value.key)
        reason = _reason(value, before, now, failing=failing)
        if reason is None:
            self._accept(value.key, now)
            return None
        streak = self._streak(value, now)
        self._streaks[value.key] = streak
        if _is_proved(streak, fell=before is not None and now.value < before.value):
            self._accept(value.key, now)
            return None
        if streak.telegrams > 1 or (before is None and not now.value):
            return ""
        return f"{value.name} of the sub-meter {reason}: null until it keeps to that"

    def _accept(self, key: str, now: _Counted) -> None:
        self._accepted[key] = now
        self._streaks.pop(key, None)

    def _streak(self, value: MbusValue, now: _Counted) -> _Streak:
        streak = self._streaks.get(value.key)
        if streak is None or _reason(value, streak.last, now, failing=False) is not None:
            return _Streak(now, now, 1)
        return replace(streak, last=now, telegrams=streak.telegrams + 1)


def _reason(value: MbusValue, before: _Counted | None, now: _Counted, *, failing: bool) -> str | None:
    """Why a counter's value is doubtful after another one, in words; None if it is not."""
    shown = f"{now.value:g} {value.unit or ''}".rstrip()
    if before is None:
        if failing:
            return f"says {shown} together with an error"
        return f"says {shown}" if now.value <= 0 else None
    if now.value < before.value:
        return f"fell from {before.value:g} to {shown}"
    most = MOST_AN_HOUR.get(value.unit or "", MOST_OF_ANYTHING)
    # The time is by the meter's clock, which may be a year ahead; ours knows how long ago the other one was fetched.
    span = max(min(now.at - before.at, now.fetched - before.fetched + AGE), SHORTEST_SPAN)
    if now.value - before.value > most * span / 3600:
        return f"jumped from {before.value:g} to {shown}"
    return None


def _is_proved(streak: _Streak, *, fell: bool) -> bool:
    lasted = streak.telegrams >= AGREEING and streak.last.at - streak.first.at >= PROOF
    return lasted and (streak.last.value > streak.first.value or not fell)


def _seconds(moment: datetime) -> float:
    """For differences only, so a time without a zone counts as UTC (no machine's limits apply)."""
    return (moment.replace(tzinfo=None) - datetime(2000, 1, 1)).total_seconds()
