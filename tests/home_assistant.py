"""What Home Assistant makes of a discovery message. Imports nothing of nesgw.

The abbreviations are written by hand after Home Assistant's own list (2026.2 to 2026.11, mqtt/abbreviations.py), which
replaces each of them in the message, in its device, its origin and its components, before it looks at anything else.
"""

from __future__ import annotations

import json
import re
from typing import Any

OPTIONS = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "cmps": "components",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "evt_typ": "event_types",
    "exp_aft": "expire_after",
    "json_attr_t": "json_attributes_topic",
    "json_attr_tpl": "json_attributes_template",
    "o": "origin",
    "ops": "options",
    "p": "platform",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "sug_dsp_prc": "suggested_display_precision",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
DEVICE = {
    "hw": "hw_version",
    "ids": "identifiers",
    "mf": "manufacturer",
    "mdl": "model",
    "sn": "serial_number",
    "sw": "sw_version",
}
ORIGIN = {"sw": "sw_version", "url": "support_url"}


def _named(options: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(option, option): value for option, value in options.items()}


def expanded(payload: str) -> dict[str, Any]:
    """Write a discovery message with the long names of all options."""
    message = _named(json.loads(payload), OPTIONS)
    message["device"] = _named(message["device"], DEVICE)
    message["origin"] = _named(message["origin"], ORIGIN)
    message["availability"] = [_named(each, OPTIONS) for each in message["availability"]]
    message["components"] = {key: _named(facts, OPTIONS) for key, facts in message["components"].items()}
    return message


def entity_ids(payload: str) -> dict[str, str]:
    """Give the entity id of each component at its first registration: the default one, or of device's and own name."""
    message = expanded(payload)
    return {
        key: facts.get("default_entity_id") or f"{facts['platform']}.{_slug(message['device']['name'], facts['name'])}"
        for key, facts in message["components"].items()
        if len(facts) > 1
    }


def _slug(device: str, name: str) -> str:
    both = f"{device} {name}"
    assert both.isascii(), "how other letters are written is not known here"
    return re.sub(r"[^a-z0-9]+", "_", both.lower()).strip("_")
