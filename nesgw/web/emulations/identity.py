"""Who an emulated meter says it is: a number of its own for each meter, always the same, that tells nothing of it."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")


def machine_secret(path: Path = MACHINE_ID) -> bytes:
    """Return what no other machine knows (machine-id(5)); nothing where the system has none, as in some containers."""
    try:
        return path.read_bytes().strip()
    except OSError:
        return b""


def hardware_address(meter: str, secret: bytes) -> str:
    """Return twelve hex digits in the form of a MAC address of local administration, not one of this machine.

    ``meter`` is its id, a serial number: with the secret nobody can search for it.
    """
    digest = hmac.new(secret, b"nesgw:" + meter.encode(), hashlib.sha256)
    return "02" + digest.hexdigest()[:10]
