"""The nesgw service, for nesgw setup: whether it runs, whose eyes doctor looks with, and its first value."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from nesgw.commands.doctor.report import Report, load_report
from nesgw.commands.terminal.progress import Progress
from nesgw.config import access

UNIT: Final = "nesgw"
_BOOTED: Final = Path("/run/systemd/system")
_FIRST_VALUE: Final = 45.0  # seconds from the start to the first reading, on a bad line


def is_installed() -> bool:
    """Whether systemd runs here and knows the service."""
    return _BOOTED.is_dir() and _systemctl("cat", UNIT)


def is_active() -> bool:
    """Whether the service runs."""
    return is_installed() and _systemctl("is-active", UNIT)


def stop() -> bool:
    """Stop it, for who needs its port."""
    return _systemctl("stop", UNIT)


def start() -> bool:
    """Start it again."""
    return _systemctl("start", UNIT)


def enable() -> bool:
    """Start it now, with what is configured now, and at every start of the machine."""
    return _systemctl("enable", UNIT) and _systemctl("restart", UNIT)


def process() -> str:
    """The number of its process, as text."""
    return _said("show", "--property=MainPID", "--value", UNIT).strip()


def _systemctl(*words: str) -> bool:
    done = _done(words)
    return done is not None and done.returncode == 0


def _said(*words: str) -> str:
    done = _done(words)
    return done.stdout if done else ""


def _done(words: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    program = shutil.which("systemctl")
    if program is None:
        return None
    return subprocess.run([program, *words], check=False, capture_output=True, text=True)  # noqa: S603 (our own words)


def doctor(config: Path) -> int:
    """Run nesgw doctor with the eyes of the service's user; with our own where we cannot. Return its exit code."""
    user = access.service_user()
    rights: dict[str, Any] = {}
    if user is not None and os.geteuid() == 0:
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        rights = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups, "cwd": "/"}
    sys.stdout.flush()
    # -P: nothing that lies in the present folder takes the place of a module.
    command = [sys.executable, "-P", "-m", "nesgw", "doctor", "--config", str(config.absolute())]
    return subprocess.run(command, check=False, **rights).returncode  # noqa: S603 (ourselves)


def first_value(folder: Path, since: float) -> Report | None:
    """Wait for the service's first reading after a moment (as time.time() has it); return what it says of it."""
    until = time.monotonic() + _FIRST_VALUE
    with Progress() as progress:
        while time.monotonic() < until:
            progress.step("waiting for the first reading of the service")
            report = load_report(folder)
            if report is not None and report.last_read is not None and report.last_read.timestamp() >= since:
                return report
            time.sleep(0.5)
    return None
