"""A file whose age tells whether nesgw lives. On a RAM disk, since it is touched every few seconds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LONGEST: Final = 90.0  # seconds; nesgw itself says so every two, and is silent while one of its loops hangs


@dataclass(frozen=True, slots=True)
class Pulse:
    """The file; its modification time is on the monotonic clock, which no time server sets."""

    path: Path

    def beat(self) -> None:
        """Note that nesgw lives."""
        now = time.monotonic_ns()
        self.path.touch(mode=0o600)
        os.utime(self.path, ns=(now, now))

    def beats(self) -> bool:
        """Say whether the last beat is recent."""
        try:
            return time.monotonic() - self.path.stat().st_mtime <= LONGEST
        except FileNotFoundError:
            return False
