"""Errors as problem documents (RFC 9457), with what clients of earlier releases look for beside them.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid",
     "detail": "page: At least 1.", "errors": {"page": ["At least 1."]}, "page": ["At least 1."]}

`code` is stable, and `errors` is there when fields or parameters are wrong. Each of them also stands at the top, except
where its name is one of a problem's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.http.request import MediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

JSON, PROBLEM = "application/json", "application/problem+json"
MEMBERS = ("type", "title", "status", "detail", "code", "errors", "instance")


def problem(status: int, detail: str, code: str, errors: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """The document. Without a `detail` it says what is wrong with the fields."""
    errors = errors or {}
    about_fields = " ".join(f"{name}: {sentence}" for name, said in errors.items() for sentence in said)
    return {
        "type": "about:blank",  # the title is the status's own; `code` says more
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or about_fields,
        "code": code,
        **({"errors": dict(errors)} if errors else {}),
        **{name: said for name, said in errors.items() if name not in MEMBERS},
    }


def media_type_for(accept: str) -> str:
    """`application/problem+json` for clients that name it, and for all others the JSON that they know."""
    return PROBLEM if any(names_problems(one) for one in accept.split(",")) else JSON


def names_problems(accepted: str) -> bool:
    """Whether an entry of `Accept` is about problem documents, and wants them."""
    kind = MediaType(accepted)
    return f"{kind.main_type}/{kind.sub_type}".lower() == PROBLEM and kind.quality > 0


class Negotiation(DefaultContentNegotiation):
    """What a client says about problem documents says nothing about the other answers."""

    def get_accept_list(self, request: Request) -> list[str]:
        accepted = super().get_accept_list(request)
        return [one for one in accepted if media_type_for(one) != PROBLEM] or ["*/*"]
