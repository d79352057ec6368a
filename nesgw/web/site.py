"""What is answered where: one table of paths, and the rules that hold for each of them. Opens no socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nesgw.web import api, assets, metrics
from nesgw.web.emulations import dabbler, ecotracker, shelly, tasmota
from nesgw.web.emulations.identity import hardware_address, machine_secret
from nesgw.web.emulations.values import fresh_state
from nesgw.web.guard import check_origin, check_token
from nesgw.web.profile_cache import ProfileCache
from nesgw.web.recent import Recent
from nesgw.web.request import Refused, Request
from nesgw.web.response import Response, json_response, text
from nesgw.web.server import Answer, Later
from nesgw.web.snapshot import MeterNow, ProfileSource, Snapshot

READ: Final = ("GET", "HEAD")
CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="nesgw", charset="UTF-8"')
NOTHING: Final = "there is nothing here"


@dataclass(frozen=True, slots=True)
class Emulations:
    """The name of the meter behind each emulated one; "" where it is off."""

    ecotracker: str = ""
    shelly: str = ""
    tasmota: str = ""
    dabbler: str = ""


class Site:
    """Answers requests from a snapshot; remembers nothing but the last hours and the load profile of days gone by."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        emulations: Emulations | None = None,
        token: str = "",
        own_names: tuple[str, ...] = (),
        profile: ProfileSource | None = None,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._snapshot = snapshot
        self._emulations = emulations or Emulations()
        self._token = token
        self._own_names = own_names
        self._profile = ProfileCache(profile) if profile else None
        self._secret = machine_secret() if secret is None else secret
        self._clock = clock
        self._wall_clock = wall_clock
        self._started = clock()
        self._recent: dict[tuple[str, str | None], Recent] = {}
        self._emulated = self._switched_on()

    def beat(self) -> None:
        """Take in new readings; called at least once a second."""
        meters = self._snapshot.meters()
        for meter in meters:
            self._recent.setdefault((meter.name, meter.id), Recent()).add(meter)
        for gone in self._recent.keys() - {(meter.name, meter.id) for meter in meters}:
            del self._recent[gone]

    def answer(self, request: Request) -> Answer:
        """Answer one request. Raises Refused."""
        check_origin(request, self._own_names)
        first = "/" + request.path.split("/")[1]
        if (emulation := self._emulated.get(first if first == "/rpc" else request.path)) is not None:
            return emulation(request)
        if request.method not in READ:
            return text(405, "nesgw only lets itself be read", ("Allow", ", ".join(READ)))
        return self._own(request)

    # Our own pages

    def _own(self, request: Request) -> Answer:
        path = request.path
        if path == "/healthz":
            return text(200, "ok") if self._snapshot.alive() else text(503, "a loop of the daemon hangs")
        if path.startswith("/static/"):
            return assets.response(path.removeprefix("/static/"))
        try:
            check_token(request, self._token)
        except Refused as refused:
            return text(refused.status, refused.sentence, CHALLENGE)
        if path == "/":
            return assets.response("index.html")
        if path == "/metrics":
            return Response(200, metrics.page(self.meters()).encode(), metrics.CONTENT_TYPE)
        if path.startswith("/api/"):
            return self._api(request, path.split("/")[2:])
        raise Refused(404, NOTHING)

    def _api(self, request: Request, parts: list[str]) -> Answer:
        match parts:
            case ["meters"]:
                now = self.now()
                return json_response([api.overview(meter, now) for meter in self.meters()])
            case ["meters", name]:
                meter = self._meter(name)
                fresh_state(meter)
                return json_response(api.detail(meter, self.now()))
            case ["meters", name, "history"]:
                return self._history(self._meter(name), request.query)
            case ["events"]:
                if request.method == "HEAD":
                    raise Refused(405, "events can only be listened to")
                return api.Events(self, request.query.get("meter"), api.language(request.query))
            case ["names"]:
                return json_response(api.names(api.language(request.query)))
            case ["openapi.json"]:
                return assets.response("openapi.json")
        raise Refused(404, NOTHING)

    def _history(self, meter: MeterNow, query: Mapping[str, str]) -> Answer:
        now = self._wall_clock()
        since, until = api.time_range(query, now)
        profile = self._profile
        if profile is None:
            raise Refused(503, "the load profile cannot be read here")
        return Later(lambda: profile.answer(meter.name, meter.id, since, until, now))

    # What events are made of

    def meters(self) -> tuple[MeterNow, ...]:
        """Every meter, as it stands now."""
        return self._snapshot.meters()

    def recent(self, meter: MeterNow) -> Recent | None:
        """A meter's last hours."""
        return self._recent.get((meter.name, meter.id))

    def now(self) -> float:
        """The monotonic clock."""
        return self._clock()

    def _meter(self, name: str) -> MeterNow:
        for meter in self.meters():
            if meter.name == name:
                return meter
        raise Refused(404, f"there is no meter of this name; there are: {', '.join(m.name for m in self.meters())}")

    # Emulations

    def _switched_on(self) -> dict[str, Callable[[Request], Response]]:
        on = self._emulations
        paths: dict[str, Callable[[Request], Response]] = {}
        if on.ecotracker:
            paths["/v1/json"] = self._ecotracker
        if on.tasmota:
            paths["/cm"] = self._tasmota
        if on.dabbler:
            paths["/getDashDataWS"] = self._dabbler
        if on.shelly:
            paths |= {"/shelly": self._shelly, "/rpc": self._shelly}
        return paths

    def _ecotracker(self, request: Request) -> Response:
        _only(request, READ)
        meter = self._meter(self._emulations.ecotracker)
        state, recent = fresh_state(meter), self.recent(meter)
        content = ecotracker.answer(state, meter.age(self.now()) or 0.0, recent.average if recent else None)
        return json_response(content, bare=True)

    def _tasmota(self, request: Request) -> Response:
        _only(request, READ)
        if not tasmota.is_asked(request.query.get("cmnd", "")):
            raise Refused(404, "only Status 8 and Status 10 are answered")
        return json_response(tasmota.answer(fresh_state(self._meter(self._emulations.tasmota))))

    def _dabbler(self, request: Request) -> Response:
        _only(request, READ)
        meter = self._meter(self._emulations.dabbler)
        content = dabbler.answer(fresh_state(meter), meter.info or {}, self._wall_clock())
        return json_response(content, close=True)

    def _shelly(self, request: Request) -> Response:
        _only(request, READ if request.path == "/shelly" else (*READ, "POST"))
        return shelly.answer(self.shelly(), request)

    def shelly(self) -> shelly.Shelly:
        """The meter that is a Shelly. Raises Refused until it has said who it is."""
        name = self._emulations.shelly
        meter = self._meter(name)
        if meter.id is None:
            raise Refused(503, meter.problem or "waiting for the first reading of the meter")
        return shelly.Shelly(
            mac=hardware_address(meter.id, self._secret),
            state=lambda: fresh_state(meter),
            now=self._wall_clock,
            uptime=lambda: self.now() - self._started,
        )


def _only(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise Refused(405, f"use {' or '.join(methods)}")
