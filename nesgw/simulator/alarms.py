"""The alarms of BT03: name, byte and bit, as OPG and MEPG list them. Data only."""

from __future__ import annotations

from typing import Final

_BY_BYTE: Final[dict[int, tuple[str, ...]]] = {
    1: (
        *("unprogrammed", "configuration_error", "system_reset", "ram_failure", "rom_failure"),
        *("nonvolatile_memory_failure", "clock_error", "measurement_error"),
    ),
    2: (
        *("low_battery", "low_loss_potential", "demand_overload", "power_failure", "cover_removed"),
        *("reverse_energy", "data_backup_incomplete", "disconnect_switch_error"),
    ),
    3: ("load_profile_2_unread", "load_profile_3_unread", "load_profile_4_unread", "neutral_current_deviation"),
    4: (
        *("load_profile_overflow", "self_read_occurred", "load_disconnect_changed", "control_relay_1_open"),
        *("phase_loss", "phase_inversion", "plc_configuration_failure", "general_error"),
    ),
    5: (
        *("invalid_password", "remote_communications_inactive", "current_on_missing_phase", "pulse_input_1_tamper"),
        *("pulse_input_2_tamper", "software_crc_error", "code_bank_changed", "load_profile_backfill_failed"),
    ),
    6: (
        *("mep_installed_or_removed", "mbus_alarm", "mbus_discovery_complete", "phase_rotation_changed"),
        *("prepay_credit_exhausted", "prepay_warning_acknowledged", "event_log_overflow_pending"),
        "manufacturer_log_entry",
    ),
    7: (
        *("dimension_change", "magnetic_tamper", "access_lockout_override", "power_quality_event"),
        *("event_log_unread", "thd_state_changed", "load_profile_1_unread", "load_side_voltage"),
    ),
    8: (
        *("unbalanced_voltage", "password_table_written", "password_expiration_pending", "p2p_security"),
        *("firmware_separation_violation", "modem_error", "g3_alarm", "g3_event_logged"),
    ),
    9: ("control_relay_2_open",),
}

ALARMS: Final[dict[str, tuple[int, int]]] = {
    name: (byte, bit) for byte, names in _BY_BYTE.items() for bit, name in enumerate(names)
}
