"""One meter's loop: polls on the beat, has each reading judged, publishes it, and says once when something changes.

A thread of its own. Blocks nothing but itself; nothing that a meter or a probe does ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Final

import structlog

from nesgw.errors import (
    IdentityTaken,
    KeyRefused,
    NesgwError,
    OperatorNeeded,
    PortBusy,
    PortUnavailable,
    ProtocolMisuse,
    Stopped,
)
from nesgw.gateway.schedule import Backoff, Beat
from nesgw.meter.port_loan import BETWEEN_CLOSE_BEATS, HANDED_BACK, LEAST, LOOK, Host
from nesgw.meter.session import Facts, Meter
from nesgw.plausibility import Outcome, Plausibility, Verdict
from nesgw.publishers.console import summary
from nesgw.publishers.meter_publisher import LastAccepted, MeterPublisher
from nesgw.publishers.payloads import MeterStatus
from nesgw.values import Reading

if TYPE_CHECKING:
    from nesgw.gateway.slow_tables import Background

# Fresh means: accepted within three poll intervals, at least 30 s.
STALE_POLLS: Final = 3
STALE_SECONDS: Final = 30.0

# A poll is given up so early that the next beat is met, ending what may be left of a session included; but not
# before a packet could be sent four times, two seconds apart, and not later than a minute. Learning the meter's
# dimensions is allowed as much again.
BEFORE_BEAT: Final = 1.5
SHORTEST_LIMIT: Final = 8.5
LONGEST_LIMIT: Final = 30.0
LEARNING: Final = 20.0

# A refused key: asked again after five minutes, then ever more rarely. A meter counts refusals, raises an alarm,
# and from firmware 4.30 on may lock its port.
FIRST_PAUSE: Final = 300.0
LONGEST_PAUSE: Final = 3600.0

# A meter that nesgw cannot read may just be starting: asked again at the next poll, then ever more rarely too.
# One that failed to answer gets a second chance at once, for it may have been a passing trouble, and then one at the
# usual pace: an interval of an hour must not cost an hour. A probe that is plugged in again is taken up in seconds.
FIRST_RETRY: Final = 1.0
LATER_RETRY: Final = 10.0
PORT_RETRY: Final = 5.0

# Slower than this the shortest limit grows with the time that the bytes of a poll take.
SLOW_BAUD: Final = 2400

# Of each interval so much is left to the line: for the next beat to be on time, and for a MEP device.
REST: Final = 0.2
LEAST_REST: Final = 0.15  # seconds

# A guest of the port is noticed so soon; each look costs a part of what a poll does.
GUEST_WAITS: Final = 2.0

# One poll that fails is nothing to wake anybody for; two in a row are.
FAILURES_TO_REPORT: Final = 2

# Seconds for which a trouble that was told is not told again: one that comes and goes would fill the journal.
TOLD_FOR: Final = 600.0


class Worker(threading.Thread):
    """Reads one meter until ``stop`` is set; calls ``news`` when it stands otherwise with the meter than before."""

    def __init__(
        self,
        name: str,
        make_meter: Callable[[Callable[[], bool]], Meter],
        publisher: MeterPublisher,
        *,
        poll_interval: float,
        max_power: float,
        stop: threading.Event,
        baud: int = 9600,
        zone: tzinfo | None = None,
        guests: Host | None = None,
        news: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(name=f"meter-{name}", daemon=True)
        self.meter_name = name
        self.pulse = clock()  # when the loop last turned: the watchdog's evidence
        self.defect: Exception | None = None  # what ended the loop although it should not have
        self.status = MeterStatus()
        self.facts: Facts | None = None
        self.reading: Reading | None = None
        self.online = False
        self._meter = make_meter(self._turn)
        self._publisher = publisher
        self._interval = poll_interval
        self._limit = min(max(poll_interval - BEFORE_BEAT, SHORTEST_LIMIT), LONGEST_LIMIT) * max(1.0, SLOW_BAUD / baud)
        self._max_power = max_power
        self._ending = stop
        self._clock = clock
        self._pause = pause or stop.wait
        self._log = structlog.get_logger().bind(meter=name)
        self._plausibility = Plausibility(max_power)
        self._background: Background | None = None
        self._remarks: dict[str, str] = {}  # what was said last of each slow table
        self._baud = baud
        self._zone = zone
        self._guests = guests
        self._news = news
        self._key_backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._other_backoff = Backoff(poll_interval, LONGEST_PAUSE)
        self._not_before = 0.0
        self._not_after = float("inf")
        self._fresh_for = max(STALE_POLLS * poll_interval, STALE_SECONDS)
        self._fresh_until = float("inf")
        self._failing_since: float | None = None
        self._reported: set[str] = set()  # what was told of the present trouble
        self._told_at: dict[str, float] = {}  # and when each kind of trouble was told last

    def run(self) -> None:
        """Poll on the beat until told to stop; then end the meter's session."""
        try:
            beat = Beat(self._clock(), self._interval)
            due = beat.start
            while self._wait_until(max(min(due, self._not_after), self._not_before)):
                self._not_after = float("inf")
                self._poll(slack_ends=beat.after(self._clock()) - max(LEAST_REST, REST * self._interval))
                due = beat.after(self._clock(), due)
        except Exception as defect:  # the main thread ends the process with it
            self.defect = defect
            self._ending.set()
            self._news()
        finally:
            self._meter.close()

    def _turn(self) -> bool:
        """Called several times a second in every wait: shows that the loop lives, and notices stale readings."""
        self.pulse = self._clock()
        if self.online and self.pulse > self._fresh_until:
            self.online = False
            self._publisher.available(online=False)
            self._reported.add("unavailable")
            sentence = f"no reading for {self._fresh_for:.0f} s: the meter is unavailable"
            self._log.error(sentence, last_error=self.status.last_error)
            self._news()
        return self._ending.is_set()

    def _wait_until(self, due: float) -> bool:
        while not self._turn():
            if self._guests and self._guests.waiting and (until := self._lendable(due)) is not None:
                self._lend(self._guests, until)
            remaining = due - self._clock()
            if remaining <= 0:
                return True
            self._pause(min(remaining, GUEST_WAITS))
        return False

    # The port's other users

    def _lendable(self, due: float) -> float | None:
        """Until when a guest may have the port; None where it has to wait for the next poll to be over."""
        now = self._clock()
        if due - HANDED_BACK - now >= LEAST:
            return due - HANDED_BACK
        return now + BETWEEN_CLOSE_BEATS if now < due and self._interval < BETWEEN_CLOSE_BEATS else None

    def _lend(self, guests: Host, until: float) -> None:
        """Let the guest have the port until then, or until it has gone."""
        try:
            self._meter.lend()
            guests.grant(until)
            while not self._turn() and guests.waiting and (remaining := until - self._clock()) > 0:
                self._pause(min(remaining, LOOK))
            guests.withdraw()
            self._meter.reclaim()
        except PortUnavailable as problem:
            self._log.debug(str(problem))  # the next poll finds it, too, and counts it

    def _poll(self, slack_ends: float) -> None:
        """Read, judge and publish; then, with what is left of the interval, look at what changes slowly."""
        started = self._clock()
        before = self.status.id, self.online, self.status.last_error
        self.status = replace(self.status, polls=self.status.polls + 1)
        done = False
        try:
            with self._meter.session(started + self._limit + (LEARNING if self._meter.to_be_learnt else 0.0)):
                self._meet(self._meter.facts(expect=self._publisher.expect))
                self._meter.look_for_traces()
                self._settle(*self._read())
                self.status = replace(self.status, poll_duration_ms=round(1000 * (self._clock() - started)))
                done = True
                self._look_around(slack_ends)
        except Stopped:
            return
        except ProtocolMisuse:
            raise  # ours, not the meter's
        except NesgwError as error:
            if isinstance(error, IdentityTaken):
                self.facts = None  # the next poll tries again to publish it
            if done:
                self._count(error)
            else:
                self._failed(error)
        self._say_which_session()
        sent, received = self._meter.traffic
        self.status = replace(self.status, bytes_sent=sent, bytes_received=received)
        self._publisher.report(self.status)
        if (self.status.id, self.online, self.status.last_error) != before:
            self._news()

    def _read(self) -> tuple[Reading, Verdict]:
        """Read once; a suspect reading is read again at once, after asking the meter whether it is still the same."""
        reading = self._meter.read()
        verdict = self._plausibility.judge(reading.values, self._clock())
        if verdict.outcome is Outcome.SUSPECT:
            self._meet(self._meter.facts(verify=True))
            reading = self._meter.read()
            verdict = self._plausibility.judge(reading.values, self._clock())
        return reading, verdict

    def _settle(self, reading: Reading, verdict: Verdict) -> None:
        if verdict.message:
            self._log.warning(verdict.message)
            self.status = replace(self.status, notice=verdict.message)
        if verdict.accepted:
            self._accepted(replace(reading, values=verdict.values))
        else:
            self._rejected(verdict)

    # What changes slowly

    def _look_around(self, until: float) -> None:
        """Read the slow tables that are due, as far as the time goes."""
        from nesgw.gateway import slow_tables as slow  # the first value is out, and did not have to wait for this

        assert self.facts is not None  # noqa: S101 (there is a reading)
        background = self._background
        if background is None or background.facts is not self.facts:
            # Of the same meter: the status lags behind until the broker has them.
            told = self.status.last_event, self.status.last_outage
            marks = background.bookmarks if background else slow.Bookmarks(*told)
            background = self._background = slow.Background(self.facts, marks, zone=self._zone, baud=self._baud)
        listening = self._publisher.listening
        if listening:
            # Only what the broker has counts as published: after a restart the rest is found in the meter again.
            marks = background.bookmarks
            self.status = replace(self.status, last_event=marks.events, last_outage=marks.outages)
        for finding in background.run(self._meter.get, self._clock, until, logs=listening):
            match finding:
                case slow.AlarmsFound(keys):
                    self._compare_alarms(keys)
                case slow.DriftFound(seconds):
                    self.status = replace(self.status, clock_drift_s=seconds)
                case slow.EventsFound():
                    self._publisher.emit(finding.entries)
                case slow.SubMeterFound(reading):
                    self._publisher.accept_sub_meter(reading, slow.SUB_METERS_EVERY)
        for remark in background.take_remarks():
            task = remark.partition(":")[0]
            if self._remarks.get(task) != remark:  # asked again every hour, and the answer is mostly the same
                self._remarks[task] = remark
                self._log.info(remark)

    def _compare_alarms(self, keys: tuple[str, ...]) -> None:
        before = self.status.alarms
        self.status = replace(self.status, alarms=keys)
        if before is not None and (new := [key for key in keys if key not in before]):
            self._log.warning(f"the meter raised: {', '.join(new)}")

    # News

    def _meet(self, facts: Facts) -> None:
        """Take note of who the meter is and what it has, if that is news."""
        known = self.facts
        if known is facts:
            return
        self.facts = facts
        identity, layout = facts.identity, facts.layout
        another = known is None or known.identity.id != identity.id
        if another:
            self._log.info(
                f"reading {identity.manufacturer} {identity.model}, serial number "
                f"{identity.utility_serial or identity.manufacturer_serial}, firmware {identity.firmware}",
                id=identity.id,
                fields=len(layout.fields),
            )
            for remark in layout.remarks:
                self._log.info(remark)
            if known is not None:
                self._log.warning(
                    "another meter is on this port: it becomes a device of its own", was=known.identity.id
                )
                self.online = False
            self._remarks.clear()
            self._plausibility = Plausibility(self._max_power, register_unit=layout.energy_unit)
            self._background = None
            self.status = replace(self.status, id=identity.id, alarms=None, last_event=None, last_outage=None)
        if another or _announced(known) != _announced(facts):
            alarms = facts.alarms.alarms if facts.alarms else ()
            self._remember(self._publisher.identify(identity, layout.fields, alarms=alarms, events=facts.logs))

    def _remember(self, last: LastAccepted | None) -> None:
        """Go on from what an earlier process accepted last of this meter."""
        if last is None:
            return
        marks = [
            mark if isinstance(mark := last.status.get(key), int) else None for key in ("last_event", "last_outage")
        ]
        self.status = replace(self.status, last_event=marks[0], last_outage=marks[1])
        if not last.state:
            return
        self._plausibility.restore(last.state, self._clock(), last.age)
        since = "at an unknown time" if last.age is None else f"{last.age:.0f} s ago"
        self._log.info(f"going on from the reading accepted {since}")

    def _say_which_session(self) -> None:
        """Say once how sessions are held, and why."""
        mode, reason = self._meter.mode, self._meter.mode_reason
        if (mode, reason) != (self.status.session, self.status.session_reason):
            self.status = replace(self.status, session=mode, session_reason=reason)
            self._log.info(f"session {mode} ({reason})")

    def _accepted(self, reading: Reading) -> None:
        self._fresh_until = self._clock() + self._fresh_for
        self.reading = reading
        self._key_backoff.reset()
        self._other_backoff.reset()
        self._publisher.accept(reading)
        if not self.online:
            self.online = True
            self._publisher.available(online=True)
        if self._failing_since is not None and self._reported:
            lost = self.status.consecutive_failures
            self._log.info(f"reading again after {self._clock() - self._failing_since:.0f} s", failed_polls=lost)
        self._failing_since = None
        self._reported.clear()
        self.status = replace(
            self.status, last_read=reading.time, consecutive_failures=0, last_error=None, last_error_kind=None
        )

    def _rejected(self, verdict: Verdict) -> None:
        sentence = "reading rejected: " + "; ".join(reason.text for reason in verdict.reasons)
        self.status = replace(
            self.status, rejected=self.status.rejected + 1, last_error=sentence, last_error_kind="rejected"
        )
        self._report("rejected", sentence, at_once=True)
        if verdict.outcome is Outcome.FROZEN and self.online:
            self.online = False
            self._publisher.available(online=False)

    def _count(self, error: NesgwError) -> None:
        failures = dict(self.status.failures)
        failures[error.kind] = failures.get(error.kind, 0) + 1
        self.status = replace(self.status, failures=failures)

    def _failed(self, error: NesgwError) -> None:
        self._count(error)
        self.status = replace(
            self.status,
            consecutive_failures=self.status.consecutive_failures + 1,
            last_error=str(error),
            last_error_kind=error.kind,
        )
        kind = type(error).__name__
        if isinstance(error, OperatorNeeded):
            pause = (self._key_backoff if isinstance(error, KeyRefused) else self._other_backoff).pause()
            self._not_before = self._clock() + pause
            self._report(kind, f"{error}; asking again in {_duration(pause)}", at_once=True)
        else:
            if isinstance(error, PortBusy) and self._guests and self._guests.waiting:
                self._guests.grant(self._clock())  # a guest of before our time, or one that overstays
            self._not_after = self._clock() + self._retry(error)
            self._report(kind, str(error), at_once=False)

    def _retry(self, error: NesgwError) -> float:
        if isinstance(error, PortUnavailable):
            return PORT_RETRY
        return FIRST_RETRY if self.status.consecutive_failures == 1 else LATER_RETRY

    def _report(self, kind: str, sentence: str, *, at_once: bool) -> None:
        """Say a trouble once, until it has gone; another one that takes turns with it once as well."""
        if self._failing_since is None:
            self._failing_since = self._clock()
        now = self._clock()
        if now - self._told_at.get(kind, float("-inf")) < TOLD_FOR:
            return
        if kind not in self._reported and (at_once or self.status.consecutive_failures >= FAILURES_TO_REPORT):
            self._reported.add(kind)
            self._told_at[kind] = now
            self._log.warning(sentence)

    def in_words(self) -> str:
        """Say how the meter stands, for systemctl status."""
        if not self.online or self.reading is None or self._clock() < self._not_before:
            return f"{self.meter_name}: {self.status.last_error or 'waiting for the first reading'}"
        read_at = self.reading.time.astimezone()
        return f"{self.meter_name}: {summary(self.reading.values)} at {read_at:%H:%M:%S}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _announced(facts: Facts | None) -> object:
    """Return what a discovery message says of the meter."""
    return facts and (facts.identity, facts.layout.fields, facts.alarms, facts.logs)
