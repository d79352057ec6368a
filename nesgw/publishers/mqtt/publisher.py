"""Brings messages to the MQTT broker, whenever there is one.

What callers set is the wanted state: the newest message of each topic. A thread of the publisher's own connects (with
a new client each time, so that no queue outlives a connection), publishes everything in order, and from then on what
changes. It never waits in a caller's thread.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt import trouble
from nesgw.publishers.mqtt.connection import Arrival, Connection, Subscription
from nesgw.publishers.mqtt.refusals import Refusals, subscription_key
from nesgw.publishers.mqtt.retained import RetainedSearch
from nesgw.publishers.mqtt.timers import Timers
from nesgw.publishers.mqtt.trouble import Stage
from nesgw.publishers.mqtt.wanted import Wanted
from nesgw.publishers.name_conflict import NameConflict
from nesgw.publishers.payloads import availability_message
from nesgw.publishers.rivals import Rivals, former_meters
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics

_TURN: Final = 2.0  # the longest sleep: statuses wait for its end, and so would what a lost wake-up has left
_NOT_LASTING: Final = 2  # times that the broker may let us in and drop us before we say no more about it
_REACHABLE: Final = 1.0  # seconds in which a host that is back takes a connection

OnState = Callable[[bool, BrokerUnavailable | None], None]


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


class _Due(Enum):
    REDISCOVERY = auto()  # Home Assistant was born
    FOLLOW_UP = auto()  # it has had time to subscribe to what was discovered
    HELD_DISCOVERY = auto()  # one that came too soon after another
    NAME_CONFLICT_OVER = auto()
    STEADY = auto()  # a connection that was not reported yet has lasted
    FORMER = auto()  # the broker does not say what other gateways and our former run have left
    VERIFICATION = auto()
    RETURN = auto()
    RIVALS = auto()  # a judgement of theirs may change


class _Problem(Enum):
    """What can be wrong while we are connected, the most serious first."""

    NAME = auto()
    METER = auto()
    REFUSED = auto()
    UNREADABLE = auto()
    NOT_KEPT = auto()


class MqttPublisher:
    """Keeps the broker supplied with the newest message of each topic. All public methods are thread-safe.

    ``on_state`` is told of each change of connection or problem, once, in the publisher's own thread: it may call
    ``set``, but not wait for an answer or ``stop``.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        on_state: OnState | None = None,
        *,
        pace: Pace | None = None,
    ) -> None:
        self._brokers = trouble.brokers(settings)
        self._settings = self._brokers[0]  # of the broker that is tried or served
        self._topics = topics
        self._on_state = on_state
        self._pace = pace or Pace()
        self._online = Message(topics.gateway_availability, ONLINE, Part.AVAILABILITY)
        self._standing = [topics.gateway_status, topics.gateway_availability]
        if settings.birth_topic:
            self._standing.append(settings.birth_topic)
        self._wanted = Wanted(self._online)
        self._searches: list[RetainedSearch] = []  # of any thread; a list's append and remove are atomic
        self._defect: Exception | None = None
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

        # What follows belongs to the thread. First what outlives a connection.
        self._connected = False
        self._connections = 0
        self._reported: tuple[bool, str] | None = None  # what on_state was last told
        self._problems: dict[_Problem, BrokerUnavailable] = {}
        self._short_lived = 0  # connections in a row that did not last
        self._name_conflict = NameConflict()
        self._rivals = Rivals(topics)
        self._refusals = Refusals()
        self._former_known = False  # whether it was seen what our former run and other gateways left
        self._announced: dict[str, tuple[str, float]] = {}  # discovery topic -> what was sent, and when
        self._timers: Timers[_Due] = Timers()
        # Of one connection.
        self._watched: set[str] = set()  # what is subscribed to for as long as it lasts
        self._unasked: list[str] = []  # what is to be subscribed to alone
        self._echoes: Counter[str] = Counter()  # messages on the meters' availability that are still to come back
        self._taken: set[str] = set()  # topics whose retained message the broker has acknowledged
        self._heard_ourselves = False
        self._alone = False  # a suspect is on its way: nothing else may be
        self._follow_all = False

    # For any thread.

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._connected

    @property
    def connections(self) -> int:
        """How often the broker has let us in."""
        return self._connections

    @property
    def problem(self) -> BrokerUnavailable | None:
        """What is wrong although we are connected; the most serious if there are several."""
        problems = dict(self._problems)
        return next((problems[kind] for kind in _Problem if kind in problems), None)

    def start(self) -> None:
        """Begin to connect, and go on for ever."""
        self._thread.start()

    def set(self, *messages: Message) -> None:
        """Want the broker to have these messages; a newer one takes the place of one not yet sent.

        States and statuses are published each time, as signs of life; all else only if it differs.
        A retained message with an empty payload removes the topic, and is forgotten once that is done.
        A status alone wakes nobody: it goes with what comes next, two seconds later at the latest.
        """
        if self._defect:
            raise self._defect
        if any(message.part is not Part.STATUS for message in self._wanted.set(messages)):
            self._wake()

    def withdraw(self, *topics: str) -> None:
        """Want nothing of these topics any more: what the broker has of them stays, but is not sent again."""
        self._wanted.withdraw(topics)

    def emit(self, *messages: Message) -> None:
        """Publish events: each once, in order, none in place of another.

        They wait in memory while there is no broker, the newest some hundred of them.
        """
        self._wanted.emit(messages)
        self._wake()

    @property
    def delivered(self) -> bool:
        """Whether the broker has every event."""
        return self._wanted.delivered

    def ask(self, filters: Sequence[str]) -> Callable[[float], dict[str, str] | None]:
        """Begin to fetch the retained messages of some topics or filters.

        The answer takes the seconds that it may still take, and gives None if the broker could not be asked in time.
        """
        search = next((each for each in list(self._searches) if each.filters == tuple(filters)), None)
        if search is None:
            search = RetainedSearch(filters)
            self._searches.append(search)
        self._wake()

        def answer(timeout: float) -> dict[str, str] | None:
            found = search.wait(timeout)
            with suppress(ValueError):
                self._searches.remove(search)
            return found

        return answer

    def retained(self, filters: Sequence[str], timeout: float) -> dict[str, str] | None:
        """Fetch the retained messages of some topics or filters, as ``ask`` does, and wait for them."""
        return self.ask(filters)(timeout)

    def stop(self) -> None:
        """Tell the broker that gateway and meters are offline, if it can be told soon, and disconnect."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(self._pace.goodbye + 1)
        if not self._thread.is_alive():
            self._wake_read.close()
            self._wake_write.close()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake already; closed: it has stopped
            self._wake_write.send(b"!")

    # For the publisher's own thread: connecting

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception as defect:  # a defect must end the process, not just the thread: set() raises it
            self._defect = defect

    def _keep_connected(self) -> None:
        attempts = 0
        number = 0
        while not self._stopping.is_set():
            self._settings = self._brokers[number]
            began = time.monotonic()
            connection = Connection(self._settings, self._client_id, replace(self._online, payload=OFFLINE))
            try:
                connection.open(self._stopping.is_set)
                self._serve(connection)
                number, attempts = 0, 0  # we stop, or the preferred broker is back
            except BrokerUnavailable as error:
                lasted = time.monotonic() - began >= self._pace.steady
                attempts = 0 if lasted else attempts
                self._after_loss(connection, error, lasted=lasted)
                number = (number + 1) % len(self._brokers)
                if number == 0:
                    self._stopping.wait(self._delay(attempts, error))
                    attempts += 1
            finally:
                connection.close()

    @property
    def _client_id(self) -> str:
        return f"nesgw-{self._topics.gateway}"

    def _after_loss(self, connection: Connection, error: BrokerUnavailable, *, lasted: bool) -> None:
        """Report it, and see what it was lost with."""
        served, found = self._connected, False
        if lasted:
            self._short_lived = 0
        elif served:
            self._short_lived += 1
        if not served and error.facts["stage"] == Stage.REACH.value:
            self._refusals.forget()
        elif served and (self._taken or not connection.stalled):
            found = self._refusals.lost(connection.in_flight)
        self._timers.cancel(_Due.STEADY)
        self._connected = False
        if found and (refused := self._refused()) is not None:
            self._problems[_Problem.REFUSED] = error = refused
            self._short_lived = 0
        self._report(error)

    def _delay(self, attempts: int, error: BrokerUnavailable) -> float:
        pace = self._pace
        if self._timers.runs(_Due.NAME_CONFLICT_OVER):
            delay = pace.conflict_retry
        else:
            passing = error.facts["stage"] in {Stage.REACH.value, Stage.USE.value}
            slowest = pace.slowest_retry if passing else pace.slowest_refused
            attempts = 0 if self._refusals.searching else min(attempts, 16)
            delay = min(pace.first_retry * 2.0**attempts, slowest)
        return delay * random.uniform(0.8, 1.2)  # noqa: S311 (not a secret: spreads the gateways after a power cut)

    def _preferred_is_back(self) -> bool:
        """Whether the preferred broker lets us in again."""
        home = self._brokers[0]
        try:
            socket.create_connection((home.host, home.port), _REACHABLE).close()
        except (OSError, ValueError):
            return False
        visitor = Connection(home, f"{self._client_id}-{os.getpid()}")
        try:
            visitor.open(self._stopping.is_set)
            visitor.leave()
        except BrokerUnavailable:
            return False
        finally:
            visitor.close()
        return True

    # Serving one connection

    def _serve(self, connection: Connection) -> None:
        """Publish everything, then whatever changes, until the connection is lost, we stop or go back home."""
        self._begin(connection)
        home = False
        while not (home or self._stopping.is_set()):
            now = time.monotonic()
            home = self._run_timers(now)
            self._send(connection, now)
            self._advance_searches(connection, now)
            connection.turn(self._until_next(now), self._wake_read)
            self._drain_wake_ups()
            self._note_acknowledged(connection)
            for arrival in connection.arrivals():
                self._take(arrival, time.monotonic())
            if refused := connection.refused():
                self._complain_unreadable(refused)
        self._say_goodbye(connection)

    def _begin(self, connection: Connection) -> None:
        now = time.monotonic()
        self._watched = set()
        self._unasked = []
        self._echoes.clear()
        self._taken.clear()
        self._heard_ourselves = self._alone = False
        for kind in (_Problem.UNREADABLE, _Problem.NOT_KEPT):
            self._problems.pop(kind, None)
        self._watch(connection, self._standing)
        self._watch(connection, self._rivals.watched)
        self._wanted.start_again()
        for search in list(self._searches):
            search.start_again()
        if not self._former_known and not any(each.filters == self._gateways for each in self._searches):
            self._searches.append(RetainedSearch(self._gateways, self._gateways_found))
            self._timers.set(_Due.FORMER, now + self._pace.former)
        for due in (_Due.REDISCOVERY, _Due.RETURN):
            self._timers.cancel(due)
        self._timers.set(_Due.VERIFICATION, now + self._pace.verification)
        if self._settings is not self._brokers[0]:
            self._timers.set(_Due.RETURN, now + self._pace.return_home)
        self._connected = True
        self._connections += 1
        if self._short_lived < _NOT_LASTING:
            self._report(self.problem)
        else:  # reported when it lasts: in and out every few seconds would fill the journal
            self._timers.set(_Due.STEADY, now + self._pace.steady)

    def _watch(self, connection: Connection, topics: Sequence[str]) -> None:
        """Subscribe for as long as the connection lasts; alone to what a connection may have been lost with."""
        new = [each for each in topics if each not in self._watched]
        self._watched.update(new)
        wanted = [each for each in new if not self._refusals.withholds(subscription_key(each))]
        self._unasked += [each for each in wanted if self._refusals.suspects(subscription_key(each))]
        if at_once := [each for each in wanted if each not in self._unasked]:
            connection.subscribe(at_once)

    # Sending

    def _send(self, connection: Connection, now: float) -> None:
        """Hand over what is due, as far as the broker keeps up; suspects alone, the smallest first, at the end."""
        if self._alone and not connection.idle:
            return
        self._alone = False
        suspects: list[Message] = []
        for message in (*self._due(now), *self._wanted.events):
            if self._refusals.withholds(message.topic):
                self._give_up(message)
            elif self._is_held(message, now):
                continue
            elif self._refusals.suspects(message.topic):
                suspects.append(message)
            elif not connection.ready:
                return
            else:
                self._hand_over(connection, message, now)
        if (self._unasked or suspects) and connection.idle:
            self._alone = True
            if self._unasked:
                connection.subscribe([self._unasked.pop(0)])
            else:
                self._hand_over(connection, min(suspects, key=lambda message: len(message.payload)), now)

    def _due(self, now: float) -> list[Message]:
        """What is pending, without a discovery message that comes too soon after another one of its device."""
        due = []
        self._timers.cancel(_Due.HELD_DISCOVERY)
        for message in self._wanted.pending:
            if message.part.is_discovery:
                payload, at = self._announced.get(message.topic, (message.payload, now))
                if payload != message.payload and now < (free := at + self._pace.discovery_gap):
                    self._timers.set(_Due.HELD_DISCOVERY, free)
                    continue
            due.append(message)
        return due

    def _is_held(self, message: Message, now: float) -> bool:
        """Whether a message may not go yet: before it is known what other gateways and our former run have left."""
        if message.part is Part.GATEWAY_DISCOVERY:
            return False
        if message.part in (Part.METER_DISCOVERY, Part.INFO) and (meter := self._topics.meter_of(message.topic)):
            self._rivals.read(meter, now)
        if not self._former_known:
            return True
        if not self._rivals.watched:
            return False
        return self._rivals.owner(self._topics.meter_of(message.topic) or "", now) is not None

    def _hand_over(self, connection: Connection, message: Message, now: float) -> None:
        if message.part.is_discovery:
            self._announced[message.topic] = (message.payload, now)
            self._timers.set(_Due.FOLLOW_UP, now + self._pace.settling)
        if message.part <= Part.INFO:
            self._timers.set(_Due.VERIFICATION, now + self._pace.verification)
        if message.part is Part.EVENT:
            self._wanted.event_sent(message)
        else:
            self._wanted.sent(message)
        if message.part is Part.AVAILABILITY:
            self._watch(connection, [message.topic])
            self._echoes[message.topic] += 1
        if message.topic == self._topics.gateway_status:
            self._name_conflict.published(message.payload)
            self._rivals.published(message.payload)
        connection.publish(self._refusals.fit(message))

    def _give_up(self, message: Message) -> None:
        if message.part is Part.EVENT:
            self._wanted.event_done(message)
        else:
            self._wanted.sent(message)

    def _note_acknowledged(self, connection: Connection) -> None:
        for what in connection.acknowledged():
            self._refusals.taken(what)
            if isinstance(what, Subscription):
                continue
            if what.part is Part.EVENT:
                self._wanted.event_done(what)
            elif not what.payload:
                self._wanted.removed(what.topic)
                self._taken.discard(what.topic)
            elif what.retain and what.qos:
                self._taken.add(what.topic)

    # Time

    def _run_timers(self, now: float) -> bool:
        """Do what is due; True if the preferred broker is back."""
        home = False
        for due in self._timers.due(now):
            match due:
                case _Due.REDISCOVERY:
                    self._follow_all = True
                    self._wanted.again(lambda message: message.part.is_discovery)
                case _Due.FOLLOW_UP:
                    self._follow_up()
                case _Due.NAME_CONFLICT_OVER:
                    self._settle(_Problem.NAME)
                case _Due.STEADY:
                    self._report(self.problem)
                case _Due.FORMER:
                    self._former_known = True
                case _Due.VERIFICATION:
                    self._verify(now)
                case _Due.RETURN:
                    home = self._preferred_is_back()
                    self._timers.set(_Due.RETURN, time.monotonic() + self._pace.return_home)
                case _Due.RIVALS | _Due.HELD_DISCOVERY:
                    pass
        self._compare_rivals(now)
        return home

    def _follow_up(self) -> None:
        """Publish what is not retained; all of it where Home Assistant has just started, for that had no ears yet."""
        everything, self._follow_all = self._follow_all, False
        self._wanted.again(lambda m: m.part >= Part.AVAILABILITY and (everything or not m.retain))

    def _until_next(self, now: float) -> float:
        due = [now + _TURN, self._timers.next, *(search.due for search in list(self._searches))]
        return max(0.0, min(due) - now)

    def _drain_wake_ups(self) -> None:
        with suppress(BlockingIOError):
            self._wake_read.recv(4096)

    # What the broker says

    def _advance_searches(self, connection: Connection, now: float) -> None:
        for search in list(self._searches):
            search.advance(connection, now)
            if search.over:
                with suppress(ValueError):
                    self._searches.remove(search)
                if others := [each for each in search.filters if each not in self._watched]:
                    connection.unsubscribe(others)
        self._watch(connection, self._rivals.watched)

    def _take(self, arrival: Arrival, now: float) -> None:
        for search in list(self._searches):
            search.take(arrival, now)
        topic, payload = arrival.topic, arrival.payload
        ours = topic in (self._topics.gateway_status, self._topics.gateway_availability)
        self._heard_ourselves = self._heard_ourselves or (ours and not arrival.retained)
        if topic == self._settings.birth_topic:
            # A retained one tells of a birth before we came, and we have just published everything.
            if payload == ONLINE and not arrival.retained and not self._timers.runs(_Due.REDISCOVERY):
                pause = random.uniform(*self._pace.rediscovery)  # noqa: S311 (not a secret)
                self._timers.set(_Due.REDISCOVERY, now + pause)
        elif topic == self._topics.gateway_status:
            if other := self._name_conflict.seen(payload, retained=arrival.retained):
                self._complain_of_name(other, now)
        elif topic == self._topics.gateway_availability:
            if not arrival.retained and payload != ONLINE:
                # The late last will of our former connection, or somebody else's mistake: we know better.
                self._wanted.again(lambda message: message is self._online)
        elif topic in self._rivals.watched:
            self._rivals.heard(topic, payload, retained=arrival.retained, now=now)
        elif topic in self._watched and not arrival.retained:
            self._compare_availability(topic, payload)

    def _compare_availability(self, topic: str, payload: str) -> None:
        """Notice that somebody else speaks of a meter of ours."""
        wanted = self._wanted.get(topic)
        self._echoes[topic] -= 1
        if wanted and payload == OFFLINE and wanted.payload == ONLINE:
            # The goodbye of a gateway that read this meter before us.
            self._echoes[topic] = 0
            self._wanted.again(lambda message: message is wanted)
        elif self._echoes[topic] < 0:
            self._echoes[topic] = 0
            if not any(each.filters == self._gateways for each in self._searches):
                self._searches.append(RetainedSearch(self._gateways, self._gateways_found))

    # Other gateways, and our own former run

    @property
    def _gateways(self) -> tuple[str, ...]:
        """Filters for what all gateways say. Ours are named besides, for brokers whose memory answers no filters."""
        return (*self._topics.of_gateways(), self._topics.gateway_status, self._topics.gateway_availability)

    def _gateways_found(self, found: dict[str, str] | None) -> None:
        """Take note of them, once or again; the meters of our former run are offline until they are read.

        The broker still has its status; ours is not published before.
        """
        if not self._former_known:
            self._former_known = True
            if found is None:  # perhaps we may not read what others say
                ours = (self._topics.gateway_status,)
                self._searches.append(RetainedSearch(ours, lambda own: self._withdraw_former(own or {})))
            else:
                self._withdraw_former(found)
        self._rivals.found(found or {}, time.monotonic())

    def _withdraw_former(self, found: dict[str, str]) -> None:
        for meter in sorted(former_meters(found, self._topics)):
            message = availability_message(self._topics, meter, online=False)
            if self._wanted.get(message.topic) is None:
                self._wanted.set([message])

    def _compare_rivals(self, now: float) -> None:
        """Report the meters that another gateway reads as well."""
        if not self._rivals.watched:
            self._settle(_Problem.METER)
            return
        self._timers.set(_Due.RIVALS, self._rivals.next_change(now))
        conflicts = self._rivals.conflicts(now)
        if conflicts:
            ours = [meter for meter in conflicts if self._rivals.owner(meter, now) is None]
            self._complain(_Problem.METER, trouble.meter_conflict(self._settings, conflicts, ours))
        else:
            self._settle(_Problem.METER)

    def _complain_of_name(self, other: str, now: float) -> None:
        error = trouble.name_conflict(self._settings, self._topics.gateway, other)
        if not self._timers.runs(_Due.NAME_CONFLICT_OVER):
            self._complain(_Problem.NAME, error)
        # Longer than the other one, as slow as we are, may stay away.
        self._timers.set(_Due.NAME_CONFLICT_OVER, now + 3 * self._pace.conflict_retry)

    # Whether the broker has what it has acknowledged

    def _verify(self, now: float) -> None:
        """Ask for everything that it should remember by now."""
        if any(message.part <= Part.AVAILABILITY and not self._is_held(message, now) for message in self._due(now)):
            self._timers.set(_Due.VERIFICATION, now + self._pace.verification)
            return
        expected = [m for m in self._wanted.all() if m.topic in self._taken and m.part <= Part.AVAILABILITY]
        if expected:
            topics = [message.topic for message in expected]
            self._searches.append(RetainedSearch(topics, lambda found: self._verified(expected, found)))

    def _verified(self, expected: Sequence[Message], found: dict[str, str] | None) -> None:
        if found is None:
            return  # a subscription was refused, and that is reported
        missing = [m for m in expected if m.topic not in found and m.topic in self._taken]
        if not missing:
            self._settle(_Problem.NOT_KEPT)
        elif len(missing) < len(expected):
            self._complain(_Problem.NOT_KEPT, trouble.not_kept(self._settings, missing))
        elif self._heard_ourselves:
            self._complain(_Problem.NOT_KEPT, trouble.keeps_nothing(self._settings))
        else:
            self._complain(_Problem.NOT_KEPT, trouble.nothing_back(self._settings))

    # Reporting

    def _refused(self) -> BrokerUnavailable | None:
        said = self._refusals.in_words
        return said and trouble.trouble(self._settings, Stage.USE, *said)

    def _complain_unreadable(self, refused: list[str]) -> None:
        for search in list(self._searches):
            search.refused(refused)
        if standing := [topic for topic in refused if topic in self._watched]:
            self._complain(_Problem.UNREADABLE, trouble.unreadable(self._settings, standing))

    def _complain(self, kind: _Problem, error: BrokerUnavailable) -> None:
        if str(self._problems.get(kind)) != str(error):
            self._problems[kind] = error
            self._report(error)

    def _settle(self, kind: _Problem) -> None:
        if self._problems.pop(kind, None) is not None and self._connected:
            self._report(self.problem)

    def _report(self, problem: BrokerUnavailable | None) -> None:
        """Tell of a change, once. While another gateway uses our name, that is the problem, whatever else happens."""
        if _Problem.NAME in self._problems and problem is not self._problems[_Problem.NAME]:
            return
        said = (self._connected, str(problem or ""))
        if said != self._reported:
            self._reported = said
            if self._on_state:
                self._on_state(self._connected, problem)

    def _say_goodbye(self, connection: Connection) -> None:
        """Publish what is pending, and that all is offline: the broker keeps the last will for those who crash."""
        deadline = time.monotonic() + self._pace.goodbye
        self._former_known = True
        gone = [m for m in self._wanted.all() if m.part is Part.AVAILABILITY and m.payload]
        if not self._stopping.is_set():
            gone = [message for message in gone if message is self._online]
        leaving = [replace(message, payload=OFFLINE) for message in gone]
        self._wanted.set(leaving)
        self._wanted.only(lambda m: not m.part.is_discovery and not self._is_held(m, deadline))
        while (self._wanted.pending or not connection.idle) and (now := time.monotonic()) < deadline:
            self._send(connection, now)
            connection.turn(deadline - now)
            self._note_acknowledged(connection)
        connection.leave()
        self._connected = False
        if self._stopping.is_set():
            self._report(None)
        else:
            self._wanted.set([self._online])
