"""A port behind RFC 2217, as pyserial has it, with what real bridges and broken connections need of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from serial import rfc2217


class Rfc2217Port(rfc2217.Serial):
    """Not open yet. It knows no time-out for writing, and refuses to open with one."""

    def __init__(self, url: str) -> None:
        super().__init__(None)
        self.port = _patient(url)

    def _telnet_read_loop(self) -> Any:
        """End quietly, whatever the bridge sent or did: the next reading finds the thread gone, and says so."""
        with suppress(Exception):
            super()._telnet_read_loop()  # type: ignore[misc]  # its stubs do not have it


def _patient(url: str) -> str:
    """Do not wait for a bridge to confirm RTS and DTR: one whose device has no such lines never does."""
    if "ign_set_control" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ign_set_control"
