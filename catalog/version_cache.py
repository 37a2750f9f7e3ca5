"""Numbers about a market's products that are counted once for each version of them."""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

T = TypeVar("T")
# Short: the broker uses the same memory, and anyone can ask for new filters.
KEPT_SECONDS = 10 * 60
# More than any count takes, even of millions of products.
MAX_WAIT_SECONDS = 5


def compute_once(market: int, version: int, what: str, compute: Callable[[], T]) -> T:
    """The value of `compute` for this version of the market, computed once. Without a cache it is computed anew.

    While one caller computes it, in whatever process, the others wait for at most `MAX_WAIT_SECONDS`.
    """
    key = _cache_key(market, version, what)
    marker = f"{key}-awaited"
    try:
        value = cache.get(key)
        end = time.monotonic() + MAX_WAIT_SECONDS
        while value is None and not cache.add(marker, 1, MAX_WAIT_SECONDS) and time.monotonic() < end:
            time.sleep(0.01)
            value = cache.get(key)
        if value is None:
            try:
                value = compute()
                cache.set(key, value, KEPT_SECONDS)
            finally:
                cache.delete(marker)  # after an error the next caller need not wait
        return cast("T", value)
    except RedisError:
        log.warning("The cache does not answer")
        return compute()


def known_value(market: int, version: int, what: str) -> Any:
    """What was computed for this version of the market; None if nothing was yet, or the cache does not answer."""
    try:
        return cache.get(_cache_key(market, version, what))
    except RedisError:
        log.warning("The cache does not answer")
        return None


def _cache_key(market: int, version: int, what: str) -> str:
    return f"catalogue-{market}-{version}-{text_digest(what)}"


def text_digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]
