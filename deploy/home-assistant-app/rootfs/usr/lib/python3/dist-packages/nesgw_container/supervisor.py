"""Asks the Supervisor of Home Assistant what it gives to an app: the broker with its login, and the page's port.

The paths and answers are those of the Supervisor's API for apps; what it takes is the token of this start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PATIENCE: Final = 10.0  # seconds

_NO_BROKER: Final = (
    "there is no MQTT broker: install and start the app Mosquitto broker, "
    "or name a broker of your own under mqtt in this app's configuration"
)


class NotYet(Exception):
    """The Supervisor cannot say; its text is what the owner can do. Worth asking again."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker as the Supervisor knows it."""

    host: str
    port: int
    tls: bool
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The Supervisor's API."""

    address: str
    token: str = field(repr=False)

    def broker(self) -> Broker:
        """Return the broker that an app has announced. Raises NotYet."""
        answer = self._get("/services/mqtt", refused={400: _NO_BROKER})
        try:
            return Broker(
                host=str(answer["host"]),
                port=int(answer["port"]),  # a number, in the documentation a text
                tls=bool(answer.get("ssl")),
                username=answer.get("username") or "",
                password=answer.get("password") or "",
            )
        except (KeyError, TypeError, ValueError):
            raise NotYet("the Supervisor's answer names no broker: update Home Assistant's Supervisor") from None

    def page_port(self) -> int | None:
        """Return the port at which the page is wanted, None where the app shows none. Raises NotYet."""
        answer = self._get("/addons/self/info")
        return int(answer["ingress_port"]) if answer.get("ingress") and answer.get("ingress_port") else None

    def _get(self, path: str, refused: dict[int, str] | None = None) -> dict[str, Any]:
        request = Request(self.address + path, headers={"Authorization": f"Bearer {self.token}"})  # noqa: S310
        try:
            with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 (the address is ours)
                data = json.load(answer)["data"]
        except HTTPError as error:
            error.close()  # it is the answer, too
            unknown = f"the Supervisor refuses {path} (HTTP {error.code}): restart this app"
            raise NotYet((refused or {}).get(error.code, unknown)) from None
        except (OSError, HTTPException) as error:
            raise NotYet(f"the Supervisor does not answer ({error})") from None
        except (ValueError, TypeError, KeyError):
            raise NotYet(f"the Supervisor's answer to {path} is no answer") from None
        if not isinstance(data, dict):
            raise NotYet(f"the Supervisor's answer to {path} is no answer")
        return data
