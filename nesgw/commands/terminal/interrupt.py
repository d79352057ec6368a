"""Ctrl-C as a wish that the meter's session is ended for, and not as an accident."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

INTERRUPTED: Final = 130  # what a shell gives for a program that Ctrl-C ended


class Asked:
    """Whether somebody asked us to end; the second time it ends at once."""

    def __init__(self) -> None:
        self._asked = False

    def is_set(self) -> bool:
        """Whether it was asked for."""
        return self._asked

    def __call__(self, number: int, _frame: object) -> None:
        """Take the signal."""
        self._asked = True
        signal.signal(number, signal.default_int_handler)


@contextmanager
def interruptible() -> Iterator[Asked]:
    """Take Ctrl-C as a wish; Ctrl-Z not at all, for a stopped process would keep the meter's port."""
    asked = Asked()
    handlers: dict[int, Any] = {signal.SIGINT: asked, signal.SIGTERM: asked, signal.SIGTSTP: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
