"""The reference: schemas at their addresses, examples that can be sent, files of the pages."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.documents import examples, openapi
from api.documents.schema_addresses import addressable
from api.pages.assets import asset
from schemas.event_types import EVENT_TYPES
from schemas.settings import Settings

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return openapi.document(create_app(Settings()))


def validator(schema: dict[str, Any], api: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": api["components"]})


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_event_is_valid_by_the_schema_of_its_type(name: str) -> None:
    schema = jsonschema_rs.Draft202012Validator(addressable()[name])
    event = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    schema.validate(event)
    del event["data"]
    assert not schema.is_valid(event)


def test_a_schema_is_whole_in_itself() -> None:
    for schema in addressable().values():
        assert "#/components" not in json.dumps(schema)
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.Draft202012Validator(schema)  # it resolves every reference


@pytest.mark.parametrize("name", sorted(examples.BODIES))
def test_an_example_of_a_body_is_valid(name: str, api: dict[str, Any]) -> None:
    verb, path = name.split()
    for content in api["paths"][path][verb]["requestBody"]["content"].values():
        schema = validator(content["schema"], api)
        assert content["examples"].keys() == {w.replace(" ", "_") for w in examples.BODIES[name]}
        for example in content["examples"].values():
            schema.validate(example["value"])


@pytest.mark.parametrize("name", sorted(examples.ANSWERS))
def test_an_example_of_an_answer_is_valid(name: str, api: dict[str, Any]) -> None:
    verb, path = name.split()
    content = api["paths"][path][verb]["responses"]["200"]["content"]["application/json"]
    validator(content["schema"], api).validate(content["example"])


def test_the_files_of_the_pages_are_there() -> None:
    pages = Path(__file__).parents[3] / "api" / "pages"
    named = [
        part.partition('"')[0]
        for page in pages.glob("*.html")
        for part in page.read_text("utf-8").split('"assets/')[1:]
    ]
    assert named
    for name in named:
        found = asset(name)
        assert found is not None, name
        assert len(found.compressed) < len(found.content)
    assert asset("../app.py") is None
