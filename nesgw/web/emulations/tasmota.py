"""``GET /cm?cmnd=Status 8`` (or 10) of a Tasmota with an SML meter: what evcc, AstraMeter and scripts read."""

from __future__ import annotations

from datetime import datetime

from nesgw.web.emulations.values import State, needed, phases, whole
from nesgw.web.recent import number
from nesgw.web.request import Refused


def is_asked(command: str) -> bool:
    """Whether a command is one of those that are answered."""
    return command.lower().split() in (["status", "8"], ["status", "10"], ["status8"], ["status10"])


def answer(state: State) -> dict[str, object]:
    """Return the object: kWh, W with a sign, V, A. Phases only if the meter measures the power of each.

    Raises Refused where a number is missing that evcc would take for zero.
    """
    local = datetime.fromisoformat(str(state["time"])).astimezone()
    content: dict[str, object] = {"Total_in": needed(state, "energy_import")}
    if (fed := number(state.get("energy_export"))) is not None:
        content["Total_out"] = fed
    content["Power_curr"] = whole(needed(state, "power"))
    if measured := phases(state):
        for place, phase in enumerate(measured, 1):
            if not phase.complete:
                raise Refused(503, f"this reading lacks values of L{place}")
            content[f"power_l{place}"] = phase.power
            content[f"voltage_l{place}"] = phase.voltage
            content[f"current_l{place}"] = phase.current
    return {"StatusSNS": {"Time": f"{local:%Y-%m-%dT%H:%M:%S}", "SML": content}}
