"""The meter's services, states and timers, and the traps of docs/sources.md as a client meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

OK, ERR, SNS, ISC, ONP, IAR, BSY, DNR, DLK, RNO, ISSS = (bytes((code,)) for code in range(11))
LOGON = bytes.fromhex("50 00 02 20 20 20 20 20 20 20 20 20 20")
SECURITY = b"\x51a7941d85bce8a8fa2ab7"
WRONG = b"\x51" + b"0" * 20
READ_CLOCK = bytes.fromhex("30 00 34")
READ_BT23 = bytes.fromhex("3f 00 17 00 00 00 00 08")
READ_BT28 = bytes.fromhex("3f 00 1c 00 00 00 00 28")


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (b"\x60\x00\x40\x01", ISSS),
        (LOGON, ISSS),
        (SECURITY, ISSS),
        (READ_CLOCK, ISSS),
        (b"\x70\x0a", ISSS),
        (b"\x52", ISSS),
        (b"\x21", OK),
        (bytes.fromhex("40 00 17 00 01 00 ff"), SNS),  # a write
        (bytes.fromhex("4f 00 07 00 00 00 00 01 00 ff"), SNS),
        (b"\x31\x00\x17", SNS),  # an indexed read
        (b"", SNS),
    ],
)
def test_in_base_state_only_identify_and_terminate_are_in_order(hand: Make, request_: bytes, refusal: bytes) -> None:
    assert hand().ask(request_) == refusal


def test_in_the_session_identify_negotiate_and_logon_are_out_of_order(hand: Make) -> None:
    probe = hand()
    probe.open()
    for request in (b"\x20", b"\x61\x00\x40\x02\x06", LOGON):
        assert probe.ask(request) == ISSS


def test_identify_on_a_channel_that_is_still_open_is_refused_and_terminate_helps(hand: Make) -> None:
    """Trap 3."""
    probe = hand()
    probe.open()
    probe.silence(3.0)  # the client restarts
    assert probe.ask(b"\x20") == ISSS
    assert probe.ask(b"\x21") == OK
    assert probe.ask(b"\x20")[:1] == OK


def test_terminate_falls_to_base_only_once_its_answer_was_acked(hand: Make) -> None:
    """Trap 4."""
    probe = hand()
    probe.open()
    probe.send(probe.packet(b"\x21"))
    assert len(probe.bytes_within(0.1)) == 1 + 9
    assert probe.meter.state.value == "session"
    probe.send(b"\x06")
    assert probe.meter.state.value == "base"


def test_logoff_goes_back_to_the_id_state_and_keeps_what_was_negotiated(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    probe.ask(bytes.fromhex("61 00 40 02 06"))
    probe.ask(LOGON)
    assert probe.ask(b"\x52") == OK
    assert probe.ask(READ_CLOCK) == ISSS
    assert probe.ask(LOGON) == OK
    assert probe.ask(READ_CLOCK) == ISC  # the key is gone with the logoff
    assert probe.ask(SECURITY) == OK
    assert len(probe.read(28, 0, 108)) == 108


def test_six_seconds_of_silence_end_the_channel(hand: Make) -> None:
    """Trap 8."""
    probe = hand()
    probe.open()
    probe.silence(5.9)
    assert len(probe.read(52)) == 7
    probe.silence(6.1)
    assert probe.ask(READ_CLOCK) == ISSS


def test_wait_keeps_the_channel_until_the_next_packet(hand: Make) -> None:
    probe = hand()
    probe.open()
    assert probe.ask(b"\x70\x3c") == OK
    probe.silence(59.0)
    assert len(probe.read(52)) == 7
    probe.silence(6.1)
    assert probe.ask(READ_CLOCK) == ISSS


def test_wait_may_also_be_read_as_lasting_for_the_session(hand: Make) -> None:
    probe = hand(wait_until_next=False)
    probe.open()
    probe.ask(b"\x70\x3c")
    probe.silence(59.0)
    probe.read(52)
    probe.silence(59.0)
    assert len(probe.read(52)) == 7


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("60 00 40 01", "00 00 40 01 06"),
        ("61 02 00 04 06", "00 00 40 02 06"),  # the meter's limits: 64 bytes, two packets
        ("62 00 40 02 08 06", "00 00 40 02 06"),
        ("61 00 40 02 08", "00 00 40 02 06"),  # no common rate: the original one
        ("60 00 3f 01", "01"),
        ("60 00 40 00", "01"),
        ("61 00 40 02", "01"),  # one rate announced, none given
    ],
)
def test_negotiate_grants_no_more_than_the_meter_has_and_no_more_than_was_asked(
    hand: Make, asked: str, granted: str
) -> None:
    probe = hand()
    probe.ask(b"\x20")
    assert probe.ask(bytes.fromhex(asked)) == bytes.fromhex(granted)


def test_a_meter_that_cannot_negotiate_says_so_and_goes_on_with_the_defaults(hand: Make) -> None:
    probe = hand("gen2-2.01", mep_first_packet="off")
    probe.ask(b"\x20")
    assert probe.ask(bytes.fromhex("61 00 40 02 06")) == SNS
    assert probe.ask(LOGON) == OK
    assert probe.ask(SECURITY) == OK
    assert len(probe.read(28, 0, 52)) == 52
    assert probe.ask(bytes.fromhex("3f 00 1c 00 00 00 00 35")) == ONP


@pytest.mark.parametrize(("packets", "fits"), [(1, 52), (2, 108)])
def test_what_does_not_fit_into_a_message_is_refused(hand: Make, packets: int, fits: int) -> None:
    probe = hand()
    probe.ask(b"\x20")
    probe.ask(bytes((0x61, 0, 64, packets, 6)))
    probe.ask(LOGON)
    probe.ask(SECURITY)
    assert len(probe.read(28, 0, fits)) == fits
    assert probe.ask(bytes((0x3F, 0, 28, 0, 0, 0, 0, fits + 1))) == ONP
    assert probe.ask(b"\x30\x00\x1c") == ONP  # whole: 220 bytes


def test_512_bytes_times_four_carry_2012_bytes_of_a_table(hand: Make) -> None:
    probe = hand("gen4-4.30")
    probe.ask(b"\x20")
    assert probe.ask(bytes.fromhex("61 02 00 04 06")) == bytes.fromhex("00 02 00 04 06")
    probe.ask(LOGON)
    probe.ask(SECURITY)
    assert len(probe.read(23)) == 1135
    assert len(probe.read(74, 0, 2012)) == 2012
    assert probe.ask(bytes.fromhex("3f 00 4a 00 00 00 07 dd")) == ONP


def test_past_the_end_of_a_table_are_zeros(hand: Make) -> None:
    probe = hand()
    probe.open()
    assert probe.read(21, 0, 14) == bytes.fromhex("03 0c 0c 0b 00 00 00 04 00 37 00 00 00 00")
    assert probe.read(21, 200, 3) == bytes(3)


def test_three_tables_are_open_and_the_others_want_the_key(hand: Make) -> None:
    probe = hand()
    probe.ask(b"\x20")
    probe.ask(LOGON)
    assert probe.read(1)[:12] == b"ELON83331-3I"
    assert len(probe.read(0, 0, 19)) == 19
    assert probe.read(2051, 0, 30) == b"4080123456" + bytes(20)
    assert probe.ask(READ_BT23) == ISC
    assert probe.ask(bytes.fromhex("30 00 16")) == ISC
    assert probe.ask(bytes.fromhex("30 0f ff")) == IAR  # a table that is not there is iar, key or no key
    assert probe.ask(bytes.fromhex("3f 00 17 00 00 00 00")) == ISC  # isc before onp
    probe.ask(SECURITY)
    assert probe.ask(bytes.fromhex("3f 00 17 00 00 00 00")) == ONP


def test_the_highest_refusal_wins(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.refuse(6)
    assert probe.ask(b"\x40\x00\x17") == SNS
    assert probe.ask(b"\x20") == ISSS
    assert probe.ask(bytes.fromhex("30 0f ff")) == IAR
    assert probe.ask(bytes.fromhex("30 00 1c")) == ONP
    assert probe.ask(READ_CLOCK) == BSY


@pytest.mark.parametrize(("profile", "code"), [("83331-3i", ERR), ("ct", ISC)])
def test_a_wrong_key_is_refused_counted_and_raises_the_alarm(hand: Make, profile: str, code: bytes) -> None:
    """Trap 10."""
    probe = hand(profile)
    probe.ask(b"\x20")
    probe.ask(LOGON)
    assert probe.ask(WRONG) == code
    assert probe.meter.counters.wrong_keys == 1
    assert probe.ask(READ_BT23) == ISC
    assert probe.ask(SECURITY) == OK
    assert probe.read(3, 0, 13)[5] & 0x01 == 0x01


def test_too_many_wrong_keys_lock_the_right_one_out_for_a_while(hand: Make) -> None:
    probe = hand("gen4-4.30", failures_allowed=3, lockout_minutes=5)
    probe.ask(b"\x20")
    probe.ask(LOGON)
    for _ in range(3):
        assert probe.ask(WRONG) == ERR
    assert probe.ask(SECURITY) == ERR
    probe.silence(299.0)
    probe.ask(b"\x20")
    probe.ask(LOGON)
    assert probe.ask(SECURITY) == ERR
    probe.silence(10.0)
    probe.open()


def test_a_lock_out_may_also_be_deafness(hand: Make) -> None:
    probe = hand("gen4-4.30", failures_allowed=1, lockout_minutes=1, lockout_deaf=True)
    probe.ask(b"\x20")
    probe.ask(LOGON)
    probe.send(probe.packet(WRONG))
    probe.silence(59.0)
    probe.send(probe.packet(b"\x20"))
    probe.silence(2.0)
    probe.open()


def test_a_meter_that_wants_tls_answers_identify_and_refuses_every_logon(hand: Make) -> None:
    """Trap 12."""
    probe = hand("gen4-4.30", logon_refused=10)
    assert probe.ask(b"\x20")[:1] == OK
    assert probe.ask(LOGON) == ISSS


def test_the_first_packet_is_naked_where_the_mep_port_has_the_line(hand: Make) -> None:
    """Trap 6."""
    probe = hand("83331-3i-mep", mep_burst=0)
    probe.send(bytes.fromhex("ee 00 00 00 00 01 20 13 10"))
    assert probe.bytes_within(0.1) == b"\x15"
    probe.send(bytes.fromhex("ee 00 00 00 00 01 20 13 10"))
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"


def test_the_first_packet_is_swallowed_by_others(hand: Make) -> None:
    probe = hand("gen3-2.12")
    probe.send(bytes.fromhex("ee 00 00 00 00 01 20 13 10"))
    probe.silence(2.0)
    probe.send(bytes.fromhex("ee 00 00 00 00 01 20 13 10"))
    assert probe.bytes_within(0.1)[:2] == b"\x06\xee"


def test_a_lone_start_byte_switches_the_line_over_as_well(hand: Make) -> None:
    probe = hand("gen3-2.12")
    probe.send(b"\xee")
    probe.silence(1.0)
    assert probe.ask(b"\x20")[:1] == OK


def test_the_mep_port_takes_an_idle_line_back(hand: Make) -> None:
    probe = hand("gen3-2.12")
    probe.send(probe.packet(b"\x20"))
    probe.silence(2.0)
    probe.open()
    probe.ask(b"\x21")
    probe.silence(5.0)
    assert probe.ask(b"\x20")[:1] == OK  # too soon to have been taken back
    probe.ask(b"\x21")
    probe.silence(11.0)
    probe.send(probe.packet(b"\x20"))
    probe.silence(1.0)


def test_mep_chatter_is_heard_before_the_first_mark(hand: Make) -> None:
    probe = hand("83331-3i-mep", mep_burst=5)
    probe.send(bytes.fromhex("ee 00 00 00 00 01 20 13 10"))
    heard = probe.bytes_within(0.1)
    assert len(heard) == 6
    assert heard[-1:] == b"\x15"


def test_mep_chatter_is_heard_between_sessions(hand: Make) -> None:
    probe = hand("83331-3i-mep", mep_chatter=2.0)
    assert [at for at, _ in probe.hear(7.0)] == [2.0, 4.0, 6.0]


def test_a_session_of_ten_minutes_is_cut_and_the_port_is_deaf_for_five(hand: Make) -> None:
    """Trap 7."""
    probe = hand("83331-3i-mep", mep_first_packet="off")
    probe.open()
    for _ in range(121):
        probe.silence(4.9)
        probe.read(52)
    probe.silence(5.0)  # past 600 s, and not six of them silent
    for _ in range(4):
        probe.send(probe.packet(b"\x20"))
        probe.silence(70.0)
    probe.silence(20.0)
    probe.open()


def test_a_late_answer_carries_nothing_of_its_request(hand: Make) -> None:
    """Trap 1: who gives up after two seconds and asks for BT28 gets BT23's bytes."""
    probe = hand()
    probe.open()
    probe.meter.faults.late(3.0)
    probe.send(probe.packet(READ_BT23))
    assert probe.bytes_within(2.5) == b"\x06"
    late = probe.bytes_within(1.0)
    assert late[6:9] == b"\x00\x00\x08"
    assert late[9:-3] == probe.meter.image(23, probe.now)[:8]


def test_partial_reads_straddle_an_update(hand: Make) -> None:
    """Trap 5."""
    probe = hand()
    probe.open()
    probe.silence(0.9 - probe.now % 1)
    before = probe.meter.image(28, probe.now)
    first = probe.read(28, 0, 52)
    probe.silence(0.2)
    second = probe.read(28, 52, 52)
    after = probe.meter.image(28, probe.now)
    assert (first, second) == (before[:52], after[52:104])
    assert before != after


def test_each_logon_can_leave_an_entry_with_its_user_in_the_event_log(hand: Make) -> None:
    """Trap 11."""
    probe = hand(logon_leaves_entry=True)
    probe.open()
    first = int.from_bytes(probe.read(74, 5, 4), "little")
    probe.ask(b"\x21")
    probe.open()
    header = probe.read(74, 0, 11)
    assert int.from_bytes(header[5:9], "little") == first + 1
    newest = int.from_bytes(header[3:5], "little")
    record = probe.read(74, 11 + 14 * newest, 14)
    assert record[:6] == bytes((26, 11, 20, 8, 30, 0))
    assert record[8:10] == b"\x01\x00"  # user id 1, as the hand logs on


def test_without_that_option_logons_leave_no_trace(hand: Make) -> None:
    probe = hand()
    probe.open()
    first = probe.read(74, 0, 11)
    probe.ask(b"\x21")
    probe.open()
    assert probe.read(74, 0, 11) == first


def test_the_meter_counts_what_it_was_asked(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.read(23, 0, 8)
    probe.read(28, 0, 40)
    probe.read(28, 40, 40)
    probe.ask(b"\x21")
    counters = probe.meter.counters
    assert counters.sessions == 1
    assert counters.polls == 1
    assert counters.requests == {
        "identify": 1,
        "logon": 1,
        "security": 1,
        "partial_read": 3,
        "terminate": 1,
    }
