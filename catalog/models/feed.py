"""Where products come from."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Mode(models.TextChoices):
    """What an import may do. Each label is the sentence that people choose by."""

    ADD = "add", _("Add new products, leave existing ones as they are")
    UPDATE = "update", _("Add new products and change existing ones")
    SYNC = "sync", _("Add, change, and archive this feed's products that are missing from the file")


class Feed(models.Model):
    """A named source of products, with the settings its imports start from."""

    name = models.TextField(_("name"))
    slug = models.SlugField(_("short name"), unique=True, help_text=_("For the command line: import_feed --feed …"))
    mode = models.TextField(_("mode"), choices=Mode, default=Mode.UPDATE, help_text=_("Proposed for each new import."))
    auto_apply = models.BooleanField(
        _("apply without asking"), default=False, help_text=_("Apply an import as soon as its plan is made.")
    )
    default_currency = models.CharField(
        _("default currency"),
        max_length=3,
        blank=True,
        validators=[RegexValidator(r"\A[A-Z]{3}\Z", _("Three capital letters, as in AED."))],
        help_text=_("The ISO 4217 code for prices that come without one, as in AED."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="feed_mode_known")]

    def __str__(self) -> str:
        return self.name
