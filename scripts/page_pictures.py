"""Draws the page as owners meet it: each scene in Chromium, at three widths, light and dark.

    .venv/bin/python -m scripts.page_pictures FOLDER     every scene, to be looked at after a change of the page
    .venv/bin/python -m scripts.page_pictures --docs     the pictures of the documentation

Needs Debian's chromium and PyPI's playwright. The readings are invented, the page and its service are the real ones.
"""

from __future__ import annotations

import itertools
import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from nesgw.config.settings import Address, HttpSettings
from nesgw.errors import NoAnswer
from nesgw.web.service import WebService
from nesgw.web.snapshot import MeterNow, ProfileRow, StateObject, SubMeter

WIDTHS: Final = {320: 720, 768: 1024, 1280: 860}  # pixels, and the height of the window
SCHEMES: Final = ("light", "dark")
IMAGES: Final = Path(__file__).parents[1] / "docs/images"
SILENT: Final = str(NoAnswer(port="/dev/ttyUSB0", service="ident", attempts=3))
DAY: Final = datetime(2026, 6, 12, tzinfo=UTC)  # a Friday, in the browser's clock, too
STEP: Final = 60.0  # seconds between two readings of the invented day


@dataclass(frozen=True, slots=True)
class Scene:
    """What the page shows: a day's readings before, then how the meters stand."""

    sunny: bool = False
    silent: bool = False
    first: bool = False
    hour: float = 19.2  # local time
    several: bool = False
    fragment: str = ""
    locale: str = "en-GB"
    choose: str = ""  # the range of the curve


SCENES: Final = {
    "day": Scene(),
    "export": Scene(sunny=True, hour=13.4),
    "silent": Scene(silent=True),
    "first": Scene(first=True),
    "several": Scene(sunny=True, hour=13.4, several=True),
    "german": Scene(locale="de-DE", sunny=True, hour=13.4),
    "week": Scene(sunny=True, choose="week"),
    "values": Scene(fragment="#/house/values"),
}
# The pictures of docs/web.md: scene, width, height, scheme.
DOCS: Final = {
    "web-desktop": ("day", 1280, 860, "light"),
    "web-export": ("export", 390, 800, "dark"),
    "web-silent": ("silent", 390, 800, "light"),
    "web-week": ("week", 1280, 860, "light"),
}


def household(hour: float, sunny: bool) -> tuple[float, float, float]:
    """Power of each phase in W at an hour of the day; minus is fed in."""
    fridge = 85.0 if hour * 60 % 45 < 17 else 4.0
    morning, evening = (math.exp(-(((hour - peak) / width) ** 2)) for peak, width in ((7.2, 0.8), (18.6, 1.6)))
    oven = 1900.0 if 17.8 < hour < 18.0 or 18.15 < hour < 18.3 or 18.5 < hour < 18.6 else 0.0
    kettle = 2050.0 if any(0 < hour - start < 0.08 for start in (6.7, 9.9, 15.4)) else 0.0
    washing = 2000.0 if 10.2 < hour < 10.55 else 260.0 if 10.55 <= hour < 11.3 else 0.0
    cloud = 0.72 + 0.28 * math.sin(hour * 9.1) * math.sin(hour * 3.7)
    sun = 5200.0 * max(0.0, math.sin((hour - 6.5) / 11.5 * math.pi)) ** 1.4 * cloud if sunny and 6.5 < hour < 18 else 0
    base = 95.0 + 20.0 * math.sin(hour * 31.0)
    return (
        base + fridge + 420 * evening + kettle - sun / 3,
        70.0 + 260 * morning + washing + 300 * evening - sun / 3,
        45.0 + oven + 180 * morning + 210 * evening - sun / 3,
    )


class Counters:
    """Adds the powers up, as the meter's registers do."""

    def __init__(self) -> None:
        self.drawn, self.fed = 21326.402, 9001.117

    def reading(self, moment: datetime, sunny: bool, seconds: float) -> StateObject:
        """Return the state object of a moment, ``seconds`` after the one before it."""
        local = moment.astimezone()
        phases = [round(each) for each in household(local.hour + local.minute / 60 + local.second / 3600, sunny)]
        total = sum(phases)
        self.drawn += max(total, 0) * seconds / 3.6e6
        self.fed += max(-total, 0) * seconds / 3.6e6
        volts = [round(230.6 + 1.3 * math.sin(moment.timestamp() / 500 + at) - phases[at] / 900, 2) for at in range(3)]
        state: dict[str, Any] = {"time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        state |= {"energy_import": round(self.drawn, 3), "energy_export": round(self.fed, 3)}
        state |= {"energy_import_t1": round(self.drawn * 0.62, 3), "energy_import_t2": round(self.drawn * 0.38, 3)}
        state |= {"power": total, "power_import": max(total, 0), "power_export": max(-total, 0), "frequency": 50.01}
        state |= {"reactive_power_import": 214, "reactive_power_export": 0, "apparent_power": abs(total) + 31}
        for place, power in enumerate(phases):
            name = f"l{place + 1}"
            state |= {f"power_{name}": power, f"power_import_{name}": max(power, 0)}
            state |= {f"power_export_{name}": max(-power, 0), f"voltage_{name}": volts[place]}
            state |= {f"current_{name}": round(abs(power) / volts[place] * 1.04, 3)}
            state |= {f"power_factor_{name}": 0.96}
        return state


def demand(now: datetime) -> dict[str, object]:
    """Return an invented demand object, of quarter hours."""
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)

    def text(moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

    high = {"import_w": 4312, "import_start": text(quarter - timedelta(days=3, hours=2))}
    low = {"export_w": None, "export_start": None, "missing": 0}
    return {
        "start": text(quarter - timedelta(minutes=15)),
        "minutes": 15,
        "import_w": 684,
        "export_w": 0,
        "running": {"start": text(quarter), "import_so_far_w": 640, "export_so_far_w": 0, "import_w": 655},
        "month": {**high, **low},
        "last_month": {**high, **low, "import_w": 5108, "import_start": text(quarter - timedelta(days=34))},
        "maxima": [],
        "quality": ["good"],
    }


INFO: Final = {
    "manufacturer": "Echelon",
    "model": "83331-3I",
    "firmware": "3.84.06",
    "hardware": "4.1",
    "utility_serial": "4080123458",
    "manufacturer_serial": "0000000012345678",
}
WATER: Final = SubMeter(
    "kam12345678", "water", "12345678", "KAM", DAY.replace(hour=6, minute=12), (("volume", "Volume", 412.37, "m³"),)
)


class Daemon:
    """The meters of a scene."""

    def __init__(self) -> None:
        self.now: tuple[MeterNow, ...] = ()

    def meters(self) -> tuple[MeterNow, ...]:
        """Return how they stand."""
        return self.now

    def alive(self) -> bool:
        """Return that all is well."""
        return True


def standing(state: StateObject, now: datetime, silent: bool = False) -> MeterNow:
    """Return the house with this reading, or silent since."""
    failures = {"no_answer": 41 if silent else 3}
    status = {
        "polls": 8642, "failures": failures, "rejected": 0, "poll_duration_ms": 812, "clock_drift_s": -2.1,
        "consecutive_failures": 38 if silent else 0, "last_error": SILENT if silent else None, "alarms": [],
    }  # fmt: skip
    age = 412.0 if silent else 2.0
    return MeterNow(
        "house", "House", 10.0, "4080123458", not silent, read_at=time.monotonic() - age, info=INFO, state=state,
        status=status, demand=demand(now), sub_meters=(WATER,),
    )  # fmt: skip


def rows(meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
    """Yield the quarter hours of invented days."""
    if meter != "house":
        return
    end = since + timedelta(minutes=15)
    while end <= min(until, scene_time(SCENES["week"])):
        local = end.astimezone()
        factor = 0.75 + 0.5 * ((local.timetuple().tm_yday * 7 % 10) / 10)
        power = sum(household(local.hour + local.minute / 60, True)) * factor / 4000
        used = {"energy_import": round(max(power, 0.02), 3), "energy_export": round(max(-power, 0.0), 3)}
        yield ProfileRow(end, {"energy_import": 100.0, "energy_export": 50.0}, used)
        end += timedelta(minutes=15)


def scene_time(scene: Scene) -> datetime:
    """Return the moment at which the page is looked at."""
    return DAY.replace(tzinfo=None).astimezone() + timedelta(hours=scene.hour)


def serve(scene: Scene) -> WebService:
    """Start the page on a scene, with the day before it in its memory."""
    daemon, counters = Daemon(), Counters()
    settings = HttpSettings(enabled=True, listen=(Address("127.0.0.1", 0),))
    service = WebService(settings, daemon, profile=rows)
    now = scene_time(scene) - timedelta(seconds=412 if scene.silent else 2)
    moment = now - timedelta(hours=24)
    while not scene.first and moment < now:
        moment += timedelta(seconds=STEP)
        daemon.now = (replace(standing(counters.reading(moment, scene.sunny, STEP), moment), poll_interval=STEP),)
        service.site.beat()
    if scene.first:
        daemon.now = (MeterNow("house", "House"),)
    else:
        daemon.now = (standing(counters.reading(now, scene.sunny, 1), now, scene.silent),)
    if scene.several:
        daemon.now += tuple(replace(daemon.now[0], name=name, label=label, id=name, online=name != "barn")
                            for name, label in (("barn", "Barn"), ("pump", "Heat pump")))  # fmt: skip
    service.start()
    return service


def draw(
    browser: Any, scene: Scene, path: Path, size: tuple[int, int], scheme: str, *, scale: int, whole: bool
) -> None:
    """Draw one picture."""
    service = serve(scene)
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale=scene.locale,
        device_scale_factor=scale, reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.clock.set_fixed_time(scene_time(scene))
    page.goto(f"http://127.0.0.1:{service.addresses[0][1]}/{scene.fragment}")
    page.wait_for_selector("#pulse:not([data-state=connecting])")
    if scene.choose:
        page.locator(f"[value={scene.choose}]").check()
        page.locator("#chart-sums", has_text="kWh").filter(has_not_text="…").wait_for()
    page.wait_for_timeout(400)
    page.screenshot(path=path, full_page=whole)
    context.close()
    service.stop()


def main(arguments: list[str]) -> None:
    """Draw all that is asked for."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if arguments == ["--docs"]:
            for name, (scene, width, height, scheme) in DOCS.items():
                scale = 1 if width > 1000 else 2
                draw(browser, SCENES[scene], IMAGES / f"{name}.png", (width, height), scheme, scale=scale, whole=False)
            return
        folder = Path(arguments[0])
        folder.mkdir(parents=True, exist_ok=True)
        for (name, chosen), (width, height), scheme in itertools.product(SCENES.items(), WIDTHS.items(), SCHEMES):
            path = folder / f"{name}-{width}-{scheme}.png"
            draw(browser, chosen, path, (width, height), scheme, scale=1, whole=True)


if __name__ == "__main__":
    main(sys.argv[1:])
