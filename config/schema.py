"""What the description of the API says of every call alike: how it fails, and whether it needs a token."""

from typing import Any

ERRORS = {
    "400": "What was sent is wrong.",
    "401": "Log in first, or again.",
    "403": "You may not do this.",
    "404": "It is not there, or not yours to see.",
    "409": "It does not fit what happens at the moment.",
    "413": "It is too large.",
    "415": "The body is of a kind that is not taken.",
    "422": "The key was used for another upload.",
    "429": "Too many tries.",
    "503": "It cannot be done at the moment.",
    "507": "There is no room for it.",
    "default": "An error.",
}
SCHEMAS = {
    "Error": {
        "type": "object",
        "description": 'What was wrong: `{"detail": "…"}`, or the sentences about each field or parameter by its name.',
        "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "minProperties": 1,
        "example": {"detail": "The access token is not valid. Log in again."},
    },
    "Sentence": {
        "type": "object",
        "description": "What was wrong, in a sentence.",
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
    """Say of each error that a call names, and of all others together, which shape it has. The calls name statuses."""
    result["components"]["schemas"].update(SCHEMAS)
    for place in result["paths"].values():
        for call in place.values():
            statuses = sorted({*call["responses"], "default"})
            call["responses"] = {
                status: error(status) if status >= "400" else call["responses"][status] for status in statuses
            }
    return result


def describe_what_is_open(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say of calls without a token that they take none; as drf-spectacular says it, some programs read the reverse."""
    for place in result["paths"].values():
        for call in place.values():
            call["security"] = [way for way in call["security"] if way]
    return result


def error(status: str) -> dict[str, Any]:
    """How an error of this status is described."""
    schema = "Error" if status in ABOUT_FIELDS else "Sentence"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": ERRORS[status], **headers, "content": content}
