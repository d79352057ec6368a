"""What must hold for any bytes and any dimensions: documented errors only, and every value from its own place."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from nesgw.errors import MeterMisbehaved, NesgwError, UnsupportedMeter
from nesgw.tables.catalogue import FIELDS
from nesgw.tables.dimensions import BT20, BT21, decode_dimensions
from nesgw.tables.identity import ByteOrder, decode_general_configuration, decode_identity
from nesgw.tables.installation import (
    AbsentPhases,
    Installation,
    Ratios,
    decode_absent_phases,
    decode_energy_unit,
    decode_ratios,
    decode_tier_size,
)
from nesgw.tables.layout import Layout, tiers_in_use
from nesgw.values import Firmware

any_bytes = st.binary(max_size=64)
byteorders = st.sampled_from(["little", "big"])
firmwares = st.builds(Firmware, st.integers(0, 15), st.integers(0, 127), st.integers(0, 31))
phases = st.frozensets(st.sampled_from([1, 2, 3]))
installations = st.builds(
    Installation,
    ratios=st.none() | st.builds(Ratios, st.integers(1, 3), st.integers(1, 3), st.booleans()),
    energy_unit=st.sampled_from([1, 10, 100]),
    absent=st.builds(AbsentPhases, phases, phases),
    tier_size=st.none() | st.integers(0, 200),
)
# Flags and counts of BT21 such as a meter may have.
dimension_bytes = st.tuples(
    st.integers(0, 0x7F), st.just(0x0C), st.just(12), st.integers(1, 24), st.integers(0, 8), st.integers(0, 16),
    st.integers(0, 2), st.integers(0, 8), st.integers(0, 8), st.integers(1, 90),
).map(bytes)  # fmt: skip


@given(any_bytes, any_bytes, byteorders)
def test_any_bytes_are_decoded_or_refused_by_name(data: bytes, more: bytes, byteorder: ByteOrder) -> None:
    for decode in (
        lambda: decode_general_configuration(data),
        lambda: decode_identity(data, more),
        lambda: decode_dimensions(data),
        lambda: decode_dimensions(data, BT20),
        lambda: decode_ratios(data, byteorder),
        lambda: decode_absent_phases(data),
        lambda: decode_tier_size(data, byteorder),
        lambda: decode_energy_unit(data),
    ):
        with suppress(MeterMisbehaved, UnsupportedMeter):
            decode()


@given(dimension_bytes, firmwares, byteorders, installations, st.data())
def test_any_tables_are_laid_out_or_refused_by_name(
    flags_and_counts: bytes, firmware: Firmware, byteorder: ByteOrder, installation: Installation, data: DataObject
) -> None:
    part = data.draw(st.sampled_from([BT20, BT21]))
    with suppress(NesgwError):
        dimensions = decode_dimensions(flags_and_counts, part)
        noise = data.draw(st.randoms(use_true_random=False))
        registers, values = (bytearray(noise.randbytes(p.size)) for p in (dimensions.registers, dimensions.values))
        if data.draw(st.booleans()):
            registers = bytearray(len(registers))
        order = ">" if byteorder == "big" else "<"
        for number, value in ((7, 230_000), (8, 230_000), (9, 230_000), (11, 50_000)):
            if number < dimensions.present_values:
                struct.pack_into(f"{order}i", values, dimensions.present_base + 4 * number, value)
        tiers_in_use(dimensions, bytes(registers))
        layout = Layout.build(
            dimensions, firmware, byteorder, registers=bytes(registers), values=bytes(values),
            summation_order=data.draw(st.none() | st.binary(max_size=24)),
            present_order=data.draw(st.none() | st.binary(max_size=90)),
            installation=installation,
        )  # fmt: skip
        assert set(layout.fields) <= set(FIELDS)
        blocks = {part.name: data.draw(st.binary(max_size=400)) for part in layout.reads}
        decoded = layout.decode(blocks)
        assert tuple(decoded) == layout.fields
        json.dumps(decoded, allow_nan=False)


@given(dimension_bytes, st.lists(st.integers(0, 10**8), min_size=2, max_size=2), byteorders)
def test_every_register_is_read_where_a_meter_writes_it(
    flags_and_counts: bytes, energies: list[int], byteorder: ByteOrder
) -> None:
    """An encoder of its own, written after the guides' layout of BT23 and BT28, against the decoder."""
    flags, _, _, summations, demands, coincidents, occurrences, tiers, present_demands, present_values = (
        flags_and_counts
    )
    assume(occurrences or not demands)
    assume(demands or not coincidents)
    assume(present_values > 11)
    order = ">i" if byteorder == "big" else "<i"

    def block(values: Any) -> Any:
        out = b"".join(struct.pack(order, value) for value in values)
        for _ in range(demands):
            out += bytes.fromhex("1a 0b 03 12 0f") * occurrences if flags & 0x02 else b""
            out += struct.pack(order, -1) if flags & 0x10 else b""
            out += struct.pack(order, -2) if flags & 0x20 else b""
            out += struct.pack(order, -3) * occurrences
        for _ in range(coincidents):
            out += struct.pack(order, -4) * occurrences
        return out

    totals = [1000 + number for number in range(summations)]
    totals[:2] = energies[:summations]
    if summations > 6:
        totals[6] = sum(energies)
    per_tier = [[energy // 10 for energy in totals] for _ in range(tiers)]
    registers = (b"\x07" if flags & 0x04 else b"") + block(totals) + b"".join(map(block, per_tier))
    present = [2000 + number for number in range(present_values)]
    present[7], present[11] = 230_000, 50_000
    step = (bytes(3) if flags & 0x40 else b"") + struct.pack(order, -5)
    values = step * present_demands + b"".join(struct.pack(order, value) for value in present)

    dimensions = decode_dimensions(flags_and_counts)
    assert (dimensions.registers.size, dimensions.values.size) == (len(registers), len(values))
    layout = Layout.build(dimensions, Firmware(4, 30), byteorder, registers=registers, values=values)
    tables = {23: registers, 28: values}
    decoded = layout.decode(
        {part.name: tables[part.table][part.offset : part.offset + part.size] for part in layout.reads}
    )
    assert decoded["energy_import"] == energies[0] / 1000
    assert decoded["frequency"] == 50
    assert decoded["power_factor_l1"] == 2.01
    if summations > 10:
        assert decoded["error_count"] == 1010
    if present_values > 83:
        assert decoded["reactive_power_export_l3"] == 2083
    for tier in range(1, tiers + 1):
        if tiers > 1 and summations > 2:  # whose first three then hold something in every tier
            assert decoded[f"energy_import_t{tier}"] == energies[0] // 10 / 1000
