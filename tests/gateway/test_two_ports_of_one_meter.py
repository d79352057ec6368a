"""Two [[meter]] blocks that lead to one meter, by its optical port and by its MEP port: it is said, and one is left."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from nesgw.simulator import DEFAULT_KEY, MepPort, PtyLine, SimulatedMeter
from tests.broker_fixtures import eventually
from tests.faults.process import Daemon


def test_the_second_says_whose_number_it_has_and_leaves_the_line_to_the_first(tmp_path: Path) -> None:
    meter = SimulatedMeter("83331-3i")
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk,
        PtyLine(meter, baud=None) as optical,
        PtyLine(MepPort(SimulatedMeter("83331-3i")), baud=None) as mep,
    ):
        config = tmp_path / "config.toml"
        config.touch(0o600)
        config.write_text(
            "".join(
                f'[[meter]]\nname = "{name}"\ninterface = "{name}"\nport = "{line.path}"\npoll_interval = "1s"\n'
                f'key = "{DEFAULT_KEY.decode()}"\n'
                for name, line in (("optical", optical), ("mep", mep))
            )
            + f'[cache]\ndirectory = "{ram_disk}"\n[mqtt]\nenabled = false\n'
        )
        daemon = Daemon(config, tmp_path / "log")
        try:
            taken = eventually(lambda: refused(Path(ram_disk)), "one of the two is refused", 30.0)
            first, second = ("mep", "optical") if taken == "optical" else ("optical", "mep")
            said = status(Path(ram_disk), second)
            assert said["last_error_kind"] == "identity"
            assert f"another meter of this gateway has the same number 4080123456: meter {first}" in said["last_error"]
            polls = said["polls"]
            before = status(Path(ram_disk), first)["polls"]
            time.sleep(4.0)
            assert status(Path(ram_disk), second)["polls"] == polls, "it looks again in a minute, not in a second"
            assert status(Path(ram_disk), first)["polls"] > before
            assert "share one line" in (tmp_path / "log").read_text()
        finally:
            assert daemon.end() == 0


def refused(ram_disk: Path) -> str | None:
    names = ("optical", "mep")
    found = [name for name in names if (ram_disk / name / "status.json").exists()]
    return next((name for name in found if status(ram_disk, name)["last_error_kind"] == "identity"), None)


def status(ram_disk: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ram_disk / name / "status.json").read_text())
    return content
