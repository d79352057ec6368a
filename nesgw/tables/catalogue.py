"""Every value nesgw publishes and where the meter keeps it: rows only, no decisions.

The order is the order of publication. Numbers, source ids and first firmwares: OPG and MEPG, BT23 and BT28. Both guides
print 64, 66, 66, 67 in BT28; the source ids and the count of rows make the first of the two 65.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from nesgw.tables.firmware import ALL, V2_00, V2_12, V3_10, V3_50, V3_70, V4_00, V4_10, V4_30
from nesgw.tables.register import Difference, Field, Kind, Primary, Register, TierRegister

ENERGY: Final = Kind("kWh", "energy", "total_increasing", precision=3, divisor=1000)
ENERGY_NET: Final = Kind("kWh", "energy", "total", precision=3, divisor=1000)
REACTIVE_ENERGY: Final = Kind("kvarh", "reactive_energy", "total_increasing", precision=3, divisor=1000)
APPARENT_ENERGY: Final = Kind("kVAh", None, "total_increasing", precision=3, divisor=1000)
DURATION: Final = Kind("s", "duration", "total_increasing", precision=0)
COUNT: Final = Kind(None, None, "total_increasing", precision=0)
POWER: Final = Kind("W", "power", "measurement", precision=0)
REACTIVE_POWER: Final = Kind("var", "reactive_power", "measurement", precision=0)
APPARENT_POWER: Final = Kind("VA", "apparent_power", "measurement", precision=0)
CURRENT: Final = Kind("A", "current", "measurement", precision=2, divisor=1000)
VOLTAGE: Final = Kind("V", "voltage", "measurement", precision=1, divisor=1000)
FREQUENCY: Final = Kind("Hz", "frequency", "measurement", precision=2, divisor=1000)
POWER_FACTOR: Final = Kind(None, "power_factor", "measurement", precision=3, divisor=1000)
SINE: Final = Kind(None, None, "measurement", precision=3, divisor=1000)
ANGLE: Final = Kind("°", None, "measurement", precision=1, divisor=100)

# fmt: off
# BT23: the summations of the totals. The registers of energy have the transformer ratios applied already.
SUMMATIONS: Final = (
    Register(0, 0, Field("energy_import", "Energy import", ENERGY,
        "Active energy drawn from the grid."), ALL),
    Register(1, 1, Field("energy_export", "Energy export", ENERGY,
        "Active energy fed into the grid."), ALL),
    Register(2, 2, Field("reactive_energy_import", "Reactive energy import", REACTIVE_ENERGY,
        "Reactive energy of inductive sign, whichever way the active energy flows.", enabled=False), ALL),
    Register(3, 3, Field("reactive_energy_export", "Reactive energy export", REACTIVE_ENERGY,
        "Reactive energy of capacitive sign; a house without production counts it too.", enabled=False), ALL),
    Register(4, 4, Field("outage_duration", "Outage duration", DURATION,
        "Time without mains since the meter was made.", diagnostic=True), ALL),
    Register(5, 5, Field("outage_count", "Outage count", COUNT,
        "Number of power failures since the meter was made.", diagnostic=True), ALL),
    Register(6, 6, Field("energy_total", "Energy total", ENERGY,
        "Import and export added up, by the meter itself.", enabled=False), ALL),
    Register(7, 7, Field("energy_net", "Energy net", ENERGY_NET,
        "The meter's own net register: not import minus export, and never below zero.", enabled=False), ALL),
    Register(8, 26, Field("pulse_input_1", "Pulse input 1", COUNT,
        "Pulses counted at the first input; meters of generation 4 have none.", enabled=False), ALL),
    Register(9, 27, Field("pulse_input_2", "Pulse input 2", COUNT,
        "Pulses counted at the second input; meters of generation 4 have none.", enabled=False), ALL),
    Register(10, 28, Field("error_count", "Error count", COUNT,
        "Memory, measurement and storage errors the meter found in itself.", enabled=False, diagnostic=True), ALL),
    Register(11, 108, Field("reactive_energy_q1", "Reactive energy Q1", REACTIVE_ENERGY,
        "Reactive energy of quadrant 1.", enabled=False), ALL),
    Register(12, 109, Field("reactive_energy_q2", "Reactive energy Q2", REACTIVE_ENERGY,
        "Reactive energy of quadrant 2.", enabled=False), ALL),
    Register(13, 110, Field("reactive_energy_q3", "Reactive energy Q3", REACTIVE_ENERGY,
        "Reactive energy of quadrant 3.", enabled=False), ALL),
    Register(14, 111, Field("reactive_energy_q4", "Reactive energy Q4", REACTIVE_ENERGY,
        "Reactive energy of quadrant 4.", enabled=False), ALL),
    Register(15, None, Field("apparent_energy_q1", "Apparent energy Q1", APPARENT_ENERGY,
        "Apparent energy of quadrant 1.", enabled=False), V4_00),
    Register(16, None, Field("apparent_energy_q2", "Apparent energy Q2", APPARENT_ENERGY,
        "Apparent energy of quadrant 2.", enabled=False), V4_00),
    Register(17, None, Field("apparent_energy_q3", "Apparent energy Q3", APPARENT_ENERGY,
        "Apparent energy of quadrant 3.", enabled=False), V4_00),
    Register(18, None, Field("apparent_energy_q4", "Apparent energy Q4", APPARENT_ENERGY,
        "Apparent energy of quadrant 4.", enabled=False), V4_00),
)

# BT23: import and export of each tier that the meter uses.
TIER_FIELDS: Final = (
    TierRegister(0, 0, Field("energy_import_t1", "Energy import tariff 1", ENERGY,
        "Active energy drawn under tariff 1 (the meter's T0); only where the meter uses tariffs.")),
    TierRegister(1, 0, Field("energy_import_t2", "Energy import tariff 2", ENERGY,
        "Active energy drawn under tariff 2 (the meter's T1); only where the meter uses tariffs.")),
    TierRegister(2, 0, Field("energy_import_t3", "Energy import tariff 3", ENERGY,
        "Active energy drawn under tariff 3 (the meter's T2); only where the meter uses tariffs.")),
    TierRegister(3, 0, Field("energy_import_t4", "Energy import tariff 4", ENERGY,
        "Active energy drawn under tariff 4 (the meter's T3); only where the meter uses tariffs.")),
    TierRegister(4, 0, Field("energy_import_t5", "Energy import tariff 5", ENERGY,
        "Active energy drawn under tariff 5 (the meter's T4); only where the meter uses tariffs.")),
    TierRegister(5, 0, Field("energy_import_t6", "Energy import tariff 6", ENERGY,
        "Active energy drawn under tariff 6 (the meter's T5); only where the meter uses tariffs.")),
    TierRegister(6, 0, Field("energy_import_t7", "Energy import tariff 7", ENERGY,
        "Active energy drawn under tariff 7 (the meter's T6); only where the meter uses tariffs.")),
    TierRegister(7, 0, Field("energy_import_t8", "Energy import tariff 8", ENERGY,
        "Active energy drawn under tariff 8 (the meter's T7); only where the meter uses tariffs.")),
    TierRegister(0, 1, Field("energy_export_t1", "Energy export tariff 1", ENERGY,
        "Active energy fed in under tariff 1 (the meter's T0); only where the meter uses tariffs.")),
    TierRegister(1, 1, Field("energy_export_t2", "Energy export tariff 2", ENERGY,
        "Active energy fed in under tariff 2 (the meter's T1); only where the meter uses tariffs.")),
    TierRegister(2, 1, Field("energy_export_t3", "Energy export tariff 3", ENERGY,
        "Active energy fed in under tariff 3 (the meter's T2); only where the meter uses tariffs.")),
    TierRegister(3, 1, Field("energy_export_t4", "Energy export tariff 4", ENERGY,
        "Active energy fed in under tariff 4 (the meter's T3); only where the meter uses tariffs.")),
    TierRegister(4, 1, Field("energy_export_t5", "Energy export tariff 5", ENERGY,
        "Active energy fed in under tariff 5 (the meter's T4); only where the meter uses tariffs.")),
    TierRegister(5, 1, Field("energy_export_t6", "Energy export tariff 6", ENERGY,
        "Active energy fed in under tariff 6 (the meter's T5); only where the meter uses tariffs.")),
    TierRegister(6, 1, Field("energy_export_t7", "Energy export tariff 7", ENERGY,
        "Active energy fed in under tariff 7 (the meter's T6); only where the meter uses tariffs.")),
    TierRegister(7, 1, Field("energy_export_t8", "Energy export tariff 8", ENERGY,
        "Active energy fed in under tariff 8 (the meter's T7); only where the meter uses tariffs.")),
)

# BT28: the present values. Numbers 18-21 and 32-40 are twins on the primary side: no fields of their own.
PRESENT_VALUES: Final = (
    Register(0, 8, Field("power_import", "Power import", POWER,
        "Active power drawn, net over the phases; zero while feeding in."), V2_00, primary=Primary(18, 81, V2_12)),
    Register(1, 9, Field("power_export", "Power export", POWER,
        "Active power fed in, net over the phases; zero while drawing."), V2_00, primary=Primary(19, 82, V2_12)),
    Register(2, 10, Field("reactive_power_import", "Reactive power import", REACTIVE_POWER,
        "Reactive power of inductive sign.", enabled=False), V2_00, primary=Primary(20, 83, V2_12)),
    Register(3, 11, Field("reactive_power_export", "Reactive power export", REACTIVE_POWER,
        "Reactive power of capacitive sign.", enabled=False), V2_00, primary=Primary(21, 84, V2_12)),
    Register(4, 12, Field("current_l1", "Current L1", CURRENT,
        "Current of phase L1; positive also while feeding in.", phases=(1,)), V2_00, primary=Primary(38, 197, V3_50)),
    Register(5, 13, Field("current_l2", "Current L2", CURRENT,
        "Current of phase L2; positive also while feeding in.", phases=(2,)), V2_00, primary=Primary(39, 198, V3_50)),
    Register(6, 14, Field("current_l3", "Current L3", CURRENT,
        "Current of phase L3; positive also while feeding in.", phases=(3,)), V2_00, primary=Primary(40, 199, V3_50)),
    Register(7, 15, Field("voltage_l1", "Voltage L1", VOLTAGE,
        "Voltage of phase L1.", phases=(1,)), V2_00),
    Register(8, 16, Field("voltage_l2", "Voltage L2", VOLTAGE,
        "Voltage of phase L2.", phases=(2,)), V2_00),
    Register(9, 17, Field("voltage_l3", "Voltage L3", VOLTAGE,
        "Voltage of phase L3.", phases=(3,)), V2_00),
    Register(11, 19, Field("frequency", "Frequency", FREQUENCY,
        "Mains frequency; some meters step it by 0.05 Hz."), V2_00),
    Register(12, 20, Field("apparent_power", "Apparent power", APPARENT_POWER,
        "Apparent power of all phases together.", enabled=False), V2_00),
    Register(10, 18, Field("power_factor_l1", "Power factor L1", POWER_FACTOR,
        "Power factor of phase L1; negative while the phase feeds in.", phases=(1,), enabled=False), V2_00),
    Register(13, 21, Field("power_factor_l2", "Power factor L2", POWER_FACTOR,
        "Power factor of phase L2; negative while the phase feeds in.", phases=(2,), enabled=False), V2_00),
    Register(14, 22, Field("power_factor_l3", "Power factor L3", POWER_FACTOR,
        "Power factor of phase L3; negative while the phase feeds in.", phases=(3,), enabled=False), V2_00),
    Register(15, 23, Field("sin_phi_l1", "Sin phi L1", SINE,
        "Sine of the phase angle of L1, as the meter reports it.", phases=(1,), enabled=False), V2_00),
    Register(16, 24, Field("sin_phi_l2", "Sin phi L2", SINE,
        "Sine of the phase angle of L2, as the meter reports it.", phases=(2,), enabled=False), V2_00),
    Register(17, 25, Field("sin_phi_l3", "Sin phi L3", SINE,
        "Sine of the phase angle of L3, as the meter reports it.", phases=(3,), enabled=False), V2_00),
    Register(22, 104, Field("reactive_power_q1", "Reactive power Q1", REACTIVE_POWER,
        "Reactive power of quadrant 1.", enabled=False), V3_10),
    Register(23, 105, Field("reactive_power_q2", "Reactive power Q2", REACTIVE_POWER,
        "Reactive power of quadrant 2.", enabled=False), V3_10),
    Register(24, 106, Field("reactive_power_q3", "Reactive power Q3", REACTIVE_POWER,
        "Reactive power of quadrant 3.", enabled=False), V3_10),
    Register(25, 107, Field("reactive_power_q4", "Reactive power Q4", REACTIVE_POWER,
        "Reactive power of quadrant 4.", enabled=False), V3_10),
    Register(26, 185, Field("power_import_l1", "Power import L1", POWER,
        "Active power drawn on phase L1.", phases=(1,)), V3_50, primary=Primary(32, 191, V3_50)),
    Register(27, 186, Field("power_import_l2", "Power import L2", POWER,
        "Active power drawn on phase L2.", phases=(2,)), V3_50, primary=Primary(33, 192, V3_50)),
    Register(28, 187, Field("power_import_l3", "Power import L3", POWER,
        "Active power drawn on phase L3.", phases=(3,)), V3_50, primary=Primary(34, 193, V3_50)),
    Register(29, 188, Field("power_export_l1", "Power export L1", POWER,
        "Active power fed in on phase L1.", phases=(1,)), V3_50, primary=Primary(35, 194, V3_50)),
    Register(30, 189, Field("power_export_l2", "Power export L2", POWER,
        "Active power fed in on phase L2.", phases=(2,)), V3_50, primary=Primary(36, 195, V3_50)),
    Register(31, 190, Field("power_export_l3", "Power export L3", POWER,
        "Active power fed in on phase L3.", phases=(3,)), V3_50, primary=Primary(37, 196, V3_50)),
    Register(41, 202, Field("voltage_continuous_l1", "Voltage continuous L1", VOLTAGE,
        "Voltage of phase L1 by the meter's continuous measurement.", phases=(1,), enabled=False), V3_70),
    Register(42, 203, Field("voltage_continuous_l2", "Voltage continuous L2", VOLTAGE,
        "Voltage of phase L2 by the meter's continuous measurement.", phases=(2,), enabled=False), V3_70),
    Register(43, 204, Field("voltage_continuous_l3", "Voltage continuous L3", VOLTAGE,
        "Voltage of phase L3 by the meter's continuous measurement.", phases=(3,), enabled=False), V3_70),
    Register(44, 205, Field("voltage_average_l1", "Voltage average L1", VOLTAGE,
        "Voltage of phase L1, averaged by the meter, usually over ten minutes.", phases=(1,), enabled=False), V3_70),
    Register(45, 206, Field("voltage_average_l2", "Voltage average L2", VOLTAGE,
        "Voltage of phase L2, averaged by the meter, usually over ten minutes.", phases=(2,), enabled=False), V3_70),
    Register(46, 207, Field("voltage_average_l3", "Voltage average L3", VOLTAGE,
        "Voltage of phase L3, averaged by the meter, usually over ten minutes.", phases=(3,), enabled=False), V3_70),
    Register(47, 208, Field("power_import_average", "Power import average", POWER,
        "Average active power drawn; the meters seen so far repeat the present power here.", enabled=False), V3_70),
    Register(48, 209, Field("power_export_average", "Power export average", POWER,
        "Average active power fed in; the meters seen so far repeat the present power here.", enabled=False), V3_70),
    Register(49, 210, Field("power_import_average_l1", "Power import average L1", POWER,
        "Average active power drawn on phase L1.", phases=(1,), enabled=False), V3_70),
    Register(50, 211, Field("power_import_average_l2", "Power import average L2", POWER,
        "Average active power drawn on phase L2.", phases=(2,), enabled=False), V3_70),
    Register(51, 212, Field("power_import_average_l3", "Power import average L3", POWER,
        "Average active power drawn on phase L3.", phases=(3,), enabled=False), V3_70),
    Register(52, 213, Field("power_export_average_l1", "Power export average L1", POWER,
        "Average active power fed in on phase L1.", phases=(1,), enabled=False), V3_70),
    Register(53, 214, Field("power_export_average_l2", "Power export average L2", POWER,
        "Average active power fed in on phase L2.", phases=(2,), enabled=False), V3_70),
    Register(54, 215, Field("power_export_average_l3", "Power export average L3", POWER,
        "Average active power fed in on phase L3.", phases=(3,), enabled=False), V3_70),
    Register(55, 216, Field("apparent_power_q1", "Apparent power Q1", APPARENT_POWER,
        "Apparent power of quadrant 1.", enabled=False), V4_00),
    Register(56, 217, Field("apparent_power_q2", "Apparent power Q2", APPARENT_POWER,
        "Apparent power of quadrant 2.", enabled=False), V4_00),
    Register(57, 218, Field("apparent_power_q3", "Apparent power Q3", APPARENT_POWER,
        "Apparent power of quadrant 3.", enabled=False), V4_00),
    Register(58, 219, Field("apparent_power_q4", "Apparent power Q4", APPARENT_POWER,
        "Apparent power of quadrant 4.", enabled=False), V4_00),
    Register(59, 220, Field("apparent_power_q1_l1", "Apparent power Q1 L1", APPARENT_POWER,
        "Apparent power of quadrant 1 on phase L1.", phases=(1,), enabled=False), V4_00),
    Register(60, 221, Field("apparent_power_q2_l1", "Apparent power Q2 L1", APPARENT_POWER,
        "Apparent power of quadrant 2 on phase L1.", phases=(1,), enabled=False), V4_00),
    Register(61, 222, Field("apparent_power_q3_l1", "Apparent power Q3 L1", APPARENT_POWER,
        "Apparent power of quadrant 3 on phase L1.", phases=(1,), enabled=False), V4_00),
    Register(62, 223, Field("apparent_power_q4_l1", "Apparent power Q4 L1", APPARENT_POWER,
        "Apparent power of quadrant 4 on phase L1.", phases=(1,), enabled=False), V4_00),
    Register(63, 224, Field("apparent_power_q1_l2", "Apparent power Q1 L2", APPARENT_POWER,
        "Apparent power of quadrant 1 on phase L2.", phases=(2,), enabled=False), V4_00),
    Register(64, 225, Field("apparent_power_q2_l2", "Apparent power Q2 L2", APPARENT_POWER,
        "Apparent power of quadrant 2 on phase L2.", phases=(2,), enabled=False), V4_00),
    Register(65, 226, Field("apparent_power_q3_l2", "Apparent power Q3 L2", APPARENT_POWER,
        "Apparent power of quadrant 3 on phase L2.", phases=(2,), enabled=False), V4_00),
    Register(66, 227, Field("apparent_power_q4_l2", "Apparent power Q4 L2", APPARENT_POWER,
        "Apparent power of quadrant 4 on phase L2.", phases=(2,), enabled=False), V4_00),
    Register(67, 228, Field("apparent_power_q1_l3", "Apparent power Q1 L3", APPARENT_POWER,
        "Apparent power of quadrant 1 on phase L3.", phases=(3,), enabled=False), V4_00),
    Register(68, 229, Field("apparent_power_q2_l3", "Apparent power Q2 L3", APPARENT_POWER,
        "Apparent power of quadrant 2 on phase L3.", phases=(3,), enabled=False), V4_00),
    Register(69, 230, Field("apparent_power_q3_l3", "Apparent power Q3 L3", APPARENT_POWER,
        "Apparent power of quadrant 3 on phase L3.", phases=(3,), enabled=False), V4_00),
    Register(70, 231, Field("apparent_power_q4_l3", "Apparent power Q4 L3", APPARENT_POWER,
        "Apparent power of quadrant 4 on phase L3.", phases=(3,), enabled=False), V4_00),
    Register(71, 232, Field("current_neutral", "Current neutral", CURRENT,
        "Current of the neutral conductor.", enabled=False), V4_00),
    Register(72, 233, Field("current_average_l1", "Current average L1", CURRENT,
        "Average current of phase L1.", phases=(1,), enabled=False), V4_10),
    Register(73, 234, Field("current_average_l2", "Current average L2", CURRENT,
        "Average current of phase L2.", phases=(2,), enabled=False), V4_10),
    Register(74, 235, Field("current_average_l3", "Current average L3", CURRENT,
        "Average current of phase L3.", phases=(3,), enabled=False), V4_10),
    Register(75, 236, Field("voltage_angle_l1_l2", "Voltage angle L1-L2", ANGLE,
        "Angle between the voltages of L1 and L2; normally near 120.", phases=(1, 2), enabled=False), V4_30),
    Register(76, 237, Field("voltage_angle_l2_l3", "Voltage angle L2-L3", ANGLE,
        "Angle between the voltages of L2 and L3; normally near 120.", phases=(2, 3), enabled=False), V4_30),
    Register(77, 238, Field("voltage_angle_l3_l1", "Voltage angle L3-L1", ANGLE,
        "Angle between the voltages of L3 and L1; normally near 120.", phases=(3, 1), enabled=False), V4_30),
    Register(78, 239, Field("reactive_power_import_l1", "Reactive power import L1", REACTIVE_POWER,
        "Reactive power of inductive sign on phase L1.", phases=(1,), enabled=False), V4_30),
    Register(79, 240, Field("reactive_power_import_l2", "Reactive power import L2", REACTIVE_POWER,
        "Reactive power of inductive sign on phase L2.", phases=(2,), enabled=False), V4_30),
    Register(80, 241, Field("reactive_power_import_l3", "Reactive power import L3", REACTIVE_POWER,
        "Reactive power of inductive sign on phase L3.", phases=(3,), enabled=False), V4_30),
    Register(81, 242, Field("reactive_power_export_l1", "Reactive power export L1", REACTIVE_POWER,
        "Reactive power of capacitive sign on phase L1.", phases=(1,), enabled=False), V4_30),
    Register(82, 243, Field("reactive_power_export_l2", "Reactive power export L2", REACTIVE_POWER,
        "Reactive power of capacitive sign on phase L2.", phases=(2,), enabled=False), V4_30),
    Register(83, 244, Field("reactive_power_export_l3", "Reactive power export L3", REACTIVE_POWER,
        "Reactive power of capacitive sign on phase L3.", phases=(3,), enabled=False), V4_30),
)

# Values of nesgw's own making.
COMPUTED: Final = (
    Difference(Field("power", "Power", POWER,
        "Active power: positive while drawing, negative while feeding in."), "power_import", "power_export"),
    Difference(Field("power_l1", "Power L1", POWER,
        "Active power of phase L1: positive while drawing, negative while feeding in.", phases=(1,)),
        "power_import_l1", "power_export_l1"),
    Difference(Field("power_l2", "Power L2", POWER,
        "Active power of phase L2: positive while drawing, negative while feeding in.", phases=(2,)),
        "power_import_l2", "power_export_l2"),
    Difference(Field("power_l3", "Power L3", POWER,
        "Active power of phase L3: positive while drawing, negative while feeding in.", phases=(3,)),
        "power_import_l3", "power_export_l3"),
)
# fmt: on


def _in_order_of_publication() -> Mapping[str, Field]:
    """Every field by its key; a computed one follows the second of the two it is made of."""
    fields: dict[str, Field] = {}
    for row in (*SUMMATIONS, *TIER_FIELDS, *PRESENT_VALUES):
        fields[row.field.key] = row.field
        fields |= {made.field.key: made.field for made in COMPUTED if made.subtrahend == row.field.key}
    return MappingProxyType(fields)


FIELDS: Final = _in_order_of_publication()
