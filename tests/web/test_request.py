"""What comes over the network is understood strictly, or refused with a status; nothing else ever happens."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nesgw.web.connection import Connection
from nesgw.web.request import Refused, parse_head

GET = b"GET /cm?cmnd=Status+8&user=&password= HTTP/1.1\r\nHost: pi.local\r\nX-A: 1\r\nx-a: 2\r\n\r\n"


def test_a_head_becomes_plain_values() -> None:
    request, length = parse_head(GET)
    assert (request.method, request.path, request.host, length) == ("GET", "/cm", "pi.local", 0)
    assert request.query == {"cmnd": "Status 8", "user": "", "password": ""}
    assert request.fields["x-a"] == "1, 2"


def test_a_blank_in_a_query_may_be_written_either_way() -> None:
    assert parse_head(b"GET /cm?cmnd=Status%208 HTTP/1.1\r\n\r\n")[0].query == {"cmnd": "Status 8"}


@pytest.mark.parametrize(
    ("version", "field", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_client_wishes(version: bytes, field: bytes, keeps: bool) -> None:
    assert parse_head(b"GET / HTTP/" + version + b"\r\n" + field + b"\r\n")[0].keep_alive is keeps


def test_a_proxy_may_send_the_whole_address() -> None:
    request, _ = parse_head(b"GET http://evil.example/api HTTP/1.1\r\nHost: pi\r\n\r\n")
    assert (request.path, request.host) == ("/api", "evil.example")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTPS/1.1\r\n\r\n", 505),
        (b"G(T / HTTP/1.1\r\n\r\n", 400),
        (b"GET api HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET /?a=%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET /?" + b"a&" * 17 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n continued\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", 431),
        (b"POST /rpc HTTP/1.1\r\nContent-Length: 1025\r\n\r\n", 413),
        (b"POST /rpc HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /rpc HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", 400),
        (b"POST /rpc HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST /rpc HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    ],
)
def test_what_is_not_clean_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse_head(head)
    assert refused.value.status == status


@given(st.binary(max_size=300))
@example(b"GET /\xff HTTP/1.1")
@example(b"GET http://\xff/ HTTP/1.1")
@example(b"GET http:// HTTP/1.1")
@example(b"GET /a?%zz=%&&==&b HTTP/1.1\r\nContent-Length: 0x1")
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with_line = b"GET /" + data
    for head in (data + b"\r\n\r\n", with_line + b"\r\n\r\n", with_line + b" HTTP/1.1\r\n\r\n"):
        with suppress(Refused):
            request, length = parse_head(head)
            assert request.path.startswith("/")
            assert 0 <= length <= 1024


POST = b"POST /rpc HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"


@given(st.lists(st.integers(1, 40), max_size=8))
def test_it_makes_no_difference_how_bytes_arrive(cuts: list[int]) -> None:
    connection, sent, found = Connection("", 0.0), GET + POST + GET, []
    for size in (*cuts, len(sent)):
        piece, sent = sent[:size], sent[size:]
        if piece:
            connection.receive(piece, 0.0)
        while (request := connection.next_request(0.0)) is not None:
            found.append((request.path, request.body))
            connection.answered(0.0)
    assert found == [("/cm", b""), ("/rpc", b"body"), ("/cm", b"")]


def test_a_head_has_five_seconds_in_all_and_a_body_as_many() -> None:
    connection = Connection("", 100.0)
    assert connection.deadline == 175.0  # nothing was begun: the connection is idle
    connection.receive(b"POST /rpc HTTP/1.1\r\n", 110.0)
    connection.receive(b"Content-Length: 4\r\n", 114.0)  # a trickle earns no time
    assert connection.deadline == 115.0
    connection.receive(b"\r\nbo", 114.5)
    assert connection.next_request(114.5) is None
    assert connection.deadline == 119.5
    connection.receive(b"dy", 115.0)
    assert connection.next_request(115.0) is not None
    connection.answered(115.0)
    assert (connection.idle_since, connection.deadline) == (115.0, 190.0)


def test_a_head_that_does_not_end_is_refused_at_eight_kibibytes() -> None:
    connection = Connection("", 0.0)
    connection.receive(b"GET / HTTP/1.1\r\nA: " + b"b" * 8192, 0.0)
    with pytest.raises(Refused) as refused:
        connection.next_request(0.0)
    assert refused.value.status == 431
