"""BT71, BT74, ET79: which events are new, and what one says."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved, TableNotPresent
from nesgw.publishers import payloads
from nesgw.tables.event_log import (
    BT70,
    BT71,
    ET54_ALTERNATE,
    Event,
    LogDimensions,
    NewEvents,
    decode_alternate_entries,
    decode_log_dimensions,
    event_queues,
    look_for_events,
)
from nesgw.tables.query import PendingQuery
from nesgw.tables.queues import Queue

RECORD = bytes.fromhex("1a 0b 13 16 05 09 67 12 ff ff 02 08 01 00")  # the guides' form, number 4711


def head(valid: int, newest: int, sequence: int) -> bytes:
    return struct.pack("<BHHIH", 0x04, valid, newest, sequence, 99)


def record(sequence: int) -> bytes:
    return RECORD[:6] + struct.pack("<H", sequence & 0xFFFF) + RECORD[8:]


class Log:
    """A log of an imagined meter, written after the guides."""

    def __init__(self, capacity: int, numbers: list[int], wide_at: int = 0) -> None:
        """``numbers`` are the sequence numbers, oldest first; ``wide_at`` is the index of the first of them."""
        self.capacity = capacity
        self.image = bytearray(11 + 14 * capacity)
        self.count = 0
        self.next = wide_at
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        at = 11 + 14 * (self.next % self.capacity)
        self.image[at : at + 14] = record(number)
        self.count = min(self.capacity, self.count + 1)
        self.image[:11] = head(self.count, self.next % self.capacity, number)
        self.next += 1


def queues(*logs: Log) -> tuple[Queue, ...]:
    return event_queues(LogDimensions(logs[0].capacity, 2), *(log.capacity for log in logs[1:]))


def look(
    *logs: Log, after: int | None = None, most: int | None = None, during: Callable[..., Any] = lambda step: None
) -> tuple[NewEvents, list[tuple[int, ...]]]:
    """Play the meter; ``during`` may change it before each read. Returns what was found and asked for."""
    query = PendingQuery(look_for_events(queues(*logs), "little", after, most))
    images = {74: logs[0], 2127: logs[-1]}
    asked: list[tuple[int, ...]] = []
    while part := query.wanted:
        during(len(asked))
        asked.append(tuple(part[1:]))
        query.answer(bytes(images[part.table].image[part.offset : part.offset + part.size]))
    return query.result, asked


def numbers(found: NewEvents) -> list[int]:
    return [event.sequence for event in found.events]


class TestDimensions:
    def test_entries_and_argument(self) -> None:
        assert BT71 == ("BT71", 71, 0, 9)
        data = bytes.fromhex("06 08 13 02 02 c8 00 00 00")
        assert decode_log_dimensions(data, "little") == LogDimensions(entries=200, argument=2)
        assert decode_log_dimensions(data, "little", BT70) == LogDimensions(entries=200, argument=2)

    @pytest.mark.parametrize("flags", ["07", "04", "02", "00"])
    def test_entries_of_another_form_are_refused(self, flags: str) -> None:
        with pytest.raises(MeterMisbehaved, match="another form"):
            decode_log_dimensions(bytes.fromhex(flags + "08 13 02 02 c8 00 00 00"), "little")

    def test_the_alternate_log_is_there_if_et54_gives_it_entries(self) -> None:
        assert ET54_ALTERNATE == ("ET54", 2102, 80, 2)
        assert decode_alternate_entries(bytes.fromhex("64 00"), "little") == 100
        assert [queue.table for queue in event_queues(LogDimensions(200, 2), 100)] == [74, 2127]
        assert [queue.table for queue in event_queues(LogDimensions(200, 2), 0)] == [74]

    def test_an_entry_is_twelve_bytes_and_the_argument(self) -> None:
        assert event_queues(LogDimensions(200, 2))[0].entry == 14
        assert event_queues(LogDimensions(200, 0))[0].entry == 12


class TestOneEvent:
    def event(self, data: bytes) -> Event:
        image = {0: head(1, 0, 4711), 11: data}
        query = PendingQuery(look_for_events(event_queues(LogDimensions(200, 2)), "little"))
        while part := query.wanted:
            query.answer(image[part.offset])
        return query.result.events[0]

    def test_the_worked_example(self) -> None:
        event = self.event(RECORD)
        assert event == Event(
            sequence=4711,
            time=datetime(2026, 11, 19, 22, 5, 9, tzinfo=UTC),
            number=2050,
            user=None,
            argument="0100",
            log="BT74",
        )
        assert event.manufacturer

    def test_it_is_published_as_plain_values(self) -> None:
        assert payloads.event(self.event(RECORD)) == {
            "event_type": "manufacturer",
            "time": "2026-11-19T22:05:09Z",
            "sequence": 4711,
            "number": 2050,
            "meaning": None,
            "user": None,
            "argument": "0100",
            "log": "BT74",
        }

    @pytest.mark.parametrize(
        ("user", "meaning"), [("ff ff", None), ("fe ff", "network"), ("fd ff", "mep"), ("02 00", 2), ("fc ff", 65532)]
    )
    def test_who_was_logged_in(self, user: str, meaning: int | str | None) -> None:
        assert self.event(RECORD[:8] + bytes.fromhex(user) + RECORD[10:]).user == meaning

    def test_the_upper_four_bits_of_the_number_are_filling(self) -> None:
        event = self.event(RECORD[:10] + bytes.fromhex("01 f0") + RECORD[12:])
        assert (event.number, event.manufacturer) == (1, False)
        assert payloads.event(event)["event_type"] == "standard"
        assert {"standard", "manufacturer"} <= set(payloads.EVENT_TYPES)

    def test_a_clock_that_was_not_set_leaves_the_event_without_time(self) -> None:
        event = self.event(bytes(6) + RECORD[6:])
        assert (event.time, payloads.event(event)["time"]) == (None, None)


class TestWhatIsRead:
    def test_the_first_look_reads_all(self) -> None:
        found, asked = look(Log(5, [1, 2, 3]))
        assert numbers(found) == [1, 2, 3]
        assert found.bookmark == 3
        assert asked == [(74, 0, 11), (74, 11, 42), (74, 0, 11)]

    def test_a_later_look_reads_what_is_new_and_the_head_again(self) -> None:
        found, asked = look(Log(5, [1, 2, 3]), after=1)
        assert numbers(found) == [2, 3]
        assert asked == [(74, 0, 11), (74, 25, 28), (74, 0, 11)]

    def test_where_nothing_is_new_the_head_is_enough(self) -> None:
        found, asked = look(Log(5, [1, 2, 3]), after=3)
        assert (numbers(found), found.bookmark) == ([], 3)
        assert asked == [(74, 0, 11)]

    def test_a_look_that_only_wants_a_bookmark_reads_no_entry(self) -> None:
        found, asked = look(Log(5, [1, 2, 3]), most=0)
        assert (numbers(found), found.bookmark) == ([], 3)
        assert asked == [(74, 0, 11)]

    def test_round_the_end_of_the_ring_two_reads_are_needed(self) -> None:
        found, asked = look(Log(5, [1, 2, 3, 4, 5, 6, 7]), after=3)  # 6 and 7 stand first, 3 to 5 behind
        assert numbers(found) == [4, 5, 6, 7]
        assert asked == [(74, 0, 11), (74, 11, 28), (74, 53, 28), (74, 0, 11)]

    def test_entries_are_read_in_steps_between_which_a_poll_has_its_turn(self) -> None:
        _, asked = look(Log(200, list(range(1, 101))))
        assert all(size <= 512 for _, _, size in asked)

    def test_at_the_most_the_newest(self) -> None:
        found, _ = look(Log(200, list(range(1, 101))), most=2)
        assert numbers(found) == [99, 100]

    def test_an_empty_log_has_neither_events_nor_a_bookmark(self) -> None:
        found, asked = look(Log(5, []))
        assert (numbers(found), found.bookmark) == ([], None)
        assert len(asked) == 1

    def test_the_low_sixteen_bits_go_on_from_zero(self) -> None:
        found, _ = look(Log(5, [65534, 65535, 65536, 65537]), after=65534)
        assert numbers(found) == [65535, 65536, 65537]

    def test_a_log_that_was_emptied_begins_anew(self) -> None:
        found, _ = look(Log(5, [1, 2]), after=900)
        assert (numbers(found), found.bookmark) == ([1, 2], 2)

    def test_a_missing_table_is_said_so(self) -> None:
        query = PendingQuery(look_for_events(event_queues(LogDimensions(5, 2)), "little"))
        with pytest.raises(TableNotPresent):
            query.answer(None)


class TestTwoLogs:
    def test_they_share_one_sequence_and_are_merged_by_it(self) -> None:
        found, _ = look(Log(5, [1, 3, 6]), Log(5, [2, 4, 5]))
        assert [(event.sequence, event.log) for event in found.events] == [
            (1, "BT74"),
            (2, "ET79"),
            (3, "BT74"),
            (4, "ET79"),
            (5, "ET79"),
            (6, "BT74"),
        ]

    def test_gaps_are_no_loss(self) -> None:
        found, _ = look(Log(5, [10, 500]), Log(5, [20]), after=15)
        assert numbers(found) == [20, 500]
        assert found.bookmark == 500

    def test_a_log_without_news_is_not_taken_for_an_emptied_one(self) -> None:
        found, asked = look(Log(5, [10, 500]), Log(5, [20]), after=499)
        assert numbers(found) == [500]
        assert [table for table, offset, _ in asked if offset] == [74]

    def test_at_the_most_the_newest_of_both(self) -> None:
        found, _ = look(Log(5, [1, 3, 6]), Log(5, [2, 4, 5]), most=3)
        assert numbers(found) == [4, 5, 6]


class TestWhileTheMeterWrites:
    def test_an_entry_written_meanwhile_is_left_to_the_next_look(self) -> None:
        log = Log(5, [1, 2, 3])
        found, _ = look(log, after=1, during=lambda step: log.add(4) if step == 1 else None)
        assert (numbers(found), found.bookmark) == ([2, 3], 3)
        assert numbers(look(log, after=3)[0]) == [4]

    def test_an_entry_that_was_being_replaced_is_not_believed(self) -> None:
        log = Log(5, [1, 2, 3, 4, 5])
        found, _ = look(log, during=lambda step: log.add(6) if step == 2 else None)
        assert numbers(found) == [2, 3, 4, 5]

    def test_an_entry_replaced_before_it_was_read_is_not_taken_for_the_old_one(self) -> None:
        log = Log(5, [1, 2, 3, 4, 5])
        found, _ = look(log, during=lambda step: log.add(6) if step == 1 else None)
        assert numbers(found) == [2, 3, 4, 5]

    def test_a_log_that_went_round_meanwhile_is_read_again_by_the_next_look(self) -> None:
        log = Log(5, [1, 2, 3])

        def rush(step: int) -> None:
            if step == 2:
                for number in range(4, 12):
                    log.add(number)

        found, _ = look(log, after=1, during=rush)
        assert (numbers(found), found.bookmark) == ([], 1)

    def test_no_event_is_lost_between_the_heads_of_two_logs(self) -> None:
        first, second = Log(5, [1]), Log(5, [2])

        def write(step: int) -> None:
            if step == 1:  # the first log's head has been read, the second's not
                first.add(3)
                second.add(4)

        found, _ = look(first, second, after=0, during=write)
        assert (numbers(found), found.bookmark) == ([1], 1)
        found, _ = look(first, second, after=1)
        assert (numbers(found), found.bookmark) == ([2, 3, 4], 4)

    def test_a_second_log_that_never_rests_still_gets_its_turn(self) -> None:
        first, second = Log(5, [1]), Log(50, [2])
        found, _ = look(first, second, after=0, during=lambda step: second.add(10 + step))
        assert numbers(found)[:2] == [1, 2]


class TestNonsense:
    def test_more_entries_than_the_log_can_hold_are_refused(self) -> None:
        query = PendingQuery(look_for_events(event_queues(LogDimensions(5, 2)), "little"))
        with pytest.raises(MeterMisbehaved, match="6 entries up to index 0 in a list of 5"):
            query.answer(head(6, 0, 9))

    def test_an_index_beyond_the_log_is_refused(self) -> None:
        query = PendingQuery(look_for_events(event_queues(LogDimensions(5, 2)), "little"))
        with pytest.raises(MeterMisbehaved, match="index 5"):
            query.answer(head(5, 5, 9))

    def test_a_newest_entry_with_another_number_is_refused(self) -> None:
        log = Log(5, [1, 2, 3])
        log.image[:11] = head(3, 2, 9)
        with pytest.raises(MeterMisbehaved, match="does not have the number 9"):
            look(log)

    def test_a_list_that_ends_before_the_maxima_say_so_ends_there(self) -> None:
        log = Log(5, [1, 2, 3, 4, 5, 6, 7])
        log.image[11 + 14 * 4 : 11 + 14 * 5] = bytes(14)
        found, _ = look(log)
        assert numbers(found) == [6, 7]

    @given(st.binary(max_size=60), st.lists(st.binary(max_size=600), max_size=8), st.none() | st.integers(0, 99))
    def test_any_bytes_are_events_or_refused_by_name(
        self, dimensions: bytes, answers: list[bytes], after: int | None
    ) -> None:
        with suppress(MeterMisbehaved):
            queues = event_queues(decode_log_dimensions(dimensions, "little"), 3)
            query = PendingQuery(look_for_events(queues, "big", after))
            for answer in answers:
                if part := query.wanted:
                    query.answer((answer * part.size)[: part.size])
            if query.wanted is None:
                json.dumps([payloads.event(event) for event in query.result.events])
