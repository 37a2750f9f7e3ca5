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
# Logging in keeps the token for all other calls.
KEEP_ACCESS = "pm.collectionVariables.set('access', pm.response.json().access);"


def make_collection(schema: dict[str, Any]) -> dict[str, Any]:
    """A folder for each tag with its calls; `site` and `access` are variables of the collection."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, call in methods.items():
            folders.setdefault(call["tags"][0], []).append(make_item(path, method, call))
    return {
        "info": {"name": schema["info"]["title"], "description": schema["info"]["description"], "schema": FORMAT},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{access}}", "type": "string"}]},
        "variable": [{"key": "site", "value": "http://127.0.0.1:8000/api/v1"}, {"key": "access", "value": ""}],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def make_item(path: str, method: str, call: dict[str, Any]) -> dict[str, Any]:
    parameters = call.get("parameters", [])
    written = re.sub(r"\{(\w+)\}", r":\1", path)
    request: dict[str, Any] = {
        "method": method.upper(),
        "url": {
            "raw": "{{site}}" + written,
            "host": ["{{site}}"],
            "path": written.strip("/").split("/") + ([""] if written.endswith("/") else []),
            "variable": [
                {"key": one["name"], "value": str(one["schema"].get("example", ""))}
                for one in parameters
                if one["in"] == "path"
            ],
            "query": [switched_off(one) for one in parameters if one["in"] == "query"],
        },
        "description": call["description"],
    }
    if not call["security"]:
        request["auth"] = {"type": "noauth"}
    request["header"] = [switched_off(one) for one in parameters if one["in"] == "header"]
    content = call.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        (example,) = content["application/json"]["examples"].values()
        raw = json.dumps(example["value"], indent=2, ensure_ascii=False)
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    elif "multipart/form-data" in content:
        fields = [{"key": "file", "type": "file", "src": ""}, {"key": "mode", "value": "add", "type": "text"}]
        request["body"] = {"mode": "formdata", "formdata": fields}
    item = {"name": call["operationId"], "request": request}
    if call["operationId"] == "login":
        item["event"] = [{"listen": "test", "script": {"exec": [KEEP_ACCESS]}}]
    return item


def switched_off(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is listed, and sent only when somebody ticks it."""
    return {
        "key": parameter["name"],
        "value": str(parameter["schema"].get("default", parameter["schema"].get("example", ""))),
        "description": parameter.get("description", ""),
        "disabled": True,
    }


def calls_in(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
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

    schema = SchemaGenerator().get_schema(request=None, public=True)
    print(json.dumps(make_collection(schema), indent=1, ensure_ascii=False))
