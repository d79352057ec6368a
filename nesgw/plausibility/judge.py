"""How long a doubt may last: a filter may hold, never freeze. The rules themselves are in ``rules``.

A reading without doubts is accepted. One with doubts is held, and so are those after it, until they obey again or
until the longest hold of their doubts is over. Then the reading is accepted, and each doubt is settled on its own:
what the readings agreed on is taken as true and said aloud; what they did not agree on, or what is no measurement at
all, becomes ``None`` and that is said aloud too. A settled doubt holds no further reading back for a day.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from nesgw.plausibility.rules import (
    CURRENTS,
    POWERS,
    PRESENT,
    REGISTERS,
    RULE,
    RULES,
    SAME_SIZE,
    VOLTAGES,
    Kept,
    Mark,
    Reason,
    Sight,
    agree,
)
from nesgw.values import Number

AGREEING: Final = 3  # readings; one wild value and its repetition are not yet a habit (T11 lasted one)
SETTLED_FOR: Final = 86_400.0  # s since last seen; a lasting oddity is said again after a day's absence
# Present values are read in mV and mA: even two equal readings are chance. Frozen ones were seen for 15 minutes to
# nine hours (T1); more than the longest hold, so that a register held back is not taken for a frozen meter.
FROZEN_AFTER: Final = 600.0
FROZEN_READINGS: Final = 5
# A Pi without a clock does not know how long it was off. A day at max_power is more than most houses use in a month.
UNKNOWN_AGE: Final = 86_400.0


class Outcome(Enum):
    """What to do with a reading."""

    ACCEPTED = "accepted"  # publish ``values``
    SUSPECT = "suspect"  # read again at once; what stays suspect is not published
    FROZEN = "frozen"  # the meter repeats itself: make it unavailable


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one reading."""

    outcome: Outcome
    values: Mapping[str, Number | None]  # what may be published: empty unless accepted
    reasons: tuple[Reason, ...] = ()  # the doubts; of an accepted reading those that were settled just now
    message: str | None = None  # to be said aloud: in the log and on the status topic
    until: float | None = None  # of a suspect reading: when the hold ends at the latest, if readings go on

    @property
    def accepted(self) -> bool:
        """Whether the reading may be published."""
        return self.outcome is Outcome.ACCEPTED


@dataclass(slots=True)
class Statistics:
    """Counts of readings judged; a reading read again counts again."""

    accepted: int = 0
    suspect: int = 0
    frozen: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)  # suspect readings, once for each rule they broke
    last: tuple[Reason, ...] = ()  # why the latest suspect or frozen reading was turned down


@dataclass(frozen=True, slots=True)
class _Line:
    """Doubtful readings in a row that agree with one another."""

    since: float
    readings: int
    last: Reason
    at: float


@dataclass(frozen=True, slots=True)
class _Settled:
    """A doubt that holds no reading back any more: withheld, or accepted up to a size."""

    withheld: bool
    size: float
    seen: float


class Plausibility:
    """The judge of one meter's readings. Another meter needs another judge."""

    def __init__(self, max_power: float, *, register_unit: int = 1) -> None:
        """``max_power`` in W; ``register_unit`` is the meter's energy register unit, 1, 10 or 100 Wh (ET55)."""
        self.statistics = Statistics()
        self._max_power = max_power
        self._step = register_unit / 1000
        self._marks: dict[str, Mark] = {}
        self._lines: dict[tuple[str, str], _Line] = {}
        self._settled: dict[tuple[str, str], _Settled] = {}
        self._held_since: float | None = None
        self._held = 0
        self._still: dict[str, Number | None] = {}
        self._still_since = 0.0
        self._still_readings = 0
        self._frozen = False

    def judge(self, values: Mapping[str, Number | None], at: float) -> Verdict:
        """Judge a reading taken at ``at``, in monotonic seconds."""
        sight = Sight(values, self._marks, at, self._max_power, self._limit(at), self._step)
        found = [reason for rule in RULES for reason in rule.check(sight)]
        self._follow(found, sight)
        if self._stands_still(values, at):
            return self._freeze(at)
        doubts = [reason for reason in found if not self._is_settled(reason, at)]
        if doubts:
            self._held_since = at if self._held_since is None else self._held_since
            self._held += 1
            until = self._held_since + max(reason.hold for reason in doubts)
            if self._held < AGREEING or at < until:
                return self._hold(doubts, until)
        return self._accept(values, found, at)

    def restore(self, values: Mapping[str, object], at: float, age: float | None) -> None:
        """Take up what was accepted ``age`` seconds ago, before a restart; None or negative: nobody knows when.

        ``values`` may be a state object as published: whatever is no register in it is passed over.
        """
        passed = age if age is not None and age >= 0 else UNKNOWN_AGE
        for key in REGISTERS:
            value = values.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self._marks[key] = Mark(value, at - passed)

    def baseline(self) -> dict[str, Number]:
        """Return the last accepted value of each register."""
        return {key: mark.value for key, mark in self._marks.items()}

    # --- Doubts ------------------------------------------------------------------------------------------------------

    def _limit(self, at: float) -> float:
        """Return the power the meter may show: max_power, or what it proved to be possible."""
        proved = self._settled.get(("max_power", ""))
        if proved is None or proved.withheld or at - proved.seen > SETTLED_FOR:
            return self._max_power
        return max(self._max_power, proved.size * SAME_SIZE)

    def _follow(self, found: Iterable[Reason], sight: Sight) -> None:
        """Prolong the lines that this reading agrees with, begin new ones, drop the others."""
        lines = {}
        for now in found:
            line = self._lines.get(now.key)
            if line is not None and agree(line.last, now, sight.at - line.at, sight):
                lines[now.key] = _Line(line.since, line.readings + 1, now, sight.at)
            else:
                lines[now.key] = _Line(sight.at, 1, now, sight.at)
        self._lines = lines

    def _kept_to(self, reason: Reason, at: float) -> bool:
        line = self._lines[reason.key]
        return line.readings >= AGREEING and at - line.since >= reason.hold

    def _is_settled(self, reason: Reason, at: float) -> bool:
        settled = self._settled.get(reason.key)
        if settled is None or at - settled.seen > SETTLED_FOR or math.isinf(reason.hold):
            return False
        return settled.withheld or _fits(reason, settled)

    # --- Verdicts ----------------------------------------------------------------------------------------------------

    def _hold(self, doubts: list[Reason], until: float) -> Verdict:
        self.statistics.suspect += 1
        self.statistics.by_rule.update({reason.rule for reason in doubts})
        self.statistics.last = tuple(doubts)
        return Verdict(Outcome.SUSPECT, {}, tuple(doubts), until=until)

    def _accept(self, values: Mapping[str, Number | None], found: list[Reason], at: float) -> Verdict:
        accepted: list[Reason] = []  # now, after a hold
        withheld: list[Reason] = []
        for reason in found:
            settled = self._settled.get(reason.key)
            if settled is not None and not settled.withheld and _fits(reason, settled):
                self._settled[reason.key] = _Settled(False, settled.size, at)
            elif self._kept_to(reason, at):
                accepted.append(reason)
            else:
                withheld.append(reason)
        missing = {key for reason in withheld for key in reason.fields}
        accepted = [reason for reason in accepted if not missing.issuperset(reason.fields)]
        new = [reason for reason in withheld if not self._is_settled(reason, at)]
        self._settle(accepted, withheld, at)

        published = {key: None if key in missing else value for key, value in values.items()}
        for key in REGISTERS:
            if (value := published.get(key)) is not None:
                self._marks[key] = Mark(value, at)
        self._held_since, self._held = None, 0
        self.statistics.accepted += 1
        said = [*self._said_accepted(accepted, at), *_said_withheld(new)]
        if self._frozen:
            self._frozen = False
            said.insert(0, "the meter's values move again")
        return Verdict(Outcome.ACCEPTED, published, (*accepted, *new), "; ".join(said) or None)

    def _settle(self, accepted: Iterable[Reason], withheld: Iterable[Reason], at: float) -> None:
        for reason in accepted:
            if RULE[reason.rule].kept is Kept.NEW_BASELINE:
                self._settled.pop(reason.key, None)
            else:
                self._settled[reason.key] = _Settled(False, reason.value, at)
        for reason in withheld:
            self._settled[reason.key] = _Settled(True, reason.value, at)

    def _said_accepted(self, accepted: list[Reason], at: float) -> Iterable[str]:
        for rule, reasons in _by_rule(accepted).items():
            line = self._lines[reasons[0].key]
            kept = f"in {line.readings} readings over {at - line.since:.0f} s"
            yield f"{_joined(reasons)}: accepted, the meter kept to it {kept}; {RULE[rule].hint}"

    # --- Frozen values -----------------------------------------------------------------------------------------------

    def _stands_still(self, values: Mapping[str, Number | None], at: float) -> bool:
        """Whether every present value has been the same for too long while a load was drawn."""
        if any(values.get(key) != self._still.get(key) for key in PRESENT):
            self._still, self._still_since, self._still_readings = dict(values), at, 0
        self._still_readings += 1
        return (
            self._still_readings >= FROZEN_READINGS
            and at - self._still_since >= FROZEN_AFTER
            and any(values.get(key) for key in VOLTAGES)
            and any(values.get(key) for key in (*POWERS, *CURRENTS))
        )

    def _freeze(self, at: float) -> Verdict:
        seconds = at - self._still_since
        text = f"the meter has repeated the same present values for {seconds:.0f} s, to the last millivolt"
        reason = Reason("frozen", VOLTAGES, seconds, FROZEN_AFTER, text, math.inf)
        message = None if self._frozen else text
        self._frozen = True
        self.statistics.frozen += 1
        self.statistics.last = (reason,)
        return Verdict(Outcome.FROZEN, {}, (reason,), message)


def _fits(reason: Reason, settled: _Settled) -> bool:
    """Whether a doubt is no more than what was accepted before."""
    return RULE[reason.rule].kept is Kept.ACCEPTED or reason.value <= settled.size * SAME_SIZE


def _said_withheld(new: list[Reason]) -> Iterable[str]:
    for reasons in _by_rule(new).values():
        yield f"{_joined(reasons)}: the reading is accepted without it, as null"


def _by_rule(reasons: Iterable[Reason]) -> dict[str, list[Reason]]:
    grouped: dict[str, list[Reason]] = {}
    for reason in reasons:
        grouped.setdefault(reason.rule, []).append(reason)
    return grouped


def _joined(reasons: list[Reason]) -> str:
    others = ", ".join(reason.subject for reason in reasons[1:])
    return f"{reasons[0].text} (and so did {others})" if others else reasons[0].text
