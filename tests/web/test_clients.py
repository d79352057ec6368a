"""The service before the programs that it is made for: each runs as itself, in an environment or a process of its own.

What is not there is skipped, with a sentence. Nothing of AstraMeter (GPL) or the Dabbler integration is in here:

    ASTRAMETER      the command of an AstraMeter that was installed from its repository
    DABBLER         the integration's folder, custom_components/dabblerdk_powermeterreader
    DABBLER_PYTHON  the command of an interpreter that has homeassistant, and sees that folder

promtool, prometheus and victoria-metrics are Debian's packages of these names.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nesgw.config.settings import Address, HttpSettings
from nesgw.web.service import WebService
from nesgw.web.snapshot import MeterNow
from tests.web.house import HOUSE, STALE, STATE, Daemon

FRAME = b'{"id":1,"method":"EM.GetStatus","params":{"id":0}}'  # as a Marstek battery writes it: 50 bytes
OWN = b"GET %s HTTP/1.1\r\nHost: pi.local\r\n\r\n"


def now(**values: float) -> MeterNow:
    """The house, read now."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return replace(HOUSE, state={**STATE, "time": moment, **values}, read_at=time.monotonic())


class House:
    """The service with every emulation, on a port of its own."""

    def __init__(self, *, shelly: bool) -> None:
        self.daemon = Daemon((now(),))
        settings = HttpSettings(
            enabled=True,
            listen=(Address("127.0.0.1", 0),),
            ecotracker="house",
            tasmota="house",
            dabbler="house",
            shelly="house" if shelly else "",
        )
        self.service = WebService(settings, self.daemon)
        self.service.start()
        self.port = int(self.service.addresses[0][1])

    def becomes(self, meter: MeterNow) -> None:
        """Have the meter stand so from now on."""
        self.daemon.now = (meter,)
        self.service.wake()


@pytest.fixture
def house() -> Iterator[House]:
    found = House(shelly=True)
    yield found
    found.service.stop()


@pytest.fixture
def without_shelly() -> Iterator[House]:
    found = House(shelly=False)
    yield found
    found.service.stop()


pytestmark = pytest.mark.allows_warnings("UDP port (1010|2220)")  # another may hold the ports


def eventually(true: Callable[[], bool], what: str, wait: float = 20.0) -> None:
    end = time.monotonic() + wait
    while not true():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.1)


# EcoTracker


@pytest.fixture(scope="session")
def ecotracker_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with everHome's own library, which brings a package named tests with it."""
    home = request.config.rootpath / ".venv-ecotracker"
    python = home / "bin" / "python"
    with (home.parent / ".venv-ecotracker.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not python.exists() or subprocess.run([str(python), "-c", "import ecotracker"], check=False).returncode:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            wanted = ("ecotracker==0.1.15", "aiohttp")
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            made = subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", *wanted],
                check=False,
                env=environment,
                capture_output=True,
            )
            if made.returncode:
                shutil.rmtree(home)
                pytest.skip("needs everHome's library ecotracker of PyPI, which cannot be reached")
    return python


ECOTRACKER = """
import asyncio, json, sys
from ecotracker import EcoTracker

async def ask():
    tracker = EcoTracker("127.0.0.1", int(sys.argv[1]))
    return await tracker.async_update(), tracker.data

tracker = EcoTracker("127.0.0.1", int(sys.argv[1]))
print(json.dumps([[tracker.update(), tracker.data], asyncio.run(ask())]))
"""


def test_the_makers_own_library_reads_an_ecotracker(ecotracker_python: Path, house: House) -> None:
    def seen() -> Any:
        command = [str(ecotracker_python), "-c", ECOTRACKER, str(house.port)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    for done, data in seen():
        assert done is True
        assert [data[f"powerPhase{phase}"] for phase in (1, 2, 3)] == [121, -40, 815]
        assert (data["power"], data["energyCounterIn"], data["energyCounterOut"]) == (896, 21334181, 9007583)
    house.becomes(STALE)
    assert [done for done, _ in seen()] == [False, False]


def test_five_requests_on_one_kept_connection_have_exact_lengths(house: House) -> None:
    """As Jackery asks: no close, no chunks, head and body at once."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as client:
        for _ in range(5):
            client.sendall(OWN % b"/v1/json")
            head, _, body = client.recv(4096).partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert lines == [
                *(b"HTTP/1.1 200 OK", b"Content-Type: application/json"),
                b"Content-Length: %d" % len(body),
            ]
            assert json.loads(body)["power"] == 896


# Shelly


def post(port: int, path: str, body: bytes) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def test_evcc_gets_bare_results_for_the_frames_that_it_posts(house: House) -> None:
    """Its three, in its order, after GET /shelly."""
    with urllib.request.urlopen(f"http://127.0.0.1:{house.port}/shelly", timeout=5) as answer:
        about = json.loads(answer.read())
    assert (about["gen"], about["model"], about["auth_en"]) == (2, "SPEM-003CEBEU", False)
    frame = '{"id":0,"src":"evcc","method":"%s"}'

    def result(method: str) -> Any:
        return post(house.port, f"/rpc/{method}", (frame % method).encode())

    assert "EM.GetStatus" in result("Shelly.ListMethods")["methods"]
    status = result("EM.GetStatus")
    assert [status[f"{phase}_act_power"] for phase in "abc"] == [121.0, -40.0, 815.0]
    assert result("EMData.GetStatus")["total_act"] == 21334181.0


@pytest.mark.parametrize("port", [1010, 2220])
def test_a_datagram_of_fifty_bytes_is_answered_by_one(house: House, port: int) -> None:
    held = [each for each in vars(house.service)["_server"]._datagrams if each[0].getsockname()[1] == port]
    if not held:
        pytest.skip(f"needs UDP port {port}, which another holds or only root may open")
    assert len(FRAME) == 50
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as battery:
        battery.settimeout(5)
        battery.sendto(FRAME, ("127.0.0.1", port))
        answer, sender = battery.recvfrom(2000)
        assert sender == ("127.0.0.1", port)
        assert b'"a_act_power":121.0' in answer
        assert 250 <= len(answer) <= 600
        house.becomes(STALE)
        battery.sendto(FRAME, ("127.0.0.1", port))
        battery.settimeout(0.5)
        with pytest.raises(TimeoutError):
            battery.recv(2000)


SERVER = """
import sys, time
from nesgw.config.settings import Address, HttpSettings
from nesgw.web.service import WebService
from tests.web.house import Daemon
service = WebService(HttpSettings(enabled=True, listen=(Address("0.0.0.0", 8480),), shelly="house"), Daemon())
service.start()
print("ready", flush=True)
sys.stdin.read()
service.stop()
"""
BATTERY = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as battery:
    battery.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    battery.bind(("0.0.0.0", 22222))
    battery.settimeout(5)
    for port in (1010, 2220):
        battery.sendto(sys.argv[1].encode(), ("255.255.255.255", port))
        answer, sender = battery.recvfrom(2000)
        print(sender[0], sender[1], len(answer), b'"total_act_power":896.0' in answer)
"""


@contextmanager
def two_machines() -> Iterator[tuple[list[str], list[str]]]:
    """Two network namespaces with a cable between them; yields what runs a command in each."""
    names = [f"nesgw-test-{os.getpid()}-{end}" for end in "ab"]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, ("10.99.0.1/24", "10.99.0.2/24"), strict=True):
            ip("-n", name, "addr", "add", address, "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "route", "add", "default", "dev", "cable")
        yield ["ip", "netns", "exec", names[0]], ["ip", "netns", "exec", names[1]]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_a_battery_finds_it_by_broadcast(request: pytest.FixtureRequest) -> None:
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, for two machines with a cable between them")
    try:
        with two_machines() as (ours, its):
            root = request.config.rootpath
            server = subprocess.Popen(
                [*ours, sys.executable, "-c", SERVER],
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            with server:
                assert server.stdout is not None
                while (line := server.stdout.readline()) != b"ready\n":
                    assert line, "the service did not start"
                asked = [*its, sys.executable, "-c", BATTERY, FRAME.decode()]
                heard = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=30)
                server.communicate(b"", timeout=10)
            answers = [line.split() for line in heard.stdout.splitlines()]
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs network namespaces: {error.stderr.decode().strip()}")
    assert [(host, port, right) for host, port, _, right in answers] == [
        ("10.99.0.1", "1010", "True"),
        ("10.99.0.1", "2220", "True"),
    ], heard.stderr


# AstraMeter, which reads us for a battery

SOURCES = {
    "JSON_HTTP": "URL = http://127.0.0.1:{port}/v1/json\nJSON_PATHS = $.powerPhase1, $.powerPhase2, $.powerPhase3",
    "TASMOTA": (
        "IP = 127.0.0.1:{port}\nUSER =\nPASS =\nJSON_STATUS = StatusSNS\nJSON_PAYLOAD_MQTT_PREFIX = SML\n"
        "JSON_POWER_MQTT_LABEL = power_l1, power_l2, power_l3"
    ),
    "SHELLY": "TYPE = 3EMPro\nIP = 127.0.0.1:{port}\nUSER =\nPASS =",
}


@contextmanager
def astrameter(folder: Path, source: str, port: int) -> Iterator[socket.socket]:
    """AstraMeter behind a source; yields a battery's socket, connected to it. UDP 2223 is a port that is not ours."""
    command = os.environ.get("ASTRAMETER")
    if not command:
        pytest.skip("needs AstraMeter; name the command of one in ASTRAMETER")
    config = folder / "config.ini"
    general = "[GENERAL]\nDEVICE_TYPE = shellyproem50\nENABLE_WEB_SERVER = False\nSKIP_POWERMETER_TEST = True\n"
    config.write_text(f"{general}\n[{source}]\n{SOURCES[source].format(port=port)}\n")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([command, "-c", str(config)], cwd=folder, stdout=log, stderr=log)
        try:
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as battery:
                battery.connect(("127.0.0.1", 2223))
                yield battery
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def powers(battery: socket.socket) -> list[float] | None:
    """What the battery is given; None if that is silence."""
    battery.settimeout(3)
    try:
        battery.send(FRAME)
        result = json.loads(battery.recv(2000))["result"]
    except (TimeoutError, ConnectionRefusedError):
        return None
    return [result[f"{phase}_act_power"] for phase in "abc"]


@pytest.mark.parametrize(
    ("source", "first", "then"),
    [
        ("JSON_HTTP", [121, -40, 815], [130, -50, 820]),
        ("TASMOTA", [121, -40, 815], [130, -50, 820]),
        ("SHELLY", [896, 0, 0], [900, 0, 0]),  # it takes the total alone
    ],
)
def test_a_battery_behind_astrameter_hears_each_reading_and_of_a_silent_meter_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, source: str, first: list[int], then: list[int]
) -> None:
    house: House = request.getfixturevalue("house" if source == "SHELLY" else "without_shelly")
    with astrameter(tmp_path, source, house.port) as battery:

        def hears(expected: list[int]) -> Callable[[], bool]:
            return lambda: [round(value) for value in powers(battery) or []] == expected

        eventually(hears(first), f"first reading; {(tmp_path / 'log').read_text()}")
        house.becomes(now(power=900, power_l1=130, power_l2=-50, power_l3=820))
        eventually(hears(then), "next reading")
        house.becomes(STALE)
        eventually(lambda: powers(battery) is None, "silence")
        assert powers(battery) is None
        house.becomes(now())
        eventually(hears(first), "reading after the silence")


# Dabbler

READER = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from meter.meter import MeterReader

async def ask():
    reader = MeterReader(f"http://127.0.0.1:{sys.argv[2]}/", None)
    first = await reader.get_meter_data()
    reader._data_expires = None
    again = await reader.get_meter_data()
    print(json.dumps([first, again, await reader.is_connected(), await reader.is_stuck_with_prev_value()]))

asyncio.run(ask())
"""


def test_the_reader_of_the_dabbler_integration_takes_what_it_gets(house: House) -> None:
    folder, python = (os.environ.get(name) for name in ("DABBLER", "DABBLER_PYTHON"))
    if not folder or not python:
        pytest.skip("needs the Dabbler integration and Home Assistant's Python; see DABBLER and DABBLER_PYTHON")
    command = [*python.split(), "-", folder, str(house.port)]
    done = subprocess.run(command, input=READER, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, again, connected, stuck = json.loads(done.stdout)
    # The sixteen that its set-up demands, integers all of them; and who the meter is.
    for key in ("Fwd_Act_Wh", "Rev_Act_Wh", "Fwd_W", "Rev_W"):
        assert isinstance(first[key], int)
    for phase in (1, 2, 3):
        for key in ("Fwd_W", "Rev_W", "RMS_A", "RMS_V"):
            assert isinstance(first[f"L{phase}_{key}"], int)
    assert first["Utility_SN"] == "4080123458"
    assert again["Fwd_Act_Wh"] == 21334181
    assert (connected, stuck) == (True, False)


# Prometheus and VictoriaMetrics, which scrape us


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def scraper(name: str, folder: Path, target: int) -> Iterator[Callable[[str], Any]]:
    """A real server that scrapes us each second; yields what asks it a question."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"needs {name}, of Debian's package of that name")
    port, config = free_port(), folder / "scrape.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: nesgw, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    options = {
        "prometheus": [
            *(f"--config.file={config}", f"--storage.tsdb.path={folder}/data"),
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        "victoria-metrics": [
            *(f"-promscrape.config={config}", f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}"),
            "-search.latencyOffset=0s",
        ],
    }

    def ask(question: str) -> Any:
        address = f"http://127.0.0.1:{port}/api/v1/query?query={quote(question)}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                found = json.loads(answer.read())["data"]["result"]
        except OSError:  # not started yet
            return None
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in found}

    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, *options[name]], stdout=log, stderr=log, cwd=folder)
        try:
            yield ask
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.mark.parametrize("name", ["prometheus", "victoria-metrics"])
def test_it_is_scraped_and_a_silent_meter_is_a_gap(tmp_path: Path, without_shelly: House, name: str) -> None:
    house = without_shelly
    with scraper(name, tmp_path, house.port) as ask:

        def value(question: str) -> float | None:
            found: dict[object, float] | None = ask(question)
            return next(iter(found.values()), None) if found else None

        eventually(lambda: value('nesgw_power_watts{meter="house"}') == 896, "power")
        assert value("up") == 1
        assert value("sum(nesgw_phase_power_watts)") == 896
        assert value('nesgw_energy_joules_total{direction="import"} / 3.6e6') == pytest.approx(21334.181)
        assert len(ask('{__name__=~"nesgw_.*"}')) == len(
            [line for line in lines_of_metrics(house.port) if not line.startswith("#")]
        )
        house.becomes(STALE)
        eventually(lambda: value("nesgw_meter_online") == 0, "word of the silence")
        # A series without a time of its own is gone at the next scrape.
        question = "nesgw_power_watts" if name == "prometheus" else "count_over_time(nesgw_power_watts[2s])"
        eventually(lambda: value(question) is None, "gap")
        assert value("nesgw_polls_total") == 100
        house.becomes(now(power=5))
        eventually(lambda: value("nesgw_power_watts") == 5, "power after the silence")


def lines_of_metrics(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text.splitlines()
