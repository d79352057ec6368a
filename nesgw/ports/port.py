"""What both links need of a serial port. Opens nothing."""

from __future__ import annotations

from typing import Protocol


class Port(Protocol):
    """An open serial port. Whatever goes wrong in its use is a PortLost."""

    baud: int
    rts: bool  # supplies some probes; on the MEP port it is Enable, and is switched off and on

    @property
    def name(self) -> str:
        """How the user knows it."""

    def read(self, timeout: float) -> bytes:
        """Return what has arrived as soon as anything has; nothing after ``timeout`` seconds."""

    def write(self, data: bytes) -> None:
        """Send."""

    def drain(self) -> None:
        """Wait until everything written has left, the adapter's chip included."""

    def holder(self) -> str | None:
        """Name another program that has the port open as well, as far as this user may look."""

    def close(self) -> None:
        """Give the port back."""


def is_bridge(name: str) -> bool:
    """Whether a port's name is that of a serial port on the network."""
    return name.lower().startswith(("socket://", "rfc2217://"))
