"""What the numbers of the standard events mean, in words.

The OSGP guides list none; the numbers 0 to 76 are those of ANSI C12.19, as public tools for such meters carry them. The
manufacturer's own events (bit 11 of the number) have no public list, so no name is made up for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# What was done to the meter is logged in one of four forms, which differ in what the entry's argument holds.
_WITH: Final = ("", ", with values", ", with a signature", ", with values and a signature")

_PLAIN: Final = (
    "no event",
    "power lost",
    "power restored",
    "clock set (the time before)",
    "clock set (the time after)",
    "clock set (the time before, with its date)",
    "clock set (the time after, with its date)",
    "meter accessed to be read",
    "meter accessed to be changed",
    "procedure run",
    "table written",
    "meter programmed",
    "communication ended as it should",
    "communication broke off",
    "list pointers reset",
    "list pointers updated",
    "history log emptied",
    "history log marked as read",
    "event log emptied",
    "event log marked as read",
    "demand reset",
    "self-read taken",
    "daylight saving time began",
    "daylight saving time ended",
    "season changed",
    "rate changed",
    "special schedule in force",
    "tariff switched",
    "pending change took effect",
    "pending change withdrawn",
    "metering began",
    "metering stopped",
    "test mode began",
    "test mode ended",
    "workshop mode began",
    "workshop mode ended",
    "meter programmed again",
    "configuration error",
    "self-check error",
    "fault in working memory",
    "fault in program memory",
    "fault in lasting memory",
    "clock error",
    "measurement error",
    "battery low",
    "voltage low",
    "demand too high",
    "tamper attempt",
    "energy ran backwards",
    "switch changed by a command",
    "switch changed by the schedule",
    "switch changed by a condition",
    "switch changed for prepayment",
    "credit added",
    "credit taken off",
    "credit adjusted",
    "meter sealed",
    "meter unsealed",
)
_DONE: Final = ("procedure run", "table written", "meter programmed", "meter sealed", "meter unsealed")
_READ: Final = ("secured table read", "secured register read")

STANDARD_EVENTS: Final[Mapping[int, str]] = MappingProxyType(
    dict(
        enumerate(
            (
                *_PLAIN,
                *(f"{what}{how}" for how in _WITH[1:] for what in _DONE),
                *(f"{what}{how}" for how in _WITH[:2] for what in _READ),
            )
        )
    )
)
