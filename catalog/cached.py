"""Numbers about the catalogue that are counted once for each of its versions."""

import hashlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not long: the broker lives in the same memory, and everybody may think of new filters.
KEPT_SECONDS = 10 * 60


def cached(version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the catalogue, computed once. Without a cache it is computed anew."""
    value: T | None = known(version, what)
    if value is None:
        value = compute()
        try:
            cache.set(_key(version, what), value, KEPT_SECONDS)
        except RedisError:
            log.warning("The cache does not answer")
    return value


def known(version: int, what: str) -> Any:
    """What `cached` computed for this version of the catalogue; None when it did not yet, or the cache is away."""
    try:
        return cache.get(_key(version, what))
    except RedisError:
        log.warning("The cache does not answer")
    return None


def _key(version: int, what: str) -> str:
    return f"catalogue-{version}-{digest(what)}"


def digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]
