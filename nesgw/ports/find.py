"""Finds the only USB serial device, for ``port = "auto"``, under the name that survives re-plugging. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from nesgw.errors import NoProbe, PortAmbiguous


def find_port(ports: Callable[[], Iterable[Any]] = list_ports.comports, by_id: Path = Path("/dev/serial/by-id")) -> str:
    """Give the name of the only USB serial device, that under ``by_id`` where it has one.

    Raises NoProbe or PortAmbiguous.
    """
    try:
        links = {str(link.resolve()): str(link) for link in by_id.iterdir()} if by_id.is_dir() else {}
        found = [links.get(str(Path(port.device).resolve()), port.device) for port in ports() if port.vid is not None]
    except (OSError, TypeError, ValueError):  # unplugged in this very moment: pyserial stumbles over what has gone
        found = []
    if not found:
        raise NoProbe()
    if len(found) > 1:
        raise PortAmbiguous(count=len(found), names=", ".join(sorted(found)))
    return str(found[0])
