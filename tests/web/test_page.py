"""The page in a real browser: what a person, a keyboard and a screen reader meet.

Needs playwright and Chromium (Debian's package; PyPI's playwright drives it), and axe-playwright-python for the last.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nesgw.config.settings import Address, HttpSettings
from nesgw.errors import NoLoadProfile
from nesgw.web.service import WebService
from nesgw.web.snapshot import MeterNow, ProfileRow
from tests.web.house import DEAD, DEMAND, HOUSE, STALE, STATE, TOTALS, UNKNOWN, Daemon

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

Open = Callable[..., Any]


def reading(power: int, **values: float) -> MeterNow:
    """The house, read now."""
    time_now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return replace(HOUSE, state={**STATE, "time": time_now, "power": power, **values}, read_at=time.monotonic())


def day_of_hours(meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
    if meter == "barn":
        raise NoLoadProfile
    end = since + timedelta(hours=1)
    while end <= until:
        yield ProfileRow(end, {"energy_import": 100.0}, {"energy_import": 0.5, "energy_export": 0.25})
        end += timedelta(hours=1)


class House:
    """The service on a port of its own, and its daemon."""

    def __init__(self) -> None:
        self.daemon = Daemon((reading(896),))
        self.service = WebService(
            HttpSettings(enabled=True, listen=(Address("127.0.0.1", 0),)), self.daemon, profile=day_of_hours
        )
        self.service.start()
        self.address = f"http://127.0.0.1:{self.service.addresses[0][1]}/"

    def becomes(self, *meters: MeterNow) -> None:
        self.daemon.now = meters
        self.service.wake()


@pytest.fixture
def house() -> Iterator[House]:
    found = House()
    yield found
    found.service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, house: House) -> Iterator[Open]:
    contexts = []
    complaints: list[str] = []

    def opened(fragment: str = "", **options: Any) -> Any:
        contexts.append(browser.new_context(**{"locale": "en-GB", **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: complaints.append(request.url) if house.address not in request.url else None)
        page.goto(house.address + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    # Neither a mistake, nor a request to another host, nor one that the policy of the page refused.
    expected = ("503", "net::ERR_CONNECTION_REFUSED")  # of a gateway that is gone
    assert [each for each in complaints if not any(word in each for word in expected)] == []


def shows(page: Any, selector: str, text: str) -> None:
    playwright.expect(page.locator(selector)).to_have_text(text)


def test_the_power_moves_without_a_reload(house: House, open_page: Open) -> None:
    page = open_page()
    shows(page, "#power", "896")
    shows(page, "#direction-text", "Drawing from the grid")
    house.becomes(reading(-1234))
    shows(page, "#power", "1,234")
    shows(page, "#direction-text", "Feeding into the grid")
    house.becomes(reading(12345))
    shows(page, "#power", "12.35")
    shows(page, "#power-unit", "kW")


def test_a_meter_that_falls_silent_shows_no_number_but_the_sentence_and_comes_back(
    house: House, open_page: Open
) -> None:
    page = open_page()
    shows(page, "#power", "896")
    house.becomes(replace(STALE, state=reading(896).state, read_at=time.monotonic()))
    shows(page, "#problem-text", DEAD)
    shows(page, "#power", "–")
    shows(page, "#direction-text", "No reading now")
    playwright.expect(page.locator("#power-note")).to_contain_text("896")
    house.becomes(reading(900))
    shows(page, "#power", "900")
    playwright.expect(page.locator("#problem")).to_be_hidden()


def test_the_first_second_says_that_it_waits(house: House, open_page: Open) -> None:
    house.becomes(UNKNOWN)
    page = open_page()
    shows(page, "#direction-text", "Waiting for the first reading")
    shows(page, "#power", "–")
    house.becomes(reading(5))
    shows(page, "#power", "5")


def test_a_page_that_has_lost_the_gateway_shows_no_power(house: House, open_page: Open) -> None:
    page = open_page()
    shows(page, "#power", "896")
    house.service.stop()
    shows(page, "#pulse-text", "no connection to nesgw")
    shows(page, "#power", "–")


def test_phases_are_those_that_the_meter_has(house: House, open_page: Open) -> None:
    page = open_page()
    playwright.expect(page.locator("#phase-list b")).to_have_text(["121\u202fW", "−40\u202fW", "815\u202fW"])
    house.becomes(replace(reading(896), state={**TOTALS, "time": datetime.now(UTC).isoformat()}))
    playwright.expect(page.locator("#phase-list b")).to_have_count(0)


def test_the_mean_power_of_intervals_and_the_highest_of_the_month_are_told(house: House, open_page: Open) -> None:
    page = open_page(timezone_id="UTC")
    shows(page, "#power", "896")
    playwright.expect(page.locator("#demand")).to_be_hidden()
    house.becomes(replace(reading(896), demand=DEMAND))
    shows(page, "#demand-title", "Mean power of 15 minutes")
    rows = page.locator("#demand-list > div")
    playwright.expect(rows.locator("dt")).to_contain_text(["so far", "21:15–21:30", "3 Nov, 17:15", "Power import"])
    playwright.expect(rows.locator("dd")).to_have_text(["640\u202fW", "684\u202fW", "4,312\u202fW", "6,120\u202fW"])


def test_bars_come_from_the_load_profile_and_can_be_read_as_a_table(house: House, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("radio", name="Day", exact=True).check()
    page.get_by_role("button", name="earlier").click()
    shows(page, "#chart-sums", "drawn 12.0\u202fkWh · fed in 6.00\u202fkWh")  # 24 × 0.5 and 24 × 0.25
    page.get_by_text("As a table").click()
    playwright.expect(page.locator("#table-rows tbody tr")).to_have_count(24)


def test_a_meter_without_a_load_profile_says_so(house: House, open_page: Open) -> None:
    house.becomes(reading(1), replace(reading(2), name="barn", label="Barn"))
    page = open_page("#/barn")
    shows(page, "#power", "2")
    page.get_by_role("radio", name="Week", exact=True).check()
    shows(page, "#chart .message", str(NoLoadProfile()))


def test_several_meters_are_chosen_by_name(house: House, open_page: Open) -> None:
    house.becomes(reading(1), replace(reading(2), name="barn", label="Barn"))
    page = open_page()
    shows(page, "#power", "1")
    page.get_by_role("link", name="Barn").click()
    shows(page, "#power", "2")
    shows(page, "h1", "Barn")


def test_every_value_is_on_the_second_view(house: House, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="All values").click()
    rows = page.locator("#view-values tbody tr")
    playwright.expect(rows.filter(has_text="Energy import tariff 2")).to_contain_text("8,106.989")
    playwright.expect(rows.filter(has_text="Voltage")).to_contain_text("230.8")
    playwright.expect(rows.filter(has_text="Volume")).to_contain_text("412.3")


@pytest.mark.parametrize(
    ("locale", "said", "number", "name"),
    [("da-DK", "Fra nettet", "1.896", "Spænding"), ("de-AT", "Bezug aus dem Netz", "1.896", "Spannung")],
)
def test_it_speaks_the_language_of_the_browser(
    house: House, open_page: Open, locale: str, said: str, number: str, name: str
) -> None:
    house.becomes(reading(1896))
    page = open_page("#/house/values", locale=locale)
    playwright.expect(page.locator("#view-values")).to_contain_text(name)
    page.goto(house.address + "#/house")
    shows(page, "#direction-text", said)
    shows(page, "#power", number)


def test_a_language_that_is_chosen_stays(house: House, open_page: Open) -> None:
    page = open_page()
    page.locator("#language").select_option("de")
    shows(page, "#direction-text", "Bezug aus dem Netz")
    page.reload()
    shows(page, "#direction-text", "Bezug aus dem Netz")


def test_the_keyboard_reaches_everything_and_reads_the_curve(house: House, open_page: Open) -> None:
    page = open_page()
    shows(page, "#power", "896")
    page.locator("#chart").focus()
    page.keyboard.press("End")
    playwright.expect(page.locator("#cursor")).to_contain_text("896")
    page.locator("[name=range]:checked").focus()
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator("[value=hour]")).to_be_checked()


@pytest.mark.parametrize(
    ("locale", "words"), [("en-GB", "no answer 3"), ("da-DK", "intet svar 3"), ("de-DE", "keine Antwort 3")]
)
def test_what_failed_is_said_in_the_language_of_the_page(
    house: House, open_page: Open, locale: str, words: str
) -> None:
    page = open_page(locale=locale)
    playwright.expect(page.locator("#probe-list")).to_contain_text(words)


@pytest.mark.parametrize("locale", ["en-GB", "da-DK", "de-DE"])
@pytest.mark.parametrize("fragment", ["", "#/house/values"])
def test_it_fits_a_phone_of_320_pixels(house: House, open_page: Open, locale: str, fragment: str) -> None:
    house.becomes(reading(-12345), replace(reading(2), name="barn", label="Barn"))
    page = open_page(fragment, viewport={"width": 320, "height": 640}, locale=locale)
    playwright.expect(page.locator("#power")).not_to_have_text("–")
    assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scene", ["drawing", "feeding", "silent", "first", "values", "bars"])
def test_axe_finds_nothing(house: House, open_page: Open, scene: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    scenes = {"feeding": reading(-896), "silent": replace(STALE, state=reading(5).state), "first": UNKNOWN}
    house.becomes(
        scenes.get(scene, replace(reading(896), demand=DEMAND)), replace(reading(2), name="barn", label="Barn")
    )
    page = open_page(
        "#/house/values" if scene == "values" else "",
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    playwright.expect(page.locator("#pulse")).not_to_have_attribute("data-state", "connecting")
    if scene == "bars":
        page.get_by_role("radio", name="Week", exact=True).check()
        playwright.expect(page.locator(".bar.in")).not_to_have_count(0)
    found = axe.Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
