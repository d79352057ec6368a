"""The vocabulary of the register catalogue: what one row says. The rows are in ``catalogue.py``.

Home Assistant's words (device class, state class, units) are part of a row, so that the decoder, the discovery
message, the documentation and the terminal all read one and the same fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nesgw.values import Firmware

StateClass = Literal["measurement", "total", "total_increasing"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A physical quantity: the pair of classes and the unit that Home Assistant takes together."""

    unit: str | None  # "kWh", "W", …; None for a plain number
    device_class: str | None  # Home Assistant's, e.g. "energy"; None where it has none that fits
    state_class: StateClass
    precision: int  # decimals to show
    divisor: int = 1  # the meter's integer divided by this is the value in ``unit``: 1, 100 or 1000


@dataclass(frozen=True, slots=True)
class Field:
    """One published value: everything that is said of it anywhere, but not where it stands in the meter."""

    key: str  # the name in the state object, in topics and in unique ids; never changes
    name: str  # what Home Assistant shows behind the device's name
    kind: Kind
    info: str  # one plain sentence for the documentation
    phase: int | None = None  # 1..3 for a value of one phase
    enabled: bool = True  # shown by Home Assistant from the start
    diagnostic: bool = False  # Home Assistant's diagnostic category


@dataclass(frozen=True, slots=True)
class Register:
    """Where a field stands: a row of BT23's summations or BT28's present values."""

    number: int  # position in the fixed order (BT23 6.5, BT28 6.9 of the reference)
    source: int | None  # the id by which BT22 or BT27 name it; None where the guides give none
    field: Field
    since: Firmware
    primary: int | None = None  # BT28: number of the twin with the transformer ratios applied
