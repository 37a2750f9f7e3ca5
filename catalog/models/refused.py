"""Files that were refused at first sight, and so are no imports."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from catalog.models.feed import Feed


class RefusedFile(models.Model):
    """One file that somebody uploaded and that was refused. The file itself is not kept.

    Past a limit within an hour, further files of the same person are only counted, as `more`, with the last one.
    """

    feed = models.ForeignKey(Feed, models.SET_NULL, null=True, related_name="+", verbose_name=_("feed"))
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("uploaded by"),
        db_index=False,  # the index below begins with it
    )
    refused_at = models.DateTimeField(_("refused"), db_default=Now())
    file_name = models.TextField(_("file name"))
    file_size = models.BigIntegerField(_("size"))
    start = models.TextField(_("begins with"), blank=True, help_text=_("Its first bytes, as far as they are text."))
    code = models.TextField(_("code"))
    sentence = models.TextField(_("why"))
    more = models.PositiveIntegerField(
        _("more"), default=0, db_default=0, help_text=_("Refused in the same hour, and only counted.")
    )
    was_mailed = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("refused file")
        default_permissions = ()  # it is looked at with the permission to view imports
        indexes = [
            # the uploader's last hour
            models.Index("uploaded_by", "refused_at", name="refusedfile_of_account"),
            # digests, and what is older than it is kept
            models.Index("refused_at", name="refusedfile_time"),
        ]

    def __str__(self) -> str:
        return self.file_name
