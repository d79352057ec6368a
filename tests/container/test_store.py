"""What Home Assistant reads of the repository, held to the rules of its Supervisor, and what else is in the image."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from nesgw_container import options

from nesgw import __version__
from nesgw.config.schema import HomeAssistantSection, MeterSection, MqttSection
from nesgw.gateway import daemon
from scripts import app_changelog

ROOT = Path(__file__).parents[2]
APP = ROOT / "deploy/home-assistant-app"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))
METER = CONFIG["schema"]["meters"][0]
MQTT = CONFIG["schema"]["mqtt"]
LANGUAGES = ["en", "da", "de"]

# supervisor/apps/options.py, RE_SCHEMA_ELEMENT: the types of an option, "?" behind one that may be left out.
TYPE = re.compile(
    r"(bool|email|url|port|device(\(subsystem=\w+\))?|match\(.*\)|list\([^)]+\)"
    r"|(str|password|int|float)(\((-?\d*)?,(-?\d*)?\))?)\??"
)
# What is neither a default of the Supervisor nor unknown to the linter of apps.
KEYS = {"name", "version", "slug", "description", "url", "image", "arch", "homeassistant", "startup", "services"}
KEYS |= {"uart", "tmpfs", "timeout", "options", "schema", "ingress", "panel_icon", "breaking_versions"}


def test_the_repository_has_a_name() -> None:
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text(encoding="utf-8"))
    assert set(repository) <= {"name", "url", "maintainer"}
    assert repository["name"]


def test_no_other_file_can_be_taken_for_an_app() -> None:
    # supervisor/store/data.py looks for these names everywhere but below a folder with a dot, and below "rootfs".
    found = [path for ending in ("json", "yml", "yaml") for path in ROOT.rglob(f"config.{ending}")]
    parts = {path: path.relative_to(ROOT).parts for path in found}
    seen = [p for p, names in parts.items() if not any(n.startswith(".") or n in ("rootfs", "dist") for n in names)]
    assert seen == [APP / "config.yaml"]


class TestTheApp:
    def test_has_the_version_of_the_program(self) -> None:
        assert CONFIG["version"] == __version__

    def test_has_no_key_that_the_supervisor_would_drop(self) -> None:
        assert set(CONFIG) <= KEYS

    def test_asks_for_no_right_but_serial_ports(self) -> None:
        assert CONFIG["uart"] is True
        rights = {"privileged", "full_access", "host_network", "docker_api", "hassio_api", "hassio_role", "devices"}
        assert not rights & set(CONFIG)

    def test_has_time_to_say_goodbye(self) -> None:
        assert 10 <= CONFIG["timeout"] <= 300
        assert CONFIG["timeout"] > daemon.GOODBYE + 5

    def test_starts_before_home_assistant_and_may_know_the_broker(self) -> None:
        assert (CONFIG["startup"], CONFIG["services"]) == ("services", ["mqtt:want"])

    def test_cannot_be_started_without_a_key(self) -> None:
        assert METER["key"] == "password"
        assert "key" not in CONFIG["options"]["meters"][0]

    def test_no_optional_option_has_a_default(self) -> None:
        # A dictionary is never optional, so mqtt has to be among the options, empty.
        assert CONFIG["options"] == {"meters": [{"name": "house", "label": "House"}], "mqtt": {}}

    @pytest.mark.parametrize("kind", [*METER.values(), *MQTT.values(), CONFIG["schema"]["language"]])
    def test_every_option_has_a_type_that_the_supervisor_knows(self, kind: str) -> None:
        assert TYPE.fullmatch(kind)
        if kind.startswith("match("):  # it anchors in front only
            assert re.fullmatch(r"match\(\^.*\$\)\??", kind)

    def test_every_option_of_a_meter_is_one_of_nesgw(self) -> None:
        assert set(METER) - {"port_url"} <= set(MeterSection.model_fields)
        assert set(MQTT) - {"tls"} <= set(MqttSection.model_fields)

    def test_offers_the_choices_that_nesgw_takes(self) -> None:
        def choices(model: Any, name: str) -> str:
            return "|".join(str(value) for value in model.model_fields[name].annotation.__args__)

        for name in ("interface", "session", "baud"):
            assert METER[name] == f"list({choices(MeterSection, name)})?"
        assert CONFIG["schema"]["language"] == f"list({choices(HomeAssistantSection, 'language')})?"

    def test_translates_every_option_of_the_form(self) -> None:
        meter = dict.fromkeys(METER, "9600")
        written = options.document({"meters": [meter], "mqtt": {}}, None, Path("/m"))["meter"][0]
        assert set(written) == set(METER) - {"port_url"}
        mqtt = {name: name == "tls" or "x" for name in MQTT}
        broker = options.document({"meters": [meter], "mqtt": mqtt}, None, Path("/m"))["mqtt"]
        assert set(broker) == set(MQTT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_option_has_a_name_and_an_explanation_and_no_text_is_left_over(language: str) -> None:
    texts = yaml.safe_load((APP / f"translations/{language}.yaml").read_text(encoding="utf-8"))["configuration"]
    wanted: dict[str, list[str]] = {name: [] for name in CONFIG["schema"]}
    wanted |= {"meters": list(METER), "mqtt": list(MQTT)}
    assert {name: list(text.get("fields", {})) for name, text in texts.items()} == wanted
    fields = [field for text in texts.values() for field in text.get("fields", {}).values()]
    for text in [*texts.values(), *fields]:
        assert text["name"]
        assert text["description"].endswith(".")


def test_the_profile_is_one_and_lets_nothing_be_written_but_in_memory() -> None:
    profile = (APP / "apparmor.txt").read_text(encoding="utf-8")
    assert len(re.findall(r"^profile \w+ ", profile, re.M)) == 1  # the Supervisor puts the app's name there
    assert not re.search(r"^\s*(file|capability|network|mount)\s*,", profile, re.M)
    written = re.findall(r"^\s*(?:owner )?(/\S+) \w*w\w*,$", profile, re.M)
    assert written == ["/dev/shm/nesgw/{,**}", "/tmp/**", "/dev/tty{USB,ACM,AMA,S}[0-9]*"]


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_the_pictures_have_the_sizes_that_the_store_shows(name: str, size: tuple[int, int]) -> None:
    head = (APP / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == size


def test_the_pictures_were_made_from_the_drawing_as_it_is() -> None:
    noted = (APP / "logo.sha256").read_text(encoding="utf-8").split()[0]
    now = hashlib.sha256((APP / "logo.svg").read_bytes()).hexdigest()
    assert noted == now, "run: scripts/app-pictures"


def test_the_changes_that_home_assistant_shows_are_those_of_the_project() -> None:
    written = (APP / "CHANGELOG.md").read_text(encoding="utf-8")
    project = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert written == app_changelog.for_home_assistant(project), "run: .venv/bin/python -m scripts.app_changelog"
    assert not re.search(r"\]\((?!https://)", written)


def test_the_image_takes_the_package_unchanged_and_has_a_health_check() -> None:
    recipe = (APP / "Dockerfile").read_text(encoding="utf-8")
    assert recipe.startswith("#")
    assert "FROM ${BUILD_FROM}\n" in recipe
    assert "ARG BUILD_FROM=debian:trixie-slim\n" in recipe
    assert "COPY nesgw_*_all.deb /tmp/" in recipe
    assert "HEALTHCHECK" in recipe
    assert not re.search(r"^(EXPOSE|VOLUME|USER)", recipe, re.M)


def test_nothing_that_docker_composes_has_more_rights_than_a_serial_port_needs() -> None:
    service = yaml.safe_load((ROOT / "deploy/container/compose.yaml").read_text(encoding="utf-8"))["services"]["nesgw"]
    assert service["user"] == "999"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service["tmpfs"] == ["/run/nesgw:size=4m,mode=0755,uid=999,gid=999"]
    (device,) = service["devices"]
    assert device.startswith("/dev/serial/by-id/")
    assert all(volume.endswith(":ro") for volume in service["volumes"])
