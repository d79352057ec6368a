"""Whatever arrives, in whatever pieces: what must hold for the service stands in ``fuzz/web.py``."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.web import REQUESTS, SITES, converse, play

_lines = st.sampled_from(
    [
        *(
            b"GET / HTTP/1.1\r\n",
            b"POST /rpc HTTP/1.1\r\n",
            b"GET /rpc/EM.GetStatus HTTP/1.0\r\n",
            b"HEAD /cm HTTP/1.1\r\n",
        ),
        *(b"Host: pi\r\n", b"Host: evil.example\r\n", b"Origin: http://pi\r\n", b"Connection: close\r\n"),
        *(
            b"Content-Length: 2\r\n",
            b"Content-Length: 1024\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"A: " + b"b" * 8000,
        ),
        *(b"\r\n", b"\n", b"{}", b" ", b"\x00", b"\xff"),
    ]
)
_courses = st.lists(st.sampled_from(list(REQUESTS.values())) | _lines | st.binary(max_size=8), max_size=12)


@settings(max_examples=300)
@given(st.binary(max_size=1), _courses.map(b"".join))
@example(b"\x04", b"\r\n" * 9000)
@example(b"\x04", b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n" * 500)
def test_nothing_but_answers_and_refusals_comes_of_it(how: bytes, said: bytes) -> None:
    play(how + said)


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - {"datagram", "proxy", "chunks"}))
def test_what_clients_send_is_answered(name: str) -> None:
    """Or the fuzzer would begin with requests that lead nowhere."""
    for _, answer in converse(SITES[0], REQUESTS[name], 4096):
        assert answer is None or answer.status == (503 if name == "history" else 200)
