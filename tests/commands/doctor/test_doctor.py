"""nesgw doctor as a user runs it, with a simulated meter on a pseudo terminal and a real broker."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from nesgw.commands import main
from nesgw.commands.doctor import meter_steps
from nesgw.config import access, credentials
from nesgw.ports.serial_port import open_port
from nesgw.publishers.mqtt import retained
from nesgw.simulator import DEFAULT_KEY, Code, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker

KEY = DEFAULT_KEY.decode()
WRONG = "0123456789abcdefghij"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_steps, "_PERIOD", 0.05)
    monkeypatch.setattr(meter_steps, "_ATTEMPTS", 4)
    monkeypatch.setattr(retained, "QUIET", 0.2)


@pytest.fixture(autouse=True)
def _no_service_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nesgw is installed would ask whether its user may open the pseudo terminal."""

    def unknown(name: Any) -> None:
        raise KeyError(name)

    monkeypatch.setattr("nesgw.config.access.pwd.getpwnam", unknown)


@pytest.fixture
def line() -> Iterator[Any]:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Any]:
    """Write a configuration for a port and return its path."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk:

        def write(port: Any, key: Any = KEY, mqtt: str = "enabled = false") -> str:
            path = tmp_path / "config.toml"
            path.touch(0o600)
            key_line = f'key = "{key}"\n' if key else ""
            path.write_text(
                f'[[meter]]\nname = "house"\nport = "{port}"\n{key_line}'
                f'[cache]\ndirectory = "{ram_disk}"\n[mqtt]\n{mqtt}\n'
            )
            cast(Any, write).folder = Path(ram_disk, "house")
            return str(path)

        yield write


def examined(config: Any, capsys: Any) -> tuple[Any, ...]:
    """The exit code, the whole text, and the first line of each step by its title."""
    code = main(["doctor", "--config", config])
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith(("ok ", "failed ", "skipped "))]
    return code, text, {line[9:25].strip(): line.split()[0] + ": " + line[25:] for line in lines}


def service_said(folder: Any, last_error: Any | None = None, age: float = 0.0, kind: str = "no_answer") -> None:
    """What a running service leaves on the RAM disk."""
    now = datetime.now(UTC).isoformat()
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_text(
        json.dumps(
            {
                "last_read": None if last_error else now,
                "last_error": last_error,
                "last_error_kind": kind if last_error else None,
            }
        )
    )
    (folder / "reading.json").write_text(json.dumps({"time": now, "power": 512, "energy_import": 12.345}))
    then = time.time() - age
    os.utime(folder / "status.json", (then, then))


def test_all_is_well(line: Any, configured: Any, broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, steps = examined(configured(line.path, mqtt=f'host = "127.0.0.1"\nport = {broker.port}'), capsys)
    assert code == 0
    assert list(steps) == [
        "configuration",
        "service's files",
        "key",
        "port",
        "permission",
        "port free",
        "probe echo",
        "meter answers",
        "open tables",
        "key accepted",
        "tables",
        "sub-meters",
        "RAM disk",
        "broker",
        "broker's TLS",
        "broker's login",
        "broker's topics",
    ]
    assert steps["key"] == "ok: recognised as 20 characters"
    assert steps["probe echo"] == "ok: none"
    assert steps["open tables"] == "ok: ELON 83331-3I, serial number 4080123456, firmware 3.84.06"
    assert steps["key accepted"] == "ok: the meter took it"
    assert "values; power" in steps["tables"]
    assert text.endswith("\nall is well\n")
    assert KEY not in text


def test_an_owner_who_still_waits_for_the_key_sees_probe_and_meter_proved(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, steps = examined(configured(line.path, key=""), capsys)
    assert code == 78
    assert steps["key"].startswith("failed: the meter has no key")
    assert "ask the utility for the optical read-only key" in text
    assert steps["open tables"].startswith("ok: ELON 83331-3I, serial number 4080123456")
    assert steps["key accepted"] == "skipped: needs: key"
    assert line.meter.counters.requests["security"] == 0
    assert text.endswith("1 of 17 steps needs attention: begin with 'key'\n")


def test_a_wrong_key_is_shown_once_and_never_printed(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, steps = examined(configured(line.path, key=WRONG), capsys)
    assert code == 77
    assert steps["key accepted"].startswith("failed: the meter refused the key")
    assert "do not try the same key again, for a meter counts wrong keys" in text
    assert line.meter.counters.wrong_keys == 1
    assert WRONG not in text


def test_a_key_that_the_service_was_refused_is_not_tried_again_until_it_is_another_one(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(line.path, key=WRONG)
    os.utime(config, (time.time() - 900,) * 2)
    service_said(configured.folder, "the meter refused the key", age=600, kind="key")
    code, _, steps = examined(config, capsys)
    assert code == 77
    assert steps["key accepted"].startswith("skipped: the meter refused it 10 min ago")
    assert line.meter.counters.wrong_keys == 0
    os.utime(config, (time.time() - 300,) * 2)
    assert examined(config, capsys)[2]["key accepted"].startswith("failed: the meter refused the key")
    assert line.meter.counters.wrong_keys == 1


def test_a_port_that_the_service_holds_is_judged_by_what_the_service_says(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(line.path)
    service_said(configured.folder)
    daemon = open_port(line.path)
    try:
        code, _, steps = examined(config, capsys)
    finally:
        daemon.close()
    assert code == 0
    assert steps["port free"].startswith("ok: held by the nesgw service (")
    assert steps["probe echo"].startswith("skipped: the service has the port")
    assert steps["meter answers"] == "ok: the service read it 0 s ago"
    assert steps["key accepted"] == "ok: the service reads with it"
    assert steps["tables"] == "ok: 2 values; power 512 W, energy import 12.345 kWh"
    assert line.meter.counters.bytes_in == 0


@pytest.fixture
def credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit hands the service its key."""
    unit = credentials.Credentials(["LoadCredential=house.key:/etc/credstore/house.key"])
    monkeypatch.setattr(credentials, "of_the_service", lambda: unit)


@pytest.mark.usefixtures("credential")
def test_a_key_that_only_the_service_sees_is_no_failure_while_it_reads(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(line.path, key="")
    service_said(configured.folder)
    daemon = open_port(line.path)
    try:
        code, _, steps = examined(config, capsys)
    finally:
        daemon.close()
    assert code == 0
    assert steps["key"] == "skipped: it is a systemd credential, which only the service sees"
    assert steps["key accepted"] == "ok: the service reads with it"


def test_a_service_that_cannot_read_is_quoted(line: Any, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(line.path)
    daemon = open_port(line.path)
    try:
        service_said(configured.folder, "/dev/x: the meter does not answer: seat the probe")
        code, _, steps = examined(config, capsys)
        assert code == 69
        assert steps["meter answers"].startswith("failed: the service says: /dev/x: the meter does not answer")
        assert steps["tables"] == "skipped: needs: key accepted"
        service_said(configured.folder, "the meter refused the key", kind="key")
        code, _, steps = examined(config, capsys)
        assert code == 77
        assert steps["meter answers"].startswith("ok: it does")
        assert steps["key accepted"].startswith("skipped: the meter refused it 0 s ago")
    finally:
        daemon.close()


def test_a_port_that_another_program_holds_is_69_and_names_it(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = open_port(line.path)
    try:
        code, text, steps = examined(configured(line.path), capsys)
    finally:
        other.close()
    assert code == 69
    assert f"(process {os.getpid()})" in steps["port free"]
    assert "stop that program" in text
    assert steps["tables"] == "skipped: needs: key accepted"


def test_swapped_optics_are_69_and_the_remedy_is_to_turn(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    line.meter.faults.deaf()
    line.meter.faults.echo()
    code, text, steps = examined(configured(line.path), capsys)
    assert code == 69
    assert steps["probe echo"] == "failed: only the probe's own light comes back"
    assert "→ transmitter and receiver are swapped: turn it by 180°" in text
    assert steps["meter answers"] == "skipped: needs: probe echo"


def test_a_meter_that_identifies_itself_and_refuses_the_logon_may_want_tls_or_time(
    configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with PtyLine(SimulatedMeter("83331-3i", logon_refused=Code.ERR), baud=None) as line:
        code, text, steps = examined(configured(line.path), capsys)
    assert code == 69
    assert steps["meter answers"].startswith("ok: answered 4 of 4")
    assert steps["open tables"].startswith("failed: the meter refused Logon")
    assert "a meter ignores its optical port for five" in text
    assert "ask for TLS" in text


def test_no_probe_at_all(configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, steps = examined(configured("/dev/nes-ir-probe"), capsys)
    assert code == 69
    assert steps["port"] == "failed: /dev/nes-ir-probe: no such device"
    assert steps["RAM disk"].startswith("ok")


def test_mistakes_in_the_configuration_are_78_with_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[[meter]]\nname = "house"\npoll_intervall = "10s"\nbaud = 5\n')
    code, text, steps = examined(str(path), capsys)
    assert code == 78
    assert "unknown option; did you mean 'poll_interval'?" in text
    assert "meter.house.baud" in text
    assert steps["all else"] == "skipped: needs: configuration"


def test_several_meters_are_told_apart_and_one_can_be_chosen(
    configured: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.toml"
    path.write_text(
        '[[meter]]\nname = "house"\nport = "/dev/a"\n[[meter]]\nname = "barn"\nport = "/dev/b"\n'
        '[cache]\ndirectory = "/dev/shm"\n[mqtt]\nenabled = false\n'
    )
    main(["doctor", "--config", str(path)])
    said = capsys.readouterr().out
    assert "failed   house: port            /dev/a: no such device" in said
    assert "failed   barn: port             /dev/b: no such device" in said
    main(["doctor", "--config", str(path), "--meter", "barn"])
    assert "/dev/a" not in capsys.readouterr().out


def test_a_key_file_that_holds_no_key_is_a_failure_however_well_the_service_read_before(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(line.path, key=KEY[:19])
    service_said(configured.folder)
    code, text, steps = examined(config, capsys)
    assert code == 78
    assert steps["key"].startswith("failed: ")
    assert "19 characters" in steps["key"]
    assert "copy it again from the utility's letter: all of it" in text
    assert "ask the utility" not in text
    assert "all is well" not in text
    assert KEY[:19] not in text


def test_a_missing_key_file_is_a_failure_however_well_the_service_read_before(
    line: Any, configured: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(line.path, key="")
    text = Path(config).read_text().replace("[cache]", f'key_file = "{tmp_path}/none.key"\n[cache]')
    Path(config).write_text(text)
    service_said(configured.folder)
    code, _, steps = examined(config, capsys)
    assert code == 78
    assert steps["key"].startswith("failed: ")


def test_a_meter_can_be_looked_at_before_there_is_a_configuration(
    line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "house.key"
    key.touch(0o600)
    key.write_text(KEY)
    assert main(["doctor", "--port", line.path, "--key-file", str(key)]) == 0
    said = capsys.readouterr().out
    assert "ok       key accepted    the meter took it" in said
    assert "configuration" not in said
    assert said.endswith("\nall is well\n")


def test_without_a_key_file_it_says_that_no_key_was_tried(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--port", line.path, "--interface", "optical"]) == 0
    said = capsys.readouterr().out
    assert "skipped  key             none was given (--key-file FILE)" in said
    assert "ok       open tables     ELON 83331-3I" in said
    assert said.endswith("\nall is well, as far as it goes without a key\n")
    assert line.meter.counters.requests["security"] == 0


@pytest.mark.parametrize(
    "options", [["--key-file", "x"], ["--interface", "optical"], ["--port", "x", "--meter", "house"]]
)
def test_options_that_do_not_go_together_are_wrong_usage(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *options]) == 64
    assert "see: nesgw doctor --help" in capsys.readouterr().err


@pytest.fixture
def service_user(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The machine has a user for the service, who is in no group of this port's."""
    user = pwd.struct_passwd(("nesgw", "x", 64321, 64321, "", "/nonexistent", "/usr/sbin/nologin"))
    monkeypatch.setattr(meter_steps, "service_user", lambda: user)
    monkeypatch.setattr(os, "getgrouplist", lambda name, group: [group])
    return user


def of_group(path: Any, group: Any) -> None:
    path.chmod(0o660)
    os.chown(path, 0, group)


@pytest.mark.usefixtures("service_user")
def test_where_only_the_service_lacks_the_permission_all_else_is_tried(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    of_group(Path(line.path).resolve(), grp.getgrnam("dialout").gr_gid)
    code, text, steps = examined(configured(line.path), capsys)
    assert code == 77
    assert steps["permission"].startswith("failed: ")
    assert "sudo usermod -aG dialout nesgw" in text
    assert steps["key accepted"] == "ok: the meter took it"
    assert "values" in steps["tables"]


@pytest.mark.usefixtures("service_user")
def test_nobody_is_told_to_join_the_group_of_root(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    of_group(Path(line.path).resolve(), 0)
    code, text, steps = examined(configured(line.path), capsys)
    assert code == 77
    assert "usermod" not in text
    assert 'GROUP="dialout"' in text
    assert steps["tables"].startswith("ok")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have another user's rights")
def test_a_file_that_the_services_user_cannot_read_is_named_with_the_command(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str], service_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "service_user", lambda: service_user)
    code, text, steps = examined(configured(line.path), capsys)
    assert steps["service's files"].startswith("failed: the service's user nesgw cannot")
    assert "config.toml" in text
    assert code == 78


def test_a_program_that_was_there_first_and_locks_nothing_is_named(
    line: Any, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    thief = subprocess.Popen(["sleep", "60"], stdin=os.open(line.path, os.O_RDWR | os.O_NOCTTY))
    try:
        code, _, steps = examined(configured(line.path), capsys)
    finally:
        thief.kill()
        thief.wait()
    assert code == 69
    assert f"in use by sleep (process {thief.pid}) at the same time" in steps["port free"]
    assert steps["tables"].startswith("skipped")


def test_a_bridge_that_the_service_reads_through_is_left_alone(
    configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most bridges serve one at a time, and some drop the first client for the second."""
    with socket.create_server(("127.0.0.1", 0)) as bridge:
        bridge.settimeout(0.2)
        config = configured(f"socket://127.0.0.1:{bridge.getsockname()[1]}")
        service_said(configured.folder)
        code, _, steps = examined(config, capsys)
        with pytest.raises(TimeoutError):
            bridge.accept()
    assert code == 0
    assert steps["permission"].startswith("ok: not needed on the network; the service has the connection")
    assert steps["port free"].startswith("ok: held by the nesgw service")
    assert steps["key accepted"] == "ok: the service reads with it"


@pytest.mark.parametrize(
    ("said", "device"),
    [
        (b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n", "a GPS receiver"),
        (bytes.fromhex("1b1b1b1b01010101 7605005346010102"), "an SML meter"),
        (b"\r\nraspberrypi login: ", "a login console"),
        (bytes(20), "a line that is held low"),
    ],
)
def test_something_else_on_the_port_is_named_and_no_probe_is_to_be_turned(
    configured: Any, capsys: pytest.CaptureFixture[str], said: bytes, device: str
) -> None:
    with talking(said) as port:
        code, text, steps = examined(configured(port), capsys)
    assert code == 69
    assert steps["meter answers"].startswith("failed: not a meter")
    assert f"→ {device}" in text
    assert "turn" not in text


@contextmanager
def talking(said: Any) -> Iterator[Any]:
    """A port on which something speaks that is no meter."""
    far, near = os.openpty()
    tty.setraw(near)
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.05):
            os.write(far, said)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield os.ttyname(near)
    finally:
        over.set()
        thread.join()
        os.close(near)
        os.close(far)
