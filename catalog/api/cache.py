"""What holds as long as the catalogue does not change: answers that a client has already, and numbers counted once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import cache
from django.utils.http import parse_etags
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api.parameters import Query
from catalog.models import CatalogState

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not long: the broker lives in the same memory, and everybody may think of new filters.
KEPT_SECONDS = 10 * 60


class CatalogueView(APIView):
    """A call about the catalogue. Who has the answer for its version already gets 304, before anything is looked up."""

    query = Query()
    # What an answer looks like: a client's copy in another form is no answer of ours.
    form = ""

    def get(self, request: Request, **place: str) -> Response:
        asked = self.query.read(request.query_params)
        version = CatalogState.current()
        tag = f'"{version}-{_digest(self.form, request.build_absolute_uri())}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in _known_to(request):
            return Response(status=304, headers=headers)
        return Response(self.answer(request, version, {**asked, **place}), headers=headers)

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> Any:
        """The answer for this version of the catalogue, or a newer one."""
        raise NotImplementedError


def cached(version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the catalogue, computed once. Without a cache it is computed anew."""
    key = f"catalogue-{version}-{_digest(what)}"
    try:
        value = cache.get(key)
        if value is None:
            value = compute()
            cache.set(key, value, KEPT_SECONDS)
    except RedisError:
        log.warning("The cache does not answer")
        return compute()
    return value


def _known_to(request: Request) -> list[str]:
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return [tag.removeprefix("W/") for tag in tags]  # a proxy that compresses makes them weak


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]
