"""Who may ask: names of the house, pages of our own, and those who have the token."""

import base64

import pytest

from nesgw.web.emulations.rate import Rate
from nesgw.web.guard import INGRESS, check_origin, check_token, is_home, is_neighbour
from nesgw.web.request import Refused, Request


@pytest.mark.parametrize(
    "host",
    ["192.168.1.5", "192.168.1.5:8480", "[fe80::1]:80", "127.0.0.1", "localhost:8480", "pi", "raspberrypi.local",
     "PI.LAN", "pi.home.arpa", "pi.internal", "pi.fritz.box", "pi.local."],
)  # fmt: skip
def test_a_machine_in_the_house_has_such_a_name(host: str) -> None:
    assert is_home(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "pi.local.evil.example", "evillocal.com", "", ":80", "192.168.1.5.evil.example", "a b", "[::1",
     "pi.local:99999x", "ööö"],
)  # fmt: skip
def test_every_other_name_may_have_been_made_to_point_here(host: str) -> None:
    assert not is_home(host)


def test_the_own_name_is_known_wherever_it_lies() -> None:
    assert is_home("pi.example.org:8480", ["pi.example.org"])


def asked(client: str = "192.168.1.7", **fields: str) -> Request:
    return Request("GET", "/", fields=fields, client=client)


def status_of(request: Request) -> int | None:
    try:
        check_origin(request)
    except Refused as refused:
        return refused.status
    return None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, None),  # HTTP/1.0; a browser always says a name
        ({"host": "pi.local"}, None),
        ({"host": "evil.example"}, 421),
        ({"host": "pi.local:8480", "origin": "http://pi.local:8480"}, None),
        ({"host": "pi.local", "origin": "https://pi.local"}, None),  # behind a proxy with TLS
        ({"host": "pi.local", "origin": "http://evil.example"}, 403),
        ({"host": "pi.local", "origin": "http://pi.local:8123"}, 403),
        ({"host": "pi.local", "origin": "null"}, 403),
        ({"origin": "http://pi.local"}, 403),
    ],
)
def test_a_page_of_another_site_gets_nothing(fields: dict[str, str], status: int | None) -> None:
    assert status_of(asked(**fields)) == status


def test_behind_the_ingress_names_are_those_of_home_assistant() -> None:
    fields = {"host": "ha.example.org", "origin": "https://ha.example.org"}
    assert status_of(asked(INGRESS, **fields)) is None
    check_token(asked(INGRESS), "secret")


@pytest.mark.parametrize(
    "given",
    ["Bearer se:cret", "bearer  se:cret", "Basic " + base64.b64encode(b"anybody:se:cret").decode()],
)
def test_the_token_opens_as_bearer_and_as_password(given: str) -> None:
    check_token(asked(authorization=given), "se:cret")


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer secre", "Basic se:cret", "Basic " + base64.b64encode(b"secret").decode(), "Basic ÿÿ",
     "Digest se:cret", "Basic " + base64.b64encode(b"\xff:\xff").decode()],
)  # fmt: skip
def test_nothing_else_opens(given: str) -> None:
    with pytest.raises(Refused) as refused:
        check_token(asked(authorization=given), "se:cret")
    assert refused.value.status == 401


@pytest.mark.parametrize("address", ["192.168.1.7", "10.0.0.1", "127.0.0.1", "169.254.3.4", "fe80::1%eth0", "fd00::1"])
def test_a_neighbour_may_be_answered_by_datagram(address: str) -> None:
    assert is_neighbour(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "224.0.0.1", "0.0.0.0", "::ffff:8.8.8.8", "pi"])
def test_the_internet_is_not(address: str) -> None:
    assert not is_neighbour(address)


def test_a_sender_is_answered_ten_times_at_once_and_then_five_times_a_second() -> None:
    rate = Rate()
    assert [rate.allows("a", 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert rate.allows("b", 0.0)
    assert [rate.allows("a", 1.0) for _ in range(6)] == [True] * 5 + [False]


def test_many_senders_take_no_more_memory_than_some() -> None:
    rate = Rate()
    for number in range(1000):
        rate.allows(str(number), 0.0)
    assert len(vars(rate)["_buckets"]) <= 64
