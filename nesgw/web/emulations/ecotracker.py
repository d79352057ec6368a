"""``GET /v1/json`` of an everHome EcoTracker: what EcoFlow, Jackery, Zendure and AstraMeter read."""

from __future__ import annotations

from nesgw.web.emulations.values import State, needed, phases, whole
from nesgw.web.recent import number

_COUNTERS = {
    "energyCounterIn": "energy_import",
    "energyCounterInT1": "energy_import_t1",
    "energyCounterInT2": "energy_import_t2",
    "energyCounterOut": "energy_export",
}


def answer(state: State, age: float, average: float | None) -> dict[str, int]:
    """Return the object: W with a sign, plus is from the grid; Wh. What this reading lacks is left out.

    Raises Refused without the power.
    """
    power = whole(needed(state, "power"))
    content = {"power": power, "powerAvg": power if average is None else round(average), "agePower": int(age)}
    measured = phases(state)
    if measured and all(phase.power is not None for phase in measured):
        content |= {
            f"powerPhase{place}": whole(phase.power)
            for place, phase in enumerate(measured, 1)
            if phase.power is not None
        }
    for key, field in _COUNTERS.items():
        if (value := number(state.get(field))) is not None:
            content[key] = whole(value, 1000)
    return content
