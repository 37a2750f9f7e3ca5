"""Markets, and which of them the pages are about."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.models import DEFAULT_MARKET, Market

MARKET = "market"
"""The parameter of an address, and the name of the choice in the session."""


def markets_of(request: HttpRequest) -> list[Market]:
    """All markets, the default one first: one query for the whole page."""
    if not hasattr(request, "_markets"):
        request._markets = list(Market.objects.order_by("pk"))  # type: ignore[attr-defined]
    markets: list[Market] = request._markets  # type: ignore[attr-defined]
    return markets


def named_market(request: HttpRequest) -> Market:
    """The market that the address names; without a name, or with an unknown one, the default market."""
    code = request.GET.get(MARKET, "")
    by_code = {market.code: market for market in markets_of(request)}
    return by_code.get(code) or next(market for market in by_code.values() if market.pk == DEFAULT_MARKET)


def market_of(request: HttpRequest) -> Market:
    """The market of lists and counts: that in the address, which is remembered; else the one chosen last."""
    markets = markets_of(request)
    codes = [market.code for market in markets]
    named, chosen = request.GET.get(MARKET), request.session.get(MARKET)
    if named in codes and named != chosen and (chosen or named != codes[0]):
        request.session[MARKET] = chosen = named
    return markets[codes.index(chosen)] if chosen in codes else markets[0]


def are_markets_listed(request: HttpRequest) -> bool:
    """Whether this person sees that there are markets: nobody needs the word before there are two."""
    return len(markets_of(request)) > 1 and bool(request.user.has_perm("catalog.view_market"))


@admin.register(Market)
class MarketAdmin(ModelAdmin):
    list_display = ["name", "code", "country", "language", "currency"]
    fields = ["name", "code", "country", "language", "currency"]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}

    def has_delete_permission(self, request: HttpRequest, obj: Market | None = None) -> bool:
        """The default market stays. Another one goes when it has no feed and no product, which Django sees to."""
        return super().has_delete_permission(request, obj) and not (obj and obj.is_default)

    def get_actions(self, request: HttpRequest) -> Any:
        """Deleting several at once would take the default market, too."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}
