"""One run of nesgw backfill: the meter's sensors in Home Assistant, what is wrong with each, and its repair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from nesgw.commands.backfill.home_assistant import HomeAssistant, Statistic
from nesgw.commands.backfill.memory import MeterMemory, Register
from nesgw.commands.backfill.pages import (
    hours,
    hours_table,
    not_asked_for,
    nothing_to_fill,
    older_than_the_memory,
    still_differing,
)
from nesgw.commands.backfill.plan import (
    HOUR,
    Disagreement,
    HourRow,
    MeterHistory,
    NotFarEnough,
    NotNow,
    Plan,
    differing,
    is_good,
    plan,
    plan_with_past,
)
from nesgw.commands.backfill.suspects import first_suspect
from nesgw.errors import NothingFilled

RECENT: Final = timedelta(days=3)  # are always compared; further back only what looks as if something were missing
FURTHER: Final = timedelta(days=1)  # back, where a hole begins before what was read
MARGIN: Final = timedelta(hours=2)  # before a hole: the hour that has to be right, and its last interval
BEFORE: Final = timedelta(days=1)  # of Home Assistant's rows, before what is compared


@dataclass(frozen=True, slots=True)
class Sensor:
    """A register with its statistic."""

    register: Register
    statistic: Statistic

    @property
    def key(self) -> str:
        """The field's name."""
        return self.register.channel.key

    @property
    def title(self) -> str:
        """The register's name, and what the owner calls the sensor."""
        return f"{self.register.channel.name} ({self.statistic.statistic_id})"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done for one sensor."""

    sensor: Sensor
    plan: Plan
    history: MeterHistory


class Repair:
    """All sensors of one meter, compared with its memory; then written, if somebody wants it.

    ``since`` and ``until`` are the hours that may be written; None: where something is missing, and all.
    """

    def __init__(
        self, assistant: HomeAssistant, memory: MeterMemory, since: datetime | None, until: datetime | None
    ) -> None:
        self._assistant = assistant
        self._memory = memory
        self._since = since
        self._until = until
        self._remarks: list[str] = []
        self._findings: list[Finding] = []
        self._right: list[tuple[datetime, ...]] = []  # the hours of the sensors that lack none
        self._lacking: dict[str, datetime] = {}  # by sensor: up to then it has nothing since the memory begins
        self.problems: list[str] = []
        sensors = self._sensors()
        begin = self._look_back(sensors) if since is None else max(since, memory.oldest)
        for sensor in sensors:
            self._compare(sensor, begin, is_fixed=since is not None)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to be written."""
        return bool(self._findings)

    @property
    def amount(self) -> str:
        """How much is to be written."""
        return hours(sum(len(each.plan.rows) for each in self._findings))

    def shown(self) -> Iterator[str]:
        """What would be written, hour by hour; and what cannot be."""
        for each in self._findings:
            yield from hours_table(each.sensor.title, each.sensor.statistic.unit.base, each.plan)
            yield ""
        yield from self._remarks
        if not self._findings and not self._remarks and not self.problems:
            yield nothing_to_fill(max(self._right, key=len, default=()))
        for title, begins in self._lacking.items():
            yield not_asked_for(title, self._memory.oldest, begins)
        if self._since is not None and self._since < self._memory.oldest:
            yield older_than_the_memory(self._memory.oldest)

    def write(self) -> Iterator[str]:
        """Write, read back, and say what was done."""
        for each in self._findings:
            wrong = self._mend(each)
            yield f"{each.sensor.title}: {hours(len(each.plan.rows))} written"
            if wrong:
                self.problems.append(still_differing(each.sensor.title, wrong))

    # What there is

    def _sensors(self) -> list[Sensor]:
        """Find the sensors of the meter's registers. Raises NothingFilled if there is none."""
        found: list[Sensor] = []
        for register in self._memory.registers:
            entity = self._assistant.entity(f"nesgw_{self._memory.meter_id}_{register.channel.key}")
            if entity is None or entity.disabled:
                continue
            statistic = self._assistant.statistic(entity.entity_id)
            if statistic is None:
                self._remarks.append(f"{entity.entity_id}: {self._assistant.why_not(entity.entity_id)}")
            else:
                found.append(Sensor(register, statistic))
        if not found:
            raise self._no_sensor()
        return found

    def _no_sensor(self) -> NothingFilled:
        if self._remarks:
            return NothingFilled(problem="; ".join(self._remarks), advice="")
        others = [meter for meter in self._assistant.meters() if meter != self._memory.meter_id]
        there = f"; it knows {', '.join(others)}" if others else ""
        return NothingFilled(
            problem=f"Home Assistant has no energy sensor of meter {self._memory.meter_id} that is enabled{there}",
            advice="see whether [homeassistant] url is right, and whether its MQTT integration shows this meter",
        )

    def _look_back(self, sensors: Sequence[Sensor]) -> datetime:
        """Say where to begin: some days ago, or at the first hour that looks as if something were missing."""
        reach = self._memory.oldest
        rows = {sensor.title: self._assistant.rows(sensor.statistic, reach) for sensor in sensors}
        self._lacking = {
            title: found[0].start for title, found in rows.items() if found and found[0].start - reach > MARGIN
        }
        suspect = first_suspect(list(rows.values()))
        recent = self._memory.now - RECENT
        return max(reach, recent if suspect is None else min(recent, suspect - MARGIN))

    # What is wrong

    def _compare(self, sensor: Sensor, begin: datetime, *, is_fixed: bool) -> None:
        """Plan one sensor's repair; begin earlier if a hole does, unless that is fixed."""
        while True:
            history = self._history(sensor, begin)
            rows, history = up_to(self._until, self._rows(sensor, history, begin), history)
            try:
                planned = self._asked(sensor, rows, history, begin) if is_fixed else plan(rows, history)
            except NotNow as reason:
                self._remarks.append(f"{sensor.title}: {reason}: try again after the next full hour")
                return
            except NotFarEnough as reason:
                if not is_fixed and begin > self._memory.oldest:
                    begin = max(begin - FURTHER, self._memory.oldest)
                    continue
                within = "--from is within a hole or right behind it: begin some hours earlier"
                self.problems.append(f"{sensor.title}: {within if begin > self._memory.oldest else reason}")
                return
            except Disagreement as reason:
                self.problems.append(f"{sensor.title}: {reason}")
                return
            if planned:
                self._findings.append(Finding(sensor, planned, history))
            elif planned.unknown:
                self._remarks.append(
                    f"{sensor.title}: {hours(len(planned.unknown))} that the meter does not know either"
                )
            else:
                self._right.append(planned.compared)
            return

    def _asked(self, sensor: Sensor, rows: Sequence[HourRow], history: MeterHistory, begin: datetime) -> Plan:
        """Plan what was asked for: also before Home Assistant's first row, and in a hole older than the memory."""
        before = self._assistant.last_row_before(sensor.statistic, rows[0].start) if rows else None
        if before is None:
            return plan_with_past(rows, history)
        return plan([before, *rows], history, may_begin_within=begin <= self._memory.oldest)

    def _history(self, sensor: Sensor, begin: datetime) -> MeterHistory:
        """Say what the register was from the hour before on."""
        self._memory.reach_back(begin - MARGIN)
        known = self._memory.history(sensor.register)

        def recent(values: Mapping[datetime, float]) -> dict[datetime, float]:
            return {hour: value for hour, value in values.items() if hour > begin - 2 * HOUR}

        return MeterHistory(
            recent(known.at_end), recent(known.late), known.step, recent(known.burst), recent(known.early)
        )

    def _rows(self, sensor: Sensor, history: MeterHistory, begin: datetime) -> list[HourRow]:
        """Home Assistant's rows as far as the meter's memory goes."""
        last = max(history.at_end, default=begin)
        return [row for row in self._assistant.rows(sensor.statistic, begin - BEFORE) if row.start <= last]

    # What is written

    def _mend(self, finding: Finding) -> list[datetime]:
        """Write, and return the hours that are not what the meter counted even so."""
        statistic, planned = finding.sensor.statistic, finding.plan
        for shift in planned.shifts:
            self._assistant.shift(statistic, shift)
        if planned.rows:
            self._assistant.import_rows(statistic, planned.rows)
        changed = [bar.start for bar in planned.bars]
        rows = self._assistant.rows(statistic, min(changed) - 2 * HOUR)
        return differing(rows, min(changed) - HOUR, max(changed), finding.history)


def up_to(
    until: datetime | None, rows: Sequence[HourRow], history: MeterHistory
) -> tuple[Sequence[HourRow], MeterHistory]:
    """Leave out the hours from ``until`` on, but for the first right one, which shows that those before are past."""
    if until is None:
        return rows, history
    over = [row for row in rows if row.start + HOUR <= until]
    if over and over[-1].start + 2 * HOUR > until and is_good(over[-1], history):
        return over, history  # nothing is missing at the end: that row is past, and so are those before
    for place, row in enumerate(rows):
        if row.start + HOUR > until and is_good(row, history):
            at_end = {
                hour: register for hour, register in history.at_end.items() if hour + HOUR <= until or hour == row.start
            }
            return rows[: place + 1], replace(history, at_end=at_end)
    return rows, history
