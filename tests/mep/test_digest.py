"""The digest, by the guide's examples and by a second writing of it in the simulator."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.mep.digest import DigestKey
from nesgw.simulator.mep_wire import digest as digest_of_the_simulator
from tests.mep.exchanges import EXCHANGES, FACTORY_KEY, G3_ANSWER, G3_REQUEST, KEY, Exchange


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_the_digest_of_each_request_and_answer(exchange: Exchange) -> None:
    key = DigestKey(exchange.signed_with or exchange.key)
    message = exchange.request[2:-8]
    assert key.digest(message) == exchange.request[-8:]
    if exchange.code != 0x0B:
        assert DigestKey(exchange.key).digest(message + exchange.answer[2:-8]) == exchange.answer[-8:]


def test_an_answer_of_a_single_zero_has_the_digest_of_its_request() -> None:
    key = DigestKey(FACTORY_KEY)
    assert key.digest(G3_REQUEST[2:-8]) == G3_REQUEST[-8:] == G3_ANSWER[-8:]
    assert key.digest(G3_REQUEST[2:-8] + b"\0") == G3_ANSWER[-8:]


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=600))
def test_both_writings_of_it_agree(key: bytes, message: bytes) -> None:
    assert DigestKey(key).digest(message) == digest_of_the_simulator(key, message)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=4, max_size=4), st.binary(max_size=200))
def test_of_twenty_bytes_the_last_four_do_not_count(key: bytes, rest: bytes, message: bytes) -> None:
    assert DigestKey(key + rest).digest(message) == DigestKey(key).digest(message)


@given(st.binary(min_size=1, max_size=250), st.data())
def test_each_bit_of_a_message_counts(message: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(message) - 1))
    changed = bytearray(message)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert DigestKey(KEY).digest(bytes(changed)) != DigestKey(KEY).digest(message)


@pytest.mark.parametrize("length", [0, 1, 10, 15, 17, 19, 21, 32, 40])
def test_other_lengths_are_refused_and_the_key_is_not_shown(length: int) -> None:
    with pytest.raises(ValueError, match=f"^a MEP key has 16 or 20 bytes, this one {length}$"):
        DigestKey(KEY[:1] * length)


class TestTheKeyIsNotShown:
    def test_in_no_text(self) -> None:
        assert KEY.decode() not in repr(DigestKey(KEY)) + str(DigestKey(KEY)) + f"{DigestKey(KEY)!r:>200}"

    def test_not_in_a_pickle_or_a_copy(self) -> None:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not to be written down"):
                way(DigestKey(KEY))

    def test_not_in_json(self) -> None:
        with pytest.raises(TypeError):
            json.dumps(DigestKey(KEY))
