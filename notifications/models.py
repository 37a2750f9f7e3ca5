"""What people are told by e-mail: one row is one message to one person."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """Where a message is: waiting → sent, or refused for good, or not wanted any more."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Not delivered")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self) -> "MessageQuerySet":
        """What should be on its way by now, the longest waiting first; by the database's clock."""
        return self.filter(status=Status.WAITING, next_try__lte=Now()).order_by("next_try")


class Message(models.Model):
    """One e-mail to one person, worded when it was told: it says what was true then, however late it is sent.

    The row waits for a sender, and stays as the record of what was said. Its id is in the mail's Message-ID, so that a
    mail that had to be sent again is known as the same one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.TextField(_("message"), help_text=_("Which one: a folder in templates/emails."))
    about = models.TextField(_("about"), help_text=_("What it is about, as in catalog.importrun:12."))
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("recipient")
    )
    address = models.TextField(_("address"), help_text=_("Where it goes, or went."))
    subject = models.TextField(_("subject"))
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"))
    attachments = models.JSONField(default=list, help_text=_("Each with its name, type and text."))

    status = models.TextField(_("status"), choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try = models.DateTimeField(_("next attempt"), db_default=Now())
    last_error = models.TextField(_("last error"), blank=True, default="")
    told_at = models.DateTimeField(_("told"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"), null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-told_at"]
        verbose_name = _("message")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["name", "about", "recipient"], name="message_told_once"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="message_status_known"),
        ]
        indexes = [
            # the senders: what is due
            models.Index("next_try", name="message_waiting", condition=Q(status=Status.WAITING)),
            # the admin's list: the latest first
            models.Index(fields=["-told_at"], name="message_latest"),
        ]

    def __str__(self) -> str:
        return self.subject
