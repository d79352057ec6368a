"""Moments at which something is due, by name."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Timers(Generic[Name]):
    """Timers that each run out once, in monotonic seconds."""

    def __init__(self) -> None:
        self._due: dict[Name, float] = {}

    def set(self, name: Name, at: float) -> None:
        """Start a timer, or move it."""
        self._due[name] = at

    def cancel(self, name: Name) -> None:
        """Stop a timer, if it runs."""
        self._due.pop(name, None)

    def runs(self, name: Name) -> bool:
        """Whether a timer has been set and has not run out."""
        return name in self._due

    def due(self, now: float) -> list[Name]:
        """Take those that have run out, the earliest first."""
        over = sorted((name for name, at in self._due.items() if at <= now), key=self._due.__getitem__)
        for name in over:
            del self._due[name]
        return over

    @property
    def next(self) -> float:
        """When the next runs out; infinity if none runs."""
        return min(self._due.values(), default=float("inf"))
