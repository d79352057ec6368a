"""The client on the simulated meter's MEP port, in virtual time: what its caller gets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from nesgw.errors import (
    KeyRefused,
    KeyRests,
    MeterBusy,
    MeterMisbehaved,
    NoAnswer,
    NumberRefused,
    PollTooLong,
    SessionRefused,
    Stopped,
    TableNotPresent,
    TlsWanted,
)
from nesgw.mep.client import NO_KEY, table_name
from nesgw.mep.read_plan import coalesce
from nesgw.mep.session import State
from nesgw.simulator.services import Code
from tests.mep.conftest import TABLES, Rig


@dataclass(frozen=True)
class Span:
    table: int
    offset: int
    size: int


class TestReading:
    def test_what_was_asked_for_and_nothing_else(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.read(28, 100, 40)
        assert rig.port.monitor.requests == {"partial_read": 2}
        assert rig.client.statistics.wrong_numbers == 1  # at the first contact, when every number is a guess
        rig.clean()

    @pytest.mark.parametrize("count", [1, 40, 41, 117, 465, 466, 1000])
    def test_any_length_in_as_few_answers_as_hold_it(self, rig: Rig, count: int) -> None:
        rig.read(2048 + 53, 0, count)
        assert rig.port.monitor.requests["partial_read"] == -(-count // 465)

    def test_as_one_instant_what_fits_into_one_answer(self, rig: Rig) -> None:
        rig.client.read_all([Span(28, offset, 4) for offset in (0, 4, 40, 104, 200, 280)])
        assert rig.port.monitor.requests["partial_read"] == 1

    def test_spans_of_several_tables(self, rig: Rig) -> None:
        spans = [Span(23, 0, 8), Span(28, 0, 48), Span(23, 4, 8), Span(23, 200, 8)]
        found = rig.client.read_all(spans)
        assert found == {span: TABLES[span.table][span.offset : span.offset + span.size] for span in spans}
        assert rig.port.monitor.requests["partial_read"] == 3

    def test_the_first_answer_takes_the_second_that_enable_needs(self, rig: Rig) -> None:
        begin = rig.now
        rig.read(23, 0, 8)
        assert 1.0 < rig.now - begin < 1.3

    def test_a_client_after_it_goes_on_with_its_link(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.client = rig.open()
        rig.read(23, 0, 8)
        assert rig.client.statistics.wrong_numbers == 1

    def test_an_empty_list_reads_nothing(self, rig: Rig) -> None:
        assert rig.client.read_all([]) == {}
        assert rig.line.written == []


class TestBehindTheEndOfATable:
    @pytest.mark.parametrize("manner", ["zeros", "short", "refused"])
    def test_there_are_zeros_whatever_the_meter_does(self, manner: str) -> None:
        rig = Rig(past_end=manner)
        rig.read(52, 0, 9)
        rig.read(23, 180, 80)

    def test_its_size_is_asked_for_only_where_the_meter_refuses(self) -> None:
        rig = Rig(past_end="refused")
        rig.read(52, 0, 7)
        assert rig.port.monitor.requests == {"partial_read": 1}
        rig.read(52, 0, 9)
        assert rig.port.monitor.requests == {"partial_read": 2, "read": 1}

    @pytest.mark.parametrize("manner", ["short", "refused"])
    def test_where_there_is_nothing_at_all_it_is_an_error(self, manner: str) -> None:
        with pytest.raises(MeterMisbehaved):
            Rig(past_end=manner).client.read(52, 7, 4)

    def test_a_table_too_long_for_an_answer_is_not_taken_to_end_there(self) -> None:
        rig = Rig(past_end="refused")
        rig.faults.refuse(Code.ONP, services=["partial_read"])
        with pytest.raises(MeterMisbehaved):
            rig.client.read(2048 + 53, 500, 20)


class TestRefusals:
    def test_an_absent_table(self, rig: Rig) -> None:
        with pytest.raises(TableNotPresent, match="the meter has no table BT22"):
            rig.client.read(22, 0, 8)
        rig.read(23, 0, 8)

    def test_one_for_which_the_key_is_too_weak(self, rig: Rig) -> None:
        rig.faults.refuse(Code.ISC, count=1)
        with pytest.raises(KeyRefused, match="the key does not open this table") as refused:
            rig.client.read(23, 0, 8)
        assert str(refused.value.facts["code"]).startswith("isc")
        rig.read(23, 0, 8)

    @pytest.mark.parametrize("code", [Code.ERR, Code.SNS])
    def test_what_may_be_damage_is_asked_again_once(self, rig: Rig, code: Code) -> None:
        rig.faults.refuse(code, count=1)
        rig.read(23, 0, 8)
        rig.faults.refuse(code, count=2)
        with pytest.raises(MeterMisbehaved):
            rig.client.read(23, 0, 8)

    @pytest.mark.parametrize("code", [Code.BSY, Code.DNR, Code.DLK, Code.RNO])
    def test_a_busy_meter_is_asked_again_after_a_second_three_times(self, rig: Rig, code: Code) -> None:
        rig.read(23, 0, 8)
        rig.faults.refuse(code, count=3)
        begin = rig.now
        rig.read(23, 0, 8)
        assert 3.0 < rig.now - begin < 4.0
        rig.faults.refuse(code, count=4)
        with pytest.raises(MeterBusy):
            rig.client.read(23, 0, 8)

    def test_a_meter_that_wants_tls(self, rig: Rig) -> None:
        rig.faults.refuse(Code.ISSS)
        with pytest.raises(TlsWanted) as refused:
            rig.client.read(23, 0, 8)
        assert isinstance(refused.value, SessionRefused)

    def test_more_than_a_meter_gives_at_once_is_read_in_pieces(self, rig: Rig) -> None:
        rig.faults.refuse(Code.ONP, count=1)
        rig.read(28, 0, 220)
        assert [int.from_bytes(raw[8:10], "big") for _, raw in rig.line.written[1:]] == [220, *[40] * 5, 20]

    @pytest.mark.parametrize("signed", [True, False])
    def test_with_digest_or_without(self, signed: bool) -> None:
        rig = Rig(signed_refusals=signed)
        for _ in range(2):
            with pytest.raises(TableNotPresent):
                rig.client.read(22, 0, 8)
            rig.read(23, 0, 8)
        rig.clean()


class TestTheKey:
    def test_one_that_is_refused(self) -> None:
        rig = Rig(key=b"12345678901234567890")
        with pytest.raises(KeyRefused, match="MBK") as refused:
            rig.client.read(23, 0, 8)
        assert refused.value.exit_code == 77
        assert "1234567890" not in str(refused.value) + repr(refused.value)
        assert rig.client.state is State.REFUSED

    def test_is_not_shown_again_for_a_minute(self) -> None:
        rig = Rig(key=b"12345678901234567890")
        with pytest.raises(KeyRefused):
            rig.client.read(23, 0, 8)
        rig.line.sleep(30.0)
        with pytest.raises(KeyRests, match="shown again in 30 s"):
            rig.client.read(23, 0, 8)
        assert len(rig.line.written) == 2
        rig.line.sleep(30.1)
        with pytest.raises(KeyRefused):
            rig.client.read(23, 0, 8)
        assert len(rig.line.written) == 4
        rig.clean()

    @pytest.mark.parametrize("form", ["short", "long"])
    def test_without_any_the_line_can_be_proven(self, form: str) -> None:
        rig = Rig(key=NO_KEY, wrong_digest=form)
        rig.client.prove_line()
        assert {raw[:10] for _, raw in rig.line.written} == {bytes.fromhex("00 14 3F 08 03 00 00 00 00 1E")}

    def test_or_not(self) -> None:
        rig = Rig(key=NO_KEY, disabled=True)
        with pytest.raises(NoAnswer):
            rig.client.prove_line()

    def test_the_line_is_proven_by_the_right_one_too(self, rig: Rig) -> None:
        rig.client.prove_line()


class TestTheNumber:
    @pytest.mark.parametrize("reports_last", [False, True])
    @pytest.mark.parametrize("number", [0, 5, 2**32 - 1, 2**32 - 2, 2**31])
    def test_it_is_found_wherever_the_meter_stands(self, number: int, reports_last: bool) -> None:
        rig = Rig(number=number, reports_last=reports_last)
        for _ in range(4):
            rig.read(23, 0, 8)
        assert rig.client.statistics.requests <= 5
        assert rig.port.monitor.out_of_window == 0

    def test_a_jump_is_followed_and_counted(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.port.change_dimensions()
        rig.read(23, 0, 8)
        assert rig.client.statistics.unexpected_numbers == 1

    def test_one_that_is_never_right_is_an_error(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.port.window = 0
        with pytest.raises(NumberRefused):
            rig.client.read(23, 0, 8)
        rig.port.window = 8
        rig.read(23, 0, 8)


class TestStoppingAndLimits:
    def test_stop_ends_a_read_at_once(self, rig: Rig) -> None:
        ending = False
        client = rig.client = rig.open(stop=lambda: ending)
        rig.read(23, 0, 8)
        ending = True
        with pytest.raises(Stopped):
            client.read(23, 0, 8)

    def test_a_limit_ends_one_that_takes_too_long(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.faults.deaf()
        rig.client.limit(rig.now + 1.0)
        begin = rig.now
        with pytest.raises(PollTooLong):
            rig.client.read(23, 0, 8)
        assert rig.now - begin == pytest.approx(1.0, abs=0.01)

    def test_after_it_the_next_read_works(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        rig.client.limit(rig.now + 0.05)  # in the middle of the answer
        with pytest.raises(PollTooLong):
            rig.client.read(28, 0, 220)
        rig.client.limit(None)
        rig.read(23, 0, 8)
        assert rig.client.statistics.retransmissions == 0

    def test_a_pause_for_a_busy_meter_knows_the_limit_too(self, rig: Rig) -> None:
        rig.faults.refuse(Code.BSY)
        rig.client.limit(rig.now + 2.0)
        with pytest.raises(PollTooLong):
            rig.client.read(23, 0, 8)


class TestTheGuidesPace:
    def test_a_poll_a_second_of_one_read_is_never_held_up(self, rig: Rig) -> None:
        rig.read(28, 0, 220)
        for _ in range(300):
            due = rig.now + 1.0
            begin = rig.now
            rig.read(28, 0, 220)
            assert rig.now - begin < 0.4
            rig.line.sleep(due - rig.now)
        rig.clean()

    def test_more_than_one_read_a_second_is_held_up_after_a_minutes_worth(self, rig: Rig) -> None:
        begin = rig.now
        for _ in range(160):
            rig.read(23, 0, 8)
        # 160 and the first contact, of which 60 are ahead of one a second; and a second for Enable
        assert rig.now - begin == pytest.approx(102, abs=0.2)

    def test_what_is_to_spare_is_known(self, rig: Rig) -> None:
        rig.read(23, 0, 8)
        assert rig.client.spare() == 58  # the first contact took two


class TestTheReadPlan:
    def test_near_neighbours_are_read_together_and_far_ones_apart(self) -> None:
        spans = [Span(23, 0, 4), Span(23, 100, 4), Span(23, 201, 4), Span(28, 0, 4)]
        assert coalesce(spans, 465) == [spans[:2], spans[2:3], spans[3:]]

    def test_no_group_is_longer_than_an_answer(self) -> None:
        spans = [Span(23, offset, 4) for offset in range(0, 1000, 4)]
        groups = coalesce(spans, 465)
        assert [group[-1].offset + 4 - group[0].offset for group in groups] == [464, 464, 72]
        assert list(itertools.chain(*groups)) == spans

    def test_a_span_within_another_is_read_with_it(self) -> None:
        assert coalesce([Span(23, 0, 500), Span(23, 8, 4)], 465) == [[Span(23, 0, 500), Span(23, 8, 4)]]


@pytest.mark.parametrize(("number", "name"), [(0, "BT00"), (23, "BT23"), (2051, "ET03"), (2048 + 75, "ET75")])
def test_a_table_is_named_as_the_guides_do(number: int, name: str) -> None:
    assert table_name(number) == name
