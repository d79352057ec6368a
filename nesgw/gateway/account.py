"""The account of how reading one meter goes: what the status topic says, kept in one place."""

from __future__ import annotations

from dataclasses import replace

from nesgw.errors import NesgwError
from nesgw.publishers.payloads import MeterStatus
from nesgw.values import MeterIdentity, Reading


class Account:
    """``status`` is how it stands now, as one value that other threads may look at."""

    def __init__(self) -> None:
        self.status = MeterStatus()

    def note(self, **what: object) -> None:
        """Note some fields of the status."""
        self.status = replace(self.status, **what)  # type: ignore[arg-type]

    def polled(self) -> None:
        """A poll begins."""
        self.note(polls=self.status.polls + 1)

    def accepted(self, reading: Reading) -> None:
        """A reading was accepted."""
        self.note(last_read=reading.time, consecutive_failures=0, last_error=None, last_error_kind=None)

    def rejected(self, sentence: str) -> None:
        """A reading was not plausible."""
        self.note(rejected=self.status.rejected + 1, last_error=sentence, last_error_kind="rejected")

    def failed(self, error: NesgwError) -> None:
        """A poll has failed."""
        self.count(error)
        failures = self.status.consecutive_failures + 1
        self.note(consecutive_failures=failures, last_error=str(error), last_error_kind=error.kind)

    def count(self, error: NesgwError) -> None:
        """Count a failure that cost no reading."""
        failures = dict(self.status.failures)
        failures[error.kind] = failures.get(error.kind, 0) + 1
        self.note(failures=failures)

    def another_meter(self, meter: MeterIdentity) -> None:
        """What the meter's tables said was another meter's."""
        serial = meter.manufacturer_serial or None
        self.note(
            id=meter.id, manufacturer_serial=serial, alarms=None, last_event=None, last_outage=None, sub_meters={}
        )
