"""Simulates the receiver and the transmitter with ngspice and compares the edges with calc.py's bounds.

Optional: needs ngspice. The phototransistor is an NPN with a light-driven base current; its collector-base
capacitance is not from a data sheet but chosen so that the data sheet's test circuit gives the data sheet's edge.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import calc
from netlist import Circuit, load

GAIN = 300.0
# What charge a saturated phototransistor keeps is in no data sheet: the 2N3904's reverse transit time, and far more.
REVERSE_TRANSIT_US = (0.24, 1.0, 5.0)
PHOTO = ".model PHOTO NPN(BF={gain:g} CJC=13p CJE=8p TF=1n TR={transit:g}u VAF=80)"
MODELS = """
.model N3904 NPN(IS=6.7f BF=200 VAF=74 CJC=3.6p CJE=4.5p TF=0.3n TR=240n RB=10 RC=1)
.model P3906 PNP(IS=1.4f BF=180 VAF=19 CJC=9.7p CJE=8p TF=0.2n TR=34n RB=10 RC=2.5)
.model IRED D(IS=5e-12 N=2 RS=0.9 CJO=25p)
"""


def models(transit_us: float = 0.0) -> str:
    """Give the models, with a phototransistor of that reverse transit time in µs."""
    return PHOTO.format(gain=GAIN, transit=transit_us) + MODELS


def datasheet_deck() -> str:
    """Phototransistor alone: 5 V, 1 kΩ, 1 mA."""
    return f"""data sheet test circuit
VCC vcc 0 5
RL vcc c 1k
Q2 c b 0 PHOTO
IL 0 b PULSE(0 {1e-3 / GAIN:g} 50u 10n 10n 300u 900u)
{models()}
.tran 0.1u 600u
.measure tran rise TRIG v(c) VAL=4.9 FALL=1 TARG v(c) VAL=4.1 FALL=1
.measure tran fall TRIG v(c) VAL=4.1 RISE=1 TARG v(c) VAL=4.9 RISE=1
.end
"""


def receiver_deck(c: Circuit, milliamps: float, transit_us: float = 0.0) -> str:
    """Light of one bit's length falls on Q2; measured at RXD's half."""
    v, bit = c.volts, calc.BIT_US
    return f"""receiver at {milliamps} mA of photocurrent
VCC vcc 0 {v}
R4 vcc c {c.number("R4"):g}
Q2 c b e PHOTO
R5 e 0 {c.number("R5"):g}
Q3 rxd e 0 N3904
R6 vcc rxd {c.number("R6"):g}
CC rxd 0 {calc.CABLE_F:g}
IL 0 b PULSE(0 {milliamps * 1e-3 / GAIN:g} 50u 10n 10n {bit:g}u 1)
{models(transit_us)}
.tran 20n 400u 0 20n
.measure tran on TRIG AT=50u TARG v(rxd) VAL={v / 2} FALL=1
.measure tran off TRIG AT={50 + bit:g}u TARG v(rxd) VAL={v / 2} RISE=1
.measure tran low FIND v(rxd) AT={50 + bit / 2:g}u
.end
"""


def transmitter_deck(c: Circuit) -> str:
    """TXD goes low for one bit; measured in the LED."""
    v = c.volts
    return f"""transmitter
VCC vcc 0 {v}
VTX txd 0 PULSE({v - calc.UART_HIGH_DROP} {calc.UART_LOW_OUT} 50u 20n 20n {calc.BIT_US:g}u 1)
R1 txd b {c.number("R1"):g}
R2 vcc b {c.number("R2"):g}
Q1 a b vcc P3906
D1 a k IRED
R3 k 0 {c.number("R3"):g}
{models()}
.tran 0.05u 300u
.measure tran light MAX i(VLED)
.measure tran dark FIND i(VLED) AT=250u
.end
""".replace("R3 k 0", "VLED k m 0\nR3 m 0")


def run(deck: str) -> dict[str, float]:
    """Run ngspice and give what the deck measures, in SI units."""
    ngspice = shutil.which("ngspice")
    if ngspice is None:
        raise SystemExit("ngspice is not installed (Debian: apt install ngspice)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "deck.cir"
        file.write_text(deck, encoding="utf-8")
        out = subprocess.run([ngspice, "-b", str(file)], capture_output=True, text=True, check=False, timeout=60)
    return {name: float(value) for name, value in re.findall(r"^(\w+)\s*=\s*([-+.\de]+)", out.stdout, re.MULTILINE)}


def main() -> int:
    """Run the decks, print the figures, judge them."""
    circuit = load()
    numbers = calc.compute(circuit)
    sheet = run(datasheet_deck())
    print(f"data sheet's circuit: {sheet['rise'] * 1e6:.1f} / {sheet['fall'] * 1e6:.1f} µs (data sheet 7 / 7)")
    good = abs(sheet["fall"] * 1e6 - calc.PT_EDGE_US) < 1.5
    for name, milliamps in (("200 µW/cm², group's weakest", 0.4), ("500, weakest", 1.0), ("5000, strongest", 20.0)):
        m = run(receiver_deck(circuit, milliamps))
        shift = abs(m["off"] - m["on"]) * 1e6 / calc.BIT_US
        print(
            f"{name}: on {m['on'] * 1e6:.1f} µs, off {m['off'] * 1e6:.1f} µs, bit changed by {100 * shift:.0f} %, "
            f"RXD low {m['low'] * 1000:.0f} mV"
        )
        good = good and shift < numbers.sampling_margin_share and m["low"] < calc.UART_LOW_IN
    for transit in REVERSE_TRANSIT_US:
        m = run(receiver_deck(circuit, 20.0, transit))
        shift = abs(m["off"] - m["on"]) * 1e6 / calc.BIT_US
        print(f"5000, saturated, reverse transit {transit:g} µs: off {m['off'] * 1e6:.1f} µs, bit {100 * shift:.0f} %")
        good = good and shift < numbers.sampling_margin_share
    t = run(transmitter_deck(circuit))
    print(f"LED: {t['light'] * 1000:.2f} mA lit, {t['dark'] * 1e6:.3f} µA dark")
    good = good and numbers.led_ma["min"] < t["light"] * 1000 < numbers.led_ma["max"] and abs(t["dark"]) < 1e-6
    print("agrees with calc.py" if good else "DOES NOT AGREE with calc.py")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
