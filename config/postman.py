"""The calls of the API as a collection for Postman, made from the same schema as /schema/.

python -m config.postman > docs/api.postman_collection.json
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
# Logging in keeps the token for all the other calls.
REMEMBER = "pm.collectionVariables.set('access', pm.response.json().access);"


def collection(schema: dict[str, Any]) -> dict[str, Any]:
    """A folder for each tag with its calls; `site` and `access` are variables of the collection."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, call in methods.items():
            folders.setdefault(call["tags"][0], []).append(_item(path, method, call))
    return {
        "info": {"name": schema["info"]["title"], "description": schema["info"]["description"], "schema": FORMAT},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{access}}", "type": "string"}]},
        "variable": [{"key": "site", "value": "http://127.0.0.1:8000"}, {"key": "access", "value": ""}],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _item(path: str, method: str, call: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"method": method.upper(), "url": _url(path, call), "description": call["description"]}
    if not call["security"]:
        request["auth"] = {"type": "noauth"}
    request["header"] = [_off(one) for one in call.get("parameters", []) if one["in"] == "header"]
    request |= _body(call.get("requestBody", {}).get("content", {}))
    item = {"name": call["operationId"], "request": request}
    if call["operationId"] == "login":
        item["event"] = [{"listen": "test", "script": {"exec": [REMEMBER]}}]
    return item


def _url(path: str, call: dict[str, Any]) -> dict[str, Any]:
    parameters = call.get("parameters", [])
    written = re.sub(r"\{(\w+)\}", r":\1", path)
    return {
        "raw": "{{site}}" + written,
        "host": ["{{site}}"],
        "path": written.strip("/").split("/") + ([""] if written.endswith("/") else []),
        "variable": [
            {"key": one["name"], "value": str(one["schema"].get("example", ""))}
            for one in parameters
            if one["in"] == "path"
        ],
        "query": [_off(one) for one in parameters if one["in"] == "query"],
    }


def _off(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is listed, and sent when somebody ticks it."""
    return {
        "key": parameter["name"],
        "value": str(parameter["schema"].get("default", parameter["schema"].get("example", ""))),
        "description": parameter.get("description", ""),
        "disabled": True,
    }


def _body(content: dict[str, Any]) -> dict[str, Any]:
    if "application/json" in content:
        (example,) = content["application/json"]["examples"].values()
        raw = json.dumps(example["value"], indent=2, ensure_ascii=False)
        return {"body": {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}}
    if "multipart/form-data" in content:
        fields: list[dict[str, Any]] = [{"key": "file", "type": "file", "src": ""}]
        return {"body": {"mode": "formdata", "formdata": [*fields, {"key": "mode", "value": "add", "type": "text"}]}}
    return {}


def calls(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of every call in a collection, the path as the schema writes it."""
    for folder in made["item"]:
        for item in folder["item"]:
            request = item["request"]
            path = request["url"]["raw"].removeprefix("{{site}}")
            yield request["method"], re.sub(r":(\w+)", r"{\1}", path)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    import django

    django.setup()
    from drf_spectacular.generators import SchemaGenerator

    print(json.dumps(collection(SchemaGenerator().get_schema(request=None, public=True)), indent=1, ensure_ascii=False))
