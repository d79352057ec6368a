"""The table of states, as a table."""

from __future__ import annotations

import pytest

from nesgw.errors import ProtocolMisuse
from nesgw.mep.session import TABLE, Action, Condition, Happening, State, describe, find_row


def test_enable_is_off_while_closed_and_while_recovering_only() -> None:
    assert [state for state in State if not state.enable] == [State.CLOSED, State.RECOVER]


def test_a_request_is_sent_from_three_states_only() -> None:
    sending = {Action.ASK, Action.REPEAT, Action.GO_ON_BEHIND, Action.GO_ON_WITH}
    assert {row.state for row in TABLE if row.action in sending} == {State.IDLE, State.WAIT, State.REFUSED}
    assert {row.after for row in TABLE if row.action in sending} == {State.WAIT}


def test_behind_the_conditions_of_a_happening_there_is_a_row_without_one() -> None:
    last = {(row.state, row.happening): row.condition for row in TABLE}
    assert set(last.values()) == {Condition.ALWAYS}


def test_each_row_can_be_reached() -> None:
    """No row stands behind one of the same happening that always holds."""
    seen: set[tuple[State, Happening]] = set()
    for row in TABLE:
        assert (row.state, row.happening) not in seen
        if row.condition is Condition.ALWAYS:
            seen.add((row.state, row.happening))


def test_the_first_row_whose_condition_holds_counts() -> None:
    refused = find_row(State.WAIT, Happening.WRONG_DIGEST, lambda condition: True)
    assert (refused.action, refused.after) == (Action.REFUSE_KEY, State.REFUSED)
    repeated = find_row(State.WAIT, Happening.WRONG_DIGEST, lambda condition: condition is Condition.TRIES_LEFT)
    assert (repeated.action, repeated.after) == (Action.REPEAT, State.WAIT)


@pytest.mark.parametrize("state", [State.CLOSED, State.SETTLE, State.WAIT, State.RECOVER])
def test_a_read_is_not_to_be_asked_for_in_other_states(state: State) -> None:
    with pytest.raises(ProtocolMisuse, match=f"a read is asked for, while the MEP port is {state.value}"):
        find_row(state, Happening.ASKED, lambda condition: True)


def test_it_can_be_printed() -> None:
    lines = describe().splitlines()
    assert len(lines) == 1 + len(TABLE)
    assert lines[0].split() == ["state", "what", "happens", "if", "what", "is", "done", "state", "after", "it"]
    assert "0x0B" in "".join(lines)
