"""One meter's loop: polls on the beat, has each reading judged, publishes it, and says once when something changes.

A thread of its own. Blocks nothing but itself; nothing that a meter or a probe does ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from nesgw.errors import NesgwError, OperatorNeeded, ProtocolMisuse, Stopped
from nesgw.meter import Facts, Meter
from nesgw.plausibility import Outcome, Plausibility, Verdict
from nesgw.publishers.console import summary
from nesgw.publishers.outlet import Outlet
from nesgw.publishers.payloads import MeterStatus
from nesgw.schedule import Backoff, Beat
from nesgw.values import Reading

# Fresh means: accepted within three poll intervals, at least 30 s.
STALE_POLLS: Final = 3
STALE_SECONDS: Final = 30.0

# A poll is given up after one interval, but not before a meter that needs all its repetitions could answer,
# and not later than a minute. Learning the meter's dimensions is allowed as much again.
SHORTEST_LIMIT: Final = 10.0
LONGEST_LIMIT: Final = 30.0
LEARNING: Final = 20.0

# A refused key: asked again after five minutes, then ever more rarely. A meter counts refusals, raises an alarm,
# and from firmware 4.30 on may lock its port.
FIRST_PAUSE: Final = 300.0
LONGEST_PAUSE: Final = 3600.0

# One poll that fails is nothing to wake anybody for; two in a row are.
FAILURES_TO_REPORT: Final = 2


class Worker(threading.Thread):
    """Reads one meter until ``stop`` is set."""

    def __init__(
        self,
        name: str,
        make_meter: Callable[[Callable[[], bool]], Meter],
        outlet: Outlet,
        *,
        poll_interval: float,
        max_power: float,
        stop: threading.Event,
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
        self._outlet = outlet
        self._interval = poll_interval
        self._limit = min(max(poll_interval, SHORTEST_LIMIT), LONGEST_LIMIT)
        self._max_power = max_power
        self._ending = stop
        self._clock = clock
        self._pause = pause or stop.wait
        self._log = structlog.get_logger().bind(meter=name)
        self._plausibility = Plausibility(max_power)
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._not_before = 0.0
        self._accepted_at: float | None = None
        self._failing_since: float | None = None
        self._reported: str | None = None

    def run(self) -> None:
        """Poll on the beat until told to stop; then end the meter's session."""
        try:
            beat = Beat(self._clock(), self._interval)
            due = beat.start
            while self._wait_until(max(due, self._not_before)):
                self._poll()
                due = beat.after(self._clock(), due)
        except Exception as defect:  # the main thread ends the process with it
            self.defect = defect
            self._ending.set()
        finally:
            self._meter.close()

    def _turn(self) -> bool:
        """Called several times a second in every wait: shows that the loop lives, and notices stale readings."""
        self.pulse = self._clock()
        limit = max(STALE_POLLS * self._interval, STALE_SECONDS)
        if self.online and self._accepted_at is not None and self.pulse - self._accepted_at > limit:
            self.online = False
            self._outlet.available(online=False)
            self._log.error(
                f"no reading for {limit:.0f} s: the meter is unavailable", last_error=self.status.last_error
            )
        return self._ending.is_set()

    def _wait_until(self, due: float) -> bool:
        while not self._turn():
            remaining = due - self._clock()
            if remaining <= 0:
                return True
            self._pause(min(remaining, 1.0))
        return False

    def _poll(self) -> None:
        started = self._clock()
        self.status = replace(self.status, polls=self.status.polls + 1)
        try:
            reading, verdict = self._read(started)
        except Stopped:
            return
        except ProtocolMisuse:
            raise  # ours, not the meter's
        except NesgwError as error:
            self._failed(error)
        else:
            if verdict.message:
                self._log.warning(verdict.message)
                self.status = replace(self.status, notice=verdict.message)
            if verdict.accepted:
                self._accepted(replace(reading, values=verdict.values))
            else:
                self._rejected(verdict)
        sent, received = self._meter.traffic
        self.status = replace(
            self.status,
            poll_duration_ms=round(1000 * (self._clock() - started)),
            bytes_sent=sent,
            bytes_received=received,
        )
        self._outlet.report(self.status)

    def _read(self, started: float) -> tuple[Reading, Verdict]:
        """Read once; a suspect reading is read again at once, after asking the meter whether it is still the same."""
        until = started + self._limit + (LEARNING if self.facts is None else 0.0)
        with self._meter.session(until):
            self._meet(self._meter.facts())
            reading = self._meter.read()
            verdict = self._plausibility.judge(reading.values, self._clock())
            if verdict.outcome is Outcome.SUSPECT:
                self._meet(self._meter.facts(verify=True))
                reading = self._meter.read()
                verdict = self._plausibility.judge(reading.values, self._clock())
        return reading, verdict

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
                self._plausibility = Plausibility(self._max_power)
                self.online = False
        if known is None or (known.identity, known.layout.fields) != (identity, layout.fields):
            self._outlet.identify(identity, layout.fields)

    def _accepted(self, reading: Reading) -> None:
        self._accepted_at = self._clock()
        self.reading = reading
        self._backoff.reset()
        self._outlet.accept(reading)
        if not self.online:
            self.online = True
            self._outlet.available(online=True)
        if self._failing_since is not None and self._reported is not None:
            lost = self.status.consecutive_failures
            self._log.info(f"reading again after {self._clock() - self._failing_since:.0f} s", failed_polls=lost)
        self._failing_since = None
        self._reported = None
        self.status = replace(self.status, last_read=reading.time, consecutive_failures=0, last_error=None)

    def _rejected(self, verdict: Verdict) -> None:
        sentence = "reading rejected: " + "; ".join(reason.text for reason in verdict.reasons)
        self.status = replace(self.status, rejected=self.status.rejected + 1, last_error=sentence)
        self._report("rejected", sentence, at_once=True)
        if verdict.outcome is Outcome.FROZEN and self.online:
            self.online = False
            self._outlet.available(online=False)

    def _failed(self, error: NesgwError) -> None:
        failures = dict(self.status.failures)
        failures[error.kind] = failures.get(error.kind, 0) + 1
        self.status = replace(
            self.status,
            failures=failures,
            consecutive_failures=self.status.consecutive_failures + 1,
            last_error=str(error),
        )
        if isinstance(error, OperatorNeeded):
            pause = self._backoff.pause()
            self._not_before = self._clock() + pause
            self._report(error.kind, f"{error}; asking again in {pause / 60:.0f} min", at_once=True)
        else:
            self._report(error.kind, str(error), at_once=False)

    def _report(self, kind: str, sentence: str, *, at_once: bool) -> None:
        """Say a trouble once, until it has gone or become another one."""
        if self._failing_since is None:
            self._failing_since = self._clock()
        if kind != self._reported and (at_once or self.status.consecutive_failures >= FAILURES_TO_REPORT):
            self._reported = kind
            self._log.warning(sentence)

    def in_words(self) -> str:
        """Say how the meter stands, for systemctl status."""
        if not self.online or self.reading is None:
            return f"{self.meter_name}: {self.status.last_error or 'waiting for the first reading'}"
        read_at = self.reading.time.astimezone()
        return f"{self.meter_name}: {summary(self.reading.values)} at {read_at:%H:%M:%S}"
