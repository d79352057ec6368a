"""The decrypt key, in each form in which utilities hand it out."""

import pytest

from nesgw.config.key import is_key, parse_key, without_keys

ASCII = "a7941d85bce8a8fa2ab7"
BYTES = b"a7941d85bce8a8fa2ab7"
HEX = "6137393431643835626365386138666132616237"
DECIMAL = "97 55 57 52 49 100 56 53 98 99 101 56 97 56 102 97 50 97 98 55"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (ASCII, "20 characters"),
        (f"  {ASCII}\n", "20 characters"),
        (f'"{ASCII}"', "20 characters"),
        (HEX, "40 hex digits"),
        (HEX.upper(), "40 hex digits"),
        ("0x" + HEX, "40 hex digits"),
        (HEX[:20] + " " + HEX[20:], "40 hex digits"),
        (":".join(HEX[i : i + 2] for i in range(0, 40, 2)), "40 hex digits"),
        (" ".join(HEX[i : i + 2] for i in range(0, 40, 2)), "40 hex digits"),
        (DECIMAL, "20 decimal codes"),
        (DECIMAL.replace(" ", ","), "20 decimal codes"),
        (DECIMAL.replace(" ", ", "), "20 decimal codes"),
        (DECIMAL.replace(" ", ";"), "20 decimal codes"),
        (DECIMAL.replace(" ", "-"), "20 decimal codes"),
        (DECIMAL.replace(" ", "\n"), "20 decimal codes"),
    ],
)
def test_each_form_gives_the_same_twenty_bytes(text, form):
    key = parse_key(text)
    assert key.value.reveal() == BYTES
    assert key.form == form


def test_pairs_that_could_be_decimal_or_hex_are_taken_as_what_makes_a_plain_key():
    # 30 31 … as decimal would be control characters; as hex it is "0123456789".
    assert parse_key(" ".join(["30", "31", "32", "33", "34", "35", "36", "37", "38", "39"] * 2)).value.reveal() == (
        b"01234567890123456789"
    )
    # 48 49 … as decimal is "0123456789"; that reading comes first.
    assert parse_key(" ".join(str(code) for code in range(48, 58)) + " " + " ".join(["48"] * 10)).value.reveal() == (
        b"01234567890000000000"
    )


@pytest.mark.parametrize(
    "text",
    ["", "abc", ASCII + "x", ASCII[:-1], HEX[:-1], HEX + "0", DECIMAL + " 1", DECIMAL.replace("97", "256"), "ø" * 20],
)
def test_anything_else_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="expected 20 characters") as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


def test_a_key_does_not_print_itself():
    assert ASCII not in repr(parse_key(ASCII))


@pytest.mark.parametrize("text", [ASCII, HEX, DECIMAL, f'"{ASCII}"'])
def test_a_key_in_the_place_of_something_else_is_noticed(text):
    assert is_key(text)


@pytest.mark.parametrize("text", ["", "house.key", "/etc/nesgw/house.key", "/dev/serial/by-id/usb-FTDI_A50285BI-port0"])
def test_a_file_name_is_no_key(text):
    assert not is_key(text)


@pytest.mark.parametrize("key", [ASCII, HEX])
def test_a_message_does_not_repeat_a_key(key):
    assert without_keys(f"argument COMMAND: invalid choice: '{key}'") == "argument COMMAND: invalid choice: '(a key)'"
