"""What the Supervisor says of broker and page, and what the owner hears when it says nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nesgw_container.supervisor import Broker, NotYet, Supervisor

from tests.broker_fixtures import free_port
from tests.container.supervisor import TOKEN, FakeSupervisor, mqtt_service


@pytest.fixture
def fake() -> Iterator[FakeSupervisor]:
    with FakeSupervisor() as fake:
        yield fake


def test_the_broker_comes_with_its_login(fake: FakeSupervisor) -> None:
    fake.mqtt = mqtt_service(1883)
    assert Supervisor(fake.address, TOKEN).broker() == Broker("127.0.0.1", 1883, False, "addons", "of the app")


def test_the_port_may_be_a_text_as_the_documentation_has_it(fake: FakeSupervisor) -> None:
    fake.mqtt = mqtt_service(0) | {"port": "8883", "ssl": True}
    broker = Supervisor(fake.address, TOKEN).broker()
    assert (broker.port, broker.tls) == (8883, True)


def test_a_broker_without_login_has_none(fake: FakeSupervisor) -> None:
    fake.mqtt = {"host": "b", "port": 1883, "username": None}
    broker = Supervisor(fake.address, TOKEN).broker()
    assert (broker.username, broker.password) == ("", "")


def test_without_a_broker_the_owner_hears_which_app_to_install(fake: FakeSupervisor) -> None:
    with pytest.raises(NotYet, match="install and start the app Mosquitto broker, or name a broker of your own"):
        Supervisor(fake.address, TOKEN).broker()


def test_a_wrong_token_is_said_without_the_token(fake: FakeSupervisor) -> None:
    with pytest.raises(NotYet, match=r"refuses /services/mqtt \(HTTP 401\): restart this app") as raised:
        Supervisor(fake.address, "another").broker()
    assert "another" not in str(raised.value)


def test_an_answer_without_a_broker_is_no_broker(fake: FakeSupervisor) -> None:
    fake.mqtt = {"hostname": "b"}
    with pytest.raises(NotYet, match="names no broker"):
        Supervisor(fake.address, TOKEN).broker()


def test_a_supervisor_that_is_away_can_be_asked_again() -> None:
    with pytest.raises(NotYet, match="does not answer"):
        Supervisor(f"http://127.0.0.1:{free_port()}", TOKEN).broker()


@pytest.mark.parametrize(("ingress", "port", "wanted"), [(True, 8099, 8099), (False, 8099, None), (True, None, None)])
def test_the_page_is_wanted_where_the_app_has_an_ingress(
    fake: FakeSupervisor, ingress: bool, port: int | None, wanted: int | None
) -> None:
    fake.info |= {"ingress": ingress, "ingress_port": port}
    assert Supervisor(fake.address, TOKEN).page_port() == wanted


def test_neither_password_nor_token_shows_in_a_repr() -> None:
    shown = repr(Broker("b", 1, False, "u", "secret one")) + repr(Supervisor("http://s", "secret two"))
    assert "secret" not in shown
