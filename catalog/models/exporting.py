"""Exports that a worker makes, because they are too long to wait for."""

from django.conf import settings
from django.db import models
from django.db.models.functions import MD5, Now
from django.utils.translation import gettext_lazy as _

from catalog.models.market import Market


class ExportStatus(models.TextChoices):
    """Waiting → making, then one of the others for good."""

    WAITING = "waiting", _("Waiting")
    MAKING = "making", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


OPEN_EXPORTS = (ExportStatus.WAITING, ExportStatus.MAKING)


class Export(models.Model):
    """A list of products as a file, for the person who asked for it. The row is the job of a worker.

    `query` is what the address of the list says: which products it shows. `claims` counts how often a worker began.
    """

    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("asked by")
    )
    market = models.ForeignKey(Market, models.CASCADE, related_name="+", verbose_name=_("market"))
    format = models.TextField(_("format"))
    query = models.TextField(blank=True, default="")
    status = models.TextField(_("status"), choices=ExportStatus, default=ExportStatus.WAITING)
    code = models.TextField(blank=True, default="")
    sentence = models.TextField(_("in words"), blank=True, default="")
    products = models.BigIntegerField(_("products"), default=0)
    expected = models.BigIntegerField(null=True)
    file = models.FileField(_("file"), blank=True, default="", max_length=200)
    file_size = models.BigIntegerField(_("size"), null=True)
    claims = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(_("asked for"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=ExportStatus.values), name="export_status_known"),
            # asked for twice, it is made once
            models.UniqueConstraint(
                "by",
                "market",
                "format",
                MD5("query"),  # an index holds no long texts
                condition=models.Q(status__in=OPEN_EXPORTS),
                name="export_one_open",
            ),
        ]
        indexes = [
            # the list of a person's own
            models.Index(fields=["by", "-id"], name="export_latest_of_person"),
            # the sweep: what waits for a worker
            models.Index("created_at", name="export_open", condition=models.Q(status__in=OPEN_EXPORTS)),
        ]

    def __str__(self) -> str:
        return f"Export {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_EXPORTS
