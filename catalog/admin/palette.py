"""What the command palette finds: products, imports, feeds, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from urllib.parse import urlencode

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from catalog.admin.tabs import key_in
from catalog.chosen_market import has_several_markets, market_of, markets_of
from catalog.models import Feed, ImportRun, Product
from catalog.templatetags.catalog import product_url

SHOWN_OF_EACH = 6
RESULTS_ON_PAGE = 100
MAX_CHARS = 200


def search_view(request: HttpRequest) -> HttpResponse:
    """What the palette shows. The theme's own view would show the same for five minutes: of a market that is no longer
    chosen, and to a person who may no longer look at it.
    """
    begun = monotonic()
    words = request.GET.get("s", "").replace("\x00", "").strip()[:MAX_CHARS]
    if not words:
        return HttpResponse()
    pages = Paginator([*_lists(request, words), *find_commands(request, words)], RESULTS_ON_PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "page_obj": pages,
        "results": page,
        "page_counter": page.start_index() - 1,
        "execution_time": monotonic() - begun,
    }
    answer = render(request, "unfold/helpers/command_results.html", context)
    answer.headers["HX-Trigger"] = "search"
    return answer


def find_commands(request: HttpRequest, words: str) -> list[SearchResult]:
    """What the person may open: actions first, then what has this name, number or id."""
    may = request.user.has_perm
    found = [each for each in _actions(request) if words.lower() in each.title.lower()]
    if may("catalog.view_feed") or may("catalog.add_importrun"):
        found += _feeds(request, words)
    if may("catalog.view_importrun"):
        found += _imports(words)
    if may("catalog.view_product"):
        found += _products(request, words)
    return found


def _lists(request: HttpRequest, words: str) -> Iterator[SearchResult]:
    """The lists of the menu by their name, or by that of their part of it."""
    for app in admin.site.get_app_list(request):
        for model in app["models"]:
            if words.lower() in str(app["name"]).lower() or words.lower() in str(model["name"]).lower():
                yield SearchResult(str(model["name"]), app["name"], model["admin_url"], "tag")


def _actions(request: HttpRequest) -> Iterator[SearchResult]:
    """What can be done on a page of its own, each for people who may."""
    imports, products = reverse("admin:catalog_importrun_changelist"), reverse("admin:catalog_product_changelist")
    pages = [
        (_("Import a feed"), "catalog.add_importrun", reverse("admin:catalog_product_import"), "upload"),
        (_("Review the plans that wait"), "catalog.view_importrun", f"{imports}?status__exact=review", "fact_check"),
        (_("Failed imports"), "catalog.view_importrun", f"{imports}?status__exact=failed", "error"),
        (_("Export products"), "catalog.export_product", reverse("admin:catalog_product_export"), "download"),
        (_("Products with issues"), "catalog.view_product", f"{products}?issues=yes", "warning"),
        (_("Products with pinned fields"), "catalog.view_product", f"{products}?has_pins=yes", "keep"),
        (_("Archived products"), "catalog.view_product", f"{products}?archive=archived", "archive"),
        (_("Add a feed"), "catalog.add_feed", reverse("admin:catalog_feed_add"), "add"),
        (_("Invite somebody"), "accounts.add_invitation", reverse("admin:accounts_invitation_add"), "forward_to_inbox"),
    ]
    for title, permission, link, icon in pages:
        if request.user.has_perm(permission):
            yield SearchResult(title, _("action"), link, icon)
    if has_several_markets(request):
        for market in markets_of(request):
            title = _("Switch to the market %(market)s") % {"market": market}
            yield SearchResult(title, market.code, f"{products}?{urlencode({'market': market.code})}", "public")


def _feeds(request: HttpRequest, words: str) -> Iterator[SearchResult]:
    may = request.user.has_perm
    named = Feed.objects.filter(name__icontains=words) | Feed.objects.filter(slug__icontains=words)
    for feed in named.order_by("name")[:SHOWN_OF_EACH]:
        if may("catalog.view_feed"):
            link = reverse("admin:catalog_feed_change", args=[feed.pk])
            yield SearchResult(feed.name, _("feed"), link, "rss_feed")
        if may("catalog.add_importrun"):
            title = _("Import into %(feed)s") % {"feed": feed}
            link = f"{reverse('admin:catalog_product_import')}?{urlencode({'feed': feed.pk})}"
            yield SearchResult(title, _("action"), link, "upload")


def _imports(words: str) -> Iterator[SearchResult]:
    """By its number, with or without what people write before it; else by the name of its file, the newest first."""
    number = key_in(words.lower().removeprefix("import").strip().removeprefix("#"))
    runs = ImportRun.objects.select_related("feed").defer("names", "coverage", "metrics", "history").order_by("-pk")
    found = runs.filter(pk=number) if number is not None else runs.filter(file_name__icontains=words)
    for run in found[:SHOWN_OF_EACH]:
        link = reverse("admin:catalog_importrun_change", args=[run.pk])
        yield SearchResult(
            _("Import %(number)s") % {"number": run.pk}, f"{run.feed} · {run.file_name}", link, "fact_check"
        )


def _products(request: HttpRequest, words: str) -> Iterator[SearchResult]:
    """Those of the chosen market whose id is or begins as typed, then those that the list's search finds."""
    market = market_of(request)
    products = Product.objects.active().select_related("market")
    in_market = products.in_market(market.pk)
    begun = list(in_market.filter(id__startswith=words).order_by("id")[:SHOWN_OF_EACH])
    found = products.search(words, market=market.pk).order_by("id") if len(begun) < SHOWN_OF_EACH else products.none()
    known = {product.key: product for product in (*begun, *found[:SHOWN_OF_EACH])}
    for product in list(known.values())[:SHOWN_OF_EACH]:
        said = " · ".join(filter(None, (product.id, product.brand, str(market))))
        yield SearchResult(str(product), said, product_url(product.id, market), "inventory_2")
