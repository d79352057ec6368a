"""A house with three phases, one of them feeding in: the reading of reference documents, and ways to ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from nesgw.web.request import Refused, Request
from nesgw.web.response import Response, text
from nesgw.web.server import Answer, Later
from nesgw.web.site import Emulations, Site
from nesgw.web.snapshot import MeterNow, ProfileSource, StateObject, SubMeter

DEAD = "the meter does not answer: check the probe"

# 896 W in all: L1 draws 121, L2 feeds in 40, L3 draws 815.
STATE: StateObject = {
    "time": "2026-11-27T21:31:00.120Z",
    "energy_import": 21334.181,
    "energy_export": 9007.583,
    "energy_import_t1": 13227.192,
    "energy_import_t2": 8106.989,
    "power_import": 896,
    "power_export": 0,
    "power": 896,
    "frequency": 50.01,
    "current_l1": 0.736,
    "current_l2": 0.4,
    "current_l3": 3.69,
    "voltage_l1": 230.84,
    "voltage_l2": 231.0,
    "voltage_l3": 229.5,
    "power_factor_l1": None,
    "power_import_l1": 121,
    "power_import_l2": 0,
    "power_import_l3": 815,
    "power_export_l1": 0,
    "power_export_l2": 40,
    "power_export_l3": 0,
    "power_l1": 121,
    "power_l2": -40,
    "power_l3": 815,
}
# A meter before firmware 3.50: powers of all phases together only.
TOTALS: StateObject = {key: value for key, value in STATE.items() if not key.startswith(("power_", "voltage_l"))} | {
    "power_import": 896,
    "power_export": 0,
}
# A meter of one phase.
SINGLE: StateObject = {
    key: value for key, value in STATE.items() if not key.endswith(("_l2", "_l3")) and key != "power"
} | {"power": 121, "power_import": 121, "power_export": 0}

INFO = {
    "manufacturer": "Echelon",
    "model": "83331-3I",
    "firmware": "3.84.06",
    "hardware": None,
    "utility_serial": "4080123458",
    "manufacturer_serial": "E1234567",
    "fields": [key for key in STATE if key != "time"],
}
STATUS = {
    "id": "4080123458",
    "last_read": "2026-11-27T21:31:00.120Z",
    "polls": 100,
    "failures": {"no_answer": 3},
    "last_error": None,
    "rejected": 1,
    "poll_duration_ms": 812,
    "alarms": [],
}
# As docs/mqtt.md describes the topic: quarter hours, and nothing fed in.
DEMAND = {
    "start": "2026-11-27T21:15:00Z",
    "minutes": 15,
    "import_w": 684,
    "export_w": 0,
    "running": {
        "start": "2026-11-27T21:30:00Z",
        "elapsed_s": 60,
        "import_so_far_w": 640,
        "export_so_far_w": 0,
        "import_w": 655,
        "export_w": 0,
    },
    "month": {
        "begin": "2026-10-31T23:00:00Z",
        "import_w": 4312,
        "import_start": "2026-11-03T17:15:00Z",
        "export_w": None,
        "export_start": None,
        "missing": 0,
    },
    "last_month": {
        "begin": None,
        "import_w": None,
        "import_start": None,
        "export_w": None,
        "export_start": None,
        "missing": None,
    },
    "maxima": [
        {
            "field": "power_import",
            "value": 6120.0,
            "unit": "W",
            "time": "2026-01-14T16:45:00Z",
            "cumulative": None,
            "continuous_cumulative": None,
        }
    ],
    "quality": ["good"],
}
WATER = SubMeter(
    "kam12345678",
    "water",
    "12345678",
    "KAM",
    datetime(2026, 11, 27, 21, tzinfo=UTC),
    (("volume", "Volume", 412.3, "m³"),),
)
HOUSE = MeterNow(
    "house", "House", 10.0, "4080123458", True, read_at=99.0, info=INFO, state=STATE, status=STATUS, sub_meters=(WATER,)
)
STALE = replace(HOUSE, online=False, status={**STATUS, "last_error": DEAD})
UNKNOWN = MeterNow("house", "House")


@dataclass
class Daemon:
    """A snapshot that the test sets."""

    now: tuple[MeterNow, ...] = (HOUSE,)
    turns: bool = True

    def meters(self) -> tuple[MeterNow, ...]:
        return self.now

    def alive(self) -> bool:
        return self.turns


@dataclass
class Visitor:
    """Asks a site without a socket: at 100 s on the clock, the house was read a second ago."""

    meters: tuple[MeterNow, ...] = (HOUSE,)
    emulations: Emulations = field(default_factory=lambda: Emulations("house", "house", "house", "house"))
    token: str = ""
    profile: ProfileSource | None = None

    def __post_init__(self) -> None:
        self.daemon = Daemon(self.meters)
        self.site = Site(
            self.daemon,
            emulations=self.emulations,
            token=self.token,
            profile=self.profile,
            secret=b"a machine",
            clock=lambda: 100.0,
            wall_clock=lambda: datetime(2026, 11, 27, 22, 31, 5, tzinfo=timezone(timedelta(hours=1))),
        )

    def answer(self, path: str, method: str = "GET", body: bytes = b"", **fields: str) -> Answer:
        target, _, query = path.partition("?")
        parameters = dict(pair.split("=") for pair in query.split("&")) if query else {}
        try:
            return self.site.answer(Request(method, target, parameters, fields, body, client="192.168.1.7"))
        except Refused as refused:  # as the server does
            return text(refused.status, refused.sentence)

    def get(self, path: str, method: str = "GET", body: bytes = b"", **fields: str) -> Response:
        answer = self.answer(path, method, body, **fields)
        if isinstance(answer, Later):
            answer = answer.work()
        assert isinstance(answer, Response)
        return answer

    def json(self, path: str, method: str = "GET", body: bytes = b"") -> Any:
        response = self.get(path, method, body)
        assert (response.status, response.content_type) == (200, "application/json"), response
        return json.loads(response.body)


def of(state: Mapping[str, Any]) -> Visitor:
    """The house, but with this reading."""
    return Visitor((replace(HOUSE, state=state),))
