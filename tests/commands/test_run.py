"""nesgw run: what it leaves out. What it does is tested with the gateway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nesgw.commands.run import UNUSED

PROGRAM = """
import sys
from nesgw.commands.run import leave_out_unused
leave_out_unused()
import paho.mqtt.client, structlog
import nesgw.gateway.daemon
print(*(name for name in sys.modules if sys.modules[name] and name.partition(".")[0] in %r))
"""


@pytest.mark.parametrize("name", UNUSED)
def test_what_no_daemon_uses_is_not_loaded_with_the_libraries_that_would(tmp_path: Path, name: str) -> None:
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('loaded for nothing')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % (UNUSED,)], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
