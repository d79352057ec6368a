"""What every meter gives away at its optical port without a key: who it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from nesgw.errors import KeyRefused, TableNotPresent
from nesgw.optical.client import DEFAULT_LIMITS, MeterClient
from nesgw.ports.port import Port
from nesgw.tables.identity import BT00, BT01, ET03, decode_general_configuration, decode_identity
from nesgw.values import MeterIdentity

# Seconds for the one session of a command: fifty answers that each take the six seconds that the standard allows. On a
# dead or a noisy line each exchange ends much earlier by itself.
ONE_SESSION: Final = 300.0


def ask_who(port: Port, until: float) -> MeterIdentity | None:
    """Read who the meter is, until the monotonic time ``until``; None if it wants a key first.

    Raises what every exchange can, UnsupportedMeter among it.
    """
    with MeterClient(port) as client:
        client.limit(until)
        client.open_session(None, replace(DEFAULT_LIMITS, baud=port.baud))
        try:
            general, who = (client.read(part.table, part.offset, part.size) for part in (BT00, BT01))
        except KeyRefused:
            return None
        utility = None
        with suppress(TableNotPresent, KeyRefused):
            utility = client.read(ET03.table, ET03.offset, ET03.size)
    decode_general_configuration(general)
    return decode_identity(who, utility)
