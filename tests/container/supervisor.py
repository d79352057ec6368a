"""A stand-in for the Supervisor of Home Assistant: what it answers to an app, on loopback. Imports nothing of nesgw.

Paths, answers and refusals are those of its API for apps: 401 for a wrong token, 403 for what an app may not ask, 400
with "Service not enabled" while no broker is installed.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "the-token-of-this-start"


def mqtt_service(port: int, username: str = "addons", password: str = "of the app", **more: Any) -> dict[str, Any]:
    """What the app Mosquitto broker announces."""
    return {
        "addon": "core_mosquitto",
        "host": "127.0.0.1",
        "port": port,
        "ssl": False,
        "protocol": "3.1.1",
        "username": username,
        "password": password,
        **more,
    }


class FakeSupervisor:
    """Answers until closed; ``mqtt`` and ``info`` may be changed at any time."""

    def __init__(self, mqtt: dict[str, Any] | None = None) -> None:
        self.mqtt = mqtt
        self.info: dict[str, Any] = {"slug": "local_nesgw", "state": "started", "ingress": False, "ingress_port": None}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Answer one question."""
        self.asked.append(path)
        if authorization != f"Bearer {TOKEN}":
            return 401, {"result": "error", "message": "unauthorized"}
        if path == "/services/mqtt":
            if self.mqtt is None:
                return 400, {"result": "error", "message": "Service not enabled"}
            return 200, {"result": "ok", "data": self.mqtt}
        if path == "/addons/self/info":
            return 200, {"result": "ok", "data": self.info}
        return 403, {"result": "error", "message": "forbidden"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        supervisor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = supervisor.answer(self.path, self.headers.get("Authorization"))
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
