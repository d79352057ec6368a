"""One meter's loop: polls on the beat, has each reading judged and publishes it; reads all else in the gaps.

A thread of its own, and the only one that talks with the meter. Blocks nothing but itself; nothing that a meter, a
probe or a command does ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final

import structlog

from nesgw.config.settings import MeterSettings
from nesgw.errors import IdentityTaken, NesgwError, OperatorNeeded, ProtocolMisuse, QuietNow, Stopped
from nesgw.gateway.account import Account
from nesgw.gateway.freshness import Freshness
from nesgw.gateway.quiet import BEFORE, QuietTime
from nesgw.gateway.read_server import ReadServer
from nesgw.gateway.retries import Retries
from nesgw.gateway.schedule import LEAST_REST, Beat, Gap
from nesgw.gateway.serving import BURST, Serving
from nesgw.gateway.slow_readings import SlowReadings
from nesgw.gateway.trouble_log import TroubleLog
from nesgw.meter.meter import Meter
from nesgw.meter.poll_plan import PollPlan, has_energies
from nesgw.meter.profile import Facts
from nesgw.plausibility import Outcome, Plausibility, Verdict
from nesgw.publishers.console import summary
from nesgw.publishers.meter_publisher import LastAccepted, MeterPublisher
from nesgw.publishers.payloads import MeterStatus
from nesgw.values import Reading

# A poll is given up so early that the next beat is met, ending what may be left of a session included; but not
# before a packet could be sent four times, two seconds apart, and not later than a minute. Learning the meter's
# dimensions is allowed as much again.
BEFORE_BEAT: Final = 1.5
SHORTEST_LIMIT: Final = 8.5
LONGEST_LIMIT: Final = 30.0
LEARNING: Final = 20.0

# Where a port asks for one read a second on average, each that it holds up is allowed a second more: so many reads at
# the most is a poll, in the small pieces that a weak port can send, and so many is learning.
POLL_READS: Final = 15
LEARNING_READS: Final = 60

SESSION_REQUESTS: Final = 6  # that open and end a session

# In front of the quiet window: what ending a session takes at the most, and how much longer a poll may take than the
# one before.
TO_END_SESSION: Final = 2.5  # seconds
POLL_MARGIN: Final = 1.5

# Slower than this the shortest limit grows with the time that the bytes of a poll take.
SLOW_BAUD: Final = 2400

ENERGIES_RARELY: Final = (
    "this poll_interval is shorter than the MEP port's pace allows: the power is read with each poll, "
    "the energies every ten seconds, and null in between; at 3s and more every reading has both"
)

_EXCHANGED: Final = "the meter was exchanged and has the former's number: it goes on as that"
LONGEST_WAIT: Final = 2.0  # seconds between two signs of life while there is nothing to do


class Worker(threading.Thread):
    """Reads one meter until ``stop`` is set; calls ``on_change`` when the meter's status has changed.

    ``make_meter`` is given what the meter asks in every wait: whether to end. ``server`` takes commands' requests.
    """

    def __init__(
        self,
        settings: MeterSettings,
        make_meter: Callable[[Callable[[], bool]], Meter],
        publisher: MeterPublisher,
        *,
        stop: threading.Event,
        zone: tzinfo | None = None,
        server: ReadServer | None = None,
        on_change: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        pause: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(name=f"meter-{settings.name}", daemon=True)
        self.meter_name = settings.name
        self.pulse = clock()  # when the loop last turned: the watchdog's evidence
        self.defect: Exception | None = None  # what ended the loop although it should not have
        self.facts: Facts | None = None
        self.reading: Reading | None = None
        self.wake = threading.Event()  # ends a pause early
        self._meter = make_meter(self._is_ending)
        self._publisher = publisher
        self._interval = interval = settings.poll_interval
        self._limit = min(max(interval - BEFORE_BEAT, SHORTEST_LIMIT), LONGEST_LIMIT)
        self._limit *= max(1.0, SLOW_BAUD / settings.baud)
        self._settings = settings
        self._stop_event = stop
        self._clock = clock
        self._pause = pause or self._until_woken
        self._log = structlog.get_logger().bind(meter=settings.name)
        self._plausibility = Plausibility(settings.power_limit())
        self._account = Account()
        self._freshness = Freshness(interval, lambda online: publisher.available(online=online))
        self._troubles = TroubleLog(self._log, clock)
        self._retries = Retries(interval)
        self.slow = SlowReadings(
            publisher, self._account, self._troubles, self._log, zone=zone, clock=clock, wall_clock=wall_clock
        )
        self._plan = PollPlan(interval)
        self._notice: NesgwError | None = None  # of the port, as said last
        self._server = server
        self._serving = Serving(server, self._meter, clock, self._serving_pause) if server else None
        self._on_change = on_change
        self._quiet = QuietTime(settings.quiet, wall_clock, zone)
        self._is_quiet = False
        self._poll_takes = BEFORE  # seconds to leave to a poll in front of the quiet window

    @property
    def status(self) -> MeterStatus:
        """How reading goes."""
        return self._account.status

    @property
    def online(self) -> bool:
        """Whether the meter's readings are fresh."""
        return self._freshness.online

    def run(self) -> None:
        """Poll on the beat until told to stop; then end the meter's session."""
        if self._server:
            self._server.start(self.wake.set)
        try:
            beat = Beat(self._clock(), self._interval)
            due = beat.start
            while self._wait_until(self._retries.due(due), beat):
                self._retries.begun()
                if not self._plan.leaves_out(self._meter.spare):
                    self._poll(beat)
                due = beat.after(self._clock())
        except Exception as defect:  # the main thread ends the process with it
            self.defect = defect
            self._stop_event.set()
            self._on_change()
        finally:
            self._meter.close()
            if self._server:
                self._server.stop()

    def look(self) -> None:
        """Notice that the last reading has become too old. For whoever watches; from any thread."""
        if self._freshness.look(self._clock()):
            sentence = f"no reading for {self._freshness.lasts:.0f} s: the meter is unavailable"
            self._troubles.unavailable(sentence, self.status.last_error)
            self._on_change()

    def _is_ending(self) -> bool:
        """Asked several times a second in every wait, which also shows that the loop lives."""
        self.pulse = self._clock()
        return self._stop_event.is_set()

    def _wait_until(self, due: float, beat: Beat) -> bool:
        """Serve commands until the time has come; False if it is time to end."""
        while not self._is_ending():
            self.look()
            quiet = self._quiet.obstacle(self._time_needed())
            self._leave_port_to_utility(quiet)
            if self._serving and (quiet or self._clock() < due):
                gap = beat.gap(self._clock()).at_most(due - LEAST_REST).wholly_before(self._port_closes())
                self._serve_between_polls(self._serving, gap, quiet)
            remaining = due - self._clock()
            if remaining <= 0 and not quiet:
                return True
            self._pause(LONGEST_WAIT if quiet else min(remaining, LONGEST_WAIT))
        return False

    def _time_needed(self) -> float:
        """How long the next poll may well take, in seconds."""
        return self._poll_takes + (LEARNING if self._meter.to_be_identified else 0.0)

    def _port_closes(self) -> float:
        """When the port is to be free for the utility, the end of a session included."""
        return self._clock() + self._quiet.seconds_left() - TO_END_SESSION

    def _leave_port_to_utility(self, quiet: QuietNow | None) -> None:
        """Give the port back when the quiet window begins, and log that; the next poll opens it again."""
        if quiet is not None and not self._is_quiet:
            self._meter.close()
            self._log.info(quiet.happened)
            self._account.note(notice=quiet.happened)
            self._publisher.report(self.status)
        self._is_quiet = quiet is not None

    def _serve_between_polls(self, serving: Serving, gap: Gap, quiet: QuietNow | None) -> None:
        with suppress(Stopped):  # the loop sees it, too
            serving.between_polls(gap, quiet or self._retries.obstacle(self._clock()))

    def _until_woken(self, seconds: float) -> None:
        self.wake.wait(seconds)
        self.wake.clear()

    def _serving_pause(self, seconds: float) -> None:
        """Wait for a command's next request; raises Stopped."""
        if self._is_ending():
            raise Stopped
        self._pause(seconds)

    def _poll(self, beat: Beat) -> None:
        """Read, judge and publish; then, with what is left of the interval, read what else is to be read."""
        started = self._clock()
        before = self._state()
        self._account.polled()
        done = False
        try:
            limit = min(started + self._time_allowed(), self._port_closes())
            with self._meter.session(limit):
                self._register(self._meter.facts(on_identity=self._publisher.expect))
                self._meter.look_for_traces()
                self._resolve(*self._read())
                self._account.note(poll_duration_ms=round(1000 * (self._clock() - started)))
                self._poll_takes = max(BEFORE, POLL_MARGIN * (self._clock() - started))
                done = True
                gap = beat.gap(self._clock()).wholly_before(self._port_closes())
                gap = gap.at_most(self._clock() + BURST)
                self._meter.limit(max(limit, gap.limit))  # what follows may last longer than a poll
                if self.facts:  # as there is a reading
                    self.slow.read(self._meter, self.facts, gap)
                if self._serving:
                    self._serving.after_poll(gap, self._port_closes())
        except Stopped:
            return
        except ProtocolMisuse:
            raise  # ours, not the meter's
        except NesgwError as error:
            if isinstance(error, IdentityTaken):
                self.facts = None  # the next poll tries again to publish it
            if done:
                self._account.count(error)
            else:
                self._failed(error)
        self.look()
        self._report_session_mode()
        self._report_port()
        sent, received = self._meter.traffic
        self._account.note(bytes_sent=sent, bytes_received=received)
        self._publisher.report(self.status)
        if self._state() != before:
            self._on_change()

    def _time_allowed(self) -> float:
        learning, spare = self._meter.to_be_identified, self._meter.spare
        reads = LEARNING_READS if learning else POLL_READS
        held_up = 0.0 if spare is None else max(0, reads - spare)
        # Slow is not broken: a poll may overrun its interval, and the beats it covers are left out.
        late = (reads + SESSION_REQUESTS) * self._meter.lateness
        return self._limit + (LEARNING if learning else 0.0) + held_up + late

    def _state(self) -> tuple[object, ...]:
        """What others want to hear of at once."""
        return self.status.id, self.online, self.status.last_error

    def _read(self) -> tuple[Reading, Verdict]:
        """Read once; a suspect reading is read again at once, after asking the meter whether it is still the same."""
        reading = self._meter.reading(energies=self._plan.wants_energies(self._meter.spare, self._clock()))
        self._register(self._meter.facts())
        verdict = self._plausibility.judge(reading.values, self._clock())
        if verdict.outcome is Outcome.SUSPECT:
            self._register(self._meter.facts(verify=True))
            reading = self._meter.reading()
            verdict = self._plausibility.judge(reading.values, self._clock())
        return reading, verdict

    def _resolve(self, reading: Reading, verdict: Verdict) -> None:
        if verdict.message:
            self._log.warning(verdict.message)
            self._account.note(notice=verdict.message)
        if verdict.accepted:
            self._accepted(replace(reading, values=verdict.values))
        else:
            self._rejected(verdict)

    def _accepted(self, reading: Reading) -> None:
        self.reading = reading
        self._plan.accepted(reading)
        self._retries.accepted()
        self._publisher.accept(reading)
        self._freshness.accepted(self._clock())
        self._troubles.recovered()
        self._account.accepted(reading)
        self._account.note(fell_from=self._plausibility.fallen())
        if has_energies(reading):
            self.slow.accepted(reading)
        else:
            self._troubles.remark("energies", ENERGIES_RARELY)

    def _rejected(self, verdict: Verdict) -> None:
        sentence = "reading rejected: " + "; ".join(reason.text for reason in verdict.reasons)
        self._account.rejected(sentence)
        self._troubles.report("rejected", sentence, at_once=True)
        if verdict.outcome is Outcome.FROZEN:
            self._freshness.frozen()

    def _failed(self, error: NesgwError) -> None:
        self._account.failed(error)
        pause = self._retries.failed(error, self._clock(), self.status.consecutive_failures)
        again = "" if pause is None else f"; asking again in {_duration(pause)}"
        at_once = isinstance(error, OperatorNeeded | IdentityTaken)
        self._troubles.failed(type(error).__name__, f"{error}{again}", at_once=at_once)

    # Who the meter is

    def _register(self, facts: Facts) -> None:
        """Take note of who the meter is and what it has, if that has changed."""
        known = self.facts
        if known is facts:
            return
        self.facts = facts
        self._plan.forget()
        if self._serving:
            self._serving.remember(self._meter.identity_parts)
        identity, layout = facts.identity, facts.layout
        exchanged = known is not None and identity.has_taken_over_from(known.identity)
        another = known is None or known.identity.id != identity.id or exchanged
        if another:
            self._log.info(
                f"reading {identity.manufacturer} {identity.model}, serial number {identity.serial}, "
                f"firmware {identity.firmware}",
                id=identity.id,
                fields=len(layout.fields),
            )
            for remark in layout.remarks:
                self._log.info(remark)
            if facts.alarms is None:
                self._log.info("alarms: not offered to this key, so they are left out (BT03)")
            if exchanged:
                self._log.warning(_EXCHANGED)
            elif known is not None:
                self._log.warning(
                    "another meter is on this port: it becomes a device of its own", was=known.identity.id
                )
            if known is not None:
                self._freshness.another_meter()
            self._troubles.another_meter()
            limit = self._settings.power_limit(facts.installation.power_ratio)
            self._plausibility = Plausibility(limit, register_unit=layout.energy_unit)
            self.slow.another_meter()
            self._account.another_meter(identity)
        if another or _announced(known) != _announced(facts):
            alarms = facts.alarms.alarms if facts.alarms else ()
            last = self._publisher.identify(identity, layout.fields, alarms=alarms, events=facts.logs)
            self._remember(None if exchanged else last)  # what the former meter showed is no measure for this one

    def _remember(self, last: LastAccepted | None) -> None:
        """Go on from what an earlier process accepted last of this meter."""
        if last is None:
            return
        if last.of_another:
            self._log.warning(_EXCHANGED)
            return
        marks = [
            mark if isinstance(mark := last.status.get(key), int) else None for key in ("last_event", "last_outage")
        ]
        self._account.note(last_event=marks[0], last_outage=marks[1])
        self.slow.restore(last.status.get("sub_meters"))
        if not last.state:
            return
        fell_from = last.status.get("fell_from")
        self._plausibility.restore(
            {**last.state, **(fell_from if isinstance(fell_from, dict) else {})}, self._clock(), last.age
        )
        since = "at an unknown time" if last.age is None else f"{last.age:.0f} s ago"
        self._log.info(f"going on from the reading accepted {since}")

    def _report_session_mode(self) -> None:
        """Log once how sessions are held, and why; what is not decided yet is for who looks closely."""
        mode, reason = self._meter.mode, self._meter.mode_reason
        if (mode, reason) != (self.status.session, self.status.session_reason):
            self._account.note(session=mode, session_reason=reason)
            say = self._log.debug if self._meter.choosing_mode else self._log.info
            say(f"session {mode} ({reason})")

    def _report_port(self) -> None:
        """Say what the port has to say: once, until it is over."""
        if remark := self._meter.remark:
            self._troubles.remark("port", remark)
        notice = self._meter.notice
        if type(notice) is not type(self._notice):
            self._notice = notice
            self._account.note(notice=notice and str(notice))
            if notice:
                self._log.warning(str(notice))

    def in_words(self) -> str:
        """Say how the meter stands, for systemctl status."""
        if not self.online or self.reading is None or self._retries.is_pausing(self._clock()):
            return f"{self.meter_name}: {self.status.last_error or 'waiting for the first reading'}"
        read_at = self.reading.time.astimezone()
        return f"{self.meter_name}: {summary(self.reading.values)} at {read_at:%H:%M:%S}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _announced(facts: Facts | None) -> object:
    """Return what a discovery message says of the meter."""
    return facts and (facts.identity, facts.layout.fields, facts.alarms, facts.logs)
