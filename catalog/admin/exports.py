"""My exports: those that a worker makes because they are long, how far they are, and their files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET
from unfold.admin import ModelAdmin
from unfold.decorators import display

from catalog.admin.markets import AllMarketsList
from catalog.admin.tabs import key_in
from catalog.exports.export import PERMISSIONS
from catalog.exports.formats import FORMATS
from catalog.models import Export, ExportStatus

STATUS_COLORS = {
    ExportStatus.WAITING: "info",
    ExportStatus.MAKING: "info",
    ExportStatus.READY: "success",
    ExportStatus.FAILED: "danger",
}
LATE_AFTER = timedelta(minutes=2)


@admin.register(Export)
class ExportAdmin(ModelAdmin):
    """Everybody sees their own, superusers all. What is seen here can be downloaded."""

    list_display = [
        "shown_number",
        "shown_format",
        "market",
        "shown_status",
        "shown_products",
        "shown_size",
        "created_at",
    ]
    list_display_links = ["shown_number"]
    list_filter = ["status"]
    list_select_related = ["market", "by"]
    list_per_page = 50

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return all(request.user.has_perm(permission) for permission in PERMISSIONS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an export starts on the products' page

    def has_change_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return False  # they go when their days are over

    def get_queryset(self, request: HttpRequest) -> Any:
        exports = super().get_queryset(request)
        return exports if request.user.is_superuser else exports.filter(by=request.user)

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*self.list_display, *(["by"] if request.user.is_superuser else [])]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return AllMarketsList

    def get_urls(self) -> list[URLPattern]:
        live, file = (self.admin_site.admin_view(require_GET(view)) for view in (self.live_view, self.file_view))
        return [
            path("<int:pk>/live/", live, name="catalog_export_live"),
            path("<int:pk>/file/", file, name="catalog_export_file"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = _("Exports") if request.user.is_superuser else _("My exports")
        page: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "title": title})
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """How far it is, or its file."""
        export = self._find_export(request, key_in(object_id) or 0)
        context = {**self.admin_site.each_context(request), "title": str(export), "opts": self.opts}
        return render(request, "admin/catalog/export/export.html", {**context, **self._facts_of(export)})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._find_export(request, key_in(object_id) or 0)
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        return page

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part of the page, asked for every second until the export ends."""
        export = self._find_export(request, pk)
        response = render(request, "admin/catalog/export/_live.html", self._facts_of(export))
        if not export.is_open:
            response["HX-Refresh"] = "true"
        return response

    def file_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The file, to be saved: whatever it is, no browser shows or runs it here."""
        export = self._find_export(request, pk)
        if export.status != ExportStatus.READY:
            raise Http404
        try:
            file = export.file.open("rb")
        except (OSError, ValueError):  # ValueError: it has no name
            messages.warning(request, _("The storage does not have the file. Export again."))
            return redirect("admin:catalog_export_change", export.pk)
        chosen = FORMATS[export.format]
        name = f"products-{export.market.code}-{timezone.localtime(export.created_at):%Y-%m-%d}.{chosen.extension}"
        headers = {"X-Content-Type-Options": "nosniff"}
        return FileResponse(file, as_attachment=True, filename=name, content_type=chosen.content_type, headers=headers)

    def _find_export(self, request: HttpRequest, pk: int) -> Export:
        """Nobody learns that there is another person's."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        export: Export | None = self.get_queryset(request).select_related("market", "by").filter(pk=pk).first()
        if export is None:
            raise Http404
        return export

    def _facts_of(self, export: Export) -> dict[str, Any]:
        days = settings.RETENTION_EXPORTS_DAYS
        is_late = export.status == ExportStatus.WAITING and timezone.now() - export.created_at > LATE_AFTER
        return {
            "export": export,
            "format": FORMATS[export.format].title,
            "status_color": STATUS_COLORS[ExportStatus(export.status)],
            "is_late": is_late,
            "kept_until": export.finished_at + timedelta(days=days) if export.finished_at and days else None,
        }

    @display(description=_("export"), ordering="id")
    def shown_number(self, export: Export) -> str:
        return f"#{export.pk}"

    @display(description=_("format"), ordering="format")
    def shown_format(self, export: Export) -> str:
        return FORMATS[export.format].title

    @display(description=_("status"), ordering="status", label={s.label: color for s, color in STATUS_COLORS.items()})
    def shown_status(self, export: Export) -> str:
        return export.get_status_display()

    @display(description=_("products"), ordering="products")
    def shown_products(self, export: Export) -> str:
        return f"{export.products:,}"

    @display(description=_("size"), ordering="file_size")
    def shown_size(self, export: Export) -> str:
        return "–" if export.file_size is None else str(filesizeformat(export.file_size))
