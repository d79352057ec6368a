"""The fault matrix, third part: the real daemon, pseudo terminals, a real mosquitto, real signals.

The rows run side by side, three at a time, and each test waits for its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from nesgw.errors import PortUnavailable
from nesgw.meter.meter import Meter
from nesgw.ports.find import find_port
from nesgw.ports.serial_port import open_port
from nesgw.simulator import PtyLine
from tests.broker_fixtures import Listener, eventually, retained_topics
from tests.faults.figures import Figures, memory
from tests.faults.process import KEY, Daemon, ServiceManager, Stage, block
from tests.faults.rows import LINE, MEETINGS
from tests.home_assistant import expanded
from tests.virtual import settings_with

ID = "4080123456"
ROOT = os.geteuid() == 0
INTERVAL = 2.0
# At so short an interval the standard's own time-outs are longer: 2 s for an acknowledgement, 6 s for an answer or
# for a channel to fall to its base state. The rows in virtual time hold the default interval's 10 s exactly.
STANDARD = 12.0

ROWS = {}


def row(function: Any) -> Any:
    ROWS[function.__name__] = function
    return function


# --- Line and session: a meter for each fault, all behind one daemon --------------------------------------------------

SHARED = [row for row in (*LINE, *MEETINGS) if row.profile == "83331-3i" and row.lasts < 300]


@row
def faults_of_the_line_side_by_side(stage: Stage) -> Any:
    meters = [stage.meter(f"{4080100000 + number}") for number, _ in enumerate(SHARED)]
    ports = [stage.line(meter) for meter in meters]
    stage.listen()
    blocks = [
        block(port.path, f"m{number}", f"{INTERVAL:.0f}s", more=f'session = "{fault.mode}"')
        for number, (port, fault) in enumerate(zip(ports, SHARED, strict=True))
    ]
    daemon = stage.start(stage.configure(*blocks))
    for meter in meters:
        stage.recovered(0.0, meter.serial, 60)
    before = daemon.memory
    for meter, fault in zip(meters, SHARED, strict=True):
        for each in fault.plan:
            if each.at == 0:
                getattr(meter.faults, each.name)(**each.arguments)
    until = time.monotonic() + 6.0
    while time.monotonic() < until:
        stage.watch()
        time.sleep(0.05)
    ends = []
    for meter in meters:
        if meter.faults.active.flood_until == 0:
            meter.faults.clear()
        meter.faults.clear()
        ends.append(time.monotonic())
    found = []
    for meter, fault, end in zip(meters, SHARED, ends, strict=True):
        recovery = stage.recovered(end, meter.serial, 60)
        figures = stage.figures(max(sum(meter.faults.done.values()), 1), recovery, STANDARD, before)
        figures.fault = fault.name
        figures.published, figures.wrong = len(stage.states[meter.serial]), len(stage.wrong[meter.serial])
        found.append(figures)
    assert daemon.end() == 0
    return found


# --- The port --------------------------------------------------------------------------------------------------------


def take_terminal(path: Any) -> Any:
    """Hold new terminals until this name is taken, so that the next one has another."""
    held = []
    for _ in range(50):
        held += os.openpty()
        if os.ttyname(held[-1]) == path:
            break
    return held


@row
def unplugged_and_back_under_another_name(stage: Stage) -> Any:
    """As udev does it: the name under by-id is a link, and the terminal behind it is another one each time."""
    meter, link = stage.meter(), stage.folder / "by-id"
    stage.listen()
    with PtyLine(meter, baud=None, link=link) as first:
        daemon = stage.start(stage.configure(block(link)))
        stage.recovered(0.0)
        before = daemon.memory
        was = first.path
    daemon.wait_for("unplugged")
    taken = take_terminal(was)
    with PtyLine(meter, baud=None, link=link) as second:
        since = time.monotonic()
        assert second.path != was
        recovery = stage.recovered(since)
        assert daemon.said.count("unplugged") == 1
        daemon.end()
    for descriptor in taken:
        os.close(descriptor)
    return stage.figures(1, recovery, 7.0, before)


@row
def held_by_another_program(stage: Stage) -> Any:
    meter, link = stage.meter(), stage.folder / "by-id"
    stage.listen()
    with PtyLine(meter, baud=None) as line:
        holder = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        link.symlink_to(line.path)
        daemon = stage.start(stage.configure(block(link)))
        daemon.wait_for("in use by")
        before = daemon.memory
        time.sleep(6)
        assert daemon.said.count("in use by") == 1
        since = time.monotonic()
        os.close(holder)
        recovery = stage.recovered(since)
        daemon.end()
    return stage.figures(1, recovery, 7.0, before)


@row
def permission_lost(stage: Stage) -> Any:
    """Root may do everything, so that as root the daemon runs without that privilege."""
    meter, link = stage.meter(), stage.folder / "by-id"
    stage.listen()
    config = stage.configure(block(link))
    with PtyLine(meter, baud=None) as first:
        link.symlink_to(first.path)
        daemon = stage.start(config, obedient=True)
        stage.recovered(0.0)
        before = daemon.memory
    taken = take_terminal(first.path)
    with PtyLine(meter, baud=None) as second:
        Path(second.path).chmod(0o000)
        link.unlink()
        link.symlink_to(second.path)
        daemon.wait_for("permission denied for user")
        assert "sudo" in daemon.said, "and what to do"
        since = time.monotonic()
        Path(second.path).chmod(0o666)
        recovery = stage.recovered(since)
        assert daemon.said.count("permission denied for user") == 1
        daemon.end()
    for descriptor in taken:
        os.close(descriptor)
    return stage.figures(1, recovery, 7.0, before)


class Probe(NamedTuple):
    """What pyserial's list of ports says of a USB adapter."""

    device: str
    vid: int = 0x0403


@row
def auto_follows_the_only_probe_to_its_new_name(stage: Stage) -> Any:
    """In this process, because no pseudo terminal is a USB device: what is plugged in is told to find_port."""
    by_id, plugged = stage.folder / "by-id", []
    by_id.mkdir()
    meter = Meter(
        settings_with(port="auto"),
        opener=lambda _port, **options: open_port(find_port(lambda: plugged, by_id), **options),
    )
    simulated = stage.meter()
    before = memory()

    def read() -> Any:
        try:
            with meter.session(time.monotonic() + 8.5):
                meter.facts()
                stage.states[ID].append(time.monotonic())
                return meter.reading()
        except PortUnavailable as error:
            said.append(type(error).__name__)
            return None

    said = []
    with PtyLine(simulated, baud=None) as first:
        plugged.append(Probe(first.path))
        (by_id / "usb-probe").symlink_to(first.path)
        assert read() is not None
    plugged.clear()
    assert read() is None
    assert read() is None
    taken = take_terminal(first.path)
    with PtyLine(simulated, baud=None) as second:
        plugged.append(Probe(second.path))
        (by_id / "usb-probe").unlink()
        since = time.monotonic()
        assert read() is not None
        meter.close()
    for descriptor in taken:
        os.close(descriptor)
    assert said == ["PortLost", "NoProbe"]
    return Figures(
        "auto follows the probe to its new name", "process", 1, 2, 0, time.monotonic() - since, 7.0, (before, memory())
    )


# --- The broker ------------------------------------------------------------------------------------------------------


@row
def broker_absent_at_the_start(stage: Stage) -> Any:
    line = stage.line(stage.meter())
    daemon = stage.start(stage.configure(block(line.path)))
    daemon.wait_for("no broker listens there")
    eventually(lambda: (stage.ram_disk / "house/reading.json").exists(), "a reading without a broker")
    before = daemon.memory
    time.sleep(4)
    since = time.monotonic()
    stage.listen()
    recovery = stage.recovered(since)
    stage.listener.wait_for(f"homeassistant/device/nesgw_{ID}/config")
    assert daemon.said.count("no broker listens there") == 1
    daemon.end()
    return stage.figures(1, recovery, 12.0, before)


@row
def broker_restarted_without_its_memory(stage: Stage) -> Any:
    line = stage.line(stage.meter())
    stage.listen()
    daemon = stage.start(stage.configure(block(line.path)))
    stage.recovered(0.0)
    before = daemon.memory
    stage.broker.stop()
    time.sleep(5)
    stage.watch()
    stage.broker.start()
    since = time.monotonic()
    kept = {}

    def complete() -> Any:
        kept.update(retained_topics(stage.broker.port))
        return {f"nesgw/{ID}/{part}" for part in ("state", "info", "status", "availability")} <= kept.keys()

    eventually(complete, "everything is there again")
    recovery = time.monotonic() - since
    assert f"homeassistant/device/nesgw_{ID}/config" in kept
    assert "homeassistant/device/nesgw_gateway_nesgw/config" in kept
    assert kept[f"nesgw/{ID}/availability"] == kept["nesgw/gateway/nesgw/availability"] == "online"
    newest = json.loads((stage.ram_disk / "house/reading.json").read_text())
    assert newest["time"][:15] == json.loads(kept[f"nesgw/{ID}/state"])["time"][:15]
    stage.listener.close()
    stage.listener = None
    daemon.end()
    stage.listener = Listener(stage.broker.port)
    return stage.figures(1, recovery, 12.0, before)


@row
def broker_that_stands_still(stage: Stage) -> Any:
    """Unreachable with the connection standing: nothing piles up, and the newest state is there when it goes on."""
    line = stage.line(stage.meter())
    stage.listen()
    daemon = stage.start(stage.configure(block(line.path)))
    stage.recovered(0.0)
    before = daemon.memory
    stage.broker.freeze(True)
    time.sleep(8)
    stage.broker.freeze(False)
    since = time.monotonic()
    recovery = stage.recovered(since)
    daemon.end()
    return stage.figures(1, recovery, 3.0, before)


@row
def broker_refuses_the_login_until_the_password_is_right(stage: Stage) -> Any:
    passwords = stage.folder / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "meter", "another"], check=True)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "ear", "listens"], check=True)
    conf = stage.folder / "mosquitto.conf"
    conf.write_text(
        conf.read_text().replace("allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}")
    )
    stage.broker.start()
    stage.listener = Listener(stage.broker.port, username="ear", password="listens")
    line = stage.line(stage.meter())
    daemon = stage.start(stage.configure(block(line.path), mqtt='username = "meter"\npassword = "correct horse"'))
    daemon.wait_for("refused the login")
    before = daemon.memory
    time.sleep(3)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "meter", "correct horse"], check=True)
    stage.broker._process.send_signal(signal.SIGHUP)
    since = time.monotonic()
    recovery = stage.recovered(since, timeout=30)
    assert daemon.said.count("refused the login") == 1
    assert "correct horse" not in daemon.said
    daemon.end()
    return stage.figures(1, recovery, 15.0, before)


@row
def broker_full_of_our_own_old_retained_topics(stage: Stage) -> Any:
    """Of an older version, with entities that there are no more, damaged states, and meters long gone."""
    listener = stage.listen()
    gone = {"platform": "sensor", "unique_id": f"nesgw_{ID}_gone"}
    alarm = {"platform": "binary_sensor", "unique_id": f"nesgw_{ID}_alarm_low_battery"}
    old = {"device": {"identifiers": [f"nesgw_{ID}"]}, "components": {"gone": gone, "alarm_low_battery": alarm}}
    listener.say(f"homeassistant/device/nesgw_{ID}/config", json.dumps(old), retain=True)
    listener.say(f"nesgw/{ID}/state", '{"time": "yesterday", "energy_import": "many", "gone": [1]', retain=True)
    listener.say(f"nesgw/{ID}/availability", "online", retain=True)
    listener.say("nesgw/gateway/nesgw/status", '{"meters": {"house": {"id": 7}, "barn": []}}', retain=True)
    for number in range(1500):
        listener.say(f"nesgw/{number}/{('state', 'info', 'status', 'value/x')[number % 4]}", "{}" * 50, retain=True)
    listener.heard.clear()
    line = stage.line(stage.meter())
    since = time.monotonic()
    daemon = stage.start(stage.configure(block(line.path)))
    recovery = stage.recovered(since)
    before = daemon.memory
    topic, of_alarms = (f"homeassistant/device/nesgw_{ID}{each}/config" for each in ("", "_alarms"))
    removing = expanded(listener.wait_for(topic, since=since).payload)["components"]
    assert removing == {"gone": {"platform": "sensor"}}, "an entity is removed by its bare platform"
    let_go = listener.wait_for(topic, '{"migrate_discovery":true}', since=since).at
    config = expanded(listener.wait_for(topic, since=let_go + 1.0).payload)
    assert any("energy_import" in key for key in config["components"])
    assert "alarm_low_battery" not in config["components"], "it has moved"
    assert "alarm_low_battery" in expanded(listener.wait_for(of_alarms, since=let_go + 1.0).payload)["components"]
    assert len(listener.payloads(of_alarms)) == 1, "not before it was let go"
    daemon.end()
    return stage.figures(1504, recovery, 6.0, before)


# --- The process -----------------------------------------------------------------------------------------------------


@row
def killed_at_any_moment(stage: Stage) -> Any:
    line = stage.line(stage.meter())
    stage.listen()
    config = stage.configure(block(line.path))
    slowest, before = 0.0, 0.0
    for number in range(6):
        since = time.monotonic()
        daemon = stage.start(config)
        slowest = max(slowest, stage.recovered(since))
        before = before or daemon.memory
        time.sleep(0.37 * number)
        daemon.end(signal.SIGKILL)
        for file in (stage.ram_disk / "house").glob("[!.]*.json"):
            json.loads(file.read_text())
        assert len((stage.ram_disk / "house/BT23").read_bytes()) == 44
    # The next start finds a meter that is silent: what the broker remembers as online is not.
    cast(Any, line.meter).faults.silence()
    assert retained_topics(stage.broker.port)[f"nesgw/{ID}/availability"] == "online"
    since = time.monotonic()
    stage.start(config)
    stage.listener.wait_for(f"nesgw/{ID}/availability", "offline", since=since)
    cast(Any, line.meter).faults.clear()
    stage.listener.wait_for(f"nesgw/{ID}/availability", "online", since=since)
    stage.daemons[-1].end()
    return stage.figures(6, slowest, 8.0, before)


@row
def ram_disk_full(stage: Stage) -> Any:
    if not ROOT:
        return None
    mount = stage.folder / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], check=True)
    try:
        line = stage.line(stage.meter())
        stage.listen()
        daemon = stage.start(stage.configure(block(line.path), cache=mount))
        stage.recovered(0.0)
        before = daemon.memory
        with (mount / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))

            except OSError:
                pass
        daemon.wait_for("No space left")
        stage.recovered(time.monotonic())  # MQTT goes on
        json.loads((mount / "house/reading.json").read_text())
        (mount / "filler").unlink()
        since = time.monotonic()
        daemon.wait_for("the RAM disk works again")
        recovery = time.monotonic() - since
        assert daemon.said.count("No space left") == 1
        daemon.end()
        return stage.figures(1, recovery, 3.0, before)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def said_so_often(daemon: Daemon, number: int) -> bool:
    return daemon.said.count("the old one stays in force") == number


@row
def sighup_with_wrong_files_and_then_a_right_one(stage: Stage) -> Any:
    line = stage.line(stage.meter())
    stage.listen()
    config = stage.configure(block(line.path))
    good = config.read_text()
    daemon = stage.start(config)
    stage.recovered(0.0)
    before = daemon.memory
    wrong = [
        good.replace("poll_interval", "pol_interval"),
        good.replace(KEY, "short"),
        good.replace(str(stage.ram_disk), "/var/tmp/nesgw"),  # a disk
        "[[[",
        "",
    ]
    for number, text in enumerate(wrong, 1):
        config.write_text(text)
        daemon.process.send_signal(signal.SIGHUP)
        eventually(partial(said_so_often, daemon, number), daemon.said[-2000:])
    config.unlink()
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.said.count("the old one stays in force") == len(wrong) + 1, daemon.said[-2000:])
    stage.recovered(time.monotonic())
    config.touch(0o600)  # it holds the key
    config.write_text(good + "[homeassistant]\nenabled = false\n")
    daemon.process.send_signal(signal.SIGHUP)
    since = time.monotonic()
    daemon.wait_for("the configuration was read again")
    recovery = stage.recovered(time.monotonic())
    assert daemon.process.poll() is None
    daemon.end()
    del since
    return stage.figures(len(wrong) + 1, recovery, 8.0, before)


HANGS = """
from nesgw.meter.session import MeterSession
import os

read = MeterSession.read

def blocked(self, part):
    if os.path.exists({fifo!r}):
        open({fifo!r}, "rb")  # nobody writes: the thread stays in the kernel
    return read(self, part)

MeterSession.read = blocked
"""


@row
def hang_ended_by_the_watchdog(stage: Stage) -> Any:
    """The thread of a meter blocks in the kernel and never comes back."""
    line = stage.line(stage.meter())
    stage.listen()
    manager = ServiceManager(stage.folder)
    config = stage.configure(block(line.path))
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "6000000"}
    fifo = stage.folder / "fifo"
    daemon = stage.start(config, defect=HANGS.format(fifo=str(fifo)), **environment)
    stage.recovered(0.0)
    before = daemon.memory
    time.sleep(2)
    assert time.monotonic() - manager.last("WATCHDOG=1") < 2

    os.mkfifo(fifo)
    hung = time.monotonic()
    eventually(lambda: time.monotonic() - manager.last("WATCHDOG=1") > 6, "the watchdog is not fed any more", 30)
    assert daemon.process.poll() is None, "it hangs, it did not end"
    daemon.end(signal.SIGABRT)  # as systemd does
    assert not list(stage.folder.glob("core*"))
    again = stage.start(config, **environment)
    recovery = stage.recovered(time.monotonic())
    assert manager.last("WATCHDOG=1") > hung
    again.end()
    manager.close()
    return stage.figures(1, recovery, 8.0, before)


FORMS = (
    KEY.encode(),
    KEY.encode().hex().encode(),
    KEY.encode().hex().upper().encode(),
    KEY.encode().hex(" ").encode(),
    KEY.encode().hex(":").encode(),
    *(separator.join(str(code) for code in KEY.encode()).encode() for separator in (" ", ",", ", ", ";", "-")),
    KEY.encode()[:10],
    KEY.encode()[10:],
)


@row
def key_and_password_in_nothing_that_it_writes(stage: Stage) -> Any:
    """At debug level, through a refusal, an echo that brings the key back, a restart and a defect-free end."""
    listener = stage.listen()
    manager = ServiceManager(stage.folder)
    line = stage.line(stage.meter())
    config = stage.configure(
        block(line.path), gateway='log_level = "debug"', mqtt='username = "u"\npassword = "correct horse"'
    )
    daemon = stage.start(config, NOTIFY_SOCKET=manager.path)
    stage.recovered(0.0)
    before = daemon.memory
    process = Path(f"/proc/{daemon.process.pid}")
    assert "Max core file size        0                    0" in (process / "limits").read_text()
    cast(Any, line.meter).faults.echo()
    time.sleep(3)
    cast(Any, line.meter).faults.clear()
    since = time.monotonic()
    recovery = stage.recovered(since)
    cast(Any, line.meter).key = b"0" * 20
    daemon.wait_for("refused the key")
    eventually(lambda: any("refused the key" in line for _, line in manager.heard), "it is in STATUS=")
    eventually(
        lambda: any("refused the key" in heard.payload for heard in listener.heard if "/status" in heard.topic),
        "it is on the status topic",
    )
    assert "-> Security" in daemon.said, "the debug level shows the exchange"
    seen = [(process / "cmdline").read_bytes(), (process / "environ").read_bytes()]
    daemon.end()
    seen += [daemon.log.read_bytes(), repr(manager.heard).encode(), repr(listener.heard).encode()]
    seen += [path.read_bytes() for path in stage.ram_disk.rglob("*") if path.is_file()]
    everything = b"\n".join(seen)
    for form in (*FORMS, b"correct horse"):
        assert form not in everything, form
    manager.close()
    return stage.figures(1, recovery, STANDARD, before)


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def performances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("matrix")

    def perform(name: Any) -> Any:
        with Stage(folder / name, name.replace("_", " ")) as stage:
            return ROWS[name](stage)

    with ThreadPoolExecutor(max_workers=3) as pool:
        yield {name: pool.submit(perform, name) for name in ROWS}


@pytest.mark.alone
@pytest.mark.parametrize("name", ROWS, ids=lambda name: name.replace("_", " "))
def test_the_daemon_recovers_by_itself_and_publishes_nothing_wrong(name: Any, performances: Any) -> None:
    result = performances[name].result()
    if result is None:
        pytest.skip("only root can do that")
    found = result if isinstance(result, list) else [result]
    for figures in found:
        figures.note()
    for figures in found:
        assert figures.wrong == 0
        assert figures.recovery <= figures.allowed, figures.fault
        assert figures.memory[1] - figures.memory[0] < 10
