"""One client's connection without its socket: bytes and a time in, requests and a deadline out. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nesgw.web.request import HEAD_END, LONGEST_BODY, LONGEST_HEAD, Refused, Request, parse_head

# Seconds for a whole head, and again for a whole body, however the bytes trickle in.
HEAD_TIME: Final = 5.0
BODY_TIME: Final = 5.0
# Between two requests: longer than the scrape interval of Prometheus, which keeps its connection.
IDLE_TIME: Final = 75.0

# More than one request's bytes are not taken in before that is answered.
_MOST_BYTES: Final = LONGEST_HEAD + LONGEST_BODY


class Connection:
    """What one client has sent and was not answered yet."""

    def __init__(self, client: str, now: float) -> None:
        self.client = client
        self.idle_since: float | None = now  # None from the first byte of a request until its answer is out
        self.deadline = now + IDLE_TIME
        self._bytes = b""
        self._head: tuple[Request, int] | None = None

    def receive(self, data: bytes, now: float) -> None:
        """Take in what the client sent."""
        if self.idle_since is not None:
            self.idle_since, self.deadline = None, now + HEAD_TIME
        self._bytes += data

    @property
    def full(self) -> bool:
        """Whether to read no more for the time being: the client sends ahead of our answers."""
        return len(self._bytes) >= _MOST_BYTES

    def next_request(self, now: float) -> Request | None:
        """Return a request once it is whole. Raises Refused, after which there is no way to go on."""
        if self._head is None:
            self._head = self._take_head(now)
        if self._head is None:
            return None
        request, length = self._head
        if len(self._bytes) < length:
            return None
        body, self._bytes, self._head = self._bytes[:length], self._bytes[length:], None
        return replace(request, body=body, client=self.client)

    def answered(self, now: float) -> None:
        """Wait for the next request; bytes of it may be there already."""
        if self._bytes:
            self.deadline = now + HEAD_TIME
        else:
            self.idle_since, self.deadline = now, now + IDLE_TIME

    def _take_head(self, now: float) -> tuple[Request, int] | None:
        self._bytes = self._bytes.lstrip(b"\r\n")  # RFC 9112, 2.2: some clients end a body so
        end = self._bytes.find(HEAD_END, 0, LONGEST_HEAD)
        if end < 0:
            if len(self._bytes) >= LONGEST_HEAD:
                raise Refused(431, f"the head of a request has at most {LONGEST_HEAD} bytes")
            return None
        head, self._bytes = self._bytes[: end + len(HEAD_END)], self._bytes[end + len(HEAD_END) :]
        found = parse_head(head)
        if found[1]:
            self.deadline = now + BODY_TIME
        return found
