"""The last hours of each meter, in memory of a fixed size: the curve of the power, its mean, and what was used today.

Nothing of it is written anywhere: after a restart the curve begins again; the meter's own load profile has the rest.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from nesgw.values import Number
from nesgw.web.snapshot import MeterNow

# Two curves: the last hour as it was, the last day as means of a minute.
HOUR: Final = (5, 720)  # seconds of a step, steps
DAY: Final = (60, 1440)

FRESH: Final = 30.0  # seconds for which a reading is good, at the least
SAME_NIGHT: Final = 3600.0  # seconds between the last reading of a day and the first of the next, at the most

AVERAGE_OVER: Final = 60.0  # seconds: what an EcoTracker calls its average


@dataclass(frozen=True, slots=True)
class Today:
    """What was drawn and fed in since local midnight, or since the first reading if that came later."""

    since: datetime
    energy_import: float | None
    energy_export: float | None


class Curve:
    """A ring of means. A step without a reading is a gap, unless it is between two readings of one slow rhythm."""

    def __init__(self, step: int, steps: int) -> None:
        self.step = step
        self._values = array("f", [math.nan]) * steps
        self._newest = -1  # the number of the step that is being filled, since the epoch
        self._sum = 0.0
        self._count = 0

    def add(self, time: float, value: float, bridge: float) -> None:
        """Take in a value; steps back to the one before it have the same if that is not longer ago than ``bridge``."""
        place = int(time // self.step)
        if place > self._newest:
            self._go_to(place, value, bridge)
        elif place < self._newest:  # the clock was set back
            return
        self._sum += value
        self._count += 1
        self._values[place % len(self._values)] = self._sum / self._count

    def _go_to(self, place: int, value: float, bridge: float) -> None:
        missed = place - self._newest - 1
        filling = value if self._newest >= 0 and missed * self.step <= bridge else math.nan
        for between in range(place - min(missed, len(self._values)), place):
            self._values[between % len(self._values)] = filling
        self._newest, self._sum, self._count = place, 0.0, 0

    def points(self) -> tuple[int, list[int | None]]:
        """Return when the first step begins (seconds since the epoch), and every step from there on in whole watts."""
        size = len(self._values)
        first = self._newest - size + 1
        values = [self._values[place % size] for place in range(first, self._newest + 1)] if self._newest >= 0 else []
        known = next((at for at, value in enumerate(values) if not math.isnan(value)), len(values))
        return (first + known) * self.step, [None if math.isnan(value) else round(value) for value in values[known:]]


class Recent:
    """One meter's last hours."""

    def __init__(self, local_date: Callable[[datetime], date] = lambda moment: moment.astimezone().date()) -> None:
        self.hour = Curve(*HOUR)
        self.day = Curve(*DAY)
        self._local_date = local_date
        self._last: datetime | None = None
        self._minute: deque[tuple[float, float]] = deque(maxlen=600)
        self._start: tuple[datetime, Number | None, Number | None] | None = None  # of today
        self._now: tuple[Number | None, Number | None] = (None, None)

    def add(self, meter: MeterNow) -> bool:
        """Take in the meter's latest reading; False if it is known."""
        state = meter.fresh
        if state is None or meter.read_at is None:
            return False
        moment = datetime.fromisoformat(str(state["time"]))
        if moment == self._last:
            return False
        before, self._last = self._last, moment
        self._count_today(before, moment, number(state.get("energy_import")), number(state.get("energy_export")))
        power = number(state.get("power"))
        if power is not None:
            self._add_power(moment.timestamp(), float(power), meter.poll_interval)
        return True

    def _add_power(self, time: float, power: float, poll_interval: float) -> None:
        bridge = max(3 * poll_interval, FRESH)
        self.hour.add(time, power, bridge)
        self.day.add(time, power, bridge)
        self._minute.append((time, power))
        while self._minute[0][0] <= time - AVERAGE_OVER:
            self._minute.popleft()

    def _count_today(self, before: datetime | None, moment: datetime, drawn: Number | None, fed: Number | None) -> None:
        day = self._local_date(moment)
        if self._start is None or self._local_date(self._start[0]) != day or self._start[1] is None:
            continuous = (
                before is not None
                and self._now[0] is not None
                and self._local_date(before) != day
                and (moment - before).total_seconds() <= SAME_NIGHT
            )
            self._start = (moment, *self._now) if continuous else (moment, drawn, fed)
        self._now = drawn, fed

    @property
    def average(self) -> float | None:
        """The mean power of the last minute's readings, in W."""
        return sum(power for _, power in self._minute) / len(self._minute) if self._minute else None

    @property
    def today(self) -> Today | None:
        """What was used today, in kWh."""
        if self._start is None:
            return None
        since, drawn, fed = self._start
        return Today(since, _difference(self._now[0], drawn), _difference(self._now[1], fed))


def number(value: object) -> Number | None:
    """A number of the state object; None where it is absent or null."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _difference(now: Number | None, start: Number | None) -> float | None:
    return None if now is None or start is None else round(now - start, 3)
