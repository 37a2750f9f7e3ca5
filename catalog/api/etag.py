"""What holds as long as the catalogue does not change: answers that somebody has already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.core.cache import caches
from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog.api.queries import Query
from catalog.models import CatalogState
from catalog.version_cache import digest

# What is longer is made anew each time: answers are kept in the memory of each web process.
KEPT_BYTES = 256 * 1024


class CatalogueView(APIView):
    """A call about the catalogue. Who has the answer for its version already gets 304, before anything is looked up.

    All people get the same answer, so that whoever asks again for this version gets the bytes that were sent before.
    """

    query = Query()
    # What an answer looks like: a client's copy in another form is no answer of ours.
    form = ""

    def get(self, request: Request, **place: str) -> HttpResponse:
        asked = self.query.read(request.query_params)
        version = CatalogState.current()
        tag = f'"{version}-{digest(self.form, request.build_absolute_uri())}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in _known_to(request):
            return HttpResponse(status=304, headers=headers)
        body = self._kept(request, tag, lambda: self.answer(request, version, {**asked, **place}))
        return HttpResponse(body, content_type=request.accepted_renderer.media_type, headers=headers)

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> Any:
        """The answer for this version of the catalogue, or a newer one."""
        raise NotImplementedError

    def _kept(self, request: Request, tag: str, answer: Callable[[], Any]) -> bytes:
        kept, key = caches["answers"], digest(tag, request.accepted_media_type)
        body = kept.get(key)
        if body is None:
            body = request.accepted_renderer.render(answer(), request.accepted_media_type)
            if len(body) <= KEPT_BYTES:
                kept.set(key, body)
        return cast("bytes", body)


def _known_to(request: Request) -> list[str]:
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return [tag.removeprefix("W/") for tag in tags]  # a proxy that compresses makes them weak
