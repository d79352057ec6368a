"""What the owner fills in becomes nesgw's configuration, one to one, and every default stays in nesgw."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nesgw_container import options
from nesgw_container.options import OptionsError
from nesgw_container.supervisor import Broker

from nesgw.config import loader

KEY = "a7941d85bce8a8fa2ab7"
MEMORY = Path("/dev/shm/nesgw")
FOUND = Broker(host="core-mosquitto", port=1883, tls=False, username="addons", password="of the app")
HOUSE = {"name": "house", "key": KEY}


def translated(
    *meters: dict[str, Any], found: Broker | None = FOUND, mqtt: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Through TOML and back, as nesgw reads it."""
    chosen = {"meters": list(meters or [HOUSE]), "mqtt": mqtt or {}, **more}
    return tomllib.loads(options.toml(options.document(chosen, found, MEMORY)))


class TestTheMeters:
    def test_what_is_not_filled_in_is_not_there(self) -> None:
        assert translated()["meter"] == [{"name": "house", "key": KEY}]

    def test_each_has_its_options_under_the_same_names(self) -> None:
        house = {
            "name": "house",
            "label": "Hus Åse",
            "key": KEY,
            "interface": "optical",
            "port": "/dev/serial/by-id/usb-A",
            "poll_interval": "15s",
            "session": "per-poll",
            "max_power": "17 kW",
            "quiet": "02:05-02:15",
            "rts": False,
            "dtr": True,
        }
        assert translated(house)["meter"] == [house]

    def test_there_may_be_several(self) -> None:
        annex = {"name": "annex", "key": KEY, "port": "/dev/ttyUSB1"}
        assert translated({**HOUSE, "port": "/dev/ttyUSB0"}, annex)["meter"] == [
            {"name": "house", "key": KEY, "port": "/dev/ttyUSB0"},
            annex,
        ]

    def test_a_port_on_the_network_goes_before_one_of_this_machine(self) -> None:
        meter = {**HOUSE, "port": "/dev/ttyUSB0", "port_url": "socket://10.0.0.3:5000"}
        assert translated(meter)["meter"][0]["port"] == "socket://10.0.0.3:5000"

    @pytest.mark.parametrize(("chosen", "written"), [("9600", 9600), ("negotiate", "negotiate")])
    def test_the_speed_is_a_number_although_a_choice_from_a_list_is_a_text(
        self, chosen: str, written: int | str
    ) -> None:
        assert translated({**HOUSE, "baud": chosen})["meter"][0]["baud"] == written

    def test_none_at_all_is_said_in_the_words_of_the_form(self) -> None:
        with pytest.raises(OptionsError, match="there is no meter: add one in this app's configuration"):
            options.document({"meters": [], "mqtt": {}}, FOUND, MEMORY)


class TestTheBroker:
    def test_is_the_supervisors_where_the_owner_names_none(self) -> None:
        assert translated()["mqtt"] == {
            "host": "core-mosquitto",
            "port": 1883,
            "username": "addons",
            "password": "of the app",
        }

    def test_without_a_login_has_none(self) -> None:
        assert translated(found=Broker("b", 1883, False, "", ""))["mqtt"] == {"host": "b", "port": 1883}

    def test_is_spoken_to_through_tls_where_the_supervisor_says_so(self) -> None:
        assert translated(found=Broker("b", 8883, True, "", ""))["mqtt"]["tls"] == {"enabled": True}

    def test_keeps_the_owners_topics(self) -> None:
        mqtt = translated(mqtt={"base_topic": "meters", "per_value_topics": True})["mqtt"]
        assert (mqtt["host"], mqtt["base_topic"], mqtt["per_value_topics"]) == ("core-mosquitto", "meters", True)

    def test_is_the_owners_alone_where_one_is_named(self) -> None:
        own = {"host": "10.0.0.2", "port": 8883, "username": "me", "password": "mine", "tls": True}
        assert options.has_own_broker({"mqtt": own})
        assert translated(found=None, mqtt=own)["mqtt"] == {
            "host": "10.0.0.2",
            "port": 8883,
            "username": "me",
            "password": "mine",
            "tls": {"enabled": True},
        }


def test_the_readings_are_in_memory_and_the_gateway_is_not_a_second_nesgw() -> None:
    tables = translated(log_level="debug", language="da")
    assert tables["cache"] == {"directory": "/dev/shm/nesgw/readings"}
    assert tables["gateway"] == {"name": "homeassistant", "log_format": "console", "log_level": "debug"}
    assert tables["homeassistant"] == {"language": "da"}


def test_the_page_is_for_who_comes_through_home_assistant_and_for_nobody_without_the_token() -> None:
    chosen = {"meters": [HOUSE], "mqtt": {}}
    tables = options.document(chosen, FOUND, MEMORY, (8099, MEMORY / "page.token"))
    assert tables["http"] == {"enabled": True, "listen": "0.0.0.0:8099", "token_file": "/dev/shm/nesgw/page.token"}
    assert "http" not in options.document(chosen, FOUND, MEMORY)


def test_nesgw_takes_whatever_the_form_can_say() -> None:
    house: dict[str, Any] = {
        **HOUSE,
        "label": "House",
        "interface": "optical",
        "port_url": "rfc2217://10.0.0.3:4000",
        "baud": "2400",
    }
    house |= {"poll_interval": "1min", "session": "keep-open", "max_power": "44 kW", "quiet": "23:50-00:10"}
    house |= {"rts": True, "dtr": False}
    own = {"host": "b", "port": 1883, "username": "u", "password": "p", "tls": True, "base_topic": "nesgw"}
    chosen = {"meters": [house], "mqtt": {**own, "per_value_topics": True}, "language": "de", "log_level": "info"}
    config = loader.parse(options.toml(options.document(chosen, None, MEMORY)), "config.toml")
    assert (config.meter[0].baud, config.homeassistant.language, config.mqtt.tls.enabled) == (2400, "de", True)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    assert tomllib.loads(options.toml({"mqtt": {"password": text}})) == {"mqtt": {"password": text}}
