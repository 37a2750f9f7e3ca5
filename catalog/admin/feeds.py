"""Feeds and their settings."""

from django.contrib import admin
from django.db import models
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.models import Feed


@admin.register(Feed)
class FeedAdmin(ModelAdmin):
    list_display = ["name", "slug", "mode", "auto_apply", "default_currency"]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": ["name", "slug"]}),
        (_("Its imports"), {"fields": ["mode", "auto_apply", "default_currency"]}),
    ]
