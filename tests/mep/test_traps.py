"""The traps that other clients of the MEP port fell into, each by its number in the list.

5 (the radio module's supply) is in the guide to the cable, and 16 (decoding) is not this layer's business: the captures
of real meters are decoded in ``tests/tables/test_captures.py``.
"""

from __future__ import annotations

import pytest

from nesgw.errors import (
    EnableWeak,
    KeyRefused,
    LineTooNoisy,
    LoopedBack,
    MepRequestDamaged,
    NoAnswer,
    WrongLevels,
)
from nesgw.mep.digest import DigestKey
from nesgw.mep.session import State
from nesgw.optical.read_plan import Span
from nesgw.simulator import DEFAULT_KEY
from tests.mep.conftest import Rig


class TestTrap01LongAnswersAreCut:
    @pytest.mark.parametrize("garbles", [False, True])
    @pytest.mark.parametrize("after", [53, 60, 101, 150, 200])
    def test_it_is_lived_with_in_small_pieces(self, after: int, garbles: bool) -> None:
        rig = Rig(weak_after=after, weak_garbles=garbles)
        rig.read(28, 0, 220)
        counts = [int.from_bytes(raw[8:10], "big") for _, raw in rig.line.written]
        assert counts[-6:] == [40, 40, 40, 40, 40, 20]
        assert set(counts[:-6]) == {220}
        for _ in range(5):
            rig.poll()

    def test_and_named_with_its_cure(self) -> None:
        rig = Rig(weak_after=101)
        assert rig.client.notice is None
        rig.read(28, 0, 220)
        notice = rig.client.notice
        assert isinstance(notice, EnableWeak)
        assert "long answers arrive cut short, with 99 of 231 bytes" in str(notice)
        assert "feed it from a stiff 5 to 12 V" in str(notice)

    def test_the_notice_goes_with_its_cause(self) -> None:
        rig = Rig(weak_after=101)
        rig.read(28, 0, 220)
        rig.manners.weak_after = 0
        rig.line.sleep(61.0)
        rig.read(28, 0, 220)
        assert rig.client.notice is None
        assert rig.port.monitor.requests["partial_read"] == 1 + 1 + 6 + 1

    def test_long_answers_are_tried_again_less_and_less_often(self) -> None:
        rig = Rig(weak_after=101)
        for _ in range(24 * 6):
            rig.read(28, 0, 220)
            rig.line.sleep(600.0)
        tried = sum(raw[8:10] == b"\0\xdc" for _, raw in rig.line.written)
        assert tried < 3 * (7 + 24)  # after 1, 2, 4 … 60 minutes; each takes two or three requests

    def test_a_port_too_weak_for_short_answers_is_an_error(self) -> None:
        rig = Rig(weak_after=30)
        with pytest.raises(EnableWeak):
            rig.client.read(28, 0, 220)

    def test_noise_that_spoils_one_long_answer_is_not_taken_for_it(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.manners.weak_after = 101
        rig.client.limit(rig.now + 0.5)
        with pytest.raises(Exception, match="ran out"):
            rig.client.read(28, 0, 220)
        rig.client.limit(None)
        rig.manners.weak_after = 0
        rig.read(28, 0, 220)
        assert rig.client.notice is None


def test_trap_02_zeros_without_end_are_wrong_levels_and_no_alerts() -> None:
    rig = Rig(floating=True)
    with pytest.raises(WrongLevels, match="RS-232 levels"):
        rig.client.read(23, 0, 8)
    assert rig.client.statistics.alerts <= 2


def test_trap_03_wires_that_are_joined_give_our_own_request_back() -> None:
    rig = Rig()
    rig.faults.echo()
    rig.faults.deaf()
    with pytest.raises(LoopedBack, match="TxD and RxD are joined"):
        rig.client.read(23, 0, 8)


def test_trap_04_after_silence_enable_is_switched_off_and_on() -> None:
    rig = Rig()
    rig.poll()
    rig.line.switched.clear()
    rig.faults.deaf(5.0)
    with pytest.raises(NoAnswer):
        rig.client.read(23, 0, 8)
    (off_at, off), (on_at, on) = rig.line.switched
    assert (off, on) == (False, True)
    assert on_at - off_at == pytest.approx(1.0, abs=0.01)


class TestTrap06TheKeyIsTakenAsItStands:
    @pytest.mark.parametrize("key", [b"a7941d85bce8a8fa2ab7", b"a7941d85bce8a8fa"])
    def test_twenty_characters_or_the_sixteen_that_count(self, key: bytes) -> None:
        Rig(key=key).poll()

    def test_ten_bytes_are_none(self) -> None:
        with pytest.raises(ValueError, match="16 or 20 bytes, this one 10"):
            DigestKey(bytes.fromhex(DEFAULT_KEY.decode()))

    def test_a_refused_one_is_said_to_be_taken_as_it_stands(self) -> None:
        with pytest.raises(KeyRefused, match="taken as they stand, also where they look like hex digits"):
            Rig(key=bytes(20)).client.read(23, 0, 8)


def test_trap_07_a_number_out_of_turn_is_no_error(rig: Rig) -> None:
    rig.poll()
    assert rig.client.statistics.wrong_numbers == 1
    assert rig.client.notice is None


def test_trap_08_each_frame_is_built_when_it_is_sent(rig: Rig) -> None:
    for _ in range(5):
        rig.poll()
        rig.port.change_dimensions()
    assert rig.port.monitor.out_of_window == 0
    assert rig.client.statistics.wrong_numbers == 5


def test_trap_09_a_lost_answer_does_not_stop_the_flow(rig: Rig) -> None:
    rig.poll()
    for _ in range(20):
        rig.faults.lose(answers=1)
        rig.poll()
    assert rig.port.monitor.out_of_window == 0


def test_trap_09_nor_do_seven_in_a_row(rig: Rig) -> None:
    rig.poll()
    rig.faults.lose(answers=7)
    for _ in range(4):
        try:
            rig.poll()
            break
        except NoAnswer:
            rig.line.sleep(10.0)
    rig.poll()


class TestTrap10TheDigestIsRefusedNowAndThen:
    def test_once_the_key_is_proven_it_is_damage_on_the_line(self, rig: Rig) -> None:
        rig.poll()
        rig.faults.noise(corrupt=0.01, direction="to_meter")
        done = 0
        for _ in range(40):
            try:
                rig.poll()
                done += 1
            except LineTooNoisy:
                rig.line.sleep(2.0)
        assert rig.client.statistics.wrong_digests > 3
        assert done > 34
        assert rig.client.state is not State.REFUSED

    def test_three_in_a_row_fail_the_read_and_not_the_key(self, rig: Rig) -> None:
        rig.poll()
        rig.port.keys.clear()
        with pytest.raises(MepRequestDamaged):
            rig.client.read(23, 0, 8)

    def test_ten_such_polls_are_a_changed_key(self, rig: Rig) -> None:
        rig.poll()
        rig.port.keys.clear()
        for _ in range(9):
            with pytest.raises(MepRequestDamaged):
                rig.client.read(23, 0, 8)
            rig.line.sleep(10.0)
        with pytest.raises(KeyRefused):
            rig.client.read(23, 0, 8)


@pytest.mark.parametrize("manner", ["number", "refused", "wrong digest"])
def test_trap_11_nothing_is_read_in_full(manner: str) -> None:
    rig = Rig(without_count=manner)
    rig.poll()
    assert {raw[2] for _, raw in rig.line.written} == {0x3F}


@pytest.mark.parametrize("manner", ["short", "refused"])
def test_trap_12_of_a_table_that_ends_early_there_is_what_arrived_and_nothing_made_up(manner: str) -> None:
    """Another client read 13 bytes of BT23 as four registers: the fourth was one byte and memory."""
    rig = Rig(past_end=manner)
    whole, behind = Span(52, 0, 7), Span(52, 0, 9)
    assert rig.client.read_all([behind])[behind] == rig.client.read_all([whole])[whole]


class TestTrap13DamagedAnswers:
    @pytest.mark.parametrize("noise", ["corrupt", "drop", "insert", "duplicate"])
    def test_none_is_ever_taken(self, rig: Rig, noise: str) -> None:
        rig.poll()
        rig.faults.noise(**{noise: 0.002}, direction="to_client")
        done = 0
        for _ in range(40):
            try:
                rig.poll()  # compares every byte
                done += 1
            except (LineTooNoisy, NoAnswer):
                rig.line.sleep(2.0)
        assert done > 30


@pytest.mark.parametrize("cause", ["silence", "zeros", "echo", "damage"])
def test_trap_14_what_could_not_be_read_has_no_value(cause: str) -> None:
    rig = Rig(disabled=cause == "silence", floating=cause == "zeros")
    if cause == "echo":
        rig.faults.echo()
        rig.faults.deaf()
    if cause == "damage":
        rig.faults.noise(corrupt=1.0)
    with pytest.raises((NoAnswer, LineTooNoisy)):
        rig.client.read(23, 0, 8)


def test_trap_15_alerts_are_counted_and_never_answered() -> None:
    rig = Rig(alerts=True)
    for _ in range(10):
        rig.poll()
        rig.line.sleep(9.0)
    assert rig.client.statistics.alerts > 50
    assert set(rig.port.monitor.requests) == {"partial_read"}
    rig.clean()


def test_trap_17_an_optical_reading_of_minutes_is_borne(rig: Rig) -> None:
    rig.poll()
    rig.faults.deaf(300.0)
    failed = 0
    while True:
        try:
            rig.poll()
            break
        except NoAnswer as silence:
            assert "a reading at the optical port" in str(silence)  # noqa: PT017
            failed += 1
            rig.line.sleep(10.0)
    assert failed == pytest.approx(300 / 13, abs=2)
    rig.poll()


def test_trap_18_a_port_that_is_switched_off_is_the_last_cause_named() -> None:
    with pytest.raises(NoAnswer, match=r"the utility may have switched the port off: ask it to activate the MEP port$"):
        Rig(disabled=True).client.read(23, 0, 8)


def test_trap_19_enable_that_somebody_dropped_comes_back(rig: Rig) -> None:
    rig.poll()
    rig.line.drop_enable()
    with pytest.raises(NoAnswer):
        rig.client.read(23, 0, 8)
    rig.poll()


class TestTrap20StrayBytes:
    def test_a_zero_when_enable_is_switched_on(self) -> None:
        rig = Rig(stray_zero=True)
        rig.poll()
        assert rig.client.statistics.retransmissions == 0

    def test_a_zero_before_each_answer(self, rig: Rig) -> None:
        rig.poll()
        rig.faults.noise(insert=0.01, direction="to_client")
        done = 0
        for _ in range(50):
            try:
                rig.read(23, 0, 8)
                done += 1
            except LineTooNoisy:
                rig.line.sleep(2.0)
        assert done > 45


def test_trap_21_a_failure_leaves_nothing_behind(rig: Rig) -> None:
    rig.poll()
    rig.faults.deaf(2.0)
    with pytest.raises(NoAnswer):
        rig.client.read(23, 0, 8)
    rig.poll()
    assert rig.client.state is State.IDLE
    assert rig.client.notice is None


def test_trap_22_no_frame_with_its_digest_is_in_a_trace(rig: Rig) -> None:
    rig.faults.lose(answers=1)
    rig.poll()
    with pytest.raises(Exception, match="no table"):
        rig.client.read(22, 0, 8)
    trace = "\n".join(rig.trace)
    assert "Read table 28 offset 0 count 220" in trace
    for _, raw in rig.line.written:
        assert raw[-8:].hex() not in trace.replace(" ", "").lower()
    assert DEFAULT_KEY.decode() not in trace


def test_trap_23_another_baud_rate_is_found_by_trying() -> None:
    rig = Rig(baud=9600)
    rig.manners.baud = 2400
    with pytest.raises(NoAnswer, match="the baud rate"):
        rig.client.read(23, 0, 8)
    slow = Rig(baud=2400)
    slow.manners.baud = 2400
    slow.poll()
