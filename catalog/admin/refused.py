"""Files that were refused when they were uploaded: a list beside that of the imports."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from catalog.admin.markets import AllMarketsList
from catalog.models import RefusedFile

SHOWN_CHARS = 60  # of its beginning, in the list


def count_refused() -> int:
    """How many refused files are known, those that were only counted among them."""
    total = RefusedFile.objects.aggregate(rows=Count("pk"), more=Sum("more", default=0))
    return int(total["rows"] + total["more"])


@admin.register(RefusedFile)
class RefusedFileAdmin(ModelAdmin):
    """For people who may look at imports."""

    list_display = ["refused_at", "feed", "uploaded_by", "shown_file", "shown_size", "sentence", "shown_start"]
    list_display_links = ["refused_at", "shown_file"]
    list_filter = ["feed", "code"]
    list_select_related = ["feed", "uploaded_by"]
    list_per_page = 50
    search_fields = ["file_name", "sentence"]
    list_before_template = "admin/catalog/importrun/_lists.html"
    fields = ["refused_at", "feed", "uploaded_by", "file_name", "shown_size", "sentence", "code", "whole_start", "more"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {**(extra_context or {}), "refused_count": count_refused()}
        page: HttpResponse = super().changelist_view(request, context)
        return page

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return AllMarketsList  # some were meant for no feed

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: RefusedFile | None = None) -> bool:
        return bool(request.user.has_perm("catalog.view_importrun"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RefusedFile | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RefusedFile | None = None) -> bool:
        return False

    @display(description=_("file name"), ordering="file_name")
    def shown_file(self, file: RefusedFile) -> str:
        return f"{file.file_name} (+{file.more:,})" if file.more else file.file_name

    @display(description=_("size"), ordering="file_size")
    def shown_size(self, file: RefusedFile) -> str:
        return str(filesizeformat(file.file_size))

    @display(description=_("begins with"))
    def shown_start(self, file: RefusedFile) -> SafeString:
        return format_html("<code>{}</code>", Truncator(" ".join(file.start.split())).chars(SHOWN_CHARS) or "–")

    @display(description=_("begins with"))
    def whole_start(self, file: RefusedFile) -> SafeString:
        return format_html('<pre class="start">{}</pre>', file.start or "–")
