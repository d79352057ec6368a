# mypy: ignore-errors
"""Polls a meter with termineter's C12.18 client; run by the interpreter of termineter's own virtual environment.

Termineter is another program under another licence: it is started, never imported by nesgw. Its time and CPU are
those of the same reads in the same kind of session, without decoding: what it reads stays bytes.
"""

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from c1218.connection import Connection
from c1218.data import C1218IdentRequest

from benchmarks.pace import Pace


def main(settings):
    """Poll, print what was measured as JSON."""
    serial = dict(parity="N", baudrate=9600, bytesize=8, xonxoff=False, interCharTimeout=None, rtscts=False)
    serial.update(timeout=2, stopbits=1, dsrdtr=False, writeTimeout=None)
    size, packets = settings["limits"]
    meter = Connection(
        settings["port"], {"pktsize": size, "nbrpkts": packets}, serial_settings=serial, enable_cache=False
    )

    def begin():
        if settings["negotiable"]:
            started = meter.start()
        else:  # its start() takes a refused Negotiate for the end
            meter.send(C1218IdentRequest())
            started = meter.recv()[0] == 0
            meter._initialized = True
        if not (started and meter.login("nesgw", 0, settings["key"])):
            raise SystemExit("termineter got no session")

    def poll():
        began = time.monotonic()
        if settings["mode"] == "per-poll":
            begin()
        for table, offset, count in settings["reads"]:
            data = meter.get_table_data(table, count, offset)
            if len(data) != count:
                raise SystemExit("termineter read too little")
        if settings["mode"] == "per-poll":
            meter.stop()
        return time.monotonic() - began

    if settings["mode"] != "per-poll":
        begin()
    poll()
    pace = Pace(settings.get("interval"))
    before = resource.getrusage(resource.RUSAGE_SELF)
    durations = [pace.keep(poll) for _ in range(settings["polls"])]
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    meter.close()
    print(json.dumps({"durations": durations, "cpu": cpu / len(durations)}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
