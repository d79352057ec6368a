"""ET11, ET13, ET14, ET16 and ET45: the water, heat and gas meters behind the electricity meter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import MeterMisbehaved
from nesgw.publishers import payloads
from nesgw.tables.mbus import (
    ET11,
    MbusDevice,
    MbusDimensions,
    ReadPlan,
    decode_devices,
    decode_latest,
    decode_mbus_dimensions,
    decode_queued,
    decode_read_plan,
    mbus_queue,
)
from nesgw.tables.mbus_records import BY_VIF, QUANTITIES, MbusValue, decode_records
from nesgw.tables.queues import LogSize, NewEntries, Queue

DIMENSIONS = MbusDimensions(devices=5, plan=66, status=36, data=517)
HEAT = bytes.fromhex(
    "1a 0b 14 08 1e 00 00 21 78 56 34 12 2d 2c 01 04 2a 00 00 00"
    "04 06 39 30 00 00 04 13 15 cd 5b 00 02 5a 6c 02 02 5e 68 01 00"
)


def device(length: int = 41, index: int = 0) -> MbusDevice:
    return MbusDevice(index, 1, True, "up", 2400, length, 0, 0, (), 0, None, None)


def entry(telegram: str, flags: int = 0) -> bytes:
    """An ET16 entry of telegrams given without their lengths, "|" between them."""
    data = b"".join(bytes((len(one),)) + one for one in map(bytes.fromhex, telegram.split("|")))
    return HEAT[:6] + bytes([flags]) + data


HEADER = "78 56 34 12 2d 2c 01 07 2a 00 00 00"


class TestDimensions:
    def test_the_guides_dump(self, vector: Callable[..., Any]) -> None:
        capture = vector("guide-tx-et11")
        dimensions = decode_mbus_dimensions(capture["bytes"][: ET11.size], "little")
        computed = capture["computed"]
        assert dimensions == DIMENSIONS
        assert dimensions.devices == computed["devices"]
        assert dimensions.plan == computed["config_entry_size"]
        assert dimensions.status == computed["status_entry_size"]
        assert dimensions.data == computed["data_entry_size"]

    def test_where_the_devices_stand(self) -> None:
        assert ET11 == ("ET11", 2059, 0, 7)
        assert DIMENSIONS.statuses == ("ET14", 2062, 0, 6 + 5 * 36)
        assert DIMENSIONS.latest(device(41, index=2)) == ("ET16 2", 2064, 1034, 41)

    def test_a_length_beyond_the_entry_is_not_read_into_the_next_one(self) -> None:
        assert DIMENSIONS.latest(device(600)).size == 517

    def test_an_empty_entry_is_not_read(self) -> None:
        assert DIMENSIONS.latest(device(0)) is None

    @pytest.mark.parametrize("data", ["09 42 24 05 06 05 02", "05 1b 24 05 06 05 02", "05 42 23 05 06 05 02"])
    def test_dimensions_that_no_meter_can_have_are_refused(self, data: str) -> None:
        with pytest.raises(MeterMisbehaved, match="ET11"):
            decode_mbus_dimensions(bytes.fromhex(data), "little")

    def test_a_meter_without_devices_is_no_error(self) -> None:
        assert decode_mbus_dimensions(bytes(7), "little").devices == 0


class TestDevices:
    def test_the_guides_dump(self, vector: Callable[..., Any]) -> None:
        data = vector("guide-tx-et14")["bytes"].ljust(186, b"\0")
        heat, mep = decode_devices(data, DIMENSIONS, "little")
        assert (heat.index, heat.handle, heat.mbus, heat.state) == (0, 1, True, "up")
        assert (heat.baud, heat.billing_length) == (2400, 47)
        assert (mep.index, mep.mbus, mep.state) == (4, False, "empty")

    def test_counters_alarms_and_times(self) -> None:
        status = "02 00 02 0d 29 00 64 00 00 00 5f 00 00 00 16 00 00".ljust(17 * 3)
        status += "00 00 00 00 00 00 80 1a 0b 14 08 00 00 1a 0b 14 07 00 00"
        data = bytes.fromhex("00 00 00 00 00 02") + bytes(36) + bytes.fromhex(status) + bytes(108)
        (found,) = decode_devices(data, DIMENSIONS, "little", ZoneInfo("Europe/Copenhagen"))
        assert found == MbusDevice(
            index=1,
            handle=2,
            mbus=True,
            state="down",
            baud=None,
            billing_length=41,
            attempts=100,
            answers=95,
            alarms=("bit_1", "new_device", "communication_failed"),
            device_alarms=128,
            last_status=datetime(2026, 11, 20, 7, tzinfo=UTC),
            last_billing=datetime(2026, 11, 20, 6, tzinfo=UTC),
        )


class TestReadPlan:
    part = DIMENSIONS.read_plan(1)

    def test_the_key_and_its_length_are_not_read(self) -> None:
        assert self.part == ("ET13 1", 2061, 66, 28)

    def test_a_day_of_the_month(self) -> None:
        data = bytes.fromhex("01 02 1e 03 3c 00 04 00") + b"12345".ljust(20, b"\0")
        assert decode_read_plan(self.part, data, "little") == ReadPlan(
            day=1, weekday=None, hour=2, minute=30, period="monthly", status_minutes=60, baud=2400, customer="12345"
        )

    @pytest.mark.parametrize(("code", "day", "weekday"), [(0, 1, None), (28, 28, None), (32, None, 0), (38, None, 6),
                                                          (39, None, None), (29, None, None)])  # fmt: skip
    def test_days_of_the_month_and_of_the_week(self, code: int, day: int | None, weekday: int | None) -> None:
        plan = decode_read_plan(self.part, bytes([code]) + bytes(27), "little")
        assert (plan.day, plan.weekday) == (day, weekday)

    @pytest.mark.parametrize(
        ("entry", "scheduled"),
        [
            ("01 00 05 01", True),  # daily
            ("00 00 00 00", True),  # hourly; day 0 is the first
            ("26 04 1e 02", True),  # weekly, on Saturdays (38)
            ("27 00 05 01", False),  # day 39 is off
            ("01 00 05 04", False),  # never
            ("00" * 4, True),
            ("ff" * 4, False),
        ],
    )
    def test_a_channel_is_scheduled_unless_its_day_is_off_or_its_period_never(
        self, entry: str, scheduled: bool
    ) -> None:
        assert decode_read_plan(self.part, bytes.fromhex(entry) + bytes(24), "little").scheduled is scheduled

    def test_a_period_that_the_guides_do_not_know_goes_by_its_number(self) -> None:
        assert decode_read_plan(self.part, bytes([1, 0, 0, 7]) + bytes(24), "little").period == "period_7"


class TestTheWorkedExample:
    reading = decode_latest(device(), HEAT)

    def test_who_it_is(self) -> None:
        assert self.reading.time == datetime(2026, 11, 20, 8, 30)
        assert (self.reading.serial, self.reading.manufacturer, self.reading.version) == ("12345678", "KAM", 1)
        assert (self.reading.medium, self.reading.access, self.reading.conditions) == ("heat", 42, ())
        assert (self.reading.encrypted, self.reading.complete, self.reading.handle) == (False, True, 1)

    def test_what_it_says(self) -> None:
        assert [(value.key, value.value, value.unit) for value in self.reading.values] == [
            ("energy", 12345, "kWh"),
            ("volume", 6016.277, "m³"),
            ("flow_temperature", 62, "°C"),
            ("return_temperature", 36, "°C"),
        ]

    def test_how_home_assistant_shows_it(self) -> None:
        assert [(value.name, value.device_class, value.state_class) for value in self.reading.values] == [
            ("Energy", "energy", "total_increasing"),
            ("Volume", "volume", "total_increasing"),
            ("Flow temperature", "temperature", "measurement"),
            ("Return temperature", "temperature", "measurement"),
        ]

    def test_its_time_is_local(self) -> None:
        reading = decode_latest(device(), HEAT, ZoneInfo("Europe/Copenhagen"))
        assert payloads.sub_meter(reading) == {
            "time": "2026-11-20T07:30:00Z",
            "conditions": [],
            "encrypted": False,
            "energy": 12345,
            "volume": 6016.277,
            "flow_temperature": 62,
            "return_temperature": 36,
        }


class TestTelegrams:
    def test_an_entry_that_was_never_filled_is_none(self) -> None:
        assert decode_latest(device(), bytes(41)) is None
        assert decode_latest(device(), b"") is None

    def test_several_telegrams_are_one_reading(self) -> None:
        reading = decode_latest(device(), entry(f"{HEADER} 01 13 05 00 | {HEADER} 01 5b 14 01 13 06 00"))
        assert [(value.key, value.value) for value in reading.values] == [
            ("volume", 0.005),
            ("flow_temperature", 20),
            ("volume_2", 0.006),
        ]
        assert reading.complete

    def test_a_telegram_that_was_cut_off_keeps_what_is_whole(self) -> None:
        reading = decode_latest(device(), entry(f"{HEADER} 01 13 05 04 13 01 02 03 04 00")[:-4])
        assert [(value.key, value.value) for value in reading.values] == [("volume", 0.005)]
        assert not reading.complete

    def test_an_encrypted_telegram_is_named_so_and_not_decoded(self) -> None:
        header = HEADER.replace("2a 00 00 00", "2a 00 10 05")
        reading = decode_latest(device(), entry(f"{header} 01 13 05 00"))
        assert (reading.encrypted, reading.values, reading.serial) == (True, (), "12345678")

    def test_one_that_the_electricity_meter_decrypted_is_decoded(self) -> None:
        header = HEADER.replace("2a 00 00 00", "2a 00 10 05")
        reading = decode_latest(device(), entry(f"{header} 2f 2f 01 13 05 00", flags=0x04))
        assert (reading.encrypted, [value.value for value in reading.values]) == (False, [0.005])

    def test_one_that_failed_the_security_check_is_not(self) -> None:
        assert decode_latest(device(), entry(f"{HEADER} 01 13 05 00", flags=0x24)).values == ()

    def test_what_is_wrong_with_the_device_is_told(self) -> None:
        header = HEADER.replace("2a 00 00 00", "2a 1d 00 00")
        assert decode_latest(device(), entry(f"{header} 00")).conditions == (
            "busy",
            "power_low",
            "permanent_error",
            "temporary_error",
        )

    @pytest.mark.parametrize(
        ("medium", "name"), [("03", "gas"), ("04", "heat"), ("06", "hot_water"), ("07", "water"), ("1f", "medium_31")]
    )
    def test_the_medium(self, medium: str, name: str) -> None:
        assert decode_latest(device(), entry(f"78 56 34 12 2d 2c 01 {medium} 2a 00 00 00 00")).medium == name

    def test_letters_that_are_none_name_no_manufacturer(self) -> None:
        assert decode_latest(device(), entry("78 56 34 12 ff ff 01 07 2a 00 00 00 00")).manufacturer is None

    def test_with_the_highest_byte_first_all_is_the_other_way_round(self) -> None:
        telegram = "12 34 56 78 2c 2d 01 04 2a 00 00 00 04 06 00 00 30 39 0c 13 00 01 23 45 00"
        reading = decode_latest(device(), entry(telegram, flags=0x01))
        assert (reading.serial, reading.manufacturer) == ("12345678", "KAM")
        assert [value.value for value in reading.values] == [12345, 12.345]

    def test_a_telegram_without_its_header_is_refused(self) -> None:
        with pytest.raises(MeterMisbehaved, match="without its header"):
            decode_latest(device(), entry("78 56 34 12 2d 2c"))
        with pytest.raises(MeterMisbehaved, match="without its header"):
            decode_latest(device(), HEAT[:7] + bytes(20))

    def test_fixed_structure_has_two_counters_without_a_unit(self) -> None:
        #        serial       access status  medium 7, units  counters
        digits = "78 56 34 12 2a 00 e9 7e 01 23 00 00 35 01 00 00"
        reading = decode_latest(device(), entry(digits, flags=0x02))
        assert (reading.serial, reading.medium, reading.manufacturer) == ("12345678", "water", None)
        assert [(value.key, value.value, value.unit) for value in reading.values] == [
            ("counter_1", 2301, None),
            ("counter_2", 135, None),
        ]
        binary = "78 56 34 12 2a 05 e9 7e 01 23 00 00 35 01 00 00"
        reading = decode_latest(device(), entry(binary, flags=0x02))
        assert [value.value for value in reading.values] == [0x2301, 0x135]
        assert reading.conditions == ("power_low",)


class TestTheQueue:
    def test_it_is_there_if_et36_gives_it_entries(self) -> None:
        assert mbus_queue({2093: LogSize(520, 4)}) == Queue("ET45", 2093, 4, 520)
        assert mbus_queue({}) is None

    def queued(self, handle: int = 1, result: int = 4, before_record: int = 4, leftovers: bytes = b"\xaa") -> bytes:
        length = before_record + len(HEAT)
        head = length.to_bytes(2, "little") + b"\0\0" + handle.to_bytes(2, "little") + bytes([0, result])
        return head + HEAT + (leftovers * 520)[: 512 - len(HEAT)]

    @pytest.mark.parametrize("leftovers", [b"\0", b"\xaa", b"\x02", HEAT[7:]], ids=["zeros", "aa", "02", "a telegram"])
    @pytest.mark.parametrize("before_record", [4, 6], ids=["from the handle", "from behind the length"])
    def test_whatever_the_length_counts_and_an_earlier_entry_left_the_reading_is_the_same(
        self, before_record: int, leftovers: bytes
    ) -> None:
        entry = self.queued(before_record=before_record, leftovers=leftovers)
        (reading,) = decode_queued(NewEntries(((3, entry),), 3), "little")
        assert reading.complete
        assert reading.values == TestTheWorkedExample.reading.values

    def test_an_entry_is_a_reading_with_the_handle_of_its_device(self) -> None:
        (reading,) = decode_queued(NewEntries(((3, self.queued(7)),), 3), "little")
        assert (reading.handle, reading.serial, reading.complete) == (7, "12345678", True)
        assert reading.values == TestTheWorkedExample.reading.values

    def test_failed_reads_and_other_devices_are_left_out(self) -> None:
        found = NewEntries(((3, self.queued(result=5)), (4, self.queued(handle=1000)), (5, self.queued())), 5)
        assert len(decode_queued(found, "little")) == 1


def records(data: str, medium: str = "heat") -> tuple[MbusValue, ...] | tuple[MbusValue, MbusValue]:
    return decode_records(bytes.fromhex(data), medium)[0]


class TestRecords:
    def test_rows_do_not_overlap(self) -> None:
        assert sum(row.count for row in QUANTITIES) == len(BY_VIF)

    @pytest.mark.parametrize(
        ("data", "key", "value", "unit"),
        [
            ("01 03 05", "energy", 0.005, "kWh"),
            ("01 07 05", "energy", 50, "kWh"),
            ("01 08 05", "energy", 0.000005, "MJ"),
            ("01 0e 05", "energy", 5, "MJ"),
            ("01 10 05", "volume", 0.000005, "m³"),
            ("01 17 05", "volume", 50, "m³"),
            ("01 1b 05", "mass", 5, "kg"),
            ("02 2b 2c 01", "power", 300, "W"),
            ("01 2e 05", "power", 5000, "W"),
            ("01 33 05", "power", 5000, "J/h"),
            ("01 3b 05", "flow", 0.005, "m³/h"),
            ("02 59 d0 07", "flow_temperature", 20, "°C"),
            ("02 5d 18 fc", "return_temperature", -10, "°C"),
            ("02 61 a4 06", "temperature_difference", 17, "K"),
        ],
    )
    def test_every_kind_of_value(self, data: str, key: str, value: float, unit: str) -> None:
        (record,) = records(data)
        assert (record.key, record.value, record.unit) == (key, value, unit)

    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ("01 16 ff", -1),
            ("02 16 00 80", -32768),
            ("03 16 01 00 80", -8388607),
            ("04 16 15 cd 5b 07", 123456789),
            ("06 16 00 00 00 00 01 00", 2**32),
            ("07 16 00 00 00 00 01 00 00 00", 2**32),
            ("09 16 42", 42),
            ("0a 16 34 12", 1234),
            ("0b 16 56 34 12", 123456),
            ("0c 16 78 56 34 12", 12345678),
            ("0e 16 12 90 78 56 34 12", 123456789012),
            ("05 16 00 00 48 41", 12.5),
            ("05 13 cd cc cc 3d", 0.0001),
            ("0d 16 c2 34 12", 1234),
            ("0d 16 d2 34 12", -1234),
            ("0d 16 e3 40 e2 01", 123456),
        ],
    )
    def test_every_form_of_a_number(self, data: str, value: float) -> None:
        assert records(data)[0].value == value

    @pytest.mark.parametrize(
        ("data", "value"),
        [("0a 16 34 f2", -234), ("0b 61 18 00 f0", -0.18), ("0a 16 34 a2", None), ("0a 16 f5 34", None)],
    )
    def test_an_f_in_front_of_digits_is_a_minus_and_elsewhere_no_number(self, data: str, value: float | None) -> None:
        assert records(data)[0].value == value

    @pytest.mark.parametrize("data", ["05 16 00 00 80 7f", "05 16 00 00 c0 7f"])
    def test_what_is_not_finite_is_no_value(self, data: str) -> None:
        assert records(data)[0].value is None

    def test_storage_tariff_subunit_and_function_are_part_of_the_key(self) -> None:
        assert [
            record.key for record in records("41 16 05 81 10 16 05 c1 61 16 05 81 80 40 16 05 11 2b 05 22 2b 05 00")
        ] == [
            "volume_s1",
            "volume_t1",
            "volume_t2_u1_s3",
            "volume_u2",
            "power_max",
            "power_min",
        ]
        stored = records("41 16 05")[0]
        assert (stored.name, stored.storage, stored.state_class) == ("Volume stored 1", 1, None)
        tariff = records("81 10 16 05")[0]
        assert (tariff.name, tariff.tariff, tariff.state_class) == ("Volume tariff 1", 1, "total_increasing")

    def test_further_digits_of_a_storage_number_come_in_fours(self) -> None:
        assert records("c1 81 01 16 05")[0].storage == 1 + (1 << 1) + (1 << 5)

    @pytest.mark.parametrize(("medium", "device_class"), [("gas", "gas"), ("water", "water"), ("heat", "volume")])
    def test_a_volume_is_what_flows(self, medium: str, device_class: str) -> None:
        assert records("01 16 05", medium)[0].device_class == device_class

    def test_a_gas_volume_that_was_not_converted_is_told_apart(self) -> None:
        (record,) = records("0c 93 3a 78 56 34 12", "gas")
        assert (record.key, record.value, record.device_class) == ("volume_uncorrected", 12345.678, "gas")

    def test_a_modifier_of_unknown_meaning_leaves_the_plain_number(self) -> None:
        (record,) = records("01 96 74 05")
        assert (record.key, record.value, record.unit, record.device_class) == ("vif_9674", 5, None, None)

    def test_a_value_that_its_meter_marks_as_missing_is_none_under_its_key(self) -> None:
        (record,) = records("01 96 15 05")
        assert (record.key, record.value, record.unit) == ("volume", None, "m³")

    def test_other_tables_of_values_go_by_their_number(self) -> None:
        error_flags, version = records("04 fd 17 01 00 00 00 02 fd 0e 2a 00")
        assert (error_flags.key, error_flags.value, error_flags.name) == ("vif_fd17", 1, "VIF FD17")
        assert (version.key, version.value) == ("vif_fd0e", 42)
        (own,) = records("01 ff 15 05")
        assert (own.key, own.value) == ("vif_ff15", 5)

    def test_a_unit_in_plain_text(self) -> None:
        (record,) = records("01 7c 03 6d 70 70 05")  # "ppm", last letter first
        assert (record.key, record.value, record.unit) == ("vif_7c", 5, "ppm")

    def test_fillers_and_empty_records_are_passed_over(self) -> None:
        assert [record.value for record in records("2f 2f 00 16 01 16 05 2f 08 16")] == [5]

    def test_what_the_manufacturer_adds_is_left(self) -> None:
        assert decode_records(bytes.fromhex("01 16 05 0f 01 02 03"), "water")[1] is True
        assert len(records("01 16 05 0f 01 02 03")) == 1
        assert len(records("01 16 05 1f 01 02 03")) == 1

    @pytest.mark.parametrize("data", ["01 16 05 04 16 01 02 03", "01 16 05 04", "01 16 05 84", "01 16 05 04 96",
                                      "01 16 05 0d 16", "01 16 05 0d 16 f8", "01 16 05 81" + 12 * " 80"])  # fmt: skip
    def test_what_is_cut_off_is_left_and_said(self, data: str) -> None:
        found, whole = decode_records(bytes.fromhex(data), "water")
        assert ([record.value for record in found], whole) == ([5], False)


class TestDatesOfDevices:
    def test_a_water_meters_telegram(self) -> None:
        """From an issue of libmbus: what its owner's meter sent on 29 March 2017."""
        found = records(
            "04 6d 0d 06 0c 2a 0c 13 83 01 00 00 4c 13 00 00 00 00 42 6c ff ff 32 6c 0d 2a 02 bb 56 00 00"
            "06 fd 0c d8 00 07 00 5b 02 02 fa 3d 00 01",
            "water",
        )
        assert [(record.key, record.value) for record in found[:5]] == [
            ("date_time", "2016-10-12T06:13:00"),
            ("volume", 0.183),
            ("volume_s1", 0),
            ("date_s1", None),
            ("date_error", "2016-10-13"),
        ]
        assert [record.key for record in found[5:]] == ["vif_bb56", "vif_fd0c", "vif_fa3d"]

    def test_a_gas_meters_telegram(self) -> None:
        """From an issue of libmbus of 20 July 2016, whose date no decoder of the time could read."""
        found = records(
            "2f 2f 4c 13 84 40 83 10 46 6d 00 00 09 14 27 00 0d 78 11"
            "34 31 38 35 30 32 38 30 32 31 39 35 37 31 30 30 47",
            "gas",
        )
        assert [(record.key, record.value) for record in found] == [
            ("volume_s1", 10834.084),
            ("date_time_s1", "2016-07-20T09:00:00"),
            ("fabrication_number", "G0017591208205814"),
        ]

    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ("02 6c 6b 36", "2027-06-11"),
            ("02 6c 1f c3", "1996-03-31"),
            ("02 6c 00 00", None),
            ("02 6c ff ff", None),
            ("04 6d 8d 06 0c 2a", None),  # marked as invalid
            ("04 6d 3c 06 0c 2a", None),  # sixty minutes
            ("04 6d 0d 86 0c 2a", "2016-10-12T06:13:00"),  # daylight saving in effect
            ("01 6d 05", None),
        ],
    )
    def test_dates_and_what_is_none(self, data: str, value: str | None) -> None:
        assert records(data)[0].value == value

    def test_a_fabrication_number_keeps_its_zeros(self) -> None:
        assert records("0c 78 78 56 34 00")[0].value == "00345678"


@given(st.binary(max_size=80), st.integers(0, 63))
def test_any_bytes_are_devices_and_readings_or_refused_by_name(data: bytes, flags: int) -> None:
    with suppress(MeterMisbehaved):
        dimensions = decode_mbus_dimensions(data, "big")
        decode_devices((data * 400)[: dimensions.statuses.size], dimensions, "big")
    decode_read_plan(DIMENSIONS.read_plan(0), (data + bytes(28))[:28], "little")
    for body in (data, HEAT[:6] + bytes([flags]) + data, entry(HEADER + data.hex(), flags)):
        with suppress(MeterMisbehaved):
            if reading := decode_latest(device(), body, UTC):
                json.dumps(payloads.sub_meter(reading), allow_nan=False)
                keys = [value.key for value in reading.values]
                assert len(keys) == len(set(keys))
                assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in keys)
        with suppress(MeterMisbehaved):
            decode_queued(NewEntries(((1, body.ljust(8, b"\0")), (2, b"\x50\0\0\0\x01\0\0\x04" + body)), 2), "little")
