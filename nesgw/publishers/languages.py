"""The names of devices and entities in Danish and German. Ids, topics and fields stay English.

One row a name, without what counts its phases, quadrants, tariffs and the like: that is added in each language alike. A
name that has no row stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Language = Literal["en", "da", "de"]

# fmt: off
_ROWS: Final = (
    # Energy
    ("Energy import", "Energi forbrug", "Energie Bezug"),
    ("Energy export", "Energi levering", "Energie Einspeisung"),
    ("Energy total", "Energi i alt", "Energie gesamt"),
    ("Energy net", "Energi netto", "Energie netto"),
    ("Reactive energy import", "Reaktiv energi forbrug", "Blindenergie Bezug"),
    ("Reactive energy export", "Reaktiv energi levering", "Blindenergie Einspeisung"),
    ("Reactive energy", "Reaktiv energi", "Blindenergie"),
    ("Apparent energy", "Tilsyneladende energi", "Scheinenergie"),
    ("Outage duration", "Strømafbrydelser varighed", "Dauer der Stromausfälle"),
    ("Outage count", "Antal strømafbrydelser", "Anzahl der Stromausfälle"),
    ("Pulse input", "Impulsindgang", "Impulseingang"),
    ("Error count", "Antal fejl", "Anzahl der Fehler"),
    # Power, voltage, current
    ("Power", "Effekt", "Leistung"),
    ("Power import", "Effekt forbrug", "Leistung Bezug"),
    ("Power export", "Effekt levering", "Leistung Einspeisung"),
    ("Power import average", "Effekt forbrug gennemsnit", "Leistung Bezug Mittelwert"),
    ("Power export average", "Effekt levering gennemsnit", "Leistung Einspeisung Mittelwert"),
    ("Reactive power import", "Reaktiv effekt forbrug", "Blindleistung Bezug"),
    ("Reactive power export", "Reaktiv effekt levering", "Blindleistung Einspeisung"),
    ("Reactive power", "Reaktiv effekt", "Blindleistung"),
    ("Apparent power", "Tilsyneladende effekt", "Scheinleistung"),
    ("Power factor", "Effektfaktor", "Leistungsfaktor"),
    ("Sin phi", "Sin phi", "Sin phi"),
    ("Current", "Strøm", "Strom"),
    ("Current average", "Strøm gennemsnit", "Strom Mittelwert"),
    ("Current neutral", "Strøm nulleder", "Strom Neutralleiter"),
    ("Voltage", "Spænding", "Spannung"),
    ("Voltage average", "Spænding gennemsnit", "Spannung Mittelwert"),
    ("Voltage continuous", "Spænding løbende", "Spannung fortlaufend"),
    ("Voltage angle", "Spændingsvinkel", "Spannungswinkel"),
    ("Frequency", "Frekvens", "Frequenz"),
    # Reading the meter
    ("Last reading", "Seneste aflæsning", "Letzte Ablesung"),
    ("Failed polls in a row", "Mislykkede aflæsninger i træk", "Fehlgeschlagene Ablesungen in Folge"),
    ("Failed polls", "Mislykkede aflæsninger", "Fehlgeschlagene Ablesungen"),
    ("Rejected readings", "Afviste aflæsninger", "Abgelehnte Ablesungen"),
    ("Poll duration", "Aflæsningens varighed", "Dauer der Ablesung"),
    ("Last error", "Seneste fejl", "Letzter Fehler"),
    ("Clock drift", "Urets afvigelse", "Abweichung der Uhr"),
    ("Session", "Session", "Sitzung"),
    ("Log", "Log", "Protokoll"),
    ("Started", "Startet", "Gestartet"),
    ("Meters online", "Målere online", "Zähler online"),
    ("Problem", "Problem", "Problem"),
    # Demand
    ("Import demand", "Kvartersforbrug", "Viertelstundenleistung Bezug"),
    ("Export demand", "Kvarterslevering", "Viertelstundenleistung Einspeisung"),
    ("Running import demand", "Igangværende kvartersforbrug", "Laufende Viertelstundenleistung Bezug"),
    ("Peak import this month", "Højeste forbrug denne måned", "Höchster Bezug in diesem Monat"),
    ("Peak import last month", "Højeste forbrug sidste måned", "Höchster Bezug im letzten Monat"),
    ("Peak export this month", "Højeste levering denne måned", "Höchste Einspeisung in diesem Monat"),
    ("Peak export last month", "Højeste levering sidste måned", "Höchste Einspeisung im letzten Monat"),
    # Sub-meters
    ("Electricity meter", "Elmåler", "Stromzähler"),
    ("Gas meter", "Gasmåler", "Gaszähler"),
    ("Water meter", "Vandmåler", "Wasserzähler"),
    ("Cold water meter", "Koldtvandsmåler", "Kaltwasserzähler"),
    ("Hot water meter", "Varmtvandsmåler", "Warmwasserzähler"),
    ("Heat meter", "Varmemåler", "Wärmezähler"),
    ("Cooling meter", "Kølemåler", "Kältezähler"),
    ("Heat cooling meter", "Varme- og kølemåler", "Wärme- und Kältezähler"),
    ("Energy", "Energi", "Energie"),
    ("Volume", "Volumen", "Volumen"),
    ("Mass", "Masse", "Masse"),
    ("Flow", "Flow", "Durchfluss"),
    ("Flow temperature", "Fremløbstemperatur", "Vorlauftemperatur"),
    ("Return temperature", "Returtemperatur", "Rücklauftemperatur"),
    ("Temperature difference", "Temperaturforskel", "Temperaturdifferenz"),
    # Alarms
    ("Unprogrammed", "Ikke programmeret", "Nicht programmiert"),
    ("Configuration error", "Konfigurationsfejl", "Konfigurationsfehler"),
    ("System reset", "Genstart af måleren", "Neustart des Zählers"),
    ("RAM failure", "Fejl i arbejdshukommelse", "Fehler im Arbeitsspeicher"),
    ("ROM failure", "Fejl i programhukommelse", "Fehler im Programmspeicher"),
    ("Non-volatile memory failure", "Fejl i permanent hukommelse", "Fehler im Dauerspeicher"),
    ("Clock error", "Fejl i uret", "Fehler der Uhr"),
    ("Measurement error", "Målefejl", "Messfehler"),
    ("Low battery", "Lavt batteri", "Batterie schwach"),
    ("Low loss potential", "Lav spænding", "Niedrige Spannung"),
    ("Demand overload", "Overbelastning", "Überlast"),
    ("Power failure", "Strømafbrydelse", "Stromausfall"),
    ("Cover removed", "Dæksel fjernet", "Deckel entfernt"),
    ("Reverse energy", "Omvendt energi", "Energie rückwärts"),
    ("Data backup incomplete", "Datasikring ufuldstændig", "Datensicherung unvollständig"),
    ("Disconnect switch error", "Fejl i afbryder", "Fehler des Trennschalters"),
    ("Load profile 1 unread entries", "Belastningsprofil 1 har ulæste poster", "Lastgang 1 mit ungelesenen Einträgen"),
    ("Load profile 2 unread entries", "Belastningsprofil 2 har ulæste poster", "Lastgang 2 mit ungelesenen Einträgen"),
    ("Load profile 3 unread entries", "Belastningsprofil 3 har ulæste poster", "Lastgang 3 mit ungelesenen Einträgen"),
    ("Load profile 4 unread entries", "Belastningsprofil 4 har ulæste poster", "Lastgang 4 mit ungelesenen Einträgen"),
    ("Load profile overflow", "Belastningsprofil fuld", "Lastgang voll"),
    ("Load profile backfill failed", "Udfyldning af belastningsprofil mislykket", "Lastgang nicht aufgefüllt"),
    ("Neutral current deviation", "Afvigelse i nullederstrøm", "Abweichung des Neutralleiterstroms"),
    ("Self-read occurred", "Selvaflæsning foretaget", "Selbstablesung erfolgt"),
    ("Load disconnect changed", "Afbryder ændret", "Trennschalter geändert"),
    ("Control relay 1 open", "Styrerelæ 1 åbent", "Steuerrelais 1 offen"),
    ("Control relay 2 open", "Styrerelæ 2 åbent", "Steuerrelais 2 offen"),
    ("Phase loss", "Fase mangler", "Phase fehlt"),
    ("Phase inversion", "Fase vendt", "Phase vertauscht"),
    ("Phase rotation changed", "Faserækkefølge ændret", "Drehfeld geändert"),
    ("PLC configuration failure", "Fejl i PLC-konfiguration", "Fehler der PLC-Konfiguration"),
    ("General error", "Generel fejl", "Allgemeiner Fehler"),
    ("Invalid password", "Ugyldig adgangskode", "Ungültiges Passwort"),
    ("Remote communication inactive", "Fjernkommunikation inaktiv", "Fernkommunikation inaktiv"),
    ("Current on missing phase", "Strøm på manglende fase", "Strom auf fehlender Phase"),
    ("Pulse input 1 tamper", "Manipulation af impulsindgang 1", "Manipulation am Impulseingang 1"),
    ("Pulse input 2 tamper", "Manipulation af impulsindgang 2", "Manipulation am Impulseingang 2"),
    ("Software CRC error", "CRC-fejl i software", "CRC-Fehler der Software"),
    ("Code bank changed", "Programbank skiftet", "Programmbank gewechselt"),
    ("MEP device installed or removed", "MEP-enhed tilsluttet eller fjernet", "MEP-Gerät angeschlossen oder entfernt"),
    ("M-Bus alarm", "M-Bus-alarm", "M-Bus-Alarm"),
    ("M-Bus discovery complete", "M-Bus-søgning færdig", "M-Bus-Suche abgeschlossen"),
    ("Prepay credit exhausted", "Forudbetaling brugt", "Guthaben aufgebraucht"),
    ("Prepay warning acknowledged", "Advarsel om forudbetaling kvitteret", "Guthabenwarnung bestätigt"),
    ("Event log overflow pending", "Hændelseslog næsten fuld", "Ereignisprotokoll fast voll"),
    ("Event log unread entries", "Hændelseslog har ulæste poster", "Ereignisprotokoll mit ungelesenen Einträgen"),
    ("Manufacturer log entry available", "Post i producentens log", "Eintrag im Protokoll des Herstellers"),
    ("Dimension change", "Dimensioner ændret", "Dimensionen geändert"),
    ("Magnetic tamper", "Magnetisk manipulation", "Magnetische Manipulation"),
    ("Access lockout override", "Adgangsspærring ophævet", "Zugangssperre aufgehoben"),
    ("Power quality event", "Hændelse i spændingskvalitet", "Ereignis der Spannungsqualität"),
    ("THD state changed", "THD-tilstand ændret", "THD-Zustand geändert"),
    ("Load side voltage", "Spænding på forbrugssiden", "Spannung auf der Verbraucherseite"),
    ("Unbalanced voltage", "Ubalance i spænding", "Spannung unsymmetrisch"),
    ("Password table written", "Adgangskoder ændret", "Passwörter geändert"),
    ("Key expiration pending", "Nøgle udløber snart", "Schlüssel läuft bald ab"),
    ("P2P security", "P2P-sikkerhed", "P2P-Sicherheit"),
    ("Firmware separation violation", "Brud på firmwareadskillelse", "Verletzung der Firmware-Trennung"),
    ("Modem error", "Modemfejl", "Modemfehler"),
    ("G3 alarm", "G3-alarm", "G3-Alarm"),
    ("G3 event logged", "G3-hændelse logget", "G3-Ereignis protokolliert"),
)
_COUNTERS: Final = (
    ("tariff", "tarif", "Tarif"),
    ("maximum", "maksimum", "Maximum"),
    ("minimum", "minimum", "Minimum"),
)
# fmt: on
_NAMES: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType(
    {
        "da": MappingProxyType({english: danish for english, danish, _ in (*_ROWS, *_COUNTERS)}),
        "de": MappingProxyType({english: german for english, _, german in (*_ROWS, *_COUNTERS)}),
    }
)
_COUNTED: Final = re.compile(
    r"(?P<name>.+?)(?P<counted>(?: (?:L[1-3](?:-L[1-3])?|Q[1-4]|tariff \d|maximum|minimum|\d+))+)"
)


def translated(name: str, language: Language) -> str:
    """Return an English name in another language; what has no translation stays as it is."""
    names = _NAMES.get(language, {})
    if name in names:
        return names[name]
    counted = _COUNTED.fullmatch(name)
    if counted is None:
        return name
    words = [names.get(word, word) for word in counted["counted"].split()]
    return " ".join((names.get(counted["name"], counted["name"]), *words))
