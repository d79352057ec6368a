"""The fault matrix, second part: what lasts for hours, in virtual time. Each row has an expectation of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from nesgw.errors import PortBusy, PortDenied, PortLost, PortMissing
from nesgw.simulator import DEFAULT_KEY, PROFILES
from nesgw.simulator.faults import Fault
from tests.faults.figures import Figures, memory
from tests.faults.rig import Rig as PacedRig
from tests.faults.rows import DAMAGE, ENERGY_BACK, SILENCE, UNAVAILABLE

HOUR = 3600.0


def Rig(*arguments: Any, **options: Any) -> PacedRig:
    """Without the line's pace: bytes that take no time make hours cheap."""
    return PacedRig(*arguments, paced=False, **options)


@pytest.fixture
def noting() -> Any:
    """Note a row's figures: ``noting(name, rig, end=None, allowed=None)``."""
    before = memory()

    def note(name: Any, rig: Any, end: Any | None = None, allowed: Any | None = None, injected: int = 1) -> None:
        figures = Figures(
            fault=name,
            where="virtual time, hours",
            injected=injected,
            published=len(rig.broker.states),
            wrong=len(rig.broker.wrong),
            recovery=None if end is None else rig.recovery(end),
            allowed=allowed,
            memory=(before, memory()),
        ).note()
        assert figures.wrong == 0
        assert allowed is None or figures.recovery <= allowed

    return note


def online(rig: Any) -> Any:
    return [(round(at - rig.start), payload) for at, _, payload in rig.broker.availability]


class TestTheKey:
    @pytest.mark.expects_warnings("^the meter refused the key: it answered Security with err")
    def test_a_key_refused_for_hours_is_tried_ever_more_rarely_and_the_right_one_is_taken_within_the_hour(
        self, tmp_path: Path, noting: Any, logged: list[EventDict]
    ) -> None:
        rig: Any = Rig(tmp_path)
        right, rig.line.meter.key = rig.line.meter.key, b"another key of twenty"[:20]
        tries = []
        count = rig.line.meter.check_key

        def check(key: Any, now: Any) -> Any:
            tries.append(now - rig.start)
            return count(key, now)

        rig.line.meter.check_key = check
        rig.run(5 * HOUR)
        assert [round((later - earlier) / 60) for earlier, later in pairwise(tries)] == [5, 10, 20, 40, 60, 60, 60]
        assert rig.broker.states == []
        assert rig.worker.status.failures == {"key": len(tries)}
        assert sum("refused the key" in line["event"] for line in logged) == 1
        assert "refused the key" in rig.worker.in_words()
        rig.line.meter.key = right
        end = rig.now
        rig.stop.clear()
        rig.run(6 * HOUR)
        noting("a wrong key for five hours", rig, end, HOUR + 10, injected=len(tries))
        assert DEFAULT_KEY.decode() not in repr((logged, rig.broker.topics, rig.worker.in_words()))

    @pytest.mark.expects_warnings("^the meter refused the key: it answered Security with err")
    def test_a_meter_that_locks_its_port_after_three_refusals_is_left_alone(self, tmp_path: Path, noting: Any) -> None:
        """Firmware 4.30 and later. Three refusals take fifteen minutes here, at a poll's pace thirty seconds."""
        rig: Any = Rig(tmp_path, "gen4-4.30", key=b"0" * 20, meter={"failures_allowed": 3, "lockout_minutes": 5})
        rig.run(HOUR)
        assert rig.line.meter.counters.wrong_keys == 4
        noting("a wrong key, a meter that locks its port", rig, injected=4)


@pytest.mark.expects_warnings(SILENCE, UNAVAILABLE)
def test_a_meter_deaf_for_300_s_after_a_session_of_600_s(tmp_path: Path, noting: Any) -> None:
    """Trap 7, with a session held open for longer than nesgw's own configuration allows."""
    rig = Rig(tmp_path, "83331-3i-mep", session="keep-open", max_session=10_000.0)
    rig.run(1000)
    gap = max(pairwise(rig.read_at), key=lambda pair: pair[1] - pair[0])
    assert 300 <= gap[1] - gap[0] < 330
    # Deaf from 600 s after its beginning at about 0 s, for 300 s.
    noting("a session of 600 s: deaf for 300 s", rig, 900.0, 11.5)


class TestFrozen:
    @pytest.mark.expects_warnings(
        "^the meter has repeated the same present values for 6.0 s",
        "^reading rejected: the meter has repeated the same",
        "^the meter's values move again$",
    )
    def test_values_frozen_for_hours_make_the_meter_unavailable_and_the_first_change_ends_it(
        self, tmp_path: Path, noting: Any
    ) -> None:
        rig: Any = Rig(tmp_path, plan=(Fault(100.0, "freeze", {"seconds": HOUR}),))
        rig.longest = 11 * 60.0  # what is published until it is found out was true when it froze
        rig.run(HOUR + 200)
        (first, _), (offline, said), *rest = online(rig)
        assert first < 10
        assert said == "offline"
        assert 700 <= offline <= 720
        assert [said for _, said in rest] == ["online"]
        assert not [at for at in rig.read_at if offline < at < HOUR + 100]
        noting("values frozen for an hour", rig, HOUR + 100, 11.5)


class TestAnotherMeter:
    @pytest.mark.expects_warnings("^another meter is on this port: it becomes a device of its own$")
    def test_it_becomes_another_device_and_the_old_one_is_unavailable(self, tmp_path: Path, noting: Any) -> None:
        plan = (Fault(104.0, "swap", {"serial": "9999000001", "registers": {0: 5_000_000, 1: 20}}),)
        rig: Any = Rig(tmp_path, plan=plan).run(400)
        ids = [(meter, said) for _, meter, said in rig.broker.availability]
        assert ids == [("4080123456", "online"), ("4080123456", "offline"), ("9999000001", "online")]
        assert "homeassistant/device/nesgw_9999000001/config" in rig.broker.topics
        noting("another meter on the port", rig, 104.0, 11.5)

    @pytest.mark.expects_warnings(ENERGY_BACK, UNAVAILABLE, "accepted, the meter kept to it")
    def test_a_register_that_was_reset_holds_readings_for_five_minutes_and_is_null_for_a_quarter_of_an_hour(
        self, tmp_path: Path, noting: Any, logged: list[EventDict]
    ) -> None:
        plan = (Fault(104.0, "swap", {"serial": "4080123456", "registers": {0: 12, 1: 1}}),)
        rig: Any = Rig(tmp_path, plan=plan).run(1200)
        noting("a register reset for good", rig, 104.0, 300 + 21.5)
        assert any("it counts from there now" in line["event"] for line in logged)

    @pytest.mark.expects_warnings(ENERGY_BACK, UNAVAILABLE, "accepted without it, as null$")
    def test_energy_that_is_low_for_longer_than_the_hold_is_never_published_and_goes_on_where_it_was(
        self, tmp_path: Path, noting: Any, logged: list[EventDict]
    ) -> None:
        """A filter may hold, never freeze: all else is published after five minutes, and energy when it is back."""
        plan = (Fault(104.0, "flip", {"table": 23, "offset": 3, "mask": 0x04, "count": 10_000}), Fault(700.0, "clear"))
        rig: Any = Rig(tmp_path, plan=plan).run(900)
        assert [at for at in rig.read_at if 104 <= at < 404] == []
        energies = [state["energy_import"] for _, state in rig.broker.states]
        known = [energy for energy in energies if energy is not None]
        assert known == sorted(known)
        assert energies[-1] is not None
        noting("energy low for ten minutes", rig, 104.0, 300 + 21.5)


class TestTheWallClock:
    """It stamps and nothing else: a Pi has no clock of its own, and NTP comes some time after the boot."""

    @pytest.mark.parametrize("jump", [timedelta(days=20_000), timedelta(days=-20_000), timedelta(hours=1)])
    def test_a_jump_costs_no_reading_and_shifts_no_poll(self, jump: Any, tmp_path: Path, noting: Any) -> None:
        rig: Any = Rig(
            tmp_path, wall_clock=lambda: datetime(2026, 1, 1, tzinfo=UTC) + (jump if rig.now > 100 else timedelta())
        )
        rig.run(200)
        assert [round(at) // 10 for at in rig.read_at] == list(range(20))
        stamps = [datetime.fromisoformat(state["time"]) for _, state in rig.broker.states]
        assert stamps[-1] - stamps[0] == jump
        assert rig.worker.status.rejected == 0
        noting(f"the wall clock jumps by {jump.days} days {jump.seconds // 3600} h", rig, 100.0, 11.5)

    @pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=400)])
    def test_a_restart_with_a_wrong_clock_goes_on_from_the_last_reading(
        self, jump: Any, tmp_path: Path, noting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Rig(tmp_path).run(50)

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: Any | None = None) -> Any:
                return datetime.now(tz) + jump

        monkeypatch.setattr("nesgw.publishers.meter_publisher.datetime", Shifted)
        later = tuple((number, value + 1000) for number, value in PROFILES["83331-3i"].registers)
        rig: Any = Rig(tmp_path, meter={"registers": later}).run(50)
        assert rig.worker.status.rejected == 0
        noting(f"restart with the clock {jump.days} days off", rig, 0.0, 11.5)


class TestThePort:
    """In the port's own words, without a port: the pseudo terminals are in the third part."""

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("the port is missing", PortMissing(port="probe")),
            ("the port is held by another program", PortBusy(port="probe", holder="minicom (process 7)")),
            ("no permission for the port", PortDenied(port="probe", user="nesgw", group="dialout")),
        ],
    )
    @pytest.mark.allows_warnings(UNAVAILABLE)
    @pytest.mark.expects_warnings("^probe: (no such device|in use by minicom|permission denied)")
    @pytest.mark.parametrize("interval", [10.0, 3600.0])
    def test_it_is_told_once_and_taken_up_within_seconds(
        self, name: str, error: Any, interval: float, tmp_path: Path, noting: Any, logged: list[EventDict]
    ) -> None:
        rig: Any = Rig(tmp_path, interval=interval)
        line = rig.line
        trouble = {"from": 20.0, "until": 2000.0}

        def opener(*_arguments: Any, **_options: Any) -> Any:
            if trouble["from"] <= rig.now < trouble["until"]:
                raise error
            return line

        rig.worker._meter._session._link._opener = opener
        read = line.read
        line.read = lambda timeout: unplugged(rig, trouble, read, timeout)
        if interval > 10:
            trouble["from"] = -1.0
        rig.run(2100)
        assert sum(error.happened in line["event"] for line in logged) == 1
        noting(f"{name}, a poll each {interval:.0f} s", rig, 2000.0, 10.0)

    @pytest.mark.expects_warnings(SILENCE)
    def test_the_meter_is_asked_again_soon_although_it_is_polled_once_an_hour(
        self, tmp_path: Path, noting: Any
    ) -> None:
        rig: Any = Rig(tmp_path, interval=3600.0, plan=(Fault(3000.0, "silence", {"seconds": 700.0}),))
        rig.run(3 * HOUR)
        noting("no answer for 100 s, a poll each hour", rig, 3700.0, 22.0)

    @pytest.mark.expects_warnings(SILENCE)
    def test_a_name_that_points_to_another_device_is_followed_although_the_old_one_lives(
        self, tmp_path: Path, noting: Any
    ) -> None:
        """A link that was re-pointed, an adapter or a network port that got stuck: it looks like silence."""
        rig: Any = Rig(tmp_path)
        line, opened = rig.line, []

        class Stuck:
            baud = 9600
            name = "stuck"

            def read(self, timeout: Any) -> bytes:
                line.sleep(timeout)
                return b""

            def write(self, data: Any) -> None:
                """Into nothing."""

            drain = close = holder = lambda self: None

        def opener(*_arguments: Any, **_options: Any) -> Any:
            opened.append(rig.now)
            return line if len(opened) > 1 else Stuck()

        rig.worker._meter._session._link._opener = opener
        rig.run(100)
        assert len(opened) == 2
        noting("a port stuck in silence", rig, 0.0, 40.0)


def unplugged(rig: Any, trouble: Any, read: Any, timeout: Any) -> Any:
    if trouble["from"] <= rig.now < trouble["until"]:
        raise PortLost(port="probe", problem="Input/output error")
    return read(timeout)


@pytest.mark.allows_warnings("^the meter answered|^reading rejected|^the meter refused")
@pytest.mark.expects_warnings(SILENCE, DAMAGE, UNAVAILABLE)
def test_a_poll_never_takes_longer_than_its_limit_whatever_the_line_does(tmp_path: Path, noting: Any) -> None:
    """Every fault in turn, each for a minute; the time of each poll is on the status topic."""
    faults: list[tuple[str, dict[str, object]]] = [
        ("silence", {}),
        ("deaf", {}),
        ("echo", {}),
        ("late", {"seconds": 5.9, "count": 1000}),
        ("late", {"seconds": 7.0, "count": 1000}),
        ("noise", {"corrupt": 0.05}),
        ("noise", {"drop": 0.3}),
        ("refuse", {"code": 6}),
        ("refuse", {"code": 9}),
        ("refuse", {"code": 10}),
        ("flood", {"seconds": 60.0, "rate": 960.0}),
        ("lose", {"marks": 1000}),
        ("lose", {"answers": 1000}),
        ("repeat", {"answers": 1000}),
    ]
    plan = []
    for number, (name, arguments) in enumerate(faults):
        plan += [Fault(100.0 + 60 * number, "clear"), Fault(100.0 + 60 * number, name, arguments)]
    end = 100.0 + 60 * len(faults)
    rig = Rig(tmp_path, plan=(*plan, Fault(end, "clear"))).run(end + 100)
    took = [status["poll_duration_ms"] for status in rig.broker.statuses if "poll_duration_ms" in status]
    assert max(took) <= 9_600, "8.5 s, a second to end the session, and the last byte"
    noting("fourteen faults in turn", rig, end, 11.5, injected=len(faults))
