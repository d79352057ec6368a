"""Finds USB serial devices, by names that survive re-plugging; the only one for ``port = "auto"``. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from serial.tools import list_ports

from nesgw.errors import NoProbe, PortAmbiguous

_BY_ID: Final = Path("/dev/serial/by-id")


def find_adapters(ports: Callable[[], Iterable[Any]] = list_ports.comports, by_id: Path = _BY_ID) -> list[str]:
    """Give the names of all USB serial devices, each under ``by_id`` where it has one there."""
    try:
        links = {str(link.resolve()): str(link) for link in by_id.iterdir()} if by_id.is_dir() else {}
        found = [links.get(str(Path(port.device).resolve()), port.device) for port in ports() if port.vid is not None]
    except (OSError, TypeError, ValueError):  # unplugged in this very moment: pyserial stumbles over what has gone
        found = []
    return sorted(map(str, found))


def find_port(ports: Callable[[], Iterable[Any]] = list_ports.comports, by_id: Path = _BY_ID) -> str:
    """Give the name of the only USB serial device. Raises NoProbe or PortAmbiguous."""
    found = find_adapters(ports, by_id)
    if not found:
        raise NoProbe()
    if len(found) > 1:
        raise PortAmbiguous(count=len(found), names=", ".join(found))
    return found[0]
