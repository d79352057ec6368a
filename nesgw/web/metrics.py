"""``GET /metrics``: the readings and how reading goes, in Prometheus' text format 0.0.4. Pure.

While a meter's reading is stale its families are left out and the rest stays: a series that is gone is gone at the next
scrape, if it has no time of its own. So no times are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from nesgw import __version__
from nesgw.values import Number
from nesgw.web.recent import number
from nesgw.web.snapshot import MeterNow

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
JOULES: Final = 3600  # of a watt hour

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, Number]


@dataclass(frozen=True, slots=True)
class Family:
    """One name: what it is, and how its samples are found in a meter."""

    name: str
    type: Literal["counter", "gauge"]
    help: str
    samples: Callable[[MeterNow], Iterable[Sample]]


def _fields(fields: Mapping[str, Labels], factor: int = 1) -> Callable[[MeterNow], Iterator[Sample]]:
    """Samples out of the state object; none while it is stale."""

    def samples(meter: MeterNow) -> Iterator[Sample]:
        for field, labels in fields.items():
            value = number((meter.fresh or {}).get(field))
            if value is not None:
                yield labels, round(value * 1000) * factor if factor != 1 else value

    return samples


def _ways(field: str) -> dict[str, Labels]:
    return {f"{field}_{way}": (("direction", way),) for way in ("import", "export")}


def _phases(field: str) -> dict[str, Labels]:
    return {f"{field}_l{phase}": (("phase", f"L{phase}"),) for phase in (1, 2, 3)}


def _status(key: str, factor: float = 1) -> Callable[[MeterNow], Iterator[Sample]]:
    def samples(meter: MeterNow) -> Iterator[Sample]:
        value = number((meter.status or {}).get(key))
        if value is not None:
            yield (), value * factor if factor != 1 else value

    return samples


def _failures(meter: MeterNow) -> Iterator[Sample]:
    failures = (meter.status or {}).get("failures")
    if isinstance(failures, Mapping):
        yield from (((("kind", str(kind)),), count) for kind, count in failures.items())


def _online(meter: MeterNow) -> Iterator[Sample]:
    yield (), int(meter.online)


def _read_at(meter: MeterNow) -> Iterator[Sample]:
    if meter.state is not None:
        yield (), round(datetime.fromisoformat(str(meter.state["time"])).timestamp(), 3)


def _info(meter: MeterNow) -> Iterator[Sample]:
    if meter.info is not None:
        yield tuple((key, str(meter.info.get(key) or "")) for key in ("model", "firmware")), 1


FAMILIES: Final = (
    Family(
        "nesgw_energy_joules_total",
        "counter",
        "Active energy since the meter was made; kWh are joules / 3.6e6.",
        _fields(_ways("energy"), JOULES),
    ),
    Family("nesgw_power_watts", "gauge", "Active power; plus is from the grid.", _fields({"power": ()})),
    Family(
        "nesgw_phase_power_watts",
        "gauge",
        "Active power of a phase; plus is from the grid.",
        _fields(_phases("power")),
    ),
    Family("nesgw_voltage_volts", "gauge", "Voltage of a phase.", _fields(_phases("voltage"))),
    Family("nesgw_current_amperes", "gauge", "Current of a phase, without a sign.", _fields(_phases("current"))),
    Family("nesgw_power_factor_ratio", "gauge", "Power factor of a phase.", _fields(_phases("power_factor"))),
    Family("nesgw_frequency_hertz", "gauge", "Mains frequency.", _fields({"frequency": ()})),
    Family("nesgw_apparent_power_voltamperes", "gauge", "Apparent power.", _fields({"apparent_power": ()})),
    Family("nesgw_reactive_power_vars", "gauge", "Reactive power.", _fields(_ways("reactive_power"))),
    Family("nesgw_meter_online", "gauge", "1 while readings are fresh, else 0.", _online),
    Family("nesgw_reading_timestamp_seconds", "gauge", "When the last accepted reading was taken.", _read_at),
    Family("nesgw_polls_total", "counter", "Polls since the start.", _status("polls")),
    Family("nesgw_poll_failures_total", "counter", "Polls that failed, by the kind of the error.", _failures),
    Family("nesgw_readings_rejected_total", "counter", "Readings that were not plausible.", _status("rejected")),
    Family("nesgw_poll_duration_seconds", "gauge", "Duration of the last poll.", _status("poll_duration_ms", 0.001)),
    Family("nesgw_meter_info", "gauge", "The meter's model and firmware.", _info),
)


def page(meters: Iterable[MeterNow]) -> str:
    """Return the whole text. ``meter`` is the configured name, which never changes."""
    known = tuple(meters)
    lines = ["# HELP nesgw_build_info The version of nesgw.", "# TYPE nesgw_build_info gauge"]
    lines.append(f"nesgw_build_info{_labels((('version', __version__),))} 1")
    for family in FAMILIES:
        samples = [(meter.name, sample) for meter in known for sample in family.samples(meter)]
        if samples:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.type}"]
            lines += [
                f"{family.name}{_labels((('meter', name), *labels))} {value}" for name, (labels, value) in samples
            ]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
