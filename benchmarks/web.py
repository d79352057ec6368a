"""What the web service costs a daemon that is read, and attacked, without a pause; and whether it costs a beat.

Two daemons run side by side, the one with [http] and the one without. Clients are as many as a house has, and more.
"""

from __future__ import annotations

import itertools
import json
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, NamedTuple

from benchmarks import processes
from benchmarks.figures import Row, _polls
from benchmarks.processes import Gateway, Meters, broker

PATHS: Final = (
    *("/", "/static/page.js", "/api/meters", "/api/meters/m0", "/metrics", "/v1/json", "/cm?cmnd=Status%208"),
    *("/getDashDataWS", "/shelly", "/rpc/EM.GetStatus", "/rpc/EMData.GetStatus", "/rpc/Shelly.GetStatus", "/rpc/No"),
)
HOSTILE: Final = (
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /api/meters HTTP/1.1\r\nHost: pi\r\nOrigin: http://evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
    b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"POST /rpc HTTP/1.1\r\nHost: pi\r\nContent-Length: 99999999\r\n\r\n",
    b"POST /rpc HTTP/1.1\r\nHost: pi\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"PUT /../../etc/passwd HTTP/1.1\r\nHost: pi\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"\x00" * 9000,
)
MANY: Final = 1000  # connections at once
RUSH: Final = 30.0  # seconds between two such rushes
BEAT: Final = 0.05  # seconds: 48 hours of beats of 10 s in a quarter of an hour


class Crowd:
    """Everybody who asks, each in a thread; counts what was answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self.answers: Counter[str] = Counter()
        people: list[Callable[[], None]] = [self._asks, self._asks, self._watches, self._watches, self._is_hostile]
        people += [self._trickles] * 8 + [self._rushes]
        self._threads = [threading.Thread(target=person, daemon=True) for person in people]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(15)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=5)

    def _asks(self) -> None:
        """Every path, and a day of the load profile now and then."""
        chance = random.Random(1)
        while not self._end.wait(0.02):
            path = chance.choice(PATHS)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                    self.answers[str(answer.status)] += 1
                    answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    self.answers[str(error.code)] += 1
            except OSError:  # turned away, in a rush
                self.answers["turned away"] += 1

    def _watches(self) -> None:
        """An open page."""
        while not self._end.is_set():
            with suppress(OSError), self._connect() as page:
                page.sendall(b"GET /api/events HTTP/1.1\r\nHost: pi\r\n\r\n")
                while not self._end.is_set() and (said := page.recv(65536)):
                    self.answers["events"] += said.count(b"event: ")
            self._end.wait(0.2)

    def _is_hostile(self) -> None:
        chance = random.Random(2)
        while not self._end.wait(0.05):
            with suppress(OSError), self._connect() as one:
                one.sendall(chance.choice(HOSTILE))
                self.answers[f"hostile: {one.recv(12)[9:].decode() or 'closed'}"] += 1

    def _trickles(self) -> None:
        """Slowloris: a byte now and then, for ever."""
        while not self._end.is_set():
            with suppress(OSError), self._connect() as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: ")
                while not self._end.wait(0.5):
                    one.sendall(b"p")
            self.answers["slow ones ended"] += 1

    def _rushes(self) -> None:
        """A thousand at once."""
        while not self._end.wait(RUSH / 10):
            held = []
            for _ in range(MANY):
                with suppress(OSError):
                    held.append(socket.create_connection(("127.0.0.1", self._port), timeout=1))
            self.answers["connections in rushes"] += len(held)
            for each in held:
                each.close()
            self._end.wait(RUSH)


def _http(port: int) -> str:
    emulations = "".join(f'{name} = "m0"\n' for name in ("ecotracker", "tasmota", "dabbler", "shelly"))
    return f'[http]\nenabled = true\nlisten = "127.0.0.1:{port}"\n{emulations}'


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def _serves(port: int) -> bool:
    with suppress(OSError, urllib.error.HTTPError):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/json", timeout=5) as answer:
            return bool(json.loads(answer.read()))
    return False


class Daemon:
    """One of two that run side by side, each with a meter and a broker of its own; notes when each poll began."""

    def __init__(self, life: ExitStack, beat: float, more: str) -> None:
        mqtt = life.enter_context(broker())
        self._meters = life.enter_context(Meters("83331-3i", baud=None, answer_delay=0.0))
        self._gateway = life.enter_context(Gateway(self._meters.paths, mqtt, interval=beat, more=more))
        self._beat = beat
        self.begins: list[float] = []

    def forget(self) -> None:
        """Count from now on."""
        self._meters.seen()

    def look(self) -> None:
        """Note the polls since the last look."""
        self.begins += _polls(self._meters.seen()[0]["requests"])

    @property
    def beats(self) -> int:
        """How many there have been from the first poll to the last, met or not."""
        return round((self.begins[-1] - self.begins[0]) / self._beat) + 1 if self.begins else 0

    @property
    def missed(self) -> int:
        """Beats on which no poll began."""
        return self.beats - len(self.begins)

    def missed_alone(self, other: Daemon) -> int:
        """How many of them do not fall together with one of another daemon, whom no web service disturbs."""
        theirs = other.gaps
        return sum(gap.beats for gap in self.gaps if not any(gap.meets(each) for each in theirs))

    @property
    def gaps(self) -> list[Gap]:
        """Where beats were missed."""
        found = (Gap(one, two, round((two - one) / self._beat) - 1) for one, two in itertools.pairwise(self.begins))
        return [gap for gap in found if gap.beats > 0]

    @property
    def latest(self) -> float:
        """How much longer than a beat it was between two polls at the most, in seconds."""
        return max(after - before for before, after in itertools.pairwise(self.begins)) - self._beat

    @property
    def memory(self) -> Memory:
        """What it has now."""
        return Memory(self._gateway.usage.rss, self._gateway.proportional, self._gateway.anonymous)


class Gap(NamedTuple):
    """Two polls with missed beats between them."""

    begin: float
    end: float
    beats: int

    def meets(self, other: Gap) -> bool:
        """Whether they are of the same time."""
        return self.begin < other.end and other.begin < self.end


class Memory(NamedTuple):
    """In MiB."""

    resident: float
    proportional: float
    anonymous: float


def use(beats: int, beat: float = BEAT) -> Iterator[Row]:
    """So many beats side by side, with and without, each of them counted; 17,280 are 48 hours on a beat of 10 s.

    Time runs two hundred times as fast, and a busy machine's pauses with it: one of 50 ms costs a beat. Both daemons
    meet such a pause, so what counts is what the one with the service misses alone.
    """
    port = _free_port()
    with ExitStack() as life:
        daemons = [Daemon(life, beat, more) for more in ("", _http(port))]
        processes.wait_for(lambda: _serves(port), "the web service answers")
        time.sleep(2)  # the start is not counted
        for daemon in daemons:
            daemon.forget()
        with Crowd(port) as crowd:
            early = _after(beats // 4, daemons)
            late = _after(beats, daemons)
    bare, web = daemons
    case = f"{beats} beats of {1000 * beat:g} ms, attacked"
    answered = ", ".join(f"{what} {count}" for what, count in sorted(crowd.answers.items()))
    yield Row("web service: beats missed by it alone", case, web.missed_alone(bare), 0.0, "", answered)
    for daemon, name in ((bare, "without"), (web, "with")):
        note = f"{len(daemon.begins)} polls on {daemon.beats} beats; latest {1000 * daemon.latest:.0f} ms"
        yield Row(f"beats missed, {name} web service", case, daemon.missed, None, "", note)
    over = Memory(*(there - here for here, there in zip(*late, strict=True)))
    yield Row("web service: resident memory", case, over.resident, 3.0, "MiB")
    yield Row("web service: proportional (PSS)", case, over.proportional, 3.0, "MiB")
    grown = [after.anonymous - before.anonymous for before, after in zip(early, late, strict=True)]
    yield Row("web service: growth", "the last three quarters", grown[1] - grown[0], 1.0, "MiB", "anonymous memory")
    for name, found in zip(("without", "with"), late, strict=True):
        note = f"{found.proportional:.2f} / {found.anonymous:.2f}"
        yield Row(f"the daemon {name} it", "resident / PSS / anonymous", found.resident, None, "MiB", note)


def _after(beats: int, daemons: list[Daemon]) -> list[Memory]:
    """The memory of each after so many beats."""
    while min(daemon.beats for daemon in daemons) < beats:
        time.sleep(0.5)
        for daemon in daemons:
            daemon.look()
    return [daemon.memory for daemon in daemons]


def beats(seconds: float) -> Iterator[Row]:
    """A meter at 9600 baud on a beat of 1 s: how late the latest poll began, and how many did not."""
    for attacked in (False, True):
        port = _free_port()
        with broker() as mqtt, Meters("83331-3i") as meters:
            with Gateway(meters.paths, mqtt, interval=1.0, session="keep-open", more=_http(port)):
                processes.wait_for(lambda: _serves(port), "the web service answers")  # noqa: B023 (called here)
                time.sleep(5)
                meters.seen()
                with Crowd(port) if attacked else _nobody():
                    time.sleep(seconds)
                    begins = _polls(meters.seen()[0]["requests"])
        late = max(after - before for before, after in itertools.pairwise(begins)) - 1.0
        missed = round(begins[-1] - begins[0]) + 1 - len(begins)
        case = f"1 s beat, {seconds:g} s, {'attacked' if attacked else 'left alone'}"
        yield Row(
            "web service: beats missed", case, missed, 0.0, "", f"latest {1000 * late:.0f} ms, {len(begins)} polls"
        )
