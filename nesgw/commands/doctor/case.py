"""What nesgw doctor knows of a meter while it looks at it. Looks at nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum

from nesgw.commands.align.judge import Window
from nesgw.commands.doctor.report import Report
from nesgw.config.key import Key
from nesgw.config.settings import MeterSettings
from nesgw.errors import KeyRefused, PortBusy
from nesgw.meter.meter import Meter
from nesgw.ports.port import Port


class NoKey(Enum):
    """Why there is no key to show."""

    NOT_GIVEN = "none was given (--key-file FILE): what needs one is not tried"
    CREDENTIAL = "it is a systemd credential, which only the service sees"
    MISSING = "without it nesgw reads no values"
    UNREADABLE = "the file is there"
    MALFORMED = "what is there is no key"


@dataclass
class MeterCase:
    """A meter under examination, and what the steps have opened of it. Closes all that as a context manager."""

    settings: MeterSettings
    key: Key | None = field(repr=False)
    no_key: NoKey = NoKey.MISSING  # where there is none
    key_problem: str = ""
    key_since: float = 0.0  # when the file that holds the key was changed last
    report: Report | None = None
    name: str = ""  # of the port, once it is found
    port: Port | None = None
    busy: PortBusy | None = None
    service: Report | None = None  # what the service says, while it holds the port
    window: Window = field(default_factory=Window)
    meter: Meter | None = None
    refusal: KeyRefused | None = None  # of the key, met before it was its turn
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    life: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> MeterCase:
        return self

    def __exit__(self, *error: object) -> None:
        self.life.close()

    @property
    def service_lives(self) -> bool:
        """Whether a service reports on this meter."""
        return self.report is not None and self.report.is_live(self.settings.poll_interval)
