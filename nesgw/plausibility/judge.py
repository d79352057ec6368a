"""How long a doubt may last: a filter may hold, never freeze. The rules themselves are in ``rules``.

A reading without doubts is accepted. One with doubts is held, and so are those after it, until they obey again or the
longest hold of their doubts is over; where they came to agree only late in it, it lasts once more. Then the reading is
accepted, and each doubt is settled on its own: what the readings agreed on is taken as true; what they did not agree
on, or what is no measurement at all, becomes ``None``. Either is logged and published as a notice, and holds no further
reading for a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from nesgw.plausibility.rules import (
    BOUNDS,
    CURRENTS,
    POWERS,
    PRESENT,
    REGISTERS,
    RULE,
    RULES,
    SAME_SIZE,
    VOLTAGES,
    Baseline,
    Context,
    Reason,
    Resolution,
    agree,
)
from nesgw.values import Number

AGREEING: Final = 3  # readings; one wild value and its repetition are not yet a habit (T11 lasted one)
EXTENDED: Final = 2  # a hold lasts twice as long where the readings agree, but came to do so late in it
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
    message: str | None = None  # for the log and the status topic

    @property
    def accepted(self) -> bool:
        """Whether the reading may be published."""
        return self.outcome is Outcome.ACCEPTED

    def undoubted(self, values: Mapping[str, Number | None]) -> dict[str, Number | None]:
        """Return a reading with None for all that is doubted, for those who cannot wait what the meter keeps to."""
        doubted = {key for reason in self.reasons for key in reason.fields}
        return {key: None if key in doubted else value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class _Streak:
    """Doubtful readings in a row that agree with one another."""

    first: float  # the doubtful figure at the beginning
    since: float
    readings: int
    last: Reason
    at: float


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A doubt that the meter has answered: accepted, up to about this size."""

    size: float
    seen: float


class Plausibility:
    """The judge of one meter's readings. Another meter needs another judge."""

    def __init__(self, max_power: float, *, register_unit: int = 1) -> None:
        """``max_power`` in W; ``register_unit`` is the meter's energy register unit, 1, 10 or 100 Wh (ET55)."""
        self._max_power = max_power
        self._step = register_unit / 1000
        self._marks: dict[str, Baseline] = {}
        self._lines: dict[tuple[str, str], _Streak] = {}
        self._believed: dict[tuple[str, str], _Accepted] = {}
        self._distrusted: dict[str, float] = {}  # fields withheld, and when they were last doubtful
        self._held_since: float | None = None
        self._held = 0
        self._still: dict[str, Number | None] = {}
        self._still_since = 0.0
        self._still_readings = 0
        self._frozen = False

    def judge(self, values: Mapping[str, Number | None], at: float) -> Verdict:
        """Judge a reading taken at ``at``, in monotonic seconds."""
        context = Context(values, self._marks, at, self._max_power, self._limit(at), self._step)
        found = [reason for rule in RULES for reason in rule.check(context)]
        if any(math.isinf(reason.hold) for reason in found):
            return _held(found)  # no measurement: it supports no story and lets no hold run out
        self._follow(found, context)
        if self._stands_still(values, at):
            return self._freeze(at)
        doubts = [reason for reason in found if not self._is_settled(reason, at)]
        if doubts:
            self._held_since = at if self._held_since is None else self._held_since
            self._held += 1
            rounds = EXTENDED if self._is_converging(doubts, at) else 1
            until = self._held_since + rounds * max(reason.hold for reason in doubts)
            if self._held < rounds * AGREEING or at < until:
                return _held(doubts)
        return self._accept(values, found, at)

    def restore(self, values: Mapping[str, object], at: float, age: float | None) -> None:
        """Take up what was accepted ``age`` seconds ago, before a restart; None or negative: nobody knows when.

        ``values`` may be a state object as published: whatever is no register in it is passed over.
        """
        passed = age if age is not None and age >= 0 else UNKNOWN_AGE
        for key in REGISTERS:
            value = values.get(key)
            low, high = BOUNDS[key]
            if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
                self._marks[key] = Baseline(value, at - passed, at - passed)

    def fallen(self) -> dict[str, Number]:
        """Return the registers that are null because they fell, with what they fell from: for ``restore``."""
        return {key: self._marks[key].value for key in REGISTERS if key in self._distrusted and key in self._marks}

    # --- Doubts ------------------------------------------------------------------------------------------------------

    def _limit(self, at: float) -> float:
        """Return the power the meter may show: max_power, or what it proved to be possible."""
        proved = self._believed.get(("max_power", ""))
        if proved is None or at - proved.seen > SETTLED_FOR:
            return self._max_power
        return max(self._max_power, proved.size * SAME_SIZE)

    def _follow(self, found: Iterable[Reason], context: Context) -> None:
        """Prolong the lines that this reading agrees with, begin new ones, drop the others."""
        lines: dict[tuple[str, str], _Streak] = {}
        for now in found:
            power = lines.get(("max_power", ""))  # doubted before energy is
            if power is not None and power.readings > 1:  # two powers that agree explain the growth between them
                context = replace(context, limit=max(context.limit, power.last.value * SAME_SIZE))
            line = self._lines.get(now.key)
            if line is not None and agree(line.last, now, context.at - line.at, context):
                lines[now.key] = _Streak(line.first, line.since, line.readings + 1, now, context.at)
            else:
                lines[now.key] = _Streak(now.value, context.at, 1, now, context.at)
        self._lines = lines

    def _kept_to(self, reason: Reason, at: float) -> bool:
        line = self._lines[reason.key]
        return line.readings >= AGREEING and at - line.since >= reason.hold

    def _is_proved(self, reason: Reason, at: float) -> bool:
        """Whether the meter has kept to a value for long enough, and counted on from it where that is asked for."""
        line = self._lines[reason.key]
        kept_for = at - line.since
        counted_on = line.last.value > line.first or not reason.proof
        proved = (counted_on and kept_for >= reason.proof) or kept_for >= reason.proof_without_counting
        return proved and self._kept_to(reason, at)

    def _is_converging(self, doubts: Iterable[Reason], at: float) -> bool:
        """Whether the usual time is over while readings have begun to agree: their story began or changed late."""
        if self._held_since is None or self._held < AGREEING:
            return False
        late = [reason for reason in doubts if at - self._held_since >= reason.hold and not self._kept_to(reason, at)]
        return any(self._lines[reason.key].readings > 1 for reason in late if not _is_no_measurement(reason))

    def _is_believed(self, reason: Reason, at: float) -> bool:
        """Whether a doubt is no more than what was accepted before."""
        believed = self._believed.get(reason.key)
        if believed is None or at - believed.seen > SETTLED_FOR:
            return False
        return _compares(reason) or reason.value <= believed.size * SAME_SIZE

    def _is_withheld(self, reason: Reason, at: float) -> bool:
        """Whether a doubt is about fields that are withheld anyway while they are doubtful."""
        fields = [at - self._distrusted.get(key, -math.inf) <= SETTLED_FOR for key in reason.fields]
        return any(fields) if _compares(reason) else all(fields)

    def _is_settled(self, reason: Reason, at: float) -> bool:
        return not math.isinf(reason.hold) and (self._is_believed(reason, at) or self._is_withheld(reason, at))

    # --- Verdicts ----------------------------------------------------------------------------------------------------

    def _accept(self, values: Mapping[str, Number | None], found: list[Reason], at: float) -> Verdict:
        believed = [reason for reason in found if self._is_believed(reason, at)]
        accepted: list[Reason] = []
        withheld: list[Reason] = []
        missing: set[str] = set()
        for reason in found:
            if reason in believed or (_compares(reason) and not missing.isdisjoint(reason.fields)):
                continue
            if self._is_proved(reason, at):
                accepted.append(reason)
            else:
                withheld.append(reason)
                missing.update(reason.fields)
        accepted = [reason for reason in accepted if not missing.issuperset(reason.fields)]
        fresh = [reason for reason in withheld if not self._is_withheld(reason, at)]
        self._settle(believed, accepted, at)
        self._distrusted |= dict.fromkeys(missing, at)

        published = {key: None if key in missing else value for key, value in values.items()}
        for key in REGISTERS:
            if (value := published.get(key)) is not None:
                self._marks[key] = _baseline(self._marks.get(key), value, at)
        self._held_since, self._held = None, 0
        said = [*self._said_accepted(accepted, at), *_said_withheld(fresh)]
        if self._frozen:
            self._frozen = False
            said.insert(0, "the meter's values move again")
        return Verdict(Outcome.ACCEPTED, published, (*accepted, *fresh), "; ".join(said) or None)

    def _settle(self, believed: Iterable[Reason], accepted: Iterable[Reason], at: float) -> None:
        for reason in believed:
            self._believed[reason.key] = _Accepted(self._believed[reason.key].size, at)
        for reason in accepted:
            for key in reason.fields:
                self._distrusted.pop(key, None)
            if RULE[reason.rule].kept is not Resolution.NEW_BASELINE:
                self._believed[reason.key] = _Accepted(reason.value, at)

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
        return Verdict(Outcome.FROZEN, {}, (reason,), message)


def _held(doubts: list[Reason]) -> Verdict:
    return Verdict(Outcome.SUSPECT, {}, tuple(doubts))


def _baseline(before: Baseline | None, value: Number, at: float) -> Baseline:
    return Baseline(value, at, before.moved if before and before.value == value else at)


def _compares(reason: Reason) -> bool:
    """Whether a doubt sets fields against one another: pointless where one of them is withheld."""
    return RULE[reason.rule].kept is Resolution.ACCEPTED


def _is_no_measurement(reason: Reason) -> bool:
    return RULE[reason.rule].kept is Resolution.WITHHELD


def _said_withheld(fresh: list[Reason]) -> Iterable[str]:
    for reasons in _by_rule(fresh).values():
        yield f"{_joined(reasons)}: the reading is accepted without it, as null"


def _by_rule(reasons: Iterable[Reason]) -> dict[str, list[Reason]]:
    grouped: dict[str, list[Reason]] = {}
    for reason in reasons:
        grouped.setdefault(reason.rule, []).append(reason)
    return grouped


def _joined(reasons: list[Reason]) -> str:
    others = ", ".join(reason.subject for reason in reasons[1:])
    return f"{reasons[0].text} (and so did {others})" if others else reasons[0].text
