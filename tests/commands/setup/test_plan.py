"""What nesgw setup will write: from the configuration as shipped, beside other meters, and from nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nesgw.commands.setup.plan import (
    Answers,
    BrokerAccess,
    Configured,
    Meter,
    Present,
    chosen,
    planned,
    ports_of_the_others,
)
from nesgw.config import loader
from nesgw.config.settings import Secret
from nesgw.errors import ConfigError

ETC = Path("/etc/nesgw")
CONFIG = ETC / "config.toml"
BY_ID = "/dev/serial/by-id/usb-FTDI_FT230X-if00-port0"
OTHER = "/dev/serial/by-id/usb-Silicon_Labs_CP2102-if00-port0"
KEY = Secret("a7941d85bce8a8fa2ab7")
SHIPPED = """\
# nesgw configuration.
[[meter]]
name = "house"                 # names the log lines
label = "House"                # what Home Assistant shows
port = "auto"                  # a device path, or "auto"
key_file = "/etc/nesgw/house.key"

[mqtt]
host = "localhost"             # the broker
port = 1883                    # 8883 with tls
username = ""                  # empty: no login
password_file = ""             # the file with the password
"""


def present(text: str | None = None, further: str | None = None, *, folder: bool = False) -> Present:
    texts = [] if text is None else [(CONFIG, text)]
    if further is not None:
        texts.append((ETC / "conf.d" / "annex.toml", further))
    return Present(CONFIG, texts, folder or further is not None)


def written(before: Present, answers: Answers) -> dict[str, str]:
    return {str(file.path.relative_to(ETC)): file.text.reveal_text() for file in planned(before, answers)}


def test_from_nothing_a_configuration_that_is_sound() -> None:
    answers = Answers(
        Meter("house", BY_ID, label="House", max_power=17_250.0),
        KEY,
        broker=BrokerAccess("homeassistant.local", 1883, username="nesgw", password=Secret("correct horse")),
    )
    files = planned(present(), answers)
    assert [(file.path.name, file.secret) for file in files] == [
        ("house.key", True),
        ("mqtt.password", True),
        ("config.toml", False),
    ]
    text = files[2].text.reveal_text()
    assert text.split("\n\n", 1)[1] == (
        f'[[meter]]\nname = "house"\nlabel = "House"\nport = "{BY_ID}"\nkey_file = "/etc/nesgw/house.key"\n'
        'max_power = "17.25 kW"\n\n[mqtt]\nhost = "homeassistant.local"\nusername = "nesgw"\n'
        'password_file = "/etc/nesgw/mqtt.password"\n'
    )
    (meter,) = loader.settings(loader.parse(text, "config.toml")).meters
    assert (meter.port, meter.max_power) == (BY_ID, 17_250.0)


def test_no_secret_is_in_the_configuration_or_shown_by_the_plan() -> None:
    answers = Answers(
        Meter("house", BY_ID, label="House"), KEY, broker=BrokerAccess("pi", 1883, password=Secret("horse"))
    )
    files = planned(present(SHIPPED), answers)
    assert "a7941d85bce8a8fa2ab7" not in files[-1].text.reveal_text()
    assert "a7941d85bce8a8fa2ab7" not in repr(files)
    assert "horse" not in repr(answers)
    assert files[0].text.reveal() == b"a7941d85bce8a8fa2ab7\n"


def test_the_configuration_as_shipped_is_filled_in_and_keeps_its_comments() -> None:
    answers = Answers(
        Meter("house", BY_ID, label="Home"),
        KEY,
        broker=BrokerAccess("homeassistant.local", 1883, username="nesgw", password=Secret("correct horse")),
    )
    assert written(present(SHIPPED), answers) == {
        "house.key": "a7941d85bce8a8fa2ab7\n",
        "mqtt.password": "correct horse\n",
        "config.toml": SHIPPED.replace('"House"                #', '"Home"                 #')
        .replace('"auto"                  #', f'"{BY_ID}" #')
        .replace('"localhost"             #', '"homeassistant.local"   #')
        .replace('username = ""                  #', 'username = "nesgw"             #')
        .replace('password_file = ""             #', 'password_file = "/etc/nesgw/mqtt.password" #'),
    }


def test_what_is_so_already_is_not_written() -> None:
    answers = Answers(Meter("house", "auto", label="House"), None, broker=BrokerAccess("localhost", 1883))
    assert written(present(SHIPPED), answers) == {}


def test_a_second_meter_becomes_a_block_at_the_end() -> None:
    answers = Answers(Meter("annex", OTHER, label="Annex"), KEY)
    assert written(present(SHIPPED), answers) == {
        "annex.key": "a7941d85bce8a8fa2ab7\n",
        "config.toml": SHIPPED
        + f'\n[[meter]]\nname = "annex"\nlabel = "Annex"\nport = "{OTHER}"\nkey_file = "/etc/nesgw/annex.key"\n',
    }


def test_where_there_is_a_folder_of_meters_it_becomes_a_file_there() -> None:
    answers = Answers(Meter("annex", OTHER, "mep", label="Annex"), KEY)
    assert written(present(SHIPPED, folder=True), answers)["conf.d/annex.toml"] == (
        f'[[meter]]\nname = "annex"\nlabel = "Annex"\ninterface = "mep"\nport = "{OTHER}"\n'
        'key_file = "/etc/nesgw/annex.key"\n'
    )


def test_a_meter_is_changed_in_the_file_in_which_it_stands() -> None:
    annex = '# the annex\n[[meter]]\nname = "annex"\nlabel = "Annex"\nport = "/dev/ttyUSB1"\nkey_file = "/k/annex"\n'
    answers = Answers(Meter("annex", OTHER, label="Annex"), None)
    assert written(present(SHIPPED, annex), answers) == {
        "conf.d/annex.toml": annex.replace("/dev/ttyUSB1", OTHER),
    }


def test_a_new_key_goes_into_the_file_that_is_named_already() -> None:
    elsewhere = SHIPPED.replace("house.key", "keys/of-the-house")
    answers = Answers(Meter("house", BY_ID, label="House"), KEY)
    assert "keys/of-the-house" in written(present(elsewhere), answers)


def test_a_new_key_takes_the_place_of_one_in_the_configuration() -> None:
    inline = '[[meter]]\nname = "house"\nlabel = "House"\nkey = "0123456789abcdefghij"\nport = "auto"\n'
    answers = Answers(Meter("house", "auto", label="House"), KEY)
    assert written(present(inline), answers)["config.toml"] == (
        '[[meter]]\nname = "house"\nlabel = "House"\nport = "auto"\nkey_file = "/etc/nesgw/house.key"\n'
    )


def test_a_key_file_beside_the_configuration_is_named_and_not_copied() -> None:
    answers = Answers(Meter("house", BY_ID, label="House"), KEY, key_file=ETC / "given.key")
    new = written(present(SHIPPED), answers)
    assert list(new) == ["config.toml"]
    assert 'key_file = "/etc/nesgw/given.key"' in new["config.toml"]


def test_a_broker_without_login_forgets_the_password() -> None:
    text = SHIPPED.replace('password_file = ""', 'password_file = "/etc/nesgw/mqtt.password"').replace(
        'username = ""', 'username = "nesgw"'
    )
    answers = Answers(Meter("house", "auto", label="House"), None, broker=BrokerAccess("localhost", 1883))
    new = written(present(text), answers)["config.toml"]
    assert 'username = ""' in new
    assert "password_file" not in new


def test_tls_is_switched_on_in_a_table_of_its_own() -> None:
    answers = Answers(Meter("house", "auto", label="House"), None, broker=BrokerAccess("pi.lan", 8883, tls=True))
    new = written(present(SHIPPED), answers)["config.toml"]
    assert new.endswith("\n[mqtt.tls]\nenabled = true\n")
    assert "port = 8883                    # 8883 with tls" in new


def test_a_list_of_brokers_stays_where_the_chosen_one_is_in_it() -> None:
    text = '[[meter]]\nname = "house"\nlabel = "House"\n[mqtt]\nhost = ["one.lan", "two.lan"]\n'
    answers = Answers(Meter("house", "auto", label="House"), None, broker=BrokerAccess("two.lan", 1883))
    assert written(present(text), answers) == {}


def test_a_configuration_written_in_an_unusual_way_is_left_alone_and_the_owner_is_told_what_to_set() -> None:
    text = 'mqtt = { host = "localhost" }\n[[meter]]\nname = "house"\nlabel = "House"\n'
    answers = Answers(Meter("house", "auto", label="House"), None, broker=BrokerAccess("pi.lan", 1883))
    with pytest.raises(ConfigError, match=r"config.toml: .*: set mqtt.host by hand"):
        planned(present(text), answers)


class TestWhichMeterItIs:
    HOUSE = Configured("house", "auto", has_key=True)
    EMPTY = Configured("house", "auto", has_key=False)
    ANNEX = Configured("annex", OTHER, has_key=True)

    @staticmethod
    def same(one: str, other: str) -> bool:
        return os.path.realpath(one) == os.path.realpath(other)

    def test_the_one_that_the_port_is_configured_for(self) -> None:
        assert chosen([self.HOUSE, self.ANNEX], OTHER, [BY_ID, OTHER], self.same) == ("annex", ())

    def test_the_one_that_has_no_key_yet(self) -> None:
        assert chosen([self.ANNEX, self.EMPTY], BY_ID, [BY_ID, OTHER], self.same) == ("house", ())

    def test_the_one_with_any_port_where_there_is_but_one_adapter(self) -> None:
        assert chosen([self.HOUSE], BY_ID, [BY_ID], self.same) == ("house", ())

    def test_perhaps_the_one_with_any_port_where_there_are_several(self) -> None:
        assert chosen([self.HOUSE], OTHER, [BY_ID, OTHER], self.same) == (None, ("house",))

    def test_none_where_all_others_have_their_own(self) -> None:
        assert chosen([self.ANNEX], BY_ID, [BY_ID, OTHER], self.same) == (None, ())

    def test_any_port_becomes_the_one_that_is_left_when_a_second_meter_comes(self) -> None:
        assert ports_of_the_others([self.HOUSE], "", OTHER, [BY_ID, OTHER], self.same) == (("house", BY_ID),)

    def test_where_several_are_left_the_owner_has_to_name_it(self) -> None:
        third = "/dev/serial/by-id/usb-third"
        with pytest.raises(ConfigError, match=r'meter\.house\.port: "auto" cannot serve several meters'):
            ports_of_the_others([self.HOUSE], "", OTHER, [BY_ID, OTHER, third], self.same)
