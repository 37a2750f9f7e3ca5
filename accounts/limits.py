"""How often something may be tried, counted in the shared cache for all processes together."""

import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

log = logging.getLogger(__name__)


class TooManyTries(Throttled):
    wait: int
    default_detail = "Too many tries."
    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."


class NotCounted(APIException):
    """The cache that counts tries does not answer. Trying without end meanwhile would be a gift to whoever guesses."""

    status_code = 503
    default_code = "tries_not_counted"
    default_detail = "Tries cannot be counted at the moment, so none is allowed. Try again in half a minute."
    wait = 30


@dataclass(frozen=True)
class Limit:
    """At most `times` tries within `seconds` of the first one. A refused try does not prolong the wait.

    The answer says how many are left, unless strangers take part in the count: that is nobody's business.
    """

    name: str
    times: int
    seconds: int
    is_shown: bool = True

    def take(self, *who: object) -> str:
        """Count one try, before it is made, so that parallel ones count too. Returns what `give_back` takes.

        Raises `TooManyTries`, or `NotCounted` while the cache does not answer, which takes a second to notice.
        """
        key = f"limit:{self.name}:{hashlib.sha256(repr(who).encode()).hexdigest()}"
        now = time.time()
        try:
            until: Any = cache.get_or_set(key, now + self.seconds, self.seconds)
            count = f"{key}:{until}"
            cache.add(count, 0, self.seconds + 1)
            left, wait = self.times - cache.incr(count), max(1, math.ceil(until - now))
        except (RedisError, OSError) as error:
            log.error("The cache does not answer; tries of %s are refused", self.name, exc_info=error)
            raise NotCounted from error
        if self.is_shown:
            _COUNTED.get({})[count] = self, max(0, left), wait
        if left < 0:
            raise TooManyTries(wait)
        return count


REDIRECTS = (301, 302, 303, 307, 308)
# What the request at hand was counted against: limit, what is left, and the seconds until all is left again.
_COUNTED: ContextVar[dict[str, tuple[Limit, int, int]]] = ContextVar("counted")


def show_limits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say in each answer which limits the request was counted against (draft-ietf-httpapi-ratelimit-headers).

    Until its revision 11 `a` (what is available) was called `r`, and `w` (the seconds until all is) `t`. Clients
    ignore what they do not know, so both are there.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        counted: dict[str, tuple[Limit, int, int]] = {}
        before = _COUNTED.set(counted)
        try:
            response = get_response(request)
        finally:
            _COUNTED.reset(before)
        if counted and response.status_code not in REDIRECTS:  # else a client might wait before it follows
            policies = [f'"{limit.name}";q={limit.times};w={limit.seconds}' for limit, _left, _wait in counted.values()]
            response.headers["RateLimit-Policy"] = ", ".join(dict.fromkeys(policies))
            response.headers["RateLimit"] = ", ".join(
                f'"{limit.name}";a={left};w={wait};r={left};t={wait}' for limit, left, wait in counted.values()
            )
        return response

    return middleware


def give_back(*counts: str) -> None:
    """Uncount tries that succeeded."""
    try:
        for count in counts:
            _COUNTED.get({}).pop(count, None)
            with suppress(ValueError):  # its time is over
                cache.decr(count)
    except (RedisError, OSError):
        log.info("Tries were not given back: the cache is away")


# Only the pair refuses at the sixth try, and only from that address, so a stranger does not lock the owner out. The
# other two limit what one address tries on many accounts, and many addresses on one. The last one does not count tries
# from addresses that the account's owner logged in from.
LOGIN_PAIR = Limit("login-pair", 5, 300)
LOGIN_ADDRESS = Limit("login-address", 50, 300)
LOGIN_ACCOUNT = Limit("login-account", 20, 300, is_shown=False)
OLD_PASSWORD = Limit("old-password", 5, 300)
# Whoever has the password guesses six digits; the owner is spared as long as the guesses are few.
SECOND_FACTOR_PAIR = Limit("second-factor-pair", 5, 300)
SECOND_FACTOR = Limit("second-factor", 20, 300, is_shown=False)
OPENID = Limit("openid", 50, 300)  # each asks the provider
SIGNUP = Limit("signup", 100, 3600)
MAILS_FROM = Limit("mails-from", 50, 3600)
MAILS_TO = Limit("mails-to", 3, 3600, is_shown=False)


def same_name(typed: str) -> str:
    """What is typed at login, as it is looked up: spellings of one name are counted together."""
    return typed.strip().lower()


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: behind proxies, what our outermost one saw."""
    return (BaseThrottle().get_ident(cast("Request", request)) or "")[:64]


def address_of(request: HttpRequest) -> str:
    """As `client_address`, to count by: for IPv6, the customer's whole net."""
    address = client_address(request)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Throttle(BaseThrottle):
    """Counts the POST calls of a view from each address against the view's `limit`, if it has one."""

    def allow_request(self, request: Any, view: Any) -> bool:
        limit: Limit | None = getattr(view, "limit", None)
        if limit and request.method == "POST":
            limit.take(address_of(request))
        return True
