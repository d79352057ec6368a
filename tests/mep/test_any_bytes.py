"""Whatever arrives, whenever: what must hold for the port stands in ``fuzz/mep.py``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mep import COURSES, HAPPENINGS, SECOND, hear, play
from nesgw.errors import NesgwError, ProtocolMisuse
from nesgw.mep import link
from nesgw.mep.session import TABLE, Row, find_row
from tests.mep.conftest import Rig


def test_the_courses_lead_through_every_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[Row] = set()

    def noting(*happening: object) -> Row:
        taken.add(row := find_row(*happening))  # type: ignore[arg-type]
        return row

    monkeypatch.setattr(link, "find_row", noting)
    for course in COURSES.values():
        play(SECOND + course)
    assert [str(row) for row in TABLE if row not in taken] == []


operations = st.one_of(
    st.sampled_from(HAPPENINGS),
    st.sampled_from(list(COURSES.values())),
    st.binary(max_size=31).map(hear),
)


@given(st.lists(operations, max_size=60).map(b"".join))
@settings(max_examples=300)
def test_what_happens_in_any_order(happenings: bytes) -> None:
    play(SECOND + happenings)


@given(st.binary(max_size=2000))
def test_bytes_as_operations(data: bytes) -> None:
    play(data)


chances = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05])


@settings(max_examples=40)
@given(
    st.fixed_dictionaries(dict.fromkeys(("drop", "corrupt", "insert", "duplicate"), chances)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_no_line_makes_a_wrong_byte_pass(
    noise: dict[str, Any], lost_requests: int, lost_answers: int, weak: bool, echo: bool
) -> None:
    rig = Rig(weak_after=101 if weak else 0)
    rig.faults.noise(**noise)
    rig.faults.lose(requests=lost_requests, answers=lost_answers)
    rig.faults.echo(echo)
    for _ in range(4):
        try:
            rig.poll()  # compares every byte
        except ProtocolMisuse:
            raise
        except NesgwError:
            rig.line.sleep(10.0)
    rig.faults.clear()
    rig.line.sleep(60.0)  # a first contact of nothing but noise may look like a refused key
    rig.poll()
    assert rig.port.monitor.forbidden == 0
