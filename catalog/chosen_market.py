"""Which market the pages of the admin are about."""

from __future__ import annotations

from django.http import HttpRequest

from catalog.models import DEFAULT_MARKET, Market

MARKET = "market"
"""The parameter of an address, and the name of the choice in the session."""


def markets_of(request: HttpRequest) -> list[Market]:
    """All markets, the default one first: one query for the whole page."""
    if not hasattr(request, "_markets"):
        request._markets = list(Market.objects.order_by("pk"))  # type: ignore[attr-defined]
    markets: list[Market] = request._markets  # type: ignore[attr-defined]
    return markets


def has_several_markets(request: HttpRequest) -> bool:
    """Nobody needs the word before there are two."""
    return len(markets_of(request)) > 1


def market_of(request: HttpRequest) -> Market:
    """The market of lists, counts and exports: that in the address; else the one that was looked at last."""
    by_code = {market.code: market for market in markets_of(request)}
    named = by_code.get(request.GET.get(MARKET, ""))
    return _remember(request, named) if named else by_code.get(request.session.get(MARKET, ""), markets_of(request)[0])


def named_market(request: HttpRequest) -> Market:
    """The market of one product's page: that in the address; else the default one, as in addresses from before.

    It is the chosen one from here on.
    """
    code = request.GET.get(MARKET)
    named = next((market for market in markets_of(request) if market.code == code), None)
    return _remember(request, named or next(market for market in markets_of(request) if market.pk == DEFAULT_MARKET))


def _remember(request: HttpRequest, market: Market) -> Market:
    if has_several_markets(request) and request.session.get(MARKET) != market.code:
        request.session[MARKET] = market.code
    return market


def are_markets_listed(request: HttpRequest) -> bool:
    """Whether the menu has the markets for this person."""
    return has_several_markets(request) and bool(request.user.has_perm("catalog.view_market"))
