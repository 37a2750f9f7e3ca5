"""Answers that hold as long as the catalogue does not change: who has one already is told so."""

from __future__ import annotations

from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api.parameters import Query
from catalog.cached import digest
from catalog.models import CatalogState


class CatalogueView(APIView):
    """A call about the catalogue. Who has the answer for its version already gets 304, before anything is looked up."""

    query = Query()
    # What an answer looks like: a client's copy in another form is no answer of ours.
    form = ""

    def get(self, request: Request, **place: str) -> Response:
        asked = self.query.read(request.query_params)
        version = CatalogState.current()
        tag = f'"{version}-{digest(self.form, request.build_absolute_uri())}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in _known_to(request):
            return Response(status=304, headers=headers)
        return Response(self.answer(request, version, {**asked, **place}), headers=headers)

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> Any:
        """The answer for this version of the catalogue, or a newer one."""
        raise NotImplementedError


def _known_to(request: Request) -> list[str]:
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return [tag.removeprefix("W/") for tag in tags]  # a proxy that compresses makes them weak
