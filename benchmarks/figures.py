"""The figures: one function measures one, and says what it measured against its bar."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

from benchmarks import processes, wire
from benchmarks.processes import Gateway, Listener, Meters, Usage, broker
from benchmarks.wire import Limits, Line, Piece
from nesgw.simulator.profiles import PROFILES

MODES = ("per-poll", "keep-open")
FIELD_LIMITS = Limits(64, 2)  # what termineter asks these meters for in the field
BARE_IMPORT = "import serial, paho.mqtt.client, pydantic, structlog, systemd.daemon"
SLOW_BEAT = 10.0  # seconds
FASTEST_TRIES = (1.0, 0.6, 0.5, 0.45, 0.4)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    figure: str
    case: str
    measured: float
    bar: float | None
    unit: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the bar is met."""
        if self.bar is None:
            return ""
        return "met" if self.measured <= self.bar else "MISSED"


# --- Reading ----------------------------------------------------------------------------------------------------------


def reading(profiles: list[str], rounds: int, polls: int) -> Iterator[Row]:
    """Duration against the wire and against termineter, and bytes against the least, on every profile."""
    for name in profiles:
        for mode in MODES:
            yield from _reading_of(name, mode, rounds, polls)


def _reading_of(name: str, mode: str, rounds: int, polls: int) -> Iterator[Row]:
    profile = PROFILES[name]
    line = Line(9600, profile.answer_delay, profile.turn_around)
    with Meters(name) as meters:
        port = meters.paths[0]
        ours, theirs = _in_turns(port, mode, profile.negotiable, rounds, polls)
    model, least = _model(ours, mode, line, profile.negotiable)
    mine = median(ours["durations"])
    case = f"{name}, {mode}, {ours['values']} values"
    yield Row("poll / wire time", case, mine / model.seconds, 1.05, note=f"{1000 * mine:.1f} ms")
    yield Row("bytes / least", case, ours["bytes"] / least.bytes, 1.05, note=f"{ours['bytes']:.0f}")
    if theirs:
        other = median(theirs["durations"])
        yield Row("poll / termineter's", case, mine / other, 1.0, note=f"{1000 * other:.1f} ms")


def _in_turns(
    port: str, mode: str, negotiable: bool, rounds: int, polls: int, **more: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both readers in turn on the same meter, so that a disturbance of the machine meets both."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for _ in range(rounds):
        seen = processes.nesgw_polls(port=port, mode=mode, polls=polls, **more)
        _add(ours, seen)
        if processes.termineter_is_there():
            time.sleep(0.2)
            _add(theirs, _termineter(port, mode, negotiable, seen["pieces"], polls))
            time.sleep(0.2)
    return ours, theirs


def _termineter(
    port: str, mode: str, negotiable: bool, pieces: list[list[int]], polls: int, interval: float | None = None
) -> dict[str, Any]:
    room = (FIELD_LIMITS if negotiable else wire.DEFAULTS).table_bytes
    reads = [
        [table, at, min(room, offset + size - at)]
        for table, offset, size in pieces
        for at in range(offset, offset + size, room)
    ]
    limits = [FIELD_LIMITS.packet_size, FIELD_LIMITS.packets]
    return processes.termineter_polls(
        port=port, mode=mode, polls=polls, limits=limits, negotiable=negotiable, reads=reads, interval=interval
    )


def _add(total: dict[str, Any], seen: dict[str, Any]) -> None:
    durations, cpus = total.get("durations", []), total.get("cpus", [])
    total.update(seen)
    total["durations"], total["cpus"] = durations + seen["durations"], [*cpus, seen["cpu"]]


def _model(seen: dict[str, Any], mode: str, line: Line, negotiable: bool) -> tuple[wire.Cost, wire.Cost]:
    """The wire's time for the data, and the least bytes for it, both with one lean session where each poll has one."""
    size, packets, baud = seen["limits"]
    limits, fast = Limits(size, packets), Line(baud, line.answer_delay, line.turn_around)
    pieces = [Piece(*piece) for piece in seen["pieces"]]
    whole = {28: max(piece.end for piece in pieces if piece.table == 28)}
    cost = wire.least(pieces, limits, fast, whole)
    if mode == "per-poll":
        cost += wire.session(line, limits if negotiable else None, fast, bauds=3 if baud != line.baud else 1)
    return cost, cost


def faster(profiles: list[str], rounds: int, polls: int) -> Iterator[Row]:
    """The same where the meter grants 19200 baud and nesgw asks for it."""
    for name in profiles:
        profile = PROFILES[name]
        if not profile.negotiable:
            continue
        for mode in MODES:
            with Meters(name, bauds=(9600, 19200)) as meters:
                ours, theirs = _in_turns(meters.paths[0], mode, True, rounds, polls, negotiate=True)
            mine = median(ours["durations"])
            if theirs:
                other = median(theirs["durations"])
                case = f"{name}, {mode}, {ours['limits'][2]} baud"
                yield Row("poll / termineter's at 9600", case, mine / other, 0.6, note=f"{1000 * mine:.1f} ms")


# --- The beat ---------------------------------------------------------------------------------------------------------


def fastest(minutes: float) -> Iterator[Row]:
    """41 values and the totals, keep-open: no beat missed, and the fastest beat that holds for a while."""
    for interval in FASTEST_TRIES:
        seconds = minutes * 60 if interval == 1.0 else min(30.0, minutes * 60)
        with broker() as port, Meters("gen3-3.50") as meters:
            with Gateway(meters.paths, port, interval=interval, session="keep-open"):
                time.sleep(8)
                meters.seen()
                time.sleep(seconds)
                polls = _polls(meters.seen()[0]["requests"])
            missed = sum(max(0, round((b - a) / interval) - 1) for a, b in pairwise(polls))
            missed += max(0, int(seconds / interval) - 1 - len(polls) - missed)
            bar = 0.0 if interval == 1.0 else None
            yield Row(
                "beats missed", f"{interval:g} s beat for {seconds:.0f} s", missed, bar, note=f"{len(polls)} polls"
            )
            if missed:
                return


def jitter(beats: int, interval: float = 10.0) -> Iterator[Row]:
    """How far the begin of a poll is from the grid: seen by the meter, when the first request has arrived."""
    with broker() as port, Meters("83331-3i") as meters, Gateway(meters.paths, port, interval=interval):
        time.sleep(1.5 * interval)
        meters.seen()
        time.sleep(beats * interval)
        begins = [at for at, request in meters.seen()[0]["requests"] if request == "20"]
    grid = [at - number * interval for number, at in enumerate(begins)]
    middle = median(grid)
    late = sorted(1000 * abs(offset - middle) for offset in grid)
    p99 = quantiles(late, n=100, method="inclusive")[98]
    yield Row("beat jitter, p99", f"{interval:g} s beat, {len(begins)} beats", p99, 20.0, "ms", f"worst {late[-1]:.1f}")


def _polls(requests: list[list[Any]]) -> list[float]:
    """When each poll asked for the totals."""
    return [at for at, request in requests if request.startswith("3f001700")]


# --- CPU and memory ---------------------------------------------------------------------------------------------------


def cpu(rounds: int, polls: int, interval: float = 1.0, modes: tuple[str, ...] = MODES) -> Iterator[Row]:
    """The whole daemon against termineter alone, for the same values on the same beat; in turns, the median of each.

    A process that is woken from sleep works with cold caches: what a poll costs depends on the beat and on what else
    the machine does, for both alike. Beyond six seconds termineter cannot hold a session.
    """
    bar = 1.1 if interval < SLOW_BEAT else 1.4  # on a slow beat alarms and logs are read with nearly every poll
    for mode in modes:
        ours, theirs, written = [], [], 0
        for _ in range(rounds):
            with Meters("83331-3i") as meters:
                pieces = processes.nesgw_polls(port=meters.paths[0], mode=mode, polls=1)["pieces"]
                time.sleep(0.2)
                theirs.append(_termineter(meters.paths[0], mode, True, pieces, polls, interval)["cpu"])
            with broker() as port, Meters("83331-3i") as meters:
                with Gateway(meters.paths, port, interval=interval, session=mode) as gateway:
                    _wait_for_the_profile(meters, interval)
                    before = gateway.usage
                    time.sleep(polls * interval)
                    after = gateway.usage
                    count = len(_polls(meters.seen()[0]["requests"]))
            ours.append((after.cpu - before.cpu) / count)
            written += after.written - before.written
        mine, other = median(ours), median(theirs)
        note = f"{1000 * mine:.2f} / {1000 * other:.2f} ms"
        yield Row("CPU a poll / termineter's", f"83331-3i, {mode}, {interval:g} s beat", mine / other, bar, note=note)
        yield Row("bytes written to disk", f"83331-3i, {mode}", written, 0.0)


def _wait_for_the_profile(meters: Meters, interval: float) -> None:
    """Wait until the load profile (BT64) is not read any more: at the start two months of it are, once."""
    reading = True
    while reading:
        time.sleep(max(8.0, 3 * interval))
        reading = any(request.startswith("3f0040") for _, request in meters.seen()[0]["requests"])


def memory(polls: int, settle: int) -> Iterator[Row]:
    """One meter, unpaced, on a beat as fast as it goes."""
    with broker() as port, Meters("83331-3i", baud=None, answer_delay=0.0) as meters:
        with Gateway(meters.paths, port, interval=0.04) as gateway:
            early = _after(settle, meters, gateway)
            late = _after(polls - settle, meters, gateway)
    yield Row("resident memory", f"one meter, after {polls} polls", late.rss, 40.0, "MiB")
    yield Row("its growth", f"from poll {settle} on", late.rss - early.rss, 0.5, "MiB")


def _after(polls: int, meters: Meters, gateway: Gateway) -> Usage:
    done = 0
    while done < polls:
        time.sleep(0.5)
        done += len(_polls(meters.seen()[0]["requests"]))
    return gateway.usage


def several(count: int, seconds: float) -> Iterator[Row]:
    """Many meters in one process, paced, on a 10 s beat; and one more that is dead."""
    one = _usage_of(1, seconds)
    many = _usage_of(count, seconds)
    yield Row("memory of each further meter", f"{count} meters", (many[0].rss - one[0].rss) / (count - 1), 0.5, "MiB")
    yield Row(f"CPU of {count} meters / {count} x one", "10 s beat", many[1] / (count * one[1]), 1.1)
    late = _worst_delay_beside_a_dead_one(min(count, 8), seconds)
    yield Row("a dead meter delays the others by", f"{min(count, 8)} meters", late, 20.0, "ms", "worst beat of all")


def _usage_of(count: int, seconds: float) -> tuple[Usage, float]:
    with broker() as port, Meters("83331-3i", count=count) as meters:
        with Gateway(meters.paths, port, interval=10.0) as gateway:
            time.sleep(45)
            before = gateway.usage
            time.sleep(seconds)
            after = gateway.usage
    return after, after.cpu - before.cpu


def _worst_delay_beside_a_dead_one(count: int, seconds: float) -> float:
    held, dead = os.openpty()  # takes every byte and answers none
    with broker() as port, Meters("83331-3i", count=count) as meters:
        with Gateway([*meters.paths, os.ttyname(dead)], port, interval=10.0):
            time.sleep(15)
            meters.seen()
            time.sleep(seconds)
            seen = meters.seen()
    os.close(held)
    os.close(dead)
    worst = 0.0
    for meter in seen:
        begins = [at for at, request in meter["requests"] if request == "20"]
        grid = [at - number * 10.0 for number, at in enumerate(begins)]
        worst = max(worst, *(1000 * abs(offset - median(grid)) for offset in grid))
    return worst


# --- The start --------------------------------------------------------------------------------------------------------


def start(rounds: int) -> Iterator[Row]:
    """From the start of the process, which has one core, to the first byte to the meter and to the first state.

    Against the bare imports on that core; the meter is unpaced, and the broker remembers nothing. Our modules are
    compiled before, as theirs are and as an installation does with all.
    """
    compileall.compile_dir(processes.ROOT / "nesgw", quiet=1)
    bare, asked, first = [], [], []
    for _ in range(rounds):
        began = time.monotonic()
        with processes.on_one_core():
            subprocess.run([sys.executable, "-c", BARE_IMPORT], check=True)
        bare.append(time.monotonic() - began)
        with broker() as port, Meters("83331-3i", baud=None, answer_delay=0.0) as meters, meters.plugged_in():
            listener = Listener(port)
            with processes.on_one_core():
                gateway = Gateway(meters.paths, port)
            with gateway:
                processes.wait_for(lambda: "state" in listener.first, "the first state")  # noqa: B023 (called here)
                first.append(listener.first["state"] - gateway.started)
                asked.append(meters.seen()[0]["requests"][0][0] - gateway.started)
            listener.close()
    for what, seconds, bar in (("first byte to the meter", asked, None), ("first value", first, 2.5)):
        note = f"{1000 * median(seconds):.0f} / {1000 * median(bare):.0f} ms"
        yield Row(
            f"start to {what} / bare import", f"median of {rounds}", median(seconds) / median(bare), bar, note=note
        )


def traffic(seconds: float) -> Iterator[Row]:
    """What one meter sends to the broker: for the sizing of many."""
    with broker() as port, Meters("83331-3i") as meters:
        listener = Listener(port)
        with Gateway(meters.paths, port, interval=10.0):
            time.sleep(15)
            before = dict(listener.messages), dict(listener.bytes)
            time.sleep(seconds)
        for kind in ("state", "status"):
            count = listener.messages.get(kind, 0) - before[0].get(kind, 0)
            size = (listener.bytes.get(kind, 0) - before[1].get(kind, 0)) / max(count, 1)
            rate = 10 * count / seconds
            yield Row(f"bytes of a {kind} message", "topic and payload", size, None, "", f"{rate:.2f} in 10 s")
        listener.close()
