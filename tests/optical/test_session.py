"""Which service is legal when."""

from __future__ import annotations

from typing import Any

import pytest

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
from nesgw.optical.session import AFTER_OK, State, after_ok

ALL = [
    Identify(),
    Negotiate(64, 2),
    Logon(),
    Security(b"k"),
    Read(1),
    PartialRead(1, 0, 1),
    Wait(1),
    Logoff(),
    Terminate(),
]

# The states of C12.18, by hand.
LEGAL: dict[State, dict[type[Request[Any]], State]] = {
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


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("request_", ALL)
def test_each_service_in_each_state(state: State, request_: Any) -> None:
    expected = LEGAL[state].get(type(request_))
    if expected:
        assert after_ok(state, request_) is expected
    else:
        with pytest.raises(ProtocolMisuse):
            after_ok(state, request_)


def test_terminate_is_legal_in_every_state_and_leads_to_base() -> None:
    assert all(services[Terminate] is State.BASE for services in AFTER_OK.values())


def test_what_is_illegal_is_told_with_what_is_legal() -> None:
    with pytest.raises(ProtocolMisuse) as misuse:
        after_ok(State.BASE, Read(23))
    assert str(misuse.value) == "Read is not legal in the base state, only Identify, Terminate"
