"""Which service is legal in which state, as data. Sends nothing and remembers nothing.

nesgw only reads: that no service of this table writes is the whole argument, and it is meant to be seen at a glance.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from nesgw.errors import ProtocolMisuse
from nesgw.optical.services import (
    Identify,
    Logoff,
    Logon,
    Negotiate,
    PartialRead,
    Read,
    Request,
    Security,
    Terminate,
    Wait,
)


class State(Enum):
    """What the channel is in, as far as we know."""

    BASE = "base"  # power up, six silent seconds, Terminate
    ID = "ID"
    SESSION = "session"
    SUSPECT = "suspect"  # an exchange failed half-way, so the meter's state is unknown and late answers may come


# From the grammar [C12.18-2006], but for Logon and Wait [Inferred]. SUSPECT is our own.
AFTER_OK: Final[Mapping[State, Mapping[type[Request[Any]], State]]] = {
    State.BASE: {Identify: State.ID, Terminate: State.BASE},
    State.ID: {Negotiate: State.ID, Logon: State.SESSION, Wait: State.ID, Terminate: State.BASE},
    State.SESSION: {
        Security: State.SESSION,
        Read: State.SESSION,
        PartialRead: State.SESSION,
        Wait: State.SESSION,
        Logoff: State.ID,
        Terminate: State.BASE,
    },
    State.SUSPECT: {Terminate: State.BASE},
}


def after_ok(state: State, request: Request[Any]) -> State:
    """Give the state that an ok to this request leads to; raises ProtocolMisuse where the request is not legal."""
    legal = AFTER_OK[state]
    if type(request) not in legal:
        names = ", ".join(dict.fromkeys(service.name for service in legal))
        raise ProtocolMisuse(problem=f"{request.name} is not legal in the {state.value} state, only {names}")
    return legal[type(request)]
