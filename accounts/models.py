"""People."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

FIELD_OF_ERROR = {
    "username_taken": "username",
    "username_is_an_email": "username",
    "email_taken": "email",
}


class UserManager(DjangoUserManager["User"]):
    """Creates people whose e-mail address is in lower case."""

    use_in_migrations = False

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The address in lower case, as every lookup at login spells it; `""` for none."""
        return super().normalize_email(email).lower()


class User(AbstractUser):
    """One person: staff of the back office or a user of the API. Logs in by username or e-mail, in any case."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail address"))
    # Mails to others also say what call to make.
    uses_browser = models.BooleanField(default=False, db_default=False, editable=False)

    # When a second factor is due, if the person's rights need one. Not known until that is noticed.
    second_factor_due = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    # The key by which the person's machine sent the request; nobody's own login has one.
    api_key: "ApiKey | None" = None

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),  # two spellings of one name could neither of them log in
                name="user_username_unique_any_case",
                violation_error_code="username_taken",
                violation_error_message=_("A user with that username already exists. Capitals make no difference."),
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique_any_case",
                violation_error_code="email_taken",
                violation_error_message=_("A user with that e-mail address already exists."),
            ),
            models.CheckConstraint(
                condition=Q(email=Lower("email")) & ~Q(email=""),
                name="user_email_given_in_lower_case",
            ),
            models.CheckConstraint(
                # What is typed at login is tried as either, so nobody's name may be another person's address.
                condition=~Q(username__contains="@") | Q(email=Lower("username")),
                name="user_username_nobody_elses_email",
                violation_error_code="username_is_an_email",
                violation_error_message=_("A username with an @ must be the user's own e-mail address."),
            ),
        ]

    def save(self, *args: Any, **options: Any) -> None:
        """As Django's. Deactivating a person ends their logins through the API for good."""
        was_here = not self._state.adding
        super().save(*args, **options)
        if was_here and not self.is_active:
            self.login_sessions.filter(ended_at=None).update(ended_at=timezone.now())

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """As Django's, and through a key no more than its scopes cover."""
        return (self.api_key is None or self.api_key.covers(perm)) and super().has_perm(perm, obj)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """As Django's, with each error at the field it is about instead of at the top of the form."""
        try:
            super().validate_constraints(exclude)
        except ValidationError as error:
            placed: dict[str, list[ValidationError]] = defaultdict(list)
            for field, problems in error.update_error_dict({}).items():
                for problem in problems:
                    placed[FIELD_OF_ERROR.get(problem.code or "", field)].append(problem)
            raise ValidationError(dict(placed)) from error


class LoginSession(models.Model):
    """One login through the API. Every token of it carries its id and is good while the session is open."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="login_sessions")
    # A hash of the user's password hash: a new password closes the session.
    auth_hash = models.CharField(max_length=64, editable=False)
    refresh_id = models.CharField(max_length=32, editable=False)  # of the newest refresh token
    # Of the one before, until the newest pair is used: whoever lost that pair gets it again.
    previous_refresh_id = models.CharField(max_length=32, editable=False, default="", db_default="")
    created_at = models.DateTimeField(_("logged in"), auto_now_add=True)
    refreshed_at = models.DateTimeField(_("last refreshed"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        default_permissions = ("view", "change")
        verbose_name = _("login through the API")
        verbose_name_plural = _("logins through the API")
        indexes = [
            # accounts.sessions.forget_old_logins: logins that nobody can refresh any more.
            models.Index(fields=["refreshed_at"], name="login_session_refreshed"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.created_at:%Y-%m-%d %H:%M}"

    def end(self) -> None:
        """Invalidate every token of this login from now on, in every process."""
        LoginSession.objects.filter(pk=self.pk, ended_at=None).update(ended_at=timezone.now())


class Scope(models.TextChoices):
    """What a key is for. Each covers some permissions, of which it gives those that the owner has."""

    READ = "read", _("read products")
    UPLOAD = "upload", _("upload feeds")
    CONFIRM = "confirm", _("confirm imports")


_IMPORTS = {"catalog.view_importrun", "catalog.view_change", "catalog.view_feed"}
COVERED: dict[str, set[str]] = {
    Scope.READ: {"catalog.view_product", "catalog.export_product", "catalog.view_market"},
    Scope.UPLOAD: {*_IMPORTS, "catalog.add_importrun", "catalog.discard_importrun"},
    Scope.CONFIRM: {*_IMPORTS, "catalog.confirm_importrun", "catalog.undo_importrun", "catalog.discard_importrun"},
}


class ApiKey(models.Model):
    """A key of a machine, which acts for its owner. Only a hash of it is kept."""

    owner = models.ForeignKey(User, models.CASCADE, verbose_name=_("owner"), related_name="api_keys")
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, verbose_name=_("made by"), related_name="+")
    name = models.CharField(_("name"), max_length=100, help_text=_("What uses it, for example the shop's server."))
    beginning = models.CharField(_("begins with"), max_length=10, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices), verbose_name=_("may"))
    # Their short names; none means all.
    feeds = ArrayField(models.CharField(max_length=50), default=list, blank=True, verbose_name=_("feeds"))
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    last_used_from = models.CharField(_("from"), max_length=64, blank=True, db_default="")

    class Meta:
        default_permissions = ("add", "view", "change")
        verbose_name = _("API key")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "good"

    def covers(self, permission: str) -> bool:
        return any(permission in COVERED[scope] for scope in self.scopes)


class KnownAddress(models.Model):
    """An address from which a person logged in, as a hash, and with which browser.

    What strangers try elsewhere locks nobody out there, and a login with that browser is no news to the owner.
    """

    MAX_ADDRESSES = 10  # for one person
    LIFETIME = timedelta(days=90)

    user = models.ForeignKey(User, models.CASCADE, related_name="known_addresses")
    digest = models.CharField(max_length=64)
    browser = models.TextField(default="", db_default="")  # empty: from before browsers were kept
    used_at = models.DateTimeField()

    class Meta:
        verbose_name = _("known address")
        verbose_name_plural = _("known addresses")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "digest", "browser"], name="known_address_once")]

    def __str__(self) -> str:
        return self.digest

    @staticmethod
    def digest_of(address: str) -> str:
        return salted_hmac("accounts.KnownAddress", address, algorithm="sha256").hexdigest()

    @classmethod
    def matching(cls, address: str) -> "models.QuerySet[KnownAddress]":
        """The rows of everybody who logged in from the address in the last 90 days."""
        return cls.objects.filter(digest=cls.digest_of(address), used_at__gt=timezone.now() - cls.LIFETIME)

    @classmethod
    def remember(cls, person: User, address: str, browser: str) -> bool:
        """The person has just proved who they are, from this address. Whether it is new with this browser."""
        known = cls.matching(address).filter(user=person, browser__in=("", browser))
        is_new = not known.exists()
        cls.objects.update_or_create(
            user=person, digest=cls.digest_of(address), browser=browser, defaults={"used_at": timezone.now()}
        )
        latest_first = cls.objects.filter(user=person).order_by("-used_at").values("pk")
        cls.objects.filter(pk__in=latest_first[cls.MAX_ADDRESSES :]).delete()
        return is_new


class LoginRecord(models.Model):
    """One login of a person, or one try that was refused after the name and the password were looked at."""

    LIFETIME = timedelta(days=90)
    # For one person. A stranger's tries push out no login, and no more than so many of them are kept.
    MAX_LOGINS = 500
    MAX_REFUSED = 100
    MAX_KEY_USES = 100

    # Nobody: the name has no account. Such a row goes in the transaction that made it.
    user = models.ForeignKey(User, models.CASCADE, null=True, verbose_name=_("user"), related_name="login_records")
    at = models.DateTimeField(_("time"), default=timezone.now)
    to = models.TextField(_("where to"))
    how = models.TextField(_("how"), default="")
    refused = models.TextField(_("refused"), default="")  # why; empty for a login
    address = models.TextField(_("address"))
    user_agent = models.TextField(_("browser"), default="")

    class Meta:
        default_permissions = ("view",)
        verbose_name = _("login or refused try")
        verbose_name_plural = _("logins and refused tries")
        indexes = [models.Index(fields=["user", "-at"], name="login_record_of_user")]

    def __str__(self) -> str:
        return f"{self.user}, {self.at:%Y-%m-%d %H:%M}"

    @classmethod
    def drop_beyond(cls, count: int, **of: Any) -> None:
        """Keep the newest rows of these."""
        newest_first = cls.objects.filter(**of).order_by("-at", "-pk")
        cls.objects.filter(pk__in=newest_first.values("pk")[count:]).delete()


class MailRequest(models.Model):
    """Somebody asked for a mail to an address. A worker finds out who has it, so that the answer tells nobody."""

    name = models.TextField()
    address = models.TextField()
    request_id = models.TextField(default="", db_default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        """Invitations that can still be accepted."""
        return self.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """Somebody is to come in with a role. The link in their mail makes the account."""

    LIFETIME = timedelta(days=7)

    email = models.EmailField(_("e-mail address"))
    role = models.ForeignKey(Group, models.CASCADE, verbose_name=_("role"), related_name="+")
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, verbose_name=_("invited by"), related_name="+")
    # In the link's key: sent again, an earlier link no longer works.
    link_id = models.UUIDField(default=uuid.uuid4, editable=False)
    sent_at = models.DateTimeField(_("sent"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    accepted_at = models.DateTimeField(_("accepted"), null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        default_permissions = ("add", "view")
        verbose_name = _("invitation")
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                name="invitation_open_once",
                condition=Q(accepted_at=None, withdrawn_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def state(self) -> str:
        if self.accepted_at:
            return "accepted"
        if self.withdrawn_at:
            return "withdrawn"
        return "open" if self.expires_at > timezone.now() else "expired"


class RoleGroup(Group):
    """Django's groups under the name that people know, with the same rows and permissions as `auth.Group`."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("role")
        verbose_name_plural = _("roles")
