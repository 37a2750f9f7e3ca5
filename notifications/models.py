"""E-mails to people: one row is one message to one person."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """Waiting → sent; or refused for good, no longer wanted, or too old to be sent unasked."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Not delivered")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    PARKED = "parked", _("Parked")


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self) -> "MessageQuerySet":
        """Messages to send now, the longest waiting first; by the database's clock."""
        return self.filter(status=Status.WAITING, next_try__lte=Now()).order_by("next_try", "told_at")

    def rendered(self) -> "MessageQuerySet":
        """Messages that can be sent: without those whose templates failed."""
        return self.exclude(html="")


class Message(models.Model):
    """One e-mail to one person, rendered when it was written: it says what was true then, however late it is sent.

    Only its secrets are in no row: they are made for each attempt, and stand in the text as `rendering.HIDDEN`.

    The row waits for a sender, and stays as the record. Its id is in the mail's Message-ID, so that a mail that had to
    be sent twice is recognised as the same one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.TextField(_("message"), help_text=_("A folder in templates/emails."))
    about = models.TextField(_("about"), help_text=_("What it is about, for example catalog.importrun:12."))
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("recipient")
    )
    address = models.TextField(_("address"), help_text=_("Where it is sent."))
    subject = models.TextField(_("subject"))
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"))
    attachments = models.JSONField(default=list, help_text=_("Each with its name, type and text."))
    request_id = models.TextField(blank=True, default="", db_default="", editable=False)  # that it comes from

    status = models.TextField(_("status"), choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try = models.DateTimeField(_("next attempt"), db_default=Now())
    last_error = models.TextField(_("last error"), blank=True, default="")
    told_at = models.DateTimeField(_("written"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"), null=True)
    failed_at = models.DateTimeField(_("given up"), null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-told_at"]
        verbose_name = _("message")
        default_permissions = ("view",)
        permissions = [("resend_message", "Can send a message again")]
        constraints = [
            models.UniqueConstraint(fields=["name", "about", "recipient"], name="message_told_once"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="message_status_known"),
            models.CheckConstraint(
                condition=Q(status=Status.SENT, sent_at__isnull=False) | ~Q(status=Status.SENT),
                name="message_sent_when",
            ),
        ]
        indexes = [
            # the senders: what is due
            models.Index("next_try", name="message_waiting", condition=Q(status=Status.WAITING)),
            # the admin's list: the latest first
            models.Index(fields=["-told_at"], name="message_latest"),
        ]

    def __str__(self) -> str:
        return self.subject


class Outage(models.Model):
    """Why no mail can be sent: one row while the mail server takes none, no row while it does.

    Senders leave the server alone until `next_try`, so that a wrong password is not tried once for each message.
    """

    PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))  # the last one again and again

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    reason = models.TextField(_("reason"))
    since = models.DateTimeField(_("since"), db_default=Now())
    tries = models.PositiveIntegerField(_("attempts"), default=0)
    next_try = models.DateTimeField(_("next attempt"), db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="outage_only_one")]

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def allows(cls) -> bool:
        """Whether the caller may use the mail server now.

        During an outage one sender may, when the next attempt is due; this plans the attempt after it.
        """
        with transaction.atomic():
            outage = cls.objects.select_for_update().filter(next_try__lte=Now()).first()
            if outage is None:
                return not cls.objects.exists()
            outage.next_try = Now() + cls.PAUSES[min(outage.tries, len(cls.PAUSES) - 1)]
            outage.tries += 1
            outage.save()
        return True

    @classmethod
    def begin(cls, reason: str) -> "Outage":
        """The server could not be used."""
        first = {"reason": reason, "tries": 1, "next_try": Now() + cls.PAUSES[0]}
        outage, _made = cls.objects.update_or_create(pk=1, defaults={"reason": reason}, create_defaults=first)
        return outage

    @classmethod
    def end(cls) -> None:
        """The server takes mail. What waited for it is due from now on, so that it does not count as old news."""
        with transaction.atomic():
            over, _of_each = cls.objects.all().delete()
            if over:
                Message.objects.due().update(next_try=Now())


class Digest(models.TextChoices):
    OFF = "off", _("Never")
    DAILY = "daily", _("Every day")
    WEEKLY = "weekly", _("Once a week")


class Weekday(models.IntegerChoices):
    """As `date.weekday()` counts."""

    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


class Preference(models.Model):
    """Which messages one person wants, and when the digest comes.

    `choices` has only what the person decided, by the messages' names; `subscriptions.wants_message` knows the rest.
    Everything before `digested_until` was in an earlier digest, or there was nothing to say.
    """

    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="mail_preference")
    choices = models.JSONField(default=dict)
    digest = models.TextField(_("digest"), choices=Digest, default=Digest.OFF)
    hour = models.PositiveSmallIntegerField(_("hour"), default=8)
    weekday = models.PositiveSmallIntegerField(_("day of the week"), choices=Weekday, default=Weekday.MONDAY)
    time_zone = models.TextField(_("time zone"))
    digested_until = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(digest__in=Digest.values), name="preference_digest_known"),
            models.CheckConstraint(condition=Q(hour__lte=23), name="preference_hour_of_a_day"),
            models.CheckConstraint(condition=Q(weekday__in=Weekday.values), name="preference_weekday_known"),
        ]

    def __str__(self) -> str:
        return f"e-mail choices of {self.person}"
