"""How long a poll takes, against what the line and the guide make it take at least."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from nesgw.mep.client import MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.link import Link
from nesgw.simulator import DEFAULT_KEY, PROFILES, MepPort, SimulatedMeter
from tests.mep.conftest import Line

BYTE = 10 / 9600
REQUEST, AROUND_DATA, SEGMENT = 22, 13, 117  # bytes
THINKING, PAUSE, APART = 0.02, 0.025, 0.1  # seconds: the simulated meter's, and the guide's two


@dataclass(frozen=True)
class Span:
    table: int
    offset: int
    size: int


def wire_time(size: int) -> float:
    """A read: its bytes, the meter's time to think, and a pause after each 117 bytes if more follow."""
    answer = AROUND_DATA + size
    pauses = math.ceil(answer / SEGMENT) - 1
    return (REQUEST + answer) * BYTE + THINKING + pauses * PAUSE


def least(*sizes: int) -> float:
    """Several reads: 100 ms at least from one to the next."""
    *earlier, last = map(wire_time, sizes)
    return sum(max(APART, seconds) for seconds in earlier) + last


def polled(spans: list[Span], profile: str = "83331-3i") -> tuple[float, MepPort]:
    """Poll twice; how long the second takes, which needs no first contact."""
    port = MepPort(SimulatedMeter(profile, clock=lambda: 1_000_000.0))
    line = Line(port)
    client = MepClient(line, Link(DigestKey(DEFAULT_KEY)), clock=line.clock, sleep=line.sleep)
    client.read_all(spans)
    line.sleep(5.0)
    begin = line.clock()
    client.read_all(spans)
    return line.clock() - begin, port


def test_the_least_by_hand() -> None:
    # 220 bytes: 22 + 233 bytes at 9600 baud, 20 ms to think, one pause of 25 ms
    assert least(220) == pytest.approx(0.265625 + 0.020 + 0.025)
    # 8 bytes: 22 + 21 bytes and 20 ms are 65 ms, so the next read waits for the rest of 100 ms
    assert least(8, 8) == pytest.approx(0.1 + 43 * 10 / 9600 + 0.020)


@pytest.mark.parametrize("sizes", [(8,), (8, 40), (52, 220), (225, 336), (465,)])
def test_a_poll_takes_no_more_than_a_twentieth_longer(sizes: tuple[int, ...]) -> None:
    took, _ = polled([Span(table, 0, size) for table, size in zip((23, 28), sizes, strict=False)])
    assert least(*sizes) <= took + 1e-6
    assert took <= 1.05 * least(*sizes)


@pytest.mark.parametrize("profile", PROFILES)
def test_bt28_is_read_as_one_instant_of_every_meter(profile: str) -> None:
    values = SimulatedMeter(profile).profile.actual
    begin = values.present_demands * (7 if values.flags0 & 0x40 else 4)
    spans = [Span(28, begin + 4 * number, 4) for number in range(0, values.present_values, 10)]
    _, port = polled(spans, profile)
    assert port.monitor.requests == {"partial_read": 2}  # one for each of the two polls
    assert port.monitor.too_soon == 0
