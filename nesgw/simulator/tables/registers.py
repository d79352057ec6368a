"""Dimensions, registers and present values: BT15, BT20 to BT23, BT27, BT28."""

from __future__ import annotations

import struct

from nesgw.simulator.profiles import PRESENT_SOURCES, SUMMATION_SOURCES, Profile
from nesgw.simulator.registers import Truth
from nesgw.simulator.tables.registry import Moment, basic, integers


@basic(15, lambda profile: profile.ct_ratio != 1)
def bt15(now: Moment) -> bytes:
    """Constants: transformer ratios, on CT meters only."""
    profile = now.profile
    return struct.pack("<iiBii", 1, 0, profile.ratios_applied, profile.ct_ratio, profile.vt_ratio)


@basic(20)
def bt20(now: Moment) -> bytes:
    """Dimensions, maxima."""
    return now.profile.maxima.image()


@basic(21, lambda profile: profile.has_actual)
def bt21(now: Moment) -> bytes:
    """Dimensions, actual."""
    return now.profile.actual.image()


@basic(22, lambda profile: profile.has_sources)
def bt22(now: Moment) -> bytes:
    """Sources of summations, demands and coincidents."""
    profile = now.profile
    demands = [demand.source for demand in profile.demands]
    maximum = (1 << len(demands)) - 1
    return (
        bytes(SUMMATION_SOURCES[: profile.actual.summations])
        + bytes(demands)
        + maximum.to_bytes((len(demands) + 7) // 8, "little")
        + bytes(coincident.source for coincident in profile.coincidents)
        + bytes(coincident.demand for coincident in profile.coincidents)
    )


@basic(23)
def bt23(now: Moment) -> bytes:
    """Current register data."""
    return register_data(now.profile, now.truth)


def register_data(profile: Profile, truth: Truth, *, resets: bool = True) -> bytes:
    """The totals' block, then one a tier; demands are kept for the totals only."""
    actual = profile.actual
    image = bytes((truth.reset_count,)) if resets and actual.flags0 & 0x04 else b""
    for number, block in enumerate((truth.summations, *truth.tiers)):
        image += integers([block[index] for index in range(actual.summations)])
        for demand in truth.demands:
            maximum, cumulative = (demand.maximum, demand.cumulative) if number == 0 else (0, 0)
            if actual.flags0 & 0x02:
                image += bytes(demand.time) if number == 0 else bytes(5)
            if actual.flags0 & 0x10:
                image += integers([cumulative])
            if actual.flags0 & 0x20:
                image += integers([cumulative + maximum])
            image += integers([maximum])
        image += integers([coincident.value if number == 0 else 0 for coincident in truth.coincidents])
    return image


@basic(27, lambda profile: profile.has_sources)
def bt27(now: Moment) -> bytes:
    """Sources of the present demands and values."""
    profile = now.profile
    return bytes(profile.present_demand_sources) + bytes(PRESENT_SOURCES[number] for number in profile.present_numbers)


@basic(28)
def bt28(now: Moment) -> bytes:
    """Present demands, each with the time left where the flag says so, then the present values."""
    profile, truth = now.profile, now.truth
    minutes, seconds = divmod(truth.time_left, 60)
    left = bytes((0, minutes, seconds)) if profile.actual.flags0 & 0x40 else b""
    demands = b"".join(left + integers([demand]) for demand in truth.present_demands)
    return demands + integers([truth.present[number] for number in profile.present_numbers])
