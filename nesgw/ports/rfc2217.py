"""A port behind RFC 2217, as pyserial has it, with what real bridges and broken connections need of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from serial import SerialException, rfc2217

_OTHERWISE: Final = (
    "it is there, but speaks no RFC 2217: if it is a raw TCP port, write socket:// in place of rfc2217://"
)


class Rfc2217Port(rfc2217.Serial):
    """Not open yet. It knows no time-out for writing, and refuses to open with one."""

    def __init__(self, url: str) -> None:
        super().__init__(None)
        self.port = _patient(url)
        self._hung_up = False  # the bridge has ended the connection

    def open(self) -> None:
        """Connect. A server that keeps the connection and says nothing of RFC 2217 is not one that is busy."""
        try:
            super().open()
        except SerialException as problem:
            if "RFC2217" in str(problem) and not self._hung_up:
                raise SerialException(_OTHERWISE) from None
            raise

    def _telnet_read_loop(self) -> Any:
        """End quietly, whatever the bridge sent or did: the next reading finds the thread gone, and says so."""
        with suppress(Exception):
            super()._telnet_read_loop()  # type: ignore[misc]  # its stubs do not have it
        self._hung_up = self.is_open


def _patient(url: str) -> str:
    """Do not wait for a bridge to confirm RTS and DTR: one whose device has no such lines never does."""
    if "ign_set_control" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ign_set_control"
