"""Numbers about the catalogue that are counted once for each of its versions."""

import hashlib
import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, cast

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not long: the broker lives in the same memory, and everybody may think of new filters.
KEPT_SECONDS = 10 * 60


def cached(version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the catalogue, computed once. Without a cache it is computed anew.

    Who asks while another thread computes waits for that one. `compute` may not call this again.
    """
    key = _key(version, what)
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
