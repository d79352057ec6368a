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
    whole = {number: bytes(meter.table(number, meter.clock())) for number in (0, 1, 2051, 20, 21, 23, 28)}
    for (number, offset, count), data in zip(reads, tables, strict=True):
        expected = whole[number] if offset is None or count is None else whole[number][offset : offset + count]
        assert data == expected.hex(), f"table {number}"
    assert meter.counters.sessions == 1
    assert meter.counters.wrong_keys == 0


def test_termineter_reads_the_logs_the_history_and_the_sub_meters(termineter_python: Path) -> None:
    """Expected bytes written by hand where they depend on nothing but the profile."""
    meter = SimulatedMeter("gen4-4.30")
    reads: list[tuple[int, int | None, int | None]] = [
        (61, None, None),  # the load profile's four sets
        (2048 + 11, None, None),
        (2048 + 42, 0, 41),  # the interface definition's head and its end
        (2048 + 42, 150, 8),
        (2048 + 14, 5, 7),  # two of the devices on the M-Bus
        (2048 + 16, 517 + 6, 10),
        (2048 + 36, 103, 17),
        (2048 + 81, 0, 6),
        (74, 1, 10),
    ]
    with PtyLine(meter, baud=None) as line:
        seen = run_termineter(termineter_python, line.path, reads)
    tables = seen["tables"]
    assert isinstance(tables, list)
    head = bytes.fromhex(tables[2])
    assert head[:8] + head[10:] == bytes.fromhex(
        "9e 00 29 07 04 01 00 00 0f 0c 13 02 04 01 08 02 54 0f 01 7e 00 31 07 00 00 1e 00 04 0f 13 00 60 00 00 00"
        "06 64 00 02"
    )
    assert [tables[0], tables[1], *tables[3:]] == [
        "aa210100000c201e006000040f0e001800053c0c001f00045404006000021e",
        "064224050605020103f906191016030411110a0a4178060a0a10500a05010103060702" + "0ae20403",
        "0800000032000109",
        "0b010001044500",
        "02107766554407" + "00e97e",
        "51080c0014001400000000000000000000",
        "040403040004",
        "08000700080000000800",
    ]


def test_at_the_true_pace_of_9600_baud_termineter_has_no_need_to_repeat_anything(termineter_python: Path) -> None:
    meter = SimulatedMeter()
    with PtyLine(meter, baud=9600) as line:
        seen = run_termineter(termineter_python, line.path, [(23, 0, 8), (28, 0, 40)])
    assert seen["stop"] is True
    assert meter.counters.link.retransmissions == 0
    assert meter.counters.link.duplicates == 0
    assert meter.counters.link.damaged == 0
