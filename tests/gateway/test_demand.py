"""The demand that the daemon publishes is what the history says, on every meter and whatever happens between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from nesgw.commands.history.rows import kept_set, rows
from nesgw.meter.profile import identify
from nesgw.meter.reader import run, step
from nesgw.publishers.payloads import demand_state, json_object
from nesgw.simulator import PROFILES
from nesgw.tables.interval_demand import Demand, Peak
from nesgw.tables.load_profile import ProfileReading
from tests.virtual import EPOCH, MeterPublisher, line_to, reader_on, work

OSLO = ZoneInfo("Europe/Oslo")
MINUTE = 60.0
CLOCK_SET = frozenset({"clock_forward", "clock_back"})
QUARTER = timedelta(minutes=15)


class Quarter(NamedTuple):
    """An interval of the history: its start and what was drawn and fed in, in W."""

    start: datetime
    imported: float | None
    exported: float | None


def meter_time(line: Any) -> datetime:
    """What the meter's clock shows, right or wrong."""
    return datetime.fromtimestamp(line.meter._clock_at(line.clock()) / 1000, UTC)


def history(line: Any) -> list[Quarter]:
    """Read everything that the meter remembers as ``nesgw history`` does; a quarter's power is four times its use.

    By the meter's own clock. An interval in which that was set is no quarter of an hour, and nobody vouches for the one
    behind it.
    """
    now = meter_time(line)
    with reader_on(line) as reader:
        facts = run(identify(), reader)
        kept = run(kept_set(facts, None), reader)
        reading = ProfileReading(
            kept.profile, facts.general.byteorder, now - timedelta(days=70), now + timedelta(days=1), now=now
        )
        while reading.wanted is not None:
            step(reading, reader)
        keys = [channel.key for channel in kept.channels]
        line.meter.set_pace(9600)
        per_hour = timedelta(hours=1) / kept.profile.duration

        def power(row: Any, key: str) -> float | None:
            used = row.used[keys.index(key)] if key in keys else None
            return None if used is None else float(round(used * 1000 * per_hour, 1))

        every = list(rows(reading.intervals, kept))
        return [
            Quarter(row.interval.end - kept.profile.duration, power(row, "energy_import"), power(row, "energy_export"))
            for before, row in pairwise(every)
            if not CLOCK_SET & {*before.interval.flags, *row.interval.flags}
        ]


def highest(quarters: list[Quarter], begin: datetime, direction: str = "imported") -> Peak | None:
    """The highest of the local month that begins then."""
    local = begin.astimezone(OSLO)
    of_month = [
        Peak(power, each.start)
        for each in quarters
        if (at := each.start.astimezone(OSLO)) and (at.year, at.month) == (local.year, local.month)
        if (power := getattr(each, direction)) is not None
    ]
    return max(of_month, key=lambda peak: (peak.power, -peak.start.timestamp()), default=None)


def last(publisher: MeterPublisher) -> Demand:
    demand = publisher.demands[-1][0]
    assert isinstance(demand, Demand)
    return demand


def check(line: Any, publisher: MeterPublisher, months: Sequence[str] = ("month", "last_month")) -> Demand:
    """Hold the last demand against the history: the newest interval, both peaks, and how many intervals are in them."""
    demand = last(publisher)
    known = history(line)
    assert not demand.is_filling
    assert demand.month is not None
    assert demand.last_month is not None
    newest = next((each for each in known if each.start == demand.start), None)
    assert (newest is None) == ("interval_unknown" in demand.quality)
    text = json_object(demand_state(demand, publisher.demands[-1][1]))
    for direction, name in (("imported", "import"), ("exported", "export")):
        assert text[f"{name}_w"] == (newest and getattr(newest, direction))
        for month in months:
            peak = highest(known, getattr(demand, month).begin, direction)
            assert getattr(getattr(demand, month), direction) == peak
            assert text[month][f"{name}_w"] == (peak and peak.power), "what the entity shows"
    for month in months:
        each = getattr(demand, month)
        counted = [quarter for quarter in known if each.contains(quarter.start) and quarter.imported is not None]
        assert each.known == len({quarter.start for quarter in counted}) == len(counted), "each once"
        assert text[month]["missing"] == each.expected - each.known
    return demand


@pytest.mark.parametrize("profile", PROFILES)
def test_on_every_meter_the_peaks_are_the_largest_intervals_of_the_history(profile: str) -> None:
    line = line_to(profile, load_blocks=9)
    _, publisher = work(line, polls=12, interval=MINUTE, zone=OSLO, max_power=44_000.0 * PROFILES[profile].ct_ratio)
    demand = check(line, publisher)
    assert demand.zone_is_certain
    assert set(demand.quality) <= {"month_incomplete", "last_month_incomplete"}, "nine days are kept"


@pytest.mark.parametrize("minutes", [5, 30, 60])
def test_intervals_of_another_length(minutes: int) -> None:
    line = line_to(load_minutes=minutes, load_blocks=4)
    _, publisher = work(line, polls=15, interval=MINUTE, zone=OSLO)
    assert last(publisher).duration == timedelta(minutes=minutes)
    check(line, publisher)


def test_a_restart_finds_the_same_again() -> None:
    line = line_to(load_blocks=9)
    _, first = work(line, polls=12, interval=MINUTE, zone=OSLO)
    _, second = work(line, polls=12, interval=MINUTE, zone=OSLO)
    assert check(line, second).month.imported == last(first).month.imported


@pytest.mark.expects_warnings("no reading for 180 s")
def test_an_outage_is_made_up_for() -> None:
    """Three days without a reading, and all is there afterwards."""
    line = line_to(epoch=datetime(2026, 11, 5, 12, tzinfo=UTC), load_blocks=10)
    away = {12: lambda _: line.sleep(3 * 86_400.0)}
    _, publisher = work(line, polls=30, interval=MINUTE, zone=OSLO, before_poll=away)
    before = next(each for each, _ in reversed(publisher.demands) if each.start < last(publisher).start - QUARTER)
    demand = check(line, publisher, months=["month"])  # of the last one it knows more than the meter by now
    assert demand.start is not None
    assert demand.month is not None
    assert demand.start - before.start > timedelta(days=2)
    assert demand.month.missing == 0


def test_at_the_end_of_a_month_the_running_one_becomes_the_last() -> None:
    """From the evening of 31 October on, over midnight in Oslo (23 h UTC)."""
    line = line_to(epoch=datetime(2026, 10, 31, 21, 30, tzinfo=UTC), load_blocks=9)
    _, publisher = work(line, polls=130, interval=MINUTE, zone=OSLO)
    demand = check(line, publisher)
    assert demand.month is not None
    assert demand.month.begin == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert demand.month.expected == 2
    assert demand.month.missing == 0
    months = [each.month.begin for each, _ in publisher.demands]
    assert sorted(set(months)) == [datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)]


PEAK = datetime(2026, 11, 14, 17, 30, tzinfo=UTC)  # when the house drew most in the days before 15 November


@pytest.mark.parametrize(
    ("seconds", "epoch"),
    [
        pytest.param(-3600.0, PEAK + timedelta(hours=3), id="an hour back after the peak"),
        pytest.param(3600.0, PEAK + timedelta(hours=3), id="an hour on after the peak"),
        pytest.param(-3600.0, PEAK - timedelta(minutes=10), id="an hour back within the peak"),
        pytest.param(-600.0, PEAK - timedelta(minutes=10), id="ten minutes back within the peak"),
        pytest.param(600.0, PEAK - timedelta(minutes=10), id="ten minutes on within the peak"),
    ],
)
def test_a_clock_that_is_set_takes_the_intervals_around_out_of_the_peak_and_says_so(
    seconds: float, epoch: datetime
) -> None:
    """Set a quarter of an hour after the start; from then on it is wrong, and the intervals are those of that clock."""
    month = datetime(2026, 10, 31, 23, tzinfo=UTC)
    true = highest(history(line_to(load_blocks=4, epoch=PEAK + timedelta(hours=3))), month)
    assert true is not None
    assert true.start == PEAK
    line = line_to(load_blocks=4, epoch=epoch)
    happens = {15: lambda meter: meter.faults.set_clock(seconds)}
    _, publisher = work(line, polls=130 if seconds < 0 else 70, interval=MINUTE, zone=OSLO, before_poll=happens)
    demand = check(line, publisher)
    assert demand.drift == pytest.approx(seconds, abs=2)
    assert demand.month is not None
    assert demand.month.begin == month
    assert demand.month.imported is not None
    assert (demand.month.imported == true) == (epoch > PEAK), "what nobody can vouch for is no peak"
    after = [each for each, _ in publisher.demands if each.drift and abs(each.drift) > 60]
    assert "filling" in after[0].quality, "the months are read again"
    assert "interval_unknown" in after[0].quality, "that interval is no quarter of an hour"
    assert all("clock_wrong" in each.quality for each in after)
    assert "interval_unknown" not in demand.quality, "behind it the meter's intervals are whole again"
    powers = [each.month.imported.power for each, _ in publisher.demands if each.month and each.month.imported]
    assert max(powers) <= true.power, "nothing is invented at any time"


def test_a_clock_that_was_never_right_says_so() -> None:
    _, publisher = work(line_to(clock_error=340.0, load_blocks=3), polls=5, interval=MINUTE, zone=OSLO)
    assert "clock_wrong" in last(publisher).quality


def test_a_meter_in_another_zone_says_so() -> None:
    _, publisher = work(line_to(load_blocks=3), polls=5, interval=MINUTE, zone=ZoneInfo("Asia/Tokyo"))
    demand = last(publisher)
    assert "zone_uncertain" in demand.quality
    assert demand.month is not None
    assert demand.month.begin.astimezone(OSLO).hour == 0, "its own local time, as far as the offset tells"


def test_a_meter_without_a_load_profile_has_no_demand() -> None:
    _, publisher = work(line_to(load_channels=()), polls=10, interval=MINUTE, zone=OSLO)
    assert publisher.demands == [(None, None)]


def test_intervals_that_the_meter_marks_are_not_in_the_peak_and_are_counted_as_missing() -> None:
    """The highest interval of yesterday is marked as longer than it should be."""
    marks = tuple((1, number, "03 33 30") for number in range(96))
    _, publisher = work(line_to(load_marks=marks, load_blocks=9), polls=12, interval=MINUTE, zone=OSLO)
    _, whole = work(line_to(load_blocks=9), polls=12, interval=MINUTE, zone=OSLO)
    demand = last(publisher)
    assert demand.month is not None
    assert 96 <= demand.month.missing - last(whole).month.missing <= 97
    assert "month_incomplete" in demand.quality
    yesterday = EPOCH.replace(hour=0, minute=0, second=0) - timedelta(days=1)
    assert demand.month.imported is not None
    assert not yesterday <= demand.month.imported.start < yesterday + timedelta(days=1)


@pytest.mark.parametrize(("hour", "switched"), [(1, 92), (5, 2050)], ids=["a fridge by night", "a kettle at seven"])
def test_the_running_interval_comes_close_to_what_it_turns_out_to_be(hour: int, switched: int) -> None:
    """It was last reckoned within twenty seconds of its end: what is switched meanwhile is in nobody's figure."""
    line = line_to(load_blocks=2, epoch=datetime(2026, 6, 10, hour, tzinfo=UTC))
    _, publisher = work(line, polls=300, zone=OSLO)
    known = [(demand, running) for demand, running in publisher.demands if running]
    turns = [(before[1], after[0]) for before, after in pairwise(known) if before[0].start != after[0].start]
    assert len(turns) >= 3
    for running, demand in turns:
        assert running.start == demand.start
        assert running.elapsed > 880
        assert running.expected.imported == pytest.approx(demand.powers.imported, abs=5 + switched * 20 / 900)
    assert len(known) >= len(publisher.demands) - 2, "it is known all the time from the first look on"


@pytest.mark.parametrize("interval", [2.0, 10.0])
def test_the_beats_are_on_time_while_the_months_are_read(interval: float) -> None:
    line = line_to()
    line.meter.faults.freeze()
    start = line.clock()
    _, publisher = work(line, polls=60, interval=interval, zone=OSLO)
    assert len(publisher.readings) == 60
    late = [(time - start) % interval for time in publisher.times[3:]]
    assert max(late) - min(late) < 0.25 * interval
    assert publisher.times[-1] - start < 62 * interval


def test_nothing_of_a_month_is_said_before_it_is_read() -> None:
    _, publisher = work(line_to(load_blocks=9), polls=25, zone=OSLO)
    texts = [json_object(demand_state(demand, running)) for demand, running in publisher.demands]
    filling = [text for text in texts if "filling" in text["quality"]]
    assert filling
    assert {text["month"]["import_w"] for text in filling} == {None}
    assert texts[-1]["month"]["import_w"] > 0
    assert filling[0]["import_w"] is not None, "the last interval is there at once"
