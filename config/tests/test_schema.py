"""The description of the API: without a warning, with an example of every body, each as its own schema says."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from config.postman import calls_in, make_collection
from config.problems import JSON, PROBLEM
from devservers import BASE_DIR

SCHEMA: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
CALLS = {call["operationId"]: call for place in SCHEMA["paths"].values() for call in place.values()}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def test_the_schema_is_made_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def bodies(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is sent, and what comes when all is well."""
    yield from call.get("requestBody", {}).get("content", {}).values()
    for status, answer in call["responses"].items():
        if status.startswith("2"):
            yield from answer["content"].values()


def in_json_schema(part: Any) -> Any:
    """The same with `nullable`, which OpenAPI 3.0 has and JSON Schema has not, said as JSON Schema says it."""
    if isinstance(part, list):
        return [in_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    said = {name: in_json_schema(value) for name, value in part.items() if name != "nullable"}
    return {"anyOf": [said, {"type": "null"}]} if part.get("nullable") is True else said


@every_call
def test_every_call_is_described_with_examples(call: dict[str, Any]) -> None:
    assert call["description"]
    assert len(call["tags"]) == 1
    for body in bodies(call):
        assert body["examples"], call["operationId"]


@every_call
def test_every_example_is_as_its_schema_says(call: dict[str, Any]) -> None:
    components = {"components": in_json_schema(SCHEMA["components"])}
    for body in bodies(call):
        validator = Draft202012Validator({**in_json_schema(body["schema"]), **components})
        for example in body["examples"].values():
            validator.validate(example["value"])


@every_call
def test_every_call_says_what_an_error_looks_like(call: dict[str, Any]) -> None:
    assert "401" in call["responses"] or not call["security"]
    for status, answer in call["responses"].items():
        if status >= "4":
            shape = {"schema": {"$ref": "#/components/schemas/Problem"}}
            assert answer["content"] == {JSON: shape, PROBLEM: shape}


@pytest.mark.parametrize("path", SCHEMA["paths"])
def test_an_address_has_the_parameters_that_it_names(path: str) -> None:
    for call in SCHEMA["paths"][path].values():
        described = {one["name"] for one in call.get("parameters", []) if one["in"] == "path"}
        assert described == set(re.findall(r"\{(\w+)\}", path))


@every_call
def test_what_an_address_holds_is_shown_with_an_example(call: dict[str, Any]) -> None:
    assert all("example" in one["schema"] for one in call.get("parameters", []) if one["in"] == "path")


@every_call
def test_a_parameter_of_a_query_may_be_empty_unless_it_is_required(call: dict[str, Any]) -> None:
    for one in call.get("parameters", []):
        assert one.get("allowEmptyValue", False) == (one["in"] == "query" and not one.get("required"))


# --- the collection for Postman -------------------------------------------------------------------------
COLLECTION = BASE_DIR / "docs" / "api.postman_collection.json"


def test_the_collection_is_what_the_schema_says() -> None:
    """When it fails: `python -m config.postman > docs/api.postman_collection.json`."""
    assert json.loads(COLLECTION.read_text()) == json.loads(json.dumps(make_collection(SCHEMA)))


def test_the_collection_ends_with_logging_out() -> None:
    *_rest, last = [item["name"] for folder in json.loads(COLLECTION.read_text())["item"] for item in folder["item"]]
    assert last == "logout"


def test_every_call_is_in_the_collection_under_its_address() -> None:
    described = [(method.upper(), path) for path, place in SCHEMA["paths"].items() for method in place]
    assert {*calls_in(json.loads(COLLECTION.read_text()))} == {*described}
    for _method, path in described:
        resolve(re.sub(r"\{\w+\}", "1", path))
