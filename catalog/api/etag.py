"""Answers about the catalogue: the same for everybody until the catalogue changes."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import Scope
from catalog.api.queries import MarketQuery, Query
from catalog.models import MarketState
from catalog.version_cache import text_digest

# A longer answer is made anew each time: answers are kept in the memory of each web process.
KEPT_BYTES = 256 * 1024


class CatalogueView(APIView):
    """A call about the catalogue. A client that has the answer for its market's version gets 304 before any look-up.

    All people get the same answer, so a second request for this version gets the bytes that were sent before.
    """

    query: Query = MarketQuery()
    key_scopes = (Scope.READ,)
    # What an answer looks like: a copy in another form is not an answer of ours.
    form = ""

    def get(self, request: Request, **place: str) -> HttpResponseBase:
        asked = self.query.read(request.query_params)
        market: MarketState = asked.pop("market")
        tag = f'"{market.version}-{text_digest(self.form, market.code, request.build_absolute_uri())}"'
        headers = {"ETag": tag, "Catalogue-Version": str(market.version), "Cache-Control": "private, no-cache"}
        media_type = request.accepted_renderer.media_type
        known = parse_etags(request.headers.get("If-None-Match", ""))
        if tag in [one.removeprefix("W/") for one in known]:  # a proxy that compresses makes them weak
            return HttpResponse(status=304, content_type=media_type, headers=headers)
        kept, key = caches["answers"], text_digest(tag, request.accepted_media_type)
        body = kept.get(key)
        if body is None:
            answer = self.answer(request, market, {**asked, **place})
            body = request.accepted_renderer.render(answer, request.accepted_media_type)
            if len(body) <= KEPT_BYTES:
                kept.set(key, body)
        if known == ["*"]:  # whatever the client has, as long as there is something
            return HttpResponse(status=304, content_type=media_type, headers=headers)
        return HttpResponse(body, content_type=media_type, headers=headers)

    def answer(self, request: Request, market: MarketState, asked: dict[str, Any]) -> Any:
        """The answer for this version of the market's products, or a newer one."""
        raise NotImplementedError
