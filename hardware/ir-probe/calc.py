"""The numbers of circuit.md, recomputed from circuit.toml: LED current, light, threshold, edge times, echo.

Run it to print them; every limit that the design rests on is checked and a violation exits with 1.
It replaces no measurement: nothing here was measured on a built probe.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, cos, hypot, inf, log, pi, radians, tan

from netlist import Circuit, load

BAUD = 9600
BIT_US = 1e6 / BAUD

# The limits of the optical interface (IEC 62056-21, physical properties; from memory of the standard, which is
# not free: circuit.md says so). Irradiance in µW/cm² at 10 mm, averaged over 0.5 cm².
REFERENCE_DISTANCE_CM = 1.0
REFERENCE_AREA_CM2 = 0.5
LIGHT_ON_MIN, LIGHT_ON_MAX = 500.0, 5000.0
RECEIVER_ON, RECEIVER_OFF = 200.0, 20.0

AXES_CM = 0.65  # distance of the two optical axes

# D1, TSAL4400; its sources stand in circuit.toml
LED_MW_SR_100MA = {"min": 16.0, "typ": 36.0, "max": 80.0}
LED_VF_100MA = {"min": 1.25, "typ": 1.35, "max": 1.60}
LED_VF_1A = 2.2
LED_HALF_ANGLE = 25.0
THERMAL_V = 0.02585
LED_IDEALITY = 1.5  # assumed; enters through a logarithm

# Q2, SFH 309 FA-4: collector current in mA for each mW/cm², and its edges in the data sheet's own circuit
PT_MA_PER_MW = {"min": 1.0 / 0.5, "max": 2.0 / 0.5}
PT_MA_PER_MW_4_5 = {"min": 1.0 / 0.5, "max": 3.2 / 0.5}  # the bag with groups 4 and 5 mixed
PT_HALF_ANGLE = 12.0
PT_EDGE_US = 7.0  # 10 to 90 % at 1 mA into 1 kΩ
PT_CE_SAT = 0.2

VCE_SAT = {"min": 0.05, "typ": 0.1, "max": 0.25}
VBE = {"cold": 0.74, "typ": 0.65, "hot": 0.60}  # Q3 at -20, 25 and 50 °C, 2 mV a kelvin
HFE_MIN = {"Q1": 60.0, "Q3": 70.0}
Q3_STORAGE_TAU_US = 0.2 / log(2.0 / 1.05)  # from 200 ns at IB = ±1 mA, IC = 10 mA
UART_LOW_OUT = 0.4
UART_HIGH_DROP = 0.4  # how far below its supply the module's "high" may lie
UART_LOW_IN = 0.6  # the strictest of the three chips
CABLE_F = 200e-12 + 10e-12  # 2 m at 100 pF/m and an input
RESISTOR_TOLERANCE = 0.01
CLOCK_ERROR = 0.02  # both ends together


def lobe_exponent(half_angle: float) -> float:
    """Give the n of a lobe cosⁿ that falls to one half at that angle."""
    return log(0.5) / log(cos(radians(half_angle)))


def led_forward_voltage(milliamps: float, sample: str) -> float:
    """VF at a small current, from the data sheet's values at 100 mA and 1 A."""
    slope = LED_IDEALITY * THERMAL_V
    series_ohm = (LED_VF_1A - LED_VF_100MA["typ"] - slope * log(10.0)) / 0.9
    return LED_VF_100MA[sample] - slope * log(100.0 / milliamps) - series_ohm * (0.1 - milliamps / 1000.0)


def led_current(vcc: float, ohm: float, sample: str, vce_sat: float) -> float:
    """LED current in mA; VF depends on it, so iterate."""
    current = 10.0
    for _ in range(20):
        current = 1000.0 * (vcc - vce_sat - led_forward_voltage(current, sample)) / ohm
    return current


def mean_over_reference_area(half_angle: float) -> float:
    """Mean irradiance over the reference area, as a share of the value on the axis."""
    n = lobe_exponent(half_angle)
    edge = (REFERENCE_AREA_CM2 / pi) ** 0.5 / REFERENCE_DISTANCE_CM  # tangent of the angle at the rim
    return float(2.0 / edge**2 * (1.0 - (1.0 + edge**2) ** (-(n + 1.0) / 2.0)) / (n + 1.0))


def specular_echo(intensity_mw_sr: float, pane_cm: float, reflectance: float) -> float:
    """Own light that a pane at that distance throws into the receiver, in µW/cm² of light on its axis."""
    angle = atan2(AXES_CM / 2.0, pane_cm)
    path = hypot(AXES_CM, 2.0 * pane_cm)
    led, eye = (cos(angle) ** lobe_exponent(half) for half in (LED_HALF_ANGLE, PT_HALF_ANGLE))
    return float(1000.0 * intensity_mw_sr * led * eye * reflectance / path**2)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Results; currents in mA, light in µW/cm², times in µs, power in mW."""

    led_ma: dict[str, float]
    led_mw_sr: dict[str, float]
    light_at_10mm: dict[str, float]
    q1_base_ma: float
    q1_overdrive: float
    q1_off_veb: float
    threshold_ma: dict[str, float]
    threshold_light: dict[str, float]
    pt_tau: float
    turn_on: dict[str, float]
    turn_off: dict[str, float]
    q3_storage: float
    rxd_rise: float
    bit_shift_share: float
    sampling_margin_share: float
    pt_max_ma: float
    q3_overdrive: float
    echo_worst: float
    echo_share: float
    supply_ma: float
    power_mw: dict[str, float]


def compute(circuit: Circuit, pt_ma_per_mw: Mapping[str, float] = PT_MA_PER_MW) -> Numbers:
    """All numbers of circuit.md, for a phototransistor of that sensitivity."""
    r = {f"R{i}": circuit.number(f"R{i}") for i in range(1, 7)}
    low, high = circuit.volts * (1 - circuit.tolerance), circuit.volts * (1 + circuit.tolerance)

    # Transmitter: Q1 switches D1 through R3.
    led_ma = {
        "min": led_current(low, r["R3"] * (1 + RESISTOR_TOLERANCE), "max", VCE_SAT["max"]),
        "typ": led_current(circuit.volts, r["R3"], "typ", VCE_SAT["typ"]),
        "max": led_current(high, r["R3"] * (1 - RESISTOR_TOLERANCE), "min", VCE_SAT["min"]),
    }
    led_mw_sr = {k: LED_MW_SR_100MA[k] * led_ma[k] / 100.0 for k in led_ma}
    share = mean_over_reference_area(LED_HALF_ANGLE)
    light = {k: 1000.0 * share * v / REFERENCE_DISTANCE_CM**2 for k, v in led_mw_sr.items()}
    q1_base = 1000.0 * ((low - 0.7 - UART_LOW_OUT) / r["R1"] - 0.7 / r["R2"])
    q1_off_veb = UART_HIGH_DROP * r["R2"] / (r["R1"] + r["R2"])

    # Receiver: Q2 is a follower; R5 against Q3's base-emitter voltage is the threshold.
    q3_collector = 1000.0 * (circuit.volts - PT_CE_SAT) / r["R6"]
    threshold = {k: 1000.0 * v / r["R5"] + q3_collector / HFE_MIN["Q3"] for k, v in VBE.items()}
    threshold_light = {
        "min": 1000.0 * threshold["hot"] / pt_ma_per_mw["max"],
        "max": 1000.0 * threshold["cold"] / pt_ma_per_mw["min"],
    }
    # Q2's emitter moves by one VBE, less than the 1 V of the data sheet's circuit, and its collector hardly:
    # the data sheet's edge is therefore an upper bound here.
    tau = PT_EDGE_US / log(9.0)
    weak = RECEIVER_ON / 1000.0 * pt_ma_per_mw["min"]
    least = LIGHT_ON_MIN / 1000.0 * pt_ma_per_mw["min"]
    strong = LIGHT_ON_MAX / 1000.0 * pt_ma_per_mw["max"]
    ith = threshold["typ"]
    lit = {"200": weak, "500": least, "5000": strong}
    turn_on = {name: tau * log(ma / (ma - ith)) if ma > ith else inf for name, ma in lit.items()}
    turn_off = {name: tau * log(ma / ith) for name, ma in lit.items()}
    pt_max = 1000.0 * (high - PT_CE_SAT - VBE["hot"]) / (r["R4"] * (1 - RESISTOR_TOLERANCE))
    sweep = 1000.0 * VBE["hot"] / r["R5"]  # what R5 draws out of Q3's base once the light is off
    storage = Q3_STORAGE_TAU_US * log((pt_max + sweep) / (q3_collector / HFE_MIN["Q3"] + sweep))
    rxd_rise = 1e6 * 2.2 * r["R6"] * CABLE_F
    shift = max(turn_off["5000"] + storage + rxd_rise - turn_on["5000"], turn_on["200"]) / BIT_US

    # Echo: the worst distance of a pane with two faces of 4 % each, strongest LED, most sensitive receiver.
    echo = max(specular_echo(led_mw_sr["max"], mm / 10.0, 0.08) for mm in range(2, 51))

    power = {
        "R1": 1000.0 * (high - 0.6) ** 2 / r["R1"],
        "R2": 1000.0 * 0.8**2 / r["R2"],
        "R3": led_ma["max"] ** 2 * r["R3"] / 1000.0,
        "R4": pt_max**2 * r["R4"] / 1000.0,
        "R5": 1000.0 * 0.8**2 / r["R5"],
        "R6": 1000.0 * high**2 / r["R6"],
        "D1": led_ma["max"] * LED_VF_100MA["max"],
        "Q1": led_ma["max"] * VCE_SAT["max"],
        "Q2": 1000.0 * (high / 2.0) ** 2 / r["R4"],  # the most that R4 can pass on
        "Q3": q3_collector * VCE_SAT["max"] + pt_max * 0.8,
    }
    return Numbers(
        led_ma=led_ma,
        led_mw_sr=led_mw_sr,
        light_at_10mm=light,
        q1_base_ma=q1_base,
        q1_overdrive=HFE_MIN["Q1"] * q1_base / led_ma["max"],
        q1_off_veb=q1_off_veb,
        threshold_ma=threshold,
        threshold_light=threshold_light,
        pt_tau=tau,
        turn_on=turn_on,
        turn_off=turn_off,
        q3_storage=storage,
        rxd_rise=rxd_rise,
        bit_shift_share=shift,
        sampling_margin_share=0.5 - 9.5 * CLOCK_ERROR,
        pt_max_ma=pt_max,
        q3_overdrive=HFE_MIN["Q3"] * (least - 1000.0 * VBE["cold"] / r["R5"]) / q3_collector,
        echo_worst=echo,
        echo_share=echo / threshold_light["min"],
        supply_ma=led_ma["max"] + pt_max + q3_collector + q1_base,
        power_mw=power,
    )


def check(circuit: Circuit, n: Numbers) -> list[str]:
    """Judge the limits the design rests on; what is returned is violated."""
    limits = [
        ("weakest LED gives the light the interface asks for", n.light_at_10mm["min"] >= LIGHT_ON_MIN),
        ("strongest LED stays below its upper limit", n.light_at_10mm["max"] <= LIGHT_ON_MAX),
        ("Q1 saturates", n.q1_overdrive >= 2.0),
        ("Q1 stays off at the lowest high of TXD", n.q1_off_veb <= 0.4),
        ("any receiver hears 200 µW/cm²", n.threshold_light["max"] <= RECEIVER_ON),
        ("no receiver hears 20 µW/cm²", n.threshold_light["min"] >= 2.0 * RECEIVER_OFF),
        ("Q3 saturates at the meter's least light", n.q3_overdrive >= 2.0),
        ("RXD low is low for the strictest chip", VCE_SAT["max"] < UART_LOW_IN),
        ("edges leave half the sampling margin", n.bit_shift_share <= 0.5 * n.sampling_margin_share),
        ("a clean pane cannot echo", n.echo_share <= 0.5),
        ("the module can feed it", n.supply_ma <= circuit["U1"].ratings["supply_max_ma"]),
        ("D1 within its current", n.led_ma["max"] <= circuit["D1"].ratings["current_max_ma"]),
        ("Q2 within its current", n.pt_max_ma <= circuit["Q2"].ratings["current_max_ma"]),
    ]
    limits += [
        (f"{ref} at most half its power", mw <= 0.5 * circuit[ref].ratings["power_max_mw"])
        for ref, mw in n.power_mw.items()
    ]
    return [text for text, holds in limits if not holds]


def rotation_loss(degrees: float, distance_cm: float = 1.0) -> float:
    """Share of the light left when the probe is turned by that angle from its best position."""
    sideways = AXES_CM * abs(tan(radians(degrees) / 2.0))
    angle = atan2(sideways, distance_cm)
    return float(cos(angle) ** (lobe_exponent(LED_HALF_ANGLE) + lobe_exponent(PT_HALF_ANGLE) + 2.0))


def report(n: Numbers) -> str:
    """Write the numbers as text, one per line."""
    lines = [f"bit at {BAUD} baud: {BIT_US:.1f} µs"]
    for name, value in ((f, getattr(n, f)) for f in n.__dataclass_fields__):
        if isinstance(value, dict):
            lines.append(f"{name}: " + ", ".join(f"{k} {v:#.4g}" for k, v in value.items()))
        else:
            lines.append(f"{name}: {value:.3g}")
    lines += [f"light left when turned by {d}°: {100 * rotation_loss(d):.0f} %" for d in (5, 10, 20, 45)]
    return "\n".join(lines)


if __name__ == "__main__":
    the_circuit = load()
    numbers = compute(the_circuit)
    print(report(numbers))
    mixed = compute(the_circuit, PT_MA_PER_MW_4_5)
    print(
        f"groups 4 and 5 mixed: threshold from {mixed.threshold_light['min']:.0f} µW/cm², "
        f"echo {100 * mixed.echo_share:.0f} % of it, edge {100 * mixed.bit_shift_share:.1f} % of a bit"
    )
    violated = check(the_circuit, numbers)
    print("\n".join(f"VIOLATED: {text}" for text in violated) or "all limits hold")
    sys.exit(1 if violated else 0)
