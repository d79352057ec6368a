"""No secret is in any text that an object becomes by itself, be it repr, str, pickle or JSON.

Which classes these are is found in the code, so that a new one is missed here and not in a log.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import nesgw
from nesgw.commands.check_config import Checked
from nesgw.commands.doctor.case import MeterCase
from nesgw.commands.doctor.gateway_steps import GatewayCase
from nesgw.commands.doctor.service_steps import ServiceCase
from nesgw.commands.setup.conversation import Agreement
from nesgw.commands.setup.plan import Answers, BrokerAccess, NewFile
from nesgw.commands.setup.plan import Meter as SetupMeter
from nesgw.commands.setup.questions import TypedKey
from nesgw.commands.target import Target
from nesgw.config import loader
from nesgw.config.document import Document, Source
from nesgw.config.key import parse_key
from nesgw.config.secrets import Secrets
from nesgw.config.settings import Secret
from nesgw.mep.digest import DigestKey
from nesgw.optical.link import _Exchange
from nesgw.optical.packet import Packet
from nesgw.optical.services import Security
from nesgw.publishers.topics import Topics

KEY = "a7941d85bce8a8fa2ab7"
PASSWORD = "correct horse"
FORMS = re.compile("|".join([KEY, KEY.encode().hex(), " ".join(map(str, KEY.encode())), PASSWORD]))

TEXT = f'[[meter]]\nname = "house"\nkey = "{KEY}"\n[mqtt]\nusername = "me"\npassword = "{PASSWORD}"\n'
# What holds a secret under a type that does not say so. A packet holds whatever is sent: the log cuts secrets out.
BY_HAND = {"Security", "_Exchange", "DigestKey", "Source", "Document", "Loaded", "Checked"}


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(nesgw.__path__, "nesgw."):
        if not module.name.startswith(("nesgw.simulator", "nesgw.__main__", "nesgw.commands.backfill")):
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if found.__module__ == module.name:
                    yield found


def described(kind: type) -> str:
    """The types of the fields of a class that shows them: of a dataclass, a NamedTuple or a model."""
    shows = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields") or issubclass(kind, BaseModel)
    return " ".join(map(str, inspect.get_annotations(kind).values())) if shows else ""


def holders() -> set[str]:
    """Every class that holds a secret, or one that holds one."""
    annotations = {kind.__name__: set(re.findall(r"\w+", described(kind))) for kind in set(classes())}
    found = {"Secret", "SecretStr"} | BY_HAND
    while more := {name for name, types in annotations.items() if types & found} - found:
        found |= more
    return found - {"SecretStr"}


def samples() -> dict[str, object]:
    """One of each, with a key and a password in it."""
    source = Source("c.toml", TEXT)
    document = Document([source])
    loaded = loader.load_document(document)
    settings = loader.settings(loaded.config, loaded.secrets)
    (meter,) = settings.meters
    secrets = Secrets({"house": parse_key(KEY)}, Secret(PASSWORD), Secret(PASSWORD))
    config = loaded.config
    packet = Packet(Security(KEY.encode()).encode())
    objects = [
        Secret(KEY),
        parse_key(KEY),
        secrets,
        source,
        document,
        loaded,
        Checked(loaded, (), ()),
        config,
        config.meter[0],
        config.mqtt,
        settings,
        meter,
        settings.mqtt,
        dataclasses.replace(settings.http, token=Secret(PASSWORD)),
        Target(meter, None, lambda: parse_key(KEY)),
        TypedKey(parse_key(KEY), Secret(KEY)),
        BrokerAccess("localhost", 1883, username="me", password=Secret(PASSWORD)),
        Answers(SetupMeter("house", "/dev/ttyUSB0"), Secret(KEY)),
        new_file := NewFile(Path("c.toml"), Secret(TEXT), secret=True),
        Agreement([new_file], Path("/run/nesgw/house"), "House", publishes=True),
        MeterCase(meter, parse_key(KEY)),
        ServiceCase(Path("c.toml"), config),
        GatewayCase(settings.cache, settings.mqtt, "", Topics("nesgw", "nesgw")),
        Security(KEY.encode()),
        DigestKey(KEY.encode()),
        _Exchange(
            lambda _answer: True, deque([packet := Packet(Security(KEY.encode()).encode())]), raw=packet.encode()
        ),
    ]
    return {type(each).__name__: each for each in objects}


SAMPLES = samples()


def test_every_class_that_can_hold_a_secret_is_here() -> None:
    assert holders() == set(SAMPLES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
class TestEachHolder:
    def test_shows_none_in_its_texts(self, name: str) -> None:
        sample = SAMPLES[name]
        for text in (repr(sample), str(sample), f"{sample}", f"{[sample]}"):
            assert not FORMS.search(text)

    def test_gives_none_to_pickle(self, name: str) -> None:
        with pytest.raises((TypeError, AttributeError), match=r"pickle|written down"):
            pickle.dumps(SAMPLES[name])

    def test_gives_none_to_json(self, name: str) -> None:
        sample = SAMPLES[name]
        assert not FORMS.search(json.dumps(sample, default=str))
        if isinstance(sample, BaseModel):
            assert not FORMS.search(sample.model_dump_json())
        if dataclasses.is_dataclass(sample) and name not in ("MeterCase", "Loaded", "Checked", "Security", "_Exchange"):
            assert not FORMS.search(json.dumps(dataclasses.asdict(sample), default=str))  # type: ignore[arg-type]
