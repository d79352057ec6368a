"""The evening of scripts/test-setup: somebody at the keyboard of nesgw setup in another root, and a clock beside it."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.commands.setup.person import Person

BROKER = "127.0.0.1:18830"


def first_value(root: str, since: float) -> float:
    """Wait for a value on the broker as Home Assistant would get it; return the seconds since a moment."""
    words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", "18830", "-u", "ha", "-P", "battery staple"]
    topic = ["-t", "nesgw/+/state", "-C", "1", "-W", "60", "-v"]
    said = subprocess.run(["chroot", root, *words, *topic], capture_output=True, text=True, check=True).stdout
    print(f"\non the broker: {said[:120].rstrip()} …")
    return time.monotonic() - since


def main(root: str) -> int:
    begin = time.monotonic()
    environment = {"NO_COLOR": "1", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    with Person(["chroot", root, "nesgw", "setup"], columns=60, environment=environment) as person:
        try:
            person.answers("Port", "/tmp/meter")
            person.answers("Key", "a7941d85bce8a8fa2ab7")
            person.answers("Name of the meter", "")
            person.answers("Main fuse", "3 x 25 A")
            person.answers("Broker", BROKER)
            person.answers("User of the broker", "")
            person.answers("Password", "correct horse")
            person.answers("Write this?", "")
            person.answers("Start it, now", "")
            code = person.ends(90.0)
        finally:
            print(person.screen)
    print(f"nesgw setup: exit code {code}, {time.monotonic() - begin:.0f} s")
    print(f"from the first question to a value on the broker: {first_value(root, begin):.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
