"""Which broker nesgw setup takes, and how it finds the way in."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesgw.commands.setup import brokers
from nesgw.commands.setup.brokers import Reached, reach, takes_others, ways
from nesgw.commands.setup.plan import BrokerAccess
from nesgw.config.settings import MqttSettings, Secret
from nesgw.errors import BrokerUnavailable
from tests.broker_fixtures import Broker as Mosquitto
from tests.broker_fixtures import free_port

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
USUAL = MqttSettings()


def table(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "tcp"
    file.write_text(HEAD + "".join(f"   0: {line} 00000000:00000000 00:00000000 00000000  0 0 1\n" for line in lines))
    return file


@pytest.mark.parametrize(
    ("lines", "others"),
    [
        (["0100007F:075B 00000000:0000 0A"], False),  # 127.0.0.1:1883
        (["0100007F:075B 00000000:0000 0A", "00000000:075B 00000000:0000 0A"], True),
        (["00000000000000000000000000000000:075B 00000000000000000000000000000000:0000 0A"], True),
        (["00000000000000000000000001000000:075B 00000000000000000000000000000000:0000 0A"], False),  # ::1
        (["1401A8C0:075B 1501A8C0:D431 01", "0100007F:075B 00000000:0000 0A"], False),  # a connection, no listener
        ([], True),  # in a container the table of another network: nothing is known
    ],
)
def test_a_broker_for_this_machine_alone_is_known_by_where_it_listens(
    tmp_path: Path, lines: list[str], others: bool
) -> None:
    assert takes_others(1883, [table(tmp_path, *lines)]) is others


def test_the_usual_ports_are_tried_and_tls_is_never_given_up() -> None:
    assert ways(None, None) == [(1883, False), (8883, True)]
    assert ways(None, tls=True) == [(8883, True)]
    assert ways(8883, None) == [(8883, True)]
    assert ways(1884, None) == [(1884, False), (1884, True)]
    assert ways(1884, tls=True) == [(1884, True)]


def test_the_first_port_that_lets_us_in_is_taken(broker: Mosquitto) -> None:
    found = reach(USUAL, BrokerAccess("127.0.0.1", 0), [(free_port(), False), (broker.port, False)])
    assert (found.port, found.tls) == (broker.port, False)


def test_where_none_is_there_the_first_failure_counts() -> None:
    first = free_port()
    with pytest.raises(BrokerUnavailable, match="no broker listens there") as trouble:
        reach(USUAL, BrokerAccess("127.0.0.1", 0), [(first, False), (free_port(), True)])
    assert trouble.value.facts["port"] == first


def test_a_broker_that_wants_a_login_says_so(password_broker: Mosquitto) -> None:
    with pytest.raises(Reached) as reached:
        reach(USUAL, BrokerAccess("127.0.0.1", 0), ways(password_broker.port, None))
    assert reached.value.asks_for_a_login
    assert reached.value.broker.port == password_broker.port


def test_a_login_is_tried(password_broker: Mosquitto) -> None:
    choices = [(password_broker.port, False)]
    right = BrokerAccess("127.0.0.1", 0, username="meter", password=Secret("correct horse"))
    assert reach(USUAL, right, choices).username == "meter"
    with pytest.raises(Reached):
        reach(USUAL, BrokerAccess("127.0.0.1", 0, username="meter", password=Secret("wrong")), choices)


def test_the_password_of_the_configuration_goes_with_its_user() -> None:
    settings = MqttSettings(username="meter", password=Secret("kept"))
    assert brokers.settings_of(settings, BrokerAccess("pi", 1883, username="meter")).password == Secret("kept")
    assert not brokers.settings_of(settings, BrokerAccess("pi", 1883)).password


def test_home_assistant_is_found_by_its_name_or_by_multicast(monkeypatch: pytest.MonkeyPatch) -> None:
    def listens(host: str, port: int) -> bool:
        return (host, port) in {("homeassistant.local", 1883), ("192.168.1.20", 1883)}

    def address(_name: str) -> str:
        return "192.168.1.20"

    def resolved(_name: str) -> list[str]:
        return ["192.168.1.20"]

    def unknown(_name: str) -> list[str]:
        return []

    monkeypatch.setattr(brokers, "_listens", listens)
    monkeypatch.setattr("nesgw.commands.setup.brokers.mdns.lookup", address)
    monkeypatch.setattr(brokers, "_resolved", resolved)
    assert [each.host for each in brokers.candidates(None)] == ["homeassistant.local"]
    monkeypatch.setattr(brokers, "_resolved", unknown)
    (found,) = brokers.candidates(None)
    assert found.host == "192.168.1.20"
    assert "sudo apt install libnss-mdns" in found.about
    assert [each.host for each in brokers.candidates("pi.lan")] == ["pi.lan", "192.168.1.20"]
