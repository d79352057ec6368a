"""Loses the line to the store for a while, and looks what is missing: ``python -m benchmarks.store --outage 60``.

A real daemon on a simulated meter, Prometheus as an agent and VictoriaMetrics (Debian's packages), with the options
and the configuration of ``deploy/fleet`` as they stand, but for the folders: those are in RAM and gone at the end.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Row
from benchmarks.options import Parser, at_least_one
from benchmarks.processes import ROOT, Gateway, Meters, Usage, broker, wait_for

FLEET = ROOT / "deploy" / "fleet"
STORE = "http://127.0.0.1:8428"
AGENT = "http://127.0.0.1:9090"
WITH_PAGE = '[http]\nenabled = true\nlisten = "127.0.0.1:8480"\n'
SERIES = ("up", "nesgw_power_watts", "nesgw_energy_joules_total", "nesgw_reading_timestamp_seconds")
SCRAPE = 10.0  # seconds, as deploy/fleet/prometheus.yml says


def arguments(file: Path, folders: dict[str, str]) -> list[str]:
    """Return the options of a file for /etc/default, with other folders."""
    text = file.read_text(encoding="utf-8")
    for place, instead in folders.items():
        if place not in text:
            raise ValueError(f"{file.name} does not name {place}")
        text = text.replace(place, instead)
    line = next(line for line in text.splitlines() if line.startswith("ARGS="))
    return shlex.split(shlex.split(line)[0].removeprefix("ARGS="))


def _start(command: list[str], ready: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: _answers(ready), f"{command[0]} is ready")
    return process


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


def _stored(name: str) -> list[list[float]]:
    """When the samples of each series are from, in seconds."""
    query = urllib.parse.urlencode({"match[]": name})
    with urllib.request.urlopen(f"{STORE}/api/v1/export?{query}", timeout=30) as answer:
        return [[moment / 1000 for moment in json.loads(line)["timestamps"]] for line in answer]


def measure(before: float, outage: float) -> Iterator[Row]:
    """Store for some seconds, lose the line, and look what is there when it has come back."""
    case = f"the line away for {outage:g} s"
    with ExitStack() as life:
        folder = life.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
        store_options = arguments(FLEET / "victoria-metrics.default", {"/var/lib/victoria-metrics": f"{folder}/store"})
        agent_options = arguments(
            FLEET / "prometheus.default",
            {
                "/etc/prometheus/prometheus.yml": str(FLEET / "prometheus.yml"),
                "/dev/shm/nesgw-agent": f"{folder}/agent",
            },
        )
        port = life.enter_context(broker())
        meters = life.enter_context(Meters("83331-3i"))
        life.enter_context(Gateway(meters.paths, port, more=WITH_PAGE))
        store = _start(["victoria-metrics", *store_options], f"{STORE}/health")
        life.callback(lambda: _end(store))
        agent = _start(["prometheus", *agent_options], f"{AGENT}/-/ready")
        life.callback(_end, agent)
        time.sleep(before)
        _end(store)
        time.sleep(outage)
        log = sum(file.stat().st_size for file in Path(folder, "agent").rglob("*") if file.is_file()) / 1024
        memory = Usage.of(agent.pid).rss
        store = _start(["victoria-metrics", *store_options], f"{STORE}/health")
        back = time.time()
        wait_for(lambda: any(times[-1] > back for times in _stored("up")), "new samples arrive", 120)
        time.sleep(2 * SCRAPE)
        for name in SERIES:
            found = _stored(name)
            gaps = [after - earlier for times in found for earlier, after in pairwise(times)]
            missing = sum(round(gap / SCRAPE) - 1 for gap in gaps)
            note = f"{len(found)} series of {len(found[0])} samples, largest gap {max(gaps):.2f} s"
            yield Row("store: samples missing", f"{name}, {case}", missing, 0.0, "", note)
        yield Row("store: the agent's log", case, log, None, "KiB", f"{memory:.0f} MiB resident, one meter")


def main() -> None:
    """Measure and print."""
    parser = Parser(prog="python -m benchmarks.store", description="Lose the line to the store, and look for holes.")
    parser.add_argument("--before", type=at_least_one, default=40, help="seconds before it (default: 40)")
    parser.add_argument("--outage", type=at_least_one, default=60, help="seconds without the line (default: 60)")
    given = parser.parse_args()
    for program in ("prometheus", "victoria-metrics", "mosquitto"):
        if not shutil.which(program, path="/usr/bin:/usr/sbin:/bin"):
            parser.error(f"{program} is not there: apt install {program}")
    for row in measure(given.before, given.outage):
        print(
            f"{row.figure:<24} {row.case:<62} {row.measured:>8.0f} {row.verdict:<7} {row.unit} {row.note}", flush=True
        )


if __name__ == "__main__":
    main()
