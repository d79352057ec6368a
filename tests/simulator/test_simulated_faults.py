"""Every fault does what it says, for as long as it says, and stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nesgw.simulator import Fault

Make = Callable[..., Any]

READ_BT23 = bytes.fromhex("3f 00 17 00 00 00 00 08")


def test_noise_damages_bytes_in_its_direction_only_and_the_same_for_the_same_seed(hand: Make) -> None:
    def heard(seed: int, direction: str) -> tuple[bytes, int]:
        probe = hand(seed=seed)
        probe.meter.faults.noise(corrupt=0.5, direction=direction)
        probe.send(probe.packet(b"\x20"))
        return probe.bytes_within(1.0), probe.meter.counters.link.packets_in

    assert heard(1, "to_client")[0] == heard(1, "to_client")[0]
    assert heard(1, "to_client")[1] == 1  # the request came through whole
    assert heard(1, "to_meter")[1] == 0


def test_bytes_can_be_dropped_inserted_and_doubled(hand: Make) -> None:
    for chance, length in (({"drop": 1.0}, 0), ({"insert": 1.0}, 28), ({"duplicate": 1.0}, 28)):
        probe = hand()
        probe.meter.faults.noise(**chance, direction="to_client")
        probe.send(probe.packet(b"\x20"))
        assert len(probe.bytes_within(1.0)) == length
        probe.meter.faults.noise()
        probe.send(b"\x15")
        assert len(probe.bytes_within(1.0)) == 13


def test_packets_and_marks_are_lost_whole(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.lose(requests=1)
    probe.send(probe.packet(b"\x20", control=0))
    probe.silence(2.0)
    probe.meter.faults.lose(marks=1)
    probe.send(probe.packet(b"\x20", control=0))
    assert probe.bytes_within(0.1)[:1] == b"\xee"
    probe.send(b"\x06")
    probe.meter.faults.lose(answers=1)
    probe.send(probe.packet(b"\x70\x05", control=0x20))
    assert probe.hear(1.0) == [(0.000175, b"\x06")]
    assert probe.bytes_within(2.0)[:1] == b"\xee"


def test_echo_brings_the_clients_own_bytes_back_first(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.echo()
    request = probe.packet(b"\x20")
    probe.send(request)
    assert probe.bytes_within(0.001) == request + b"\x06"


def test_a_dead_meter_with_an_echo_is_all_echo(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.deaf()
    probe.meter.faults.echo()
    request = probe.packet(b"\x20")
    probe.send(request)
    assert probe.bytes_within(2.0) == request


def test_a_flood_of_garbage_lasts_its_time(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.flood(2.0, rate=100)
    assert 190 <= len(probe.bytes_within(3.0)) <= 200
    probe.silence(5.0)


def test_a_silent_meter_hears_but_does_not_answer(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.silence(1.0)
    probe.send(probe.packet(b"\x20"))
    probe.silence(1.0)
    assert probe.meter.counters.requests["identify"] == 1
    assert probe.bytes_within(1.5)[:1] == b"\xee"


def test_a_deaf_meter_hears_nothing(hand: Make) -> None:
    probe = hand()
    probe.meter.faults.deaf(10.0)
    probe.send(probe.packet(b"\x20"))
    probe.silence(10.0)
    assert probe.meter.counters.requests["identify"] == 0
    probe.open()


def test_busy_answers_for_a_time_or_a_number_or_for_some_services(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.refuse(6, count=1)
    assert probe.ask(READ_BT23) == b"\x06"
    assert probe.ask(READ_BT23)[:1] == b"\x00"
    probe.meter.faults.refuse(8, seconds=2.0, services=["partial_read"])
    assert probe.ask(READ_BT23) == b"\x08"
    assert probe.ask(b"\x70\x05") == b"\x00"
    probe.silence(2.0)
    assert probe.ask(READ_BT23)[:1] == b"\x00"


def test_a_restart_in_mid_session_forgets_it_and_counts_an_outage(hand: Make) -> None:
    probe = hand()
    probe.open()
    before = probe.meter.truth().summations
    probe.meter.faults.restart(3.0)
    probe.send(probe.packet(READ_BT23))
    probe.silence(3.0)
    assert probe.ask(READ_BT23) == b"\x0a"
    probe.open()
    after = probe.meter.truth().summations
    assert (after[4] - before[4], after[5] - before[5]) == (3, 1)
    assert probe.read(3, 0, 13)[2] & 0x08 == 0x08


def test_frozen_values_stand_still_while_the_truth_goes_on(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.freeze(30.0)
    first = probe.read(28, 0, 40)
    probe.silence(5.0)
    assert probe.read(28, 0, 40) == first
    assert probe.meter.image(28)[:40] != first
    assert probe.read(52)[5] == 5  # the clock goes on
    for _ in range(5):
        probe.silence(5.0)
        probe.read(52)
    assert probe.read(28, 0, 40) != first


def test_a_wild_value_has_a_good_checksum_and_comes_once(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.flip(28, 2, 0x40)
    wild = probe.read(28, 0, 4)
    sane = probe.read(28, 0, 4)
    assert wild[2] == sane[2] | 0x40
    assert int.from_bytes(wild, "little") > 4_000_000


def test_all_zeros(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.zeros()
    assert probe.read(23, 0, 44) == bytes(44)
    assert probe.read(28, 0, 44) == bytes(44)
    probe.meter.faults.zeros([])
    assert probe.read(23, 0, 44) != bytes(44)


def test_another_meter_on_the_wall(hand: Make) -> None:
    probe = hand()
    probe.open()
    probe.meter.faults.swap("4080999999", {0: 17, 1: 2})
    assert probe.ask(READ_BT23) == b"\x0a"
    probe.open()
    assert probe.read(2051, 0, 11) == b"4080999999\0"
    assert probe.read(23, 0, 8) == bytes.fromhex("11 00 00 00 02 00 00 00")


def test_clear_ends_them_all(hand: Make) -> None:
    probe = hand()
    faults = probe.meter.faults
    faults.deaf()
    faults.echo()
    faults.zeros()
    faults.refuse(6)
    faults.clear()
    probe.open()
    assert probe.read(23, 0, 4) != bytes(4)


def test_a_plan_is_followed_to_the_second(hand: Make) -> None:
    plan = [Fault(20.0, "clear"), Fault(10.0, "deaf", {"seconds": 100.0})]
    probe = hand(faults=plan)
    probe.open()
    probe.ask(b"\x21")
    probe.silence(10.1 - (probe.now - probe.meter.started))
    probe.send(probe.packet(b"\x20"))
    probe.silence(9.0)
    probe.silence(1.0)
    probe.open()
