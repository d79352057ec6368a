"""A meter as the daemon sees it, against the simulated meter of every profile, in virtual time.

The expected values are the simulated household's own registers, put into Home Assistant's units here by hand.
"""

import pytest

from nesgw.errors import KeyRefused
from nesgw.simulator import PROFILES
from tests.virtual import line_to, meter_on


def poll(meter, line, limit=60.0):
    with meter.session(line.clock() + limit):
        meter.facts()
        return meter.read()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_read_and_its_energy_and_power_are_the_meters_own(profile):
    line = line_to(profile)
    meter = meter_on(line)
    reading = poll(meter, line)
    truth = line.meter.truth(line.clock())
    unit = PROFILES[profile].energy_unit
    assert reading.values["energy_import"] == pytest.approx(truth.summations[0] * unit / 1000, abs=0.01 * unit)
    assert reading.values["energy_export"] == pytest.approx(truth.summations[1] * unit / 1000, abs=0.01 * unit)
    imported, exported = (18, 19) if PROFILES[profile].ct_ratio > 1 else (0, 1)
    expected = truth.present[imported] - truth.present[exported]
    assert reading.values["power"] == pytest.approx(expected, abs=50 + abs(expected) / 10)
    assert reading.values["frequency"] in (50.0, 50.05)
    assert None not in reading.values.values()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_read_twice_in_per_poll_sessions_that_all_end(profile):
    line = line_to(profile)
    meter = meter_on(line)
    for _ in range(2):
        poll(meter, line)
        line.sleep(10)
    assert line.meter.counters.sessions == 2
    assert line.meter.counters.requests["terminate"] == 2


def test_what_rarely_changes_is_asked_once_and_again_after_an_hour():
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    first = meter.facts
    before = sum(line.meter.counters.requests.values())
    line.sleep(10)
    poll(meter, line)
    ordinary = sum(line.meter.counters.requests.values()) - before
    line.sleep(3600)
    before = sum(line.meter.counters.requests.values())
    poll(meter, line)
    assert sum(line.meter.counters.requests.values()) - before > ordinary
    assert first is not None


class TestKeepOpen:
    """Trap 8: between polls the channel times out after six seconds, unless the meter was told to wait."""

    def test_one_session_serves_many_polls_ten_seconds_apart(self):
        line = line_to()
        meter = meter_on(line, mode="keep-open", idle=10.0)
        for _ in range(12):
            poll(meter, line)
            line.sleep(10)
        assert line.meter.counters.sessions == 1
        assert line.meter.counters.requests["wait"] == 12

    def test_polls_two_seconds_apart_need_no_wait(self):
        line = line_to()
        meter = meter_on(line, mode="keep-open", idle=2.0)
        for _ in range(10):
            poll(meter, line)
            line.sleep(1.5)
        assert line.meter.counters.sessions == 1
        assert line.meter.counters.requests["wait"] == 0

    def test_a_session_ends_well_before_the_meters_own_limit(self):
        """Trap 7: a meter that shares its line cuts a session of 600 s and is deaf for 300 s."""
        line = line_to("83331-3i-mep")
        meter = meter_on(line, mode="keep-open", idle=10.0, max_session=300.0)
        for _ in range(120):
            poll(meter, line)
            line.sleep(9.0)
        assert not line.meter.deaf
        assert 4 <= line.meter.counters.sessions <= 5

    def test_a_meter_that_forgot_the_session_gets_a_new_one_within_the_same_poll_or_the_next(self):
        line = line_to()
        meter = meter_on(line, mode="keep-open", idle=10.0)
        poll(meter, line)
        line.meter.faults.restart(1.0)
        line.sleep(10)
        readings = 0
        for _ in range(2):
            try:
                poll(meter, line, limit=10.0)
                readings += 1
            except Exception:
                line.sleep(2)
        assert readings >= 1


def test_a_wrong_key_is_refused_as_such_and_asked_once():
    """Trap 10: the meter counts refused keys."""
    line = line_to()
    meter = meter_on(line, key=b"0" * 20)
    with pytest.raises(KeyRefused, match="refused the key"):
        poll(meter, line)
    assert line.meter.counters.wrong_keys == 1


def test_another_meter_on_the_port_is_recognised_after_a_failed_poll():
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    line.meter.faults.swap("9999000001")
    with meter.session(line.clock() + 60):
        assert meter.facts(verify=True).identity.utility_serial == "9999000001"


def test_the_bytes_on_the_wire_are_counted():
    line = line_to()
    meter = meter_on(line)
    poll(meter, line)
    sent, received = meter.traffic
    assert (received, sent) == (line.meter.counters.bytes_out, line.meter.counters.bytes_in)


def test_closing_ends_the_session_and_gives_the_port_back():
    line = line_to()
    meter = meter_on(line, mode="keep-open", idle=10.0)
    poll(meter, line)
    meter.close()
    assert line.meter.state.name == "BASE"
