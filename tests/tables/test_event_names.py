"""The standard's events by number, against a few that public tools for such meters agree on."""

from __future__ import annotations

import pytest

from nesgw.tables.event_names import STANDARD_EVENTS


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "power lost"),
        (2, "power restored"),
        (3, "clock set (the time before)"),
        (18, "event log emptied"),
        (21, "self-read taken"),
        (47, "tamper attempt"),
        (57, "meter unsealed"),
        (58, "procedure run, with values"),
        (63, "procedure run, with a signature"),
        (67, "meter unsealed, with a signature"),
        (72, "meter unsealed, with values and a signature"),
        (73, "secured table read"),
        (76, "secured register read, with values"),
    ],
)
def test_a_number_has_its_words(number: int, words: str) -> None:
    assert STANDARD_EVENTS[number] == words


def test_they_are_numbered_from_0_to_76_and_no_two_are_alike() -> None:
    assert list(STANDARD_EVENTS) == list(range(77))
    assert len(set(STANDARD_EVENTS.values())) == 77
