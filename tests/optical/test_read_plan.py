"""Which spans are read together: the bytes on the wire, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.optical.read_plan import Span, bytes_to_read, coalesce


@pytest.mark.parametrize(
    ("size", "packet_size", "largest", "expected"),
    [
        (8, 64, 108, 16 + 1 + 20 + 1),
        (52, 64, 108, 16 + 1 + 64 + 1),  # the data fills one packet
        (53, 64, 108, 16 + 1 + 73 + 2),  # and this takes another
        (108, 64, 108, 16 + 1 + 128 + 2),
        (109, 64, 108, 147 + 16 + 1 + 13 + 1),  # another exchange
        (220, 512, 2012, 16 + 1 + 232 + 1),
    ],
)
def test_bytes_of_a_read_are_request_answer_and_acknowledgements(
    size: int, packet_size: int, largest: int, expected: int
) -> None:
    assert bytes_to_read(size, packet_size, largest) == expected


def test_two_tiers_behind_the_totals_are_read_with_them_where_that_is_shorter() -> None:
    totals, first, second = Span(23, 0, 44), Span(23, 44, 8), Span(23, 88, 8)
    assert coalesce((totals, first, second), 64, 108) == ((totals, first), (second,))
    # 16+1+108+1 against 82 and 38 and another answer to wait for
    assert coalesce((totals, first, second), 512, 2012) == ((totals, first, second),)


def test_spans_of_two_tables_are_never_joined() -> None:
    assert coalesce((Span(23, 0, 8), Span(28, 0, 8)), 512, 2012) == ((Span(23, 0, 8),), (Span(28, 0, 8),))


def test_what_lies_far_apart_is_read_apart() -> None:
    near, far = Span(23, 0, 8), Span(23, 300, 8)
    assert coalesce((far, near), 512, 2012) == ((near,), (far,))


spans = st.lists(st.builds(Span, st.sampled_from([23, 28]), st.integers(0, 400), st.integers(1, 150)), max_size=7)


@given(spans, st.sampled_from([(64, 52), (64, 108), (512, 2012)]))
def test_nothing_is_lost_and_it_is_never_dearer_than_reading_each_alone(
    wanted: list[Span], limits: tuple[int, int]
) -> None:
    groups = coalesce(tuple(wanted), *limits)
    assert sorted(span for group in groups for span in group) == sorted(wanted)
    cost = sum(8 + bytes_to_read(max(s.end for s in group) - group[0].offset, *limits) for group in groups)
    assert cost <= sum(8 + bytes_to_read(span.size, *limits) for span in wanted)
