"""nesgw doctor at the MEP port: its own causes, in the order in which to look, on a simulated port in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nesgw.commands.doctor.case import MeterCase, NoKey
from nesgw.commands.doctor.examination import Examination, Finding, Mark, ok
from nesgw.commands.doctor.meter_steps import METER_STEPS
from nesgw.commands.doctor.report import Report
from nesgw.config.key import parse_key
from nesgw.config.settings import MeterSettings
from nesgw.simulator import DEFAULT_KEY
from tests.virtual import VirtualMepPort, line_to

KEY = DEFAULT_KEY.decode()
WRONG = "0123456789abcdefghij"
OPENED = ("port", "permission")  # taken before: the line is the port


def mep_line(**manners: object) -> VirtualMepPort:
    line = line_to(interface="mep", manners=manners)
    assert isinstance(line, VirtualMepPort)
    line.baud = 9600
    return line


def examined(
    line: VirtualMepPort, key: str | None = KEY, *, baud: int = 9600, report: Report | None = None
) -> dict[str, Finding]:
    """Take all steps, with the port open already: how that is done is the same for every interface."""
    line.baud = baud
    case = MeterCase(
        MeterSettings("house", "virtual", interface="mep", baud=baud),
        parse_key(key, "mep") if key else None,
        NoKey.NOT_GIVEN,
        report=report,
        name="virtual",
        port=line,
        clock=line.clock,
        sleep=line.sleep,
    )
    examination = Examination(case)
    steps = [replace(step, look=lambda _: ok("open")) if step.title in OPENED else step for step in METER_STEPS["mep"]]
    with case:
        return {step.title: examination.take(step) for step in steps}


def test_all_is_well() -> None:
    found = examined(mep_line())
    assert {title: each.mark for title, each in found.items()} == dict.fromkeys(found, Mark.OK)
    assert found["key"].text == "recognised as 20 characters"
    assert found["meter"].text == "ELON 83331-3I, serial number 4080123456, firmware 3.84.06"
    assert "values; power" in found["tables"].text


def test_without_a_key_wires_levels_and_enable_are_proven_all_the_same() -> None:
    line = mep_line()
    found = examined(line, key=None)
    assert found["cable, Enable"].mark is Mark.OK
    assert found["key accepted"].mark is Mark.SKIPPED
    assert line.port.monitor.keys_repeated == 0


def test_a_refused_key_proves_the_line_and_is_said_with_its_form_at_its_own_step() -> None:
    line = mep_line()
    found = examined(line, key=WRONG)
    assert found["cable, Enable"].mark is Mark.OK
    refused = found["key accepted"]
    assert (refused.mark, refused.exit_code) == (Mark.FAILED, 77)
    assert "it was taken as 20 characters" in refused.do[0]
    assert found["tables"].mark is Mark.SKIPPED
    assert line.port.monitor.keys_repeated == 0


def test_a_key_that_the_service_was_refused_with_lately_is_not_shown_but_the_line_is_proven() -> None:
    refused = Report(60.0, "the meter refused the key", None, {}, "key")
    line = mep_line()
    found = examined(line, report=refused)
    assert found["cable, Enable"].mark is Mark.OK
    assert "not tried again" in found["key accepted"].text
    assert line.port.monitor.answers.keys() == {0x0B}, "no answer was signed with the key"


SILENT: dict[str, Callable[[VirtualMepPort], object]] = {
    "the port is switched off": lambda line: setattr(line.port.manners, "disabled", True),
    "a session at the optical port": lambda line: line.meter.faults.silence(1000.0),
    "Enable does not reach the meter": lambda line: setattr(line.port, "enable", lambda on, now: None),
}


@pytest.mark.parametrize("name", SILENT)
def test_silence_names_the_causes_in_their_order_without_those_that_were_excluded(name: str) -> None:
    line = mep_line()
    SILENT[name](line)
    silent = examined(line)["cable, Enable"]
    assert (silent.mark, silent.exit_code) == (Mark.FAILED, 69)
    assert "at no baud rate" in silent.text
    assert [cause.split(",")[0].split(" (")[0] for cause in silent.do] == [
        "the cable",
        "a reading at the optical port",
        "a meter that asks for TLS",
        "at last",
    ]
    assert line.baud == 9600


@pytest.mark.parametrize("rate", [4800, 300])
def test_another_baud_rate_is_found_with_one_request_at_each(rate: int) -> None:
    line = mep_line()
    line.port.manners.baud = rate
    found = examined(line)["cable, Enable"]
    assert found.text == f"the meter answers at {rate} baud"
    assert found.do == (f"set baud = {rate}",)


def test_joined_wires_are_told_from_silence() -> None:
    line = mep_line()
    line.meter.faults.lose(answers=1000)
    line.meter.faults.echo()
    looped = examined(line)["cable, Enable"]
    assert "only our own request comes back" in looped.text
    assert "TxD and RxD" in looped.do[0]


def test_wrong_levels_are_told_from_silence() -> None:
    wrong = examined(mep_line(floating=True))["cable, Enable"]
    assert "nothing but zeros" in wrong.text
    assert "5 to 12 V on Enable" in wrong.do[0]


def test_an_enable_that_sags_is_found_although_the_reading_came_through() -> None:
    found = examined(mep_line(weak_after=101))
    assert found["tables"].mark is Mark.OK
    weak = found["long answers"]
    assert (weak.mark, weak.exit_code) == (Mark.FAILED, 69)
    assert "stiff 5 to 12 V" in weak.do[0]


def test_alerts_to_a_device_that_was_registered_once_are_said() -> None:
    line = mep_line(alerts=True)
    line.sleep(3.0)
    assert any("registered" in remark for remark in examined(line)["long answers"].do)
