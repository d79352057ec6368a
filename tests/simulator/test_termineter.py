"""An outside judge: termineter 1.0.6, which reads such meters in the field, must get along with the simulated one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter

# Run by termineter's own interpreter: log on, read, print what was read as JSON, say goodbye.
SCRIPT = """
import json, sys
from c1218.connection import Connection

path, key, reads = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
port = dict(parity="N", baudrate=9600, bytesize=8, xonxoff=False, interCharTimeout=None, rtscts=False,
            timeout=2, stopbits=1, dsrdtr=False, writeTimeout=None)
meter = Connection(path, c1218_settings={"pktsize": 64, "nbrpkts": 2}, serial_settings=port, enable_cache=False)
result = {"start": meter.start(), "login": meter.login("nesgw", 1, key), "tables": []}
for table, offset, count in reads:
    result["tables"].append(meter.get_table_data(table, count, offset).hex())
result["stop"] = meter.stop()
meter.close()
print(json.dumps(result))
"""


def run_termineter(python: Path, path: str, reads: list[tuple[int, int | None, int | None]]) -> dict[str, object]:
    """What termineter saw."""
    command = [str(python), "-c", SCRIPT, path, DEFAULT_KEY.decode(), json.dumps(reads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("profile", ["83331-3i", "gen3-3.10-demand", "gen4-4.30"])
def test_termineter_logs_on_and_reads_what_the_meter_holds(termineter_python: Path, profile: str) -> None:
    meter = SimulatedMeter(profile)
    meter.faults.freeze()  # what moves could not be compared
    base = {"83331-3i": 0, "gen3-3.10-demand": 32, "gen4-4.30": 14}[profile]
    reads: list[tuple[int, int | None, int | None]] = [
        (0, None, None),
        (1, None, None),
        (2051, 0, 30),
        (20, None, None),
        (21, None, None),
        (23, 0, 8),
        (28, base, 40),
        (28, 0, 104),
    ]
    with PtyLine(meter, baud=None) as line:
        seen = run_termineter(termineter_python, line.path, reads)
    assert (seen["start"], seen["login"], seen["stop"]) == (True, True, True)
    tables = seen["tables"]
    assert isinstance(tables, list)
    whole = {number: meter.table(number, meter.clock()) or b"" for number in (0, 1, 2051, 20, 21, 23, 28)}
    for (number, offset, count), data in zip(reads, tables, strict=True):
        expected = whole[number] if offset is None or count is None else whole[number][offset : offset + count]
        assert data == expected.hex(), f"table {number}"
    assert meter.counters.sessions == 1
    assert meter.counters.wrong_keys == 0


def test_at_the_true_pace_of_9600_baud_termineter_has_no_need_to_repeat_anything(termineter_python: Path) -> None:
    meter = SimulatedMeter()
    with PtyLine(meter, baud=9600) as line:
        seen = run_termineter(termineter_python, line.path, [(23, 0, 8), (28, 0, 40)])
    assert seen["stop"] is True
    assert meter.counters.link.retransmissions == 0
    assert meter.counters.link.duplicates == 0
    assert meter.counters.link.damaged == 0
