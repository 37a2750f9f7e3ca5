"""What is true of every call, added to the schema of the API."""

from collections.abc import Iterable
from typing import Any

from config.problems import JSON, PROBLEM, problem

ERRORS = {
    "400": "Something in the request is wrong.",
    "401": "Log in first, or again.",
    "403": "You may not do this.",
    "404": "It does not exist, or you may not see it.",
    "409": "It conflicts with what is happening now.",
    "410": "What you ask for is known no longer.",
    "413": "It is too large.",
    "415": "The body has a media type that the call does not take.",
    "422": "The key was used for another upload.",
    "429": "Too many tries.",
    "503": "It cannot be done at the moment.",
    "507": "There is no room for it.",
    "default": "An error.",
}
SCHEMAS = {
    "Problem": {
        "type": "object",
        "description": "What is wrong, as RFC 9457 says. Each name in `errors` also stands beside it, with the same "
        "sentences, unless it is a name of the problem's own.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong, in a sentence."},
            "code": {"type": "string", "description": "What is wrong, for programs. It stays the same."},
            "errors": {
                "type": "object",
                "description": "Sentences by the name of each wrong field or parameter.",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        },
        "required": ["type", "title", "status", "detail", "code"],
        "example": problem(400, "", "invalid", {"page": ["Ensure this value is greater than or equal to 1."]}),
    },
}
WAIT = {
    "Retry-After": {"description": "When to try again, in seconds.", "schema": {"type": "integer"}, "required": True}
}
LIMITS = {
    "RateLimit-Policy": {"description": "The limits that it was counted against.", "schema": {"type": "string"}},
    "RateLimit": {"description": "How many are left of each, and for how many seconds.", "schema": {"type": "string"}},
}
SCHEME = {"WWW-Authenticate": {"description": "How to log in.", "schema": {"type": "string"}, "required": True}}
HEADERS = {"401": SCHEME, "429": WAIT | LIMITS, "503": WAIT}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say which shape errors have: those a call names, 401 and 403 where it needs a token, and all others together."""
    result["components"]["schemas"].update(SCHEMAS)
    for call in calls_of(result):
        errors = {"default", *(["401", "403"] if call["security"] else [])}
        statuses = sorted({*call["responses"], *errors})
        call["responses"] = {
            status: describe_error(status) if status >= "400" else call["responses"][status] for status in statuses
        }
    return result


def describe_what_is_open(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say that calls without a token take none; some programs read the opposite in how drf-spectacular says it."""
    for call in calls_of(result):
        call["security"] = [way for way in call["security"] if way]
    return result


def describe_empty_parameters(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say of each parameter in a query that it may be empty, which is as if it were not given, unless it has to be."""
    for call in calls_of(result):
        for parameter in call.get("parameters", []):
            if parameter["in"] == "query" and not parameter.get("required"):
                parameter["allowEmptyValue"] = True
    return result


def sort_methods(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name the methods of an address in one order; the package takes them from a set."""
    result["paths"] = {path: dict(sorted(place.items())) for path, place in result["paths"].items()}
    return result


def summarize_calls(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give each call the first sentence of its description as a summary, for lists of calls."""
    for call in calls_of(result):
        call["summary"] = call["description"].partition(". ")[0].partition("\n\n")[0].removesuffix(".")
    return result


def calls_of(schema: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return [call for place in schema["paths"].values() for call in place.values()]


def describe_error(status: str) -> dict[str, Any]:
    """How an error with this status is described."""
    content = {kind: {"schema": {"$ref": "#/components/schemas/Problem"}} for kind in (JSON, PROBLEM)}
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": ERRORS[status], **headers, "content": content}
