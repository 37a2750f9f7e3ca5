"""Filters of the lists."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.admin.tabs import key_in
from catalog.chosen_market import market_of, markets_of
from catalog.models import CatalogState, Change, Operation, Outcome, Product, ProductIssues
from catalog.models.product import ProductQuerySet
from catalog.version_cache import compute_once

MAX_CHOICES = 2000  # of brands and categories; others are found by their words


class ArchivedFilter(admin.SimpleListFilter):
    """Active products unless asked otherwise."""

    title = _("archive")
    parameter_name = "archive"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        return [("archived", _("Archived")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("Active")}
        yield from others

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "archived")


class MissingFilter(admin.SimpleListFilter):
    """Products whose id another market does not have on its list. Not shown while there is one market."""

    title = _("missing in")
    parameter_name = "missing_in"

    def lookups(self, request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        return [(market.code, market.name) for market in markets_of(request) if market != market_of(request)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        market = next((market for market in markets_of(request) if market.code == self.value()), None)
        if market is None:
            return queryset
        there = Product.objects.in_market(market.pk).active().filter(id=OuterRef("id"))
        return queryset.filter(~Exists(there))


# --- what is typed or chosen from many ------------------------------------------------------------------
class ChoiceOfMany(DropdownFilter):
    """A value of the market's active products: a list in which people search. Nothing is shown where there is none."""

    def lookups(self, request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        market = market_of(request).pk
        known = compute_once(market, CatalogState.current(market), self.cached_as, lambda: self.known_values(market))
        asked = request.GET.get(self.parameter_name or "", "").replace("\x00", "")
        shown = known[:MAX_CHOICES]
        return [(value, value) for value in ([asked] if asked and asked not in shown else []) + shown]

    cached_as = ""

    def known_values(self, market: int) -> list[str]:
        raise NotImplementedError


class BrandFilter(ChoiceOfMany):
    title = _("brand")
    parameter_name = "brand"
    cached_as = "brands"  # as the API's

    def known_values(self, market: int) -> list[str]:
        return Product.brands(market)

    def queryset(self, _request: HttpRequest, queryset: ProductQuerySet) -> ProductQuerySet:
        return queryset.of_brands([self.value()]) if self.value() else queryset


class CategoryFilter(ChoiceOfMany):
    title = _("category")
    parameter_name = "category"
    cached_as = "categories"

    def known_values(self, market: int) -> list[str]:
        return Product.categories(market, MAX_CHOICES)

    def queryset(self, _request: HttpRequest, queryset: ProductQuerySet) -> ProductQuerySet:
        return queryset.of_category(self.value()) if self.value() else queryset


class PriceForm(forms.Form):
    price_from = forms.CharField(
        label=_("Price from"), required=False, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
    )
    price_to = forms.CharField(
        label=_("Price to"), required=False, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
    )


class PriceFilter(admin.ListFilter):
    """From one amount to another. What is no amount is no limit, and stays in its box."""

    title = _("price")
    template = "unfold/filters/filters_field.html"
    names = ("price_from", "price_to")

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def choices(self, _changelist: Any) -> Iterator[dict[str, Any]]:
        yield {"form": PriceForm(self.used_parameters)}

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        limits = zip(("price__gte", "price__lte"), self.names, strict=True)
        amounts = {lookup: _amount_in(str(self.used_parameters.get(name, ""))) for lookup, name in limits}
        return queryset.filter(**{lookup: amount for lookup, amount in amounts.items() if amount is not None})


def _amount_in(text: str) -> Decimal | None:
    try:
        amount = Decimal(text.replace(",", "").strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < 10**12 else None


class ImportFilter(TextFilter):
    """The products that an import has made or changed, by its number, and that it was not undone for."""

    title = _("import that changed them")
    parameter_name = "import"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        if not self.value():
            return queryset
        number = key_in((self.value() or "").strip().removeprefix("#"))
        made = (Outcome.APPLIED, Outcome.KEPT)
        changes = Change.objects.filter(run=number or 0, market=market_of(request), outcome__in=made)
        changed = changes.exclude(operation=Operation.KEEP)
        return queryset.filter(id__in=changed.values("product_id"))


# --- yes or no ------------------------------------------------------------------------------------------
class MarkFilter(admin.SimpleListFilter):
    """Products that have a mark, or all."""

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return self.marked(request, queryset) if self.value() == "yes" else queryset

    def marked(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        raise NotImplementedError


class IssuesFilter(MarkFilter):
    title = _("issues in its last import")
    parameter_name = "issues"

    def marked(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        noted = ProductIssues.objects.filter(market=market_of(request))
        return queryset.filter(id__in=noted.values("product_id"))


class PinnedFilter(MarkFilter):
    title = _("pinned fields")
    parameter_name = "has_pins"

    def marked(self, _request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return queryset.exclude(pinned=[])


class EditedFilter(MarkFilter):
    title = _("edited by a person")
    parameter_name = "edited"

    def marked(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        edits = Change.objects.filter(run=None, market=market_of(request)).exclude(operation=Operation.CREATE)
        return queryset.filter(id__in=edits.values("product_id"))


class VariantsFilter(MarkFilter):
    """One row for each group of variants: `ProductList` sees to it once everything else is filtered."""

    title = _("one row for each group of variants")
    parameter_name = "grouped"

    def marked(self, _request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return queryset


class GroupFilter(admin.SimpleListFilter):
    """The variants of one group: where the links of the grouped list lead."""

    title = _("group of variants")
    parameter_name = "group"

    def lookups(self, request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        group = request.GET.get("group", "").replace("\x00", "")
        return [(group, group)] if group else []

    def queryset(self, _request: HttpRequest, queryset: ProductQuerySet) -> ProductQuerySet:  # type: ignore[override]
        return queryset.of_groups(self.value()) if self.value() else queryset


MAX_NAMED = 200  # products in an address


class NamedFilter(admin.SimpleListFilter):
    """Products by their keys: those that were chosen in the list. Not shown; the address says it."""

    title = _("chosen products")
    parameter_name = "only"

    def has_output(self) -> bool:
        return self.value() is not None

    def lookups(self, request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        return [(request.GET.get("only", ""), _("Only those"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        if self.value() is None:
            return queryset
        keys = [key_in(text) for text in (self.value() or "").split(",")[:MAX_NAMED]]
        return queryset.filter(key__in=[key for key in keys if key is not None])
