"""What is wrong with the broker, and who is told of it: each change once."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from nesgw.errors import BrokerUnavailable

OnState = Callable[[bool, BrokerUnavailable | None], None]


class Problem(Enum):
    """What can be wrong while we are connected, the most serious first."""

    NAME = auto()  # another gateway uses our name
    METER = auto()  # another gateway reads a meter of ours
    REFUSED = auto()  # a message at which the broker closes the connection
    DROPPED = auto()  # connections that never last
    UNREADABLE = auto()  # topics that we may not read
    NOT_KEPT = auto()  # messages that the broker takes and does not have
    WILL = auto()  # a last will that the broker does not take


class Problems:
    """Whether we are connected, and what is wrong although we are. Changed by one thread, looked at by any."""

    def __init__(self, on_state: OnState | None) -> None:
        self._on_state = on_state
        self._problems: dict[Problem, BrokerUnavailable] = {}
        self._reported: tuple[bool, str] | None = None
        self.connected = False
        self.connections = 0

    @property
    def worst(self) -> BrokerUnavailable | None:
        """What is wrong although we are connected; the most serious if there are several."""
        problems = dict(self._problems)
        return next((problems[kind] for kind in Problem if kind in problems), None)

    def begin(self, *, quietly: bool) -> None:
        """A connection begins, and what only it can show is open again. ``quietly``: ``report`` follows if it lasts."""
        self.clear(Problem.UNREADABLE, Problem.NOT_KEPT)
        self.connected = True
        self.connections += 1
        if not quietly:
            self.report()

    def end(self, error: BrokerUnavailable | None) -> None:
        """There is no connection, and why; None if we left."""
        self.connected = False
        self._tell(error)

    def leave(self) -> None:
        """There is no connection for a moment, which is no trouble."""
        self.connected = False

    def complain(self, kind: Problem, error: BrokerUnavailable) -> None:
        """Something is wrong although we are connected."""
        if str(self._problems.get(kind)) != str(error):
            self._problems[kind] = error
            self._tell(error)

    def settle(self, kind: Problem) -> None:
        """It is no longer wrong."""
        if self._problems.pop(kind, None) is not None and self.connected:
            self.report()

    def note(self, kind: Problem, error: BrokerUnavailable) -> None:
        """Something is wrong, which the end of the connection reports."""
        self._problems[kind] = error

    def clear(self, *kinds: Problem) -> None:
        """Forget, without a word."""
        for kind in kinds:
            self._problems.pop(kind, None)

    def report(self) -> None:
        """Say how it stands."""
        self._tell(self.worst)

    def _tell(self, problem: BrokerUnavailable | None) -> None:
        """While another gateway uses our name, that is the problem, whatever else happens."""
        if Problem.NAME in self._problems and problem is not self._problems[Problem.NAME]:
            return
        said = (self.connected, str(problem or ""))
        if said != self._reported:
            self._reported = said
            if self._on_state:
                self._on_state(self.connected, problem)
