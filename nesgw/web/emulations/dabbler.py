"""``GET /getDashDataWS`` of the Dabbler MEP module: integers in the meter's own units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nesgw import __version__
from nesgw.values import Number
from nesgw.web.emulations.values import State, needed, phases, whole
from nesgw.web.recent import number
from nesgw.web.request import Refused

_AVERAGES = {
    f"{phase}{way}_Avg_W": f"power_{word}_average{suffix}"
    for phase, suffix in (("", ""), ("L1_", "_l1"), ("L2_", "_l2"), ("L3_", "_l3"))
    for way, word in (("Fwd", "import"), ("Rev", "export"))
}


def answer(state: State, info: Mapping[str, object], now: datetime) -> dict[str, int | str]:
    """Return the object; ``now`` is the gateway's local time, by which the reader sees that we live.

    Raises Refused: 404 for a meter without powers of single phases, at which the reader would stick for ever.
    """
    measured = phases(state)
    if measured is None:
        raise Refused(404, "this meter does not measure the power of single phases, which the reader demands")
    content: dict[str, int | str] = {
        "Fwd_Act_Wh": whole(needed(state, "energy_import"), 1000),
        "Rev_Act_Wh": whole(needed(state, "energy_export"), 1000),
        "Fwd_W": whole(needed(state, "power_import")),
        "Rev_W": whole(needed(state, "power_export")),
        "Freq_mHz": whole(needed(state, "frequency"), 1000),
    }
    for place, phase in enumerate(measured, 1):
        content[f"L{place}_Fwd_W"] = whole(_there(phase.power_import, place))
        content[f"L{place}_Rev_W"] = whole(_there(phase.power_export, place))
        content[f"L{place}_RMS_A"] = whole(_there(phase.current, place), 1000)
        content[f"L{place}_RMS_V"] = whole(_there(phase.voltage, place), 1000)
    averages = {key: number(state.get(field)) for key, field in _AVERAGES.items()}
    content |= {key: whole(value) for key, value in averages.items() if value is not None}
    return {
        **content,
        "Meter_Manufacturer": str(info.get("manufacturer") or ""),
        "Meter_Model": str(info.get("model") or ""),
        "Meter_SW_Version": _version(str(info.get("firmware") or "")),
        "Utility_SN": str(info.get("utility_serial") or ""),
        "ESP_SW": "nesgw",
        "ESP_SW_By": "nesgw",
        "ESP_SW_Version": __version__,
        "CurrentDateTime": f"{now:%Y-%m-%dT%H:%M:%S}.000Z",
        "CurrentDateTimeString": f"{now:%Y-%m-%d (%A) @ %H:%M:%S}",
    }


def _there(value: Number | None, phase: int) -> Number:
    if value is None:
        raise Refused(503, f"this reading lacks values of L{phase}")
    return value


def _version(firmware: str) -> str:
    """Major and revision, without padding: 3.84.06 becomes 3.84, 3.06.00 becomes 3.6."""
    return ".".join(str(int(part)) for part in firmware.split(".")[:2] if part.isdigit())
