"""The sockets, with a clock that the test turns: nobody can hold the service up, and nobody is turned away for long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from nesgw.web.connection import HEAD_TIME, IDLE_TIME, Connection
from nesgw.web.request import Request
from nesgw.web.response import Response, json_response, text
from nesgw.web.server import KEEP_ALIVE, WRITE_TIME, Answer, Later, Limits, Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SOON = 5.0  # seconds that a test waits for what comes at once


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ticker:
    """A stream that says what it is given."""

    def __init__(self) -> None:
        self.words = b""

    def take(self) -> bytes:
        words, self.words = self.words, b""
        return words


def echo(request: Request) -> Answer:
    return json_response({"path": request.path, "body": request.body.decode()})


class Running:
    """A server on a port of its own."""

    def __init__(self, answer: Callable[[Request], Answer], limits: Limits | None) -> None:
        self.clock = Clock()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = listener.getsockname()
        self.server = Server([listener], answer, clock=self.clock, limits=limits)
        self.server.start()

    def connect(self, *said: bytes) -> socket.socket:
        client = socket.create_connection(self.address, timeout=SOON)
        for each in said:
            client.sendall(each)
        return client

    @property
    def clients(self) -> list[Connection]:
        """Those that are connected."""
        return [client.connection for client in tuple(vars(self.server)["_clients"])]

    @property
    def begun(self) -> int:
        """How many have begun a request."""
        return sum(client.idle_since is None for client in self.clients)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.server.wake()


@contextmanager
def running(answer: Callable[[Request], Answer] = echo, limits: Limits | None = None) -> Iterator[Running]:
    serving = Running(answer, limits)
    try:
        yield serving
    finally:
        serving.server.stop()


def answer_of(client: socket.socket) -> bytes:
    """One whole answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(4096) or pytest.fail(f"closed after {data!r}")
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(4096) or pytest.fail("closed within a body")
    return head + b"\r\n\r\n" + body


def is_closed(client: socket.socket) -> bool:
    """Whether the server has ended the connection: it says so at once, or never."""
    with suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_kept_connection_answers_one_request_after_the_other() -> None:
    with running() as serving, serving.connect() as client:
        for number in range(5):
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            assert b'{"path":"/%d"' % number in answer_of(client)


def test_head_and_body_come_in_one_piece() -> None:
    with running() as serving, serving.connect(GET) as client:
        assert client.recv(4096).endswith(b'{"path":"/","body":""}')


def test_requests_that_come_together_are_answered_in_order() -> None:
    with running() as serving, serving.connect(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n") as client:
        data = b""
        while data.count(b"}") < 2:
            data += client.recv(4096)
        assert data.index(b'"/a"') < data.index(b'"/b"')


def test_who_asks_for_the_end_gets_it() -> None:
    with running() as serving, serving.connect(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") as client:
        assert b"Connection: close" in answer_of(client)
        assert is_closed(client)


def test_a_head_request_gets_the_head_alone() -> None:
    with running() as serving, serving.connect(b"HEAD / HTTP/1.0\r\n\r\n") as client:
        data = client.recv(4096)
        assert b"Content-Length: 22" in data
        assert data.endswith(b"\r\n\r\n")
        assert is_closed(client)


def test_what_is_no_http_gets_a_sentence_and_the_end() -> None:
    with running() as serving, serving.connect(b"\x16\x03\x01\x02\x00\r\n\r\n" + b"x" * 20000) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 400 ")
        assert is_closed(client)


@pytest.mark.expects_warnings("please report this")
def test_a_defect_in_an_answer_ends_neither_the_connection_nor_the_service() -> None:
    def broken(_: Request) -> Answer:
        raise ZeroDivisionError

    with running(broken) as serving, serving.connect() as client:
        for _ in range(2):
            client.sendall(GET)
            assert b"500" in answer_of(client)


def test_a_byte_now_and_then_does_not_hold_a_connection() -> None:
    with running() as serving, serving.connect(b"GET / HT") as slow, serving.connect() as other:
        until(lambda: serving.begun == 1)
        serving.pass_time(HEAD_TIME - 1)
        slow.sendall(b"T")
        other.sendall(GET)
        answer_of(other)
        serving.pass_time(1.5)
        assert is_closed(slow)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with running() as serving, serving.connect(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf") as slow:
        until(lambda: serving.begun == 1)
        serving.pass_time(2 * HEAD_TIME)
        assert is_closed(slow)


def test_an_idle_connection_is_kept_for_a_scrape_a_minute() -> None:
    with running() as serving, serving.connect(GET) as client:
        answer_of(client)
        serving.pass_time(IDLE_TIME - 5)
        client.sendall(GET)
        answer_of(client)
        serving.pass_time(IDLE_TIME + 1)
        assert is_closed(client)


def test_an_answer_that_is_not_taken_is_not_kept() -> None:
    with running(lambda _: Response(200, bytes(30_000_000))) as serving, serving.connect(GET) as slow:
        assert slow.recv(4096)
        serving.pass_time(WRITE_TIME + 1)
        until(lambda: not serving.clients)


def test_of_a_thousand_connections_a_few_are_held_and_a_new_one_is_served() -> None:
    with running(limits=Limits(connections=32)) as serving:
        held = []
        for _ in range(1000):
            with suppress(OSError):
                held.append(serving.connect())
        with serving.connect(GET) as client:
            assert b"200 OK" in answer_of(client)
        assert len(serving.clients) <= 32
        for each in held:
            each.close()


def test_who_is_being_answered_is_not_ended_for_a_newcomer() -> None:
    with running(limits=Limits(connections=2)) as serving, ExitStack() as clients:
        busy = [clients.enter_context(serving.connect(b"GET / H")) for _ in range(2)]
        until(lambda: serving.begun == 2)
        assert is_closed(clients.enter_context(serving.connect()))
        for client in busy:
            client.sendall(b"TTP/1.1\r\n\r\n")
            assert b"200 OK" in answer_of(client)


def test_what_takes_long_holds_up_nobody_else() -> None:
    go_on = threading.Event()

    def answer(request: Request) -> Answer:
        return (
            Later(lambda: (go_on.wait(SOON) and text(200, "late")) or text(500, ""))
            if request.path == "/slow"
            else text(200, "")
        )

    with running(answer) as serving, serving.connect(b"GET /slow HTTP/1.1\r\n\r\n") as slow:
        with serving.connect(GET) as other:
            answer_of(other)
        serving.pass_time(HEAD_TIME + 1)  # the time for a head is not the time for its answer
        go_on.set()
        assert answer_of(slow).endswith(b"late\n")


def test_too_many_long_ones_get_a_sentence() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> Response:
        begun.set()
        go_on.wait(SOON)
        return text(200, "")

    with running(lambda _: Later(work)) as serving, ExitStack() as clients:
        first = clients.enter_context(serving.connect(GET))
        assert begun.wait(SOON)
        others = [clients.enter_context(serving.connect(GET)) for _ in range(11)]
        refused = [answer_of(client) for client in others[8:]]  # eight wait
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
        go_on.set()
        assert all(answer_of(client).startswith(b"HTTP/1.1 200 ") for client in (first, *others[:8]))


def test_a_stream_says_what_is_new_and_shows_that_it_lives() -> None:
    ticker = Ticker()
    ticker.words = b"data: 1\n\n"
    with running(lambda _: ticker) as serving, serving.connect(GET) as client:
        head, _, body = client.recv(4096).partition(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert body == b"data: 1\n\n"
        ticker.words = b"data: 2\n\n"
        serving.server.wake()
        assert client.recv(4096) == b"data: 2\n\n"
        serving.pass_time(KEEP_ALIVE)
        assert client.recv(4096) == b":\n\n"


def test_only_so_many_pages_are_open_at_once() -> None:
    with running(lambda _: Ticker(), Limits(streams=2)) as serving:
        clients = [serving.connect(GET) for _ in range(3)]
        assert sorted(client.recv(12) for client in clients) == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503"]
        for client in clients:
            client.close()


def test_at_the_end_every_connection_is_closed() -> None:
    with running() as serving:
        client = serving.connect(GET)
        answer_of(client)
    assert is_closed(client)
    client.close()
    with pytest.raises(OSError, match="refused"):
        serving.connect()
