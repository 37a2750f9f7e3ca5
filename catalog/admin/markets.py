"""Markets, and the lists that are of one of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.chosen_market import MARKET, has_several_markets, market_of
from catalog.models import Market


class MarketList(ChangeList):
    """A list of what belongs to the chosen market. `path` leads from a row to its market; "" keeps all rows."""

    path = "market"

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        self.market = market_of(request)
        super().__init__(request, *args, **options)

    def get_filters_params(self, params: Any = None) -> Any:
        """The market is not a filter: it decides which rows there are."""
        return {name: value for name, value in super().get_filters_params(params).items() if name != MARKET}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        rows = super().get_queryset(request, exclude_parameters)
        return rows.filter(**{self.path: self.market}) if self.path and has_several_markets(request) else rows

    def get_results(self, request: HttpRequest) -> None:
        """Without a search or filter nothing is left out: rows of other markets are no results that are missing."""
        super().get_results(request)
        if not self.query and not self.get_filters_params():
            self.full_result_count = self.result_count


class RunList(MarketList):
    path = "feed__market"


class AllMarketsList(MarketList):
    path = ""


class FeedsOfMarket(admin.RelatedFieldListFilter):
    """The feeds of the chosen market."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return field.get_choices(include_blank=False, limit_choices_to={"market": market_of(request)})


@admin.register(Market)
class MarketAdmin(ModelAdmin):
    list_display = ["name", "code", "country", "language", "currency"]
    fields = ["name", "code", "country", "language", "currency"]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}

    def has_delete_permission(self, request: HttpRequest, obj: Market | None = None) -> bool:
        """The default market stays. Another one goes when it has no feed and no product, which Django sees to."""
        return super().has_delete_permission(request, obj) and not (obj and obj.is_default)

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return AllMarketsList

    def get_actions(self, request: HttpRequest) -> Any:
        """Deleting several at once would take the default market, too."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}
