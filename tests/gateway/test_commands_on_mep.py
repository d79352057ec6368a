"""What is read beside the polls over the MEP port: for commands, and of what changes slowly."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.gateway.test_serving import BT26, Command, lateness, served
from tests.virtual import VirtualMepPort, line_to, work


def mep(profile: str = "83331-3i", **overrides: object) -> VirtualMepPort:
    line = line_to(profile, "mep", **overrides)
    assert isinstance(line, VirtualMepPort)
    return line


def apart(line: VirtualMepPort) -> float:
    """The least time from one request to the next."""
    return float(min(later - earlier for (earlier, _), (later, _) in pairwise(line.written)))


class TestACommand:
    @pytest.mark.parametrize("interval", [5.0, 10.0])
    def test_costs_no_beat_and_is_served_at_the_guides_pace_once_what_may_be_ahead_is_used_up(
        self, interval: float
    ) -> None:
        line = mep()
        start, command = line.clock(), Command(BT26, 1000)
        _, publisher = served(command, line, polls=30, interval=interval)
        assert publisher.statuses[-1].failures == {}
        assert len(publisher.readings) == 30
        late = lateness(publisher, start, interval)
        assert max(late) < 2.5, "a poll may wait for its two reads"
        lasted = line.clock() - start
        assert 0.6 * lasted < len(line.written) <= lasted + 60
        assert apart(line) > 0.0999

    def test_takes_turns_with_polls_a_second_apart(self) -> None:
        line = mep()
        command = Command(BT26, 1000)
        _, publisher = served(command, line, polls=120, interval=1.0)
        assert len(command.answers) > 10
        assert all(isinstance(answer, bytes) for _, answer in command.answers)
        assert publisher.statuses[-1].failures == {}
        assert max(later - earlier for earlier, later in pairwise(publisher.times[4:])) < 12.0
        assert apart(line) > 0.0999

    def test_is_answered_with_the_same_bytes(self) -> None:
        line = mep()
        image = line.meter.image(26)
        command = Command(BT26, 3)
        served(command, line)
        assert image is not None
        assert {answer for _, answer in command.answers} == {image[:256].ljust(256, b"\0")}


class TestWhatChangesSlowly:
    @pytest.mark.parametrize("profile", ["83331-3i-solar", "gen4-4.30"])
    @pytest.mark.allows_warnings("^the meter raised: cover_removed$")
    def test_is_found_alike_at_both_ports(self, profile: str) -> None:
        """The meter's cover is opened: an event. It has sub-meters, or an outage in its log."""
        found = []
        for line in (line_to(profile), mep(profile)):
            happens = {n: lambda meter: meter.faults.open_cover() for n in (10, 25)}
            _, publisher = work(line, polls=40, before_poll=happens)
            status = publisher.statuses[-1]
            found.append(
                (
                    [event.number for event in publisher.events],
                    {reading.serial for reading in publisher.sub_meters},
                    status.last_event,
                    status.last_outage,
                )
            )
        assert found[0] == found[1]
        assert found[0][0]

    def test_alarms_are_not_asked_for_again_once_the_port_has_said_that_it_does_not_offer_them(self) -> None:
        line = mep()
        work(line, polls=60)
        assert sum(data[3:5] == b"\x00\x03" for _, data in line.written) == 1
