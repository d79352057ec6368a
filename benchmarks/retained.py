"""Whether a retained message that one node took is found at another: ``python -m benchmarks.retained FROM TO``.

Asks for the topic itself and by a wildcard, as Home Assistant and nesgw's own search do.
"""

from __future__ import annotations

import sys
import time
import uuid

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

WAIT = 2.0  # seconds for an answer


def _client(address: str) -> paho.Client:
    host, _, port = address.rpartition(":")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(host, int(port))
    client.loop_start()
    return client


def found(taken_by: str, asked: str, *, wildcard: bool) -> bool:
    """Publish at one node, then ask the other."""
    base = f"retained/{uuid.uuid4().hex}"
    writer = _client(taken_by)
    writer.publish(f"{base}/state", "here", 1, retain=True).wait_for_publish(10)
    writer.disconnect()
    writer.loop_stop()
    time.sleep(WAIT)
    heard: list[bool] = []
    reader = _client(asked)
    reader.on_message = lambda *_: heard.append(True)
    reader.subscribe(f"{base}/+" if wildcard else f"{base}/state", 1)
    time.sleep(WAIT)
    reader.disconnect()
    reader.loop_stop()
    return bool(heard)


def main(taken_by: str, asked: str) -> None:
    """Say it."""
    for wildcard in (False, True):
        answer = "found" if found(taken_by, asked, wildcard=wildcard) else "NOT found"
        print(f"retained at {taken_by}, asked at {asked}, {'by wildcard' if wildcard else 'by its name'}: {answer}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
