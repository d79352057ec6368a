"""What all tests share: patience, a broker, and no warning in the log that a test does not expect."""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Iterator

import coverage
import pytest
import structlog
from hypothesis import settings
from structlog.typing import EventDict

pytest_plugins = ["tests.broker_fixtures", "tests.faults.summary"]

# A machine that is busy elsewhere is slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MEASURED = 0.2  # seconds of processor time; tracing more than triples what a test needs


def pytest_configure(config: pytest.Config) -> None:
    for mark, meaning in {
        "alone": "it keeps a beat with many processes, or measures time: nothing may run beside it",
        "expects_warnings(*patterns)": "it logs warnings or errors, one or more like each of these regular expressions",
        "allows_warnings(*patterns)": "it may log warnings or errors like these regular expressions, as chance has it",
    }.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Where coverage is measured, measure the beginning of each test: hours of virtual time repeat themselves."""
    measuring = coverage.Coverage.current()
    if not measuring:
        return (yield)
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        measuring.stop()
        stopped.append(number)

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MEASURED)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if stopped:
            measuring.start()


def marked(request: pytest.FixtureRequest, name: str) -> list[str]:
    return [pattern for mark in request.node.iter_markers(name) for pattern in mark.args]


def troubles(entries: list[EventDict], others: pytest.LogCaptureFixture) -> list[str]:
    """The sentences of all warnings and errors, of structlog's and of the standard library's loggers."""
    ours = [str(entry["event"]) for entry in entries if entry["log_level"] in ("warning", "error", "critical")]
    return ours + [record.getMessage() for record in others.get_records("call") if record.levelno >= logging.WARNING]


@pytest.fixture(autouse=True)
def logged(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[list[EventDict]]:
    """Give what the test logs; fail it for a warning or an error that it does not expect, or expects in vain."""
    # No debug, as in the service: hours of it would fill the memory.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with structlog.testing.capture_logs() as entries:
        yield entries
    found = troubles(entries, caplog)
    expected = marked(request, "expects_warnings")
    known = expected + marked(request, "allows_warnings")
    unexpected = [sentence for sentence in found if not any(re.search(pattern, sentence) for pattern in known)]
    missing = [pattern for pattern in expected if not any(re.search(pattern, sentence) for sentence in found)]
    assert (unexpected, missing) == ([], []), "logged and not expected, or expected and not logged"
