"""nesgw as an app of Home Assistant: options, broker and page from the Supervisor, then nesgw itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from nesgw_container import keeper, options
from nesgw_container.keeper import Signals
from nesgw_container.pulse import Pulse
from nesgw_container.supervisor import Broker, NotYet, Supervisor

ASK_AGAIN = 5.0  # seconds
LOOK_EVERY = 60.0
EX_CONFIG: Final = 78


def run(form: Path, memory: Path, supervisor: Supervisor, signals: Signals, pulse: Pulse) -> int:
    """Run nesgw with the options in ``form`` until it ends or is asked to; returns the exit code."""
    chosen = json.loads(form.read_bytes())
    found = _wait(chosen, supervisor, signals, pulse)
    if found is None:
        return 0
    broker, port = found
    page = (port, _token(memory / "page.token")) if port else None
    config = memory / "config.toml"

    def take_up(broker: Broker | None) -> None:
        _write_private(config, options.toml(options.document(chosen, broker, memory, page)))

    try:
        take_up(broker)
    except options.OptionsError as problem:
        _say(str(problem))
        return EX_CONFIG
    watch = _Watch(broker, supervisor)

    def changed() -> bool:
        if watch.has_changed():
            _say("the broker or its login has changed: taken up")
            take_up(watch.broker)
            return True
        return False

    command = ["nesgw", "run", "--config", str(config)]
    return keeper.keep(command, signals, pulse, changed=changed, every=LOOK_EVERY)


class _Watch:
    """Notices another broker or login: an app that is installed again has a new password."""

    def __init__(self, broker: Broker | None, supervisor: Supervisor) -> None:
        self.broker = broker
        self._supervisor = supervisor

    def has_changed(self) -> bool:
        """Ask the Supervisor, unless the broker is the owner's own. One that is away for now has not changed."""
        if self.broker is None:
            return False
        try:
            now = self._supervisor.broker()
        except NotYet:
            return False
        before, self.broker = self.broker, now
        return now != before


def _wait(
    chosen: dict[str, Any], supervisor: Supervisor, signals: Signals, pulse: Pulse
) -> tuple[Broker | None, int | None] | None:
    """Ask for broker and page until there is an answer; None if asked to end before. Says each trouble once."""
    said = ""
    while True:
        pulse.beat()  # waiting is no illness that a restart would cure
        try:
            broker = None if options.has_own_broker(chosen) else supervisor.broker()
            return broker, supervisor.page_port()
        except NotYet as trouble:
            if said != (said := str(trouble)):
                _say(f"{said}; asking again every {ASK_AGAIN:.0f} s")
        if signals.wait(ASK_AGAIN) in keeper.ENDING:
            return None


def _token(path: Path) -> Path:
    _write_private(path, os.urandom(32).hex())
    return path


def _write_private(path: Path, text: str) -> None:
    """Write what only this user may read, all of it or nothing."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _say(sentence: str) -> None:
    sys.stderr.write(f"nesgw: {sentence}\n")
    sys.stderr.flush()
