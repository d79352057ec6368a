"""The metrics, as Prometheus reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from nesgw.web.metrics import page
from tests.web.house import HOUSE, STALE, STATE, UNKNOWN, Visitor

BARN = replace(HOUSE, name="barn", state={**STATE, "frequency": None})


def samples(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = dict(line.rsplit(" ", 1) for line in lines)
    assert len(found) == len(lines), "a series stands there twice"
    return found


def test_energy_is_in_joules_and_power_in_watts() -> None:
    found = samples(page([HOUSE]))
    # 21334.181 kWh × 3,600,000 J
    assert found['nesgw_energy_joules_total{meter="house",direction="import"}'] == "76803051600"
    assert found['nesgw_power_watts{meter="house"}'] == "896"
    assert found['nesgw_phase_power_watts{meter="house",phase="L2"}'] == "-40"
    assert found['nesgw_poll_failures_total{meter="house",kind="no_answer"}'] == "3"
    assert found['nesgw_reading_timestamp_seconds{meter="house"}'] == "1795815060.12"


def test_a_stale_reading_leaves_and_what_is_no_reading_stays() -> None:
    found = samples(page([STALE]))
    assert not [name for name in found if re.match("nesgw_(energy|power|phase|voltage|current|frequency)", name)]
    assert found['nesgw_meter_online{meter="house"}'] == "0"
    assert 'nesgw_reading_timestamp_seconds{meter="house"}' in found
    assert 'nesgw_polls_total{meter="house"}' in found


def test_what_is_unknown_has_no_line() -> None:
    found = samples(page([BARN, UNKNOWN]))
    assert not [name for name in found if "frequency" in name or ('phase="L1"' in name and "factor" in name)]


def test_it_says_which_format_it_is_and_no_times() -> None:
    response = Visitor().get("/metrics")
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    text = response.body.decode()
    assert text.endswith("\n")
    assert "\r" not in text
    assert all(re.fullmatch(r"[a-z_]+(\{[^}]*\})? -?[0-9.e+]+", line) for line in text.splitlines() if line[0] != "#")


def test_no_serial_number_is_told() -> None:
    assert "4080123458" not in page([HOUSE])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's prometheus")
@pytest.mark.parametrize("meters", [[HOUSE, BARN], [STALE], [UNKNOWN], []])
def test_promtool_has_nothing_to_say(meters: list[Any]) -> None:
    tool = str(shutil.which("promtool"))
    done = subprocess.run(
        [tool, "check", "metrics"],
        input=page(meters),
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
