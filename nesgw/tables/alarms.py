"""BT03: the meter's mode and its alarms, one row a bit.

Most bits are latched: they say that something has happened since the utility last cleared them, not that it lasts.
nesgw never clears any.

A bit that no guide knows goes by its place, as "byte.bit".
Sources: OPG and MEPG, BT00, BT03, ET29.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nesgw.tables import firmware as version
from nesgw.tables.firmware import (
    ALL,
    V2_00,
    V2_04,
    V2_10,
    V2_12,
    V2_13,
    V3_01,
    V3_10,
    V3_13,
    V3_30,
    V3_50,
    V3_60,
    V3_70,
    V3_80,
    V4_10,
    V4_20,
    V4_30,
)
from nesgw.tables.identity import ByteOrder
from nesgw.tables.register import EXTENDED, Part
from nesgw.values import Firmware

ET29_SENSORS: Final = Part("ET29", EXTENDED + 29, 33, 4)  # from 4.00 on

SINCE_2_12: Final = (V3_01, V2_12)
SINCE_3_80: Final = (V3_80, V2_04, V2_13, V3_13)


class Alarm(NamedTuple):
    """One bit of BT03."""

    byte: int
    bit: int
    key: str  # in lists of alarms and in unique ids; never changes
    name: str  # what Home Assistant shows behind the device's name
    since: tuple[Firmware, ...]  # the first firmware; then those of older lines that it was also given to
    latched: bool = True  # False: it says how things are now
    owner: bool = False  # matters to whoever lives there: a sensor from the start; else a diagnostic one, disabled

    def known_to(self, firmware: Firmware) -> bool:
        """Whether the firmware has this alarm. Control Point modules count from 1 and have those of generation 4."""
        first, *lines = self.since
        return firmware.major == 1 or first <= firmware or any(_continues(line, firmware) for line in lines)


def _continues(line: Firmware, firmware: Firmware) -> bool:
    """Whether the firmware is a later one of the same line: 2.13 and 2.14, but not 2.20."""
    return line <= firmware and (firmware.major, firmware.minor // 10) == (line.major, line.minor // 10)


MODES: Final = ("metering", "test", "shop")  # byte 0, bits 0 to 2: no alarms

# fmt: off
ALARMS: Final = (
    Alarm(1, 0, "unprogrammed", "Unprogrammed", (ALL,), latched=False),
    Alarm(1, 1, "configuration_error", "Configuration error", (ALL,)),
    Alarm(1, 2, "system_reset", "System reset", (ALL,)),
    Alarm(1, 3, "ram_failure", "RAM failure", (ALL,)),
    Alarm(1, 4, "rom_failure", "ROM failure", (ALL,)),
    Alarm(1, 5, "memory_failure", "Non-volatile memory failure", (ALL,)),
    Alarm(1, 6, "clock_error", "Clock error", (ALL,)),
    Alarm(1, 7, "measurement_error", "Measurement error", (ALL,), owner=True),
    Alarm(2, 0, "low_battery", "Low battery", (ALL,), owner=True),
    Alarm(2, 1, "low_loss_potential", "Low loss potential", (ALL,)),
    Alarm(2, 2, "demand_overload", "Demand overload", (ALL,)),
    Alarm(2, 3, "power_failure", "Power failure", (ALL,)),
    Alarm(2, 4, "cover_removed", "Cover removed", (ALL,), owner=True),
    Alarm(2, 5, "reverse_energy", "Reverse energy", (ALL,)),
    Alarm(2, 6, "backup_incomplete", "Data backup incomplete", (ALL,)),
    Alarm(2, 7, "disconnect_switch_error", "Disconnect switch error", (ALL,), owner=True),
    Alarm(3, 0, "load_profile_2_unread", "Load profile 2 unread entries", (V3_50,), latched=False),
    Alarm(3, 1, "load_profile_3_unread", "Load profile 3 unread entries", (V3_50,), latched=False),
    Alarm(3, 2, "load_profile_4_unread", "Load profile 4 unread entries", (V3_50,), latched=False),
    Alarm(3, 3, "neutral_current_deviation", "Neutral current deviation", (V3_60,)),
    Alarm(4, 0, "load_profile_overflow", "Load profile overflow", (ALL,)),
    Alarm(4, 1, "self_read", "Self-read occurred", (ALL,)),
    Alarm(4, 2, "load_disconnect_changed", "Load disconnect changed", (ALL,)),
    Alarm(4, 3, "control_relay_1_open", "Control relay 1 open", (ALL,), latched=False),
    Alarm(4, 4, "phase_loss", "Phase loss", (ALL,), owner=True),
    Alarm(4, 5, "phase_inversion", "Phase inversion", (ALL,), owner=True),
    Alarm(4, 6, "plc_configuration_failure", "PLC configuration failure", (ALL,)),
    Alarm(4, 7, "general_error", "General error", (ALL,), owner=True),
    Alarm(5, 0, "invalid_password", "Invalid password", (ALL,)),
    Alarm(5, 1, "remote_communication_inactive", "Remote communication inactive", (ALL,), latched=False),
    Alarm(5, 2, "current_on_missing_phase", "Current on missing phase", (ALL,)),
    Alarm(5, 3, "pulse_input_1_tamper", "Pulse input 1 tamper", (ALL,)),
    Alarm(5, 4, "pulse_input_2_tamper", "Pulse input 2 tamper", (ALL,)),
    Alarm(5, 5, "software_crc_error", "Software CRC error", (ALL,)),
    Alarm(5, 6, "code_bank_changed", "Code bank changed", (ALL,)),
    Alarm(5, 7, "load_profile_backfill_failed", "Load profile backfill failed", (ALL,)),
    Alarm(6, 0, "mep_changed", "MEP device installed or removed", (V2_10,)),
    Alarm(6, 1, "mbus_alarm", "M-Bus alarm", (V2_10,)),
    Alarm(6, 2, "mbus_discovery_complete", "M-Bus discovery complete", (V2_10,)),
    Alarm(6, 3, "phase_rotation_changed", "Phase rotation changed", (V2_10,)),
    Alarm(6, 4, "prepay_credit_exhausted", "Prepay credit exhausted", (V2_10,), latched=False),
    Alarm(6, 5, "prepay_warning_acknowledged", "Prepay warning acknowledged", (V2_10,)),
    Alarm(6, 6, "event_log_overflow_pending", "Event log overflow pending", (V2_00,), latched=False),
    Alarm(6, 7, "manufacturer_log_entry", "Manufacturer log entry available", SINCE_2_12, latched=False),
    Alarm(7, 0, "dimension_change", "Dimension change", SINCE_2_12),
    Alarm(7, 1, "magnetic_tamper", "Magnetic tamper", SINCE_2_12, owner=True),
    Alarm(7, 2, "access_lockout_override", "Access lockout override", SINCE_2_12),
    Alarm(7, 3, "power_quality_event", "Power quality event", SINCE_2_12),
    Alarm(7, 4, "event_log_unread", "Event log unread entries", SINCE_2_12, latched=False),
    Alarm(7, 5, "thd_state_changed", "THD state changed", SINCE_2_12),
    Alarm(7, 6, "load_profile_1_unread", "Load profile 1 unread entries", (V3_10,), latched=False),
    Alarm(7, 7, "load_side_voltage", "Load side voltage", (V3_30,)),
    Alarm(8, 0, "unbalanced_voltage", "Unbalanced voltage", (V3_60,)),
    Alarm(8, 1, "password_table_written", "Password table written", (V3_70,)),
    Alarm(8, 2, "key_expiration_pending", "Key expiration pending", SINCE_3_80, latched=False),
    Alarm(8, 3, "p2p_security", "P2P security", (V4_10,)),
    Alarm(8, 4, "firmware_separation_violation", "Firmware separation violation", (V4_10,)),
    Alarm(8, 5, "modem_error", "Modem error", (V4_10,)),
    Alarm(8, 6, "g3_alarm", "G3 alarm", (V4_20,)),
    Alarm(8, 7, "g3_event", "G3 event logged", (V4_20,)),
    Alarm(9, 0, "control_relay_2_open", "Control relay 2 open", (V4_30,), latched=False),
)
# fmt: on

# What byte 3, bit 3 says on meters of generation 4 that watch for earth faults (ET29.33, bit 7).
EARTH_FAULT: Final = Alarm(3, 3, "earth_fault", "Earth fault", (version.EARTH_FAULT,), owner=True)

LONGEST_FORM: Final = 13  # bytes of BT03 that any guide describes; reading past the end gives zeros
BYTE_3_SINCE: Final = V3_50  # before, byte 3 is there and means nothing


class DeviceStatus(NamedTuple):
    """What BT03 says."""

    modes: tuple[str, ...]  # of MODES; normally metering alone
    alarms: tuple[str, ...]  # keys, and "byte.bit" of what no guide knows


class AlarmTable(NamedTuple):
    """BT03 of one meter: the alarms that it can give."""

    part: Part
    alarms: tuple[Alarm, ...]
    ignored: frozenset[int]  # bytes that mean nothing

    @classmethod
    def of(cls, firmware: Firmware, alarm_bytes: int, *, earth_fault: bool = False) -> AlarmTable:
        """Say what a meter has; ``alarm_bytes`` is BT00.17. What lies beyond the table's end is not among it."""
        length = 4 + alarm_bytes
        rows = (
            EARTH_FAULT if earth_fault and (row.byte, row.bit) == (EARTH_FAULT.byte, EARTH_FAULT.bit) else row
            for row in ALARMS
        )
        return cls(
            part=Part("BT03", 3, 0, max(length, LONGEST_FORM)),
            alarms=tuple(row for row in rows if row.byte < length and row.known_to(firmware)),
            ignored=frozenset() if firmware.major == 1 or firmware >= BYTE_3_SINCE else frozenset({3}),
        )

    def decode(self, data: bytes) -> DeviceStatus:
        """BT03: which bits are set."""
        data = self.part.whole(data)
        keys = {(row.byte, row.bit): row.key for row in self.alarms}
        modes = {(0, bit): mode for bit, mode in enumerate(MODES)}
        set_bits = [
            (at, bit) for at, byte in enumerate(data) if at not in self.ignored for bit in range(8) if byte >> bit & 1
        ]
        return DeviceStatus(
            modes=tuple(modes[place] for place in set_bits if place in modes),
            alarms=tuple(keys.get(place, "{}.{}".format(*place)) for place in set_bits if place not in modes),
        )


def decode_earth_fault(data: bytes, byteorder: ByteOrder) -> bool:
    """ET29.33, bit 7: whether the meter watches for earth faults; counts from 4.00 on."""
    return bool(int.from_bytes(ET29_SENSORS.whole(data), byteorder) & 0x80)
