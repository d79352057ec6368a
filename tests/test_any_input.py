"""Whatever stands in a file, a configuration or a retained message: documented errors only, and no secret told."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from nesgw.config import example as examples
from nesgw.config import loader
from nesgw.config import schema as config
from nesgw.config.key import Key, parse_key
from nesgw.config.secrets import read_key_file
from nesgw.config.settings import HomeAssistantSettings, MeterSettings, MqttSettings
from nesgw.errors import ConfigError
from nesgw.plausibility import Plausibility
from nesgw.publishers import home_assistant
from nesgw.publishers.meter_publisher import MeterPublisher
from nesgw.publishers.name_conflict import NameConflict
from nesgw.publishers.ram_disk import RamDisk
from nesgw.publishers.rivals import Rivals, former_meters
from nesgw.publishers.topics import Topics
from nesgw.tables.catalogue import FIELDS
from nesgw.values import Firmware, MeterIdentity

IDENTITY = MeterIdentity("ELON", "83331-3I", Firmware(3, 84, 6), "4080123456", "0000000012345678")

numbers = st.integers() | st.floats()
leaves = st.none() | st.booleans() | numbers | st.text(max_size=20)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner), max_leaves=12
)
states = st.dictionaries(
    st.sampled_from(["time", "id", "meters", "components", *FIELDS]) | st.text(), anything, max_size=12
)
texts = st.text() | states.map(json.dumps) | anything.map(json.dumps)
files = st.binary() | texts.map(str.encode) | states.map(lambda state: json.dumps(state).encode()[:-1])


class Remembering:
    """A broker that remembers anything."""

    connected = delivered = True

    def __init__(self, text: Any) -> None:
        self.text = text

    def set(self, *messages: Any) -> None:
        for message in messages:
            json.loads(message.payload)

    def emit(self, *messages: Any) -> None:
        pass

    def ask(self, filters: Any) -> Any:
        return lambda timeout: dict.fromkeys(filters, self.text)


@pytest.fixture(scope="module")
def folder() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@given(reading=files, status=files, retained=texts)
@example(reading=b'{"energy_import": 1%s}' % (b"0" * 400), status=b'{"id": "4080123456"}', retained="")
@example(reading=b"[" * 100_000, status=b"{}", retained="{}")
@example(
    reading=b'{"time": "9999-12-31T23:59:59+23:59", "energy_import": 1e999}',
    status=b'{"id": "4080123456"}',
    retained="",
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_an_earlier_process_left_behind_the_next_one_starts_and_judges(
    folder: Any, reading: Any, status: Any, retained: Any
) -> None:
    disk = RamDisk(folder, "house")
    disk.prepare()
    (disk.folder / "reading.json").write_bytes(reading)
    (disk.folder / "status.json").write_bytes(status)
    topics = Topics("nesgw", "nesgw")
    publisher = MeterPublisher(
        MeterSettings("house"),
        topics,
        disk,
        cast(Any, Remembering(retained)),
        mqtt=MqttSettings(),
        home_assistant=HomeAssistantSettings(),
    )
    last = publisher.identify(IDENTITY, tuple(FIELDS))
    judge = Plausibility(44_000)
    if last is not None:
        assert last.age is None or last.age >= 0
        judge.restore(last.state, 1000.0, last.age)
        assert all(math.isfinite(mark.value) for mark in judge._marks.values())
    for at in range(1000, 2000, 10):
        verdict = judge.judge({"energy_import": 115_921.5 + at / 1000, "voltage_l1": 230.0 + at / 1000}, at)
        if verdict.accepted:
            break
    else:
        raise AssertionError("what was left behind froze the filter")


@given(texts)
@example('{"meters": {"house": {"id": "../../x"}}}')
@example('{"meters": {"house": {"id": ["x"]}}}')
def test_a_damaged_status_of_a_former_run_names_no_meter_or_a_possible_one(text: Any) -> None:
    topics = Topics("nesgw", "nesgw")
    meters = former_meters({topics.gateway_status: text}, topics)
    assert all(meter.isalnum() and meter == meter.lower() and len(meter) <= 64 for meter in meters)


@given(texts, st.booleans())
def test_a_damaged_status_of_another_gateway_is_no_error(text: Any, retained: Any) -> None:
    NameConflict().seen(text, retained=retained)
    topics = Topics("nesgw", "nesgw")
    other = Topics("nesgw", "other")
    rivals = Rivals(topics)
    rivals.read("4080123456", 0.0)
    rivals.found({other.gateway_status: text, other.gateway_availability: "online"}, 0.0)
    rivals.heard(other.gateway_status, text, retained=retained, now=1.0)
    rivals.owner("4080123456", 2.0)
    assert set(rivals.conflicts(2.0)) <= {"4080123456"}


@given(texts)
@example('{"components": {"a": {"platform": []}, "b": 7}}')
def test_a_damaged_discovery_message_of_an_older_version_is_replaced(text: Any) -> None:
    fields = [FIELDS["power"]]
    message = home_assistant.meter_discovery(
        Topics("nesgw", "nesgw"), IDENTITY, fields, name="house", label="House", poll_interval=10
    )
    had = {message.topic: home_assistant.former_components(text, f"nesgw_{IDENTITY.id}")}
    assert home_assistant.following([message], had) == [message]
    assert home_assistant.moving([message], had) is None


# --- Key and configuration --------------------------------------------------------------------------------------------

SECRET = "-".join(["s3cr3t"] * 3)  # no literal, of which Hypothesis would make the names of options too
key_texts = (
    st.text()
    | st.text("0123456789abcdefABCDEFx:,;- \t\"'", max_size=130)
    | st.binary(max_size=60).map(lambda data: " ".join(map(str, data)))
)


@given(key_texts)
@example("0x" * 20)
@example("٣" * 20)  # digits, but none of ours
@example("²" * 40)
@example(" ".join(["²"] * 20))
def test_any_text_is_a_key_of_20_bytes_or_refused_without_being_repeated(text: Any) -> None:
    try:
        key = parse_key(text)
    except ValueError as error:
        said = str(error)
        told = isinstance(error, UnicodeError) or (len(text.strip()) > 11 and text.strip() in said)
        key = None
    if key is None:
        assert not told
    else:
        assert isinstance(key, Key)
        assert len(key.value.reveal()) == 20
        assert str(key.value.reveal()) not in repr(key)


GOOD = examples.example().replace('key_file = "/etc/nesgw/house.key"', f'key = "{SECRET}"')
lines = st.lists(st.sampled_from(GOOD.splitlines()) | st.text(max_size=40), max_size=40).map("\n".join)
names = st.sampled_from(
    ["gateway", "meter", "cache", "mqtt", "tls", "homeassistant", "name", "port", "key", "poll_interval", "max_power"]
) | st.text("abc_-", min_size=1, max_size=6)
toml_values: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.booleans().map(lambda value: str(value).lower())
        | st.integers().map(str)
        | st.floats(allow_nan=False, allow_infinity=False).map(repr)
        | st.sampled_from(["nan", "inf", "1979-05-27", "07:32:00", '"10s"', '"44 kW"', f'"{SECRET}"'])
        | st.text(max_size=10).map(json.dumps)
        | st.lists(toml_values, max_size=3).map(lambda each: f"[{', '.join(each)}]")
    )
)
tables = st.lists(
    st.tuples(st.sampled_from(["[{}]", "[[{}]]", "{} = {}"]), names, toml_values).map(
        lambda parts: parts[0].format(*parts[1:])
    ),
    max_size=12,
).map("\n".join)


@given(lines | tables | st.text() | tables.map(lambda text: f"{GOOD}\n{text}"))
@example("meter = 7")
@example("[meter]\nname = 7")
@example('[[meter]]\nname = "a"\nport = 7\n[meter.b]\nc = 1')
@example("mqtt = []")
@example('"\\u0000" = 1')
@settings(deadline=None)
def test_any_text_is_a_configuration_or_a_list_of_mistakes_that_shows_no_secret(text: Any) -> None:
    try:
        found = loader.parse(text, "config.toml")
    except ConfigError as error:
        problems = error.problems
        found = None
    if found is None:
        assert problems
        assert all(problem.startswith("config.toml") for problem in problems)
        assert SECRET not in repr(problems)
    else:
        assert isinstance(found, config.Config)
        assert SECRET not in examples.effective(found)
        assert loader.parse(examples.effective(found).replace('"********"', '""'), "x").gateway == found.gateway


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_is_a_configuration_or_refused_by_name(folder: Any, data: Any) -> None:
    path = folder / "config.toml"
    path.write_bytes(data)
    assume(b"[[meter]]" not in data)
    with pytest.raises(ConfigError):
        loader.load(path)


@given(st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_key_file_is_a_key_or_refused_without_being_repeated(folder: Any, data: Any) -> None:
    path = folder / "house.key"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        assert len(read_key_file(str(path)).value.reveal()) == 20
    except UnicodeError:
        raise AssertionError("not said in our words") from None
    except ValueError:
        pass
