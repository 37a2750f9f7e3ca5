"""How a call is described: its answers, its errors and an example, in one line for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

ERRORS = {
    400: "What was sent is wrong.",
    401: "Log in first.",
    403: "It needs a permission that you lack.",
    404: "It is not there, or not yours to see.",
    409: "It does not fit what happens at the moment.",
    413: "The file is too large.",
    415: "The body is of a kind that is not taken.",
    422: "The key was used for another upload.",
}
SENTENCE = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
# `{"detail": "…"}` about all of it, or the sentences about each parameter or field.
PROBLEMS = {
    "type": "object",
    "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "minProperties": 1,
}
CONDITIONAL = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the answer that you have: 304 without a body when it still holds.",
)
PRODUCT_ID = {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"^[^\u0000]+$"}
IMPORT_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}


def call(
    tag: str,
    operation_id: str,
    answers: dict[int, Any],
    *,
    errors: Iterable[int] = (),
    parameters: Iterable[OpenApiParameter] = (),
    request: Any = None,
    sent: Any = None,
    example: Any = None,
    conditional: bool = False,
    place: dict[str, Any] | None = None,
    media_type: str = "application/json",
) -> Any:
    """The description of one call.

    `place` is the schema of the id in its address, `sent` an example of its body, `example` one of its answer.
    """
    examples = []
    if sent is not None:
        examples.append(OpenApiExample("Sent", sent, request_only=True))
    if example is not None:
        examples.append(OpenApiExample("Answer", example, response_only=True, status_codes=[*map(str, answers)]))
    described: dict[Any, Any] = {
        (status, media_type): OpenApiResponse(answer, _FIRST_WORDS[status]) for status, answer in answers.items()
    }
    if conditional:
        described[304] = OpenApiResponse(None, "What you have still holds.")
    for status in (*errors, 401):
        shape = PROBLEMS if status == 400 else SENTENCE
        described[status, "application/json"] = OpenApiResponse(shape, ERRORS[status])
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        parameters=[
            *([OpenApiParameter("id", place, OpenApiParameter.PATH)] if place else []),
            *parameters,
            *([CONDITIONAL] if conditional else []),
        ],
        request=request,
        responses=described,
        examples=examples,
    )


_FIRST_WORDS = {200: "", 201: "It is applied.", 202: "It is taken in, and a worker goes on."}
