"""The WebSocket commands as Home Assistant takes them, and what is said when it does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from nesgw.commands.backfill import home_assistant
from nesgw.commands.backfill.home_assistant import Entity, HomeAssistant, websocket_address
from nesgw.commands.backfill.plan import HOUR, HourRow, Shift
from nesgw.errors import HomeAssistantUnavailable, TokenRefused
from tests.commands.backfill.fake_home_assistant import SENSOR, TOKEN, USERS_TOKEN, FakeHomeAssistant, running

UNIQUE_ID = "nesgw_4080123456_energy_import"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def fake() -> FakeHomeAssistant:
    fake = FakeHomeAssistant(UNIQUE_ID)
    fake.rows = {NOON + hour * HOUR: (1400.0 + hour, 400.0 + hour) for hour in range(3)}
    return fake


@pytest.fixture
def url(fake: FakeHomeAssistant) -> Iterator[str]:
    with running(fake) as url:
        yield url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://homeassistant.local:8123", "ws://homeassistant.local:8123/api/websocket"),
        ("https://ha.example.org/", "wss://ha.example.org/api/websocket"),
        ("http://supervisor/core/websocket", "ws://supervisor/core/websocket"),
    ],
)
def test_the_address_follows_from_the_url_that_people_use(url: str, address: str) -> None:
    assert websocket_address(url) == address


def test_an_entity_is_found_by_its_unique_id_whatever_it_is_called(url: str) -> None:
    with HomeAssistant(url, TOKEN) as there:
        assert there.entity(UNIQUE_ID) == Entity(SENSOR, disabled=False)
        assert there.entity("nesgw_4080123456_energy_export") is None


def test_rows_are_read_in_kwh_whatever_the_unit_of_the_statistic(fake: FakeHomeAssistant, url: str) -> None:
    fake.metadata[0]["statistics_unit_of_measurement"] = "MWh"
    fake.rows = {start: (state / 1000, total / 1000) for start, (state, total) in fake.rows.items()}
    with HomeAssistant(url, TOKEN) as there:
        statistic = there.statistic(SENSOR)
        assert statistic is not None
        rows = there.rows(statistic, NOON + HOUR)
    assert [row.start for row in rows] == [NOON + HOUR, NOON + 2 * HOUR]
    assert [row.state for row in rows] == pytest.approx([1401.0, 1402.0])
    assert [row.sum for row in rows] == pytest.approx([401.0, 402.0])


def test_a_shift_moves_the_sums_from_its_hour_on(fake: FakeHomeAssistant, url: str) -> None:
    with HomeAssistant(url, TOKEN) as there:
        statistic = there.statistic(SENSOR)
        assert statistic is not None
        there.shift(statistic, Shift(NOON + HOUR, 10.0))
    assert [total for _, total in fake.rows.values()] == [400.0, 411.0, 412.0]


def test_imported_rows_carry_the_metadata_that_was_read(fake: FakeHomeAssistant, url: str) -> None:
    with HomeAssistant(url, TOKEN) as there:
        statistic = there.statistic(SENSOR)
        assert statistic is not None
        there.import_rows(statistic, [HourRow(NOON + 3 * HOUR, 1403.0, 403.0)])
    assert fake.rows[NOON + 3 * HOUR] == (1403.0, 403.0)
    sent = next(command for command in fake.received if command["type"] == "recorder/import_statistics")
    assert sent["metadata"] == {
        "statistic_id": SENSOR,
        "source": "recorder",
        "name": None,
        "has_sum": True,
        "mean_type": 0,
        "unit_class": "energy",
        "unit_of_measurement": "kWh",
    }


def test_a_unit_that_is_changed_meanwhile_is_not_overwritten(fake: FakeHomeAssistant, url: str) -> None:
    with HomeAssistant(url, TOKEN) as there:
        statistic = there.statistic(SENSOR)
        assert statistic is not None
        fake.metadata[0]["statistics_unit_of_measurement"] = "Wh"
        with pytest.raises(HomeAssistantUnavailable, match="was changed meanwhile"):
            there.import_rows(statistic, [HourRow(NOON, 1.0, 1.0)])
    assert fake.rows[NOON] == (1400.0, 400.0)


def test_rows_are_written_in_the_unit_of_the_statistic(fake: FakeHomeAssistant, url: str) -> None:
    """It is overwritten by what is sent, and nothing is converted."""
    fake.metadata[0]["statistics_unit_of_measurement"] = "GJ"
    fake.rows.clear()
    with HomeAssistant(url, TOKEN) as there:
        statistic = there.statistic(SENSOR)
        assert statistic is not None
        there.import_rows(statistic, [HourRow(NOON, 1000.0, 500.001)])
    assert fake.rows == {NOON: (3.6, 1.8000036)}
    assert fake.received[-2]["metadata"]["unit_of_measurement"] == "GJ"


@pytest.mark.parametrize("metadata", [{"has_sum": False}, {"source": "other"}, {"statistics_unit_of_measurement": "W"}])
def test_what_adds_no_energy_up_is_no_statistic_of_ours(
    fake: FakeHomeAssistant, url: str, metadata: dict[str, object]
) -> None:
    fake.metadata[0] |= metadata
    with HomeAssistant(url, TOKEN) as there:
        assert there.statistic(SENSOR) is None


def test_it_waits_for_home_assistant_to_catch_up(fake: FakeHomeAssistant, url: str) -> None:
    fake.info["backlog"] = 5
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        fake.info["backlog"] = 5 - len(waits)

    with HomeAssistant(url, TOKEN, sleep=sleep) as there:
        there.wait_until_caught_up()
    assert len(waits) == 5


class TestTrouble:
    def test_a_wrong_token_is_tried_once(self, fake: FakeHomeAssistant, url: str) -> None:
        with pytest.raises(TokenRefused, match="it refused the token") as refused, HomeAssistant(url, "wrong"):
            pass
        assert "wrong" not in str(refused.value).replace(url, "")
        assert fake.received == []

    def test_a_token_of_somebody_who_is_no_administrator(self, url: str) -> None:
        with HomeAssistant(url, USERS_TOKEN) as there:
            statistic = there.statistic(SENSOR)
            assert statistic is not None
            with pytest.raises(TokenRefused, match="not an administrator's"):
                there.import_rows(statistic, [HourRow(NOON, 1.0, 1.0)])

    def test_rows_that_never_arrive(self, fake: FakeHomeAssistant, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(home_assistant, "TIMEOUT", 0.3)
        fake.ignores_imports = True
        with HomeAssistant(url, TOKEN) as there:
            statistic = there.statistic(SENSOR)
            assert statistic is not None
            with pytest.raises(HomeAssistantUnavailable, match="is not there after half a minute: its log says why"):
                there.import_rows(statistic, [HourRow(NOON + 9 * HOUR, 1.0, 1.0)])

    def test_rows_that_never_arrive_where_a_unit_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a kilowatt hour is in MWh a number that looks like nothing."""
        monkeypatch.setattr(home_assistant, "TIMEOUT", 0.3)
        fake = FakeHomeAssistant(UNIQUE_ID, unit="MWh")
        fake.rows[NOON] = (1.4000, 0.4000)
        fake.ignores_imports = True
        with running(fake) as address, HomeAssistant(address, TOKEN) as there:
            statistic = there.statistic(SENSOR)
            assert statistic is not None
            with pytest.raises(HomeAssistantUnavailable, match="not there after half a minute"):
                there.import_rows(statistic, [HourRow(NOON, 1.4005, 0.4005)])

    def test_a_recorder_that_does_not_record(self, fake: FakeHomeAssistant, url: str) -> None:
        fake.info["recording"] = False
        with HomeAssistant(url, TOKEN) as there, pytest.raises(HomeAssistantUnavailable, match="is not recording"):
            there.wait_until_caught_up()

    def test_nobody_listening(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with (
            pytest.raises(HomeAssistantUnavailable, match="Connection refused"),
            HomeAssistant(f"http://127.0.0.1:{port}", TOKEN),
        ):
            pass

    @pytest.mark.parametrize(
        ("says", "sentence"),
        [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "there is no WebSocket interface"),
            (b"220 mail.example.lan ESMTP\r\n", "there is no WebSocket interface"),
            (b"", "there is no WebSocket interface"),
        ],
    )
    def test_something_else_that_answers(self, says: bytes, sentence: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                peer, _ = server.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(says)

            thread = threading.Thread(target=answer)
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(HomeAssistantUnavailable, match=sentence), HomeAssistant(url, TOKEN):
                pass
            thread.join(10)

    @pytest.mark.parametrize("url", ["homeassistant.local:8123", "ftp://x", "http://"])
    def test_no_address_at_all(self, url: str) -> None:
        with pytest.raises(HomeAssistantUnavailable), HomeAssistant(url, TOKEN):
            pass
