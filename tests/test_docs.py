"""The documentation tells the truth: generated parts are up to date, examples work, commands and links exist."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nesgw import commands as cli
from nesgw.config import loader
from nesgw.meter.profile import ask_identity
from nesgw.meter.reader import run
from nesgw.publishers import payloads
from nesgw.publishers.topics import Topics
from nesgw.simulator import PtyLine, SimulatedMeter
from nesgw.tables.catalogue import FIELDS
from nesgw.values import Reading
from scripts import docs
from tests.broker_fixtures import Broker, Listener, retained_topics
from tests.virtual import line_to, reader_on

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob(".github/*.md"))]
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
RECIPES = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
BROKER = (ROOT / "docs/broker.md").read_text(encoding="utf-8")
KEY = "a7941d85bce8a8fa2ab7"


def names(pages: Any) -> Any:
    return [str(page.relative_to(ROOT)) for page in pages]


def fenced(text: Any, *languages: Any) -> Any:
    """The blocks of code in some languages; a block may be part of a list and indented."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [
        "\n".join(line.removeprefix(indent) for line in code.splitlines()) + "\n"
        for indent, language, code in found
        if language in languages
    ]


def without_code(text: Any) -> Any:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", docs.pages(), ids=names(docs.pages()))
def test_what_repeats_the_code_is_up_to_date(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    assert docs.regenerated(text) == text, "run: .venv/bin/python -m scripts.docs"


def test_every_generated_block_has_its_place() -> None:
    places = [name for page in docs.pages() for name in re.findall(r"<!-- generated: ([a-z-]+) -->", page.read_text())]
    assert sorted(places) == sorted(docs.BLOCKS)


def test_the_meter_of_the_examples_is_the_simulated_one_as_it_says_itself() -> None:
    with reader_on(line_to("83331-3i")) as reader:
        assert run(ask_identity(), reader) == docs._IDENTITY


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_configuration_shown_is_one_that_loads(page: Any) -> None:
    for block in fenced(page.read_text(encoding="utf-8"), "toml"):
        settings = tomllib.loads(block)
        if "inputs" in settings:
            continue  # Telegraf's
        meter = "" if "meter" in settings else f'\n[[meter]]\nname = "house"\nkey = "{KEY}"\n'
        loader.parse(block + meter, str(page.name))


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_json_shown_is_json(page: Any) -> None:
    for block in fenced(page.read_text(encoding="utf-8"), "json"):
        json.loads(block)


def commands_in(text: Any) -> Iterator[Any]:
    """What is shown as a call of nesgw, in a line of code or in a block for the shell: (command, its options)."""
    lines = re.findall(r"`([^`\n]+)`", without_code(text))
    lines += [line for block in fenced(text, "sh", "console") for line in block.splitlines()]
    for line in lines:
        call = re.match(r"(?:\$ )?(?:sudo )?nesgw ([a-z][a-z-]*)\b(.*)", line)
        if call:
            yield call[1], re.findall(r"(?<=\s)--[a-z-]+", call[2])


@pytest.mark.parametrize("page", PAGES + FORMS, ids=names(PAGES + FORMS))
def test_every_command_shown_exists_with_its_options(page: Any) -> None:
    top = cli.parser()
    (known,) = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    for command, options in commands_in(page.read_text(encoding="utf-8")):
        assert command in known.choices, f"nesgw {command}"
        unknown = set(options) - set(known.choices[command]._option_string_actions)
        assert not unknown, f"nesgw {command} has no {unknown}"


def anchors(page: Any) -> Any:
    """The anchors that GitHub makes of a page's headings."""
    text = without_code(page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_leads_somewhere(page: Any) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_every_page_has_its_place_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in sorted(ROOT.glob("docs/*.md")):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@pytest.mark.parametrize("form", FORMS, ids=names(FORMS))
def test_every_page_that_a_form_names_exists(form: Any) -> None:
    for path in re.findall(r"\b((?:docs/)?[\w-]+\.md)\b", form.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_file_that_is_named_exists(page: Any) -> None:
    for path in re.findall(r"`((?:nesgw|tests|scripts|deploy)/[\w/-]+\.?\w*)`", page.read_text(encoding="utf-8")):
        if path.startswith("nesgw/") and not path.endswith(".py"):
            continue  # a topic
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_pages_name_no_machine_of_ours(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(root|home)/(?!house|pi)", text)


def test_recipes_speak_of_fields_that_exist() -> None:
    used = re.findall(r"value/(\w+)", RECIPES) + re.findall(r"jq '?\.(\w+)", RECIPES)
    used += re.findall(r"\breading\.(\w+)", fenced(RECIPES, "json")[0])
    used += [name for line in re.findall(r"jq: (.*?)[,\n}]", RECIPES) for name in re.findall(r"\.(\w+)", line)]
    assert "power_import_l3" in used
    assert set(used) - {"time"} <= set(FIELDS)


@pytest.mark.skipif(not shutil.which("mosquitto_sub"), reason="needs mosquitto-clients")
def test_the_lines_for_mosquitto_sub_show_what_is_published(broker: Broker) -> None:
    """Each line of the recipe is run as it stands, against a real broker."""
    topics = Topics("nesgw", "nesgw")
    reading = Reading(datetime(2026, 11, 20, 10, 21, 5, tzinfo=UTC), {"power": 701}, {})
    messages = list(payloads.state_messages(topics, "4080123456", reading, payloads.state(reading), per_value=True))
    messages.append(payloads.availability_message(topics, "4080123456", online=True))
    status = payloads.GatewayStatus("1.0.0", reading.time, 1, {})
    messages.append(payloads.gateway_status_message(topics, status))
    where = ["-h", broker.host, "-p", str(broker.port)]
    for message in messages:
        publish = ["mosquitto_pub", *where, "-r", "-t", message.topic, "-m", message.payload]
        subprocess.run(publish, check=True, timeout=10)
    lines = [line for block in fenced(RECIPES, "sh") for line in block.splitlines() if line.startswith("mosquitto_sub")]
    assert len(lines) >= 5
    for line in lines:
        command = line.split("#  ")[0].split("|")[0].split("   ")[0].strip()
        command = command.replace("mosquitto_sub -h localhost", f"mosquitto_sub {' '.join(where)} -C 1 -W 5")
        shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10, check=False)
        assert shown.returncode == 0, f"{line}: {shown.stderr}"
        assert re.search("701|online|1.0.0", shown.stdout), line


def test_the_flow_for_node_red_shows_its_nodes_side_by_side() -> None:
    nodes = [node for node in json.loads(fenced(RECIPES, "json")[0]) if node["type"] != "mqtt-broker"]
    places = {(node["x"], node["y"]) for node in nodes}
    assert len(places) == len(nodes) == 3


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="needs mosquitto-clients")
def test_the_lines_for_domoticz_describe_sensors_as_home_assistant_gets_them(broker: Broker) -> None:
    (script,) = [block for block in fenced(RECIPES, "sh") if "domoticz" in block]
    script = script.replace("mosquitto_pub -h localhost", f"mosquitto_pub -h {broker.host} -p {broker.port}")
    subprocess.run(["bash", "-euc", script], check=True, timeout=10)
    found = {topic.split("/")[-2]: json.loads(payload) for topic, payload in retained_topics(broker.port).items()}
    assert {"power", "energy_import", "energy_export"} <= found.keys()
    for key, sensor in found.items():
        assert (sensor["unit_of_measurement"], sensor["device_class"]) == (
            FIELDS[key].kind.unit,
            FIELDS[key].kind.device_class,
        )
        assert sensor["state_topic"] == f"nesgw/4080123456/value/{key}"


def blocks_for_mosquitto(tmp_path: Any) -> list[Any]:
    """Both blocks of its configuration on the page, with files of the test in place of those in /etc."""
    listener, access = fenced(BROKER, "conf")
    passwords, rights = tmp_path / "passwd", tmp_path / "acl"
    passwords.touch(mode=0o600)
    for user in ("nesgw", "ha"):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, f"of {user}"], check=True)
    rights.write_text(access)
    rights.chmod(0o600)
    settings = listener.replace("listener 1883\n", "").replace("/etc/mosquitto/passwd", str(passwords))
    return [settings, f"acl_file {rights}"]


@pytest.fixture
def broker_of_the_page(tmp_path: Path) -> Iterator[Any]:
    broker = Broker(tmp_path, blocks_for_mosquitto(tmp_path))
    broker.start()
    yield broker
    broker.stop()


def published(broker: Any, topic: Any, *login: Any) -> Any:
    """Publish a retained message; say whether the broker let the program in."""
    command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-r", "-q", "1", "-t", topic, "-m", "1"]
    return subprocess.run([*command, *login], capture_output=True, timeout=10).returncode == 0


needs_mosquitto = pytest.mark.skipif(not shutil.which("mosquitto_passwd"), reason="needs mosquitto")


@needs_mosquitto
def test_the_recipe_for_mosquitto_lets_in_who_has_the_password_and_nobody_else(broker_of_the_page: Any) -> None:
    assert not published(broker_of_the_page, "nesgw/test")
    assert not published(broker_of_the_page, "nesgw/test", "-u", "nesgw", "-P", "of ha")
    assert published(broker_of_the_page, "nesgw/test", "-u", "nesgw", "-P", "of nesgw")


@needs_mosquitto
def test_the_access_list_allows_each_topic_of_nesgw_and_no_other(broker_of_the_page: Any) -> None:
    topics = Topics("nesgw", "attic")
    ours = [
        topics.gateway_availability,
        topics.gateway_status,
        topics.gateway_discovery,
        topics.info("4080123456"),
        topics.availability("4080123456"),
        topics.state("4080123456"),
        topics.status("4080123456"),
        topics.event("4080123456"),
        topics.value("4080123456", "power"),
        topics.discovery("4080123456"),
        topics.alarms_discovery("4080123456"),
    ]
    for topic in [*ours, "homeassistant/status", "homeassistant/light/lamp/config", "zigbee2mqtt/lamp"]:
        assert published(broker_of_the_page, topic, "-u", "nesgw", "-P", "of nesgw")
    listener = Listener(broker_of_the_page.port, username="ha", password="of ha")
    listener.say("the/end", "")
    listener.wait_for("the/end")
    listener.close()
    assert sorted({heard.topic for heard in listener.heard if heard.retained}) == sorted(ours)


def test_the_first_reading_of_the_readme_looks_as_it_does(tmp_path: Path, capsys: Any) -> None:
    """Line by line but for the numbers, and "…" for what is left out."""
    key = tmp_path / "my.key"
    key.touch(0o600)
    key.write_text(KEY)
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        assert cli.main(["read", "--port", line.path, "--key-file", str(key)]) == 0
        printed = capsys.readouterr().out.replace(line.path, "/dev/ttyUSB0")
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("--key-file my.key\n")[2].partition("```")[0]
    rest = iter(masked(printed))
    for each in masked(shown):
        assert each == ["…"] or each in rest, each


def masked(text: str) -> list[list[str]]:
    """Each line as its words, with every number as one sign."""
    return [re.sub(r"[0-9]+(?:[ .:-][0-9]+)*", "#", line).split() for line in text.splitlines()]
