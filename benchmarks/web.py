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
from typing import Final

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


def memory(polls: int, beat: float = 0.03) -> Iterator[Row]:
    """So many polls side by side, with and without; 17,280 are those of 48 hours on a beat of 10 s."""
    port = _free_port()
    with ExitStack() as open_ones:
        daemons = []
        for more in ("", _http(port)):
            mqtt = open_ones.enter_context(broker())
            meters = open_ones.enter_context(Meters("83331-3i", baud=None, answer_delay=0.0))
            daemons.append((meters, open_ones.enter_context(Gateway(meters.paths, mqtt, interval=beat, more=more))))
        processes.wait_for(lambda: _serves(port), "the web service answers")
        with Crowd(port) as crowd:
            early = _after(polls // 4, daemons)
            late = _after(polls - polls // 4, daemons)
    note = ", ".join(f"{what} {count}" for what, count in sorted(crowd.answers.items()))
    case = f"{polls} polls, without a pause"
    yield Row("web service: resident memory", case, late[1][0] - late[0][0], 3.0, "MiB", note)
    yield Row("web service: proportional (PSS)", case, late[1][1] - late[0][1], 3.0, "MiB")
    grown = [after[0] - before[0] for before, after in zip(early, late, strict=True)]
    yield Row("web service: growth", "the last three quarters", grown[1] - grown[0], 1.0, "MiB")
    for name, (resident, proportional) in zip(("without", "with"), late, strict=True):
        yield Row(f"the daemon {name} it", "resident / PSS", resident, None, "MiB", f"{proportional:.2f}")


def _after(polls: int, daemons: list[tuple[Meters, Gateway]]) -> list[tuple[float, float]]:
    """Resident and proportional memory of each in MiB, when it has polled so often."""
    done, found = [0 for _ in daemons], [(0.0, 0.0) for _ in daemons]
    while min(done) < polls:
        time.sleep(0.5)
        for place, (meters, gateway) in enumerate(daemons):
            done[place] += len(_polls(meters.seen()[0]["requests"]))
            found[place] = gateway.usage.rss, gateway.proportional
    return found


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
