"""The sockets: one thread that serves every connection and datagram, with a bound for each thing that could grow.

It waits in one place for all of them, so a client that says nothing costs a socket and no thread. What takes long (the
meter's load profile) runs in a second thread, one at a time, and is answered when it is there.
"""

from __future__ import annotations

import queue
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from nesgw.web.connection import Connection
from nesgw.web.guard import INGRESS
from nesgw.web.request import Refused, Request
from nesgw.web.response import Response, encode, encode_stream_head, refusal, text

BEAT: Final = 1.0  # seconds between two looks at deadlines and readings, if nothing wakes us before
WRITE_TIME: Final = 10.0  # for a client to take an answer, or the next event
KEEP_ALIVE: Final = 15.0  # between two signs of life on a stream of events: who is gone shows when we write
RECEIVE: Final = 4096
AT_A_TIME: Final = 16  # new connections between two looks at the others
LONGEST_DATAGRAM: Final = 512
WAITING_JOBS: Final = 8
# After work it rests twice as long: however many ask, two thirds of a core are left to the meters' threads.
REST: Final = 2.0
LONGEST_REST: Final = 0.1  # seconds
ACCEPT_PAUSE: Final = 1.0  # after the process has run out of file descriptors
LINGER: Final = 1.0  # for a client to read our last words: what it still sends would have them thrown away

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE
_Given = TypeVar("_Given")


class Stream(Protocol):
    """Server-sent events for one client."""

    def take(self) -> bytes:
        """Return what there is to say since the last call; nothing if that is nothing."""


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that takes its time: ``work`` runs in another thread."""

    work: Callable[[], Response]


Answer = Response | Later | Stream
DatagramHandler = Callable[[bytes, str, int, float], "bytes | None"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of us clients may have at once."""

    connections: int = 32
    of_one_address: int = 8  # a real Shelly allows six in all
    streams: int = 16


class Server:
    """Serves ``listeners`` and ``datagrams`` until told to stop. Closes all of them at the end."""

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        answer: Callable[[Request], Answer],
        *,
        datagrams: Iterable[tuple[socket.socket, DatagramHandler]] = (),
        beat: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listeners = list(listeners)
        self._datagrams = list(datagrams)
        self._answer = answer
        self._beat = beat
        self._limits = limits or Limits()
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._clients: set[_Client] = set()
        self._bell, self._ring = socket.socketpair()
        self._jobs = _Jobs(self.wake)
        self._stopping = False
        self._accept_from = 0.0
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        for listener in self._listeners:
            listener.setblocking(False)
            self._selector.register(listener, _READ, self._accept)
        for datagram, handler in self._datagrams:
            datagram.setblocking(False)
            self._selector.register(datagram, _READ, _Datagrams(datagram, handler, self._clock))
        for end in (self._bell, self._ring):
            end.setblocking(False)
        self._selector.register(self._bell, _READ, self._woken)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look for something new to say. May be called by any thread; never waits."""
        with suppress(OSError):  # full: it is about to wake; closed: it has ended
            self._ring.send(b"\0")

    def stop(self, wait: float = 2.0) -> None:
        """End every connection, and the thread."""
        self._stopping = True
        self.wake()
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(wait)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        ready = self._selector.select(BEAT)
        began = time.monotonic()
        self._serve(ready)
        time.sleep(min(REST * (time.monotonic() - began), LONGEST_REST))

    def _serve(self, ready: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        for key, mask in ready:
            if isinstance(key.data, _Client):
                self._guarded(key.data, key.data.ready, mask)
            else:
                key.data(key.fileobj)
        self._beat()
        now = self._clock()
        for client, response in self._jobs.finished():
            self._guarded(client, client.finish, response)
        for client in list(self._clients):
            self._guarded(client, client.turn, now)

    def _guarded(self, client: _Client, act: Callable[[_Given], None], given: _Given) -> None:
        """Let no client, and no defect in answering one, end the service of the others."""
        try:
            act(given)
        except OSError:  # gone
            client.gone = True
        except Exception:
            structlog.get_logger().exception("the web service failed to answer; please report this")
            client.gone = True
        if client.gone:
            self._drop(client)

    def _woken(self, _bell: object) -> None:
        with suppress(BlockingIOError):
            while self._bell.recv(RECEIVE):
                pass

    # Who may connect

    def _accept(self, listener: socket.socket) -> None:
        """Take those who knock, some at a time: others are waiting for an answer."""
        for _ in range(AT_A_TIME):
            if self._clock() < self._accept_from:
                return
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # out of file descriptors: the meters' and the broker's come first
                self._accept_from = self._clock() + ACCEPT_PAUSE
                return
            self._welcome(connection, str(address[0]).removeprefix("::ffff:"))

    def _welcome(self, connection: socket.socket, client: str) -> None:
        if not self._room_for(client):
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        new = _Client(connection, Connection(client, self._clock()), self)
        self._clients.add(new)
        self._selector.register(connection, _READ, new)

    def _room_for(self, address: str) -> bool:
        """Make room by ending the longest idle connection: of this address, if it has too many."""
        counts = Counter(client.address for client in self._clients)
        # Behind these there may be a whole house.
        if address not in ("127.0.0.1", "::1", INGRESS) and counts[address] >= self._limits.of_one_address:
            return self._end_an_idle_one(of=address)
        return len(self._clients) < self._limits.connections or self._end_an_idle_one()

    def _end_an_idle_one(self, of: str | None = None) -> bool:
        idle = [
            (client.connection.idle_since, client)
            for client in self._clients
            if client.connection.idle_since is not None and of in (None, client.address)
        ]
        if not idle:
            return False
        self._drop(min(idle, key=lambda each: each[0])[1])
        return True

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            with suppress(KeyError, ValueError):
                self._selector.unregister(client.socket)
            client.socket.close()

    # For a client

    @property
    def now(self) -> float:
        """The time."""
        return self._clock()

    def answer(self, request: Request, client: _Client) -> Response | Stream | None:
        """Answer at once, or None and later."""
        try:
            answer = self._answer(request)
        except Refused as refused:
            return text(refused.status, refused.sentence)
        except Exception:
            structlog.get_logger().exception("the web service failed to answer; please report this")
            return text(500, "a defect in nesgw; its log says more")
        if isinstance(answer, Later):
            return None if self._jobs.put(client, answer.work) else text(503, "too many are asking; try again later")
        if not isinstance(answer, Response) and self._streams() >= self._limits.streams:
            return text(503, "too many pages are open; close one")
        return answer

    def wait_for(self, client: _Client, mask: int) -> None:
        """Watch a client's socket for these events."""
        self._selector.modify(client.socket, mask, client)

    def _streams(self) -> int:
        return sum(client.stream is not None for client in self._clients)

    def _close(self) -> None:
        self._jobs.stop()
        for client in list(self._clients):
            self._drop(client)
        for each in (*self._listeners, *(datagram for datagram, _ in self._datagrams), self._bell, self._ring):
            each.close()
        self._selector.close()


class _Client:
    """One connection's socket, and what of an answer is not out yet."""

    def __init__(self, connected: socket.socket, connection: Connection, server: Server) -> None:
        self.socket = connected
        self.connection = connection
        self.stream: Stream | None = None
        self.gone = False
        self._server = server
        self._request: Request | None = None  # being answered
        self._out = b""
        self._write_until = 0.0
        self._sent_at = 0.0
        self._last_words = False  # close when all is out
        self._mask = _READ

    @property
    def address(self) -> str:
        """The client's."""
        return self.connection.client

    def ready(self, mask: int) -> None:
        """Go on with what the selector saw."""
        if mask & _WRITE:
            self._flush()
            self._advance()
        if mask & _READ and not self.gone:
            data = self.socket.recv(RECEIVE)
            if not data:
                self.gone = True
                return
            if self.stream is None and not self._last_words:
                self.connection.receive(data, self._server.now)
                self._advance()

    def turn(self, now: float) -> None:
        """Look at the clock, and for something new to say."""
        if self._out:
            self.gone = now > self._write_until
        elif self.stream is not None:
            if data := self.stream.take() or (b":\n\n" if now - self._sent_at >= KEEP_ALIVE else b""):
                self._send(data)
        elif self._request is None and now > self.connection.deadline:
            self.gone = True

    def finish(self, answer: Response) -> None:
        """Send the answer that took its time, and go on."""
        self._respond(answer)
        self._advance()

    def _advance(self) -> None:
        """Answer the requests that are whole, one after the other."""
        while self._request is None and not self._out and not self._last_words and self.stream is None:
            try:
                request = self.connection.next_request(self._server.now)
            except Refused as refused:
                self._last_words = True
                self._send(encode(refusal(refused)))
                return
            if request is None:
                break
            self._request = request
            answer = self._server.answer(request, self)
            if isinstance(answer, Response):
                self._respond(answer)
            elif answer is not None:
                self._begin_stream(answer)
        self._watch()

    def _respond(self, answer: Response) -> None:
        request, self._request = self._request, None
        if request is None:
            return
        self._last_words = answer.close or not request.keep_alive
        self.connection.answered(self._server.now)
        self._send(encode(answer, body=request.method != "HEAD", keep_alive=request.keep_alive))

    def _begin_stream(self, stream: Stream) -> None:
        self._request, self.stream = None, stream
        self._send(encode_stream_head() + stream.take())

    def _send(self, data: bytes) -> None:
        self._out += data
        self._sent_at = self._server.now
        self._write_until = self._sent_at + WRITE_TIME
        self._flush()

    def _flush(self) -> None:
        with suppress(BlockingIOError):
            self._out = self._out[self.socket.send(self._out) :]
        if self._last_words and not self._out:
            self.socket.shutdown(socket.SHUT_WR)
            self.connection.deadline = self._server.now + LINGER
        self._watch()

    def _watch(self) -> None:
        mask = (_WRITE if self._out else 0) | (0 if self.connection.full else _READ)
        self.gone = self.gone or not mask  # sends on and on while it waits for an answer
        if mask != self._mask and not self.gone:
            self._mask = mask
            self._server.wait_for(self, mask)


class _Datagrams:
    """A UDP socket: each datagram that deserves an answer gets it, to where it came from."""

    def __init__(self, datagram: socket.socket, handler: DatagramHandler, clock: Callable[[], float]) -> None:
        self._socket = datagram
        self._handler = handler
        self._clock = clock

    def __call__(self, _socket: object) -> None:
        with suppress(OSError):
            data, sender = self._socket.recvfrom(LONGEST_DATAGRAM + 1)
            if len(data) > LONGEST_DATAGRAM:
                return
            answer = self._handler(data, str(sender[0]), int(sender[1]), self._clock())
            if answer is not None:
                self._socket.sendto(answer, sender)


class _Jobs:
    """The second thread, which lives only while there is something to do."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._waiting: queue.SimpleQueue[tuple[_Client, Callable[[], Response]]] = queue.SimpleQueue()
        self._finished: deque[tuple[_Client, Response]] = deque()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def put(self, client: _Client, work: Callable[[], Response]) -> bool:
        """Have it done; False if there is too much to do already."""
        if self._waiting.qsize() >= WAITING_JOBS:
            return False
        self._waiting.put((client, work))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="web-jobs", daemon=True)
                self._thread.start()
        return True

    def finished(self) -> Iterable[tuple[_Client, Response]]:
        """Yield what was done since."""
        while self._finished:
            yield self._finished.popleft()

    def stop(self) -> None:
        """Do nothing more than what is being done."""
        self._stopped = True

    def _run(self) -> None:
        while not self._stopped:
            with self._lock:
                try:
                    client, work = self._waiting.get_nowait()
                except queue.Empty:
                    self._thread = None
                    return
            if client.gone or client.socket.fileno() < 0:
                continue
            try:
                response = work()
            except Exception:
                structlog.get_logger().exception("the web service failed to answer; please report this")
                response = text(500, "a defect in nesgw; its log says more")
            self._finished.append((client, response))
            self._done()
