"""Where a feed's files come from by themselves, and each time that they were looked for."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from catalog.models.feed import Feed
from catalog.models.runs import ImportRun


class Login(models.TextChoices):
    NONE = "none", _("None")
    PASSWORD = "password", _("User name and password, or an S3 key and its secret")  # what it is
    TOKEN = "token", _("Token (Authorization: Bearer)")
    KEY = "key", _("User name and private key (SFTP)")


class FeedSource(models.Model):
    """Where the files of one feed are. Without such a row a feed has uploads only.

    The address has no login in it. `credentials` are encrypted and belong to one scheme, host and port. `known` is what
    the file was like that was received last; `seen` is the newest one that was not complete at the last look.
    """

    feed = models.OneToOneField(Feed, models.CASCADE, related_name="source")
    address = models.TextField(_("address"))
    pattern = models.TextField(_("pattern"), blank=True, default="")
    marker = models.TextField(_("marker"), blank=True, default="")
    endpoint = models.TextField(_("S3 endpoint"), blank=True, default="")
    region = models.TextField(_("S3 region"), blank=True, default="")
    login = models.TextField(_("login"), choices=Login, default=Login.NONE)
    credentials = models.TextField(blank=True, default="", editable=False)
    host_key = models.TextField(blank=True, default="", editable=False)
    expected_hours = models.PositiveIntegerField(_("a new file within, in hours"), null=True, blank=True, default=48)
    job = models.OneToOneField(PeriodicTask, models.SET_NULL, null=True, related_name="+", editable=False)

    called_at = models.DateTimeField(db_default=Now(), editable=False)
    known = models.JSONField(default=dict, editable=False)
    seen = models.JSONField(null=True, editable=False)
    last_new_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    quiet_told_at = models.DateTimeField(null=True, editable=False)  # since its last new file, to webhooks
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=models.Q(login__in=Login.values), name="feedsource_login_known"),
        ]

    def __str__(self) -> str:
        return f"source of {self.feed}"

    @property
    def quiet_from(self) -> Any:
        """When it counts as quiet unless something new comes; None if nobody expects anything."""
        if not self.expected_hours:
            return None
        return (self.last_new_at or self.created_at) + timedelta(hours=self.expected_hours)


class FetchReason(models.TextChoices):
    SCHEDULE = "schedule", _("Schedule")
    PERSON = "person", _("Fetch now")
    API = "api", _("API")
    SHELL = "shell", _("Shell")


class FetchOutcome(models.TextChoices):
    """Waiting → fetching, and again after a failure; then one of the others for good."""

    WAITING = "waiting", _("Waiting")
    FETCHING = "fetching", _("Fetching")
    NEW = "new", _("New file")
    UNCHANGED = "unchanged", _("Unchanged")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Failed")


OPEN_FETCHES = (FetchOutcome.WAITING, FetchOutcome.FETCHING)
BAD_FETCHES = (FetchOutcome.REFUSED, FetchOutcome.FAILED)


class Fetch(models.Model):
    """One time that a feed's file was looked for, with all of its tries. The row is the job of a worker.

    `tries` counts those that failed, `claims` how often a worker began: more of these are workers that were lost.
    """

    feed = models.ForeignKey(Feed, models.CASCADE, related_name="fetches", verbose_name=_("feed"))
    reason = models.TextField(_("why"), choices=FetchReason)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("asked by")
    )
    outcome = models.TextField(_("outcome"), choices=FetchOutcome, default=FetchOutcome.WAITING)
    code = models.TextField(blank=True, default="")
    sentence = models.TextField(_("in words"), blank=True, default="")
    due_at = models.DateTimeField(_("due"), db_default=Now())
    next_try_at = models.DateTimeField(_("next try"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    claims = models.PositiveSmallIntegerField(default=0)
    seconds = models.FloatField(_("took"), null=True)
    bytes = models.BigIntegerField(_("bytes"), null=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    etag = models.TextField(blank=True, default="")
    file_name = models.TextField(_("file"), blank=True, default="")
    run = models.ForeignKey(ImportRun, models.SET_NULL, null=True, related_name="fetches", verbose_name=_("import"))

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        verbose_name = _("fetch")
        verbose_name_plural = _("fetches")
        constraints = [
            models.CheckConstraint(condition=models.Q(outcome__in=FetchOutcome.values), name="fetch_outcome_known"),
            models.CheckConstraint(condition=models.Q(reason__in=FetchReason.values), name="fetch_reason_known"),
            models.UniqueConstraint(
                fields=["feed"], condition=models.Q(outcome__in=OPEN_FETCHES), name="fetch_one_open_per_feed"
            ),
        ]
        indexes = [
            # the feed's page: the latest ones
            models.Index(fields=["feed", "-id"], name="fetch_latest_of_feed"),
            # the sweep: what waits for a worker
            models.Index("next_try_at", name="fetch_open", condition=models.Q(outcome__in=OPEN_FETCHES)),
            # the digest, and what is kept for how long
            models.Index("finished_at", name="fetch_finished"),
        ]

    def __str__(self) -> str:
        return f"Fetch {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.outcome in OPEN_FETCHES

    @property
    def late_seconds(self) -> float | None:
        """How long after it was due it first began."""
        return None if self.started_at is None else max((self.started_at - self.due_at).total_seconds(), 0.0)
