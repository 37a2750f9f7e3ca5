"""Feeds and their settings."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog.admin.markets import markets_of
from catalog.models import Feed


class TextDecoder(json.JSONDecoder):
    """JSON whose texts can be stored and shown: JSON may spell half a character, as "\\ud800"."""

    def decode(self, text: str, *options: Any) -> Any:
        value = super().decode(text, *options)
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise json.JSONDecodeError("Half a character", text, 0) from error
        return value


class FeedForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_aliases(self) -> dict[str, Any]:
        """An empty field is no names, not no object."""
        return self.cleaned_data["aliases"] or {}


@admin.register(Feed)
class FeedAdmin(ModelAdmin):
    """Their market is shown once there are several."""

    form = FeedForm
    list_display = ["name", "slug", "mode", "auto_apply", "default_currency", "domain"]
    formfield_overrides = {
        models.TextField: {"widget": UnfoldAdminTextInputWidget},
        models.JSONField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 4}), "decoder": TextDecoder},
    }
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": ["name", "slug"]}),
        (_("Imports"), {"fields": ["mode", "auto_apply", "may_change_others"]}),
        (
            _("Limits that hold an import for review"),
            {
                "description": _(
                    "An import over a limit is not applied automatically, and confirming it needs a reason. An empty "
                    "limit is off. A few products never hold an import, and a feed's first import is never held."
                ),
                "fields": [
                    "guard_archived",
                    "guard_items",
                    ("guard_price_change", "guard_price_products"),
                    "guard_currency",
                    "guard_out_of_stock",
                    "guard_zero_price",
                    "guard_lost_values",
                    "guard_duplicates",
                    "guard_invalid",
                ],
            },
        ),
        (
            _("Reading files"),
            {
                "fields": [
                    "prefix",
                    "default_currency",
                    "base_url",
                    "domain",
                    "aliases",
                    "table_encoding",
                    "item_element",
                    "table_sheet",
                ]
            },
        ),
    ]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        return [*self.list_display, "market"] if len(markets_of(request)) > 1 else self.list_display

    def get_list_filter(self, request: HttpRequest) -> Any:
        return ["market"] if len(markets_of(request)) > 1 else []

    def get_fieldsets(self, request: HttpRequest, obj: Feed | None = None) -> Any:
        (title, first), *others = super().get_fieldsets(request, obj)
        if len(markets_of(request)) > 1:
            first = {**first, "fields": [*first["fields"], "market"]}
        return [(title, first), *others]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("market")
