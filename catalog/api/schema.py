"""How a call is described: its answers, its errors and an example, in one line for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

CONDITIONAL = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the answer that you have: 304 without a body when it still holds.",
)
TAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, required=True, response=[200, 304], description="Names this answer."
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
    other_examples: dict[int, Any] | None = None,
    conditional: bool = False,
    place: dict[str, Any] | None = None,
    media_type: str = "application/json",
) -> Any:
    """The description of one call.

    `place` is the schema of the id in its address, `sent` an example of its body, `example` one of its answer;
    `other_examples` are of answers with a status of their own.
    """
    examples = [
        OpenApiExample("Answer", shown, response_only=True, status_codes=[str(status)], media_type=media_type)
        for status, shown in {**dict.fromkeys(answers, example), **(other_examples or {})}.items()
    ]
    if sent is not None:
        sent_as = next(iter(request)) if isinstance(request, dict) else "application/json"
        examples.append(OpenApiExample("Sent", sent, request_only=True, media_type=sent_as))
    described: dict[Any, Any] = {
        (status, media_type): OpenApiResponse(answer, _FIRST_WORDS[status]) for status, answer in answers.items()
    }
    if conditional:
        described[304] = OpenApiResponse(None, "What you have still holds.")
    described |= dict.fromkeys((*errors, 401))
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        parameters=[
            *([OpenApiParameter("id", place, OpenApiParameter.PATH)] if place else []),
            *parameters,
            *([CONDITIONAL, TAG] if conditional else []),
        ],
        request=request,
        responses=described,
        examples=examples,
    )


_FIRST_WORDS = {200: "", 201: "It is applied.", 202: "It is taken in, and a worker goes on."}
