"""What is true of every call, added to the schema of the API."""

from collections.abc import Iterable
from typing import Any

JSON = "application/json"
ERRORS = {
    "400": "Something in the request is wrong.",
    "401": "Log in first, or again.",
    "403": "You may not do this.",
    "404": "It does not exist, or you may not see it.",
    "409": "It conflicts with what is happening now.",
    "413": "It is too large.",
    "415": "The body has a media type that the call does not take.",
    "422": "The key was used for another upload.",
    "429": "Too many tries.",
    "503": "It cannot be done at the moment.",
    "507": "There is no room for it.",
    "default": "An error.",
}
SCHEMAS = {
    "Error": {
        "type": "object",
        "description": 'What is wrong: `{"detail": "…"}`, or sentences by the name of each wrong field or parameter.',
        "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "minProperties": 1,
        "example": {"detail": "The access token is not valid. Log in again."},
    },
    "Sentence": {
        "type": "object",
        "description": "What is wrong, in a sentence.",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
        "example": {"detail": "Log in first, or again."},
    },
}
ABOUT_FIELDS = ("400", "default")
WAIT = {
    "Retry-After": {"description": "When to try again, in seconds.", "schema": {"type": "integer"}, "required": True}
}
SCHEME = {"WWW-Authenticate": {"description": "How to log in.", "schema": {"type": "string"}, "required": True}}
HEADERS = {"401": SCHEME, "429": WAIT, "503": WAIT}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say which shape each error has: those that a call names, 401 where it needs a token, and all others together."""
    result["components"]["schemas"].update(SCHEMAS)
    for call in calls_of(result):
        errors = {"default", *(["401"] if call["security"] else [])}
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
    """Say of each parameter in a query that it may be empty, which is as if it were not given."""
    for call in calls_of(result):
        for parameter in call.get("parameters", []):
            if parameter["in"] == "query":
                parameter["allowEmptyValue"] = True
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
    schema = "Error" if status in ABOUT_FIELDS else "Sentence"
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": ERRORS[status], **headers, "content": content}
