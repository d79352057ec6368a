"""The names in the owner's language: every name has its row, and counts are kept."""

from __future__ import annotations

import pytest

from nesgw.publishers import home_assistant
from nesgw.publishers.languages import Language, translated
from nesgw.tables import alarms
from nesgw.tables.alarms import Alarm
from nesgw.tables.catalogue import FIELDS

ALARMS = [
    alarm for rows in vars(alarms).values() if isinstance(rows, tuple) for alarm in rows if isinstance(alarm, Alarm)
]
NAMES = sorted(
    {field.name for field in FIELDS.values()}
    | {alarm.name for alarm in ALARMS}
    | {
        str(facts["name"])
        for facts in (*home_assistant.METER_DIAGNOSTICS.values(), *home_assistant.GATEWAY_DIAGNOSTICS.values())
    }
    | {str(facts["name"]) for components in home_assistant.DEMAND.values() for facts in components.values()}
)
ALIKE = {("da", "Session"), ("da", "Log"), ("da", "Problem"), ("de", "Problem")}
SIN_PHI = "Sin phi"


@pytest.mark.parametrize(
    ("english", "danish", "german"),
    [
        ("Energy import", "Energi forbrug", "Energie Bezug"),
        ("Current L1", "Strøm L1", "Strom L1"),
        ("Voltage angle L1-L2", "Spændingsvinkel L1-L2", "Spannungswinkel L1-L2"),
        ("Apparent power Q1 L3", "Tilsyneladende effekt Q1 L3", "Scheinleistung Q1 L3"),
        ("Energy import tariff 2", "Energi forbrug tarif 2", "Energie Bezug Tarif 2"),
        ("Pulse input 1", "Impulsindgang 1", "Impulseingang 1"),
        ("Pulse input 1 tamper", "Manipulation af impulsindgang 1", "Manipulation am Impulseingang 1"),
        ("Import demand", "Kvartersforbrug", "Viertelstundenleistung Bezug"),
        ("Peak import this month", "Højeste forbrug denne måned", "Höchster Bezug in diesem Monat"),
        ("Something new", "Something new", "Something new"),
    ],
)
def test_a_name_in_three_languages(english: str, danish: str, german: str) -> None:
    assert translated(english, "en") == english
    assert translated(english, "da") == danish
    assert translated(english, "de") == german


@pytest.mark.parametrize("language", ["da", "de"])
@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_is_announced_has_a_translation(name: str, language: Language) -> None:
    assert name.startswith(SIN_PHI) or (language, name) in ALIKE or translated(name, language) != name


@pytest.mark.parametrize("language", ["da", "de"])
def test_no_two_names_become_one(language: Language) -> None:
    assert len({translated(name, language) for name in NAMES}) == len(NAMES)
