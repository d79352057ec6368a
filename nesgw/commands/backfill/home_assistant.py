"""Home Assistant's statistics over its WebSocket interface: asked, shifted, imported. The only import of websockets.

Sends nothing by itself a second time: a refused token counts as a failed login, and a command that was sent is in Home
Assistant's queue and happens even if the connection breaks.
Source: measured on Home Assistant 2026.11; the commands are those of its recorder.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from nesgw.commands.backfill.plan import HOUR, HourRow, Shift
from nesgw.commands.backfill.units import UNITS, Unit
from nesgw.errors import HomeAssistantUnavailable, TokenRefused

TIMEOUT: Final = 30.0  # seconds for an answer, and for what was queued to be readable
LARGEST_ANSWER: Final = 64 * 1024 * 1024  # bytes: the registry of a large house
CATCHING_UP: Final = 300.0  # seconds to wait for Home Assistant to compile what it missed
_LOOK: Final = 0.2
_SAME: Final = 1e-4  # kWh: a difference that is none
_LONG_AGO: Final = datetime(2005, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity of ours, whatever the owner calls it now."""

    entity_id: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Statistic:
    """What Home Assistant says of a statistic; ``metadata`` goes back with an import as it came."""

    statistic_id: str
    unit_name: str  # in which it is kept, as its owner chose
    metadata: Mapping[str, object]

    @property
    def unit(self) -> Unit:
        """Its unit. All that is asked and shown is in the base of that: kWh, or kvarh."""
        return UNITS[self.unit_name]

    @property
    def base(self) -> dict[str, str]:
        """How to ask for rows in kWh (or kvarh)."""
        return {self.unit.unit_class: self.unit.base}


class HomeAssistant:
    """One connection. Raises HomeAssistantUnavailable and TokenRefused."""

    def __init__(self, url: str, token: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url
        self._token = token
        self._sleep = sleep
        self._life = ExitStack()
        self._socket: ClientConnection | None = None
        self._number = 0
        self.clock_error = 0.0  # seconds by which its clock is ahead of ours

    def __enter__(self) -> Self:
        try:
            self._socket = self._life.enter_context(
                connect(websocket_address(self._url), open_timeout=TIMEOUT, max_size=LARGEST_ANSWER, proxy=None)
            )
            self._look_at_clock()
            self._log_in()
        except (OSError, WebSocketException, TimeoutError) as problem:
            self.close()
            raise self._unavailable(problem) from problem
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._life.close()

    # What is asked

    def refuse_who_may_not_write(self) -> None:
        """Raise TokenRefused unless the token is an administrator's, so that it is said before the first hole is."""
        if not self._ask("auth/current_user").get("is_admin"):
            raise self._no_administrator()

    def wait_until_caught_up(self) -> None:
        """Wait for the recorder to have no backlog. Raises HomeAssistantUnavailable if it does not record."""
        until = time.monotonic() + CATCHING_UP
        while True:
            state = self._ask("recorder/info")
            if not (state.get("recording") and state.get("thread_running")) or state.get("migration_in_progress"):
                raise self._problem("its recorder is not recording", "look at its log, and try again when it runs")
            if not state.get("backlog"):
                return
            if time.monotonic() > until:
                raise self._problem("it is still catching up with what it missed", "try again later")
            self._sleep(_LOOK)

    def entity(self, unique_id: str) -> Entity | None:
        """Find an entity by its unique id; None if there is none, or not exactly one."""
        found = [
            entry
            for entry in self._ask("config/entity_registry/list")
            if entry.get("platform") == "mqtt" and entry.get("unique_id") == unique_id
        ]
        if len(found) != 1:
            return None
        return Entity(str(found[0]["entity_id"]), disabled=found[0].get("disabled_by") is not None)

    def statistic(self, entity_id: str) -> Statistic | None:
        """Return the statistic of an entity; None if nothing was ever recorded, or nothing that adds up."""
        for metadata in self._ask("recorder/get_statistics_metadata", statistic_ids=[entity_id]):
            unit = metadata.get("statistics_unit_of_measurement")
            if metadata.get("has_sum") and metadata.get("source") == "recorder" and unit in UNITS:
                return Statistic(entity_id, unit, MappingProxyType(dict(metadata)))
        return None

    def why_not(self, entity_id: str) -> str:
        """Say why an entity has no statistic that could be filled."""
        for metadata in self._ask("recorder/get_statistics_metadata", statistic_ids=[entity_id]):
            if not metadata.get("has_sum"):
                return "its statistic adds nothing up: was its state class changed?"
            unit = metadata.get("statistics_unit_of_measurement")
            return f"its statistic is in {unit or 'no unit'}, which is not filled: was its unit changed?"
        return "Home Assistant has never recorded it"

    def meters(self) -> list[str]:
        """Return the ids of the meters of which there is an entity for the energy drawn."""
        entries = self._ask("config/entity_registry/list")
        unique = (str(entry.get("unique_id")) for entry in entries if entry.get("platform") == "mqtt")
        return sorted({found[1] for each in unique if (found := re.fullmatch("nesgw_([a-z0-9]+)_energy_import", each))})

    def rows(self, statistic: Statistic, since: datetime) -> list[HourRow]:
        """Return the hourly rows from ``since`` on, ascending, in kWh (or kvarh)."""
        return self._hourly(statistic, start_time=since.isoformat())

    def last_row_before(self, statistic: Statistic, moment: datetime) -> HourRow | None:
        """Return the last row before a moment; by the hour, for of a longer period the end would be moved."""
        rows = self._hourly(statistic, start_time=_LONG_AGO.isoformat(), end_time=moment.isoformat())
        return rows[-1] if rows else None

    def _hourly(self, statistic: Statistic, **period: str) -> list[HourRow]:
        answer = self._ask(
            "recorder/statistics_during_period",
            **period,
            statistic_ids=[statistic.statistic_id],
            period="hour",
            types=["state", "sum"],
            units=statistic.base,
        )
        return [
            HourRow(datetime.fromtimestamp(row["start"] / 1000, UTC), row["state"], row["sum"])
            for row in answer.get(statistic.statistic_id, ())
            if row.get("state") is not None and row.get("sum") is not None
        ]

    # What is changed

    def shift(self, statistic: Statistic, shift: Shift) -> None:
        """Add to the sum of all rows from a moment on, and wait until that can be read."""
        since = shift.start - HOUR
        before = {row.start: row.sum for row in self.rows(statistic, since)}
        self._ask(
            "recorder/adjust_sum_statistics",
            statistic_id=statistic.statistic_id,
            start_time=shift.start.isoformat(),
            adjustment=shift.amount,
            adjustment_unit_of_measurement=statistic.unit.base,
        )
        expected = before.get(shift.start, 0.0) + shift.amount

        def is_there() -> bool:
            after = {row.start: row.sum for row in self.rows(statistic, since)}
            return abs(after.get(shift.start, 0.0) - expected) < _SAME

        self._wait_for(is_there)

    def import_rows(self, statistic: Statistic, rows: Sequence[HourRow]) -> None:
        """Write rows, and wait until they can be read.

        The unit sent is the one just read, and the rows are converted to it: it would be overwritten, not converted.
        """
        fresh = self.statistic(statistic.statistic_id)
        if fresh is None or fresh.unit_name != statistic.unit_name:
            raise self._problem(f"the unit of {statistic.statistic_id} was changed meanwhile", "run the command again")
        known = {"has_sum", "mean_type", "unit_class", "name", "source", "statistic_id"}
        metadata = {key: value for key, value in fresh.metadata.items() if key in known}
        self._ask(
            "recorder/import_statistics",
            metadata={**metadata, "unit_of_measurement": fresh.unit_name},
            stats=[
                {"start": row.start.isoformat(), "state": fresh.unit.of(row.state), "sum": fresh.unit.of(row.sum)}
                for row in rows
            ],
        )

        def are_there() -> bool:
            found = {row.start: row for row in self.rows(statistic, rows[0].start)}
            return all(_same(found.get(row.start), row) for row in rows)

        self._wait_for(are_there)

    # The connection

    def _log_in(self) -> None:
        if self._receive().get("type") != "auth_required":
            raise self._problem("it does not ask for a login: this is no Home Assistant", "correct [homeassistant] url")
        self._send({"type": "auth", "access_token": self._token})
        if self._receive().get("type") != "auth_ok":
            raise TokenRefused(url=self._url, problem="it refused the token")

    def _look_at_clock(self) -> None:
        assert self._socket is not None  # noqa: S101 (just connected)
        response = self._socket.response
        if response is not None and (stamp := response.headers.get("Date")):
            self.clock_error = (parsedate_to_datetime(stamp) - datetime.now(UTC)) / timedelta(seconds=1)

    def _ask(self, command: str, **fields: object) -> Any:
        self._number += 1
        try:
            self._send({"id": self._number, "type": command, **fields})
            while True:
                answer = self._receive()
                if answer.get("id") == self._number and answer.get("type") == "result":
                    break
        except (OSError, WebSocketException, TimeoutError) as problem:
            raise self._unavailable(problem) from problem
        if answer.get("success"):
            return answer.get("result")
        error = answer.get("error") or {}
        if error.get("code") == "unauthorized":
            raise self._no_administrator()
        raise self._problem(f"{command} was refused: {error.get('message') or error.get('code')}", "")

    def _send(self, message: Mapping[str, object]) -> None:
        assert self._socket is not None  # noqa: S101 (connected)
        self._socket.send(json.dumps(message))

    def _receive(self) -> dict[str, Any]:
        assert self._socket is not None  # noqa: S101 (connected)
        try:
            message = json.loads(self._socket.recv(timeout=TIMEOUT))
        except ValueError:
            message = None
        return message if isinstance(message, dict) else {}

    def _wait_for(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + TIMEOUT
        while not done():
            if time.monotonic() > until:
                raise self._problem("what was sent is not there after half a minute", "its log says why")
            self._sleep(_LOOK)

    def _unavailable(self, problem: Exception) -> HomeAssistantUnavailable:
        if isinstance(problem, InvalidURI):
            return self._problem("this is no address", 'write [homeassistant] url = "http://homeassistant.local:8123"')
        if isinstance(problem, InvalidHandshake):
            return self._problem("there is no WebSocket interface", "correct [homeassistant] url")
        if isinstance(problem, TimeoutError):
            return self._problem("no answer", "see whether it runs, and whether the address is right")
        words = getattr(problem, "strerror", None) or "the connection broke off"
        return self._problem(str(words), "see whether it runs, and whether the address is right")

    def _no_administrator(self) -> TokenRefused:
        return TokenRefused(url=self._url, problem="the token is not an administrator's")

    def _problem(self, problem: str, advice: str) -> HomeAssistantUnavailable:
        return HomeAssistantUnavailable(url=self._url, problem=problem, advice=advice)


def websocket_address(url: str) -> str:
    """Return where the WebSocket interface of a Home Assistant is; an address that names it already stays."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    return f"{scheme}://{parts.netloc}{path if path.endswith('/websocket') else f'{path}/api/websocket'}"


def _same(found: HourRow | None, wanted: HourRow) -> bool:
    return found is not None and max(abs(found.state - wanted.state), abs(found.sum - wanted.sum)) < _SAME
