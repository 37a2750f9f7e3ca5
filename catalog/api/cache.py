"""What holds as long as the catalogue does not change: answers that a client has already, and numbers counted once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, cast

from django.core.cache import cache, caches
from django.http import HttpResponse
from django.utils.http import parse_etags
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog.api.parameters import Query
from catalog.models import CatalogState

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not long: the broker lives in the same memory, and everybody may think of new filters.
KEPT_SECONDS = 10 * 60
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
        tag = f'"{version}-{_digest(self.form, request.build_absolute_uri())}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in _known_to(request):
            return HttpResponse(status=304, headers=headers)
        body = self._kept(request, tag, lambda: self.answer(request, version, {**asked, **place}))
        return HttpResponse(body, content_type=request.accepted_renderer.media_type, headers=headers)

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> Any:
        """The answer for this version of the catalogue, or a newer one."""
        raise NotImplementedError

    def _kept(self, request: Request, tag: str, answer: Callable[[], Any]) -> bytes:
        kept, key = caches["answers"], _digest(tag, request.accepted_media_type)
        body = kept.get(key)
        if body is None:
            body = request.accepted_renderer.render(answer(), request.accepted_media_type)
            if len(body) <= KEPT_BYTES:
                kept.set(key, body)
        return cast("bytes", body)


def cached(version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the catalogue, computed once. Without a cache it is computed anew.

    Who asks while another thread computes waits for that one. `compute` may not call this again.
    """
    key = f"catalogue-{version}-{_digest(what)}"
    try:
        value = cache.get(key)
        if value is None:
            with _COMPUTING[hash(key) % len(_COMPUTING)]:
                value = _computed(key, compute)
    except RedisError:
        log.warning("The cache does not answer")
        return compute()
    return value


_COMPUTING = [Lock() for _ in range(64)]


def _computed(key: str, compute: Callable[[], T]) -> T:
    value = cache.get(key)
    if value is None:
        value = compute()
        cache.set(key, value, KEPT_SECONDS)
    return cast("T", value)


def _known_to(request: Request) -> list[str]:
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return [tag.removeprefix("W/") for tag in tags]  # a proxy that compresses makes them weak


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]
