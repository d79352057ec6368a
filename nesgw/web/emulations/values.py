"""Numbers of the state object as foreign programs want them: integers, signs, and nothing instead of a null."""

from __future__ import annotations

from dataclasses import dataclass

from nesgw.values import Number
from nesgw.web.recent import number
from nesgw.web.request import Refused
from nesgw.web.snapshot import MeterNow, StateObject

State = StateObject
PHASES = (1, 2, 3)


def fresh_state(meter: MeterNow) -> State:
    """Return the last reading if it may be taken for the present. Raises Refused: 503, with what is wrong."""
    state = meter.fresh
    if state is None:
        raise Refused(503, meter.problem or "waiting for the first reading of the meter")
    return state


def needed(state: State, key: str) -> Number:
    """Return a number that the client cannot do without. Raises Refused: 503."""
    value = number(state.get(key))
    if value is None:
        raise Refused(503, f"this reading has no {key}")
    return value


def whole(value: Number, factor: int = 1) -> int:
    """An integer in a smaller unit: kWh × 1000 is Wh."""
    return round(value * factor)


@dataclass(frozen=True, slots=True)
class Phase:
    """What a meter measures of one phase; a phase that the meter does not have is all zero."""

    power: Number | None  # signed, W
    voltage: Number | None
    current: Number | None
    power_import: Number | None = None
    power_export: Number | None = None
    power_factor: Number | None = None

    @property
    def complete(self) -> bool:
        """Whether this reading has what every client wants."""
        return None not in (self.power, self.voltage, self.current)


ABSENT = Phase(0, 0, 0, 0, 0, 0)


def phases(state: State) -> tuple[Phase, Phase, Phase] | None:
    """Return the three phases with their true powers; None if the meter has no powers of single phases.

    A meter of one phase has it all on L1.
    """
    measured = [phase for phase in PHASES if f"power_l{phase}" in state]
    if measured:
        first, second, third = (_phase(state, phase) if phase in measured else ABSENT for phase in PHASES)
        return first, second, third
    if "current_l1" in state and "current_l2" not in state and "current_l3" not in state:
        return _phase(state, 1, ""), ABSENT, ABSENT
    return None


def _phase(state: State, phase: int, suffix: str | None = None) -> Phase:
    """One phase; ``suffix`` ends the names of its powers where those are not ``_l1`` to ``_l3``."""
    of_powers = f"_l{phase}" if suffix is None else suffix
    return Phase(
        power=number(state.get(f"power{of_powers}")),
        voltage=number(state.get(f"voltage_l{phase}")),
        current=number(state.get(f"current_l{phase}")),
        power_import=number(state.get(f"power_import{of_powers}")),
        power_export=number(state.get(f"power_export{of_powers}")),
        power_factor=number(state.get(f"power_factor_l{phase}")),
    )
