"""Filters of the lists."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.chosen_market import market_of, markets_of
from catalog.models import Product


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
