"""A configuration is changed where it has to be, and nowhere else."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.commands.setup.toml_text import Change, Unclear, appended, block, changed

SHIPPED = """\
# nesgw configuration.

[[meter]]
name = "house"                 # a-z, 0-9, _ and -
port = "auto"                  # a device path, or "auto"
key_file = "/etc/nesgw/house.key" # the file with the key

# where the readings go
[mqtt]
host = "localhost"             # the broker
#username = "nesgw"            # empty: no login
# password_file = "/etc/nesgw/mqtt.password"
"""


def test_a_value_is_replaced_and_its_comment_stays_where_it_was() -> None:
    assert changed(SHIPPED, [Change(("mqtt",), "host", "homeassistant.local")]) == SHIPPED.replace(
        'host = "localhost"             # the broker', 'host = "homeassistant.local"   # the broker'
    )


def test_a_longer_value_pushes_its_comment_to_the_right() -> None:
    by_id = "/dev/serial/by-id/usb-FTDI_FT230X_Basic_UART_D30A1B2C-if00-port0"
    assert changed(SHIPPED, [Change(("meter", 0), "port", by_id)]) == SHIPPED.replace(
        'port = "auto"                  #', f'port = "{by_id}" #'
    )


def test_an_option_that_is_commented_out_is_taken_up_in_its_place() -> None:
    new = changed(
        SHIPPED,
        [Change(("mqtt",), "username", "ha"), Change(("mqtt",), "password_file", "/etc/nesgw/mqtt.password")],
    )
    assert new == SHIPPED.replace('#username = "nesgw"            #', 'username = "ha"                #').replace(
        "# password_file", "password_file"
    )


def test_a_new_option_stands_behind_the_others_of_its_table() -> None:
    new = changed(SHIPPED, [Change(("meter", 0), "max_power", "17.25 kW")])
    assert new == SHIPPED.replace("# the file with the key\n", '# the file with the key\nmax_power = "17.25 kW"\n')


def test_a_missing_table_comes_at_the_end() -> None:
    assert changed(SHIPPED, [Change(("mqtt", "tls"), "enabled", True)]) == SHIPPED + "\n[mqtt.tls]\nenabled = true\n"


def test_the_right_one_of_several_blocks_is_changed() -> None:
    two = SHIPPED + '\n[[meter]]\nname = "annex"\nport = "/dev/ttyUSB1"\n'
    new = changed(two, [Change(("meter", 1), "port", "/dev/ttyUSB7")])
    assert new == two.replace("ttyUSB1", "ttyUSB7")


def test_an_option_can_be_taken_out() -> None:
    text = '[[meter]]\nname = "house"\nkey = "a secret"\nport = "auto"\n'
    assert changed(text, [Change(("meter", 0), "key", None)]) == '[[meter]]\nname = "house"\nport = "auto"\n'


def test_a_list_and_a_text_with_signs_in_it_are_replaced_whole() -> None:
    text = 'a = 1\n[mqtt]\nhost = ["one", "t#wo"] # both\npassword = "x # \\" y" # the # secret\n'
    assert changed(text, [Change(("mqtt",), "host", "three"), Change(("mqtt",), "password", "z")]) == (
        'a = 1\n[mqtt]\nhost = "three"         # both\npassword = "z"        # the # secret\n'
    )


def test_line_ends_and_the_byte_order_mark_of_windows_stay() -> None:
    windows = "\ufeff" + SHIPPED.replace("\n", "\r\n")
    assert changed(windows, [Change(("mqtt",), "port", 8883)]) == windows.replace(
        "# the broker\r\n", "# the broker\r\nport = 8883\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        'mqtt = { host = "localhost" }\n',
        'mqtt.host = "localhost"\n',
        '[mqtt]\nhost = [\n  "one",\n  "two",\n]\n',
        '[mqtt]\nhost = """\nlocalhost"""\n',
        '[mqtt]\n"host" = "localhost"\n',
        'text = """\n[mqtt]\nhost = "no"\n"""\n[mqtt]\nhost = "localhost"\n',
    ],
)
def test_what_is_written_in_another_way_is_refused_rather_than_damaged(text: str) -> None:
    with pytest.raises(Unclear):
        changed(text, [Change(("mqtt",), "host", "pi.lan")])


def test_a_block_is_appended_after_an_empty_line() -> None:
    added = block("meter", {"name": "annex", "dtr": True})
    assert appended(SHIPPED + "\n\n", added) == SHIPPED + '\n[[meter]]\nname = "annex"\ndtr = true\n'
    assert appended("", added) == '[[meter]]\nname = "annex"\ndtr = true\n'


@given(
    old=st.text(st.characters(codec="utf-8", exclude_characters="\r")),
    new=st.text(st.characters(codec="utf-8")),
    comment=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=10),
)
def test_any_text_takes_the_place_of_any_other(old: str, new: str, comment: str) -> None:
    whole = (
        changed("[mqtt]\n", [Change(("mqtt",), "username", old)]).rstrip("\n")
        + f" # {comment}\n[http]\nenabled = true\n"
    )
    assert tomllib.loads(changed(whole, [Change(("mqtt",), "username", new)])) == {
        "mqtt": {"username": new},
        "http": {"enabled": True},
    }
