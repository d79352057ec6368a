"""The description of the JSON is valid, and every answer is as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nesgw.web import assets
from nesgw.web.snapshot import ProfileRow
from tests.web.house import DEMAND, HOUSE, STALE, UNKNOWN, Visitor

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, of the extra test")
DESCRIPTION = json.loads(assets.read("openapi.json"))


def rows(meter: str, since: datetime, until: datetime) -> Iterator[ProfileRow]:
    yield ProfileRow(until, {"energy_import": 100.5, "energy_export": None}, {"energy_import": None}, ())


def check(path: str, status: int, content: Any) -> None:
    responses = DESCRIPTION["paths"][path]["get"]["responses"]
    assert str(status) in responses, f"{path} says nothing of {status}"
    if status == 200:
        schema = responses["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": DESCRIPTION["components"]}).validate(content)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/meters", "/api/meters"),
        ("/api/meters/{name}", "/api/meters/house"),
        ("/api/meters/{name}/history", "/api/meters/house/history"),
        ("/api/meters/{name}/history", "/api/meters/house/history?from=x"),
        ("/api/meters/{name}", "/api/meters/barn"),
        ("/api/names", "/api/names?lang=de"),
        ("/api/openapi.json", "/api/openapi.json"),
    ],
)
def test_answers_are_as_described(path: str, asked: str) -> None:
    for visitor in (
        Visitor(profile=rows),
        Visitor((replace(HOUSE, demand=DEMAND),)),
        Visitor((STALE,), profile=rows),
        Visitor((UNKNOWN,)),
        Visitor(token="secret"),
    ):
        response = visitor.get(asked)
        check(path, response.status, json.loads(response.body) if response.status == 200 else None)


def test_every_path_of_the_api_is_described() -> None:
    assert set(DESCRIPTION["paths"]) == {
        "/api/meters", "/api/meters/{name}", "/api/meters/{name}/history", "/api/events", "/api/names",
        "/api/openapi.json",
    }  # fmt: skip


def test_the_description_itself_is_valid() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="needs openapi-spec-validator")
    validator.validate(DESCRIPTION)
