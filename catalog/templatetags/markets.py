"""The choice of a market, at the top of the catalogue's pages."""

from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse

from catalog.chosen_market import MARKET, has_several_markets, market_of, markets_of

register = template.Library()

PAGES = "admin:catalog_"
# Other pages are about something that is in one market: the choice leads from them to the products.
FOLLOWING = ("admin:index", "_changelist", "admin:catalog_product_change", "admin:catalog_product_history")


@register.inclusion_tag("admin/catalog/_market_switcher.html", takes_context=True)
def market_switcher(context: Context) -> dict[str, Any]:
    """Each market with the address of this page for it. Nothing while there is one, and on pages of other apps."""
    request: HttpRequest | None = context.get("request")
    match = request.resolver_match if request else None
    page = match.view_name if match else ""
    if request is None or not (page == "admin:index" or page.startswith(PAGES)):
        return {}
    if not request.user.has_perm("catalog.view_product") or not has_several_markets(request):
        return {}
    follows = page.endswith(FOLLOWING)
    query = request.GET.copy() if follows else request.GET.__class__("", mutable=True)
    for name in ("p", "count", "missing_in", "feed__id__exact", "_changelist_filters"):
        query.pop(name, None)
    choices = []
    for market in markets_of(request):
        query[MARKET] = market.code
        path = request.path if follows else reverse("admin:catalog_product_changelist")
        choices.append({"market": market, "url": f"{path}?{query.urlencode()}"})
    return {"market": market_of(request), "choices": choices}
