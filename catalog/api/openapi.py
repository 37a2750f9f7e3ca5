"""How a call is described: its answers, its errors and an example, in one line for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from catalog.api.examples import IMPORT, PRODUCT

CONDITIONAL = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the answer that you have: 304 without a body when it still holds.",
)
TAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, required=True, response=[200, 304], description="Names this answer."
)
PRODUCT_ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "pattern": r"^[^\u0000]+$",
    "example": PRODUCT["id"],
}
IMPORT_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1, "example": IMPORT["id"]}


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
    shown = {**dict.fromkeys(answers, example), **(other_examples or {})}
    sent_as = next(iter(request)) if isinstance(request, dict) else "application/json"
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
        examples=[*_sent(sent, sent_as), *_answered(shown, media_type)],
    )


def _sent(body: Any, media_type: str) -> list[OpenApiExample]:
    return [OpenApiExample("Sent", body, request_only=True, media_type=media_type)] if body is not None else []


def _answered(bodies: dict[int, Any], media_type: str) -> list[OpenApiExample]:
    return [
        OpenApiExample("Answer", body, response_only=True, status_codes=[str(status)], media_type=media_type)
        for status, body in bodies.items()
    ]


_FIRST_WORDS = {200: "", 201: "It is applied.", 202: "It is taken in, and a worker goes on."}
