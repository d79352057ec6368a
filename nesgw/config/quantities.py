"""Quantities as people write them in a configuration: "10s", "5 min", "44 kW", "02:05-02:15". Always with a unit."""

from __future__ import annotations

import re
from datetime import time
from typing import Final

from nesgw.config.settings import QuietWindow

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_WATTS: Final = {"w": 1.0, "kw": 1000.0, "mw": 1_000_000.0}
_QUANTITY: Final = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z]+)\s*")
_WINDOW: Final = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})\s*")


def _quantity(text: object, factors: dict[str, float], example: str) -> float:
    if not isinstance(text, str) or not (match := _QUANTITY.fullmatch(text)) or match[2].lower() not in factors:
        raise ValueError(f"write a number with a unit, like {example}")
    if re.search(r",\d{3}$", match[1]):
        raise ValueError(f"write the number without a comma, like {example}")
    if "," in match[1]:
        raise ValueError(f'write the number with a point, not a comma: "{match[1].replace(",", ".")} {match[2]}"')
    return float(match[1]) * factors[match[2].lower()]


def seconds(text: object) -> float:
    """Return a duration in seconds; raises ValueError with what would be right."""
    return _quantity(text, _SECONDS, '"10s", "5min" or "1h"')


def watts(text: object) -> float:
    """Return a power in watts; raises ValueError with what would be right."""
    return _quantity(text, _WATTS, '"44 kW" or "11000 W"')


def window(text: object) -> QuietWindow | None:
    """Return a span of each day, None of an empty text; raises ValueError with what would be right."""
    if text == "":
        return None
    match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    hours = [int(part) for part in match.groups()] if match else []
    if not hours or max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59:
        raise ValueError('write two times of the day in local time, like "02:05-02:15"')
    begin, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    if begin == end:
        raise ValueError("begins when it ends; write a later end, or take the option out")
    return QuietWindow(begin, end)


def duration_text(value: float) -> str:
    """Write a duration the way the configuration takes it: 10.0 -> "10s", 300.0 -> "300s", 3600.0 -> "1h"."""
    for unit, factor in (("h", 3600.0), ("min", 60.0)):
        if value > 300 and value % factor == 0:
            return f"{value / factor:.12g}{unit}"
    return f"{value:.12g}s"


def power_text(value: float) -> str:
    """Write a power the way the configuration takes it: 44000.0 -> "44 kW"."""
    return f"{value / 1000:.12g} kW" if value >= 1000 else f"{value:.12g} W"
