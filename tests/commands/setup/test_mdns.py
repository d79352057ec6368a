"""Multicast DNS, by RFC 6762 and RFC 1035 section 4.1; packets written by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.commands.setup.mdns import answer, question

NAME = "homeassistant.local"
ENCODED = b"\x0dhomeassistant\x05local\x00"
ADDRESS = b"\xc0\xa8\x01\x14"  # 192.168.1.20


def test_the_question_asks_for_an_ipv4_address_to_be_sent_to_us_alone() -> None:
    assert question(NAME) == b"\0\0\0\0\0\1\0\0\0\0\0\0" + ENCODED + b"\x00\x01\x80\x01"


def test_the_answer_of_a_responder_gives_the_address() -> None:
    """No question; one answer: class IN with the cache-flush bit, 120 s, 4 bytes."""
    packet = b"\0\0\x84\0\0\0\0\1\0\0\0\0" + ENCODED + b"\0\x01\x80\x01\0\0\0\x78\0\x04" + ADDRESS
    assert answer(packet, NAME) == "192.168.1.20"


def test_a_name_that_points_to_the_question_is_followed() -> None:
    packet = (
        b"\0\0\x84\0\0\1\0\1\0\0\0\0" + ENCODED + b"\0\1\0\1" + b"\xc0\x0c" + b"\0\x01\0\x01\0\0\0\x78\0\x04" + ADDRESS
    )
    assert answer(packet, "HomeAssistant.local") == "192.168.1.20"


def test_an_ipv6_address_before_it_is_passed_over() -> None:
    six = ENCODED + b"\0\x1c\x80\x01\0\0\0\x78\0\x10" + bytes(16)
    packet = b"\0\0\x84\0\0\0\0\2\0\0\0\0" + six + b"\xc0\x0c" + b"\0\x01\x80\x01\0\0\0\x78\0\x04" + ADDRESS
    assert answer(packet, NAME) == "192.168.1.20"


@pytest.mark.parametrize(
    "packet",
    [
        question(NAME),  # our own, which the network gives back
        b"\0\0\x84\0\0\0\0\1\0\0\0\0" + b"\x05other\x05local\x00" + b"\0\x01\x80\x01\0\0\0\x78\0\x04" + ADDRESS,
        b"\0\0\x84\0\0\0\0\1\0\0\0\0" + b"\xc0\x0c" + b"\0\x01\x80\x01\0\0\0\x78\0\x04" + ADDRESS,  # points to itself
        b"\0\0\x84\0\0\0\0\1\0\0\0\0" + ENCODED + b"\0\x01\x80\x01\0\0\0\x78\0\x04\xc0",
    ],
)
def test_what_gives_no_address_of_that_name_is_no_answer(packet: bytes) -> None:
    assert answer(packet, NAME) is None


@given(st.binary(max_size=200))
def test_no_packet_does_harm(packet: bytes) -> None:
    assert answer(packet, NAME) is None or len(packet) > 30
