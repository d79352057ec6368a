"""The meter's MEP port: the guide's exchanges byte for byte, each manner, each fault, and what its monitor sees."""

from __future__ import annotations

import argparse
import os
import select
import threading
import tty
from typing import Any

import pytest

from nesgw.commands import simulate
from nesgw.simulator import MepPort, PtyLine, SimulatedMeter, serve
from nesgw.simulator.mep_wire import digest
from nesgw.simulator.services import Code
from tests.mep.exchanges import (
    BT28_C4,
    C10_ANSWER,
    C10_REQUEST,
    C11_ANSWER,
    C11_REQUEST,
    EXCHANGES,
    G3_REQUEST,
    KEY,
    Exchange,
)

BYTE = 10 / 9600
BT52 = bytes.fromhex("1A 0B 14 08 1E 00 15")
LONG = bytes(number % 251 for number in range(600))


class Hand:
    """Puts bytes on the port's line by hand, at its own time, and writes down what comes back and when."""

    def __init__(self, *, number: int = 1000, key: bytes = KEY, images: Any = None, **manners: Any) -> None:
        tables = {23: BT28_C4, 28: BT28_C4, 52: BT52, 2048 + 53: LONG} if images is None else images
        self.now = 5000.0
        self.meter = SimulatedMeter(key=key, images=tables, clock=lambda: self.now)
        self.port = MepPort(self.meter, number=number, **manners)
        self.number = number

    def hear(self, seconds: float = 3.0) -> list[tuple[float, bytes]]:
        begin, until, heard = self.now, self.now + seconds, []
        while (moment := self.port.wake()) is not None and moment <= until:
            self.now = max(self.now, moment)
            if out := self.port.due(self.now):
                heard.append((round(self.now - begin, 6), out))
        self.now = until
        return heard

    def ask(self, raw: bytes, seconds: float = 3.0) -> bytes:
        self.port.receive(raw, self.now)
        return b"".join(data for _, data in self.hear(seconds))

    def frame(self, request: str, number: int | None = None) -> bytes:
        self.number = self.number + 1 if number is None else number
        message = bytes.fromhex(request) + self.number.to_bytes(4, "big")
        return (len(message) + 8).to_bytes(2, "big") + message + digest(KEY, message)

    def body(self, request: str, number: int | None = None) -> bytes:
        """What follows the length in the answer to a request, without its digest, which is proven."""
        raw = self.frame(request, number)
        answer = self.ask(raw)
        assert int.from_bytes(answer[:2], "big") == len(answer) - 2
        content = answer[2:-8]
        assert digest(KEY, raw[2:-8] + content) == answer[-8:]
        return content


READ_BT23 = "3F 00 17 00 00 00 00 08"
OK_BT23 = bytes.fromhex("00 00 08 00 01 02 03 04 05 06 07")


class TestTheGuidesExchanges:
    @pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
    def test_the_answer_byte_for_byte(self, exchange: Exchange) -> None:
        number = exchange.number - 2
        images: dict[int, bytes | Code] = {exchange.table: exchange.data}
        if exchange.reported is not None:
            number = exchange.reported - 1
        elif exchange.code in (3, 5):
            images = {exchange.table: Code(exchange.code)}
        hand = Hand(key=exchange.key, images=images, number=number)
        assert hand.ask(exchange.request).hex(" ") == exchange.answer.hex(" ")

    def test_an_encrypted_request_is_answered_in_kind(self) -> None:
        assert Hand(number=0x5B4E4307).ask(C10_REQUEST).hex(" ") == C10_ANSWER.hex(" ")

    def test_so_is_one_whose_number_is_out_of_turn(self) -> None:
        assert Hand(number=0x5B4E4307).ask(C11_REQUEST).hex(" ") == C11_ANSWER.hex(" ")

    def test_a_second_key_is_taken_too(self) -> None:
        meter = SimulatedMeter(key=KEY, images={52: BT52}, clock=lambda: 5000.0)
        port = MepPort(meter, number=0x77635B8F, mak=bytes([1]) * 16)
        assert port.keys == [bytes([1]) * 16, KEY[:16]]
        port.receive(EXCHANGES[0].request, 5000.0)
        assert port.due(5001.0) == EXCHANGES[0].answer


class TestTheNumber:
    @pytest.mark.parametrize("step", [1, 8])
    def test_up_to_eight_past_the_last_is_accepted(self, step: int) -> None:
        assert Hand().body(READ_BT23, 1000 + step) == OK_BT23

    @pytest.mark.parametrize("step", [0, 9, -1])
    def test_another_is_answered_with_the_next(self, step: int) -> None:
        assert Hand().body(READ_BT23, 1000 + step) == bytes.fromhex("0C 00 00 03 E9")

    def test_or_with_the_last(self) -> None:
        assert Hand(reports_last=True).body(READ_BT23, 1000) == bytes.fromhex("0C 00 00 03 E8")

    def test_it_begins_again_behind_the_largest(self) -> None:
        hand = Hand(number=2**32 - 2)
        assert hand.body(READ_BT23, 2**32 - 1) == OK_BT23
        assert hand.body(READ_BT23, 3) == OK_BT23

    def test_a_refused_request_counts_too(self) -> None:
        hand = Hand()
        assert hand.body("3F 00 16 00 00 00 00 08", 1001) == b"\x05"
        assert hand.body(READ_BT23, 1001)[:1] == b"\x0c"

    def test_it_jumps_when_the_dimensions_change(self) -> None:
        hand = Hand()
        hand.port.change_dimensions()
        assert hand.body(READ_BT23, 1001) == bytes.fromhex("0C 00 00 04 02")  # 1000 + 25 + 1

    def test_it_is_random_at_the_start_and_the_same_for_a_seed(self) -> None:
        numbers = [MepPort(SimulatedMeter(seed=seed)).number for seed in (1, 1, 2)]
        assert numbers[0] == numbers[1] != numbers[2]


class TestManners:
    @pytest.mark.parametrize(
        ("form", "answer"), [("short", "00 01 0B"), ("long", "00 09 0B" + 8 * "00"), ("silence", "")]
    )
    def test_a_wrong_digest(self, form: str, answer: str) -> None:
        assert Hand(wrong_digest=form).ask(Hand().frame(READ_BT23)[:-1] + b"?") == bytes.fromhex(answer)

    @pytest.mark.parametrize(
        ("manner", "answer"),
        [("zeros", bytes.fromhex("00 00 09") + BT52 + bytes(2)), ("short", b"\0\0\x07" + BT52), ("refused", b"\x04")],
    )
    def test_a_read_past_the_end(self, manner: str, answer: bytes) -> None:
        assert Hand(past_end=manner).body("3F 00 34 00 00 00 00 09") == answer

    def test_a_read_of_as_much_as_an_answer_holds(self) -> None:
        assert Hand().body("3F 08 35 00 00 00 01 D1") == bytes.fromhex("00 01 D1") + LONG[:465]

    def test_a_read_of_more_is_refused_cut_or_left_unanswered(self) -> None:
        assert Hand().body("3F 08 35 00 00 00 01 D2") == b"\x04"
        assert Hand(too_long="cut").body("3F 08 35 00 00 00 01 D2") == bytes.fromhex("00 01 D1") + LONG[:465]
        hand = Hand(too_long="silence")
        assert hand.ask(hand.frame("3F 08 35 00 00 00 01 D2")) == b""

    def test_a_full_read_without_count_takes_the_number_for_it(self) -> None:
        assert Hand(number=0x0003FFFF).body("30 00 34", 0x00040000) == bytes.fromhex("00 00 04") + BT52[:4]
        assert Hand(without_count="refused").body("30 00 34") == b"\x01"
        assert Hand(without_count="wrong digest").body("30 00 34") == b"\x0b"

    def test_a_refusal_may_be_the_code_alone(self) -> None:
        hand = Hand(signed_refusals=False)
        assert hand.ask(hand.frame("3F 00 16 00 00 00 00 08")) == bytes.fromhex("00 01 05")

    def test_bt03_is_not_offered(self) -> None:
        assert Hand(images={3: bytes(9)}).body("3F 00 03 00 00 00 00 09") == b"\x05"

    def test_an_unknown_request_is_refused(self) -> None:
        assert Hand().body("50 00 17 00 00") == b"\x01"

    def test_nothing_comes_from_a_port_that_is_switched_off(self) -> None:
        hand = Hand(disabled=True, alerts=True)
        assert hand.ask(hand.frame(READ_BT23)) == b""

    def test_nothing_is_understood_at_another_baud_rate(self) -> None:
        hand = Hand(baud=2400)
        hand.port.set_pace(9600)
        assert hand.ask(hand.frame(READ_BT23)) == b""
        hand.port.set_pace(2400)
        assert len(hand.ask(hand.frame(READ_BT23))) == 21


class TestTime:
    def test_it_answers_after_its_delay_and_pauses_after_each_117_bytes(self) -> None:
        hand = Hand()
        hand.port.set_pace(9600)
        hand.port.receive(hand.frame("3F 00 1C 00 00 00 00 DC"), hand.now)  # 220 bytes: 233 on the line
        heard = hand.hear()
        assert [len(data) for _, data in heard] == [117, 116]
        assert [at for at, _ in heard] == [0.02, round(0.02 + 117 * BYTE + 0.025, 6)]

    def test_two_answers_are_100_ms_apart(self) -> None:
        hand = Hand()
        hand.port.receive(hand.frame(READ_BT23) + hand.frame(READ_BT23), hand.now)
        assert [at for at, _ in hand.hear()] == [0.02, 0.12]

    def test_a_pause_of_more_than_50_ms_within_a_request_drops_it(self) -> None:
        for pause, answered in ((0.049, True), (0.051, False)):
            hand = Hand()
            raw = hand.frame(READ_BT23)
            hand.port.receive(raw[:9], hand.now)
            hand.now += pause
            assert bool(hand.ask(raw[9:])) is answered

    def test_an_impossible_length_is_dropped_until_a_pause(self) -> None:
        hand = Hand()
        assert hand.ask(bytes.fromhex("01 DD") + hand.frame(READ_BT23)) == b""
        assert hand.ask(hand.frame(READ_BT23))

    def test_alerts_come_once_a_second_but_not_within_one_of_a_request(self) -> None:
        hand = Hand(alerts=True)
        assert hand.hear(2.5) == [(1.0, b"\0\0"), (2.0, b"\0\0")]
        hand.port.receive(hand.frame(READ_BT23), hand.now)
        assert [(at, len(data)) for at, data in hand.hear(2.1)] == [(0.02, 21), (1.0, 2), (2.0, 2)]


class TestEnable:
    def test_without_it_the_port_is_deaf_and_mute(self) -> None:
        hand = Hand(alerts=True)
        hand.port.enable(False, hand.now)
        assert hand.ask(hand.frame(READ_BT23)) == b""
        assert hand.port.monitor.while_off == 22

    def test_switched_on_it_says_a_zero_and_hears_after_100_ms(self) -> None:
        hand = Hand()
        hand.port.enable(False, hand.now)
        hand.port.enable(True, hand.now)
        assert hand.ask(hand.frame(READ_BT23), 0.09) == b"\0"
        hand.hear(0.02)
        assert hand.ask(hand.frame(READ_BT23))[2:13] == OK_BT23

    def test_a_weak_one_loses_or_garbles_the_tail_of_a_long_answer(self) -> None:
        request = "3F 00 1C 00 00 00 00 DC"
        whole = Hand().ask(Hand().frame(request))
        assert Hand(weak_after=101).ask(Hand().frame(request)) == whole[:101]
        garbled = Hand(weak_after=101, weak_garbles=True).ask(Hand().frame(request))
        assert (garbled[:101], len(garbled)) == (whole[:101], 233)
        assert garbled != whole
        assert Hand(weak_after=101).ask(Hand().frame(READ_BT23))[2:13] == OK_BT23


class TestFaults:
    def test_requests_and_answers_are_lost_whole(self) -> None:
        hand = Hand()
        hand.meter.faults.lose(requests=1)
        raw = hand.frame(READ_BT23)
        assert hand.ask(raw) == b""
        assert hand.ask(raw)[2:13] == OK_BT23  # it was never heard: the same number is good
        hand.meter.faults.lose(answers=1)
        raw = hand.frame(READ_BT23)
        assert hand.ask(raw) == b""
        assert hand.ask(raw)[2:3] == b"\x0c"  # it was: the repetition is out of turn

    def test_an_answer_comes_twice_late_or_damaged(self) -> None:
        hand = Hand()
        hand.meter.faults.repeat()
        twice = hand.ask(hand.frame(READ_BT23))
        assert twice[:21] == twice[21:]
        hand.meter.faults.late(0.7)
        hand.port.receive(hand.frame(READ_BT23), hand.now)
        assert [at for at, _ in hand.hear()] == [0.72]
        hand.meter.faults.noise(corrupt=1.0, direction="to_client")
        assert hand.ask(hand.frame(READ_BT23))[:2] != b"\0\x13"

    def test_a_request_is_damaged_on_its_way(self) -> None:
        hand = Hand(wrong_digest="long")
        hand.meter.faults.noise(corrupt=0.05, direction="to_meter")
        answers = [hand.ask(hand.frame(READ_BT23)) for _ in range(50)]
        assert bytes.fromhex("00 09 0B 00 00 00 00 00 00 00 00") in answers

    def test_it_is_deaf_during_an_optical_session_and_echoes_through_a_bridge(self) -> None:
        hand = Hand()
        hand.meter.faults.deaf(5.0)
        assert hand.ask(hand.frame(READ_BT23)) == b""
        hand.hear(5.0)
        hand.meter.faults.echo()
        raw = hand.frame(READ_BT23, 1002)
        assert hand.ask(raw)[:22] == raw

    def test_stray_bytes_and_passing_refusals(self) -> None:
        hand = Hand()
        hand.meter.faults.flood(0.5, rate=100)
        assert len(hand.ask(b"", 1.0)) == 50
        hand.meter.faults.refuse(Code.BSY, count=1)
        assert hand.body(READ_BT23) == b"\x06"
        assert hand.body(READ_BT23) == OK_BT23

    def test_a_table_with_turned_bits_is_signed_all_the_same(self) -> None:
        hand = Hand()
        hand.meter.faults.flip(23, 0)
        assert hand.body(READ_BT23) == bytes.fromhex("00 00 08 80 01 02 03 04 05 06 07")


class TestTheMonitor:
    def test_a_write_is_refused_and_counted(self) -> None:
        hand = Hand(key=bytes([1]) * 16, number=0x77636E2E)
        assert hand.ask(G3_REQUEST)[:3] == bytes.fromhex("00 09 01")
        assert hand.port.monitor.forbidden == 1

    def test_requests_within_100_ms_are_counted(self) -> None:
        hand = Hand()
        for pause in (0.101, 0.101, 0.09, 0.101):
            hand.ask(hand.frame(READ_BT23), pause)
        hand.ask(hand.frame(READ_BT23))
        assert hand.port.monitor.too_soon == 1

    def test_a_refused_key_may_be_shown_twice_in_a_minute(self) -> None:
        hand = Hand()
        wrong = hand.frame(READ_BT23)[:-1] + b"?"
        hand.ask(wrong)
        hand.ask(wrong)
        assert hand.port.monitor.keys_repeated == 0
        hand.ask(wrong)
        assert hand.port.monitor.keys_repeated == 1

    def test_numbers_out_of_turn_twice_in_a_row_are_counted(self) -> None:
        hand = Hand()
        hand.body(READ_BT23, 5)
        assert hand.port.monitor.out_of_window == 0
        hand.body(READ_BT23, 6)
        assert hand.port.monitor.out_of_window == 1


def test_wrong_levels_are_zeros_without_end() -> None:
    hand = Hand(floating=True)
    hand.hear(1.0)
    assert set(hand.ask(hand.frame(READ_BT23), 1.0)) == {0}


def test_nesgw_simulate_serves_it_on_a_terminal() -> None:
    stop, heard = threading.Event(), []

    def ready(line: PtyLine) -> None:
        terminal = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(terminal)
        message = bytes.fromhex("3F 08 03 00 00 00 00 1E 00 00 00 01")
        os.write(terminal, bytes.fromhex("00 14") + message + digest(KEY, message))
        while len(heard) < 15 and select.select([terminal], [], [], 2.0)[0]:
            heard.extend(os.read(terminal, 100))
        os.close(terminal)
        stop.set()

    serve(ready=ready, stop=stop, interface="mep")
    assert bytes(heard[:3]) == bytes.fromhex("00 0D 0C")  # the number is out of turn, so the digest was right


def test_on_the_command_line_it_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    simulate.arguments(parser)
    assert parser.parse_args([]).interface == "optical"
    assert parser.parse_args(["--interface", "mep"]).interface == "mep"
    with pytest.raises(SystemExit):
        parser.parse_args(["--interface", "wireless"])
    assert "choose from" in capsys.readouterr().err
