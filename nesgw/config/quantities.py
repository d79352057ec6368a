"""Quantities as people write them in a configuration: "10s", "5 min", "44 kW". Numbers with a unit, nothing else."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_WATTS: Final = {"w": 1.0, "kw": 1000.0, "mw": 1_000_000.0}
_QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def _quantity(text: object, factors: dict[str, float], example: str) -> float:
    if not isinstance(text, str) or not (match := _QUANTITY.fullmatch(text)) or match[2].lower() not in factors:
        raise ValueError(f"write a number with a unit, like {example}")
    return float(match[1]) * factors[match[2].lower()]


def seconds(text: object) -> float:
    """Return a duration in seconds; raises ValueError with what would be right."""
    return _quantity(text, _SECONDS, '"10s", "5min" or "1h"')


def watts(text: object) -> float:
    """Return a power in watts; raises ValueError with what would be right."""
    return _quantity(text, _WATTS, '"44 kW" or "11000 W"')


def duration_text(value: float) -> str:
    """Write a duration the way the configuration takes it: 10.0 -> "10s", 300.0 -> "300s", 3600.0 -> "1h"."""
    for unit, factor in (("h", 3600.0), ("min", 60.0)):
        if value > 300 and value % factor == 0:
            return f"{value / factor:g}{unit}"
    return f"{value:g}s"


def power_text(value: float) -> str:
    """Write a power the way the configuration takes it: 44000.0 -> "44 kW"."""
    return f"{value / 1000:g} kW" if value >= 1000 else f"{value:g} W"
