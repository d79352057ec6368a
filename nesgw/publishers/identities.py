"""Whose an id is on this gateway: two meters, or a meter and a sub-meter, are never published over one another.

Thread-safe. An electricity meter goes before a sub-meter, and one whose readings are fresh before one that is away:
a probe that was moved takes its meter's id with it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """Who publishes under an id: the meter named ``meter``, or the sub-meter behind it with this ``handle``."""

    meter: str
    handle: int | None = None

    def __str__(self) -> str:
        return f"meter {self.meter}" if self.handle is None else f"sub-meter {self.handle} behind meter {self.meter}"


class Identities:
    """The ids in use and their owners."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, Owner] = {}
        self._fresh: set[Owner] = set()

    def claim(self, identity: str, owner: Owner) -> Owner | None:
        """Take an id; the answer is the other one that keeps it, if there is one."""
        with self._lock:
            if owner.handle is not None:  # the devices behind a meter may change places: each has one number at a time
                former = [known for known, whose in self._owners.items() if whose == owner and known != identity]
                for known in former:
                    del self._owners[known]
            other = self._owners.get(identity, owner)
            if other != owner and not self._yields(other, owner):
                return other
            self._owners[identity] = owner
            return None

    def _yields(self, other: Owner, owner: Owner) -> bool:
        if owner.handle is not None:
            return False
        return other.handle is not None or other not in self._fresh

    def fresh(self, owner: Owner, fresh: bool) -> None:
        """Say whether a meter's readings are fresh."""
        with self._lock:
            (self._fresh.add if fresh else self._fresh.discard)(owner)

    def release(self, identity: str, owner: Owner) -> None:
        """Give an id back."""
        with self._lock:
            if self._owners.get(identity) == owner:
                del self._owners[identity]
