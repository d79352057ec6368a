"""Every path of our own: what it says, and what it says when it cannot."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nesgw.errors import NesgwError, NoLoadProfile, OperatorNeeded, Retryable, TableNotPresent
from nesgw.web import assets
from nesgw.web.api import Events
from nesgw.web.response import Response
from nesgw.web.server import Later
from nesgw.web.snapshot import MeterNow, ProfileRow
from tests.web.house import DEAD, HOUSE, INFO, STALE, STATE, STATUS, UNKNOWN, Visitor

TOKEN = "a long secret"


def test_the_list_says_who_is_online_and_how_old_the_reading_is() -> None:
    assert Visitor((HOUSE, replace(UNKNOWN, name="barn", label="Barn"))).json("/api/meters") == [
        {"name": "house", "label": "House", "id": "4080123458", "online": True, "age_s": 1.0},
        {"name": "barn", "label": "Barn", "id": None, "online": False, "age_s": None},
    ]


def test_a_meter_has_the_objects_of_its_topics() -> None:
    content = Visitor().json("/api/meters/house")
    assert (content["info"], content["state"], content["status"], content["age_s"]) == (INFO, STATE, STATUS, 1.0)
    assert content["demand"] is None
    assert content["sub_meters"][0]["values"] == [{"key": "volume", "name": "Volume", "value": 412.3, "unit": "m³"}]


def test_a_stale_meter_is_a_503_with_the_sentence_that_stands_everywhere() -> None:
    response = Visitor((STALE,)).get("/api/meters/house")
    assert (response.status, response.body.decode()) == (503, f"{DEAD}\n")
    assert Visitor((UNKNOWN,)).get("/api/meters/house").status == 503


def test_a_name_that_is_not_there_is_a_404_that_names_those_that_are() -> None:
    response = Visitor().get("/api/meters/haus")
    assert response.status == 404
    assert "house" in response.body.decode()


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/meters/house/nothing", "/nothing", "/static/../secret.py",
                                  "/static/", "/static/openapi.json/", "//", "/api/meters/"])  # fmt: skip
def test_what_is_not_there_is_a_404(path: str) -> None:
    assert Visitor().get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/meters", "/metrics", "/healthz", "/nothing"])
def test_nothing_can_be_written(path: str, method: str) -> None:
    response = Visitor().get(path, method)
    assert response.status == 405
    assert ("Allow", "GET, HEAD") in response.fields


def test_health_is_that_of_the_daemons_loops() -> None:
    visitor = Visitor((STALE,))
    assert visitor.get("/healthz").status == 200  # a silent meter is no illness of ours
    visitor.daemon.turns = False
    assert visitor.get("/healthz").status == 503


@pytest.mark.parametrize(
    "path", ["/", "/api/meters", "/api/meters/house", "/api/events", "/api/openapi.json", "/metrics"]
)
def test_our_own_pages_ask_for_the_token(path: str) -> None:
    visitor = Visitor(token=TOKEN)
    response = visitor.get(path)
    assert response.status == 401
    assert dict(response.fields)["WWW-Authenticate"].startswith("Basic")
    opened = visitor.answer(path, authorization=f"Bearer {TOKEN}")
    assert not isinstance(opened, Response) or opened.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/v1/json", "/shelly", "/cm?cmnd=Status 8", "/static/page.css"])
def test_those_who_cannot_log_in_are_not_asked_to(path: str) -> None:
    assert Visitor(token=TOKEN).get(path).status == 200


@pytest.mark.parametrize("path", ["/", "/v1/json", "/metrics", "/static/page.js"])
def test_neither_another_name_nor_another_page_is_answered_anywhere(path: str) -> None:
    assert Visitor().get(path, host="evil.example").status == 421
    assert Visitor().get(path, host="pi.local", origin="http://evil.example").status == 403


def test_no_answer_lets_other_pages_read_it() -> None:
    for path in ("/", "/api/meters", "/metrics", "/shelly", "/v1/json"):
        assert not [name for name, _ in Visitor().get(path).fields if name.startswith("Access-Control")]


def test_the_page_asks_nobody_but_us() -> None:
    page = Visitor().get("/")
    assert dict(page.fields)["Content-Security-Policy"].startswith("default-src 'self'")
    for name in assets.names():
        content = assets.read(name).decode()
        if name != "icon.svg":
            assert "://" not in content.replace("http://www.w3.org/2000/svg", ""), name
        assert 'src="/' not in content, name
        assert 'href="/' not in content, name  # relative: it works behind a prefix


def test_each_kind_of_failed_poll_has_a_word_in_every_language() -> None:
    elsewhere = {"broker", "home_assistant", "cache", "service", "quiet", "token", "defect"}
    kinds = {each.kind for each in _below(Retryable) | _below(OperatorNeeded) | {TableNotPresent}} - elsewhere
    words = assets.read("texts.js").decode()
    assert kinds == set(re.findall(r"\bfailure_(\w+): ", words))
    for kind in kinds:
        assert words.count(f" failure_{kind}: ") == 3, kind


def _below(kind: type[NesgwError]) -> set[type[NesgwError]]:
    return set(kind.__subclasses__()).union(*(_below(each) for each in kind.__subclasses__()))


# The load profile

DAY = timedelta(days=1)


class Profile:
    """A load profile of an hour an interval, which counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.threads: set[int] = set()

    def __call__(self, meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
        self.asked.append((meter, since, until))
        self.threads.add(threading.get_ident())
        end = since + timedelta(hours=1)
        while end <= until:
            yield ProfileRow(end, {"energy_import": 100.5}, {"energy_import": 0.25}, ("power_failure",))
            end += timedelta(hours=1)


def test_the_history_is_that_of_the_command() -> None:
    visitor = Visitor(profile=Profile())
    rows = visitor.json("/api/meters/house/history?from=2026-11-26T00:00:00Z&to=2026-11-26T02:00:00Z")
    assert rows == [
        {
            "time": f"2026-11-26T0{hour}:00:00Z",
            "energy_import": 100.5,
            "in_the_interval": {"energy_import": 0.25},
            "status": ["power_failure"],
        }
        for hour in (1, 2)
    ]


def test_it_is_read_beside_the_thread_that_serves() -> None:
    assert isinstance(Visitor(profile=Profile()).answer("/api/meters/house/history"), Later)


def test_without_times_it_is_that_of_today() -> None:
    profile = Profile()
    Visitor(profile=profile).get("/api/meters/house/history")
    # The gateway's clock says 22:31:05 at UTC+1.
    now = datetime(2026, 11, 27, 21, 31, 5, tzinfo=UTC)
    assert profile.asked == [("house", datetime(2026, 11, 26, 23, tzinfo=UTC), now)]


def test_what_is_over_is_asked_for_once_and_what_is_not_each_time() -> None:
    profile = Profile()
    visitor = Visitor(profile=profile)
    for _ in range(3):
        over = visitor.get("/api/meters/house/history?from=2026-11-26T00:00:00Z&to=2026-11-27T00:00:00Z")
        visitor.get("/api/meters/house/history?from=2026-11-27T00:00:00Z&to=2026-11-27T21:00:00Z")
    assert len(json.loads(over.body)) == 24
    assert len(profile.asked) == 1 + 3


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=2026-13-01", "from=2026-11-27&to=2026-11-26", "from=2026-01-01&to=2026-11-01",
     "from=0001-01-01T00:00:00%2B09:00", "to=9999-12-31T23:59:59-09:00"],
)  # fmt: skip
def test_times_that_make_no_sense_get_a_sentence(query: str) -> None:
    response = Visitor(profile=Profile()).get(f"/api/meters/house/history?{query.replace('%2B', '+')}")
    assert (response.status, response.content_type[:10]) == (400, "text/plain")


def test_a_meter_without_a_load_profile_says_so_in_the_words_of_the_command() -> None:
    def none(meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
        raise NoLoadProfile
        yield

    response = Visitor(profile=none).get("/api/meters/house/history")
    assert (response.status, response.body.decode().strip()) == (503, str(NoLoadProfile()))


# Events


def events(stream: Events) -> dict[str, Any]:
    blocks = [block.split("\n") for block in stream.take().decode().split("\n\n") if block]
    return {name.removeprefix("event: "): json.loads(data.removeprefix("data: ")) for name, data in blocks}


def listening(*meters: MeterNow, name: str | None = None) -> tuple[Visitor, Events]:
    visitor = Visitor(meters)
    visitor.site.beat()
    return visitor, Events(visitor.site, name)


def test_a_page_is_sent_everything_once_and_then_what_is_new() -> None:
    visitor, stream = listening(HOUSE)
    first = events(stream)
    assert list(first) == ["meters", "curves", "meter"]
    assert first["curves"]["hour"]["watts"] == [896]
    assert first["meter"]["today"]["energy_import"] == 0.0
    assert stream.take() == b""
    visitor.daemon.now = (replace(HOUSE, state={**STATE, "power": 900, "time": "2026-11-27T21:31:10Z"}, read_at=100.0),)
    visitor.site.beat()
    assert list(events(stream)) == ["meter"]


def test_a_meter_that_falls_silent_is_sent_with_its_sentence() -> None:
    visitor, stream = listening(HOUSE)
    stream.take()
    visitor.daemon.now = (STALE,)
    sent = events(stream)
    assert sent["meters"][0]["problem"] == DEAD
    assert sent["meter"]["online"] is False


def test_the_first_reading_brings_the_curve() -> None:
    visitor, stream = listening(UNKNOWN)
    assert list(events(stream)) == ["meters", "meter"]
    visitor.daemon.now = (HOUSE,)
    visitor.site.beat()
    assert "curves" in events(stream)


def test_a_page_shows_the_meter_that_it_asks_for() -> None:
    barn = replace(HOUSE, name="barn", label="Barn")
    assert events(listening(HOUSE, barn, name="barn")[1])["meter"]["name"] == "barn"
    assert events(listening(HOUSE, barn, name="nothing")[1])["meter"]["name"] == "house"


def test_names_come_in_the_language_of_the_page() -> None:
    names = Visitor().json("/api/names?lang=da")
    assert names["fields"]["voltage_l1"] == {"name": "Spænding L1", "unit": "V", "precision": 1}
    assert Visitor().json("/api/names?lang=xx")["fields"]["voltage_l1"]["name"] == "Voltage L1"
    assert names["alarms"]
