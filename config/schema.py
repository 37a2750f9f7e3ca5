"""What the description of the API says of every call alike."""

from typing import Any

ERROR = {
    "type": "object",
    "description": 'What was wrong: `{"detail": "…"}`, or the sentences about each field or parameter by its name.',
    "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "minProperties": 1,
    "example": {"detail": "The access token is not valid. Log in again."},
}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say once that every error has one shape, at each call that does not say it of an error of its own."""
    result["components"]["schemas"]["Error"] = ERROR
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for place in result["paths"].values():
        for call in place.values():
            call["responses"].setdefault("default", {"description": "An error.", "content": content})
    return result
