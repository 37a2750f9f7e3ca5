"""The API's description as a page to read: made here, from the same schema as /schema/, with nobody's scripts."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Every call with what it takes and answers. Open to strangers, who have to find /signup/ and /login/."""
    schema = _schema()
    info = schema["info"]
    context = {"title": info["title"], "about": _marked(info["description"]), "groups": _groups(schema)}
    return render(request, "docs.html", context)


@cache
def _schema() -> dict[str, Any]:
    """It is made of the code alone, so once a process is enough."""
    return SchemaGenerator().get_schema(request=None, public=True)


def _groups(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The calls under the name of what they are about."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                groups[operation["tags"][0]].append(_call(schema, path, method, operation))
    return list(groups.items())


def _call(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = operation.get("description", "").partition("\n\n")
    return {
        "anchor": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": _marked(operation.get("summary") or summary),
        "more": _marked(more),
        "open": not operation["security"],
        "parameters": [_parameter(schema, parameter) for parameter in operation.get("parameters", [])],
        "bodies": _bodies(schema, operation.get("requestBody", {})),
        "responses": [_response(schema, status, response) for status, response in operation["responses"].items()],
    }


def _parameter(schema: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "required": parameter.get("required", False),
        "type": _type(schema, parameter["schema"]),
        "about": _marked(parameter.get("description", "")),
    }


def _response(schema: dict[str, Any], status: str, response: dict[str, Any]) -> dict[str, Any]:
    headers = response.get("headers", {}).items()
    return {
        "status": status,
        "about": _marked(response.get("description", "")),
        "headers": [{"name": name, "about": _marked(header["description"])} for name, header in headers],
        # Errors have one shape, which the page says once.
        "bodies": _bodies(schema, response) if status < "400" else [],
    }


def _bodies(schema: dict[str, Any], where: dict[str, Any]) -> list[dict[str, Any]]:
    """Each kind of body: its media type, what it is, its fields, and examples as they would be sent."""
    return [
        {
            "media_type": media_type,
            "about": _marked(_resolved(schema, content.get("schema", {})).get("description", "")),
            "fields": list(_fields(schema, content.get("schema", {}))),
            "examples": [_shown(media_type, example["value"]) for example in content.get("examples", {}).values()],
        }
        for media_type, content in where.get("content", {}).items()
    ]


def _fields(schema: dict[str, Any], part: dict[str, Any], before: str = "") -> Iterator[dict[str, Any]]:
    """Every field of an object and of the objects in it, as `counts.items` and `results[].id`."""
    part = _resolved(schema, part)
    for name, field in part.get("properties", {}).items():
        described = _resolved(schema, field)
        yield {
            "name": before + name,
            "type": _type(schema, described),
            "required": name in part.get("required", ()),
            "about": _marked(described.get("description", "")),
        }
        in_list = described.get("type") == "array"
        yield from _fields(schema, described["items"] if in_list else described, f"{before}{name}{'[]' * in_list}.")


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    for reference in [part, *part.get("allOf", [])]:
        if "$ref" in reference:
            return {**schema["components"]["schemas"][reference["$ref"].rpartition("/")[2]], **part}
    return part


def _type(schema: dict[str, Any], part: dict[str, Any]) -> str:
    part = _resolved(schema, part)
    if part.get("nullable"):
        return f"{_type(schema, {**part, 'nullable': False})} or null"
    if "enum" in part:
        return " | ".join(str(one) for one in part["enum"])
    if part.get("type") == "array":
        return f"list of {_type(schema, part['items'])}"
    return str(part.get("format") or part.get("type", "anything"))


def _shown(media_type: str, value: Any) -> str:
    if media_type == "multipart/form-data":
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _marked(text: str) -> SafeString:
    """The text with what stands between backticks as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308  # escaped before
