"""ET81 with ET36, and ET09: when the power was out."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved
from nesgw.publishers import payloads
from nesgw.tables.outages import (
    ET04_OUTAGES,
    Outage,
    decode_outage_list,
    decode_outages,
    outage_list,
    outage_queue,
)
from nesgw.tables.query import PendingQuery
from nesgw.tables.queues import ET36, LogSize, NewEntries, Queue, decode_log_sizes, look

COPENHAGEN = ZoneInfo("Europe/Copenhagen")

# Seven records of 17 bytes: ET45 with 520 bytes, at the most 10, now 4; ET81 with 12 bytes, at the most 100, now 20.
LOG_SIZES = (
    bytes.fromhex("07")
    + bytes(17 * 4)
    + bytes.fromhex("2d 08 08 02 0a 00 04 00 01").ljust(17, b"\0")
    + bytes(17)
    + bytes.fromhex("51 08 0c 00 64 00 14 00 00").ljust(17, b"\0")
)
OUTAGE = bytes.fromhex("1a 0b 13 16 05 00  1a 0b 13 17 0a 1e")  # 22:05:00 to 23:10:30
OVER_SPRING = bytes.fromhex("1a 03 1d 01 00 00  1a 03 1d 04 00 00")  # 29 March 2026, 1:00 to 4:00


class TestLogSizes:
    def test_records_are_found_by_the_number_of_their_table(self) -> None:
        assert ET36 == ("ET36", 2084, 0, 120)
        assert decode_log_sizes(LOG_SIZES, "little") == {2093: LogSize(520, 4), 2129: LogSize(12, 20)}

    def test_a_log_without_entries_is_not_set_up(self) -> None:
        data = bytearray(LOG_SIZES)
        data[1 + 6 * 17 + 6] = 0
        assert outage_queue(decode_log_sizes(bytes(data), "little")) is None

    def test_records_beyond_the_count_are_not_looked_at(self) -> None:
        assert decode_log_sizes(b"\x04" + LOG_SIZES[1:], "little") == {}

    def test_the_outage_log(self) -> None:
        assert outage_queue(decode_log_sizes(LOG_SIZES, "little")) == Queue("ET81", 2129, 20, 12)


class TestOutageLog:
    def test_the_newest_are_read_round_the_end_of_the_ring(self) -> None:
        #                     three of three entries, the newest at index 0, number 65536 mod 65536
        answers = {(0, 6): "04 03 00 00 00 09", (6, 12): OUTAGE.hex(), (18, 24): OVER_SPRING.hex() + OUTAGE.hex()}
        query = PendingQuery(look(Queue("ET81", 2129, 3, 12), "little"))
        while part := query.wanted:
            query.answer(bytes.fromhex(answers[part.offset, part.size]))
        assert query.result == NewEntries(((65534, OVER_SPRING), (65535, OUTAGE), (0, OUTAGE)), bookmark=0)

    def test_only_what_came_after_the_bookmark_is_read(self) -> None:
        query = PendingQuery(look(Queue("ET81", 2129, 3, 12), "little", after=65535))
        asked = []
        while part := query.wanted:
            asked.append((part.offset, part.size))
            query.answer(bytes.fromhex("04 03 00 00 00 09") if part.offset == 0 else OUTAGE)
        assert asked == [(0, 6), (6, 12), (0, 6)]
        assert query.result == NewEntries(((0, OUTAGE),), bookmark=0)

    def test_an_entry_that_was_replaced_meanwhile_is_left_out(self) -> None:
        heads = ["04 03 00 05 00 00", "04 03 01 06 00 00"]
        query = PendingQuery(look(Queue("ET81", 2129, 3, 12), "little"))
        while part := query.wanted:
            query.answer(bytes.fromhex(heads.pop(0)) if part.offset == 0 else OUTAGE * (part.size // 12))
        assert [number for number, _ in query.result.entries] == [4, 5]

    def test_an_entry_that_no_request_can_ask_for_is_nonsense(self) -> None:
        """Wild dimensions: index 65000 times 267 bytes is more than the 24 bits of a partial read's offset."""
        query = PendingQuery(look(Queue("BT74", 74, 65535, 267, wide=True), "little"))
        with pytest.raises(MeterMisbehaved, match="BT74 makes no sense: 267 bytes at offset 17355011"):
            query.answer(bytes.fromhex("04 01 00 e8 fd 01 00 00 00 00 00"))

    def test_times_are_local(self) -> None:
        (outage,) = decode_outages(NewEntries(((17, OUTAGE),), 17))
        assert outage == Outage(
            start=datetime(2026, 11, 19, 22, 5),
            end=datetime(2026, 11, 19, 23, 10, 30),
            duration_s=3930,
            cause=None,
            log="ET81",
            sequence=17,
        )

    def test_with_the_zone_they_are_utc_and_the_duration_is_right_in_spring(self) -> None:
        (outage,) = decode_outages(NewEntries(((17, OVER_SPRING),), 17), COPENHAGEN)
        assert (outage.start, outage.end) == (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 2, tzinfo=UTC))
        assert outage.duration_s == 7200

    @pytest.mark.parametrize("data", [OUTAGE[:6] + bytes(6), bytes(12), OUTAGE[6:] + OUTAGE[:6]])
    def test_without_a_beginning_before_an_end_there_is_no_duration(self, data: bytes) -> None:
        (outage,) = decode_outages(NewEntries(((17, data),), 17))
        assert outage.duration_s is None

    def test_it_is_published_as_plain_values(self) -> None:
        (outage,) = decode_outages(NewEntries(((17, OUTAGE),), 17), COPENHAGEN)
        assert payloads.outage(outage) == {
            "event_type": "outage",
            "time": "2026-11-19T22:10:30Z",
            "start": "2026-11-19T21:05:00Z",
            "end": "2026-11-19T22:10:30Z",
            "duration_s": 3930,
            "cause": None,
            "sequence": 17,
            "log": "ET81",
        }
        assert "outage" in payloads.EVENT_TYPES


class TestOutageList:
    """ET09, two of ten records: power-on, cause, reserved, power-off, seconds."""

    data = (
        bytes.fromhex("1a 0b 13 17 0a 1e  03 00  1a 0b 13 16 05 00  5a 0f 00 00")
        + bytes.fromhex("1a 0a 01 00 00 0a  08 00  1a 0a 01 00 00 00  0a 00 00 00")
        + bytes(8 * 18)
    )

    def test_where_it_stands(self) -> None:
        assert ET04_OUTAGES == ("ET04", 2052, 53, 1)
        assert outage_list(10) == ("ET09", 2057, 6, 180)

    def test_outages_are_in_utc_and_come_oldest_first(self) -> None:
        older, newer = decode_outage_list(self.data, "little")
        assert newer == Outage(
            start=datetime(2026, 11, 19, 22, 5, tzinfo=UTC),
            end=datetime(2026, 11, 19, 23, 10, 30, tzinfo=UTC),
            duration_s=3930,
            cause="power_failure",
            log="ET09",
            sequence=None,
        )
        assert (older.cause, older.duration_s) == ("brown_out", 10)

    def test_another_cause_goes_by_its_number(self) -> None:
        data = self.data[:6] + b"\x05" + self.data[7:18]
        assert decode_outage_list(data, "little")[0].cause == "cause_5"


@given(st.binary(max_size=400), st.integers(0, 40), st.binary(min_size=12, max_size=12))
def test_any_bytes_are_outages_or_refused_by_name(data: bytes, after: int, entry: bytes) -> None:
    json.dumps([payloads.outage(outage) for outage in decode_outage_list(data, "little")])
    json.dumps([payloads.outage(outage) for outage in decode_outages(NewEntries(((1, entry),), 1), COPENHAGEN)])
    with suppress(MeterMisbehaved):
        if queue := outage_queue(decode_log_sizes(data, "big")):
            query = PendingQuery(look(queue, "big", after))
            while part := query.wanted:
                query.answer((data * part.size)[: part.size])
