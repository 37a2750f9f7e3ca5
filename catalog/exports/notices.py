"""The mail about an export that a worker made."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from catalog.exports.formats import FORMATS
from catalog.models import Export, ExportStatus
from notifications.outbox import tell
from notifications.rendering import public_url
from notifications.subscriptions import Kind, has_declined

FINISHED = "export_finished"
KINDS = (Kind(FINISHED, _("Export finished"), _("Where an export is that you asked for."), "catalog.export_product"),)


def notify_finished(export: Export) -> None:
    """The person who asked for it, unless they want no such mail. Call it in the transaction that ends the export."""
    if export.by is None or not export.by.is_active or has_declined(export.by, FINISHED):
        return
    context = {
        "export": export,
        "format": FORMATS[export.format].title,
        "is_ready": export.status == ExportStatus.READY,
        "days": settings.RETENTION_EXPORTS_DAYS,
        "url": public_url(reverse("admin:catalog_export_change", args=[export.pk])),
    }
    tell([export.by], FINISHED, export, context)
