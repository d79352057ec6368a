// Every word of the page, in the languages that it speaks. {x} is filled in.

export const texts = {
  en: {
    skip: "To the values", now: "Now", values: "All values", range: "Range of the curve", language: "Language",
    hour: "1 hour", hours24: "24 hours", day: "Day", week: "Week", weeks4: "4 weeks", table: "As a table",
    earlier: "earlier", later: "later", meters: "Meters", views: "Views",
    importing: "Drawing from the grid", exporting: "Feeding into the grid", idle: "Nothing flows",
    waiting: "Waiting for the first reading", silent: "No reading now", unknown: "Power not read",
    was: "last {power} at {time}", waitingNote: "The first one takes a few seconds.",
    live: "live", ago: "{age} ago", offline: "meter offline", lost: "no connection to nesgw", connecting: "connecting",
    importedToday: "drawn", exportedToday: "fed in", since: "since {time}",
    phases: "Phases", today: "Today", registers: "The meter's registers", demand: "Peaks", demandOf: "Mean power of {n} minutes", probe: "The probe",
    running: "This interval, so far", lastInterval: "Last interval", peakMonth: "Highest this month", peakLastMonth: "Highest last month", ownMaximum: "Kept by the meter",
    readsWell: "Reads well", readsGaps: "Reads with gaps", readsBadly: "Reads badly", readsNot: "Does not read", readsFirst: "Not read yet",
    polls: "Polls", answered: "Answered", duration: "Last poll took", failures: "Failed", rejected: "Rejected as implausible", inARow: "Failed in a row", drift: "The meter's clock",
    ahead: "{s} s ahead", behind: "{s} s behind", exact: "exact",
    drawn: "drawn {v}", fed: "fed in {v}", growing: "The curve grows from here.", empty: "Nothing was recorded.",
    reading: "The meter is asked: day {n} of {of} …", time: "Time", energy: "Energy",
    chartLive: "Power over {range}: now {now}, highest {high}, lowest {low}. Arrow keys read single values.",
    chartEnergy: "Energy, {period}. Arrow keys read single values.", noValue: "no reading",
    alarms: "The meter has raised: {list}", group_energy: "Energy", group_power: "Power", group_phases: "Phases", group_other: "Other", meter: "The meter",
    name: "Name", value: "Value", manufacturer: "Manufacturer", model: "Model", firmware: "Firmware", hardware: "Hardware", serial: "Serial number", makerSerial: "Manufacturer's serial number", readAt: "Read at",
    water: "Water", cold_water: "Cold water", hot_water: "Hot water", heat: "Heat", cooling: "Cooling", heat_cooling: "Heat and cooling", gas: "Gas", electricity: "Electricity",
    failure_port: "port", failure_no_answer: "no answer", failure_wrong_device: "wrong device", failure_noise: "noise", failure_too_long: "too slow", failure_busy: "meter busy", failure_session: "session refused",
    failure_content: "odd answer", failure_number: "number refused", failure_identity: "number taken", failure_key: "key refused", failure_unsupported: "unknown meter", failure_table: "table missing",
    tariff: "Tariff {n}", import: "Drawn", export: "Fed in",
  },
  da: {
    skip: "Til værdierne", now: "Nu", values: "Alle værdier", range: "Kurvens tidsrum", language: "Sprog",
    hour: "1 time", hours24: "24 timer", day: "Dag", week: "Uge", weeks4: "4 uger", table: "Som tabel",
    earlier: "tidligere", later: "senere", meters: "Målere", views: "Visninger",
    importing: "Fra nettet", exporting: "Til nettet", idle: "Intet forbrug",
    waiting: "Venter på den første aflæsning", silent: "Ingen aflæsning nu", unknown: "Effekten er ikke aflæst",
    was: "senest {power} kl. {time}", waitingNote: "Den første tager nogle sekunder.",
    live: "live", ago: "for {age} siden", offline: "måleren er offline", lost: "ingen forbindelse til nesgw", connecting: "forbinder",
    importedToday: "forbrug", exportedToday: "levering", since: "siden {time}",
    phases: "Faser", today: "I dag", registers: "Målerens tællere", demand: "Spidser", demandOf: "Middeleffekt over {n} minutter", probe: "Sensoren",
    running: "Dette interval indtil nu", lastInterval: "Seneste interval", peakMonth: "Højeste denne måned", peakLastMonth: "Højeste sidste måned", ownMaximum: "Målerens egen",
    readsWell: "Aflæser godt", readsGaps: "Aflæser med huller", readsBadly: "Aflæser dårligt", readsNot: "Aflæser ikke", readsFirst: "Endnu ikke aflæst",
    polls: "Aflæsninger", answered: "Besvaret", duration: "Seneste aflæsning tog", failures: "Mislykket", rejected: "Afvist som usandsynlig", inARow: "Mislykket i træk", drift: "Målerens ur",
    ahead: "{s} s foran", behind: "{s} s bagud", exact: "præcist",
    drawn: "forbrug {v}", fed: "levering {v}", growing: "Kurven vokser herfra.", empty: "Intet er registreret.",
    reading: "Måleren spørges: dag {n} af {of} …", time: "Tid", energy: "Energi",
    chartLive: "Effekt over {range}: nu {now}, højest {high}, lavest {low}. Piletasterne læser enkelte værdier.",
    chartEnergy: "Energi, {period}. Piletasterne læser enkelte værdier.", noValue: "ingen aflæsning",
    alarms: "Måleren melder: {list}", group_energy: "Energi", group_power: "Effekt", group_phases: "Faser", group_other: "Andet", meter: "Måleren",
    name: "Navn", value: "Værdi", manufacturer: "Producent", model: "Model", firmware: "Firmware", hardware: "Hardware", serial: "Serienummer", makerSerial: "Producentens serienummer", readAt: "Aflæst",
    water: "Vand", cold_water: "Koldt vand", hot_water: "Varmt vand", heat: "Varme", cooling: "Køling", heat_cooling: "Varme og køling", gas: "Gas", electricity: "El",
    failure_port: "port", failure_no_answer: "intet svar", failure_wrong_device: "forkert enhed", failure_noise: "støj", failure_too_long: "for langsom", failure_busy: "måleren optaget", failure_session: "session afvist",
    failure_content: "ulogisk svar", failure_number: "løbenummer afvist", failure_identity: "nummer optaget", failure_key: "nøgle afvist", failure_unsupported: "ukendt måler", failure_table: "tabel mangler",
    tariff: "Tarif {n}", import: "Forbrug", export: "Levering",
  },
  de: {
    skip: "Zu den Werten", now: "Jetzt", values: "Alle Werte", range: "Zeitraum der Kurve", language: "Sprache",
    hour: "1 Std.", hours24: "24 Std.", day: "Tag", week: "Woche", weeks4: "4 Wochen", table: "Als Tabelle",
    earlier: "früher", later: "später", meters: "Zähler", views: "Ansichten",
    importing: "Bezug aus dem Netz", exporting: "Einspeisung ins Netz", idle: "Nichts fließt",
    waiting: "Warten auf die erste Ablesung", silent: "Zurzeit keine Ablesung", unknown: "Leistung nicht gelesen",
    was: "zuletzt {power} um {time}", waitingNote: "Die erste dauert einige Sekunden.",
    live: "live", ago: "vor {age}", offline: "Zähler offline", lost: "keine Verbindung zu nesgw", connecting: "verbindet",
    importedToday: "bezogen", exportedToday: "eingespeist", since: "seit {time}",
    phases: "Phasen", today: "Heute", registers: "Zählerstände", demand: "Spitzen", demandOf: "Mittlere Leistung in {n} Minuten", probe: "Der Lesekopf",
    running: "Dieses Intervall bisher", lastInterval: "Letztes Intervall", peakMonth: "Höchste in diesem Monat", peakLastMonth: "Höchste im letzten Monat", ownMaximum: "Vom Zähler festgehalten",
    readsWell: "Liest gut", readsGaps: "Liest mit Lücken", readsBadly: "Liest schlecht", readsNot: "Liest nicht", readsFirst: "Noch nicht gelesen",
    polls: "Ablesungen", answered: "Beantwortet", duration: "Letzte Ablesung dauerte", failures: "Fehlgeschlagen", rejected: "Als unplausibel verworfen", inARow: "Fehlgeschlagen in Folge", drift: "Uhr des Zählers",
    ahead: "geht {s} s vor", behind: "geht {s} s nach", exact: "genau",
    drawn: "bezogen {v}", fed: "eingespeist {v}", growing: "Die Kurve wächst ab jetzt.", empty: "Nichts aufgezeichnet.",
    reading: "Der Zähler wird gefragt: Tag {n} von {of} …", time: "Zeit", energy: "Energie",
    chartLive: "Leistung über {range}: jetzt {now}, höchste {high}, niedrigste {low}. Pfeiltasten lesen einzelne Werte.",
    chartEnergy: "Energie, {period}. Pfeiltasten lesen einzelne Werte.", noValue: "keine Ablesung",
    alarms: "Der Zähler meldet: {list}", group_energy: "Energie", group_power: "Leistung", group_phases: "Phasen", group_other: "Anderes", meter: "Der Zähler",
    name: "Name", value: "Wert", manufacturer: "Hersteller", model: "Modell", firmware: "Firmware", hardware: "Hardware", serial: "Seriennummer", makerSerial: "Seriennummer des Herstellers", readAt: "Gelesen",
    water: "Wasser", cold_water: "Kaltwasser", hot_water: "Warmwasser", heat: "Wärme", cooling: "Kälte", heat_cooling: "Wärme und Kälte", gas: "Gas", electricity: "Strom",
    failure_port: "Port", failure_no_answer: "keine Antwort", failure_wrong_device: "falsches Gerät", failure_noise: "Störungen", failure_too_long: "zu langsam", failure_busy: "Zähler beschäftigt", failure_session: "Sitzung abgelehnt",
    failure_content: "unsinnige Antwort", failure_number: "Laufnummer abgelehnt", failure_identity: "Nummer vergeben", failure_key: "Schlüssel abgelehnt", failure_unsupported: "unbekannter Zähler", failure_table: "Tabelle fehlt",
    tariff: "Tarif {n}", import: "Bezug", export: "Einspeisung",
  },
};

const LOCALES = { en: "en-GB", da: "da-DK", de: "de-DE" };
let language = "en";

export function languageOf(wanted) {
  return wanted.map((each) => each.slice(0, 2)).find((each) => each in texts) ?? "en";
}

export function speak(chosen) {
  language = chosen;
}

export function t(key, filling = {}) {
  return (texts[language][key] ?? texts.en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => filling[name] ?? "");
}

export const locale = () => LOCALES[language];

export function number(value, digits = 0) {
  if (value == null) return "–";
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: "always" };
  return new Intl.NumberFormat(locale(), form).format(Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).replace("-", "−");
}

// A power with its unit: watts as they are, kilowatts from ten on.
export function power(watts) {
  const large = Math.abs(watts) >= 9999.5;
  return [number(large ? watts / 1000 : watts, large ? 2 : 0), large ? "kW" : "W"];
}

export const powerText = (watts) => (watts == null ? "–" : power(watts).join("\u202f"));
export const energyText = (kwh) => `${number(kwh, Math.abs(kwh) < 10 ? 2 : 1)}\u202fkWh`;

export function moment(time, form) {
  return new Intl.DateTimeFormat(locale(), form).format(time);
}

export const clock = (time, seconds = false) =>
  moment(time, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds && { second: "2-digit" }) });

export function duration(seconds) {
  const [value, unit] =
    seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : seconds < 129600 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: unit === "day" ? "long" : "narrow", maximumFractionDigits: 0 }).format(value);
}
