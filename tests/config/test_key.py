"""The meter's key, in each form in which utilities hand it out, and what is said of anything else."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from nesgw.config.key import is_key, parse_key, without_keys
from nesgw.config.settings import Interface

ASCII = "a7941d85bce8a8fa2ab7"
BYTES = b"a7941d85bce8a8fa2ab7"
HEX = "6137393431643835626365386138666132616237"
DECIMAL = "97 55 57 52 49 100 56 53 98 99 101 56 97 56 102 97 50 97 98 55"
OTHER = "b8052e96cdf9b9ab3bc8"


def said_of(text: str, interface: Interface = "optical") -> str:
    with pytest.raises(ValueError, match="key") as caught:
        parse_key(text, interface)
    return str(caught.value)


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
        (HEX[:20] + "\n" + HEX[20:], "40 hex digits"),
        (":".join(HEX[i : i + 2] for i in range(0, 40, 2)), "40 hex digits"),
        (" ".join(HEX[i : i + 2] for i in range(0, 40, 2)), "40 hex digits"),
        (" ".join("0x" + HEX[i : i + 2] for i in range(0, 40, 2)), "40 hex digits"),
        (DECIMAL, "20 decimal codes"),
        (DECIMAL.replace(" ", ","), "20 decimal codes"),
        (DECIMAL.replace(" ", ", "), "20 decimal codes"),
        (DECIMAL.replace(" ", ";"), "20 decimal codes"),
        (DECIMAL.replace(" ", "-"), "20 decimal codes"),
        (DECIMAL.replace(" ", "\n"), "20 decimal codes"),
    ],
)
def test_each_form_gives_the_same_twenty_bytes(text: str, form: str) -> None:
    key = parse_key(text)
    assert key.value.reveal() == BYTES
    assert key.form == form


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + ASCII,
        "\ufeff" + HEX + "\r\n",
        ASCII + "\r\n",
        "\u00a0" + ASCII + "\u00a0",
        "\u200b" + ASCII,
        ASCII[:7] + "\u200b" + ASCII[7:],
        f"'{ASCII}'",
        f"“{ASCII}”",
        f"„{ASCII}“\n",
        f'  "{ASCII}"  \n\n',
        HEX.replace("35", "35\u00a0"),
        DECIMAL.replace(" ", "\u00a0"),
    ],
)
def test_what_an_editor_adds_unseen_is_no_part_of_the_key(text: str) -> None:
    assert parse_key(text).value.reveal() == BYTES


@pytest.mark.parametrize(
    "text", [f"RK: {ASCII}", f"Key: {HEX}", f"key = {ASCII}", f"Optical (read-only): {DECIMAL}", f'RK: "{ASCII}"']
)
def test_a_label_in_front_is_no_part_of_the_key(text: str) -> None:
    assert parse_key(text).value.reveal() == BYTES


@pytest.mark.parametrize(
    "text",
    [
        f"{ASCII}\n{OTHER}",
        f"{ASCII} {OTHER}",
        f"{ASCII}, {OTHER}",
        f"RK: {ASCII}\nMEP: {OTHER}\n",
        f"{HEX}\n{HEX[2:]}61",
        f"{DECIMAL}\n{DECIMAL}",
        f"{ASCII}\n\n{DECIMAL}\n",
    ],
)
def test_of_two_keys_none_is_chosen(text: str) -> None:
    assert "2 keys" in said_of(text)


@pytest.mark.parametrize("text", [f"House\n{ASCII}", f"{ASCII}\nfrom the letter of May", f"{ASCII}\n{OTHER[1:]}"])
def test_beside_a_key_nothing_else_may_stand(text: str) -> None:
    assert said_of(text) == "more than a key; leave only the key itself"


def test_pairs_that_could_be_decimal_or_hex_are_taken_as_what_makes_a_plain_key() -> None:
    # 30 31 … as decimal would be control characters; as hex it is "0123456789".
    assert parse_key(" ".join(["30", "31", "32", "33", "34", "35", "36", "37", "38", "39"] * 2)).value.reveal() == (
        b"01234567890123456789"
    )
    # 48 49 … as decimal is "0123456789"; that reading comes first.
    codes = " ".join(str(code) for code in range(48, 58)) + " " + " ".join(["48"] * 10)
    assert parse_key(codes).value.reveal() == b"01234567890000000000"


@pytest.mark.parametrize("text", [f"{ASCII[:10]}\n{ASCII[10:]}", f"{ASCII[:4]} {ASCII[4:]}"])
def test_a_key_with_a_gap_in_it_is_not_said_to_have_the_wrong_length(text: str) -> None:
    assert said_of(text).startswith("not a key: it has a gap or a line end in the middle; write it in one piece")


class TestOnMep:
    """The MEP port takes keys of 16 or of 20 bytes."""

    @pytest.mark.parametrize(
        ("text", "form"),
        [
            (ASCII[:16], "16 characters"),
            (ASCII, "20 characters"),
            (HEX[:32], "32 hex digits"),
            (HEX, "40 hex digits"),
            (" ".join(DECIMAL.split()[:16]), "16 decimal codes"),
            (DECIMAL, "20 decimal codes"),
        ],
    )
    def test_either_length_in_either_form(self, text: str, form: str) -> None:
        key = parse_key(text, "mep")
        assert BYTES.startswith(key.value.reveal())
        assert key.form == form

    def test_the_short_one_is_none_of_the_optical_port(self) -> None:
        assert said_of(ASCII[:16]).startswith("not a key: 16 characters; expected 20 characters")

    def test_other_lengths_are_refused_with_all_that_would_be_right(self) -> None:
        assert said_of(ASCII[:17], "mep").startswith(
            "not a key: 17 characters, one too many; expected 16 or 20 characters (a7941d…), 32 or 40 hex digits"
        )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the key is empty"),
        ('""', "the key is empty"),
        ("\ufeff\r\n", "the key is empty"),
        ("abc", "not a key: 3 characters"),
        (ASCII[:-1], "not a key: 19 characters, one is missing"),
        (ASCII + "x", "not a key: 21 characters, one too many"),
        (HEX[:-1], "not a key: 39 characters, one is missing"),
        (HEX + "0", "not a key: 41 characters, one too many"),
        (DECIMAL[:-3], "not a key: 19 numbers, one is missing"),
        (DECIMAL + " 1", "not a key: 21 numbers, one too many"),
        (DECIMAL.replace("97", "256"), "not a key: 20 groups that are neither decimal codes below 256 nor hex pairs"),
        (ASCII[:16] + "ø" + ASCII[17:], "not a key: character 17 is no letter, digit or sign"),
        ("ø" * 20, "not a key: character 1 is no letter, digit or sign"),
        (ASCII[:10] + " " + ASCII[11:], "not a key: 19 characters, one is missing"),
        (ASCII[:10] + "\x00" + ASCII[11:], "not a key: character 11 is no letter, digit or sign"),
    ],
)
def test_anything_else_is_refused_with_what_it_is_but_without_showing_it(text: str, what: str) -> None:
    said = said_of(text)
    assert said == (
        f"{what}; expected 20 characters (a7941d…), 40 hex digits (6137393431…) or 20 decimal codes (97 55 57 52 …, "
        "with spaces, commas, semicolons or dashes)"
    )
    assert not text.strip('"\ufeff\r\n') or text not in said


class TestSecrecy:
    """What holds a key gives it away to who asks for it by name, and to nothing that writes things down."""

    def test_it_does_not_print_itself(self) -> None:
        key = parse_key(ASCII)
        for shown in (
            repr(key),
            str(key),
            f"{key.value}",
            f"{key.value!r}",
            json.dumps(key.value, default=str),
        ):
            assert ASCII not in shown
            assert HEX not in shown

    def test_it_cannot_be_pickled_or_written_as_json(self) -> None:
        with pytest.raises(TypeError, match="may hold a secret, and is not pickled"):
            pickle.dumps(parse_key(ASCII))
        with pytest.raises(TypeError, match="not JSON serializable"):
            json.dumps(parse_key(ASCII).value)

    def test_it_can_be_copied_and_compared(self) -> None:
        key = parse_key(ASCII)
        assert copy.deepcopy(key) == key == parse_key(HEX).__class__(key.value, "20 characters")
        assert key.value != parse_key(OTHER).value
        assert key.value != BYTES


@pytest.mark.parametrize("text", [ASCII, HEX, DECIMAL, f'"{ASCII}"', f"{HEX} "])
def test_a_key_in_the_place_of_something_else_is_noticed(text: str) -> None:
    assert is_key(text)


@pytest.mark.parametrize(
    "text",
    ["", "house.key", "/etc/nesgw/house.key", "/dev/serial/by-id/usb-FTDI_A50285BI-port0", "house/key0123456789ab"],
)
def test_a_file_name_is_no_key(text: str) -> None:
    assert not is_key(text)


@pytest.mark.parametrize("key", [ASCII, HEX])
def test_a_message_does_not_repeat_a_key(key: str) -> None:
    assert without_keys(f"argument COMMAND: invalid choice: '{key}'") == "argument COMMAND: invalid choice: '(a key)'"
