"""Numbers about the catalogue that are counted once for each of its versions."""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not long: the broker lives in the same memory, and everybody may think of new filters.
KEPT_SECONDS = 10 * 60
# More than anything that is counted takes, even of millions.
PATIENCE = 5


def cached(version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the catalogue, computed once. Without a cache it is computed anew.

    Who asks while somebody else computes it, in whatever process, waits for that one as long as `PATIENCE`.
    """
    key = _key(version, what)
    try:
        value = cache.get(key)
        if value is None:
            value = _waited_for(key)
        return _computed(key, compute) if value is None else cast("T", value)
    except RedisError:
        log.warning("The cache does not answer")
        return compute()


def _waited_for(key: str) -> Any:
    """What another one computes meanwhile; None for the first who asks, and for who has waited too long."""
    end = time.monotonic() + PATIENCE
    while not cache.add(_mark(key), 1, PATIENCE) and time.monotonic() < end:
        time.sleep(0.01)
        if (value := cache.get(key)) is not None:
            return value
    return None


def _computed(key: str, compute: Callable[[], T]) -> T:
    try:
        value = compute()
        cache.set(key, value, KEPT_SECONDS)
    finally:
        cache.delete(_mark(key))  # so that after an error the next one need not wait
    return value


def _mark(key: str) -> str:
    return f"{key}-awaited"


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
