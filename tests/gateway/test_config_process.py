"""The configuration read in a process of its own is the same configuration, and says the same of mistakes."""

import subprocess
import sys

import pytest

from nesgw.config import schema as config
from nesgw.errors import ConfigError
from nesgw.gateway import config_process as apart

TEXT = """
[[meter]]
name = "house"
port = "/dev/ttyUSB0"
key = "a7941d85bce8a8fa2ab7"
poll_interval = "2s"
baud = "negotiate"
[mqtt]
host = "broker"
username = "me"
password = "very secret"
[mqtt.tls]
enabled = true
"""


def written(folder, text):
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_every_value_arrives(tmp_path):
    path = written(tmp_path, TEXT)
    loaded, secrets = apart.loading(path)()
    expected, expected_secrets = config.load(path)
    for section in ("gateway", "cache", "mqtt", "homeassistant"):
        for name in type(getattr(expected, section)).model_fields:
            if name not in ("password", "tls"):
                assert getattr(getattr(loaded, section), name) == getattr(getattr(expected, section), name)
    assert loaded.mqtt.tls.enabled is True
    assert (loaded.meter[0].poll_interval, loaded.meter[0].baud, loaded.meter[0].first_baud) == (2.0, "negotiate", 9600)
    assert secrets.keys == expected_secrets.keys
    assert secrets.mqtt_password == "very secret"
    assert not hasattr(loaded.mqtt, "password")


def test_every_mistake_arrives(tmp_path):
    path = written(tmp_path, TEXT.replace("poll_interval", "pole_interval"))
    with pytest.raises(ConfigError) as mistake:
        apart.loading(path)()
    with pytest.raises(ConfigError) as expected:
        config.load(path)
    assert mistake.value.problems == expected.value.problems


def test_the_daemon_itself_knows_no_validator():
    code = "import nesgw.commands.run, nesgw.gateway.daemon, sys; print('pydantic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_what_changes_slowly_is_not_imported_before_the_first_value():
    code = "import nesgw.commands.run, nesgw.gateway.daemon, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"nesgw.gateway.slow_tables", "nesgw.tables.clock", "nesgw.tables.mbus"} & set(said.split())


def test_the_other_process_is_not_waited_for_and_leaves_nothing_behind(tmp_path):
    code = (
        "import os, sys, time, pathlib; from nesgw import apart\n"
        "apart.loading(pathlib.Path(sys.argv[1]))()\n"
        "try:\n"
        "    while True:\n"
        "        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT); time.sleep(0.01)\n"
        "except ChildProcessError:\n"
        "    print('none')\n"
    )
    command = [sys.executable, "-c", code, str(written(tmp_path, TEXT))]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout == "none\n"
