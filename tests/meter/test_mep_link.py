"""The MEP port as a link: sessions of no cost, the key shown once, and what is whose fault."""

from __future__ import annotations

from typing import Any

import pytest

from nesgw.config.settings import MeterSettings, Secret
from nesgw.errors import (
    EnableWeak,
    KeyRests,
    MepKeyRefused,
    MepLineTooNoisy,
    MepNoAnswer,
    MepRequestDamaged,
    MepTableClosed,
    PortBusy,
    PortShared,
    TableNotPresent,
    WrongDevice,
)
from nesgw.meter.mep_link import ALERTS, MepLink
from nesgw.optical.read_plan import Span
from nesgw.simulator import DEFAULT_KEY
from nesgw.simulator.services import Code
from tests.virtual import VirtualMepPort, line_to

BT01 = Span(1, 0, 24)
WRONG = b"another-key-20-bytes"


class Rig:
    """A link on a simulated MEP port in virtual time; notes how the port was opened."""

    def __init__(self, key: bytes = DEFAULT_KEY, *, form: str = "", meter: Any = None, **manners: Any) -> None:
        line = line_to(interface="mep", manners=manners, **(meter or {}))
        assert isinstance(line, VirtualMepPort)
        self.line = line
        self.opened: list[dict[str, object]] = []
        settings = MeterSettings("house", "virtual", interface="mep", key=Secret(key), key_form=form)
        self.link = MepLink(settings, clock=line.clock, sleep=line.sleep, opener=self._open)

    def _open(self, *_place: object, **options: object) -> VirtualMepPort:
        self.opened.append(options)
        return self.line

    def took(self, *spans: Span) -> float:
        """How long it takes to read one span after the other."""
        begin = self.line.clock()
        for span in spans:
            self.link.read(span)
        return self.line.clock() - begin


def test_the_port_is_opened_with_enable_on_whatever_the_settings_say_of_lines() -> None:
    rig = Rig()
    rig.link.open_session()
    assert rig.opened == [{"baud": 9600, "rts": True, "dtr": False}]
    assert rig.line.rts


def test_a_session_costs_one_read_in_a_run_however_often_it_is_opened() -> None:
    rig = Rig()
    for _ in range(3):
        rig.link.open_session()
        rig.link.terminate()
    rig.link.close()
    rig.link.open_session()
    assert rig.line.port.monitor.requests == {"partial_read": 1}


def test_a_port_that_is_closed_is_in_no_session_and_enable_is_off() -> None:
    rig = Rig()
    rig.link.open_session()
    rig.link.read(BT01)
    rig.link.close()
    assert not rig.link.in_session
    assert not rig.line.rts


def test_a_refused_key_is_said_with_the_form_in_which_it_was_understood_and_nothing_of_it() -> None:
    rig = Rig(WRONG, form="40 hex digits")
    with pytest.raises(MepKeyRefused) as refusal:
        rig.link.open_session()
    assert "it was taken as 40 hex digits" in str(refusal.value)
    assert WRONG.decode() not in str(refusal.value)
    assert not rig.link.in_session


def test_a_refused_key_rests_and_the_meter_hears_nothing_meanwhile() -> None:
    rig = Rig(WRONG)
    with pytest.raises(MepKeyRefused):
        rig.link.open_session()
    heard = rig.line.meter.counters.bytes_in
    with pytest.raises(KeyRests, match="shown again in 60 s"):
        rig.link.open_session()
    assert rig.line.meter.counters.bytes_in == heard
    assert rig.line.port.monitor.keys_repeated == 0


def test_a_table_that_is_closed_or_missing_leaves_the_session_sound() -> None:
    rig = Rig(meter={"locked_tables": frozenset({21})})
    rig.link.open_session()
    with pytest.raises(MepTableClosed, match="does not open this table"):
        rig.link.read(Span(21, 0, 10))
    with pytest.raises(TableNotPresent):
        rig.link.read(Span(3, 0, 8))  # BT03: the port does not offer it
    assert rig.link.in_session


def test_a_proven_key_that_is_refused_closes_no_table_but_ends_the_session() -> None:
    """Its utility may have changed it: ten reads in a row say so, and then it is shown anew, and refused."""
    rig = Rig()
    rig.link.open_session()
    rig.line.port.keys = [WRONG[:16]]
    for _ in range(10):
        with pytest.raises(MepRequestDamaged):
            rig.link.read(BT01)
        assert not rig.link.in_session
    with pytest.raises(KeyRests):
        rig.link.open_session()


def test_silence_ends_the_session_and_the_next_one_begins_without_a_word() -> None:
    rig = Rig()
    rig.link.open_session()
    rig.line.meter.faults.silence(4.0)
    with pytest.raises(MepNoAnswer):
        rig.link.read(BT01)
    assert not rig.link.in_session
    rig.line.sleep(5.0)
    rig.link.open_session()
    assert rig.link.read(BT01)[:4] == b"ELON"


@pytest.mark.parametrize("size", [1, 40, 220, 336, 465, 466, 1000])
def test_no_read_takes_longer_than_it_says_and_little_less(size: int) -> None:
    rig = Rig()
    rig.link.open_session()
    rig.link.read(BT01)
    said = rig.link.seconds(size)
    took = rig.took(Span(28, 0, size))
    assert took <= said <= took + 0.25, "100 ms from the request before, and 100 ms to the next"


def test_the_first_read_takes_longer_by_settling_and_by_the_first_contact() -> None:
    rig = Rig()
    said = rig.link.seconds(24)
    begin = rig.line.clock()
    rig.link.open_session()
    rig.link.read(BT01)
    assert 1.0 < rig.line.clock() - begin <= said <= 1.5


def test_a_read_that_the_average_holds_up_says_so() -> None:
    rig = Rig()
    rig.link.open_session()
    while rig.link.spare:
        rig.link.read(Span(52, 0, 7))
    assert rig.link.seconds(7) > 1.0
    assert rig.took(Span(52, 0, 7)) <= rig.link.seconds(7)


def test_a_weak_enable_is_a_notice_until_long_answers_arrive_again() -> None:
    rig = Rig(weak_after=101)
    rig.link.open_session()
    assert rig.link.notice is None
    rig.link.read(Span(28, 0, 220))
    notice = rig.link.notice
    assert isinstance(notice, EnableWeak)
    assert "stiff 5 to 12 V" in str(notice)
    assert rig.link.seconds(220) == pytest.approx(0.7), "six reads of 40 bytes, 100 ms from one to the next"
    rig.line.port.manners.weak_after = 0
    rig.line.sleep(130.0)
    rig.link.read(Span(28, 0, 220))
    assert rig.link.notice is None


def test_alerts_to_a_registered_device_are_a_remark() -> None:
    rig = Rig()
    rig.link.open_session()
    assert rig.link.remark is None
    rig.line.port.manners.alerts = True
    rig.line.sleep(3.0)
    rig.link.read(BT01)
    assert rig.link.remark == ALERTS


def test_a_busy_meter_ends_no_session() -> None:
    rig = Rig()
    rig.link.open_session()
    rig.line.meter.faults.refuse(Code.BSY, count=2)
    assert rig.link.read(BT01)[:4] == b"ELON"
    assert rig.link.in_session


def answering(rig: Rig, said: bytes) -> None:
    """Put something else on the port that says this to whatever it is sent."""
    waiting: list[bytes] = []

    def read(timeout: float) -> bytes:
        rig.line.sleep(0.02 if waiting else timeout)
        return waiting.pop() if waiting else b""

    line: Any = rig.line
    line.write = lambda _: waiting.append(said)
    line.read = read


@pytest.mark.parametrize(
    ("said", "device"),
    [
        (b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n", "a GPS receiver"),
        (b"\r\nraspberrypi login: ", "a login console"),
        (b"\xff\xfd\x18\xff\xfb\x01", "a telnet server"),
        (bytes.fromhex("1B1B1B1B01010101760500534601"), "an SML meter"),
        (bytes.fromhex("7EA007032193 0F017E"), "a meter that speaks DLMS"),
    ],
)
def test_what_is_no_meter_is_named_and_nobody_looks_for_a_loose_plug(said: bytes, device: str) -> None:
    rig = Rig()
    answering(rig, said)
    with pytest.raises(WrongDevice, match=f"no meter is on this port, but {device}"):
        rig.link.open_session()


def test_a_bridge_that_serves_somebody_else_says_so() -> None:
    rig = Rig()
    answering(rig, b"Port already in use\r\n")
    with pytest.raises(PortBusy, match="another program, as the bridge says"):
        rig.link.open_session()


def test_a_program_that_had_the_port_first_and_locks_nothing_is_named() -> None:
    rig = Rig()
    rig.link.open_session()
    answering(rig, b"")
    line: Any = rig.line
    line.holder = lambda: "minicom (pid 42)"
    with pytest.raises(PortShared, match="minicom"):
        rig.link.read(BT01)


def test_of_a_meter_that_took_the_key_no_damage_makes_another_device() -> None:
    rig = Rig()
    rig.link.open_session()
    answering(rig, b"\r\nraspberrypi login: ")
    with pytest.raises(MepLineTooNoisy):
        rig.link.read(BT01)


def test_traffic_counts_on_over_every_time_the_port_is_opened() -> None:
    rig = Rig()
    rig.link.open_session()
    rig.link.close()
    rig.link.open_session()
    rig.link.read(BT01)
    sent, received = rig.link.traffic
    assert sent == 22 * 3  # the first contact took two
    assert received >= 15 + 14 + 37
