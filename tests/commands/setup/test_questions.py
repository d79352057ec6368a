"""How the answers of nesgw setup are checked."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesgw.commands.setup import questions as ask
from nesgw.commands.setup.command import arguments
from nesgw.commands.setup.questions import BrokerPlace


@pytest.mark.parametrize(
    ("said", "watts"),
    [
        ("3 x 25 A", 17_250),  # 3 · 25 A · 230 V
        ("3×25A", 17_250),
        ("3x25", 17_250),
        ("3 * 35 ampere", 24_150),
        ("1 x 35 A", 8_050),
        ("3 x 62,5 A", 43_125),
        ("17 kW", 17_000),
        ("17,5 kW", 17_500),
        ("11000 W", 11_000),
        ("auto", None),
        ("", None),
    ],
)
def test_the_main_fuse_is_said_in_amperes_of_each_phase_or_as_a_power(said: str, watts: float | None) -> None:
    assert ask.main_fuse(said) == watts


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("25 A", "of one phase or of three? Write 1 x 25 A, or 3 x 25 A"),
        ("17", "write it like 3 x 25 A, 1 x 35 A or 17 kW"),
        ("2 x 25 A", "write it like 3 x 25 A"),
        ("3 x 0 A", "must be 100 W to 10000 kW"),
        ("much", "write it like 3 x 25 A"),
    ],
)
def test_a_main_fuse_that_is_not_clear_is_asked_for_again(said: str, why: str) -> None:
    with pytest.raises(ValueError, match="^" + why.replace("?", r"\?")):
        ask.main_fuse(said)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("homeassistant.local", BrokerPlace("homeassistant.local", None)),
        ("192.168.1.20:8883", BrokerPlace("192.168.1.20", 8883)),
        ("mqtt://pi.lan:1884/", BrokerPlace("pi.lan", 1884, tls=False)),
        ("mqtts://broker.example.org", BrokerPlace("broker.example.org", None, tls=True)),
        ("fe80::1", BrokerPlace("fe80::1", None)),
        ("[fe80::1]:1883", BrokerPlace("fe80::1", 1883)),
    ],
)
def test_a_broker_is_named_as_people_write_it(said: str, place: BrokerPlace) -> None:
    assert ask.broker(said) == place


@pytest.mark.parametrize("said", ["", "http://pi.lan", "two words", "user@pi.lan", "pi.lan:0", "pi.lan:70000", ":1883"])
def test_what_is_no_broker_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"write|must"):
        ask.broker(said)


@pytest.mark.parametrize(
    ("label", "taken", "name"),
    [
        ("House", [], "house"),
        ("Größer Hof", [], "groesser-hof"),
        ("Nyhavn 17, æøå", [], "nyhavn-17-aeoeaa"),
        ("House", ["house"], "house-2"),
        ("House", ["house", "house-2"], "house-3"),
        ("电表", [], "meter"),
    ],
)
def test_a_meter_is_named_after_its_label(label: str, taken: list[str], name: str) -> None:
    assert ask.name_of(label, taken) == name


@given(st.text(min_size=1), st.lists(st.sampled_from(["house", "house-2", "meter", "meter-2"])))
def test_every_label_makes_a_name_that_the_configuration_takes(label: str, taken: list[str]) -> None:
    name = ask.name_of(label, taken)
    assert name not in taken
    assert 1 <= len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_number_chooses_a_line_of_the_list_and_all_else_is_an_answer_of_its_own() -> None:
    check = ask.one_of(["/dev/ttyUSB0", "/dev/ttyUSB1"], ask.port, str)
    assert check("2") == "/dev/ttyUSB1"
    assert check("/dev/ttyAMA0") == "/dev/ttyAMA0"
    with pytest.raises(ValueError, match="write a number from 1 to 2"):
        check("3")
    with pytest.raises(ValueError, match='write the whole path: "/dev/ttyUSB0"'):
        check("ttyUSB0")


def test_a_password_is_taken_as_it_is_typed() -> None:
    assert ask.password("correct horse\n").reveal() == b"correct horse"


@pytest.mark.parametrize("typed", ["", " blank in front", "blank behind ", '"in quotes"'])
def test_a_password_that_its_file_would_change_is_refused_without_repeating_it(typed: str) -> None:
    with pytest.raises(ValueError, match="password") as refused:
        ask.password(typed)
    assert not typed.strip() or typed.strip() not in str(refused.value)


def test_a_key_is_recognised_in_each_form_and_kept_as_it_was_typed() -> None:
    hexadecimal = "6137393431643835626365386138666132616237"
    typed = ask.key("optical")(f" {hexadecimal}\n")
    assert typed.key.form == "40 hex digits"
    assert typed.key.value.reveal() == b"a7941d85bce8a8fa2ab7"
    assert typed.text.reveal() == hexadecimal.encode()
    assert hexadecimal not in repr(typed)


def test_every_question_has_its_option() -> None:
    parser = argparse.ArgumentParser()
    arguments(parser)
    options = {string for action in parser._actions for string in action.option_strings}
    assert {question.option for question in ask.QUESTIONS} <= options
    others = {"--config", "--interface", "--no-service", "--yes", "--help", "-h"}
    assert options - {question.option for question in ask.QUESTIONS} == others
