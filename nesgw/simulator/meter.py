"""A simulated meter without a line: bytes and the time go in, bytes come out when they are due.

Reads no clock but the one it is given, opens nothing and starts no thread: ``line.py`` does. Written from the
reference alone; it shares nothing with the reader it is there to judge.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nesgw.simulator.alarms import ALARMS
from nesgw.simulator.faults import Fault, Faults
from nesgw.simulator.household import Household
from nesgw.simulator.link import Due, Link, LinkCounters
from nesgw.simulator.load_profile import load_profiles
from nesgw.simulator.logbook import COVER_OPENED, LOGON, NOBODY, WRONG_KEY, Logbook, Outage
from nesgw.simulator.profiles import DEFAULT_KEY, PROFILES, Profile
from nesgw.simulator.registers import Registers, Truth
from nesgw.simulator.services import EVERYTHING, OPEN_TABLES, Code, Limits, Outcome, Session, State, service_name
from nesgw.simulator.tables import TABLES, Moment
from nesgw.simulator.wire import START

# A read-only key may not be enough for these (OPG): BT04, ET13, ET21, ET51.
GUARDED_TABLES = frozenset({4, 2048 + 13, 2048 + 21, 2048 + 51})


@dataclass(slots=True)
class Counters:
    """What the meter has been through."""

    link: LinkCounters
    bytes_in: int = 0
    bytes_out: int = 0
    sessions: int = 0
    polls: int = 0  # reads of BT28 asked for from its start or its first present value on
    wrong_keys: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)


class SimulatedMeter:
    """A meter of one profile; ``overrides`` replace fields of the profile.

    ``images`` makes it show these tables, by number, and no others: a dump played back (``from_dump``). A code in
    place of a table refuses it with that; what is not among them is refused with ``iar``.
    """

    def __init__(
        self,
        profile: str | Profile = "83331-3i",
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        key: bytes = DEFAULT_KEY,
        epoch: datetime.datetime | None = None,
        faults: Sequence[Fault] = (),
        images: Mapping[int, bytes | Code] | None = None,
        **overrides: object,
    ) -> None:
        chosen = PROFILES[profile] if isinstance(profile, str) else profile
        self.profile: Profile = dataclasses.replace(chosen, **overrides)  # type: ignore[arg-type]
        self.seed = seed
        self.clock = clock
        self.key = key.ljust(20, b"\0")
        self.serial = self.profile.serial
        self.lock = threading.RLock()
        self.started = clock()
        self._epoch = epoch or datetime.datetime.now(datetime.UTC)
        self._start_ms = round(self._epoch.timestamp() * 1000)
        self.household = Household(
            seed=seed,
            start=self._start_ms,
            phases=self.profile.phases,
            solar=self.profile.solar,
            scale=self.profile.scale,
        )
        self._hang_up(self._start_ms)
        self._images = images
        self.link = Link(
            self,
            turn_around=self.profile.turn_around,
            inter_character=self.profile.inter_character,
            response=self.profile.response,
            toggle=self.profile.toggle,
        )
        limits = Limits(
            self.profile.packet_size_limit, self.profile.packets_limit, self.profile.bauds, self.profile.negotiable
        )
        self.session = Session(self, limits, bytes(self.profile.identify), self.profile.baud)
        self.counters = Counters(self.link.counters)
        self.faults = Faults(self.lock, lambda: self.clock(), seed=seed, meter=self, plan=faults)
        self._line_baud: int | None = None
        self._pace = 0.0
        self._outcome: Outcome | None = None  # of the answer that is under way
        self._traffic: float | None = None  # when the channel last saw traffic, while it is open
        self._wait = 0
        self._opened = self.started  # when the session began, for the session limit
        self._deaf_until = self.started
        self._mep_has_line = self.profile.mep_first_packet != "off"
        self._mep_switching = False
        self._last_byte = self.started
        self._chatter_at = self.started + self.profile.mep_chatter if self.profile.mep_chatter else None
        self._flooded = self.started
        self._flood_owed = 0.0
        self._echoes: deque[Due] = deque()
        self._failures = 0
        self._locked_until = self.started
        self._user = NOBODY
        self._clock_step = 0.0  # seconds by which the clock was set
        self._frozen: tuple[int, Truth] | None = None

    def reconfigure(self, **changes: object) -> None:
        """Give the meter other dimensions, as the utility does from afar; ``changes`` replace fields of the profile."""
        with self.lock:
            self.profile = dataclasses.replace(self.profile, version=self.profile.version + 1, **changes)  # type: ignore[arg-type]

    # --- the line's side ---------------------------------------------------------------------------------------

    @property
    def byte_time(self) -> float:
        """Seconds a byte takes on the line; 0 where the line has no pace."""
        return self._pace

    def set_pace(self, baud: int | None) -> None:
        """Told by the line: so many bits a second, ten a byte, or None for no pace at all."""
        with self.lock:
            self._line_baud = baud
            self._run_at(baud)

    def receive(self, data: bytes, now: float) -> None:
        """Bytes arrive from the client."""
        with self.lock:
            self.advance(now)
            self.counters.bytes_in += len(data)
            if self.faults.active.echo:
                self.faults.done["echo"] += len(data)
                self._echoes.append(Due(now, data, is_packet=False))
            if self.deaf_at(now):
                self.faults.done["deaf"] += len(data)
                return
            for byte in self.faults.damage(data, "to_meter"):
                self._byte(byte, now)

    def advance(self, now: float) -> None:
        """Let time pass: timers, the plan of faults, chatter."""
        with self.lock:
            self.faults.follow_plan(self.started, now)
            if self.deaf_at(now):
                self.link.hush()
            if self._mep_switching and self.link.cut_short(now):
                self._switched(now)
            self.link.expire(now)
            quiet_at = self._channel_deadline()
            if quiet_at is not None and now >= quiet_at:
                self._fall()
            if self._session_over(now):
                self._fall()
                self.link.hush()
                self._deaf_until = self._opened + self.profile.session_limit + self.profile.hold_off
            self._mep(now)

    def due(self, now: float) -> bytes:
        """The bytes that leave at ``now`` or should have left before."""
        with self.lock:
            self.advance(now)
            out = bytearray()
            while self._echoes and self._echoes[0].at <= now:
                out += self._echoes.popleft().data
            ready = [item for item in self.link.queue if item.at <= now]
            self.link.queue[:] = [item for item in self.link.queue if item.at > now]
            silent = now < self.faults.active.silent_until
            for item in sorted(ready, key=lambda item: item.at):
                self._touch(item.at + len(item.data) * self.byte_time)
                lost = self.faults.lost("answer" if item.is_packet else "mark")
                self.faults.done["silence"] += silent
                if not silent and not lost:
                    out += self.faults.damage(item.data, "to_client")
                    if item.is_packet and self.faults.repeated():
                        out += self.faults.damage(item.data, "to_client")
            out += self.flood(now)
            if out:
                self.counters.bytes_out += len(out)
                self._last_byte = now
            return bytes(out)

    def wake(self) -> float | None:
        """When ``advance`` or ``due`` next has something to do, if nothing arrives before."""
        with self.lock:
            times = [item.at for item in (*self._echoes, *self.link.queue)]
            deadlines = (self.link.deadline(), self._channel_deadline(), self._chatter_at)
            times += [deadline for deadline in deadlines if deadline is not None]
            if self.session.state is not State.BASE and self.profile.session_limit:
                times.append(self._opened + self.profile.session_limit)
            planned = self.faults.due()
            if planned is not None:
                times.append(self.started + planned)
            flood = self.faults.active
            if max(self._flooded, flood.flood_from) < flood.flood_until:
                times.append(max(self._flooded, flood.flood_from) + 0.02)
            return min(times, default=None)

    # --- for tests and whoever watches ---------------------------------------------------------------------------

    def truth(self, now: float | None = None) -> Truth:
        """What the registers really hold, whatever the faults make of it."""
        with self.lock:
            return self._registers.truth(self._utc(self.clock() if now is None else now))

    def image(self, number: int, now: float | None = None) -> bytes | None:
        """A table as the meter holds it, without faults."""
        with self.lock:
            image = self._image(number, self.clock() if now is None else now)
            return None if isinstance(image, Code) else image

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self.session.state

    @property
    def deaf(self) -> bool:
        """Whether the meter hears nothing now."""
        with self.lock:
            return self.deaf_at(self.clock())

    def deaf_at(self, now: float) -> bool:
        """Whether it hears nothing then."""
        return now < max(self._deaf_until, self.faults.active.deaf_until)

    # --- the link's side -----------------------------------------------------------------------------------------

    def message(self, data: bytes, now: float) -> None:
        """A request: answer it after the meter's time to think."""
        service = service_name(data)
        self.counters.requests[service] += 1
        self._wait = 0 if self.profile.wait_until_next else self._wait
        was_base = self.session.state is State.BASE
        self._count_poll(data)
        room = self.link.packets * (self.link.packet_size - 8)
        outcome = self.session.answer(data, now, room)
        if outcome.code != Code.OK:
            self.counters.refusals[Code(outcome.code).name.lower()] += 1
        if was_base and self.session.state is State.ID:
            self._opened = now
        self._touch(now)
        self._outcome = outcome
        after = self.profile.turn_around + self.byte_time
        self.link.send(outcome.answer, now + max(self.profile.answer_delay, after) + self.faults.lateness())

    def delivered(self, now: float) -> None:
        """The answer was ACKed: what it promised holds from now on."""
        self._touch(now)
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return
        if outcome.ends:
            self._fall()
        if outcome.agreed is not None:
            self.link.packet_size = outcome.agreed.packet_size
            self.link.packets = outcome.agreed.packets
            if self._line_baud and outcome.agreed.baud != self.profile.baud:
                self._run_at(outcome.agreed.baud)
        if outcome.wait is not None:
            self._wait = outcome.wait

    def lost(self, now: float) -> None:
        """Retries are used up: the base state."""
        self._touch(now)
        self._fall()

    def hears(self) -> bool:
        """Packets can be lost whole."""
        return not self.faults.lost("request")

    # --- the services' side ----------------------------------------------------------------------------------------

    def table(self, number: int, now: float, wanted: range = EVERYTHING) -> bytes | Code:
        """A table's image with what the faults make of it; of a large table only what is ``wanted`` is filled in."""
        image = self._image(number, now, wanted, faulty=True)
        return image if isinstance(image, Code) else self.faults.distort(number, image)

    def may_read(self, number: int, key: bytes | None) -> bool:
        """Three tables are open, the others need the key, a few a better one; some may be locked to all."""
        if number in OPEN_TABLES:
            return True
        if key is None or number in self.profile.locked_tables:
            return False
        return self.profile.key_opens_all or number not in GUARDED_TABLES

    def check_key(self, key: bytes, now: float) -> Code:
        """Compare the key, count the wrong ones, lock out after too many in a row."""
        locked = now < self._locked_until
        if key == self.key and not locked:
            self._failures = 0
            return Code.OK
        self.counters.wrong_keys += 1
        self.raise_alarm(*ALARMS["invalid_password"])
        self._logbook.enter(self._clock_at(now), WRONG_KEY, self._user)
        self._failures += 1
        allowed = self.profile.failures_allowed
        if not locked and self.profile.lockout_minutes and allowed and self._failures >= allowed:
            self._failures = 0
            self._locked_until = now + 60 * self.profile.lockout_minutes
            if self.profile.lockout_deaf:
                self._deaf_until = self._locked_until
        return self.profile.wrong_key_code

    def logged_on(self, user_id: int, now: float) -> Code:
        """Take the logon's user id as it comes; these meters do not check it."""
        if self.profile.logon_refused is not Code.OK:
            return self.profile.logon_refused
        self.counters.sessions += 1
        self._user = user_id
        if self.profile.logon_leaves_entry:
            self._logbook.enter(self._clock_at(now), LOGON, user_id)
        return Code.OK

    def trouble(self, service: str, now: float) -> Code:
        """What the faults refuse just now."""
        return self.faults.refusal(service, now)

    # --- what faults make the meter do -----------------------------------------------------------------------------

    def power_failure(self, seconds: float) -> None:
        """Fall silent, start again, write the outage down."""
        now = self.clock()
        self._fall()
        self.link.hush()
        self.raise_alarm(*ALARMS["power_failure"])
        begin = self._clock_at(now)
        self._logbook.outage(Outage(begin, begin + round(seconds * 1000)))
        self._deaf_until = now + seconds

    def exchange(self, serial: str, registers: dict[int, int] | None) -> None:
        """Another meter of the same kind, with a history of its own."""
        self._fall()
        self.link.hush()
        self.serial = serial
        given = tuple((registers or {0: 12, 1: 1}).items())
        self.profile = dataclasses.replace(self.profile, registers=given)
        self._hang_up(self._utc(self.clock()))

    def raise_alarm(self, byte: int, bit: int) -> None:
        """Latch a bit of BT03."""
        self._logbook.raise_alarm(byte, bit)

    def clear_alarms(self) -> None:
        """Clear what is latched."""
        self._logbook.clear_alarms()

    def open_cover(self) -> None:
        """Notice that the cover is off."""
        self.raise_alarm(*ALARMS["cover_removed"])
        self._logbook.enter(self._clock_at(self.clock()), COVER_OPENED, self._user)

    def set_clock(self, seconds: float) -> None:
        """Move the clock."""
        before = self._clock_at(self.clock())
        self._clock_step += seconds
        self._logbook.clock_set(before, before + round(seconds * 1000), self._user)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _byte(self, byte: int, now: float) -> None:
        if self._mep_has_line and not self._mep_switching:
            if byte != START:
                return
            self._mep_switching = True
            if self.profile.mep_burst:
                self.link.queue.append(Due(now, self.faults.garbage(self.profile.mep_burst), is_packet=False))
        self._last_byte = now
        if self._mep_switching:
            # This packet only switches the line over; it is answered NAK or not at all [OPG].
            if self.link.parse(byte, now) is not None:
                self._switched(now)
            return
        self.link.receive(byte, now)

    def _switched(self, now: float) -> None:
        self._mep_has_line = self._mep_switching = False
        if self.profile.mep_first_packet == "nak":
            self.link.refuse(now)

    def _image(self, number: int, now: float, wanted: range = EVERYTHING, *, faulty: bool = False) -> bytes | Code:
        if self._images is not None:
            return self._images.get(number, Code.IAR)
        table = TABLES.get(number)
        if table is None or not table.exists(self.profile):
            return Code.IAR
        return table.build(self._moment(now, wanted, faulty=faulty))

    def _moment(self, now: float, wanted: range, *, faulty: bool) -> Moment:
        at, clock = self._utc(now), self._clock_at(now)
        truth = self._registers.truth(at)
        if faulty:
            truth = self._maybe_frozen(at, truth, now)
        return Moment(
            profile=self.profile,
            at=clock,
            tier=self._registers.tier(clock),
            truth=truth,
            serial=self.serial,
            alarms=bytes(self._logbook.alarms),
            then=self._registers.then,
            started=self._registers.start,
            events=self._logbook.events,
            alternate=self._logbook.alternate,
            outages=tuple(self._logbook.outages),
            loads=self._loads,
            wanted=wanted,
        )

    def _count_poll(self, request: bytes) -> None:
        """A poll is a read of BT28 that reaches its first present value."""
        actual = self.profile.actual
        base = actual.present_demands * (7 if actual.flags0 & 0x40 else 4)
        offset = int.from_bytes(request[3:6], "big") if request[:1] == b"\x3f" else 0
        if request[:3] in (b"\x30\x00\x1c", b"\x3f\x00\x1c") and offset <= base:
            self.counters.polls += 1

    def _maybe_frozen(self, at: int, truth: Truth, now: float) -> Truth:
        if now >= self.faults.active.frozen_until:
            self._frozen = None
            return truth
        if self._frozen is None:
            self._frozen = (at, truth)
        return self._frozen[1]

    def _utc(self, now: float) -> int:
        return self._start_ms + round((now - self.started) * 1000)

    def _clock_at(self, now: float) -> int:
        """The meter's clock, right or wrong."""
        passed = now - self.started
        error = self.profile.clock_error + self.profile.clock_drift * passed / 86_400 + self._clock_step
        return self._utc(now) + round(error * 1000)

    def _touch(self, now: float) -> None:
        if self.session.state is not State.BASE:
            self._traffic = now

    def _channel_deadline(self) -> float | None:
        """When silence ends the channel: six seconds after the last traffic, or longer after a Wait."""
        if self.session.state is State.BASE or self._traffic is None:
            return None
        sending = [item.at + len(item.data) * self.byte_time for item in self.link.queue]
        return max([self._traffic, *sending]) + max(self.profile.channel_traffic, self._wait)

    def _fall(self) -> None:
        """To the base state, and to its parameters."""
        self.session.reset()
        self.link.reset()
        self._wait = 0
        self._outcome = None
        self._traffic = None
        self._user = NOBODY
        self._run_at(self._line_baud)

    def _run_at(self, baud: int | None) -> None:
        self._pace = 10 / baud if baud else 0.0
        self.link.byte_time = self._pace

    def _session_over(self, now: float) -> bool:
        limit = self.profile.session_limit
        return bool(limit) and self.session.state is not State.BASE and now >= self._opened + limit

    def _mep(self, now: float) -> None:
        """The MEP port takes an idle line back, and may be heard on it."""
        if self.profile.mep_first_packet == "off" and not self.profile.mep_chatter:
            return
        if self.session.state is State.BASE and now - self._last_byte >= self.profile.mep_idle:
            self._mep_switching = False
            self._mep_has_line = self.profile.mep_first_packet != "off"
        while self._chatter_at is not None and now >= self._chatter_at:
            if self._mep_has_line:
                burst = Due(self._chatter_at, self.faults.garbage(6), is_packet=False)
                self.link.queue.append(burst)
            self._chatter_at += self.profile.mep_chatter

    def flood(self, now: float) -> bytes:
        """The random bytes that a fault wants by now."""
        flood = self.faults.active
        begin, end = max(self._flooded, flood.flood_from), min(now, flood.flood_until)
        self._flood_owed += max(end - begin, 0.0) * flood.flood_rate
        self._flooded = max(self._flooded, end)
        count, self._flood_owed = divmod(self._flood_owed, 1)
        return self.faults.garbage(min(int(count), 4096))

    def _hang_up(self, at: int) -> None:
        """Put the meter on the wall: its history, registers and load profile begin."""
        self._logbook = Logbook(self.profile, at)
        self._registers = Registers(self.profile, self.household, at, self._logbook.outages)
        self._loads = load_profiles(self.profile, self._registers, at, self._logbook.incidents)
