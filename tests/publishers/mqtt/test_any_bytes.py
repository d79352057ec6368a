"""Whatever is said at the other end of a connection: it ends with a sentence, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.broker import WELCOME, Stranger, converse

# Packets of all kinds, sound in length, too short and too long (MQTT 3.1.1, 2.2).
_lengths = st.sampled_from([0, 1, 2, 3, 4, 5, 127, 128])
_packets = st.builds(
    lambda head, body, claimed: bytes([head, len(body) if claimed is None else claimed]) + body,
    st.integers(0, 255),
    st.binary(max_size=12),
    st.none() | st.none() | _lengths,
)
_sound = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "20 02 00 00",
            "90 03 00 01 00",
            "30 04 00 01 61 7b",
            "32 07 00 01 61 00 05 7b 7d",
            "34 07 00 01 61 00 05 7b 7d",
            "50 02 00 02",
            "62 02 00 05",
            "70 02 00 02",
            "b0 02 00 01",
            "d0 00",
        )
    ]
)
_courses = st.lists(_sound | _packets, max_size=6).map(b"".join)
_cut = st.tuples(_courses, st.integers(0, 60)).map(lambda both: both[0][: both[1]])


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    stranger = Stranger()
    yield stranger
    stranger.close()


@settings(max_examples=300)
@given(st.binary(max_size=200) | _courses | _cut)
@example(b"220 mail.example.lan ESMTP Postfix")
@example(bytes.fromhex("20 00"))
@example(bytes.fromhex("20 02 00"))
def test_instead_of_a_welcome(stranger: Stranger, said: bytes) -> None:
    assert converse(stranger, said) is not None


@settings(max_examples=300)
@given(st.binary(max_size=200) | _courses | _cut)
@example(bytes.fromhex("30 00"))
@example(bytes.fromhex("90 00"))
@example(bytes.fromhex("20 02 00 05"))
def test_after_a_welcome(stranger: Stranger, said: bytes) -> None:
    assert converse(stranger, WELCOME + said) is not None
