"""The service with sockets of its own: where it listens, what it says when it cannot, and datagrams."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from nesgw.config.settings import Address, HttpSettings, Secret
from nesgw.web.emulations.rate import BURST
from nesgw.web.service import WebService
from tests.web.house import STALE, Daemon

QUESTION = b'{"id":1,"method":"EM.GetStatus","params":{"id":0}}'


@contextmanager
def serving(settings: HttpSettings, *sockets: socket.socket, daemon: Daemon | None = None) -> Iterator[WebService]:
    service = WebService(settings, daemon or Daemon(), sockets=sockets)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def http(**options: Any) -> HttpSettings:
    return HttpSettings(enabled=True, **{"listen": (Address("127.0.0.1", 0),), **options})


def fetch(service: WebService, path: str, place: int = 0) -> bytes:
    host, port = service.addresses[place]
    with urllib.request.urlopen(
        f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"
    ) as answer:
        content = answer.read()
    assert isinstance(content, bytes)
    return content


def test_it_listens_on_every_address() -> None:
    with serving(http(listen=(Address("127.0.0.1", 0), Address("::1", 0)))) as service:
        assert fetch(service, "/healthz") == fetch(service, "/healthz", 1) == b"ok\n"


def test_on_all_addresses_of_ipv6_it_answers_ipv4_too() -> None:
    with serving(http(listen=(Address("::", 0),))) as service:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{service.addresses[0][1]}/healthz")
        with answer:
            assert answer.status == 200


def test_an_address_that_is_taken_is_a_line_in_the_log_and_no_reason_to_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as log:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with serving(http(listen=(address, Address("127.0.0.1", 0)))) as service:
            assert fetch(service, "/healthz") == b"ok\n"
    assert log[0]["event"] == f"http.listen: 127.0.0.1:{address.port} cannot be listened on: Address already in use"


def test_sockets_of_systemd_are_served_beside_the_configured_ones() -> None:
    given = socket.create_server(("127.0.0.1", 0))
    with serving(http(), given) as service:
        assert len(service.addresses) == 2
        assert fetch(service, "/healthz") == fetch(service, "/healthz", 1)


def test_the_token_is_that_of_the_settings() -> None:
    with serving(http(token=Secret("se:cret"))) as service:
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(service, "/api/meters")
        with refused.value as error:
            assert error.code == 401


def test_a_page_hears_within_a_moment_of_what_is_new() -> None:
    daemon = Daemon()
    with serving(http(), daemon=daemon) as service, socket.create_connection(service.addresses[0]) as page:
        page.settimeout(5)
        page.sendall(b"GET /api/events HTTP/1.1\r\nHost: pi\r\n\r\n")
        heard = page.recv(65536)
        daemon.now = (STALE,)
        service.wake()
        while b'"online":false' not in heard:
            heard += page.recv(65536)


another_may_hold_the_ports = pytest.mark.allows_warnings("UDP port (1010|2220)")


@contextmanager
def battery(daemon: Daemon) -> Iterator[socket.socket]:
    """A battery's socket, connected to the Shelly's."""
    given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    given.bind(("127.0.0.1", 0))
    address = given.getsockname()
    # The two ports of a Shelly are fixed; another socket of systemd's is served like them.
    with serving(http(shelly="house"), given, daemon=daemon), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        asks.settimeout(5)
        asks.connect(address)
        yield asks


@another_may_hold_the_ports
def test_a_battery_is_answered_where_it_asks_from() -> None:
    with battery(Daemon()) as asks:
        asks.send(QUESTION)
        assert json.loads(asks.recv(2000))["result"]["total_act_power"] == 896.0


@another_may_hold_the_ports
def test_it_is_not_answered_without_end_nor_when_it_says_too_much() -> None:
    with battery(Daemon()) as asks:
        asks.send(QUESTION + b" " * 600)
        for _ in range(40):
            asks.send(QUESTION)
        asks.settimeout(0.3)
        answers, began = 0, time.monotonic()
        with suppress(TimeoutError):
            while asks.recv(2000):
                answers += 1
        assert 1 <= answers <= BURST + 5 * (time.monotonic() - began)


@another_may_hold_the_ports
def test_of_a_silent_meter_it_hears_nothing() -> None:
    with battery(Daemon((STALE,))) as asks:
        asks.send(QUESTION)
        asks.settimeout(0.3)
        with pytest.raises(TimeoutError):
            asks.recv(2000)
