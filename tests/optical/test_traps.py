"""The traps of docs/sources.md that this layer must not step into, each by its number there.

8 (channel time-out between polls), 10 (pace of refused keys) and 11 (a guest in the meter) are the poll's business;
what this layer does for them is tested with them.
"""

from __future__ import annotations

import pytest

from nesgw.errors import KeyRefused, NoAnswer, SessionRefused
from nesgw.optical.client import MeterClient
from nesgw.optical.session import State
from tests.optical.conftest import Clock, FakeMeter, Line

TERMINATE, PARTIAL = b"\x21", 0x3F


def test_trap_01_a_late_answer_is_not_taken_for_the_next_one(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    meter.late = [7.0]  # the answer to the next request comes when we no longer wait
    with pytest.raises(NoAnswer):
        client.read(23, 0, 8)
    client.open_session(meter.key)
    assert client.read(28, 0, 8) == bytes(range(100, 108))  # as long as the late one, and it has a good CRC


def test_trap_01_after_a_give_up_no_read_is_legal_before_terminate(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    meter.late = [7.0]
    with pytest.raises(NoAnswer):
        client.read(23, 0, 8)
    assert client.state is State.SUSPECT
    meter.requests.clear()
    client.open_session(meter.key)
    assert meter.requests[0] == TERMINATE


def test_trap_01_an_answer_of_another_length_is_waited_past(
    client: MeterClient, meter: FakeMeter, line: Line, clock: Clock
) -> None:
    client.open_session(meter.key)
    four_bytes = bytes.fromhex("EE 00 00 00 00 08 00 00 04 01 02 03 04 F6 83 6F")
    meter.out.append((clock.now + 0.02, four_bytes))
    assert client.read(23, 0, 8) == bytes(range(1, 9))
    assert client.statistics.stale_answers == 1


def test_trap_02_a_poll_after_a_lost_one_is_answered(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == bytes(range(1, 9))
    meter.lose_requests = 4
    meter.lose_only = lambda request: request[0] == PARTIAL
    with pytest.raises(NoAnswer):
        client.read(23, 0, 8)  # byte for byte the poll before, but for the toggle
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == bytes(range(1, 9))


def test_trap_03_a_channel_left_open_by_the_process_before_is_terminated(
    line: Line, meter: FakeMeter, clock: Clock
) -> None:
    MeterClient(line, clock=clock, sleep=clock.sleep).open_session(meter.key)
    clock.sleep(1.0)
    client = MeterClient(line, clock=clock, sleep=clock.sleep)
    begin = clock.now
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == bytes(range(1, 9))
    assert TERMINATE in meter.requests
    assert clock.now - begin < 2.0


def test_trap_03_a_meter_that_insists_is_waited_out(client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
    meter.refuse = {0x20: [10, 10]}
    begin = clock.now
    client.open_session(meter.key)
    assert 6.0 < clock.now - begin < 8.0


def test_trap_03_a_meter_that_still_insists_refuses_the_session(client: MeterClient, meter: FakeMeter) -> None:
    meter.refuse = {0x20: [10, 10, 10]}
    with pytest.raises(SessionRefused):
        client.open_session(meter.key)


def test_trap_04_the_answer_to_terminate_is_acknowledged_before_anything_else(
    client: MeterClient, meter: FakeMeter, line: Line
) -> None:
    client.open_session(meter.key)
    assert client.terminate()
    assert meter.state == "base"
    assert line.written[-1] == b"\x06"


def test_trap_05_what_fits_in_one_message_is_read_in_one(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    client.read(28, 0, 150)
    assert [request[0] for request in meter.requests].count(PARTIAL) == 1


def test_trap_06_the_first_packet_is_refused_and_repeated_at_once(
    client: MeterClient, meter: FakeMeter, clock: Clock
) -> None:
    meter.nak_requests = 1
    begin = clock.now
    client.open_session(meter.key)
    assert clock.now - begin < 1.0


def test_trap_06_the_first_packet_is_lost_and_repeated(client: MeterClient, meter: FakeMeter) -> None:
    meter.lose_requests = 1
    client.open_session(meter.key)
    assert client.statistics.retransmissions == 1


def test_trap_06_chatter_before_the_answer_does_no_harm(client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
    meter.nak_requests = 1
    # Seen before the meter's NAK: a start byte, an ACK and a NAK among it.
    meter.out.append((clock.now, bytes.fromhex("00 17 EE 3F 06 00 15 FF")))
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == bytes(range(1, 9))


def test_trap_07_a_deaf_port_is_said_to_give_no_answer(client: MeterClient, meter: FakeMeter) -> None:
    client.open_session(meter.key)
    meter.dead = True
    with pytest.raises(NoAnswer):
        client.read(23, 0, 8)
    assert client.terminate() is False
    meter.dead = False
    client.open_session(meter.key)
    assert client.read(23, 0, 8) == bytes(range(1, 9))


def test_trap_08_wait_keeps_the_channel(client: MeterClient, meter: FakeMeter, clock: Clock) -> None:
    client.open_session(meter.key)
    client.wait(12)
    clock.sleep(10)
    assert client.read(23, 0, 8) == bytes(range(1, 9))


def test_trap_09_an_echoing_probe_reads_the_meter_all_the_same(
    client: MeterClient, meter: FakeMeter, line: Line
) -> None:
    line.wire = "echoing"
    client.open_session(meter.key)
    assert client.read(28, 0, 150) == bytes(range(100, 250))
    assert client.statistics.retransmissions == 0
    assert client.statistics.echoes > 0


def test_trap_10_a_refused_key_is_not_shown_again_by_this_layer(client: MeterClient, meter: FakeMeter) -> None:
    with pytest.raises(KeyRefused):
        client.open_session(b"wrong")
    assert meter.keys_tried == 1


def test_trap_12_a_meter_that_identifies_and_refuses_the_logon_may_want_tls(
    client: MeterClient, meter: FakeMeter
) -> None:
    meter.refuse[0x50] = [1]
    with pytest.raises(SessionRefused, match="TLS"):
        client.open_session(meter.key)
