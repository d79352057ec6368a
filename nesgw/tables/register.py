"""The vocabulary of the register catalogue: what one row says. The rows are in ``catalogue.py``.

Home Assistant's words (device class, state class, units) are part of a row, so that the decoder, the discovery
message, the documentation and the terminal all read one and the same fact.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from nesgw.errors import MeterMisbehaved
from nesgw.values import Firmware

StateClass = Literal["measurement", "total", "total_increasing"]

EXTENDED: Final = 2048  # table ETn has the number 2048 + n in a request


def table_name(number: int) -> str:
    """Give the name that the guides use, as BT23 or ET03, for the number in a request."""
    return f"{'ET' if number >= EXTENDED else 'BT'}{number % EXTENDED:02d}"


def table_number(name: str) -> int:
    """Give the number in a request for the name that the guides use."""
    return int(name[2:]) + (EXTENDED if name.startswith("ET") else 0)


def nonsense(table: str, problem: str) -> MeterMisbehaved:
    """What a table holds cannot be: the error that says so."""
    return MeterMisbehaved(service=f"the read of {table}", problem=problem)


class Part(NamedTuple):
    """What to ask the meter for: ``size`` bytes of a table from ``offset`` on, and a name for the answer."""

    name: str
    table: int
    offset: int
    size: int

    def whole(self, data: bytes) -> bytes:
        """Return the answer if all of it is there."""
        if len(data) < self.size:
            raise nonsense(self.name, f"{len(data)} of {self.size} bytes")
        return data[: self.size]


class Kind(NamedTuple):
    """A physical quantity: the pair of classes and the unit that Home Assistant takes together."""

    unit: str | None  # "kWh", "W", …; None for a plain number
    device_class: str | None  # Home Assistant's, e.g. "energy"; None where it has none that fits
    state_class: StateClass
    precision: int  # decimals to show
    divisor: int = 1  # the meter's integer divided by this is the value in ``unit``: 1, 100 or 1000


class Field(NamedTuple):
    """One published value: everything that is said of it anywhere, but not where it stands in the meter."""

    key: str  # the name in the state object, in topics and in unique ids; never changes
    name: str  # what Home Assistant shows behind the device's name
    kind: Kind
    info: str  # one plain sentence for the documentation
    phases: tuple[int, ...] = ()  # of 1..3: the phases it cannot do without; () for a value of the whole meter
    enabled: bool = True  # shown by Home Assistant from the start
    diagnostic: bool = False  # Home Assistant's diagnostic category


class Primary(NamedTuple):
    """Where BT28 has the same quantity a second time, with the transformer ratios applied."""

    number: int
    source: int
    since: Firmware


class Register(NamedTuple):
    """Where a field stands: a row of BT23's summations or BT28's present values."""

    number: int  # position in the fixed order
    source: int | None  # the id by which BT22 or BT27 name it; None where the guides give none
    field: Field
    since: Firmware
    primary: Primary | None = None  # BT28: the primary side of the transformers


class TierRegister(NamedTuple):
    """A summation of one tier: a row of BT23 again, once for each tariff."""

    tier: int  # 0 is the first; people and the meter's display call it 1
    summation: int  # the number of the summation that it repeats
    field: Field


class Difference(NamedTuple):
    """A field that is the difference of two others of the same poll."""

    field: Field
    minuend: str
    subtrahend: str
