"""What the web service is put through: any bytes on a connection, in any pieces, and any datagram.

What must hold: nothing but answers and refusals, the same ones however a stream is cut, memory for one request, a
deadline that is never far, a head that no client can write into, one sentence of plain text for every error, and never
a 200 with a reading that is stale.
"""

from __future__ import annotations

import json
from typing import Final

from nesgw.web.connection import IDLE_TIME, Connection
from nesgw.web.emulations.shelly import datagram_answer
from nesgw.web.request import LONGEST_BODY, LONGEST_HEAD, Refused, Request
from nesgw.web.response import JSON, Response, encode, refusal, text
from nesgw.web.server import Later
from nesgw.web.site import Emulations, Site
from nesgw.web.snapshot import MeterNow, StateObject

RECEIVE: Final = 4096  # bytes at a time, as the server takes them
STATUSES: Final = (200, 400, 401, 403, 404, 405, 413, 421, 431, 501, 503, 505)
READINGS: Final = (
    "/v1/json",
    "/cm",
    "/getDashDataWS",
    "/rpc/EM.GetStatus",
    "/rpc/EMData.GetStatus",
    "/api/meters/house",
)
STATE: Final[StateObject] = {
    "time": "2026-11-27T21:31:00.120Z",
    "energy_import": 21334.181,
    "energy_export": 9007.583,
    "power": 896,
    "power_import": 896,
    "power_export": 0,
    "frequency": 50.01,
    **{f"power_l{phase}": 100 * phase for phase in (1, 2, 3)},
    **{f"power_import_l{phase}": 100 * phase for phase in (1, 2, 3)},
    **{f"power_export_l{phase}": 0 for phase in (1, 2, 3)},
    **{f"voltage_l{phase}": 230.1 for phase in (1, 2, 3)},
    **{f"current_l{phase}": 0.5 for phase in (1, 2, 3)},
}
FRAME: Final = b'{"id":1,"method":"EM.GetStatus","params":{"id":0}}'

# What clients were seen to send, one connection each.
REQUESTS: Final = {
    "page": b"GET / HTTP/1.1\r\nHost: raspberrypi.local:8480\r\nAccept: text/html\r\n\r\n",
    "events": b"GET /api/events?lang=de&meter=house HTTP/1.1\r\nHost: [::1]:8480\r\n\r\n",
    "history": b"GET /api/meters/house/history?from=2026-11-01T00:00:00%2B01:00 HTTP/1.1\r\nHost: pi\r\n\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: 192.168.1.30\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n",
    "ecotracker": 2 * b"GET /v1/json HTTP/1.1\r\nHost: ecotracker-020000abcdef.local\r\n\r\n",
    "shelly": b"GET /shelly HTTP/1.0\r\n\r\n",
    "frame": b"POST /rpc HTTP/1.1\r\nHost: pi\r\nContent-Length: %d\r\n\r\n%s" % (len(FRAME), FRAME),
    "evcc": b"POST /rpc/EM.GetStatus HTTP/1.1\r\nHost: pi\r\nContent-Length: %d\r\n\r\n%s" % (len(FRAME), FRAME),
    "tasmota": b"GET /cm?cmnd=Status+8&user=&password= HTTP/1.1\r\nHost: pi\r\n\r\n",
    "dabbler": b"GET /getDashDataWS HTTP/1.1\r\nHost: esp32-mep.local\r\nConnection: close\r\n\r\n",
    "proxy": b"GET http://pi/api/meters HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n",
    "chunks": b"POST /rpc HTTP/1.1\r\nHost: pi\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "datagram": FRAME,
}

Exchange = tuple[Request | None, Response | None]


class Snapshot:
    """A house that was read a second ago; or long ago."""

    def __init__(self, stale: bool) -> None:
        self._meter = MeterNow(
            "house", "House", id="4080123458", online=not stale, read_at=99.0, info={"model": "83331-3I"}, state=STATE
        )

    def meters(self) -> tuple[MeterNow, ...]:
        """Return how it stands."""
        return (self._meter,)

    def alive(self) -> bool:
        """Return that the daemon is well."""
        return True


SITES: Final = tuple(
    Site(
        Snapshot(stale),
        emulations=Emulations("house", "house", "house", "house"),
        token="secret" if guarded else "",
        secret=b"a machine",
        clock=lambda: 100.0,
    )
    for stale in (False, True)
    for guarded in (False, True)
)


def play(data: bytes) -> None:
    """Have the bytes behind the first arrive; that says how they are cut, and which of the sites hears them."""
    if not data:
        return
    site, piece, said = SITES[data[0] & 3], 1 + (data[0] >> 2), data[1:]
    answers = converse(site, said, RECEIVE)
    assert answers == converse(site, said, piece), "the cut made a difference"
    for request, answer in answers:
        _judge(request, answer, stale=site in SITES[2:])
    _hear_datagram(site, said)


def converse(site: Site, said: bytes, piece: int) -> list[Exchange]:
    """Return each request with its answer, as the server would give it; None for events, that have no end."""
    connection = Connection("192.168.1.7", 0.0)
    answers: list[Exchange] = []
    for at in range(0, len(said), piece):
        if connection.full:
            break
        connection.receive(said[at : at + piece], 0.0)
        while True:
            assert len(connection._bytes) <= LONGEST_HEAD + LONGEST_BODY + RECEIVE
            assert 0.0 < connection.deadline <= IDLE_TIME
            try:
                request = connection.next_request(0.0)
            except Refused as refused:
                return [*answers, (None, refusal(refused))]
            if request is None:
                break
            answer = _answer(site, request)
            answers.append((request, answer))
            if answer is None or answer.close or not request.keep_alive:
                return answers
            connection.answered(0.0)
    return answers


def _answer(site: Site, request: Request) -> Response | None:
    try:
        answer = site.answer(request)
    except Refused as refused:
        return text(refused.status, refused.sentence)
    if isinstance(answer, Later):
        return text(503, "later")
    return answer if isinstance(answer, Response) else None


def _judge(request: Request | None, answer: Response | None, *, stale: bool) -> None:
    if answer is None:
        assert request is not None
        assert request.path == "/api/events"
        return
    head, _, body = encode(answer).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert answer.status in STATUSES
    assert body == answer.body
    assert not any(byte < 32 for line in lines for byte in line)
    assert len([line for line in lines if line.startswith(b"Content-Length: ")]) == 1
    no_such_method = request is not None and request.path.startswith("/rpc/") and answer.status == 404
    if answer.content_type == JSON:
        json.loads(body)
        assert answer.status == 200 or no_such_method
    if request is not None and answer.status == 200:
        assert request.method in ("GET", "HEAD", "POST")
        assert not (stale and request.path in READINGS)


def _hear_datagram(site: Site, said: bytes) -> None:
    try:
        answer = datagram_answer(site.shelly(), said)
    except Refused:
        return
    if answer is not None:
        assert len(answer) < 1400  # one packet of the network
        assert json.loads(answer)["result"]
