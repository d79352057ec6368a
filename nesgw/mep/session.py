"""The states of the MEP port and what leads from one to the next, as data. Sends nothing and remembers nothing.

There is no session in the sense of C12.18: one read follows the other, and here is what becomes of each. ``link.py``
says what happened and whether a condition holds; which row of ``TABLE`` that is, is decided here and nowhere else.
``python -m nesgw.mep.session`` prints it.

Sources: MEP Client Developer's Guide 1.1, pages 10 to 21, and how meters behaved with other clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nesgw.errors import ProtocolMisuse


class State(Enum):
    """What the port is in."""

    CLOSED = "closed"
    SETTLE = "settling"  # Enable was just switched on; what arrives is thrown away
    IDLE = "idle"
    WAIT = "waiting"  # a read is under way
    RECOVER = "recovering"  # Enable is off for a moment
    REFUSED = "refused"  # the meter does not take the key

    @property
    def enable(self) -> bool:
        """Whether Enable is on in this state."""
        return self not in (State.CLOSED, State.RECOVER)


class Happening(Enum):
    """What happens to the port."""

    OPENED = "the port is opened"
    TIME_UP = "the time is up"
    ASKED = "a read is asked for"
    ABANDONED = "the read is abandoned"
    ALERT = "00 00 where a length is due"
    DATA = "data, verified"
    REFUSAL = "a refusal, verified"
    BARE_REFUSAL = "a refusal without digest"
    WRONG_NUMBER = "0x0C, verified"
    WRONG_DIGEST = "0x0B"
    FRAME = "a frame that verifies as nothing"
    ECHO = "our own request"
    BROKEN = "bytes that are no whole frame"
    SILENCE = "no answer in time"


class Condition(Enum):
    """What a row asks for beside the state: of the read that is under way, and of the key."""

    ALWAYS = ""
    KEY_RESTS = "the key was refused not long ago"
    KEY_UNPROVEN_TWICE = "the key is unproven, and this is the second time"
    SAME_CODE_TWICE = "the same code as before"
    NUMBER_IS_NEW = "a number not reported before, of five at most"
    NUMBER_TWICE = "the same number as before"
    TRIES_LEFT = "no more than once for this read so far"
    TOO_LONG = "the second long answer that is spoiled"


class Action(Enum):
    """What is done about it. Enable is not among it: that follows from the state."""

    NOTHING = "nothing"
    COUNT_ALERT = "count it"
    DROP = "drop it, count it"
    ASK = "send it with the next number"
    DELIVER = "deliver it"
    REPEAT = "send the same packet again"
    GO_ON_BEHIND = "send it with the number behind that"
    GO_ON_WITH = "send it with that number"
    GIVE_UP = "report the failure"
    REFUSE_KEY = "report the key as refused, and let it rest"
    TURN_DOWN = "report the key as refused"
    FORGET = "forget it"


@dataclass(frozen=True, slots=True)
class Row:
    """In this state, when this happens under that condition: do so, and be in that state."""

    state: State
    happening: Happening
    condition: Condition
    action: Action
    after: State


TABLE: Final = (
    Row(State.CLOSED, Happening.OPENED, Condition.ALWAYS, Action.NOTHING, State.SETTLE),
    Row(State.SETTLE, Happening.TIME_UP, Condition.KEY_RESTS, Action.NOTHING, State.REFUSED),
    Row(State.SETTLE, Happening.TIME_UP, Condition.ALWAYS, Action.NOTHING, State.IDLE),
    Row(State.IDLE, Happening.ALERT, Condition.ALWAYS, Action.COUNT_ALERT, State.IDLE),
    Row(State.IDLE, Happening.FRAME, Condition.ALWAYS, Action.DROP, State.IDLE),
    Row(State.IDLE, Happening.BROKEN, Condition.ALWAYS, Action.DROP, State.IDLE),
    Row(State.IDLE, Happening.ASKED, Condition.ALWAYS, Action.ASK, State.WAIT),
    Row(State.WAIT, Happening.ALERT, Condition.ALWAYS, Action.COUNT_ALERT, State.WAIT),
    Row(State.WAIT, Happening.DATA, Condition.ALWAYS, Action.DELIVER, State.IDLE),
    Row(State.WAIT, Happening.REFUSAL, Condition.ALWAYS, Action.DELIVER, State.IDLE),
    Row(State.WAIT, Happening.BARE_REFUSAL, Condition.SAME_CODE_TWICE, Action.DELIVER, State.IDLE),
    Row(State.WAIT, Happening.BARE_REFUSAL, Condition.TRIES_LEFT, Action.REPEAT, State.WAIT),
    Row(State.WAIT, Happening.BARE_REFUSAL, Condition.ALWAYS, Action.GIVE_UP, State.RECOVER),
    Row(State.WAIT, Happening.WRONG_NUMBER, Condition.NUMBER_IS_NEW, Action.GO_ON_BEHIND, State.WAIT),
    Row(State.WAIT, Happening.WRONG_NUMBER, Condition.NUMBER_TWICE, Action.GO_ON_WITH, State.WAIT),
    Row(State.WAIT, Happening.WRONG_NUMBER, Condition.ALWAYS, Action.GIVE_UP, State.RECOVER),
    Row(State.WAIT, Happening.WRONG_DIGEST, Condition.KEY_UNPROVEN_TWICE, Action.REFUSE_KEY, State.REFUSED),
    Row(State.WAIT, Happening.WRONG_DIGEST, Condition.TRIES_LEFT, Action.REPEAT, State.WAIT),
    Row(State.WAIT, Happening.WRONG_DIGEST, Condition.ALWAYS, Action.GIVE_UP, State.RECOVER),
    Row(State.WAIT, Happening.FRAME, Condition.ALWAYS, Action.DROP, State.WAIT),
    Row(State.WAIT, Happening.ECHO, Condition.ALWAYS, Action.DROP, State.WAIT),
    Row(State.WAIT, Happening.BROKEN, Condition.TOO_LONG, Action.GIVE_UP, State.IDLE),
    Row(State.WAIT, Happening.BROKEN, Condition.TRIES_LEFT, Action.REPEAT, State.WAIT),
    Row(State.WAIT, Happening.BROKEN, Condition.ALWAYS, Action.GIVE_UP, State.RECOVER),
    Row(State.WAIT, Happening.SILENCE, Condition.TOO_LONG, Action.GIVE_UP, State.IDLE),
    Row(State.WAIT, Happening.SILENCE, Condition.TRIES_LEFT, Action.REPEAT, State.WAIT),
    Row(State.WAIT, Happening.SILENCE, Condition.ALWAYS, Action.GIVE_UP, State.RECOVER),
    Row(State.WAIT, Happening.ABANDONED, Condition.ALWAYS, Action.FORGET, State.IDLE),
    Row(State.RECOVER, Happening.TIME_UP, Condition.ALWAYS, Action.NOTHING, State.SETTLE),
    Row(State.REFUSED, Happening.ALERT, Condition.ALWAYS, Action.COUNT_ALERT, State.REFUSED),
    Row(State.REFUSED, Happening.FRAME, Condition.ALWAYS, Action.DROP, State.REFUSED),
    Row(State.REFUSED, Happening.BROKEN, Condition.ALWAYS, Action.DROP, State.REFUSED),
    Row(State.REFUSED, Happening.ASKED, Condition.KEY_RESTS, Action.TURN_DOWN, State.REFUSED),
    Row(State.REFUSED, Happening.ASKED, Condition.ALWAYS, Action.ASK, State.WAIT),
)
_ROWS: Final = {
    (state, happening): tuple(row for row in TABLE if (row.state, row.happening) == (state, happening))
    for state in State
    for happening in Happening
}


def find_row(state: State, happening: Happening, holds: Callable[[Condition], bool]) -> Row:
    """Give the first row whose condition holds; raises ProtocolMisuse where the table has none."""
    for row in _ROWS[state, happening]:
        if row.condition is Condition.ALWAYS or holds(row.condition):
            return row
    raise ProtocolMisuse(problem=f"{happening.value}, while the MEP port is {state.value}")


def describe() -> str:
    """Give the table as text, one line a row."""
    cells = [
        (row.state.value, row.happening.value, row.condition.value, row.action.value, row.after.value) for row in TABLE
    ]
    heads = ("state", "what happens", "if", "what is done", "state after it")
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *cells)
    )


if __name__ == "__main__":
    print(describe())  # noqa: T201
