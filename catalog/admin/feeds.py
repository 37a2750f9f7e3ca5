"""Feeds and their settings."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.admin.differences import product_facts
from catalog.admin.feed_health import feed_health
from catalog.admin.markets import MarketList
from catalog.admin.sources import SourceForm, arrival_context
from catalog.chosen_market import has_several_markets
from catalog.errors import CatalogError, NotAllowed
from catalog.feeds.attributes import BY_NAME
from catalog.feeds.issues import code_named
from catalog.fetching.edit import forget_host_key, keep_host_key, remove_source, resume_schedule
from catalog.fetching.fetch import request_fetch
from catalog.fetching.probe import probe
from catalog.fetching.sources import shown_address
from catalog.models import Feed, FeedSource, FetchReason


class AliasRows(forms.Widget):
    """A row for each name with the attribute that it stands for, and some that are empty."""

    SPARE_ROWS = 3

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        pairs = [*(value if isinstance(value, list) else sorted((value or {}).items())), *[("", "")] * self.SPARE_ROWS]
        labels = {"name": _("Name in the file"), "attribute": _("Attribute")}
        rows = format_html_join(
            "\n",
            '<div class="pair"><input type="text" name="{0}_name" value="{1}" aria-label="{2}" dir="auto">'
            '<span aria-hidden="true">→</span><select name="{0}_attribute" aria-label="{3}">{4}</select></div>',
            [(name, text, labels["name"], labels["attribute"], self._options(chosen)) for text, chosen in pairs],
        )
        return format_html('<div class="pairs">{}</div>', rows)

    def _options(self, chosen: str) -> SafeString:
        names = ["", *sorted({*BY_NAME, chosen} - {""})]
        options = ((name, " selected" if name == chosen else "") for name in names)
        return format_html_join("", '<option value="{0}"{1}>{0}</option>', options)

    def value_from_datadict(self, data: Any, _files: Any, name: str) -> list[tuple[str, str]]:
        names, attributes = data.getlist(f"{name}_name"), data.getlist(f"{name}_attribute")
        pairs = [(text.strip(), attribute) for text, attribute in zip(names, attributes, strict=False)]
        return [pair for pair in pairs if any(pair)]

    def value_omitted_from_data(self, data: Any, _files: Any, name: str) -> bool:
        return f"{name}_name" not in data

    def id_for_label(self, _id: str) -> str:
        return ""  # each box has a label of its own


class AliasesField(forms.Field):
    widget = AliasRows

    def clean(self, value: list[tuple[str, str]]) -> dict[str, str]:
        """What the names stand for; the model says what is wrong with one."""
        names = [name for name, _attribute in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise forms.ValidationError(_('"%(name)s" stands here twice. Keep one of them.') % {"name": twice})
        return dict(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return dict(data) != (initial or {}) or len(data) != len(dict(data))


class FeedForm(forms.ModelForm):  # type: ignore[type-arg]
    aliases = AliasesField(
        label=_("Names of its own"),
        required=False,
        help_text=_("Names of elements and columns that only this shop uses, each with its attribute."),
    )


@admin.register(Feed)
class FeedAdmin(ModelAdmin):
    """Their market is shown once there are several."""

    form = FeedForm
    list_display = ["name", "slug", "mode", "auto_apply", "default_currency", "domain"]
    formfield_overrides = {
        models.TextField: {"widget": UnfoldAdminTextInputWidget},
    }
    search_fields = ["name", "slug"]
    change_form_outer_before_template = "admin/catalog/feed/_page.html"
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

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return MarketList

    def get_fieldsets(self, request: HttpRequest, obj: Feed | None = None) -> Any:
        (title, first), *others = super().get_fieldsets(request, obj)
        if has_several_markets(request):
            first = {**first, "fields": [*first["fields"], "market"]}
        return [(title, first), *others]

    def get_urls(self) -> list[URLPattern]:
        def page_path(address: str, view: Callable[..., HttpResponse], url_name: str) -> URLPattern:
            page: URLPattern = path(address, self.admin_site.admin_view(view), name=f"catalog_feed_{url_name}")
            return page

        return [
            page_path("<int:pk>/source/", self.source_view, "source"),
            page_path("<int:pk>/source/test/", require_POST(self.test_view), "source_test"),
            page_path("<int:pk>/source/remove/", require_POST(self.remove_view), "source_remove"),
            page_path("<int:pk>/source/keep-key/", require_POST(self.keep_key_view), "source_keep_key"),
            page_path("<int:pk>/source/forget-key/", require_POST(self.forget_key_view), "source_forget_key"),
            page_path("<int:pk>/source/resume/", require_POST(self.resume_view), "source_resume"),
            page_path("<int:pk>/fetch/", require_POST(self.fetch_view), "fetch"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: Any, **options: Any) -> HttpResponse:
        feed = options.get("obj")
        if feed is not None:
            context["arrival"] = arrival_context(request, feed)
            context["health"] = feed_health(request, feed)
        page: HttpResponse = super().render_change_form(request, context, **options)
        return page

    # --- where it comes from ----------------------------------------------------------------------

    def _find_feed(self, request: HttpRequest, pk: int) -> Feed:
        feed = get_object_or_404(Feed, pk=pk)
        if not self.has_change_permission(request, feed):
            raise PermissionDenied
        return feed

    @method_decorator(sensitive_post_parameters("username", "secret", "private_key", "passphrase"))
    def source_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The form of the source. Posted, it is saved; with *Save and test* it is tried at once."""
        feed = self._find_feed(request, pk)
        source = FeedSource.objects.select_related("feed", "job").filter(feed=feed).first()
        form = SourceForm(request.POST or None, feed, source)
        if request.method == "POST" and form.is_valid() and (saved := form.save(request.user)):
            self.log_change(request, feed, [{"changed": {"fields": [str(_("source"))]}}])
            if "test" in request.POST:
                return self._render_test(request, saved)
            messages.success(request, _("Saved."))
            return redirect("admin:catalog_feed_change", feed.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Where %(feed)s comes from") % {"feed": feed},
            "opts": self.model._meta,
            "feed": feed,
            "source": source,
            "form": form,
            "has_no_keys": not settings.FEED_CREDENTIAL_KEYS,
            "fieldsets": [(title, [form[name] for name in names]) for title, names in SOURCE_FIELDS],
        }
        return render(request, "admin/catalog/feed/source.html", context)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        feed = self._find_feed(request, pk)
        return self._render_test(request, get_object_or_404(FeedSource.objects.select_related("feed"), feed=feed))

    def _render_test(self, request: HttpRequest, source: FeedSource) -> HttpResponse:
        report = probe(source, by=request.user)
        item = report.item
        context = {
            **self.admin_site.each_context(request),
            "title": _("Test of %(feed)s") % {"feed": source.feed},
            "opts": self.model._meta,
            "feed": source.feed,
            "address": shown_address(source),
            "report": report,
            "fields": list(product_facts({**item.values, "extra": item.extra}, item.values.get("currency", "")))
            if item
            else [],
            "issues": [(issue, code_named(issue.code, issue.severity)) for issue in item.issues] if item else [],
        }
        return render(request, "admin/catalog/feed/test.html", context)

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        feed = self._find_feed(request, pk)
        remove_source(feed, by=request.user)
        self.log_change(request, feed, [{"changed": {"fields": [str(_("source"))]}}])
        messages.success(request, _("The source is removed. The feed takes uploads only."))
        return redirect("admin:catalog_feed_change", feed.pk)

    def keep_key_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Somebody has compared the server's key: from now on we log in to the server that has it."""
        feed = self._find_feed(request, pk)
        try:
            keep_host_key(feed, request.POST.get("key", ""), by=request.user)
        except CatalogError as refused:
            messages.warning(request, refused.message)
            return redirect("admin:catalog_feed_source", feed.pk)
        self.log_change(request, feed, [{"changed": {"fields": [str(_("the server's key"))]}}])
        return self.test_view(request, pk)

    def forget_key_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        feed = self._find_feed(request, pk)
        forget_host_key(feed, by=request.user)
        messages.success(request, _("The key is forgotten. Test the connection to see the server's new one."))
        return redirect("admin:catalog_feed_source", feed.pk)

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        feed = self._find_feed(request, pk)
        resume_schedule(feed, by=request.user)
        messages.success(request, _("The schedule goes on."))
        return redirect("admin:catalog_feed_change", feed.pk)

    def fetch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Have the file fetched now, for people who may upload."""
        feed = get_object_or_404(Feed, pk=pk)
        try:
            request_fetch(feed, by=request.user, reason=FetchReason.PERSON)
        except NotAllowed as refused:
            raise PermissionDenied from refused
        except CatalogError as refused:
            messages.warning(request, refused.message)
        else:
            messages.success(request, _("The file is being fetched. What comes of it will be here in a moment."))
        return redirect("admin:catalog_feed_change", feed.pk)


SOURCE_FIELDS = [
    (_("Where"), ["address", "pattern", "marker"]),
    (_("Login"), ["kind", "username", "secret", "private_key", "passphrase"]),
    (_("Only for S3"), ["endpoint", "region"]),
    (_("Schedule"), ["when", "at", "days", "time_zone", "minutes", "expected_hours"]),
]
