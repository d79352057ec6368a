"""Serves one connection: publishes everything that is wanted in order, then what changes, and listens.

What is known of the broker beyond one connection is in ``Broker``: what it refuses, who else is there, what was sent.
"""

from __future__ import annotations

import math
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, NamedTuple

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt import trouble
from nesgw.publishers.mqtt.connection import Arrival, Connection, Subscription
from nesgw.publishers.mqtt.neighbours import Neighbours
from nesgw.publishers.mqtt.problems import Problem, Problems
from nesgw.publishers.mqtt.refusals import Refusals, subscription_key
from nesgw.publishers.mqtt.retained import RetainedSearch
from nesgw.publishers.mqtt.timers import Timers
from nesgw.publishers.mqtt.wanted import Wanted
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics

_TURN: Final = 2.0  # the longest sleep: statuses wait for its end, and so would what a lost wake-up has left
_REACHABLE: Final = 1.0  # seconds in which a host that is back takes a connection


@dataclass(frozen=True, slots=True)
class Pace:
    """The waiting times of the publisher, in seconds."""

    first_retry: float = 1.0  # doubles with each attempt
    slowest_retry: float = 10.0  # nobody there: cheap to ask, and the state is wanted as soon as there is
    slowest_refused: float = 60.0  # login or certificate: a person has to act first
    conflict_retry: float = 120.0
    steady: float = 30.0  # a connection that lasted so long was a good one
    # Home Assistant drops what comes in the instant of its birth message.
    rediscovery: tuple[float, float] = (2.1, 4.8)
    # It takes Home Assistant a moment from a discovery message to the subscription of its topics.
    settling: float = 1.5
    # Two different discovery messages of one device must not follow one another within a fraction of a second.
    discovery_gap: float = 2.0
    former: float = 3.0  # that a slow broker has to tell what other gateways and our former run have left
    verification: float = 5.0  # from what was published last to the look whether the broker has it
    return_home: float = 120.0  # between two looks from a spare broker whether the preferred one is back
    goodbye: float = 2.0


class Due(Enum):
    """What happens at its time."""

    REDISCOVERY = auto()  # Home Assistant was born
    FOLLOW_UP = auto()  # it has had time to subscribe to what was discovered
    HELD_DISCOVERY = auto()  # one that came too soon after another may go
    NAME_CONFLICT_OVER = auto()
    STEADY = auto()  # a connection that was not reported yet has lasted
    FORMER = auto()  # the broker does not say what other gateways and our former run have left
    VERIFICATION = auto()  # whether the broker has what it has acknowledged
    RETURN = auto()  # whether the preferred broker is back
    NEIGHBOURS = auto()  # what is held back for another gateway may be free


class Leader(NamedTuple):
    """What must come before another message, once."""

    topic: str
    payload: str


@dataclass(slots=True)
class Broker:
    """What is known beyond one connection. Belongs to the publisher's thread, but for ``wanted`` and ``searches``."""

    topics: Topics
    pace: Pace
    online: Message  # ours, whose opposite is the last will
    wanted: Wanted
    problems: Problems
    neighbours: Neighbours
    stopping: Callable[[], bool]
    refusals: Refusals = field(default_factory=Refusals)
    searches: list[RetainedSearch] = field(default_factory=list)  # append and remove are atomic
    announced: dict[str, tuple[str, float]] = field(default_factory=dict)  # discovery topic -> what was sent, and when
    led: dict[Leader, float] = field(default_factory=dict)  # what had to come before others -> when the broker had it
    timers: Timers[Due] = field(default_factory=Timers)


class Delivery:
    """One connection's life."""

    def __init__(self, broker: Broker, connection: Connection, settings: MqttSettings, home: MqttSettings) -> None:
        self._broker = broker
        self._topics = broker.topics
        self._pace = broker.pace
        self._wanted = broker.wanted
        self._problems = broker.problems
        self._neighbours = broker.neighbours
        self._refusals = broker.refusals
        self._timers = broker.timers
        self.connection: Final = connection
        self._settings = settings
        self._home = home  # the preferred broker
        self._watched: set[str] = set()  # what is subscribed to for as long as the connection lasts
        self._unasked: list[str] = []  # what is to be subscribed to alone
        self._leaders: set[Leader] = set()  # on their way
        self._alone = False  # a suspect is on its way: nothing else may be
        self._follow_all = False
        self.taken: set[str] = set()  # topics whose retained message the broker has acknowledged

    @property
    def shows_refusals(self) -> bool:
        """Whether the loss of the connection tells of what was on its way: not if the broker took nothing at all."""
        return bool(self.taken) or not self.connection.stalled

    def serve(self, wake: socket.socket, *, quietly: bool) -> None:
        """Publish until the connection is lost (BrokerUnavailable), we stop, or the preferred broker is back."""
        self._begin(quietly=quietly)
        home = False
        while not (home or self._broker.stopping()):
            now = time.monotonic()
            home = self._run_timers(now)
            self._send(now)
            self._advance_searches(now)
            self.connection.turn(self._until_next(now), wake)
            with suppress(BlockingIOError):
                wake.recv(4096)
            self._note_acknowledged()
            for arrival in self.connection.arrivals():
                self._take(arrival, time.monotonic())
            if refused := self.connection.refused():
                self._complain_unreadable(refused)
        self._say_goodbye()

    def _begin(self, *, quietly: bool) -> None:
        now = time.monotonic()
        self._neighbours.begin(f"{self._settings.host}:{self._settings.port}")
        standing = [self._topics.gateway_status, self._topics.gateway_availability]
        self._watch([*standing, *([self._settings.birth_topic] if self._settings.birth_topic else [])])
        self._watch(self._neighbours.watched)
        self._wanted.start_again()
        for search in list(self._broker.searches):
            search.start_again()
        if not self._neighbours.known:
            self._look_for_gateways()
            if not self._timers.runs(Due.FORMER):  # also where no connection lasts so long
                self._timers.set(Due.FORMER, now + self._pace.former)
        for due in (Due.REDISCOVERY, Due.RETURN):
            self._timers.cancel(due)
        self._timers.set(Due.VERIFICATION, now + self._pace.verification)
        if self._settings is not self._home:
            self._timers.set(Due.RETURN, now + self._pace.return_home)
        self._problems.begin(quietly=quietly)
        if quietly:
            self._timers.set(Due.STEADY, now + self._pace.steady)

    def _watch(self, topics: Sequence[str]) -> None:
        """Subscribe for as long as the connection lasts; alone to what a connection may have been lost with."""
        new = [each for each in topics if each not in self._watched]
        self._watched.update(new)
        wanted = [each for each in new if not self._refusals.withholds(subscription_key(each))]
        suspect = [each for each in wanted if self._refusals.suspects(subscription_key(each))]
        self._unasked += suspect
        if at_once := [each for each in wanted if each not in suspect]:
            self.connection.subscribe(at_once)

    # Sending

    def _send(self, now: float) -> None:
        """Hand over what is due, as far as the broker keeps up; suspects alone, the smallest first, at the end."""
        if self._alone and not self.connection.idle:
            return
        self._alone = False
        suspects: list[Message] = []
        for message in (*self._due(now), *self._wanted.events):
            if self._refusals.withholds(message.topic):
                self._give_up(message)
            elif self._neighbours.holds(message, now):
                continue
            elif self._refusals.suspects(message.topic):
                suspects.append(message)
            elif not self.connection.ready:
                return
            else:
                self._hand_over(message, now)
        if (self._unasked or suspects) and self.connection.idle:
            self._alone = True
            if self._unasked:
                self.connection.subscribe([self._unasked.pop(0)])
            else:
                self._hand_over(min(suspects, key=lambda message: len(message.payload)), now)

    def _due(self, now: float) -> list[Message]:
        """What is pending, without a discovery message that comes too soon after another one of its device."""
        due: list[Message] = []
        self._timers.cancel(Due.HELD_DISCOVERY)
        for wanted in self._wanted.pending:
            message = self._first_of(wanted)
            if message.part.is_discovery:
                if message in due or _leader(message) in self._leaders:
                    continue
                if now < (free := self._free(message)):
                    self._timers.set(Due.HELD_DISCOVERY, free)
                    continue
            due.append(message)
        return due

    def _first_of(self, message: Message) -> Message:
        """Return what is to be sent next so that a message can be: itself, or one that must come before it."""
        while message.after and _leader(message.after) not in self._broker.led:
            message = message.after
        return message

    def _free(self, message: Message) -> float:
        """When a discovery message is no longer too soon after another one."""
        payload, at = self._broker.announced.get(message.topic, (message.payload, -math.inf))
        before = [at] if payload != message.payload else []
        if message.after:
            before.append(self._broker.led[_leader(message.after)])
        return max(before, default=-math.inf) + self._pace.discovery_gap

    def _hand_over(self, message: Message, now: float) -> None:
        if message.part.is_discovery:
            self._broker.announced[message.topic] = (message.payload, now)
            self._timers.set(Due.FOLLOW_UP, now + self._pace.settling)
            if any(message in _leading(other) for other in self._wanted.pending):
                self._leaders.add(_leader(message))
        if message.part <= Part.INFO:
            self._timers.set(Due.VERIFICATION, now + self._pace.verification)
        if message.part is Part.EVENT:
            self._wanted.event_sent(message)
        else:
            self._wanted.sent(message)
        if message.part is Part.AVAILABILITY:
            self._watch([message.topic])
        self._neighbours.published(message)
        self.connection.publish(self._refusals.fit(message))

    def _give_up(self, message: Message) -> None:
        if message.part is Part.EVENT:
            self._wanted.event_done(message)
        else:
            self._wanted.sent(message)

    def _note_acknowledged(self) -> None:
        for what in self.connection.acknowledged():
            self._refusals.taken(what)
            if isinstance(what, Subscription):
                continue
            if what.part is Part.EVENT:
                self._wanted.event_done(what)
            elif (leader := _leader(what)) in self._leaders:
                self._leaders.remove(leader)
                self._broker.led[leader] = time.monotonic()
            elif not what.payload:
                self._wanted.removed(what.topic)
                self.taken.discard(what.topic)
            elif what.retain and what.qos:
                self.taken.add(what.topic)

    # Time

    def _run_timers(self, now: float) -> bool:
        """Do what is due; True if the preferred broker is back."""
        home = False
        for due in self._timers.due(now):
            match due:
                case Due.REDISCOVERY:
                    self._follow_all = True
                    self._wanted.again(lambda message: message.part.is_discovery)
                case Due.FOLLOW_UP:
                    self._follow_up()
                case Due.NAME_CONFLICT_OVER:
                    self._problems.settle(Problem.NAME)
                case Due.STEADY:
                    self._problems.clear(Problem.DROPPED)
                    self._problems.report()
                case Due.FORMER:
                    self._neighbours.known = True
                case Due.VERIFICATION:
                    self._verify(now)
                case Due.RETURN:
                    home = self._home_is_back()
                    self._timers.set(Due.RETURN, time.monotonic() + self._pace.return_home)
                case Due.NEIGHBOURS | Due.HELD_DISCOVERY:
                    pass  # sending looks at what is free
        self._compare_meters(now)
        return home

    def _follow_up(self) -> None:
        """Publish what is not retained; all of it where Home Assistant has just started, for that had no ears yet."""
        everything, self._follow_all = self._follow_all, False
        self._wanted.again(lambda m: m.part >= Part.AVAILABILITY and (everything or not m.retain))

    def _until_next(self, now: float) -> float:
        due = [now + _TURN, self._timers.next, *(search.due for search in list(self._broker.searches))]
        return max(0.0, min(due) - now)

    def _home_is_back(self) -> bool:
        """Whether the preferred broker lets us in again."""
        try:
            socket.create_connection((self._home.host, self._home.port), _REACHABLE).close()
        except (OSError, ValueError):
            return False
        visitor = Connection(self._home, f"nesgw-{self._topics.gateway}-{os.getpid()}")
        try:
            visitor.open(self._broker.stopping)
            visitor.leave()
        except BrokerUnavailable:
            return False
        finally:
            visitor.close()
        return True

    # What the broker says

    def _advance_searches(self, now: float) -> None:
        for search in list(self._broker.searches):
            search.advance(self.connection, now)
            if search.over:
                with suppress(ValueError):
                    self._broker.searches.remove(search)
                if others := [each for each in search.filters if each not in self._watched]:
                    self.connection.unsubscribe(others)
        self._watch(self._neighbours.watched)

    def _take(self, arrival: Arrival, now: float) -> None:
        for search in list(self._broker.searches):
            search.take(arrival, now)
        if arrival.topic == self._settings.birth_topic:
            # A retained one tells of a birth before we came, and we have just published everything.
            if arrival.payload == ONLINE and not arrival.retained and not self._timers.runs(Due.REDISCOVERY):
                pause = random.uniform(*self._pace.rediscovery)  # noqa: S311 (not a secret)
                self._timers.set(Due.REDISCOVERY, now + pause)
        elif arrival.topic in (self._topics.gateway_status, self._topics.gateway_availability):
            if other := self._neighbours.name_conflict(arrival):
                self._complain_of_name(other, now)
        elif arrival.topic in self._watched and self._neighbours.heard(arrival, now):
            self._look_for_gateways()

    # Other gateways

    def _look_for_gateways(self) -> None:
        if not any(each.filters == self._neighbours.filters for each in self._broker.searches):
            self._broker.searches.append(RetainedSearch(self._neighbours.filters, self._gateways_found))

    def _gateways_found(self, found: dict[str, str] | None) -> None:
        if found is None and not self._neighbours.known:  # perhaps we may not read what others say
            ours = (self._topics.gateway_status,)
            search = RetainedSearch(ours, lambda own: self._neighbours.withdraw_former(own or {}))
            self._broker.searches.append(search)
        self._neighbours.found(found or {}, time.monotonic())

    def _compare_meters(self, now: float) -> None:
        """Report the meters that another gateway reads as well."""
        if not self._neighbours.watched:
            self._problems.settle(Problem.METER)
            return
        self._timers.set(Due.NEIGHBOURS, self._neighbours.next_change(now))
        others, ours = self._neighbours.conflicts(now)
        if others:
            self._problems.complain(Problem.METER, trouble.meter_conflict(self._settings, others, ours))
        else:
            self._problems.settle(Problem.METER)

    def _complain_of_name(self, other: str, now: float) -> None:
        if not self._timers.runs(Due.NAME_CONFLICT_OVER):
            error = trouble.name_conflict(self._settings, self._topics.gateway, other)
            self._problems.complain(Problem.NAME, error)
        # Longer than the other one, as slow as we are, may stay away.
        self._timers.set(Due.NAME_CONFLICT_OVER, now + 3 * self._pace.conflict_retry)

    # Whether the broker lets us read, and has what it has acknowledged

    def _complain_unreadable(self, refused: list[str]) -> None:
        for search in list(self._broker.searches):
            search.refused(refused)
        if standing := [topic for topic in refused if topic in self._watched]:
            self._problems.complain(Problem.UNREADABLE, trouble.unreadable(self._settings, standing))

    def _verify(self, now: float) -> None:
        """Ask for everything that it should remember by now."""
        waiting = [m for m in self._due(now) if m.part <= Part.AVAILABILITY and not self._neighbours.holds(m, now)]
        expected = [m for m in self._wanted.all() if m.topic in self.taken and m.part <= Part.AVAILABILITY]
        if waiting:
            self._timers.set(Due.VERIFICATION, now + self._pace.verification)
        elif expected:
            topics = [message.topic for message in expected]
            search = RetainedSearch(topics, lambda found: self._verified(expected, found))
            self._broker.searches.append(search)

    def _verified(self, expected: Sequence[Message], found: dict[str, str] | None) -> None:
        if found is None:
            return  # a subscription was refused, and that is reported
        missing = [m for m in expected if m.topic not in found and m.topic in self.taken]
        if not missing:
            self._problems.settle(Problem.NOT_KEPT)
        elif len(missing) < len(expected):
            self._problems.complain(Problem.NOT_KEPT, trouble.not_kept(self._settings, missing))
        elif self._neighbours.heard_ourselves:
            self._problems.complain(Problem.NOT_KEPT, trouble.keeps_nothing(self._settings))
        else:
            self._problems.complain(Problem.NOT_KEPT, trouble.nothing_back(self._settings))

    # The end

    def _say_goodbye(self) -> None:
        """Publish what is pending, and that all is offline: the broker keeps the last will for those who crash."""
        deadline = time.monotonic() + self._pace.goodbye
        self._neighbours.known = True
        gone = [m for m in self._wanted.all() if m.part is Part.AVAILABILITY and m.payload]
        if not self._broker.stopping():  # only this broker is left: the meters are read on
            gone = [message for message in gone if message is self._broker.online]
        self._wanted.set([replace(message, payload=OFFLINE) for message in gone])
        self._wanted.only(lambda m: not m.part.is_discovery and not self._neighbours.holds(m, deadline))
        while (self._wanted.pending or not self.connection.idle) and (now := time.monotonic()) < deadline:
            self._send(now)
            self.connection.turn(deadline - now)
            self._note_acknowledged()
        self.connection.leave()
        if not self._broker.stopping():
            self._wanted.set([self._broker.online])


def _leader(message: Message) -> Leader:
    return Leader(message.topic, message.payload)


def _leading(message: Message) -> Iterator[Message]:
    """Yield what must come before a message, the last first."""
    while message.after:
        message = message.after
        yield message
