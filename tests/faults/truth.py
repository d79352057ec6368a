"""What a simulated meter's registers really hold, put into the fields of the state object by hand.

The judge of "wrong values published": a published number is right if the meter held it at some moment of the poll
that read it. The reads of one poll are not simultaneous, so each field may be of another second.
"""

from __future__ import annotations

from typing import Any

SUMMATIONS = {
    "energy_import": (0, 1000),
    "energy_export": (1, 1000),
    "reactive_energy_import": (2, 1000),
    "reactive_energy_export": (3, 1000),
    "outage_duration": (4, 1),
    "outage_count": (5, 1),
    "energy_total": (6, 1000),
    "energy_net": (7, 1000),
    "pulse_input_1": (8, 1),
    "pulse_input_2": (9, 1),
    "error_count": (10, 1),
    **{f"reactive_energy_q{q}": (10 + q, 1000) for q in (1, 2, 3, 4)},
    **{f"apparent_energy_q{q}": (14 + q, 1000) for q in (1, 2, 3, 4)},
}
PRESENT = {
    "power_import": (0, 1),
    "power_export": (1, 1),
    "reactive_power_import": (2, 1),
    "reactive_power_export": (3, 1),
    **{f"current_l{n}": (3 + n, 1000) for n in (1, 2, 3)},
    **{f"voltage_l{n}": (6 + n, 1000) for n in (1, 2, 3)},
    "power_factor_l1": (10, 1000),
    "frequency": (11, 1000),
    "apparent_power": (12, 1),
    "power_factor_l2": (13, 1000),
    "power_factor_l3": (14, 1000),
    **{f"sin_phi_l{n}": (14 + n, 1000) for n in (1, 2, 3)},
    **{f"reactive_power_q{q}": (21 + q, 1) for q in (1, 2, 3, 4)},
    **{f"power_import_l{n}": (25 + n, 1) for n in (1, 2, 3)},
    **{f"power_export_l{n}": (28 + n, 1) for n in (1, 2, 3)},
    **{f"voltage_continuous_l{n}": (40 + n, 1000) for n in (1, 2, 3)},
    **{f"voltage_average_l{n}": (43 + n, 1000) for n in (1, 2, 3)},
    "power_import_average": (47, 1),
    "power_export_average": (48, 1),
    **{f"power_import_average_l{n}": (48 + n, 1) for n in (1, 2, 3)},
    **{f"power_export_average_l{n}": (51 + n, 1) for n in (1, 2, 3)},
    **{f"apparent_power_q{q}": (54 + q, 1) for q in (1, 2, 3, 4)},
    **{f"apparent_power_q{q}_l{n}": (54 + 4 * n + q, 1) for n in (1, 2, 3) for q in (1, 2, 3, 4)},
    "current_neutral": (71, 1000),
    **{f"current_average_l{n}": (71 + n, 1000) for n in (1, 2, 3)},
    **{f"voltage_angle_{pair}": (75 + n, 100) for n, pair in enumerate(("l1_l2", "l2_l3", "l3_l1"))},
    **{f"reactive_power_import_l{n}": (77 + n, 1) for n in (1, 2, 3)},
    **{f"reactive_power_export_l{n}": (80 + n, 1) for n in (1, 2, 3)},
}


COMPUTED = (
    ("power", "power_import", "power_export"),
    *((f"power_l{n}", f"power_import_l{n}", f"power_export_l{n}") for n in (1, 2, 3)),
)


def wrong_values(state: Any, meter: Any, at: Any, longest: Any) -> dict[Any, Any]:
    """The fields of a state object that the meter held at no time of the ``longest`` seconds before ``at``.

    Null says that a value is not known: that is never wrong.
    """
    wrong = {key: value for key, value in state.items() if key != "time" and value is not None}
    # What nesgw computes is right if it is the difference of what the same reading says.
    for total, drawn, fed in COMPUTED:
        if total in wrong and wrong[total] == state[drawn] - state[fed]:
            del wrong[total]
    computed = {total: wrong.pop(total) for total, _, _ in COMPUTED if total in wrong}
    back = 0.0
    while wrong and back <= longest:
        truth = meter.truth(at - back)
        wrong = {key: value for key, value in wrong.items() if _held(key, truth) != value}
        back += meter.profile.refresh
    return {**wrong, **computed}


def _held(key: Any, truth: Any) -> Any:
    if key in SUMMATIONS:
        number, divisor = SUMMATIONS[key]
        return _quotient(truth.summations[number], divisor)
    if key in PRESENT:
        number, divisor = PRESENT[key]
        return _quotient(truth.present[number], divisor)
    name, _, tier = key.rpartition("_t")
    return _quotient(truth.tiers[int(tier) - 1][SUMMATIONS[name][0]], 1000)


def _quotient(number: Any, divisor: Any) -> Any:
    return number if divisor == 1 else number / divisor
