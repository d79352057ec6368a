"""A Home Assistant as far as its statistics go: the commands and the traps that were measured on the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

TOKEN = "a token of an administrator"
USERS_TOKEN = "a token of somebody else"
SENSOR = "sensor.what_the_owner_calls_it"
PER_KWH = {"Wh": 1000.0, "kWh": 1.0, "MWh": 0.001, "GJ": 0.0036, "kcal": 860.420650095602}


class FakeHomeAssistant:
    """Keeps one statistic. ``rows`` is start -> (state, sum) in its unit; ``received`` is every command, in order."""

    def __init__(self, unique_id: str, unit: str = "kWh") -> None:
        self.rows: dict[datetime, tuple[float, float]] = {}
        self.received: list[dict[str, Any]] = []
        self.registry = [
            {"platform": "hue", "unique_id": unique_id, "entity_id": "light.not_ours", "disabled_by": None},
            {"platform": "mqtt", "unique_id": unique_id, "entity_id": SENSOR, "disabled_by": None},
        ]
        self.metadata: list[dict[str, Any]] = [
            {
                "statistic_id": SENSOR,
                "source": "recorder",
                "name": None,
                "has_sum": True,
                "has_mean": False,
                "mean_type": 0,
                "unit_class": "energy",
                "statistics_unit_of_measurement": unit,
                "display_unit_of_measurement": "MWh",
            }
        ]
        self.info = {"recording": True, "thread_running": True, "migration_in_progress": False, "backlog": 0}
        self.ignores_imports = False

    @property
    def per_kwh(self) -> float:
        """Of the statistic's unit in one kWh."""
        return PER_KWH[self.metadata[0]["statistics_unit_of_measurement"]]

    def serve(self, connection: ServerConnection) -> None:
        """Talk with one client."""
        connection.send(json.dumps({"type": "auth_required", "ha_version": "2026.11.0"}))
        try:
            token = json.loads(connection.recv())["access_token"]
            if token not in (TOKEN, USERS_TOKEN):
                connection.send(json.dumps({"type": "auth_invalid", "message": "Invalid access token"}))
                return
            connection.send(json.dumps({"type": "auth_ok"}))
            for message in connection:
                command = json.loads(message)
                self.received.append(command)
                connection.send(json.dumps({"id": 0, "type": "event"}))  # something else in between
                connection.send(json.dumps(self._answer(command, is_admin=token == TOKEN)))
        except ConnectionClosed:
            pass

    def _answer(self, command: dict[str, Any], *, is_admin: bool) -> dict[str, Any]:
        changes = {"recorder/adjust_sum_statistics", "recorder/import_statistics"}
        if command["type"] in changes and not is_admin:
            return _refused(command, "unauthorized")
        answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "auth/current_user": lambda _: {"name": "Somebody", "is_owner": False, "is_admin": is_admin},
            "recorder/info": lambda _: self.info,
            "config/entity_registry/list": lambda _: self.registry,
            "recorder/get_statistics_metadata": lambda c: [
                each for each in self.metadata if each["statistic_id"] in c["statistic_ids"]
            ],
            "recorder/statistics_during_period": self._period,
            "recorder/adjust_sum_statistics": self._adjust,
            "recorder/import_statistics": self._import,
        }
        if command["type"] not in answers:
            return _refused(command, "unknown_command")
        return {"id": command["id"], "type": "result", "success": True, "result": answers[command["type"]](command)}

    def _period(self, command: dict[str, Any]) -> dict[str, Any]:
        since = datetime.fromisoformat(command["start_time"])
        until = datetime.fromisoformat(command.get("end_time", "9999-12-31T00:00+00:00"))
        assert command["period"] == "hour", "the end is moved to that of the day, the week or the month"
        assert command["units"] == {"energy": "kWh"}, "without it: in the unit that is displayed"
        rows = [
            {"start": round(start.timestamp() * 1000), "state": state / self.per_kwh, "sum": total / self.per_kwh}
            for start, (state, total) in sorted(self.rows.items())
            if start >= since and start < until
        ]
        return {SENSOR: rows} if rows else {}

    def _adjust(self, command: dict[str, Any]) -> None:
        since = datetime.fromisoformat(command["start_time"])
        adjustment = command["adjustment"] * self.per_kwh / PER_KWH[command["adjustment_unit_of_measurement"]]
        for start, (state, total) in self.rows.items():
            if start >= since:
                self.rows[start] = state, total + adjustment

    def _import(self, command: dict[str, Any]) -> None:
        metadata = command["metadata"]
        assert {"has_sum", "name", "source", "statistic_id", "unit_of_measurement"} <= set(metadata)
        assert metadata["unit_of_measurement"] == self.metadata[0]["statistics_unit_of_measurement"]
        for row in () if self.ignores_imports else command["stats"]:
            self.rows[datetime.fromisoformat(row["start"]).astimezone(UTC)] = row["state"], row["sum"]


def _refused(command: dict[str, Any], code: str) -> dict[str, Any]:
    return {"id": command["id"], "type": "result", "success": False, "error": {"code": code, "message": code}}


@contextmanager
def running(fake: FakeHomeAssistant) -> Iterator[str]:
    """Serve it on this machine; give its address."""
    server: Server = serve(fake.serve, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join(10)
